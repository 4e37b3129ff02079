// tests/engine/model/test_decoder_pictures.c
// SPDX-License-Identifier: MIT
//
// Pictures in a sequence, on every Vulkan device, against the reference decoder: random
// embeddings at the start, in the middle and side by side, in one pass and in several,
// with M-RoPE, with tokens that see one another, with vectors for the first layers; and
// what the cache is taken to hold afterwards.
#include "tests/tap.h"

#include <unistd.h>

#include "base/alloc.h"
#include "engine/model/decoder.h"
#include "tests/engine/every_gpu.h"
#include "tests/engine/model/generate.h"
#include "tests/engine/model/random.h"
#include "tests/reference/decoder.h"

#define TOLERANCE    1e-4
#define TOKENS       70
#define PICTURES_MAX 3

struct place {
    size_t first, rows, columns;
};

struct scene {
    const char *name;
    struct model_recipe recipe;
    struct place places[PICTURES_MAX]; // rows 0: no more
    size_t deepstack;
    bool bidirectional;
    bool grid; // places in the grid matter
};

static const struct scene scenes[] = {
    { "llama, at the start", { "llama", QUANT_F32, 70, 0 }, { { 0, 3, 5 } }, 0, 0, 0 },
    { "llama, two side by side",
      { "llama", QUANT_Q8_0, 71, 0 },
      { { 4, 2, 3 }, { 10, 4, 9 } },
      0,
      false,
      false },
    { "gemma3, tokens that see one another beyond the window",
      { "gemma3", QUANT_F32, 72, 0 },
      { { 3, 4, 4 }, { 30, 6, 6 } },
      0,
      true,
      false },
    { "gemma3, at the start and at the end",
      { "gemma3", QUANT_F32, 73, MODEL_PERIOD },
      { { 0, 4, 4 }, { 54, 4, 4 } },
      0,
      true,
      false },
    { "qwen2vl, M-RoPE",
      { "qwen2vl", QUANT_F32, 74, 0 },
      { { 1, 5, 3 }, { 20, 2, 7 }, { 34, 1, 1 } },
      0,
      false,
      true },
    { "qwen3vl, interleaved, with deepstack",
      { "qwen3vl", QUANT_F32, 75, 0 },
      { { 2, 3, 4 }, { 14, 6, 2 } },
      2,
      false,
      true },
    { "qwen2vl without pictures", { "qwen2vl", QUANT_F32, 76, 0 }, { { 0 } }, 0, 0, 1 },
};
#define SCENE_COUNT (sizeof(scenes) / sizeof(scenes[0]))

// A scene that was made: model, tokens, pictures, and the logits that are right.
struct stage {
    char folder[32];
    char *path;
    struct gguf *gguf;
    uint32_t width, vocabulary;
    uint32_t tokens[TOKENS];
    float *embeddings[PICTURES_MAX];
    struct decoder_picture pictures[PICTURES_MAX];
    size_t picture_count;
    double *want; // [TOKENS][vocabulary]
};

static void make_pictures(const struct scene *scene, struct stage *stage)
{
    struct random random;

    random_init(&random, scene->recipe.seed, "pictures");
    for (size_t i = 0; i < PICTURES_MAX && scene->places[i].rows > 0; i++) {
        const struct place *place = &scene->places[i];
        size_t count = place->rows * place->columns;
        size_t floats = count * (1 + scene->deepstack) * stage->width;

        stage->embeddings[i] = alloc_array(floats, sizeof(float));
        for (size_t k = 0; k < floats; k++)
            stage->embeddings[i][k] = (float)random_normal(&random);
        stage->pictures[i] = (struct decoder_picture){
            .first = place->first,
            .count = count,
            .embeddings = stage->embeddings[i],
            .deepstack = (uint32_t)scene->deepstack,
            .identity = 1000 + i,
            .rows = scene->grid ? (uint32_t)place->rows : 0,
            .columns = scene->grid ? (uint32_t)place->columns : 0,
            .bidirectional = scene->bidirectional,
        };
        stage->picture_count++;
        for (size_t k = 0; k < count; k++)
            stage->tokens[place->first + k] = UINT32_MAX - 1; // must not count
    }
}

