// tests/engine/text/test_grammar.c
// SPDX-License-Identifier: MIT
//
// Grammars: what is accepted and refused. The golden table was made with the peer's own
// matcher (tests/golden/sampler/make_grammars.py); what only we do is stated here.
#include <jansson.h>

#include "base/file.h"
#include "engine/text/grammar.h"
#include "tests/tap.h"

#include <time.h>

// A vocabulary of all single bytes, some longer tokens, and an end at 0.
static const char *const words[] = {
    "tr",  "true", "fal",  "se",    "ab",       "abc",
    "{\"", "\":",  "\xc3", "\xa9x", "\xe2\x82", "00",
};
#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

static struct vocabulary *byte_vocabulary(void)
{
    static char bytes[256];
    struct token_text texts[257 + WORD_COUNT] = { { NULL, 0 } };
    bool ends[257 + WORD_COUNT] = { true };

    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        texts[i + 1] = (struct token_text){ &bytes[i], 1 };
    }
    for (size_t i = 0; i < WORD_COUNT; i++)
        texts[257 + i] = (struct token_text){ words[i], strlen(words[i]) };
    return vocabulary_create(texts, ends, 257 + WORD_COUNT);
}

static struct grammar *parse(const char *text)
{
    struct err err = { .code = ERR_NONE };
    struct grammar *grammar = grammar_parse(text, strlen(text), &err);

    if (grammar == NULL)
        printf("# %s\n", err.text);
    return grammar;
}

// 'y': the whole text is accepted, 'p': it may begin one, 'n': neither.
static char judge(const char *grammar_text, const char *text, size_t len)
{
    struct grammar *grammar = parse(grammar_text);
    struct grammar_matcher *matcher;
    char verdict;

    if (grammar == NULL)
        return 'e';
    matcher = grammar_matcher_create(grammar, NULL);
    if (!grammar_matcher_accept(matcher, text, len, NULL))
        verdict = 'n';
    else
        verdict = grammar_matcher_may_end(matcher) ? 'y' : 'p';
    grammar_matcher_destroy(&matcher);
    grammar_destroy(&grammar);
    return verdict;
}

static void accepts_and_refuses_as_written(void)
{
    static const struct {
        const char *grammar, *text;
        char verdict;
    } cases[] = {
        { "root ::= \"ab\" | \"ac\"", "ac", 'y' },
        { "root ::= \"ab\" | \"ac\"", "a", 'p' },
        { "root ::= \"ab\" | \"ac\"", "ad", 'n' },
        { "root ::= [a-c]+", "abcab", 'y' },
        { "root ::= [^a-c]+", "xyz\xc3\xa9", 'y' },
        { "root ::= [^a-c]+", "xyb", 'n' },
        { "root ::= [a-]", "-", 'y' },
        { "root ::= [\\]\\[]", "]", 'y' },
        { "root ::= \"\\x41\\u00e9\\U0001F600\"", "A\xc3\xa9\xf0\x9f\x98\x80", 'y' },
        { "root ::= .", "\xe2\x82\xac", 'y' },
        { "root ::= .", "\xe2\x82", 'p' },
        { "root ::= .", "\xed\xa0\x80", 'n' }, // a surrogate
        { "root ::= .", "\xc0\x80", 'n' },     // overlong
        { "root ::= .", "\xf4\x90\x80\x80", 'n' },
        { "root ::= [\xc3\xa0-\xc3\xbf]", "\xc3\xa9", 'y' },
        { "root ::= [\xc3\xa0-\xc3\xbf]", "\xc3\x80", 'n' },
        { "root ::= [\\u07ff-\\u0801]", "\xe0\xa0\x80", 'y' },
        { "root ::= [\\uFFFF-\\U00010000]", "\xf0\x90\x80\x80", 'y' },
        { "root ::= \"a\"{2,3}", "a", 'p' },
        { "root ::= \"a\"{2,3}", "aaa", 'y' },
        { "root ::= \"a\"{2,3}", "aaaa", 'n' },
        { "root ::= \"a\"{2}", "aa", 'y' },
        { "root ::= \"a\"{2,}", "aaaaa", 'y' },
        { "root ::= \"a\"{0}", "", 'y' },
        { "root ::= \"a\"{0}", "a", 'n' },
        { "root ::= (\"a\"?)*", "aaa", 'y' },
        { "root ::= (\"a\"*)+ \"b\"", "aab", 'y' },
        { "root ::= \"\"{65536} \"a\"", "a", 'y' },
        { "root ::= x \"c\" # comment\nx ::= \"a\" | \"b\" x", "bbac", 'y' },
        { "root ::= (\n  \"a\" |\n  \"b\"\n)", "b", 'y' },
        { "root ::= | \"a\"", "", 'y' },
        { "root ::= \"(\" root \")\" | \"x\"", "((x))", 'y' },
        { "root ::= \"(\" root \")\" | \"x\"", "((x)))", 'n' },
        { "root ::= a a\na ::= \"x\" a \"y\" | \"\"", "xxyyxy", 'y' },
        { "root ::= a a\na ::= \"x\" a \"y\" | \"\"", "xxyyx", 'p' },
        { "root ::= a | \"b\"\na ::= \"q\" a", "q", 'n' }, // a never ends
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char verdict = judge(cases[i].grammar, cases[i].text, strlen(cases[i].text));

        if (verdict != cases[i].verdict)
            printf("# case %zu: %s\n", i, cases[i].grammar);
        CHECK_INT(verdict, cases[i].verdict);
    }
}

