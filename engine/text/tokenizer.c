// engine/text/tokenizer.c
// SPDX-License-Identifier: MIT
//
// Creation, the way of a text through special tokens to one of the two encoders, and
// back.
#include "engine/text/tokenizer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/text/tokenizer_private.h"

// ---- Creation ----

static bool is_model(const struct tokenizer_params *params, const char *name)
{
    return params->model.len == strlen(name) &&
           memcmp(params->model.bytes, name, params->model.len) == 0;
}

static bool check_id(uint32_t id, const char *name, size_t count, struct err *err)
{
    return id == TOKEN_NONE || id < count ||
           err_set(err, ERR_FORMAT, "the %s token %u is not among the %zu tokens", name,
                   id, count);
}

static bool check_params(const struct tokenizer_params *params, struct err *err)
{
    size_t count = params->token_count;

    if (!is_model(params, "gpt2") && !is_model(params, "llama"))
        return err_set(err, ERR_UNSUPPORTED, "unknown tokenizer model \"%.*s\"",
                       (int)(params->model.len < 64 ? params->model.len : 64),
                       params->model.len > 0 ? params->model.bytes : "");
    if (count == 0)
        return err_set(err, ERR_FORMAT, "the vocabulary is empty");
    if (count > TOKENIZER_COUNT_MAX)
        return err_set(err, ERR_LIMIT, "%zu tokens are more than %zu", count,
                       TOKENIZER_COUNT_MAX);
    return check_id(params->bos, "begin", count, err) &&
           check_id(params->eos, "end", count, err) &&
           check_id(params->eot, "end-of-turn", count, err) &&
           check_id(params->eom, "end-of-message", count, err) &&
           check_id(params->unknown, "unknown", count, err) &&
           check_id(params->padding, "padding", count, err);
}

static bool copy_tokens(struct tokenizer *tokenizer,
                        const struct tokenizer_params *params, struct err *err)
{
    size_t count = params->token_count, bytes = 0;

    for (size_t i = 0; i < count; i++) {
        bytes += params->tokens[i].len;
        if (params->tokens[i].len > TOKENIZER_TOKEN_MAX || bytes > TOKENIZER_BYTES_MAX)
            return err_set(err, ERR_LIMIT, "token %zu is too long (%zu bytes)", i,
                           params->tokens[i].len);
    }
    tokenizer->size = count;
    tokenizer->types = try_array(count, 1);
    tokenizer->flags = try_array(count, 1);
    if (tokenizer->types == NULL || tokenizer->flags == NULL)
        return err_set(err, ERR_MEMORY, "no memory for %zu tokens", count);
    memset(tokenizer->types, TOKEN_NORMAL, count);
    if (params->types != NULL)
        memcpy(tokenizer->types, params->types, count);
    if (!token_table_init(&tokenizer->table, count, bytes, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!token_table_add(&tokenizer->table, params->tokens[i].bytes,
                             params->tokens[i].len, err))
            return false;
    }
    return true;
}

static uint32_t given_or(uint32_t id, uint32_t usual, size_t count)
{
    if (id != TOKEN_NONE)
        return id;
    return usual < count ? usual : TOKEN_NONE;
}

static void set_ids(struct tokenizer *tokenizer, const struct tokenizer_params *params)
{
    bool spm = is_model(params, "llama"); // which has usual ids

    tokenizer->unknown = given_or(params->unknown, spm ? 0 : TOKEN_NONE, tokenizer->size);
    tokenizer->bos = given_or(params->bos, spm ? 1 : TOKEN_NONE, tokenizer->size);
    tokenizer->eos = given_or(params->eos, spm ? 2 : TOKEN_NONE, tokenizer->size);
}

struct tokenizer *tokenizer_create(const struct tokenizer_params *params, struct err *err)
{
    struct tokenizer *tokenizer;
    bool ok;

