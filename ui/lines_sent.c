// ui/lines_sent.c
// SPDX-License-Identifier: MIT
#include "ui/lines_sent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>

#include "base/alloc.h"

#define LINES_MAX 2000

static char *file;

void history_open(const char *path)
{
    using_history();
    stifle_history(LINES_MAX);
    history_comment_char = '#'; // with times, so that entries may have several lines
    history_write_timestamps = 1;
    if (path == NULL)
        return;
    file = alloc_string(path);
    read_history(file);
}

void history_close(void)
{
    clear_history();
    free(file);
    file = NULL;
}

void history_remember(const char *line)
{
    if (line[0] == '\0')
        return;
    if (history_length > 0 &&
        strcmp(history_get(history_base + history_length - 1)->line, line) == 0)
        return;
    add_history(line);
    using_history(); // Up begins at the end again
    if (file == NULL)
        return;
    close(open(file, O_CREAT | O_CLOEXEC | O_WRONLY, 0600));
    append_history(1, file);
}
