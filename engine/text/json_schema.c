// engine/text/json_schema.c
// SPDX-License-Identifier: MIT
//
// Goes through the schema and builds the tree of a grammar: dispatch by keyword and type,
// enumerations, objects, arrays, and the rules for any JSON value. References become
// rules that are converted once, after what refers to them, so recursion in the schema is
// recursion in the grammar. A schema that no finite value satisfies is found by
// grammar_compile.
#include "engine/text/json_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "engine/text/json_schema_private.h"

#define MAX_BRANCHES 256 // of anyOf and oneOf
#define MAX_NAME     256 // bytes of a property's name where others are allowed beside it

bool schema_refuse(struct schema_converter *c, enum err_code code, const char *keyword,
                   const char *why)
{
    return err_set(c->err, code, "JSON schema, #%s%s%s: %s", c->place.data,
                   keyword != NULL ? "/" : "", keyword != NULL ? keyword : "", why);
}

// ---------------------------------------------------------------------------
// Small pieces

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

static const struct grammar_expr *text(struct schema_converter *c, const char *bytes)
{
    return grammar_text(c->ast, bytes);
}

static const struct grammar_expr *space(struct schema_converter *c)
{
    return schema_basic(c, BASIC_SPACE);
}

// A comma and the white space after it, then expr.
static const struct grammar_expr *after_comma(struct schema_converter *c,
                                              const struct grammar_expr *expr)
{
    const struct grammar_expr *items[] = { text(c, ","), space(c), expr };

    return grammar_sequence(c->ast, items, 3);
}

static const struct grammar_expr *rule_of(struct schema_converter *c,
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
        grammar_repeat(c->ast, after_comma(c, member), 0, GRAMMAR_UNBOUNDED);
    const struct grammar_expr *filled[] = { member, more, space(c), text(c, close) };
    const struct grammar_expr *inside =
        schema_either(c, grammar_sequence(c->ast, filled, 4), text(c, close));
    const struct grammar_expr *items[] = { text(c, open), space(c), inside };

    return grammar_sequence(c->ast, items, 3);
}

static const struct grammar_expr *member(struct schema_converter *c,
                                         const struct grammar_expr *key,
                                         const struct grammar_expr *value)
{
    const struct grammar_expr *items[] = { key, text(c, ":"), space(c), value };

    return grammar_sequence(c->ast, items, 4);
}

static const struct grammar_expr *basic_space(struct schema_converter *c)
{
    static const struct grammar_range blank[] = { { ' ', ' ' }, { '\t', '\t' } };
    const struct grammar_expr *indent =
        grammar_repeat(c->ast, grammar_class(c->ast, blank, 2, false), 0, 20);
    const struct grammar_expr *line = schema_pair(c, text(c, "\n"), indent);

    return grammar_repeat(c->ast, schema_either(c, text(c, " "), line), 0, 1);
}

static const struct grammar_expr *basic_value(struct schema_converter *c)
{
    const struct grammar_expr *items[] = {
        schema_basic(c, BASIC_OBJECT),
        schema_basic(c, BASIC_ARRAY),
        schema_basic(c, BASIC_STRING),
        schema_basic(c, BASIC_NUMBER),
        text(c, "true"),
        text(c, "false"),
        text(c, "null"),
    };

    return grammar_choice(c->ast, items, sizeof(items) / sizeof(items[0]));
}

static const struct grammar_expr *basic_string(struct schema_converter *c)
{
    const struct grammar_expr *items[] = {
        text(c, "\""),
        grammar_repeat(c->ast, schema_basic(c, BASIC_CHARACTER), 0, GRAMMAR_UNBOUNDED),
        text(c, "\""),
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
            member(c, schema_basic(c, BASIC_STRING), schema_basic(c, BASIC_VALUE)), "}");
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

// ---------------------------------------------------------------------------
// Keywords

enum keyword_use {
    USE_ANNOTATION,
    USE_CORE,
    USE_OBJECT,
    USE_ARRAY,
    USE_STRING,
    USE_NUMBER
};

static const struct {
    const char *name;
    enum keyword_use use;
} keywords[] = {
    { "type", USE_CORE },
    { "enum", USE_CORE },
    { "const", USE_CORE },
    { "anyOf", USE_CORE },
    { "oneOf", USE_CORE },
    { "allOf", USE_CORE },
    { "$ref", USE_CORE },
    { "properties", USE_OBJECT },
    { "required", USE_OBJECT },
    { "additionalProperties", USE_OBJECT },
    { "items", USE_ARRAY },
    { "prefixItems", USE_ARRAY },
    { "minItems", USE_ARRAY },
    { "maxItems", USE_ARRAY },
    { "minLength", USE_STRING },
    { "maxLength", USE_STRING },
    { "pattern", USE_STRING },
    { "format", USE_STRING },
    { "minimum", USE_NUMBER },
    { "maximum", USE_NUMBER },
    { "exclusiveMinimum", USE_NUMBER },
    { "exclusiveMaximum", USE_NUMBER },
    { "$defs", USE_ANNOTATION },
    { "definitions", USE_ANNOTATION },
    { "$schema", USE_ANNOTATION },
    { "$comment", USE_ANNOTATION },
    { "title", USE_ANNOTATION },
    { "description", USE_ANNOTATION },
    { "default", USE_ANNOTATION },
    { "examples", USE_ANNOTATION },
    { "deprecated", USE_ANNOTATION },
    { "readOnly", USE_ANNOTATION },
    { "writeOnly", USE_ANNOTATION },
};

// The use of a keyword, or -1.
static int keyword_use(const char *name)
{
    if (strncmp(name, "x-", 2) == 0)
        return USE_ANNOTATION;
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (strcmp(keywords[i].name, name) == 0)
            return (int)keywords[i].use;
    }
    return -1;
}

