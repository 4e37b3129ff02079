// engine/text/json_schema_pattern.c
// SPDX-License-Identifier: MIT
//
// Regular expressions (ECMA-262, what is regular in them) over the characters of a JSON
// string: each character of the pattern becomes the ways in which JSON may spell it.
// Supported: alternatives, groups without capture or with, classes, . \d \w \s and their
// negations, escapes of characters, * + ? {m,n} (also lazy), ^ and $ at the ends of
// top-level alternatives. Refused: lookaround, back references, \b, \p, flags.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "engine/text/json_schema_private.h"

struct pattern {
    struct schema_converter *c;
    const char *keyword;
    const char *at, *end;
    int depth;
};

struct ranges {
    struct grammar_range *items;
    size_t count, cap;
};

static bool refuse(struct pattern *p, const char *why)
{
    return schema_refuse(p->c, ERR_UNSUPPORTED, p->keyword, why);
}

static void add_range(struct ranges *ranges, uint32_t low, uint32_t high)
{
    ranges->items =
        alloc_grow(ranges->items, ranges->count, &ranges->cap, sizeof(*ranges->items));
    ranges->items[ranges->count++] = (struct grammar_range){ low, high };
}

static void invert(struct ranges *ranges)
{
    struct grammar_range *inverted = alloc_array(ranges->count + 2, sizeof(*inverted));

    ranges->count = grammar_ranges_normalise(ranges->items, ranges->count);
    ranges->count = grammar_ranges_invert(ranges->items, ranges->count, inverted);
    free(ranges->items);
    ranges->items = inverted;
    ranges->cap = ranges->count;
}

// ---------------------------------------------------------------------------
// Characters as JSON spells them

static bool has_character(const struct ranges *ranges, uint32_t character)
{
    for (size_t i = 0; i < ranges->count; i++) {
        if (ranges->items[i].low <= character && character <= ranges->items[i].high)
            return true;
    }
    return false;
}

// One character of the ranges: itself where JSON allows that, else its escape. U+0000 is
// left out, because many readers refuse it.
static const struct grammar_expr *spelled(struct schema_converter *c,
                                          struct ranges *ranges)
{
    static const char short_names[] = "btn?fr"; // of U+0008 to U+000D
    struct ranges plain = { 0 };
    struct grammar_list list = { 0 };
    const struct grammar_expr *expr;

    for (size_t i = 0; i < ranges->count; i++) {
        struct grammar_range range = ranges->items[i];

        range.low = range.low < 0x20 ? 0x20 : range.low;
        for (const char *special = "\"\\"; *special != '\0' && range.low <= range.high;
             special++) {
            uint32_t character = (unsigned char)*special;

            if (range.low > character || range.high < character)
                continue;
            if (range.low < character)
                add_range(&plain, range.low, character - 1);
            range.low = character + 1;
        }
        if (range.low <= range.high)
            add_range(&plain, range.low, range.high);
    }
    grammar_list_push(&list, grammar_class(c->ast, plain.items, plain.count, false));
    for (uint32_t character = 1; character <= '\\'; character++) {
        char escape[8];

        if ((character >= 0x20 && character != '"' && character != '\\') ||
            !has_character(ranges, character))
            continue;
        if (character >= 0x20)
            snprintf(escape, sizeof(escape), "\\%c", (char)character);
        else if (character >= 8 && character <= 13 && character != 11)
            snprintf(escape, sizeof(escape), "\\%c", short_names[character - 8]);
        else
            snprintf(escape, sizeof(escape), "\\u%04x", character);
        grammar_list_push(&list, grammar_text(c->ast, escape));
    }
    expr = grammar_choice(c->ast, list.items, list.count);
    grammar_list_release(&list);
    free(plain.items);
    return expr;
}

// ---------------------------------------------------------------------------
// Escapes and classes

static void add_word(struct ranges *ranges)
{
    add_range(ranges, '0', '9');
    add_range(ranges, 'A', 'Z');
    add_range(ranges, '_', '_');
    add_range(ranges, 'a', 'z');
}

// All that any dialect calls white space when it is to be left out; only what all
// dialects agree on when it is to be produced.
static void add_space(struct ranges *ranges, bool all)
{
    static const struct grammar_range wide[] = {
        { 0x1C, 0x1F },     { 0x85, 0x85 },     { 0xA0, 0xA0 },     { 0x1680, 0x1680 },
        { 0x2000, 0x200A }, { 0x2028, 0x2029 }, { 0x202F, 0x202F }, { 0x205F, 0x205F },
        { 0x3000, 0x3000 }, { 0xFEFF, 0xFEFF },
    };

    add_range(ranges, '\t', '\r');
    add_range(ranges, ' ', ' ');
    for (size_t i = 0; all && i < sizeof(wide) / sizeof(wide[0]); i++)
        add_range(ranges, wide[i].low, wide[i].high);
}

