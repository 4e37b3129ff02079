// tests/vulkan/layer_limits.h
// SPDX-License-Identifier: MIT
//
// What the layer makes of what a device says of itself, if VULKAN_TEST_LIMITS asks for
// it.
#ifndef ORIEL_TESTS_VULKAN_LAYER_LIMITS_H
#define ORIEL_TESTS_VULKAN_LAYER_LIMITS_H

#include <vulkan/vulkan.h>

void layer_lower_properties(VkPhysicalDeviceProperties *properties);
void layer_lower_properties2(VkPhysicalDeviceProperties2 *properties);
void layer_lower_features(VkPhysicalDeviceFeatures *features);
void layer_lower_features2(VkPhysicalDeviceFeatures2 *features);

#endif
