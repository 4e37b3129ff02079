// engine/text/sampler_chain.c
// SPDX-License-Identifier: MIT
//
// Only as much is sorted as is needed: a vocabulary has 150,000 tokens, but the sums that
// top-p and the draw look for are nearly always reached within the first few.
#include "engine/text/sampler_chain.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define FIRST_ORDERED 64 // how many are put in order at first; then eight times as many

// ---------------------------------------------------------------------------
// Order

static int compare_scored(const void *a, const void *b)
{
    const struct scored *left = a, *right = b;

    if (left->score != right->score)
        return left->score > right->score ? -1 : 1;
    return (left->id > right->id) - (left->id < right->id);
}

static void swap(struct scored *a, struct scored *b)
{
    struct scored kept = *a;

    *a = *b;
    *b = kept;
}

// Brings items[from] .. items[want - 1] before all that follow (Hoare's selection; the
// pivot is the median of three).
static void select_first(struct scored *items, size_t from, size_t to, size_t want)
{
    while (to - from > 8 && want > from && want < to) {
        size_t middle = from + (to - from) / 2, left = from, right = to - 1;
        struct scored pivot;

        if (compare_scored(&items[middle], &items[from]) < 0)
            swap(&items[middle], &items[from]);
        if (compare_scored(&items[right], &items[from]) < 0)
            swap(&items[right], &items[from]);
        if (compare_scored(&items[right], &items[middle]) < 0)
            swap(&items[right], &items[middle]);
        pivot = items[middle];
        while (left <= right) {
            while (compare_scored(&items[left], &pivot) < 0)
                left++;
            while (compare_scored(&pivot, &items[right]) < 0)
                right--;
            if (left <= right)
                swap(&items[left++], &items[right--]);
        }
        // everything up to right is before everything from left on
        if (want <= right)
            to = right + 1;
        else if (want >= left)
            from = left;
        else
            return;
    }
    if (want > from && want < to)
        qsort(items + from, to - from, sizeof(*items), compare_scored);
}

void scored_order_first(struct scored *items, size_t count, size_t ordered, size_t want)
{
    if (want > count)
        want = count;
    if (want <= ordered)
        return;
    select_first(items, ordered, count, want);
    qsort(items + ordered, want - ordered, sizeof(*items), compare_scored);
}

static size_t order_more(struct scored *items, size_t count, size_t ordered)
{
    size_t want = ordered < FIRST_ORDERED ? FIRST_ORDERED : ordered * 8;

    if (want > count)
        want = count;
    scored_order_first(items, count, ordered, want);
    return want;
}

// ---------------------------------------------------------------------------
// Steps

static double highest_score(const struct scored *items, size_t count)
{
    double highest = items[0].score;

    for (size_t i = 1; i < count; i++)
        highest = items[i].score > highest ? items[i].score : highest;
    return highest;
}

// weight = exp((score - highest) / temperature); returns their sum.
static double weigh(struct scored *items, size_t count, double temperature)
{
    double highest = highest_score(items, count), total = 0;

    for (size_t i = 0; i < count; i++) {
        items[i].weight = exp((items[i].score - highest) / temperature);
        total += items[i].weight;
    }
    return total;
}

static int compare_weights(const void *a, const void *b)
{
    const struct scored *left = a, *right = b;

    if (left->weight != right->weight)
        return left->weight < right->weight ? -1 : 1;
    return compare_scored(a, b);
}

// Locally typical sampling (arXiv:2202.00666): tokens whose information content is
// nearest to the entropy, until their probabilities add up to p.
static size_t keep_typical(struct scored *items, size_t count, double p)
{
    double total = weigh(items, count, 1), log_total = log(total), entropy = 0, sum = 0;
    double highest = highest_score(items, count);
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        double surprise = log_total - (items[i].score - highest);

        if (items[i].weight > 0)
            entropy += items[i].weight / total * surprise;
    }
    for (size_t i = 0; i < count; i++)
        items[i].weight = fabs(log_total - (items[i].score - highest) - entropy);
    qsort(items, count, sizeof(*items), compare_weights);
    while (kept < count && (kept == 0 || sum < p)) {
        sum += exp(items[kept].score - highest) / total;
        kept++;
    }
    return kept;
}

// Nucleus sampling (arXiv:1904.09751).
static size_t keep_top_p(struct scored *items, size_t count, double p, size_t *ordered)
{
    double total = weigh(items, count, 1), sum = 0;
    size_t kept = 0;

    while (kept < count && (kept == 0 || sum < p * total)) {
        if (kept == *ordered)
            *ordered = order_more(items, count, *ordered);
        sum += items[kept++].weight;
    }
    return kept;
}

// arXiv:2407.01082
static size_t keep_min_p(struct scored *items, size_t count, double p, size_t *ordered)
{
    double threshold = highest_score(items, count) + log(p);
    size_t kept = 0, in_order = 0;

    for (size_t i = 0; i < count; i++) {
        if (items[i].score < threshold)
            continue;
        in_order += i < *ordered;
        items[kept++] = items[i];
    }
    *ordered = in_order;
    return kept;
}

static size_t keep_best(struct scored *items, size_t count)
{
    size_t best = 0;

    for (size_t i = 1; i < count; i++) {
        if (compare_scored(&items[i], &items[best]) < 0)
            best = i;
    }
    items[0] = items[best];
    items[0].weight = 1;
    return 1;
}

size_t sampler_chain_run(const struct generation_settings *settings, struct scored *items,
                         size_t count, size_t *ordered)
{
    *ordered = 0;
    if (settings->temperature == 0) {
        *ordered = 1;
        return keep_best(items, count);
    }
    if (settings->top_k > 0 && settings->top_k < count) {
        scored_order_first(items, count, 0, settings->top_k);
        *ordered = count = settings->top_k;
    }
    if (settings->typical_p < 1) {
        count = keep_typical(items, count, (double)settings->typical_p);
        *ordered = 0;
    }
    if (settings->top_p < 1)
        count = keep_top_p(items, count, (double)settings->top_p, ordered);
    if (*ordered > count)
        *ordered = count;
    if (settings->min_p > 0)
        count = keep_min_p(items, count, (double)settings->min_p, ordered);
    weigh(items, count, (double)settings->temperature);
    return count;
}

const struct scored *sampler_chain_draw(struct scored *items, size_t count,
                                        size_t ordered, double unit)
{
    double total = 0, sum = 0;

    for (size_t i = 0; i < count; i++)
        total += items[i].weight;
    for (size_t i = 0; i < count; i++) {
        if (i == ordered)
            ordered = order_more(items, count, ordered);
        sum += items[i].weight;
        if (sum > unit * total)
            return &items[i];
    }
    return &items[count - 1]; // rounding: the sum in order may end just below the total
}
