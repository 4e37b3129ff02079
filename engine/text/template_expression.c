// engine/text/template_expression.c
// SPDX-License-Identifier: MIT
//
// The expression half of the parser: recursive descent, loosest operator first, in the
// order that Jinja2 documents. Chains of one operator are loops, everything that nests
// passes template_enter().
#include "engine/text/template_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void template_refuse(struct parser *p, enum err_code code, const char *format, ...)
{
    const char *source = p->template->source, *start = p->token->bytes;
    char what[256];
    va_list args;

    if (p->failed)
        return;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    while (start > source && start[-1] != '\n')
        start--;
    err_set(p->err, code, "template line %u, column %td: %s", p->token->line,
            p->token->bytes - start + 1, what);
    p->failed = true;
    p->token = p->last;
}

void template_refuse_memory(struct parser *p)
{
    template_refuse(p, ERR_LIMIT, "the template needs more than %zu MiB to parse",
                    TEMPLATE_MAX_SYNTAX >> 20);
}

struct node *template_node(struct parser *p, enum node_kind kind)
{
    struct node *node = arena_alloc(&p->template->arena, 1, sizeof(*node));

    if (node == NULL) {
        template_refuse_memory(p);
        node = &p->spare;
        memset(node, 0, sizeof(*node));
    }
    node->kind = kind;
    node->line = p->token->line;
    return node;
}

const struct text *template_text_of(struct parser *p, const char *bytes, size_t len)
{
    struct text *text = arena_alloc(&p->template->arena, 1, sizeof(*text));

    if (text == NULL) {
        template_refuse_memory(p);
        return &template_empty_text;
    }
    *text = (struct text){ .bytes = bytes, .len = len };
    return text;
}

const struct text *template_name(struct parser *p, const struct token *token)
{
    return template_text_of(p, token->bytes, token->len);
}

void template_advance(struct parser *p)
{
    if (p->token < p->last)
        p->token++;
}

const struct text *template_take_name(struct parser *p)
{
    const struct text *name = template_name(p, p->token);

    template_advance(p);
    return name;
}

bool template_enter(struct parser *p)
{
    if (++p->depth > TEMPLATE_MAX_DEPTH)
        template_refuse(p, ERR_LIMIT, "nested deeper than %d", TEMPLATE_MAX_DEPTH);
    return !p->failed;
}

void template_leave(struct parser *p)
{
    p->depth--;
}

static bool is_word(const struct token *token, const char *word)
{
    return (token->kind == T_NAME || token->kind == T_OPERATOR) &&
           token->len == strlen(word) && memcmp(token->bytes, word, token->len) == 0;
}

bool template_at(const struct parser *p, const char *word)
{
    return is_word(p->token, word);
}

bool template_skip(struct parser *p, const char *word)
{
    if (!template_at(p, word))
        return false;
    template_advance(p);
    return true;
}

void template_expect(struct parser *p, const char *word)
{
    if (!template_skip(p, word))
        template_refuse(p, ERR_FORMAT, "expected '%s'", word);
}

static struct node *unary_node(struct parser *p, enum node_kind kind, struct node *first)
{
    struct node *node = template_node(p, kind);

    node->first = first;
    return node;
}

static struct node *binary_node(struct parser *p, enum node_kind kind, struct node *first,
                                struct node *second)
{
    struct node *node = unary_node(p, kind, first);

    node->second = second;
    return node;
}

// What separates the elements of a list of nodes while it grows.
static struct node **append(struct node **tail, struct node *node)
{
    *tail = node;
    return &node->next;
}

//------------------------------------------------------------------ primaries

static struct node *parse_name(struct parser *p)
{
    static const struct {
        const char *word;
        enum value_kind kind;
        bool boolean;
    } words[] = {
        { "true", VALUE_BOOL, true },   { "True", VALUE_BOOL, true },
        { "false", VALUE_BOOL, false }, { "False", VALUE_BOOL, false },
        { "none", VALUE_NONE, false },  { "None", VALUE_NONE, false },
    };
    struct node *node = template_node(p, NODE_NAME);

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (template_at(p, words[i].word)) {
            node->kind = NODE_LITERAL;
            node->literal =
                words[i].kind == VALUE_NONE ? value_none() : value_bool(words[i].boolean);
        }
    }
    node->name = template_take_name(p);
    return node;
}

// Items up to `close`, which is taken.
static struct node *parse_items(struct parser *p, const char *close)
{
    struct node *items = NULL, **tail = &items;

    while (!p->failed && !template_at(p, close)) {
        tail = append(tail, template_parse_expression(p));
        if (!template_skip(p, ","))
            break;
    }
    template_expect(p, close);
    return items;
}

