// engine/gpu/memory.c
// SPDX-License-Identifier: MIT
//
// Buffers, each with memory of its own, and copies between host and device. Where device
// memory is host memory (traits.unified) every buffer is mapped and a copy is a memcpy;
// elsewhere copies go through one staging buffer.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/gpu/private.h"

#define STAGING_BYTES ((uint64_t)16 << 20)

#define HOST_FLAGS                                                                       \
    (VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)

static bool find_type(const struct gpu *gpu, uint32_t allowed,
                      VkMemoryPropertyFlags flags, uint32_t *type)
{
    for (uint32_t i = 0; i < gpu->memory_properties.memoryTypeCount; i++) {
        if ((allowed & (1u << i)) &&
            (gpu->memory_properties.memoryTypes[i].propertyFlags & flags) == flags) {
            *type = i;
            return true;
        }
    }
    return false;
}

// The first that exists of: what the placement wants most, what it can live with.
static bool choose_type(const struct gpu *gpu, uint32_t allowed,
                        enum gpu_placement placement, uint32_t *type)
{
    const VkMemoryPropertyFlags device = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;

    if (placement == GPU_PLACE_DEVICE) {
        if (gpu->traits.unified && find_type(gpu, allowed, device | HOST_FLAGS, type))
            return true;
        return find_type(gpu, allowed, device, type) || find_type(gpu, allowed, 0, type);
    }
    return find_type(gpu, allowed, HOST_FLAGS | VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                     type) ||
           find_type(gpu, allowed, HOST_FLAGS, type);
}

static bool bind_memory(struct gpu *gpu, struct gpu_buffer *buffer,
                        enum gpu_placement placement, struct err *err)
{
    VkMemoryRequirements needs;
    VkMemoryAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO };
    struct gpu_memory *memory = buffer->memory;

    vkGetBufferMemoryRequirements(gpu->device, memory->buffer, &needs);
    info.allocationSize = needs.size;
    if (!choose_type(gpu, needs.memoryTypeBits, placement, &info.memoryTypeIndex))
        return err_set(err, ERR_DEVICE, "%s: no fitting memory type", gpu->traits.name);
    if (!VK(gpu, err, vkAllocateMemory(gpu->device, &info, NULL, &memory->memory)) ||
        !VK(gpu, err, vkBindBufferMemory(gpu->device, memory->buffer, memory->memory, 0)))
        return false;
    if (!(gpu->memory_properties.memoryTypes[info.memoryTypeIndex].propertyFlags &
          VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT))
        return true;
    if (placement == GPU_PLACE_DEVICE && !gpu->traits.unified)
        return true;
    return VK(
        gpu, err,
        vkMapMemory(gpu->device, memory->memory, 0, VK_WHOLE_SIZE, 0, &buffer->mapped));
}

bool gpu_buffer_create(struct gpu *gpu, struct gpu_buffer *buffer, uint64_t size,
                       enum gpu_placement placement, const char *name, struct err *err)
{
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = (size + 15) / 16 * 16,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                 VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT,
    };

    *buffer = (struct gpu_buffer){ .size = info.size };
    if (!gpu_alive(gpu, err))
        return false;
    if (size == 0)
        bug("buffer %s of size 0", name);
    if (info.size > gpu->traits.max_allocation)
        return err_set(err, ERR_MEMORY,
                       "%s: needs %llu MiB in one piece, the device allows %llu MiB",
                       name, (unsigned long long)(info.size >> 20),
                       (unsigned long long)(gpu->traits.max_allocation >> 20));
    buffer->memory = alloc_zero(sizeof(*buffer->memory));
    if (!VK(gpu, err,
            vkCreateBuffer(gpu->device, &info, NULL, &buffer->memory->buffer)) ||
        !bind_memory(gpu, buffer, placement, err)) {
        if (err != NULL && err->code == ERR_MEMORY)
            err_set(
                err, ERR_MEMORY,
                "not enough device memory for %s: %llu MiB more on top of %llu MiB, the "
                "device has %llu MiB in all",
                name, (unsigned long long)(info.size >> 20),
                (unsigned long long)(gpu->allocated_bytes >> 20),
                (unsigned long long)(gpu->traits.memory_bytes >> 20));
        gpu_buffer_destroy(gpu, buffer);
        return false;
    }
    gpu->allocated_bytes += info.size;
    return true;
}

