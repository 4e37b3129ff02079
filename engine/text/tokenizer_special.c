// engine/text/tokenizer_special.c
// SPDX-License-Identifier: MIT
//
// Finding special tokens in a text. The peer searches for one after the other, the
// longest first, each in what the ones before it left over: so a longer token wins
// wherever two overlap, and equal ones are taken from left to right. The same result
// comes here from one pass with a trie and a heap of the places found, whose cost does
// not grow with the number of special tokens (Gemma has 6,414).
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/text/tokenizer_private.h"

// ---- The trie ----

static uint32_t add_node(struct special_tokens *special, uint8_t byte, uint32_t sibling)
{
    special->nodes = alloc_grow(special->nodes, special->count, &special->cap,
                                sizeof(*special->nodes));
    special->nodes[special->count] =
        (struct trie_node){ .sibling = sibling, .token = TOKEN_NONE, .byte = byte };
    return (uint32_t)special->count++;
}

static uint32_t find_child(const struct special_tokens *special, uint32_t node,
                           uint8_t byte)
{
    uint32_t child = special->nodes[node].child;

    while (child != 0 && special->nodes[child].byte != byte)
        child = special->nodes[child].sibling;
    return child;
}

static void add_token(struct special_tokens *special, struct token_text text, uint32_t id)
{
    uint8_t first = (uint8_t)text.bytes[0];
    uint32_t node = special->roots[first];

    if (node == 0)
        node = special->roots[first] = add_node(special, first, 0);
    for (size_t i = 1; i < text.len; i++) {
        uint8_t byte = (uint8_t)text.bytes[i];
        uint32_t child = find_child(special, node, byte);

        if (child == 0) {
            child = add_node(special, byte, special->nodes[node].child);
            special->nodes[node].child = child;
        }
        node = child;
    }
    if (special->nodes[node].token == TOKEN_NONE)
        special->nodes[node].token = id;
}

void special_create(struct tokenizer *tokenizer)
{
    add_node(&tokenizer->special, 0, 0); // node 0 stands for none
    for (uint32_t id = 0; id < tokenizer->size; id++) {
        struct token_text text = token_table_text(&tokenizer->table, id);

        if (text.len > 0 && (tokenizer->flags[id] & (TOKEN_IS_CONTROL | TOKEN_IS_USER)))
            add_token(&tokenizer->special, text, id);
    }
}

void special_release(struct special_tokens *special)
{
    free(special->nodes);
    *special = (struct special_tokens){ .nodes = NULL };
}

// ---- Finding ----

struct search {
    const struct tokenizer *tokenizer;
    const char *text;
    size_t len;
    const size_t *trusted;
    size_t trusted_count;
};

// Where the trusted range that `at` lies in ends; `at` itself in untrusted text.
static size_t trusted_end(const struct search *search, size_t at)
{
    size_t low = 0, high = search->trusted_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (search->trusted[2 * middle + 1] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < search->trusted_count && search->trusted[2 * low] <= at)
        return search->trusted[2 * low + 1];
    return at;
}

// The longest special token at `at` of at most max bytes.
static uint32_t longest_at(const struct search *search, size_t at, size_t max,
                           size_t *len)
{
    const struct special_tokens *special = &search->tokenizer->special;
    uint32_t node = special->roots[(uint8_t)search->text[at]], found = TOKEN_NONE;
    size_t end = node != 0 ? trusted_end(search, at) : at;

    for (size_t i = 1; node != 0 && i <= max; i++) {
        uint32_t id = special->nodes[node].token;

        if (id != TOKEN_NONE &&
            (!(search->tokenizer->flags[id] & TOKEN_IS_CONTROL) || at + i <= end)) {
            found = id;
            *len = i;
        }
        if (at + i == search->len)
            break;
        node = find_child(special, node, (uint8_t)search->text[at + i]);
    }
    return found;
}

// Longer ones first, then by id, then by place; all three fit by the limits of the room.
static struct queue_entry place_entry(size_t len, uint32_t id, size_t at)
{
    uint64_t key = (uint64_t)(TOKENIZER_TOKEN_MAX - len) << 48 | (uint64_t)id << 24 | at;

    return (struct queue_entry){ key, (uint32_t)len, id };
}

static int compare_hits(const void *a, const void *b)
{
    const struct special_hit *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

static void find_places(const struct search *search, struct queue *queue)
{
    const uint32_t *roots = search->tokenizer->special.roots;

    for (size_t at = 0; at < search->len; at++) {
        size_t len;
        uint32_t id;

        if (roots[(uint8_t)search->text[at]] == 0)
            continue;
        id = longest_at(search, at, TOKENIZER_TOKEN_MAX, &len);
        if (id != TOKEN_NONE)
            queue_append(queue, place_entry(len, id, at));
    }
    queue_order(queue);
}

struct special_hit *special_find(const struct tokenizer *tokenizer, const char *text,
                                 size_t len, const size_t *trusted, size_t trusted_count,
                                 size_t *hit_count)
{
    struct search search = { tokenizer, text, len, trusted, trusted_count };
    struct special_hit *hits = NULL;
    struct queue queue = { .entries = NULL };
    size_t cap = 0;
    uint8_t *taken = NULL;

    *hit_count = 0;
    find_places(&search, &queue);
    if (queue.count > 0)
        taken = alloc_zero(len);
    while (queue.count > 0) {
        struct queue_entry entry = queue_pop(&queue);
        size_t at = entry.key & 0xffffff, shorter;
        uint32_t id = entry.id;

        // What was taken so far is at least as long: to overlap it must cover an end.
        if (taken[at])
            continue;
        if (!taken[at + entry.len - 1]) {
            memset(taken + at, 1, entry.len);
            hits = alloc_grow(hits, *hit_count, &cap, sizeof(*hits));
            hits[(*hit_count)++] = (struct special_hit){ at, id };
            continue;
        }
        id = longest_at(&search, at, entry.len - 1, &shorter);
        if (id != TOKEN_NONE)
            queue_push(&queue, place_entry(shorter, id, at));
    }
    if (hits != NULL)
        qsort(hits, *hit_count, sizeof(*hits), compare_hits);
    free(taken);
    free(queue.entries);
    return hits;
}
