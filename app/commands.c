// app/commands.c
// SPDX-License-Identifier: MIT
#include "app/commands.h"

#include <string.h>

#include "app/output.h"

const struct command *const commands[] = {
    &command_chat,    &command_replay,
    &command_ask,     &command_describe,
    &command_image,   &command_models,
    &command_pull,    &command_sessions,
    &command_devices, &command_doctor,
    &command_bench,   &command_tokenize,
    &command_score,   NULL,
};

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

const struct command *command_nearest(const char *name)
{
    const struct command *nearest = NULL;
    size_t best = strlen(name) / 3 + 2;

    for (size_t i = 0; commands[i] != NULL; i++) {
        size_t distance = word_distance(name, commands[i]->name);

        if (distance < best) {
            best = distance;
            nearest = commands[i];
        }
    }
    return nearest;
}

void command_help(const struct command *command, FILE *file)
{
    fprintf(file, "oriel %s %s\n\n%s.\n", command->name, command->usage,
            command->summary);
    if (command->notes != NULL)
        fprintf(file, "%s\n", command->notes);
    if (command->options != NULL) {
        fputc('\n', file);
        options_help(command->options, file);
    }
}

void commands_help(FILE *file)
{
    fputs("oriel: talk with a multimodal model in the terminal, on your own GPU\n\n"
          "oriel COMMAND [OPTION]... [ARGUMENT]...\n\n",
          file);
    for (size_t i = 0; commands[i] != NULL; i++)
        fprintf(file, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\noriel help COMMAND explains one; man oriel explains all; oriel --version.\n",
          file);
}

bool command_options(const struct command *command, int argc, char **argv, void *values,
                     struct operands *operands, int *exit_code)
{
    struct err err = { 0 };

    switch (options_parse(command->options, argc, argv, values, operands, &err)) {
    case OPTIONS_OK:
        return true;
    case OPTIONS_HELP:
        command_help(command, stdout);
        *exit_code = EXIT_OK;
        return false;
    case OPTIONS_WRONG:
        break;
    }
    *exit_code = complain(command->name, &err);
    return false;
}
