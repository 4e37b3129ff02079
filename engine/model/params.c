// engine/model/params.c
// SPDX-License-Identifier: MIT
#include "engine/model/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// Reads "<architecture>.<name>" as a number within [low, high]; a missing key keeps
// *value.
static bool read_u32(const struct gguf *gguf, const struct model_params *params,
                     const char *name, uint32_t low, uint32_t high, uint32_t *value,
                     struct err *err)
{
    char key[128];

    snprintf(key, sizeof(key), "%s.%s", params->architecture, name);
    return gguf_get_u32(gguf, key, low, high, value, err);
}

static bool read_f64(const struct gguf *gguf, const struct model_params *params,
                     const char *name, double low, double high, double *value,
                     struct err *err)
{
    char key[128];

    snprintf(key, sizeof(key), "%s.%s", params->architecture, name);
    if (!gguf_get_f64(gguf, key, value, err))
        return false;
    if (!(*value >= low && *value <= high))
        return err_set(err, ERR_FORMAT, "%s is %g, it must be %g to %g", key, *value, low,
                       high);
    return true;
}

static bool read_f32(const struct gguf *gguf, const struct model_params *params,
                     const char *name, double low, double high, float *value,
                     struct err *err)
{
    double number = (double)*value;

    if (!read_f64(gguf, params, name, low, high, &number, err))
        return false;
    *value = (float)number;
    return true;
}

static bool has(const struct gguf *gguf, const struct model_params *params,
                const char *name)
{
    char key[128];

    snprintf(key, sizeof(key), "%s.%s", params->architecture, name);
    return gguf_has(gguf, key);
}

// ---------------------------------------------------------------------------
// What an architecture is by nature; the file's own keys come after.

static void be_gemma(struct model_params *params)
{
    params->activation = KERNEL_GELU_TANH;
    params->embedding_scale = sqrtf((float)params->width);
    params->post_norms = true;
    params->rope_split = true;
}

static void be_gemma2(struct model_params *params)
{
    be_gemma(params);
    params->attention_cap = 50.0f;
    params->logit_cap = 30.0f;
    params->window = 4096;
}

static void be_gemma3(struct model_params *params)
{
    be_gemma(params);
    params->qk_norm = true;
    params->local_rope_differs = true;
}

static void be_llama(struct model_params *params)
{
    params->rope.factors = "rope_freqs.weight";
}

static void be_qwen2(struct model_params *params)
{
    params->rope_split = true;
}

static void be_qwen3(struct model_params *params)
{
    params->rope_split = true;
    params->qk_norm = true;
}

static void be_qwen3vl(struct model_params *params)
{
    be_qwen3(params);
    params->rope_interleaved = true;
}

static void be_lfm2(struct model_params *params)
{
    params->rope_split = true;
    params->qk_norm = true;
}

static void be_phi3(struct model_params *params)
{
    params->rope_split = true;
    params->fused_qkv = true;
    params->fused_gate_up = true;
    params->rope.factors = "rope_factors_short.weight";
    params->rope.long_factors = "rope_factors_long.weight";
}

static const struct architecture {
    const char *name;
    void (*be)(struct model_params *params);
    uint32_t
        window_period; // layer i has a window unless i % period == period - 1; 0: all
} architectures[] = {
    { "llama", be_llama, 0 },     { "qwen2", be_qwen2, 0 },
    { "qwen3", be_qwen3, 0 },     { "gemma2", be_gemma2, 2 },
    { "gemma3", be_gemma3, 6 },   { "phi3", be_phi3, 0 },
    { "qwen3moe", be_qwen3, 0 },  { "qwen2vl", be_qwen2, 0 },
    { "qwen3vl", be_qwen3vl, 0 }, { "qwen3vlmoe", be_qwen3vl, 0 },
    { "lfm2", be_lfm2, 0 },
};

