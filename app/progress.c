// app/progress.c
// SPDX-License-Identifier: MIT
#include "app/progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"

#define APPEARS_AFTER_NS 300000000
#define REPAINT_NS       100000000

void progress_init(struct progress *progress, bool quiet)
{
    *progress = (struct progress){
        .enabled = !quiet && isatty(STDERR_FILENO),
        .since_ns = clock_ns(),
        .stage = "starting the engine",
        .fraction = -1,
    };
}

static int columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : 80;
}

static void paint(struct progress *progress, int64_t now)
{
    char line[160];
    int len;

    if (progress->fraction >= 0)
        len = snprintf(line, sizeof(line), "%s: %.0f %%", progress->stage,
                       progress->fraction * 100);
    else
        len = snprintf(line, sizeof(line), "%s", progress->stage);
    if (now - progress->since_ns > 1000000000)
        snprintf(line + len, sizeof(line) - (size_t)len, ", %.0f s",
                 (double)(now - progress->since_ns) * 1e-9);
    // Without automatic wrapping (DECAWM) the line stays one line; the cut is only for
    // looks.
    fprintf(stderr, "\r\033[2K\033[2m%.*s\033[0m", columns() - 1, line);
    fflush(stderr);
    progress->visible = true;
    progress->painted_ns = now;
}

void progress_tick(struct progress *progress)
{
    int64_t now = clock_ns();

    if (progress->enabled && now - progress->since_ns >= APPEARS_AFTER_NS &&
        now - progress->painted_ns >= REPAINT_NS)
        paint(progress, now);
}

void progress_update(struct progress *progress, const char *stage, double fraction)
{
    snprintf(progress->stage, sizeof(progress->stage), "%s", stage);
    for (char *at = progress->stage; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    progress->fraction = fraction < 0 ? -1 : fraction > 1 ? 1 : fraction;
    progress_tick(progress);
}

void progress_erase(struct progress *progress)
{
    if (progress->visible)
        fputs("\r\033[2K", stderr);
    progress->visible = false;
    progress->since_ns = clock_ns();
}

void progress_end(struct progress *progress)
{
    progress_erase(progress);
    progress->enabled = false;
}
