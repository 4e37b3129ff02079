// tests/engine/text/walk_schema.c
// SPDX-License-Identifier: MIT
//
// Prints the texts that schema_walk makes for each schema of a file (one per line): a
// line with its number, a tab and the text, for make_walks.py to validate.
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "tests/engine/text/schema_walk.h"

static bool print_walks(const char *schema, int number)
{
    for (uint64_t seed = 0; seed < SCHEMA_WALKS; seed++) {
        struct err err = { .code = ERR_NONE };
        struct str text;

        str_init(&text, 0);
        if (!schema_walk(schema, seed, &text, &err)) {
            fprintf(stderr, "schema %d, seed %d: %s\n", number, (int)seed, err.text);
            str_release(&text);
            return false;
        }
        for (char *c = text.data; *c != '\0'; c++) // only ever white space between tokens
            *c = *c == '\n' ? ' ' : *c;
        printf("%d\t%s\n", number, text.data);
        str_release(&text);
    }
    return true;
}

int main(int argc, char **argv)
{
    struct err err = { .code = ERR_NONE };
    char *line, *rest;
    struct str text;
    int number = 0, status = 0;

    str_init(&text, 0);
    if (argc != 2 || !file_read(argv[1], 1u << 20, &text, &err)) {
        fprintf(stderr, "usage: walk_schema FILE %s\n", err.text);
        return 2;
    }
    for (rest = text.data; (line = strsep(&rest, "\n")) != NULL && *line != '\0';
         number++) {
        if (!print_walks(line, number))
            status = 1;
    }
    str_release(&text);
    return status;
}
