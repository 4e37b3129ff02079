// engine/gpu/recording.c
// SPDX-License-Identifier: MIT
//
// Command buffers. A recording owns its command pool, fence and descriptor pools; it can
// be submitted any number of times without touching them again.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/gpu/private.h"

#define TIMEOUT_NS     ((uint64_t)10 * 1000 * 1000 * 1000)
#define SETS_PER_POOL  256
#define TYPES_PER_POOL (SETS_PER_POOL * 6)

struct descriptor_pool {
    struct descriptor_pool *next;
    VkDescriptorPool pool;
};

struct gpu_recording {
    struct gpu *gpu;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence fence;
    struct descriptor_pool *pools;   // all, in no order
    struct descriptor_pool *current; // the one being filled; those before it are full
};

struct gpu_recording *gpu_recording_create(struct gpu *gpu, struct err *err)
{
    struct gpu_recording *recording = alloc_zero(sizeof(*recording));
    VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .queueFamilyIndex = gpu->queue_family,
    };
    VkCommandBufferAllocateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 1,
    };
    VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };

    recording->gpu = gpu;
    if (!VK(gpu, err, vkCreateCommandPool(gpu->device, &pool, NULL, &recording->pool)))
        goto fail;
    commands.commandPool = recording->pool;
    if (!VK(gpu, err,
            vkAllocateCommandBuffers(gpu->device, &commands, &recording->commands)) ||
        !VK(gpu, err, vkCreateFence(gpu->device, &fence, NULL, &recording->fence)))
        goto fail;
    return recording;

fail:
    gpu_recording_destroy(&recording);
    return NULL;
}

void gpu_recording_destroy(struct gpu_recording **handle)
{
    struct gpu_recording *recording = *handle;

    if (recording == NULL)
        return;
    while (recording->pools != NULL) {
        struct descriptor_pool *next = recording->pools->next;

        if (!recording->gpu->hung)
            vkDestroyDescriptorPool(recording->gpu->device, recording->pools->pool, NULL);
        free(recording->pools);
        recording->pools = next;
    }
    if (!recording->gpu->hung) {
        vkDestroyFence(recording->gpu->device, recording->fence, NULL);
        vkDestroyCommandPool(recording->gpu->device, recording->pool, NULL);
    }
    free(recording);
    *handle = NULL;
}

bool gpu_record_begin(struct gpu_recording *recording, struct err *err)
{
    struct gpu *gpu = recording->gpu;
    VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
    };

    if (!gpu_alive(gpu, err))
        return false;
    for (struct descriptor_pool *pool = recording->pools; pool != NULL; pool = pool->next)
        if (!VK(gpu, err, vkResetDescriptorPool(gpu->device, pool->pool, 0)))
            return false;
    recording->current = recording->pools;
    return VK(gpu, err, vkResetCommandPool(gpu->device, recording->pool, 0)) &&
           VK(gpu, err, vkBeginCommandBuffer(recording->commands, &begin));
}

static bool add_pool(struct gpu_recording *recording, struct err *err)
{
    VkDescriptorPoolSize sizes[] = {
        { VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, TYPES_PER_POOL },
        { VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, TYPES_PER_POOL },
    };
    VkDescriptorPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = SETS_PER_POOL,
        .poolSizeCount = 2,
        .pPoolSizes = sizes,
    };
    struct descriptor_pool *pool = alloc_zero(sizeof(*pool));

    if (!VK(recording->gpu, err,
            vkCreateDescriptorPool(recording->gpu->device, &info, NULL, &pool->pool))) {
        free(pool);
        return false;
    }
    if (recording->current != NULL)
        recording->current->next = pool;
    else
        recording->pools = pool;
    recording->current = pool;
    return true;
}

