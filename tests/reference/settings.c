// tests/reference/settings.c
// SPDX-License-Identifier: MIT
#include "tests/reference/settings.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

// What an architecture means by itself, without any key.
static const struct architecture {
    const char *name;
    bool neox, gelu, scaled_embedding, interleaved;
    unsigned period;      // every period-th layer sees all, 0: none does
    double local_base;    // RoPE base of local layers, 0: as the others
    unsigned wide_layers; // with this many layers the attention scale uses width / heads
    double attention_cap; // 0: llama.cpp ignores the key, too
    double output_cap;
    unsigned window; // when no key tells
} architectures[] = {
    { .name = "llama" },
    { .name = "qwen2", .neox = true },
    { .name = "qwen3", .neox = true },
    { .name = "qwen3moe", .neox = true },
    { .name = "qwen2vl", .neox = true },
    { .name = "qwen3vl", .neox = true, .interleaved = true },
    { .name = "phi3", .neox = true },
    { .name = "gemma2",
      .neox = true,
      .gelu = true,
      .scaled_embedding = true,
      .period = 2,
      .wide_layers = 46,
      .attention_cap = 50,
      .output_cap = 30,
      .window = 4096 },
    { .name = "gemma3",
      .neox = true,
      .gelu = true,
      .scaled_embedding = true,
      .period = 6,
      .local_base = 10000,
      .wide_layers = 62 },
};

// Reads keys "ARCHITECTURE.name"; remembers the first failure.
struct reader {
    const struct gguf *gguf;
    char prefix[32];
    char key[128];
    struct err *err;
    bool failed;
};

static const char *full_key(struct reader *reader, const char *name)
{
    snprintf(reader->key, sizeof(reader->key), "%s.%s", reader->prefix, name);
    return reader->key;
}

static size_t read_size(struct reader *reader, const char *name, size_t missing)
{
    uint64_t value = missing;

    if (!gguf_get_u64(reader->gguf, full_key(reader, name), &value, reader->err))
        reader->failed = true;
    return (size_t)value;
}

static double read_number(struct reader *reader, const char *name, double missing)
{
    double value = missing;

    if (!gguf_get_f64(reader->gguf, full_key(reader, name), &value, reader->err))
        reader->failed = true;
    return value;
}

static bool has(struct reader *reader, const char *name)
{
    return gguf_has(reader->gguf, full_key(reader, name));
}

static void read_sections(struct reader *reader, struct settings *s)
{
    struct gguf_array array = { .count = 0 };

    if (!has(reader, "rope.dimension_sections"))
        return;
    if (!gguf_get_array(reader->gguf, full_key(reader, "rope.dimension_sections"),
                        GGUF_I32, &array, reader->err))
        reader->failed = true;
    for (uint64_t i = 0; i < array.count && i < 3; i++)
        s->sections[i] = (size_t)gguf_array_u64(&array, i);
}

static bool string_is(struct gguf_string string, const char *text)
{
    return string.len == strlen(text) && memcmp(string.bytes, text, string.len) == 0;
}

static const struct architecture *find_architecture(const struct gguf *gguf,
                                                    struct err *err)
{
    struct gguf_string name = { "", 0 };

    if (!gguf_get_string(gguf, "general.architecture", &name, err))
        return NULL;
    for (size_t i = 0; i < sizeof(architectures) / sizeof(architectures[0]); i++) {
        if (string_is(name, architectures[i].name))
            return &architectures[i];
    }
    err_set(err, ERR_UNSUPPORTED, "the reference does not know the architecture \"%.*s\"",
            (int)name.len, name.bytes);
    return NULL;
}

static void read_shape(struct reader *reader, const struct architecture *architecture,
                       struct settings *s)
{
    s->layers = read_size(reader, "block_count", 0);
    s->width = read_size(reader, "embedding_length", 0);
    s->heads = read_size(reader, "attention.head_count", 0);
    s->kv_heads = read_size(reader, "attention.head_count_kv", s->heads);
    size_t head_size = s->heads != 0 ? s->width / s->heads : 0;
    s->key_size = read_size(reader, "attention.key_length", head_size);
    s->value_size = read_size(reader, "attention.value_length", head_size);
    s->epsilon = read_number(reader, "attention.layer_norm_rms_epsilon", 0);
    s->experts = read_size(reader, "expert_count", 0);
    s->experts_used = read_size(reader, "expert_used_count", 0);
    s->gelu = architecture->gelu;
    s->embedding_scale = architecture->scaled_embedding ? sqrt((double)s->width) : 1;
    bool wide = architecture->wide_layers != 0 && s->layers == architecture->wide_layers;
    s->attention_scale = 1 / sqrt((double)(wide ? head_size : s->key_size));
    if (architecture->attention_cap != 0)
        s->attention_cap =
            read_number(reader, "attn_logit_softcapping", architecture->attention_cap);
    s->output_cap =
        read_number(reader, "final_logit_softcapping", architecture->output_cap);
}

