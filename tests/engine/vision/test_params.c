// tests/engine/vision/test_params.c
// SPDX-License-Identifier: MIT
#include "tests/tap.h"

#include <unistd.h>

#include "engine/vision/params.h"
#include "tests/engine/format/gguf_writer.h"
#include "tests/engine/vision/generate.h"

#define LANGUAGE  "test_vision_params.gguf"
#define PROJECTOR "test_vision_params-mmproj.gguf"

static bool read_file(struct vision_params *params, struct err *err)
{
    struct gguf *gguf = gguf_open(PROJECTOR, err);
    bool ok = gguf != NULL && vision_params_read(gguf, params, err);

    gguf_close(&gguf);
    return ok;
}

static bool read_family(const char *family, bool old_names, struct vision_params *params)
{
    struct vision_recipe recipe = {
        .family = family, .type = QUANT_F16, .seed = 1, .old_names = old_names
    };
    struct err err = { .code = ERR_NONE };
    bool ok =
        vision_generate(&recipe, LANGUAGE, PROJECTOR, &err) && read_file(params, &err);

    if (!ok)
        printf("# %s: %s\n", family, err.text);
    unlink(LANGUAGE);
    unlink(PROJECTOR);
    return ok;
}

// What the generators' table says of the families.
static const struct expectation {
    const char *family, *projector;
    uint32_t image, patch, width, heads, layers, inner, merge;
    enum vision_activation activation;
    bool rms, gated;
} expectations[] = {
    { "llava-1.5", "mlp", 56, 14, 96, 3, 2, 160, 1, VISION_GELU_QUICK, false, false },
    { "llava-1.6", "mlp", 56, 14, 64, 2, 3, 160, 1, VISION_GELU_QUICK, false, false },
    { "idefics3", "idefics3", 96, 16, 96, 2, 2, 160, 2, VISION_GELU_TANH, false, false },
    { "gemma3", "gemma3", 112, 14, 288, 4, 2, 200, 4, VISION_GELU_TANH, false, false },
    { "qwen2vl", "qwen2vl_merger", 560, 14, 160, 8, 2, 320, 2, VISION_GELU_QUICK, false,
      false },
    { "qwen2.5vl", "qwen2.5vl_merger", 560, 14, 160, 2, 4, 208, 2, VISION_SILU, true,
      true },
    { "qwen3vl", "qwen3vl_merger", 96, 16, 144, 2, 3, 320, 2, VISION_GELU_TANH, false,
      false },
    { "internvl", "internvl", 56, 14, 64, 2, 2, 160, 2, VISION_GELU, false, false },
    { "pixtral", "pixtral", 128, 16, 96, 2, 2, 160, 1, VISION_SILU, true, true },
    { "mistral3", "pixtral", 112, 14, 64, 2, 3, 96, 2, VISION_SILU, true, true },
    { "minicpmv", "resampler", 448, 14, 96, 2, 2, 160, 1, VISION_GELU_TANH, false,
      false },
    { "lfm2vl", "lfm2", 256, 16, 96, 2, 2, 160, 2, VISION_GELU_TANH, false, false },
};

static void check_family(const struct expectation *want, bool old_names)
{
    struct vision_params params;

    REQUIRE(read_family(want->family, old_names, &params));
    printf("# %s%s\n", want->family, old_names ? ", old names" : "");
    CHECK_STR(projector_name(params.projector), want->projector);
    CHECK_INT(params.image_size, want->image);
    CHECK_INT(params.patch_size, want->patch);
    CHECK_INT(params.width, want->width);
    CHECK_INT(params.heads, want->heads);
    CHECK_INT(params.head_dim, want->width / want->heads);
    CHECK_INT(params.layers, want->layers);
    CHECK_INT(params.feature_layer, want->layers);
    CHECK_INT(params.ff_width, want->inner);
    CHECK_INT(params.merge, want->merge);
    CHECK_INT(params.activation, want->activation);
    CHECK_INT(params.rms_norm, want->rms);
    CHECK_INT(params.gated, want->gated);
    CHECK(params.projection_width >= 32 && params.projection_width % 8 == 0);
    CHECK_NEAR(params.mean[2], 0.40821073, 1e-7);
    CHECK_NEAR(params.deviation[0], 0.26862954, 1e-7);
}

