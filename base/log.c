// base/log.c
// SPDX-License-Identifier: MIT
#include "base/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int log_fd = -1;
static int log_max;
static const char *log_role;

void log_open(const char *role)
{
    const char *setting = getenv("ORIEL_LOG");

    log_role = role;
    if (setting == NULL || setting[0] < '1' || setting[0] > '3' || setting[1] != ':')
        return;
    log_fd =
        open(setting + 2, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log_fd >= 0)
        log_max = setting[0] - '0';
}

void log_line(enum log_level level, const char *format, ...)
{
    char text[1024];
    char line[1200];
    va_list args;
    size_t len;
    int64_t now;

    if ((int)level > log_max)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    now = clock_ns();
    len = (size_t)snprintf(line, sizeof(line), "%lld.%06lld %s[%d] ",
                           (long long)(now / 1000000000),
                           (long long)(now / 1000 % 1000000), log_role, (int)getpid());
    for (const char *at = text; *at != '\0' && len < sizeof(line) - 1; at++)
        line[len++] = (unsigned char)*at < 0x20 || *at == 0x7F ? '?' : *at;
    line[len++] = '\n';
    if (write(log_fd, line, len) < 0)
        log_max = 0; // nowhere to complain to
}

int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