static const struct architecture *
find_architecture(const struct gguf *gguf, struct model_params *params, struct err *err)
{
    struct gguf_string name = { .bytes = NULL };

    if (!gguf_get_string(gguf, "general.architecture", &name, err))
        return NULL;
    if (name.bytes == NULL) {
        err_set(err, ERR_FORMAT, "general.architecture is missing");
        return NULL;
    }
    for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]); i++) {
        if (strlen(architectures[i].name) == name.len &&
            memcmp(architectures[i].name, name.bytes, name.len) == 0) {
            memcpy(params->architecture, name.bytes, name.len);
            return &architectures[i];
        }
    }
    err_set(err, ERR_UNSUPPORTED, "the architecture \"%.*s\" is not supported",
            (int)(name.len < 64 ? name.len : 64), name.bytes);
    return NULL;
}

// ---------------------------------------------------------------------------

// Key-value heads: a number, or (lfm2) one for each layer, 0 where it convolves.
static bool read_kv_heads(const struct gguf *gguf, struct model_params *p,
                          struct err *err)
{
    struct gguf_array array = { .count = 0 };

    p->kv_heads = p->heads;
    if (strcmp(p->architecture, "lfm2") != 0)
        return read_u32(gguf, p, "attention.head_count_kv", 1, p->heads, &p->kv_heads,
                        err);
    if (!gguf_get_array(gguf, "lfm2.attention.head_count_kv", GGUF_I32, &array, err) ||
        !read_u32(gguf, p, "shortconv.l_cache", 1, 64, &p->taps, err))
        return false;
    p->kv_heads = 0;
    for (uint32_t i = 0; i < p->layers; i++) {
        int64_t heads = i < array.count ? gguf_array_i64(&array, i) : -1;

        p->convolves[i] = heads == 0;
        if (heads < 0 || heads > p->heads ||
            (heads > 0 && p->kv_heads > 0 && heads != p->kv_heads))
            return err_set(err, ERR_FORMAT,
                           "lfm2.attention.head_count_kv: layer %u has %lld", i,
                           (long long)heads);
        p->kv_heads = heads > 0 ? (uint32_t)heads : p->kv_heads;
    }
    return p->kv_heads > 0 ||
           err_set(err, ERR_UNSUPPORTED, "lfm2: no layer has attention");
}

static bool read_sizes(const struct gguf *gguf, struct model_params *p, struct err *err)
{
    const struct gguf_tensor *embedding = gguf_find(gguf, "token_embd.weight");

    if (embedding == NULL || embedding->rank != 2 || embedding->shape[1] > 1u << 24)
        return err_set(err, ERR_FORMAT,
                       "tensor token_embd.weight is missing or not a matrix");
    p->vocabulary = (uint32_t)embedding->shape[1];
    p->trained_context = 2048;
    if (!read_u32(gguf, p, "block_count", 1, MODEL_MAX_LAYERS, &p->layers, err) ||
        !read_u32(gguf, p, "embedding_length", 8, 1 << 17, &p->width, err) ||
        !read_u32(gguf, p, "context_length", 1, 1u << 28, &p->trained_context, err) ||
        !read_u32(gguf, p, "attention.head_count", 1, 1 << 12, &p->heads, err))
        return false;
    p->head_dim = p->width / p->heads;
    if (!read_kv_heads(gguf, p, err) ||
        !read_u32(gguf, p, "attention.key_length", 8, 1024, &p->head_dim, err))
        return false;
    p->rotated = p->head_dim;
    uint32_t value_dim = p->head_dim;
    if (!read_u32(gguf, p, "attention.value_length", 8, 1024, &value_dim, err) ||
        !read_u32(gguf, p, "rope.dimension_count", 2, p->head_dim, &p->rotated, err))
        return false;
    if (p->heads % p->kv_heads != 0)
        return err_set(err, ERR_FORMAT,
                       "%u heads are not a multiple of %u key-value heads", p->heads,
                       p->kv_heads);
    if (p->taps > 0 && p->heads * p->head_dim != p->width)
        return err_set(err, ERR_UNSUPPORTED, "lfm2: %u heads of %u in a width of %u",
                       p->heads, p->head_dim, p->width);
    if (value_dim != p->head_dim || p->head_dim % 8 != 0 || p->rotated % 2 != 0)
        return err_set(
            err, ERR_UNSUPPORTED,
            "heads of %u (keys) and %u (values) dimensions, %u rotated, are not "
            "supported",
            p->head_dim, value_dim, p->rotated);
    return true;
}

