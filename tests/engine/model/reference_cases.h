// tests/engine/model/reference_cases.h
// SPDX-License-Identifier: MIT
//
// The random models that decoders are compared on. First one model per feature, all in
// F32 so that llama.cpp computes them almost exactly; then every architecture with every
// quantised type.
#ifndef ORIEL_TESTS_ENGINE_MODEL_REFERENCE_CASES_H
#define ORIEL_TESTS_ENGINE_MODEL_REFERENCE_CASES_H

#include <stddef.h>

#include "tests/engine/model/generate.h"

struct model_case {
    char name[64]; // "llama", "llama-yarn", "qwen2-Q4_K": also a file name
    struct model_recipe recipe;
    size_t prompt; // tokens, more than the sliding window where there is one
    bool golden;   // llama.cpp computes it too: tests/golden/models/logits.tsv has it
};

#define MODEL_PROMPT_MAX 160

size_t model_feature_case_count(void);
size_t model_case_count(void); // the feature cases come first

struct model_case model_case_at(size_t index);

#endif
