// tests/engine/model/reference_cases.c
// SPDX-License-Identifier: MIT
#include "tests/engine/model/reference_cases.h"

#include <stdio.h>

#include "base/err.h"

// The seeds of the models with experts are such that the last chosen expert of every
// token leads the next one by more than 0.01: rounding cannot change the choice.
static const struct model_case feature_cases[] = {
    { "llama", { "llama", QUANT_F32, 1, 0 }, 24, true },
    { "llama-tied",
      { "llama", QUANT_F32, 2, MODEL_TIED | MODEL_ODD_VOCABULARY },
      24,
      true },
    { "llama-biases", { "llama", QUANT_F32, 3, MODEL_BIASES }, 24, true },
    { "llama-wide-heads", { "llama", QUANT_F32, 4, MODEL_WIDE_HEADS }, 24, true },
    { "llama-linear", { "llama", QUANT_F32, 5, MODEL_ROPE_LINEAR }, 48, true },
    { "llama-factors", { "llama", QUANT_F32, 6, MODEL_ROPE_FACTORS }, 48, true },
    { "llama-yarn", { "llama", QUANT_F32, 7, MODEL_ROPE_YARN }, 48, true },
    { "llama-experts", { "llama", QUANT_F32, 48, MODEL_EXPERTS }, 24, true },
    { "llama-window", { "llama", QUANT_F32, 9, MODEL_WINDOW }, 24, false },
    { "llama-one-token", { "llama", QUANT_F32, 10, 0 }, 1, true },
    { "qwen2", { "qwen2", QUANT_F32, 11, 0 }, 24, true },
    { "qwen2-tied",
      { "qwen2", QUANT_F32, 12, MODEL_TIED | MODEL_ODD_VOCABULARY },
      24,
      true },
    { "qwen2-yarn", { "qwen2", QUANT_F32, 13, MODEL_ROPE_YARN }, 48, true },
    { "qwen3", { "qwen3", QUANT_F32, 14, 0 }, 24, true },
    { "qwen3-tied", { "qwen3", QUANT_F32, 15, MODEL_TIED }, 24, true },
    { "qwen3moe", { "qwen3moe", QUANT_F32, 16, 0 }, 24, true },
    { "gemma2", { "gemma2", QUANT_F32, 17, 0 }, 24, true },
    { "gemma2-plain", { "gemma2", QUANT_F32, 18, MODEL_PLAIN_KEYS }, 24, true },
    { "gemma3", { "gemma3", QUANT_F32, 19, MODEL_ODD_VOCABULARY }, 24, true },
    { "gemma3-plain", { "gemma3", QUANT_F32, 20, MODEL_PLAIN_KEYS }, 24, true },
    { "gemma3-linear", { "gemma3", QUANT_F32, 21, MODEL_ROPE_LINEAR }, 48, true },
    { "phi3", { "phi3", QUANT_F32, 22, 0 }, 24, true },
    { "phi3-long", { "phi3", QUANT_F32, 23, MODEL_ROPE_LONG }, 48, true },
    { "phi3-short", { "phi3", QUANT_F32, 24, MODEL_ROPE_SHORT | MODEL_TIED }, 48, true },
    { "phi3-partial", { "phi3", QUANT_F32, 25, MODEL_PARTIAL_ROTARY }, 24, true },
    { "phi3-partial-long",
      { "phi3", QUANT_F32, 26, MODEL_PARTIAL_ROTARY | MODEL_ROPE_LONG },
      48,
      true },
    { "phi3-window", { "phi3", QUANT_F32, 27, MODEL_WINDOW }, 24, false },
};

static const char *const architectures[] = {
    "llama", "qwen2", "qwen3", "qwen3moe", "gemma2", "gemma3", "phi3",
};

static const enum quant_type types[] = {
    QUANT_F16,  QUANT_BF16, QUANT_Q4_0,   QUANT_Q4_1,   QUANT_Q5_0,
    QUANT_Q5_1, QUANT_Q8_0, QUANT_Q2_K,   QUANT_Q3_K,   QUANT_Q4_K,
    QUANT_Q5_K, QUANT_Q6_K, QUANT_IQ4_NL, QUANT_IQ4_XS, QUANT_MXFP4,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

size_t model_feature_case_count(void)
{
    return COUNT(feature_cases);
}

size_t model_case_count(void)
{
    return COUNT(feature_cases) + COUNT(architectures) * COUNT(types);
}

struct model_case model_case_at(size_t index)
{
    if (index < COUNT(feature_cases))
        return feature_cases[index];
    if (index >= model_case_count())
        bug("no case %zu", index);
    index -= COUNT(feature_cases);
    struct model_case found = {
        .recipe = { .architecture = architectures[index / COUNT(types)],
                    .type = types[index % COUNT(types)],
                    .seed = 3000 + index },
        .prompt = 12,
    };
    snprintf(found.name, sizeof(found.name), "%s-%s", found.recipe.architecture,
             quant_traits(found.recipe.type)->name);
    return found;
}
