// app/models/meter.c
// SPDX-License-Identifier: MIT
#include "app/models/meter.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "app/output.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "ui/glyph.h"

#define SECOND_NS     INT64_C(1000000000)
#define APPEARS_NS    (SECOND_NS / 3)
#define REPAINT_NS    (SECOND_NS / 10)
#define SPARSE_NS     (15 * SECOND_NS)
#define RATE_AFTER_NS (SECOND_NS / 2) // before, a rate would be noise

void meter_init(struct meter *meter, bool quiet)
{
    *meter = (struct meter){ .quiet = quiet, .terminal = isatty(STDERR_FILENO) };
}

void meter_begin(struct meter *meter, const char *what, uint64_t done, uint64_t total)
{
    int64_t now = clock_ns();
    struct str text;
    size_t len;

    meter_erase(meter);
    str_init(&text, 0);
    printable_append(&text, what, strcspn(what, "\n\t"));
    len = text.len < sizeof(meter->what) ? text.len : sizeof(meter->what) - 1;
    len -= utf8_incomplete_tail(text.data, len);
    memcpy(meter->what, text.data, len);
    meter->what[len] = '\0';
    str_release(&text);
    meter->done = meter->start_done = done;
    meter->total = total;
    meter->start_ns = now;
    meter->painted_ns = meter->terminal ? now - REPAINT_NS + APPEARS_NS : now;
}

const char *size_text(uint64_t bytes, char text[SIZE_TEXT])
{
    static const char units[] = "kMGTPE";
    double size = (double)bytes / 1000;
    int unit = 0;

    if (bytes < 1000) {
        snprintf(text, SIZE_TEXT, "%u bytes", (unsigned)bytes);
        return text;
    }
    for (; size >= 999.95 && units[unit + 1] != '\0'; unit++)
        size /= 1000;
    snprintf(text, SIZE_TEXT, "%.1f %cB", size, units[unit]);
    return text;
}

static int time_text(double seconds, char *text, size_t size)
{
    unsigned s = seconds < 360000 ? (unsigned)(seconds + 0.5) : 360000;

    if (s >= 3600)
        return snprintf(text, size, ", %u h %02u min left", s / 3600, s / 60 % 60);
    if (s >= 60)
        return snprintf(text, size, ", %u min %02u s left", s / 60, s % 60);
    return snprintf(text, size, ", %u s left", s);
}

// ": 45.0 MB of 98.4 MB, 12.3 MB/s, 4 s left"
static void describe(const struct meter *meter, int64_t now, char *text, size_t size)
{
    char done[SIZE_TEXT], total[SIZE_TEXT], rate[SIZE_TEXT];
    double seconds = (double)(now - meter->start_ns) / (double)SECOND_NS;
    uint64_t moved = meter->done - meter->start_done;
    double speed = (double)moved / (seconds > 0 ? seconds : 1);
    int len = snprintf(text, size, ": %s", size_text(meter->done, done));

    if (meter->total > 0)
        len += snprintf(text + len, size - (size_t)len, " of %s",
                        size_text(meter->total, total));
    if (now - meter->start_ns < RATE_AFTER_NS || moved == 0)
        return;
    len += snprintf(text + len, size - (size_t)len, ", %s/s",
                    size_text((uint64_t)speed, rate));
    if (meter->total > meter->done)
        time_text((double)(meter->total - meter->done) / speed, text + len,
                  size - (size_t)len);
}

static int columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : 80;
}

// The words give way first: the numbers are what one looks for.
static void paint(struct meter *meter, int64_t now)
{
    char numbers[160];
    int room;

    describe(meter, now, numbers, sizeof(numbers));
    if (meter->terminal) {
        room = columns() - 1 - (int)strlen(numbers);
        fprintf(stderr, "\r\033[2K\033[2m%.*s%s\033[0m",
                (int)text_fit(meter->what, strlen(meter->what), room > 0 ? room : 0),
                meter->what, numbers);
    } else {
        fprintf(stderr, "%s%s\n", meter->what, numbers);
    }
    fflush(stderr);
    meter->visible = meter->terminal;
    meter->painted_ns = now;
}

void meter_update(struct meter *meter, uint64_t done)
{
    int64_t now = clock_ns();

    meter->done = done;
    if (!meter->quiet &&
        now - meter->painted_ns >= (meter->terminal ? REPAINT_NS : SPARSE_NS))
        paint(meter, now);
}

void meter_erase(struct meter *meter)
{
    if (meter->visible)
        fputs("\r\033[2K", stderr);
    meter->visible = false;
}

void meter_say(struct meter *meter, const char *format, ...)
{
    char text[512];
    va_list args;

    if (meter->quiet)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    meter_erase(meter);
    remark("pull", "%s", text);
}
