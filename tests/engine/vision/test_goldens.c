// tests/engine/vision/test_goldens.c
// SPDX-License-Identifier: MIT
//
// The encoder on every Vulkan device of the machine against `transformers` on the same
// weights and pixels (tests/golden/vision), for every family and type of weights. Cosine
// and relative error (Euclidean norm) are of each embedding, the worst one counts: an
// average would hide a single wrong row.
#include "tests/tap.h"

#include "base/alloc.h"
#include "engine/vision/encoder.h"
#include "tests/engine/every_gpu.h"
#include "tests/engine/vision/golden_pair.h"

// Both sides compute in 32-bit floats with the same weights, whatever their type, and
// differ in the order of sums: by 4e-6 at most, measured. The two forms of GELU, for
// comparison, differ by 7e-5 to 2e-4 here.
#define COSINE    0.9999
#define TOLERANCE 2e-5

struct check {
    const struct goldens *goldens;
    const char *family, *type;
    bool old_names;
};

static bool check_case(struct vision_encoder *encoder, const struct golden_case *golden,
                       struct closeness *worst)
{
    struct err err = { .code = ERR_NONE };
    struct vision_input input;
    float *got = alloc_array((size_t)golden->count * golden->width, sizeof(*got));

    golden_input_init(&golden->picture, golden->count, &input);
    bool ok = vision_encode(encoder, &input, got, NULL, NULL, NULL, &err);
    if (!ok)
        printf("# %s %s: %s\n", golden->family, golden->type, err.text);
    for (uint32_t i = 0; ok && i < golden->count; i++) {
        size_t row = (size_t)i * golden->width;

        closeness_worst(worst,
                        closeness(got + row, golden->embeddings + row, golden->width));
    }
    golden_input_release(&input);
    free(got);
    return ok;
}

static void check_device(const struct check *check, const struct golden_pair *pair,
                         struct gpu *gpu)
{
    struct err err = { .code = ERR_NONE };
    struct vision_encoder *encoder =
        vision_encoder_create(gpu, pair->projector, &pair->params, NULL, NULL, &err);
    struct closeness worst = { .cosine = 1 };
    bool ok = encoder != NULL;

    if (!ok)
        printf("# %s %s: %s\n", check->family, check->type, err.text);
    for (size_t i = 0; ok && i < check->goldens->case_count; i++) {
        const struct golden_case *golden = &check->goldens->cases[i];

        if (strcmp(golden->family, check->family) != 0 ||
            strcmp(golden->type, check->type) != 0)
            continue;
        CHECK_INT(vision_encoder_output_width(encoder), golden->width);
        ok = vision_encoder_output_width(encoder) == golden->width &&
             check_case(encoder, golden, &worst);
    }
    printf("# %s %s%s on %s: cosine %.7f, relative error %.2e\n", check->family,
           check->type, check->old_names ? " (old names)" : "", gpu_traits(gpu)->name,
           worst.cosine, worst.error);
    CHECK(ok && worst.cosine >= COSINE && worst.error <= TOLERANCE);
    vision_encoder_destroy(&encoder);
}

static void check_files(const struct check *check, enum quant_type type,
                        struct gpu **gpus, size_t gpu_count)
{
    struct vision_recipe recipe = {
        .family = check->family, .type = type, .seed = 1, .old_names = check->old_names
    };
    struct err err = { .code = ERR_NONE };
    struct golden_pair pair;
    bool ok = golden_pair_open(&pair, &recipe, &err);

    if (!ok)
        printf("# %s %s: %s\n", check->family, check->type, err.text);
    CHECK(ok);
    for (size_t i = 0; ok && i < gpu_count; i++)
        check_device(check, &pair, gpus[i]);
    golden_pair_close(&pair);
}

static void check_family(const char *family)
{
    static const struct {
        enum quant_type type;
        bool old_names;
    } files[] = {
        { QUANT_F32, false },
        { QUANT_F16, false },
        { QUANT_Q8_0, false },
        { QUANT_F16, true },
    };
    struct err err = { .code = ERR_NONE };
    struct goldens goldens;
    struct gpu *gpus[EVERY_GPU_MAX];
    size_t gpu_count = every_gpu_open(gpus, "", &err);
    bool ok = golden_read_all(&goldens);

    CHECK(ok);
    if (gpu_count == 0)
        tap_skip("no Vulkan device: %s", err.text);
    for (size_t i = 0; ok && i < sizeof(files) / sizeof(files[0]); i++) {
        struct check check = { .goldens = &goldens,
                               .family = family,
                               .type = quant_traits(files[i].type)->name,
                               .old_names = files[i].old_names };

        check_files(&check, files[i].type, gpus, gpu_count);
    }
    every_gpu_close(gpus, gpu_count);
    goldens_release(&goldens);
}

#define CASE(function, family, name)                                                     \
    static void function(void)                                                           \
    {                                                                                    \
        check_family(family);                                                            \
    }
GOLDEN_FAMILIES(CASE)

#define SENTENCE(function, family, name)                                                 \
    { name " sees what the reference sees", function },

static const struct test tests[] = { GOLDEN_FAMILIES(SENTENCE) };

TAP_MAIN(tests)
