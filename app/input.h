// app/input.h
// SPDX-License-Identifier: MIT
//
// Text that the person hands to a command: arguments, files and standard input.
#ifndef ORIEL_APP_INPUT_H
#define ORIEL_APP_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

#define INPUT_MAX ((size_t)16 << 20)

// Appends all of standard input; ERR_LIMIT past INPUT_MAX. On a terminal's standard error
// it says that it waits when nothing comes for a second.
bool input_read(struct str *out, struct err *err);

// The words joined with single spaces, or, without words, standard input.
bool input_words(char **words, size_t count, struct str *out, struct err *err);

#endif