    if (!check_params(params, err))
        return NULL;
    tokenizer = alloc_zero(sizeof(*tokenizer));
    ok = copy_tokens(tokenizer, params, err);
    if (ok) {
        set_ids(tokenizer, params);
        ok = is_model(params, "llama") ? spm_create(tokenizer, params, err)
                                       : bpe_create(tokenizer, params, err);
    }
    if (!ok) {
        tokenizer_destroy(&tokenizer);
        return NULL;
    }
    if (params->add_bos >= 0)
        tokenizer->adds_bos = params->add_bos != 0;
    tokenizer->adds_eos = params->add_eos == 1;
    tokenizer_apply_rules(tokenizer, params);
    special_create(tokenizer);
    return tokenizer;
}

void tokenizer_destroy(struct tokenizer **tokenizer)
{
    struct tokenizer *t = *tokenizer;

    if (t == NULL)
        return;
    token_table_release(&t->table);
    special_release(&t->special);
    pretokenizer_destroy(&t->pretokenizer);
    free(t->types);
    free(t->flags);
    free(t->merges);
    free(t->scores);
    free(t);
    *tokenizer = NULL;
}

void token_list_push(struct token_list *list, uint32_t id)
{
    list->ids = alloc_grow(list->ids, list->count, &list->cap, sizeof(*list->ids));
    list->ids[list->count++] = id;
}

void token_list_release(struct token_list *list)
{
    free(list->ids);
    *list = (struct token_list){ .ids = NULL };
}

// ---- Encoding ----

// The pieces joined, and where they may be trusted.
struct joined {
    char *text;
    size_t len;
    size_t *trusted; // pairs of offsets
    size_t trusted_count, trusted_cap;
};

static void add_trusted(struct joined *joined, size_t start, size_t end)
{
    size_t n = joined->trusted_count;

    if (n > 0 && joined->trusted[2 * n - 1] == start) {
        joined->trusted[2 * n - 1] = end;
        return;
    }
    joined->trusted = alloc_grow(joined->trusted, n, &joined->trusted_cap,
                                 2 * sizeof(*joined->trusted));
    joined->trusted[2 * n] = start;
    joined->trusted[2 * n + 1] = end;
    joined->trusted_count++;
}

static bool join_pieces(struct joined *joined, const struct text_piece *pieces,
                        size_t count, struct err *err)
{
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > TOKENIZER_TEXT_MAX - total)
            return err_set(err, ERR_LIMIT, "the text is longer than %zu MiB",
                           TOKENIZER_TEXT_MAX >> 20);
        total += pieces[i].len;
    }
    joined->text = try_array(total, 1);
    if (joined->text == NULL)
        return err_set(err, ERR_MEMORY, "no memory to tokenise %zu bytes", total);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len == 0)
            continue;
        memcpy(joined->text + joined->len, pieces[i].text, pieces[i].len);
        if (pieces[i].special)
            add_trusted(joined, joined->len, joined->len + pieces[i].len);
        joined->len += pieces[i].len;
    }
    return true;
}

static bool encode_text(const struct tokenizer *tokenizer, const char *text, size_t len,
                        bool after_special, struct token_list *list, struct err *err)
{
    if (len == 0)
        return true;
    if (tokenizer->pretokenizer != NULL)
        return bpe_encode(tokenizer, text, len, list, err);
    return spm_encode(tokenizer, text, len, after_special, list, err);
}

static bool encode_between(const struct tokenizer *tokenizer, const struct joined *joined,
                           const struct special_hit *hits, size_t hit_count,
                           struct token_list *list, struct err *err)
{
    bool after_special = true;
    size_t at = 0;

    for (size_t i = 0; i < hit_count; i++) {
        uint32_t id = hits[i].id;

        if (hits[i].at > at && !encode_text(tokenizer, joined->text + at, hits[i].at - at,
                                            after_special, list, err))
            return false;
        token_list_push(list, id);
        after_special = true;
        at = hits[i].at + token_table_text(&tokenizer->table, id).len;
        while ((tokenizer->flags[id] & TOKEN_STRIPS) && at < joined->len &&
               isspace((unsigned char)joined->text[at]))
            at++;
    }
    return encode_text(tokenizer, joined->text + at, joined->len - at, after_special,
                       list, err);
}