static void agrees_with_the_peer(void)
{
    const char *top = getenv("top_srcdir");
    char path[512], *line, *rest;
    struct str text;
    size_t count = 0;

    snprintf(path, sizeof(path), "%s/tests/golden/sampler/grammars.jsonl",
             top != NULL ? top : ".");
    str_init(&text, 0);
    REQUIRE(file_read(path, 1u << 20, &text, NULL));
    for (rest = text.data; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        json_t *golden = json_loads(line, 0, NULL), *example;
        const char *grammar = json_string_value(json_object_get(golden, "grammar"));
        size_t i;

        REQUIRE(grammar != NULL);
        json_array_foreach(json_object_get(golden, "cases"), i, example)
        {
            const char *input = json_string_value(json_array_get(example, 0));
            char verdict = judge(grammar, input, strlen(input));

            if (verdict != json_string_value(json_array_get(example, 1))[0])
                printf("# %s\n", line);
            CHECK_INT(verdict, json_string_value(json_array_get(example, 1))[0]);
            count++;
        }
        json_decref(golden);
    }
    CHECK_INT(count, 189);
    str_release(&text);
}

static void names_the_place_of_a_mistake(void)
{
    static const struct {
        const char *grammar;
        enum err_code code;
        const char *text;
    } cases[] = {
        { "", ERR_FORMAT, "grammar: rule \"root\" is not defined" },
        { "root ::= x", ERR_FORMAT, "grammar: rule \"x\" is not defined" },
        { "root ::= \"a", ERR_FORMAT,
          "grammar, line 1, column 12: the grammar ends inside a literal or class" },
        { "root ::= [b-a]", ERR_FORMAT,
          "grammar, line 1, column 14: the range is the wrong way round" },
        { "root ::= \"a\"\nroot ::= \"b\"", ERR_FORMAT,
          "grammar, line 2, column 1: this rule has been defined before" },
        { "root = \"a\"", ERR_FORMAT, "grammar, line 1, column 6: \"::=\" is missing" },
        { "root ::= (\"a\"", ERR_FORMAT, "grammar, line 1, column 14: \")\" is missing" },
        { "root ::= \"\\q\"", ERR_FORMAT, "grammar, line 1, column 13: unknown escape" },
        { "root ::= \"\\uD800\"", ERR_FORMAT,
          "grammar, line 1, column 17: the escape is not a character" },
        { "root ::= \"a\"{3,2}", ERR_FORMAT,
          "grammar, line 1, column 17: the repetition is the wrong way round" },
        { "root ::= \"a\"{70000}", ERR_LIMIT,
          "grammar, line 1, column 18: more than 65536 repetitions" },
        { "root ::= root \"a\" | \"b\"", ERR_FORMAT,
          "grammar: rule \"root\" is left recursive" },
        { "root ::= a\na ::= \"x\"? b\nb ::= a \"y\" | \"z\"", ERR_FORMAT,
          "grammar: rule \"b\" is left recursive" },
        { "root ::= \"a\" root", ERR_FORMAT, "grammar: it matches no text at all" },
        { "root ::= root", ERR_FORMAT, "grammar: it matches no text at all" },
        { "root ::= \"a\" )", ERR_FORMAT,
          "grammar, line 1, column 14: an element or the end of the line was expected here" },
        { "root ::= (\"abcdefgh\"{60000}){60000}", ERR_LIMIT,
          "grammar: too large once repetitions are written out (more than 262144 places)" },
        { "root ::= (((\"\"{60000}){60000}){60000}) \"a\"{60000}{60000}", ERR_LIMIT,
          "grammar: too large once repetitions are written out (more than 262144 places)" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = { .code = ERR_NONE };
        struct grammar *grammar =
            grammar_parse(cases[i].grammar, strlen(cases[i].grammar), &err);

        CHECK(grammar == NULL);
        CHECK_INT(err.code, cases[i].code);
        CHECK_STR(err.text, cases[i].text);
        grammar_destroy(&grammar);
    }
}

// 64 groups are allowed; llama.cpp issues 19086 and 26600 were 60,000 of them.
static void limits_nesting(void)
{
    static const struct {
        size_t depth;
        bool ok;
    } cases[] = { { 64, true }, { 65, false }, { 60000, false } };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t depth = cases[i].depth;
        char *text = malloc(2 * depth + 32);
        struct err err = { .code = ERR_NONE };
        struct grammar *grammar;

        REQUIRE(text != NULL);
        strcpy(text, "root ::= ");
        memset(text + 9, '(', depth);
        strcpy(text + 9 + depth, "\"a\"");
        memset(text + 12 + depth, ')', depth);
        text[12 + 2 * depth] = '\0';
        grammar = grammar_parse(text, strlen(text), &err);
        CHECK_INT(grammar != NULL, cases[i].ok);
        CHECK_INT(err.code, cases[i].ok ? ERR_NONE : ERR_LIMIT);
        grammar_destroy(&grammar);
        free(text);
    }
}

