// engine/text/json_schema_object.c
// SPDX-License-Identifier: MIT
//
// Objects: declared properties in their order, required ones without a choice, then, if
// they are allowed, members of any other name.
#include "engine/text/json_schema_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

#define MAX_NAME 256 // bytes of a property's name where others are allowed beside it

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
        (struct property){ name, schema_member(c, schema_literal(c, key), value),
                           required };
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
                          schema_text(c, "\""));
    grammar_list_push(&list, grammar_sequence(c->ast, rest, 2));
    if (!ends)
        grammar_list_push(&list, schema_text(c, "\""));
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
        *expr =
            schema_pair(c, schema_text(c, "\""), other_name(c, names, object->count, 0));
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

        if (!schema_convert_at(c, json_object_iter_value(iter), "properties", name,
                               &value))
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
        !schema_convert_at(c, additional, "additionalProperties", NULL, &value))
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
        !schema_convert_at(c, additional, "additionalProperties", NULL, &value))
        return false;
    if (!extra_key(c, object, &key))
        return false;
    object->extra = schema_member(c, key, value);
    return true;
}

// Two rules for each property, from the last to the first: one for when no member has
// been written before it, one for when a comma is due.
static const struct grammar_expr *members(struct schema_converter *c,
                                          const struct object *object)
{
    const struct grammar_expr *close = schema_text(c, "}");
    const struct grammar_expr *first = close,
                              *later = schema_pair(c, schema_space(c), close);

    if (object->extra != NULL) {
        later = schema_rule_of(
            c, schema_pair(c,
                           grammar_repeat(c->ast, schema_after_comma(c, object->extra), 0,
                                          GRAMMAR_UNBOUNDED),
                           later));
        first = schema_rule_of(
            c, schema_either(c, close, schema_pair(c, object->extra, later)));
    }
    for (size_t i = object->count; i-- > 0;) {
        const struct property *property = &object->properties[i];
        const struct grammar_expr *at_first = schema_pair(c, property->member, later);
        const struct grammar_expr *at_later = schema_after_comma(c, at_first);

        if (!property->required) {
            at_first = schema_either(c, at_first, first);
            at_later = schema_either(c, at_later, later);
        }
        first = schema_rule_of(c, at_first);
        later = schema_rule_of(c, at_later);
    }
    return first;
}

bool schema_object(struct schema_converter *c, const json_t *schema,
                   const struct grammar_expr **expr)
{
    struct object object = { 0 };
    bool ok = read_properties(c, schema, &object) && read_required(c, schema, &object) &&
              read_additional(c, schema, &object);

    if (ok) {
        const struct grammar_expr *items[] = { schema_text(c, "{"), schema_space(c),
                                               members(c, &object) };

        *expr = grammar_sequence(c->ast, items, 3);
    }
    free(object.properties);
    return ok;
}
