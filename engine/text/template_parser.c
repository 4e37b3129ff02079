// engine/text/template_parser.c
// SPDX-License-Identifier: MIT
//
// The statement half of the parser. Tags that reach for other templates (extends, block,
// include, import) do not exist here.
#include "engine/text/template_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static void expect_block_end(struct parser *p)
{
    if (p->token->kind == T_BLOCK_END)
        template_advance(p);
    else
        template_refuse(p, ERR_FORMAT, "expected the end of the tag");
}

// Whether the current tag is one of words ("else elif endif "); its T_BLOCK_BEGIN is not
// yet taken.
static bool at_tag(const struct parser *p, const char *words)
{
    const char *found = words;
    const struct token *word = p->token + 1;

    if (p->token->kind != T_BLOCK_BEGIN || word->kind != T_NAME)
        return false;
    while (*found != '\0') {
        size_t len = strcspn(found, " ");

        if (len == word->len && memcmp(found, word->bytes, len) == 0)
            return true;
        found += len + (found[len] == ' ');
    }
    return false;
}

static struct node *parse_statement(struct parser *p);

// Statements until a tag with one of `words` (NULL: until the end), which becomes current
// without its T_BLOCK_BEGIN.
static struct node *parse_body(struct parser *p, const char *words)
{
    struct node *body = NULL, **tail = &body;
    const struct token *open = p->token;

    if (!template_enter(p))
        return NULL;
    while (!p->failed && p->token->kind != T_END &&
           (words == NULL || !at_tag(p, words))) {
        struct node *node = parse_statement(p);

        *tail = node;
        tail = &node->next;
    }
    if (words != NULL && p->token->kind == T_END) {
        p->token = open;
        template_refuse(p, ERR_FORMAT, "this block has no end (%s)", words);
    }
    template_leave(p);
    if (!p->failed && words != NULL)
        template_advance(p);
    return body;
}

// A body that only `word` ends; takes that tag too.
static struct node *parse_whole_body(struct parser *p, const char *word)
{
    struct node *body;

    expect_block_end(p);
    body = parse_body(p, word);
    template_expect(p, word);
    expect_block_end(p);
    return body;
}

static struct node *parse_if(struct parser *p)
{
    struct node *first = template_node(p, NODE_IF), *node = first;

    p->choices++;
    for (;;) {
        node->first = template_parse_tuple(p);
        expect_block_end(p);
        node->second = parse_body(p, "elif else endif");
        if (!template_skip(p, "elif"))
            break;
        node->third = template_node(p, NODE_IF);
        node = node->third;
    }
    if (template_skip(p, "else"))
        node->third = parse_whole_body(p, "endif");
    else {
        template_expect(p, "endif");
        expect_block_end(p);
    }
    p->choices--;
    return first;
}

static struct node *parse_for(struct parser *p)
{
    struct node *node = template_node(p, NODE_FOR);
    struct node *source = template_node(p, NODE_LOOP_SOURCE);

    node->first = template_parse_target(p, false);
    node->second = source;
    template_expect(p, "in");
    source->first = template_parse_or(p);
    if (template_at(p, ",")) {
        struct node *tuple = template_node(p, NODE_TUPLE), **tail = &source->first->next;

        tuple->first = source->first;
        source->first = tuple;
        while (!p->failed && template_skip(p, ",")) {
            *tail = template_parse_or(p);
            tail = &(*tail)->next;
        }
    }
    if (template_skip(p, "if"))
        source->second = template_parse_expression(p);
    if (template_skip(p, "recursive"))
        node->op = OP_IN;
    expect_block_end(p);
    p->loops++;
    node->third = parse_body(p, "else endfor");
    p->loops--;
    if (template_skip(p, "else"))
        node->fourth = parse_whole_body(p, "endfor");
    else {
        template_expect(p, "endfor");
        expect_block_end(p);
    }
    return node;
}

static struct node *parse_set(struct parser *p)
{
    struct node *node = template_node(p, NODE_SET);

    node->first = template_parse_target(p, true);
    if (template_skip(p, "=")) {
        node->second = template_parse_tuple(p);
        expect_block_end(p);
        return node;
    }
    node->kind = NODE_SET_BLOCK;
    node->second = template_parse_filters(p, NULL, false);
    node->third = parse_whole_body(p, "endset");
    return node;
}

static struct node *parse_with(struct parser *p)
{
    struct node *node = template_node(p, NODE_WITH), **tail = &node->first;

    while (!p->failed && p->token->kind != T_BLOCK_END) {
        struct node *set = template_node(p, NODE_SET);

        if (node->first != NULL)
            template_expect(p, ",");
        set->first = template_parse_target(p, false);
        template_expect(p, "=");
        set->second = template_parse_expression(p);
        *tail = set;
        tail = &set->next;
    }
    node->third = parse_whole_body(p, "endwith");
    return node;
}