static struct node *parse_dict(struct parser *p)
{
    struct node *node = template_node(p, NODE_DICT), **tail = &node->first;

    template_expect(p, "{");
    while (!p->failed && !template_at(p, "}")) {
        struct node *pair = template_node(p, NODE_PAIR);

        pair->first = template_parse_expression(p);
        template_expect(p, ":");
        pair->second = template_parse_expression(p);
        tail = append(tail, pair);
        if (!template_skip(p, ","))
            break;
    }
    template_expect(p, "}");
    return node;
}

static struct node *parse_parentheses(struct parser *p)
{
    struct node *node;

    template_expect(p, "(");
    if (template_skip(p, ")"))
        return template_node(p, NODE_TUPLE);
    node = template_parse_tuple(p);
    template_expect(p, ")");
    return node;
}

static struct node *parse_primary(struct parser *p)
{
    switch (p->token->kind) {
    case T_NAME:
        return parse_name(p);
    case T_STRING:
        return template_parse_string(p);
    case T_INTEGER:
    case T_REAL:
        return template_parse_number(p);
    default:
        break;
    }
    if (template_at(p, "("))
        return parse_parentheses(p);
    if (template_at(p, "{"))
        return parse_dict(p);
    if (template_skip(p, "["))
        return unary_node(p, NODE_LIST, parse_items(p, "]"));
    template_refuse(p, ERR_FORMAT, "expected an expression");
    return &p->spare;
}

//------------------------------------------------------------------ postfix

static struct node *parse_arguments(struct parser *p)
{
    struct node *arguments = NULL, **tail = &arguments;
    bool keywords = false;

    template_expect(p, "(");
    while (!p->failed && !template_at(p, ")")) {
        struct node *node;

        if (template_at(p, "*") || template_at(p, "**"))
            template_refuse(p, ERR_UNSUPPORTED, "unpacking of arguments (* and **)");
        if (p->token->kind == T_NAME && is_word(p->token + 1, "=")) {
            node = template_node(p, NODE_KEYWORD);
            node->name = template_name(p, p->token);
            template_advance(p);
            template_advance(p);
            node->first = template_parse_expression(p);
            keywords = true;
        } else {
            node = template_parse_expression(p);
            if (keywords)
                template_refuse(p, ERR_FORMAT,
                                "a positional argument behind a named one");
        }
        tail = append(tail, node);
        if (!template_skip(p, ","))
            break;
    }
    template_expect(p, ")");
    return arguments;
}

static bool at_slice_end(const struct parser *p)
{
    return p->token->kind == T_END || template_at(p, "]") || template_at(p, ",") ||
           template_at(p, ":");
}

static struct node *parse_subscript(struct parser *p)
{
    struct node *start = at_slice_end(p) ? NULL : template_parse_expression(p);
    struct node *slice;

    if (!template_skip(p, ":"))
        return start;
    slice = binary_node(p, NODE_SLICE, start, NULL);
    if (!at_slice_end(p))
        slice->second = template_parse_expression(p);
    if (template_skip(p, ":") && !at_slice_end(p))
        slice->third = template_parse_expression(p);
    return slice;
}

static struct node *parse_item(struct parser *p, struct node *object)
{
    struct node *node = binary_node(p, NODE_ITEM, object, NULL);

    if (template_at(p, "]"))
        template_refuse(p, ERR_FORMAT, "expected an index");
    node->second = parse_subscript(p);
    if (template_at(p, ","))
        template_refuse(p, ERR_UNSUPPORTED, "an index of several values");
    template_expect(p, "]");
    return node;
}

static struct node *parse_attribute(struct parser *p, struct node *object)
{
    struct node *node = unary_node(p, NODE_ATTRIBUTE, object);

    if (p->token->kind == T_INTEGER) {
        node->kind = NODE_ITEM;
        node->second = template_parse_number(p);
    } else if (p->token->kind == T_NAME) {
        node->name = template_take_name(p);
    } else {
        template_refuse(p, ERR_FORMAT, "expected a name behind '.'");
    }
    return node;
}

static struct node *parse_postfix(struct parser *p, struct node *node)
{
    while (!p->failed) {
        if (template_skip(p, "."))
            node = parse_attribute(p, node);
        else if (template_skip(p, "["))
            node = parse_item(p, node);
        else if (template_at(p, "("))
            node = binary_node(p, NODE_CALL, node, parse_arguments(p));
        else
            break;
    }
    return node;
}

