// tests/engine/vision/test_encoder.c
// SPDX-License-Identifier: MIT
//
// The product's vision encoder on paths that a device takes only when it has less than
// the ones at hand (test_goldens.c has the others), and what it does when it is stopped
// or given what does not fit.
#include "tests/tap.h"

#include "base/alloc.h"
#include "engine/vision/encoder_private.h"
#include "tests/engine/every_gpu.h"
#include "tests/engine/vision/golden_pair.h"

// Relative errors in the Euclidean norm. Both sides compute in f32 with the same weights,
// whatever their type; what differs is the order of sums.
#define TOLERANCE 2e-5

// The model that a case was computed with.
static bool open_model(const char *family, const char *type, struct golden_pair *pair,
                       struct err *err)
{
    static const struct {
        const char *name;
        enum quant_type type;
    } types[] = { { "F32", QUANT_F32 }, { "F16", QUANT_F16 }, { "Q8_0", QUANT_Q8_0 } };
    struct vision_recipe recipe = { .family = family, .seed = 1 };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, type) == 0)
            recipe.type = types[i].type;
    return golden_pair_open(pair, &recipe, err);
}

// The error of a case, or NaN with a note.
static double encode_case(struct vision_encoder *encoder, const struct golden_case *at)
{
    size_t floats = (size_t)at->count * at->width;
    float *embeddings = alloc_array(floats, sizeof(*embeddings));
    struct err err = { .code = ERR_NONE };
    struct vision_input input;
    double error = NAN;

    golden_input_init(&at->picture, at->count, &input);
    if (vision_encode(encoder, &input, embeddings, NULL, NULL, NULL, &err))
        error = closeness(embeddings, at->embeddings, floats).error;
    else
        printf("# %s: %s\n", at->family, err.text);
    golden_input_release(&input);
    free(embeddings);
    return error;
}

// How the cases are run.
struct mode {
    const char *disable; // traits that are masked
    const char *only;    // families, the first case of each
    uint64_t reach; // bytes of a binding, where fewer than the device has; 0: its own
};

// A case twice: nothing may be left of the first time.
static void check_case(struct gpu *gpu, const struct mode *mode,
                       const struct golden_case *at)
{
    struct err err = { .code = ERR_NONE };
    struct vision_encoder *encoder = NULL;
    struct golden_pair pair;

    if (open_model(at->family, at->type, &pair, &err))
        encoder =
            vision_encoder_create(gpu, pair.projector, &pair.params, NULL, NULL, &err);
    if (encoder == NULL)
        printf("# %s: %s\n", at->family, err.text);
    CHECK(encoder != NULL);
    if (encoder != NULL && mode->reach > 0)
        encoder->reach = mode->reach;
    for (int i = 0; encoder != NULL && i < 2; i++) {
        double error = encode_case(encoder, at);

        printf("# %s %s: relative error %.2g\n", at->family, at->type, error);
        CHECK(error <= TOLERANCE);
    }
    if (encoder != NULL && mode->reach > 0)
        CHECK(encoder->keys.part_count > 1);
    vision_encoder_destroy(&encoder);
    golden_pair_close(&pair);
}

static void check_device(struct gpu *gpu, const struct mode *mode,
                         const struct goldens *goldens)
{
    const char *family = "";

    for (size_t i = 0; i < goldens->case_count; i++) {
        const struct golden_case *at = &goldens->cases[i];

        if (strcmp(at->family, family) != 0 && strstr(mode->only, at->family) != NULL)
            check_case(gpu, mode, at);
        family = at->family;
    }
}

static void check_devices(const struct mode *mode)
{
    struct err err = { .code = ERR_NONE };
    struct gpu *gpus[EVERY_GPU_MAX];
    size_t count = every_gpu_open(gpus, mode->disable, &err);
    struct goldens goldens;

    if (count == 0)
        tap_skip("no Vulkan device: %s", err.text);
    else
        CHECK_INT(err.code, ERR_NONE); // each could be opened
    REQUIRE(golden_read_all(&goldens));
    for (size_t i = 0; i < count; i++)
        check_device(gpus[i], mode, &goldens);
    goldens_release(&goldens);
    every_gpu_close(gpus, count);
}

static void on_the_floor(void)
{
    check_devices(&(struct mode){ .disable = "texel,subgroup",
                                  .only = "internvl qwen2.5vl lfm2vl" });
}

static void where_memory_is_staged(void)
{
    check_devices(&(struct mode){ .disable = "unified", .only = "idefics3" });
}

// Room for one head of a chunk and little more: heads go into several buffers.
static void where_a_binding_holds_few_heads(void)
{
    check_devices(&(struct mode){ .disable = "", .only = "lfm2vl", .reach = 64 << 10 });
}

// ---------------------------------------------------------------------------

struct opened {
    struct gpu *gpu;
    struct golden_pair pair;
    struct goldens goldens;
};

static void open_first(const char *family, struct opened *opened)
{
    struct gpu_params gpu = { .device = NULL };
    struct err err = { .code = ERR_NONE };

    setenv("ORIEL_DISABLE", "", 1);
    *opened = (struct opened){ .gpu = gpu_open(&gpu, &err) };
    if (opened->gpu == NULL)
        tap_skip("no Vulkan device: %s", err.text);
    REQUIRE(open_model(family, "F16", &opened->pair, &err));
    REQUIRE(golden_read_all(&opened->goldens));
}

