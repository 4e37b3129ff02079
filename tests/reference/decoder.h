// tests/reference/decoder.h
// SPDX-License-Identifier: MIT
//
// A second decoder, in double precision and plain C, that the product's decoder is
// compared with. It shares no code with engine/model/ or engine/reference/, only the file
// reader and the dequantisation of engine/format/, so that one mistake cannot hide in
// both.
//
// Architectures: llama (with experts too), qwen2, qwen3, qwen3moe, gemma2, gemma3, phi3,
// qwen2vl and qwen3vl.
// It computes all positions of a prompt at once and keeps no cache. It is itself compared
// with goldens that llama.cpp made (tests/golden/models/README.md).
//
// Where it differs from llama.cpp on purpose: a sliding window named in a llama, qwen or
// phi3 file is applied to every layer, as those models' authors define it.
//
// Source: names and defaults of keys and tensors as in llama.cpp (llama-arch.cpp,
// llama-hparams.cpp, src/models/); formulas from the models' papers.
#ifndef ORIEL_TESTS_REFERENCE_DECODER_H
#define ORIEL_TESTS_REFERENCE_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/format/gguf.h"

// A picture in the prompt, by what stands in place of its tokens.
struct reference_picture {
    size_t first, count;
    const float *embeddings; // [count][(1 + deepstack) * width]
    size_t deepstack;        // vectors that are added after layers 0, 1 ...
    size_t rows, columns;    // of the grid, for M-RoPE
    bool bidirectional;
};

// What the decoder can tell about its way, and what it needs to know besides the file.
struct reference_options {
    // Context length of the session: phi3 chooses its long or short RoPE factors by it.
    // 0: the number of tokens.
    size_t context;

    // Called with each head's key (rotated) and value before attention reads them, to
    // round them in place as the cache under test does; NULL: they stay as they are.
    void (*round_kv)(float *values, size_t count);

    // Called with the residual stream [rows][columns] after the embedding (layer -1) and
    // after each layer; NULL: not called.
    void (*state)(void *user, int layer, const double *values, size_t rows,
                  size_t columns);
    void *user;

    const struct reference_picture *pictures;
    size_t picture_count;
};

// Fills logits[count][vocabulary] for the tokens at positions 0 to count - 1. options may
// be NULL. Fails with ERR_UNSUPPORTED, ERR_FORMAT (a tensor is missing or has another
// shape) or ERR_USAGE (a token outside the vocabulary).
bool reference_logits(const struct gguf *gguf, const uint32_t *tokens, size_t count,
                      const struct reference_options *options, double *logits,
                      struct err *err);

// The number of rows of the output matrix; 0 with err when the file has none.
size_t reference_vocabulary(const struct gguf *gguf, struct err *err);

#endif
