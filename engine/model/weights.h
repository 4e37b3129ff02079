// engine/model/weights.h
// SPDX-License-Identifier: MIT
//
// The tensors of a model by role, each checked against the shape that the architecture
// gives it, packed and on the device.
#ifndef ORIEL_ENGINE_MODEL_WEIGHTS_H
#define ORIEL_ENGINE_MODEL_WEIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/model/matrix.h"
#include "engine/model/params.h"

// A vector of floats; memory NULL: the model has none.
struct layer_weights {
    struct gpu_buffer attention_norm, attention_post_norm, ff_norm, ff_post_norm;
    struct gpu_buffer query_norm, key_norm;
    struct gpu_buffer qkv_bias, output_bias;
    struct gpu_buffer convolution; // [width][taps]; then qkv makes b, c and x
    struct matrix qkv, output, gate_up, down;
    struct matrix router, expert_gate, expert_up, expert_down;
};

struct model_weights {
    struct matrix embedding,
        head; // head.pieces is NULL when the embedding serves as head
    struct gpu_buffer output_norm;
    float *rope_factors, *rope_long_factors; // [rotated / 2] or NULL
    struct layer_weights *layers;
};

typedef bool weights_progress(void *user, double fraction);

bool model_weights_load(struct gpu *gpu, const struct gguf *gguf,
                        const struct model_params *params, struct model_weights *weights,
                        weights_progress *progress, void *user, struct err *err);
void model_weights_release(struct gpu *gpu, const struct model_params *params,
                           struct model_weights *weights);

// The matrix that makes logits.
const struct matrix *model_weights_head(const struct model_weights *weights);

#endif