// The name of a filter or test, and what it stands for; inside of an if it may be
// unknown.
static void parse_builtin(struct parser *p, struct node *node, const char *what,
                          const struct builtin *(*find)(const char *, size_t))
{
    if (p->token->kind != T_NAME) {
        template_refuse(p, ERR_FORMAT, "expected the name of a %s", what);
        return;
    }
    node->name = template_name(p, p->token);
    node->builtin = find(node->name->bytes, node->name->len);
    if (node->builtin == NULL && p->choices == 0)
        template_refuse(p, ERR_UNSUPPORTED, "the %s '%.*s' is not known here", what,
                        (int)node->name->len, node->name->bytes);
    else
        template_advance(p);
}

static struct node *parse_filter(struct parser *p, struct node *subject)
{
    struct node *node = unary_node(p, NODE_FILTER, subject);

    parse_builtin(p, node, "filter", template_find_filter);
    if (template_at(p, "("))
        node->second = parse_arguments(p);
    return node;
}

// `block`: the first filter comes without a `|`.
struct node *template_parse_filters(struct parser *p, struct node *subject, bool block)
{
    struct node *node = subject;

    if (block)
        node = parse_filter(p, node);
    while (!p->failed && template_skip(p, "|"))
        node = parse_filter(p, node);
    return node;
}

static bool at_test_argument(const struct parser *p)
{
    switch (p->token->kind) {
    case T_STRING:
    case T_INTEGER:
    case T_REAL:
        return true;
    case T_NAME:
        return !template_at(p, "else") && !template_at(p, "or") && !template_at(p, "and");
    default:
        return template_at(p, "[") || template_at(p, "{");
    }
}

static struct node *parse_test(struct parser *p, struct node *subject)
{
    bool negated = template_skip(p, "not");
    struct node *node = unary_node(p, NODE_TEST, subject);

    parse_builtin(p, node, "test", template_find_test);
    if (template_at(p, "(")) {
        node->second = parse_arguments(p);
    } else if (at_test_argument(p)) {
        if (template_at(p, "is"))
            template_refuse(p, ERR_FORMAT, "tests cannot be chained with 'is'");
        node->second = parse_postfix(p, parse_primary(p));
    }
    return negated ? unary_node(p, NODE_NOT, node) : node;
}

// Filters, tests and calls of their results.
static struct node *parse_suffix(struct parser *p, struct node *node)
{
    while (!p->failed) {
        if (template_skip(p, "|"))
            node = parse_filter(p, node);
        else if (template_skip(p, "is"))
            node = parse_test(p, node);
        else if (template_at(p, "("))
            node = binary_node(p, NODE_CALL, node, parse_arguments(p));
        else
            break;
    }
    return node;
}

//------------------------------------------------------------------ operators

static struct node *parse_sign(struct parser *p, bool with_suffix)
{
    enum node_kind kind = template_at(p, "-") ? NODE_NEGATE : NODE_POSITIVE;
    struct node *node;

    if (template_skip(p, "-") || template_skip(p, "+")) {
        if (!template_enter(p))
            return &p->spare;
        node = unary_node(p, kind, parse_sign(p, false));
        template_leave(p);
    } else {
        node = parse_primary(p);
    }
    node = parse_postfix(p, node);
    return with_suffix ? parse_suffix(p, node) : node;
}

struct node *template_parse_unary(struct parser *p)
{
    return parse_sign(p, true);
}

static enum operator_kind operator_at(const struct parser *p, const char *words)
{
    static const struct {
        const char *word;
        enum operator_kind op;
    } operators[] = {
        { "+", OP_ADD },
        { "-", OP_SUBTRACT },
        { "*", OP_MULTIPLY },
        { "/", OP_DIVIDE },
        { "//", OP_FLOOR_DIVIDE },
        { "%", OP_MODULO },
        { "**", OP_POWER },
        { "==", OP_EQUAL },
        { "!=", OP_NOT_EQUAL },
        { "<", OP_LESS },
        { "<=", OP_LESS_EQUAL },
        { ">", OP_GREATER },
        { ">=", OP_GREATER_EQUAL },
        { "in", OP_IN },
    };

    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        const char *word = operators[i].word, *found = strstr(words, word);
        size_t len = strlen(word);

        if (found != NULL && found[len] == ' ' && template_at(p, word))
            return operators[i].op;
    }
    return OP_NONE;
}

// Each level: a list of its operators, each with a space behind it, and the tighter
// level.
static struct node *parse_level(struct parser *p, const char *words,
                                struct node *(*tighter)(struct parser *))
{
    struct node *node = tighter(p);
    enum operator_kind op;

