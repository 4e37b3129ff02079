// tests/vulkan/test_faults.c
// SPDX-License-Identifier: MIT
//
// Every Vulkan function that can fail is made to fail, at its n-th call, with each result
// that the specification allows it, once and for ever, while a model is opened, answers,
// is scored, and is closed. Each time: no crash, no object left, one line that says what
// happened; and when the fault is gone, the same tokens as if it had never been.
//
// FAULTS=all tries every n (make check-vulkan-faults); otherwise the first call fails for
// ever, and the last one once.
#include "tests/tap.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/engine.h"
#include "tests/engine/model/generate.h"
#include "tests/vulkan/with_layer.h"

#define CONTEXT      64
#define PROMPT_COUNT 9
#define REPLY_COUNT  3
#define SCORE_COUNT  5

static struct layer layer;

static struct {
    char folder[32];
    char *model, *cache;
} files;

// What a healthy run gives.
static struct outcome {
    uint32_t ids[REPLY_COUNT];
    size_t id_count;
    float scores[SCORE_COUNT];
} expected;

static struct {
    unsigned tried, struck, failed, lost, hung;
} figures;

// ---------------------------------------------------------------------------
// What a process does with a model

static struct engine *open_model(struct err *err)
{
    struct engine_params params = { .model_path = files.model,
                                    .cache_directory = files.cache,
                                    .context_tokens = CONTEXT };

    return engine_open(&params, err);
}

static bool take_token(void *user, const struct token_event *event)
{
    struct outcome *outcome = user;

    if (event->id != ENGINE_NO_TOKEN && outcome->id_count < REPLY_COUNT)
        outcome->ids[outcome->id_count++] = event->id;
    return true;
}

static bool take_score(void *user, size_t index, const struct token_event *event)
{
    ((struct outcome *)user)->scores[index] = event->logprob;
    return true;
}

static bool answer(struct engine *engine, struct outcome *outcome, struct err *err)
{
    uint32_t ids[PROMPT_COUNT] = { 5, 17, 200, 31, 8, 90, 91, 12, 60 };
    struct engine_prompt prompt = { .ids = ids, .count = PROMPT_COUNT };
    struct generation_settings settings;
    struct engine_result result;

    generation_settings_default(&settings);
    settings.temperature = 0;
    settings.max_tokens = REPLY_COUNT;
    outcome->id_count = 0;
    return engine_generate(engine,
                           &(struct engine_request){ .prompt = &prompt,
                                                     .settings = &settings,
                                                     .on_token = take_token,
                                                     .user = outcome },
                           &result, err);
}

static bool score(struct engine *engine, struct outcome *outcome, struct err *err)
{
    static const uint32_t ids[SCORE_COUNT] = { 7, 3, 99, 100, 42 };

    return engine_score(engine,
                        &(struct score_params){ .tokens = ids,
                                                .count = SCORE_COUNT,
                                                .window = CONTEXT,
                                                .stride = CONTEXT / 2,
                                                .on_token = take_score,
                                                .user = outcome },
                        err);
}

// ---------------------------------------------------------------------------
// Judgement

struct fault {
    const char *function;
    unsigned at;
    VkResult result;
    bool for_ever;
};

static void blame(const struct fault *fault, const char *what, const char *text)
{
    printf("# call %u of %s, %s, %s: %s%s%s\n", fault->at, fault->function,
           result_name(fault->result), fault->for_ever ? "for ever" : "once", what,
           text[0] != '\0' ? ": " : "", text);
    tap_failures++;
}

static void check_line(const struct fault *fault, const struct err *err)
{
    if (err->code == ERR_NONE || err->text[0] == '\0' || strchr(err->text, '\n') != NULL)
        blame(fault, "not one clear line", err->text);
    if (fault->result == VK_ERROR_DEVICE_LOST && err->code != ERR_LOST)
        blame(fault, "a lost device is not called so", err->text);
}

