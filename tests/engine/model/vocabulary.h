// tests/engine/model/vocabulary.h
// SPDX-License-Identifier: MIT
//
// Small but whole vocabularies for generated models: every byte can be written, a few
// dozen merges exist, and there are control tokens for a chat.
#ifndef ORIEL_TESTS_ENGINE_MODEL_VOCABULARY_H
#define ORIEL_TESTS_ENGINE_MODEL_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VOCABULARY_TEXT 40 // bytes of the longest token or merge, with the final NUL

struct vocabulary {
    bool sentencepiece;              // else byte-level BPE with merges
    size_t size, count;              // tokens wanted, and made so far
    char (*tokens)[VOCABULARY_TEXT]; // [size]
    float *scores;                   // [size]
    int32_t *types;                  // [size], enum token_type
    char (*merges)[VOCABULARY_TEXT]; // [merge_count] "left right"
    size_t merge_count;
    uint32_t bos, eos, eot;
    const char *chat_template;
};

// Exactly `size` tokens: what is not needed becomes "<|unused_N|>". size >= 460.
void vocabulary_init(struct vocabulary *vocabulary, bool sentencepiece, size_t size);
// Turns unused tokens into control tokens of these texts (NULL-terminated), in order.
void vocabulary_add_controls(struct vocabulary *vocabulary, const char *const *texts);
void vocabulary_release(struct vocabulary *vocabulary);

#endif
