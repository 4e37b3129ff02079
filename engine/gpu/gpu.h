// engine/gpu/gpu.h
// SPDX-License-Identifier: MIT
//
// Vulkan compute, reduced to what the engine needs: a device with its traits, buffers,
// kernels out of the table in shaders/variants.tsv, and recordings that are submitted and
// waited for. Nothing above this room names a Vulkan type.
//
// Files: device.c (instance, choice, queue), traits.c (what the device can do), memory.c
// (buffers, transfers), pipeline.c (kernels, pipeline cache), recording.c (command
// buffers, submission).
//
// Invariants: (1) once a device is lost every later call fails at once with ERR_LOST;
// what may still be in use by a device that does not answer is never freed. (2) A buffer
// or kernel outlives each recording that names it. (3) What a new buffer holds is
// undefined. One thread at a time.
#ifndef ORIEL_ENGINE_GPU_GPU_H
#define ORIEL_ENGINE_GPU_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum gpu_device_type { GPU_OTHER, GPU_INTEGRATED, GPU_DISCRETE, GPU_VIRTUAL, GPU_CPU };

// What the device can do, read once. Kernel variants are chosen by these alone. Traits
// named in ORIEL_DISABLE (comma-separated: subgroup, texel, fp16, ...) are masked out, so
// that each path can be run on a device that has more. ORIEL_ENABLE sets those that are
// a judgement about speed (tiles), so that each path can be run on a software driver.
struct gpu_traits {
    char name[256];
    char driver[256];
    uint32_t api_version;
    enum gpu_device_type type;
    uint64_t memory_bytes;      // of the largest device-local heap
    uint64_t max_range;         // bytes that one storage-buffer binding can reach
    uint64_t max_allocation;    // bytes
    uint32_t max_texels;        // elements of one texel buffer
    uint32_t max_shared_bytes;  // per workgroup
    uint32_t max_invocations;   // per workgroup
    uint32_t max_groups[3];     // per dispatch
    uint32_t storage_alignment; // of binding offsets
    uint32_t texel_alignment;   // of buffer view offsets
    uint32_t subgroup_size;
    bool subgroup;  // arithmetic and shuffle within a subgroup, in compute shaders
    bool texel;     // fetching 128 bits through a texel buffer is the fast way to load
    bool tiles;     // shared memory is fast and a barrier cheap
    bool unified;   // device memory is host memory: no staging
    bool fp16;      // 16-bit float arithmetic
    bool storage16; // 16-bit values in storage buffers
    bool int8;      // 8-bit integer arithmetic
    bool storage8;  // 8-bit values in storage buffers
    bool dot8;      // accelerated 8-bit dot product
    bool timestamps;
    double timestamp_ns;
};

// "subgroup,texel" -> whether the device has all of them. Unknown names are a bug.
bool gpu_traits_have(const struct gpu_traits *traits, const char *names);

struct gpu;
struct gpu_params {
    const char *device;          // index, or part of a name; NULL: the best
    const char *cache_directory; // pipeline cache; NULL: none
};
struct gpu *gpu_open(const struct gpu_params *params, struct err *err);
void gpu_close(struct gpu **gpu);
const struct gpu_traits *gpu_traits(const struct gpu *gpu);

// All devices of the machine. *list is allocated (free it); 0 with err set when there is
// no Vulkan at all.
size_t gpu_list(struct gpu_traits **list, struct err *err);

// ---------------------------------------------------------------------------
// Buffers

enum gpu_placement {
    GPU_PLACE_DEVICE, // fastest for kernels
    GPU_PLACE_SHARED, // mapped: small parameters and results
};

struct gpu_buffer {
    uint64_t size;
    void *mapped; // not NULL: the host may read and write while no recording runs
    struct gpu_memory *memory; // private
};

// name is for the validation layer and messages. ERR_MEMORY gives the numbers.
bool gpu_buffer_create(struct gpu *gpu, struct gpu_buffer *buffer, uint64_t size,
                       enum gpu_placement placement, const char *name, struct err *err);
void gpu_buffer_destroy(struct gpu *gpu,
                        struct gpu_buffer *buffer); // accepts a zeroed one

// Copies between host and buffer, whatever the placement; returns when done.
bool gpu_write(struct gpu *gpu, struct gpu_buffer *buffer, uint64_t offset,
               const void *bytes, uint64_t size, struct err *err);
bool gpu_read(struct gpu *gpu, const struct gpu_buffer *buffer, uint64_t offset,
              void *bytes, uint64_t size, struct err *err);

bool gpu_zero(struct gpu *gpu, struct gpu_buffer *buffer, struct err *err);

uint64_t gpu_allocated_bytes(const struct gpu *gpu);

// ---------------------------------------------------------------------------
// Kernels

#define GPU_MAX_BINDINGS  12
#define GPU_MAX_CONSTANTS 16
#define GPU_MAX_PUSH      128 // bytes; the guaranteed minimum

struct gpu_kernel; // owned by the gpu; the same request gives the same kernel

// Finds the variant in the shader table and compiles it with constants[i] as
// specialisation constant i. ERR_DEVICE when the driver refuses. A name that is not in
// the table, or a variant whose traits the device lacks, is a bug.
struct gpu_kernel *gpu_kernel(struct gpu *gpu, const char *kernel, const char *variant,
                              const uint32_t *constants, size_t count, struct err *err);

// How many kernels have been compiled, for progress.
size_t gpu_kernel_count(const struct gpu *gpu);

// ---------------------------------------------------------------------------
// Recordings

// Bytes [offset, offset + size) of a buffer; size 0: to its end.
struct gpu_binding {
    const struct gpu_buffer *buffer;
    uint64_t offset, size;
};

struct gpu_recording; // commands that can be submitted any number of times

struct gpu_recording *gpu_recording_create(struct gpu *gpu, struct err *err);
void gpu_recording_destroy(struct gpu_recording **recording);

// Starts over: what was recorded is gone.
bool gpu_record_begin(struct gpu_recording *recording, struct err *err);

// Adds one dispatch of x * y * z workgroups. bindings follow the shader's binding
// numbers; push is copied.
bool gpu_record(struct gpu_recording *recording, struct gpu_kernel *kernel,
                const struct gpu_binding *bindings, size_t binding_count,
                const void *push, size_t push_size, uint32_t x, uint32_t y, uint32_t z,
                struct err *err);

// Everything recorded before is visible to everything recorded after.
void gpu_record_barrier(struct gpu_recording *recording);

bool gpu_record_end(struct gpu_recording *recording, struct err *err);

// Submits and waits. Fails with ERR_LOST when the device is lost or does not answer
// within ten seconds.
bool gpu_run(struct gpu_recording *recording, struct err *err);

#endif
