// engine/text/json_schema.c
// SPDX-License-Identifier: MIT
//
// Goes through the schema and builds the tree of a grammar: here the dispatch by keyword
// and type. References become rules that are converted once, after what refers to them,
// so recursion in the schema is recursion in the grammar. A schema that no finite value
// satisfies is found by grammar_compile.
#include "engine/text/json_schema.h"

#include <stdio.h>
#include <string.h>

#include "engine/text/json_schema_private.h"

bool schema_refuse(struct schema_converter *c, enum err_code code, const char *keyword,
                   const char *why)
{
    return err_set(c->err, code, "JSON schema, #%s%s%s: %s", c->place.data,
                   keyword != NULL ? "/" : "", keyword != NULL ? keyword : "", why);
}

// ---------------------------------------------------------------------------
// Places

static void append_name(struct str *place, const char *name)
{
    str_append_char(place, '/');
    for (; *name != '\0'; name++) {
        if (*name == '~' || *name == '/')
            str_append(place, *name == '~' ? "~0" : "~1");
        else
            str_append_char(place, *name);
    }
}

bool schema_convert_at(struct schema_converter *c, const json_t *schema,
                       const char *keyword, const char *name,
                       const struct grammar_expr **expr)
{
    size_t len = c->place.len;
    bool ok;

    str_printf(&c->place, "/%s", keyword);
    if (name != NULL)
        append_name(&c->place, name);
    ok = schema_convert(c, schema, expr);
    if (ok)
        str_truncate(&c->place, len);
    return ok;
}

bool schema_convert_element(struct schema_converter *c, const json_t *schema,
                            const char *keyword, size_t index,
                            const struct grammar_expr **expr)
{
    char name[24];

    snprintf(name, sizeof(name), "%zu", index);
    return schema_convert_at(c, schema, keyword, name, expr);
}

// ---------------------------------------------------------------------------
// Dispatch

static bool convert_type(struct schema_converter *c, const json_t *schema,
                         const char *type, const struct grammar_expr **expr)
{
    if (strcmp(type, "object") == 0)
        return schema_object(c, schema, expr);
    if (strcmp(type, "array") == 0)
        return schema_array(c, schema, expr);
    if (strcmp(type, "string") == 0)
        return schema_string(c, schema, expr);
    if (strcmp(type, "number") == 0 || strcmp(type, "integer") == 0)
        return schema_number(c, schema, *type == 'i', expr);
    if (strcmp(type, "boolean") == 0)
        *expr = schema_either(c, schema_text(c, "true"), schema_text(c, "false"));
    else if (strcmp(type, "null") == 0)
        *expr = schema_text(c, "null");
    else
        return schema_refuse(c, ERR_FORMAT, "type", "there is no such type");
    return true;
}

static bool convert_types(struct schema_converter *c, const json_t *schema,
                          const json_t *types, const struct grammar_expr **expr)
{
    struct grammar_list list = { 0 };
    bool ok = true;

    for (size_t i = 0; i < json_array_size(types) && ok; i++) {
        const char *type = json_string_value(json_array_get(types, i));
        const struct grammar_expr *one;

        ok = type != NULL ? convert_type(c, schema, type, &one)
                          : schema_refuse(c, ERR_FORMAT, "type", "must hold strings");
        if (ok)
            grammar_list_push(&list, one);
    }
    *expr = list.count > 0 ? grammar_choice(c->ast, list.items, list.count)
                           : schema_nothing(c);
    grammar_list_release(&list);
    return ok;
}

// Without "type" the other keywords must speak of one type only.
static bool convert_untyped(struct schema_converter *c, const json_t *schema,
                            unsigned uses, const struct grammar_expr **expr)
{
    static const struct {
        enum schema_use use;
        const char *type;
    } types[] = {
        { USE_OBJECT, "object" },
        { USE_ARRAY, "array" },
        { USE_STRING, "string" },
        { USE_NUMBER, "number" },
    };

    uses &= ~(1u << USE_ANNOTATION | 1u << USE_CORE);
    if (uses == 0) {
        *expr = schema_basic(c, BASIC_VALUE);
        return true;
    }
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (uses == 1u << types[i].use)
            return convert_type(c, schema, types[i].type, expr);
    }
    return schema_refuse(c, ERR_UNSUPPORTED, NULL,
                         "\"type\" is missing, and the keywords speak of several types");
}

// The rule of a reference; what it names is converted later.
static bool convert_reference(struct schema_converter *c, const json_t *reference,
                              const struct grammar_expr **expr)
{
    const char *pointer = json_string_value(reference);
    const json_t *rule;

    if (pointer == NULL)
        return schema_refuse(c, ERR_FORMAT, "$ref", "must be a string");
    rule = json_object_get(c->refs, pointer);
    if (rule == NULL) {
        uint32_t made = grammar_ast_add_rule(c->ast);

        if (schema_resolve(c, pointer) == NULL)
            return false;
        json_object_set_new(c->refs, pointer, json_integer(made));
        json_array_append_new(c->pending, json_string(pointer));
        *expr = grammar_rule_ref(c->ast, made);
    } else {
        *expr = grammar_rule_ref(c->ast, (uint32_t)json_integer_value(rule));
    }
    return true;
}

