// engine/kernel_check_attention.c
// SPDX-License-Identifier: MIT
//
// The rotation of queries and keys, and attention over the cache that it fills.
#include "engine/kernel_check_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/gpu/kernels.h"
#include "engine/model/rope.h"
#include "engine/reference/kernels.h"

struct attention_shape {
    uint32_t heads, kv_heads, head_dim, rotated, position, tokens, window;
    float cap;
    bool split, norm;
    const char *name;
};

static const struct attention_shape attention_shapes[] = {
    { 9, 3, 64, 64, 0, 1, 0, 0, false, false, "9/3 heads of 64, first token" },
    { 9, 3, 64, 64, 61, 5, 0, 0, false, false, "9/3 heads of 64, 5 tokens at 61" },
    { 4, 1, 256, 256, 40, 3, 16, 0, true, true, "4/1 heads of 256, window 16, QK norm" },
    { 2, 2, 80, 32, 17, 2, 0, 50, true, false, "2/2 heads of 80, 32 rotated, capped" },
    { 3, 1, 8, 8, 130, 1, 0, 0, true, false, "3/1 heads of 8 at 130" },
};

// The rotated queries, keys and values that rope leaves for attention, from the
// reference.
struct attention_data {
    float *qkv;           // [tokens][heads + 2 kv_heads][head_dim]: the kernel's input
    float *queries;       // [tokens][heads][head_dim], normed and rotated
    float *keys, *values; // [positions][kv_heads][head_dim], all of them
    float *query_norm, *key_norm;
    uint32_t positions, context, stride;
};

static void norm_and_rotate(const struct attention_shape *s, uint32_t heads,
                            const float *weight, const float *x, float *y)
{
    struct reference_rope rope = {
        .form = s->split ? REFERENCE_ROPE_NEOX : REFERENCE_ROPE_NORM,
        .tokens = s->tokens,
        .heads = heads,
        .head_size = s->head_dim,
        .rotary_size = s->rotated,
        .base = 10000.0,
    };
    uint32_t *positions = alloc_array(s->tokens, sizeof(*positions));
    size_t count = (size_t)s->tokens * heads;
    float *normed = alloc_array(count * s->head_dim, sizeof(*normed));

    for (uint32_t t = 0; t < s->tokens; t++)
        positions[t] = s->position + t;
    if (s->norm)
        reference_rms_norm(x, weight, normed, count, s->head_dim, 1e-6);
    else
        memcpy(normed, x, count * s->head_dim * sizeof(*normed));
    reference_rotate(&rope, normed, positions, y);
    free(normed);
    free(positions);
}

// Takes heads [first, first + count) out of the fused rows.
static void take_heads(const struct attention_data *data, const struct attention_shape *s,
                       uint32_t first, uint32_t count, float *out)
{
    for (uint32_t t = 0; t < s->tokens; t++)
        memcpy(out + (size_t)t * count * s->head_dim,
               data->qkv + (size_t)t * data->stride + (size_t)first * s->head_dim,
               (size_t)count * s->head_dim * sizeof(*out));
}

static void make_attention_data(struct check *check, const struct attention_shape *s,
                                struct attention_data *data)
{
    size_t per_position = (size_t)s->kv_heads * s->head_dim;
    size_t heads = (size_t)s->heads * s->head_dim;

    data->positions = s->position + s->tokens;
    data->context = data->positions + 3;
    data->stride = (s->heads + 2 * s->kv_heads) * s->head_dim;
    data->qkv = check_random_floats(check, (size_t)s->tokens * data->stride);
    data->query_norm = check_random_floats(check, s->head_dim);
    data->key_norm = check_random_floats(check, s->head_dim);
    data->keys = check_random_floats(check, data->positions * per_position);
    data->values = check_random_floats(check, data->positions * per_position);
    data->queries = check_no_floats(check, s->tokens * heads);
    float *raw = check_no_floats(check, s->tokens * (heads + per_position));

    take_heads(data, s, 0, s->heads, raw);
    norm_and_rotate(s, s->heads, data->query_norm, raw, data->queries);
    take_heads(data, s, s->heads, s->kv_heads, raw);
    norm_and_rotate(s, s->kv_heads, data->key_norm, raw,
                    data->keys + s->position * per_position);
    take_heads(data, s, s->heads + s->kv_heads, s->kv_heads,
               data->values + s->position * per_position);
}

// [positions][kv_heads][head_dim] to the cache's [kv_heads][context][head_dim]; the
// positions that rope has to write stay zero.
static float *cache_of(struct check *check, const struct attention_shape *s,
                       const struct attention_data *data, const float *values)
{
    float *cache =
        check_no_floats(check, (size_t)s->kv_heads * data->context * s->head_dim);

    for (uint32_t p = 0; p < s->position; p++)
        for (uint32_t h = 0; h < s->kv_heads; h++)
            memcpy(cache + ((size_t)h * data->context + p) * s->head_dim,
                   values + ((size_t)p * s->kv_heads + h) * s->head_dim,
                   s->head_dim * sizeof(*cache));
    return cache;
}

