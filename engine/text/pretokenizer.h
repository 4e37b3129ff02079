// engine/text/pretokenizer.h
// SPDX-License-Identifier: MIT
//
// Cutting text into words before byte pair encoding: merges never cross a word.
//
// Each family of models publishes a list of expressions. The first cuts the text into its
// matches and what lies between them, the next cuts each of those pieces again, and so
// on. The expressions do not see the text itself but one byte per character: ASCII as it
// is, any other character as the class of its Unicode category (PRETOKEN_* below). So
// they are plain byte expressions, need no Unicode tables of PCRE2 and cannot meet
// invalid UTF-8.
//
// Files: pretokenizer.c the cutting, pretokenizer_table.c families and expressions.
#ifndef ORIEL_ENGINE_TEXT_PRETOKENIZER_H
#define ORIEL_ENGINE_TEXT_PRETOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PRETOKEN_RULES_MAX 8

// What a character above ASCII is to an expression.
enum pretoken_class {
    PRETOKEN_SPACE = 0x0b, // vertical tab: the one that \s knows and no expression names
    PRETOKEN_OTHER = 0xd0,
    PRETOKEN_NUMBER = 0xd1,
    PRETOKEN_LETTER = 0xd2,
    PRETOKEN_PUNCTUATION = 0xd3,
    PRETOKEN_MARK = 0xd4,
    PRETOKEN_SYMBOL = 0xd5,
    PRETOKEN_MEMBER = 0xe0, // of the rule's own set of characters
};

#define PRETOKEN_DIGIT_GROUPS "" // groups of three, counted from the right

struct pretoken_rule {
    const char *pattern;
    const char *members; // characters and ranges "a-b" above ASCII in UTF-8, or NULL
};

struct pretoken_family {
    const char *names; // as in tokenizer.ggml.pre, each followed by a space
    bool whole_words;  // a word that is a token is that token, whatever the merges say
    bool adds_bos;     // unless the file says otherwise
    struct pretoken_rule rules[PRETOKEN_RULES_MAX]; // up to the first without a pattern
};

// NULL: no such family.
const struct pretoken_family *pretoken_family_find(const char *name, size_t len);

struct pretokenizer; // immutable: safe to share between threads

// name is untrusted. Fails with ERR_UNSUPPORTED.
struct pretokenizer *pretokenizer_create(const char *name, size_t len, struct err *err);
void pretokenizer_destroy(struct pretokenizer **pretokenizer);
const struct pretoken_family *
pretokenizer_family(const struct pretokenizer *pretokenizer);

// Text cut into words. bytes is the text in well-formed UTF-8 (surrogates may remain):
// what cannot be decoded has become U+FFFD and overlong forms the character they encode.
struct pretokens {
    char *bytes;
    size_t len;
    uint8_t *starts; // [characters + 1]: 1 where a word begins, and at the end
    size_t characters;
    size_t next_byte, next_character; // where pretokens_next goes on
};

// Fails with ERR_MEMORY, or ERR_LIMIT when matching takes too many steps. Release in any
// case.
bool pretokens_init(struct pretokens *words, const struct pretokenizer *pretokenizer,
                    const char *text, size_t len, struct err *err);
bool pretokens_next(struct pretokens *words, const char **word, size_t *len);
void pretokens_release(struct pretokens *words);

#endif
