// tests/app/test_options.c
// SPDX-License-Identifier: MIT
#include "app/options.h"

#include "base/conversation.h"
#include "tests/tap.h"

struct values {
    bool flag, other;
    const char *text;
    struct text_list list;
    uint32_t small;
    uint64_t large;
    float real;
    struct generation_settings settings;
};

#define AT(member) offsetof(struct values, member)
static const struct option_spec specs[] = {
    { 'f', "flag", NULL, OPTION_FLAG, AT(flag), 0, 0, "" },
    { 'o', "other", NULL, OPTION_FLAG, AT(other), 0, 0, "" },
    { .name = "A heading", .kind = OPTION_HEADING },
    { 't', "text", "T", OPTION_TEXT, AT(text), 0, 0, "" },
    { 'l', "list", "T", OPTION_LIST, AT(list), 0, 0, "" },
    { 's', "small", "N", OPTION_U32, AT(small), 2, 9, "" },
    { 0, "large", "N", OPTION_U64, AT(large), 0, 0, "" },
    { 0, "real", "X", OPTION_FLOAT, AT(real), -1, 1, "" },
    { 0, "temp", "T", OPTION_SETTING, AT(settings), 0, 0, "" },
    { 0, "top-k", "N", OPTION_SETTING, AT(settings), 0, 0, "" },
    OPTIONS_END,
};

static struct values values;
static struct operands operands;
static struct err err;

// Parses the words of `line` (single spaces; "_" stands for an empty word).
static enum options_status parse(const char *line)
{
    static char words[256];
    static char *argv[32];
    int argc = 1;

    text_list_release(&values.list);
    values = (struct values){ 0 };
    err = (struct err){ 0 };
    snprintf(words, sizeof(words), "%s", line);
    argv[0] = words + strlen(words);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = strcmp(word, "_") == 0 ? word + 1 : word;
    return options_parse(specs, argc, argv, &values, &operands, &err);
}

static void all_ways_to_give_a_value_are_the_same(void)
{
    static const char *const ways[] = { "--text v x", "--text=v x", "-t v x",
                                        "-tv x",      "x --text v", "-t w --text=v x" };

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        CHECK_INT(parse(ways[i]), OPTIONS_OK);
        CHECK_STR(values.text, "v");
        REQUIRE(operands.count == 1);
        CHECK_STR(operands.items[0], "x");
    }
}

static void flags_join_and_lists_grow(void)
{
    CHECK_INT(parse("-fot v -l a --list b -lc"), OPTIONS_OK);
    CHECK(values.flag && values.other);
    CHECK_STR(values.text, "v");
    REQUIRE(values.list.count == 3);
    CHECK_STR(values.list.items[2], "c");
    text_list_release(&values.list);
}

static void two_dashes_end_the_options(void)
{
    CHECK_INT(parse("a -- -f --text -- b"), OPTIONS_OK);
    CHECK(!values.flag);
    REQUIRE(operands.count == 5);
    CHECK_STR(operands.items[1], "-f");
    CHECK_STR(operands.items[3], "--");
}

static void a_single_dash_and_an_empty_word_are_operands(void)
{
    CHECK_INT(parse("- _"), OPTIONS_OK);
    REQUIRE(operands.count == 2);
    CHECK_STR(operands.items[0], "-");
    CHECK_STR(operands.items[1], "");
}

static void a_value_may_look_like_an_option(void)
{
    CHECK_INT(parse("--text --flag --real -0.5"), OPTIONS_OK);
    CHECK_STR(values.text, "--flag");
    CHECK(values.real == -0.5f);
}

static void numbers_are_checked(void)
{
    static const struct {
        const char *line;
        bool good;
    } cases[] = {
        { "--small 2", true },           { "--small 9", true },
        { "--small 1", false },          { "--small 10", false },
        { "--small +3", false },         { "--small -3", false },
        { "--small 3x", false },         { "--small _", false },
        { "--small 4294967298", false }, { "--large 9223372036854775807", true },
        { "--large 0", true },           { "--large 9223372036854775808", false },
        { "--large 1e3", false },        { "--real 1", true },
        { "--real -1", true },           { "--real 1.01", false },
        { "--real nan", false },         { "--real inf", false },
        { "--real _", false },           { "--real 0.5,", false },
        { "--real 1e-3", true },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool good = parse(cases[i].line) == OPTIONS_OK;

        if (good != cases[i].good)
            printf("# %s\n", cases[i].line);
        CHECK_INT(good, cases[i].good);
        CHECK_INT(err.code, good ? ERR_NONE : ERR_USAGE);
    }
}

static void settings_have_the_names_and_ranges_of_the_sampler(void)
{
    CHECK_INT(parse("--temp 0.5 --top-k=7"), OPTIONS_OK);
    CHECK(values.settings.temperature == 0.5f);
    CHECK_INT(values.settings.top_k, 7);
}

static void mistakes_name_the_option(void)
{
    static const char *const cases[][2] = {
        { "--lsit x", "there is no option --lsit; did you mean --list?" },
        { "--zzzzzzzzz", "there is no option --zzzzzzzzz" },
        { "--heading", "there is no option --heading" },
        { "-fz", "there is no option -z" },
        { "--flag=1", "--flag takes no value" },
        { "--text", "--text wants a value: --text T" },
        { "-ft", "--text wants a value: --text T" },
        { "--small x", "--small wants a number from 2 to 9, not \"x\"" },
        { "--large x", "--large wants a whole number, not \"x\"" },
        { "--temp 10.5", "--temp wants a number from 0 to 10, not \"10.5\"" },
        { "--temp nan", "--temp wants a number from 0 to 10, not \"nan\"" },
        { "--top-k 1.5", "--top-k wants a whole number from 0 to 1048576, not \"1.5\"" },
        { "--top-k=-1", "--top-k wants a whole number from 0 to 1048576, not \"-1\"" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_INT(parse(cases[i][0]), OPTIONS_WRONG);
        CHECK_STR(err.text, cases[i][1]);
    }
}

static void help_wins_wherever_it_stands(void)
{
    CHECK_INT(parse("x --help --nonsense"), OPTIONS_HELP);
    CHECK_INT(parse("-fh"), OPTIONS_HELP);
    CHECK_INT(parse("--text --help"), OPTIONS_OK);
    CHECK_INT(parse("-- --help"), OPTIONS_OK);
}

static void words_have_a_distance(void)
{
    CHECK_INT(word_distance("list", "list"), 0);
    CHECK_INT(word_distance("lsit", "list"), 1);
    CHECK_INT(word_distance("lit", "list"), 1);
    CHECK_INT(word_distance("", "list"), 4);
    CHECK_INT(word_distance("kitten", "sitting"), 3);
}

static const struct test tests[] = {
    { "all ways to give a value are the same", all_ways_to_give_a_value_are_the_same },
    { "flags join and lists grow", flags_join_and_lists_grow },
    { "two dashes end the options", two_dashes_end_the_options },
    { "a single dash and an empty word are operands",
      a_single_dash_and_an_empty_word_are_operands },
    { "a value may look like an option", a_value_may_look_like_an_option },
    { "numbers are checked", numbers_are_checked },
    { "settings have the names and ranges of the sampler",
      settings_have_the_names_and_ranges_of_the_sampler },
    { "mistakes name the option", mistakes_name_the_option },
    { "help wins wherever it stands", help_wins_wherever_it_stands },
    { "words have a distance", words_have_a_distance },
};
TAP_MAIN(tests)
