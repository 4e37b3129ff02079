// base/base64.c
// SPDX-License-Identifier: MIT
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool base64_encode(const char *bytes, size_t len, struct str *out)
{
    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t bits = 0;
        char group[4];

        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < have ? (unsigned char)bytes[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            group[k] = k <= have ? alphabet[bits >> (18 - 6 * k) & 63] : '=';
        if (!str_append_n(out, group, sizeof(group)))
            return false;
    }
    return true;
}

static bool decode_group(const char group[4], size_t digits, struct str *out)
{
    uint32_t bits = 0;
    char bytes[3];

    for (size_t k = 0; k < 4; k++) {
        const char *digit = k < digits ? memchr(alphabet, group[k], 64) : alphabet;

        if (digit == NULL)
            return false;
        bits = bits << 6 | (uint32_t)(digit - alphabet);
    }
    if ((bits & ((1u << 8 * (4 - digits)) - 1)) != 0)
        return false;
    for (size_t k = 0; k < 3; k++)
        bytes[k] = (char)(bits >> (16 - 8 * k) & 0xFF);
    return str_append_n(out, bytes, digits - 1);
}

bool base64_decode(const char *text, size_t len, struct str *out)
{
    if (len % 4 != 0)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        size_t digits = 4;

        if (i + 4 == len && text[i + 3] == '=')
            digits = text[i + 2] == '=' ? 2 : 3;
        if (!decode_group(text + i, digits, out))
            return false;
    }
    return true;
}
