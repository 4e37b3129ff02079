// engine/gpu/traits.c
// SPDX-License-Identifier: MIT
//
// Reads what a device can do into struct gpu_traits. No test on a vendor's or a driver's
// name.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/gpu/private.h"

// The floor of docs/architecture.md: what every device must have.
#define FLOOR_RANGE       ((uint64_t)128 << 20)
#define FLOOR_SHARED      (16u << 10)
#define FLOOR_INVOCATIONS 128u

// Below this many texels a texel buffer is not worth a kernel variant: one tensor would
// not fit.
#define USEFUL_TEXELS (1u << 24)

struct trait_name {
    const char *name;
    size_t offset;
};

static const struct trait_name trait_names[] = {
    { "subgroup", offsetof(struct gpu_traits, subgroup) },
    { "texel", offsetof(struct gpu_traits, texel) },
    { "tiles", offsetof(struct gpu_traits, tiles) },
    { "unified", offsetof(struct gpu_traits, unified) },
    { "fp16", offsetof(struct gpu_traits, fp16) },
    { "storage16", offsetof(struct gpu_traits, storage16) },
    { "int8", offsetof(struct gpu_traits, int8) },
    { "storage8", offsetof(struct gpu_traits, storage8) },
    { "dot8", offsetof(struct gpu_traits, dot8) },
};

static bool *find_trait(struct gpu_traits *traits, const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(trait_names) / sizeof(trait_names[0]); i++)
        if (strlen(trait_names[i].name) == len &&
            memcmp(trait_names[i].name, name, len) == 0)
            return (bool *)((char *)traits + trait_names[i].offset);
    return NULL;
}

bool gpu_traits_have(const struct gpu_traits *traits, const char *names)
{
    while (*names != '\0') {
        size_t len = strcspn(names, ",");
        const bool *trait =
            find_trait((struct gpu_traits *)(uintptr_t)traits, names, len);

        if (trait == NULL)
            bug("the shader table names an unknown trait in \"%s\"", names);
        if (!*trait)
            return false;
        names += len + (names[len] == ',');
    }
    return true;
}

// Whether ORIEL_ENABLE, separated by commas, has a name.
static bool enabled(const char *name)
{
    const char *names = getenv("ORIEL_ENABLE");

    while (names != NULL && *names != '\0') {
        size_t len = strcspn(names, ",");

        if (strlen(name) == len && memcmp(names, name, len) == 0)
            return true;
        names += len + (names[len] == ',');
    }
    return false;
}

static void mask_traits(struct gpu_traits *traits)
{
    const char *names = getenv("ORIEL_DISABLE");

    while (names != NULL && *names != '\0') {
        size_t len = strcspn(names, ",");
        bool *trait = find_trait(traits, names, len);

        if (trait != NULL)
            *trait = false;
        names += len + (names[len] == ',');
    }
}

static enum gpu_device_type device_type(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return GPU_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return GPU_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return GPU_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return GPU_CPU;
    default:
        return GPU_OTHER;
    }
}

// Unified: some memory is both device-local and host-visible, and no device-local heap is
// without such a type (a discrete card with a small mappable window has one that is).
static void read_memory(VkPhysicalDevice physical, struct gpu_traits *traits)
{
    const VkMemoryPropertyFlags both =
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    VkPhysicalDeviceMemoryProperties memory;
    bool all_visible = true;

    vkGetPhysicalDeviceMemoryProperties(physical, &memory);
    for (uint32_t heap = 0; heap < memory.memoryHeapCount; heap++) {
        bool visible = false;

        if (!(memory.memoryHeaps[heap].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT))
            continue;
        if (memory.memoryHeaps[heap].size > traits->memory_bytes)
            traits->memory_bytes = memory.memoryHeaps[heap].size;
        for (uint32_t type = 0; type < memory.memoryTypeCount; type++)
            if (memory.memoryTypes[type].heapIndex == heap &&
                (memory.memoryTypes[type].propertyFlags & both) == both)
                visible = true;
        all_visible = all_visible && visible;
    }
    traits->unified = all_visible && traits->type != GPU_DISCRETE;
}