static bool in_mask(const uint64_t *mask, size_t token)
{
    return (mask[token / 64] >> (token % 64) & 1) != 0;
}

// The mask must say of every token what accepting its bytes says.
static void check_mask(struct grammar *grammar, const char *prefix,
                       const struct vocabulary *vocabulary)
{
    struct grammar_matcher *matcher = grammar_matcher_create(grammar, NULL);
    const uint64_t *mask;

    REQUIRE(grammar_matcher_accept(matcher, prefix, strlen(prefix), NULL));
    for (uint32_t token = 0; token < vocabulary->size; token++) {
        struct grammar_matcher *other = grammar_matcher_create(grammar, NULL);
        struct token_text text = vocabulary_text(vocabulary, token);
        bool allowed;

        REQUIRE(grammar_matcher_accept(other, prefix, strlen(prefix), NULL));
        allowed = token == 0 ? grammar_matcher_may_end(other)
                             : grammar_matcher_accept(other, text.bytes, text.len, NULL);
        REQUIRE(grammar_matcher_mask(matcher, vocabulary, &mask, NULL));
        if (in_mask(mask, token) != allowed)
            printf("# token %u after \"%s\"\n", token, prefix);
        CHECK_INT(in_mask(mask, token), allowed);
        grammar_matcher_destroy(&other);
    }
    grammar_matcher_destroy(&matcher);
}

static void the_mask_agrees_with_accepting(void)
{
    static const char text[] = "root ::= \"{\" s \":\" (v | root) \"}\"\n"
                               "s ::= \"\\\"\" [^\"]{0,4} \"\\\"\"\n"
                               "v ::= \"true\" | \"false\" | [0-9]+ | \"ab\" \"c\"*";
    static const char *const prefixes[] = {
        "",        "{",        "{\"",      "{\"abc",   "{\"\xc3",          "{\"abcd",
        "{\"a\":", "{\"a\":t", "{\"a\":0", "{\"a\":{", "{\"a\":{\"b\":1}}"
    };
    struct vocabulary *vocabulary = byte_vocabulary();
    struct grammar *grammar = parse(text);

    REQUIRE(grammar != NULL);
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        check_mask(grammar, prefixes[i], vocabulary);
    grammar_destroy(&grammar);
    vocabulary_destroy(&vocabulary);
}

static void a_complete_text_leaves_only_the_end(void)
{
    struct vocabulary *vocabulary = byte_vocabulary();
    struct grammar *grammar = parse("root ::= \"abc\"");
    struct grammar_matcher *matcher;
    const uint64_t *mask;
    size_t allowed = 0;

    REQUIRE(grammar != NULL);
    matcher = grammar_matcher_create(grammar, NULL);
    CHECK(grammar_matcher_accept(matcher, "ab", 2, NULL));
    CHECK(!grammar_matcher_may_end(matcher));
    CHECK(grammar_matcher_accept(matcher, "c", 1, NULL));
    CHECK(grammar_matcher_may_end(matcher));
    CHECK(grammar_matcher_must_end(matcher));
    REQUIRE(grammar_matcher_mask(matcher, vocabulary, &mask, NULL));
    for (size_t i = 0; i < vocabulary->size; i++)
        allowed += in_mask(mask, i);
    CHECK_INT(allowed, 1);
    CHECK(in_mask(mask, 0));
    grammar_matcher_destroy(&matcher);
    grammar_destroy(&grammar);
    vocabulary_destroy(&vocabulary);
}

