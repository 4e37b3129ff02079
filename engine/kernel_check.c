// engine/kernel_check.c
// SPDX-License-Identifier: MIT
//
// Inputs are random but the same everywhere. Each check uploads its inputs, records one
// typed call, and compares what comes back with engine/reference/.
#include "engine/kernel_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/gpu/kernels.h"
#include "engine/model/matrix.h"
#include "engine/model/rope.h"
#include "engine/reference/kernels.h"

// f32 sums of up to some thousand terms in another order than the reference's.
#define SUM_TOLERANCE 2e-5
// exp and division are allowed a few units in the last place (Vulkan specification,
// "Precision and Operation of SPIR-V Instructions").
#define FUNCTION_TOLERANCE 2e-5

#define MAX_BUFFERS 12

struct check {
    struct gpu *gpu;
    struct gpu_recording *recording;
    struct gpu_buffer buffers[MAX_BUFFERS]; // released when the case ends
    size_t buffer_count;
    void *memory[2 * MAX_BUFFERS]; // likewise
    size_t memory_count;
    uint64_t random;
    bool (*on_result)(void *user, const struct kernel_result *result);
    void *user;
    struct err *err;
};

// ---------------------------------------------------------------------------
// Inputs

// xorshift64* (Vigna, 2016).
static uint32_t random_word(struct check *check)
{
    check->random ^= check->random >> 12;
    check->random ^= check->random << 25;
    check->random ^= check->random >> 27;
    return (uint32_t)(check->random * 0x2545F4914F6CDD1Du >> 32);
}

static float random_float(struct check *check) // -1 to 1
{
    return (float)(int32_t)random_word(check) / 2147483648.0f;
}

static void *keep(struct check *check, void *memory)
{
    if (check->memory_count == sizeof(check->memory) / sizeof(check->memory[0]))
        bug("a check keeps too much");
    return check->memory[check->memory_count++] = memory;
}

static float *random_floats(struct check *check, size_t count)
{
    float *values = keep(check, alloc_array(count, sizeof(*values)));

    for (size_t i = 0; i < count; i++)
        values[i] = random_float(check);
    return values;
}

static float *no_floats(struct check *check, size_t count)
{
    return keep(check, alloc_array(count, sizeof(float)));
}

// Where a block has its half-precision scales; the rest of a block may be any bits.
static const struct scale_fields {
    enum quant_type type;
    int offsets[2]; // -1: none
} scale_fields[] = {
    { QUANT_Q4_0, { 0, -1 } },   { QUANT_Q4_1, { 0, 2 } },    { QUANT_Q5_0, { 0, -1 } },
    { QUANT_Q5_1, { 0, 2 } },    { QUANT_Q8_0, { 0, -1 } },   { QUANT_Q2_K, { 80, 82 } },
    { QUANT_Q3_K, { 108, -1 } }, { QUANT_Q4_K, { 0, 2 } },    { QUANT_Q5_K, { 0, 2 } },
    { QUANT_Q6_K, { 208, -1 } }, { QUANT_IQ4_NL, { 0, -1 } }, { QUANT_IQ4_XS, { 0, -1 } },
    { QUANT_MXFP4, { -1, -1 } }, { QUANT_F32, { -1, -1 } },   { QUANT_F16, { -1, -1 } },
    { QUANT_BF16, { -1, -1 } },
};
#define TYPE_COUNT (sizeof(scale_fields) / sizeof(scale_fields[0]))

static void random_block(struct check *check, const struct scale_fields *fields,
                         const struct quant_traits *traits, uint8_t *block)
{
    float value = random_float(check);
    uint16_t half = float_to_half(value);

    if (fields->type == QUANT_F32) {
        memcpy(block, &value, 4);
    } else if (fields->type == QUANT_F16) {
        memcpy(block, &half, 2);
    } else if (fields->type == QUANT_BF16) {
        memcpy(block, (uint8_t *)&value + 2, 2);
    } else {
        for (uint32_t i = 0; i < traits->block_bytes; i++)
            block[i] = (uint8_t)random_word(check);
        if (fields->type == QUANT_MXFP4)
            block[0] = (uint8_t)(120 + random_word(check) % 8);
        for (int i = 0; i < 2; i++) {
            half = float_to_half(random_float(check) * 0.05f);
            if (fields->offsets[i] >= 0)
                memcpy(block + fields->offsets[i], &half, 2);
        }
    }
}

static uint8_t *random_weights(struct check *check, const struct scale_fields *fields,
                               size_t rows, size_t columns)
{
    const struct quant_traits *traits = quant_traits(fields->type);
    size_t blocks = rows * columns / traits->block_values;
    uint8_t *bytes = keep(check, alloc_array(blocks, traits->block_bytes));

    for (size_t i = 0; i < blocks; i++)
        random_block(check, fields, traits, bytes + i * traits->block_bytes);
    return bytes;
}

