// engine/text/template_print.c
// SPDX-License-Identifier: MIT
//
// Values to text and back: what {{ }} writes, what Python's repr() writes for the insides
// of lists, JSON for tojson, and the caller's JSON to values.
#include "engine/text/template_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

static bool marked(const struct text *text, size_t i)
{
    return text->marks != NULL ? text->marks[i] != 0 : text->data;
}

// Shortest digits that read back as the same number, in Python's layout.
void template_real_text(char *out, size_t size, double real)
{
    char digits[40], *exponent;
    int precision = 1, power;

    if (isnan(real) || isinf(real)) {
        snprintf(out, size, "%s", isnan(real) ? "nan" : real > 0 ? "inf" : "-inf");
        return;
    }
    do
        snprintf(digits, sizeof(digits), "%.*e", precision - 1, real);
    while (strtod(digits, NULL) != real && ++precision <= 17);
    exponent = strchr(digits, 'e');
    power = atoi(exponent + 1);
    if (power < -4 || power >= 16) {
        *exponent = '\0';
        snprintf(out, size, "%se%c%02d", digits, power < 0 ? '-' : '+', abs(power));
        return;
    }
    snprintf(out, size, "%.*f", precision - 1 - power > 1 ? precision - 1 - power : 1,
             real);
}

static void number_text(char *out, size_t size, struct value value)
{
    if (value.kind == VALUE_REAL)
        template_real_text(out, size, value.real);
    else
        snprintf(out, size, "%" PRId64, value.integer);
}

//------------------------------------------------------------------ repr

static void repr_character(struct interpreter *in, struct builder *builder, char quote,
                           const char *bytes, size_t len, uint32_t codepoint, bool data)
{
    static const char special[] = "\n\r\t\\", escaped[] = "nrt\\";
    const char *found =
        codepoint > 0 && codepoint < 128 ? strchr(special, (int)codepoint) : NULL;
    char text[16];

    if (found != NULL)
        snprintf(text, sizeof(text), "\\%c", escaped[found - special]);
    else if (codepoint == (unsigned char)quote)
        snprintf(text, sizeof(text), "\\%c", quote);
    else if (unicode_printable(codepoint)) {
        builder_append(in, builder, bytes, len, NULL, data);
        return;
    } else if (codepoint < 0x100)
        snprintf(text, sizeof(text), "\\x%02x", (unsigned)codepoint);
    else
        snprintf(text, sizeof(text), codepoint < 0x10000 ? "\\u%04x" : "\\U%08x",
                 (unsigned)codepoint);
    builder_literal(in, builder, text, data);
}

static void repr_text(struct interpreter *in, struct builder *builder,
                      const struct text *text, bool data)
{
    bool single = memchr(text->bytes, '\'', text->len) != NULL;
    bool twice = memchr(text->bytes, '"', text->len) != NULL;
    char quote[2] = { single && !twice ? '"' : '\'', '\0' };
    size_t len;

    builder_literal(in, builder, quote, data);
    for (size_t i = 0; i < text->len && !in->failed; i += len) {
        uint32_t codepoint = unicode_at(text, i, &len);

        repr_character(in, builder, quote[0], text->bytes + i, len, codepoint,
                       marked(text, i));
    }
    builder_literal(in, builder, quote, data);
}

static void repr_list(struct interpreter *in, struct builder *builder, struct value value)
{
    const struct list *list = value.list;
    bool tuple = list->kind == LIST_TUPLE;

    if (list->kind != LIST_LIST && !tuple) {
        template_fail(in, ERR_UNSUPPORTED, "writing a %s", value_type_name(value));
        return;
    }
    builder_literal(in, builder, tuple ? "(" : "[", value.data);
    for (size_t i = 0; i < list->count && !in->failed; i++) {
        if (i > 0)
            builder_literal(in, builder, ", ", value.data);
        template_repr(in, builder, list->items[i]);
    }
    builder_literal(in, builder, tuple ? list->count == 1 ? ",)" : ")" : "]", value.data);
}

static void repr_dict(struct interpreter *in, struct builder *builder, struct value value)
{
    builder_literal(in, builder, "{", value.data);
    for (size_t i = 0; i < value.dict->count && !in->failed; i++) {
        if (i > 0)
            builder_literal(in, builder, ", ", value.data);
        template_repr(in, builder, value.dict->pairs[i].key);
        builder_literal(in, builder, ": ", value.data);
        template_repr(in, builder, value.dict->pairs[i].value);
    }
    builder_literal(in, builder, "}", value.data);
}

