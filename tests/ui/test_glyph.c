// tests/ui/test_glyph.c
// SPDX-License-Identifier: MIT
//
// Widths as xterm, foot and tmux have them, and that no control character becomes a
// glyph.
#include "ui/glyph.h"

#include <locale.h>

#include "base/utf8.h"
#include "tests/tap.h"

static void measures(void)
{
    static const struct {
        const char *text;
        int width;
    } cases[] = {
        { "", 0 },         { "abc", 3 },
        { "é", 1 },        { "e\u0301", 1 },
        { "漢字", 4 },     { "ｆｕｌｌ", 8 },
        { "😀", 2 },        { "👨‍👩‍👧‍👦", 2 },
        { "👍🏽", 2 }, { "❤️", 1 },
        { "🇯🇵", 2 },       { "🏳️‍🌈", 1 },
        { "น้ำ", 2 },       { "\u1100\u1161\u11a8", 2 },
        { "क्षि", 3 },      { "سلام", 4 },
        { "a\u200bb", 2 }, { "\u0301", 1 }, // a mark alone gets a space to stand on
        { "\033[31m", 5 }, { "\xff\xfe", 2 },
        { "\u202e", 1 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int width = text_width(cases[i].text, strlen(cases[i].text));

        if (width != cases[i].width)
            printf("# \"%s\"\n", cases[i].text);
        CHECK_INT(width, cases[i].width);
    }
}

static bool is_harmless(wchar_t c)
{
    return c >= 0x20 && c != 0x7F && !(c >= 0x80 && c < 0xA0) &&
           !(c >= 0x202A && c <= 0x202E) && !(c >= 0x2066 && c <= 0x2069) &&
           c != 0xFEFF && !(c >= 0xE0000 && c <= 0xE007F);
}

static void check_harmless(const char *bytes, size_t len)
{
    struct glyph glyph;

    for (size_t at = 0; at < len; at += glyph.bytes) {
        glyph_next(bytes + at, len - at, &glyph);
        REQUIRE(glyph.bytes > 0 && glyph.bytes <= len - at);
        REQUIRE(glyph.width >= 0 && glyph.width <= 2);
        for (size_t i = 0; glyph.chars[i] != 0; i++)
            CHECK(is_harmless(glyph.chars[i]));
    }
}

static void lets_no_control_out(void)
{
    char bytes[8];

    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            bytes[0] = (char)first;
            bytes[1] = (char)second;
            check_harmless(bytes, 2);
        }
    for (uint32_t codepoint = 0; codepoint < 0x110000; codepoint++) {
        bytes[0] = 'a'; // also as a follower
        check_harmless(bytes, 1 + utf8_encode(codepoint, bytes + 1));
        check_harmless(bytes + 1, utf8_encode(codepoint, bytes + 1));
    }
}

static void bounds_a_pile_of_marks(void)
{
    char text[1 + 2 * 1000];
    struct glyph glyph;

    text[0] = 'x';
    for (int i = 0; i < 1000; i++)
        memcpy(text + 1 + 2 * i, "\u0301", 2);
    glyph_next(text, sizeof(text), &glyph);
    CHECK_INT(glyph.bytes, sizeof(text));
    CHECK_INT(glyph.width, 1);
    CHECK_INT(wcslen(glyph.chars), GLYPH_CHARS);
}

static void fits_whole_glyphs(void)
{
    CHECK_INT(text_fit("漢字", 6, 3), 3);
    CHECK_INT(text_fit("abc", 3, 2), 2);
    CHECK_INT(text_fit("abc", 3, 9), 3);
}

static const struct test tests[] = {
    { "measures as terminals do", measures },
    { "lets no control character out", lets_no_control_out },
    { "bounds a pile of marks", bounds_a_pile_of_marks },
    { "fits whole glyphs", fits_whole_glyphs },
};

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    return tap_main(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
