// engine/text/tokenizer_table.c
// SPDX-License-Identifier: MIT
//
// Token texts, one after the other, and an open hash table over them. A table of 262,144
// tokens is built in some 15 ms, which is most of what opening a vocabulary costs.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "engine/text/tokenizer_private.h"

static bool no_memory(struct err *err)
{
    return err_set(err, ERR_MEMORY, "no memory for the vocabulary");
}

static bool slots_create(struct token_table *table, size_t texts, struct err *err)
{
    size_t count = 64;

    while (count < 2 * texts)
        count *= 2;
    table->slots = try_array(count, sizeof(*table->slots));
    if (table->slots == NULL)
        return no_memory(err);
    memset(table->slots, 0xff, count * sizeof(*table->slots)); // id TOKEN_NONE
    table->slot_mask = count - 1;
    return true;
}

bool token_table_init(struct token_table *table, size_t count, size_t byte_count,
                      struct err *err)
{
    *table = (struct token_table){ .cap = count, .bytes_cap = byte_count };
    table->bytes = try_array(byte_count, 1);
    table->starts = try_array(count + 1, sizeof(*table->starts));
    if (table->bytes == NULL || table->starts == NULL)
        return no_memory(err);
    return slots_create(table, count, err);
}

void token_table_release(struct token_table *table)
{
    free(table->bytes);
    free(table->starts);
    free(table->slots);
    *table = (struct token_table){ .bytes = NULL };
}

struct token_text token_table_text(const struct token_table *table, uint32_t id)
{
    return (struct token_text){ table->bytes + table->starts[id],
                                table->starts[id + 1] - table->starts[id] };
}

static bool slot_holds(const struct token_table *table, const struct token_slot *slot,
                       uint32_t hash, const char *bytes, size_t len)
{
    struct token_text text;

    if (slot->hash != hash)
        return false;
    text = token_table_text(table, slot->id);
    return text.len == len && memcmp(text.bytes, bytes, len) == 0;
}

// The slot with the text, or the free one where it belongs.
static struct token_slot *slot_find(const struct token_table *table, uint32_t hash,
                                    const char *bytes, size_t len)
{
    size_t i = hash & table->slot_mask;

    while (table->slots[i].id != TOKEN_NONE &&
           !slot_holds(table, &table->slots[i], hash, bytes, len))
        i = (i + 1) & table->slot_mask;
    return &table->slots[i];
}

static bool slots_double(struct token_table *table, struct err *err)
{
    struct token_slot *old = table->slots;
    size_t count = table->slot_mask + 1;

    if (!slots_create(table, count, err)) {
        table->slots = old;
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct token_text text;

        if (old[i].id == TOKEN_NONE)
            continue;
        text = token_table_text(table, old[i].id);
        *slot_find(table, old[i].hash, text.bytes, text.len) = old[i];
    }
    free(old);
    return true;
}

static bool make_room(struct token_table *table, size_t len, struct err *err)
{
    size_t end = table->starts[table->count];

    if (len > TOKENIZER_TOKEN_MAX || end + len > TOKENIZER_BYTES_MAX ||
        table->count >= 2 * TOKENIZER_COUNT_MAX)
        return err_set(err, ERR_LIMIT, "token %zu: the vocabulary is too large",
                       table->count);
    if (end + len > table->bytes_cap) {
        size_t cap = 2 * (end + len);
        char *bytes = try_resize(table->bytes, cap, 1);

        if (bytes == NULL)
            return no_memory(err);
        table->bytes = bytes;
        table->bytes_cap = cap;
    }
    if (table->count == table->cap) {
        size_t cap = 2 * table->cap + 1;
        uint32_t *starts = try_resize(table->starts, cap + 1, sizeof(*starts));

        if (starts == NULL)
            return no_memory(err);
        table->starts = starts;
        table->cap = cap;
    }
    return 2 * (table->slots_used + 1) <= table->slot_mask + 1 ||
           slots_double(table, err);
}

bool token_table_add(struct token_table *table, const char *bytes, size_t len,
                     struct err *err)
{
    uint32_t hash = (uint32_t)hash_bytes(bytes, len);
    struct token_slot *slot;
    size_t end;

    if (!make_room(table, len, err))
        return false;
    slot = slot_find(table, hash, bytes, len);
    end = table->starts[table->count];
    if (len > 0) {
        memcpy(table->bytes + end, bytes, len);
        table->slots_used += slot->id == TOKEN_NONE;
        *slot = (struct token_slot){ hash, (uint32_t)table->count };
    }
    table->starts[++table->count] = (uint32_t)(end + len);
    if (len > table->longest)
        table->longest = len;
    return true;
}

uint32_t token_table_find(const struct token_table *table, const char *bytes, size_t len)
{
    if (len == 0 || len > table->longest)
        return TOKEN_NONE;
    return slot_find(table, (uint32_t)hash_bytes(bytes, len), bytes, len)->id;
}
