// app/output.h
// SPDX-License-Identifier: MIT
//
// How the commands print: everything that came from outside passes printable_append when
// it goes to a terminal, and always in messages on standard error.
#ifndef ORIEL_APP_OUTPUT_H
#define ORIEL_APP_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

// Exit codes of every command (docs/oriel.1).
enum exit_code { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

// Prints "oriel: COMMAND: text" as one line and returns the exit code for the error.
int complain(const char *command, const struct err *err);
// A remark that does not end the command.
void remark(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Untrusted bytes to standard output, at once: made printable on a terminal, exact
// otherwise.
bool put_text(const char *bytes, size_t len, struct err *err);
// Untrusted text, always made printable, for tables.
void put_printable(FILE *file, const char *bytes, size_t len);
// A string field of a report, as a column of `width` cells and a space; width 0: just the
// string.
void put_column(const json_t *object, const char *key, int width);
// Any bytes on one line, reversibly: what is not plain printable UTF-8 as \n, \t, \\,
// \xNN.
void put_quoted(FILE *file, const char *bytes, size_t len);
// One JSON value and a newline. On a terminal with everything but ASCII escaped. Takes
// the reference.
bool put_json(json_t *json);

// Flushes standard output; ERR_IO when anything could not be written.
bool finish_output(struct err *err);

#endif
