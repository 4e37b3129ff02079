// tests/engine/model/generate.c
// SPDX-License-Identifier: MIT
#include "tests/engine/model/generate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/engine/format/gguf_writer.h"
#include "tests/engine/model/random.h"
#include "tests/engine/model/vocabulary.h"

#define CONVOLUTION 3 // tokens that a layer of lfm2 looks at

// Sizes are awkward on purpose: 9 heads over 3, widths that are no powers of two. Types
// whose blocks hold 256 weights get width and inner size rounded to 256.
static const struct family {
    const char *name, *pre_tokenizer;
    unsigned layers, width, inner, heads, kv_heads, head_size;
    unsigned experts, experts_used;
    unsigned features; // that the architecture always has
    bool qk_norms, post_norms, fused;
    int32_t sections[4]; // M-RoPE: pairs that turn with time, height and width
    unsigned deepstack;  // layers to which embeddings of pictures are added
    unsigned period;     // lfm2: each such layer attends, the others convolve
} families[] = {
    // clang-format off
    { .name = "llama", .pre_tokenizer = "llama-bpe",
      .layers = 3, .width = 288, .inner = 416, .heads = 9, .kv_heads = 3, .head_size = 32 },
    { .name = "qwen2", .pre_tokenizer = "qwen2", .features = MODEL_BIASES,
      .layers = 2, .width = 192, .inner = 352, .heads = 6, .kv_heads = 2, .head_size = 32 },
    { .name = "qwen3", .pre_tokenizer = "qwen2", .features = MODEL_WIDE_HEADS,
      .layers = 2, .width = 160, .inner = 288, .heads = 4, .kv_heads = 2, .head_size = 64,
      .qk_norms = true },
    { .name = "qwen3moe", .pre_tokenizer = "qwen2",
      .features = MODEL_WIDE_HEADS | MODEL_EXPERTS,
      .layers = 2, .width = 128, .inner = 96, .heads = 4, .kv_heads = 1, .head_size = 64,
      .qk_norms = true, .experts = 8, .experts_used = 3 },
    { .name = "gemma2", .features = MODEL_TIED | MODEL_WINDOW | MODEL_WIDE_HEADS,
      .layers = 4, .width = 192, .inner = 352, .heads = 4, .kv_heads = 2, .head_size = 64,
      .post_norms = true },
    { .name = "gemma3", .features = MODEL_TIED | MODEL_WINDOW | MODEL_WIDE_HEADS,
      .layers = 7, .width = 160, .inner = 288, .heads = 4, .kv_heads = 1, .head_size = 64,
      .qk_norms = true, .post_norms = true },
    { .name = "phi3", .pre_tokenizer = "gpt-4o", .fused = true,
      .layers = 3, .width = 192, .inner = 288, .heads = 6, .kv_heads = 2, .head_size = 32 },
    { .name = "qwen2vl", .pre_tokenizer = "qwen2", .features = MODEL_BIASES,
      .layers = 2, .width = 192, .inner = 352, .heads = 6, .kv_heads = 2, .head_size = 32,
      .sections = { 4, 6, 6, 0 } },
    { .name = "qwen3vl", .pre_tokenizer = "qwen2", .features = MODEL_WIDE_HEADS,
      .layers = 3, .width = 160, .inner = 288, .heads = 4, .kv_heads = 2, .head_size = 64,
      .qk_norms = true, .sections = { 12, 10, 10, 0 }, .deepstack = 2 },
    { .name = "lfm2", .pre_tokenizer = "lfm2", .features = MODEL_TIED,
      .layers = 4, .width = 192, .inner = 320, .heads = 6, .kv_heads = 2, .head_size = 32,
      .qk_norms = true, .period = 3 },
    // clang-format on
};

// A family, resized for the recipe, and where it goes.
struct build {
    const struct model_recipe *recipe;
    const struct model_chat *chat; // or NULL
    struct family family;
    unsigned features;
    bool gemma;
    struct gguf_writer writer;
};

