// engine/kernel_check_private.h
// SPDX-License-Identifier: MIT
//
// Shared by the files of the kernel check. Each check uploads its inputs, records one
// typed call, and compares what comes back with engine/reference/.
#ifndef ORIEL_ENGINE_KERNEL_CHECK_PRIVATE_H
#define ORIEL_ENGINE_KERNEL_CHECK_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/kernel_check.h"

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

// Cases by number; false with check->err when the device fails.
struct check_group {
    size_t count;
    bool (*run)(struct check *check, size_t index);
};
extern const struct check_group check_matrix, check_layer, check_attentions, check_vision;

uint32_t check_random_word(struct check *check);
float check_random_float(struct check *check); // -1 to 1
// Memory of the case: freed when it ends.
void *check_keep(struct check *check, void *memory);
float *check_random_floats(struct check *check, size_t count);
float *check_no_floats(struct check *check, size_t count); // zeros
void check_release(struct check *check);                   // at the end of a case

// A device buffer that holds `values`, or zeros. NULL when the device refuses.
const struct gpu_buffer *check_upload(struct check *check, const void *values,
                                      size_t bytes);
const struct gpu_buffer *check_upload_floats(struct check *check, const float *values,
                                             size_t count);
// Rows of `width` values, spread to `stride`.
const struct gpu_buffer *check_upload_rows(struct check *check, const float *values,
                                           size_t rows, size_t width, size_t stride);

// Runs what was recorded, if it was, and times the second run.
bool check_run(struct check *check, bool recorded, double *milliseconds);
// For what has already been recorded and changes its input: one run only.
bool check_run_once(struct check *check, double *milliseconds);
// Reads rows of `width` out of a buffer with `stride` and reports how they compare.
bool check_report(struct check *check, const char *kernel, const char *variant,
                  const char *name, const struct gpu_buffer *y, const float *want,
                  size_t rows, size_t width, size_t stride, double tolerance,
                  double milliseconds);

#endif