static void every_family_is_read(void)
{
    CHECK_INT(vision_family_count(), sizeof(expectations) / sizeof(expectations[0]));
    for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++) {
        check_family(&expectations[i], false);
        check_family(&expectations[i], true);
    }
}

static void families_have_their_own_numbers(void)
{
    struct vision_params params;

    REQUIRE(read_family("llava-1.6", false, &params));
    CHECK_INT(params.pinpoint_count, 5);
    CHECK_INT(params.pinpoints[0][0], 56);
    CHECK_INT(params.pinpoints[0][1], 112);
    CHECK_INT(vision_tokens_together(&params), 0);
    REQUIRE(read_family("gemma3", false, &params));
    CHECK_INT(vision_tokens_together(&params), 4);
    params.image_size = 896; // as published
    CHECK_INT(vision_tokens_together(&params), 256);
    REQUIRE(read_family("idefics3", false, &params));
    CHECK_INT(params.longest_side, 4 * 96);
    REQUIRE(read_family("qwen2.5vl", false, &params));
    CHECK_INT(params.window, 112);
    CHECK(!params.full[0] && params.full[1] && !params.full[2] && params.full[3]);
    CHECK_INT(params.min_pixels, 3136);
    CHECK_INT(params.max_pixels, 12845056);
    REQUIRE(read_family("qwen3vl", false, &params));
    CHECK_INT(params.deepstack_count, 2);
    CHECK(params.deepstack[0] && params.deepstack[1] && !params.deepstack[2]);
    REQUIRE(read_family("internvl", false, &params));
    CHECK_INT(params.min_tiles, 1);
    CHECK_INT(params.max_tiles, 12);
    REQUIRE(read_family("minicpmv", false, &params));
    CHECK_INT(params.queries, 12);
    CHECK_INT(params.max_tiles, 9);
    REQUIRE(read_family("lfm2vl", false, &params));
    CHECK_INT(params.min_pixels, 65536);
    CHECK_INT(params.max_pixels, 262144);
}

// ---------------------------------------------------------------------------
// Wrong files: a small right one in which one key is another. type -1: left out.

struct fault {
    const char *projector, *key;
    int type;
    double number;
    const char *text;
    enum err_code code;
    const char *error;
};

static void write_fault(struct gguf_writer *writer, const struct fault *fault)
{
    int32_t number = (int32_t)fault->number;
    float real = (float)fault->number;

    if (fault->type == GGUF_U32)
        gguf_write_u32(writer, fault->key, (uint32_t)fault->number);
    else if (fault->type == GGUF_F32)
        gguf_write_f32(writer, fault->key, real);
    else if (fault->type == GGUF_BOOL)
        gguf_write_bool(writer, fault->key, fault->number != 0);
    else if (fault->type == GGUF_STRING)
        gguf_write_string(writer, fault->key, fault->text);
    else if (fault->type == GGUF_ARRAY)
        gguf_write_array(writer, fault->key, fault->text == NULL ? GGUF_I32 : GGUF_F32,
                         fault->text == NULL ? 1 : 3,
                         fault->text == NULL ? (void *)&number
                                             : (void *)(float[]){ real, real, real });
}

static bool writes(const struct fault *fault, const char *key)
{
    return strcmp(fault->key, key) != 0;
}

static void put_number(struct gguf_writer *writer, const struct fault *fault,
                       const char *key, uint32_t value)
{
    if (writes(fault, key))
        gguf_write_u32(writer, key, value);
}

static void put_colours(struct gguf_writer *writer, const struct fault *fault,
                        const char *key)
{
    static const float halves[] = { 0.5F, 0.5F, 0.5F };

    if (writes(fault, key))
        gguf_write_array(writer, key, GGUF_F32, 3, halves);
}

