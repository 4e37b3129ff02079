// engine/text/json_schema_choice.c
// SPDX-License-Identifier: MIT
//
// Schemas that offer a choice: values that are written out (enum, const), and branches
// (anyOf, oneOf), in each of which the rest of the schema holds too.
#include "engine/text/json_schema_private.h"

#include <stdlib.h>

#include "base/alloc.h"

#define MAX_BRANCHES 256 // of anyOf and oneOf

bool schema_enum(struct schema_converter *c, const json_t *schema, unsigned uses,
                 const struct grammar_expr **expr)
{
    const json_t *only = json_object_get(schema, "const");
    const json_t *values = json_object_get(schema, "enum");
    struct grammar_list list = { 0 };

    if ((uses & ~(1u << USE_ANNOTATION | 1u << USE_CORE)) != 0)
        return schema_refuse(c, ERR_UNSUPPORTED, only != NULL ? "const" : "enum",
                             "cannot be combined with other demands on the value");
    if (values != NULL && !json_is_array(values))
        return schema_refuse(c, ERR_FORMAT, "enum", "must be an array");
    if (values == NULL && schema_type_allows(schema, only))
        grammar_list_push(&list, schema_literal(c, only));
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *value = json_array_get(values, i);

        if ((only == NULL || json_equal(value, only)) &&
            schema_type_allows(schema, value))
            grammar_list_push(&list, schema_literal(c, value));
    }
    *expr = list.count > 0 ? grammar_choice(c->ast, list.items, list.count)
                           : schema_nothing(c);
    grammar_list_release(&list);
    return true;
}

// The rest of the schema holds in every branch.
static bool convert_branches(struct schema_converter *c, const json_t *rest,
                             const json_t *branches, const char *keyword,
                             const struct grammar_expr **expr)
{
    size_t count = json_array_size(branches);
    const json_t **merged = alloc_array(count, sizeof(*merged));
    struct grammar_list list = { 0 };
    bool ok = true;

    for (size_t i = 0; i < count && ok; i++) {
        const struct grammar_expr *branch;
        const json_t *flat = json_array_get(branches, i);

        if (json_object_size(rest) > 0) {
            flat = schema_flatten(c, flat);
            flat = flat != NULL ? schema_merge(c, rest, flat) : NULL;
        }
        merged[i] = flat;
        ok = flat != NULL && schema_convert_element(c, flat, keyword, i, &branch);
        for (size_t j = 0; ok && *keyword == 'o' && j < i; j++) {
            if (!schema_disjoint(c, merged[j], flat))
                ok = schema_refuse(
                    c, ERR_UNSUPPORTED, keyword,
                    "a value may be valid under two of the branches; write "
                    "anyOf if that may be, or make them exclude one another");
        }
        if (ok)
            grammar_list_push(&list, branch);
    }
    if (ok)
        *expr = grammar_choice(c->ast, list.items, list.count);
    grammar_list_release(&list);
    free(merged);
    return ok;
}

bool schema_union(struct schema_converter *c, const json_t *schema,
                  const struct grammar_expr **expr)
{
    const json_t *any = json_object_get(schema, "anyOf");
    const json_t *one = json_object_get(schema, "oneOf");
    const json_t *branches = any != NULL ? any : one;
    const char *keyword = any != NULL ? "anyOf" : "oneOf";
    json_t *rest;

    if (any != NULL && one != NULL)
        return schema_refuse(c, ERR_UNSUPPORTED, "oneOf",
                             "cannot be combined with anyOf");
    if (!json_is_array(branches) || json_array_size(branches) == 0 ||
        json_array_size(branches) > MAX_BRANCHES)
        return schema_refuse(c, ERR_FORMAT, keyword,
                             "must be an array of 1 to 256 schemas");
    rest = schema_without_annotations(c, schema);
    json_object_del(rest, keyword);
    return convert_branches(c, rest, branches, keyword, expr);
}
