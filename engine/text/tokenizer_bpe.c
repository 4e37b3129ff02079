// engine/text/tokenizer_bpe.c
// SPDX-License-Identifier: MIT
//
// Byte-level BPE (GPT-2 and descendants). Every byte has a printable character to be
// stored as; a word begins as its bytes and is merged pair by pair, by the rank of the
// merge.
//
// As the peer does, a byte that the vocabulary cannot say is left out: some published
// vocabularies lack a few control characters and bytes that UTF-8 never uses.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "engine/text/tokenizer_private.h"

// The bytes that are stored as themselves; the others follow from U+0100 on.
static bool is_printable(unsigned byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) ||
           byte >= 0xae;
}

static uint32_t byte_to_codepoint(uint8_t byte)
{
    if (is_printable(byte))
        return byte;
    if (byte <= 0x20)
        return 0x100u + byte;
    return byte == 0xad ? 0x143 : 0x121u + (byte - 0x7fu);
}

static int codepoint_to_byte(uint32_t codepoint)
{
    if (codepoint < 0x100)
        return is_printable(codepoint) ? (int)codepoint : -1;
    if (codepoint <= 0x120)
        return (int)(codepoint - 0x100);
    if (codepoint <= 0x142)
        return (int)(codepoint - 0x121 + 0x7f);
    return codepoint == 0x143 ? 0xad : -1;
}

size_t bpe_stored_byte(uint8_t byte, char stored[2])
{
    char encoded[UTF8_MAX];
    size_t len = utf8_encode(byte_to_codepoint(byte), encoded);

    memcpy(stored, encoded, len);
    return len;
}

void bpe_token_bytes(struct token_text stored, struct str *out)
{
    for (size_t at = 0, size; at < stored.len; at += size) {
        uint32_t codepoint;
        bool valid;
        int byte;

        size = utf8_decode(stored.bytes + at, stored.len - at, &codepoint, &valid);
        byte = valid ? codepoint_to_byte(codepoint) : -1;
        if (byte >= 0)
            str_append_char(out, (char)byte);
        else
            str_append_n(out, stored.bytes + at, size);
    }
}

// ---- The table of merges ----

static size_t merge_hash(uint32_t left, uint32_t right)
{
    uint64_t mixed = ((uint64_t)left << 32 | right) * UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)(mixed >> 32);
}

static struct merge_slot *merge_find(const struct tokenizer *tokenizer, uint32_t left,
                                     uint32_t right)
{
    size_t i = merge_hash(left, right) & tokenizer->merge_mask;
    struct merge_slot *slot = &tokenizer->merges[i];

    while (slot->left != TOKEN_NONE && (slot->left != left || slot->right != right)) {
        i = (i + 1) & tokenizer->merge_mask;
        slot = &tokenizer->merges[i];
    }
    return slot;
}

static bool has_text(const struct token_table *table, uint32_t id, const char *bytes,
                     size_t len)
{
    struct token_text text;

    if (id >= table->count)
        return false;
    text = token_table_text(table, id);
    return text.len == len && memcmp(text.bytes, bytes, len) == 0;
}

// The id of a text that need not be a token.
static bool intern(struct token_table *table, const char *bytes, size_t len, uint32_t *id,
                   struct err *err)
{
    *id = token_table_find(table, bytes, len);
    if (*id != TOKEN_NONE)
        return true;
    *id = (uint32_t)table->count;
    return token_table_add(table, bytes, len, err);
}

// *merged_id is that of the merge before this one: tokens mostly stand in the order of
// their merges, so the next id is tried before the table.
static bool add_merge(struct tokenizer *tokenizer, struct token_text merge, uint32_t rank,
                      char *joined, uint32_t *merged_id, struct err *err)
{
    const char *space =
        merge.len > 1 ? memchr(merge.bytes + 1, ' ', merge.len - 1) : NULL;
    struct token_text left, right;
    struct merge_slot *slot;
    uint32_t left_id, right_id;

    if (space == NULL || space + 1 == merge.bytes + merge.len)
        return true; // it can never apply
    left = (struct token_text){ merge.bytes, (size_t)(space - merge.bytes) };
    right = (struct token_text){ space + 1, merge.len - left.len - 1 };
    if (merge.len - 1 > TOKENIZER_TOKEN_MAX)
        return err_set(err, ERR_LIMIT, "merge %u is longer than %d bytes", rank,
                       TOKENIZER_TOKEN_MAX);
    memcpy(joined, left.bytes, left.len);
    memcpy(joined + left.len, right.bytes, right.len);
    if (!intern(&tokenizer->table, left.bytes, left.len, &left_id, err) ||
        !intern(&tokenizer->table, right.bytes, right.len, &right_id, err))
        return false;
    if (has_text(&tokenizer->table, *merged_id + 1, joined, merge.len - 1))
        ++*merged_id;
    else if (!intern(&tokenizer->table, joined, merge.len - 1, merged_id, err))
        return false;
    slot = merge_find(tokenizer, left_id, right_id);
    if (slot->left == TOKEN_NONE) // of equal merges the first counts
        *slot = (struct merge_slot){ left_id, right_id, rank, *merged_id };
    return true;
}

static bool add_merges(struct tokenizer *tokenizer, const struct tokenizer_params *params,
                       struct err *err)
{
    char *joined = alloc_zero(TOKENIZER_TOKEN_MAX);
    uint32_t merged_id = 0;
    size_t count = 64;
    bool ok = true;

