// engine/text/json_schema_scalar.c
// SPDX-License-Identifier: MIT
//
// Strings and numbers. Integers have at most 18 digits, so that they fit 64 bits in every
// reader; other numbers 16 and 16 around the point and an exponent of two digits, so that
// they are finite. Bounds on numbers become alternatives of digit ranges.
#include <math.h>
#include <string.h>

#include "engine/text/json_schema_private.h"

#define LARGEST_INTEGER INT64_C(999999999999999999)
#define LARGEST_REAL    INT64_C(999999999999999)

// ---------------------------------------------------------------------------
// Strings

static const struct grammar_expr *one_of(struct schema_converter *c,
                                         const char *characters)
{
    struct grammar_range ranges[32];
    size_t count = 0;

    for (; *characters != '\0'; characters += 2, count++)
        ranges[count] = (struct grammar_range){ (unsigned char)characters[0],
                                                (unsigned char)characters[1] };
    return grammar_class(c->ast, ranges, count, false);
}

static const struct grammar_expr *sequence(struct schema_converter *c,
                                           const struct grammar_expr *a,
                                           const struct grammar_expr *b,
                                           const struct grammar_expr *last)
{
    const struct grammar_expr *items[] = { a, b, last };

    return grammar_sequence(c->ast, items, 3);
}

// \uXXXX for everything but surrogates (their pairs would be one character) and U+0000
// (which many readers refuse): four digits that are not 0000 and do not begin D8 to DF.
static const struct grammar_expr *unicode_escape(struct schema_converter *c)
{
    const struct grammar_expr *hex = one_of(c, "09afAF"),
                              *zero = grammar_text(c->ast, "0");
    const struct grammar_expr *nonzero = one_of(c, "19afAF");
    const struct grammar_expr *two = grammar_repeat(c->ast, hex, 2, 2);
    const struct grammar_expr *small = nonzero;
    const struct grammar_expr *items[3];

    // small: 0001 to 0FFF without its first digit, built from the right
    small = schema_either(c, schema_pair(c, nonzero, hex), schema_pair(c, zero, nonzero));
    small = schema_either(c, schema_pair(c, nonzero, two), schema_pair(c, zero, small));
    items[0] = schema_pair(c, zero, small);
    items[1] = sequence(c, one_of(c, "19acefACEF"), hex, two);
    items[2] = sequence(c, one_of(c, "ddDD"), one_of(c, "07"), two);
    return schema_pair(c, grammar_text(c->ast, "u"), grammar_choice(c->ast, items, 3));
}

const struct grammar_expr *schema_basic_character(struct schema_converter *c)
{
    static const struct grammar_range special[] = { { 0, 0x1F },
                                                    { '"', '"' },
                                                    { '\\', '\\' } };
    const struct grammar_expr *plain = grammar_class(c->ast, special, 3, true);
    const struct grammar_expr *letter = one_of(c, "\"\"\\\\//bbffnnrrtt");

    return schema_either(c, plain,
                         schema_pair(c, grammar_text(c->ast, "\\"),
                                     schema_either(c, letter, unicode_escape(c))));
}

// What stands between the quotes.
static bool string_inside(struct schema_converter *c, const json_t *schema,
                          const struct grammar_expr **expr)
{
    const json_t *pattern = json_object_get(schema, "pattern");
    const json_t *format = json_object_get(schema, "format");
    uint32_t min = 0, max = GRAMMAR_UNBOUNDED;
    const char *known;

    if (!schema_count(c, schema, "minLength", &min) ||
        !schema_count(c, schema, "maxLength", &max))
        return false;
    if (pattern == NULL && format == NULL) {
        *expr = grammar_repeat(c->ast, schema_basic(c, BASIC_CHARACTER), min, max);
        return min <= max ||
               schema_refuse(c, ERR_FORMAT, "maxLength", "less than minLength");
    }
    if (min > 0 || max != GRAMMAR_UNBOUNDED || (pattern != NULL && format != NULL))
        return schema_refuse(c, ERR_UNSUPPORTED, pattern != NULL ? "pattern" : "format",
                             "cannot be combined with other demands on the same string");
    if (!json_is_string(pattern != NULL ? pattern : format))
        return schema_refuse(c, ERR_FORMAT, pattern != NULL ? "pattern" : "format",
                             "must be a string");
    if (pattern != NULL)
        return schema_pattern(c, "pattern", json_string_value(pattern), expr);
    known = schema_format_pattern(json_string_value(format));
    if (known == NULL)
        return schema_refuse(c, ERR_UNSUPPORTED, "format",
                             "only date, time, date-time, uuid and ipv4 are supported");
    return schema_pattern(c, "format", known, expr);
}

