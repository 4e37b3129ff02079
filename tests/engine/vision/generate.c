// tests/engine/vision/generate.c
// SPDX-License-Identifier: MIT
#include "tests/engine/vision/generate_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/engine/model/random.h"

// The early name of a tensor.
static const char *old_name(char text[80], const char *name)
{
    const char *up = strstr(name, "ffn_up."), *down = strstr(name, "ffn_down.");
    const char *at = up != NULL ? up : down;

    if (at == NULL)
        return name;
    snprintf(text, 80, "%.*s%s%s", (int)(at - name), name,
             up != NULL ? "ffn_down" : "ffn_up", strchr(at, '.'));
    return text;
}

static void write_tensor(struct vision_build *build, const char *name, uint32_t type,
                         uint32_t rank, const uint64_t *shape, const void *bytes,
                         size_t size)
{
    bool old = build->recipe->old_names || (build->family->options & VISION_LEGACY) != 0;
    char text[80];

    gguf_write_tensor(&build->writer, old ? old_name(text, name) : name, type, rank,
                      shape, bytes, size);
}

void put_tensor(struct vision_build *build, const char *name, enum quant_type type,
                uint32_t rank, const uint64_t *shape, double deviation)
{
    const struct quant_traits *traits = quant_traits(type);
    struct random random;
    size_t count = 1;

    for (uint32_t i = 0; i < rank; i++)
        count *= (size_t)shape[i];
    size_t size = count / traits->block_values * traits->block_bytes;
    uint8_t *bytes = alloc_array(size, 1);
    random_init(&random, build->recipe->seed, name);
    random_weights(&random, type, deviation, count, bytes);
    write_tensor(build, name, type, rank, shape, bytes, size);
    free(bytes);
}

void put_vector(struct vision_build *build, const char *name, uint64_t count,
                double middle, double deviation)
{
    float *values = alloc_array((size_t)count, sizeof(*values));
    struct random random;

    random_init(&random, build->recipe->seed, name);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(middle + deviation * random_normal(&random));
    write_tensor(build, name, QUANT_F32, 1, &count, values,
                 (size_t)count * sizeof(*values));
    free(values);
}

static const char *part(char text[80], const char *name, const char *end)
{
    snprintf(text, 80, "%s.%s", name, end);
    return text;
}

// Converters fall back to F16 where rows are no whole blocks.
static enum quant_type linear_type(const struct vision_build *build, uint64_t columns)
{
    bool fits = columns % quant_traits(build->recipe->type)->block_values == 0;

    return fits ? build->recipe->type : QUANT_F16;
}

void put_linear(struct vision_build *build, const char *name, uint64_t columns,
                uint64_t rows, bool bias)
{
    char text[80];

    put_tensor(build, part(text, name, "weight"), linear_type(build, columns), 2,
               (uint64_t[]){ columns, rows }, 1.3 / sqrt((double)columns));
    if (bias)
        put_vector(build, part(text, name, "bias"), rows, 0, 0.3);
}

void put_norm(struct vision_build *build, const char *name, uint64_t count, bool bias)
{
    char text[80];

    put_vector(build, part(text, name, "weight"), count, 1, 0.2);
    if (bias)
        put_vector(build, part(text, name, "bias"), count, 0, 0.2);
}

// A convolution that touches each pixel once: [width][3][patch][patch].
static void put_patches(struct vision_build *build, const char *name)
{
    const struct vision_family *family = build->family;
    bool half =
        build->recipe->type == QUANT_F16 || (family->options & VISION_LEGACY) != 0;
    const uint64_t shape[] = { family->patch, family->patch, 3, family->width };
    double parts = (family->options & VISION_FRAMES) != 0 ? 2 : 1;

    put_tensor(build, name, half ? QUANT_F16 : QUANT_F32, 4, shape,
               1 / sqrt(3.0 * family->patch * family->patch * parts));
}

static void put_positions(struct vision_build *build)
{
    const struct vision_family *family = build->family;
    bool half =
        build->recipe->type != QUANT_F32 && (family->options & VISION_LEGACY) != 0;

    put_tensor(build, "v.position_embd.weight", half ? QUANT_F16 : QUANT_F32, 2,
               (uint64_t[]){ family->width, family->positions }, 0.5);
}

static void put_embeddings(struct vision_build *build)
{
    const struct vision_family *family = build->family;
    unsigned options = family->options;
    bool bias = (options & VISION_RMS) == 0;

    put_patches(build, "v.patch_embd.weight");
    if ((options & VISION_FRAMES) != 0)
        put_patches(build, "v.patch_embd.weight.1");
    if ((options & VISION_PATCH_BIAS) != 0)
        put_vector(build, "v.patch_embd.bias", family->width, 0, 0.3);
    if ((options & VISION_CLASS) != 0)
        put_vector(build, "v.class_embd", family->width, 0, 1);
    if (family->positions > 0)
        put_positions(build);
    if ((options & VISION_PRE_NORM) != 0)
        put_norm(build, "v.pre_ln", family->width, bias);
    if ((options & VISION_POST_NORM) != 0)
        put_norm(build, "v.post_ln", family->width, bias);
}

static const char *in_layer(char text[64], unsigned layer, const char *name)
{
    snprintf(text, 64, "v.blk.%u.%s", layer, name);
    return text;
}

