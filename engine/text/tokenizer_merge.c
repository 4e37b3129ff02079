// engine/text/tokenizer_merge.c
// SPDX-License-Identifier: MIT
//
// Merging neighbours in order of priority: a chain of symbols, and a heap of the pairs
// that may merge. A pair in the heap whose symbols have changed since is passed over when
// its turn comes, which is seen from its length: symbols only ever grow.
#include <stdlib.h>

#include "base/alloc.h"
#include "engine/text/tokenizer_private.h"

static void sift_up(struct queue *queue, size_t at)
{
    struct queue_entry entry = queue->entries[at];

    while (at > 0 && queue->entries[(at - 1) / 2].key > entry.key) {
        queue->entries[at] = queue->entries[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->entries[at] = entry;
}

static void sift_down(struct queue *queue, size_t at)
{
    struct queue_entry entry = queue->entries[at];

    for (size_t child; (child = 2 * at + 1) < queue->count; at = child) {
        if (child + 1 < queue->count &&
            queue->entries[child + 1].key < queue->entries[child].key)
            child++;
        if (queue->entries[child].key >= entry.key)
            break;
        queue->entries[at] = queue->entries[child];
    }
    queue->entries[at] = entry;
}

void queue_append(struct queue *queue, struct queue_entry entry)
{
    queue->entries =
        alloc_grow(queue->entries, queue->count, &queue->cap, sizeof(*queue->entries));
    queue->entries[queue->count++] = entry;
}

void queue_order(struct queue *queue)
{
    for (size_t i = queue->count / 2; i-- > 0;)
        sift_down(queue, i);
}

void queue_push(struct queue *queue, struct queue_entry entry)
{
    queue_append(queue, entry);
    sift_up(queue, queue->count - 1);
}

struct queue_entry queue_pop(struct queue *queue)
{
    struct queue_entry least = queue->entries[0];

    queue->entries[0] = queue->entries[--queue->count];
    if (queue->count > 0)
        sift_down(queue, 0);
    return least;
}

void merge_work_release(struct merge_work *work)
{
    free(work->symbols);
    free(work->queue.entries);
    *work = (struct merge_work){ .symbols = NULL };
}

void merge_work_add(struct merge_work *work, uint32_t start, uint32_t len, uint32_t id)
{
    uint32_t index = (uint32_t)work->count;

    work->symbols =
        alloc_grow(work->symbols, work->count, &work->cap, sizeof(*work->symbols));
    work->symbols[work->count++] =
        (struct symbol){ index - 1, TOKEN_NONE, start, len, id }; // 0 - 1 is TOKEN_NONE
    if (index > 0)
        work->symbols[index - 1].next = index;
}

struct merging {
    const struct tokenizer *tokenizer;
    const char *text;
    merge_rule *rule;
    struct merge_work *work;
};

typedef void enqueue(struct queue *queue, struct queue_entry entry);

static void offer(const struct merging *merging, uint32_t left, enqueue *put)
{
    const struct symbol *symbols = merging->work->symbols;
    const struct symbol *a, *b;
    uint32_t priority, merged;

    if (left == TOKEN_NONE || symbols[left].next == TOKEN_NONE)
        return;
    a = &symbols[left];
    b = &symbols[a->next];
    if (merging->rule(merging->tokenizer, merging->text, a, b, &priority, &merged))
        put(&merging->work->queue, (struct queue_entry){ (uint64_t)priority << 32 | left,
                                                         a->len + b->len, merged });
}

static void merge_pair(const struct merging *merging, struct queue_entry pair)
{
    uint32_t left = (uint32_t)pair.key;
    struct symbol *symbols = merging->work->symbols, *a = &symbols[left], *b;

    if (a->len == 0 || a->next == TOKEN_NONE)
        return;
    b = &symbols[a->next];
    if (a->len + b->len != pair.len)
        return;
    a->id = pair.id;
    a->len = pair.len;
    b->len = 0;
    a->next = b->next;
    if (a->next != TOKEN_NONE)
        symbols[a->next].previous = left;
    offer(merging, a->previous, queue_push);
    offer(merging, left, queue_push);
}

void merge_symbols(const struct tokenizer *tokenizer, const char *text, merge_rule *rule,
                   struct merge_work *work)
{
    struct merging merging = { tokenizer, text, rule, work };

    work->queue.count = 0;
    for (size_t i = 0; i + 1 < work->count; i++)
        offer(&merging, (uint32_t)i, queue_append);
    queue_order(&work->queue);
    while (work->queue.count > 0)
        merge_pair(&merging, queue_pop(&work->queue));
}
