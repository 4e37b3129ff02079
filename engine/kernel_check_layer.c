// engine/kernel_check_layer.c
// SPDX-License-Identifier: MIT
//
// What a decoder does beside products and attention: norms, gates, experts, and what is
// made of the logits.
#include "engine/kernel_check_private.h"

#include <math.h>
#include <stdio.h>

#include "engine/gpu/kernels.h"
#include "engine/reference/kernels.h"

// Rows of two parts, of which the second is normed.
static bool check_rms_norm(struct check *check, uint32_t width)
{
    const uint32_t rows = 3, part = (width + 31) / 32 * 32;
    float *x = check_random_floats(check, (size_t)rows * 2 * width);
    float *weight = check_random_floats(check, width);
    float *want = check_no_floats(check, (size_t)rows * 2 * width);
    struct rms_norm_call call = { .x = check_upload_rows(check, x, rows * 2, width, part),
                                  .weight = check_upload_floats(check, weight, width),
                                  .y = check_upload_rows(check, NULL, rows * 2, width,
                                                         part),
                                  .width = width,
                                  .stride = 2 * part,
                                  .rows = rows,
                                  .column = part,
                                  .epsilon = 1e-5f };
    double milliseconds;
    char name[32];

    for (uint32_t r = 1; r < 2 * rows; r += 2)
        reference_rms_norm(x + r * width, weight, want + r * width, 1, width, 1e-5);
    snprintf(name, sizeof(name), "%u x %u", rows, width);
    return call.x != NULL && call.weight != NULL && call.y != NULL &&
           check_run(check,
                     gpu_record_begin(check->recording, check->err) &&
                         kernel_rms_norm(check->gpu, check->recording, &call, check->err),
                     &milliseconds) &&
           check_report(check, "rms_norm", "", name, call.y, want, (size_t)rows * 2,
                        width, part, SUM_TOLERANCE, milliseconds);
}

static bool check_glu(struct check *check, enum kernel_activation activation)
{
    const uint32_t rows = 3, width = 101;
    float *x = check_random_floats(check, (size_t)rows * 2 * width);
    float *want = check_no_floats(check, (size_t)rows * width);
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
    call.x = check_upload_floats(check, x, (size_t)rows * 2 * width);
    call.y = check_upload_floats(check, NULL, (size_t)rows * width);
    return call.x != NULL && call.y != NULL &&
           check_run(check,
                     gpu_record_begin(check->recording, check->err) &&
                         kernel_glu(check->gpu, check->recording, &call, check->err),
                     &milliseconds) &&
           check_report(check, "glu", "", activation == KERNEL_SILU ? "silu" : "gelu",
                        call.y, want, rows, width, width, FUNCTION_TOLERANCE,
                        milliseconds);
}

static bool check_softcap(struct check *check)
{
    const size_t count = 333;
    float *x = check_random_floats(check, count);
    float *want = check_no_floats(check, count);
    const struct gpu_buffer *y;

    for (size_t i = 0; i < count; i++)
        x[i] *= 90.0f;
    reference_soft_cap(x, want, count, 30.0);
    y = check_upload_floats(check, x, count);
    if (y == NULL || !gpu_record_begin(check->recording, check->err) ||
        !kernel_softcap(check->gpu, check->recording, y, count, 30.0f, check->err) ||
        !gpu_record_end(check->recording, check->err) ||
        !gpu_run(check->recording, check->err))
        return false;
    return check_report(check, "softcap", "", "333 values", y, want, 1, count, count,
                        FUNCTION_TOLERANCE, 0);
}

static bool check_slice_peaks(struct check *check, uint32_t count)
{
    uint32_t slices = (count + 63) / 64;
    float *x = check_random_floats(check, count + 64);
    float *want = check_no_floats(check, (size_t)slices * 2);
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
    logits = check_upload_floats(check, x, count + 64);
    peaks = check_upload_floats(check, NULL, (size_t)slices * 2);
    snprintf(name, sizeof(name), "%u logits", count);
    return logits != NULL && peaks != NULL &&
           check_run(check,
                     gpu_record_begin(check->recording, check->err) &&
                         kernel_slice_peaks(check->gpu, check->recording, logits, count,
                                            peaks, check->err),
                     &milliseconds) &&
           check_report(check, "slice_peaks", "", name, peaks, want, slices, 2, 2,
                        FUNCTION_TOLERANCE, milliseconds);
}