static void check_outcome(const struct fault *fault, const struct outcome *outcome)
{
    if (outcome->id_count != expected.id_count ||
        memcmp(outcome->ids, expected.ids, sizeof(expected.ids)) != 0)
        blame(fault, "other tokens", "");
    for (size_t i = 1; i < SCORE_COUNT; i++)
        if (!(fabsf(outcome->scores[i] - expected.scores[i]) < 1e-4f))
            blame(fault, "other scores", "");
}

// What may be left because nobody knows when the device is done with it.
static bool may_hang(const struct fault *fault)
{
    return strcmp(fault->function, "vkWaitForFences") == 0 &&
           fault->result != VK_ERROR_DEVICE_LOST;
}

static void after_the_fault(const struct fault *fault, struct engine *engine)
{
    struct outcome outcome = { .id_count = 0 };
    struct err err = { .code = ERR_NONE };

    if (!answer(engine, &outcome, &err) || !score(engine, &outcome, &err))
        blame(fault, "the fault is gone, but it fails", err.text);
    else
        check_outcome(fault, &outcome);
}

// Opens a model unless there is one, uses it with the fault, and then without. Returns
// the engine if it is still good.
static struct engine *try(const struct fault *fault, struct engine *engine)
{
    struct outcome outcome = { .id_count = 0 };
    struct err err = { .code = ERR_NONE };
    bool ok;

    layer.arm(fault->function, fault->at, fault->result, fault->for_ever);
    if (engine == NULL)
        engine = open_model(&err);
    ok =
        engine != NULL && answer(engine, &outcome, &err) && score(engine, &outcome, &err);
    figures.tried++;
    figures.struck += layer.has_struck();
    figures.failed += !ok;
    if (ok)
        check_outcome(fault, &outcome);
    else
        check_line(fault, &err);
    if (err.code == ERR_LOST) {
        figures.lost++;
        figures.hung += may_hang(fault);
        engine_close(&engine); // with the fault, should it go on
    }
    layer.disarm();
    if (engine != NULL)
        after_the_fault(fault, engine);
    return engine;
}

static void check_nothing_left(const struct fault *fault, int before)
{
    if (layer.alive() == before || may_hang(fault))
        return;
    blame(fault, "objects are left", "");
    layer.print_alive();
}

// ---------------------------------------------------------------------------
// The n-th call

static bool is_tried(const struct fault *fault, unsigned calls)
{
    const char *which = getenv("FAULTS");
    bool all = which != NULL && strcmp(which, "all") == 0;

    // What hangs keeps its memory until the process ends.
    return (all && !may_hang(fault)) || fault->at == (fault->for_ever ? 1 : calls);
}

// Runs `fail` for each fault of a function that is tried.
static void for_each_fault(const char *function, const VkResult *results, unsigned calls,
                           void (*fail)(const struct fault *))
{
    for (; *results != VK_SUCCESS; results++)
        for (unsigned n = 1; n <= calls; n++)
            for (int for_ever = 0; for_ever < 2; for_ever++) {
                struct fault fault = { function, n, *results, for_ever == 1 };

                if (is_tried(&fault, calls))
                    fail(&fault);
            }
}

static bool use(struct engine *engine, struct err *err)
{
    struct outcome outcome = { .id_count = 0 };

    return answer(engine, &outcome, err) && score(engine, &outcome, err);
}

static void fail_anew(const struct fault *fault)
{
    int before = layer.alive();
    struct engine *engine = try(fault, NULL);

    engine_close(&engine);
    check_nothing_left(fault, before);
}

// A fault on each call from opening to the first use: the model is opened anew for each.
static void fail_from_the_start(const char *function, const VkResult *results)
{
    struct err err = { .code = ERR_NONE };
    struct engine *engine;
    unsigned calls;

    layer.disarm();
    engine = open_model(&err);
    REQUIRE(engine != NULL && use(engine, &err));
    calls = layer.calls(function);
    engine_close(&engine);
    for_each_fault(function, results, calls, fail_anew);
}

