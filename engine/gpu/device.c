// engine/gpu/device.c
// SPDX-License-Identifier: MIT
//
// The Vulkan instance, the choice of a device, and its one compute queue.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/gpu/private.h"

#define MAX_DEVICES 16

static const char *result_text(VkResult result)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "out of device memory";
    case VK_ERROR_INITIALIZATION_FAILED:
        return "the driver could not start";
    case VK_ERROR_DEVICE_LOST:
        return "the device was lost";
    case VK_ERROR_TOO_MANY_OBJECTS:
        return "the driver has no room for more objects";
    case VK_ERROR_MEMORY_MAP_FAILED:
        return "device memory cannot be mapped";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return "no Vulkan driver is installed";
    case VK_ERROR_LAYER_NOT_PRESENT:
        return "a Vulkan layer named in the environment is missing";
    case VK_ERROR_FEATURE_NOT_PRESENT:
        return "a feature is missing";
    default:
        return NULL;
    }
}

static enum err_code error_code(VkResult result)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_TOO_MANY_OBJECTS:
    case VK_ERROR_MEMORY_MAP_FAILED:
        return ERR_MEMORY;
    case VK_ERROR_DEVICE_LOST:
        return ERR_LOST;
    default:
        return ERR_DEVICE;
    }
}

bool gpu_check(struct gpu *gpu, struct err *err, VkResult result, const char *call)
{
    const char *text = result_text(result);

    if (result == VK_SUCCESS || result == VK_INCOMPLETE)
        return true;
    if (gpu != NULL && result == VK_ERROR_DEVICE_LOST)
        gpu->failed = true;
    log_line(LOG_ERROR, "%s gave %d", call, (int)result);
    if (text == NULL)
        return err_set(err, ERR_DEVICE, "%.*s failed with VkResult %d",
                       (int)strcspn(call, "("), call, (int)result);
    return err_set(err, error_code(result), "%.*s: %s", (int)strcspn(call, "("), call,
                   text);
}

bool gpu_alive(const struct gpu *gpu, struct err *err)
{
    return !gpu->failed ||
           err_set(err, ERR_LOST, "%s: the device was lost", gpu->traits.name);
}

static bool create_instance(VkInstance *instance, struct err *err)
{
    VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "oriel",
        .apiVersion = VK_API_VERSION_1_2,
    };
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &application,
    };

    return VK(NULL, err, vkCreateInstance(&info, NULL, instance)) ||
           err_prefix(err, "no Vulkan (on Debian: apt-get install mesa-vulkan-drivers)");
}

static uint32_t enumerate(VkInstance instance, VkPhysicalDevice devices[MAX_DEVICES],
                          struct err *err)
{
    uint32_t count = MAX_DEVICES;

    if (!VK(NULL, err, vkEnumeratePhysicalDevices(instance, &count, devices)))
        return 0;
    if (count == 0)
        err_set(err, ERR_DEVICE,
                "no Vulkan device (on Debian: apt-get install mesa-vulkan-drivers)");
    return count;
}

size_t gpu_list(struct gpu_traits **list, struct err *err)
{
    VkPhysicalDevice devices[MAX_DEVICES];
    VkInstance instance;
    uint32_t count;

    *list = NULL;
    if (!create_instance(&instance, err))
        return 0;
    count = enumerate(instance, devices, err);
    *list = alloc_array(count, sizeof(**list));
    for (uint32_t i = 0; i < count; i++)
        gpu_traits_read(devices[i], &(*list)[i]);
    vkDestroyInstance(instance, NULL);
    return count;
}

// Discrete before integrated before the rest; a CPU last.
static int preference(const struct gpu_traits *traits)
{
    static const int order[] = {
        [GPU_DISCRETE] = 4, [GPU_INTEGRATED] = 3, [GPU_VIRTUAL] = 2,
        [GPU_OTHER] = 1,    [GPU_CPU] = 0,
    };

    return order[traits->type];
}

static bool matches(const char *wanted, uint32_t index, const struct gpu_traits *traits)
{
    char *end;
    unsigned long number = strtoul(wanted, &end, 10);

    if (*wanted != '\0' && *end == '\0')
        return number == index;
    return strcasestr(traits->name, wanted) != NULL;
}

