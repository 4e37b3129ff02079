// engine/text/json_schema_basic.c
// SPDX-License-Identifier: MIT
//
// The pieces that all schemas are made of, and the rules for any JSON value. White space
// is kept small on purpose: a model that may write any amount of it writes nothing else.
#include "engine/text/json_schema_private.h"

#include <stdlib.h>

const struct grammar_expr *schema_pair(struct schema_converter *c,
                                       const struct grammar_expr *first,
                                       const struct grammar_expr *second)
{
    const struct grammar_expr *items[] = { first, second };

    return grammar_sequence(c->ast, items, 2);
}

const struct grammar_expr *schema_either(struct schema_converter *c,
                                         const struct grammar_expr *first,
                                         const struct grammar_expr *second)
{
    const struct grammar_expr *items[] = { first, second };

    return grammar_choice(c->ast, items, 2);
}

const struct grammar_expr *schema_nothing(struct schema_converter *c)
{
    return grammar_class(c->ast, NULL, 0, false);
}

const struct grammar_expr *schema_literal(struct schema_converter *c, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const struct grammar_expr *expr = grammar_text(c->ast, text != NULL ? text : "");

    free(text);
    return expr;
}

const struct grammar_expr *schema_text(struct schema_converter *c, const char *bytes)
{
    return grammar_text(c->ast, bytes);
}

const struct grammar_expr *schema_space(struct schema_converter *c)
{
    return schema_basic(c, BASIC_SPACE);
}

const struct grammar_expr *schema_after_comma(struct schema_converter *c,
                                              const struct grammar_expr *expr)
{
    const struct grammar_expr *items[] = { schema_text(c, ","), schema_space(c), expr };

    return grammar_sequence(c->ast, items, 3);
}

const struct grammar_expr *schema_rule_of(struct schema_converter *c,
                                          const struct grammar_expr *expr)
{
    uint32_t rule = grammar_ast_add_rule(c->ast);

    grammar_ast_define(c->ast, rule, expr);
    return grammar_rule_ref(c->ast, rule);
}

// ---------------------------------------------------------------------------
// Any JSON value

// "open" members ", " members close, or nothing between open and close.
static const struct grammar_expr *basic_group(struct schema_converter *c,
                                              const char *open,
                                              const struct grammar_expr *member,
                                              const char *close)
{
    const struct grammar_expr *more =
        grammar_repeat(c->ast, schema_after_comma(c, member), 0, GRAMMAR_UNBOUNDED);
    const struct grammar_expr *filled[] = { member, more, schema_space(c),
                                            schema_text(c, close) };
    const struct grammar_expr *inside =
        schema_either(c, grammar_sequence(c->ast, filled, 4), schema_text(c, close));
    const struct grammar_expr *items[] = { schema_text(c, open), schema_space(c),
                                           inside };

    return grammar_sequence(c->ast, items, 3);
}

const struct grammar_expr *schema_member(struct schema_converter *c,
                                         const struct grammar_expr *key,
                                         const struct grammar_expr *value)
{
    const struct grammar_expr *items[] = { key, schema_text(c, ":"), schema_space(c),
                                           value };

    return grammar_sequence(c->ast, items, 4);
}

static const struct grammar_expr *basic_space(struct schema_converter *c)
{
    static const struct grammar_range blank[] = { { ' ', ' ' }, { '\t', '\t' } };
    const struct grammar_expr *indent =
        grammar_repeat(c->ast, grammar_class(c->ast, blank, 2, false), 0, 20);
    const struct grammar_expr *line = schema_pair(c, schema_text(c, "\n"), indent);

    return grammar_repeat(c->ast, schema_either(c, schema_text(c, " "), line), 0, 1);
}

static const struct grammar_expr *basic_value(struct schema_converter *c)
{
    const struct grammar_expr *items[] = {
        schema_basic(c, BASIC_OBJECT), schema_basic(c, BASIC_ARRAY),
        schema_basic(c, BASIC_STRING), schema_basic(c, BASIC_NUMBER),
        schema_text(c, "true"),        schema_text(c, "false"),
        schema_text(c, "null"),
    };

    return grammar_choice(c->ast, items, sizeof(items) / sizeof(items[0]));
}

static const struct grammar_expr *basic_string(struct schema_converter *c)
{
    const struct grammar_expr *items[] = {
        schema_text(c, "\""),
        grammar_repeat(c->ast, schema_basic(c, BASIC_CHARACTER), 0, GRAMMAR_UNBOUNDED),
        schema_text(c, "\""),
    };

    return grammar_sequence(c->ast, items, 3);
}

static const struct grammar_expr *make_basic(struct schema_converter *c,
                                             enum schema_basic basic)
{
    switch (basic) {
    case BASIC_SPACE:
        return basic_space(c);
    case BASIC_CHARACTER:
        return schema_basic_character(c);
    case BASIC_STRING:
        return basic_string(c);
    case BASIC_NUMBER:
        return schema_basic_number(c);
    case BASIC_INTEGER:
        return schema_basic_integer(c);
    case BASIC_VALUE:
        return basic_value(c);
    case BASIC_OBJECT:
        return basic_group(
            c, "{",
            schema_member(c, schema_basic(c, BASIC_STRING), schema_basic(c, BASIC_VALUE)),
            "}");
    case BASIC_ARRAY:
        return basic_group(c, "[", schema_basic(c, BASIC_VALUE), "]");
    case BASIC_COUNT:
        break;
    }
    bug("JSON schema rule %d", (int)basic);
}

const struct grammar_expr *schema_basic(struct schema_converter *c,
                                        enum schema_basic basic)
{
    if (c->basics[basic] == 0) {
        uint32_t rule = grammar_ast_add_rule(c->ast);

        c->basics[basic] = rule + 1;
        grammar_ast_define(c->ast, rule, make_basic(c, basic));
    }
    return grammar_rule_ref(c->ast, c->basics[basic] - 1);
}
