// tests/reference/test_decoder.c
// SPDX-License-Identifier: MIT
//
// The reference decoder against what llama.cpp computed, and against what must hold of
// any causal decoder where llama.cpp does something else.
#include "tests/tap.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "engine/format/quant.h"
#include "tests/engine/model/reference_cases.h"
#include "tests/reference/decoder.h"

#define SAMPLES 8 // logits per position in logits.tsv

struct result {
    size_t count, vocabulary;
    double *logits; // [count][vocabulary]
};

static void result_release(struct result *result)
{
    free(result->logits);
    result->logits = NULL;
}

// Generates the model and runs it on the tokens. Says what failed.
static bool compute_with(const struct model_recipe *recipe, const uint32_t *tokens,
                         size_t count, const struct reference_options *options,
                         struct result *result)
{
    char folder[] = "/tmp/oriel-decoder-XXXXXX";
    struct err err = { .code = ERR_NONE };

    if (mkdtemp(folder) == NULL)
        return false;
    char *path = alloc_printf("%s/model.gguf", folder);
    struct gguf *gguf = model_generate(recipe, path, &err) ? gguf_open(path, &err) : NULL;
    result->count = count;
    result->vocabulary = gguf != NULL ? reference_vocabulary(gguf, &err) : 0;
    result->logits = alloc_array(count, result->vocabulary * sizeof(double));
    bool ok = result->vocabulary != 0 &&
              reference_logits(gguf, tokens, count, options, result->logits, &err);
    gguf_close(&gguf);
    unlink(path);
    rmdir(folder);
    free(path);
    if (!ok)
        printf("# %s: %s\n", recipe->architecture, err.text);
    return ok;
}

static bool compute(const struct model_recipe *recipe, const uint32_t *tokens,
                    size_t count, struct result *result)
{
    struct reference_options options = { .context = MODEL_CONTEXT };

    return compute_with(recipe, tokens, count, &options, result);
}

static bool compute_case(const struct model_case *model, struct result *result)
{
    uint32_t tokens[MODEL_PROMPT_MAX];

    model_prompt(&model->recipe, model->prompt, tokens);
    return compute(&model->recipe, tokens, model->prompt, result);
}

static size_t largest(const double *values, size_t count)
{
    size_t best = 0;

    for (size_t i = 1; i < count; i++)
        best = values[i] > values[best] ? i : best;
    return best;
}

// One line of logits.tsv behind the name: position, largest token, samples.
static void check_line(const struct result *result, char *line, double tolerance)
{
    size_t position = strtoul(line, &line, 10), top = strtoul(line, &line, 10);

    REQUIRE(position < result->count);
    const double *row = result->logits + position * result->vocabulary;
    CHECK_INT(largest(row, result->vocabulary), top);
    for (size_t i = 0; i < SAMPLES; i++) {
        double want = strtod(line, &line);

        CHECK_NEAR(row[(13 * position + 29 * i) % result->vocabulary], want, tolerance);
    }
}

static void check_golden(const struct model_case *model, const char *golden)
{
    // Logits spread by 2.5. llama.cpp rounds to 32 bits; its GELU goes through 16 bits.
    bool gelu = strncmp(model->name, "gemma", 5) == 0;
    struct result result = { .logits = NULL };
    size_t lines = 0, name = strlen(model->name);

    CHECK(compute_case(model, &result));
    for (const char *at = golden; tap_failures == 0 && at != NULL && *at != '\0';) {
        if (strncmp(at, model->name, name) == 0 && at[name] == '\t') {
            check_line(&result, (char *)at + name, gelu ? 1e-2 : 5e-5);
            lines++;
        }
        at = strchr(at, '\n');
        at = at != NULL ? at + 1 : NULL;
    }
    CHECK_INT(lines, model->prompt);
    result_release(&result);
}

static void agrees_with_llama_cpp(void)
{
    const char *top = getenv("top_srcdir");
    char *path = alloc_printf("%s/tests/golden/models/logits.tsv", top ? top : ".");
    struct err err;
    struct str golden;

    str_init(&golden, 0);
    if (!file_read(path, 1 << 20, &golden, &err))
        tap_note(__FILE__, __LINE__, err.text);
    for (size_t i = 0; tap_failures == 0 && i < model_case_count(); i++) {
        struct model_case model = model_case_at(i);

        if (model.golden)
            check_golden(&model, golden.data);
        if (tap_failures > 0)
            printf("# in %s\n", model.name);
    }
    str_release(&golden);
    free(path);
}

static void runs_every_quantised_type(void)
{
    for (size_t i = model_feature_case_count(); i < model_case_count(); i++) {
        struct model_case model = model_case_at(i);
        struct result result = { .logits = NULL };
        double squares = 0;

        REQUIRE(compute_case(&model, &result));
        for (size_t j = 0; j < result.count * result.vocabulary; j++)
            squares += result.logits[j] * result.logits[j];
        double spread = sqrt(squares / (double)(result.count * result.vocabulary));
        if (!(spread > 1 && spread < 8))
            printf("# logits of %s spread by %g\n", model.name, spread);
        CHECK(spread > 1 && spread < 8);
        result_release(&result);
    }
}