// A device buffer that holds `values`, or zeros. NULL when the device refuses.
static const struct gpu_buffer *upload(struct check *check, const void *values,
                                       size_t bytes)
{
    struct gpu_buffer *buffer = &check->buffers[check->buffer_count];

    if (check->buffer_count == MAX_BUFFERS)
        bug("a check uses too many buffers");
    if (!gpu_buffer_create(check->gpu, buffer, bytes, GPU_PLACE_DEVICE, "check",
                           check->err))
        return NULL;
    check->buffer_count++;
    if (!gpu_zero(check->gpu, buffer, check->err) ||
        (values != NULL && !gpu_write(check->gpu, buffer, 0, values, bytes, check->err)))
        return NULL;
    return buffer;
}

static const struct gpu_buffer *upload_floats(struct check *check, const float *values,
                                              size_t count)
{
    return upload(check, values, count * sizeof(*values));
}

// Rows of `width` values, spread to `stride`.
static const struct gpu_buffer *upload_rows(struct check *check, const float *values,
                                            size_t rows, size_t width, size_t stride)
{
    float *spread = no_floats(check, rows * stride);

    for (size_t r = 0; values != NULL && r < rows; r++)
        memcpy(spread + r * stride, values + r * width, width * sizeof(*values));
    return upload_floats(check, spread, rows * stride);
}

static void release_case(struct check *check)
{
    for (size_t i = 0; i < check->buffer_count; i++)
        gpu_buffer_destroy(check->gpu, &check->buffers[i]);
    for (size_t i = 0; i < check->memory_count; i++)
        free(check->memory[i]);
    check->buffer_count = check->memory_count = 0;
}

// ---------------------------------------------------------------------------
// Running and comparing

static bool run(struct check *check, bool recorded, double *milliseconds)
{
    int64_t start;

    if (!recorded || !gpu_record_end(check->recording, check->err) ||
        !gpu_run(check->recording, check->err)) // the first run may compile
        return false;
    start = clock_ns();
    if (!gpu_run(check->recording, check->err))
        return false;
    *milliseconds = (double)(clock_ns() - start) / 1e6;
    return true;
}

// For what has already been recorded and changes its input: one run only.
static bool run_once(struct check *check, double *milliseconds)
{
    int64_t start;

    if (!gpu_record_end(check->recording, check->err))
        return false;
    start = clock_ns();
    if (!gpu_run(check->recording, check->err))
        return false;
    *milliseconds = (double)(clock_ns() - start) / 1e6;
    return true;
}

static double relative_error(const float *got, const float *want, size_t count)
{
    double difference = 0, size = 0;

    for (size_t i = 0; i < count; i++) {
        double d = (double)got[i] - (double)want[i];

        difference += d * d;
        size += (double)want[i] * (double)want[i];
    }
    return sqrt(difference / size);
}

// Reads rows of `width` out of a buffer with `stride` and reports how they compare.
static bool report(struct check *check, const char *kernel, const char *variant,
                   const char *name, const struct gpu_buffer *y, const float *want,
                   size_t rows, size_t width, size_t stride, double tolerance,
                   double milliseconds)
{
    float *all = no_floats(check, rows * stride);
    float *got = no_floats(check, rows * width);
    struct kernel_result result = { .kernel = kernel,
                                    .variant = variant,
                                    .name = name,
                                    .tolerance = tolerance,
                                    .milliseconds = milliseconds };

    if (!gpu_read(check->gpu, y, 0, all, rows * stride * sizeof(*all), check->err))
        return false;
    for (size_t r = 0; r < rows; r++)
        memcpy(got + r * width, all + r * stride, width * sizeof(*got));
    result.error = relative_error(got, want, rows * width);
    return check->on_result(check->user, &result);
}

// ---------------------------------------------------------------------------
// The checks

