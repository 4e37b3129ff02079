// tests/vulkan/layer_limits.c
// SPDX-License-Identifier: MIT
//
// The least that a Vulkan 1.1 device may offer: the specification's table "Required
// Limits", column "Min/Max", and no optional feature.
#include "tests/vulkan/layer_limits.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool wanted(const char *kind)
{
    const char *setting = getenv("VULKAN_TEST_LIMITS");

    return setting != NULL && strncmp(setting, kind, strlen(kind)) == 0;
}

static void at_most(uint32_t *value, uint32_t least)
{
    if (*value > least)
        *value = least;
}

static void lower_limits(VkPhysicalDeviceLimits *limits)
{
    static const uint32_t sizes[3] = { 128, 128, 64 };

    for (int i = 0; i < 3; i++) {
        at_most(&limits->maxComputeWorkGroupCount[i], 65535);
        at_most(&limits->maxComputeWorkGroupSize[i], sizes[i]);
    }
    at_most(&limits->maxComputeWorkGroupInvocations, 128);
    at_most(&limits->maxComputeSharedMemorySize, 16384);
    at_most(&limits->maxTexelBufferElements, 65536);
    at_most(&limits->maxUniformBufferRange, 16384);
    at_most(&limits->maxStorageBufferRange, 1u << 27);
    at_most(&limits->maxPushConstantsSize, 128);
    at_most(&limits->maxMemoryAllocationCount, 4096);
    at_most(&limits->maxBoundDescriptorSets, 4);
    at_most(&limits->maxPerStageDescriptorUniformBuffers, 12);
    at_most(&limits->maxPerStageDescriptorStorageBuffers, 4);
    at_most(&limits->maxPerStageDescriptorSampledImages, 16);
    at_most(&limits->maxPerStageResources, 128);
    at_most(&limits->maxDescriptorSetUniformBuffers, 72);
    at_most(&limits->maxDescriptorSetStorageBuffers, 24);
    at_most(&limits->maxDescriptorSetSampledImages, 96);
    limits->minTexelBufferOffsetAlignment = 256;
    limits->minUniformBufferOffsetAlignment = 256;
    limits->minStorageBufferOffsetAlignment = 256;
    limits->nonCoherentAtomSize = 256;
    limits->timestampComputeAndGraphics = VK_FALSE;
}

void layer_lower_properties(VkPhysicalDeviceProperties *properties)
{
    if (!wanted("least"))
        return;
    properties->apiVersion = VK_API_VERSION_1_1;
    if (wanted("least,gpu")) // kernels are cut otherwise than for a software driver
        properties->deviceType = VK_PHYSICAL_DEVICE_TYPE_OTHER;
    lower_limits(&properties->limits);
}

void layer_lower_properties2(VkPhysicalDeviceProperties2 *properties)
{
    if (!wanted("least"))
        return;
    layer_lower_properties(&properties->properties);
    for (VkBaseOutStructure *next = properties->pNext; next != NULL; next = next->pNext) {
        if (next->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES) {
            VkPhysicalDeviceSubgroupProperties *subgroup = (void *)next;

            subgroup->supportedOperations = VK_SUBGROUP_FEATURE_BASIC_BIT;
        } else if (next->sType ==
                   VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES) {
            VkPhysicalDeviceMaintenance3Properties *maintenance3 = (void *)next;

            at_most(&maintenance3->maxPerSetDescriptors, 1024);
            maintenance3->maxMemoryAllocationSize = (VkDeviceSize)1 << 30;
        }
    }
}

void layer_lower_features(VkPhysicalDeviceFeatures *features)
{
    if (wanted("least"))
        *features = (VkPhysicalDeviceFeatures){ .robustBufferAccess = VK_TRUE };
}

// Every structure of features is a header and booleans; of those that we ask for the
// sizes are known.
static size_t size_of(VkStructureType type)
{
    switch (type) {
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES:
        return sizeof(VkPhysicalDevice8BitStorageFeatures);
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES:
        return sizeof(VkPhysicalDevice16BitStorageFeatures);
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES:
        return sizeof(VkPhysicalDeviceShaderFloat16Int8Features);
    default:
        return sizeof(VkBaseOutStructure);
    }
}

void layer_lower_features2(VkPhysicalDeviceFeatures2 *features)
{
    const size_t header = sizeof(VkBaseOutStructure);

    if (!wanted("least"))
        return;
    layer_lower_features(&features->features);
    for (VkBaseOutStructure *next = features->pNext; next != NULL; next = next->pNext)
        memset((char *)next + header, 0, size_of(next->sType) - header);
}
