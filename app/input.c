// app/input.c
// SPDX-License-Identifier: MIT
#include "app/input.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "app/progress.h"

static void wait_for_input(struct progress *progress)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

    while (progress->enabled && poll(&input, 1, 1000) == 0)
        progress_update(progress, "waiting for standard input", -1);
}

bool input_read(struct str *out, struct err *err)
{
    struct progress progress;
    char bytes[65536];
    ssize_t got;

    // A person who types the text sees it; the remark would only get in the way.
    progress_init(&progress, isatty(STDIN_FILENO));
    do {
        wait_for_input(&progress);
        got = read(STDIN_FILENO, bytes, sizeof(bytes));
        if (got > 0 && (out->len + (size_t)got > INPUT_MAX ||
                        !str_append_n(out, bytes, (size_t)got))) {
            progress_erase(&progress);
            return err_set(
                err, ERR_LIMIT,
                "standard input is longer than %zu MiB, which is the most that is "
                "read",
                INPUT_MAX >> 20);
        }
    } while (got > 0 || (got < 0 && errno == EINTR));
    progress_erase(&progress);
    return got == 0 || err_set_errno(err, "cannot read standard input");
}

bool input_words(char **words, size_t count, struct str *out, struct err *err)
{
    if (count == 0)
        return input_read(out, err);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            str_append_char(out, ' ');
        str_append(out, words[i]);
    }
    return true;
}
