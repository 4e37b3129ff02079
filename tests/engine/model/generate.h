// tests/engine/model/generate.h
// SPDX-License-Identifier: MIT
//
// Small random models, written as GGUF files: every architecture, every quantised type
// and every feature that a decoder must obey, each in a few hundred kilobytes. The same
// recipe gives the same bytes everywhere. What they say is noise; what counts is that two
// decoders agree on it.
#ifndef ORIEL_TESTS_ENGINE_MODEL_GENERATE_H
#define ORIEL_TESTS_ENGINE_MODEL_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/format/quant.h"

enum model_feature {
    MODEL_TIED = 1 << 0,         // no output.weight (gemma: always)
    MODEL_BIASES = 1 << 1,       // on q, k, v and the attention's output (qwen2: always)
    MODEL_WINDOW = 1 << 2,       // a sliding window of 8 (gemma: always)
    MODEL_ROPE_LINEAR = 1 << 3,  // positions scaled by 1/4
    MODEL_ROPE_FACTORS = 1 << 4, // rope_freqs.weight as llama 3.1 has it
    MODEL_ROPE_YARN = 1 << 5,    // YaRN by 4 from a context of 64
    MODEL_ROPE_LONG = 1 << 6,    // phi3: factors, trained for less than MODEL_CONTEXT
    MODEL_ROPE_SHORT = 1 << 7,   // phi3: factors, trained for more than MODEL_CONTEXT
    MODEL_PARTIAL_ROTARY = 1 << 8, // phi3: 3/4 of each head turns
    MODEL_WIDE_HEADS = 1 << 9, // llama: heads * head size != width (qwen3, gemma: always)
    MODEL_EXPERTS = 1 << 10,   // llama: 8 experts, 2 used (qwen3moe: always, 3 used)
    MODEL_ODD_VOCABULARY = 1 << 11, // a prime number of tokens
    MODEL_PLAIN_KEYS = 1 << 12,     // without the keys that a reader has defaults for
    MODEL_LARGE_HEADS = 1 << 13,    // heads of 96 (phi3), 256 (gemma) or 128
    MODEL_OWN_KEYS = 1 << 14,       // every head has keys and values of its own
    MODEL_PERIOD = 1 << 15, // gemma: every third layer sees all, local RoPE base 5000
    MODEL_TINY = 1 << 16,   // heads of 8, inner size 172, as the model stories260K has it
    MODEL_MIXED = 1 << 17,  // each matrix has a type of its own, whatever the recipe's is
    MODEL_ROUND = 1 << 18,  // width 256, as types whose blocks hold 256 weights have it
};

#define MODEL_CONTEXT 256 // context_length of all models

struct model_recipe {
    const char *architecture; // "llama", "qwen2", "qwen3", "qwen3moe", "gemma2", ...
    enum quant_type type; // of the matrices; rows that are no whole blocks of it get the
                          // type that quantisers fall back to, vectors are F32
    uint64_t seed;
    unsigned features; // enum model_feature
};

// Writes the model to path. Fails with ERR_UNSUPPORTED (no such architecture) or ERR_IO.
bool model_generate(const struct model_recipe *recipe, const char *path, struct err *err);

// The same with further control tokens (NULL-terminated) and another chat template.
struct model_chat {
    const char *const *controls;
    const char *chat_template;
};
bool model_generate_chat(const struct model_recipe *recipe, const struct model_chat *chat,
                         const char *path, struct err *err);

// Random tokens for a prompt, below the size of the recipe's vocabulary.
void model_prompt(const struct model_recipe *recipe, size_t count, uint32_t *tokens);

size_t model_vocabulary_size(const struct model_recipe *recipe);

#endif