static void write_small(const struct fault *fault)
{
    struct gguf_writer writer;
    struct err err = { .code = ERR_NONE };

    gguf_writer_init(&writer);
    write_fault(&writer, fault);
    if (writes(fault, "general.architecture"))
        gguf_write_string(&writer, "general.architecture", "clip");
    if (writes(fault, "clip.projector_type") &&
        writes(fault, "clip.vision.projector_type"))
        gguf_write_string(&writer, "clip.projector_type", fault->projector);
    put_number(&writer, fault, "clip.vision.image_size", 56);
    put_number(&writer, fault, "clip.vision.patch_size", 14);
    put_number(&writer, fault, "clip.vision.embedding_length", 32);
    put_number(&writer, fault, "clip.vision.block_count", 2);
    put_number(&writer, fault, "clip.vision.attention.head_count", 2);
    put_number(&writer, fault, "clip.vision.n_wa_pattern", 2);
    put_number(&writer, fault, "clip.minicpmv_version", 3);
    if (writes(fault, "clip.vision.attention.layer_norm_epsilon"))
        gguf_write_f32(&writer, "clip.vision.attention.layer_norm_epsilon", 1e-6F);
    put_colours(&writer, fault, "clip.vision.image_mean");
    put_colours(&writer, fault, "clip.vision.image_std");
    if (writes(fault, "mm.2.weight"))
        gguf_write_tensor(&writer, "mm.2.weight", QUANT_F32, 2, (uint64_t[]){ 32, 64 },
                          NULL, sizeof(float[32 * 64]));
    gguf_write_tensor(&writer, "mm.model.fc.weight", QUANT_F32, 2,
                      (uint64_t[]){ 128, 32 }, NULL, sizeof(float[128 * 32]));
    gguf_write_tensor(&writer, "resampler.proj.weight", QUANT_F32, 2,
                      (uint64_t[]){ 32, 32 }, NULL, sizeof(float[32 * 32]));
    gguf_write_tensor(&writer, "v.blk.0.ffn_up.weight", QUANT_F32, 2,
                      (uint64_t[]){ 32, 48 }, NULL, sizeof(float[32 * 48]));
    if (!gguf_writer_save(&writer, PROJECTOR, &err))
        printf("# %s\n", err.text);
    gguf_writer_release(&writer);
}

static void check_fault(const struct fault *fault)
{
    struct vision_params params;
    struct err err = { .code = ERR_NONE };

    write_small(fault);
    bool ok = read_file(&params, &err);
    unlink(PROJECTOR);
    printf("# %s, %s: %s\n", fault->projector, fault->key, ok ? "read" : err.text);
    CHECK_INT(ok, fault->code == ERR_NONE);
    CHECK_INT(err.code, fault->code);
    if (fault->error != NULL)
        CHECK(strstr(err.text, fault->error) != NULL);
}

#define MLP   "mlp"
#define QWEN  "qwen2.5vl_merger"
#define QWEN3 "qwen3vl_merger"
#define GONE  -1

