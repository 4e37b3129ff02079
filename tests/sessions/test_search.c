// tests/sessions/test_search.c
// SPDX-License-Identifier: MIT
#include "tests/sessions/fixture.h"

static struct sessions *s;
static struct arena arena;
static struct sessions_sent cat, gpu, weather;

static void begin(void)
{
    s = open_ephemeral();
    arena_init(&arena, 16 << 20);
    OK(send_text(s, NULL, NULL, "A cat sat on the warm windowsill", &cat, &err));
    OK(send_text(s, NULL, NULL, "The GPU's driver, version 2.0; caf\xc3\xa9", &gpu,
                 &err));
    OK(send_text(s, NULL, NULL, "今天天气很好，我们去公园吧", &weather, &err));
}

static void end(void)
{
    arena_release(&arena);
    sessions_close(&s);
}

static size_t matches(const char *query)
{
    struct sessions_hits hits;
    size_t messages = 0;

    OK(sessions_search(s, query, 0, &arena, &hits, &err));
    for (size_t i = 0; i < hits.count; i++)
        messages += hits.hits[i].message[0] != '\0';
    return messages;
}

static void words_phrases_and_beginnings(void)
{
    static const struct {
        const char *query;
        size_t count;
    } cases[] = {
        { "cat", 1 },
        { "CAT", 1 },
        { "cat windowsill", 1 },
        { "cat gpu", 0 },
        { "\"warm windowsill\"", 1 },
        { "\"windowsill warm\"", 0 },
        { "windows", 1 },
        { "\"windows\"", 0 },
        { "indowsill", 0 },
        { "the", 2 },
        { "cafe", 1 },
        { "caf\xc3\xa9", 1 },
        { "", 0 },
        { "   ", 0 },
        { "version 2.0", 1 },
        { "driver,", 1 },
        { "cat \"", 1 },
        { "\"cat sat", 1 },
    };

    begin();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t count = matches(cases[i].query);

        if (count != cases[i].count)
            printf("# query: %s\n", cases[i].query);
        CHECK_INT(count, cases[i].count);
    }
    end();
}

static void scripts_without_spaces_are_found_in_the_middle(void)
{
    struct sessions_hits hits;

    begin();
    CHECK_INT(matches("天气"), 1);
    CHECK_INT(matches("公园"), 1);
    CHECK_INT(matches("天气 公园"), 1);
    CHECK_INT(matches("天气 cat"), 0);
    OK(sessions_search(s, "公园", 0, &arena, &hits, &err));
    REQUIRE(hits.count == 2); // the title, made from the text, and the text
    CHECK_STR(hits.hits[1].snippet, "今天天气很好，我们去\x02公园\x03吧");
    end();
}

// None of these may be an error, and none may reach the query language.
static void any_text_is_a_valid_query(void)
{
    static const char *const queries[] = {
        "\"",
        "\"\"",
        "\"\"\"",
        "AND",
        "OR",
        "NOT",
        "NEAR(",
        "NEAR(cat sat, 1)",
        "cat OR gpu",
        "cat NOT sat",
        "text:cat",
        "title : cat",
        "{text}:cat",
        "- cat",
        "^cat",
        "cat*",
        "*",
        "**",
        "(",
        ")",
        "(((((",
        "cat)",
        "'",
        "';--",
        "'; DROP TABLE messages; --",
        "%",
        "_",
        "\\",
        "cat\" OR \"gpu",
        "+",
        ":",
        "\x01\x02\x03",
        "\xff\xfe",
        "\xe2\x82",
        "—",
        "…",
        "“”",
        "cat\ngpu",
        "天\"气",
        "天' OR 1=1 --",
        "\xf0\x9f\x98\x80",
        "a b c d e f g h i j k l m n o p "
        "q r s t u v w x y z a b c d e f g h i j k l m n o p q r s t u v w x y z",
    };
    static char longest[20000];

    begin();
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        struct sessions_hits hits;
        struct err err = { .code = ERR_NONE };

        if (!sessions_search(s, queries[i], 0, &arena, &hits, &err)) {
            printf("# %s: %s\n", queries[i], err.text);
            CHECK(false);
        }
    }
    memset(longest, '"', sizeof(longest) - 1);
    CHECK_INT(matches(longest), 0);
    memset(longest, 'a', sizeof(longest) - 1);
    CHECK_INT(matches(longest), 0);
    CHECK_INT(matches("cat OR gpu"), 0); // three words, none of them an operator
    CHECK_INT(matches("cat NOT sat"), 0);
    end();
}

static void titles_and_tags_come_first_and_follow_changes(void)
{
    struct sessions_hits hits;

    begin();
    OK(sessions_rename(s, gpu.conversation, "Graphics notes", &err));
    OK(sessions_tag(s, cat.conversation, "graphics", true, &err));
    OK(sessions_search(s, "graphics", 0, &arena, &hits, &err));
    CHECK_INT(hits.count, 2);
    CHECK_STR(hits.hits[0].message, "");
    OK(sessions_rename(s, gpu.conversation, "Other notes", &err));
    OK(sessions_tag(s, cat.conversation, "graphics", false, &err));
    OK(sessions_search(s, "graphics", 0, &arena, &hits, &err));
    CHECK_INT(hits.count, 0);
    OK(sessions_search(s, "windowsill", 0, &arena, &hits, &err));
    REQUIRE(hits.count == 2);
    CHECK_STR(hits.hits[1].message, cat.message);
    CHECK_STR(hits.hits[1].conversation, cat.conversation);
    CHECK_STR(hits.hits[1].snippet, "A cat sat on the warm \x02windowsill\x03");
    OK(sessions_delete(s, cat.conversation, &err));
    OK(sessions_search(s, "windowsill", 0, &arena, &hits, &err));
    CHECK_INT(hits.count, 0);
    OK(sessions_check(s, &err));
    end();
}

static void a_reply_is_found_once_it_is_finished(void)
{
    struct sessions_reply *reply;

    begin();
    reply = begin_reply(s, cat.conversation, NULL, NULL);
    REQUIRE(reply != NULL);
    append_token(reply, 1, "peri", 1);
    OK(sessions_reply_flush(reply, &err));
    append_token(reply, 2, "winkle", 2);
    OK(finish_reply(&reply, MESSAGE_DONE, &err));
    CHECK_INT(matches("periwinkle"), 1);
    end();
}

static const struct test tests[] = {
    { "words, phrases and beginnings", words_phrases_and_beginnings },
    { "scripts without spaces are found in the middle",
      scripts_without_spaces_are_found_in_the_middle },
    { "any text is a valid query", any_text_is_a_valid_query },
    { "titles and tags come first and follow changes",
      titles_and_tags_come_first_and_follow_changes },
    { "a reply is found once it is finished", a_reply_is_found_once_it_is_finished },
};
TAP_MAIN(tests)
