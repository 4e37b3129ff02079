// app/commands.h
// SPDX-License-Identifier: MIT
//
// The table of commands. To add one: write cmd_NAME.c, add its line in commands.c and its
// section in docs/oriel.1 (tests/app/test_commands.py checks that they agree).
#ifndef ORIEL_APP_COMMANDS_H
#define ORIEL_APP_COMMANDS_H

#include <stdio.h>

#include "app/options.h"

struct command {
    const char *name;
    const char *usage;                 // what follows the name
    const char *summary;               // one line for `oriel --help`
    int (*run)(int argc, char **argv); // argv[0] is the name; returns the exit code
    const struct option_spec *options; // NULL: the command shows no list of them
    const char *notes;                 // more sentences for `oriel help NAME`, or NULL
};

extern const struct command *const commands[]; // ends with NULL

// NULL when there is none of that name.
const struct command *command_find(const char *name);
// The most similar name, or NULL when none is similar.
const struct command *command_nearest(const char *name);

void command_help(const struct command *command, FILE *file);
void commands_help(FILE *file);

// What every command begins with. Returns false when the command is over, with
// *exit_code: after --help (printed), or after a mistake (one line on standard error).
bool command_options(const struct command *command, int argc, char **argv, void *values,
                     struct operands *operands, int *exit_code);

extern const struct command command_ask;
extern const struct command command_bench;
extern const struct command command_chat;
extern const struct command command_describe;
extern const struct command command_devices;
extern const struct command command_doctor;
extern const struct command command_image;
extern const struct command command_models;
extern const struct command command_pull;
extern const struct command command_replay;
extern const struct command command_score;
extern const struct command command_sessions;
extern const struct command command_tokenize;

#endif
