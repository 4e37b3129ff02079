// tests/vulkan/layer.h
// SPDX-License-Identifier: MIT
//
// A Vulkan layer between the program and the driver, for tests. It can make the n-th call
// of a function fail, once or for ever, and it can report the smallest limits that the
// specification allows. It counts the objects that are alive.
//
// A test program in whose process the layer is loaded uses the functions below
// (layer_find gets them). For other programs there is the environment, read when an
// instance is made:
//   VULKAN_TEST_FAULT=FUNCTION:N:RESULT:once|ever   RESULT as -1, -2, -4, 2
//   VULKAN_TEST_TOKEN=FILE    the fault strikes only while FILE exists, and removes it
//   VULKAN_TEST_LIMITS=least  small limits, no features, no extensions
#ifndef ORIEL_TESTS_VULKAN_LAYER_H
#define ORIEL_TESTS_VULKAN_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <vulkan/vulkan.h>

#define LAYER_NAME "VK_LAYER_ORIEL_test"

// The n-th call from now (1 is the next) of a function fails, or that and every later
// one. VK_ERROR_DEVICE_LOST loses the device: what it still did is over then, and every
// later call that can say so does.
void layer_arm(const char *function, unsigned n, VkResult result, bool for_ever);
// No more faults, and counts start at 0.
void layer_disarm(void);
bool layer_has_struck(void);

// How often a function was called, failed calls among them.
unsigned layer_calls(const char *function);
// Objects and memory that were created and not destroyed.
int layer_alive(void);
// Prints their kinds as TAP comments.
void layer_print_alive(void);

// Functions that can be made to fail, and the results that each may give, ended by
// VK_SUCCESS. NULL past the last.
const char *layer_function(size_t index, const VkResult **results);

#endif
