// tests/engine/vision/golden_pair.h
// SPDX-License-Identifier: MIT
//
// What tests against the goldens run on: a generated pair of files; and how they judge.
#ifndef ORIEL_TESTS_ENGINE_VISION_GOLDEN_PAIR_H
#define ORIEL_TESTS_ENGINE_VISION_GOLDEN_PAIR_H

#include "engine/format/gguf.h"
#include "engine/gpu/gpu.h"
#include "engine/vision/params.h"
#include "tests/engine/vision/generate.h"
#include "tests/engine/vision/golden_reader.h"

struct golden_pair {
    struct gguf *language, *projector;
    struct vision_params params;
};

// Generates the files in a folder of their own, opens them, and unlinks them.
bool golden_pair_open(struct golden_pair *pair, const struct vision_recipe *recipe,
                      struct err *err);
void golden_pair_close(struct golden_pair *pair);

// The goldens of the source folder; says what is wrong.
bool golden_read_all(struct goldens *goldens);

// The cosine of two vectors and the size of their difference relative to `want`.
struct closeness {
    double cosine, error;
};
struct closeness closeness(const float *got, const float *want, size_t count);

// Takes the worse of both into *worst. What is no number is the worst, and stays.
void closeness_worst(struct closeness *worst, struct closeness found);

// What is run for each family of models: RUN(identifier, family, name).
#define GOLDEN_FAMILIES(RUN)                                                             \
    RUN(llava, "llava-1.5", "LLaVA 1.5")                                                 \
    RUN(llava_next, "llava-1.6", "LLaVA 1.6")                                            \
    RUN(idefics3, "idefics3", "Idefics3")                                                \
    RUN(gemma3, "gemma3", "Gemma 3")                                                     \
    RUN(qwen2vl, "qwen2vl", "Qwen2-VL")                                                  \
    RUN(qwen25vl, "qwen2.5vl", "Qwen2.5-VL")                                             \
    RUN(qwen3vl, "qwen3vl", "Qwen3-VL")                                                  \
    RUN(internvl, "internvl", "InternVL")                                                \
    RUN(pixtral, "pixtral", "Pixtral")                                                   \
    RUN(mistral3, "mistral3", "Mistral Small 3.1")                                       \
    RUN(minicpmv, "minicpmv", "MiniCPM-V 2.6")                                           \
    RUN(lfm2vl, "lfm2vl", "LFM2-VL")

#endif
