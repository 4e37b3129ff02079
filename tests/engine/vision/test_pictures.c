// tests/engine/vision/test_pictures.c
// SPDX-License-Identifier: MIT
//
// From pixels to embeddings: for pictures of several shapes, what the preprocessing hands
// over is what the encoder of each family expects, and every embedding is a vector of
// numbers that another picture changes.
#include "tests/tap.h"

#include <unistd.h>

#include "base/alloc.h"
#include "engine/vision/encoder.h"
#include "tests/engine/vision/generate.h"
#include "tests/engine/vision/preprocess_cases.h"

#define LANGUAGE  "test_pictures.gguf" // in the build folder, where tests run
#define PROJECTOR "test_pictures-mmproj.gguf"

static const uint32_t shapes[][2] = { { 60, 40 }, { 3, 90 }, { 210, 31 } };

// The embeddings of a picture; NULL with a note.
static float *encode(struct vision_encoder *encoder, const struct vision_params *params,
                     uint32_t seed, const uint32_t shape[2], size_t *count)
{
    uint8_t *rgba = alloc_array((size_t)shape[0] * shape[1], 4);
    struct vision_picture picture = { .rgba = rgba,
                                      .width = shape[0],
                                      .height = shape[1] };
    struct err err = { .code = ERR_NONE };
    struct vision_input input;
    float *embeddings = NULL;

    preprocess_picture(seed, 2, shape[0], shape[1], rgba);
    bool ok = vision_preprocess(params, &picture, &input, &err);
    if (ok) {
        *count = (size_t)input.embedding_count * vision_encoder_output_width(encoder);
        embeddings = alloc_array(*count, sizeof(*embeddings));
        ok = vision_encode(encoder, &input, embeddings, NULL, NULL, NULL, &err);
    }
    vision_input_release(&input);
    free(rgba);
    if (ok)
        return embeddings;
    printf("# %u x %u pixels: %s\n", shape[0], shape[1], err.text);
    free(embeddings);
    return NULL;
}

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return false;
    }
    return true;
}

static void check_shape(struct vision_encoder *encoder,
                        const struct vision_params *params, const uint32_t shape[2])
{
    size_t first_count = 0, second_count = 0;
    float *first = encode(encoder, params, 1, shape, &first_count);
    float *second = encode(encoder, params, 2, shape, &second_count);

    CHECK(first != NULL && second != NULL);
    if (first != NULL && second != NULL) {
        CHECK_INT(first_count, second_count);
        CHECK(all_finite(first, first_count));
        CHECK(memcmp(first, second, first_count * sizeof(*first)) != 0);
    }
    free(first);
    free(second);
}

static void check_family(struct gpu *gpu, const char *family)
{
    struct vision_recipe recipe = { .family = family, .type = QUANT_F16, .seed = 1 };
    struct err err = { .code = ERR_NONE };
    struct vision_encoder *encoder = NULL;
    struct vision_params params;
    struct gguf *gguf = NULL;

    if (vision_generate(&recipe, LANGUAGE, PROJECTOR, &err))
        gguf = gguf_open(PROJECTOR, &err);
    if (gguf != NULL && vision_params_read(gguf, &params, &err))
        encoder = vision_encoder_create(gpu, gguf, &params, NULL, NULL, &err);
    printf("# %s%s%s\n", family, encoder == NULL ? ": " : "", err.text);
    CHECK(encoder != NULL);
    for (size_t i = 0; encoder != NULL && i < sizeof(shapes) / sizeof(shapes[0]); i++)
        check_shape(encoder, &params, shapes[i]);
    vision_encoder_destroy(&encoder);
    gguf_close(&gguf);
}

static void every_family_encodes_what_it_preprocessed(void)
{
    struct gpu_params params = { .device = NULL };
    struct err err = { .code = ERR_NONE };
    struct gpu *gpu = gpu_open(&params, &err);

    if (gpu == NULL) {
        tap_skip("no Vulkan device: %s", err.text);
        return;
    }
    for (size_t i = 0; i < vision_family_count(); i++)
        check_family(gpu, vision_family_at(i));
    gpu_close(&gpu);
    unlink(LANGUAGE);
    unlink(PROJECTOR);
}

static const struct test tests[] = {
    { "every family encodes what it preprocessed",
      every_family_encodes_what_it_preprocessed },
};
TAP_MAIN(tests)
