// tests/reference/settings.h
// SPDX-License-Identifier: MIT
//
// What a GGUF file says about its architecture, with the defaults of llama.cpp filled in.
// Private to tests/reference/.
#ifndef ORIEL_TESTS_REFERENCE_SETTINGS_H
#define ORIEL_TESTS_REFERENCE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/format/gguf.h"

#define LAYERS_MAX 256

struct settings {
    size_t layers, width, heads, kv_heads, key_size, value_size;
    size_t experts, experts_used;
    double epsilon;
    double embedding_scale; // 1, or sqrt(width) for gemma
    double attention_scale;
    double attention_cap, output_cap; // 0: none
    bool gelu;                        // else SiLU
    size_t window;                    // 0: none
    bool local[LAYERS_MAX];           // layers that the window applies to

    bool neox; // RoPE pairs are i and i + rotary/2, else 2i and 2i + 1
    size_t rotary;
    size_t sections[3]; // M-RoPE: pairs that turn by time, height, width; all 0: none
    bool interleaved;   // they take turns, as in qwen3vl
    double base, local_base; // local_ applies to the layers that are local
    double position_scale, local_position_scale;
    double magnitude;                      // of the rotated vectors
    double yarn_mix, yarn_fast, yarn_slow; // yarn_mix 0: no YaRN
    size_t trained_context;
};

bool settings_read(const struct gguf *gguf, struct settings *settings, struct err *err);

#endif
