// tests/engine/vision/families.c
// SPDX-License-Identifier: MIT
//
// The table of families, and what each has of its own: keys and projector.
#include "tests/engine/vision/generate_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define CLIP_PROJECTION 48 // of CLIP's own space: nothing that is used
#define WINDOW_PERIOD   2  // qwen2.5vl: each second layer sees everything
#define DEEPSTACKS      2  // qwen3vl: the first layers
#define QUERIES         12 // minicpmv
#define POSITION_SIDE   70 // minicpmv: of the resampler's table

static void put_u32(struct vision_build *build, const char *key, uint32_t value)
{
    char text[80];

    snprintf(text, sizeof(text), "clip.vision.%s", key);
    gguf_write_u32(&build->writer, text, value);
}

// What new scripts write for all.
static void put_widths(struct vision_build *build, uint32_t inner)
{
    put_u32(build, "feed_forward_length", inner);
    put_u32(build, "projection_dim", build->language_width);
}

static void put_llava_keys(struct vision_build *build)
{
    gguf_write_bool(&build->writer, "clip.has_llava_projector", true);
    gguf_write_bool(&build->writer, "clip.use_gelu", false);
    put_u32(build, "feed_forward_length", build->family->inner);
    put_u32(build, "projection_dim", CLIP_PROJECTION);
}

static void put_llava_next_keys(struct vision_build *build)
{
    struct gguf_writer *writer = &build->writer;
    int32_t side = (int32_t)build->family->image, layers = (int32_t)build->family->layers;
    const int32_t pinpoints[] = { side,     2 * side, 2 * side, side, 2 * side,
                                  2 * side, 3 * side, side,     side, 3 * side };

    put_llava_keys(build);
    gguf_write_array(writer, "clip.vision.image_grid_pinpoints", GGUF_I32, 10, pinpoints);
    put_u32(build, "image_crop_resolution", 224);
    gguf_write_string(writer, "clip.vision.image_aspect_ratio", "anyres");
    gguf_write_string(writer, "clip.vision.mm_patch_merge_type", "spatial_unpad");
    gguf_write_string(writer, "clip.vision.mm_projector_type", "mlp2x_gelu");
    gguf_write_array(writer, "clip.vision.feature_layer", GGUF_I32, 1, &layers);
}

static void put_llava_projector(struct vision_build *build)
{
    put_linear(build, "mm.0", build->family->width, build->language_width, true);
    put_linear(build, "mm.2", build->language_width, build->language_width, true);
}

static void put_llava_next_projector(struct vision_build *build)
{
    put_llava_projector(build);
    put_vector(build, "model.image_newline", build->language_width, 0, 1);
}

static uint64_t merged_width(const struct vision_build *build)
{
    return (uint64_t)build->family->width * build->family->merge * build->family->merge;
}

static void put_idefics3_keys(struct vision_build *build)
{
    put_widths(build, build->family->inner);
    put_u32(build, "projector.scale_factor", build->family->merge);
    put_u32(build, "preproc_image_size", 4 * build->family->image);
}

static void put_idefics3_projector(struct vision_build *build)
{
    put_linear(build, "mm.model.fc", merged_width(build), build->language_width, false);
}

static void put_gemma3_keys(struct vision_build *build)
{
    put_widths(build, build->family->inner);
}

static void put_gemma3_projector(struct vision_build *build)
{
    bool exact = build->recipe->type == QUANT_F32;
    const uint64_t shape[] = { build->language_width, build->family->width };

    put_norm(build, "mm.soft_emb_norm", build->family->width, false);
    put_tensor(build, "mm.input_projection.weight", exact ? QUANT_F32 : QUANT_F16, 2,
               shape, 1.3 / sqrt(build->family->width));
}

static void put_qwen2vl_keys(struct vision_build *build)
{
    put_widths(build, build->recipe->old_names ? 0 : build->language_width);
}

static void put_qwen25vl_keys(struct vision_build *build)
{
    put_widths(build, build->family->inner);
    put_u32(build, "n_wa_pattern", WINDOW_PERIOD);
}

