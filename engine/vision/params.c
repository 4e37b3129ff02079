// engine/vision/params.c
// SPDX-License-Identifier: MIT
//
// Sizes that published files state wrongly or not at all come from the tensors: the width
// of the projection (CLIP's own or 0 in files of LLaVA and MiniCPM-V) and of the
// feed-forward part (0 in files of Qwen2-VL).
//
// Sources: the ggml project's gguf-py/gguf/constants.py, conversion scripts and
// tools/mtmd/clip.cpp for keys and their meaning; the preprocessor_config.json of the
// models named in the table for what files leave out.
#include "engine/vision/params.h"

#include <stdio.h>
#include <string.h>

// The activation is what clip.use_gelu stands for in the family's files. scale: the file
// says how many patches are merged in clip.vision.projector.scale_factor, otherwise in
// spatial_merge_size. output: a tensor one of whose dimensions (side) is the width of the
// language model.
static const struct family {
    const char *name;
    enum vision_activation gelu;
    bool rms_norm;
    uint32_t merge;
    bool scale;
    uint32_t min_pixels, max_pixels;
    uint32_t min_tiles, max_tiles;
    const char *output;
    int side;
} families[PROJECTOR_COUNT] = {
    [PROJECTOR_MLP] = { .name = "mlp",
                        .gelu = VISION_GELU,
                        .merge = 1,
                        .output = "mm.2.weight",
                        .side = 1 },
    // HuggingFaceTB/SmolVLM-Instruct
    [PROJECTOR_IDEFICS3] = { .name = "idefics3",
                             .gelu = VISION_GELU_TANH,
                             .merge = 2,
                             .scale = true,
                             .output = "mm.model.fc.weight",
                             .side = 1 },
    // google/gemma-3-4b-it
    [PROJECTOR_GEMMA3] = { .name = "gemma3",
                           .gelu = VISION_GELU_TANH,
                           .merge = 4,
                           .scale = true,
                           .output = "mm.input_projection.weight",
                           .side = 0 },
    // Qwen/Qwen2-VL-7B-Instruct
    [PROJECTOR_QWEN2VL] = { .name = "qwen2vl_merger",
                            .gelu = VISION_GELU,
                            .merge = 2,
                            .min_pixels = 56 * 56,
                            .max_pixels = 16384 * 28 * 28,
                            .output = "mm.2.weight",
                            .side = 1 },
    // Qwen/Qwen2.5-VL-7B-Instruct
    [PROJECTOR_QWEN25VL] = { .name = "qwen2.5vl_merger",
                             .gelu = VISION_GELU,
                             .rms_norm = true,
                             .merge = 2,
                             .min_pixels = 56 * 56,
                             .max_pixels = 16384 * 28 * 28,
                             .output = "mm.2.weight",
                             .side = 1 },
    // Qwen/Qwen3-VL-4B-Instruct
    [PROJECTOR_QWEN3VL] = { .name = "qwen3vl_merger",
                            .gelu = VISION_GELU_TANH,
                            .merge = 2,
                            .min_pixels = 65536,
                            .max_pixels = 16777216,
                            .output = "mm.2.weight",
                            .side = 1 },
    // OpenGVLab/InternVL3-1B-hf
    [PROJECTOR_INTERNVL] = { .name = "internvl",
                             .gelu = VISION_GELU,
                             .merge = 2,
                             .scale = true,
                             .min_tiles = 1,
                             .max_tiles = 12,
                             .output = "mm.model.mlp.3.weight",
                             .side = 1 },
    // mistral-community/pixtral-12b
    [PROJECTOR_PIXTRAL] = { .name = "pixtral",
                            .gelu = VISION_GELU,
                            .rms_norm = true,
                            .merge = 1,
                            .output = "mm.2.weight",
                            .side = 1 },
    // openbmb/MiniCPM-V-2_6
    [PROJECTOR_RESAMPLER] = { .name = "resampler",
                              .gelu = VISION_GELU_TANH,
                              .merge = 1,
                              .min_tiles = 1,
                              .max_tiles = 9,
                              .output = "resampler.proj.weight",
                              .side = 0 },
    // LiquidAI/LFM2-VL-1.6B: 64 to 256 tokens of 32 x 32 pixels
    [PROJECTOR_LFM2] = { .name = "lfm2",
                         .gelu = VISION_GELU_TANH,
                         .merge = 2,
                         .scale = true,
                         .min_pixels = 64 * 32 * 32,
                         .max_pixels = 256 * 32 * 32,
                         .min_tiles = 2,
                         .max_tiles = 10,
                         .output = "mm.2.weight",
                         .side = 1 },
};

