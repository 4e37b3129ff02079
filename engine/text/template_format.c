// engine/text/template_format.c
// SPDX-License-Identifier: MIT
//
// Python's `%` and str.format as far as templates go, and strftime. Field widths are
// limited by the heap alone; what is not known here is refused by name.
#include "engine/text/template_private.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_WIDTH 10000

struct spec {
    bool left, zero, plus, space, alternate;
    size_t width;
    int precision; // -1: none
    char type;
};

// The position behind the number at s.
static const char *read_number(const char *s, const char *end, size_t *number)
{
    for (*number = 0; s < end && *s >= '0' && *s <= '9'; s++)
        *number = *number < MAX_WIDTH ? *number * 10 + (size_t)(*s - '0') : MAX_WIDTH;
    return s;
}

static const char *read_spec(const char *s, const char *end, struct spec *spec)
{
    size_t precision;

    *spec = (struct spec){ .precision = -1 };
    for (; s < end && *s != '\0' && strchr("-0+ #", *s) != NULL; s++) {
        spec->left |= *s == '-';
        spec->zero |= *s == '0';
        spec->plus |= *s == '+';
        spec->space |= *s == ' ';
        spec->alternate |= *s == '#';
    }
    s = read_number(s, end, &spec->width);
    if (s < end && *s == '.') {
        s = read_number(s + 1, end, &precision);
        spec->precision = (int)precision;
    }
    spec->type = s < end ? *s : '\0';
    return s < end ? s + 1 : s;
}

static void pad(struct interpreter *in, struct builder *builder, const struct spec *spec,
                struct value value, bool number)
{
    const struct text *text = value.text;
    size_t count = unicode_count(in, text->bytes, text->len);
    size_t fill = count < spec->width ? spec->width - count : 0;
    bool zero = spec->zero && !spec->left && number;
    size_t sign = zero && text->len > 0 && strchr("+- ", text->bytes[0]) != NULL;

    if (sign > 0)
        builder_append(in, builder, text->bytes, 1, text->marks, text->data);
    for (size_t i = 0; !spec->left && i < fill && !in->failed; i++)
        builder_literal(in, builder, zero ? "0" : " ", false);
    builder_text(in, builder, value_substring(in, text, sign, text->len - sign).text);
    for (size_t i = 0; spec->left && i < fill && !in->failed; i++)
        builder_literal(in, builder, " ", false);
}

static struct value format_number(struct interpreter *in, const struct spec *spec,
                                  struct value value)
{
    struct builder builder = builder_create();
    bool integer = strchr("diuxXo", spec->type) != NULL;
    char format[16], text[512];

