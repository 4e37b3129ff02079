// tests/engine/text/tokenizer_fixture.h
// SPDX-License-Identifier: MIT
//
// Two vocabularies small enough to be worked out by hand, for tests and fuzzing, and one
// to compare with the peer.
#ifndef ORIEL_TESTS_ENGINE_TEXT_TOKENIZER_FIXTURE_H
#define ORIEL_TESTS_ENGINE_TEXT_TOKENIZER_FIXTURE_H

#include "engine/text/tokenizer.h"

// Ids 0 to 255 are the bytes, in order, in all of them.
enum fixture_token {
    FIXTURE_BEGIN = 256, // "<begin>", control
    FIXTURE_END,         // "<|im_end|>", control
    FIXTURE_USER,        // "<tag>", user-defined
    FIXTURE_LONG,        // "<begin><tag>", control
    FIXTURE_WORDS,       // the first of the words
};

// Byte-level; words: "ab", "abc", "bc", " a", "ef" and "the"; merges: "b c", "a b", "ab
// c",
// "\u0120 a", "e f" and "h e" "t he" (where "he" is no token).
struct tokenizer *fixture_bpe(const char *pre);

// SentencePiece; words with their scores: " " -1, "ab" -2, "bc" -1, "abc" -3, " a" -4,
// "aa" -5, "aaaa" -6.
struct tokenizer *fixture_spm(void);

// Byte-level; the words are pairs of bytes, as made_up() of
// tests/golden/tokenizer/generate.py writes them.
struct tokenizer *fixture_pairs(const char *pre);

#endif
