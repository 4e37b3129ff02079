// engine/text/tokenizer_private.h
// SPDX-License-Identifier: MIT
//
// What the files of the tokenizer share.
//
//     tokenizer.c          creation, joining pieces, ids back to text
//     tokenizer_table.c    token texts and their hash table
//     tokenizer_rules.c    which tokens are special, which end generation
//     tokenizer_special.c  finding special tokens in a text
//     tokenizer_merge.c    the merging that both kinds share, and its queue
//     tokenizer_bpe.c      byte-level BPE: merges by rank within words
//     tokenizer_spm.c      SentencePiece BPE: merges by score
#ifndef ORIEL_ENGINE_TEXT_TOKENIZER_PRIVATE_H
#define ORIEL_ENGINE_TEXT_TOKENIZER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/text/pretokenizer.h"
#include "engine/text/tokenizer.h"

#define TOKENIZER_TEXT_MAX  ((size_t)16 << 20)  // bytes of one text
#define TOKENIZER_COUNT_MAX ((size_t)1 << 24)   // tokens, merges
#define TOKENIZER_TOKEN_MAX 65535               // bytes of one token
#define TOKENIZER_BYTES_MAX ((size_t)256 << 20) // bytes of all tokens

// ---- Token texts ----

struct token_slot {
    uint32_t hash;
    uint32_t id; // TOKEN_NONE: free
};

// Texts by id, and ids by text. Ids at and above the vocabulary's size are texts that
// only merges speak of.
struct token_table {
    char *bytes; // all texts one after the other
    size_t bytes_cap;
    uint32_t *starts; // [count + 1] offsets into bytes
    size_t count, cap;
    struct token_slot *slots; // [slot_mask + 1], a power of two, at most half full
    size_t slot_mask;
    size_t slots_used;
    size_t longest;
};

// Fails with ERR_MEMORY. byte_count: what the texts will take.
bool token_table_init(struct token_table *table, size_t count, size_t byte_count,
                      struct err *err);
void token_table_release(struct token_table *table);

// Appends a text under the next id. Of equal texts the last one is found. An empty text
// has an id but is not found. Fails with ERR_MEMORY or ERR_LIMIT.
bool token_table_add(struct token_table *table, const char *bytes, size_t len,
                     struct err *err);
uint32_t token_table_find(const struct token_table *table, const char *bytes, size_t len);
struct token_text token_table_text(const struct token_table *table, uint32_t id);

// ---- Special tokens ----

struct trie_node {
    uint32_t child, sibling; // 0: none
    uint32_t token;          // TOKEN_NONE: no special token ends here
    uint8_t byte;
};

struct special_tokens {
    struct trie_node *nodes;
    size_t count, cap;
    uint32_t roots[256]; // 0: no special token begins with the byte
};

// Where a special token stands in a text.
struct special_hit {
    size_t at;
    uint32_t id;
};

// ---- Merging ----

// A stretch of the text, one character to begin with.
struct symbol {
    uint32_t previous, next; // TOKEN_NONE: none
    uint32_t start, len;     // in bytes; len 0: merged into another
    uint32_t id;             // TOKEN_NONE: not known, or not in the table
};

struct queue_entry {
    uint64_t key; // the least comes first
    uint32_t len;
    uint32_t id;
};

// A binary heap.
struct queue {
    struct queue_entry *entries;
    size_t count, cap;
};

void queue_push(struct queue *queue, struct queue_entry entry);
struct queue_entry queue_pop(struct queue *queue); // count > 0

// Many at once: append them all, then order.
void queue_append(struct queue *queue, struct queue_entry entry);
void queue_order(struct queue *queue);

// Memory for merging, used again from word to word.
struct merge_work {
    struct symbol *symbols;
    size_t count, cap;
    struct queue queue;
};

void merge_work_release(struct merge_work *work);
void merge_work_add(struct merge_work *work, uint32_t start, uint32_t len, uint32_t id);

// Whether two neighbours may become one; the least priority goes first, equal ones from
// left to right.
typedef bool merge_rule(const struct tokenizer *tokenizer, const char *text,
                        const struct symbol *left, const struct symbol *right,
                        uint32_t *priority, uint32_t *merged);

// Merges the work's symbols until no rule applies. What remains is the chain from symbol
// 0 along `next`. O(n log n).
void merge_symbols(const struct tokenizer *tokenizer, const char *text, merge_rule *rule,
                   struct merge_work *work);

struct merge_slot {
    uint32_t left, right; // left TOKEN_NONE: free
    uint32_t rank;
    uint32_t merged;
};

// ---- The tokenizer ----

// What a token is besides its type.
enum token_flag {
    TOKEN_IS_CONTROL = 1, // found in trusted text only, shown only on request
    TOKEN_IS_USER = 2,    // found in any text
    TOKEN_ENDS = 4,       // of generation
    TOKEN_STRIPS = 8,     // swallows the white space after it
};

struct tokenizer {
    size_t size;
    struct token_table table;
    uint8_t *types; // [size] enum token_type
    uint8_t *flags; // [size] of enum token_flag
    struct special_tokens special;
    uint32_t bos, eos, unknown;
    bool adds_bos, adds_eos;

    // Byte-level BPE; pretokenizer is NULL for SentencePiece.
    struct pretokenizer *pretokenizer;
    bool whole_words;
    struct merge_slot *merges; // [merge_mask + 1]
    size_t merge_mask;
    uint32_t byte_ids[256];

    // SentencePiece.
    bool adds_space_prefix;
    bool cuts_at_spaces; // no token has a space after something else
    float *scores;       // [size]
    uint32_t byte_tokens[256];
};

bool bpe_create(struct tokenizer *tokenizer, const struct tokenizer_params *params,
                struct err *err);
bool bpe_encode(const struct tokenizer *tokenizer, const char *text, size_t len,
                struct token_list *list, struct err *err);
// The text of a token in its stored form, byte for byte (0x00 to 0xff).
size_t bpe_stored_byte(uint8_t byte, char stored[2]);
void bpe_token_bytes(struct token_text stored, struct str *out);

bool spm_create(struct tokenizer *tokenizer, const struct tokenizer_params *params,
                struct err *err);
// after_special: at the beginning of the text or after a special token.
bool spm_encode(const struct tokenizer *tokenizer, const char *text, size_t len,
                bool after_special, struct token_list *list, struct err *err);
void spm_token_bytes(struct token_text stored, struct str *out);
// The value of "<0xNN>", or -1.
int spm_byte_value(struct token_text stored);

// Sets the flags of all tokens, from the types and from well-known texts.
void tokenizer_apply_rules(struct tokenizer *tokenizer,
                           const struct tokenizer_params *params);

void special_create(struct tokenizer *tokenizer);
void special_release(struct special_tokens *special);

// Finds the special tokens of text, longer ones first wherever they overlap; control
// tokens only within the `trusted` ranges (pairs of offsets, ascending, apart). The hits
// are in the order of the text; the caller frees them.
struct special_hit *special_find(const struct tokenizer *tokenizer, const char *text,
                                 size_t len, const size_t *trusted, size_t trusted_count,
                                 size_t *hit_count);

#endif
