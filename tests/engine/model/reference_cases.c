// tests/engine/model/reference_cases.c
// SPDX-License-Identifier: MIT
#include "tests/engine/model/reference_cases.h"

#include <stdio.h>

#include "base/err.h"

// The seeds of the models with experts are such that the last chosen expert of every
// token leads the next one by more than 0.005: rounding cannot change the choice.
static const struct feature_case {
    const char *name, *architecture;
    uint64_t seed;
    unsigned features;
    size_t prompt;
    bool golden;
} feature_cases[] = {
    { "llama", "llama", 1, 0, 24, true },
    { "llama-tied", "llama", 2, MODEL_TIED | MODEL_ODD_VOCABULARY, 24, true },
    { "llama-biases", "llama", 3, MODEL_BIASES, 24, true },
    { "llama-wide-heads", "llama", 4, MODEL_WIDE_HEADS, 24, true },
    { "llama-linear", "llama", 5, MODEL_ROPE_LINEAR, 48, true },
    { "llama-factors", "llama", 6, MODEL_ROPE_FACTORS, 48, true },
    { "llama-yarn", "llama", 7, MODEL_ROPE_YARN, 48, true },
    { "llama-experts", "llama", 40, MODEL_EXPERTS, 12, true },
    { "llama-window", "llama", 9, MODEL_WINDOW, 24, false },
    { "llama-one-token", "llama", 10, 0, 1, true },
    { "llama-large-heads", "llama", 28, MODEL_LARGE_HEADS, 24, true },
    { "llama-long-prompt", "llama", 29, 0, 130, true },
    { "llama-tiny", "llama", 37, MODEL_TINY, 24, true },
    { "llama-mixed", "llama", 38, MODEL_MIXED | MODEL_ODD_VOCABULARY, 24, false },
    { "qwen2", "qwen2", 11, 0, 24, true },
    { "qwen2-tied", "qwen2", 12, MODEL_TIED | MODEL_ODD_VOCABULARY, 24, true },
    { "qwen2-yarn", "qwen2", 13, MODEL_ROPE_YARN, 48, true },
    { "qwen2-plain", "qwen2", 30, MODEL_PLAIN_KEYS | MODEL_OWN_KEYS, 24, true },
    { "qwen3", "qwen3", 14, 0, 24, true },
    { "qwen3-tied", "qwen3", 15, MODEL_TIED, 24, true },
    { "qwen3moe", "qwen3moe", 16, 0, 24, true },
    { "qwen2vl", "qwen2vl", 41, 0, 24, false },
    { "qwen3vl", "qwen3vl", 42, 0, 24, false },
    { "gemma2", "gemma2", 17, 0, 24, true },
    { "gemma2-plain", "gemma2", 18, MODEL_PLAIN_KEYS, 24, true },
    { "gemma3", "gemma3", 19, MODEL_ODD_VOCABULARY, 24, true },
    { "gemma3-plain", "gemma3", 20, MODEL_PLAIN_KEYS, 24, true },
    { "gemma3-linear", "gemma3", 21, MODEL_ROPE_LINEAR, 48, true },
    { "gemma3-mixed", "gemma3", 39, MODEL_MIXED, 24, false },
    { "gemma2-period", "gemma2", 35, MODEL_PERIOD, 24, true },
    { "gemma3-period", "gemma3", 36, MODEL_PERIOD, 24, true },
    { "gemma3-large-heads", "gemma3", 31, MODEL_LARGE_HEADS, 24, true },
    { "gemma3-long-prompt", "gemma3", 32, MODEL_PLAIN_KEYS, 130, true },
    { "phi3", "phi3", 22, 0, 24, true },
    { "phi3-long", "phi3", 23, MODEL_ROPE_LONG, 48, true },
    { "phi3-short", "phi3", 24, MODEL_ROPE_SHORT | MODEL_TIED, 48, true },
    { "phi3-partial", "phi3", 25, MODEL_PARTIAL_ROTARY, 24, true },
    { "phi3-partial-long", "phi3", 26, MODEL_PARTIAL_ROTARY | MODEL_ROPE_LONG, 48, true },
    { "phi3-large-heads", "phi3", 33, MODEL_LARGE_HEADS, 24, true },
    { "phi3-own-keys", "phi3", 34, MODEL_OWN_KEYS, 24, true },
    { "phi3-window", "phi3", 27, MODEL_WINDOW, 24, false },
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

static struct model_case feature_case_at(const struct feature_case *feature)
{
    struct model_case found = {
        .recipe = { feature->architecture, QUANT_F32, feature->seed, feature->features },
        .prompt = feature->prompt,
        .golden = feature->golden,
    };

    snprintf(found.name, sizeof(found.name), "%s", feature->name);
    return found;
}

static struct model_case type_case_at(size_t index)
{
    struct model_case found = {
        .recipe = { .architecture = architectures[index / COUNT(types)],
                    .type = types[index % COUNT(types)],
                    .seed = 5000 + index },
        .prompt = 12,
    };

    snprintf(found.name, sizeof(found.name), "%s-%s", found.recipe.architecture,
             quant_traits(found.recipe.type)->name);
    return found;
}

struct model_case model_case_at(size_t index)
{
    if (index >= model_case_count())
        bug("no case %zu", index);
    return index < COUNT(feature_cases) ? feature_case_at(&feature_cases[index])
                                        : type_case_at(index - COUNT(feature_cases));
}
