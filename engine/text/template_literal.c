// engine/text/template_literal.c
// SPDX-License-Identifier: MIT
//
// Strings and numbers in the source of a template, with the escapes of Python.
#include "engine/text/template_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static const char *escape_codepoint(struct parser *p, const char *s, const char *end,
                                    int digits, struct str *out)
{
    uint32_t codepoint = 0;

    for (int i = 0; i < digits; i++, s++) {
        const char *hex = "0123456789abcdef", *digit;

        digit = s < end && *s != '\0' ? strchr(hex, *s | 0x20) : NULL;
        if (digit == NULL || codepoint > 0x10FFFF) {
            template_refuse(p, ERR_FORMAT, "a broken \\x, \\u or \\U in a string");
            return end;
        }
        codepoint = codepoint * 16 + (uint32_t)(digit - hex);
    }
    if (codepoint > 0x10FFFF || (codepoint >= 0xD800 && codepoint < 0xE000)) {
        template_refuse(p, ERR_FORMAT, "an escape in a string names no character");
        return end;
    }
    str_append_codepoint(out, codepoint);
    return s;
}

static const char *escape_octal(const char *s, const char *end, struct str *out)
{
    unsigned codepoint = 0;

    for (int i = 0; i < 3 && s < end && *s >= '0' && *s <= '7'; i++, s++)
        codepoint = codepoint * 8 + (unsigned)(*s - '0');
    str_append_codepoint(out, codepoint);
    return s;
}

// s is behind the backslash.
static const char *unescape(struct parser *p, const char *s, const char *end,
                            struct str *out)
{
    static const char letters[] = "abfnrtv\\'\"", meant[] = "\a\b\f\n\r\t\v\\'\"";
    const char *letter = *s != '\0' ? strchr(letters, *s) : NULL;

    if (letter != NULL) {
        str_append_char(out, meant[letter - letters]);
        return s + 1;
    }
    if (*s >= '0' && *s <= '7')
        return escape_octal(s, end, out);
    switch (*s) {
    case '\n':
        return s + 1;
    case 'x':
        return escape_codepoint(p, s + 1, end, 2, out);
    case 'u':
        return escape_codepoint(p, s + 1, end, 4, out);
    case 'U':
        return escape_codepoint(p, s + 1, end, 8, out);
    case 'N':
        template_refuse(p, ERR_UNSUPPORTED, "characters by name (\\N{...})");
        return end;
    default:
        str_append_char(out, '\\');
        return s;
    }
}

static void append_string(struct parser *p, const struct token *token, struct str *out)
{
    const char *s = token->bytes, *end = s + token->len;

    while (s < end) {
        if (*s == '\\' && s + 1 < end)
            s = unescape(p, s + 1, end, out);
        else
            str_append_char(out, *s++);
    }
}

// One or more strings next to each other, which are one.
struct node *template_parse_string(struct parser *p)
{
    struct node *node = template_node(p, NODE_LITERAL);
    struct str out;
    char *copy;

    str_init(&out, TEMPLATE_MAX_SOURCE * 2);
    for (; p->token->kind == T_STRING; template_advance(p))
        append_string(p, p->token, &out);
    copy = arena_string(&p->template->arena, out.data, out.len);
    if (copy == NULL)
        template_refuse_memory(p);
    else
        node->literal = value_text(template_text_of(p, copy, out.len));
    str_release(&out);
    return node;
}

static void copy_digits(char *out, size_t size, const struct token *token)
{
    size_t n = 0;

    for (size_t i = 0; i < token->len && n + 1 < size; i++) {
        if (token->bytes[i] != '_')
            out[n++] = token->bytes[i];
    }
    out[n] = '\0';
}

static struct value parse_integer(struct parser *p)
{
    static const char prefixes[] = "xob";
    static const int bases[] = { 16, 8, 2 };
    const char *prefix;
    char digits[80], *start = digits, *end;
    int base = 10;
    long long integer;

    copy_digits(digits, sizeof(digits), p->token);
    prefix =
        digits[0] == '0' && digits[1] != '\0' ? strchr(prefixes, digits[1] | 0x20) : NULL;
    if (prefix != NULL) {
        base = bases[prefix - prefixes];
        start += 2;
    }
    errno = 0;
    integer = strtoll(start, &end, base);
    if (end == start || *end != '\0')
        template_refuse(p, ERR_FORMAT, "this is not a number");
    else if (errno == ERANGE || p->token->len >= sizeof(digits))
        template_refuse(p, ERR_UNSUPPORTED, "integers of more than 64 bits");
    return value_integer(integer);
}

struct node *template_parse_number(struct parser *p)
{
    struct node *node = template_node(p, NODE_LITERAL);
    char digits[400];

    if (p->token->kind == T_INTEGER) {
        node->literal = parse_integer(p);
    } else {
        copy_digits(digits, sizeof(digits), p->token);
        node->literal = value_real(strtod(digits, NULL));
    }
    template_advance(p);
    return node;
}