void template_repr(struct interpreter *in, struct builder *builder, struct value value)
{
    char number[40];

    if (!template_descend(in))
        return;
    switch (value.kind) {
    case VALUE_UNDEFINED:
    case VALUE_MISSING:
        builder_literal(in, builder, "Undefined", false);
        break;
    case VALUE_NONE:
        builder_literal(in, builder, "None", value.data);
        break;
    case VALUE_BOOL:
        builder_literal(in, builder, value.boolean ? "True" : "False", value.data);
        break;
    case VALUE_INTEGER:
    case VALUE_REAL:
        number_text(number, sizeof(number), value);
        builder_literal(in, builder, number, value.data);
        break;
    case VALUE_STRING:
        repr_text(in, builder, value.text, value.data);
        break;
    case VALUE_LIST:
        repr_list(in, builder, value);
        break;
    case VALUE_DICT:
        repr_dict(in, builder, value);
        break;
    case VALUE_NAMESPACE:
    case VALUE_CALLABLE:
    case VALUE_LOOP:
        template_fail(in, ERR_UNSUPPORTED, "writing a %s", value_type_name(value));
        break;
    }
    template_ascend(in);
}

void template_print(struct interpreter *in, struct builder *builder, struct value value)
{
    if (value.kind == VALUE_STRING)
        builder_text(in, builder, value.text);
    else if (value.kind != VALUE_UNDEFINED)
        template_repr(in, builder, value);
}

const struct text *template_text(struct interpreter *in, struct value value)
{
    struct builder builder = builder_create();

    if (value.kind == VALUE_STRING)
        return value.text;
    template_print(in, &builder, value);
    return builder_value(in, &builder).text;
}

//------------------------------------------------------------------ JSON

struct json_writer {
    struct interpreter *in;
    struct builder *builder;
    const struct json_style *style;
    unsigned level;
};

static void json_literal(struct json_writer *writer, const char *text, bool data)
{
    builder_literal(writer->in, writer->builder, text, data);
}

static void json_line(struct json_writer *writer, bool data)
{
    if (writer->style->indent == NULL)
        return;
    json_literal(writer, "\n", data);
    for (unsigned i = 0; i < writer->level; i++)
        json_literal(writer, writer->style->indent, data);
}

static void json_escape(struct json_writer *writer, uint32_t codepoint, bool data)
{
    static const char special[] = "\"\\\n\r\t\f\b", escaped[] = "\"\\nrtfb";
    const char *found =
        codepoint > 0 && codepoint < 128 ? strchr(special, (int)codepoint) : NULL;
    char text[16];

    if (found != NULL)
        snprintf(text, sizeof(text), "\\%c", escaped[found - special]);
    else if (codepoint >= 0x10000)
        snprintf(text, sizeof(text), "\\u%04x\\u%04x",
                 0xD800 + (unsigned)((codepoint - 0x10000) >> 10),
                 0xDC00 + (unsigned)((codepoint - 0x10000) & 0x3FF));
    else
        snprintf(text, sizeof(text), "\\u%04x", (unsigned)codepoint);
    json_literal(writer, text, data);
}

static void write_string(struct json_writer *writer, const struct text *text, bool data)
{
    size_t len;

    json_literal(writer, "\"", data || (text->marks == NULL && text->data));
    for (size_t i = 0; i < text->len && !writer->in->failed; i += len) {
        uint32_t codepoint = unicode_at(text, i, &len);

        if (codepoint < 0x20 || codepoint == '"' || codepoint == '\\' ||
            (writer->style->ensure_ascii && codepoint >= 0x7F))
            json_escape(writer, codepoint, marked(text, i));
        else
            builder_append(writer->in, writer->builder, text->bytes + i, len, NULL,
                           marked(text, i));
    }
    json_literal(writer, "\"", data || (text->marks == NULL && text->data));
}

static void json_value(struct json_writer *writer, struct value value);

static void json_list(struct json_writer *writer, struct value value)
{
    json_literal(writer, "[", value.data);
    writer->level++;
    for (size_t i = 0; i < value.list->count && !writer->in->failed; i++) {
        if (i > 0)
            json_literal(writer, writer->style->item_separator, value.data);
        json_line(writer, value.data);
        json_value(writer, value.list->items[i]);
    }
    writer->level--;
    if (value.list->count > 0)
        json_line(writer, value.data);
    json_literal(writer, "]", value.data);
}

static void json_key(struct json_writer *writer, struct value key)
{
    switch (key.kind) {
    case VALUE_STRING:
        write_string(writer, key.text, key.data);
        break;
    case VALUE_NONE:
    case VALUE_BOOL:
    case VALUE_INTEGER:
    case VALUE_REAL:
        json_literal(writer, "\"", key.data);
        json_value(writer, key);
        json_literal(writer, "\"", key.data);
        break;
    default:
        template_fail(writer->in, ERR_FORMAT,
                      "keys must be str, int, float, bool or None, not %s",
                      value_type_name(key));
        break;
    }
}