#define MAX_SIDE        16384 // of pictures, tiles and pinpoints
#define MAX_WIDTH       65536
#define MAX_PIXELS      (1U << 24)
#define QWEN25VL_WINDOW 112 // pixels: not written by the conversion scripts
#define MINICPMV_26     3   // clip.minicpmv_version

static bool read_vision(const struct gguf *gguf, const char *name, uint32_t low,
                        uint32_t high, uint32_t *value, struct err *err)
{
    char key[80];

    snprintf(key, sizeof(key), "clip.vision.%s", name);
    return gguf_get_u32(gguf, key, low, high, value, err);
}

static bool string_is(const struct gguf_string *string, const char *text)
{
    return string->len == strlen(text) && memcmp(string->bytes, text, string->len) == 0;
}

static bool check_architecture(const struct gguf *gguf, struct err *err)
{
    struct gguf_string name = { .bytes = "", .len = 0 };
    bool sees = true;

    if (!gguf_get_string(gguf, "general.architecture", &name, err) ||
        !gguf_get_bool(gguf, "clip.has_vision_encoder", &sees, err))
        return false;
    if (!string_is(&name, "clip"))
        return err_set(err, ERR_FORMAT,
                       "general.architecture is \"%.*s\", of a vision encoder it is "
                       "\"clip\"",
                       (int)(name.len < 64 ? name.len : 64), name.bytes);
    if (!sees)
        return err_set(err, ERR_UNSUPPORTED, "the file has no vision encoder");
    return true;
}

// Files with an encoder for sound as well name the projectors apart.
static bool read_projector(const struct gguf *gguf, enum projector *projector,
                           struct err *err)
{
    struct gguf_string name = { .bytes = "", .len = 0 };

    if (!gguf_get_string(gguf, "clip.vision.projector_type", &name, err))
        return false;
    if (name.len == 0 && !gguf_get_string(gguf, "clip.projector_type", &name, err))
        return false;
    if (name.len == 0)
        return err_set(err, ERR_FORMAT, "clip.projector_type is missing");
    for (int i = 0; i < PROJECTOR_COUNT; i++) {
        if (string_is(&name, families[i].name)) {
            *projector = (enum projector)i;
            return true;
        }
    }
    return err_set(err, ERR_UNSUPPORTED, "the projector type \"%.*s\" is not supported",
                   (int)(name.len < 64 ? name.len : 64), name.bytes);
}

// ---------------------------------------------------------------------------
// The encoder

static bool read_activation(const struct gguf *gguf, struct vision_params *params,
                            struct err *err)
{
    bool gelu = false, silu = false;

    if (!gguf_get_bool(gguf, "clip.use_gelu", &gelu, err) ||
        !gguf_get_bool(gguf, "clip.use_silu", &silu, err))
        return false;
    if (gelu && silu)
        return err_set(err, ERR_FORMAT, "both clip.use_gelu and clip.use_silu are true");
    params->activation = gelu   ? families[params->projector].gelu
                         : silu ? VISION_SILU
                                : VISION_GELU_QUICK;
    return true;
}

static bool read_colours(const struct gguf *gguf, const char *key, double low,
                         float values[3], struct err *err)
{
    struct gguf_array array = { .count = 0 };

    if (!gguf_get_array(gguf, key, GGUF_F32, &array, err))
        return false;
    if (array.count != 3)
        return err_set(err, ERR_FORMAT, "%s has %llu numbers, it must have 3", key,
                       (unsigned long long)array.count);
    for (unsigned i = 0; i < 3; i++) {
        double value = gguf_array_f64(&array, i);

        if (!(value >= low && value <= 1))
            return err_set(err, ERR_FORMAT, "%s holds %g, it must be %g to 1", key, value,
                           low);
        values[i] = (float)value;
    }
    return true;
}

