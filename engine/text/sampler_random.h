// engine/text/sampler_random.h
// SPDX-License-Identifier: MIT
//
// PCG32 (XSH-RR 64/32): M. O'Neill, "PCG: A Family of Simple Fast Space-Efficient
// Statistically Good Algorithms for Random Number Generation", HMC-CS-2014-0905. Replies
// are made again from their seed, so this must never change.
#ifndef ORIEL_ENGINE_TEXT_SAMPLER_RANDOM_H
#define ORIEL_ENGINE_TEXT_SAMPLER_RANDOM_H

#include <stdint.h>

struct pcg32 {
    uint64_t state;
    uint64_t increment; // odd
};

void pcg32_seed(struct pcg32 *random, uint64_t seed, uint64_t stream);
uint32_t pcg32_next(struct pcg32 *random);

// Uniform in [0, 1), a multiple of 2^-53; takes two numbers.
double pcg32_unit(struct pcg32 *random);

#endif