// Products of every type with one, a few and many tokens, by way of matrix.c. Row counts
// are no multiples of eight, columns no multiples of a scale unit where the type allows
// it.
static bool check_product(struct check *check, const struct scale_fields *fields,
                          uint32_t tokens)
{
    uint32_t columns = quant_traits(fields->type)->block_values == 256 ? 768 : 32 * 13;
    uint32_t rows = 77, stride = rows + 3;
    uint32_t tile = matrix_token_tile(check->gpu);
    uint32_t room = (tokens + tile - 1) / tile * tile;
    uint8_t *weights = random_weights(check, fields, rows, columns);
    float *x = random_floats(check, (size_t)tokens * columns);
    float *bias = random_floats(check, rows);
    float *old = random_floats(check, (size_t)tokens * rows);
    float *want = no_floats(check, (size_t)tokens * rows);
    struct gguf_tensor tensor = { .name = "check",
                                  .type = fields->type,
                                  .rank = 2,
                                  .shape = { columns, rows, 1, 1 },
                                  .bytes = weights };
    const struct gguf_tensor *tensors[] = { &tensor };
    struct matrix matrix;
    char name[64];
    double milliseconds = 0;
    bool ok;

    reference_matmul(x, fields->type, weights, want, tokens, rows, columns);
    reference_add_bias(want, bias, want, tokens, rows);
    reference_add(want, old, want, (size_t)tokens * rows);
    if (!matrix_create(check->gpu, NULL, tensors, 1, false, &matrix, NULL, NULL,
                       check->err))
        return false;
    float *wide = no_floats(check, (size_t)room * columns);
    memcpy(wide, x, (size_t)tokens * columns * sizeof(*x));
    struct matrix_product product = {
        .x = upload_floats(check, wide, (size_t)room * columns),
        .y_stride = stride,
        .tokens = tokens,
        .accumulate = true,
    };
    product.bias = upload_floats(check, bias, rows);
    product.y = upload_rows(check, old, tokens, rows, stride);
    snprintf(name, sizeof(name), "%s, %u x %u, %u tokens", quant_type_name(fields->type),
             rows, columns, tokens);
    ok = product.x != NULL && product.bias != NULL && product.y != NULL &&
         gpu_record_begin(check->recording, check->err) &&
         matrix_multiply(check->gpu, check->recording, &matrix, &product, check->err) &&
         gpu_record_end(check->recording, check->err);
    if (ok) {
        int64_t start = clock_ns();

        ok = gpu_run(check->recording, check->err); // once: it adds to y
        milliseconds = (double)(clock_ns() - start) / 1e6;
    }
    ok = ok && report(check, tokens > 1 ? "matmul" : "matvec",
                      device_format_traits(matrix.pieces[0].format)->name, name,
                      product.y, want, tokens, rows, stride, SUM_TOLERANCE, milliseconds);
    matrix_destroy(check->gpu, &matrix);
    return ok;
}

static bool check_embed(struct check *check, const struct scale_fields *fields)
{
    static const uint32_t tokens[] = { 0, 76, 5, 31, 8 };
    const uint32_t count = sizeof(tokens) / sizeof(tokens[0]);
    uint32_t columns = quant_traits(fields->type)->block_values == 256 ? 512 : 96;
    uint8_t *weights = random_weights(check, fields, 77, columns);
    float *want = no_floats(check, (size_t)count * columns);
    struct gguf_tensor tensor = { .name = "check",
                                  .type = fields->type,
                                  .rank = 2,
                                  .shape = { columns, 77, 1, 1 },
                                  .bytes = weights };
    const struct gguf_tensor *tensors[] = { &tensor };
    struct matrix matrix;
    double milliseconds;
    bool ok;

    reference_embed(fields->type, weights, tokens, want, count, columns, 1.5);
    if (!matrix_create(check->gpu, NULL, tensors, 1, false, &matrix, NULL, NULL,
                       check->err))
        return false;
    const struct gpu_buffer *ids = upload(check, tokens, sizeof(tokens));
    const struct gpu_buffer *y = upload_floats(check, NULL, (size_t)count * columns);
    ok = ids != NULL && y != NULL &&
         run(check,
             gpu_record_begin(check->recording, check->err) &&
                 matrix_embed(check->gpu, check->recording, &matrix, ids, count, 1.5f, y,
                              columns, check->err),
             &milliseconds) &&
         report(check, "embed", device_format_traits(matrix.pieces[0].format)->name,
                quant_type_name(fields->type), y, want, count, columns, columns, 1e-6,
                milliseconds);
    matrix_destroy(check->gpu, &matrix);
    return ok;
}

static bool check_rms_norm(struct check *check, uint32_t width)
{
    const uint32_t rows = 3, stride = (width + 31) / 32 * 32;
    float *x = random_floats(check, (size_t)rows * width);
    float *weight = random_floats(check, width);
    float *want = no_floats(check, (size_t)rows * width);
    struct rms_norm_call call = { .x = upload_rows(check, x, rows, width, stride),
                                  .weight = upload_floats(check, weight, width),
                                  .y = upload_rows(check, NULL, rows, width, stride),
                                  .width = width,
                                  .stride = stride,
                                  .rows = rows,
                                  .epsilon = 1e-5f };
    double milliseconds;
    char name[32];

    reference_rms_norm(x, weight, want, rows, width, 1e-5);
    snprintf(name, sizeof(name), "%u x %u", rows, width);
    return call.x != NULL && call.weight != NULL && call.y != NULL &&
           run(check,
               gpu_record_begin(check->recording, check->err) &&
                   kernel_rms_norm(check->gpu, check->recording, &call, check->err),
               &milliseconds) &&
           report(check, "rms_norm", "", name, call.y, want, rows, width, stride,
                  SUM_TOLERANCE, milliseconds);
}

