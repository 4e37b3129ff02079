// engine/gpu/pipeline.c
// SPDX-License-Identifier: MIT
//
// Kernels: looked up in the shader table, reflected, compiled, and kept for the life of
// the device; and the pipeline cache on disk, which is untrusted: it counts only if its
// checksum, vendor, device and driver UUID are right, and is written anew when kernels
// were added.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "engine/gpu/private.h"
#include "shaders/shaders.h"

#define CACHE_MAX_BYTES ((size_t)64 << 20)

// ---------------------------------------------------------------------------
// Reflection: the descriptor type of each binding, read from the SPIR-V (Khronos SPIR-V
// specification 1.3, sections 2.3 and 3). The code is our own build's, not input.

enum {
    SPIRV_HEADER_WORDS = 5,
    OP_VARIABLE = 59,
    OP_DECORATE = 71,
    DECORATION_BINDING = 33,
    STORAGE_UNIFORM_CONSTANT = 0,
    STORAGE_UNIFORM = 2,
    STORAGE_BUFFER = 12,
};

static uint32_t storage_class_of(const struct shader *shader, uint32_t id)
{
    size_t count = *shader->size_bytes / 4;

    for (size_t at = SPIRV_HEADER_WORDS; at < count; at += shader->words[at] >> 16)
        if ((shader->words[at] & 0xFFFF) == OP_VARIABLE && shader->words[at + 2] == id)
            return shader->words[at + 3];
    bug("%s.%s decorates what is no variable", shader->kernel, shader->variant);
}

static void reflect(const struct shader *shader, struct gpu_kernel *kernel)
{
    size_t count = *shader->size_bytes / 4;

    for (size_t at = SPIRV_HEADER_WORDS; at < count; at += shader->words[at] >> 16) {
        const uint32_t *op = shader->words + at;
        uint32_t binding;

        if ((op[0] & 0xFFFF) != OP_DECORATE || op[2] != DECORATION_BINDING)
            continue;
        binding = op[3];
        if (binding >= GPU_MAX_BINDINGS)
            bug("%s.%s has binding %u", shader->kernel, shader->variant, binding);
        kernel->types[binding] =
            storage_class_of(shader, op[1]) == STORAGE_UNIFORM_CONSTANT
                ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        if (binding >= kernel->binding_count)
            kernel->binding_count = binding + 1;
    }
    for (size_t i = 0; i < kernel->binding_count; i++)
        if (kernel->types[i] == 0)
            kernel->types[i] =
                VK_DESCRIPTOR_TYPE_STORAGE_BUFFER; // unused by this variant
}

// ---------------------------------------------------------------------------
// Kernels

const struct shader *gpu_find_shader(const char *kernel, const char *variant)
{
    for (size_t i = 0; i < shader_count; i++)
        if (strcmp(shaders[i].kernel, kernel) == 0 &&
            strcmp(shaders[i].variant, variant) == 0)
            return &shaders[i];
    bug("no shader %s.%s", kernel, variant);
}

static bool create_layouts(struct gpu *gpu, struct gpu_kernel *kernel, struct err *err)
{
    VkDescriptorSetLayoutBinding bindings[GPU_MAX_BINDINGS];
    VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = (uint32_t)kernel->binding_count,
        .pBindings = bindings,
    };
    VkPushConstantRange push = {
        .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        .size = GPU_MAX_PUSH,
    };
    VkPipelineLayoutCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &kernel->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &push,
    };

    for (uint32_t i = 0; i < kernel->binding_count; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = kernel->types[i],
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
        };
    return VK(gpu, err,
              vkCreateDescriptorSetLayout(gpu->device, &set, NULL,
                                          &kernel->set_layout)) &&
           VK(gpu, err,
              vkCreatePipelineLayout(gpu->device, &info, NULL, &kernel->layout));
}

static bool create_pipeline(struct gpu *gpu, const struct shader *shader,
                            struct gpu_kernel *kernel, struct err *err)
{
    VkSpecializationMapEntry entries[GPU_MAX_CONSTANTS];
    VkSpecializationInfo specialization = {
        .mapEntryCount = (uint32_t)kernel->constant_count,
        .pMapEntries = entries,
        .dataSize = sizeof(kernel->constants),
        .pData = kernel->constants,
    };
    VkShaderModuleCreateInfo module = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = *shader->size_bytes,
        .pCode = shader->words,
    };
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                   .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                   .pName = "main",
                   .pSpecializationInfo = &specialization },
    };

    for (uint32_t i = 0; i < kernel->constant_count; i++)
        entries[i] = (VkSpecializationMapEntry){ i, i * 4, 4 };
    if (!VK(gpu, err, vkCreateShaderModule(gpu->device, &module, NULL, &kernel->module)))
        return false;
    info.stage.module = kernel->module;
    info.layout = kernel->layout;
    return VK(gpu, err,
              vkCreateComputePipelines(gpu->device, gpu->pipeline_cache, 1, &info, NULL,
                                       &kernel->pipeline));
}

static void destroy_kernel(struct gpu *gpu, struct gpu_kernel *kernel)
{
    if (!gpu->hung) {
        vkDestroyPipeline(gpu->device, kernel->pipeline, NULL);
        vkDestroyPipelineLayout(gpu->device, kernel->layout, NULL);
        vkDestroyDescriptorSetLayout(gpu->device, kernel->set_layout, NULL);
        vkDestroyShaderModule(gpu->device, kernel->module, NULL);
    }
    free(kernel);
}

