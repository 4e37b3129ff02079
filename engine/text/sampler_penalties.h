// engine/text/sampler_penalties.h
// SPDX-License-Identifier: MIT
//
// Penalties on what has been said before. Three look at how often a token occurred among
// the last penalty_last_n tokens:
//   repetition (arXiv:1909.05858): a positive logit is divided, a negative one multiplied
//   presence:                      subtracted once if the token occurred
//   frequency:                     subtracted once per occurrence
// and DRY ("don't repeat yourself", P. E. Weidmann 2024) looks at sequences: when the
// last n tokens occurred before, the token that followed them then loses multiplier *
// base^(n - allowed_length), for the longest such n of at least allowed_length. Sequences
// do not reach across tokens that contain a newline, ":", "\"" or "*", and those tokens
// are never penalised by it.
#ifndef ORIEL_ENGINE_TEXT_SAMPLER_PENALTIES_H
#define ORIEL_ENGINE_TEXT_SAMPLER_PENALTIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conversation.h"
#include "engine/text/sampler_chain.h"
#include "engine/text/sampler_vocabulary.h"

struct penalties {
    float repetition, presence, frequency;
    size_t last_n;
    double dry_multiplier, dry_base;
    size_t dry_allowed_length, dry_last_n;

    uint32_t *history; // the last tokens, oldest first
    size_t history_count, history_cap;
    uint32_t *counts;  // [token_count] occurrences among the last last_n
    uint32_t *longest; // [token_count] DRY: n per token, 0 outside penalties_apply
    uint32_t *lengths; // DRY: working memory as long as history
    size_t lengths_cap;
    bool *breakers; // [token_count]
};

// vocabulary may be NULL when dry_multiplier is 0.
void penalties_init(struct penalties *penalties,
                    const struct generation_settings *settings, size_t token_count,
                    const struct vocabulary *vocabulary);
void penalties_release(struct penalties *penalties);

bool penalties_active(const struct penalties *penalties);
// token < token_count
void penalties_accept(struct penalties *penalties, uint32_t token);
void penalties_apply(struct penalties *penalties, struct scored *items, size_t count);

#endif