static struct value sorted_by_key(struct interpreter *in, struct value value)
{
    struct value sorted = value_dict(in);
    struct dict *dict = sorted.dict;

    for (size_t i = 0; i < value.dict->count; i++) {
        size_t at = dict->count;

        if (!dict_append(in, dict, value.dict->pairs[i].key, value.dict->pairs[i].value))
            break;
        for (; at > 0 &&
               template_order(in, dict->pairs[at - 1].key, value.dict->pairs[i].key) > 0;
             at--)
            dict->pairs[at] = dict->pairs[at - 1];
        dict->pairs[at] = value.dict->pairs[i];
    }
    sorted.data = value.data;
    return sorted;
}

static void json_dict(struct json_writer *writer, struct value value)
{
    if (writer->style->sort_keys)
        value = sorted_by_key(writer->in, value);
    json_literal(writer, "{", value.data);
    writer->level++;
    for (size_t i = 0; i < value.dict->count && !writer->in->failed; i++) {
        if (i > 0)
            json_literal(writer, writer->style->item_separator, value.data);
        json_line(writer, value.data);
        json_key(writer, value.dict->pairs[i].key);
        json_literal(writer, writer->style->key_separator, value.data);
        json_value(writer, value.dict->pairs[i].value);
    }
    writer->level--;
    if (value.dict->count > 0)
        json_line(writer, value.data);
    json_literal(writer, "}", value.data);
}

static void json_number(struct json_writer *writer, struct value value)
{
    char number[40];

    if (value.kind == VALUE_REAL && !isfinite(value.real))
        snprintf(number, sizeof(number), "%s",
                 isnan(value.real) ? "NaN"
                 : value.real > 0  ? "Infinity"
                                   : "-Infinity");
    else
        number_text(number, sizeof(number), value);
    json_literal(writer, number, value.data);
}

static void json_value(struct json_writer *writer, struct value value)
{
    if (!template_descend(writer->in))
        return;
    switch (value.kind) {
    case VALUE_NONE:
        json_literal(writer, "null", value.data);
        break;
    case VALUE_BOOL:
        json_literal(writer, value.boolean ? "true" : "false", value.data);
        break;
    case VALUE_INTEGER:
    case VALUE_REAL:
        json_number(writer, value);
        break;
    case VALUE_STRING:
        write_string(writer, value.text, value.data);
        break;
    case VALUE_DICT:
        json_dict(writer, value);
        break;
    case VALUE_LIST:
        if (value.list->kind == LIST_LIST || value.list->kind == LIST_TUPLE) {
            json_list(writer, value);
            break;
        }
        // fall through
    default:
        template_fail(writer->in, ERR_FORMAT,
                      "Object of type %s is not JSON serializable",
                      value_type_name(value));
        break;
    }
    template_ascend(writer->in);
}

void template_json(struct interpreter *in, struct builder *builder, struct value value,
                   const struct json_style *style)
{
    struct json_writer writer = { .in = in, .builder = builder, .style = style };

    json_value(&writer, value);
}

static struct value from_array(struct interpreter *in, const json_t *json, bool data)
{
    struct value list = value_list(in, LIST_LIST);

    for (size_t i = 0; i < json_array_size(json); i++) {
        if (!list_push(in, list.list,
                       template_from_json(in, json_array_get(json, i), data)))
            break;
    }
    return list;
}

static struct value from_object(struct interpreter *in, const json_t *json, bool data)
{
    struct value dict = value_dict(in);
    json_t *object = (json_t *)json; // jansson has no const iterators
    const char *key;
    json_t *member;

    json_object_foreach(object, key, member)
    {
        struct value name = value_string(in, key, strlen(key), data);

        if (!dict_append(in, dict.dict, value_data(name, data),
                         template_from_json(in, member, data)))
            break;
    }
    return dict;
}

struct value template_from_json(struct interpreter *in, const json_t *json, bool data)
{
    struct value value = value_none();

    if (!template_descend(in))
        return value;
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        value = from_object(in, json, data);
        break;
    case JSON_ARRAY:
        value = from_array(in, json, data);
        break;
    case JSON_STRING:
        value = value_string(in, json_string_value(json), json_string_length(json), data);
        break;
    case JSON_INTEGER:
        value = value_integer(json_integer_value(json));
        break;
    case JSON_REAL:
        value = value_real(json_real_value(json));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        value = value_bool(json_is_true(json));
        break;
    case JSON_NULL:
        break;
    }
    template_ascend(in);
    return value_data(value, data);
}