static void put_attention(struct vision_build *build, unsigned layer)
{
    static const char *const names[] = { "attn_q", "attn_k", "attn_v" };
    unsigned width = build->family->width, options = build->family->options;
    bool bias = (options & VISION_BIASES) != 0;
    char text[64];

    if ((options & VISION_FUSED) != 0)
        put_linear(build, in_layer(text, layer, "attn_qkv"), width, 3 * (uint64_t)width,
                   bias);
    for (int i = 0; i < 3 && (options & VISION_FUSED) == 0; i++)
        put_linear(build, in_layer(text, layer, names[i]), width, width, bias);
    put_linear(build, in_layer(text, layer, "attn_out"), width, width, bias);
}

static void put_feed_forward(struct vision_build *build, unsigned layer)
{
    const struct vision_family *family = build->family;
    bool bias = (family->options & VISION_BIASES) != 0;
    char text[64];

    if ((family->options & VISION_GATED) != 0)
        put_linear(build, in_layer(text, layer, "ffn_gate"), family->width, family->inner,
                   bias);
    put_linear(build, in_layer(text, layer, "ffn_up"), family->width, family->inner,
               bias);
    put_linear(build, in_layer(text, layer, "ffn_down"), family->inner, family->width,
               bias);
}

static void put_layer(struct vision_build *build, unsigned layer)
{
    const struct vision_family *family = build->family;
    bool bias = (family->options & VISION_RMS) == 0;
    char text[64];

    put_norm(build, in_layer(text, layer, "ln1"), family->width, bias);
    put_attention(build, layer);
    put_norm(build, in_layer(text, layer, "ln2"), family->width, bias);
    put_feed_forward(build, layer);
    if ((family->options & VISION_SCALES) != 0) {
        put_vector(build, in_layer(text, layer, "ls1.weight"), family->width, 0.7, 0.2);
        put_vector(build, in_layer(text, layer, "ls2.weight"), family->width, 0.7, 0.2);
    }
}

static void put_general_keys(struct vision_build *build)
{
    struct gguf_writer *writer = &build->writer;
    bool legacy = (build->family->options & VISION_LEGACY) != 0;
    enum quant_type type = build->recipe->type;

    gguf_write_string(writer, "general.architecture", "clip");
    if (!legacy)
        gguf_write_string(writer, "general.type", "mmproj");
    else
        gguf_write_bool(writer, "clip.has_text_encoder", false);
    gguf_write_string(writer, "general.name", "random");
    // The numbers of llama_ftype: all F32, mostly F16, mostly Q8_0.
    gguf_write_u32(writer, "general.file_type",
                   type == QUANT_F32   ? 0
                   : type == QUANT_F16 ? 1
                                       : 7);
    gguf_write_bool(writer, "clip.has_vision_encoder", true);
    gguf_write_string(writer, "clip.projector_type", build->family->projector);
}

static void put_vision_keys(struct vision_build *build)
{
    // Of three different channels, unlike those of most families.
    static const float mean[] = { 0.48145466F, 0.4578275F, 0.40821073F };
    static const float deviation[] = { 0.26862954F, 0.26130258F, 0.27577711F };
    const struct vision_family *family = build->family;
    struct gguf_writer *writer = &build->writer;

    gguf_write_u32(writer, "clip.vision.image_size", family->image);
    gguf_write_u32(writer, "clip.vision.patch_size", family->patch);
    gguf_write_u32(writer, "clip.vision.embedding_length", family->width);
    gguf_write_u32(writer, "clip.vision.block_count", family->layers);
    gguf_write_u32(writer, "clip.vision.attention.head_count", family->heads);
    gguf_write_f32(writer, "clip.vision.attention.layer_norm_epsilon", VISION_EPSILON);
    gguf_write_array(writer, "clip.vision.image_mean", GGUF_F32, 3, mean);
    gguf_write_array(writer, "clip.vision.image_std", GGUF_F32, 3, deviation);
    if ((family->options & VISION_GELU_KEY) != 0)
        gguf_write_bool(writer, "clip.use_gelu", true);
    if ((family->options & VISION_SILU_KEY) != 0)
        gguf_write_bool(writer, "clip.use_silu", true);
}

static bool save_projector(struct vision_build *build, const char *path, struct err *err)
{
    gguf_writer_init(&build->writer);
    put_general_keys(build);
    put_vision_keys(build);
    build->family->put_keys(build);
    put_embeddings(build);
    for (unsigned layer = 0; layer < build->family->layers; layer++)
        put_layer(build, layer);
    build->family->put_projector(build);
    bool ok = gguf_writer_save(&build->writer, path, err);
    gguf_writer_release(&build->writer);
    return ok;
}

static bool read_width(struct vision_build *build, const struct language *language,
                       struct err *err)
{
    uint64_t width = 0;
    char key[64];

    snprintf(key, sizeof(key), "%s.embedding_length", language->architecture);
    if (!gguf_get_u64(build->language, key, &width, err))
        return false;
    build->language_width = (unsigned)width;
    return true;
}

bool vision_generate(const struct vision_recipe *recipe, const char *language_path,
                     const char *projector_path, struct err *err)
{
    const struct vision_family *family = vision_family_find(recipe->family);

    if (family == NULL)
        return err_set(err, ERR_UNSUPPORTED, "no random models of the family \"%s\"",
                       recipe->family);
    struct model_recipe language = { .architecture = family->language->architecture,
                                     .type = recipe->type,
                                     .seed = recipe->seed,
                                     .features = family->language->features };
    if (!model_generate_chat(&language, &family->language->chat, language_path, err))
        return false;
    struct gguf *gguf = gguf_open(language_path, err);
    struct vision_build build = { .recipe = recipe, .family = family, .language = gguf };
    bool ok = gguf != NULL && read_width(&build, family->language, err) &&
              save_projector(&build, projector_path, err);
    gguf_close(&gguf);
    return ok;
}