static struct node *parse_parameters(struct parser *p)
{
    struct node *parameters = NULL, **tail = &parameters;

    template_expect(p, "(");
    while (!p->failed && !template_at(p, ")")) {
        struct node *node = template_node(p, NODE_KEYWORD);

        if (p->token->kind != T_NAME) {
            template_refuse(p, ERR_FORMAT, "expected the name of a parameter");
            break;
        }
        node->name = template_take_name(p);
        if (template_skip(p, "="))
            node->first = template_parse_expression(p);
        *tail = node;
        tail = &node->next;
        if (!template_skip(p, ","))
            break;
    }
    template_expect(p, ")");
    return parameters;
}

// A macro is a world of its own: break and continue do not leave it.
static struct node *parse_macro_body(struct parser *p, const char *end)
{
    unsigned loops = p->loops;
    struct node *body;

    p->loops = 0;
    body = parse_whole_body(p, end);
    p->loops = loops;
    return body;
}

static struct node *parse_macro(struct parser *p)
{
    struct node *node = template_node(p, NODE_MACRO);

    if (p->token->kind != T_NAME) {
        template_refuse(p, ERR_FORMAT, "expected the name of the macro");
        return node;
    }
    node->name = template_take_name(p);
    node->first = parse_parameters(p);
    node->third = parse_macro_body(p, "endmacro");
    return node;
}

static struct node *parse_call(struct parser *p)
{
    struct node *node = template_node(p, NODE_CALL_BLOCK);
    struct node *macro = template_node(p, NODE_MACRO);
    static const struct text caller = { .bytes = "caller", .len = 6 };

    macro->name = &caller;
    if (template_at(p, "("))
        macro->first = parse_parameters(p);
    node->second = macro;
    node->first = template_parse_unary(p);
    if (node->first->kind != NODE_CALL)
        template_refuse(p, ERR_FORMAT, "expected a call");
    macro->third = parse_macro_body(p, "endcall");
    return node;
}

static struct node *parse_filter_block(struct parser *p)
{
    struct node *node = template_node(p, NODE_FILTER_BLOCK);

    node->second = template_parse_filters(p, NULL, true);
    node->third = parse_whole_body(p, "endfilter");
    return node;
}

static struct node *parse_jump(struct parser *p, enum node_kind kind)
{
    struct node *node = template_node(p, kind);

    if (p->loops == 0)
        template_refuse(p, ERR_FORMAT, "break or continue outside of a loop");
    expect_block_end(p);
    return node;
}

static struct node *parse_break(struct parser *p)
{
    return parse_jump(p, NODE_BREAK);
}

static struct node *parse_continue(struct parser *p)
{
    return parse_jump(p, NODE_CONTINUE);
}

// {% generation %} marks what the assistant says, for training: it changes nothing.
static struct node *parse_generation(struct parser *p)
{
    struct node *node = template_node(p, NODE_BLOCK);

    node->third = parse_macro_body(p, "endgeneration");
    return node;
}

static struct node *parse_tag(struct parser *p)
{
    static const struct {
        const char *name;
        struct node *(*parse)(struct parser *);
    } tags[] = {
        { "if", parse_if },
        { "for", parse_for },
        { "set", parse_set },
        { "with", parse_with },
        { "macro", parse_macro },
        { "call", parse_call },
        { "filter", parse_filter_block },
        { "break", parse_break },
        { "continue", parse_continue },
        { "generation", parse_generation },
    };

    template_advance(p); // T_BLOCK_BEGIN
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        if (template_skip(p, tags[i].name))
            return tags[i].parse(p);
    }
    if (p->token->kind == T_NAME)
        template_refuse(p, ERR_UNSUPPORTED, "the tag '%.*s' is not known here",
                        (int)p->token->len, p->token->bytes);
    else
        template_refuse(p, ERR_FORMAT, "expected the name of a tag");
    return &p->spare;
}

static struct node *parse_statement(struct parser *p)
{
    struct node *node;

    if (p->token->kind == T_DATA) {
        node = template_node(p, NODE_TEXT);
        node->literal = value_text(template_take_name(p));
        return node;
    }
    if (p->token->kind == T_BLOCK_BEGIN)
        return parse_tag(p);
    node = template_node(p, NODE_OUTPUT);
    template_advance(p); // T_OUTPUT_BEGIN
    node->first = template_parse_tuple(p);
    if (p->token->kind == T_OUTPUT_END)
        template_advance(p);
    else
        template_refuse(p, ERR_FORMAT, "expected '}}'");
    return node;
}

struct node *template_parse_document(struct parser *p)
{
    return parse_body(p, NULL);
}
