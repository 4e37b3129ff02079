// tests/fuzz/fuzz_grammar.c
// SPDX-License-Identifier: MIT
//
// Any bytes as a GBNF grammar, and after the first NUL byte as a text for it: the text
// read at once, byte by byte and by asking for masks must fare the same.
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "engine/text/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX 64

static void require(bool condition)
{
    if (!condition)
        abort();
}

// Token 0 ends the text, token 1 + b is the byte b.
static struct vocabulary *byte_vocabulary(void)
{
    static char bytes[256];
    struct token_text texts[257] = { { NULL, 0 } };
    bool ends[257] = { true };

    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        texts[i + 1] = (struct token_text){ &bytes[i], 1 };
    }
    return vocabulary_create(texts, ends, 257);
}

static bool in_mask(const uint64_t *mask, size_t token)
{
    return (mask[token / 64] >> (token % 64) & 1) != 0;
}

// How many bytes are accepted one at a time; SIZE_MAX: the matcher gave up.
static size_t feed_bytes(const struct grammar *grammar, const char *text, size_t len)
{
    struct vocabulary *vocabulary = byte_vocabulary();
    struct grammar_matcher *matcher = grammar_matcher_create(grammar, NULL);
    size_t accepted = 0;

    while (matcher != NULL && accepted < len) {
        struct err err = { .code = ERR_NONE };
        const uint64_t *mask;
        bool allowed, taken;

        if (!grammar_matcher_mask(matcher, vocabulary, &mask, &err)) {
            require(err.code == ERR_LIMIT);
            accepted = SIZE_MAX;
            break;
        }
        require(in_mask(mask, 0) == grammar_matcher_may_end(matcher));
        allowed = in_mask(mask, 1u + (uint8_t)text[accepted]);
        taken = grammar_matcher_accept(matcher, text + accepted, 1, &err);
        require(taken == allowed);
        if (!taken)
            break;
        accepted++;
        if (grammar_matcher_may_end(matcher))
            require(utf8_valid(text, accepted));
    }
    grammar_matcher_destroy(&matcher);
    vocabulary_destroy(&vocabulary);
    return accepted;
}

static void feed(const struct grammar *grammar, const char *text, size_t len)
{
    struct err err = { .code = ERR_NONE };
    struct grammar_matcher *matcher = grammar_matcher_create(grammar, &err);
    size_t accepted = feed_bytes(grammar, text, len);

    require(matcher != NULL || err.code == ERR_LIMIT);
    if (matcher != NULL && accepted != SIZE_MAX) {
        bool whole = grammar_matcher_accept(matcher, text, len, &err);

        require(whole == (accepted == len) || err.code == ERR_LIMIT);
    }
    grammar_matcher_destroy(&matcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    size_t len = nul != NULL ? (size_t)(nul - data) : size;
    size_t rest = nul != NULL ? size - len - 1 : 0;
    struct err err = { .code = ERR_NONE };
    struct grammar *grammar = grammar_parse((const char *)data, len, &err);

    require((grammar == NULL) == (err.code != ERR_NONE));
    if (grammar != NULL && nul != NULL)
        feed(grammar, (const char *)nul + 1, rest < TEXT_MAX ? rest : TEXT_MAX);
    grammar_destroy(&grammar);
    return 0;
}