    while (count < 2 * params->merge_count)
        count *= 2;
    tokenizer->merges = try_array(count, sizeof(*tokenizer->merges));
    if (tokenizer->merges == NULL)
        ok = err_set(err, ERR_MEMORY, "no memory for %zu merges", params->merge_count);
    else
        memset(tokenizer->merges, 0xff, count * sizeof(*tokenizer->merges));
    tokenizer->merge_mask = count - 1;
    for (size_t i = 0; ok && i < params->merge_count; i++)
        ok =
            add_merge(tokenizer, params->merges[i], (uint32_t)i, joined, &merged_id, err);
    free(joined);
    return ok;
}

static bool find_bytes(struct tokenizer *tokenizer, struct err *err)
{
    size_t found = 0;

    for (unsigned byte = 0; byte < 256; byte++) {
        char stored[2];
        size_t len = bpe_stored_byte((uint8_t)byte, stored);

        tokenizer->byte_ids[byte] = token_table_find(&tokenizer->table, stored, len);
        found += tokenizer->byte_ids[byte] < tokenizer->size;
    }
    return found > 0 || err_set(err, ERR_FORMAT, "the vocabulary has no byte tokens");
}

bool bpe_create(struct tokenizer *tokenizer, const struct tokenizer_params *params,
                struct err *err)
{
    static const char unnamed[] = "default";
    struct token_text pre = params->pre;
    const struct pretoken_family *family;

    if (params->merge_count == 0)
        return err_set(err, ERR_FORMAT, "a \"gpt2\" vocabulary without merges");
    if (params->merge_count > TOKENIZER_COUNT_MAX)
        return err_set(err, ERR_LIMIT, "%zu merges are more than %zu",
                       params->merge_count, TOKENIZER_COUNT_MAX);
    if (pre.len == 0)
        pre = (struct token_text){ unnamed, strlen(unnamed) };
    tokenizer->pretokenizer = pretokenizer_create(pre.bytes, pre.len, err);
    if (tokenizer->pretokenizer == NULL)
        return false;
    family = pretokenizer_family(tokenizer->pretokenizer);
    tokenizer->whole_words = family->whole_words;
    tokenizer->adds_bos = family->adds_bos;
    return add_merges(tokenizer, params, err) && find_bytes(tokenizer, err);
}

// ---- Encoding ----

static bool may_merge(const struct tokenizer *tokenizer, const char *text,
                      const struct symbol *left, const struct symbol *right,
                      uint32_t *priority, uint32_t *merged)
{
    const struct merge_slot *slot;

    (void)text;
    if (left->id == TOKEN_NONE || right->id == TOKEN_NONE)
        return false;
    slot = merge_find(tokenizer, left->id, right->id);
    if (slot->left == TOKEN_NONE)
        return false;
    *priority = slot->rank;
    *merged = slot->merged;
    return true;
}

// A text that merges speak of but that is no token: the tokens of its stored bytes.
static void push_stored_bytes(const struct tokenizer *tokenizer, uint32_t id,
                              struct token_list *list)
{
    struct token_text text = token_table_text(&tokenizer->table, id);

    for (size_t i = 0; i < text.len; i++) {
        uint32_t byte = token_table_find(&tokenizer->table, text.bytes + i, 1);

        if (byte < tokenizer->size)
            token_list_push(list, byte);
    }
}

static void push_symbols(const struct tokenizer *tokenizer, const struct merge_work *work,
                         struct token_list *list)
{
    for (uint32_t i = 0; i != TOKEN_NONE; i = work->symbols[i].next) {
        uint32_t id = work->symbols[i].id;

        if (id < tokenizer->size)
            token_list_push(list, id);
        else if (id != TOKEN_NONE)
            push_stored_bytes(tokenizer, id, list);
    }
}

// The id of a word that is a token as it stands, or TOKEN_NONE.
static uint32_t find_word(const struct tokenizer *tokenizer, const char *word, size_t len,
                          char *stored)
{
    size_t stored_len = 0;
    uint32_t id;

    for (size_t i = 0; i < len; i++) {
        if (stored_len + 2 > tokenizer->table.longest + 2)
            return TOKEN_NONE;
        stored_len += bpe_stored_byte((uint8_t)word[i], stored + stored_len);
    }
    id = token_table_find(&tokenizer->table, stored, stored_len);
    return id < tokenizer->size ? id : TOKEN_NONE;
}

static void encode_word(const struct tokenizer *tokenizer, const char *word, size_t len,
                        struct merge_work *work, struct token_list *list)
{
    work->count = 0;
    for (size_t i = 0; i < len; i++)
        merge_work_add(work, (uint32_t)i, 1, tokenizer->byte_ids[(uint8_t)word[i]]);
    merge_symbols(tokenizer, word, may_merge, work);
    push_symbols(tokenizer, work, list);
}

bool bpe_encode(const struct tokenizer *tokenizer, const char *text, size_t len,
                struct token_list *list, struct err *err)
{
    char *stored = alloc_zero(tokenizer->table.longest + 2);
    struct merge_work work = { .symbols = NULL };
    struct pretokens words;
    const char *word;
    size_t word_len;
    bool ok = pretokens_init(&words, tokenizer->pretokenizer, text, len, err);

    while (ok && pretokens_next(&words, &word, &word_len)) {
        uint32_t id = TOKEN_NONE;

        if (tokenizer->whole_words)
            id = find_word(tokenizer, word, word_len, stored);
        if (id != TOKEN_NONE)
            token_list_push(list, id);
        else
            encode_word(tokenizer, word, word_len, &work, list);
    }
    merge_work_release(&work);
    pretokens_release(&words);
    free(stored);
    return ok;
}