static void numbers_out_of_range_are_named(void)
{
    static const struct fault faults[] = {
        // clang-format off
        { MLP, "general.name", GGUF_STRING, 0, "x", ERR_NONE, NULL },
        { QWEN, "general.name", GGUF_STRING, 0, "x", ERR_NONE, NULL },
        { MLP, "clip.vision.projector_type", GGUF_STRING, 0, "mlp", ERR_NONE, NULL },
        { MLP, "general.architecture", GGUF_STRING, 0, "llama", ERR_FORMAT, "\"llama\"" },
        { MLP, "clip.has_vision_encoder", GGUF_BOOL, 0, NULL, ERR_UNSUPPORTED, "no vision" },
        { MLP, "clip.projector_type", GONE, 0, NULL, ERR_FORMAT, "clip.projector_type" },
        { MLP, "clip.projector_type", GGUF_U32, 1, NULL, ERR_FORMAT, "clip.projector_type" },
        { "ldpv2", "general.name", GGUF_STRING, 0, "x", ERR_UNSUPPORTED, "\"ldpv2\"" },
        { MLP, "clip.vision.image_size", GONE, 0, NULL, ERR_FORMAT, "image_size" },
        { MLP, "clip.vision.image_size", GGUF_U32, 13, NULL, ERR_FORMAT, "patch_size" },
        { MLP, "clip.vision.image_size", GGUF_U32, 57, NULL, ERR_NONE, NULL },
        { "idefics3", "clip.vision.projector.scale_factor", GGUF_U32, 3, NULL, ERR_FORMAT, "no multiple" },
        { MLP, "clip.vision.patch_size", GGUF_U32, 0, NULL, ERR_FORMAT, "patch_size" },
        { MLP, "clip.vision.embedding_length", GGUF_U32, 0, NULL, ERR_FORMAT, "embedding" },
        { MLP, "clip.vision.block_count", GGUF_U32, 129, NULL, ERR_FORMAT, "block_count" },
        { MLP, "clip.vision.attention.head_count", GGUF_U32, 3, NULL, ERR_FORMAT, "head_count" },
        { MLP, "clip.vision.attention.head_count", GGUF_U32, 33, NULL, ERR_FORMAT, "head_count" },
        { MLP, "clip.vision.attention.layer_norm_epsilon", GONE, 0, NULL, ERR_FORMAT, "epsilon" },
        { MLP, "clip.vision.attention.layer_norm_epsilon", GGUF_F32, NAN, NULL, ERR_FORMAT, "epsilon" },
        { MLP, "clip.vision.image_mean", GONE, 0, NULL, ERR_FORMAT, "image_mean" },
        { MLP, "clip.vision.image_mean", GGUF_ARRAY, 2, "floats", ERR_FORMAT, "image_mean" },
        { MLP, "clip.vision.image_std", GGUF_ARRAY, 0, "floats", ERR_FORMAT, "image_std" },
        { MLP, "clip.vision.image_std", GGUF_ARRAY, NAN, "floats", ERR_FORMAT, "image_std" },
        { MLP, "clip.vision.feature_layer", GGUF_ARRAY, 1, NULL, ERR_NONE, NULL },
        { MLP, "clip.vision.feature_layer", GGUF_ARRAY, 3, NULL, ERR_FORMAT, "feature_layer" },
        { MLP, "clip.vision.feature_layer", GGUF_ARRAY, -1, NULL, ERR_FORMAT, "feature_layer" },
        { MLP, "clip.vision.image_grid_pinpoints", GGUF_ARRAY, 56, NULL, ERR_FORMAT, "pairs" },
        { MLP, "mm.2.weight", GONE, 0, NULL, ERR_FORMAT, "mm.2.weight" },
        { QWEN, "clip.vision.n_wa_pattern", GONE, 0, NULL, ERR_FORMAT, "n_wa_pattern" },
        { QWEN, "clip.vision.window_size", GGUF_U32, 27, NULL, ERR_FORMAT, "window_size" },
        { QWEN, "clip.vision.spatial_merge_size", GGUF_U32, 17, NULL, ERR_FORMAT, "merge" },
        { QWEN, "clip.vision.image_max_pixels", GGUF_U32, 3000, NULL, ERR_FORMAT, "max_pixels" },
        { QWEN, "clip.vision.image_min_pixels", GGUF_U32, 4e8, NULL, ERR_FORMAT, "min_pixels" },
        { QWEN3, "clip.vision.is_deepstack_layers", GGUF_ARRAY, 1, NULL, ERR_FORMAT, "deepstack" },
        { "resampler", "general.name", GGUF_STRING, 0, "x", ERR_NONE, NULL },
        { "resampler", "clip.minicpmv_version", GGUF_U32, 2, NULL, ERR_UNSUPPORTED, "minicpmv" },
        { "resampler", "clip.minicpmv_query_num", GGUF_U32, 0, NULL, ERR_FORMAT, "query_num" },
        { "resampler", "clip.vision.preproc_max_tiles", GGUF_U32, 65, NULL, ERR_FORMAT, "max_tiles" },
        // clang-format on
    };

    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        check_fault(&faults[i]);
}

static const struct test tests[] = {
    { "every family is read, with old names of tensors as well", every_family_is_read },
    { "families have their own numbers", families_have_their_own_numbers },
    { "numbers out of range are named, with their key", numbers_out_of_range_are_named },
};
TAP_MAIN(tests)