// Which layers are local: an array of booleans, or a period, or the architecture's
// period.
static void read_window(struct reader *reader, const struct architecture *architecture,
                        struct settings *s)
{
    struct gguf_array array = { .count = 0 };
    const char *name = "attention.sliding_window_pattern";

    s->window = read_size(reader, "attention.sliding_window", architecture->window);
    if (s->window == 0)
        return;
    if (has(reader, name) &&
        gguf_get_array(reader->gguf, full_key(reader, name), GGUF_BOOL, &array, NULL)) {
        for (size_t i = 0; i < s->layers && i < array.count; i++)
            s->local[i] = gguf_array_u64(&array, i) != 0;
        return;
    }
    size_t period = read_size(reader, name, architecture->period);
    for (size_t i = 0; i < s->layers; i++)
        s->local[i] = period == 0 || i % period != period - 1;
}

// YaRN lengthens the rotated vectors a little (arXiv:2309.00071, section 3.4).
static double yarn_magnitude(double factor)
{
    return factor > 1 ? 1 + 0.1 * log(factor) : 1;
}

static void read_rope_scaling(struct reader *reader, struct settings *s)
{
    struct gguf_string type = { "linear", 6 };
    double factor = read_number(reader, "rope.scaling.factor",
                                read_number(reader, "rope.scale_linear", 1));

    if (!gguf_get_string(reader->gguf, full_key(reader, "rope.scaling.type"), &type,
                         reader->err))
        reader->failed = true;
    bool yarn = string_is(type, "yarn");
    if (!yarn && !string_is(type, "linear") && !string_is(type, "none") &&
        !string_is(type, "longrope"))
        reader->failed = !err_set(reader->err, ERR_UNSUPPORTED,
                                  "the reference does not know the RoPE scaling \"%.*s\"",
                                  (int)type.len, type.bytes);
    if (factor == 0 || string_is(type, "none"))
        factor = 1;
    s->position_scale = 1 / factor;
    s->yarn_mix = read_number(reader, "rope.scaling.yarn_ext_factor", yarn ? 1 : 0);
    s->yarn_fast = read_number(reader, "rope.scaling.yarn_beta_fast", 32);
    s->yarn_slow = read_number(reader, "rope.scaling.yarn_beta_slow", 1);
    s->magnitude = read_number(reader, "rope.scaling.attn_factor", 1) *
                   (s->yarn_mix != 0 ? yarn_magnitude(factor) : 1);
    s->trained_context = read_size(reader, "rope.scaling.original_context_length",
                                   read_size(reader, "context_length", 0));
}

static void read_rope(struct reader *reader, const struct architecture *architecture,
                      struct settings *s)
{
    s->neox = architecture->neox;
    s->rotary = read_size(reader, "rope.dimension_count", s->key_size);
    s->interleaved = architecture->interleaved;
    read_sections(reader, s);
    s->base = read_number(reader, "rope.freq_base", 10000);
    read_rope_scaling(reader, s);
    bool own = architecture->local_base != 0;
    s->local_base = read_number(reader, "rope.freq_base_swa",
                                own ? architecture->local_base : s->base);
    s->local_position_scale = own ? 1 : s->position_scale;
}

static bool settings_check(const struct settings *s, struct err *err)
{
    if (s->layers == 0 || s->layers > LAYERS_MAX || s->width == 0 || s->heads == 0 ||
        s->kv_heads == 0 || s->heads % s->kv_heads != 0 || s->key_size == 0 ||
        s->value_size == 0 || s->rotary > s->key_size || s->rotary % 2 != 0)
        return err_set(err, ERR_FORMAT, "the shape of the model makes no sense");
    if (s->experts_used > s->experts || (s->experts != 0 && s->experts_used == 0))
        return err_set(err, ERR_FORMAT, "%zu of %zu experts make no sense",
                       s->experts_used, s->experts);
    return true;
}

bool settings_read(const struct gguf *gguf, struct settings *settings, struct err *err)
{
    const struct architecture *architecture = find_architecture(gguf, err);
    struct reader reader = { .gguf = gguf, .err = err };

    if (architecture == NULL)
        return false;
    memset(settings, 0, sizeof(*settings));
    snprintf(reader.prefix, sizeof(reader.prefix), "%s", architecture->name);
    read_shape(&reader, architecture, settings);
    read_rope(&reader, architecture, settings);
    if (reader.failed || !settings_check(settings, err))
        return false;
    read_window(&reader, architecture, settings);
    return !reader.failed;
}
