// base/alloc.c
// SPDX-License-Identifier: MIT
#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void (*exhausted_hook)(void);

void alloc_set_exhausted_hook(void (*hook)(void))
{
    exhausted_hook = hook;
}

static void *require(void *memory)
{
    if (memory == NULL) {
        if (exhausted_hook != NULL)
            exhausted_hook();
        fputs("oriel: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *alloc_zero(size_t size)
{
    return require(calloc(1, size > 0 ? size : 1));
}

void *alloc_array(size_t count, size_t size)
{
    return require(try_array(count, size));
}

void *alloc_resize(void *memory, size_t count, size_t size)
{
    return require(try_resize(memory, count, size));
}

char *alloc_string_n(const char *text, size_t len)
{
    char *copy = alloc_zero(len + 1);

    if (len > 0)
        memcpy(copy, text, len);
    return copy;
}

char *alloc_string(const char *text)
{
    return alloc_string_n(text, strlen(text));
}

char *alloc_printf(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return require(text);
}

void *try_array(size_t count, size_t size)
{
    return calloc(count > 0 ? count : 1, size > 0 ? size : 1);
}

void *try_resize(void *memory, size_t count, size_t size)
{
    return reallocarray(memory, count > 0 ? count : 1, size > 0 ? size : 1);
}

void *alloc_grow(void *array, size_t len, size_t *cap, size_t size)
{
    if (len < *cap)
        return array;
    *cap = *cap > 0 ? *cap * 2 : 16;
    return alloc_resize(array, *cap, size);
}
