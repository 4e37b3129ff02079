// engine/text/grammar_ast.h
// SPDX-License-Identifier: MIT
//
// A context-free grammar as a tree of expressions, on its way from text (grammar_parse.c)
// or from a JSON schema (json_schema.c) to the machine that grammar_match.c runs.
//
// Expressions are immutable, may be shared, and live as long as the tree. The
// constructors cannot fail: past GRAMMAR_MAX_EXPRESSIONS they return the empty expression
// and set `exhausted`, which grammar_compile reports as ERR_LIMIT.
#ifndef ORIEL_ENGINE_TEXT_GRAMMAR_AST_H
#define ORIEL_ENGINE_TEXT_GRAMMAR_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define GRAMMAR_MAX_DEPTH       64
#define GRAMMAR_MAX_EXPRESSIONS 1000000
#define GRAMMAR_MAX_RULES       65536
#define GRAMMAR_UNBOUNDED       UINT32_MAX

// Code points low to high, both included.
struct grammar_range {
    uint32_t low, high;
};

enum grammar_kind {
    GRAMMAR_LITERAL,  // bytes, count
    GRAMMAR_CLASS,    // one character out of ranges, count
    GRAMMAR_SEQUENCE, // items, count; none: the empty text
    GRAMMAR_CHOICE,   // items, count
    GRAMMAR_REPEAT,   // items[0], min to max times
    GRAMMAR_RULE,     // another rule
};

struct grammar_expr {
    enum grammar_kind kind;
    uint32_t count;
    uint32_t rule;
    uint32_t min, max; // max GRAMMAR_UNBOUNDED: no limit
    union {
        const char *bytes;
        const struct grammar_range *ranges; // ascending, disjoint, scalar values only
        const struct grammar_expr *const *items;
    };
};

struct grammar_rule {
    const char *name;                // NULL: made by us
    const struct grammar_expr *expr; // NULL: not defined (yet)
};

struct grammar_ast {
    struct arena arena;
    struct grammar_rule *rules;
    size_t rule_count, rule_cap;
    uint32_t *names; // hash table of rule index + 1
    size_t name_cap; // a power of two, or 0
    size_t name_count;
    size_t expr_count;
    bool exhausted;
};

void grammar_ast_init(struct grammar_ast *ast);
void grammar_ast_release(struct grammar_ast *ast);

// The rule of that name, added without definition when it is new.
uint32_t grammar_ast_rule(struct grammar_ast *ast, const char *name, size_t len);
uint32_t grammar_ast_add_rule(struct grammar_ast *ast);
void grammar_ast_define(struct grammar_ast *ast, uint32_t rule,
                        const struct grammar_expr *expr);

// All of these copy what they are given.
const struct grammar_expr *grammar_literal(struct grammar_ast *ast, const char *bytes,
                                           size_t len);
const struct grammar_expr *grammar_text(struct grammar_ast *ast, const char *text);
// Ranges in any order; surrogates are taken out. An empty class matches nothing.
const struct grammar_expr *grammar_class(struct grammar_ast *ast,
                                         const struct grammar_range *ranges, size_t count,
                                         bool negated);
const struct grammar_expr *grammar_sequence(struct grammar_ast *ast,
                                            const struct grammar_expr *const *items,
                                            size_t count);
const struct grammar_expr *grammar_choice(struct grammar_ast *ast,
                                          const struct grammar_expr *const *items,
                                          size_t count);
const struct grammar_expr *grammar_repeat(struct grammar_ast *ast,
                                          const struct grammar_expr *item, uint32_t min,
                                          uint32_t max);
const struct grammar_expr *grammar_rule_ref(struct grammar_ast *ast, uint32_t rule);

// A list of expressions being collected.
struct grammar_list {
    const struct grammar_expr **items;
    size_t count, cap;
};
void grammar_list_push(struct grammar_list *list, const struct grammar_expr *expr);
void grammar_list_release(struct grammar_list *list);

// Ascending and disjoint; returns the new count. Ranges beyond U+10FFFF and surrogates
// are cut away.
size_t grammar_ranges_normalise(struct grammar_range *ranges, size_t count);
// What ranges[count] (normalised) leave out of the scalar values: at most count + 2
// ranges.
size_t grammar_ranges_invert(const struct grammar_range *ranges, size_t count,
                             struct grammar_range *inverted);

// Reads GBNF text (grammar_parse.c) into ast; *root is the rule to start from. Called by
// grammar_parse in grammar.h.
bool grammar_ast_parse(struct grammar_ast *ast, const char *text, size_t len,
                       uint32_t *root, struct err *err);

#endif
