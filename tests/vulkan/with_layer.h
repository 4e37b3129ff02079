// tests/vulkan/with_layer.h
// SPDX-License-Identifier: MIT
//
// The functions of the layer (layer.h) in a program that has loaded it.
#ifndef ORIEL_TESTS_VULKAN_WITH_LAYER_H
#define ORIEL_TESTS_VULKAN_WITH_LAYER_H

#include "tests/vulkan/layer.h"

struct layer {
    void (*arm)(const char *function, unsigned n, VkResult result, bool for_ever);
    void (*disarm)(void);
    bool (*has_struck)(void);
    unsigned (*calls)(const char *function);
    int (*alive)(void);
    void (*print_alive)(void);
    const char *(*function)(size_t index, const VkResult **results);
};

// Before the first instance: has every instance made with the layer, nearest the driver.
// false when it cannot be loaded.
bool with_layer(struct layer *layer);

const char *result_name(VkResult result);

#endif