static const struct family *find_family(const char *name)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (strcmp(families[i].name, name) == 0)
            return &families[i];
    }
    return NULL;
}

static unsigned rounded(unsigned value, unsigned block)
{
    return (value + block - 1) / block * block;
}

static void adapt_heads(struct build *build)
{
    struct family *family = &build->family;
    bool phi = strcmp(family->name, "phi3") == 0;

    if ((build->features & MODEL_LARGE_HEADS) != 0) {
        family->head_size = phi ? 96 : build->gemma ? 256 : 128;
        family->heads = phi ? 2 : 3;
        family->kv_heads = 1;
        build->features |= phi ? 0 : MODEL_WIDE_HEADS;
    } else if ((build->features & MODEL_WIDE_HEADS) != 0) {
        family->head_size = 64;
    }
    if ((build->features & MODEL_OWN_KEYS) != 0)
        family->kv_heads = family->heads;
}

// Fits the family's sizes to the recipe's blocks and features.
static void adapt(struct build *build)
{
    struct family *family = &build->family;

    build->features = build->recipe->features | family->features;
    build->gemma = strncmp(family->name, "gemma", 5) == 0;
    if ((build->features & MODEL_TINY) != 0) {
        family->width = 64;
        family->inner = 172;
        family->heads = family->head_size = 8;
        family->kv_heads = 4;
    }
    if ((build->features & (MODEL_MIXED | MODEL_ROUND)) != 0 ||
        quant_traits(build->recipe->type)->block_values == 256) {
        family->width = 256;
        family->inner = rounded(family->inner, 256);
        if ((build->features & MODEL_WIDE_HEADS) == 0) {
            family->heads = 256 / family->head_size;
            family->kv_heads = family->heads / 4;
        }
    }
    adapt_heads(build);
    if ((build->features & MODEL_EXPERTS) != 0 && family->experts == 0) {
        family->experts = 8;
        family->experts_used = 2;
    }
}

// What llama.cpp's quantiser takes when a row is no whole number of blocks.
static enum quant_type fitting_type(enum quant_type type, uint64_t columns)
{
    if (columns % quant_traits(type)->block_values == 0)
        return type;
    switch (type) {
    case QUANT_Q2_K:
    case QUANT_Q3_K:
    case QUANT_IQ4_XS:
        return fitting_type(QUANT_IQ4_NL, columns);
    case QUANT_Q4_K:
        return fitting_type(QUANT_Q5_0, columns);
    case QUANT_Q5_K:
        return fitting_type(QUANT_Q5_1, columns);
    case QUANT_Q6_K:
        return fitting_type(QUANT_Q8_0, columns);
    default:
        return QUANT_F16;
    }
}

// The type of a matrix by its name.
static enum quant_type matrix_type(const struct build *build, const char *name,
                                   uint64_t columns)
{
    static const enum quant_type types[] = {
        QUANT_Q4_K, QUANT_Q6_K, QUANT_Q5_0, QUANT_Q8_0,   QUANT_F16,
        QUANT_Q4_1, QUANT_Q3_K, QUANT_BF16, QUANT_IQ4_NL, QUANT_Q5_K,
    };
    enum quant_type type = build->recipe->type;
    struct random random;

    random_init(&random, build->recipe->seed + 1, name);
    if ((build->features & MODEL_MIXED) != 0)
        type = types[random_below(&random, sizeof(types) / sizeof(types[0]))];
    return fitting_type(type, columns);
}

static void put_tensor(struct build *build, const char *name, enum quant_type type,
                       uint64_t columns, uint64_t rows, uint64_t planes, double deviation)
{
    const struct quant_traits *traits = quant_traits(type);
    size_t count = (size_t)(columns * rows * planes);
    size_t size = count / traits->block_values * traits->block_bytes;
    uint8_t *bytes = alloc_array(size, 1);
    struct random random;

    random_init(&random, build->recipe->seed, name);
    random_weights(&random, type, deviation, count, bytes);
    gguf_write_tensor(&build->writer, name, type, planes > 1 ? 3 : 2,
                      (uint64_t[]){ columns, rows, planes }, bytes, size);
    free(bytes);
}

