// base/str.h
// SPDX-License-Identifier: MIT
//
// A growing byte string. Invariants: data is never NULL after str_init and data[len] ==
// 0; len <= max. It is safe to hold NUL bytes inside. When an append would pass max, the
// string keeps what it had, `truncated` becomes true and the append returns false: every
// string that holds outside data states its maximum.
#ifndef ORIEL_BASE_STR_H
#define ORIEL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

struct str {
    char *data;
    size_t len;
    size_t cap; // bytes allocated, 0 while data is the shared empty string
    size_t max; // never longer than this
    bool truncated;
};

#define STR_MAX_DEFAULT ((size_t)64 << 20)

// max_bytes 0 means STR_MAX_DEFAULT.
void str_init(struct str *s, size_t max_bytes);

// Frees the contents; s is as after str_init with the same maximum.
void str_clear(struct str *s);

// Frees the contents; s must be initialised again before use.
void str_release(struct str *s);

// Sets len to 0 and keeps the memory.
void str_reset(struct str *s);

bool str_append(struct str *s, const char *text);
bool str_append_n(struct str *s, const char *bytes, size_t len);
bool str_append_char(struct str *s, char c);
bool str_append_codepoint(struct str *s, unsigned codepoint); // as UTF-8
bool str_printf(struct str *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Cuts to at most len bytes.
void str_truncate(struct str *s, size_t len);

// Moves ownership of the bytes to the caller (free with free); s is empty afterwards.
char *str_take(struct str *s);

#endif
