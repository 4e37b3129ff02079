// engine/text/sampler.c
// SPDX-License-Identifier: MIT
//
// Joins the parts: settings, biases, constraint, penalties, chain, random numbers.
#include "engine/text/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/text/grammar.h"
#include "engine/text/json_schema.h"
#include "engine/text/sampler_create.h"
#include "engine/text/sampler_penalties.h"
#include "engine/text/sampler_random.h"
#include "engine/text/sampler_settings.h"

#define RANDOM_STREAM 0x6F7269656C // "oriel"

struct sampler {
    struct generation_settings settings; // only the numbers are used after creation
    size_t token_count;
    const struct vocabulary *vocabulary; // NULL: not needed
    struct vocabulary *own_vocabulary;   // the same, when the sampler must free it
    struct logit_bias *biases;           // ascending, one per token
    size_t bias_count;
    struct grammar *grammar; // NULL: no constraint
    struct grammar_matcher *matcher;
    bool ended; // an end-of-generation token was chosen
    struct penalties penalties;
    struct pcg32 random;
    struct scored *items; // of the position at hand
    size_t item_cap;
};

// ---------------------------------------------------------------------------
// Creation

static int compare_biases(const void *a, const void *b)
{
    const struct logit_bias *left = a, *right = b;

    return (left->token > right->token) - (left->token < right->token);
}

static bool copy_biases(struct sampler *s, const struct generation_settings *settings,
                        struct err *err)
{
    s->biases = alloc_array(settings->bias_count, sizeof(*s->biases));
    for (size_t i = 0; i < settings->bias_count; i++) {
        if (settings->biases[i].token >= s->token_count)
            return err_set(err, ERR_USAGE,
                           "logit bias: there is no token %u, the vocabulary has %zu",
                           settings->biases[i].token, s->token_count);
        s->biases[i] = settings->biases[i];
    }
    qsort(s->biases, settings->bias_count, sizeof(*s->biases), compare_biases);
    for (size_t i = 0; i < settings->bias_count; i++) {
        if (s->bias_count > 0 && s->biases[s->bias_count - 1].token == s->biases[i].token)
            s->biases[s->bias_count - 1].bias += s->biases[i].bias;
        else
            s->biases[s->bias_count++] = s->biases[i];
    }
    return true;
}

static bool read_constraint(struct sampler *s, const struct generation_settings *settings,
                            struct err *err)
{
    const char *text = settings->constraint_text;

    switch (settings->constraint) {
    case CONSTRAINT_NONE:
        return true;
    case CONSTRAINT_GBNF:
        s->grammar = grammar_parse(text, strlen(text), err);
        break;
    case CONSTRAINT_JSON_SCHEMA:
        s->grammar = json_schema_parse(text, strlen(text), err);
        break;
    }
    if (s->grammar != NULL)
        s->matcher = grammar_matcher_create(s->grammar, err);
    return s->matcher != NULL;
}

bool sampler_needs_vocabulary(const struct generation_settings *settings)
{
    return settings->constraint != CONSTRAINT_NONE || settings->dry_multiplier > 0;
}

struct sampler *sampler_create_with(const struct generation_settings *settings,
                                    size_t token_count,
                                    const struct vocabulary *vocabulary, struct err *err)
{
    struct sampler *s = alloc_zero(sizeof(*s));

    s->settings = *settings;
    s->token_count = token_count;
    s->vocabulary = vocabulary;
    if (!sampler_settings_check(settings, err) || !copy_biases(s, settings, err) ||
        !read_constraint(s, settings, err)) {
        sampler_destroy(&s);
        return NULL;
    }
    penalties_init(&s->penalties, settings, token_count, vocabulary);
    pcg32_seed(&s->random, settings->seed, RANDOM_STREAM);
    return s;
}

void sampler_take_vocabulary(struct sampler *s, struct vocabulary *vocabulary)
{
    s->own_vocabulary = vocabulary;
}

void sampler_destroy(struct sampler **sampler)
{
    struct sampler *s = *sampler;

    if (s == NULL)
        return;
    grammar_matcher_destroy(&s->matcher);
    grammar_destroy(&s->grammar);
    penalties_release(&s->penalties);
    vocabulary_destroy(&s->own_vocabulary);
    free(s->biases);
    free(s->items);
    free(s);
    *sampler = NULL;
}

// ---------------------------------------------------------------------------
// One position

bool sampler_needs_all(const struct sampler *s)
{
    return s->matcher != NULL || s->bias_count > 0 || penalties_active(&s->penalties) ||
           (s->settings.temperature > 0 && s->settings.top_k == 0);
}

void sampler_accept_prompt(struct sampler *s, uint32_t token)
{
    if (token < s->token_count)
        penalties_accept(&s->penalties, token);
}

// Takes over the candidates that are numbers and tokens; returns how many.
static size_t take_finite(struct sampler *s, const struct candidates *candidates)
{
    size_t count = 0;

    if (s->item_cap < candidates->count) {
        s->items = alloc_resize(s->items, candidates->count, sizeof(*s->items));
        s->item_cap = candidates->count;
    }
    for (size_t i = 0; i < candidates->count; i++) {
        struct candidate from = candidates->items[i];

        if (from.id < s->token_count && isfinite(from.logit))
            s->items[count++] = (struct scored){ .id = from.id,
                                                 .logit = from.logit,
                                                 .score = (double)from.logit };
    }
    return count;
}