static void put_qwen_projector(struct vision_build *build)
{
    uint64_t merged = merged_width(build);

    put_linear(build, "mm.0", merged, merged, true);
    put_linear(build, "mm.2", merged, build->language_width, true);
}

static void put_qwen3vl_keys(struct vision_build *build)
{
    uint8_t deepstack[8] = { 0 };

    for (unsigned i = 0; i < DEEPSTACKS; i++)
        deepstack[i] = 1;
    put_widths(build, build->family->inner);
    put_u32(build, "spatial_merge_size", build->family->merge);
    gguf_write_array(&build->writer, "clip.vision.is_deepstack_layers", GGUF_BOOL,
                     build->family->layers, deepstack);
}

static void put_qwen3vl_projector(struct vision_build *build)
{
    uint64_t merged = merged_width(build);
    char name[64];

    put_qwen_projector(build);
    for (unsigned i = 0; i < DEEPSTACKS; i++) {
        snprintf(name, sizeof(name), "v.deepstack.%u.norm", i);
        put_norm(build, name, merged, true);
        snprintf(name, sizeof(name), "v.deepstack.%u.fc1", i);
        put_linear(build, name, merged, merged, true);
        snprintf(name, sizeof(name), "v.deepstack.%u.fc2", i);
        put_linear(build, name, merged, build->language_width, true);
    }
}

static void put_internvl_keys(struct vision_build *build)
{
    put_widths(build, build->family->inner);
    put_u32(build, "projector.scale_factor", build->family->merge);
    put_u32(build, "preproc_min_tiles", 1);
    put_u32(build, "preproc_max_tiles", 12);
}

static void put_internvl_projector(struct vision_build *build)
{
    uint64_t merged = merged_width(build);

    put_norm(build, "mm.model.mlp.0", merged, true);
    put_linear(build, "mm.model.mlp.1", merged, build->language_width, true);
    put_linear(build, "mm.model.mlp.3", build->language_width, build->language_width,
               true);
}

static void put_pixtral_keys(struct vision_build *build)
{
    put_widths(build, build->family->inner);
    if (build->family->merge > 1)
        put_u32(build, "spatial_merge_size", build->family->merge);
}

// The id of a token of the language model.
static size_t find_token(const struct gguf *language, const char *text)
{
    struct gguf_array tokens = { .count = 0 };
    struct err err = { .code = ERR_NONE };

    if (!gguf_get_array(language, "tokenizer.ggml.tokens", GGUF_STRING, &tokens, &err))
        bug("%s", err.text);
    for (size_t i = 0; i < tokens.count; i++) {
        if (tokens.strings[i].len == strlen(text) &&
            memcmp(tokens.strings[i].bytes, text, strlen(text)) == 0)
            return i;
    }
    bug("the language model has no token \"%s\"", text);
}

// The row of the language model's embeddings, as converters copy it.
static void put_break(struct vision_build *build)
{
    const struct gguf_tensor *embeddings =
        gguf_find(build->language, "token_embd.weight");
    size_t width = build->language_width;
    size_t row = find_token(build->language, "[IMG_BREAK]");
    size_t row_bytes = (size_t)(embeddings->size_bytes / embeddings->shape[1]);
    float *values = alloc_array(width, sizeof(*values));

    quant_dequantise(embeddings->type, embeddings->bytes + row * row_bytes, width,
                     values);
    gguf_write_tensor(&build->writer, "v.token_embd.img_break", QUANT_F32, 1,
                      (uint64_t[]){ width }, values, width * sizeof(*values));
    free(values);
}

static void put_pixtral_projector(struct vision_build *build)
{
    const struct vision_family *family = build->family;
    bool merges = family->merge > 1, half = build->recipe->type == QUANT_F16;
    uint64_t merged = merged_width(build);

    if (merges) {
        put_norm(build, "mm.input_norm", family->width, false);
        put_tensor(build, "mm.patch_merger.weight", half ? QUANT_F16 : QUANT_F32, 2,
                   (uint64_t[]){ merged, family->width }, 1.3 / sqrt((double)merged));
    }
    put_linear(build, "mm.1", family->width, build->language_width, !merges);
    put_linear(build, "mm.2", build->language_width, build->language_width, !merges);
    put_break(build);
}

