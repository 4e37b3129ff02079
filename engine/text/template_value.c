// engine/text/template_value.c
// SPDX-License-Identifier: MIT
//
// Values of a running template: how they are made, grown, walked and judged true. Values
// are small and copied; what they point to lives until the end of the rendering and is
// shared, so only fresh lists and dictionaries may be changed (templates cannot change
// any: the sandbox of Jinja2 forbids it, too).
#include "engine/text/template_private.h"

#include <string.h>

// What an operation costs besides its bytes.
#define CALL_UNITS 8
#define PAIR_UNITS 8

const struct text template_empty_text = { .bytes = "" };

void *template_alloc(struct interpreter *in, size_t count, size_t size)
{
    void *memory = in->failed ? NULL : arena_alloc(&in->heap, count, size);

    if (memory == NULL)
        template_fail(in, ERR_LIMIT,
                      "the template needs more than %zu MiB for its values",
                      in->limits.max_heap >> 20);
    return memory;
}

struct value value_undefined(const char *name)
{
    return (struct value){ .kind = VALUE_UNDEFINED, .name = name };
}

struct value value_missing(void)
{
    return (struct value){ .kind = VALUE_MISSING };
}

struct value value_none(void)
{
    return (struct value){ .kind = VALUE_NONE };
}

struct value value_bool(bool boolean)
{
    return (struct value){ .kind = VALUE_BOOL, .boolean = boolean };
}

struct value value_integer(int64_t integer)
{
    return (struct value){ .kind = VALUE_INTEGER, .integer = integer };
}

struct value value_real(double real)
{
    return (struct value){ .kind = VALUE_REAL, .real = real };
}

struct value value_text(const struct text *text)
{
    return (struct value){ .kind = VALUE_STRING, .text = text };
}

struct value value_data(struct value value, bool data)
{
    value.data = value.data || data;
    return value;
}

struct value value_string(struct interpreter *in, const char *bytes, size_t len,
                          bool data)
{
    struct text *text = template_alloc(in, 1, sizeof(*text));

    if (text == NULL)
        return value_text(&template_empty_text);
    *text = (struct text){ .bytes = bytes, .len = len, .data = data };
    return value_text(text);
}

struct value value_literal(struct interpreter *in, const char *text)
{
    return value_string(in, text, strlen(text), false);
}

struct value value_substring(struct interpreter *in, const struct text *text,
                             size_t start, size_t len)
{
    struct text *part;

    if (start == 0 && len == text->len)
        return value_text(text);
    part = template_alloc(in, 1, sizeof(*part));
    if (part == NULL)
        return value_text(&template_empty_text);
    *part = *text;
    part->bytes += start;
    part->marks = text->marks != NULL ? text->marks + start : NULL;
    part->len = len;
    return value_text(part);
}

struct value value_list(struct interpreter *in, enum list_kind kind)
{
    static struct list none; // only handed out after a failure: never written
    struct list *list = template_alloc(in, 1, sizeof(*list));

    if (list == NULL)
        return (struct value){ .kind = VALUE_LIST, .list = &none };
    list->kind = kind;
    return (struct value){ .kind = VALUE_LIST, .list = list };
}

struct value value_dict(struct interpreter *in)
{
    static struct dict none; // as above
    struct dict *dict = template_alloc(in, 1, sizeof(*dict));

    return (struct value){ .kind = VALUE_DICT, .dict = dict != NULL ? dict : &none };
}

// Doubles an array that lives in the heap. The old one stays behind until the end.
static void *grow(struct interpreter *in, void *items, size_t count, size_t *cap,
                  size_t size)
{
    size_t wanted = *cap > 0 ? *cap * 2 : 4;
    void *larger = template_alloc(in, wanted, size);

    if (larger == NULL)
        return NULL;
    if (count > 0)
        memcpy(larger, items, count * size);
    *cap = wanted;
    return larger;
}

bool list_push(struct interpreter *in, struct list *list, struct value value)
{
    if (!template_charge(in, sizeof(value)))
        return false;
    if (list->count == list->cap) {
        struct value *items =
            grow(in, list->items, list->count, &list->cap, sizeof(value));

        if (items == NULL)
            return false;
        list->items = items;
    }
    list->items[list->count++] = value;
    return true;
}

