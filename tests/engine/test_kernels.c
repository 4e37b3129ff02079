// tests/engine/test_kernels.c
// SPDX-License-Identifier: MIT
//
// What `oriel doctor` runs, on every Vulkan device, and again with traits masked.
#include "tests/tap.h"

#include "engine/kernel_check.h"

static bool note(void *user, const struct kernel_result *result)
{
    size_t *count = user;

    ++*count;
    if (!(result->error <= result->tolerance)) {
        printf("# %s %s, %s: relative error %g, tolerance %g\n", result->kernel,
               result->variant, result->name, result->error, result->tolerance);
        CHECK(result->error <= result->tolerance);
    }
    return true;
}

static void check_devices(const char *disable)
{
    struct gpu_traits *list;
    struct err err = { .code = ERR_NONE };
    size_t devices;

    setenv("ORIEL_DISABLE", disable, 1);
    devices = gpu_list(&list, &err);
    if (devices == 0)
        tap_skip("no Vulkan device: %s", err.text);
    for (size_t i = 0; i < devices; i++) {
        char index[24];
        struct gpu_params params = { .device = index };
        struct gpu *gpu;
        size_t count = 0;

        snprintf(index, sizeof(index), "%zu", i);
        gpu = gpu_open(&params, &err);
        if (gpu == NULL || !kernel_check_all(gpu, NULL, NULL, note, &count, &err)) {
            printf("# %s: %s\n", list[i].name, err.text);
            CHECK(gpu != NULL && err.code == ERR_NONE);
        } else {
            printf("# %zu cases on %s (%s)\n", count, list[i].name, list[i].driver);
            CHECK(count > 80);
        }
        gpu_close(&gpu);
    }
    free(list);
}

static void the_variants_that_the_device_prefers(void)
{
    check_devices("");
}

static void storage_buffers_and_shared_memory(void)
{
    check_devices("texel,subgroup");
}

static void a_device_that_is_not_unified(void)
{
    check_devices("unified");
}

static void products_in_tiles_of_shared_memory(void)
{
    setenv("ORIEL_ENABLE", "tiles", 1);
    check_devices("texel");
    unsetenv("ORIEL_ENABLE");
}

static const struct test tests[] = {
    { "the variants that the device prefers", the_variants_that_the_device_prefers },
    { "storage buffers and shared memory only", storage_buffers_and_shared_memory },
    { "products in tiles of shared memory", products_in_tiles_of_shared_memory },
    { "memory that has to be staged", a_device_that_is_not_unified },
};
TAP_MAIN(tests)
