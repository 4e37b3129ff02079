// engine/text/grammar_parse.c
// SPDX-License-Identifier: MIT
//
// GBNF text to a tree. Recursive descent; groups may nest GRAMMAR_MAX_DEPTH deep.
// Newlines end a rule except inside a group or after "|" and "::=", as in the peer's
// dialect. What we refuse and the peer accepts: a rule that is defined twice, and token
// elements "<...>".
#include "engine/text/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "base/utf8.h"
#include "engine/text/grammar_ast.h"

#define MAX_REPETITIONS 65536

struct reader {
    const char *text;
    size_t len, at;
    int depth;
    struct grammar_ast *ast;
    struct err *err;
};

static int peek(const struct reader *r)
{
    return r->at < r->len ? (unsigned char)r->text[r->at] : -1;
}

static bool fail(const struct reader *r, enum err_code code, const char *what)
{
    size_t line = 1, column = 1;

    for (size_t i = 0; i < r->at; i++) {
        column++;
        if (r->text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return err_set(r->err, code, "grammar, line %zu, column %zu: %s", line, column, what);
}

static void skip_space(struct reader *r, bool newlines)
{
    for (;;) {
        int c = peek(r);

        if (c == '#') {
            while (peek(r) != -1 && peek(r) != '\n' && peek(r) != '\r')
                r->at++;
        } else if (c == ' ' || c == '\t' || (newlines && (c == '\n' || c == '\r'))) {
            r->at++;
        } else {
            return;
        }
    }
}

static bool is_word(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '_';
}

static size_t word_length(const struct reader *r)
{
    size_t n = 0;

    while (r->at + n < r->len && is_word((unsigned char)r->text[r->at + n]))
        n++;
    return n;
}

static bool read_hex(struct reader *r, int digits, uint32_t *value)
{
    *value = 0;
    for (int i = 0; i < digits; i++) {
        int c = peek(r);
        uint32_t digit;

        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            digit = (uint32_t)((c | 32) - 'a' + 10);
        else
            return fail(r, ERR_FORMAT, "too few hexadecimal digits in an escape");
        *value = *value << 4 | digit;
        r->at++;
    }
    if (*value > 0x10FFFF || (*value >= 0xD800 && *value <= 0xDFFF))
        return fail(r, ERR_FORMAT, "the escape is not a character");
    return true;
}

// After the backslash.
static bool read_escape(struct reader *r, uint32_t *character)
{
    int c = peek(r);

    r->at += c != -1;
    switch (c) {
    case 'n':
        *character = '\n';
        return true;
    case 'r':
        *character = '\r';
        return true;
    case 't':
        *character = '\t';
        return true;
    case '\\':
    case '"':
    case '[':
    case ']':
        *character = (uint32_t)c;
        return true;
    case 'x':
        return read_hex(r, 2, character);
    case 'u':
        return read_hex(r, 4, character);
    case 'U':
        return read_hex(r, 8, character);
    default:
        return fail(r, ERR_FORMAT, "unknown escape");
    }
}

static bool read_character(struct reader *r, uint32_t *character)
{
    bool valid;
    size_t n;

    if (peek(r) == -1)
        return fail(r, ERR_FORMAT, "the grammar ends inside a literal or class");
    if (peek(r) == '\\') {
        r->at++;
        return read_escape(r, character);
    }
    n = utf8_decode(r->text + r->at, r->len - r->at, character, &valid);
    if (!valid)
        return fail(r, ERR_FORMAT, "not UTF-8");
    r->at += n;
    return true;
}

static bool read_literal(struct reader *r, const struct grammar_expr **expr)
{
    struct str bytes;
    bool ok = true;

    str_init(&bytes, GRAMMAR_MAX_BYTES);
    r->at++;
    while (ok && peek(r) != '"') {
        uint32_t character;

        ok = read_character(r, &character);
        if (ok)
            str_append_codepoint(&bytes, character);
    }
    if (ok) {
        r->at++;
        *expr = grammar_literal(r->ast, bytes.data, bytes.len);
    }
    str_release(&bytes);
    return ok;
}

static bool read_range(struct reader *r, struct grammar_range *range)
{
    if (!read_character(r, &range->low))
        return false;
    range->high = range->low;
    // "-" before "]" stands for itself
    if (peek(r) != '-' || (r->at + 1 < r->len && r->text[r->at + 1] == ']'))
        return true;
    r->at++;
    if (!read_character(r, &range->high))
        return false;
    if (range->high < range->low)
        return fail(r, ERR_FORMAT, "the range is the wrong way round");
    return true;
}

static bool read_class(struct reader *r, const struct grammar_expr **expr)
{
    struct grammar_range *ranges = NULL;
    size_t count = 0, cap = 0;
    bool negated, ok = true;

    r->at++;
    negated = peek(r) == '^';
    r->at += negated;
    while (ok && peek(r) != ']') {
        ranges = alloc_grow(ranges, count, &cap, sizeof(*ranges));
        ok = read_range(r, &ranges[count++]);
    }
    if (ok) {
        r->at++;
        *expr =
            count > 0 || negated ? grammar_class(r->ast, ranges, count, negated) : NULL;
        if (*expr == NULL)
            ok = fail(r, ERR_FORMAT, "an empty class matches nothing");
    }
    free(ranges);
    return ok;
}

static bool read_number(struct reader *r, uint32_t *number)
{
    if (peek(r) < '0' || peek(r) > '9')
        return fail(r, ERR_FORMAT, "a number is missing in { }");
    *number = 0;
    for (; peek(r) >= '0' && peek(r) <= '9'; r->at++) {
        *number = *number * 10 + (uint32_t)(peek(r) - '0');
        if (*number > MAX_REPETITIONS)
            return fail(r, ERR_LIMIT, "more than 65536 repetitions");
    }
    skip_space(r, false);
    return true;
}

// {m}, {m,} or {m,n}
static bool read_bounds(struct reader *r, uint32_t *min, uint32_t *max)
{
    r->at++;
    skip_space(r, false);
    if (!read_number(r, min))
        return false;
    *max = *min;
    if (peek(r) == ',') {
        r->at++;
        skip_space(r, false);
        *max = GRAMMAR_UNBOUNDED;
        if (peek(r) != '}' && !read_number(r, max))
            return false;
    }
    if (peek(r) != '}')
        return fail(r, ERR_FORMAT, "\"}\" is missing");
    if (*max < *min)
        return fail(r, ERR_FORMAT, "the repetition is the wrong way round");
    r->at++;
    return true;
}

// The * + ? { } after an element, of which there may be several.
static bool read_repetitions(struct reader *r, bool nested,
                             const struct grammar_expr **expr)
{
    for (int n = 0;; n++) {
        uint32_t min = 0, max = GRAMMAR_UNBOUNDED;
        int c;

        skip_space(r, nested);
        c = peek(r);
        if (c != '*' && c != '+' && c != '?' && c != '{')
            return true;
        if (n == GRAMMAR_MAX_DEPTH)
            return fail(r, ERR_LIMIT, "too many repetitions of one element");
        if (c == '{') {
            if (!read_bounds(r, &min, &max))
                return false;
        } else {
            min = c == '+';
            max = c == '?' ? 1 : GRAMMAR_UNBOUNDED;
            r->at++;
        }
        *expr = grammar_repeat(r->ast, *expr, min, max);
    }
}

static bool read_choice(struct reader *r, bool nested, const struct grammar_expr **expr);

static bool read_group(struct reader *r, const struct grammar_expr **expr)
{
    if (++r->depth > GRAMMAR_MAX_DEPTH)
        return fail(r, ERR_LIMIT, "nested more than 64 deep");
    r->at++;
    skip_space(r, true);
    if (!read_choice(r, true, expr))
        return false;
    if (peek(r) != ')')
        return fail(r, ERR_FORMAT, "\")\" is missing");
    r->at++;
    r->depth--;
    return true;
}

static bool read_element(struct reader *r, const struct grammar_expr **expr)
{
    static const struct grammar_range any = { 0, 0x10FFFF };
    size_t word;

    switch (peek(r)) {
    case '"':
        return read_literal(r, expr);
    case '[':
        return read_class(r, expr);
    case '(':
        return read_group(r, expr);
    case '.':
        r->at++;
        *expr = grammar_class(r->ast, &any, 1, false);
        return true;
    default:
        word = word_length(r);
        *expr = grammar_rule_ref(r->ast, grammar_ast_rule(r->ast, r->text + r->at, word));
        r->at += word;
        return true;
    }
}

static bool begins_element(int c)
{
    return is_word(c) || c == '"' || c == '[' || c == '(' || c == '.';
}

static bool read_sequence(struct reader *r, bool nested, const struct grammar_expr **expr)
{
    struct grammar_list list = { 0 };
    bool ok = true;

    while (ok && begins_element(peek(r))) {
        const struct grammar_expr *item;

        ok = read_element(r, &item) && read_repetitions(r, nested, &item);
        if (ok)
            grammar_list_push(&list, item);
    }
    *expr = grammar_sequence(r->ast, list.items, list.count);
    grammar_list_release(&list);
    return ok;
}

static bool read_choice(struct reader *r, bool nested, const struct grammar_expr **expr)
{
    struct grammar_list list = { 0 };
    bool ok, more;

    do {
        const struct grammar_expr *item;

        ok = read_sequence(r, nested, &item);
        more = ok && peek(r) == '|';
        if (ok)
            grammar_list_push(&list, item);
        if (more) {
            r->at++;
            skip_space(r, true);
        }
    } while (more);
    *expr = grammar_choice(r->ast, list.items, list.count);
    grammar_list_release(&list);
    return ok;
}

static bool read_rule(struct reader *r)
{
    const struct grammar_expr *expr;
    size_t word = word_length(r);
    uint32_t rule;

    if (word == 0)
        return fail(r, ERR_FORMAT, "the name of a rule is missing");
    rule = grammar_ast_rule(r->ast, r->text + r->at, word);
    if (!r->ast->exhausted && r->ast->rules[rule].expr != NULL)
        return fail(r, ERR_FORMAT, "this rule has been defined before");
    r->at += word;
    skip_space(r, false);
    if (r->len - r->at < 3 || memcmp(r->text + r->at, "::=", 3) != 0)
        return fail(r, ERR_FORMAT, "\"::=\" is missing");
    r->at += 3;
    skip_space(r, true);
    if (!read_choice(r, false, &expr))
        return false;
    if (peek(r) != -1 && peek(r) != '\n' && peek(r) != '\r')
        return fail(r, ERR_FORMAT, "an element or the end of the line was expected here");
    grammar_ast_define(r->ast, rule, expr);
    skip_space(r, true);
    return true;
}

bool grammar_ast_parse(struct grammar_ast *ast, const char *text, size_t len,
                       uint32_t *root, struct err *err)
{
    struct reader r = { .text = text, .len = len, .ast = ast, .err = err };

    if (len > GRAMMAR_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "grammar: larger than 1 MiB");
    *root = grammar_ast_rule(ast, "root", 4);
    skip_space(&r, true);
    while (peek(&r) != -1 && !ast->exhausted) {
        if (!read_rule(&r))
            return false;
    }
    if (ast->exhausted)
        return fail(&r, ERR_LIMIT, "too large");
    for (size_t i = 0; i < ast->rule_count; i++) {
        if (ast->rules[i].expr == NULL)
            return err_set(err, ERR_FORMAT, "grammar: rule \"%s\" is not defined",
                           ast->rules[i].name);
    }
    return true;
}

struct grammar *grammar_parse(const char *text, size_t len, struct err *err)
{
    struct grammar *grammar = NULL;
    struct grammar_ast ast;
    uint32_t root;

    grammar_ast_init(&ast);
    if (grammar_ast_parse(&ast, text, len, &root, err))
        grammar = grammar_compile(&ast, root, err);
    grammar_ast_release(&ast);
    return grammar;
}
