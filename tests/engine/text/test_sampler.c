// tests/engine/text/test_sampler.c
// SPDX-License-Identifier: MIT
//
// The distributions are compared with tests/golden/sampler/sampler.txt, which an
// independent program computed in double precision; draws with the distribution by a
// chi-square test.
#include "base/file.h"
#include "engine/text/sampler_create.h"
#include "engine/text/sampler_penalties.h"
#include "engine/text/sampler_random.h"
#include "engine/text/sampler_settings.h"
#include "tests/tap.h"

#define MAX_TOKENS 1000

// ---------------------------------------------------------------------------
// Fixtures

// Token i reads "t<i>", with a colon at the end when i % 10 == 7.
static struct vocabulary *numbered_vocabulary(size_t count)
{
    static char bytes[MAX_TOKENS][8];
    static struct token_text texts[MAX_TOKENS];
    static bool ends[MAX_TOKENS];

    for (size_t i = 0; i < count; i++) {
        int len =
            snprintf(bytes[i], sizeof(bytes[i]), "t%zu%s", i, i % 10 == 7 ? ":" : "");

        texts[i] = (struct token_text){ bytes[i], (size_t)len };
    }
    return vocabulary_create(texts, ends, count);
}

static struct generation_settings plain_settings(void)
{
    struct generation_settings settings;

    generation_settings_default(&settings);
    settings.temperature = 1;
    settings.top_k = 0;
    settings.top_p = 1;
    settings.min_p = 0;
    return settings;
}

static double log_sum_exp(const struct candidate *items, size_t count)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += exp((double)items[i].logit);
    return log(sum);
}

static size_t fill_candidates(struct candidate *items, const float *logits, size_t count)
{
    for (size_t i = 0; i < count; i++)
        items[i] = (struct candidate){ (uint32_t)i, logits[i] };
    return count;
}

// ---------------------------------------------------------------------------
// Golden distributions

struct golden {
    char name[100];
    struct generation_settings settings;
    struct logit_bias biases[16];
    uint32_t history[200];
    size_t history_count;
    struct candidate items[MAX_TOKENS];
    size_t count;
};

static void read_settings(struct golden *g, char *line)
{
    generation_settings_default(&g->settings);
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        char *value = strchr(word, '=');
        struct err err = { .code = ERR_NONE };

        *value++ = '\0';
        CHECK(
            sampler_setting_read(sampler_setting_find(word), &g->settings, value, &err));
        CHECK_STR(err.text, "");
    }
}

static void read_numbers(struct golden *g, const char *kind, char *line)
{
    g->history_count = strcmp(kind, "history") == 0 ? 0 : g->history_count;
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        char *end;

        if (strcmp(kind, "history") == 0) {
            g->history[g->history_count++] = (uint32_t)strtoul(word, NULL, 10);
        } else if (strcmp(kind, "logits") == 0) {
            g->items[g->count] =
                (struct candidate){ (uint32_t)g->count, strtof(word, NULL) };
            g->count++;
        } else {
            struct logit_bias *bias = &g->biases[g->settings.bias_count++];

            bias->token = (uint32_t)strtoul(word, &end, 10);
            bias->bias = strtof(end + 1, NULL);
            g->settings.biases = g->biases;
        }
    }
}

static void compare_distribution(struct golden *g, const struct scored *items,
                                 size_t count, char *line)
{
    size_t i = 0;

    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " "), i++) {
        char *end;
        unsigned long id = strtoul(word, &end, 10);
        double probability = strtod(end + 1, NULL);

        REQUIRE(i < count);
        if (items[i].id != id)
            printf("# %s, place %zu\n", g->name, i);
        CHECK_INT(items[i].id, id);
        CHECK_NEAR(items[i].weight, probability, 1e-9);
    }
    if (i != count)
        printf("# %s\n", g->name);
    CHECK_INT(count, i);
}