bool dict_append(struct interpreter *in, struct dict *dict, struct value key,
                 struct value value)
{
    if (in->failed)
        return false;
    if (dict->count == dict->cap) {
        struct pair *pairs =
            grow(in, dict->pairs, dict->count, &dict->cap, sizeof(*pairs));

        if (pairs == NULL)
            return false;
        dict->pairs = pairs;
    }
    dict->pairs[dict->count++] = (struct pair){ .key = key, .value = value };
    return true;
}

const struct value *dict_find_name(struct interpreter *in, const struct dict *dict,
                                   const char *bytes, size_t len)
{
    for (size_t i = 0; i < dict->count && template_charge(in, PAIR_UNITS); i++) {
        const struct value *key = &dict->pairs[i].key;

        if (key->kind == VALUE_STRING && key->text->len == len &&
            memcmp(key->text->bytes, bytes, len) == 0)
            return &dict->pairs[i].value;
    }
    return NULL;
}

const struct value *dict_find(struct interpreter *in, const struct dict *dict,
                              struct value key)
{
    switch (key.kind) {
    case VALUE_STRING:
        return dict_find_name(in, dict, key.text->bytes, key.text->len);
    case VALUE_LIST:
        if (key.list->kind == LIST_TUPLE)
            break;
        // fall through
    case VALUE_DICT:
        template_fail(in, ERR_FORMAT, "unhashable type: '%s'", value_type_name(key));
        return NULL;
    default:
        break;
    }
    for (size_t i = 0; i < dict->count && !in->failed; i++) {
        if (dict->pairs[i].key.kind != VALUE_STRING &&
            template_equal(in, dict->pairs[i].key, key))
            return &dict->pairs[i].value;
    }
    return NULL;
}

bool dict_set(struct interpreter *in, struct dict *dict, struct value key,
              struct value value)
{
    struct value *known = (struct value *)dict_find(in, dict, key);

    if (in->failed)
        return false;
    if (known == NULL)
        return dict_append(in, dict, key, value);
    *known = value;
    return true;
}

bool value_truthy(struct value value)
{
    switch (value.kind) {
    case VALUE_UNDEFINED:
    case VALUE_MISSING:
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
        return value.boolean;
    case VALUE_INTEGER:
        return value.integer != 0;
    case VALUE_REAL:
        return value.real < 0 || value.real > 0 || value.real != value.real;
    case VALUE_STRING:
        return value.text->len > 0;
    case VALUE_LIST:
        return value.list->kind == LIST_GENERATOR || value.list->count > 0;
    case VALUE_DICT:
        return value.dict->count > 0;
    case VALUE_LOOP:
        return value.loop->count > 0;
    case VALUE_NAMESPACE:
    case VALUE_CALLABLE:
        break;
    }
    return true;
}

bool value_is_number(struct value value)
{
    return value.kind == VALUE_BOOL || value.kind == VALUE_INTEGER ||
           value.kind == VALUE_REAL;
}

bool value_is_string(struct value value, const char *text)
{
    return value.kind == VALUE_STRING && value.text->len == strlen(text) &&
           memcmp(value.text->bytes, text, value.text->len) == 0;
}

double value_as_real(struct value value)
{
    if (value.kind == VALUE_REAL)
        return value.real;
    return value.kind == VALUE_BOOL ? (double)value.boolean : (double)value.integer;
}

const char *value_type_name(struct value value)
{
    static const char *const lists[] = { "list", "tuple", "range", "generator",
                                         "dict_view" };

    switch (value.kind) {
    case VALUE_UNDEFINED:
    case VALUE_MISSING:
        return "Undefined";
    case VALUE_NONE:
        return "NoneType";
    case VALUE_BOOL:
        return "bool";
    case VALUE_INTEGER:
        return "int";
    case VALUE_REAL:
        return "float";
    case VALUE_STRING:
        return "str";
    case VALUE_LIST:
        return lists[value.list->kind];
    case VALUE_DICT:
        return "dict";
    case VALUE_NAMESPACE:
        return "Namespace";
    case VALUE_CALLABLE:
        return "function";
    case VALUE_LOOP:
        return "LoopContext";
    }
    return "";
}