static bool read_epsilon(const struct gguf *gguf, struct vision_params *params,
                         struct err *err)
{
    static const char key[] = "clip.vision.attention.layer_norm_epsilon";
    double epsilon = 0;

    if (!gguf_get_f64(gguf, key, &epsilon, err))
        return false;
    if (!(epsilon >= 1e-12 && epsilon <= 0.1))
        return err_set(err, ERR_FORMAT, "%s is %g, it must be 1e-12 to 0.1%s", key,
                       epsilon, gguf_has(gguf, key) ? "" : " (the key is missing)");
    params->norm_epsilon = (float)epsilon;
    return true;
}

static bool read_sizes(const struct gguf *gguf, struct vision_params *params,
                       struct err *err)
{
    if (!read_vision(gguf, "patch_size", 1, 256, &params->patch_size, err) ||
        !read_vision(gguf, "image_size", params->patch_size, MAX_SIDE,
                     &params->image_size, err) ||
        !read_vision(gguf, "embedding_length", 1, MAX_WIDTH, &params->width, err) ||
        !read_vision(gguf, "block_count", 1, VISION_MAX_LAYERS, &params->layers, err) ||
        !read_vision(gguf, "attention.head_count", 1, params->width, &params->heads, err))
        return false;
    if (params->width % params->heads != 0)
        return err_set(err, ERR_FORMAT,
                       "clip.vision.embedding_length %u is no multiple of "
                       "clip.vision.attention.head_count %u",
                       params->width, params->heads);
    params->head_dim = params->width / params->heads;
    return true;
}

static bool tensor_side(const struct gguf *gguf, const char *name, int side,
                        uint32_t *value, struct err *err)
{
    const struct gguf_tensor *tensor = gguf_find(gguf, name);

    if (tensor == NULL)
        return err_set(err, ERR_FORMAT, "the tensor %s is missing", name);
    if (tensor->shape[side] < 1 || tensor->shape[side] > MAX_WIDTH)
        return err_set(err, ERR_FORMAT,
                       "a side of the tensor %s is %llu, it must be 1 to %u", name,
                       (unsigned long long)tensor->shape[side], MAX_WIDTH);
    *value = (uint32_t)tensor->shape[side];
    return true;
}

// Old files call the first matrix "ffn_down": the width is the side that differs.
static bool read_widths(const struct gguf *gguf, struct vision_params *params,
                        struct err *err)
{
    const struct family *family = &families[params->projector];
    uint32_t columns = 0, rows = 0;

    if (!tensor_side(gguf, "v.blk.0.ffn_up.weight", 0, &columns, err) ||
        !tensor_side(gguf, "v.blk.0.ffn_up.weight", 1, &rows, err) ||
        !tensor_side(gguf, family->output, family->side, &params->projection_width, err))
        return false;
    params->ff_width = columns == params->width ? rows : columns;
    params->gated = gguf_find(gguf, "v.blk.0.ffn_gate.weight") != NULL;
    return true;
}

static bool read_merge(const struct gguf *gguf, struct vision_params *params,
                       struct err *err)
{
    const struct family *family = &families[params->projector];
    bool fixed =
        params->projector == PROJECTOR_MLP || params->projector == PROJECTOR_IDEFICS3 ||
        params->projector == PROJECTOR_GEMMA3 || params->projector == PROJECTOR_INTERNVL;

    params->merge = family->merge;
    if (params->projector != PROJECTOR_MLP && params->projector != PROJECTOR_RESAMPLER &&
        !read_vision(gguf,
                     family->scale ? "projector.scale_factor" : "spatial_merge_size", 1,
                     16, &params->merge, err))
        return false;
    if (fixed && params->image_size / params->patch_size % params->merge != 0)
        return err_set(err, ERR_FORMAT,
                       "clip.vision.image_size %u is %u patches of %u, no multiple of "
                       "the %u that are merged",
                       params->image_size, params->image_size / params->patch_size,
                       params->patch_size, params->merge);
    return true;
}

// Of Qwen2.5-VL each n-th layer sees everything.
static bool read_window(const struct gguf *gguf, struct vision_params *params,
                        struct err *err)
{
    uint32_t period = 0;