struct gpu_kernel *gpu_kernel(struct gpu *gpu, const char *name, const char *variant,
                              const uint32_t *constants, size_t count, struct err *err)
{
    const struct shader *shader = gpu_find_shader(name, variant);
    struct gpu_kernel *kernel;

    for (kernel = gpu->kernels; kernel != NULL; kernel = kernel->next)
        if (kernel->name == shader->kernel && kernel->variant == shader->variant &&
            kernel->constant_count == count &&
            (count == 0 || memcmp(kernel->constants, constants, count * 4) == 0))
            return kernel;
    if (count > GPU_MAX_CONSTANTS || !gpu_traits_have(&gpu->traits, shader->traits))
        bug("shader %s.%s does not fit this device", name, variant);
    kernel = alloc_zero(sizeof(*kernel));
    kernel->name = shader->kernel;
    kernel->variant = shader->variant;
    kernel->constant_count = count;
    if (count > 0)
        memcpy(kernel->constants, constants, count * 4);
    reflect(shader, kernel);
    if (!gpu_alive(gpu, err) || !create_layouts(gpu, kernel, err) ||
        !create_pipeline(gpu, shader, kernel, err)) {
        err_prefix(err, "kernel %s.%s", name, variant);
        destroy_kernel(gpu, kernel);
        return NULL;
    }
    kernel->next = gpu->kernels;
    gpu->kernels = kernel;
    gpu->kernel_count++;
    return kernel;
}

size_t gpu_kernel_count(const struct gpu *gpu)
{
    return gpu->kernel_count;
}

void gpu_kernels_destroy(struct gpu *gpu)
{
    while (gpu->kernels != NULL) {
        struct gpu_kernel *next = gpu->kernels->next;

        destroy_kernel(gpu, gpu->kernels);
        gpu->kernels = next;
    }
}

// ---------------------------------------------------------------------------
// The pipeline cache on disk: SHA-256 of what follows, then the driver's data.

static char *cache_path(const struct gpu *gpu, const char *directory)
{
    VkPhysicalDeviceProperties properties;
    char key[2 * VK_UUID_SIZE + 1];

    vkGetPhysicalDeviceProperties(gpu->physical, &properties);
    for (size_t i = 0; i < VK_UUID_SIZE; i++)
        snprintf(key + 2 * i, 3, "%02x", properties.pipelineCacheUUID[i]);
    return alloc_printf("%s/pipelines-%08x-%08x-%s", directory, properties.vendorID,
                        properties.deviceID, key);
}

// VkPipelineCacheHeaderVersionOne, Vulkan specification, "Pipeline Cache Header".
static bool cache_fits(const struct gpu *gpu, const char *data, size_t size)
{
    VkPhysicalDeviceProperties properties;
    uint32_t header[4];

    if (size < sizeof(header) + VK_UUID_SIZE)
        return false;
    memcpy(header, data, sizeof(header));
    vkGetPhysicalDeviceProperties(gpu->physical, &properties);
    return header[0] >= sizeof(header) + VK_UUID_SIZE && header[0] <= size &&
           header[1] == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           header[2] == properties.vendorID && header[3] == properties.deviceID &&
           memcmp(data + sizeof(header), properties.pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

bool gpu_pipeline_cache_open(struct gpu *gpu, const char *directory, struct err *err)
{
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
    };
    unsigned char digest[SHA256_BYTES];
    struct str file;
    bool ok;

    str_init(&file, CACHE_MAX_BYTES);
    if (directory != NULL && file_make_directories(directory, NULL)) {
        gpu->cache_path = cache_path(gpu, directory);
        if (file_read(gpu->cache_path, CACHE_MAX_BYTES, &file, NULL) &&
            file.len > SHA256_BYTES) {
            sha256_of(file.data + SHA256_BYTES, file.len - SHA256_BYTES, digest);
            if (memcmp(digest, file.data, SHA256_BYTES) == 0 &&
                cache_fits(gpu, file.data + SHA256_BYTES, file.len - SHA256_BYTES)) {
                info.pInitialData = file.data + SHA256_BYTES;
                info.initialDataSize = file.len - SHA256_BYTES;
            }
        }
    }
    ok = VK(gpu, err,
            vkCreatePipelineCache(gpu->device, &info, NULL, &gpu->pipeline_cache));
    str_release(&file);
    return ok;
}

void gpu_pipeline_cache_save(struct gpu *gpu)
{
    size_t size = 0;
    char *data;

    if (gpu->cache_path == NULL || gpu->failed || gpu->pipeline_cache == VK_NULL_HANDLE ||
        gpu->kernel_count == 0)
        return;
    if (vkGetPipelineCacheData(gpu->device, gpu->pipeline_cache, &size, NULL) !=
            VK_SUCCESS ||
        size == 0 || size > CACHE_MAX_BYTES - SHA256_BYTES)
        return;
    data = alloc_zero(SHA256_BYTES + size);
    if (vkGetPipelineCacheData(gpu->device, gpu->pipeline_cache, &size,
                               data + SHA256_BYTES) == VK_SUCCESS) {
        struct err err = { .code = ERR_NONE };

        sha256_of(data + SHA256_BYTES, size, (unsigned char *)data);
        if (!file_replace(gpu->cache_path, data, SHA256_BYTES + size, &err))
            log_line(LOG_ERROR, "pipeline cache: %s", err.text);
    }
    free(data);
}
