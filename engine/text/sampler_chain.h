// engine/text/sampler_chain.h
// SPDX-License-Identifier: MIT
//
// From scores to the distribution that a token is drawn from: top-k, typical, top-p,
// min-p, temperature, each on what the step before left, renormalised.
//
// Invariant: the order of tokens is total (higher score first, then lower id), so the
// result does not depend on the order in which candidates arrive. Scores are finite.
#ifndef ORIEL_ENGINE_TEXT_SAMPLER_CHAIN_H
#define ORIEL_ENGINE_TEXT_SAMPLER_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/conversation.h"

struct scored {
    uint32_t id;
    float logit;   // as the model gave it
    double score;  // after biases and penalties
    double weight; // proportional to the probability after the chain
};

// Orders items so that the first `want` are the first in the total order, in that order.
// The first `ordered` are so already.
void scored_order_first(struct scored *items, size_t count, size_t ordered, size_t want);

// Cuts and reorders items, sets their weights and returns how many are left, at least 1.
// count at least 1. The first *ordered are in the total order.
size_t sampler_chain_run(const struct generation_settings *settings, struct scored *items,
                         size_t count, size_t *ordered);

// The item at which the weights, summed in the total order, pass unit (0 to below 1)
// times their total.
const struct scored *sampler_chain_draw(struct scored *items, size_t count,
                                        size_t ordered, double unit);

#endif