static bool check_glu(struct check *check, enum kernel_activation activation)
{
    const uint32_t rows = 3, width = 101;
    float *x = random_floats(check, (size_t)rows * 2 * width);
    float *want = no_floats(check, (size_t)rows * width);
    struct glu_call call = { .activation = activation,
                             .width = width,
                             .x_stride = 2 * width,
                             .up_offset = width,
                             .y_stride = width,
                             .items = rows };
    double milliseconds;

    for (size_t i = 0; i < (size_t)rows * 2 * width; i++)
        x[i] *= 12.0f;
    x[0] = -200.0f; // where exp overflows
    x[1] = 200.0f;
    for (size_t r = 0; r < rows; r++)
        reference_gate(activation == KERNEL_SILU ? REFERENCE_SILU : REFERENCE_GELU_TANH,
                       x + r * 2 * width, x + r * 2 * width + width, want + r * width,
                       width);
    call.x = upload_floats(check, x, (size_t)rows * 2 * width);
    call.y = upload_floats(check, NULL, (size_t)rows * width);
    return call.x != NULL && call.y != NULL &&
           run(check,
               gpu_record_begin(check->recording, check->err) &&
                   kernel_glu(check->gpu, check->recording, &call, check->err),
               &milliseconds) &&
           report(check, "glu", "", activation == KERNEL_SILU ? "silu" : "gelu", call.y,
                  want, rows, width, width, FUNCTION_TOLERANCE, milliseconds);
}

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
    data->qkv = random_floats(check, (size_t)s->tokens * data->stride);
    data->query_norm = random_floats(check, s->head_dim);
    data->key_norm = random_floats(check, s->head_dim);
    data->keys = random_floats(check, data->positions * per_position);
    data->values = random_floats(check, data->positions * per_position);
    data->queries = no_floats(check, s->tokens * heads);
    float *raw = no_floats(check, s->tokens * (heads + per_position));

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
    float *cache = no_floats(check, (size_t)s->kv_heads * data->context * s->head_dim);

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
    double *frequencies = keep(check, alloc_array(s->rotated / 2, sizeof(*frequencies)));
    float *angles = no_floats(check, (size_t)positions * s->rotated);
    double magnitude;

    rope_frequencies(&params, s->rotated, NULL, frequencies, &magnitude);
    rope_angles(frequencies, magnitude, s->rotated, 0, positions,
                (float(*)[2])(void *)angles);
    return upload_floats(check, angles, (size_t)positions * s->rotated);
}

// Rope and attention together: attention reads what rope has put into the cache. An exact
// cache, so that the comparison is one of arithmetic.
static bool check_attention(struct check *check, const struct attention_shape *s)
{
    struct attention_data data;
    uint32_t step[4] = { s->position };
    uint32_t y_stride = (s->heads * s->head_dim + 31) / 32 * 32;
    float *want = no_floats(check, (size_t)s->tokens * s->heads * s->head_dim);
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
        .x = upload_floats(check, data.qkv, (size_t)s->tokens * data.stride),
        .angles = upload_angles(check, s, data.positions),
        .step = upload(check, step, sizeof(step)),
        .queries = upload_floats(check, NULL, (size_t)s->tokens * s->heads * s->head_dim),
        .key_cache =
            upload_floats(check, cache_of(check, s, &data, data.keys), cache_floats),
        .value_cache =
            upload_floats(check, cache_of(check, s, &data, data.values), cache_floats),
        .query_norm = s->norm ? upload_floats(check, data.query_norm, s->head_dim) : NULL,
        .key_norm = s->norm ? upload_floats(check, data.key_norm, s->head_dim) : NULL,
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
        .y = upload_floats(check, NULL, (size_t)s->tokens * y_stride),
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
    return run(check,
               ok &&
                   kernel_attention(check->gpu, check->recording, &attention, check->err),
               &milliseconds) &&
           report(check, "rope", "", s->name, rope.queries, data.queries, s->tokens,
                  (size_t)s->heads * s->head_dim, (size_t)s->heads * s->head_dim,
                  SUM_TOLERANCE, milliseconds) &&
           report(check, "attention", "", s->name, attention.y, want, s->tokens,
                  (size_t)s->heads * s->head_dim, y_stride, FUNCTION_TOLERANCE,
                  milliseconds);
}