bool schema_string(struct schema_converter *c, const json_t *schema,
                   const struct grammar_expr **expr)
{
    const struct grammar_expr *quote = grammar_text(c->ast, "\""), *inside;

    if (!string_inside(c, schema, &inside))
        return false;
    *expr = sequence(c, quote, inside, quote);
    return true;
}

// ---------------------------------------------------------------------------
// Numbers

static const struct grammar_expr *digits(struct schema_converter *c, uint32_t min,
                                         uint32_t max)
{
    return grammar_repeat(c->ast, one_of(c, "09"), min, max);
}

static const struct grammar_expr *optional(struct schema_converter *c,
                                           const struct grammar_expr *expr)
{
    return grammar_repeat(c->ast, expr, 0, 1);
}

static const struct grammar_expr *whole(struct schema_converter *c, uint32_t most_digits)
{
    return schema_either(c, grammar_text(c->ast, "0"),
                         schema_pair(c, one_of(c, "19"), digits(c, 0, most_digits - 1)));
}

const struct grammar_expr *schema_basic_integer(struct schema_converter *c)
{
    return schema_pair(c, optional(c, grammar_text(c->ast, "-")), whole(c, 18));
}

static const struct grammar_expr *fraction(struct schema_converter *c)
{
    return schema_pair(c, grammar_text(c->ast, "."), digits(c, 1, 16));
}

const struct grammar_expr *schema_basic_number(struct schema_converter *c)
{
    const struct grammar_expr *exponent =
        sequence(c, one_of(c, "eeEE"), optional(c, one_of(c, "++--")), digits(c, 1, 2));
    const struct grammar_expr *magnitude =
        sequence(c, whole(c, 16), optional(c, fraction(c)), optional(c, exponent));

    return schema_pair(c, optional(c, grammar_text(c->ast, "-")), magnitude);
}

static const struct grammar_expr *digit_range(struct schema_converter *c, int64_t low,
                                              int64_t high)
{
    struct grammar_range range = { (uint32_t)('0' + low), (uint32_t)('0' + high) };

    return grammar_class(c->ast, &range, 1, false);
}

// The numbers low to high written with exactly as many digits as scale (a power of ten)
// has; leading zeros count.
static const struct grammar_expr *same_length(struct schema_converter *c, int64_t low,
                                              int64_t high, int64_t scale)
{
    int64_t first = low / scale, last = high / scale;
    struct grammar_list list = { 0 };
    const struct grammar_expr *choice;
    uint32_t rest = 0;

    for (int64_t s = scale; s > 1; s /= 10)
        rest++;
    if (rest == 0)
        return digit_range(c, low, high);
    if (first == last)
        return schema_pair(c, digit_range(c, first, first),
                           same_length(c, low % scale, high % scale, scale / 10));
    if (low % scale != 0) {
        grammar_list_push(
            &list, schema_pair(c, digit_range(c, first, first),
                               same_length(c, low % scale, scale - 1, scale / 10)));
        first++;
    }
    if (high % scale != scale - 1) {
        grammar_list_push(&list,
                          schema_pair(c, digit_range(c, last, last),
                                      same_length(c, 0, high % scale, scale / 10)));
        last--;
    }
    if (first <= last)
        grammar_list_push(
            &list, schema_pair(c, digit_range(c, first, last), digits(c, rest, rest)));
    choice = grammar_choice(c->ast, list.items, list.count);
    grammar_list_release(&list);
    return choice;
}

