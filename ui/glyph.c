// ui/glyph.c
// SPDX-License-Identifier: MIT
#include "ui/glyph.h"

#include <utf8proc.h>

#include "base/printable.h"
#include "base/utf8.h"

#define ZERO_WIDTH_JOINER 0x200D

static bool is_format(uint32_t codepoint)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)codepoint);

    return category == UTF8PROC_CATEGORY_CF || codepoint == 0x3164 ||
           codepoint == 0xFFA0 || codepoint == 0x115F || codepoint == 0x1160;
}

static bool is_variation_selector(uint32_t codepoint)
{
    return (codepoint >= 0xFE00 && codepoint <= 0xFE0F) ||
           (codepoint >= 0xE0100 && codepoint <= 0xE01EF);
}

// Whether a later character of a cluster is drawn in the cell of the first.
static bool combines(uint32_t codepoint)
{
    return wcwidth((wchar_t)codepoint) == 0 && !is_format(codepoint) &&
           !is_variation_selector(codepoint);
}

static bool is_mark(uint32_t codepoint)
{
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)codepoint);

    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME;
}

// The first character of a cluster. Returns false when nothing may be added to it.
static bool put_base(struct glyph *glyph, uint32_t codepoint)
{
    uint32_t shown = printable_codepoint(codepoint);
    bool plain = shown == codepoint && codepoint != '\n' && codepoint != '\t';
    int width;

    if (codepoint == '\n' || codepoint == '\t')
        shown = 0x2400 + codepoint;
    if (plain && (is_format(codepoint) || is_variation_selector(codepoint))) {
        glyph->width = 0;
        return true;
    }
    width = wcwidth((wchar_t)shown);
    if (width == 0 && is_mark(shown)) {
        glyph->chars[0] = L' '; // a mark without a base
        glyph->chars[1] = (wchar_t)shown;
        glyph->width = 1;
        return true;
    }
    glyph->chars[0] = (wchar_t)(width > 0 ? shown : UTF8_REPLACEMENT);
    glyph->width = width > 0 ? width : 1;
    return plain;
}

// Whether a later character of a cluster has columns of its own (a vowel beside its
// consonant, the second letter of a flag). Parts of joined emoji have not: they go.
static bool stands_alone(uint32_t before, uint32_t codepoint)
{
    return wcwidth((wchar_t)codepoint) > 0 && before != ZERO_WIDTH_JOINER &&
           !(codepoint >= 0x1F3FB && codepoint <= 0x1F3FF);
}

void glyph_next(const char *bytes, size_t len, struct glyph *glyph)
{
    uint32_t codepoint, next;
    utf8proc_int32_t state = 0;
    size_t chars;
    bool valid;

    *glyph = (struct glyph){ .bytes = utf8_decode(bytes, len, &codepoint, &valid) };
    if (!put_base(glyph, codepoint))
        return;
    if (codepoint >= ' ' && codepoint < 0x7F && glyph->bytes < len &&
        (unsigned char)bytes[glyph->bytes] < 0x80)
        return; // the usual case, quickly
    for (chars = wcslen(glyph->chars); glyph->bytes < len;) {
        size_t used =
            utf8_decode(bytes + glyph->bytes, len - glyph->bytes, &next, &valid);

        if (printable_codepoint(next) != next || next == '\n' ||
            stands_alone(codepoint, next) ||
            utf8proc_grapheme_break_stateful((utf8proc_int32_t)codepoint,
                                             (utf8proc_int32_t)next, &state))
            break;
        if (chars > 0 && chars < GLYPH_CHARS && combines(next))
            glyph->chars[chars++] = (wchar_t)next;
        glyph->bytes += used;
        codepoint = next;
    }
}

int text_width(const char *bytes, size_t len)
{
    struct glyph glyph;
    int width = 0;

    for (size_t at = 0; at < len; at += glyph.bytes) {
        glyph_next(bytes + at, len - at, &glyph);
        width += glyph.width;
    }
    return width;
}

size_t text_fit(const char *bytes, size_t len, int columns)
{
    struct glyph glyph;
    size_t at = 0;

    for (int width = 0; at < len; at += glyph.bytes) {
        glyph_next(bytes + at, len - at, &glyph);
        width += glyph.width;
        if (width > columns)
            break;
    }
    return at;
}
