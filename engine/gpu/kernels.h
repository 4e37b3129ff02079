// engine/gpu/kernels.h
// SPDX-License-Identifier: MIT
//
// One typed call for each kernel: it picks the variant that suits the device, fills the
// constants and records one dispatch. No barriers. Formulas and layouts stand at the head
// of the shaders. Products with weights are in engine/model/matrix.h.
#ifndef ORIEL_ENGINE_GPU_KERNELS_H
#define ORIEL_ENGINE_GPU_KERNELS_H

#include "engine/gpu/gpu.h"

// The variant that would be picked, for `oriel devices`: operation, variant, and why.
struct kernel_choice {
    const char *operation, *variant, *why;
};
size_t kernel_choices(const struct gpu_traits *traits, struct kernel_choice *choices,
                      size_t max);

struct rms_norm_call {
    const struct gpu_buffer *x, *weight, *y;
    uint32_t width, stride;
    uint32_t first, rows; // rows [first, first + rows) of x and y
    uint32_t column;      // where the values begin in a row
    float epsilon;
    bool accumulate; // y += instead of y =
};
bool kernel_rms_norm(struct gpu *gpu, struct gpu_recording *recording,
                     const struct rms_norm_call *call, struct err *err);

struct rope_call {
    const struct gpu_buffer *x, *angles, *step, *queries, *key_cache, *value_cache;
    const struct gpu_buffer *query_norm, *key_norm; // both or neither
    uint32_t heads, kv_heads, head_dim, rotated;
    uint32_t stride, context, tokens;
    float epsilon;
    bool split;       // pairs (i, i + rotated / 2)
    bool exact_cache; // floats instead of halves
};
bool kernel_rope(struct gpu *gpu, struct gpu_recording *recording,
                 const struct rope_call *call, struct err *err);

struct attention_call {
    const struct gpu_buffer *queries, *key_cache, *value_cache, *step, *y;
    uint32_t heads, kv_heads, head_dim;
    uint32_t stride, context, tokens;
    uint32_t window; // 0: none
    float scale, cap;
    bool exact_cache;
    bool together; // the tokens see one another, whatever the window
};
bool kernel_attention(struct gpu *gpu, struct gpu_recording *recording,
                      const struct attention_call *call, struct err *err);

// The numbers of shaders/include/activation.glsl.
enum kernel_activation { KERNEL_SILU, KERNEL_GELU_TANH, KERNEL_GELU, KERNEL_GELU_QUICK };

struct glu_call {
    const struct gpu_buffer *x, *y;
    enum kernel_activation activation;
    uint32_t width, x_stride, up_offset, y_stride, items;
};
bool kernel_glu(struct gpu *gpu, struct gpu_recording *recording,
                const struct glu_call *call, struct err *err);

struct layer_norm_call {
    const struct gpu_buffer *x, *weight, *bias, *y;
    uint32_t width, stride, rows;
    float epsilon;
};
bool kernel_layer_norm(struct gpu *gpu, struct gpu_recording *recording,
                       const struct layer_norm_call *call, struct err *err);

struct activate_call {
    const struct gpu_buffer *x; // in place
    enum kernel_activation activation;
    uint32_t width, stride, items;
};
bool kernel_activate(struct gpu *gpu, struct gpu_recording *recording,
                     const struct activate_call *call, struct err *err);

struct add_call {
    const struct gpu_buffer *x, *y;
    const struct gpu_buffer *scale; // or NULL
    uint32_t width, x_stride, y_stride, items;
};
bool kernel_add(struct gpu *gpu, struct gpu_recording *recording,
                const struct add_call *call, struct err *err);

struct merge_call {
    const struct gpu_buffer *x, *y;
    uint32_t width, parts, x_stride, y_stride, items;
    uint32_t first; // row of y
    bool pool, interleaved;
};
bool kernel_merge(struct gpu *gpu, struct gpu_recording *recording,
                  const struct merge_call *call, struct err *err);

struct vision_heads_call {
    const struct gpu_buffer *x, *y;
    const struct gpu_buffer *angles; // NULL: nothing turns
    uint32_t heads, head_dim, stride, column, room;
    uint32_t first, tokens;
    bool split; // pairs (i, i + head_dim / 2)
};
bool kernel_vision_heads(struct gpu *gpu, struct gpu_recording *recording,
                         const struct vision_heads_call *call, struct err *err);

// (first query, how many, first position, end of positions)
typedef uint32_t vision_block[4];

struct vision_attention_call {
    const struct gpu_buffer *queries, *keys, *values, *blocks, *y;
    uint32_t head_dim, query_room, key_room, stride;
    uint32_t first_head, heads; // that this call computes
    uint32_t first_block, block_count;
    uint32_t first_query, first_column;
    float scale;
};
bool kernel_vision_attention(struct gpu *gpu, struct gpu_recording *recording,
                             const struct vision_attention_call *call, struct err *err);

// The most queries of a block.
uint32_t kernel_vision_block(const struct gpu *gpu, uint32_t head_dim);

struct route_call {
    const struct gpu_buffer *scores, *chosen, *weights;
    uint32_t experts, used, tokens, stride;
    float scale;
    bool normalise;
};
bool kernel_route(struct gpu *gpu, struct gpu_recording *recording,
                  const struct route_call *call, struct err *err);

struct mix_call {
    const struct gpu_buffer *x, *weights, *y;
    uint32_t used, width, stride, tokens;
};
bool kernel_mix(struct gpu *gpu, struct gpu_recording *recording,
                const struct mix_call *call, struct err *err);

// x: rows of b, c and x, `width` each; weights: [width][taps]; cache: [context][width].
struct short_conv_call {
    const struct gpu_buffer *x, *weights, *step, *cache, *y;
    uint32_t width, taps, x_stride, y_stride, tokens;
};
bool kernel_short_conv(struct gpu *gpu, struct gpu_recording *recording,
                       const struct short_conv_call *call, struct err *err);

bool kernel_softcap(struct gpu *gpu, struct gpu_recording *recording,
                    const struct gpu_buffer *y, uint32_t count, float cap,
                    struct err *err);

// peaks: [slices of 64] (maximum, sum of exp(value - maximum)).
bool kernel_slice_peaks(struct gpu *gpu, struct gpu_recording *recording,
                        const struct gpu_buffer *logits, uint32_t count,
                        const struct gpu_buffer *peaks, struct err *err);

// For measuring limits: reads all of x that divides evenly, or does `rounds` of
// multiply-adds per invocation; says how much that is. y: KERNEL_LIMITS_INVOCATIONS
// floats.
enum { KERNEL_LIMITS_INVOCATIONS = 1 << 15 };
bool kernel_limits_read(struct gpu *gpu, struct gpu_recording *recording,
                        const struct gpu_buffer *x, const struct gpu_buffer *y,
                        uint64_t *bytes, struct err *err);
bool kernel_limits_arithmetic(struct gpu *gpu, struct gpu_recording *recording,
                              const struct gpu_buffer *x, const struct gpu_buffer *y,
                              uint32_t rounds, uint64_t *multiply_adds, struct err *err);

#endif