static void run_golden(struct golden *g, char *expected, bool reversed)
{
    struct vocabulary *vocabulary = numbered_vocabulary(g->count);
    struct candidates candidates = { g->items, g->count, true, NAN };
    struct err err = { .code = ERR_NONE };
    struct sampler *sampler;
    const struct scored *items;
    size_t count;

    for (size_t i = 0; reversed && i < g->count / 2; i++) {
        struct candidate kept = g->items[i];

        g->items[i] = g->items[g->count - 1 - i];
        g->items[g->count - 1 - i] = kept;
    }
    sampler = sampler_create_with(&g->settings, g->count, vocabulary, &err);
    CHECK_STR(err.text, "");
    REQUIRE(sampler != NULL);
    for (size_t i = 0; i < g->history_count; i++)
        sampler_accept_prompt(sampler, g->history[i]);
    REQUIRE(sampler_distribution(sampler, &candidates, &items, &count, &err));
    compare_distribution(g, items, count, expected);
    sampler_destroy(&sampler);
    vocabulary_destroy(&vocabulary);
}

static void read_line(struct golden *g, char *line, size_t *cases)
{
    char *rest = strchr(line, ' '), *copy;

    rest = rest != NULL ? (*rest = '\0', rest + 1) : line + strlen(line);
    if (strcmp(line, "case") == 0) {
        *g = (struct golden){ .count = 0 };
        snprintf(g->name, sizeof(g->name), "%s", rest);
    } else if (strcmp(line, "settings") == 0) {
        read_settings(g, rest);
    } else if (strcmp(line, "expect") == 0) {
        copy = strdup(rest);
        run_golden(g, rest, false);
        run_golden(g, copy, true);
        free(copy);
        ++*cases;
    } else if (line[0] != '#') {
        read_numbers(g, line, rest);
    }
}

static void distributions_are_those_of_the_definitions(void)
{
    const char *top = getenv("top_srcdir");
    static struct golden golden;
    struct str text;
    char path[512], *line, *rest;
    size_t cases = 0;

    snprintf(path, sizeof(path), "%s/tests/golden/sampler/sampler.txt",
             top != NULL ? top : ".");
    str_init(&text, 0);
    REQUIRE(file_read(path, 16u << 20, &text, NULL));
    for (rest = text.data; (line = strsep(&rest, "\n")) != NULL;) {
        if (*line != '\0')
            read_line(&golden, line, &cases);
    }
    CHECK_INT(cases, 67);
    str_release(&text);
}

// ---------------------------------------------------------------------------
// Drawing

// Published with the generator (pcg32-demo, seed 42, stream 54).
static void random_numbers_are_pcg32(void)
{
    static const uint32_t published[] = { 0xa15c02b7, 0x7b47f409, 0xba1d3330,
                                          0x83d2f293, 0xbfa4784b, 0xcbed606e };
    struct pcg32 random;

    pcg32_seed(&random, 42, 54);
    for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++)
        CHECK_INT(pcg32_next(&random), published[i]);
}

// 20000 draws from 12 tokens: 11 degrees of freedom, 31.26 is the 0.999 quantile. The
// seeds are fixed, so the outcome is too.
static void draws_follow_the_distribution(void)
{
    static const float logits[12] = { 0.1f, 2, -1,   0.5f,  1,    1,
                                      -3,   0, 2.5f, -0.5f, 0.7f, -2 };
    struct candidate items[12];

    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct generation_settings settings = plain_settings();
        struct candidates candidates = { items, fill_candidates(items, logits, 12), true,
                                         0 };
        int counts[12] = { 0 };
        double chi_square = 0, total;
        struct sampler *sampler;

        settings.seed = seed;
        candidates.log_sum_exp = total = log_sum_exp(items, 12);
        sampler = sampler_create_with(&settings, 12, NULL, NULL);
        REQUIRE(sampler != NULL);
        for (int i = 0; i < 20000; i++) {
            uint32_t token;
            float logprob;
            size_t top;

            REQUIRE(
                sampler_choose(sampler, &candidates, &token, &logprob, NULL, &top, NULL));
            counts[token]++;
            CHECK_NEAR(logprob, (double)logits[token] - total, 1e-5);
        }
        for (int i = 0; i < 12; i++) {
            double expected = 20000 * exp((double)logits[i] - total);

            chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
        }
        CHECK(chi_square < 31.26);
        sampler_destroy(&sampler);
    }
}

