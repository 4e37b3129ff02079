// engine/kernel_check_fixture.c
// SPDX-License-Identifier: MIT
//
// What every check needs: random inputs that are the same everywhere, buffers that live
// as long as a case, a run that is timed, and the comparison.
#include "engine/kernel_check_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

// xorshift64* (Vigna, 2016).
uint32_t check_random_word(struct check *check)
{
    check->random ^= check->random >> 12;
    check->random ^= check->random << 25;
    check->random ^= check->random >> 27;
    return (uint32_t)(check->random * 0x2545F4914F6CDD1Du >> 32);
}

float check_random_float(struct check *check)
{
    return (float)(int32_t)check_random_word(check) / 2147483648.0f;
}

void *check_keep(struct check *check, void *memory)
{
    if (check->memory_count == sizeof(check->memory) / sizeof(check->memory[0]))
        bug("a check keeps too much");
    return check->memory[check->memory_count++] = memory;
}

float *check_random_floats(struct check *check, size_t count)
{
    float *values = check_keep(check, alloc_array(count, sizeof(*values)));

    for (size_t i = 0; i < count; i++)
        values[i] = check_random_float(check);
    return values;
}

float *check_no_floats(struct check *check, size_t count)
{
    return check_keep(check, alloc_array(count, sizeof(float)));
}

const struct gpu_buffer *check_upload(struct check *check, const void *values,
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

const struct gpu_buffer *check_upload_floats(struct check *check, const float *values,
                                             size_t count)
{
    return check_upload(check, values, count * sizeof(*values));
}

const struct gpu_buffer *check_upload_rows(struct check *check, const float *values,
                                           size_t rows, size_t width, size_t stride)
{
    float *spread = check_no_floats(check, rows * stride);

    for (size_t r = 0; values != NULL && r < rows; r++)
        memcpy(spread + r * stride, values + r * width, width * sizeof(*values));
    return check_upload_floats(check, spread, rows * stride);
}

void check_release(struct check *check)
{
    for (size_t i = 0; i < check->buffer_count; i++)
        gpu_buffer_destroy(check->gpu, &check->buffers[i]);
    for (size_t i = 0; i < check->memory_count; i++)
        free(check->memory[i]);
    check->buffer_count = check->memory_count = 0;
}

// ---------------------------------------------------------------------------
// Running and comparing

bool check_run(struct check *check, bool recorded, double *milliseconds)
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

bool check_run_once(struct check *check, double *milliseconds)
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

bool check_report(struct check *check, const char *kernel, const char *variant,
                  const char *name, const struct gpu_buffer *y, const float *want,
                  size_t rows, size_t width, size_t stride, double tolerance,
                  double milliseconds)
{
    float *all = check_no_floats(check, rows * stride);
    float *got = check_no_floats(check, rows * width);
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
