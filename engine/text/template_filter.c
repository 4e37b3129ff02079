// engine/text/template_filter.c
// SPDX-License-Identifier: MIT
//
// Filters of one value: strings, numbers, JSON. Those of lists are in
// template_filter_list.c.
#include "engine/text/template_private.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#define FILTER(name)                                                                     \
    static struct value filter_##name(struct interpreter *in, struct value subject,      \
                                      const struct args *args)

FILTER(default)
{
    bool also_false = args_bool(args, 1, false);

    (void)in;
    if (subject.kind != VALUE_UNDEFINED && (!also_false || value_truthy(subject)))
        return subject;
    return args->values[0].kind == VALUE_MISSING ? value_text(&template_empty_text)
                                                 : args->values[0];
}

FILTER(trim)
{
    const struct text *chars = args_text(in, args, 0, "the characters of trim");

    return template_strip(in, template_text(in, subject), chars, 3);
}

FILTER(upper)
{
    (void)args;
    return template_change_case(in, template_text(in, subject), CASE_UPPER);
}

FILTER(lower)
{
    (void)args;
    return template_change_case(in, template_text(in, subject), CASE_LOWER);
}

FILTER(capitalize)
{
    (void)args;
    return template_change_case(in, template_text(in, subject), CASE_CAPITAL);
}

static bool ends_word(uint32_t codepoint)
{
    return unicode_is_space(codepoint) ||
           (codepoint > 0 && codepoint < 128 && strchr("-({[<", (int)codepoint) != NULL);
}

// Each word with a capital; words end at white space, hyphens and opening brackets.
FILTER(title)
{
    const struct text *text = template_text(in, subject);
    struct builder builder = builder_create();
    size_t start = 0, end, len;

    (void)args;
    while (start < text->len && !in->failed) {
        bool word = !ends_word(unicode_at(text, start, &len));

        for (end = start + len; end < text->len; end += len) {
            if (!ends_word(unicode_at(text, end, &len)) != word)
                break;
        }
        builder_text(
            in, &builder,
            template_change_case(in, value_substring(in, text, start, end - start).text,
                                 CASE_CAPITAL)
                .text);
        start = end;
    }
    return builder_value(in, &builder);
}

FILTER(string)
{
    (void)args;
    return value_text(template_text(in, subject));
}

static struct value as_markup(struct interpreter *in, const struct text *text)
{
    struct text *copy = template_alloc(in, 1, sizeof(*copy));

    if (copy == NULL)
        return value_text(&template_empty_text);
    *copy = *text;
    copy->markup = true;
    return value_text(copy);
}

FILTER(safe)
{
    (void)args;
    return as_markup(in, template_text(in, subject));
}

FILTER(escape)
{
    (void)args;
    return template_escape(in, template_text(in, subject));
}

FILTER(length)
{
    (void)args;
    switch (subject.kind) {
    case VALUE_UNDEFINED:
        return value_integer(0);
    case VALUE_STRING:
        template_charge(in, subject.text->len);
        return value_integer(
            (int64_t)unicode_count(in, subject.text->bytes, subject.text->len));
    case VALUE_DICT:
        return value_integer((int64_t)subject.dict->count);
    case VALUE_LIST:
        if (subject.list->kind != LIST_GENERATOR)
            return value_integer((int64_t)subject.list->count);
        break;
    case VALUE_LOOP:
        return value_integer((int64_t)subject.loop->count);
    default:
        break;
    }
    return template_fail(in, ERR_FORMAT, "object of type '%s' has no len()",
                         value_type_name(subject));
}

FILTER(replace)
{
    const struct text *text = template_text(in, subject);
    const struct text *from = template_text(in, args->values[0]);
    const struct text *to = template_text(in, args->values[1]);

    return template_replace(in, text, from, to,
                            args_integer(in, args, 2, -1, "the count of replace"));
}

