// sessions/base64.c
// SPDX-License-Identifier: MIT
//
// Base64 (RFC 4648, section 4), without line breaks.
#include "sessions/private.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(FILE *out, const void *bytes, size_t len)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        unsigned group = (unsigned)at[i] << 16;

        group |= have > 1 ? (unsigned)at[i + 1] << 8 : 0;
        group |= have > 2 ? at[i + 2] : 0;
        putc(digits[group >> 18], out);
        putc(digits[group >> 12 & 63], out);
        putc(have > 1 ? digits[group >> 6 & 63] : '=', out);
        putc(have > 2 ? digits[group & 63] : '=', out);
    }
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(const char *text, size_t len, struct str *out)
{
    unsigned group = 0;
    int bits = 0;

    if (len % 4 != 0)
        return false;
    while (len > 0 && text[len - 1] == '=' && len % 4 != 2)
        len--;
    for (size_t i = 0; i < len; i++) {
        int value = value_of(text[i]);

        if (value < 0)
            return false;
        group = group << 6 | (unsigned)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (!str_append_char(out, (char)(group >> bits)))
                return false;
            group &= (1u << bits) - 1;
        }
    }
    return group == 0; // the unused bits of the last digit
}
