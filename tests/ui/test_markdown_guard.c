// tests/ui/test_markdown_guard.c
// SPDX-License-Identifier: MIT
#include "tests/tap.h"

#include "ui/markdown_guard.h"

struct guard_case {
    const char *text, *safe;
};

static void check(const struct guard_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct str safe;

        str_init(&safe, 1000);
        markdown_guard(cases[i].text, strlen(cases[i].text), &safe);
        CHECK_STR(safe.data, cases[i].safe);
        str_release(&safe);
    }
}

static void links_that_are_complete_stay(void)
{
    static const struct guard_case cases[] = {
        { "[a](b)", "[a](b)" },
        { "[a]()", "[a]()" },
        { "[a](<b c> \"title\") more\n", "[a](<b c> \"title\") more\n" },
        { "[a](b(c)d 'x')", "[a](b(c)d 'x')" },
        { "![a](b\\)c)", "![a](b\\)c)" },
    };

    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void links_that_are_not_are_taken_apart(void)
{
    static const struct guard_case cases[] = {
        { "[a](b", "[a]\\(b" },
        { "[a](", "[a]\\(" },
        { "[a](b(c)\n\nd", "[a]\\(b(c)\n\nd" },
        { "[a](b \"c)\nd", "[a]\\(b \"c)\nd" },
        { "[a](<b)\n", "[a]\\(<b)\n" },
        { "[a](b) [c](d", "[a](b) [c]\\(d" },
        { "a `b` [c](d `e", "a `b` [c]\\(d `e" },
    };

    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void code_is_left_alone(void)
{
    static const struct guard_case cases[] = {
        { "```c\nf[i](x,\n```\n[a](b", "```c\nf[i](x,\n```\n[a]\\(b" },
        { "~~~~\n~~~\nf[i](x\n~~~~\nf[i](x", "~~~~\n~~~\nf[i](x\n~~~~\nf[i]\\(x" },
        { "a `f[i](x` b", "a `f[i](x` b" },
        { "> ```\n> f[i](x", "> ```\n> f[i](x" },
    };

    check(cases, sizeof(cases) / sizeof(cases[0]));
}

static const struct test tests[] = {
    { "links that are complete stay", links_that_are_complete_stay },
    { "links that are not complete are taken apart", links_that_are_not_are_taken_apart },
    { "code is left alone", code_is_left_alone },
};
TAP_MAIN(tests)