// The whole numbers low to high, 0 <= low.
static const struct grammar_expr *whole_range(struct schema_converter *c, int64_t low,
                                              int64_t high)
{
    const struct grammar_expr *expr = schema_nothing(c);

    for (int64_t scale = 1; scale <= high || scale == 1; scale *= 10) {
        int64_t from = scale == 1 ? 0 : scale, to = scale * 10 - 1;

        from = low > from ? low : from;
        to = high < to ? high : to;
        if (from <= to)
            expr = schema_either(c, expr, same_length(c, from, to, scale));
    }
    return expr;
}

// The real numbers low to high, 0 <= low, both included.
static const struct grammar_expr *real_range(struct schema_converter *c, int64_t low,
                                             int64_t high)
{
    const struct grammar_expr *zeros =
        schema_pair(c, grammar_text(c->ast, "."),
                    grammar_repeat(c->ast, grammar_text(c->ast, "0"), 1, 16));
    const struct grammar_expr *end =
        schema_pair(c, whole_range(c, high, high), optional(c, zeros));

    if (low == high)
        return end;
    return schema_either(
        c, schema_pair(c, whole_range(c, low, high - 1), optional(c, fraction(c))), end);
}

static const struct grammar_expr *signed_range(struct schema_converter *c, int64_t low,
                                               int64_t high, bool integer)
{
    const struct grammar_expr *(*range)(struct schema_converter *, int64_t, int64_t) =
        integer ? whole_range : real_range;
    const struct grammar_expr *expr = schema_nothing(c);

    if (low < 0)
        expr = schema_pair(c, grammar_text(c->ast, "-"),
                           range(c, high < 0 ? -high : (integer ? 1 : 0), -low));
    if (high >= 0)
        expr = schema_either(c, expr, range(c, low > 0 ? low : 0, high));
    return expr;
}

// One bound. step is +1 for a lower bound and -1 for an upper one; *bound becomes the
// nearest whole number inside, if that is narrower.
static bool read_bound(struct schema_converter *c, const json_t *schema,
                       const char *keyword, bool exclusive, int step, bool integer,
                       int64_t *bound)
{
    const json_t *value = json_object_get(schema, keyword);
    double number, inside;

    if (value == NULL)
        return true;
    if (!json_is_number(value))
        return schema_refuse(c, ERR_FORMAT, keyword, "must be a number");
    number = json_number_value(value);
    inside = step > 0 ? ceil(number) : floor(number);
    if (!integer && (exclusive || inside != number))
        return schema_refuse(
            c, ERR_UNSUPPORTED, keyword,
            "for type \"number\" only inclusive whole bounds are supported");
    if (exclusive && inside == number)
        inside += step;
    // doubles hold whole numbers exactly up to 2^53
    if (fabs(inside) > 0x1p53) {
        if ((step > 0) == (inside < 0))
            return true;
        return schema_refuse(c, ERR_UNSUPPORTED, keyword, "too large a bound");
    }
    if (step > 0 ? inside > (double)*bound : inside < (double)*bound)
        *bound = (int64_t)inside;
    return true;
}

bool schema_number(struct schema_converter *c, const json_t *schema, bool integer,
                   const struct grammar_expr **expr)
{
    int64_t limit = integer ? LARGEST_INTEGER : LARGEST_REAL, low = -limit, high = limit;

    if (!read_bound(c, schema, "minimum", false, 1, integer, &low) ||
        !read_bound(c, schema, "exclusiveMinimum", true, 1, integer, &low) ||
        !read_bound(c, schema, "maximum", false, -1, integer, &high) ||
        !read_bound(c, schema, "exclusiveMaximum", true, -1, integer, &high))
        return false;
    if (low == -limit && high == limit)
        *expr = schema_basic(c, integer ? BASIC_INTEGER : BASIC_NUMBER);
    else if (low > high)
        *expr = schema_nothing(c);
    else
        *expr = signed_range(c, low, high, integer);
    return true;
}
