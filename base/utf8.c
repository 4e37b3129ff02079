// base/utf8.c
// SPDX-License-Identifier: MIT
#include "base/utf8.h"

// The first byte decides the length and the range of the second byte (Unicode table 3-7).
static size_t sequence(unsigned char first, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return 2;
    if (first >= 0xE0 && first <= 0xEF) {
        if (first == 0xE0)
            *low = 0xA0;
        if (first == 0xED)
            *high = 0x9F;
        return 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (first == 0xF0)
            *low = 0x90;
        if (first == 0xF4)
            *high = 0x8F;
        return 4;
    }
    return 0;
}

size_t utf8_decode(const char *bytes, size_t len, uint32_t *codepoint, bool *valid)
{
    const unsigned char *b = (const unsigned char *)bytes;
    unsigned char low, high;
    size_t need = sequence(b[0], &low, &high);
    uint32_t value;
    size_t have;

    *valid = true;
    if (need == 1) {
        *codepoint = b[0];
        return 1;
    }
    value = b[0] & (0xFFu >> (need + 1));
    for (have = 1; have < need && have < len; have++) {
        if (b[have] < low || b[have] > high)
            break;
        value = value << 6 | (b[have] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    if (need == 0 || have < need) {
        *valid = false;
        value = UTF8_REPLACEMENT;
    }
    *codepoint = value;
    return have;
}

size_t utf8_encode(uint32_t codepoint, char bytes[UTF8_MAX])
{
    if (codepoint > 0x10FFFF || (codepoint >= 0xD800 && codepoint <= 0xDFFF))
        codepoint = UTF8_REPLACEMENT;
    if (codepoint < 0x80) {
        bytes[0] = (char)codepoint;
        return 1;
    }
    if (codepoint < 0x800) {
        bytes[0] = (char)(0xC0 | codepoint >> 6);
        bytes[1] = (char)(0x80 | (codepoint & 0x3F));
        return 2;
    }
    if (codepoint < 0x10000) {
        bytes[0] = (char)(0xE0 | codepoint >> 12);
        bytes[1] = (char)(0x80 | (codepoint >> 6 & 0x3F));
        bytes[2] = (char)(0x80 | (codepoint & 0x3F));
        return 3;
    }
    bytes[0] = (char)(0xF0 | codepoint >> 18);
    bytes[1] = (char)(0x80 | (codepoint >> 12 & 0x3F));
    bytes[2] = (char)(0x80 | (codepoint >> 6 & 0x3F));
    bytes[3] = (char)(0x80 | (codepoint & 0x3F));
    return 4;
}

bool utf8_valid(const char *bytes, size_t len)
{
    size_t at = 0;

    while (at < len) {
        uint32_t codepoint;
        bool valid;

        if ((unsigned char)bytes[at] < 0x80) {
            at++;
            continue;
        }
        at += utf8_decode(bytes + at, len - at, &codepoint, &valid);
        if (!valid)
            return false;
    }
    return true;
}

size_t utf8_incomplete_tail(const char *bytes, size_t len)
{
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char low, high;
        size_t need = sequence((unsigned char)bytes[len - back], &low, &high);
        uint32_t codepoint;
        bool valid;

        if (need > back &&
            utf8_decode(bytes + len - back, back, &codepoint, &valid) == back)
            return back;
        if (need > 0)
            return 0;
    }
    return 0;
}

size_t utf8_append_repaired(struct str *out, const char *bytes, size_t len)
{
    size_t bad = 0;

    for (size_t at = 0; at < len;) {
        uint32_t codepoint;
        bool valid;
        size_t used = utf8_decode(bytes + at, len - at, &codepoint, &valid);

        if (valid)
            str_append_n(out, bytes + at, used);
        else
            str_append_codepoint(out, UTF8_REPLACEMENT);
        bad += !valid;
        at += used;
    }
    return bad;
}
