// engine/text/template_unicode.c
// SPDX-License-Identifier: MIT
//
// Characters as Python's str sees them: counting, white space, case. Case mapping is
// Unicode's simple one (utf8proc) plus the sharp s; other characters that change their
// length keep their form.
#include "engine/text/template_private.h"

#include <string.h>

#include <utf8proc.h>

#include "base/utf8.h"

bool unicode_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 ||
           c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

uint32_t unicode_at(const struct text *text, size_t offset, size_t *len)
{
    uint32_t codepoint;
    bool valid;

    *len = utf8_decode(text->bytes + offset, text->len - offset, &codepoint, &valid);
    return codepoint;
}

size_t unicode_count(struct interpreter *in, const char *bytes, size_t len)
{
    size_t count = 0;

    template_charge(in, len);
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return count;
}

size_t unicode_offset(const struct text *text, size_t characters)
{
    size_t offset = 0, len;

    for (; characters > 0 && offset < text->len; characters--, offset += len)
        unicode_at(text, offset, &len);
    return offset;
}

bool unicode_printable(uint32_t codepoint)
{
    switch (utf8proc_category((utf8proc_int32_t)codepoint)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    case UTF8PROC_CATEGORY_ZS:
        return codepoint == ' ';
    default:
        return true;
    }
}

static bool is_upper(uint32_t codepoint)
{
    return utf8proc_category((utf8proc_int32_t)codepoint) == UTF8PROC_CATEGORY_LU;
}

static uint32_t change(uint32_t codepoint, enum unicode_case to, bool starts)
{
    utf8proc_int32_t c = (utf8proc_int32_t)codepoint;

    switch (to) {
    case CASE_UPPER:
        return (uint32_t)utf8proc_toupper(c);
    case CASE_LOWER:
        return (uint32_t)utf8proc_tolower(c);
    case CASE_SWAP:
        return (uint32_t)(is_upper(codepoint) ? utf8proc_tolower(c)
                                              : utf8proc_toupper(c));
    case CASE_TITLE:
    case CASE_CAPITAL:
        break;
    }
    return (uint32_t)(starts ? utf8proc_totitle(c) : utf8proc_tolower(c));
}

static bool is_cased(uint32_t codepoint)
{
    utf8proc_int32_t c = (utf8proc_int32_t)codepoint;

    return utf8proc_toupper(c) != c || utf8proc_tolower(c) != c;
}

struct value template_change_case(struct interpreter *in, const struct text *text,
                                  enum unicode_case to)
{
    struct builder builder = builder_create();
    bool starts = true;
    size_t len;

    for (size_t i = 0; i < text->len && !in->failed; i += len) {
        uint32_t codepoint = unicode_at(text, i, &len);
        bool data = text->marks != NULL ? text->marks[i] : text->data;
        bool raises = to == CASE_UPPER || to == CASE_SWAP || (to != CASE_LOWER && starts);
        char bytes[UTF8_MAX];

        if (codepoint == 0xDF && raises) {
            builder_literal(in, &builder,
                            to == CASE_UPPER || to == CASE_SWAP ? "SS" : "Ss", data);
        } else {
            size_t n = utf8_encode(change(codepoint, to, starts), bytes);

            builder_append(in, &builder, bytes, n, NULL, data);
        }
        starts = to == CASE_TITLE && !is_cased(codepoint);
    }
    return builder_value(in, &builder);
}

static bool contains(struct interpreter *in, const struct text *chars, uint32_t codepoint)
{
    size_t len;

    if (chars == NULL)
        return unicode_is_space(codepoint);
    if (!template_charge(in, chars->len))
        return false;
    for (size_t i = 0; i < chars->len; i += len) {
        if (unicode_at(chars, i, &len) == codepoint)
            return true;
    }
    return false;
}

struct value template_strip(struct interpreter *in, const struct text *text,
                            const struct text *chars, unsigned sides)
{
    size_t start = 0, end = text->len, len;

    while ((sides & 1) != 0 && start < end &&
           contains(in, chars, unicode_at(text, start, &len)))
        start += len;
    while ((sides & 2) != 0 && end > start) {
        size_t last = end - 1;

        while (last > start && ((unsigned char)text->bytes[last] & 0xC0) == 0x80)
            last--;
        if (!contains(in, chars, unicode_at(text, last, &len)))
            break;
        end = last;
    }
    template_charge(in, text->len - (end - start));
    return value_substring(in, text, start, end - start);
}
