// app/options.h
// SPDX-License-Identifier: MIT
//
// One table of options per command: it drives parsing, `--help`, and the test that the
// manual page names every option. Options and operands may be mixed; "--" ends the
// options;
// "--name value", "--name=value", "-n value" and "-nvalue" are the same.
#ifndef ORIEL_APP_OPTIONS_H
#define ORIEL_APP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum option_kind {
    OPTION_FLAG, // bool
    OPTION_TEXT, // const char *, borrowed from argv
    OPTION_LIST, // struct text_list: may be given several times
    OPTION_U32,
    OPTION_U64, // at most INT64_MAX
    OPTION_FLOAT,
    OPTION_SETTING, // a number of struct generation_settings, by sampler_settings.h
    OPTION_HEADING, // a line in the help, not an option
};

struct option_spec {
    char letter; // '\0': none
    const char *name;
    const char *argument; // "FILE" in the help; NULL for a flag
    enum option_kind kind;
    size_t offset;   // in the command's struct: of the value, or of all the settings
    double min, max; // of a number; both 0: no limit but the type's
    const char *help;
};

// The end of a table. Every command has --help; options_parse handles it.
#define OPTIONS_END                                                                      \
    {                                                                                    \
        .name = NULL                                                                     \
    }

struct text_list {
    const char **items; // borrowed from argv
    size_t count, cap;
};
void text_list_release(struct text_list *list);

// What is left of argv: the operands, in order, from argv[0] on. argv is reordered.
struct operands {
    char **items;
    size_t count;
};

enum options_status { OPTIONS_OK, OPTIONS_HELP, OPTIONS_WRONG };

// argv[0] is the command's name. values: the struct that the offsets refer to, filled
// with the defaults. OPTIONS_WRONG: *err (ERR_USAGE) names the option.
enum options_status options_parse(const struct option_spec *specs, int argc, char **argv,
                                  void *values, struct operands *operands,
                                  struct err *err);

// One line per option.
void options_help(const struct option_spec *specs, FILE *file);

// How far two words are apart: insertions, deletions, substitutions and exchanges of
// neighbours (Damerau 1964, restricted). For "did you mean".
size_t word_distance(const char *a, const char *b);

#endif