    if (!value_is_number(value))
        return template_fail(in, ERR_FORMAT, "%%%c format: a number is required, not %s",
                             spec->type, value_type_name(value));
    if (spec->precision > 100)
        return template_fail(in, ERR_UNSUPPORTED, "a precision above 100");
    snprintf(format, sizeof(format), "%%%s%s%s.*%s%c", spec->plus ? "+" : "",
             spec->space ? " " : "", spec->alternate ? "#" : "", integer ? "ll" : "",
             spec->type == 'u' ? 'd' : spec->type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (integer)
        snprintf(text, sizeof(text), format, spec->precision >= 0 ? spec->precision : 1,
                 (long long)(value.kind == VALUE_REAL   ? (int64_t)value.real
                             : value.kind == VALUE_BOOL ? value.boolean
                                                        : value.integer));
    else
        snprintf(text, sizeof(text), format, spec->precision >= 0 ? spec->precision : 6,
                 value_as_real(value));
#pragma GCC diagnostic pop
    builder_literal(in, &builder, text, value.data);
    return builder_value(in, &builder);
}

static void format_one(struct interpreter *in, struct builder *builder,
                       const struct spec *spec, struct value value)
{
    struct builder inner = builder_create();
    struct value text;

    if (spec->type != '\0' && strchr("diuxXoeEfFgG", spec->type) != NULL) {
        text = format_number(in, spec, value);
        if (!in->failed)
            pad(in, builder, spec, text, true);
        return;
    }
    if (spec->type != 's' && spec->type != 'r') {
        template_fail(in, ERR_UNSUPPORTED, "the format %%%c", spec->type);
        return;
    }
    if (spec->type == 's')
        template_print(in, &inner, value);
    else
        template_repr(in, &inner, value);
    text = builder_value(in, &inner);
    if (spec->precision >= 0)
        text = value_substring(in, text.text, 0,
                               unicode_offset(text.text, (size_t)spec->precision));
    pad(in, builder, spec, text, false);
}

// Copies a stretch of the format itself.
static void copy(struct interpreter *in, struct builder *builder,
                 const struct text *format, const char *start, const char *end)
{
    size_t offset = (size_t)(start - format->bytes);

    builder_append(in, builder, start, (size_t)(end - start),
                   format->marks != NULL ? format->marks + offset : NULL, format->data);
}

// "%(name)": s is behind the bracket.
static const char *named_value(struct interpreter *in, const char *s, const char *end,
                               const struct dict *named, struct value *value)
{
    const char *close = memchr(s, ')', (size_t)(end - s));
    const struct value *found = NULL;

    if (close != NULL && named != NULL)
        found = dict_find_name(in, named, s, (size_t)(close - s));
    if (found == NULL) {
        template_fail(in, ERR_FORMAT, "a format names a value that is not there");
        return end;
    }
    *value = *found;
    return close + 1;
}

struct value template_percent(struct interpreter *in, const struct text *format,
                              const struct value *items, size_t count,
                              const struct dict *named)
{
    const char *s = format->bytes, *end = s + format->len;
    struct builder builder = builder_create();
    size_t used = 0;

    while (s < end && !in->failed) {
        const char *sign = memchr(s, '%', (size_t)(end - s));
        struct value value = value_missing();
        struct spec spec;

        copy(in, &builder, format, s, sign != NULL ? sign : end);
        if (sign == NULL)
            break;
        s = sign + 1;
        if (s < end && *s == '(')
            s = named_value(in, s + 1, end, named, &value);
        s = read_spec(s, end, &spec);
        if (spec.type == '%') {
            builder_literal(in, &builder, "%", format->data);
            continue;
        }
        if (value.kind == VALUE_MISSING) {
            if (used >= count)
                return template_fail(in, ERR_FORMAT,
                                     "not enough arguments for format string");
            value = items[used++];
        }
        format_one(in, &builder, &spec, value);
    }
    if (used < count && named == NULL)
        return template_fail(in, ERR_FORMAT,
                             "not all arguments converted during string formatting");
    return builder_value(in, &builder);
}

// The value that a replacement field "0", "name" or "" means.
static struct value field_value(struct interpreter *in, const char *field, size_t len,
                                const struct args *args, size_t *next)
{
    size_t index, name_len = strcspn(field, ".[}:!");
    const char *behind = read_number(field, field + len, &index);

    if (name_len < len)
        return template_fail(in, ERR_UNSUPPORTED, "a format field with more than a name");
    if (behind == field + len) {
        index = len == 0 ? (*next)++ : index;
        return index < args->count
                   ? args->values[index]
                   : template_fail(in, ERR_FORMAT,
                                   "a format has more fields than values");
    }
    for (size_t i = 0; i < args->named_count; i++) {
        const struct text *key = args->named[i].key.text;

        if (key->len == len && memcmp(key->bytes, field, len) == 0)
            return args->named[i].value;
    }
    return template_fail(in, ERR_FORMAT, "a format names a value that is not there");
}

struct value template_format(struct interpreter *in, const struct text *format,
                             const struct args *args)
{
    const char *s = format->bytes, *end = s + format->len;
    struct builder builder = builder_create();
    size_t next = 0;

    while (s < end && !in->failed) {
        const char *open = s, *close;

        while (open < end && *open != '{' && *open != '}')
            open++;
        copy(in, &builder, format, s, open);
        if (open == end)
            break;
        if (open + 1 < end && open[1] == open[0]) {
            copy(in, &builder, format, open, open + 1);
            s = open + 2;
            continue;
        }
        close = *open == '{' ? memchr(open, '}', (size_t)(end - open)) : NULL;
        if (close == NULL)
            return template_fail(in, ERR_FORMAT, "a single brace in a format string");
        template_print(
            in, &builder,
            field_value(in, open + 1, (size_t)(close - open - 1), args, &next));
        s = close + 1;
    }
    return builder_value(in, &builder);
}

struct value template_strftime(struct interpreter *in, const struct text *format)
{
    struct builder builder = builder_create();
    time_t now = (time_t)in->now;
    char *pattern, text[1024];
    locale_t plain;
    struct tm tm;
    size_t len;

    // A sign in front, because strftime also returns 0 for a result that is empty.
    pattern = template_alloc(in, format->len + 2, 1);
    if (pattern == NULL || gmtime_r(&now, &tm) == NULL)
        return template_fail(in, ERR_FORMAT, "the time cannot be written");
    pattern[0] = ' ';
    memcpy(pattern + 1, format->bytes, format->len);
    plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0)
        return template_fail(in, ERR_MEMORY, "no locale to write the time in");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    len = strftime_l(text, sizeof(text), pattern, &tm, plain);
#pragma GCC diagnostic pop
    freelocale(plain);
    if (len == 0)
        return template_fail(in, ERR_LIMIT, "a time of more than %zu bytes",
                             sizeof(text));
    builder_append(in, &builder, text + 1, len - 1, NULL, format->data || format->marks);
    return builder_value(in, &builder);
}