static bool check_route_and_mix(struct check *check)
{
    const uint32_t tokens = 5, experts = 13, used = 3, width = 70, stride = 96;
    float *scores = check_random_floats(check, (size_t)tokens * experts);
    float *outputs = check_random_floats(check, (size_t)tokens * used * width);
    float *weights = check_no_floats(check, (size_t)tokens * used);
    float *want = check_no_floats(check, (size_t)tokens * width);
    uint32_t chosen[16];
    struct route_call route = {
        .scores = check_upload_rows(check, scores, tokens, experts, 32),
        .chosen = check_upload(check, NULL, tokens * used * 4),
        .weights = check_upload(check, NULL, tokens * used * 4),
        .experts = experts,
        .used = used,
        .tokens = tokens,
        .stride = 32,
        .scale = 1.0f,
        .normalise = true,
    };
    struct mix_call mix = {
        .x = check_upload_rows(check, outputs, tokens * used, width, stride),
        .weights = route.weights,
        .y = check_upload_rows(check, NULL, tokens, width, stride),
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
           check_report(check, "route", "", "3 of 13 experts", route.weights, weights,
                        tokens, used, used, FUNCTION_TOLERANCE, 0) &&
           check_report(check, "mix", "", "3 experts of 70", mix.y, want, tokens, width,
                        stride, FUNCTION_TOLERANCE, 0);
}

// Two passes: the second finds what the first one left in the cache.
static bool check_short_conv(struct check *check)
{
    const uint32_t tokens[] = { 4, 3 }, positions[] = { 0, 4 };
    const uint32_t width = 70, taps = 3, stride = 96;
    float *x = check_random_floats(check, (size_t)7 * 3 * width);
    float *weights = check_random_floats(check, (size_t)width * taps);
    float *want = check_no_floats(check, (size_t)7 * width);
    struct short_conv_call call = { .weights =
                                        check_upload_floats(check, weights, width * taps),
                                    .cache = check_upload_floats(check, NULL, 16 * width),
                                    .width = width,
                                    .taps = taps,
                                    .x_stride = 3 * width,
                                    .y_stride = stride };
    bool ok = call.weights != NULL && call.cache != NULL;

    reference_short_conv(x, weights, want, 7, width, taps);
    for (size_t i = 0; ok && i < 2; i++) {
        double milliseconds;
        size_t first = positions[i];

        call.x = check_upload_floats(check, x + first * 3 * width,
                                     (size_t)tokens[i] * 3 * width);
        call.step = check_upload(check, &positions[i], 4);
        call.y = check_upload_rows(check, NULL, tokens[i], width, stride);
        call.tokens = tokens[i];
        ok = call.x != NULL && call.step != NULL && call.y != NULL &&
             check_run(
                 check,
                 gpu_record_begin(check->recording, check->err) &&
                     kernel_short_conv(check->gpu, check->recording, &call, check->err),
                 &milliseconds) &&
             check_report(check, "short_conv", "", i == 0 ? "from 0" : "from 4", call.y,
                          want + first * width, tokens[i], width, stride, SUM_TOLERANCE,
                          milliseconds);
    }
    return ok;
}

static bool run_case(struct check *check, size_t index)
{
    static const uint32_t widths[] = { 1, 31, 576, 4097 };

    switch (index) {
    case 0:
    case 1:
    case 2:
    case 3:
        return check_rms_norm(check, widths[index]);
    case 4:
        return check_glu(check, KERNEL_SILU);
    case 5:
        return check_glu(check, KERNEL_GELU_TANH);
    case 6:
        return check_slice_peaks(check, 49152);
    case 7:
        return check_slice_peaks(check, 1009);
    case 8:
        return check_softcap(check);
    case 9:
        return check_short_conv(check);
    default:
        return check_route_and_mix(check);
    }
}

const struct check_group check_layer = { 11, run_case };
