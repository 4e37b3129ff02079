// engine/gpu/private.h
// SPDX-License-Identifier: MIT
//
// What the files of engine/gpu/ share.
#ifndef ORIEL_ENGINE_GPU_PRIVATE_H
#define ORIEL_ENGINE_GPU_PRIVATE_H

#include <vulkan/vulkan.h>

#include "engine/gpu/gpu.h"

// A texel view of a range of a buffer, made on first use.
struct gpu_view {
    struct gpu_view *next;
    VkBufferView view;
    uint64_t offset, size;
};

struct gpu_memory {
    VkBuffer buffer;
    VkDeviceMemory memory;
    struct gpu_view *views;
};

struct gpu_kernel {
    struct gpu_kernel *next;
    const char *name, *variant; // of the shader table
    uint32_t constants[GPU_MAX_CONSTANTS];
    size_t constant_count;
    VkDescriptorType types[GPU_MAX_BINDINGS];
    size_t binding_count;
    VkShaderModule module;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline pipeline;
};

struct gpu {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    uint32_t queue_family;
    VkPipelineCache pipeline_cache;
    char *cache_path; // NULL: the pipeline cache is not kept
    struct gpu_traits traits;
    VkPhysicalDeviceMemoryProperties memory_properties;
    struct gpu_kernel *kernels;
    size_t kernel_count;
    uint64_t allocated_bytes;
    struct gpu_recording *transfers; // for staging copies, made on first use
    struct gpu_buffer staging;
    bool failed; // the device is lost: every later call fails at once
    bool hung;   // and what was submitted may still run: what it uses is not destroyed
};

// The only way to call a function that returns a VkResult: on failure fills err with the
// call's name and the reason, and evaluates to false.
#define VK(gpu, err, call) gpu_check(gpu, err, call, #call)
bool gpu_check(struct gpu *gpu, struct err *err, VkResult result, const char *call);
// false when the device has failed.
bool gpu_alive(const struct gpu *gpu, struct err *err);

// traits.c
void gpu_traits_read(VkPhysicalDevice physical, struct gpu_traits *traits);
bool gpu_traits_usable(const struct gpu_traits *traits, struct err *err);

// pipeline.c
struct shader;
const struct shader *gpu_find_shader(const char *kernel, const char *variant); // or bug
bool gpu_pipeline_cache_open(struct gpu *gpu, const char *directory, struct err *err);
void gpu_pipeline_cache_save(struct gpu *gpu);
void gpu_kernels_destroy(struct gpu *gpu);

// recording.c
bool gpu_record_copy(struct gpu_recording *recording, const struct gpu_buffer *from,
                     uint64_t from_offset, const struct gpu_buffer *to,
                     uint64_t to_offset, uint64_t size);

#endif