    if (params->projector != PROJECTOR_QWEN25VL)
        return true;
    params->window = QWEN25VL_WINDOW;
    if (!read_vision(gguf, "n_wa_pattern", 1, VISION_MAX_LAYERS, &period, err) ||
        !read_vision(gguf, "window_size", params->patch_size * params->merge, MAX_SIDE,
                     &params->window, err))
        return false;
    for (uint32_t i = 0; i < params->layers; i++)
        params->full[i] = i % period == period - 1;
    return true;
}

static bool read_deepstack(const struct gguf *gguf, struct vision_params *params,
                           struct err *err)
{
    static const char key[] = "clip.vision.is_deepstack_layers";
    struct gguf_array array = { .count = 0 };

    if (params->projector != PROJECTOR_QWEN3VL)
        return true;
    if (!gguf_get_array(gguf, key, GGUF_BOOL, &array, err))
        return false;
    if (array.count != 0 && array.count != params->layers)
        return err_set(err, ERR_FORMAT, "%s has %llu entries for %u layers", key,
                       (unsigned long long)array.count, params->layers);
    for (uint32_t i = 0; i < array.count; i++) {
        params->deepstack[i] = gguf_array_u64(&array, i) != 0;
        params->deepstack_count += params->deepstack[i];
    }
    return true;
}

// Features of several layers side by side, as some models of LLaVA's kind take them, are
// not supported.
static bool read_feature_layer(const struct gguf *gguf, struct vision_params *params,
                               struct err *err)
{
    static const char key[] = "clip.vision.feature_layer";
    struct gguf_array array = { .count = 0 };

    params->feature_layer = params->layers;
    if (!gguf_has(gguf, key))
        return true;
    if (!gguf_get_array(gguf, key, GGUF_I32, &array, err))
        return false;
    if (array.count != 1)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s names %llu layers, only one is supported", key,
                       (unsigned long long)array.count);
    int64_t layer = gguf_array_i64(&array, 0);
    if (layer < 1 || layer > (int64_t)params->layers)
        return err_set(err, ERR_FORMAT, "%s is %lld, it must be 1 to %u", key,
                       (long long)layer, params->layers);
    params->feature_layer = (uint32_t)layer;
    return true;
}

static bool read_encoder(const struct gguf *gguf, struct vision_params *params,
                         struct err *err)
{
    params->rms_norm = families[params->projector].rms_norm;
    // InternViT 6B: an RMS norm has no bias, and that is all that files say about it.
    if (params->projector == PROJECTOR_INTERNVL &&
        gguf_find(gguf, "v.blk.0.ln1.bias") == NULL)
        params->rms_norm = true;
    return read_sizes(gguf, params, err) && read_epsilon(gguf, params, err) &&
           read_activation(gguf, params, err) && read_widths(gguf, params, err) &&
           read_merge(gguf, params, err) && read_window(gguf, params, err) &&
           read_deepstack(gguf, params, err) && read_feature_layer(gguf, params, err);
}

// ---------------------------------------------------------------------------
// The preprocessing

static bool read_pixels(const struct gguf *gguf, struct vision_params *params,
                        struct err *err)
{
    const struct family *family = &families[params->projector];
    uint32_t side = params->patch_size * params->merge;

    params->min_pixels = family->min_pixels;
    params->max_pixels = family->max_pixels;
    if (family->max_pixels == 0)
        return true;
    return read_vision(gguf, "image_min_pixels", 1, MAX_PIXELS, &params->min_pixels,
                       err) &&
           read_vision(gguf, "image_max_pixels",
                       params->min_pixels > side * side ? params->min_pixels
                                                        : side * side,
                       MAX_PIXELS, &params->max_pixels, err);
}

static bool read_tiles(const struct gguf *gguf, struct vision_params *params,
                       struct err *err)
{
    const struct family *family = &families[params->projector];

    params->min_tiles = family->min_tiles;
    params->max_tiles = family->max_tiles;
    if (family->max_tiles == 0)
        return true;
    return read_vision(gguf, "preproc_min_tiles", 1, VISION_MAX_TILES, &params->min_tiles,
                       err) &&
           read_vision(gguf, "preproc_max_tiles", params->min_tiles, VISION_MAX_TILES,
                       &params->max_tiles, err);
}