// A matrix of rows x columns whose products keep about the size of what they multiply.
static void put_matrix(struct build *build, const char *name, uint64_t columns,
                       uint64_t rows)
{
    put_tensor(build, name, matrix_type(build, name, columns), columns, rows, 1,
               1.3 / sqrt((double)columns));
}

// A vector around `middle`.
static void put_vector(struct build *build, const char *name, uint64_t count,
                       double middle, double deviation)
{
    float *values = alloc_array((size_t)count, sizeof(*values));
    struct random random;

    random_init(&random, build->recipe->seed, name);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(middle + deviation * random_normal(&random));
    gguf_write_tensor(&build->writer, name, QUANT_F32, 1, &count, values,
                      (size_t)count * sizeof(*values));
    free(values);
}

static const char *in_layer(char name[64], unsigned layer, const char *rest)
{
    snprintf(name, 64, "blk.%u.%s", layer, rest);
    return name;
}

// NAME.weight and, with biases, NAME.bias.
static void put_linear(struct build *build, unsigned layer, const char *part,
                       uint64_t columns, uint64_t rows, bool bias)
{
    char rest[40], name[64];

    snprintf(rest, sizeof(rest), "%s.weight", part);
    put_matrix(build, in_layer(name, layer, rest), columns, rows);
    snprintf(rest, sizeof(rest), "%s.bias", part);
    if (bias)
        put_vector(build, in_layer(name, layer, rest), rows, 0, 0.5);
}

static void put_norm(struct build *build, unsigned layer, const char *part,
                     uint64_t count)
{
    char rest[40], name[64];

    snprintf(rest, sizeof(rest), "%s.weight", part);
    put_vector(build, in_layer(name, layer, rest), count, 1, 0.2);
}

// A gated convolution over the last three tokens (lfm2).
static void put_convolution(struct build *build, unsigned layer)
{
    unsigned width = build->family.width;
    char name[64];

    put_norm(build, layer, "attn_norm", width);
    put_linear(build, layer, "shortconv.in_proj", width, 3 * (uint64_t)width, false);
    put_tensor(build, in_layer(name, layer, "shortconv.conv.weight"), QUANT_F32,
               CONVOLUTION, width, 1, 0.6);
    put_linear(build, layer, "shortconv.out_proj", width, width, false);
}

static bool attends(const struct family *family, unsigned layer)
{
    return family->period == 0 || layer % family->period == family->period - 1;
}

static void put_attention(struct build *build, unsigned layer)
{
    const struct family *family = &build->family;
    bool bias = (build->features & MODEL_BIASES) != 0;
    unsigned q = family->heads * family->head_size;
    unsigned kv = family->kv_heads * family->head_size;

    put_norm(build, layer, "attn_norm", family->width);
    if (family->fused) {
        put_linear(build, layer, "attn_qkv", family->width, q + 2 * kv, bias);
    } else {
        put_linear(build, layer, "attn_q", family->width, q, bias);
        put_linear(build, layer, "attn_k", family->width, kv, bias);
        put_linear(build, layer, "attn_v", family->width, kv, bias);
    }
    if (family->qk_norms) {
        put_norm(build, layer, "attn_q_norm", family->head_size);
        put_norm(build, layer, "attn_k_norm", family->head_size);
    }
    // qwen2 has no bias here.
    put_linear(build, layer, "attn_output", q, family->width,
               (build->recipe->features & MODEL_BIASES) != 0);
    if (family->post_norms)
        put_norm(build, layer, "post_attention_norm", family->width);
}