static bool check_layer_norm(struct check *check, uint32_t width)
{
    const uint32_t rows = 3, stride = (width + 31) / 32 * 32;
    float *x = random_floats(check, (size_t)rows * width);
    float *weight = random_floats(check, width);
    float *bias = random_floats(check, width);
    float *want = no_floats(check, (size_t)rows * width);
    double milliseconds;
    char name[32];

    for (size_t i = 0; i < (size_t)rows * width; i++)
        x[i] += 30.0f; // a mean that is large beside the deviation
    reference_layer_norm(x, weight, bias, want, rows, width, 1e-5);
    struct layer_norm_call call = { .x = upload_rows(check, x, rows, width, stride),
                                    .weight = upload_floats(check, weight, width),
                                    .bias = upload_floats(check, bias, width),
                                    .width = width,
                                    .stride = stride,
                                    .rows = rows,
                                    .epsilon = 1e-5f };
    call.y = call.x;
    snprintf(name, sizeof(name), "%u x %u", rows, width);
    return call.x != NULL && call.weight != NULL && call.bias != NULL &&
           gpu_record_begin(check->recording, check->err) &&
           kernel_layer_norm(check->gpu, check->recording, &call, check->err) &&
           run_once(check, &milliseconds) &&
           report(check, "layer_norm", "", name, call.y, want, rows, width, stride,
                  SUM_TOLERANCE, milliseconds);
}

static const struct {
    enum kernel_activation kernel;
    enum reference_activation reference;
    const char *name;
} activations[] = {
    { KERNEL_SILU, REFERENCE_SILU, "silu" },
    { KERNEL_GELU_TANH, REFERENCE_GELU_TANH, "gelu, tanh" },
    { KERNEL_GELU, REFERENCE_GELU_ERF, "gelu" },
    { KERNEL_GELU_QUICK, REFERENCE_GELU_QUICK, "gelu, quick" },
};
#define ACTIVATION_COUNT (sizeof(activations) / sizeof(activations[0]))

static bool check_activate(struct check *check, size_t index)
{
    const uint32_t rows = 3, width = 101, stride = 128;
    float *x = random_floats(check, (size_t)rows * width);
    float *want = no_floats(check, (size_t)rows * width);
    double milliseconds;

    for (size_t i = 0; i < (size_t)rows * width; i++)
        x[i] *= 6.0f;
    x[0] = -200.0f; // where exp overflows
    x[1] = 200.0f;
    x[2] = 0.0f;
    reference_activate(activations[index].reference, x, want, (size_t)rows * width);
    struct activate_call call = { .x = upload_rows(check, x, rows, width, stride),
                                  .activation = activations[index].kernel,
                                  .width = width,
                                  .stride = stride,
                                  .items = rows };
    return call.x != NULL && gpu_record_begin(check->recording, check->err) &&
           kernel_activate(check->gpu, check->recording, &call, check->err) &&
           run_once(check, &milliseconds) &&
           report(check, "activate", "", activations[index].name, call.x, want, rows,
                  width, stride, FUNCTION_TOLERANCE, milliseconds);
}

static bool check_add(struct check *check, bool scaled)
{
    const uint32_t rows = 5, width = 77, x_stride = 80, y_stride = 96;
    float *x = random_floats(check, (size_t)rows * width);
    float *y = random_floats(check, (size_t)rows * width);
    float *scale = random_floats(check, width);
    float *want = no_floats(check, (size_t)rows * width);
    double milliseconds;

    for (uint32_t r = 0; scaled && r < rows; r++)
        reference_multiply(x + r * width, scale, want + r * width, width);
    reference_add(scaled ? want : x, y, want, (size_t)rows * width);
    struct add_call call = { .x = upload_rows(check, x, rows, width, x_stride),
                             .y = upload_rows(check, y, rows, width, y_stride),
                             .scale = scaled ? upload_floats(check, scale, width) : NULL,
                             .width = width,
                             .x_stride = x_stride,
                             .y_stride = y_stride,
                             .items = rows };
    return call.x != NULL && call.y != NULL && (call.scale != NULL || !scaled) &&
           gpu_record_begin(check->recording, check->err) &&
           kernel_add(check->gpu, check->recording, &call, check->err) &&
           run_once(check, &milliseconds) &&
           report(check, "add", "", scaled ? "scaled" : "plain", call.y, want, rows,
                  width, y_stride, FUNCTION_TOLERANCE, milliseconds);
}

static bool check_merge(struct check *check, enum reference_merge how)
{
    static const char *const names[] = { "side by side", "interleaved", "pooled" };
    const uint32_t items = 3, parts = 4, width = 77, x_stride = 96;
    uint32_t y_width = how == REFERENCE_POOLED ? width : parts * width;
    float *x = random_floats(check, (size_t)items * parts * width);
    float *want = no_floats(check, (size_t)items * y_width);
    double milliseconds;

    reference_merge(how, x, want, items, parts, width);
    struct merge_call call = {
        .x = upload_rows(check, x, (size_t)items * parts, width, x_stride),
        .y = upload_rows(check, NULL, items, y_width, y_width + 5),
        .width = width,
        .parts = parts,
        .x_stride = x_stride,
        .y_stride = y_width + 5,
        .items = items,
        .pool = how == REFERENCE_POOLED,
        .interleaved = how == REFERENCE_INTERLEAVED,
    };
    return call.x != NULL && call.y != NULL &&
           run(check,
               gpu_record_begin(check->recording, check->err) &&
                   kernel_merge(check->gpu, check->recording, &call, check->err),
               &milliseconds) &&
           report(check, "merge", "", names[how], call.y, want, items, y_width,
                  y_width + 5, FUNCTION_TOLERANCE, milliseconds);
}