// uses: a bit for each use that occurs.
static bool check_keywords(struct schema_converter *c, const json_t *schema,
                           unsigned *uses)
{
    void *iter = json_object_iter((json_t *)(uintptr_t)schema);

    *uses = 0;
    for (; iter != NULL;
         iter = json_object_iter_next((json_t *)(uintptr_t)schema, iter)) {
        const char *name = json_object_iter_key(iter);
        int use = keyword_use(name);

        // $id changes what references mean, except at the root
        if (strcmp(name, "$id") == 0 && schema == c->root)
            use = USE_ANNOTATION;
        if (use < 0)
            return schema_refuse(c, ERR_UNSUPPORTED, name,
                                 "this keyword is not supported");
        *uses |= 1u << use;
    }
    return true;
}

bool schema_count(struct schema_converter *c, const json_t *schema, const char *keyword,
                  uint32_t *number)
{
    const json_t *value = json_object_get(schema, keyword);

    if (value == NULL)
        return true;
    if (!json_is_number(value) || json_number_value(value) < 0 ||
        json_number_value(value) != (double)(int64_t)json_number_value(value))
        return schema_refuse(c, ERR_FORMAT, keyword, "must be a whole number from 0");
    if (json_number_value(value) > SCHEMA_MAX_REPEAT)
        return schema_refuse(c, ERR_LIMIT, keyword, "more than 65536");
    *number = (uint32_t)json_number_value(value);
    return true;
}

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

