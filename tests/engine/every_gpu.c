// tests/engine/every_gpu.c
// SPDX-License-Identifier: MIT
#include "tests/engine/every_gpu.h"

#include <stdio.h>
#include <stdlib.h>

size_t every_gpu_open(struct gpu *gpus[EVERY_GPU_MAX], const char *disable,
                      struct err *err)
{
    struct gpu_traits *list;
    size_t found, count = 0;

    setenv("ORIEL_DISABLE", disable, 1);
    found = gpu_list(&list, err);
    for (size_t i = 0; i < found && count < EVERY_GPU_MAX; i++) {
        char index[24];
        struct gpu_params params = { .device = index };

        snprintf(index, sizeof(index), "%zu", i);
        gpus[count] = gpu_open(&params, err);
        if (gpus[count] == NULL)
            printf("# device %zu (%s): %s\n", i, list[i].name, err->text);
        else
            printf("# on %s (%s)%s%s\n", list[i].name, list[i].driver,
                   disable[0] != '\0' ? " without " : "", disable);
        count += gpus[count] != NULL;
    }
    free(list);
    return count;
}

void every_gpu_close(struct gpu *gpus[EVERY_GPU_MAX], size_t count)
{
    for (size_t i = 0; i < count; i++)
        gpu_close(&gpus[i]);
}
