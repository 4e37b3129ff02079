// tests/vulkan/layer_calls.h
// SPDX-License-Identifier: MIT
//
// The functions that the layer stands in for, by what they are called on. What each can
// fail with is from the Vulkan specification, "Return Codes" of its page: H host memory,
// D device memory, L device lost, T timeout, M map failed, P pool memory, O too many
// objects, I initialisation failed.

// CALL(name without vk, results, kind of object made, (parameters), (arguments)). The
// first parameter is dispatchable and called `on`.
#define DEVICE_CALLS(CALL)                                                               \
    CALL(AllocateMemory, "HDO", DeviceMemory,                                            \
         (VkDevice on, const VkMemoryAllocateInfo *info,                                 \
          const VkAllocationCallbacks *with, VkDeviceMemory *memory),                    \
         (on, info, with, memory))                                                       \
    CALL(BindBufferMemory, "HD", Nothing,                                                \
         (VkDevice on, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset),     \
         (on, buffer, memory, offset))                                                   \
    CALL(MapMemory, "HDM", Nothing,                                                      \
         (VkDevice on, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize size,    \
          VkMemoryMapFlags flags, void **data),                                          \
         (on, memory, offset, size, flags, data))                                        \
    CALL(CreateBuffer, "HD", Buffer,                                                     \
         (VkDevice on, const VkBufferCreateInfo *info,                                   \
          const VkAllocationCallbacks *with, VkBuffer *object),                          \
         (on, info, with, object))                                                       \
    CALL(CreateBufferView, "HD", BufferView,                                             \
         (VkDevice on, const VkBufferViewCreateInfo *info,                               \
          const VkAllocationCallbacks *with, VkBufferView *object),                      \
         (on, info, with, object))                                                       \
    CALL(CreateCommandPool, "HD", CommandPool,                                           \
         (VkDevice on, const VkCommandPoolCreateInfo *info,                              \
          const VkAllocationCallbacks *with, VkCommandPool *object),                     \
         (on, info, with, object))                                                       \
    CALL(AllocateCommandBuffers, "HD", Nothing,                                          \
         (VkDevice on, const VkCommandBufferAllocateInfo *info,                          \
          VkCommandBuffer *buffers),                                                     \
         (on, info, buffers))                                                            \
    CALL(CreateFence, "HD", Fence,                                                       \
         (VkDevice on, const VkFenceCreateInfo *info, const VkAllocationCallbacks *with, \
          VkFence *object),                                                              \
         (on, info, with, object))                                                       \
    CALL(ResetFences, "D", Nothing,                                                      \
         (VkDevice on, uint32_t count, const VkFence *fences), (on, count, fences))      \
    CALL(WaitForFences, "HDLT", Nothing,                                                 \
         (VkDevice on, uint32_t count, const VkFence *fences, VkBool32 all,              \
          uint64_t timeout),                                                             \
         (on, count, fences, all, timeout))                                              \
    CALL(CreateDescriptorPool, "HD", DescriptorPool,                                     \
         (VkDevice on, const VkDescriptorPoolCreateInfo *info,                           \
          const VkAllocationCallbacks *with, VkDescriptorPool *object),                  \
         (on, info, with, object))                                                       \
    CALL(AllocateDescriptorSets, "HDP", Nothing,                                         \
         (VkDevice on, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *sets),  \
         (on, info, sets))                                                               \
    CALL(CreateDescriptorSetLayout, "HD", DescriptorSetLayout,                           \
         (VkDevice on, const VkDescriptorSetLayoutCreateInfo *info,                      \
          const VkAllocationCallbacks *with, VkDescriptorSetLayout *object),             \
         (on, info, with, object))                                                       \
    CALL(CreatePipelineLayout, "HD", PipelineLayout,                                     \
         (VkDevice on, const VkPipelineLayoutCreateInfo *info,                           \
          const VkAllocationCallbacks *with, VkPipelineLayout *object),                  \
         (on, info, with, object))                                                       \
    CALL(CreateShaderModule, "HD", ShaderModule,                                         \
         (VkDevice on, const VkShaderModuleCreateInfo *info,                             \
          const VkAllocationCallbacks *with, VkShaderModule *object),                    \
         (on, info, with, object))                                                       \
    CALL(CreateComputePipelines, "HD", Pipeline,                                         \
         (VkDevice on, VkPipelineCache cache, uint32_t count,                            \
          const VkComputePipelineCreateInfo *infos, const VkAllocationCallbacks *with,   \
          VkPipeline *objects),                                                          \
         (on, cache, count, infos, with, objects))                                       \
    CALL(CreatePipelineCache, "HD", PipelineCache,                                       \
         (VkDevice on, const VkPipelineCacheCreateInfo *info,                            \
          const VkAllocationCallbacks *with, VkPipelineCache *object),                   \
         (on, info, with, object))                                                       \
    CALL(GetPipelineCacheData, "HD", Nothing,                                            \
         (VkDevice on, VkPipelineCache cache, size_t * size, void *data),                \
         (on, cache, size, data))                                                        \
    CALL(ResetCommandPool, "D", Nothing,                                                 \
         (VkDevice on, VkCommandPool pool, VkCommandPoolResetFlags flags),               \
         (on, pool, flags))                                                              \
    CALL(BeginCommandBuffer, "HD", Nothing,                                              \
         (VkCommandBuffer on, const VkCommandBufferBeginInfo *info), (on, info))         \
    CALL(EndCommandBuffer, "HD", Nothing, (VkCommandBuffer on), (on))                    \
    CALL(DeviceWaitIdle, "HDL", Nothing, (VkDevice on), (on))                            \
    CALL(QueueSubmit, "HDL", Nothing,                                                    \
         (VkQueue on, uint32_t count, const VkSubmitInfo *submits, VkFence fence),       \
         (on, count, submits, fence))

// END(kind, name of the function that ends it without vk): what is counted as alive.
#define DEVICE_OBJECTS(END)                                                              \
    END(DeviceMemory, FreeMemory)                                                        \
    END(Buffer, DestroyBuffer)                                                           \
    END(BufferView, DestroyBufferView)                                                   \
    END(CommandPool, DestroyCommandPool)                                                 \
    END(Fence, DestroyFence)                                                             \
    END(DescriptorPool, DestroyDescriptorPool)                                           \
    END(DescriptorSetLayout, DestroyDescriptorSetLayout)                                 \
    END(PipelineLayout, DestroyPipelineLayout)                                           \
    END(ShaderModule, DestroyShaderModule)                                               \
    END(Pipeline, DestroyPipeline)                                                       \
    END(PipelineCache, DestroyPipelineCache)