static uint32_t choose(struct sampler *sampler, struct candidate *items, size_t count)
{
    struct candidates candidates = { items, count, true, log_sum_exp(items, count) };
    uint32_t token = TOKEN_NONE;
    float logprob;
    size_t top;

    sampler_choose(sampler, &candidates, &token, &logprob, NULL, &top, NULL);
    return token;
}

static void a_seed_repeats_itself(void)
{
    struct candidate forward[200], backward[200];
    struct generation_settings settings = plain_settings();
    struct sampler *a, *b;
    bool differs = false;

    for (uint32_t i = 0; i < 200; i++) {
        forward[i] = (struct candidate){ i, (float)(i * 37 % 101) / 25 };
        backward[199 - i] = forward[i];
    }
    settings.seed = 7;
    a = sampler_create_with(&settings, 200, NULL, NULL);
    b = sampler_create_with(&settings, 200, NULL, NULL);
    REQUIRE(a != NULL && b != NULL);
    for (int i = 0; i < 500; i++)
        CHECK_INT(choose(a, forward, 200), choose(b, backward, 200));
    sampler_destroy(&b);
    settings.seed = 8;
    b = sampler_create_with(&settings, 200, NULL, NULL);
    for (int i = 0; i < 50; i++)
        differs = choose(a, forward, 200) != choose(b, forward, 200) || differs;
    CHECK(differs);
    sampler_destroy(&a);
    sampler_destroy(&b);
}

// The log-probabilities are the model's own, whatever the settings do to the choice.
static void reports_the_model_s_own_probabilities(void)
{
    static const float logits[6] = { 1, 4, 2, 4, NAN, 3 };
    struct logit_bias bias = { 1, -INFINITY };
    struct candidate items[6];
    struct candidates candidates = { items, fill_candidates(items, logits, 6), true,
                                     NAN };
    struct generation_settings settings = plain_settings();
    double total = log(exp(1) + 2 * exp(4) + exp(2) + exp(3));
    struct token_logprob top[20];
    struct sampler *sampler;
    uint32_t token;
    float logprob;
    size_t top_count;

    settings.temperature = 0;
    settings.top_logprobs = 4;
    settings.biases = &bias;
    settings.bias_count = 1;
    sampler = sampler_create_with(&settings, 6, NULL, NULL);
    REQUIRE(sampler != NULL);
    REQUIRE(
        sampler_choose(sampler, &candidates, &token, &logprob, top, &top_count, NULL));
    CHECK_INT(token, 3);
    CHECK_NEAR(logprob, 4 - total, 1e-6);
    REQUIRE(top_count == 4);
    CHECK_INT(top[0].id, 1);
    CHECK_INT(top[1].id, 3);
    CHECK_INT(top[2].id, 5);
    CHECK_INT(top[3].id, 2);
    CHECK_NEAR(top[2].logprob, 3 - total, 1e-6);
    sampler_destroy(&sampler);
}

static void says_when_nothing_is_left(void)
{
    static const float invalid[3] = { NAN, -INFINITY, INFINITY }, valid[3] = { 1, 2, 3 };
    struct logit_bias biases[3] = { { 0, -INFINITY },
                                    { 1, -INFINITY },
                                    { 2, -INFINITY } };
    struct generation_settings settings = plain_settings();
    struct candidate items[3];
    struct candidates candidates = { items, fill_candidates(items, invalid, 3), true,
                                     NAN };
    struct err err = { .code = ERR_NONE };
    struct sampler *sampler = sampler_create_with(&settings, 3, NULL, NULL);
    uint32_t token;
    float logprob;
    size_t top;

    CHECK(!sampler_choose(sampler, &candidates, &token, &logprob, NULL, &top, &err));
    CHECK_INT(err.code, ERR_FORMAT);
    CHECK_STR(err.text, "the model produced invalid numbers");
    sampler_destroy(&sampler);
    settings.biases = biases;
    settings.bias_count = 3;
    sampler = sampler_create_with(&settings, 3, NULL, NULL);
    fill_candidates(items, valid, 3);
    CHECK(!sampler_choose(sampler, &candidates, &token, &logprob, NULL, &top, &err));
    CHECK_INT(err.code, ERR_NOT_FOUND);
    sampler_destroy(&sampler);
}

