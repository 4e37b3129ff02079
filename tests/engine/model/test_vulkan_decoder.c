// tests/engine/model/test_vulkan_decoder.c
// SPDX-License-Identifier: MIT
//
// The product's decoder, on every Vulkan device of the machine, against the reference
// decoder in double precision: every architecture, feature and quantised type, once with
// the whole prompt at a time and once token by token. Features are run again with traits
// masked, so that the floor is tested on a device that has more.
#include "tests/tap.h"

#include <unistd.h>

#include "base/alloc.h"
#include "engine/model/decoder.h"
#include "tests/engine/every_gpu.h"
#include "tests/engine/model/reference_cases.h"
#include "tests/reference/decoder.h"

// Relative errors of a whole row of logits, in the Euclidean norm. With an exact cache
// only f32 rounding is left. The default cache rounds keys and values to binary16, and so
// does the reference that it is compared with; but a value that lies next to the middle
// between two halves may be rounded to different ones.
#define EXACT_TOLERANCE 1e-4
#define HALF_TOLERANCE  1e-3

// How a range of cases is run.
struct mode {
    const char *disable; // traits that are masked
    bool exact_cache;
    size_t
        step_count; // all tokens at once, seven at a time, one by one: the first of these
};

struct rows {
    float *logits; // [count][vocabulary]
    uint32_t vocabulary;
};

// The maximum and the sum of exponentials of each slice, computed again.
static void check_peaks(const struct decoder_logits *logits)
{
    for (uint32_t slice = 0; slice < logits->peak_count; slice++) {
        uint32_t first = slice * DECODER_SLICE;
        uint32_t end =
            first + DECODER_SLICE < logits->count ? first + DECODER_SLICE : logits->count;
        float highest = logits->values[first];
        double sum = 0;

        for (uint32_t i = first; i < end; i++)
            highest = fmaxf(highest, logits->values[i]);
        for (uint32_t i = first; i < end; i++)
            sum += exp((double)logits->values[i] - (double)highest);
        CHECK_NEAR(logits->peaks[slice][0], highest, 0);
        CHECK_NEAR((double)logits->peaks[slice][1] / sum, 1, 1e-5);
    }
}

static bool keep_row(void *user, const struct decoder_logits *logits)
{
    struct rows *rows = user;

    memcpy(rows->logits + (size_t)logits->index * rows->vocabulary, logits->values,
           logits->count * sizeof(float));
    if (logits->peaks != NULL)
        check_peaks(logits);
    return true;
}

static double relative_error(const float *got, const double *want, uint32_t count)
{
    double difference = 0, size = 0;

    for (uint32_t i = 0; i < count; i++) {
        double d = (double)got[i] - want[i];

        difference += d * d;
        size += want[i] * want[i];
    }
    return sqrt(difference / size);
}

static double worst_error(const struct rows *rows, const double *want, uint32_t first,
                          uint32_t count)
{
    double worst = 0;

    for (uint32_t i = first; i < count; i++) {
        double e = relative_error(rows->logits + (size_t)i * rows->vocabulary,
                                  want + (size_t)i * rows->vocabulary, rows->vocabulary);

        worst = e > worst || e != e ? e : worst;
    }
    return worst;
}

// Runs the prompt in passes of `step` tokens (0: all at once).
static bool run(struct decoder *decoder, const uint32_t *tokens, uint32_t count,
                uint32_t step, struct rows *rows, struct err *err)
{
    struct rows at = *rows;

    decoder_truncate(decoder, 0);
    step = step == 0 ? count : step;
    for (uint32_t done = 0; done < count; done += step) {
        struct decoder_pass pass = {
            .tokens = tokens + done,
            .count = count - done < step ? count - done : step,
            .all_logits = step > 1,
            .on_logits = keep_row,
            .user = &at,
        };

        if (!decoder_run(decoder, &pass, err))
            return false;
        at.logits += (size_t)pass.count * rows->vocabulary;
    }
    return true;
}

