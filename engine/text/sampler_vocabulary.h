// engine/text/sampler_vocabulary.h
// SPDX-License-Identifier: MIT
//
// The bytes of every token, sorted and as a prefix tree, for whoever must look at the
// whole vocabulary at once: constrained output and the sequence breakers of DRY. Built
// once for a tokenizer; immutable, safe to share between threads.
#ifndef ORIEL_ENGINE_TEXT_SAMPLER_VOCABULARY_H
#define ORIEL_ENGINE_TEXT_SAMPLER_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/text/tokenizer.h"

// Node i of the tree, in preorder. Its own tokens (those whose bytes end here) are
// sorted[first] to sorted[next node's first - 1], its subtree is nodes i to skip - 1.
struct vocabulary_node {
    uint32_t first;
    uint32_t skip;
    uint16_t depth; // 1 for a first byte
    uint8_t byte;
};

struct vocabulary {
    size_t size;           // tokens in all
    char *bytes;           // of all tokens
    size_t *ends;          // [size]: where each token's bytes end within bytes
    bool *ends_generation; // [size]
    uint32_t *sorted;      // tokens that have bytes, by their bytes
    size_t sorted_count;
    struct vocabulary_node *nodes; // [node_count], and one more that closes the last
    size_t node_count;
    size_t deepest;
};

// texts[count]: the bytes of each token, none for tokens that are not text (control
// tokens). ends_generation[count]. Everything is copied. Tokens longer than 4096 bytes
// count as having none.
struct vocabulary *vocabulary_create(const struct token_text *texts,
                                     const bool *ends_generation, size_t count);
struct vocabulary *vocabulary_of_tokenizer(const struct tokenizer *tokenizer);
void vocabulary_destroy(struct vocabulary **vocabulary);

struct token_text vocabulary_text(const struct vocabulary *vocabulary, uint32_t token);

#endif
