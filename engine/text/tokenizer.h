// engine/text/tokenizer.h
// SPDX-License-Identifier: MIT
//
// Text to token ids and back: byte-level BPE (GPT-2 and descendants) and SentencePiece
// BPE with byte fallback (llama, gemma).
//
// The vocabulary comes through plain arrays, so this room knows no file format. Control
// tokens are recognised only in pieces that the caller marks as trusted: text typed by a
// person or read from a file can never become one. User-defined tokens (runs of spaces,
// HTML tags: text, not control) are recognised in any piece, as the models were trained.
//
// The peer is llama.cpp: the same file and the same text give the same ids, with
// `special` of a piece as its parse_special, and add_bos as its add_special. Differences:
// the begin token is never there twice, the ids that it assumes for a "gpt2" file without
// begin and end tokens are not assumed, and bytes above U+10FFFF are U+FFFD where the
// peer gives up.
#ifndef ORIEL_ENGINE_TEXT_TOKENIZER_H
#define ORIEL_ENGINE_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct tokenizer; // immutable once created: safe to share between threads

// Token types as in tokenizer.ggml.token_type.
enum token_type {
    TOKEN_UNDEFINED = 0,
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6,
};

#define TOKEN_NONE UINT32_MAX

struct token_text {
    const char *bytes; // not NUL-terminated
    size_t len;
};

// What a model file says of its tokenizer. Borrowed during tokenizer_create only;
// everything that is needed later is copied. Strings are not NUL-terminated.
struct tokenizer_params {
    struct token_text model;         // tokenizer.ggml.model: "gpt2", "llama", ...
    struct token_text pre;           // tokenizer.ggml.pre: "smollm", "qwen2", ...
    const struct token_text *tokens; // [token_count]
    size_t token_count;
    const float *scores;  // [token_count] or NULL
    const uint8_t *types; // [token_count], enum token_type, or NULL: all normal
    const struct token_text *merges; // [merge_count] "left right", gpt2 only
    size_t merge_count;
    uint32_t bos, eos, eot, eom, unknown, padding; // TOKEN_NONE: not given
    int add_bos, add_eos, add_space_prefix;        // -1: not given, else 0 or 1
    bool strips_after_special; // special tokens swallow white space after them (Phi-3)
};

// Fails with ERR_UNSUPPORTED (a model or pre-tokenizer that we do not know, by name) or
// ERR_FORMAT (ids out of range, a vocabulary without byte tokens, ...).
struct tokenizer *tokenizer_create(const struct tokenizer_params *params,
                                   struct err *err);
void tokenizer_destroy(struct tokenizer **tokenizer);

struct token_list {
    uint32_t *ids;
    size_t count;
    size_t cap;
};
void token_list_push(struct token_list *list, uint32_t id);
void token_list_release(struct token_list *list);

// One piece of a prompt. Special tokens are looked for only where `special` is true.
struct text_piece {
    const char *text;
    size_t len;
    bool special;
};

// Appends the ids of the pieces to list. Adjacent pieces without a special token between
// them are tokenised as one text, as if they had been joined first. add_bos: put the
// begin token in front when the model asks for it and the pieces do not already begin
// with it (never twice), and the end token behind if the model asks for that. Any bytes
// are accepted. What is not UTF-8 becomes U+FFFD (byte-level BPE) or byte tokens
// (SentencePiece), as the peer does. ERR_LIMIT above 16 MiB. A failure leaves list as it
// was.
bool tokenizer_encode(const struct tokenizer *tokenizer, const struct text_piece *pieces,
                      size_t piece_count, bool add_bos, struct token_list *list,
                      struct err *err);

// Appends the bytes that the token stands for: for byte-level BPE the decoded bytes, for
// SentencePiece with the meta space as a space. Control tokens give nothing unless
// show_special. id < tokenizer_size. The bytes need not be whole characters.
void tokenizer_token_bytes(const struct tokenizer *tokenizer, uint32_t id,
                           bool show_special, struct str *out);

// The whole text of ids; a leading space that SentencePiece put in front is removed when
// ids is the start of a text.
void tokenizer_decode(const struct tokenizer *tokenizer, const uint32_t *ids,
                      size_t count, bool show_special, struct str *out);

size_t tokenizer_size(const struct tokenizer *tokenizer);
enum token_type tokenizer_type(const struct tokenizer *tokenizer, uint32_t id);
uint32_t tokenizer_bos(const struct tokenizer *tokenizer); // TOKEN_NONE: there is none
uint32_t tokenizer_eos(const struct tokenizer *tokenizer);
bool tokenizer_adds_bos(const struct tokenizer *tokenizer);

// Whether generation ends here: eos, eot, eom and the well-known end-of-turn tokens of
// the vocabulary (<|im_end|>, <|eot_id|>, <end_of_turn>, <|end|>, <|endoftext|> ...).
bool tokenizer_ends_generation(const struct tokenizer *tokenizer, uint32_t id);

// The id of a token by its exact stored text, or TOKEN_NONE.
uint32_t tokenizer_find(const struct tokenizer *tokenizer, const char *text, size_t len);

#endif
