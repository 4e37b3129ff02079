// base/err.c
// SPDX-License-Identifier: MIT
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 0))) static void
format_text(struct err *err, const char *format, va_list args)
{
    int len = vsnprintf(err->text, sizeof(err->text), format, args);

    if (len >= (int)sizeof(err->text))
        memcpy(err->text + sizeof(err->text) - 4, "...", 4);
}

bool err_set(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return false;
    err->code = code;
    va_start(args, format);
    format_text(err, format, args);
    va_end(args);
    return false;
}

bool err_set_errno(struct err *err, const char *format, ...)
{
    int saved = errno;
    struct err what = { .code = ERR_IO };
    va_list args;

    va_start(args, format);
    format_text(&what, format, args);
    va_end(args);
    return err_set(err, saved == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", what.text,
                   strerror(saved));
}

bool err_prefix(struct err *err, const char *format, ...)
{
    struct err prefix = { .code = ERR_NONE };
    struct err old;
    va_list args;

    if (err == NULL)
        return false;
    va_start(args, format);
    format_text(&prefix, format, args);
    va_end(args);
    old = *err;
    return err_set(err, old.code, "%s: %s", prefix.text, old.text);
}

void bug_at(const char *file, int line, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "oriel: bug at %s:%d: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}
