// tests/engine/vision/generate_private.h
// SPDX-License-Identifier: MIT
//
// generate.c writes what all encoders share, families.c is the table of families with
// what each has of its own, languages.c the markers and chat templates.
#ifndef ORIEL_TESTS_ENGINE_VISION_GENERATE_PRIVATE_H
#define ORIEL_TESTS_ENGINE_VISION_GENERATE_PRIVATE_H

#include "engine/format/gguf.h"
#include "tests/engine/format/gguf_writer.h"
#include "tests/engine/model/generate.h"
#include "tests/engine/vision/generate.h"

enum vision_option {
    VISION_LEGACY = 1 << 0,     // written by the old scripts
    VISION_RMS = 1 << 1,        // norms without mean and bias
    VISION_GATED = 1 << 2,      // ffn_gate
    VISION_FUSED = 1 << 3,      // attn_qkv
    VISION_BIASES = 1 << 4,     // on all matrices of a layer
    VISION_PATCH_BIAS = 1 << 5, // on the embedding of patches
    VISION_FRAMES = 1 << 6,     // two frames: patch_embd.weight.1
    VISION_CLASS = 1 << 7,      // a class token before the patches
    VISION_PRE_NORM = 1 << 8,
    VISION_POST_NORM = 1 << 9,
    VISION_SCALES = 1 << 10, // of both residual branches: ls1, ls2
    VISION_GELU_KEY = 1 << 11,
    VISION_SILU_KEY = 1 << 12,
};

struct language {
    const char *architecture;
    unsigned features; // enum model_feature
    struct model_chat chat;
};

struct vision_build;

struct vision_family {
    const char *name, *projector;
    const struct language *language;
    unsigned image, patch, width, heads, inner, layers;
    unsigned positions; // learned ones; 0: none
    unsigned merge;     // patches of a side that become one token
    unsigned options;   // enum vision_option
    void (*put_keys)(struct vision_build *build);
    void (*put_projector)(struct vision_build *build);
};

struct vision_build {
    const struct vision_recipe *recipe;
    const struct vision_family *family;
    const struct gguf *language;
    unsigned language_width;
    struct gguf_writer writer;
};

#define VISION_EPSILON 0.02F // large, so that it shows whether it is obeyed

const struct vision_family *vision_family_find(const char *name);

extern const struct language language_vicuna, language_smollm, language_gemma,
    language_qwen2, language_qwen3, language_intern, language_mistral, language_minicpm,
    language_lfm;

// NAME.weight, [columns][rows] of the recipe's type, and NAME.bias if wanted.
void put_linear(struct vision_build *build, const char *name, uint64_t columns,
                uint64_t rows, bool bias);
// NAME.weight and, if wanted, NAME.bias: around 1 and around 0.
void put_norm(struct vision_build *build, const char *name, uint64_t count, bool bias);
void put_vector(struct vision_build *build, const char *name, uint64_t count,
                double middle, double deviation);
void put_tensor(struct vision_build *build, const char *name, enum quant_type type,
                uint32_t rank, const uint64_t *shape, double deviation);

#endif