// Converts the schema at place/keyword or place/keyword/name.
static bool convert_at(struct schema_converter *c, const json_t *schema,
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

static bool convert_element(struct schema_converter *c, const json_t *schema,
                            const char *keyword, size_t index,
                            const struct grammar_expr **expr)
{
    char name[24];

    snprintf(name, sizeof(name), "%zu", index);
    return convert_at(c, schema, keyword, name, expr);
}

// ---------------------------------------------------------------------------
// Objects

// One property on the way to the grammar.
struct property {
    const char *name;
    const struct grammar_expr *member; // "name": value
    bool required;
};

struct object {
    struct property *properties;
    size_t count, cap;
    const struct grammar_expr *extra; // a member that was not declared; NULL: not allowed
};

static bool is_required(const json_t *required, const char *name)
{
    size_t count = json_array_size(required);

    for (size_t i = 0; i < count; i++) {
        const char *item = json_string_value(json_array_get(required, i));

        if (item != NULL && strcmp(item, name) == 0)
            return true;
    }
    return false;
}

static void add_property(struct schema_converter *c, struct object *object,
                         const char *name, const struct grammar_expr *value,
                         bool required)
{
    json_t *key = json_string(name);

    object->properties = alloc_grow(object->properties, object->count, &object->cap,
                                    sizeof(*object->properties));
    object->properties[object->count++] =
        (struct property){ name, member(c, schema_literal(c, key), value), required };
    json_decref(key);
}

// Letters that may follow in a name which begins like names[0 .. count) up to `offset`
// and is none of them. Written without escapes, so that no name has a second spelling.
static const struct grammar_expr *
other_name(struct schema_converter *c, const char **names, size_t count, size_t offset)
{
    static const struct grammar_range special[] = { { 0, 0x1F },
                                                    { '"', '"' },
                                                    { '\\', '\\' } };
    struct grammar_range *taken = alloc_array(count + 3, sizeof(*taken));
    const char **same = alloc_array(count, sizeof(*same));
    struct grammar_list list = { 0 };
    const struct grammar_expr *rest[2], *expr;
    size_t taken_count = 3;
    bool ends = false;

    memcpy(taken, special, sizeof(special));
    for (size_t i = 0; i < count; i++) {
        uint32_t character, other;
        size_t len = 0, same_count = 0, width;
        bool valid, met = false;

        ends = ends || names[i][offset] == '\0';
        if (names[i][offset] == '\0')
            continue;
        width =
            utf8_decode(names[i] + offset, strlen(names[i] + offset), &character, &valid);
        for (size_t j = 0; j < taken_count; j++)
            met = met || (taken[j].low <= character && character <= taken[j].high);
        if (met)
            continue;
        taken[taken_count++] = (struct grammar_range){ character, character };
        for (size_t j = i; j < count; j++) {
            if (names[j][offset] == '\0')
                continue;
            len = strlen(names[j] + offset);
            utf8_decode(names[j] + offset, len, &other, &valid);
            if (other == character)
                same[same_count++] = names[j];
        }
        rest[0] = grammar_literal(c->ast, names[i] + offset, width);
        rest[1] = other_name(c, same, same_count, offset + width);
        grammar_list_push(&list, grammar_sequence(c->ast, rest, 2));
    }
    rest[0] = grammar_class(c->ast, taken, taken_count, true);
    rest[1] = schema_pair(c,
                          grammar_repeat(c->ast, grammar_class(c->ast, special, 3, true),
                                         0, GRAMMAR_UNBOUNDED),
                          text(c, "\""));
    grammar_list_push(&list, grammar_sequence(c->ast, rest, 2));
    if (!ends)
        grammar_list_push(&list, text(c, "\""));
    expr = grammar_choice(c->ast, list.items, list.count);
    grammar_list_release(&list);
    free(taken);
    free(same);
    return expr;
}

static bool extra_key(struct schema_converter *c, const struct object *object,
                      const struct grammar_expr **expr)
{
    const char **names = alloc_array(object->count, sizeof(*names));
    bool ok = true;

    for (size_t i = 0; i < object->count && ok; i++) {
        names[i] = object->properties[i].name;
        if (strlen(names[i]) > MAX_NAME)
            ok = schema_refuse(
                c, ERR_LIMIT, "properties",
                "a name of more than 256 bytes beside additionalProperties");
    }
    if (ok)
        *expr = schema_pair(c, text(c, "\""), other_name(c, names, object->count, 0));
    free(names);
    return ok;
}

static bool read_properties(struct schema_converter *c, const json_t *schema,
                            struct object *object)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    void *iter;

    if (properties != NULL && !json_is_object(properties))
        return schema_refuse(c, ERR_FORMAT, "properties", "must be an object");
    iter = json_object_iter((json_t *)(uintptr_t)properties);
    for (; iter != NULL;
         iter = json_object_iter_next((json_t *)(uintptr_t)properties, iter)) {
        const char *name = json_object_iter_key(iter);
        const struct grammar_expr *value;

        if (!convert_at(c, json_object_iter_value(iter), "properties", name, &value))
            return false;
        add_property(c, object, name, value, is_required(required, name));
    }
    return true;
}

// Names that are required without being declared.
static bool read_required(struct schema_converter *c, const json_t *schema,
                          struct object *object)
{
    const json_t *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    const json_t *additional = json_object_get(schema, "additionalProperties");
    const struct grammar_expr *value = schema_basic(c, BASIC_VALUE);
    size_t count = json_array_size(required);

    if (required != NULL && !json_is_array(required))
        return schema_refuse(c, ERR_FORMAT, "required", "must be an array");
    if (additional != NULL &&
        !convert_at(c, additional, "additionalProperties", NULL, &value))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(required, i));
        bool met = name != NULL && json_object_get(properties, name) != NULL;

        if (name == NULL)
            return schema_refuse(c, ERR_FORMAT, "required", "must hold strings");
        for (size_t j = 0; j < object->count && !met; j++)
            met = strcmp(object->properties[j].name, name) == 0;
        if (!met)
            add_property(c, object, name, value, true);
    }
    return true;
}

static bool read_additional(struct schema_converter *c, const json_t *schema,
                            struct object *object)
{
    const json_t *additional = json_object_get(schema, "additionalProperties");
    const struct grammar_expr *value = schema_basic(c, BASIC_VALUE), *key;

    if (json_is_false(additional) || (additional == NULL && object->count > 0))
        return true;
    if (additional != NULL &&
        !convert_at(c, additional, "additionalProperties", NULL, &value))
        return false;
    if (!extra_key(c, object, &key))
        return false;
    object->extra = member(c, key, value);
    return true;
}

