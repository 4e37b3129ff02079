// engine/text/grammar.h
// SPDX-License-Identifier: MIT
//
// Constrained output: which tokens may come next so that the whole text follows a
// grammar.
//
// A grammar is compiled into a recursive transition network over bytes: every rule is a
// small automaton whose edges are byte ranges or calls of other rules. Character classes
// become UTF-8 byte sequences at compile time, so a token that ends inside a character
// needs no special treatment, and only well-formed UTF-8 is ever produced.
//
// The matcher runs it like a lazy deterministic automaton: a state is a set of (place,
// stack) pairs, stacks and states are interned, and each state keeps its byte transitions
// and its token mask once they have been computed. Invariants: every place in a state can
// still be completed (rules that can produce nothing are left out at compile time),
// except where the stack would pass MATCHER_MAX_STACK.
//
// Refused: left recursion, undefined rules, grammars that match nothing.
// Files: grammar_ast (the tree), grammar_parse (GBNF), grammar_compile, grammar_match.
#ifndef ORIEL_ENGINE_TEXT_GRAMMAR_H
#define ORIEL_ENGINE_TEXT_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/text/sampler_vocabulary.h"

struct grammar; // immutable once made: safe to share between threads
struct grammar_ast;

#define GRAMMAR_MAX_BYTES ((size_t)1 << 20)

// Parses GBNF, the notation of llama.cpp's grammars: rules `name ::= ...` starting from
// `root`, "literals", [classes], ".", ( ), |, * + ? {m} {m,} {m,n}, # comments, and the
// escapes \n \r \t \\ \" \[ \] \xHH \uHHHH \UHHHHHHHH. ERR_FORMAT with line and column,
// ERR_LIMIT for nesting deeper than 64 or expansions beyond our limits.
struct grammar *grammar_parse(const char *text, size_t len, struct err *err);

// From a tree whose rules are all defined.
struct grammar *grammar_compile(const struct grammar_ast *ast, uint32_t root,
                                struct err *err);
void grammar_destroy(struct grammar **grammar);

struct grammar_matcher; // one text in progress; borrows the grammar

struct grammar_matcher *grammar_matcher_create(const struct grammar *grammar,
                                               struct err *err);
void grammar_matcher_destroy(struct grammar_matcher **matcher);

// Reads more of the text. False with ERR_NOT_FOUND when the grammar does not allow it
// (ERR_LIMIT: too ambiguous to follow); the matcher then stays where it was.
bool grammar_matcher_accept(struct grammar_matcher *matcher, const char *bytes,
                            size_t len, struct err *err);

// Whether the text may end here, and whether it must.
bool grammar_matcher_may_end(const struct grammar_matcher *matcher);
bool grammar_matcher_must_end(const struct grammar_matcher *matcher);

// One bit per token: bit id % 64 of (*mask)[id / 64] says that the token's bytes may
// follow. End-of-generation tokens are set when the text may end here. Tokens without
// bytes are never set. Valid until the matcher's next call. vocabulary must be the same
// in every call. ERR_LIMIT as above.
bool grammar_matcher_mask(struct grammar_matcher *matcher,
                          const struct vocabulary *vocabulary, const uint64_t **mask,
                          struct err *err);

#endif