static bool allocate_set(struct gpu_recording *recording, const struct gpu_kernel *kernel,
                         VkDescriptorSet *set, struct err *err)
{
    VkDescriptorSetAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorSetCount = 1,
        .pSetLayouts = &kernel->set_layout,
    };

    for (int attempt = 0; attempt < 2; attempt++) {
        if (recording->current != NULL) {
            VkResult result;

            info.descriptorPool = recording->current->pool;
            result = vkAllocateDescriptorSets(recording->gpu->device, &info, set);
            if (result != VK_ERROR_OUT_OF_POOL_MEMORY &&
                result != VK_ERROR_FRAGMENTED_POOL)
                return gpu_check(recording->gpu, err, result, "vkAllocateDescriptorSets");
        }
        if (recording->current != NULL && recording->current->next != NULL)
            recording->current = recording->current->next;
        else if (!add_pool(recording, err))
            return false;
    }
    return err_set(err, ERR_DEVICE,
                   "vkAllocateDescriptorSets: a fresh pool is too small");
}

// The view of a range, made once per buffer and range. All texel buffers are read as
// uvec4.
static bool find_view(struct gpu *gpu, const struct gpu_binding *binding, uint64_t size,
                      VkBufferView *view, struct err *err)
{
    struct gpu_memory *memory = binding->buffer->memory;
    VkBufferViewCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
        .buffer = memory->buffer,
        .format = VK_FORMAT_R32G32B32A32_UINT,
        .offset = binding->offset,
        .range = size,
    };
    struct gpu_view *entry;

    for (entry = memory->views; entry != NULL; entry = entry->next) {
        if (entry->offset == binding->offset && entry->size == size) {
            *view = entry->view;
            return true;
        }
    }
    if (size / 16 > gpu->traits.max_texels)
        bug("a texel buffer of %llu bytes", (unsigned long long)size);
    entry = alloc_zero(sizeof(*entry));
    if (!VK(gpu, err, vkCreateBufferView(gpu->device, &info, NULL, &entry->view))) {
        free(entry);
        return false;
    }
    entry->offset = binding->offset;
    entry->size = size;
    entry->next = memory->views;
    memory->views = entry;
    *view = entry->view;
    return true;
}

static bool write_set(struct gpu *gpu, const struct gpu_kernel *kernel,
                      VkDescriptorSet set, const struct gpu_binding *bindings,
                      struct err *err)
{
    VkWriteDescriptorSet writes[GPU_MAX_BINDINGS];
    VkDescriptorBufferInfo buffers[GPU_MAX_BINDINGS];
    VkBufferView views[GPU_MAX_BINDINGS];

    for (uint32_t i = 0; i < kernel->binding_count; i++) {
        const struct gpu_binding *binding = &bindings[i];
        uint64_t size =
            binding->size > 0 ? binding->size : binding->buffer->size - binding->offset;

        if (binding->offset + size > binding->buffer->size)
            bug("%s: binding %u reaches past its buffer", kernel->name, i);
        writes[i] = (VkWriteDescriptorSet){
            .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
            .dstSet = set,
            .dstBinding = i,
            .descriptorCount = 1,
            .descriptorType = kernel->types[i],
            .pBufferInfo = &buffers[i],
            .pTexelBufferView = &views[i],
        };
        buffers[i] = (VkDescriptorBufferInfo){ binding->buffer->memory->buffer,
                                               binding->offset, size };
        if (kernel->types[i] == VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER) {
            if (!find_view(gpu, binding, size, &views[i], err))
                return false;
        } else if (size > gpu->traits.max_range) {
            bug("%s: binding %u is larger than a storage buffer may be", kernel->name, i);
        }
    }
    vkUpdateDescriptorSets(gpu->device, (uint32_t)kernel->binding_count, writes, 0, NULL);
    return true;
}

bool gpu_record(struct gpu_recording *recording, struct gpu_kernel *kernel,
                const struct gpu_binding *bindings, size_t binding_count,
                const void *push, size_t push_size, uint32_t x, uint32_t y, uint32_t z,
                struct err *err)
{
    const struct gpu_traits *traits = &recording->gpu->traits;
    VkDescriptorSet set;