// Two rules for each property, from the last to the first: one for when no member has
// been written before it, one for when a comma is due.
static const struct grammar_expr *members(struct schema_converter *c,
                                          const struct object *object)
{
    const struct grammar_expr *close = text(c, "}");
    const struct grammar_expr *first = close, *later = schema_pair(c, space(c), close);

    if (object->extra != NULL) {
        later =
            rule_of(c, schema_pair(c,
                                   grammar_repeat(c->ast, after_comma(c, object->extra),
                                                  0, GRAMMAR_UNBOUNDED),
                                   later));
        first = rule_of(c, schema_either(c, close, schema_pair(c, object->extra, later)));
    }
    for (size_t i = object->count; i-- > 0;) {
        const struct property *property = &object->properties[i];
        const struct grammar_expr *at_first = schema_pair(c, property->member, later);
        const struct grammar_expr *at_later = after_comma(c, at_first);

        if (!property->required) {
            at_first = schema_either(c, at_first, first);
            at_later = schema_either(c, at_later, later);
        }
        first = rule_of(c, at_first);
        later = rule_of(c, at_later);
    }
    return first;
}

static bool convert_object(struct schema_converter *c, const json_t *schema,
                           const struct grammar_expr **expr)
{
    struct object object = { 0 };
    bool ok = read_properties(c, schema, &object) && read_required(c, schema, &object) &&
              read_additional(c, schema, &object);

    if (ok) {
        const struct grammar_expr *items[] = { text(c, "{"), space(c),
                                               members(c, &object) };

        *expr = grammar_sequence(c->ast, items, 3);
    }
    free(object.properties);
    return ok;
}

// ---------------------------------------------------------------------------
// Arrays

// Elements from `index` on, the first of them without a comma if index is 0, and the end.
static const struct grammar_expr *rest_of_array(struct schema_converter *c,
                                                const struct grammar_expr *item,
                                                size_t index, uint32_t min, uint32_t max)
{
    const struct grammar_expr *close = text(c, "]"),
                              *end = schema_pair(c, space(c), close);
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
        return schema_pair(c, grammar_repeat(c->ast, after_comma(c, item), least, most),
                           end);
    }
    if (most == 0)
        return close;
    more = grammar_repeat(c->ast, after_comma(c, item), least > 0 ? least - 1 : 0,
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
    if (!convert_at(c, items, "items", NULL, item))
        return false;
    *item = rule_of(c, *item);
    return true;
}

static bool convert_array(struct schema_converter *c, const json_t *schema,
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
        const struct grammar_expr *element, *end = text(c, "]");

        if (!convert_element(c, json_array_get(prefix, i), keyword, i, &element))
            return false;
        element = schema_pair(c, i > 0 ? after_comma(c, element) : element, rest);
        if (i > 0)
            end = schema_pair(c, space(c), end);
        rest = rule_of(c, i >= min ? schema_either(c, element, end) : element);
    }
    *expr = schema_pair(c, schema_pair(c, text(c, "["), space(c)), rest);
    return true;
}

// ---------------------------------------------------------------------------
// Dispatch

static bool convert_type(struct schema_converter *c, const json_t *schema,
                         const char *type, const struct grammar_expr **expr)
{
    if (strcmp(type, "object") == 0)
        return convert_object(c, schema, expr);
    if (strcmp(type, "array") == 0)
        return convert_array(c, schema, expr);
    if (strcmp(type, "string") == 0)
        return schema_string(c, schema, expr);
    if (strcmp(type, "number") == 0 || strcmp(type, "integer") == 0)
        return schema_number(c, schema, *type == 'i', expr);
    if (strcmp(type, "boolean") == 0)
        *expr = schema_either(c, text(c, "true"), text(c, "false"));
    else if (strcmp(type, "null") == 0)
        *expr = text(c, "null");
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
        enum keyword_use use;
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

static bool convert_enum(struct schema_converter *c, const json_t *schema, unsigned uses,
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
        ok = flat != NULL && convert_element(c, flat, keyword, i, &branch);
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

static bool convert_union(struct schema_converter *c, const json_t *schema,
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

bool schema_is_annotation(const char *name)
{
    return keyword_use(name) == USE_ANNOTATION;
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

    if (!check_keywords(c, schema, &uses))
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
        return convert_union(c, schema, expr);
    if (json_object_get(schema, "enum") != NULL ||
        json_object_get(schema, "const") != NULL)
        return convert_enum(c, schema, uses, expr);
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