// The model that is open, and how many objects there were before.
static struct engine *in_use;
static int before_use;

static bool open_for_use(struct err *err)
{
    before_use = layer.alive();
    in_use = open_model(err);
    return in_use != NULL && use(in_use, err);
}

static void fail_again(const struct fault *fault)
{
    struct err err = { .code = ERR_NONE };

    if (in_use == NULL && !open_for_use(&err)) {
        blame(fault, "no model can be opened any more", err.text);
        return;
    }
    in_use = try(fault, in_use);
    if (in_use == NULL)
        check_nothing_left(fault, before_use);
}

// A fault on each call of a model that has been used already, and is on and on.
static void fail_in_use(const char *function, const VkResult *results)
{
    struct err err = { .code = ERR_NONE };

    REQUIRE(in_use != NULL || open_for_use(&err));
    layer.disarm();
    REQUIRE(use(in_use, &err));
    for_each_fault(function, results, layer.calls(function), fail_again);
}

// ---------------------------------------------------------------------------

static bool make_files(void)
{
    static const struct model_recipe recipe = { .architecture = "llama",
                                                .type = QUANT_Q8_0,
                                                .seed = 7 };
    struct err err = { .code = ERR_NONE };

    strcpy(files.folder, "/tmp/oriel-faults-XXXXXX");
    if (mkdtemp(files.folder) == NULL)
        return false;
    files.model = alloc_printf("%s/model.gguf", files.folder);
    files.cache = alloc_printf("%s/cache", files.folder);
    return model_generate(&recipe, files.model, &err);
}

static void remove_files(void)
{
    char *command = alloc_printf("rm -rf '%s'", files.folder);

    if (system(command) != 0)
        printf("# %s stays\n", files.folder);
    free(command);
    free(files.model);
    free(files.cache);
}

// false after a skip or a failure.
static bool begin(void)
{
    struct err err = { .code = ERR_NONE };
    struct engine *engine;
    int before;
    bool ok;

    if (layer.arm == NULL || !make_files()) {
        CHECK(!"the layer can be loaded and a model made");
        return false;
    }
    layer.disarm();
    before = layer.alive(); // what hung in an earlier test
    engine = open_model(&err);
    if (engine == NULL && err.code == ERR_DEVICE)
        tap_skip("no Vulkan device: %s", err.text);
    ok = engine != NULL && answer(engine, &expected, &err) &&
         score(engine, &expected, &err);
    CHECK(ok || tap_skip_reason[0] != '\0');
    engine_close(&engine);
    CHECK_INT(layer.alive(), before);
    return ok;
}

static void each_call_may_fail(void (*fail)(const char *, const VkResult *))
{
    int64_t start = clock_ns();
    const char *function;
    const VkResult *results;

    if (begin()) {
        memset(&figures, 0, sizeof(figures));
        for (size_t i = 0; (function = layer.function(i, &results)) != NULL; i++)
            fail(function, results);
        engine_close(&in_use);
        printf("# %u faults tried, %u struck: %u ended a request, of these %u lost the "
               "device (%u of them did not answer); %.1f s\n",
               figures.tried, figures.struck, figures.failed, figures.lost, figures.hung,
               (double)(clock_ns() - start) * 1e-9);
    }
    remove_files();
}

static void any_call_may_fail_while_a_model_is_opened(void)
{
    each_call_may_fail(fail_from_the_start);
}

static void any_call_may_fail_while_a_model_is_used(void)
{
    each_call_may_fail(fail_in_use);
}

static const struct test tests[] = {
    { "any call may fail while a model is opened",
      any_call_may_fail_while_a_model_is_opened },
    { "any call may fail while a model is used",
      any_call_may_fail_while_a_model_is_used },
};

int main(int argc, char **argv)
{
    with_layer(&layer);
    return tap_main(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