    if (binding_count != kernel->binding_count || push_size > GPU_MAX_PUSH)
        bug("%s.%s takes %zu bindings, not %zu", kernel->name, kernel->variant,
            kernel->binding_count, binding_count);
    if (x > traits->max_groups[0] || y > traits->max_groups[1] ||
        z > traits->max_groups[2])
        return err_set(err, ERR_LIMIT, "%s: %u x %u x %u workgroups are too many for %s",
                       kernel->name, x, y, z, traits->name);
    if (!allocate_set(recording, kernel, &set, err) ||
        !write_set(recording->gpu, kernel, set, bindings, err))
        return false;
    vkCmdBindPipeline(recording->commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                      kernel->pipeline);
    vkCmdBindDescriptorSets(recording->commands, VK_PIPELINE_BIND_POINT_COMPUTE,
                            kernel->layout, 0, 1, &set, 0, NULL);
    if (push_size > 0)
        vkCmdPushConstants(recording->commands, kernel->layout,
                           VK_SHADER_STAGE_COMPUTE_BIT, 0, (uint32_t)push_size, push);
    vkCmdDispatch(recording->commands, x, y, z);
    return true;
}

bool gpu_record_copy(struct gpu_recording *recording, const struct gpu_buffer *from,
                     uint64_t from_offset, const struct gpu_buffer *to,
                     uint64_t to_offset, uint64_t size)
{
    VkBufferCopy region = { from_offset, to_offset, size };

    vkCmdCopyBuffer(recording->commands, from->memory->buffer, to->memory->buffer, 1,
                    &region);
    return true;
}

static void barrier(struct gpu_recording *recording, VkPipelineStageFlags to_stages,
                    VkAccessFlags to_access)
{
    VkMemoryBarrier memory = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = to_access,
    };

    vkCmdPipelineBarrier(recording->commands,
                         VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
                             VK_PIPELINE_STAGE_TRANSFER_BIT,
                         to_stages, 0, 1, &memory, 0, NULL, 0, NULL);
}

void gpu_record_barrier(struct gpu_recording *recording)
{
    barrier(recording,
            VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
}

bool gpu_record_end(struct gpu_recording *recording, struct err *err)
{
    barrier(recording,
            VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
                VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_HOST_READ_BIT | VK_ACCESS_SHADER_READ_BIT |
                VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT |
                VK_ACCESS_TRANSFER_WRITE_BIT);
    return VK(recording->gpu, err, vkEndCommandBuffer(recording->commands));
}

// Waits for what was submitted. When that fails it may run on: nobody can tell until
// when.
static bool wait_for(struct gpu_recording *recording, struct err *err)
{
    struct gpu *gpu = recording->gpu;
    VkResult result =
        vkWaitForFences(gpu->device, 1, &recording->fence, VK_TRUE, TIMEOUT_NS);

    if (result == VK_SUCCESS)
        return true;
    gpu->failed = true;
    gpu->hung = result != VK_ERROR_DEVICE_LOST;
    if (result == VK_TIMEOUT)
        err_set(err, ERR_DEVICE, "no answer within %d seconds",
                (int)(TIMEOUT_NS / 1000000000));
    else
        gpu_check(gpu, err, result, "vkWaitForFences");
    if (err != NULL)
        err->code = ERR_LOST;
    return err_prefix(err, "%s", gpu->traits.name);
}

bool gpu_run(struct gpu_recording *recording, struct err *err)
{
    struct gpu *gpu = recording->gpu;
    VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .commandBufferCount = 1,
        .pCommandBuffers = &recording->commands,
    };

    return gpu_alive(gpu, err) &&
           VK(gpu, err, vkResetFences(gpu->device, 1, &recording->fence)) &&
           VK(gpu, err, vkQueueSubmit(gpu->queue, 1, &submit, recording->fence)) &&
           wait_for(recording, err);
}
