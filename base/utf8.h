// base/utf8.h
// SPDX-License-Identifier: MIT
//
// UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
#ifndef ORIEL_BASE_UTF8_H
#define ORIEL_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define UTF8_MAX         4
#define UTF8_REPLACEMENT 0xFFFDu

// Decodes the character at the start of bytes[len] (len > 0) and returns how many bytes
// it takes. On malformed input *codepoint is UTF8_REPLACEMENT, *valid false, and the
// return value the length of the maximal ill-formed subpart (Unicode 15, section 3.9,
// table 3-8).
size_t utf8_decode(const char *bytes, size_t len, uint32_t *codepoint, bool *valid);

// Writes codepoint (anything that is not a scalar value as U+FFFD) and returns 1 to 4.
size_t utf8_encode(uint32_t codepoint, char bytes[UTF8_MAX]);

bool utf8_valid(const char *bytes, size_t len);

// How many bytes at the end of bytes[len] are the beginning of a character that may still
// be completed by more bytes (0 to 3). Streaming output holds them back.
size_t utf8_incomplete_tail(const char *bytes, size_t len);

// Appends the bytes with U+FFFD in place of each ill-formed subpart; returns how many
// there were. What does not fit into out's maximum is dropped (out->truncated).
size_t utf8_append_repaired(struct str *out, const char *bytes, size_t len);

#endif
