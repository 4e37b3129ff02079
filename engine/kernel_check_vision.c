// engine/kernel_check_vision.c
// SPDX-License-Identifier: MIT
//
// The kernels of vision encoders.
#include "engine/kernel_check_private.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/gpu/kernels.h"
#include "engine/reference/kernels.h"

static bool check_layer_norm(struct check *check, uint32_t width)
{
    const uint32_t rows = 3, stride = (width + 31) / 32 * 32;
    float *x = check_random_floats(check, (size_t)rows * width);
    float *weight = check_random_floats(check, width);
    float *bias = check_random_floats(check, width);
    float *want = check_no_floats(check, (size_t)rows * width);
    double milliseconds;
    char name[32];

    for (size_t i = 0; i < (size_t)rows * width; i++)
        x[i] += 30.0f; // a mean that is large beside the deviation
    reference_layer_norm(x, weight, bias, want, rows, width, 1e-5);
    struct layer_norm_call call = { .x = check_upload_rows(check, x, rows, width, stride),
                                    .weight = check_upload_floats(check, weight, width),
                                    .bias = check_upload_floats(check, bias, width),
                                    .width = width,
                                    .stride = stride,
                                    .rows = rows,
                                    .epsilon = 1e-5f };
    call.y = call.x;
    snprintf(name, sizeof(name), "%u x %u", rows, width);
    return call.x != NULL && call.weight != NULL && call.bias != NULL &&
           gpu_record_begin(check->recording, check->err) &&
           kernel_layer_norm(check->gpu, check->recording, &call, check->err) &&
           check_run_once(check, &milliseconds) &&
           check_report(check, "layer_norm", "", name, call.y, want, rows, width, stride,
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
    float *x = check_random_floats(check, (size_t)rows * width);
    float *want = check_no_floats(check, (size_t)rows * width);
    double milliseconds;

    for (size_t i = 0; i < (size_t)rows * width; i++)
        x[i] *= 6.0f;
    x[0] = -200.0f; // where exp overflows
    x[1] = 200.0f;
    x[2] = 0.0f;
    reference_activate(activations[index].reference, x, want, (size_t)rows * width);
    struct activate_call call = { .x = check_upload_rows(check, x, rows, width, stride),
                                  .activation = activations[index].kernel,
                                  .width = width,
                                  .stride = stride,
                                  .items = rows };
    return call.x != NULL && gpu_record_begin(check->recording, check->err) &&
           kernel_activate(check->gpu, check->recording, &call, check->err) &&
           check_run_once(check, &milliseconds) &&
           check_report(check, "activate", "", activations[index].name, call.x, want,
                        rows, width, stride, FUNCTION_TOLERANCE, milliseconds);
}

static bool check_add(struct check *check, bool scaled)
{
    const uint32_t rows = 5, width = 77, x_stride = 80, y_stride = 96;
    float *x = check_random_floats(check, (size_t)rows * width);
    float *y = check_random_floats(check, (size_t)rows * width);
    float *scale = check_random_floats(check, width);
    float *want = check_no_floats(check, (size_t)rows * width);
    double milliseconds;

    for (uint32_t r = 0; scaled && r < rows; r++)
        reference_multiply(x + r * width, scale, want + r * width, width);
    reference_add(scaled ? want : x, y, want, (size_t)rows * width);
    struct add_call call = { .x = check_upload_rows(check, x, rows, width, x_stride),
                             .y = check_upload_rows(check, y, rows, width, y_stride),
                             .scale =
                                 scaled ? check_upload_floats(check, scale, width) : NULL,
                             .width = width,
                             .x_stride = x_stride,
                             .y_stride = y_stride,
                             .items = rows };
    return call.x != NULL && call.y != NULL && (call.scale != NULL || !scaled) &&
           gpu_record_begin(check->recording, check->err) &&
           kernel_add(check->gpu, check->recording, &call, check->err) &&
           check_run_once(check, &milliseconds) &&
           check_report(check, "add", "", scaled ? "scaled" : "plain", call.y, want, rows,
                        width, y_stride, FUNCTION_TOLERANCE, milliseconds);
}

static bool check_merge(struct check *check, enum reference_merge how)
{
    static const char *const names[] = { "side by side", "interleaved", "pooled" };
    const uint32_t items = 3, parts = 4, width = 77, x_stride = 96;
    uint32_t y_width = how == REFERENCE_POOLED ? width : parts * width;
    float *x = check_random_floats(check, (size_t)items * parts * width);
    float *want = check_no_floats(check, (size_t)items * y_width);
    double milliseconds;

    reference_merge(how, x, want, items, parts, width);
    struct merge_call call = {
        .x = check_upload_rows(check, x, (size_t)items * parts, width, x_stride),
        .y = check_upload_rows(check, NULL, items, y_width, y_width + 5),
        .width = width,
        .parts = parts,
        .x_stride = x_stride,
        .y_stride = y_width + 5,
        .items = items,
        .pool = how == REFERENCE_POOLED,
        .interleaved = how == REFERENCE_INTERLEAVED,
    };
    return call.x != NULL && call.y != NULL &&
           check_run(check,
                     gpu_record_begin(check->recording, check->err) &&
                         kernel_merge(check->gpu, check->recording, &call, check->err),
                     &milliseconds) &&
           check_report(check, "merge", "", names[how], call.y, want, items, y_width,
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
    { 1, 256, 0, 9, 9, 0, false, false, "1 head of 256, 9 tokens" },
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
    float *q = check_random_floats(check, all), *k = check_random_floats(check, all);
    float *v = check_random_floats(check, all), *want = check_no_floats(check, all);
    float *angles = check_random_floats(check, (size_t)s->keys * s->head_dim);
    float *fused = check_no_floats(check, all * 3);
    vision_block *blocks = check_keep(check, alloc_array(s->tokens, sizeof(*blocks)));
    const struct gpu_buffer *parts[3];
    double milliseconds;

    fuse(s, (const float *[]){ q, k, v }, fused);
    turn(s, angles, q, q);
    turn(s, angles, k, k);
    attend(s, q, k, v, want);
    struct vision_heads_call heads = {
        .x = check_upload_floats(check, fused, all * 3),
        .angles = check_upload_floats(check, angles, (size_t)s->keys * s->head_dim),
        .heads = s->heads,
        .head_dim = s->head_dim,
        .stride = (uint32_t)width * 3,
        .room = room,
        .tokens = s->keys,
        .split = s->split,
    };
    const struct gpu_buffer *turned = s->rotate ? heads.angles : NULL;
    struct vision_attention_call attention = {
        .y = check_upload_rows(check, NULL, s->tokens, width, y_stride),
        .heads = s->heads,
        .head_dim = s->head_dim,
        .query_room = room,
        .key_room = room,
        .stride = y_stride,
        .block_count =
            cut_blocks(s, kernel_vision_block(check->gpu, s->head_dim), blocks),
        .first_query = s->first,
        .scale = 0.4f,
    };
    attention.blocks =
        check_upload(check, blocks, attention.block_count * sizeof(*blocks));
    bool ok = heads.x != NULL && heads.angles != NULL && attention.y != NULL &&
              attention.blocks != NULL && gpu_record_begin(check->recording, check->err);
    for (uint32_t i = 0; ok && i < 3; i++) {
        parts[i] = check_upload_floats(check, NULL, width * room);
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
    return check_run(check,
                     kernel_vision_attention(check->gpu, check->recording, &attention,
                                             check->err),
                     &milliseconds) &&
           check_report(check, "vision_attention", "", s->name, attention.y,
                        want + s->first * width, s->tokens, width, y_stride,
                        FUNCTION_TOLERANCE, milliseconds);
}

static bool run_case(struct check *check, size_t index)
{
    static const uint32_t widths[] = { 1, 31, 576, 4097 };

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
    return check_vision_attention(check, &vision_shapes[index - 3]);
}

const struct check_group check_vision = {
    4 + ACTIVATION_COUNT + 2 + 3 + sizeof(vision_shapes) / sizeof(vision_shapes[0]),
    run_case
};