// \d \w \s \D \W \S after the backslash: added to ranges. False: it is none of these.
static bool read_class_escape(struct pattern *p, struct ranges *ranges)
{
    struct ranges named = { 0 };
    char kind = *p->at;

    if (strchr("dwsDWS", kind) == NULL)
        return false;
    p->at++;
    if ((kind | 32) == 'd')
        add_range(&named, '0', '9');
    else if ((kind | 32) == 'w')
        add_word(&named);
    else
        add_space(&named, kind == 'S');
    if (kind < 'a')
        invert(&named);
    for (size_t i = 0; i < named.count; i++)
        add_range(ranges, named.items[i].low, named.items[i].high);
    free(named.items);
    return true;
}

static bool read_hex(struct pattern *p, int count, uint32_t *character)
{
    *character = 0;
    for (int i = 0; i < count; i++, p->at++) {
        const char *digits = "0123456789abcdef";
        const char *digit =
            p->at < p->end && *p->at != '\0' ? strchr(digits, *p->at | 32) : NULL;

        if (digit == NULL || (*p->at < '0'))
            return refuse(p, "too few hexadecimal digits");
        *character = *character << 4 | (uint32_t)(digit - digits);
    }
    return true;
}

// After the backslash.
static bool read_escape(struct pattern *p, uint32_t *character)
{
    static const char names[] = "tnvfr", values[] = "\t\n\v\f\r";
    char c = p->at < p->end ? *p->at : '\0';
    const char *name = c != '\0' ? strchr(names, c) : NULL;

    if (c == 'x' || c == 'u') {
        p->at++;
        return read_hex(p, c == 'x' ? 2 : 4, character);
    }
    if (name != NULL)
        *character = (unsigned char)values[name - names];
    else if (c != '\0' && strchr("^$\\.*+?()[]{}|/-\"'#&,:;<=>@!%~` ", c) != NULL)
        *character = (unsigned char)c;
    else
        return refuse(p, "this escape is not supported");
    p->at++;
    return true;
}

static bool read_character(struct pattern *p, uint32_t *character)
{
    bool valid;

    if (*p->at == '\\') {
        p->at++;
        return read_escape(p, character);
    }
    p->at += utf8_decode(p->at, (size_t)(p->end - p->at), character, &valid);
    return valid || refuse(p, "not UTF-8");
}

// One member of a class: a named class, a character or a range.
static bool read_member(struct pattern *p, struct ranges *ranges)
{
    uint32_t low, high;

    if (*p->at == '\\' && p->at + 1 < p->end) {
        p->at++;
        if (read_class_escape(p, ranges))
            return true;
        if (*p->at == 'b') {
            p->at++;
            add_range(ranges, '\b', '\b');
            return true;
        }
        p->at--;
    }
    if (!read_character(p, &low))
        return false;
    high = low;
    if (p->at + 1 < p->end && p->at[0] == '-' && p->at[1] != ']') {
        p->at++;
        if (!read_character(p, &high))
            return false;
    }
    if (high < low)
        return refuse(p, "a range is the wrong way round");
    add_range(ranges, low, high);
    return true;
}

static bool read_class(struct pattern *p, const struct grammar_expr **expr)
{
    struct ranges ranges = { 0 };
    bool negated, ok = true;

    p->at++;
    negated = p->at < p->end && *p->at == '^';
    p->at += negated;
    while (ok && p->at < p->end && *p->at != ']')
        ok = read_member(p, &ranges);
    if (ok && p->at == p->end)
        ok = refuse(p, "\"]\" is missing");
    if (ok) {
        p->at++;
        if (negated)
            invert(&ranges);
        *expr = spelled(p->c, &ranges);
    }
    free(ranges.items);
    return ok;
}

// ---------------------------------------------------------------------------
// Structure

static bool read_choice(struct pattern *p, bool top, const struct grammar_expr **expr);

static bool read_group(struct pattern *p, const struct grammar_expr **expr)
{
    if (++p->depth > SCHEMA_MAX_DEPTH)
        return refuse(p, "nested more than 64 deep");
    p->at++;
    if (p->at < p->end && *p->at == '?') {
        if (p->end - p->at < 2 || p->at[1] != ':')
            return refuse(p, "lookaround and named groups are not supported");
        p->at += 2;
    }
    if (!read_choice(p, false, expr))
        return false;
    if (p->at == p->end)
        return refuse(p, "\")\" is missing");
    p->at++;
    p->depth--;
    return true;
}

static bool read_atom(struct pattern *p, const struct grammar_expr **expr)
{
    struct ranges ranges = { 0 };
    uint32_t character;
    bool ok = true;

    switch (*p->at) {
    case '(':
        return read_group(p, expr);
    case '[':
        return read_class(p, expr);
    case '^':
    case '$':
        return refuse(p, "^ and $ are supported only at the ends of the pattern");
    case '*':
    case '+':
    case '?':
    case '{':
    case '}':
    case ']':
        return refuse(p, "a character with a meaning stands where it has none");
    case '.':
        p->at++;
        add_range(&ranges, '\n', '\n');
        add_range(&ranges, '\r', '\r');
        add_range(&ranges, 0x2028, 0x2029);
        invert(&ranges);
        break;
    default:
        if (*p->at == '\\' && p->at + 1 < p->end) {
            p->at++;
            if (read_class_escape(p, &ranges))
                break;
            p->at--;
        }
        ok = read_character(p, &character);
        if (ok)
            add_range(&ranges, character, character);
    }
    if (ok)
        *expr = spelled(p->c, &ranges);
    free(ranges.items);
    return ok;
}

