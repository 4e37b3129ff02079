// engine/text/sampler.h
// SPDX-License-Identifier: MIT
//
// Choosing the next token from the model's scores.
//
// The device hands over either all logits or only its top candidates with the log of the
// partition function; the sampler works on candidates and does not care which. Order of
// the steps: logit bias, constraint (grammar), penalties (repetition, presence,
// frequency, DRY), then top-k, typical, top-p, min-p, temperature, and the draw.
// Deterministic for a seed: its own generator (PCG32, O'Neill 2014), nothing of the C
// library's.
#ifndef ORIEL_ENGINE_TEXT_SAMPLER_H
#define ORIEL_ENGINE_TEXT_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conversation.h"
#include "base/err.h"
#include "engine/text/tokenizer.h"

struct candidate {
    uint32_t id;
    float logit;
};

// The scores of one position.
struct candidates {
    struct candidate *items; // in any order; sampler_choose leaves them as they are
    size_t count;
    bool complete;      // the whole vocabulary; false: the `count` highest only
    double log_sum_exp; // log(sum(exp(logit))) over the whole vocabulary
};

struct sampler; // one per reply in progress

// Checks the ranges of all settings (ERR_USAGE names the setting and its range) and
// parses the constraint (ERR_FORMAT with place). Everything that is needed later is
// copied. With a constraint or DRY this builds a prefix tree of the vocabulary, which
// takes tens of milliseconds: who makes many samplers keeps one (sampler_create.h).
struct sampler *sampler_create(const struct generation_settings *settings,
                               const struct tokenizer *tokenizer, struct err *err);
void sampler_destroy(struct sampler **sampler);

// Whether incomplete candidates may give another result than complete ones: with a
// constraint, a logit bias, a penalty, or when sampling is not truncated (temperature > 0
// with top_k 0). The engine then reads all logits back; otherwise the max(1, top_k,
// top_logprobs) highest are enough.
bool sampler_needs_all(const struct sampler *sampler);

// Tells the sampler of a token that is already in the context (prompt or reply), for the
// penalties. Call in order.
void sampler_accept_prompt(struct sampler *sampler, uint32_t token);

// Chooses, records the choice (penalties, constraint) and returns its id in *token. NaN
// logits count as -infinity; ERR_FORMAT "the model produced invalid numbers" when no
// finite candidate remains; ERR_NOT_FOUND when the constraint allows none of the
// candidates. top receives up to settings.top_logprobs alternatives of the model's own
// distribution, *logprob the chosen token's.
bool sampler_choose(struct sampler *sampler, struct candidates *candidates,
                    uint32_t *token, float *logprob, struct token_logprob *top,
                    size_t *top_count, struct err *err);

// Whether the constraint is complete and allows nothing more (the reply must end).
bool sampler_finished(const struct sampler *sampler);

#endif
