// engine/text/tokenizer_spm.c
// SPDX-License-Identifier: MIT
//
// SentencePiece BPE with byte fallback: spaces become U+2581, the text begins as its
// characters, and neighbours whose joined text is a token merge, the best score first. A
// character that is no token becomes the tokens of its bytes.
//
// Source: llama.cpp (llm_tokenizer_spm), also for malformed UTF-8: the first byte says
// how long a character is, and nobody looks at the others.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/text/tokenizer_private.h"

#define SPACE     "\xe2\x96\x81" // U+2581
#define SPACE_LEN 3

static bool is_space_at(const char *text, size_t len, size_t at)
{
    return len - at >= SPACE_LEN && memcmp(text + at, SPACE, SPACE_LEN) == 0;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

int spm_byte_value(struct token_text stored)
{
    int high, low;

    if (stored.len != 6 || memcmp(stored.bytes, "<0x", 3) != 0 || stored.bytes[5] != '>')
        return -1;
    high = hex_value(stored.bytes[3]);
    low = hex_value(stored.bytes[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

void spm_token_bytes(struct token_text stored, struct str *out)
{
    for (size_t at = 0; at < stored.len;) {
        if (is_space_at(stored.bytes, stored.len, at)) {
            str_append_char(out, ' ');
            at += SPACE_LEN;
        } else {
            str_append_char(out, stored.bytes[at++]);
        }
    }
}

// ---- Creation ----

static bool has_inner_space(struct token_text text)
{
    bool only_spaces = true;

    for (size_t at = 0; at < text.len;) {
        bool space = is_space_at(text.bytes, text.len, at);

        if (space && !only_spaces)
            return true;
        only_spaces = only_spaces && space;
        at += space ? SPACE_LEN : 1;
    }
    return false;
}

static bool find_bytes(struct tokenizer *tokenizer, struct err *err)
{
    for (int byte = 0; byte < 256; byte++) {
        static const char digits[] = "0123456789ABCDEF";
        const char name[6] = { '<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>' };
        const char alone = (char)byte;
        uint32_t id = token_table_find(&tokenizer->table, name, sizeof(name));

        if (id == TOKEN_NONE)
            id = token_table_find(&tokenizer->table, &alone, 1);
        if (id == TOKEN_NONE)
            id = tokenizer->unknown;
        if (id == TOKEN_NONE)
            return err_set(err, ERR_FORMAT,
                           "the vocabulary has neither a token for byte 0x%02x nor an "
                           "unknown token",
                           byte);
        tokenizer->byte_tokens[byte] = id;
    }
    return true;
}

bool spm_create(struct tokenizer *tokenizer, const struct tokenizer_params *params,
                struct err *err)
{
    tokenizer->adds_bos = true;
    tokenizer->adds_space_prefix = params->add_space_prefix != 0;
    tokenizer->scores = try_array(tokenizer->size, sizeof(float));
    if (tokenizer->scores == NULL)
        return err_set(err, ERR_MEMORY, "no memory for %zu scores", tokenizer->size);
    if (params->scores != NULL)
        memcpy(tokenizer->scores, params->scores, tokenizer->size * sizeof(float));
    tokenizer->cuts_at_spaces = true;
    for (uint32_t id = 0; id < tokenizer->size && tokenizer->cuts_at_spaces; id++)
        tokenizer->cuts_at_spaces =
            !has_inner_space(token_table_text(&tokenizer->table, id));
    return find_bytes(tokenizer, err);
}

// ---- Encoding ----

// Higher scores first: floats in descending order as ascending integers.
static uint32_t score_priority(float score)
{
    uint32_t bits;

    score += 0.0f; // one zero
    memcpy(&bits, &score, sizeof(bits));
    return bits & 0x80000000u ? bits : 0x7fffffffu - bits;
}

static bool may_merge(const struct tokenizer *tokenizer, const char *text,
                      const struct symbol *left, const struct symbol *right,
                      uint32_t *priority, uint32_t *merged)
{
    uint32_t id =
        token_table_find(&tokenizer->table, text + left->start, left->len + right->len);

    if (id == TOKEN_NONE)
        return false;
    *priority = score_priority(tokenizer->scores[id]);
    *merged = id;
    return true;
}

static void push_symbols(const struct tokenizer *tokenizer, const char *text,
                         const struct merge_work *work, struct token_list *list)
{
    for (uint32_t i = 0; i != TOKEN_NONE; i = work->symbols[i].next) {
        const struct symbol *symbol = &work->symbols[i];
        uint32_t id = symbol->id;

        if (id == TOKEN_NONE) // still a single character
            id = token_table_find(&tokenizer->table, text + symbol->start, symbol->len);
        if (id != TOKEN_NONE) {
            token_list_push(list, id);
            continue;
        }
        for (uint32_t k = 0; k < symbol->len; k++)
            token_list_push(list,
                            tokenizer->byte_tokens[(uint8_t)text[symbol->start + k]]);
    }
}

static size_t character_len(unsigned char first, size_t left)
{
    size_t len = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    return len < left ? len : left;
}

// Where no token has a space inside, what stands before a space never merges with it, and
// the text can be merged word by word: the same ids from a small heap.
static void encode_escaped(const struct tokenizer *tokenizer, const char *text,
                           size_t len, struct token_list *list)
{
    struct merge_work work = { .symbols = NULL };
    bool after_space = true;

    for (size_t at = 0, size; at < len; at += size) {
        bool space = is_space_at(text, len, at);

        size = character_len((unsigned char)text[at], len - at);
        if (space && !after_space && tokenizer->cuts_at_spaces) {
            merge_symbols(tokenizer, text, may_merge, &work);
            push_symbols(tokenizer, text, &work, list);
            work.count = 0;
        }
        after_space = space;
        merge_work_add(&work, (uint32_t)at, (uint32_t)size, TOKEN_NONE);
    }
    if (work.count > 0) {
        merge_symbols(tokenizer, text, may_merge, &work);
        push_symbols(tokenizer, text, &work, list);
    }
    merge_work_release(&work);
}

bool spm_encode(const struct tokenizer *tokenizer, const char *text, size_t len,
                bool after_special, struct token_list *list, struct err *err)
{
    char *escaped = try_array(len + 1, SPACE_LEN);
    size_t size = 0;

    if (escaped == NULL)
        return err_set(err, ERR_MEMORY, "no memory to tokenise %zu bytes", len);
    if (tokenizer->adds_space_prefix && after_special) {
        memcpy(escaped, SPACE, SPACE_LEN);
        size = SPACE_LEN;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ' ') {
            memcpy(escaped + size, SPACE, SPACE_LEN);
            size += SPACE_LEN;
        } else {
            escaped[size++] = text[i];
        }
    }
    encode_escaped(tokenizer, escaped, size, list);
    free(escaped);
    return true;
}
