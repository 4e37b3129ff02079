// engine/text/json_schema_merge.c
// SPDX-License-Identifier: MIT
//
// References, and schemas that hold at the same time. Two schemas are merged keyword by
// keyword where that is exact (the larger minimum, the properties of both ...); where it
// is not, the keyword is refused. Properties that both declare become an allOf of the two
// and are merged when their turn comes.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/text/json_schema_private.h"

// jansson's getters and iterators want a pointer to something that may change.
static json_t *mutable(const json_t *json)
{
    return (json_t *)(uintptr_t)json;
}

static json_t *keep(struct schema_converter *c, json_t *json)
{
    json_array_append_new(c->made, json);
    return json;
}

// ---------------------------------------------------------------------------
// References

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *found = c != '\0' && c >= '0' ? strchr(digits, c | 32) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

// One token of a pointer in a URI fragment: %XX, then ~1 and ~0.
static char *decode_token(const char *token, size_t len)
{
    char *decoded = alloc_zero(len + 1);
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < len; i++) {
        if (token[i] == '%' && i + 2 < len && hex_digit(token[i + 1]) >= 0 &&
            hex_digit(token[i + 2]) >= 0) {
            decoded[n++] = (char)(hex_digit(token[i + 1]) * 16 + hex_digit(token[i + 2]));
            i += 2;
        } else {
            decoded[n++] = token[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        bool escape = decoded[i] == '~' && i + 1 < n && (decoded[i + 1] | 1) == '1';

        decoded[kept++] = !escape ? decoded[i] : decoded[i + 1] == '1' ? '/' : '~';
        i += escape;
    }
    decoded[kept] = '\0';
    return decoded;
}

static const json_t *child(const json_t *json, const char *token)
{
    char *end;
    unsigned long index;

    if (json_is_object(json))
        return json_object_get(json, token);
    if (token[0] < '0' || token[0] > '9')
        return NULL;
    index = strtoul(token, &end, 10);
    return *end == '\0' ? json_array_get(json, index) : NULL;
}

const json_t *schema_resolve(struct schema_converter *c, const char *reference)
{
    const json_t *at = c->root;
    const char *rest = reference + 1;

    if (reference[0] != '#' || (*rest != '\0' && *rest != '/')) {
        schema_refuse(c, ERR_UNSUPPORTED, "$ref",
                      "only references \"#/...\" are supported");
        return NULL;
    }
    while (at != NULL && *rest == '/') {
        size_t len = strcspn(++rest, "/");
        char *token = decode_token(rest, len);

        at = child(at, token);
        free(token);
        rest += len;
    }
    if (at == NULL)
        schema_refuse(c, ERR_FORMAT, "$ref", "there is nothing at this place");
    return at;
}

// ---------------------------------------------------------------------------
// Types

static bool is_of_type(const json_t *value, const char *type)
{
    if (strcmp(type, "integer") == 0)
        return json_is_integer(value) ||
               (json_is_real(value) &&
                json_real_value(value) == (double)(int64_t)json_real_value(value));
    return (strcmp(type, "number") == 0 && json_is_number(value)) ||
           (strcmp(type, "string") == 0 && json_is_string(value)) ||
           (strcmp(type, "boolean") == 0 && json_is_boolean(value)) ||
           (strcmp(type, "null") == 0 && json_is_null(value)) ||
           (strcmp(type, "object") == 0 && json_is_object(value)) ||
           (strcmp(type, "array") == 0 && json_is_array(value));
}

static size_t type_count(const json_t *type)
{
    return json_is_array(type) ? json_array_size(type) : json_is_string(type);
}

static const char *type_at(const json_t *type, size_t index)
{
    const char *name =
        json_string_value(json_is_array(type) ? json_array_get(type, index) : type);

    return name != NULL ? name : "";
}

bool schema_type_allows(const json_t *schema, const json_t *value)
{
    const json_t *type = json_object_get(schema, "type");

    for (size_t i = 0; i < type_count(type); i++) {
        if (is_of_type(value, type_at(type, i)))
            return true;
    }
    return type == NULL;
}

// The narrower of two type names, or NULL.
static const char *common_type(const char *a, const char *b)
{
    if (strcmp(a, b) == 0)
        return a;
    if (strcmp(a, "integer") == 0 && strcmp(b, "number") == 0)
        return a;
    if (strcmp(b, "integer") == 0 && strcmp(a, "number") == 0)
        return b;
    return NULL;
}

static json_t *merge_types(const json_t *a, const json_t *b)
{
    json_t *common = json_array();

    for (size_t i = 0; i < type_count(a); i++) {
        for (size_t j = 0; j < type_count(b); j++) {
            const char *type = common_type(type_at(a, i), type_at(b, j));

            if (type != NULL)
                json_array_append_new(common, json_string(type));
        }
    }
    return common;
}

// ---------------------------------------------------------------------------
// Merging

json_t *schema_without_annotations(struct schema_converter *c, const json_t *schema)
{
    json_t *copy = json_object();
    const char *name;
    json_t *value;

    json_object_foreach (mutable(schema), name, value) {
        if (!schema_is_annotation(name))
            json_object_set(copy, name, value);
    }
    return keep(c, copy);
}

static json_t *both(const json_t *a, const json_t *b)
{
    return json_pack("{s:[O,O]}", "allOf", a, b);
}

static json_t *merge_properties(const json_t *a, const json_t *b)
{
    json_t *merged = json_copy(mutable(a));
    const char *name;
    json_t *value;

    json_object_foreach (mutable(b), name, value) {
        const json_t *other = json_object_get(a, name);

        if (other != NULL)
            json_object_set_new(merged, name, both(other, value));
        else
            json_object_set(merged, name, value);
    }
    return merged;
}

static json_t *merge_required(const json_t *a, const json_t *b)
{
    json_t *merged = json_copy(mutable(a));

    json_array_extend(merged, mutable(b));
    return merged;
}

static json_t *merge_enum(const json_t *a, const json_t *b)
{
    json_t *common = json_array();

    for (size_t i = 0; i < json_array_size(a); i++) {
        for (size_t j = 0; j < json_array_size(b); j++) {
            if (json_equal(json_array_get(a, i), json_array_get(b, j)))
                json_array_append(common, json_array_get(a, i));
        }
    }
    return common;
}

static json_t *merge_larger(const json_t *a, const json_t *b)
{
    return json_incref(mutable(json_number_value(a) >= json_number_value(b) ? a : b));
}

static json_t *merge_smaller(const json_t *a, const json_t *b)
{
    return json_incref(mutable(json_number_value(a) <= json_number_value(b) ? a : b));
}

static const struct {
    const char *keyword;
    json_type type; // both values must have it; JSON_NULL: any
    json_t *(*merge)(const json_t *a, const json_t *b);
} merges[] = {
    { "type", JSON_NULL, merge_types },
    { "properties", JSON_OBJECT, merge_properties },
    { "required", JSON_ARRAY, merge_required },
    { "enum", JSON_ARRAY, merge_enum },
    { "items", JSON_OBJECT, both },
    { "additionalProperties", JSON_NULL, both },
    { "minimum", JSON_REAL, merge_larger },
    { "exclusiveMinimum", JSON_REAL, merge_larger },
    { "minItems", JSON_REAL, merge_larger },
    { "minLength", JSON_REAL, merge_larger },
    { "maximum", JSON_REAL, merge_smaller },
    { "exclusiveMaximum", JSON_REAL, merge_smaller },
    { "maxItems", JSON_REAL, merge_smaller },
    { "maxLength", JSON_REAL, merge_smaller },
};

static bool has_json_type(const json_t *json, json_type type)
{
    return type == JSON_NULL ||
           (type == JSON_REAL ? json_is_number(json) : json_typeof(json) == type);
}

// A keyword that both have, with different values.
static bool merge_keyword(struct schema_converter *c, json_t *merged, const char *keyword,
                          const json_t *a, const json_t *b)
{
    for (size_t i = 0; i < sizeof(merges) / sizeof(merges[0]); i++) {
        if (strcmp(merges[i].keyword, keyword) != 0)
            continue;
        if (!has_json_type(a, merges[i].type) || !has_json_type(b, merges[i].type))
            break;
        json_object_set_new(merged, keyword, merges[i].merge(a, b));
        return true;
    }
    return schema_refuse(c, ERR_UNSUPPORTED, keyword,
                         "two of these hold at once and cannot be joined");
}

// Whether b declares properties that the additionalProperties of a would speak of.
static bool narrows_other(const json_t *a, const json_t *b)
{
    const json_t *additional = json_object_get(a, "additionalProperties");
    const json_t *own = json_object_get(a, "properties");
    const char *name;
    json_t *value;

    if (additional == NULL || json_is_true(additional))
        return false;
    json_object_foreach (mutable(json_object_get(b, "properties")), name, value) {
        if (json_object_get(own, name) == NULL)
            return true;
    }
    return false;
}

// The same for tuples: "items" speaks of what the other's prefixItems do not.
static bool is_tuple(const json_t *schema)
{
    return json_object_get(schema, "prefixItems") != NULL ||
           json_is_array(json_object_get(schema, "items"));
}

static bool has_items(const json_t *schema)
{
    return json_object_get(schema, "prefixItems") != NULL ||
           json_object_get(schema, "items") != NULL;
}

static bool can_merge(struct schema_converter *c, const json_t *a, const json_t *b)
{
    if (narrows_other(a, b) || narrows_other(b, a))
        return schema_refuse(c, ERR_UNSUPPORTED, "additionalProperties",
                             "it would speak of properties of another schema in allOf");
    if ((is_tuple(a) && has_items(b)) || (is_tuple(b) && has_items(a)))
        return schema_refuse(
            c, ERR_UNSUPPORTED, "prefixItems",
            "cannot be joined with the items of another schema in allOf");
    return true;
}

const json_t *schema_merge(struct schema_converter *c, const json_t *a, const json_t *b)
{
    json_t *merged, *value;
    const char *name;

    if (json_is_boolean(a) || json_is_boolean(b))
        return json_is_false(a) || json_is_true(b) ? a : b;
    if (!json_is_object(a) || !json_is_object(b)) {
        schema_refuse(c, ERR_FORMAT, NULL, "a schema must be an object, true or false");
        return NULL;
    }
    if (!can_merge(c, a, b))
        return NULL;
    merged = schema_without_annotations(c, a);
    json_object_foreach (mutable(b), name, value) {
        const json_t *other = json_object_get(a, name);

        if (schema_is_annotation(name))
            continue;
        if (other == NULL || json_equal(other, value))
            json_object_set(merged, name, value);
        else if (strcmp(name, "const") == 0)
            return keep(c, json_false());
        else if (!merge_keyword(c, merged, name, other, value))
            return NULL;
    }
    return merged;
}

const json_t *schema_flatten(struct schema_converter *c, const json_t *schema)
{
    const json_t *reference = json_object_get(schema, "$ref");
    const json_t *all = json_object_get(schema, "allOf"), *flat, *part;
    json_t *rest;

    if (!json_is_object(schema) || (reference == NULL && all == NULL))
        return schema;
    if (++c->depth > SCHEMA_MAX_DEPTH || json_array_size(c->made) > SCHEMA_MAX_MADE) {
        schema_refuse(c, ERR_LIMIT, NULL, "too many schemas hold at once");
        return NULL;
    }
    rest = schema_without_annotations(c, schema);
    json_object_del(rest, "$ref");
    json_object_del(rest, "allOf");
    flat = rest;
    if (reference != NULL) {
        part = json_is_string(reference) ? schema_resolve(c, json_string_value(reference))
                                         : NULL;
        part = part != NULL ? schema_flatten(c, part) : NULL;
        flat = part != NULL ? schema_merge(c, flat, part) : NULL;
    }
    for (size_t i = 0; i < json_array_size(all) && flat != NULL; i++) {
        part = schema_flatten(c, json_array_get(all, i));
        flat = part != NULL ? schema_merge(c, flat, part) : NULL;
    }
    c->depth--;
    return flat;
}

// ---------------------------------------------------------------------------
// Telling apart

static bool same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

// The only values a schema allows, as an array, or NULL.
static const json_t *values_of(struct schema_converter *c, const json_t *schema)
{
    const json_t *only = json_object_get(schema, "const");

    return only != NULL ? keep(c, json_pack("[O]", only))
                        : json_object_get(schema, "enum");
}

// Whether no value of the array is allowed by the schema as far as its type and values
// say.
static bool none_allowed(struct schema_converter *c, const json_t *values,
                         const json_t *schema)
{
    const json_t *others = values_of(c, schema);

    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *value = json_array_get(values, i);
        bool met = others == NULL;

        for (size_t j = 0; j < json_array_size(others); j++)
            met = met || same_value(value, json_array_get(others, j));
        if (met && schema_type_allows(schema, value))
            return false;
    }
    return true;
}