struct vision_shape {
    uint32_t heads, head_dim;
    uint32_t first, tokens; // queries that this call computes
    uint32_t keys;          // positions, as many as all queries
    uint32_t window;        // queries and positions in pieces of this many; 0: none
    bool rotate, split;
    const char *name;
};

static const struct vision_shape vision_shapes[] = {
    { 3, 64, 0, 70, 70, 0, false, false, "3 heads of 64, 70 tokens" },
    { 2, 72, 32, 37, 69, 0, true, true, "2 heads of 72, turned, tokens 32 to 68 of 69" },
    { 2, 80, 0, 96, 96, 29, true, false,
      "2 heads of 80, turned in pairs, windows of 29" },
    { 1, 4, 0, 1, 1, 0, false, false, "1 head of 4, 1 token" },
    { 1, 132, 0, 35, 35, 0, true, true, "1 head of 132, turned, 35 tokens" },
};

// [tokens][heads][head_dim], each token turned to a place of its own in two dimensions.
static void turn(const struct vision_shape *s, const float *angles, const float *x,
                 float *y)
{
    uint32_t half = s->head_dim / 2;

    for (size_t t = 0; t < s->keys; t++) {
        for (size_t h = 0; h < s->heads; h++) {
            const float *from = x + (t * s->heads + h) * s->head_dim;
            float *to = y + (t * s->heads + h) * s->head_dim;

            for (size_t i = 0; i < half; i++) {
                size_t a = s->split ? i : 2 * i, b = s->split ? i + half : 2 * i + 1;
                double c = (double)angles[(t * half + i) * 2];
                double d = (double)angles[(t * half + i) * 2 + 1];
                double first = (double)from[a], second = (double)from[b];

                to[a] = (float)(s->rotate ? first * c - second * d : first);
                to[b] = (float)(s->rotate ? first * d + second * c : second);
            }
        }
    }
}

// Queries, keys and values of one token in a row, as the product leaves them.
static void fuse(const struct vision_shape *s, const float *parts[3], float *x)
{
    size_t width = (size_t)s->heads * s->head_dim;

    for (size_t t = 0; t < s->keys; t++)
        for (size_t part = 0; part < 3; part++)
            memcpy(x + (t * 3 + part) * width, parts[part] + t * width,
                   width * sizeof(*x));
}

// What attention has to give, window by window.
static void attend(const struct vision_shape *s, const float *q, const float *k,
                   const float *v, float *y)
{
    uint32_t step = s->window > 0 ? s->window : s->keys;
    size_t width = (size_t)s->heads * s->head_dim;

    for (uint32_t first = 0; first < s->keys; first += step) {
        uint32_t count = s->keys - first < step ? s->keys - first : step;
        struct reference_attention attention = {
            .queries = count,
            .keys = count,
            .heads = s->heads,
            .kv_heads = s->heads,
            .key_size = s->head_dim,
            .value_size = s->head_dim,
            .scale = 0.4,
        };

        reference_attend(&attention, q + first * width, k + first * width,
                         v + first * width, y + first * width);
    }
}

// Cuts the queries of the call into blocks that cross no window.
static uint32_t cut_blocks(const struct vision_shape *s, uint32_t most,
                           vision_block *blocks)
{
    uint32_t step = s->window > 0 ? s->window : s->keys, count = 0;

    for (uint32_t at = s->first; at < s->first + s->tokens;) {
        uint32_t window = at / step * step;
        uint32_t window_end = window + step < s->keys ? window + step : s->keys;
        uint32_t end = s->first + s->tokens;

        end = window_end < end ? window_end : end;
        end = at + most < end ? at + most : end;
        memcpy(blocks[count++], (vision_block){ at, end - at, window, window_end },
               sizeof(vision_block));
        at = end;
    }
    return count;
}