static void put_minicpm_keys(struct vision_build *build)
{
    gguf_write_bool(&build->writer, "clip.has_minicpmv_projector", true);
    gguf_write_i32(&build->writer, "clip.minicpmv_version", 3);
    gguf_write_u32(&build->writer, "clip.minicpmv_query_num", QUERIES);
    put_u32(build, "feed_forward_length", build->family->inner);
    put_u32(build, "projection_dim", 0);
}

// Sines and cosines of the column, then of the row: half of the width each.
static void put_resampler_positions(struct vision_build *build)
{
    size_t width = build->language_width, rows = (size_t)POSITION_SIDE * POSITION_SIDE;
    float *values = alloc_array(rows * width, sizeof(*values)), *at = values;

    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < width; j++) {
            size_t place = j < width / 2 ? i % POSITION_SIDE : i / POSITION_SIDE;
            size_t pair = j % (width / 4);
            double angle = (double)place / pow(10000, (double)pair / ((double)width / 4));

            *at++ = (float)(j % (width / 2) < width / 4 ? sin(angle) : cos(angle));
        }
    }
    gguf_write_tensor(&build->writer, "resampler.pos_embed_k", QUANT_F32, 2,
                      (uint64_t[]){ width, rows }, values,
                      rows * width * sizeof(*values));
    free(values);
}

static void put_minicpm_projector(struct vision_build *build)
{
    static const char *const attention[] = { "resampler.attn.q", "resampler.attn.k",
                                             "resampler.attn.v", "resampler.attn.out" };
    static const char *const norms[] = { "resampler.ln_q", "resampler.ln_kv",
                                         "resampler.ln_post" };
    uint64_t width = build->language_width;

    put_tensor(build, "resampler.query", QUANT_F32, 2, (uint64_t[]){ width, QUERIES }, 1);
    put_resampler_positions(build);
    put_linear(build, "resampler.kv", build->family->width, width, false);
    for (int i = 0; i < 4; i++)
        put_linear(build, attention[i], width, width, true);
    for (int i = 0; i < 3; i++)
        put_norm(build, norms[i], width, true);
    put_linear(build, "resampler.proj", width, width, false);
}

static void put_lfm2_keys(struct vision_build *build)
{
    put_widths(build, build->family->inner);
    put_u32(build, "projector.scale_factor", build->family->merge);
}

static void put_lfm2_projector(struct vision_build *build)
{
    uint64_t merged = merged_width(build);

    put_norm(build, "mm.input_norm", merged, true);
    put_linear(build, "mm.1", merged, 2 * (uint64_t)build->language_width, true);
    put_linear(build, "mm.2", 2 * (uint64_t)build->language_width, build->language_width,
               true);
}

#define CLIP_OPTIONS (VISION_LEGACY | VISION_BIASES | VISION_CLASS | VISION_PRE_NORM)
#define SIGLIP_OPTIONS                                                                   \
    (VISION_BIASES | VISION_PATCH_BIAS | VISION_POST_NORM | VISION_GELU_KEY)
#define PIXTRAL_OPTIONS (VISION_RMS | VISION_GATED | VISION_PRE_NORM | VISION_SILU_KEY)

