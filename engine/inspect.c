// engine/inspect.c
// SPDX-License-Identifier: MIT
//
// What devices there are, and whether each kernel is right on them: `oriel devices` and
// `oriel doctor`.
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/log.h"
#include "engine/gpu/kernels.h"
#include "engine/kernel_check.h"
#include "engine/private.h"

#define MAX_CHOICES 32

static const char *type_name(enum gpu_device_type type)
{
    static const char *const names[] = { [GPU_OTHER] = "other",
                                         [GPU_INTEGRATED] = "integrated",
                                         [GPU_DISCRETE] = "discrete",
                                         [GPU_VIRTUAL] = "virtual",
                                         [GPU_CPU] = "cpu" };

    return names[type];
}

static json_t *traits_json(const struct gpu_traits *t)
{
    return json_pack(
        "{s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:b, s:i, s:I, s:I, s:I, s:i, s:i}",
        "subgroup", t->subgroup, "texel", t->texel, "tiles", t->tiles, "unified",
        t->unified, "fp16", t->fp16, "storage16", t->storage16, "int8", t->int8,
        "storage8", t->storage8, "dot8", t->dot8, "subgroup_size", (int)t->subgroup_size,
        "max_range_bytes", (json_int_t)t->max_range, "max_allocation_bytes",
        (json_int_t)t->max_allocation, "max_texels", (json_int_t)t->max_texels,
        "max_shared_bytes", (int)t->max_shared_bytes, "max_invocations",
        (int)t->max_invocations);
}

static json_t *choices_json(const struct gpu_traits *traits)
{
    struct kernel_choice choices[MAX_CHOICES];
    size_t count = kernel_choices(traits, choices, MAX_CHOICES);
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            array, json_pack("{s:s, s:s, s:s}", "operation", choices[i].operation,
                             "variant", choices[i].variant, "why", choices[i].why));
    return array;
}

char *engine_devices_json(struct err *err)
{
    struct gpu_traits *list;
    size_t count = gpu_list(&list, err);
    json_t *array = json_array();
    char *text = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct gpu_traits *t = &list[i];
        char api[32];

        snprintf(api, sizeof(api), "%u.%u.%u", t->api_version >> 22 & 0x7F,
                 t->api_version >> 12 & 0x3FF, t->api_version & 0xFFF);
        json_array_append_new(
            array,
            json_pack("{s:i, s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "index", (int)i, "name",
                      t->name, "driver", t->driver, "api", api, "type",
                      type_name(t->type), "memory_bytes", (json_int_t)t->memory_bytes,
                      "traits", traits_json(t), "kernels", choices_json(t)));
    }
    if (count > 0)
        text = json_dumps(array, JSON_COMPACT);
    json_decref(array);
    free(list);
    return text;
}

// ---------------------------------------------------------------------------

static bool add_result(void *user, const struct kernel_result *result)
{
    json_array_append_new(user, json_pack("{s:s, s:s, s:s, s:f, s:f, s:b, s:f}", "kernel",
                                          result->kernel, "variant", result->variant,
                                          "case", result->name, "error", result->error,
                                          "tolerance", result->tolerance, "passed",
                                          result->error <= result->tolerance,
                                          "milliseconds", result->milliseconds));
    return true;
}

char *engine_doctor_json(const char *device, engine_progress *progress, void *user,
                         struct err *err)
{
    struct gpu_params params = { .device = device };
    struct gpu *gpu = gpu_open(&params, err);
    json_t *results = json_array(), *report;
    char *text = NULL;

    if (gpu != NULL && kernel_check_all(gpu, progress, user, add_result, results, err)) {
        report = json_pack("{s:s, s:s, s:O}", "device", gpu_traits(gpu)->name, "driver",
                           gpu_traits(gpu)->driver, "results", results);
        text = json_dumps(report, JSON_COMPACT);
        json_decref(report);
    }
    json_decref(results);
    gpu_close(&gpu);
    return text;
}