static bool make_reference(struct stage *stage, struct err *err)
{
    struct reference_picture pictures[PICTURES_MAX];
    struct reference_options options = { .context = MODEL_CONTEXT,
                                         .pictures = pictures,
                                         .picture_count = stage->picture_count };

    for (size_t i = 0; i < stage->picture_count; i++) {
        const struct decoder_picture *picture = &stage->pictures[i];

        pictures[i] = (struct reference_picture){
            picture->first, picture->count,   picture->embeddings,   picture->deepstack,
            picture->rows,  picture->columns, picture->bidirectional
        };
    }
    stage->want = alloc_array(TOKENS, stage->vocabulary * sizeof(double));
    return reference_logits(stage->gguf, stage->tokens, TOKENS, &options, stage->want,
                            err);
}

static bool make_stage(const struct scene *scene, struct stage *stage)
{
    struct err err = { .code = ERR_NONE };
    bool ok;

    *stage = (struct stage){ .folder = "/tmp/oriel-pictures-XXXXXX" };
    if (mkdtemp(stage->folder) == NULL)
        bug("no folder for the test");
    stage->path = alloc_printf("%s/model.gguf", stage->folder);
    if (model_generate(&scene->recipe, stage->path, &err))
        stage->gguf = gguf_open(stage->path, &err);
    ok = stage->gguf != NULL;
    if (ok) {
        const struct gguf_tensor *table = gguf_find(stage->gguf, "token_embd.weight");

        stage->width = (uint32_t)table->shape[0];
        stage->vocabulary = (uint32_t)reference_vocabulary(stage->gguf, &err);
        model_prompt(&scene->recipe, TOKENS, stage->tokens);
        make_pictures(scene, stage);
        ok = make_reference(stage, &err);
    }
    if (!ok)
        printf("# %s: %s\n", scene->name, err.text);
    CHECK(ok);
    return ok;
}

static void release_stage(struct stage *stage)
{
    for (size_t i = 0; i < PICTURES_MAX; i++)
        free(stage->embeddings[i]);
    free(stage->want);
    gguf_close(&stage->gguf);
    unlink(stage->path);
    rmdir(stage->folder);
    free(stage->path);
}

// ---------------------------------------------------------------------------

struct rows {
    const struct stage *stage;
    size_t first; // of the pass
    double worst;
};

static bool compare_row(void *user, const struct decoder_logits *logits)
{
    struct rows *rows = user;
    const double *want =
        rows->stage->want + (rows->first + logits->index) * rows->stage->vocabulary;
    double difference = 0, size = 0, error;

    for (uint32_t i = 0; i < logits->count; i++) {
        double d = (double)logits->values[i] - want[i];

        difference += d * d;
        size += want[i] * want[i];
    }
    error = sqrt(difference / size);
    if (!isnan(rows->worst) && !(error <= rows->worst))
        rows->worst = error; // what is no number stays the worst
    return true;
}

// Tokens [from, to), which neither begins nor ends inside a picture.
static bool run(struct decoder *decoder, const struct stage *stage, size_t from,
                size_t to, struct rows *rows, struct err *err)
{
    struct decoder_pass pass = {
        .tokens = stage->tokens + from,
        .count = (uint32_t)(to - from),
        .pictures = stage->pictures,
        .all_logits = to - from > 1,
        .on_logits = compare_row,
        .user = rows,
    };
    size_t last = 0;

    while (pass.pictures < stage->pictures + stage->picture_count &&
           pass.pictures->first < from)
        pass.pictures++;
    last = (size_t)(pass.pictures - stage->pictures);
    while (last < stage->picture_count && stage->pictures[last].first < to)
        last++;
    pass.picture_count = last - (size_t)(pass.pictures - stage->pictures);
    rows->first = from;
    return decoder_run(decoder, &pass, err);
}

// Whether `at` is inside a picture.
static bool inside(const struct stage *stage, size_t at)
{
    for (size_t i = 0; i < stage->picture_count; i++)
        if (at > stage->pictures[i].first &&
            at < stage->pictures[i].first + stage->pictures[i].count)
            return true;
    return false;
}

// The whole sequence in passes of at least `step` tokens, from position `from` on.
static double run_all(struct decoder *decoder, const struct stage *stage, size_t from,
                      size_t step)
{
    struct rows rows = { .stage = stage };
    struct err err = { .code = ERR_NONE };

    while (from < TOKENS) {
        size_t to = from + step < TOKENS ? from + step : TOKENS;

        while (inside(stage, to))
            to++;
        if (!run(decoder, stage, from, to, &rows, &err)) {
            printf("# %s\n", err.text);
            return (double)NAN;
        }
        from = to;
    }
    return rows.worst;
}

