// base/printable.c
// SPDX-License-Identifier: MIT
#include "base/printable.h"

#include <stdbool.h>

#include "base/utf8.h"

#define PICTURE_OF_NUL 0x2400
#define PICTURE_OF_DEL 0x2421

// Ranges that change how the rest of a line is shown, or show nothing at all.
static const struct {
    uint32_t first, last;
} forbidden[] = {
    { 0x80, 0x9F },     { 0x61C, 0x61C },   { 0x200E, 0x200F }, { 0x2028, 0x202E },
    { 0x2066, 0x206F }, { 0xFEFF, 0xFEFF }, { 0xFFF9, 0xFFFB }, { 0xE0000, 0xE007F },
};

uint32_t printable_codepoint(uint32_t codepoint)
{
    if (codepoint == '\n' || codepoint == '\t')
        return codepoint;
    if (codepoint < 0x20)
        return PICTURE_OF_NUL + codepoint;
    if (codepoint == 0x7F)
        return PICTURE_OF_DEL;
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        if (codepoint >= forbidden[i].first && codepoint <= forbidden[i].last)
            return UTF8_REPLACEMENT;
    return codepoint;
}

void printable_append(struct str *out, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint32_t codepoint;
        bool valid;
        size_t used = utf8_decode(bytes + at, len - at, &codepoint, &valid);

        if (codepoint != '\r' || at + 1 == len || bytes[at + 1] != '\n')
            str_append_codepoint(out, printable_codepoint(codepoint));
        at += used;
    }
}