static void put_experts(struct build *build, unsigned layer, const char *part,
                        uint64_t columns, uint64_t rows)
{
    char name[64];

    in_layer(name, layer, part);
    put_tensor(build, name, matrix_type(build, name, columns), columns, rows,
               build->family.experts, 1.3 / sqrt((double)columns));
}

static void put_feed_forward(struct build *build, unsigned layer)
{
    const struct family *family = &build->family;
    char name[64];

    put_norm(build, layer, "ffn_norm", family->width);
    if (family->experts != 0) {
        // Well apart, so that rounding hardly ever changes which experts are chosen.
        put_tensor(build, in_layer(name, layer, "ffn_gate_inp.weight"), QUANT_F32,
                   family->width, family->experts, 1, 4 / sqrt((double)family->width));
        put_experts(build, layer, "ffn_gate_exps.weight", family->width, family->inner);
        put_experts(build, layer, "ffn_up_exps.weight", family->width, family->inner);
        put_experts(build, layer, "ffn_down_exps.weight", family->inner, family->width);
    } else {
        if (!family->fused)
            put_linear(build, layer, "ffn_gate", family->width, family->inner, false);
        put_linear(build, layer, "ffn_up", family->width,
                   (family->fused ? 2 : 1) * (uint64_t)family->inner, false);
        put_linear(build, layer, "ffn_down", family->inner, family->width, false);
    }
    if (family->post_norms)
        put_norm(build, layer, "post_ffw_norm", family->width);
}

// Divisors of the angles that grow from low to high along the head.
static void put_rope_factors(struct build *build, const char *name, double low,
                             double high)
{
    uint64_t pairs = build->family.head_size / 2;
    float values[128];

    if ((build->features & MODEL_PARTIAL_ROTARY) != 0)
        pairs = pairs * 3 / 4;
    for (uint64_t i = 0; i < pairs; i++)
        values[i] = (float)(low + (high - low) * (double)i / (double)(pairs - 1));
    gguf_write_tensor(&build->writer, name, QUANT_F32, 1, &pairs, values,
                      (size_t)pairs * sizeof(*values));
}

static void put_tensors(struct build *build)
{
    const struct family *family = &build->family;
    size_t tokens = model_vocabulary_size(build->recipe);
    bool tied = (build->features & MODEL_TIED) != 0;
    double out = 2.5 / sqrt((double)family->width);

    put_tensor(build, "token_embd.weight",
               matrix_type(build, "token_embd.weight", family->width), family->width,
               tokens, 1, tied ? out : 1);
    for (unsigned layer = 0; layer < family->layers; layer++) {
        if (attends(family, layer))
            put_attention(build, layer);
        else
            put_convolution(build, layer);
        put_feed_forward(build, layer);
    }
    // Files of lfm2 call it so by mistake.
    put_vector(build,
               family->period > 0 ? "token_embd_norm.weight" : "output_norm.weight",
               family->width, 1, 0.2);
    if (!tied)
        put_tensor(build, "output.weight",
                   matrix_type(build, "output.weight", family->width), family->width,
                   tokens, 1, out);
    if ((build->features & MODEL_ROPE_FACTORS) != 0)
        put_rope_factors(build, "rope_freqs.weight", 1, 8);
    if ((build->features & (MODEL_ROPE_LONG | MODEL_ROPE_SHORT)) != 0) {
        put_rope_factors(build, "rope_factors_long.weight", 1.1, 20);
        put_rope_factors(build, "rope_factors_short.weight", 1, 1.5);
    }
}

static void put_size(struct build *build, const char *name, uint32_t value)
{
    char key[96];

    snprintf(key, sizeof(key), "%s.%s", build->family.name, name);
    gguf_write_u32(&build->writer, key, value);
}

static void put_number(struct build *build, const char *name, float value)
{
    char key[96];

    snprintf(key, sizeof(key), "%s.%s", build->family.name, name);
    gguf_write_f32(&build->writer, key, value);
}