static size_t apply_biases(struct sampler *s, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        struct logit_bias wanted = { .token = s->items[i].id };
        const struct logit_bias *bias =
            bsearch(&wanted, s->biases, s->bias_count, sizeof(wanted), compare_biases);

        if (bias != NULL)
            s->items[i].score += (double)bias->bias;
        if (!isinf(s->items[i].score))
            s->items[kept++] = s->items[i];
    }
    return kept;
}

static bool apply_constraint(struct sampler *s, size_t *count, struct err *err)
{
    const uint64_t *mask;
    size_t kept = 0;

    if (!grammar_matcher_mask(s->matcher, s->vocabulary, &mask, err))
        return false;
    for (size_t i = 0; i < *count; i++) {
        uint32_t id = s->items[i].id;

        if ((mask[id / 64] >> (id % 64) & 1) != 0)
            s->items[kept++] = s->items[i];
    }
    *count = kept;
    return true;
}

// From the finite candidates in s->items to the final distribution over *count of them.
static bool reduce(struct sampler *s, size_t *count, size_t *ordered, struct err *err)
{
    if (*count == 0)
        return err_set(err, ERR_FORMAT, "the model produced invalid numbers");
    if (s->bias_count > 0)
        *count = apply_biases(s, *count);
    if (*count == 0)
        return err_set(err, ERR_NOT_FOUND, "the logit biases forbid every token");
    if (s->matcher != NULL && !apply_constraint(s, count, err))
        return false;
    if (*count == 0)
        return err_set(err, ERR_NOT_FOUND, "the constraint allows none of the tokens");
    penalties_apply(&s->penalties, s->items, *count);
    *count = sampler_chain_run(&s->settings, s->items, *count, ordered);
    return true;
}

bool sampler_distribution(struct sampler *s, const struct candidates *candidates,
                          const struct scored **items, size_t *count, struct err *err)
{
    size_t ordered;
    double total = 0;

    *count = take_finite(s, candidates);
    if (!reduce(s, count, &ordered, err))
        return false;
    scored_order_first(s->items, *count, ordered, *count);
    for (size_t i = 0; i < *count; i++)
        total += s->items[i].weight;
    for (size_t i = 0; i < *count; i++)
        s->items[i].weight /= total;
    *items = s->items;
    return true;
}

// log(sum(exp(logit))): the caller's, unless invalid logits have spoilt it.
static double log_sum_exp(const struct candidates *candidates, const struct scored *items,
                          size_t count)
{
    double highest = -INFINITY, sum = 0;

    if (isfinite(candidates->log_sum_exp))
        return candidates->log_sum_exp;
    for (size_t i = 0; i < count; i++)
        highest = fmax(highest, (double)items[i].logit);
    for (size_t i = 0; i < count; i++)
        sum += exp((double)items[i].logit - highest);
    return highest + log(sum);
}

static bool more_probable(const struct scored *item, const struct token_logprob *other)
{
    return item->logit > other->logprob ||
           (item->logit == other->logprob && item->id < other->id);
}

// The `want` highest of the model's own logits, by insertion: want is at most 20.
static size_t find_top(const struct scored *items, size_t count, double log_total,
                       struct token_logprob *top, size_t want)
{
    size_t found = 0;

    for (size_t i = 0; i < count && want > 0; i++) {
        size_t at = found;

        if (found == want && !more_probable(&items[i], &top[want - 1]))
            continue;
        if (found == want)
            at--;
        else
            found++;
        for (; at > 0 && more_probable(&items[i], &top[at - 1]); at--)
            top[at] = top[at - 1];
        top[at] = (struct token_logprob){ items[i].id, items[i].logit };
    }
    for (size_t i = 0; i < found; i++)
        top[i].logprob = (float)((double)top[i].logprob - log_total);
    return found;
}

static bool record(struct sampler *s, uint32_t token, struct err *err)
{
    struct token_text text;

    penalties_accept(&s->penalties, token);
    if (s->matcher == NULL)
        return true;
    s->ended = s->vocabulary->ends_generation[token];
    if (s->ended)
        return true;
    text = vocabulary_text(s->vocabulary, token);
    return grammar_matcher_accept(s->matcher, text.bytes, text.len, err);
}

bool sampler_choose(struct sampler *s, struct candidates *candidates, uint32_t *token,
                    float *logprob, struct token_logprob *top, size_t *top_count,
                    struct err *err)
{
    const struct scored *chosen;
    size_t count = take_finite(s, candidates), ordered;
    double log_total = log_sum_exp(candidates, s->items, count);

    *top_count = find_top(s->items, count, log_total, top, s->settings.top_logprobs);
    if (!reduce(s, &count, &ordered, err))
        return false;
    chosen = sampler_chain_draw(s->items, count, ordered, pcg32_unit(&s->random));
    *token = chosen->id;
    *logprob = (float)((double)chosen->logit - log_total);
    return record(s, chosen->id, err);
}

bool sampler_finished(const struct sampler *s)
{
    return s->ended || (s->matcher != NULL && grammar_matcher_must_end(s->matcher));
}
