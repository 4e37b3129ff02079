// tests/engine/vision/golden_pair.h
// SPDX-License-Identifier: MIT
//
// What tests against the goldens run on: a generated pair of files, and every Vulkan
// device of the machine.
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

#define GOLDEN_GPUS 8

// Returns how many; 0: err says why.
size_t golden_gpus_open(struct gpu *gpus[GOLDEN_GPUS], struct err *err);
void golden_gpus_close(struct gpu *gpus[GOLDEN_GPUS], size_t count);

// The cosine of two vectors and the size of their difference relative to `want`.
struct closeness {
    double cosine, error;
};
struct closeness closeness(const float *got, const float *want, size_t count);

#endif