static bool has_name(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *other = json_string_value(json_array_get(names, i));

        if (other != NULL && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

static bool is_only_object(const json_t *schema)
{
    const char *type = json_string_value(json_object_get(schema, "type"));

    return type != NULL && strcmp(type, "object") == 0;
}

// Whether a demands a property that b forbids.
static bool demands_forbidden(const json_t *a, const json_t *b)
{
    const json_t *required = json_object_get(a, "required");

    if (!json_is_false(json_object_get(b, "additionalProperties")))
        return false;
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));

        if (name != NULL &&
            json_object_get(json_object_get(b, "properties"), name) == NULL)
            return true;
    }
    return false;
}

static bool objects_disjoint(struct schema_converter *c, const json_t *a, const json_t *b)
{
    const char *name;
    json_t *value;

    if (demands_forbidden(a, b) || demands_forbidden(b, a))
        return true;
    json_object_foreach (mutable(json_object_get(a, "properties")), name, value) {
        const json_t *other = json_object_get(json_object_get(b, "properties"), name);

        if (other != NULL && has_name(json_object_get(a, "required"), name) &&
            has_name(json_object_get(b, "required"), name) &&
            schema_disjoint(c, value, other))
            return true;
    }
    return false;
}

static bool types_disjoint(const json_t *a, const json_t *b)
{
    json_t *common;
    bool disjoint;

    if (a == NULL || b == NULL)
        return false;
    common = merge_types(a, b);
    disjoint = json_array_size(common) == 0;
    json_decref(common);
    return disjoint;
}

static bool flat_disjoint(struct schema_converter *c, const json_t *a, const json_t *b)
{
    const json_t *values = values_of(c, a), *others = values_of(c, b);

    if (types_disjoint(json_object_get(a, "type"), json_object_get(b, "type")))
        return true;
    if (values != NULL && none_allowed(c, values, b))
        return true;
    if (others != NULL && none_allowed(c, others, a))
        return true;
    return is_only_object(a) && is_only_object(b) && objects_disjoint(c, a, b);
}

bool schema_disjoint(struct schema_converter *c, const json_t *a, const json_t *b)
{
    struct err *err = c->err;
    bool disjoint;

    if (c->depth >= SCHEMA_MAX_DEPTH)
        return false;
    c->depth++;
    c->err = NULL; // what cannot be flattened cannot be told apart, and that is all
    a = schema_flatten(c, a);
    b = schema_flatten(c, b);
    disjoint = json_is_false(a) || json_is_false(b) ||
               (json_is_object(a) && json_is_object(b) && flat_disjoint(c, a, b));
    c->err = err;
    c->depth--;
    return disjoint;
}
