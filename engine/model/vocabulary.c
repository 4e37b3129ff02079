// engine/model/vocabulary.c
// SPDX-License-Identifier: MIT
#include "engine/model/vocabulary.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define KEY(name) "tokenizer.ggml." name

// Arrays that the file does not have in the form that struct tokenizer_params asks for.
struct copies {
    struct token_text *tokens;
    struct token_text *merges;
    float *scores;
    uint8_t *types;
};

static void copies_release(struct copies *copies)
{
    free(copies->tokens);
    free(copies->merges);
    free(copies->scores);
    free(copies->types);
}

static bool read_text(const struct gguf *gguf, const char *key, struct token_text *text,
                      struct err *err)
{
    struct gguf_string string = { NULL, 0 };

    if (!gguf_get_string(gguf, key, &string, err))
        return false;
    *text = (struct token_text){ string.bytes, string.len };
    return true;
}

static bool read_texts(const struct gguf *gguf, const char *key,
                       struct token_text **texts, size_t *count, struct err *err)
{
    struct gguf_array array = { .count = 0 };

    if (!gguf_get_array(gguf, key, GGUF_STRING, &array, err))
        return false;
    *texts = try_array(array.count, sizeof(**texts));
    if (*texts == NULL)
        return err_set(err, ERR_MEMORY, "no memory for %s", key);
    for (size_t i = 0; i < array.count; i++)
        (*texts)[i] = (struct token_text){ array.strings[i].bytes, array.strings[i].len };
    *count = array.count;
    return true;
}

// An array with one element per token; *found tells whether it is there.
static bool find_per_token(const struct gguf *gguf, const char *key, enum gguf_type type,
                           size_t token_count, struct gguf_array *array, bool *found,
                           struct err *err)
{
    *found = gguf_has(gguf, key);
    if (!*found)
        return true;
    if (!gguf_get_array(gguf, key, type, array, err))
        return false;
    return array->count == token_count ||
           err_set(err, ERR_FORMAT, "%s has %llu elements for %zu tokens", key,
                   (unsigned long long)array->count, token_count);
}

static bool read_scores(const struct gguf *gguf, size_t token_count, float **scores,
                        struct err *err)
{
    struct gguf_array array;
    bool found;

    if (!find_per_token(gguf, KEY("scores"), GGUF_F32, token_count, &array, &found, err))
        return false;
    if (!found)
        return true;
    *scores = try_array(token_count, sizeof(**scores));
    if (*scores == NULL)
        return err_set(err, ERR_MEMORY, "no memory for %zu scores", token_count);
    for (size_t i = 0; i < token_count; i++)
        (*scores)[i] = (float)gguf_array_f64(&array, i);
    return true;
}

static bool read_types(const struct gguf *gguf, size_t token_count, uint8_t **types,
                       struct err *err)
{
    struct gguf_array array;
    bool found;

    if (!find_per_token(gguf, KEY("token_type"), GGUF_I32, token_count, &array, &found,
                        err))
        return false;
    if (!found)
        return true;
    *types = try_array(token_count, 1);
    if (*types == NULL)
        return err_set(err, ERR_MEMORY, "no memory for %zu token types", token_count);
    for (size_t i = 0; i < token_count; i++) {
        int64_t type = gguf_array_i64(&array, i);

        (*types)[i] = type >= 0 && type <= TOKEN_BYTE ? (uint8_t)type : TOKEN_UNDEFINED;
    }
    return true;
}

static bool read_id(const struct gguf *gguf, const char *key, uint32_t *id,
                    struct err *err)
{
    uint64_t value = TOKEN_NONE;

    if (!gguf_get_u64(gguf, key, &value, err))
        return false;
    if (value > TOKEN_NONE || (value == TOKEN_NONE && gguf_has(gguf, key)))
        return err_set(err, ERR_FORMAT, "%s is not the id of a token", key);
    *id = (uint32_t)value;
    return true;
}

static bool read_flag(const struct gguf *gguf, const char *key, int *flag,
                      struct err *err)
{
    bool value = false;

    if (!gguf_get_bool(gguf, key, &value, err))
        return false;
    *flag = gguf_has(gguf, key) ? value : -1;
    return true;
}

static bool read_settings(const struct gguf *gguf, struct tokenizer_params *params,
                          struct err *err)
{
    return read_text(gguf, KEY("model"), &params->model, err) &&
           read_text(gguf, KEY("pre"), &params->pre, err) &&
           read_id(gguf, KEY("bos_token_id"), &params->bos, err) &&
           read_id(gguf, KEY("eos_token_id"), &params->eos, err) &&
           read_id(gguf, KEY("eot_token_id"), &params->eot, err) &&
           read_id(gguf, KEY("eom_token_id"), &params->eom, err) &&
           read_id(gguf, KEY("unknown_token_id"), &params->unknown, err) &&
           read_id(gguf, KEY("padding_token_id"), &params->padding, err) &&
           read_flag(gguf, KEY("add_bos_token"), &params->add_bos, err) &&
           read_flag(gguf, KEY("add_eos_token"), &params->add_eos, err) &&
           read_flag(gguf, KEY("add_space_prefix"), &params->add_space_prefix, err);
}

static bool contains(const struct gguf_string *text, const char *part)
{
    size_t len = strlen(part);

    for (size_t at = 0; at + len <= text->len; at++) {
        size_t i = 0;

        while (i < len && tolower((unsigned char)text->bytes[at + i]) == part[i])
            i++;
        if (i == len)
            return true;
    }
    return false;
}

// No key says that Phi-3 drops the white space after its special tokens, only its name.
static bool read_strips(const struct gguf *gguf, struct tokenizer_params *params,
                        struct err *err)
{
    struct gguf_string name = { NULL, 0 };

    if (!gguf_get_string(gguf, "general.name", &name, err))
        return false;
    params->strips_after_special = contains(&name, "phi-3") || contains(&name, "phi3");
    return true;
}

struct tokenizer *vocabulary_load(const struct gguf *gguf, struct err *err)
{
    struct tokenizer_params params = { .add_bos = -1 };
    struct tokenizer *tokenizer = NULL;
    struct copies copies = { .tokens = NULL };

    if (!gguf_has(gguf, KEY("model")) || !gguf_has(gguf, KEY("tokens"))) {
        err_set(err, ERR_FORMAT, "the file has no vocabulary (tokenizer.ggml.tokens)");
        return NULL;
    }
    if (read_settings(gguf, &params, err) && read_strips(gguf, &params, err) &&
        read_texts(gguf, KEY("tokens"), &copies.tokens, &params.token_count, err) &&
        read_texts(gguf, KEY("merges"), &copies.merges, &params.merge_count, err) &&
        read_scores(gguf, params.token_count, &copies.scores, err) &&
        read_types(gguf, params.token_count, &copies.types, err)) {
        params.tokens = copies.tokens;
        params.merges = copies.merges;
        params.scores = copies.scores;
        params.types = copies.types;
        tokenizer = tokenizer_create(&params, err);
    }
    copies_release(&copies);
    return tokenizer;
}