// Rows of the output matrix that are not tokens must never be chosen.
static void stays_within_the_vocabulary(void)
{
    static const float logits[4] = { 1, 2, 9, 9 };
    struct generation_settings settings = plain_settings();
    struct candidate items[4];
    struct sampler *sampler = sampler_create_with(&settings, 2, NULL, NULL);

    fill_candidates(items, logits, 4);
    for (int i = 0; i < 100; i++)
        CHECK(choose(sampler, items, 4) < 2);
    sampler_destroy(&sampler);
}

// ---------------------------------------------------------------------------
// Constraints

static void follows_a_grammar_to_its_end(void)
{
    static const char *const words[] = { "<end>", "a", "b", "ab", "c", "x" };
    static const bool ends[] = { true, false, false, false, false, false };
    struct token_text texts[6];
    struct candidate items[6];
    static const float logits[6] = { 5, 0, 0, 0, 1, 9 };
    struct generation_settings settings = plain_settings();
    struct vocabulary *vocabulary;

    for (size_t i = 0; i < 6; i++)
        texts[i] = (struct token_text){ words[i], strlen(words[i]) };
    vocabulary = vocabulary_create(texts, ends, 6);
    settings.constraint = CONSTRAINT_GBNF;
    settings.constraint_text = "root ::= (\"ab\"){3} \"c\"?";
    fill_candidates(items, logits, 6);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct sampler *sampler;
        char text[64] = "";

        settings.seed = seed;
        sampler = sampler_create_with(&settings, 6, vocabulary, NULL);
        REQUIRE(sampler != NULL);
        CHECK(sampler_needs_all(sampler));
        for (int i = 0; i < 20 && !sampler_finished(sampler); i++) {
            uint32_t token = choose(sampler, items, 6);

            REQUIRE(token < 6);
            if (!ends[token])
                strcat(text, words[token]);
        }
        CHECK(sampler_finished(sampler));
        CHECK(strcmp(text, "ababab") == 0 || strcmp(text, "abababc") == 0);
        sampler_destroy(&sampler);
    }
    vocabulary_destroy(&vocabulary);
}

static void refuses_a_bad_constraint(void)
{
    struct generation_settings settings = plain_settings();
    struct vocabulary *vocabulary = numbered_vocabulary(3);
    struct err err = { .code = ERR_NONE };

    settings.constraint = CONSTRAINT_GBNF;
    settings.constraint_text = "root ::= \"a";
    CHECK(sampler_create_with(&settings, 3, vocabulary, &err) == NULL);
    CHECK_INT(err.code, ERR_FORMAT);
    settings.constraint = CONSTRAINT_JSON_SCHEMA;
    settings.constraint_text = "{\"type\": \"strng\"}";
    CHECK(sampler_create_with(&settings, 3, vocabulary, &err) == NULL);
    CHECK_STR(err.text, "JSON schema, #/type: there is no such type");
    settings.constraint_text = NULL;
    CHECK(sampler_create_with(&settings, 3, vocabulary, &err) == NULL);
    CHECK_INT(err.code, ERR_USAGE);
    vocabulary_destroy(&vocabulary);
}

// ---------------------------------------------------------------------------
// Settings