static void read_features(VkPhysicalDevice physical, struct gpu_traits *traits)
{
    VkPhysicalDevice8BitStorageFeatures storage8 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES,
    };
    VkPhysicalDeviceShaderFloat16Int8Features small = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
        .pNext = &storage8,
    };
    VkPhysicalDevice16BitStorageFeatures storage16 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
        .pNext = traits->api_version >= VK_API_VERSION_1_2 ? &small : NULL,
    };
    VkPhysicalDeviceFeatures2 features = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
        .pNext = &storage16,
    };

    vkGetPhysicalDeviceFeatures2(physical, &features);
    traits->storage16 = storage16.storageBuffer16BitAccess;
    traits->storage8 = storage8.storageBuffer8BitAccess;
    traits->fp16 = small.shaderFloat16;
    traits->int8 = small.shaderInt8;
}

static void read_properties(VkPhysicalDevice physical, struct gpu_traits *traits)
{
    const VkSubgroupFeatureFlags needed =
        VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
        VK_SUBGROUP_FEATURE_SHUFFLE_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT;
    VkPhysicalDeviceMaintenance3Properties maintenance3 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
    };
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
        .pNext = &maintenance3,
    };
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
        .pNext = &subgroup,
    };
    const VkPhysicalDeviceLimits *limits = &properties.properties.limits;

    vkGetPhysicalDeviceProperties2(physical, &properties);
    snprintf(traits->name, sizeof(traits->name), "%s", properties.properties.deviceName);
    traits->type = device_type(properties.properties.deviceType);
    traits->max_range = limits->maxStorageBufferRange;
    traits->max_allocation = maintenance3.maxMemoryAllocationSize;
    traits->max_texels = limits->maxTexelBufferElements;
    traits->max_shared_bytes = limits->maxComputeSharedMemorySize;
    traits->max_invocations = limits->maxComputeWorkGroupInvocations;
    memcpy(traits->max_groups, limits->maxComputeWorkGroupCount,
           sizeof(traits->max_groups));
    traits->storage_alignment = (uint32_t)limits->minStorageBufferOffsetAlignment;
    traits->texel_alignment = (uint32_t)limits->minTexelBufferOffsetAlignment;
    traits->timestamps = limits->timestampComputeAndGraphics;
    traits->timestamp_ns = (double)limits->timestampPeriod;
    traits->subgroup_size = subgroup.subgroupSize;
    traits->subgroup = (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
                       (subgroup.supportedOperations & needed) == needed &&
                       subgroup.subgroupSize >= 4;
}

void gpu_traits_read(VkPhysicalDevice physical, struct gpu_traits *traits)
{
    VkPhysicalDeviceDriverProperties driver = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES,
    };
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
    };

    *traits = (struct gpu_traits){ .api_version = 0 };
    vkGetPhysicalDeviceProperties2(physical, &properties);
    traits->api_version = properties.properties.apiVersion;
    if (traits->api_version >= VK_API_VERSION_1_2) {
        properties.pNext = &driver;
        vkGetPhysicalDeviceProperties2(physical, &properties);
        snprintf(traits->driver, sizeof(traits->driver), "%.100s %.100s",
                 driver.driverName, driver.driverInfo);
    }
    read_properties(physical, traits);
    read_memory(physical, traits);
    read_features(physical, traits);
    // Where shader lanes are lanes of a CPU's vector unit, a storage-buffer load whose
    // address differs between lanes becomes a loop over them; a texel fetch does not.
    traits->texel = traits->type == GPU_CPU && traits->max_texels >= USEFUL_TEXELS;
    // A CPU has caches instead, and a barrier cuts its shader into coroutines.
    traits->tiles = traits->type != GPU_CPU || enabled("tiles");
    mask_traits(traits);
}

bool gpu_traits_usable(const struct gpu_traits *traits, struct err *err)
{
    if (traits->api_version < VK_API_VERSION_1_1)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: Vulkan 1.1 is needed, the driver has %u.%u", traits->name,
                       VK_API_VERSION_MAJOR(traits->api_version),
                       VK_API_VERSION_MINOR(traits->api_version));
    if (traits->max_range < FLOOR_RANGE || traits->max_shared_bytes < FLOOR_SHARED ||
        traits->max_invocations < FLOOR_INVOCATIONS)
        return err_set(
            err, ERR_UNSUPPORTED,
            "%s: its limits are too low (storage range %llu, shared memory %u, "
            "invocations %u)",
            traits->name, (unsigned long long)traits->max_range, traits->max_shared_bytes,
            traits->max_invocations);
    return true;
}
