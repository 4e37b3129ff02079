// base/str.c
// SPDX-License-Identifier: MIT
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

static char empty[1];

void str_init(struct str *s, size_t max_bytes)
{
    *s =
        (struct str){ .data = empty, .max = max_bytes > 0 ? max_bytes : STR_MAX_DEFAULT };
}

void str_release(struct str *s)
{
    if (s->cap > 0)
        free(s->data);
    *s = (struct str){ .data = empty, .max = s->max };
}

void str_clear(struct str *s)
{
    str_release(s);
}

void str_reset(struct str *s)
{
    s->len = 0;
    s->truncated = false;
    if (s->cap > 0)
        s->data[0] = '\0';
}

static bool reserve(struct str *s, size_t extra)
{
    size_t need = s->len + extra + 1;

    if (extra > s->max - s->len) {
        s->truncated = true;
        return false;
    }
    if (need > s->cap) {
        size_t cap = s->cap > 0 ? s->cap : 32;

        while (cap < need)
            cap *= 2;
        s->data = alloc_resize(s->cap > 0 ? s->data : NULL, cap, 1);
        s->cap = cap;
        s->data[s->len] = '\0';
    }
    return true;
}

bool str_append_n(struct str *s, const char *bytes, size_t len)
{
    if (!reserve(s, len))
        return false;
    if (len > 0)
        memcpy(s->data + s->len, bytes, len);
    s->len += len;
    s->data[s->len] = '\0';
    return true;
}

bool str_append(struct str *s, const char *text)
{
    return str_append_n(s, text, strlen(text));
}

bool str_append_char(struct str *s, char c)
{
    return str_append_n(s, &c, 1);
}

bool str_append_codepoint(struct str *s, unsigned codepoint)
{
    char bytes[UTF8_MAX];

    return str_append_n(s, bytes, utf8_encode(codepoint, bytes));
}

bool str_printf(struct str *s, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int len;
    bool ok;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0)
        return false;
    ok = str_append_n(s, text, (size_t)len);
    free(text);
    return ok;
}

void str_truncate(struct str *s, size_t len)
{
    if (len < s->len) {
        s->len = len;
        s->data[len] = '\0';
    }
}

char *str_take(struct str *s)
{
    char *data = s->cap > 0 ? s->data : alloc_zero(1);
    size_t max = s->max;

    str_init(s, max);
    return data;
}
