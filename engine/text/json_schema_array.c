// engine/text/json_schema_array.c
// SPDX-License-Identifier: MIT
//
// Arrays: a prefix of elements with schemas of their own, then any number, within the
// limits, of elements that share one.
#include "engine/text/json_schema_private.h"

// Elements from `index` on, the first of them without a comma if index is 0, and the end.
static const struct grammar_expr *rest_of_array(struct schema_converter *c,
                                                const struct grammar_expr *item,
                                                size_t index, uint32_t min, uint32_t max)
{
    const struct grammar_expr *close = schema_text(c, "]"),
                              *end = schema_pair(c, schema_space(c), close);
    const struct grammar_expr *more, *filled;
    uint32_t least = min > index ? min - (uint32_t)index : 0;
    uint32_t most = max == GRAMMAR_UNBOUNDED ? max : max - (uint32_t)index;

    if (item == NULL)
        most = 0;
    if (most < least)
        return schema_nothing(c);
    if (index > 0) {
        if (most == 0)
            return end;
        return schema_pair(
            c, grammar_repeat(c->ast, schema_after_comma(c, item), least, most), end);
    }
    if (most == 0)
        return close;
    more = grammar_repeat(c->ast, schema_after_comma(c, item), least > 0 ? least - 1 : 0,
                          most == GRAMMAR_UNBOUNDED ? most : most - 1);
    filled = schema_pair(c, schema_pair(c, item, more), end);
    return least > 0 ? filled : schema_either(c, filled, close);
}

// prefixItems, or the older form of "items" that is an array.
static const json_t *prefix_of(const json_t *schema, const char **keyword)
{
    const json_t *items = json_object_get(schema, "items");

    *keyword = json_is_array(items) ? "items" : "prefixItems";
    return json_object_get(schema, *keyword);
}

static bool convert_items(struct schema_converter *c, const json_t *schema,
                          const struct grammar_expr **item)
{
    const json_t *items = json_object_get(schema, "items");
    const char *keyword;
    const json_t *prefix = prefix_of(schema, &keyword);

    *item = NULL;
    if (json_is_false(items) || (prefix != NULL && (items == NULL || items == prefix)))
        return true;
    if (items == NULL) {
        *item = schema_basic(c, BASIC_VALUE);
        return true;
    }
    if (!schema_convert_at(c, items, "items", NULL, item))
        return false;
    *item = schema_rule_of(c, *item);
    return true;
}

bool schema_array(struct schema_converter *c, const json_t *schema,
                  const struct grammar_expr **expr)
{
    const char *keyword;
    const json_t *prefix = prefix_of(schema, &keyword);
    const struct grammar_expr *item, *rest;
    uint32_t min = 0, max = GRAMMAR_UNBOUNDED;
    size_t count = json_array_size(prefix);

    if (prefix != NULL && !json_is_array(prefix))
        return schema_refuse(c, ERR_FORMAT, keyword, "must be an array");
    if (!convert_items(c, schema, &item) || !schema_count(c, schema, "minItems", &min) ||
        !schema_count(c, schema, "maxItems", &max))
        return false;
    count = count < max ? count : max;
    rest = rest_of_array(c, item, count, min, max);
    for (size_t i = count; i-- > 0;) {
        const struct grammar_expr *element, *end = schema_text(c, "]");

        if (!schema_convert_element(c, json_array_get(prefix, i), keyword, i, &element))
            return false;
        element = schema_pair(c, i > 0 ? schema_after_comma(c, element) : element, rest);
        if (i > 0)
            end = schema_pair(c, schema_space(c), end);
        rest = schema_rule_of(c, i >= min ? schema_either(c, element, end) : element);
    }
    *expr = schema_pair(c, schema_pair(c, schema_text(c, "["), schema_space(c)), rest);
    return true;
}