// A refused text leaves the matcher where it was.
static void refusing_changes_nothing(void)
{
    struct grammar *grammar = parse("root ::= \"a\" [b-d]+");
    struct grammar_matcher *matcher;
    struct err err = { .code = ERR_NONE };

    REQUIRE(grammar != NULL);
    matcher = grammar_matcher_create(grammar, NULL);
    CHECK(!grammar_matcher_accept(matcher, "abx", 3, &err));
    CHECK_INT(err.code, ERR_NOT_FOUND);
    CHECK(grammar_matcher_accept(matcher, "ab", 2, NULL));
    CHECK(!grammar_matcher_accept(matcher, "a", 1, NULL));
    CHECK(grammar_matcher_accept(matcher, "cd", 2, NULL));
    CHECK(grammar_matcher_may_end(matcher));
    grammar_matcher_destroy(&matcher);
    grammar_destroy(&grammar);
}

// Every position of a counted text is a state of its own, so this fills the caches
// several times over; the answers must not change by that.
static void survives_its_caches_being_emptied(void)
{
    struct vocabulary *vocabulary = byte_vocabulary();
    struct grammar *grammar = parse("root ::= ([a-c] | \"abc\"){30000} \"!\"");
    struct grammar_matcher *matcher;
    const uint64_t *mask;

    REQUIRE(grammar != NULL);
    matcher = grammar_matcher_create(grammar, NULL);
    for (int i = 0; i < 10000; i++) {
        if (i % 100 == 0) {
            REQUIRE(grammar_matcher_mask(matcher, vocabulary, &mask, NULL));
            CHECK(in_mask(mask, 1 + 'a') && !in_mask(mask, 1 + '!') && !in_mask(mask, 0));
        }
        REQUIRE(grammar_matcher_accept(matcher, "a", 1, NULL));
    }
    for (int i = 10000; i < 30000; i += 2)
        REQUIRE(grammar_matcher_accept(matcher, "cb", 2, NULL));
    CHECK(!grammar_matcher_accept(matcher, "a", 1, NULL));
    CHECK(grammar_matcher_accept(matcher, "!", 1, NULL));
    CHECK(grammar_matcher_must_end(matcher));
    grammar_matcher_destroy(&matcher);
    grammar_destroy(&grammar);
    vocabulary_destroy(&vocabulary);
}

// Catalan ambiguity: the number of parses explodes, the sets of places must not.
static void ambiguity_is_bounded(void)
{
    struct grammar *grammar =
        parse("root ::= s \"!\"\ns ::= \"a\" s s | \"a\" | \"a\" s");
    struct grammar_matcher *matcher;
    struct err err = { .code = ERR_NONE };
    clock_t start = clock();
    bool ok = true;

    REQUIRE(grammar != NULL);
    matcher = grammar_matcher_create(grammar, NULL);
    for (int i = 0; i < 2000 && ok; i++)
        ok = grammar_matcher_accept(matcher, "a", 1, &err);
    CHECK(ok || err.code == ERR_LIMIT);
    CHECK(clock() - start < 20 * CLOCKS_PER_SEC);
    grammar_matcher_destroy(&matcher);
    grammar_destroy(&grammar);
}

static void nesting_beyond_the_stack_is_not_allowed(void)
{
    struct grammar *grammar = parse("root ::= v\nv ::= \"[\" v \"]\" | \"x\"");
    struct grammar_matcher *matcher;
    int depth = 0;

    REQUIRE(grammar != NULL);
    matcher = grammar_matcher_create(grammar, NULL);
    while (depth < 5000 && grammar_matcher_accept(matcher, "[", 1, NULL))
        depth++;
    CHECK_INT(depth, 1024);
    CHECK(grammar_matcher_accept(matcher, "x", 1, NULL));
    for (; depth > 0; depth--)
        REQUIRE(grammar_matcher_accept(matcher, "]", 1, NULL));
    CHECK(grammar_matcher_must_end(matcher));
    grammar_matcher_destroy(&matcher);
    grammar_destroy(&grammar);
}

static const struct test tests[] = {
    { "accepts and refuses as written", accepts_and_refuses_as_written },
    { "agrees with the peer", agrees_with_the_peer },
    { "names the place of a mistake", names_the_place_of_a_mistake },
    { "limits nesting", limits_nesting },
    { "the mask agrees with accepting", the_mask_agrees_with_accepting },
    { "a complete text leaves only the end", a_complete_text_leaves_only_the_end },
    { "refusing changes nothing", refusing_changes_nothing },
    { "survives its caches being emptied", survives_its_caches_being_emptied },
    { "ambiguity is bounded", ambiguity_is_bounded },
    { "nesting beyond the stack is not allowed",
      nesting_beyond_the_stack_is_not_allowed },
};

TAP_MAIN(tests)
