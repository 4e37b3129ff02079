// sessions/tokens.c
// SPDX-License-Identifier: MIT
//
// The tokens of a reply as bytes. One token after the other, nothing around them, so that
// the chunks of a streaming reply are joined by joining bytes:
//     id        unsigned LEB128
//     time      nanoseconds since the token before (since generation began), zigzag
//     LEB128 logprob   IEEE 754 binary32, little endian text_len  unsigned LEB128
// About 11 bytes a token. Malformed bytes, and numbers that do not fit, are ERR_FORMAT.
#include "sessions/private.h"

#include <string.h>

static void put_varint(struct str *out, uint64_t value)
{
    while (value >= 0x80) {
        str_append_char(out, (char)(value | 0x80));
        value >>= 7;
    }
    str_append_char(out, (char)value);
}

static bool get_varint(const unsigned char **at, const unsigned char *end,
                       uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        unsigned char byte = *(*at)++;

        if (shift == 63 && byte > 1)
            return false;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

void token_encode(struct str *out, const struct sessions_token *token, int64_t *last_ns)
{
    uint32_t bits;

    memcpy(&bits, &token->logprob, sizeof(bits));
    put_varint(out, token->id);
    put_varint(out, zigzag(token->time_ns - *last_ns));
    for (int i = 0; i < 4; i++)
        str_append_char(out, (char)(bits >> 8 * i));
    put_varint(out, token->text_len);
    *last_ns = token->time_ns;
}

static bool decode_one(const unsigned char **at, const unsigned char *end,
                       struct sessions_token *token, int64_t *last_ns)
{
    uint64_t id, delta, text_len;
    uint32_t bits = 0;

    if (!get_varint(at, end, &id) || id > UINT32_MAX || !get_varint(at, end, &delta) ||
        end - *at < 4)
        return false;
    for (int i = 0; i < 4; i++)
        bits |= (uint32_t) * (*at)++ << 8 * i;
    if (!get_varint(at, end, &text_len) || text_len > SESSIONS_TEXT_LIMIT ||
        __builtin_add_overflow(*last_ns, unzigzag(delta), last_ns))
        return false;
    *token = (struct sessions_token){ .id = (uint32_t)id,
                                      .time_ns = *last_ns,
                                      .text_len = (size_t)text_len };
    memcpy(&token->logprob, &bits, sizeof(bits));
    return true;
}

bool tokens_decode(const unsigned char *bytes, size_t len, struct sessions_token *tokens,
                   size_t count, struct err *err)
{
    const unsigned char *at = bytes;
    int64_t last_ns = 0;

    for (size_t i = 0; i < count; i++)
        if (!decode_one(&at, bytes + len, &tokens[i], &last_ns))
            return err_set(err, ERR_FORMAT, "token %zu of %zu is damaged", i, count);
    return at == bytes + len ||
           err_set(err, ERR_FORMAT, "%zu bytes after the last of %zu tokens",
                   (size_t)(bytes + len - at), count);
}
