// tests/engine/text/schema_walk.c
// SPDX-License-Identifier: MIT
#include "tests/engine/text/schema_walk.h"

#include <string.h>

#include "engine/text/sampler_create.h"
#include "engine/text/sampler_random.h"
#include "engine/text/sampler_settings.h"

#define MAX_TOKENS 3000

// Besides all single bytes. The last token ends the text.
static const char *const words[] = {
    "{\"",  "\":",     "\": ", "\",",   ", \"",     "\"}",      "}]",   "true", "fal",
    "se",   "null",    "12",   "2024-", ".5",       "e+",       "abc",  " the", "name",
    "\\\"", "\\u00e9", "\n  ", "]}",    "\xc3\xa9", "\xe2\x82", "\xac",
};
#define WORD_COUNT  (sizeof(words) / sizeof(words[0]))
#define TOKEN_COUNT (256 + WORD_COUNT + 1)

static struct vocabulary *make_vocabulary(void)
{
    static char bytes[256];
    struct token_text texts[TOKEN_COUNT] = { { NULL, 0 } };
    bool ends[TOKEN_COUNT] = { false };

    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        texts[i] = (struct token_text){ &bytes[i], 1 };
    }
    for (size_t i = 0; i < WORD_COUNT; i++)
        texts[256 + i] = (struct token_text){ words[i], strlen(words[i]) };
    ends[TOKEN_COUNT - 1] = true;
    return vocabulary_create(texts, ends, TOKEN_COUNT);
}

// The longer the text, the more what closes something is preferred.
static void fill_logits(struct candidate *items, struct pcg32 *random, size_t len)
{
    for (uint32_t i = 0; i < TOKEN_COUNT; i++) {
        bool closes = i < 256 && strchr("\"}]:,", (int)i) != NULL && i != 0;

        items[i] = (struct candidate){ i, (float)(pcg32_unit(random) * 8) };
        if (closes || i == TOKEN_COUNT - 1)
            items[i].logit += (float)len / (i == ',' ? 100.0f : 15.0f);
    }
}

static bool walk(struct sampler *sampler, const struct vocabulary *vocabulary,
                 struct pcg32 *random, struct str *text, struct err *err)
{
    struct candidate items[TOKEN_COUNT];
    size_t start = text->len;

    for (int i = 0; i < MAX_TOKENS; i++) {
        struct candidates candidates = { items, TOKEN_COUNT, true, 0 };
        struct token_text bytes;
        uint32_t token;
        float logprob;
        size_t top;

        fill_logits(items, random, text->len - start);
        if (!sampler_choose(sampler, &candidates, &token, &logprob, NULL, &top, err))
            return false;
        if (token == TOKEN_COUNT - 1)
            return true;
        bytes = vocabulary_text(vocabulary, token);
        str_append_n(text, bytes.bytes, bytes.len);
    }
    return err_set(err, ERR_LIMIT, "the text does not end");
}

bool schema_walk(const char *schema, uint64_t seed, struct str *text, struct err *err)
{
    struct vocabulary *vocabulary = make_vocabulary();
    struct generation_settings settings;
    struct sampler *sampler;
    struct pcg32 random;
    bool ok = false;

    generation_settings_default(&settings);
    settings.seed = seed;
    settings.constraint = CONSTRAINT_JSON_SCHEMA;
    settings.constraint_text = schema;
    pcg32_seed(&random, seed, 1);
    sampler = sampler_create_with(&settings, TOKEN_COUNT, vocabulary, err);
    if (sampler != NULL)
        ok = walk(sampler, vocabulary, &random, text, err);
    sampler_destroy(&sampler);
    vocabulary_destroy(&vocabulary);
    return ok;
}
