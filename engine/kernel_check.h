// engine/kernel_check.h
// SPDX-License-Identifier: MIT
//
// Every kernel on a device against its plain C reference, over shapes that are odd on
// purpose. `oriel doctor` and the tests run the same table.
#ifndef ORIEL_ENGINE_KERNEL_CHECK_H
#define ORIEL_ENGINE_KERNEL_CHECK_H

#include <stdbool.h>

#include "base/err.h"
#include "engine/gpu/gpu.h"

struct kernel_result {
    const char *kernel;
    const char *variant; // "" where the device decides
    const char *name;    // of the case: its shape
    double error;        // |got - want| / |want|, Euclidean norms; NaN when not finite
    double tolerance;
    double milliseconds;
};

typedef bool kernel_progress(void *user, const char *stage, double fraction);

// Calls on_result for each case. False when the device failed or progress said no.
bool kernel_check_all(struct gpu *gpu, kernel_progress *progress, void *progress_user,
                      bool (*on_result)(void *user, const struct kernel_result *result),
                      void *user, struct err *err);

#endif