static const struct vision_family families[] = {
    // clang-format off
    { "llava-1.5", "mlp", &language_vicuna,
      .image = 56, .patch = 14, .width = 96, .heads = 3, .inner = 160, .layers = 2,
      .positions = 17, .merge = 1, .options = CLIP_OPTIONS,
      .put_keys = put_llava_keys, .put_projector = put_llava_projector },
    { "llava-1.6", "mlp", &language_vicuna,
      .image = 56, .patch = 14, .width = 64, .heads = 2, .inner = 160, .layers = 3,
      .positions = 17, .merge = 1, .options = CLIP_OPTIONS,
      .put_keys = put_llava_next_keys, .put_projector = put_llava_next_projector },
    { "idefics3", "idefics3", &language_smollm,
      .image = 96, .patch = 16, .width = 96, .heads = 2, .inner = 160, .layers = 2,
      .positions = 36, .merge = 2, .options = SIGLIP_OPTIONS,
      .put_keys = put_idefics3_keys, .put_projector = put_idefics3_projector },
    { "gemma3", "gemma3", &language_gemma,
      .image = 112, .patch = 14, .width = 288, .heads = 4, .inner = 200, .layers = 2,
      .positions = 64, .merge = 4, .options = SIGLIP_OPTIONS,
      .put_keys = put_gemma3_keys, .put_projector = put_gemma3_projector },
    { "qwen2vl", "qwen2vl_merger", &language_qwen2,
      .image = 560, .patch = 14, .width = 160, .heads = 8, .inner = 320, .layers = 2,
      .merge = 2, .options = VISION_BIASES | VISION_FRAMES | VISION_POST_NORM,
      .put_keys = put_qwen2vl_keys, .put_projector = put_qwen_projector },
    { "qwen2.5vl", "qwen2.5vl_merger", &language_qwen2,
      .image = 560, .patch = 14, .width = 160, .heads = 2, .inner = 208, .layers = 4,
      .merge = 2,
      .options = VISION_BIASES | VISION_FRAMES | VISION_POST_NORM | VISION_RMS |
                 VISION_GATED | VISION_SILU_KEY,
      .put_keys = put_qwen25vl_keys, .put_projector = put_qwen_projector },
    { "qwen3vl", "qwen3vl_merger", &language_qwen3,
      .image = 96, .patch = 16, .width = 144, .heads = 2, .inner = 320, .layers = 3,
      .positions = 36, .merge = 2,
      .options = SIGLIP_OPTIONS | VISION_FRAMES | VISION_FUSED,
      .put_keys = put_qwen3vl_keys, .put_projector = put_qwen3vl_projector },
    { "internvl", "internvl", &language_intern,
      .image = 56, .patch = 14, .width = 64, .heads = 2, .inner = 160, .layers = 2,
      .positions = 17, .merge = 2,
      .options = VISION_BIASES | VISION_PATCH_BIAS | VISION_CLASS | VISION_SCALES |
                 VISION_GELU_KEY,
      .put_keys = put_internvl_keys, .put_projector = put_internvl_projector },
    { "pixtral", "pixtral", &language_mistral,
      .image = 128, .patch = 16, .width = 96, .heads = 2, .inner = 160, .layers = 2,
      .merge = 1, .options = PIXTRAL_OPTIONS,
      .put_keys = put_pixtral_keys, .put_projector = put_pixtral_projector },
    { "mistral3", "pixtral", &language_mistral,
      .image = 112, .patch = 14, .width = 64, .heads = 2, .inner = 96, .layers = 3,
      .merge = 2, .options = PIXTRAL_OPTIONS,
      .put_keys = put_pixtral_keys, .put_projector = put_pixtral_projector },
    { "minicpmv", "resampler", &language_minicpm,
      .image = 448, .patch = 14, .width = 96, .heads = 2, .inner = 160, .layers = 2,
      .positions = POSITION_SIDE * POSITION_SIDE, .merge = 1,
      .options = SIGLIP_OPTIONS | VISION_LEGACY,
      .put_keys = put_minicpm_keys, .put_projector = put_minicpm_projector },
    { "lfm2vl", "lfm2", &language_lfm,
      .image = 256, .patch = 16, .width = 96, .heads = 2, .inner = 160, .layers = 2,
      .positions = 256, .merge = 2, .options = SIGLIP_OPTIONS,
      .put_keys = put_lfm2_keys, .put_projector = put_lfm2_projector },
    // clang-format on
};

size_t vision_family_count(void)
{
    return sizeof(families) / sizeof(families[0]);
}

const char *vision_family_at(size_t index)
{
    return families[index].name;
}

const struct vision_family *vision_family_find(const char *name)
{
    for (size_t i = 0; i < vision_family_count(); i++) {
        if (strcmp(families[i].name, name) == 0)
            return &families[i];
    }
    return NULL;
}