static void put_sections(struct build *build)
{
    char key[96];

    snprintf(key, sizeof(key), "%s.rope.dimension_sections", build->family.name);
    gguf_write_array(&build->writer, key, GGUF_I32, 4, build->family.sections);
}

static void put_rope_keys(struct build *build)
{
    unsigned features = build->features;
    unsigned rotary = build->family.head_size;
    char key[96];

    snprintf(key, sizeof(key), "%s.rope.scaling.type", build->family.name);
    if ((features & MODEL_PARTIAL_ROTARY) != 0)
        rotary = rotary * 3 / 4;
    if ((features & MODEL_PLAIN_KEYS) == 0)
        put_size(build, "rope.dimension_count", rotary);
    if ((features & MODEL_PLAIN_KEYS) == 0 || build->gemma)
        put_number(build, "rope.freq_base", build->gemma ? 1000000 : 50000);
    if (build->family.sections[0] > 0)
        put_sections(build);
    if ((features & (MODEL_ROPE_LINEAR | MODEL_ROPE_YARN)) != 0) {
        gguf_write_string(&build->writer, key,
                          (features & MODEL_ROPE_YARN) != 0 ? "yarn" : "linear");
        put_number(build, "rope.scaling.factor", 4);
    }
    if ((features & MODEL_ROPE_YARN) != 0)
        put_size(build, "rope.scaling.original_context_length", MODEL_CONTEXT / 4);
    if ((features & (MODEL_ROPE_LONG | MODEL_ROPE_SHORT)) != 0) {
        bool is_long = (features & MODEL_ROPE_LONG) != 0;

        put_size(build, "rope.scaling.original_context_length",
                 is_long ? MODEL_CONTEXT / 4 : 2 * MODEL_CONTEXT);
        put_number(build, "rope.scaling.attn_factor", 1.19F);
    }
}

// Layers without keys and values are those that convolve.
static void put_convolution_keys(struct build *build)
{
    const struct family *family = &build->family;
    int32_t kv_heads[16] = { 0 };
    char key[96];

    for (unsigned i = 0; i < family->layers; i++)
        kv_heads[i] = attends(family, i) ? (int32_t)family->kv_heads : 0;
    snprintf(key, sizeof(key), "%s.attention.head_count_kv", family->name);
    gguf_write_array(&build->writer, key, GGUF_I32, family->layers, kv_heads);
    put_size(build, "shortconv.l_cache", CONVOLUTION);
    put_size(build, "vocab_size", (uint32_t)model_vocabulary_size(build->recipe));
}

static void put_shape_keys(struct build *build)
{
    const struct family *family = &build->family;

    put_size(build, "context_length", MODEL_CONTEXT);
    put_size(build, "embedding_length", family->width);
    put_size(build, "block_count", family->layers);
    put_size(build, "feed_forward_length", family->inner);
    put_size(build, "attention.head_count", family->heads);
    if (family->period > 0)
        put_convolution_keys(build);
    else if (family->kv_heads != family->heads ||
             (build->features & MODEL_PLAIN_KEYS) == 0)
        put_size(build, "attention.head_count_kv", family->kv_heads);
    // Larger than in real models: there it would hardly show whether it is obeyed.
    put_number(build, "attention.layer_norm_rms_epsilon", 0.01F);
    if ((build->features & MODEL_WIDE_HEADS) != 0) {
        put_size(build, "attention.key_length", family->head_size);
        put_size(build, "attention.value_length", family->head_size);
    }
    if ((build->features & MODEL_WINDOW) != 0)
        put_size(build, "attention.sliding_window", 8);
    if ((build->features & MODEL_PERIOD) != 0) {
        put_size(build, "attention.sliding_window_pattern", 3);
        put_number(build, "rope.freq_base_swa", 5000);
    }
    if (build->gemma && (build->features & MODEL_PLAIN_KEYS) == 0) {
        if (!family->qk_norms)
            put_number(build, "attn_logit_softcapping", 2.5);
        put_number(build, "final_logit_softcapping", 6);
    }
    if (family->deepstack > 0)
        put_size(build, "n_deepstack_layers", family->deepstack);
    if (family->experts != 0) {
        put_size(build, "expert_count", family->experts);
        put_size(build, "expert_used_count", family->experts_used);
        put_size(build, "expert_feed_forward_length", family->inner);
    }
}