static bool check_vision_attention(struct check *check, const struct vision_shape *s)
{
    size_t width = (size_t)s->heads * s->head_dim, all = width * s->keys;
    uint32_t room = s->keys + 3, y_stride = (uint32_t)width + 5;
    float *q = random_floats(check, all), *k = random_floats(check, all);
    float *v = random_floats(check, all), *want = no_floats(check, all);
    float *angles = random_floats(check, (size_t)s->keys * s->head_dim);
    float *fused = no_floats(check, all * 3);
    vision_block *blocks = keep(check, alloc_array(s->tokens, sizeof(*blocks)));
    const struct gpu_buffer *parts[3];
    double milliseconds;

    fuse(s, (const float *[]){ q, k, v }, fused);
    turn(s, angles, q, q);
    turn(s, angles, k, k);
    attend(s, q, k, v, want);
    struct vision_heads_call heads = {
        .x = upload_floats(check, fused, all * 3),
        .angles = upload_floats(check, angles, (size_t)s->keys * s->head_dim),
        .heads = s->heads,
        .head_dim = s->head_dim,
        .stride = (uint32_t)width * 3,
        .room = room,
        .tokens = s->keys,
        .split = s->split,
    };
    const struct gpu_buffer *turned = s->rotate ? heads.angles : NULL;
    struct vision_attention_call attention = {
        .y = upload_rows(check, NULL, s->tokens, width, y_stride),
        .heads = s->heads,
        .head_dim = s->head_dim,
        .query_room = room,
        .key_room = room,
        .stride = y_stride,
        .block_count = cut_blocks(s, kernel_vision_block(check->gpu), blocks),
        .first_query = s->first,
        .scale = 0.4f,
    };
    attention.blocks = upload(check, blocks, attention.block_count * sizeof(*blocks));
    bool ok = heads.x != NULL && heads.angles != NULL && attention.y != NULL &&
              attention.blocks != NULL && gpu_record_begin(check->recording, check->err);
    for (uint32_t i = 0; ok && i < 3; i++) {
        parts[i] = upload_floats(check, NULL, width * room);
        heads.y = parts[i];
        heads.column = i * (uint32_t)width;
        heads.angles = i < 2 ? turned : NULL;
        ok = parts[i] != NULL &&
             kernel_vision_heads(check->gpu, check->recording, &heads, check->err);
    }
    if (!ok)
        return false;
    attention.queries = parts[0];
    attention.keys = parts[1];
    attention.values = parts[2];
    gpu_record_barrier(check->recording);
    return run(check,
               kernel_vision_attention(check->gpu, check->recording, &attention,
                                       check->err),
               &milliseconds) &&
           report(check, "vision_attention", "", s->name, attention.y,
                  want + s->first * width, s->tokens, width, y_stride, FUNCTION_TOLERANCE,
                  milliseconds);
}

static bool check_softcap(struct check *check)
{
    const size_t count = 333;
    float *x = random_floats(check, count);
    float *want = no_floats(check, count);
    const struct gpu_buffer *y;

    for (size_t i = 0; i < count; i++)
        x[i] *= 90.0f;
    reference_soft_cap(x, want, count, 30.0);
    y = upload_floats(check, x, count);
    if (y == NULL || !gpu_record_begin(check->recording, check->err) ||
        !kernel_softcap(check->gpu, check->recording, y, count, 30.0f, check->err) ||
        !gpu_record_end(check->recording, check->err) ||
        !gpu_run(check->recording, check->err))
        return false;
    return report(check, "softcap", "", "333 values", y, want, 1, count, count,
                  FUNCTION_TOLERANCE, 0);
}

static bool check_slice_peaks(struct check *check, uint32_t count)
{
    uint32_t slices = (count + 63) / 64;
    float *x = random_floats(check, count + 64);
    float *want = no_floats(check, (size_t)slices * 2);
    const struct gpu_buffer *logits, *peaks;
    double milliseconds;
    char name[32];

    for (uint32_t i = 0; i < count; i++)
        x[i] *= 20.0f;
    for (uint32_t s = 0; s < slices; s++) {
        uint32_t left = count - s * 64 < 64 ? count - s * 64 : 64;

        want[2 * s] = x[s * 64 + reference_argmax(x + s * 64, left)];
        want[2 * s + 1] =
            (float)exp(reference_log_sum_exp(x + s * 64, left) - (double)want[2 * s]);
    }
    logits = upload_floats(check, x, count + 64);
    peaks = upload_floats(check, NULL, (size_t)slices * 2);
    snprintf(name, sizeof(name), "%u logits", count);
    return logits != NULL && peaks != NULL &&
           run(check,
               gpu_record_begin(check->recording, check->err) &&
                   kernel_slice_peaks(check->gpu, check->recording, logits, count, peaks,
                                      check->err),
               &milliseconds) &&
           report(check, "slice_peaks", "", name, peaks, want, slices, 2, 2,
                  FUNCTION_TOLERANCE, milliseconds);
}