static const struct gpu_buffer *
upload_angles(struct check *check, const struct attention_shape *s, uint32_t positions)
{
    struct rope_params params = { .base = 10000.0, .scale = 1.0, .attn_factor = 1.0 };
    double *frequencies =
        check_keep(check, alloc_array(s->rotated / 2, sizeof(*frequencies)));
    float *angles = check_no_floats(check, (size_t)positions * s->rotated);
    double magnitude;

    rope_frequencies(&params, s->rotated, NULL, frequencies, &magnitude);
    rope_angles(frequencies, magnitude, s->rotated, 0, positions,
                (float(*)[2])(void *)angles);
    return check_upload_floats(check, angles, (size_t)positions * s->rotated);
}

// Rope and attention together: attention reads what rope has put into the cache. An exact
// cache, so that the comparison is one of arithmetic.
static bool check_attention(struct check *check, const struct attention_shape *s)
{
    struct attention_data data;
    uint32_t step[4] = { s->position };
    uint32_t y_stride = (s->heads * s->head_dim + 31) / 32 * 32;
    float *want = check_no_floats(check, (size_t)s->tokens * s->heads * s->head_dim);
    double milliseconds;

    make_attention_data(check, s, &data);
    struct reference_attention reference = {
        .queries = s->tokens,
        .keys = data.positions,
        .first_position = s->position,
        .heads = s->heads,
        .kv_heads = s->kv_heads,
        .key_size = s->head_dim,
        .value_size = s->head_dim,
        .scale = 0.3,
        .soft_cap = (double)s->cap,
        .causal = true,
        .window = s->window,
    };
    reference_attend(&reference, data.queries, data.keys, data.values, want);

    size_t cache_floats = (size_t)s->kv_heads * data.context * s->head_dim;
    struct rope_call rope = {
        .x = check_upload_floats(check, data.qkv, (size_t)s->tokens * data.stride),
        .angles = upload_angles(check, s, data.positions),
        .step = check_upload(check, step, sizeof(step)),
        .queries =
            check_upload_floats(check, NULL, (size_t)s->tokens * s->heads * s->head_dim),
        .key_cache = check_upload_floats(check, cache_of(check, s, &data, data.keys),
                                         cache_floats),
        .value_cache = check_upload_floats(check, cache_of(check, s, &data, data.values),
                                           cache_floats),
        .query_norm =
            s->norm ? check_upload_floats(check, data.query_norm, s->head_dim) : NULL,
        .key_norm =
            s->norm ? check_upload_floats(check, data.key_norm, s->head_dim) : NULL,
        .heads = s->heads,
        .kv_heads = s->kv_heads,
        .head_dim = s->head_dim,
        .rotated = s->rotated,
        .stride = data.stride,
        .context = data.context,
        .tokens = s->tokens,
        .epsilon = 1e-6f,
        .split = s->split,
        .exact_cache = true,
    };
    struct attention_call attention = {
        .queries = rope.queries,
        .key_cache = rope.key_cache,
        .value_cache = rope.value_cache,
        .step = rope.step,
        .y = check_upload_floats(check, NULL, (size_t)s->tokens * y_stride),
        .heads = s->heads,
        .kv_heads = s->kv_heads,
        .head_dim = s->head_dim,
        .stride = y_stride,
        .context = data.context,
        .tokens = s->tokens,
        .window = s->window,
        .scale = 0.3f,
        .cap = s->cap,
        .exact_cache = true,
    };
    bool ok = attention.y != NULL && gpu_record_begin(check->recording, check->err) &&
              kernel_rope(check->gpu, check->recording, &rope, check->err);
    if (ok)
        gpu_record_barrier(check->recording);
    return check_run(check,
                     ok && kernel_attention(check->gpu, check->recording, &attention,
                                            check->err),
                     &milliseconds) &&
           check_report(check, "rope", "", s->name, rope.queries, data.queries, s->tokens,
                        (size_t)s->heads * s->head_dim, (size_t)s->heads * s->head_dim,
                        SUM_TOLERANCE, milliseconds) &&
           check_report(check, "attention", "", s->name, attention.y, want, s->tokens,
                        (size_t)s->heads * s->head_dim, y_stride, FUNCTION_TOLERANCE,
                        milliseconds);
}

static bool run_case(struct check *check, size_t index)
{
    return check_attention(check, &attention_shapes[index]);
}

const struct check_group check_attentions = {
    sizeof(attention_shapes) / sizeof(attention_shapes[0]), run_case
};