// The end of the line at `start`: *next is where the next one begins.
static size_t line_end(const struct text *text, size_t start, size_t *next)
{
    size_t i = start, len;

    for (; i < text->len; i += len) {
        uint32_t c = unicode_at(text, i, &len);

        if ((c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
            c == 0x2028 || c == 0x2029) {
            *next = i + len;
            if (c == '\r' && *next < text->len && text->bytes[*next] == '\n')
                ++*next;
            return i;
        }
    }
    *next = i;
    return i;
}

static const struct text *indention(struct interpreter *in, struct value width)
{
    struct builder builder = builder_create();

    if (width.kind == VALUE_STRING)
        return width.text;
    if (width.kind != VALUE_MISSING && width.kind != VALUE_INTEGER) {
        template_fail(in, ERR_FORMAT, "the width of indent must be an integer or string");
        return &template_empty_text;
    }
    for (int64_t i = 0; i < (width.kind == VALUE_MISSING ? 4 : width.integer); i++) {
        if (!builder_literal(in, &builder, " ", false))
            break;
    }
    return builder_value(in, &builder).text;
}

FILTER(indent)
{
    const struct text *text = template_text(in, subject);
    const struct text *width = indention(in, args->values[0]);
    bool first = args_bool(args, 1, false), blank = args_bool(args, 2, false);
    struct builder builder = builder_create();
    size_t start = 0, next;

    do {
        size_t end = line_end(text, start, &next);

        if (start > 0)
            builder_literal(in, &builder, "\n",
                            text->marks != NULL ? text->marks[start - 1] : text->data);
        if (start > 0 ? blank || end > start : first)
            builder_text(in, &builder, width);
        builder_text(in, &builder, value_substring(in, text, start, end - start).text);
        if (end == next || in->failed)
            return builder_value(in, &builder);
        start = next;
    } while (true);
}

FILTER(center)
{
    const struct text *text = template_text(in, subject);
    int64_t width = args_integer(in, args, 0, 80, "the width of center");
    int64_t count = (int64_t)unicode_count(in, text->bytes, text->len);
    int64_t fill = width > count ? width - count : 0, left;
    struct builder builder = builder_create();

    left = fill / 2 + (fill & width & 1);
    for (int64_t i = 0; i < left && !in->failed; i++)
        builder_literal(in, &builder, " ", false);
    builder_text(in, &builder, text);
    for (int64_t i = left; i < fill && !in->failed; i++)
        builder_literal(in, &builder, " ", false);
    return builder_value(in, &builder);
}

FILTER(truncate)
{
    const struct text *text = template_text(in, subject), *end, *head;
    int64_t length = args_integer(in, args, 0, 255, "the length of truncate");
    bool kill_words = args_bool(args, 1, false);
    int64_t leeway = args_integer(in, args, 3, 5, "the leeway of truncate"), keep;
    const struct text *given = args_text(in, args, 2, "the end of truncate");
    const char *space = NULL;

    end = given != NULL ? given : value_literal(in, "...").text;
    keep = length - (int64_t)unicode_count(in, end->bytes, end->len);
    if (leeway < 0 || keep < 0)
        return template_fail(in, ERR_FORMAT, "truncate is shorter than its own end");
    if ((int64_t)unicode_count(in, text->bytes, text->len) - leeway <= length)
        return value_text(text);
    head = value_substring(in, text, 0, unicode_offset(text, (size_t)keep)).text;
    if (!kill_words && head->len > 0)
        space = memrchr(head->bytes, ' ', head->len);
    if (space != NULL)
        head = value_substring(in, head, 0, (size_t)(space - head->bytes)).text;
    return template_concat(in, value_text(head), value_text(end));
}

static bool is_word_character(uint32_t codepoint)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)codepoint);

    return codepoint == '_' ||
           (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
           (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

FILTER(wordcount)
{
    const struct text *text = template_text(in, subject);
    bool inside = false;
    int64_t count = 0;
    size_t len;

    (void)args;
    template_charge(in, text->len);
    for (size_t i = 0; i < text->len; i += len) {
        bool word = is_word_character(unicode_at(text, i, &len));

        count += word && !inside;
        inside = word;
    }
    return value_integer(count);
}

FILTER(format)
{
    struct dict named = { .pairs = args->named, .count = args->named_count };

    if (args->named_count > 0 && args->count > 0)
        return template_fail(
            in, ERR_FORMAT,
            "can't handle positional and keyword arguments at the same time");
    return template_percent(in, template_text(in, subject), args->values, args->count,
                            args->named_count > 0 ? &named : NULL);
}

//------------------------------------------------------------------ numbers

// A NUL-terminated number out of text, without blanks around; false: too long to be one.
static bool number_text(struct interpreter *in, const struct text *text, char *out,
                        size_t size)
{
    const struct text *stripped = template_strip(in, text, NULL, 3).text;

    if (stripped->len == 0 || stripped->len >= size)
        return false;
    memcpy(out, stripped->bytes, stripped->len);
    out[stripped->len] = '\0';
    return strspn(out, "0123456789abcdefABCDEFxXoOnNiItTyY.+-") == stripped->len;
}

static bool parse_real(struct interpreter *in, struct value value, double *real)
{
    char digits[64], *end;

    if (value_is_number(value)) {
        *real = value_as_real(value);
        return true;
    }
    if (value.kind != VALUE_STRING ||
        !number_text(in, value.text, digits, sizeof(digits)) ||
        strpbrk(digits, "xX") != NULL)
        return false;
    *real = strtod(digits, &end);
    return end != digits && *end == '\0';
}

FILTER(float)
{
    double real;

    if (parse_real(in, subject, &real))
        return value_data(value_real(real), subject.data);
    return args->values[0].kind == VALUE_MISSING ? value_real(0) : args->values[0];
}

FILTER(int)
{
    int64_t base = args_integer(in, args, 1, 10, "the base of int");
    char digits[64], *end;
    long long integer;
    double real;

    if (subject.kind == VALUE_INTEGER)
        return subject;
    if (base != 0 && (base < 2 || base > 36))
        return template_fail(in, ERR_FORMAT, "the base of int must be 0 or 2 to 36");
    if (subject.kind == VALUE_STRING &&
        number_text(in, subject.text, digits, sizeof(digits))) {
        errno = 0;
        integer = strtoll(digits, &end, (int)base);
        if (*end == '\0' && errno == ERANGE)
            return template_fail(in, ERR_UNSUPPORTED, "integers of more than 64 bits");
        if (end != digits && *end == '\0')
            return value_integer(integer);
    }
    if (parse_real(in, subject, &real) && fabs(real) < 0x1p63)
        return value_data(value_integer((int64_t)real), subject.data);
    return args->values[0].kind == VALUE_MISSING ? value_integer(0) : args->values[0];
}

FILTER(abs)
{
    (void)args;
    if (subject.kind == VALUE_REAL)
        return value_data(value_real(fabs(subject.real)), subject.data);
    if (!value_is_number(subject))
        return template_fail(in, ERR_FORMAT, "bad operand type for abs(): '%s'",
                             value_type_name(subject));
    if (template_compare(in, OP_LESS, subject, value_integer(0)))
        return template_binary(in, OP_SUBTRACT, value_integer(0), subject);
    return template_binary(in, OP_ADD, value_integer(0), subject);
}

FILTER(round)
{
    int64_t precision = args_integer(in, args, 0, 0, "the precision of round");
    const struct text *method = args_text(in, args, 1, "the method of round");
    char text[400];
    double scale;

    if (!value_is_number(subject))
        return template_fail(in, ERR_FORMAT, "type %s doesn't define __round__ method",
                             value_type_name(subject));
    if (precision < 0 || precision > 20)
        return template_fail(in, ERR_UNSUPPORTED, "rounding to %" PRId64 " digits",
                             precision);
    scale = pow(10, (double)precision);
    if (method != NULL && value_is_string(value_text(method), "ceil"))
        return value_real(ceil(value_as_real(subject) * scale) / scale);
    if (method != NULL && value_is_string(value_text(method), "floor"))
        return value_real(floor(value_as_real(subject) * scale) / scale);
    if (method != NULL && !value_is_string(value_text(method), "common"))
        return template_fail(in, ERR_FORMAT, "method must be common, ceil or floor");
    if (subject.kind != VALUE_REAL)
        return template_binary(in, OP_ADD, value_integer(0), subject);
    snprintf(text, sizeof(text), "%.*f", (int)precision, subject.real); // half to even
    return value_data(value_real(strtod(text, NULL)), subject.data);
}

//------------------------------------------------------------------ JSON

static const char *c_string(struct interpreter *in, const struct text *text)
{
    char *copy = template_alloc(in, text->len + 1, 1);

    if (copy == NULL)
        return "";
    memcpy(copy, text->bytes, text->len);
    return copy;
}

static const char *json_indent(struct interpreter *in, struct value width)
{
    if (width.kind == VALUE_MISSING || width.kind == VALUE_NONE)
        return NULL;
    return c_string(in, indention(in, width));
}

static void json_separators(struct interpreter *in, struct value separators,
                            struct json_style *style)
{
    const struct value *items;
    size_t count;

    if (separators.kind == VALUE_MISSING || separators.kind == VALUE_NONE ||
        !value_iterate(in, separators, &items, &count))
        return;
    if (count != 2 || items[0].kind != VALUE_STRING || items[1].kind != VALUE_STRING) {
        template_fail(in, ERR_FORMAT, "the separators of tojson are two strings");
        return;
    }
    style->item_separator = c_string(in, items[0].text);
    style->key_separator = c_string(in, items[1].text);
}

FILTER(tojson)
{
    struct builder builder = builder_create();
    struct json_style style = {
        .ensure_ascii = args_bool(args, 0, false),
        .sort_keys = args_bool(args, 3, false),
        .key_separator = ": ",
        .indent = json_indent(in, args->values[1]),
    };

    style.item_separator = style.indent != NULL ? "," : ", ";
    json_separators(in, args->values[2], &style);
    template_json(in, &builder, subject, &style);
    return builder_value(in, &builder);
}

// Only attributes, never members.
FILTER(attr)
{
    const struct text *name = args_text(in, args, 0, "the name for attr");

    if (name == NULL || subject.kind == VALUE_DICT)
        return value_undefined("attr");
    return template_attribute(in, subject, name->bytes, name->len);
}

const struct builtin *template_find_filter(const char *name, size_t len)
{
    static const struct builtin table[] = {
        { "default", "default_value? boolean?", filter_default },
        { "d", "default_value? boolean?", filter_default },
        { "trim", "chars?", filter_trim },
        { "upper", "", filter_upper },
        { "lower", "", filter_lower },
        { "capitalize", "", filter_capitalize },
        { "title", "", filter_title },
        { "string", "", filter_string },
        { "safe", "", filter_safe },
        { "escape", "", filter_escape },
        { "e", "", filter_escape },
        { "length", "", filter_length },
        { "count", "", filter_length },
        { "replace", "old new count?", filter_replace },
        { "indent", "width? first? blank?", filter_indent },
        { "center", "width?", filter_center },
        { "truncate", "length? killwords? end? leeway?", filter_truncate },
        { "wordcount", "", filter_wordcount },
        { "format", "*", filter_format },
        { "float", "default?", filter_float },
        { "int", "default? base?", filter_int },
        { "abs", "", filter_abs },
        { "round", "precision? method?", filter_round },
        { "tojson", "ensure_ascii? indent? separators? sort_keys?", filter_tojson },
        { "attr", "name", filter_attr },
    };
    const struct builtin *found =
        template_find_builtin(table, sizeof(table) / sizeof(table[0]), name, len);

    return found != NULL ? found : template_find_list_filter(name, len);
}
