// engine/text/sampler_penalties.c
// SPDX-License-Identifier: MIT
//
// How DRY is computed here: the history is read backwards, so that "the last n tokens
// occurred before" becomes a common prefix of the whole and one of its tails, and the
// Z algorithm (Gusfield 1997) gives all of them in linear time.
#include "engine/text/sampler_penalties.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static const char breaking_bytes[] = "\n:\"*";

static bool breaks_sequences(struct token_text text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.bytes[i] != '\0' && strchr(breaking_bytes, text.bytes[i]) != NULL)
            return true;
    }
    return false;
}

void penalties_init(struct penalties *p, const struct generation_settings *settings,
                    size_t token_count, const struct vocabulary *vocabulary)
{
    *p = (struct penalties){
        .repetition = settings->repetition_penalty,
        .presence = settings->presence_penalty,
        .frequency = settings->frequency_penalty,
        .last_n = settings->penalty_last_n,
        .dry_multiplier = (double)settings->dry_multiplier,
        .dry_base = (double)settings->dry_base,
        .dry_allowed_length = settings->dry_allowed_length,
        .dry_last_n = settings->dry_last_n,
    };
    if (p->repetition == 1 && p->presence == 0 && p->frequency == 0)
        p->last_n = 0;
    if (p->dry_multiplier == 0)
        p->dry_last_n = 0;
    if (p->last_n > 0)
        p->counts = alloc_array(token_count, sizeof(*p->counts));
    if (p->dry_last_n == 0)
        return;
    p->longest = alloc_array(token_count, sizeof(*p->longest));
    p->breakers = alloc_array(token_count, sizeof(*p->breakers));
    for (uint32_t i = 0; i < token_count; i++)
        p->breakers[i] = breaks_sequences(vocabulary_text(vocabulary, i));
}

void penalties_release(struct penalties *p)
{
    free(p->history);
    free(p->counts);
    free(p->longest);
    free(p->lengths);
    free(p->breakers);
    *p = (struct penalties){ 0 };
}

bool penalties_active(const struct penalties *p)
{
    return p->last_n > 0 || p->dry_last_n > 0;
}

void penalties_accept(struct penalties *p, uint32_t token)
{
    size_t window = p->last_n > p->dry_last_n ? p->last_n : p->dry_last_n;

    if (window == 0)
        return;
    if (p->history_count >= 2 * window) {
        memmove(p->history, p->history + p->history_count - window,
                window * sizeof(*p->history));
        p->history_count = window;
    }
    if (p->last_n > 0) {
        if (p->history_count >= p->last_n)
            p->counts[p->history[p->history_count - p->last_n]]--;
        p->counts[token]++;
    }
    p->history =
        alloc_grow(p->history, p->history_count, &p->history_cap, sizeof(*p->history));
    p->history[p->history_count++] = token;
}

static void penalise_occurrences(const struct penalties *p, struct scored *items,
                                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t times = p->counts[items[i].id];
        double repetition = (double)p->repetition;

        if (times == 0)
            continue;
        items[i].score *= items[i].score > 0 ? 1 / repetition : repetition;
        items[i].score -= (double)p->presence + times * (double)p->frequency;
    }
}

// lengths[i]: how many tokens the history read backwards has in common with itself read
// backwards from its i-th last token on. tail[-i] is the i-th last token.
static void common_lengths(const uint32_t *tail, uint32_t *lengths, size_t count)
{
    size_t left = 0, right = 0; // the match that reaches furthest

    for (size_t i = 1; i < count; i++) {
        size_t n = 0;

        if (i < right)
            n = lengths[i - left] < right - i ? lengths[i - left] : right - i;
        while (i + n < count && tail[-(ptrdiff_t)n] == tail[-(ptrdiff_t)(i + n)])
            n++;
        if (i + n > right) {
            left = i;
            right = i + n;
        }
        lengths[i] = (uint32_t)n;
    }
}

static double dry_penalty(const struct penalties *p, size_t length)
{
    double penalty =
        p->dry_multiplier * pow(p->dry_base, (double)(length - p->dry_allowed_length));

    return penalty < (double)FLT_MAX ? penalty : (double)FLT_MAX;
}

static void penalise_sequences(struct penalties *p, struct scored *items, size_t count)
{
    size_t n = p->history_count < p->dry_last_n ? p->history_count : p->dry_last_n;
    const uint32_t *tail;
    size_t limit = 0; // tokens since the last breaker

    if (n == 0)
        return;
    tail = p->history + p->history_count - 1;
    while (limit < n && !p->breakers[tail[-(ptrdiff_t)limit]])
        limit++;
    if (limit < p->dry_allowed_length)
        return;
    if (p->lengths_cap < n) {
        p->lengths = alloc_resize(p->lengths, 2 * n, sizeof(*p->lengths));
        p->lengths_cap = 2 * n;
    }
    common_lengths(tail, p->lengths, n);
    for (size_t i = 1; i < n; i++) {
        uint32_t follower = tail[-(ptrdiff_t)(i - 1)];
        size_t length = p->lengths[i] < limit ? p->lengths[i] : limit;

        if (length > p->longest[follower] && !p->breakers[follower])
            p->longest[follower] = (uint32_t)length;
    }
    for (size_t i = 0; i < count; i++) {
        if (p->longest[items[i].id] >= p->dry_allowed_length)
            items[i].score -= dry_penalty(p, p->longest[items[i].id]);
    }
    for (size_t i = 0; i < n; i++)
        p->longest[tail[-(ptrdiff_t)i]] = 0;
}

void penalties_apply(struct penalties *p, struct scored *items, size_t count)
{
    if (p->last_n > 0)
        penalise_occurrences(p, items, count);
    if (p->dry_last_n > 0)
        penalise_sequences(p, items, count);
}
