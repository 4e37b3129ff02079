// engine/model/params.h
// SPDX-License-Identifier: MIT
//
// What differs between text architectures, as data: one decoder serves all of them. Read
// from the metadata of a GGUF file and checked: each number is in range and divides what
// it must before anything computes with it.
//
// Sources: the GGUF key names of the ggml project; Llama (arXiv:2302.13971, 2407.21783),
// Qwen2 (2407.10671), Qwen3 (2505.09388), Gemma 2 (2408.00118), Gemma 3 (2503.19786),
// Phi-3 (2404.14219), Qwen2-VL (2409.12191), Qwen3-VL (2511.21631), LFM2 (2511.23404).
#ifndef ORIEL_ENGINE_MODEL_PARAMS_H
#define ORIEL_ENGINE_MODEL_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/format/gguf.h"
#include "engine/gpu/kernels.h"

#define MODEL_MAX_LAYERS 1024

// How positions become angles, for one kind of layer. See engine/model/rope.h.
struct rope_params {
    double base;
    double scale;       // of positions: 1 / factor for linear scaling
    double attn_factor; // multiplies sine and cosine
    bool yarn;          // arXiv:2309.00071
    double yarn_factor, yarn_beta_fast, yarn_beta_slow;
    uint32_t original_context; // 0: not given
    const char *factors;       // tensor with a divisor per frequency, or NULL
    const char *long_factors;  // instead of factors beyond original_context, or NULL
};

struct model_params {
    char architecture[32];
    uint32_t layers, width, heads, kv_heads, head_dim, ff_width, vocabulary;
    uint32_t trained_context;
    float norm_epsilon;
    enum kernel_activation activation;
    float embedding_scale;
    float attention_scale;
    float attention_cap, logit_cap; // 0: none
    bool qk_norm;
    uint32_t taps; // lfm2: tokens that a layer without attention looks at; 0: none is
    bool convolves[MODEL_MAX_LAYERS];
    bool post_norms; // gemma: a norm after each sublayer too
    bool fused_qkv;  // phi3: one tensor
    bool fused_gate_up;
    uint32_t rotated; // dimensions of a head that RoPE turns
    bool rope_split;  // pairs (i, i + rotated / 2), else (2 i, 2 i + 1)
    struct rope_params rope, local_rope; // local: layers with a window, where they differ
    bool local_rope_differs;
    uint32_t rope_sections[3]; // M-RoPE: pairs for time, height, width; [0] 0: none
    bool rope_interleaved;
    uint32_t window; // positions a windowed layer sees; 0: none is windowed
    bool windowed[MODEL_MAX_LAYERS];
    uint32_t experts, experts_used, expert_ff_width; // 0: dense
    bool experts_normalised;
    float expert_scale;
};

// ERR_UNSUPPORTED names the architecture, ERR_FORMAT the key.
bool model_params_read(const struct gguf *gguf, struct model_params *params,
                       struct err *err);

bool model_layer_windowed(const struct model_params *params, uint32_t layer);

#endif
