// engine/text/sampler_create.h
// SPDX-License-Identifier: MIT
//
// What the engine and the tests may ask of the sampler beyond sampler.h.
#ifndef ORIEL_ENGINE_TEXT_SAMPLER_CREATE_H
#define ORIEL_ENGINE_TEXT_SAMPLER_CREATE_H

#include "engine/text/sampler.h"
#include "engine/text/sampler_chain.h"
#include "engine/text/sampler_vocabulary.h"

// Whether sampler_create_with needs the vocabulary for these settings.
bool sampler_needs_vocabulary(const struct generation_settings *settings);

// As sampler_create, with a vocabulary that outlives the sampler and can serve many of
// them (building one takes tens of milliseconds); NULL if it is not needed. Tokens from
// token_count on are never chosen.
struct sampler *sampler_create_with(const struct generation_settings *settings,
                                    size_t token_count,
                                    const struct vocabulary *vocabulary, struct err *err);

// The sampler frees the vocabulary that it was created with.
void sampler_take_vocabulary(struct sampler *sampler, struct vocabulary *vocabulary);

// The distribution that sampler_choose would draw from: items[count], in order, with
// weights that add up to 1; valid until the sampler's next call. Draws nothing, records
// nothing.
bool sampler_distribution(struct sampler *sampler, const struct candidates *candidates,
                          const struct scored **items, size_t *count, struct err *err);

#endif
