// engine/kernel_check.c
// SPDX-License-Identifier: MIT
#include "engine/kernel_check_private.h"

static const struct check_group *const groups[] = { &check_matrix, &check_layer,
                                                    &check_attentions, &check_vision };
#define GROUP_COUNT (sizeof(groups) / sizeof(groups[0]))

static size_t count_all(void)
{
    size_t count = 0;

    for (size_t i = 0; i < GROUP_COUNT; i++)
        count += groups[i]->count;
    return count;
}

static bool run_case(struct check *check, size_t index)
{
    size_t group = 0;

    for (; index >= groups[group]->count; group++)
        index -= groups[group]->count;
    return groups[group]->run(check, index);
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
    bool ok = check.recording != NULL;

    for (size_t i = 0; ok && i < count_all(); i++) {
        ok = run_case(&check, i);
        check_release(&check);
        if (ok && progress != NULL &&
            !progress(progress_user, "checking kernels",
                      (double)(i + 1) / (double)count_all()))
            ok = err_set(err, ERR_CANCELLED, "stopped");
    }
    gpu_recording_destroy(&check.recording);
    return ok;
}