    while (!p->failed && (op = operator_at(p, words)) != OP_NONE) {
        template_advance(p);
        node = binary_node(p, NODE_BINARY, node, NULL);
        node->op = op;
        node->second = tighter(p);
    }
    return node;
}

static struct node *parse_power(struct parser *p)
{
    return parse_level(p, "** ", template_parse_unary);
}

static struct node *parse_product(struct parser *p)
{
    return parse_level(p, " * / // % ", parse_power);
}

static struct node *parse_concat(struct parser *p)
{
    struct node *node = parse_product(p), **tail = &node->next;

    if (!template_at(p, "~"))
        return node;
    node = unary_node(p, NODE_CONCAT, node);
    while (!p->failed && template_skip(p, "~"))
        tail = append(tail, parse_product(p));
    return node;
}

static struct node *parse_sum(struct parser *p)
{
    return parse_level(p, "+ - ", parse_concat);
}

static struct node *parse_comparison(struct parser *p)
{
    struct node *left = parse_sum(p), *operands = NULL, **tail = &operands;

    while (!p->failed) {
        enum operator_kind op = operator_at(p, "== != < <= > >= in ");
        struct node *operand;

        if (op == OP_NONE && template_at(p, "not") && is_word(p->token + 1, "in")) {
            op = OP_NOT_IN;
            template_advance(p);
        }
        if (op == OP_NONE)
            break;
        template_advance(p);
        operand = template_node(p, NODE_COMPARE_TO);
        operand->op = op;
        operand->first = parse_sum(p);
        tail = append(tail, operand);
    }
    return operands == NULL ? left : binary_node(p, NODE_COMPARE, left, operands);
}

static struct node *parse_not(struct parser *p)
{
    struct node *node;

    if (!template_skip(p, "not"))
        return parse_comparison(p);
    if (!template_enter(p))
        return &p->spare;
    node = unary_node(p, NODE_NOT, parse_not(p));
    template_leave(p);
    return node;
}

static struct node *parse_and(struct parser *p)
{
    struct node *node = parse_not(p);

    while (!p->failed && template_skip(p, "and"))
        node = binary_node(p, NODE_AND, node, parse_not(p));
    return node;
}

struct node *template_parse_or(struct parser *p)
{
    struct node *node = parse_and(p);

    while (!p->failed && template_skip(p, "or"))
        node = binary_node(p, NODE_OR, node, parse_and(p));
    return node;
}

struct node *template_parse_expression(struct parser *p)
{
    struct node *node;

    if (!template_enter(p))
        return &p->spare;
    node = template_parse_or(p);
    while (!p->failed && template_skip(p, "if")) {
        node = binary_node(p, NODE_CONDITIONAL, template_parse_or(p), node);
        if (template_skip(p, "else"))
            node->third = template_parse_expression(p);
    }
    template_leave(p);
    return node;
}

static bool at_tuple_end(const struct parser *p)
{
    return p->token->kind == T_END || p->token->kind == T_BLOCK_END ||
           p->token->kind == T_OUTPUT_END || template_at(p, ")");
}

struct node *template_parse_tuple(struct parser *p)
{
    struct node *node = template_parse_expression(p), **tail = &node->next;

    if (!template_at(p, ","))
        return node;
    node = unary_node(p, NODE_TUPLE, node);
    while (!p->failed && template_skip(p, ",") && !at_tuple_end(p))
        tail = append(tail, template_parse_expression(p));
    return node;
}

static struct node *parse_target_item(struct parser *p, bool attributes)
{
    struct node *node;

    if (template_skip(p, "(")) {
        if (!template_enter(p))
            return &p->spare;
        node = template_parse_target(p, attributes);
        template_leave(p);
        template_expect(p, ")");
        return node;
    }
    if (p->token->kind != T_NAME) {
        template_refuse(p, ERR_FORMAT, "expected a name to assign to");
        return &p->spare;
    }
    node = parse_name(p);
    if (node->kind != NODE_NAME)
        template_refuse(p, ERR_FORMAT, "cannot assign to a constant");
    if (attributes && template_skip(p, "."))
        node = parse_attribute(p, node);
    return node;
}

// What a set or for assigns to: a name, several of them, or the attribute of a namespace.
struct node *template_parse_target(struct parser *p, bool attributes)
{
    struct node *node = parse_target_item(p, attributes), **tail = &node->next;

    if (!template_at(p, ","))
        return node;
    node = unary_node(p, NODE_TUPLE, node);
    while (!p->failed && template_skip(p, ",") &&
           (p->token->kind == T_NAME || template_at(p, "(")) && !template_at(p, "in"))
        tail = append(tail, parse_target_item(p, attributes));
    return node;
}
