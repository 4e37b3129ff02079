// tests/engine/text/tokenizer_fixture.c
// SPDX-License-Identifier: MIT
#include "tests/engine/text/tokenizer_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX 300

struct build {
    struct token_text tokens[TOKENS_MAX];
    char bytes[256][8];
    float scores[TOKENS_MAX];
    uint8_t types[TOKENS_MAX];
    struct tokenizer_params params;
};

static void add(struct build *build, const char *text, size_t len, enum token_type type,
                float score)
{
    size_t id = build->params.token_count++;

    build->tokens[id] = (struct token_text){ text, len };
    build->types[id] = (uint8_t)type;
    build->scores[id] = score;
}

static void add_special(struct build *build)
{
    add(build, "<begin>", 7, TOKEN_CONTROL, 0);
    add(build, "<|im_end|>", 10, TOKEN_CONTROL, 0);
    add(build, "<tag>", 5, TOKEN_USER_DEFINED, 0);
    add(build, "<begin><tag>", 12, TOKEN_CONTROL, 0);
}

static struct tokenizer *finish(struct build *build, const char *model, const char *pre)
{
    struct err err = { .code = ERR_NONE };
    struct tokenizer *tokenizer;

    build->params.model = (struct token_text){ model, strlen(model) };
    build->params.pre = (struct token_text){ pre, strlen(pre) };
    build->params.tokens = build->tokens;
    build->params.types = build->types;
    build->params.scores = build->scores;
    build->params.bos = FIXTURE_BEGIN;
    build->params.eos = FIXTURE_END;
    build->params.eot = build->params.eom = TOKEN_NONE;
    build->params.unknown = build->params.padding = TOKEN_NONE;
    build->params.add_bos = 1;
    build->params.add_eos = build->params.add_space_prefix = -1;
    tokenizer = tokenizer_create(&build->params, &err);
    if (tokenizer == NULL)
        printf("# %s\n", err.text);
    free(build);
    return tokenizer;
}

// The rule of GPT-2: printable bytes are themselves, the others follow from U+0100 on.
static size_t stored_byte(unsigned byte, char *text)
{
    unsigned other = 0;
    bool printable = false;

    for (unsigned b = 0; b <= byte; b++) {
        printable = (b > ' ' && b < 0x7f) || (b > 0xa0 && b != 0xad);
        other += !printable;
    }
    if (printable && byte < 0x80) {
        text[0] = (char)byte;
        return 1;
    }
    byte = printable ? byte : 0x100 + other - 1;
    text[0] = (char)(0xc0 | byte >> 6);
    text[1] = (char)(0x80 | (byte & 0x3f));
    return 2;
}

struct tokenizer *fixture_bpe(const char *pre)
{
    static const char *const words[] = { "ab", "abc", "bc", "\u0120a", "ef", "the" };
    static const struct token_text merges[] = { { "b c", 3 },  { "a b", 3 },
                                                { "ab c", 4 }, { "\u0120 a", 4 },
                                                { "e f", 3 },  { "h e", 3 },
                                                { "t he", 4 } };
    struct build *build = calloc(1, sizeof(*build));

    for (unsigned byte = 0; byte < 256; byte++)
        add(build, build->bytes[byte], stored_byte(byte, build->bytes[byte]),
            TOKEN_NORMAL, 0);
    add_special(build);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        add(build, words[i], strlen(words[i]), TOKEN_NORMAL, 0);
    build->params.merges = merges;
    build->params.merge_count = sizeof(merges) / sizeof(merges[0]);
    return finish(build, "gpt2", pre);
}

struct tokenizer *fixture_spm(void)
{
    static const struct {
        const char *text;
        float score;
    } words[] = { { "\u2581", -1 },  { "ab", -2 }, { "bc", -1 },  { "abc", -3 },
                  { "\u2581a", -4 }, { "aa", -5 }, { "aaaa", -6 } };
    struct build *build = calloc(1, sizeof(*build));

    for (unsigned byte = 0; byte < 256; byte++) {
        snprintf(build->bytes[byte], sizeof(build->bytes[byte]), "<0x%02X>", byte);
        add(build, build->bytes[byte], 6, TOKEN_BYTE, 0);
    }
    add_special(build);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        add(build, words[i].text, strlen(words[i].text), TOKEN_NORMAL, words[i].score);
    return finish(build, "llama", "");
}

#define PAIRS_MAX 32768

struct pairs {
    char bytes[256][2];
    size_t lens[256];
    char texts[PAIRS_MAX][5]; // "a b"
    char words[PAIRS_MAX][4];
    struct token_text tokens[256 + PAIRS_MAX], merges[PAIRS_MAX];
    size_t count;
};

static void add_pair(struct pairs *pairs, unsigned a, unsigned b)
{
    size_t len = pairs->lens[a] + pairs->lens[b], i = pairs->count++;
    char *text = pairs->texts[i], *word = pairs->words[i];

    memcpy(word, pairs->bytes[a], pairs->lens[a]);
    memcpy(word + pairs->lens[a], pairs->bytes[b], pairs->lens[b]);
    memcpy(text, word, pairs->lens[a]);
    text[pairs->lens[a]] = ' ';
    memcpy(text + pairs->lens[a] + 1, pairs->bytes[b], pairs->lens[b]);
    pairs->tokens[256 + i] = (struct token_text){ word, len };
    pairs->merges[i] = (struct token_text){ text, len + 1 };
}

struct tokenizer *fixture_pairs(const char *pre)
{
    struct pairs *pairs = calloc(1, sizeof(*pairs));
    struct err err = { .code = ERR_NONE };
    struct tokenizer_params params = {
        .model = { "gpt2", 4 },
        .pre = { pre, strlen(pre) },
        .tokens = pairs->tokens,
        .merges = pairs->merges,
        .bos = TOKEN_NONE,
        .eos = TOKEN_NONE,
        .eot = TOKEN_NONE,
        .eom = TOKEN_NONE,
        .unknown = TOKEN_NONE,
        .padding = TOKEN_NONE,
    };
    struct tokenizer *tokenizer;

    for (unsigned byte = 0; byte < 256; byte++) {
        pairs->lens[byte] = stored_byte(byte, pairs->bytes[byte]);
        pairs->tokens[byte] =
            (struct token_text){ pairs->bytes[byte], pairs->lens[byte] };
    }
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            if ((7 * a + 13 * b) % 4 == 0)
                add_pair(pairs, a, b);
        }
    }
    params.token_count = 256 + pairs->count;
    params.merge_count = pairs->count;
    tokenizer = tokenizer_create(&params, &err);
    if (tokenizer == NULL)
        printf("# %s\n", err.text);
    free(pairs);
    return tokenizer;
}