// The largest difference between two results at one position.
static double difference(const struct result *a, const struct result *b, size_t position)
{
    double most = 0;

    for (size_t i = 0; i < a->vocabulary; i++) {
        size_t at = position * a->vocabulary + i;
        double d = fabs(a->logits[at] - b->logits[at]);

        if (!isnan(most) && !(d <= most))
            most = d; // what is no number stays the largest
    }
    return most;
}

static void never_looks_ahead(void)
{
    struct model_recipe recipe = { "llama", QUANT_F32, 1, 0 };
    uint32_t tokens[] = { 5, 6, 7, 8, 9 };
    struct result before, after;

    REQUIRE(compute(&recipe, tokens, 5, &before));
    tokens[4] = 100;
    REQUIRE(compute(&recipe, tokens, 5, &after));
    for (size_t position = 0; position < 4; position++)
        CHECK_NEAR(difference(&before, &after, position), 0, 0);
    CHECK(difference(&before, &after, 4) > 0.1);
    result_release(&before);
    result_release(&after);
}

// Seen through 3 layers with a window of 8, position 3 * 7 is the last that token 0
// reaches.
static void forgets_what_left_the_window(void)
{
    static const char *const names[] = { "llama", "phi3" };
    uint32_t tokens[24];

    for (size_t i = 0; i < 2; i++) {
        struct model_recipe recipe = { names[i], QUANT_F32, 9, MODEL_WINDOW };
        struct result before, after;

        model_prompt(&recipe, 24, tokens);
        REQUIRE(compute(&recipe, tokens, 24, &before));
        tokens[0] ^= 1;
        REQUIRE(compute(&recipe, tokens, 24, &after));
        CHECK(difference(&before, &after, 21) > 1e-9);
        CHECK_NEAR(difference(&before, &after, 22), 0, 0);
        CHECK_NEAR(difference(&before, &after, 23), 0, 0);
        result_release(&before);
        result_release(&after);
    }
}

static void sees_all_until_the_window_is_full(void)
{
    struct model_recipe recipe = { "llama", QUANT_F32, 9, MODEL_WINDOW };
    struct result with, without;
    uint32_t tokens[10];

    model_prompt(&recipe, 10, tokens);
    REQUIRE(compute(&recipe, tokens, 10, &with));
    recipe.features = 0;
    REQUIRE(compute(&recipe, tokens, 10, &without));
    for (size_t position = 0; position < 8; position++)
        CHECK_NEAR(difference(&with, &without, position), 0, 0);
    CHECK(difference(&with, &without, 8) > 1e-3);
    result_release(&with);
    result_release(&without);
}

static void round_to_half(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = half_to_float(float_to_half(values[i]));
}

static void rounds_keys_and_values_as_a_cache_would(void)
{
    struct model_recipe recipe = { "qwen3", QUANT_F32, 14, 0 };
    struct reference_options options = { .round_kv = round_to_half };
    struct result exact, rounded;
    uint32_t tokens[12];

    model_prompt(&recipe, 12, tokens);
    REQUIRE(compute(&recipe, tokens, 12, &exact));
    REQUIRE(compute_with(&recipe, tokens, 12, &options, &rounded));
    for (size_t position = 0; position < 12; position++) {
        double off = difference(&exact, &rounded, position);

        CHECK(off > 1e-6 && off < 1e-2);
    }
    result_release(&exact);
    result_release(&rounded);
}

static void count_layers(void *user, int layer, const double *values, size_t rows,
                         size_t columns)
{
    int *expected = user;

    CHECK_INT(layer, (*expected)++);
    CHECK_INT(rows, 2);
    CHECK_INT(columns, 192);
    CHECK(isfinite(values[rows * columns - 1]));
}

static void shows_the_state_after_every_layer(void)
{
    struct model_recipe recipe = { "gemma2", QUANT_F32, 1, 0 };
    int layer = -1;
    struct reference_options options = { .state = count_layers, .user = &layer };
    struct result result;

    CHECK(compute_with(&recipe, (uint32_t[]){ 7, 8 }, 2, &options, &result));
    CHECK_INT(layer, 4);
    result_release(&result);
}

static void refuses_a_token_outside_the_vocabulary(void)
{
    struct model_recipe recipe = { "qwen2", QUANT_F32, 1, 0 };
    struct result result;

    CHECK(!compute(&recipe, (uint32_t[]){ 1, 512 }, 2, &result));
    result_release(&result);
}

static const struct test tests[] = {
    { "agrees with llama.cpp on every golden model", agrees_with_llama_cpp },
    { "runs every architecture with every quantised type", runs_every_quantised_type },
    { "never looks ahead", never_looks_ahead },
    { "forgets what left the sliding window", forgets_what_left_the_window },
    { "sees all until the sliding window is full", sees_all_until_the_window_is_full },
    { "rounds keys and values as a cache would",
      rounds_keys_and_values_as_a_cache_would },
    { "shows the state after every layer", shows_the_state_after_every_layer },
    { "refuses a token outside the vocabulary", refuses_a_token_outside_the_vocabulary },
};

TAP_MAIN(tests)
