// tests/engine/model/random.h
// SPDX-License-Identifier: MIT
//
// Random weights that are the same on every machine: a small generator of our own, and
// blocks of every quantised type filled at random so that the values have a wanted
// spread.
#ifndef ORIEL_TESTS_ENGINE_MODEL_RANDOM_H
#define ORIEL_TESTS_ENGINE_MODEL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "engine/format/quant.h"

struct random {
    uint64_t state;
};

// A stream of its own for each seed and name.
void random_init(struct random *random, uint64_t seed, const char *name);

uint64_t random_bits(struct random *random);
uint32_t random_below(struct random *random, uint32_t limit); // limit > 0
double random_uniform(struct random *random);                 // 0 <= x < 1

// About normal with mean 0 and deviation 1, between -6 and 6: the sum of twelve uniform
// numbers less six, which needs no libm and so has the same bits everywhere.
double random_normal(struct random *random);

// Fills `count` weights (whole blocks of the type) whose mean is about 0 and whose
// deviation is about `deviation`. Every bit pattern that a quantiser may leave can occur.
void random_weights(struct random *random, enum quant_type type, double deviation,
                    size_t count, uint8_t *bytes);

#endif
