// tests/ui/test_markdown.c
// SPDX-License-Identifier: MIT
//
// Markdown to lines: what a person would see, as text.
#include "ui/markdown.h"

#include <locale.h>

#include "tests/tap.h"
#include "ui/glyph.h"

static const struct {
    int width;
    const char *text, *lines;
} cases[] = {
    { 20, "one two three four five", "one two three four\nfive\n" },
    { 20, "one\ntwo\n\nthree", "one two\n\nthree\n" },
    { 20, "hard  \nbreak", "hard\nbreak\n" },
    { 10, "abcdefghijklmnop", "abcdefghij\nklmnop\n" },
    { 10, "漢字漢字漢字漢", "漢字漢字漢\n字漢\n" },
    { 9, "ab 漢字漢字", "ab 漢字漢\n字\n" },
    { 20, "# Title\n\ntext", "Title\n\ntext\n" },
    { 20, "- a\n- b\n  - c\n", "• a\n• b\n  • c\n" },
    { 20, "- a\n\n- b\n", "• a\n\n• b\n" },
    { 12, "- one two three", "• one two\n  three\n" },
    { 20, "9. a\n10. b\n", "9. a\n10. b\n" },
    { 20, "- [x] done\n- [ ] not\n", "☑ done\n☐ not\n" },
    { 20, "> quoted\n> text", "▏ quoted text\n" },
    { 20, "> a\n>\n> b", "▏ a\n▏\n▏ b\n" },
    { 20, "> - a\n>   b", "▏ • a b\n" },
    { 20, "a\n\n---\n\nb", "a\n\n────────────────────\n\nb\n" },
    { 20, "```c\nint  x;\n\tif\n```", "int  x;\n    if\n" },
    { 10, "```\n0123456789ab\n```", "0123456789\nab\n" },
    { 20, "text\n```\nstill open", "text\n\nstill open\n" },
    { 40, "[a](http://b.c)", "a (http://b.c)\n" },
    { 40, "<http://b.c>", "http://b.c\n" },
    { 40, "a &amp; b &nosuch;", "a & b &nosuch;\n" },
    { 40, "<b>html</b>", "<b>html</b>\n" },
    { 40, "![pic](x.png)", "pic (x.png)\n" },
    { 40, "|a|b|\n|---|--:|\n|1|2|\n|333|4444|\n",
      "a   │    b\n────┼─────\n1   │    2\n333 │ 4444\n" },
    { 16, "|a|b|\n|---|---|\n|x|one two three|\n",
      "a │ b\n──┼─────────────\nx │ one two\n"
      "  │ three\n" },
    { 9, "|a|b|c|\n|---|---|---|\n|alpha1|beta22|gamma3|\n",
      "a: alpha1\nb: beta22\nc: gamma3\n" },
    { 10, "- `a\tbcd`", "• a\n  bcd\n" },
    { 20, "", "" },
    { 20, "*unclosed **and `so on", "*unclosed **and `so\non\n" },
};

static void to_text(const char *text, size_t len, int width, struct str *out)
{
    struct lines lines;

    lines_init(&lines);
    markdown_lines(&lines, text, len, width);
    for (size_t i = 0; i < lines.count; i++) {
        size_t start = out->len;

        lines_text(&lines, i, out);
        CHECK_INT(lines.lines[i].width, text_width(out->data + start, out->len - start));
        while (out->len > start && out->data[out->len - 1] == ' ')
            str_truncate(out, out->len - 1); // cells are padded
        str_append(out, "\n");
    }
    lines_release(&lines);
}

static void draws(void)
{
    struct str out;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        str_init(&out, 0);
        to_text(cases[i].text, strlen(cases[i].text), cases[i].width, &out);
        CHECK_STR(out.data, cases[i].lines);
        str_release(&out);
    }
}

static void never_exceeds_the_width(void)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int width = 8; width < 44; width++) {
            struct lines lines;

            lines_init(&lines);
            markdown_lines(&lines, cases[i].text, strlen(cases[i].text), width);
            for (size_t k = 0; k < lines.count; k++)
                if (lines.lines[k].width > width) {
                    printf("# case %zu, width %d\n", i, width);
                    CHECK_INT(lines.lines[k].width, width);
                }
            lines_release(&lines);
        }
}

// While it is written, every beginning of a text is a text.
static void draws_every_beginning(void)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t len = 0; len <= strlen(cases[i].text); len++) {
            struct str out;

            str_init(&out, 0);
            to_text(cases[i].text, len, cases[i].width, &out);
            str_release(&out);
        }
}

static uint16_t style_of(const struct lines *lines, const char *text)
{
    for (size_t i = 0; i < lines->run_count; i++)
        if (strlen(text) == lines->runs[i].len &&
            memcmp(lines->text.data + lines->runs[i].start, text, strlen(text)) == 0)
            return lines->runs[i].style;
    printf("# no run \"%s\"\n", text);
    return 0xFFFF;
}

static void styles(void)
{
    static const char text[] = "# head\n\n**bold** *it* `code` ~~gone~~\n\n"
                               "```python\nif x: # why\n    return 'a' + 12\n```\n";
    struct lines lines;

    lines_init(&lines);
    markdown_lines(&lines, text, strlen(text), 60);
    CHECK_INT(style_of(&lines, "head"), STYLE_HEADING | STYLE_UNDERLINE);
    CHECK_INT(style_of(&lines, "bold"), STYLE_TEXT | STYLE_BOLD);
    CHECK_INT(style_of(&lines, "it"), STYLE_TEXT | STYLE_ITALIC);
    CHECK_INT(style_of(&lines, "code"), STYLE_CODE);
    CHECK_INT(style_of(&lines, "gone"), STYLE_TEXT | STYLE_STRUCK);
    CHECK_INT(style_of(&lines, "if"), STYLE_KEYWORD);
    CHECK_INT(style_of(&lines, "# why"), STYLE_COMMENT);
    CHECK_INT(style_of(&lines, "'a'"), STYLE_STRING);
    CHECK_INT(style_of(&lines, "12"), STYLE_NUMBER);
    lines_release(&lines);
}

static void finds_code(void)
{
    static const char text[] = "a\n```\none\n```\n- x\n  ```\n  two\n  ```\n";
    struct str code;

    str_init(&code, 0);
    CHECK(markdown_code(text, strlen(text), 1, &code));
    CHECK_STR(code.data, "two\n");
    CHECK(!markdown_code(text, strlen(text), 2, &code));
    str_release(&code);
}

static const struct test tests[] = {
    { "draws Markdown", draws },
    { "never exceeds the width", never_exceeds_the_width },
    { "draws every beginning of a text", draws_every_beginning },
    { "gives styles", styles },
    { "finds the code of a block", finds_code },
};

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    return tap_main(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