static void every_setting_has_a_range(void)
{
    struct generation_settings settings;
    const struct sampler_setting *setting;
    struct err err;
    size_t count = 0;

    generation_settings_default(&settings);
    CHECK(sampler_settings_check(&settings, NULL));
    for (; (setting = sampler_setting_at(count)) != NULL; count++) {
        CHECK(sampler_setting_find(setting->name) == setting);
        CHECK_NEAR(sampler_setting_get(setting, &settings), setting->standard, 1e-7);
        CHECK(sampler_setting_set(setting, &settings, setting->min, NULL));
        CHECK(sampler_setting_set(setting, &settings, setting->max, NULL));
        CHECK(sampler_settings_check(&settings, NULL));
        CHECK(!sampler_setting_set(setting, &settings, setting->min - 1, &err));
        CHECK_INT(err.code, ERR_USAGE);
        CHECK(!sampler_setting_set(setting, &settings, setting->max * 2 + 1, &err));
        CHECK(!sampler_setting_set(setting, &settings, NAN, &err));
        CHECK(sampler_setting_set(setting, &settings, setting->standard, NULL));
    }
    CHECK_INT(count, 16);
}

static void reads_settings_from_text(void)
{
    static const struct {
        const char *name, *text, *error;
    } cases[] = {
        { "temperature", "0.5", "" },
        { "top_k", "12", "" },
        { "seed", "18446744073709551615", "" },
        { "temperature", "", "temperature must be a number, not \"\"" },
        { "temperature", "1x", "temperature must be a number, not \"1x\"" },
        { "temperature", "nan", "temperature must be a number from 0 to 10, not nan" },
        { "temperature", "-0.1",
          "temperature must be a number from 0 to 10, not -0.100000001" },
        { "top-k", "1.5", "top-k must be a whole number from 0 to 1048576, not 1.5" },
        { "top-k", "-1", "top-k must be a whole number from 0 to 1048576, not -1" },
        { "seed", "-1",
          "seed must be a whole number from 0 to 1.84467440737096e+19, not -1" },
    };
    struct generation_settings settings;

    generation_settings_default(&settings);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = { .code = ERR_NONE };
        bool ok = sampler_setting_read(sampler_setting_find(cases[i].name), &settings,
                                       cases[i].text, &err);

        CHECK_INT(ok, cases[i].error[0] == '\0');
        CHECK_STR(err.text, cases[i].error);
    }
    CHECK_NEAR(settings.temperature, 0.5, 0);
    CHECK_INT(settings.top_k, 12);
    CHECK(settings.seed == UINT64_MAX);
}

static void refuses_bad_biases(void)
{
    static const struct {
        struct logit_bias bias;
        bool ok;
    } cases[] = {
        { { 0, 1 }, true },     { { 2, -INFINITY }, true }, { { 3, 1 }, false },
        { { 0, NAN }, false },  { { 0, INFINITY }, false }, { { UINT32_MAX, 0 }, false },
        { { 0, 1001 }, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct generation_settings settings = plain_settings();
        struct sampler *sampler;

        settings.biases = &cases[i].bias;
        settings.bias_count = 1;
        sampler = sampler_create_with(&settings, 3, NULL, NULL);
        CHECK_INT(sampler != NULL, cases[i].ok);
        sampler_destroy(&sampler);
    }
}

static const struct test tests[] = {
    { "distributions are those of the definitions",
      distributions_are_those_of_the_definitions },
    { "random numbers are PCG32", random_numbers_are_pcg32 },
    { "draws follow the distribution", draws_follow_the_distribution },
    { "a seed repeats itself", a_seed_repeats_itself },
    { "reports the model's own probabilities", reports_the_model_s_own_probabilities },
    { "says when nothing is left", says_when_nothing_is_left },
    { "stays within the vocabulary", stays_within_the_vocabulary },
    { "follows a grammar to its end", follows_a_grammar_to_its_end },
    { "refuses a bad constraint", refuses_a_bad_constraint },
    { "every setting has a range", every_setting_has_a_range },
    { "reads settings from text", reads_settings_from_text },
    { "refuses bad biases", refuses_bad_biases },
};

TAP_MAIN(tests)