void gpu_buffer_destroy(struct gpu *gpu, struct gpu_buffer *buffer)
{
    if (buffer->memory == NULL)
        return;
    if (buffer->memory->memory != VK_NULL_HANDLE &&
        buffer->memory->buffer != VK_NULL_HANDLE && gpu->allocated_bytes >= buffer->size)
        gpu->allocated_bytes -= buffer->size;
    while (buffer->memory->views != NULL) {
        struct gpu_view *next = buffer->memory->views->next;

        if (!gpu->hung)
            vkDestroyBufferView(gpu->device, buffer->memory->views->view, NULL);
        free(buffer->memory->views);
        buffer->memory->views = next;
    }
    if (!gpu->hung) {
        vkDestroyBuffer(gpu->device, buffer->memory->buffer, NULL);
        vkFreeMemory(gpu->device, buffer->memory->memory, NULL);
    }
    free(buffer->memory);
    *buffer = (struct gpu_buffer){ .size = 0 };
}

uint64_t gpu_allocated_bytes(const struct gpu *gpu)
{
    return gpu->allocated_bytes;
}

static bool prepare_staging(struct gpu *gpu, struct err *err)
{
    if (gpu->staging.memory == NULL &&
        !gpu_buffer_create(gpu, &gpu->staging, STAGING_BYTES, GPU_PLACE_SHARED, "staging",
                           err))
        return false;
    if (gpu->transfers == NULL)
        gpu->transfers = gpu_recording_create(gpu, err);
    return gpu->transfers != NULL;
}

static bool copy_staged(struct gpu *gpu, const struct gpu_buffer *from,
                        uint64_t from_offset, const struct gpu_buffer *to,
                        uint64_t to_offset, uint64_t size, struct err *err)
{
    return gpu_record_begin(gpu->transfers, err) &&
           gpu_record_copy(gpu->transfers, from, from_offset, to, to_offset, size) &&
           gpu_record_end(gpu->transfers, err) && gpu_run(gpu->transfers, err);
}

bool gpu_write(struct gpu *gpu, struct gpu_buffer *buffer, uint64_t offset,
               const void *bytes, uint64_t size, struct err *err)
{
    const char *from = bytes;

    if (offset > buffer->size || size > buffer->size - offset)
        bug("write of %llu bytes at %llu past the end", (unsigned long long)size,
            (unsigned long long)offset);
    if (buffer->mapped != NULL) {
        memcpy((char *)buffer->mapped + offset, bytes, size);
        return true;
    }
    if (!prepare_staging(gpu, err))
        return false;
    while (size > 0) {
        uint64_t part = size < STAGING_BYTES ? size : STAGING_BYTES;

        memcpy(gpu->staging.mapped, from, part);
        if (!copy_staged(gpu, &gpu->staging, 0, buffer, offset, part, err))
            return false;
        from += part;
        offset += part;
        size -= part;
    }
    return true;
}

bool gpu_read(struct gpu *gpu, const struct gpu_buffer *buffer, uint64_t offset,
              void *bytes, uint64_t size, struct err *err)
{
    char *to = bytes;

    if (offset > buffer->size || size > buffer->size - offset)
        bug("read of %llu bytes at %llu past the end", (unsigned long long)size,
            (unsigned long long)offset);
    if (buffer->mapped != NULL) {
        memcpy(bytes, (const char *)buffer->mapped + offset, size);
        return true;
    }
    if (!prepare_staging(gpu, err))
        return false;
    while (size > 0) {
        uint64_t part = size < STAGING_BYTES ? size : STAGING_BYTES;

        if (!copy_staged(gpu, buffer, offset, &gpu->staging, 0, part, err))
            return false;
        memcpy(to, gpu->staging.mapped, part);
        to += part;
        offset += part;
        size -= part;
    }
    return true;
}

bool gpu_zero(struct gpu *gpu, struct gpu_buffer *buffer, struct err *err)
{
    void *zeros;
    bool ok = true;

    if (buffer->mapped != NULL) {
        memset(buffer->mapped, 0, buffer->size);
        return true;
    }
    zeros = alloc_zero(STAGING_BYTES);
    for (uint64_t at = 0; ok && at < buffer->size; at += STAGING_BYTES) {
        uint64_t left = buffer->size - at;

        ok = gpu_write(gpu, buffer, at, zeros,
                       left < STAGING_BYTES ? left : STAGING_BYTES, err);
    }
    free(zeros);
    return ok;
}
