// engine/text/sampler_vocabulary.c
// SPDX-License-Identifier: MIT
#include "engine/text/sampler_vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define MAX_TOKEN_BYTES 4096

// What tokens are sorted by: most differ in their first eight bytes.
struct sort_key {
    uint64_t head; // big-endian, padded with zeros
    const char *bytes;
    uint32_t len;
    uint32_t token;
};

static int compare_keys(const void *a, const void *b)
{
    const struct sort_key *left = a, *right = b;
    size_t common = left->len < right->len ? left->len : right->len;
    int order;

    if (left->head != right->head)
        return left->head < right->head ? -1 : 1;
    order = memcmp(left->bytes, right->bytes, common);
    if (order != 0)
        return order;
    if (left->len != right->len)
        return left->len < right->len ? -1 : 1;
    return (left->token > right->token) - (left->token < right->token);
}

static struct sort_key key_of(const struct vocabulary *v, uint32_t token)
{
    struct token_text text = vocabulary_text(v, token);
    struct sort_key key = { 0, text.bytes, (uint32_t)text.len, token };

    for (size_t i = 0; i < 8; i++)
        key.head = key.head << 8 | (i < text.len ? (unsigned char)text.bytes[i] : 0);
    return key;
}

static size_t common_prefix(const struct sort_key *a, const struct sort_key *b)
{
    size_t n = 0;

    while (n < a->len && n < b->len && a->bytes[n] == b->bytes[n])
        n++;
    return n;
}

// Appends the nodes of one token that its predecessor did not have. path[depth] is the
// open node at that depth; nodes that are left are closed.
static void add_nodes(struct vocabulary *v, const struct sort_key *key, size_t shared,
                      size_t *open, uint32_t *path, size_t *cap)
{
    while (*open > shared)
        v->nodes[path[(*open)--]].skip = (uint32_t)v->node_count;
    while (*open < key->len) {
        struct vocabulary_node node = { .first = (uint32_t)v->sorted_count,
                                        .depth = (uint16_t)(*open + 1),
                                        .byte = (uint8_t)key->bytes[*open] };

        v->nodes = alloc_grow(v->nodes, v->node_count, cap, sizeof(*v->nodes));
        path[++*open] = (uint32_t)v->node_count;
        v->nodes[v->node_count++] = node;
    }
    if (key->len > v->deepest)
        v->deepest = key->len;
    v->sorted[v->sorted_count++] = key->token;
}

static void build_tree(struct vocabulary *v, const struct sort_key *keys, size_t count)
{
    uint32_t *path = alloc_array(MAX_TOKEN_BYTES + 1, sizeof(*path));
    size_t open = 0, cap = 0;

    v->sorted = alloc_array(count, sizeof(*v->sorted));
    for (size_t i = 0; i < count; i++) {
        size_t shared = i > 0 ? common_prefix(&keys[i - 1], &keys[i]) : 0;

        add_nodes(v, &keys[i], shared, &open, path, &cap);
    }
    while (open > 0)
        v->nodes[path[open--]].skip = (uint32_t)v->node_count;
    v->nodes = alloc_grow(v->nodes, v->node_count, &cap, sizeof(*v->nodes));
    v->nodes[v->node_count] =
        (struct vocabulary_node){ .first = (uint32_t)v->sorted_count };
    free(path);
}

static void copy_texts(struct vocabulary *v, const struct token_text *texts)
{
    size_t total = 0;

    for (size_t i = 0; i < v->size; i++) {
        total += texts[i].len <= MAX_TOKEN_BYTES ? texts[i].len : 0;
        v->ends[i] = total;
    }
    v->bytes = alloc_array(total, 1);
    for (size_t i = 0; i < v->size; i++) {
        if (texts[i].len > 0 && texts[i].len <= MAX_TOKEN_BYTES)
            memcpy(v->bytes + v->ends[i] - texts[i].len, texts[i].bytes, texts[i].len);
    }
}

struct vocabulary *vocabulary_create(const struct token_text *texts,
                                     const bool *ends_generation, size_t count)
{
    struct vocabulary *v = alloc_zero(sizeof(*v));
    struct sort_key *keys = alloc_array(count, sizeof(*keys));
    size_t key_count = 0;

    v->size = count;
    v->ends = alloc_array(count, sizeof(*v->ends));
    v->ends_generation = alloc_array(count, sizeof(*v->ends_generation));
    memcpy(v->ends_generation, ends_generation, count * sizeof(*ends_generation));
    copy_texts(v, texts);
    for (uint32_t i = 0; i < count; i++) {
        if (vocabulary_text(v, i).len > 0 && !ends_generation[i])
            keys[key_count++] = key_of(v, i);
    }
    qsort(keys, key_count, sizeof(*keys), compare_keys);
    build_tree(v, keys, key_count);
    free(keys);
    return v;
}

void vocabulary_destroy(struct vocabulary **vocabulary)
{
    struct vocabulary *v = *vocabulary;

    if (v == NULL)
        return;
    free(v->bytes);
    free(v->ends);
    free(v->ends_generation);
    free(v->sorted);
    free(v->nodes);
    free(v);
    *vocabulary = NULL;
}

struct token_text vocabulary_text(const struct vocabulary *vocabulary, uint32_t token)
{
    size_t start = token > 0 ? vocabulary->ends[token - 1] : 0;

    return (struct token_text){ vocabulary->bytes + start,
                                vocabulary->ends[token] - start };
}