static void check_decoder(struct gpu *gpu, const struct gguf *gguf,
                          const struct model_case *model, const uint32_t *tokens,
                          const double *want, uint32_t vocabulary,
                          const struct mode *mode)
{
    static const uint32_t steps[] = { 0, 7, 1 };
    struct decoder_params params = { .gpu = gpu,
                                     .gguf = gguf,
                                     .context = MODEL_CONTEXT,
                                     .exact_cache = mode->exact_cache };
    const double tolerance = mode->exact_cache ? EXACT_TOLERANCE : HALF_TOLERANCE;
    struct err err = { .code = ERR_NONE };
    struct decoder *decoder = decoder_create(&params, &err);
    struct rows rows = { .vocabulary = vocabulary };

    if (decoder == NULL) {
        printf("# %s: %s\n", model->name, err.text);
        CHECK(decoder != NULL);
        return;
    }
    rows.logits = alloc_array(model->prompt, vocabulary * sizeof(float));
    for (size_t i = 0; i < mode->step_count; i++) {
        bool ok = run(decoder, tokens, (uint32_t)model->prompt, steps[i], &rows, &err);
        double error =
            ok ? worst_error(&rows, want, 0, (uint32_t)model->prompt) : (double)NAN;

        if (!(error <= tolerance)) {
            printf("# %s on %s, %u tokens at a time, %s cache: relative error %g %s\n",
                   model->name, gpu_traits(gpu)->name, steps[i],
                   mode->exact_cache ? "exact" : "half", error, err.text);
            CHECK(error <= tolerance);
        }
    }
    free(rows.logits);
    decoder_destroy(&decoder);
}

static void round_to_half(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = half_to_float(float_to_half(values[i]));
}

// Generates the model, computes the reference, and runs it on each of the devices.
static void check_case(const struct model_case *model, struct gpu **gpus,
                       size_t gpu_count, const struct mode *mode)
{
    char folder[] = "/tmp/oriel-vulkan-XXXXXX";
    struct reference_options options = { .context = MODEL_CONTEXT,
                                         .round_kv =
                                             mode->exact_cache ? NULL : round_to_half };
    struct err err = { .code = ERR_NONE };
    uint32_t tokens[MODEL_PROMPT_MAX];

    REQUIRE(mkdtemp(folder) != NULL);
    char *path = alloc_printf("%s/model.gguf", folder);
    struct gguf *gguf =
        model_generate(&model->recipe, path, &err) ? gguf_open(path, &err) : NULL;
    size_t vocabulary = gguf != NULL ? reference_vocabulary(gguf, &err) : 0;
    double *want = alloc_array(model->prompt, vocabulary * sizeof(*want));

    model_prompt(&model->recipe, model->prompt, tokens);
    if (vocabulary > 0 &&
        reference_logits(gguf, tokens, model->prompt, &options, want, &err)) {
        for (size_t i = 0; i < gpu_count; i++)
            check_decoder(gpus[i], gguf, model, tokens, want, (uint32_t)vocabulary, mode);
    } else {
        printf("# %s: %s\n", model->name, err.text);
        CHECK(vocabulary > 0);
    }
    free(want);
    gguf_close(&gguf);
    unlink(path);
    rmdir(folder);
    free(path);
}

static void check_range(size_t from, size_t to, const struct mode *mode)
{
    struct gpu *gpus[EVERY_GPU_MAX];
    struct err err = { .code = ERR_NONE };
    size_t count = every_gpu_open(gpus, mode->disable, &err);

    if (count == 0)
        tap_skip("no Vulkan device: %s", err.text);
    for (size_t i = from; count > 0 && i < to; i++) {
        struct model_case model = model_case_at(i);

        check_case(&model, gpus, count, mode);
    }
    every_gpu_close(gpus, count);
}

static void every_feature(void)
{
    check_range(0, model_feature_case_count(), &(struct mode){ "", true, 3 });
}

static void every_feature_with_the_default_cache(void)
{
    check_range(0, model_feature_case_count(), &(struct mode){ "", false, 2 });
}

static void every_feature_on_the_floor(void)
{
    check_range(0, model_feature_case_count(),
                &(struct mode){ "subgroup,texel,unified", true, 2 });
}

static void every_architecture_with_every_type(void)
{
    check_range(model_feature_case_count(), model_case_count(),
                &(struct mode){ "", true, 2 });
}

static const struct test tests[] = {
    { "every feature", every_feature },
    { "every feature with a cache of halves", every_feature_with_the_default_cache },
    { "every feature on the floor of Vulkan", every_feature_on_the_floor },
    { "every architecture with every quantised type",
      every_architecture_with_every_type },
};
TAP_MAIN(tests)
