// tests/engine/vision/preprocess_cases.h
// SPDX-License-Identifier: MIT
//
// What the tests of preprocessing share: the parameters of published models, and pictures
// made by a formula. preprocess_reference.py has the same of both.
#ifndef ORIEL_TESTS_ENGINE_VISION_PREPROCESS_CASES_H
#define ORIEL_TESTS_ENGINE_VISION_PREPROCESS_CASES_H

#include "engine/vision/preprocess.h"

// "smolvlm", "qwen2vl" ...; NULL if there is none.
const struct vision_params *preprocess_params(const char *name);

// rgba: room for 4 * width * height bytes. kind: how colours are made (kind % 4: noise,
// waves, both, hard edges), and alpha (kind / 4 % 3: opaque, waves, noise); kind / 12: 0
// in colour, 1 grey.
void preprocess_picture(uint32_t seed, uint32_t kind, uint32_t width, uint32_t height,
                        uint8_t *rgba);

#endif