static bool only_a_reference(const json_t *schema)
{
    void *iter = json_object_iter((json_t *)(uintptr_t)schema);
    bool only = json_object_get(schema, "$ref") != NULL;

    for (; iter != NULL;
         iter = json_object_iter_next((json_t *)(uintptr_t)schema, iter)) {
        const char *name = json_object_iter_key(iter);

        only = only && (strcmp(name, "$ref") == 0 || schema_is_annotation(name));
    }
    return only;
}

static bool convert_keywords(struct schema_converter *c, const json_t *schema,
                             const struct grammar_expr **expr)
{
    const json_t *type = json_object_get(schema, "type");
    unsigned uses;

    if (!schema_check_keywords(c, schema, &uses))
        return false;
    if (only_a_reference(schema))
        return convert_reference(c, json_object_get(schema, "$ref"), expr);
    if (json_object_get(schema, "$ref") != NULL ||
        json_object_get(schema, "allOf") != NULL) {
        schema = schema_flatten(c, schema);
        return schema != NULL && schema_convert(c, schema, expr);
    }
    if (json_object_get(schema, "anyOf") != NULL ||
        json_object_get(schema, "oneOf") != NULL)
        return schema_union(c, schema, expr);
    if (json_object_get(schema, "enum") != NULL ||
        json_object_get(schema, "const") != NULL)
        return schema_enum(c, schema, uses, expr);
    if (json_is_array(type))
        return convert_types(c, schema, type, expr);
    if (json_is_string(type))
        return convert_type(c, schema, json_string_value(type), expr);
    if (type != NULL)
        return schema_refuse(c, ERR_FORMAT, "type",
                             "must be a string or an array of strings");
    return convert_untyped(c, schema, uses, expr);
}

bool schema_convert(struct schema_converter *c, const json_t *schema,
                    const struct grammar_expr **expr)
{
    bool ok = true;

    if (json_is_true(schema))
        *expr = schema_basic(c, BASIC_VALUE);
    else if (json_is_false(schema))
        *expr = schema_nothing(c);
    else if (!json_is_object(schema))
        ok = schema_refuse(c, ERR_FORMAT, NULL,
                           "a schema must be an object, true or false");
    else if (++c->depth > SCHEMA_MAX_DEPTH)
        ok = schema_refuse(c, ERR_LIMIT, NULL, "nested more than 64 deep");
    else if (c->ast->exhausted)
        ok = schema_refuse(c, ERR_LIMIT, NULL, "too large once written out as a grammar");
    else
        ok = convert_keywords(c, schema, expr);
    if (json_is_object(schema))
        c->depth--;
    return ok;
}

// ---------------------------------------------------------------------------

static bool convert_all(struct schema_converter *c)
{
    json_object_set_new(c->refs, "#", json_integer(grammar_ast_add_rule(c->ast)));
    json_array_append_new(c->pending, json_string("#"));
    for (size_t i = 0; i < json_array_size(c->pending); i++) {
        const char *pointer = json_string_value(json_array_get(c->pending, i));
        const struct grammar_expr *expr;

        str_reset(&c->place);
        str_append(&c->place, pointer + 1);
        if (!schema_convert(c, schema_resolve(c, pointer), &expr))
            return false;
        grammar_ast_define(
            c->ast, (uint32_t)json_integer_value(json_object_get(c->refs, pointer)),
            expr);
    }
    return true;
}

static struct grammar *convert_root(const json_t *root, struct err *err)
{
    struct grammar_ast ast;
    struct schema_converter c = { .ast = &ast,
                                  .root = root,
                                  .made = json_array(),
                                  .refs = json_object(),
                                  .pending = json_array(),
                                  .err = err };
    struct grammar *grammar = NULL;

    grammar_ast_init(&ast);
    str_init(&c.place, 0);
    if (convert_all(&c)) {
        grammar = grammar_compile(&ast, 0, err);
        if (grammar == NULL)
            err_prefix(err, "JSON schema");
    }
    json_decref(c.made);
    json_decref(c.refs);
    json_decref(c.pending);
    str_release(&c.place);
    grammar_ast_release(&ast);
    return grammar;
}

struct grammar *json_schema_parse(const char *schema, size_t len, struct err *err)
{
    struct grammar *grammar;
    json_error_t error;
    json_t *root;

    if (len > GRAMMAR_MAX_BYTES) {
        err_set(err, ERR_LIMIT, "JSON schema: larger than 1 MiB");
        return NULL;
    }
    root = json_loadb(schema, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        err_set(err, ERR_FORMAT, "JSON schema, line %d, column %d: %s", error.line,
                error.column, error.text);
        return NULL;
    }
    grammar = convert_root(root, err);
    json_decref(root);
    return grammar;
}