// Texts that lie in rows of VOCABULARY_TEXT bytes.
static void put_texts(struct build *build, const char *key,
                      const char (*texts)[VOCABULARY_TEXT], size_t count)
{
    const char **pointers = alloc_array(count, sizeof(*pointers));

    for (size_t i = 0; i < count; i++)
        pointers[i] = texts[i];
    gguf_write_strings(&build->writer, key, count, pointers);
    free(pointers);
}

static void put_vocabulary(struct build *build)
{
    struct gguf_writer *writer = &build->writer;
    struct vocabulary v;

    vocabulary_init(&v, build->gemma, model_vocabulary_size(build->recipe));
    if (build->chat != NULL) {
        vocabulary_add_controls(&v, build->chat->controls);
        v.chat_template = build->chat->chat_template;
    }
    gguf_write_string(writer, "tokenizer.ggml.model", build->gemma ? "llama" : "gpt2");
    gguf_write_string(writer, "tokenizer.ggml.pre",
                      build->gemma ? "default" : build->family.pre_tokenizer);
    put_texts(build, "tokenizer.ggml.tokens", v.tokens, v.size);
    gguf_write_array(writer, "tokenizer.ggml.token_type", GGUF_I32, v.size, v.types);
    if (v.sentencepiece)
        gguf_write_array(writer, "tokenizer.ggml.scores", GGUF_F32, v.size, v.scores);
    else
        put_texts(build, "tokenizer.ggml.merges", v.merges, v.merge_count);
    gguf_write_u32(writer, "tokenizer.ggml.bos_token_id", v.bos);
    gguf_write_u32(writer, "tokenizer.ggml.eos_token_id", v.eos);
    gguf_write_u32(writer, "tokenizer.ggml.eot_token_id", v.eot);
    gguf_write_bool(writer, "tokenizer.ggml.add_bos_token", build->gemma);
    gguf_write_bool(writer, "tokenizer.ggml.add_space_prefix", false);
    gguf_write_string(writer, "tokenizer.chat_template", v.chat_template);
    vocabulary_release(&v);
}

size_t model_vocabulary_size(const struct model_recipe *recipe)
{
    return (recipe->features & MODEL_ODD_VOCABULARY) != 0 ? 479 : 512;
}

void model_prompt(const struct model_recipe *recipe, size_t count, uint32_t *tokens)
{
    struct random random;

    random_init(&random, recipe->seed, "prompt");
    for (size_t i = 0; i < count; i++)
        tokens[i] = random_below(&random, (uint32_t)model_vocabulary_size(recipe));
}

bool model_generate_chat(const struct model_recipe *recipe, const struct model_chat *chat,
                         const char *path, struct err *err)
{
    const struct family *family = find_family(recipe->architecture);

    if (family == NULL || quant_traits(recipe->type) == NULL)
        return err_set(err, ERR_UNSUPPORTED, "no random models of \"%s\" with type %d",
                       recipe->architecture, (int)recipe->type);
    struct build build = { .recipe = recipe, .chat = chat, .family = *family };
    adapt(&build);
    gguf_writer_init(&build.writer);
    gguf_write_string(&build.writer, "general.architecture", family->name);
    gguf_write_string(&build.writer, "general.name", "random");
    put_shape_keys(&build);
    put_rope_keys(&build);
    put_vocabulary(&build);
    put_tensors(&build);
    bool ok = gguf_writer_save(&build.writer, path, err);
    gguf_writer_release(&build.writer);
    return ok;
}

bool model_generate(const struct model_recipe *recipe, const char *path, struct err *err)
{
    return model_generate_chat(recipe, NULL, path, err);
}
