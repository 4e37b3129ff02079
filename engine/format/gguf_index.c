// engine/format/gguf_index.c
// SPDX-License-Identifier: MIT
//
// Names to positions: a sorted table. A hash table could be filled with colliding names
// by whoever made the file; here the worst case is one more comparison of whole names per
// step.
#include "engine/format/gguf_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

static int compare_slots(const void *left_slot, const void *right_slot)
{
    const struct gguf_index_slot *a = left_slot, *b = right_slot;

    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return strcmp(a->name, b->name);
}

bool gguf_index_build(struct gguf_index *index, size_t count,
                      const char *(*name_at)(const void *context, size_t i),
                      const void *context, size_t *twin)
{
    *twin = SIZE_MAX;
    if (count == 0)
        return true;
    index->slots = try_array(count, sizeof(*index->slots));
    if (index->slots == NULL)
        return false;
    index->count = count;
    for (size_t i = 0; i < count; i++) {
        const char *name = name_at(context, i);

        index->slots[i] =
            (struct gguf_index_slot){ hash_bytes(name, strlen(name)), name, i };
    }
    qsort(index->slots, count, sizeof(*index->slots), compare_slots);
    for (size_t i = 1; i < count && *twin == SIZE_MAX; i++) {
        const struct gguf_index_slot *one = &index->slots[i - 1], *two = &index->slots[i];

        if (compare_slots(one, two) == 0)
            *twin = one->ordinal > two->ordinal ? one->ordinal : two->ordinal;
    }
    return true;
}

void gguf_index_release(struct gguf_index *index)
{
    free(index->slots);
    *index = (struct gguf_index){ .slots = NULL };
}

size_t gguf_index_find(const struct gguf_index *index, const char *name)
{
    struct gguf_index_slot wanted = { .hash = hash_bytes(name, strlen(name)),
                                      .name = name };
    const struct gguf_index_slot *slot = NULL;

    if (index->count > 0)
        slot =
            bsearch(&wanted, index->slots, index->count, sizeof(wanted), compare_slots);
    return slot != NULL ? slot->ordinal : SIZE_MAX;
}