bool tokenizer_encode(const struct tokenizer *tokenizer, const struct text_piece *pieces,
                      size_t piece_count, bool add_bos, struct token_list *list,
                      struct err *err)
{
    struct joined joined = { .text = NULL };
    struct special_hit *hits = NULL;
    size_t hit_count = 0, before = list->count;
    bool ok = join_pieces(&joined, pieces, piece_count, err);

    if (ok) {
        hits = special_find(tokenizer, joined.text, joined.len, joined.trusted,
                            joined.trusted_count, &hit_count);
        if (add_bos && tokenizer->adds_bos && tokenizer->bos != TOKEN_NONE &&
            !(hit_count > 0 && hits[0].at == 0 && hits[0].id == tokenizer->bos))
            token_list_push(list, tokenizer->bos);
        ok = encode_between(tokenizer, &joined, hits, hit_count, list, err);
    }
    if (ok && add_bos && tokenizer->adds_eos && tokenizer->eos != TOKEN_NONE)
        token_list_push(list, tokenizer->eos);
    if (!ok)
        list->count = before;
    free(hits);
    free(joined.text);
    free(joined.trusted);
    return ok;
}

// ---- Decoding ----

void tokenizer_token_bytes(const struct tokenizer *tokenizer, uint32_t id,
                           bool show_special, struct str *out)
{
    struct token_text stored = token_table_text(&tokenizer->table, id);
    uint8_t flags = tokenizer->flags[id];
    int byte;

    if ((flags & TOKEN_IS_CONTROL) && !show_special)
        return;
    if (flags & (TOKEN_IS_CONTROL | TOKEN_IS_USER)) {
        str_append_n(out, stored.bytes, stored.len);
        return;
    }
    switch (tokenizer->types[id]) {
    case TOKEN_NORMAL:
        if (tokenizer->pretokenizer != NULL)
            bpe_token_bytes(stored, out);
        else
            spm_token_bytes(stored, out);
        break;
    case TOKEN_BYTE:
        byte = spm_byte_value(stored);
        if (byte >= 0)
            str_append_char(out, (char)byte);
        break;
    default: // unused: nothing, as the peer does
        break;
    }
}

void tokenizer_decode(const struct tokenizer *tokenizer, const uint32_t *ids,
                      size_t count, bool show_special, struct str *out)
{
    struct str first;

    for (size_t i = 0; i < count; i++) {
        bool is_first = i == 0 || (i == 1 && ids[0] == tokenizer->bos);

        if (!is_first || !tokenizer->adds_space_prefix || ids[i] == tokenizer->bos) {
            tokenizer_token_bytes(tokenizer, ids[i], show_special, out);
            continue;
        }
        str_init(&first, 0);
        tokenizer_token_bytes(tokenizer, ids[i], show_special, &first);
        if (first.len > 0)
            str_append_n(out, first.data + (first.data[0] == ' '),
                         first.len - (first.data[0] == ' '));
        str_release(&first);
    }
}

// ---- Asking ----

size_t tokenizer_size(const struct tokenizer *tokenizer)
{
    return tokenizer->size;
}

enum token_type tokenizer_type(const struct tokenizer *tokenizer, uint32_t id)
{
    if (tokenizer->types[id] == TOKEN_UNKNOWN)
        return TOKEN_UNKNOWN;
    if (tokenizer->flags[id] & TOKEN_IS_CONTROL)
        return TOKEN_CONTROL;
    if (tokenizer->flags[id] & TOKEN_IS_USER)
        return TOKEN_USER_DEFINED;
    return tokenizer->types[id];
}

uint32_t tokenizer_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->bos;
}

uint32_t tokenizer_eos(const struct tokenizer *tokenizer)
{
    return tokenizer->eos;
}

bool tokenizer_adds_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->adds_bos;
}

bool tokenizer_ends_generation(const struct tokenizer *tokenizer, uint32_t id)
{
    return (tokenizer->flags[id] & TOKEN_ENDS) != 0;
}

uint32_t tokenizer_find(const struct tokenizer *tokenizer, const char *text, size_t len)
{
    uint32_t id = token_table_find(&tokenizer->table, text, len);

    return id < tokenizer->size ? id : TOKEN_NONE;
}