// Experts: llama (Mixtral) and qwen3moe. A llama file says their width as that of the
// dense layer.
static bool read_experts(const struct gguf *gguf, struct model_params *p, struct err *err)
{
    p->ff_width = 0;
    if (!has(gguf, p, "expert_count") || has(gguf, p, "feed_forward_length"))
        if (!read_u32(gguf, p, "feed_forward_length", 8, 1 << 20, &p->ff_width, err))
            return false;
    if (!read_u32(gguf, p, "expert_count", 0, 1024, &p->experts, err) || p->experts == 0)
        return p->experts == 0 && (err == NULL || err->code == ERR_NONE);
    if (strcmp(p->architecture, "qwen3moe") != 0 &&
        strcmp(p->architecture, "qwen3vlmoe") != 0 &&
        strcmp(p->architecture, "llama") != 0)
        return err_set(err, ERR_UNSUPPORTED, "%s with experts is not supported",
                       p->architecture);
    p->expert_scale = 1.0f;
    p->experts_normalised = true;
    p->expert_ff_width = p->ff_width;
    return read_u32(gguf, p, "expert_used_count", 1, p->experts, &p->experts_used, err) &&
           read_u32(gguf, p, "expert_feed_forward_length", 8, 1 << 20,
                    &p->expert_ff_width, err) &&
           read_f32(gguf, p, "expert_weights_scale", 0, 1e6, &p->expert_scale, err);
}

// M-RoPE: how many pairs turn with each number of a position. The families without it
// have no such key.
static bool read_sections(const struct gguf *gguf, struct model_params *p,
                          struct err *err)
{
    struct gguf_array array = { .count = 0 };
    uint64_t total = 0;
    char key[64];

    snprintf(key, sizeof(key), "%s.rope.dimension_sections", p->architecture);
    if (strstr(p->architecture, "vl") == NULL)
        return true;
    if (!gguf_get_array(gguf, key, GGUF_I32, &array, err))
        return false;
    for (uint64_t i = 0; i < array.count && i < 3; i++) {
        int64_t pairs = gguf_array_i64(&array, i);

        if (pairs < 0 || pairs > p->rotated / 2)
            return err_set(err, ERR_FORMAT, "%s has a section of %lld pairs", key,
                           (long long)pairs);
        p->rope_sections[i] = (uint32_t)pairs;
        total += (uint64_t)pairs;
    }
    return (total == p->rotated / 2 && p->rope_sections[0] > 0) ||
           err_set(err, ERR_FORMAT, "%s: the sections have %llu pairs, a head has %u",
                   key, (unsigned long long)total, p->rotated / 2);
}

