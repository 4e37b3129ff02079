// tests/engine/vision/test_goldens.c
// SPDX-License-Identifier: MIT
//
// The encoder on every Vulkan device of the machine against `transformers` on the same
// weights and pixels (tests/golden/vision), for every family and type of weights. Cosine
// and relative error (Euclidean norm) are of each embedding, the worst one counts: an
// average would hide a single wrong row.
#include "tests/tap.h"

#include <unistd.h>

#include "base/alloc.h"
#include "engine/vision/encoder.h"
#include "tests/engine/vision/generate.h"
#include "tests/engine/vision/golden_reader.h"

// Both sides compute in 32-bit floats with the same weights, whatever their type, and
// differ in the order of sums: by 4e-6 at most, measured. The two forms of GELU, for
// comparison, differ by 7e-5 to 2e-4 here.
#define COSINE    0.9999
#define TOLERANCE 2e-5

#define MAX_GPUS 8

struct closeness {
    double cosine, error; // the worst
};

static void compare_row(struct closeness *found, const float *got, const float *want,
                        uint32_t width)
{
    double product = 0, got_size = 0, want_size = 0, difference = 0;

    for (uint32_t i = 0; i < width; i++) {
        double g = (double)got[i], w = (double)want[i];

        product += g * w;
        got_size += g * g;
        want_size += w * w;
        difference += (g - w) * (g - w);
    }
    double cosine = product / sqrt(got_size * want_size);
    double error = sqrt(difference / want_size);
    // Written so that a NaN counts as the worst.
    found->cosine = found->cosine < cosine ? found->cosine : cosine;
    found->error = found->error > error ? found->error : error;
}

static bool check_case(struct vision_encoder *encoder, const struct golden_case *golden,
                       struct closeness *found)
{
    struct err err = { .code = ERR_NONE };
    struct vision_input input;
    float *got = alloc_array((size_t)golden->count * golden->width, sizeof(*got));

    golden_input_init(&golden->picture, golden->count, &input);
    bool ok = vision_encode(encoder, &input, got, NULL, NULL, NULL, &err);
    if (!ok)
        printf("# %s %s: %s\n", golden->family, golden->type, err.text);
    for (uint32_t i = 0; ok && i < golden->count; i++)
        compare_row(found, got + (size_t)i * golden->width,
                    golden->embeddings + (size_t)i * golden->width, golden->width);
    golden_input_release(&input);
    free(got);
    return ok;
}

struct check {
    const struct goldens *goldens;
    const char *family, *type;
    bool old_names;
    struct gpu **gpus;
    size_t gpu_count;
};

static void check_device(const struct check *check, const struct gguf *gguf,
                         const struct vision_params *params, struct gpu *gpu)
{
    struct err err = { .code = ERR_NONE };
    struct vision_encoder *encoder =
        vision_encoder_create(gpu, gguf, params, NULL, NULL, &err);
    struct closeness found = { .cosine = 1 };
    bool ok = encoder != NULL;

    if (!ok && err.code == ERR_UNSUPPORTED) {
        tap_skip("%s", err.text);
        return;
    }
    if (!ok)
        printf("# %s %s: %s\n", check->family, check->type, err.text);
    for (size_t i = 0; ok && i < check->goldens->case_count; i++) {
        const struct golden_case *golden = &check->goldens->cases[i];

        if (strcmp(golden->family, check->family) != 0 ||
            strcmp(golden->type, check->type) != 0)
            continue;
        CHECK_INT(vision_encoder_output_width(encoder), golden->width);
        ok = vision_encoder_output_width(encoder) == golden->width &&
             check_case(encoder, golden, &found);
    }
    printf("# %s %s%s on %s: cosine %.7f, relative error %.2e\n", check->family,
           check->type, check->old_names ? " (old names)" : "", gpu_traits(gpu)->name,
           found.cosine, found.error);
    CHECK(ok && found.cosine >= COSINE && found.error <= TOLERANCE);
    vision_encoder_destroy(&encoder);
}