static void close_all(struct opened *opened)
{
    goldens_release(&opened->goldens);
    golden_pair_close(&opened->pair);
    gpu_close(&opened->gpu);
}

static bool count_calls(void *user, const char *stage, double fraction)
{
    int *left = user;

    CHECK(stage[0] != '\0' && fraction >= 0 && fraction <= 1);
    return (*left)-- > 0;
}

static void stops_when_it_is_told_to(void)
{
    struct opened opened;
    struct err err = { .code = ERR_NONE };
    struct vision_input input;
    atomic_bool cancelled = true;
    int left = 0;

    open_first("llava-1.5", &opened);
    struct golden_case *first = &opened.goldens.cases[0];
    struct vision_encoder *encoder = vision_encoder_create(
        opened.gpu, opened.pair.projector, &opened.pair.params, NULL, NULL, &err);
    REQUIRE(encoder != NULL);
    float *embeddings =
        alloc_array((size_t)first->count * first->width, sizeof(*embeddings));
    golden_input_init(&first->picture, first->count, &input);
    CHECK(!vision_encode(encoder, &input, embeddings, &cancelled, NULL, NULL, &err));
    CHECK_INT(err.code, ERR_CANCELLED);
    err.code = ERR_NONE;
    CHECK(!vision_encode(encoder, &input, embeddings, NULL, count_calls, &left, &err));
    CHECK_INT(err.code, ERR_CANCELLED);
    CHECK(encode_case(encoder, first) <= 1e-2); // its weights are those of another type
    left = 0;
    CHECK(vision_encoder_create(opened.gpu, opened.pair.projector, &opened.pair.params,
                                count_calls, &left, &err) == NULL);
    CHECK_INT(err.code, ERR_CANCELLED);
    golden_input_release(&input);
    free(embeddings);
    vision_encoder_destroy(&encoder);
    close_all(&opened);
}

// A model that is taken for one of other widths.
static void names_the_tensor_that_does_not_fit(void)
{
    struct opened opened;
    struct err err = { .code = ERR_NONE };

    open_first("idefics3", &opened);
    opened.pair.params.ff_width += 8;
    CHECK(vision_encoder_create(opened.gpu, opened.pair.projector, &opened.pair.params,
                                NULL, NULL, &err) == NULL);
    CHECK_INT(err.code, ERR_FORMAT);
    CHECK(strstr(err.text, "tensor v.blk.0.ffn_up.weight is 96 x 160 x 1 x 1") != NULL);
    opened.pair.params.ff_width -= 8;
    opened.pair.params.projector = PROJECTOR_LFM2;
    CHECK(vision_encoder_create(opened.gpu, opened.pair.projector, &opened.pair.params,
                                NULL, NULL, &err) == NULL);
    CHECK_INT(err.code, ERR_FORMAT);
    CHECK(strstr(err.text, "tensor mm.1.weight is missing") != NULL);
    close_all(&opened);
}

static void refuses_widths_that_no_binding_holds(void)
{
    struct opened opened;
    struct err err = { .code = ERR_NONE };

    open_first("idefics3", &opened);
    ((struct gpu_traits *)(uintptr_t)gpu_traits(opened.gpu))->max_range = 64 << 10;
    CHECK(vision_encoder_create(opened.gpu, opened.pair.projector, &opened.pair.params,
                                NULL, NULL, &err) == NULL);
    CHECK_INT(err.code, ERR_UNSUPPORTED);
    CHECK(strstr(err.text, "too much for one binding") != NULL);
    close_all(&opened);
}

static void refuses_what_does_not_fit_the_prompt(void)
{
    struct opened opened;
    struct err err = { .code = ERR_NONE };
    struct vision_input input;
    float unused[1];

    open_first("llava-1.5", &opened);
    struct vision_encoder *encoder = vision_encoder_create(
        opened.gpu, opened.pair.projector, &opened.pair.params, NULL, NULL, &err);
    REQUIRE(encoder != NULL);
    golden_input_init(&opened.goldens.cases[0].picture, 5, &input);
    CHECK(!vision_encode(encoder, &input, unused, NULL, NULL, NULL, &err));
    CHECK(strstr(err.text, "16 embeddings, its prompt has places for 5") != NULL);
    golden_input_release(&input);
    vision_encoder_destroy(&encoder);
    close_all(&opened);
}

static const struct test tests[] = {
    { "is right on the floor", on_the_floor },
    { "is right where memory is staged", where_memory_is_staged },
    { "is right where a binding holds few heads", where_a_binding_holds_few_heads },
    { "stops when it is told to", stops_when_it_is_told_to },
    { "names the tensor that does not fit", names_the_tensor_that_does_not_fit },
    { "refuses widths that no binding holds", refuses_widths_that_no_binding_holds },
    { "refuses what does not fit the prompt", refuses_what_does_not_fit_the_prompt },
};
TAP_MAIN(tests)