static bool read_number(struct pattern *p, uint32_t *number)
{
    if (p->at == p->end || *p->at < '0' || *p->at > '9')
        return refuse(p, "a number is missing in { }");
    *number = 0;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
        *number = *number * 10 + (uint32_t)(*p->at - '0');
        if (*number > SCHEMA_MAX_REPEAT)
            return refuse(p, "more than 65536 repetitions");
    }
    return true;
}

static bool read_bounds(struct pattern *p, uint32_t *min, uint32_t *max)
{
    p->at++;
    if (!read_number(p, min))
        return false;
    *max = *min;
    if (p->at < p->end && *p->at == ',') {
        p->at++;
        *max = GRAMMAR_UNBOUNDED;
        if (p->at < p->end && *p->at != '}' && !read_number(p, max))
            return false;
    }
    if (p->at == p->end || *p->at != '}' || *max < *min)
        return refuse(p, "a repetition { } is malformed");
    p->at++;
    return true;
}

static bool read_quantifier(struct pattern *p, const struct grammar_expr **expr)
{
    uint32_t min = 0, max = GRAMMAR_UNBOUNDED;
    char c = p->at < p->end ? *p->at : '\0';

    if (c == '{') {
        if (!read_bounds(p, &min, &max))
            return false;
    } else if (c == '*' || c == '+' || c == '?') {
        min = c == '+';
        max = c == '?' ? 1 : GRAMMAR_UNBOUNDED;
        p->at++;
    } else {
        return true;
    }
    // lazy or not, the language is the same
    p->at += p->at < p->end && *p->at == '?';
    *expr = grammar_repeat(p->c->ast, *expr, min, max);
    return true;
}

static const struct grammar_expr *anything(struct pattern *p)
{
    return grammar_repeat(p->c->ast, schema_basic(p->c, BASIC_CHARACTER), 0,
                          GRAMMAR_UNBOUNDED);
}

// A top-level alternative without ^ or $ may have anything before or after it.
static bool read_alternative(struct pattern *p, bool top,
                             const struct grammar_expr **expr)
{
    struct grammar_list list = { 0 };
    bool ok = true, open_end = top;

    if (top && p->at < p->end && *p->at == '^')
        p->at++;
    else if (top)
        grammar_list_push(&list, anything(p));
    while (ok && p->at < p->end && *p->at != '|' && (top || *p->at != ')')) {
        const struct grammar_expr *item = NULL;

        if (top && *p->at == '$' && (p->at + 1 == p->end || p->at[1] == '|')) {
            p->at++;
            open_end = false;
            break;
        }
        if (top && *p->at == ')')
            ok = refuse(p, "\")\" without \"(\"");
        else
            ok = read_atom(p, &item) && read_quantifier(p, &item);
        if (ok)
            grammar_list_push(&list, item);
    }
    if (open_end)
        grammar_list_push(&list, anything(p));
    *expr = grammar_sequence(p->c->ast, list.items, list.count);
    grammar_list_release(&list);
    return ok;
}

static bool read_choice(struct pattern *p, bool top, const struct grammar_expr **expr)
{
    struct grammar_list list = { 0 };
    bool ok, more;

    do {
        const struct grammar_expr *item;

        ok = read_alternative(p, top, &item);
        more = ok && p->at < p->end && *p->at == '|';
        p->at += more;
        if (ok)
            grammar_list_push(&list, item);
    } while (more);
    *expr = grammar_choice(p->c->ast, list.items, list.count);
    grammar_list_release(&list);
    return ok;
}

bool schema_pattern(struct schema_converter *c, const char *keyword, const char *pattern,
                    const struct grammar_expr **expr)
{
    struct pattern p = {
        .c = c, .keyword = keyword, .at = pattern, .end = pattern + strlen(pattern)
    };

    return read_choice(&p, true, expr);
}

// ---------------------------------------------------------------------------
// Formats

// RFC 3339 and RFC 4122. Years from 1000, no leap seconds: what every validator accepts.
#define DATE                                                                             \
    "([1-9]\\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|"                             \
    "(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))|"                          \
    "([1-9]\\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)"
#define TIME                                                                             \
    "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,6})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define OCTET "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"

const char *schema_format_pattern(const char *format)
{
    static const struct {
        const char *format, *pattern;
    } table[] = {
        { "date", "^" DATE "$" },
        { "time", "^" TIME "$" },
        { "date-time", "^" DATE "T" TIME "$" },
        { "uuid", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" },
        { "ipv4", "^" OCTET "(\\." OCTET "){3}$" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].format, format) == 0)
            return table[i].pattern;
    }
    return NULL;
}