// Generates the pair and runs its encoder on each device.
static void check_type(const struct check *check, enum quant_type type)
{
    struct vision_recipe recipe = {
        .family = check->family, .type = type, .seed = 1, .old_names = check->old_names
    };
    char folder[] = "/tmp/oriel-vision-XXXXXX";
    struct vision_params params;
    struct err err = { .code = ERR_NONE };

    REQUIRE(mkdtemp(folder) != NULL);
    char *language = alloc_printf("%s/language.gguf", folder);
    char *projector = alloc_printf("%s/projector.gguf", folder);
    struct gguf *gguf = vision_generate(&recipe, language, projector, &err)
                            ? gguf_open(projector, &err)
                            : NULL;
    bool ok = gguf != NULL && vision_params_read(gguf, &params, &err);
    if (!ok)
        printf("# %s %s: %s\n", check->family, check->type, err.text);
    CHECK(ok);
    for (size_t i = 0; ok && i < check->gpu_count; i++)
        check_device(check, gguf, &params, check->gpus[i]);
    gguf_close(&gguf);
    unlink(language);
    unlink(projector);
    rmdir(folder);
    free(language);
    free(projector);
}

static size_t open_gpus(struct gpu *gpus[MAX_GPUS])
{
    struct gpu_traits *list;
    struct err err = { .code = ERR_NONE };
    size_t found = gpu_list(&list, &err), count = 0;

    for (size_t i = 0; i < found && count < MAX_GPUS; i++) {
        char index[24];
        struct gpu_params params = { .device = index };

        snprintf(index, sizeof(index), "%zu", i);
        gpus[count] = gpu_open(&params, &err);
        count += gpus[count] != NULL;
    }
    if (count == 0)
        tap_skip("no Vulkan device: %s", err.text);
    free(list);
    return count;
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
    const char *top = getenv("top_srcdir");
    char *folder = alloc_printf("%s/tests/golden/vision", top != NULL ? top : ".");
    struct err err = { .code = ERR_NONE };
    struct goldens goldens;
    struct gpu *gpus[MAX_GPUS];
    size_t gpu_count = open_gpus(gpus);
    bool ok = goldens_read(folder, &goldens, &err);

    if (!ok)
        printf("# %s\n", err.text);
    CHECK(ok);
    for (size_t i = 0; ok && i < sizeof(files) / sizeof(files[0]); i++) {
        struct check check = { .goldens = &goldens,
                               .family = family,
                               .type = quant_traits(files[i].type)->name,
                               .old_names = files[i].old_names,
                               .gpus = gpus,
                               .gpu_count = gpu_count };

        check_type(&check, files[i].type);
    }
    for (size_t i = 0; i < gpu_count; i++)
        gpu_close(&gpus[i]);
    goldens_release(&goldens);
    free(folder);
}

#define FAMILY(function, name)                                                           \
    static void function(void)                                                           \
    {                                                                                    \
        check_family(name);                                                              \
    }

FAMILY(llava, "llava-1.5")
FAMILY(llava_next, "llava-1.6")
FAMILY(idefics3, "idefics3")
FAMILY(gemma3, "gemma3")
FAMILY(qwen2vl, "qwen2vl")
FAMILY(qwen25vl, "qwen2.5vl")
FAMILY(qwen3vl, "qwen3vl")
FAMILY(internvl, "internvl")
FAMILY(pixtral, "pixtral")
FAMILY(mistral3, "mistral3")
FAMILY(minicpmv, "minicpmv")
FAMILY(lfm2vl, "lfm2vl")

static const struct test tests[] = {
    { "LLaVA 1.5 sees what the reference sees", llava },
    { "LLaVA 1.6 sees what the reference sees", llava_next },
    { "Idefics3 sees what the reference sees", idefics3 },
    { "Gemma 3 sees what the reference sees", gemma3 },
    { "Qwen2-VL sees what the reference sees", qwen2vl },
    { "Qwen2.5-VL sees what the reference sees", qwen25vl },
    { "Qwen3-VL sees what the reference sees", qwen3vl },
    { "InternVL sees what the reference sees", internvl },
    { "Pixtral sees what the reference sees", pixtral },
    { "Mistral Small 3.1 sees what the reference sees", mistral3 },
    { "MiniCPM-V 2.6 sees what the reference sees", minicpmv },
    { "LFM2-VL sees what the reference sees", lfm2vl },
};

TAP_MAIN(tests)
