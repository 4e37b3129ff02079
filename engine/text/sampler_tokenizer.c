// engine/text/sampler_tokenizer.c
// SPDX-License-Identifier: MIT
//
// A sampler for a tokenizer: the only place of the sampler that asks one.
#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "engine/text/sampler.h"
#include "engine/text/sampler_create.h"

struct vocabulary *vocabulary_of_tokenizer(const struct tokenizer *tokenizer)
{
    size_t count = tokenizer_size(tokenizer);
    size_t *starts = alloc_array(count + 1, sizeof(*starts));
    struct token_text *texts = alloc_array(count, sizeof(*texts));
    bool *ends = alloc_array(count, sizeof(*ends));
    struct vocabulary *vocabulary;
    struct str bytes;

    str_init(&bytes, 0);
    for (uint32_t i = 0; i < count; i++) {
        starts[i] = bytes.len;
        ends[i] = tokenizer_ends_generation(tokenizer, i);
        if (tokenizer_type(tokenizer, i) != TOKEN_UNUSED)
            tokenizer_token_bytes(tokenizer, i, false, &bytes);
    }
    starts[count] = bytes.len;
    for (size_t i = 0; i < count; i++)
        texts[i] =
            (struct token_text){ bytes.data + starts[i], starts[i + 1] - starts[i] };
    vocabulary = vocabulary_create(texts, ends, count);
    str_release(&bytes);
    free(starts);
    free(texts);
    free(ends);
    return vocabulary;
}

struct sampler *sampler_create(const struct generation_settings *settings,
                               const struct tokenizer *tokenizer, struct err *err)
{
    struct vocabulary *vocabulary = NULL;
    struct sampler *sampler;

    if (sampler_needs_vocabulary(settings))
        vocabulary = vocabulary_of_tokenizer(tokenizer);
    sampler = sampler_create_with(settings, tokenizer_size(tokenizer), vocabulary, err);
    if (sampler != NULL)
        sampler_take_vocabulary(sampler, vocabulary);
    else
        vocabulary_destroy(&vocabulary);
    return sampler;
}
