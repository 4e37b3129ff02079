// tests/engine/text/test_stop.c
// SPDX-License-Identifier: MIT
//
// Stop strings, at every way of cutting the text into two pieces and byte by byte.
#include "base/utf8.h"
#include "engine/text/stop.h"
#include "tests/tap.h"

struct stop_case {
    const char *stops[4];
    const char *text;
    const char *visible; // in the end
    bool stopped;
};

static const struct stop_case cases[] = {
    { { NULL }, "plain text", "plain text", false },
    { { "STOP" }, "some STOP more", "some ", true },
    { { "STOP" }, "some STO", "some STO", false },
    { { "STOP" }, "STOP", "", true },
    { { "STOP" }, "SSTOP", "S", true },
    { { "abab" }, "aabaabab!", "aaba", true },
    { { "aab" }, "aaaab", "aa", true },
    { { "\n\n" }, "a\nb\n\nc", "a\nb", true },
    { { "abcd", "bc" }, "xabcd", "xa", true },
    { { "bcd", "abcd" }, "xabcd", "x", true },
    { { "User:", "\nUser:" }, "hi\nUser: x", "hi", true },
    { { "</s>", "<|im_end|>" }, "a<|im_end", "a<|im_end", false },
    { { "\xe2\x82\xac" }, "5\xe2\x82\xac", "5", true },
    { { "\xe2\x82\xac" }, "5\xe2\x82\xad", "5\xe2\x82\xad", false },
    { { "x" },
      "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
      "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
      false },
    { { "x" },
      "a\xff"
      "b\xc3",
      "a\xef\xbf\xbd"
      "b\xef\xbf\xbd",
      false },
    { { "x" }, "\xe2\x82x", "\xef\xbf\xbd", true },
};

#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

static struct stop_matcher *matcher_of(const struct stop_case *c)
{
    size_t count = 0;

    while (count < 4 && c->stops[count] != NULL)
        count++;
    return stop_matcher_create(c->stops, count, NULL);
}

// Feeds pieces that end at cut, then step bytes each. What is visible must always be
// whole characters and the beginning of the final text.
static void feed_in_pieces(const struct stop_case *c, size_t cut, size_t step)
{
    struct stop_matcher *matcher = matcher_of(c);
    size_t len = strlen(c->text), at = 0;
    struct str visible;
    bool stopped = false;

    REQUIRE(matcher != NULL);
    str_init(&visible, 0);
    while (at < len) {
        size_t end = at < cut ? cut : at + step;

        end = end < len ? end : len;
        stopped = stop_matcher_feed(matcher, c->text + at, end - at, &visible);
        at = end;
        CHECK(utf8_valid(visible.data, visible.len));
        CHECK(strncmp(visible.data, c->visible, visible.len) == 0);
    }
    stop_matcher_finish(matcher, &visible);
    CHECK_INT(stopped, c->stopped);
    CHECK_STR(visible.data, c->visible);
    str_release(&visible);
    stop_matcher_destroy(&matcher);
}

static void finds_stop_strings_however_the_text_is_cut(void)
{
    for (size_t i = 0; i < CASE_COUNT; i++) {
        size_t len = strlen(cases[i].text);

        for (size_t cut = 0; cut <= len; cut++)
            feed_in_pieces(&cases[i], cut, len);
        feed_in_pieces(&cases[i], 0, 1);
        feed_in_pieces(&cases[i], 0, 2);
        feed_in_pieces(&cases[i], 0, 3);
    }
}

static void shows_text_as_soon_as_it_is_certain(void)
{
    static const char *const stops[] = { "<end>" };
    static const struct {
        const char *piece, *visible;
    } steps[] = {
        { "ab", "ab" },
        { "c<", "abc" },
        { "en", "abc" },
        { "x", "abc<enx" },
        { "\xc3", "abc<enx" },
        { "\xa9", "abc<enx\xc3\xa9" },
        { "<<", "abc<enx\xc3\xa9<" },
    };
    struct stop_matcher *matcher = stop_matcher_create(stops, 1, NULL);
    struct str visible;

    str_init(&visible, 0);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        CHECK(!stop_matcher_feed(matcher, steps[i].piece, strlen(steps[i].piece),
                                 &visible));
        CHECK_STR(visible.data, steps[i].visible);
    }
    str_release(&visible);
    stop_matcher_destroy(&matcher);
}

static void ignores_what_follows_a_stop_string(void)
{
    static const char *const stops[] = { "ab" };
    struct stop_matcher *matcher = stop_matcher_create(stops, 1, NULL);
    struct str visible;

    str_init(&visible, 0);
    CHECK(stop_matcher_feed(matcher, "xab", 3, &visible));
    CHECK(stop_matcher_feed(matcher, "more", 4, &visible));
    stop_matcher_finish(matcher, &visible);
    CHECK_STR(visible.data, "x");
    str_release(&visible);
    stop_matcher_destroy(&matcher);
}

static void refuses_useless_stop_strings(void)
{
    static const char *const empty[] = { "a", "" };
    const char *many[65], *one_long[1];
    char long_one[1026];
    struct err err = { .code = ERR_NONE };

    memset(long_one, 'a', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = '\0';
    one_long[0] = long_one;
    for (size_t i = 0; i < 65; i++)
        many[i] = "a";
    CHECK(stop_matcher_create(empty, 2, &err) == NULL);
    CHECK_INT(err.code, ERR_USAGE);
    CHECK(stop_matcher_create(one_long, 1, &err) == NULL);
    CHECK(stop_matcher_create(many, 65, &err) == NULL);
}

static const struct test tests[] = {
    { "finds stop strings however the text is cut",
      finds_stop_strings_however_the_text_is_cut },
    { "shows text as soon as it is certain", shows_text_as_soon_as_it_is_certain },
    { "ignores what follows a stop string", ignores_what_follows_a_stop_string },
    { "refuses useless stop strings", refuses_useless_stop_strings },
};

TAP_MAIN(tests)