static bool read_longest_side(const struct gguf *gguf, struct vision_params *params,
                              struct err *err)
{
    uint32_t most = params->image_size * 8;

    if (params->projector == PROJECTOR_PIXTRAL)
        params->longest_side = params->image_size;
    if (params->projector != PROJECTOR_IDEFICS3)
        return true;
    params->longest_side = params->image_size * 4;
    return read_vision(gguf, "preproc_image_size", 1, most < MAX_SIDE ? most : MAX_SIDE,
                       &params->longest_side, err);
}

static bool read_pinpoints(const struct gguf *gguf, struct vision_params *params,
                           struct err *err)
{
    static const char key[] = "clip.vision.image_grid_pinpoints";
    struct gguf_array array = { .count = 0 };

    if (params->projector != PROJECTOR_MLP)
        return true;
    if (!gguf_get_array(gguf, key, GGUF_I32, &array, err))
        return false;
    if (array.count % 2 != 0 || array.count / 2 > VISION_MAX_PINPOINTS)
        return err_set(err, ERR_FORMAT,
                       "%s has %llu numbers, it must have pairs, %d at most", key,
                       (unsigned long long)array.count, VISION_MAX_PINPOINTS);
    for (uint32_t i = 0; i < array.count; i++) {
        int64_t side = gguf_array_i64(&array, i);

        if (side < 1 || side % params->image_size != 0 ||
            side / params->image_size > VISION_MAX_TILES)
            return err_set(err, ERR_FORMAT,
                           "%s holds %lld, it must be 1 to %d times the image size %u",
                           key, (long long)side, VISION_MAX_TILES, params->image_size);
        params->pinpoints[i / 2][i % 2] = (uint32_t)side;
    }
    params->pinpoint_count = (uint32_t)array.count / 2;
    for (uint32_t i = 0; i < params->pinpoint_count; i++) {
        const uint32_t *point = params->pinpoints[i];
        uint32_t tiles = point[0] / params->image_size * (point[1] / params->image_size);

        if (tiles > VISION_MAX_TILES)
            return err_set(err, ERR_LIMIT,
                           "%s: %u x %u pixels are %u tiles, the limit is %d", key,
                           point[1], point[0], tiles, VISION_MAX_TILES);
    }
    return true;
}

static bool read_queries(const struct gguf *gguf, struct vision_params *params,
                         struct err *err)
{
    uint32_t version = 0;

    if (params->projector != PROJECTOR_RESAMPLER)
        return true;
    if (!gguf_get_u32(gguf, "clip.minicpmv_version", 0, UINT32_MAX, &version, err))
        return false;
    if (version != MINICPMV_26)
        return err_set(err, ERR_UNSUPPORTED,
                       "the projector type \"resampler\" is not supported with "
                       "clip.minicpmv_version %u, only with %d (MiniCPM-V 2.6)",
                       version, MINICPMV_26);
    params->queries = 64;
    return gguf_get_u32(gguf, "clip.minicpmv_query_num", 1, 4096, &params->queries, err);
}

static bool read_preprocessing(const struct gguf *gguf, struct vision_params *params,
                               struct err *err)
{
    return read_colours(gguf, "clip.vision.image_mean", 0, params->mean, err) &&
           read_colours(gguf, "clip.vision.image_std", 1e-3, params->deviation, err) &&
           read_pixels(gguf, params, err) && read_tiles(gguf, params, err) &&
           read_longest_side(gguf, params, err) && read_pinpoints(gguf, params, err) &&
           read_queries(gguf, params, err);
}

bool vision_params_read(const struct gguf *gguf, struct vision_params *params,
                        struct err *err)
{
    *params = (struct vision_params){ .projector = PROJECTOR_COUNT };
    return check_architecture(gguf, err) &&
           read_projector(gguf, &params->projector, err) &&
           read_encoder(gguf, params, err) && read_preprocessing(gguf, params, err);
}

const char *projector_name(enum projector projector)
{
    return families[projector].name;
}

uint32_t vision_tokens_together(const struct vision_params *params)
{
    uint32_t side = params->image_size / params->patch_size / params->merge;

    return params->projector == PROJECTOR_GEMMA3 ? side * side : 0;
}
