// ui/paths.h
// SPDX-License-Identifier: MIT
//
// Paths of files in text that was pasted or dropped on the terminal. Terminals and file
// managers disagree on how they write them: bare, in quotes, with backslashes, as
// file:// URLs, one a line or all on one line, with or without the spaces escaped. What
// is written is taken for a path only if a file is there.
#ifndef ORIEL_UI_PATHS_H
#define ORIEL_UI_PATHS_H

#include <stdbool.h>
#include <stddef.h>

// The files that the text names (*count of them) if it names nothing else, NULL
// otherwise: each absolute, below ~ or a file:// URL, and a regular file. Free with
// paths_free.
char **paths_parse(const char *text, size_t len, size_t *count);
void paths_free(char **paths, size_t count);

#endif