static struct value keys_of(struct interpreter *in, const struct dict *dict)
{
    struct value keys = value_list(in, LIST_LIST);

    for (size_t i = 0; i < dict->count; i++) {
        if (!list_push(in, keys.list, dict->pairs[i].key))
            break;
    }
    return keys;
}

static struct value characters_of(struct interpreter *in, const struct text *text)
{
    struct value characters = value_list(in, LIST_LIST);
    size_t len;

    for (size_t i = 0; i < text->len; i += len) {
        unicode_at(text, i, &len);
        if (!list_push(in, characters.list, value_substring(in, text, i, len)))
            break;
    }
    return characters;
}

bool value_iterate(struct interpreter *in, struct value value, const struct value **items,
                   size_t *count)
{
    *items = NULL;
    *count = 0;
    if (in->failed || value.kind == VALUE_UNDEFINED)
        return !in->failed;
    if (value.kind == VALUE_DICT) {
        value = keys_of(in, value.dict);
    } else if (value.kind == VALUE_STRING) {
        value = characters_of(in, value.text);
    } else if (value.kind != VALUE_LIST) {
        template_fail(in, ERR_FORMAT, "'%s' object is not iterable",
                      value_type_name(value));
        return false;
    }
    *items = value.list->items;
    *count = value.list->count;
    if (value.list->kind == LIST_GENERATOR)
        value.list->count = 0;
    return !in->failed;
}

//------------------------------------------------------------------ builder

struct builder builder_create(void)
{
    return (struct builder){ .data = false };
}

static bool reserve(struct interpreter *in, struct builder *builder, size_t len)
{
    size_t cap = builder->cap > 0 ? builder->cap : 64;
    char *bytes;
    uint8_t *marks = NULL;

    if (builder->max > 0 && len > builder->max - builder->len) {
        template_fail(in, ERR_LIMIT, "the template writes more than %zu bytes",
                      builder->max);
        return false;
    }
    if (len <= builder->cap - builder->len)
        return true;
    while (cap - builder->len < len) {
        if (__builtin_mul_overflow(cap, 2, &cap))
            cap = SIZE_MAX;
    }
    bytes = template_alloc(in, cap, 1);
    if (bytes != NULL && builder->marks != NULL)
        marks = template_alloc(in, cap, 1);
    if (in->failed)
        return false;
    if (builder->len > 0)
        memcpy(bytes, builder->bytes, builder->len);
    if (marks != NULL)
        memcpy(marks, builder->marks, builder->len);
    builder->bytes = bytes;
    builder->marks = marks;
    builder->cap = cap;
    return true;
}

bool builder_append(struct interpreter *in, struct builder *builder, const char *bytes,
                    size_t len, const uint8_t *marks, bool data)
{
    if (!template_charge(in, len + CALL_UNITS))
        return false;
    if (len == 0)
        return true;
    if (!reserve(in, builder, len))
        return false;
    if (builder->len == 0 && marks == NULL)
        builder->data = data;
    if (builder->marks == NULL && (marks != NULL || builder->data != data)) {
        builder->marks = template_alloc(in, builder->cap, 1);
        if (builder->marks == NULL)
            return false;
        memset(builder->marks, builder->data, builder->len);
    }
    memcpy(builder->bytes + builder->len, bytes, len);
    if (builder->marks != NULL && marks != NULL)
        memcpy(builder->marks + builder->len, marks, len);
    else if (builder->marks != NULL)
        memset(builder->marks + builder->len, data, len);
    builder->len += len;
    return true;
}

bool builder_text(struct interpreter *in, struct builder *builder,
                  const struct text *text)
{
    return builder_append(in, builder, text->bytes, text->len, text->marks, text->data);
}

bool builder_literal(struct interpreter *in, struct builder *builder, const char *text,
                     bool data)
{
    return builder_append(in, builder, text, strlen(text), NULL, data);
}

struct value builder_value(struct interpreter *in, struct builder *builder)
{
    struct text *text = template_alloc(in, 1, sizeof(*text));

    if (text == NULL || builder->len == 0)
        return value_text(&template_empty_text);
    *text = (struct text){
        .bytes = builder->bytes,
        .marks = builder->marks,
        .len = builder->len,
        .data = builder->data,
    };
    return value_text(text);
}