static bool read_rope(const struct gguf *gguf, struct model_params *p, struct err *err)
{
    struct rope_params *rope = &p->rope;
    struct gguf_string type = { .bytes = "none", .len = 4 };
    char key[64];
    double factor = 1.0;

    rope->base = 10000.0;
    rope->scale = 1.0;
    rope->attn_factor = 1.0;
    rope->yarn_beta_fast = 32.0;
    rope->yarn_beta_slow = 1.0;
    rope->original_context = p->trained_context;
    snprintf(key, sizeof(key), "%s.rope.scaling.type", p->architecture);
    if (!gguf_get_string(gguf, key, &type, err) ||
        !read_f64(gguf, p, "rope.freq_base", 1, 1e12, &rope->base, err) ||
        !read_f64(gguf, p, "rope.scale_linear", 1e-3, 1e6, &factor, err) ||
        !read_f64(gguf, p, "rope.scaling.factor", 1e-3, 1e6, &factor, err) ||
        !read_f64(gguf, p, "rope.scaling.attn_factor", 1e-3, 1e3, &rope->attn_factor,
                  err) ||
        !read_f64(gguf, p, "rope.scaling.yarn_beta_fast", 1e-3, 1e6,
                  &rope->yarn_beta_fast, err) ||
        !read_f64(gguf, p, "rope.scaling.yarn_beta_slow", 1e-3, 1e6,
                  &rope->yarn_beta_slow, err) ||
        !read_u32(gguf, p, "rope.scaling.original_context_length", 1, 1u << 28,
                  &rope->original_context, err))
        return false;
    if (type.len == 4 && memcmp(type.bytes, "yarn", 4) == 0) {
        rope->yarn = true;
        rope->yarn_factor = factor;
    } else if (type.len != 8 || memcmp(type.bytes, "longrope", 8) != 0) {
        rope->scale = 1.0 / factor;
    }
    if (strncmp(p->architecture, "gemma", 5) == 0 && has(gguf, p, "rope.freq_base_swa"))
        p->local_rope_differs = true;
    p->local_rope =
        (struct rope_params){ .base = 10000.0, .scale = 1.0, .attn_factor = 1.0 };
    return !p->local_rope_differs ||
           read_f64(gguf, p, "rope.freq_base_swa", 1, 1e12, &p->local_rope.base, err);
}

// Which layers have a window: an array of booleans, or a period, or the architecture's
// own.
static bool read_windows(const struct gguf *gguf, uint32_t period, struct model_params *p,
                         struct err *err)
{
    const char *name = "attention.sliding_window_pattern";
    struct gguf_array array = { .count = 0 };
    char key[128];

    snprintf(key, sizeof(key), "%s.%s", p->architecture, name);
    if (!read_u32(gguf, p, "attention.sliding_window", 0, 1u << 28, &p->window, err))
        return false;
    if (gguf_has(gguf, key) && gguf_get_array(gguf, key, GGUF_BOOL, &array, NULL)) {
        for (uint32_t i = 0; i < p->layers && i < array.count; i++)
            p->windowed[i] = gguf_array_u64(&array, i) != 0;
        return true;
    }
    if (!read_u32(gguf, p, name, 0, MODEL_MAX_LAYERS, &period, err))
        return false;
    for (uint32_t i = 0; i < p->layers; i++)
        p->windowed[i] = period == 0 || i % period != period - 1;
    return true;
}

static bool read_attention(const struct gguf *gguf, struct model_params *p,
                           struct err *err)
{
    p->attention_scale = 1.0f / sqrtf((float)p->head_dim);
    if (!read_f32(gguf, p, "attention.layer_norm_rms_epsilon", 0, 1, &p->norm_epsilon,
                  err) ||
        (p->attention_cap > 0.0f &&
         !read_f32(gguf, p, "attn_logit_softcapping", 0, 1e6, &p->attention_cap, err)) ||
        !read_f32(gguf, p, "final_logit_softcapping", 0, 1e6, &p->logit_cap, err))
        return false;
    // The 27B models of both families scale by width / heads instead of the head's own
    // size.
    if (strncmp(p->architecture, "gemma", 5) == 0 &&
        p->layers == (p->architecture[5] == '2' ? 46u : 62u))
        p->attention_scale = 1.0f / sqrtf((float)p->width / (float)p->heads);
    return true;
}

bool model_params_read(const struct gguf *gguf, struct model_params *params,
                       struct err *err)
{
    const struct architecture *architecture;

    *params = (struct model_params){ .embedding_scale = 1.0f };
    architecture = find_architecture(gguf, params, err);
    if (architecture == NULL || !read_sizes(gguf, params, err))
        return false;
    architecture->be(params);
    return read_experts(gguf, params, err) && read_attention(gguf, params, err) &&
           read_windows(gguf, architecture->window_period, params, err) &&
           read_rope(gguf, params, err) && read_sections(gguf, params, err);
}

bool model_layer_windowed(const struct model_params *params, uint32_t layer)
{
    return params->window > 0 && params->windowed[layer];
}