static bool choose(struct gpu *gpu, const char *wanted, struct err *err)
{
    VkPhysicalDevice devices[MAX_DEVICES];
    uint32_t count = enumerate(gpu->instance, devices, err);
    struct err why = { .code = ERR_NONE };

    for (uint32_t i = 0; i < count; i++) {
        struct gpu_traits traits;

        gpu_traits_read(devices[i], &traits);
        if (wanted != NULL && !matches(wanted, i, &traits))
            continue;
        if (!gpu_traits_usable(&traits, &why))
            continue;
        if (gpu->physical != VK_NULL_HANDLE &&
            preference(&traits) <= preference(&gpu->traits))
            continue;
        gpu->physical = devices[i];
        gpu->traits = traits;
    }
    if (count == 0 || gpu->physical != VK_NULL_HANDLE)
        return count > 0;
    if (why.code != ERR_NONE)
        return err_set(err, why.code, "%s", why.text);
    return err_set(err, ERR_NOT_FOUND, "no device matches \"%s\" (see `oriel devices`)",
                   wanted);
}

// A compute queue that is not the graphics queue keeps the desktop smooth; else any.
static bool choose_queue(struct gpu *gpu, struct err *err)
{
    VkQueueFamilyProperties families[32];
    uint32_t count = 32;
    bool found = false;

    vkGetPhysicalDeviceQueueFamilyProperties(gpu->physical, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT))
            continue;
        if (found && (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT))
            continue;
        gpu->queue_family = i;
        found = true;
    }
    return found || err_set(err, ERR_DEVICE, "%s: no compute queue", gpu->traits.name);
}

static bool create_device(struct gpu *gpu, struct err *err)
{
    float priority = 1.0f;
    VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = gpu->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    VkPhysicalDeviceFeatures features = { .robustBufferAccess = VK_FALSE };
    VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .pEnabledFeatures = &features,
    };

    if (!VK(gpu, err, vkCreateDevice(gpu->physical, &info, NULL, &gpu->device)))
        return err_prefix(err, "%s", gpu->traits.name);
    vkGetDeviceQueue(gpu->device, gpu->queue_family, 0, &gpu->queue);
    vkGetPhysicalDeviceMemoryProperties(gpu->physical, &gpu->memory_properties);
    return true;
}

struct gpu *gpu_open(const struct gpu_params *params, struct err *err)
{
    struct gpu *gpu = alloc_zero(sizeof(*gpu));

    if (!create_instance(&gpu->instance, err) || !choose(gpu, params->device, err) ||
        !choose_queue(gpu, err) || !create_device(gpu, err) ||
        !gpu_pipeline_cache_open(gpu, params->cache_directory, err))
        goto fail;
    log_line(LOG_TRACE, "device %s, %s", gpu->traits.name, gpu->traits.driver);
    return gpu;

fail:
    gpu_close(&gpu);
    return NULL;
}

void gpu_close(struct gpu **handle)
{
    struct gpu *gpu = *handle;

    if (gpu == NULL)
        return;
    if (gpu->device != VK_NULL_HANDLE && !gpu->hung)
        vkDeviceWaitIdle(gpu->device); // which a lost device fails at once
    if (gpu->device != VK_NULL_HANDLE) {
        gpu_recording_destroy(&gpu->transfers);
        gpu_buffer_destroy(gpu, &gpu->staging);
        gpu_pipeline_cache_save(gpu);
        gpu_kernels_destroy(gpu);
    }
    if (gpu->device != VK_NULL_HANDLE && !gpu->hung) {
        vkDestroyPipelineCache(gpu->device, gpu->pipeline_cache, NULL);
        vkDestroyDevice(gpu->device, NULL);
    }
    if (gpu->instance != VK_NULL_HANDLE && !gpu->hung)
        vkDestroyInstance(gpu->instance, NULL);
    free(gpu->cache_path);
    free(gpu);
    *handle = NULL;
}

const struct gpu_traits *gpu_traits(const struct gpu *gpu)
{
    return &gpu->traits;
}