static void check_error(const struct scene *scene, const char *how, double error)
{
    if (!(error <= TOLERANCE))
        printf("# %s, %s: relative error %g\n", scene->name, how, error);
    CHECK(error <= TOLERANCE);
}

// What is a prefix is known again; another picture in the same place is not.
static void check_prefixes(const struct scene *scene, struct stage *stage,
                           struct decoder *decoder)
{
    struct decoder_picture *picture = &stage->pictures[0];
    uint32_t cached;

    CHECK_INT(decoder_cached(decoder, stage->tokens, TOKENS, stage->pictures,
                             stage->picture_count),
              TOKENS);
    if (stage->picture_count == 0)
        return;
    CHECK_INT(decoder_cached(decoder, stage->tokens, picture->first + picture->count - 1,
                             stage->pictures, stage->picture_count),
              picture->first);
    picture->identity++;
    cached = decoder_cached(decoder, stage->tokens, TOKENS, stage->pictures,
                            stage->picture_count);
    CHECK_INT(cached, picture->first);
    picture->identity--;
    decoder_truncate(decoder, cached);
    check_error(scene, "continued where it was cut",
                run_all(decoder, stage, cached, TOKENS));
}

static void check_scene(const struct scene *scene, struct stage *stage, struct gpu *gpu)
{
    struct decoder_params params = { .gpu = gpu,
                                     .gguf = stage->gguf,
                                     .context = MODEL_CONTEXT,
                                     .exact_cache = true,
                                     .together = 40 };
    struct err err = { .code = ERR_NONE };
    struct decoder *decoder = decoder_create(&params, &err);

    if (decoder == NULL)
        printf("# %s: %s\n", scene->name, err.text);
    REQUIRE(decoder != NULL);
    check_error(scene, "at once", run_all(decoder, stage, 0, TOKENS));
    check_prefixes(scene, stage, decoder);
    decoder_truncate(decoder, 0);
    check_error(scene, "in passes of 9", run_all(decoder, stage, 0, 9));
    decoder_truncate(decoder, 0);
    check_error(scene, "token by token", run_all(decoder, stage, 0, 1));
    decoder_destroy(&decoder);
}

static void check_all(const char *disable)
{
    struct err err = { .code = ERR_NONE };
    struct gpu *gpus[EVERY_GPU_MAX];
    size_t count = every_gpu_open(gpus, disable, &err);

    if (count == 0)
        tap_skip("no Vulkan device: %s", err.text);
    for (size_t s = 0; count > 0 && s < SCENE_COUNT; s++) {
        struct stage stage;

        if (make_stage(&scenes[s], &stage))
            for (size_t i = 0; i < count; i++)
                check_scene(&scenes[s], &stage, gpus[i]);
        release_stage(&stage);
    }
    every_gpu_close(gpus, count);
}

static void pictures_are_seen_as_the_reference_sees_them(void)
{
    check_all("");
}

static void pictures_on_the_floor_of_vulkan(void)
{
    check_all("subgroup,texel,unified");
}

static void a_picture_too_large_to_be_seen_at_once_is_refused(void)
{
    struct stage stage;
    struct err err = { .code = ERR_NONE };
    struct gpu *gpu;
    struct rows rows = { .stage = &stage };

    setenv("ORIEL_DISABLE", "", 1);
    gpu = gpu_open(&(struct gpu_params){ .device = NULL }, &err);
    if (gpu == NULL) {
        tap_skip("no Vulkan device: %s", err.text);
        return;
    }
    if (make_stage(&scenes[2], &stage)) {
        struct decoder_params params = { .gpu = gpu, .gguf = stage.gguf };
        struct decoder *decoder = decoder_create(&params, &err);
        struct decoder_picture *picture = &stage.pictures[0];

        REQUIRE(decoder != NULL);
        picture->first = 0;
        picture->count = TOKENS;
        stage.picture_count = 1;
        CHECK(!run(decoder, &stage, 0, TOKENS, &rows, &err));
        CHECK_INT(err.code, ERR_LIMIT);
        CHECK_STR(err.text, "a picture of 70 tokens that see one another; at most 64");
        decoder_destroy(&decoder);
    }
    release_stage(&stage);
    gpu_close(&gpu);
}

static const struct test tests[] = {
    { "pictures are seen as the reference sees them",
      pictures_are_seen_as_the_reference_sees_them },
    { "pictures on the floor of Vulkan", pictures_on_the_floor_of_vulkan },
    { "a picture too large to be seen at once is refused",
      a_picture_too_large_to_be_seen_at_once_is_refused },
};
TAP_MAIN(tests)
