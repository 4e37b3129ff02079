// engine/model/decoder.h
// SPDX-License-Identifier: MIT
//
// The Transformer on the device: weights, key-value cache, and the passes over them. One
// decoder serves every text architecture; what differs is data in struct model_params.
//
// The decoder remembers which tokens its cache holds. A caller says the whole sequence;
// what is a prefix of the cache is not computed again. Pictures stand in a sequence as
// embeddings, from engine/vision/.
#ifndef ORIEL_ENGINE_MODEL_DECODER_H
#define ORIEL_ENGINE_MODEL_DECODER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/format/gguf.h"
#include "engine/gpu/gpu.h"
#include "engine/model/params.h"

struct decoder;

// False cancels.
typedef bool decoder_progress(void *user, const char *stage, double fraction);

struct decoder_params {
    struct gpu *gpu;         // borrowed
    const struct gguf *gguf; // borrowed during decoder_create
    uint32_t context;        // tokens; 0: the model's own, at most 8192
    bool exact_cache;        // keys and values as floats, not binary16: twice the memory
    uint32_t together;       // most tokens of a picture that see one another; 0: none
    decoder_progress *progress;
    void *user;
};

// ERR_FORMAT names a tensor that is missing or has another shape than the architecture
// says.
struct decoder *decoder_create(const struct decoder_params *params, struct err *err);
void decoder_destroy(struct decoder **decoder);

const struct model_params *decoder_model(const struct decoder *decoder);
uint32_t decoder_context(const struct decoder *decoder);

// Weights that a generated token reads: bytes on the device, and multiply-adds.
void decoder_cost(const struct decoder *decoder, uint64_t *weight_bytes,
                  uint64_t *multiply_adds);

// Embeddings in place of tokens [first, first + count) of a sequence, whose ids do not
// count. Borrowed during a call.
struct decoder_picture {
    size_t first, count;
    const float *embeddings; // [count][(1 + deepstack) * width]: the extra vectors follow
                             // each embedding, and are added after layers 0, 1 ...
    uint32_t deepstack;
    uint64_t identity;      // of what they were made from
    uint32_t rows, columns; // of their grid, for M-RoPE; 0: they stand in a line
    bool bidirectional;     // they see one another (at most `together` of them)
};

// How many of the tokens are in the cache already: a common prefix that does not end
// inside a picture. The pictures are in order and do not overlap.
uint32_t decoder_cached(const struct decoder *decoder, const uint32_t *tokens,
                        size_t count, const struct decoder_picture *pictures,
                        size_t picture_count);

// Forgets the cache from position `length` on, which is not inside a picture.
void decoder_truncate(struct decoder *decoder, uint32_t length);

// The scores of one position. Valid during the callback.
#define DECODER_SLICE 64
struct decoder_logits {
    uint32_t index; // of the token among those of the pass
    const float *values;
    uint32_t count;
    // With the last token only (not all_logits): for each DECODER_SLICE logits their
    // maximum and sum(exp(logit - maximum)), so that few of the values need to be read.
    const float (*peaks)[2];
    uint32_t peak_count;
};

struct decoder_pass {
    const uint32_t *tokens; // the new ones only; they follow what the cache holds
    uint32_t count;
    // Pictures, all of them within the new tokens; `first` counts from the beginning of
    // the whole sequence.
    const struct decoder_picture *pictures;
    size_t picture_count;
    // Logits of each of the tokens (all) or of the last one only.
    bool all_logits;
    bool (*on_logits)(void *user, const struct decoder_logits *logits); // false cancels
    decoder_progress *progress;                                         // may be NULL
    void *user;
    const atomic_bool *cancelled;
};

// Runs the tokens through the model. ERR_LIMIT when they do not fit into the context,
// ERR_CANCELLED, ERR_DEVICE. After a failure the cache holds what was finished.
bool decoder_run(struct decoder *decoder, const struct decoder_pass *pass,
                 struct err *err);

#endif