static bool check_route_and_mix(struct check *check)
{
    const uint32_t tokens = 5, experts = 13, used = 3, width = 70, stride = 96;
    float *scores = random_floats(check, (size_t)tokens * experts);
    float *outputs = random_floats(check, (size_t)tokens * used * width);
    float *weights = no_floats(check, (size_t)tokens * used);
    float *want = no_floats(check, (size_t)tokens * width);
    uint32_t chosen[16];
    struct route_call route = {
        .scores = upload_rows(check, scores, tokens, experts, 32),
        .chosen = upload(check, NULL, tokens * used * 4),
        .weights = upload(check, NULL, tokens * used * 4),
        .experts = experts,
        .used = used,
        .tokens = tokens,
        .stride = 32,
        .scale = 1.0f,
        .normalise = true,
    };
    struct mix_call mix = {
        .x = upload_rows(check, outputs, tokens * used, width, stride),
        .weights = route.weights,
        .y = upload_rows(check, NULL, tokens, width, stride),
        .used = used,
        .width = width,
        .stride = stride,
        .tokens = tokens,
    };
    bool ok = route.scores != NULL && route.chosen != NULL && route.weights != NULL &&
              mix.x != NULL && mix.y != NULL;

    for (uint32_t t = 0; t < tokens; t++) {
        reference_route(scores + (size_t)t * experts, experts, used, true, chosen,
                        weights + (size_t)t * used);
        for (uint32_t i = 0; i < used; i++)
            for (uint32_t c = 0; c < width; c++)
                want[t * width + c] +=
                    weights[t * used + i] * outputs[(t * used + i) * width + c];
    }
    ok = ok && gpu_record_begin(check->recording, check->err) &&
         kernel_route(check->gpu, check->recording, &route, check->err);
    if (ok)
        gpu_record_barrier(check->recording);
    ok = ok && kernel_mix(check->gpu, check->recording, &mix, check->err) &&
         gpu_record_end(check->recording, check->err) &&
         gpu_run(check->recording, check->err);
    return ok &&
           report(check, "route", "", "3 of 13 experts", route.weights, weights, tokens,
                  used, used, FUNCTION_TOLERANCE, 0) &&
           report(check, "mix", "", "3 experts of 70", mix.y, want, tokens, width, stride,
                  FUNCTION_TOLERANCE, 0);
}

// ---------------------------------------------------------------------------

static bool check_vision_case(struct check *check, size_t index, bool *last)
{
    static const uint32_t widths[] = { 1, 31, 576, 4097 };
    const size_t shapes = sizeof(vision_shapes) / sizeof(vision_shapes[0]);

    if (index < 4)
        return check_layer_norm(check, widths[index]);
    index -= 4;
    if (index < ACTIVATION_COUNT)
        return check_activate(check, index);
    index -= ACTIVATION_COUNT;
    if (index < 2)
        return check_add(check, index == 1);
    index -= 2;
    if (index < 3)
        return check_merge(check, (enum reference_merge)index);
    index -= 3;
    if (index < shapes)
        return check_vision_attention(check, &vision_shapes[index]);
    *last = true;
    return true;
}

// Case `index`; false with err when the device fails. *last is set past the end.
static bool check_case(struct check *check, size_t index, bool *last)
{
    static const uint32_t tokens[] = { 1, 3, 37 };
    static const uint32_t widths[] = { 1, 31, 576, 4097 };
    const size_t shapes = sizeof(attention_shapes) / sizeof(attention_shapes[0]);

    *last = false;
    if (index < TYPE_COUNT * 3)
        return check_product(check, &scale_fields[index / 3], tokens[index % 3]);
    index -= TYPE_COUNT * 3;
    if (index < TYPE_COUNT)
        return check_embed(check, &scale_fields[index]);
    index -= TYPE_COUNT;
    if (index < 4)
        return check_rms_norm(check, widths[index]);
    index -= 4;
    if (index < 2)
        return check_glu(check, index == 0 ? KERNEL_SILU : KERNEL_GELU_TANH);
    index -= 2;
    if (index < shapes)
        return check_attention(check, &attention_shapes[index]);
    index -= shapes;
    if (index < 2)
        return check_slice_peaks(check, index == 0 ? 49152 : 1009);
    index -= 2;
    if (index == 0)
        return check_softcap(check);
    if (index == 1)
        return check_route_and_mix(check);
    return check_vision_case(check, index - 2, last);
}

bool kernel_check_all(struct gpu *gpu, kernel_progress *progress, void *progress_user,
                      bool (*on_result)(void *user, const struct kernel_result *result),
                      void *user, struct err *err)
{
    struct check check = { .gpu = gpu,
                           .recording = gpu_recording_create(gpu, err),
                           .random = 0x9E3779B97F4A7C15u,
                           .on_result = on_result,
                           .user = user,
                           .err = err };
    const double cases = TYPE_COUNT * 4 + 33;
    bool ok = check.recording != NULL, last = false;

    for (size_t i = 0; ok && !last; i++) {
        ok = check_case(&check, i, &last);
        release_case(&check);
        if (ok && progress != NULL &&
            !progress(progress_user, "checking kernels", fmin((double)i / cases, 1.0)))
            ok = err_set(err, ERR_CANCELLED, "stopped");
    }
    gpu_recording_destroy(&check.recording);
    return ok;
}
