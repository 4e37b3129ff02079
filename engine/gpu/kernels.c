// engine/gpu/kernels.c
// SPDX-License-Identifier: MIT
#include "engine/gpu/kernels.h"

#include <stdio.h>
#include <string.h>

#include "engine/gpu/private.h"
#include "shaders/shaders.h"

// ---------------------------------------------------------------------------
// Choice of variants

// The most specific name first: the first whose traits the device has is taken.
struct preference {
    const char *kernel;
    const char *variants[4];
};

static const struct preference preferences[] = {
    { "rms_norm", { "subgroup", "shared" } },
    { "rope", { "subgroup", "shared" } },
    { "attention", { "subgroup_texel", "subgroup", "shared_texel", "shared" } },
    { "slice_peaks", { "texel", "buffer" } },
    { "glu", { "f32" } },
    { "route", { "f32" } },
    { "mix", { "f32" } },
    { "softcap", { "f32" } },
    { "short_conv", { "f32" } },
    { "matvec", { "q4h_texel", "q4h" } },
    { "matmul", { "q4h_texel", "q4h" } },
    { "embed", { "q4h" } },
    { "layer_norm", { "subgroup", "shared" } },
    { "activate", { "f32" } },
    { "add", { "f32" } },
    { "merge", { "f32" } },
    { "vision_heads", { "f32" } },
    { "vision_attention", { "texel", "buffer" } },
};

// Takes the place of matmul where the device has the trait.
static const struct preference tiled = { "matmul_tiled", { "q4h" } };

static const struct shader *choose(const struct gpu_traits *traits,
                                   const struct preference *preference)
{
    for (size_t i = 0; i < 4 && preference->variants[i] != NULL; i++) {
        const struct shader *shader =
            gpu_find_shader(preference->kernel, preference->variants[i]);

        if (gpu_traits_have(traits, shader->traits))
            return shader;
    }
    bug("no variant of %s for any device", preference->kernel);
}

static const char *variant_of(const struct gpu *gpu, const char *kernel)
{
    for (size_t i = 0; i < sizeof(preferences) / sizeof(preferences[0]); i++)
        if (strcmp(preferences[i].kernel, kernel) == 0)
            return choose(gpu_traits(gpu), &preferences[i])->variant;
    bug("no preference for %s", kernel);
}

size_t kernel_choices(const struct gpu_traits *traits, struct kernel_choice *choices,
                      size_t max)
{
    size_t count = sizeof(preferences) / sizeof(preferences[0]);

    for (size_t i = 0; i < count && i < max; i++) {
        bool tiles = traits->tiles && strcmp(preferences[i].kernel, "matmul") == 0;
        const struct shader *shader = choose(traits, tiles ? &tiled : &preferences[i]);

        choices[i] =
            (struct kernel_choice){ shader->kernel, shader->variant, shader->why };
    }
    return count < max ? count : max;
}

// Kernels with a workgroup per row: one subgroup where the variant is for that.
static uint32_t row_workgroup(const struct gpu *gpu, const char *variant)
{
    if (strncmp(variant, "subgroup", 8) == 0)
        return gpu_traits(gpu)->subgroup_size;
    return gpu_traits(gpu)->type == GPU_CPU ? 8 : 64;
}

static uint32_t flat_workgroup(const struct gpu *gpu)
{
    return gpu_traits(gpu)->type == GPU_CPU ? 32 : 128;
}

static uint32_t groups(uint32_t count, uint32_t workgroup)
{
    return (count + workgroup - 1) / workgroup;
}

// ---------------------------------------------------------------------------

bool kernel_rms_norm(struct gpu *gpu, struct gpu_recording *recording,
                     const struct rms_norm_call *call, struct err *err)
{
    const char *variant = variant_of(gpu, "rms_norm");
    uint32_t constants[] = { row_workgroup(gpu, variant), call->accumulate };
    struct {
        uint32_t width, stride;
        float epsilon;
        uint32_t first, column;
    } push = { call->width, call->stride, call->epsilon, call->first, call->column };
    struct gpu_binding bindings[] = { { call->x, 0, 0 },
                                      { call->weight, 0, 0 },
                                      { call->y, 0, 0 } };
    struct gpu_kernel *kernel = gpu_kernel(gpu, "rms_norm", variant, constants, 2, err);

    return kernel != NULL && gpu_record(recording, kernel, bindings, 3, &push,
                                        sizeof(push), call->rows, 1, 1, err);
}

bool kernel_rope(struct gpu *gpu, struct gpu_recording *recording,
                 const struct rope_call *call, struct err *err)
{
    const char *base = variant_of(gpu, "rope");
    bool norm = call->query_norm != NULL;
    uint32_t constants[] = { row_workgroup(gpu, base),
                             call->head_dim,
                             call->rotated,
                             call->split,
                             norm,
                             call->heads,
                             call->kv_heads };
    struct {
        uint32_t stride, context;
        float epsilon;
    } push = { call->stride, call->context, call->epsilon };
    struct gpu_binding bindings[] = {
        { call->x, 0, 0 },
        { call->angles, 0, 0 },
        { call->step, 0, 0 },
        { call->queries, 0, 0 },
        { call->key_cache, 0, 0 },
        { call->value_cache, 0, 0 },
        { norm ? call->query_norm : call->x, 0, 0 }, // x stands in for what is not there
        { norm ? call->key_norm : call->x, 0, 0 },
    };
    char variant[32];
    struct gpu_kernel *kernel;

    snprintf(variant, sizeof(variant), "%s%s", base, call->exact_cache ? "_f32" : "");
    kernel = gpu_kernel(gpu, "rope", variant, constants, 7, err);
    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 8, &push, sizeof(push),
                      call->heads + 2 * call->kv_heads, call->tokens, 1, err);
}

bool kernel_attention(struct gpu *gpu, struct gpu_recording *recording,
                      const struct attention_call *call, struct err *err)
{
    const char *base = variant_of(gpu, "attention");
    uint32_t constants[] = { row_workgroup(gpu, base), call->head_dim, call->heads,
                             call->kv_heads, gpu_traits(gpu)->type == GPU_CPU };
    struct {
        uint32_t stride, context, window, together;
        float scale, cap;
    } push = { call->stride, call->context,
               call->window, call->together ? call->tokens : 0,
               call->scale,  call->cap };
    struct gpu_binding bindings[] = {
        { call->queries, 0, 0 }, { call->key_cache, 0, 0 }, { call->value_cache, 0, 0 },
        { call->step, 0, 0 },    { call->y, 0, 0 },
    };
    char variant[32];
    struct gpu_kernel *kernel;

    snprintf(variant, sizeof(variant), "%s%s", base, call->exact_cache ? "_f32" : "");
    kernel = gpu_kernel(gpu, "attention", variant, constants, 5, err);
    return kernel != NULL && gpu_record(recording, kernel, bindings, 5, &push,
                                        sizeof(push), call->heads, call->tokens, 1, err);
}

bool kernel_glu(struct gpu *gpu, struct gpu_recording *recording,
                const struct glu_call *call, struct err *err)
{
    uint32_t constants[] = { flat_workgroup(gpu), call->activation };
    struct {
        uint32_t width, x_stride, up_offset, y_stride;
    } push = { call->width, call->x_stride, call->up_offset, call->y_stride };
    struct gpu_binding bindings[] = { { call->x, 0, 0 }, { call->y, 0, 0 } };
    struct gpu_kernel *kernel =
        gpu_kernel(gpu, "glu", variant_of(gpu, "glu"), constants, 2, err);

    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 2, &push, sizeof(push),
                      groups(call->width, constants[0]), call->items, 1, err);
}

bool kernel_layer_norm(struct gpu *gpu, struct gpu_recording *recording,
                       const struct layer_norm_call *call, struct err *err)
{
    const char *variant = variant_of(gpu, "layer_norm");
    uint32_t workgroup = row_workgroup(gpu, variant);
    struct {
        uint32_t width, stride;
        float epsilon;
    } push = { call->width, call->stride, call->epsilon };
    struct gpu_binding bindings[] = {
        { call->x, 0, 0 },
        { call->weight, 0, 0 },
        { call->bias, 0, 0 },
        { call->y, 0, 0 },
    };
    struct gpu_kernel *kernel =
        gpu_kernel(gpu, "layer_norm", variant, &workgroup, 1, err);

    return kernel != NULL && gpu_record(recording, kernel, bindings, 4, &push,
                                        sizeof(push), call->rows, 1, 1, err);
}

bool kernel_activate(struct gpu *gpu, struct gpu_recording *recording,
                     const struct activate_call *call, struct err *err)
{
    uint32_t constants[] = { flat_workgroup(gpu), call->activation };
    struct {
        uint32_t width, stride;
    } push = { call->width, call->stride };
    struct gpu_binding binding = { call->x, 0, 0 };
    struct gpu_kernel *kernel =
        gpu_kernel(gpu, "activate", variant_of(gpu, "activate"), constants, 2, err);

    return kernel != NULL &&
           gpu_record(recording, kernel, &binding, 1, &push, sizeof(push),
                      groups(call->width, constants[0]), call->items, 1, err);
}

bool kernel_add(struct gpu *gpu, struct gpu_recording *recording,
                const struct add_call *call, struct err *err)
{
    uint32_t constants[] = { flat_workgroup(gpu), call->scale != NULL };
    struct {
        uint32_t width, x_stride, y_stride;
    } push = { call->width, call->x_stride, call->y_stride };
    struct gpu_binding bindings[] = {
        { call->x, 0, 0 },
        { call->scale != NULL ? call->scale : call->x, 0, 0 }, // or a stand-in
        { call->y, 0, 0 },
    };
    struct gpu_kernel *kernel =
        gpu_kernel(gpu, "add", variant_of(gpu, "add"), constants, 2, err);

    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 3, &push, sizeof(push),
                      groups(call->width, constants[0]), call->items, 1, err);
}

bool kernel_merge(struct gpu *gpu, struct gpu_recording *recording,
                  const struct merge_call *call, struct err *err)
{
    uint32_t constants[] = { flat_workgroup(gpu), call->pool, call->interleaved };
    uint32_t width = call->pool ? call->width : call->width * call->parts;
    struct {
        uint32_t width, parts, x_stride, y_stride, first;
    } push = { call->width, call->parts, call->x_stride, call->y_stride, call->first };
    struct gpu_binding bindings[] = { { call->x, 0, 0 }, { call->y, 0, 0 } };
    struct gpu_kernel *kernel =
        gpu_kernel(gpu, "merge", variant_of(gpu, "merge"), constants, 3, err);

    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 2, &push, sizeof(push),
                      groups(width, constants[0]), call->items, 1, err);
}

bool kernel_vision_heads(struct gpu *gpu, struct gpu_recording *recording,
                         const struct vision_heads_call *call, struct err *err)
{
    uint32_t constants[] = { flat_workgroup(gpu), call->head_dim, call->angles != NULL,
                             call->split };
    struct {
        uint32_t heads, stride, column, room, first;
    } push = { call->heads, call->stride, call->column, call->room, call->first };
    struct gpu_binding bindings[] = {
        { call->x, 0, 0 },
        { call->angles != NULL ? call->angles : call->x, 0, 0 }, // or a stand-in
        { call->y, 0, 0 },
    };
    struct gpu_kernel *kernel = gpu_kernel(
        gpu, "vision_heads", variant_of(gpu, "vision_heads"), constants, 4, err);

    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 3, &push, sizeof(push),
                      groups(call->heads * call->head_dim / 2, constants[0]),
                      call->tokens, 1, err);
}

static uint32_t vision_workgroup(const struct gpu *gpu)
{
    return gpu_traits(gpu)->type == GPU_CPU ? 8 : 32;
}

// Queries of a lane. Where a load is dear it should serve many, but a query and its sums
// fill registers, and code that has to be compiled, as the head is wide.
static uint32_t vision_tokens(const struct gpu *gpu, uint32_t head_dim)
{
    if (strcmp(variant_of(gpu, "vision_attention"), "texel") != 0 || head_dim > 160)
        return 1;
    return head_dim > 96 ? 2 : 4;
}

uint32_t kernel_vision_block(const struct gpu *gpu, uint32_t head_dim)
{
    return vision_workgroup(gpu) * vision_tokens(gpu, head_dim);
}

bool kernel_vision_attention(struct gpu *gpu, struct gpu_recording *recording,
                             const struct vision_attention_call *call, struct err *err)
{
    uint32_t constants[] = { vision_workgroup(gpu), call->head_dim,
                             vision_tokens(gpu, call->head_dim) };
    struct {
        uint32_t query_room, key_room, stride, first_block, first_query, first_head;
        uint32_t first_column;
        float scale;
    } push = { call->query_room,  call->key_room,   call->stride,       call->first_block,
               call->first_query, call->first_head, call->first_column, call->scale };
    struct gpu_binding bindings[] = {
        { call->queries, 0, 0 }, { call->keys, 0, 0 }, { call->values, 0, 0 },
        { call->blocks, 0, 0 },  { call->y, 0, 0 },
    };
    struct gpu_kernel *kernel = gpu_kernel(
        gpu, "vision_attention", variant_of(gpu, "vision_attention"), constants, 3, err);

    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 5, &push, sizeof(push), call->heads,
                      call->block_count, 1, err);
}

bool kernel_route(struct gpu *gpu, struct gpu_recording *recording,
                  const struct route_call *call, struct err *err)
{
    uint32_t constants[] = { 32, call->experts, call->used, call->normalise };
    struct {
        uint32_t tokens, stride;
        float scale;
    } push = { call->tokens, call->stride, call->scale };
    struct gpu_binding bindings[] = { { call->scores, 0, 0 },
                                      { call->chosen, 0, 0 },
                                      { call->weights, 0, 0 } };
    struct gpu_kernel *kernel =
        gpu_kernel(gpu, "route", variant_of(gpu, "route"), constants, 4, err);

    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 3, &push, sizeof(push),
                      groups(call->tokens, 32), 1, 1, err);
}

bool kernel_mix(struct gpu *gpu, struct gpu_recording *recording,
                const struct mix_call *call, struct err *err)
{
    uint32_t constants[] = { flat_workgroup(gpu), call->used };
    struct {
        uint32_t width, stride;
    } push = { call->width, call->stride };
    struct gpu_binding bindings[] = { { call->x, 0, 0 },
                                      { call->weights, 0, 0 },
                                      { call->y, 0, 0 } };
    struct gpu_kernel *kernel =
        gpu_kernel(gpu, "mix", variant_of(gpu, "mix"), constants, 2, err);

    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 3, &push, sizeof(push),
                      groups(call->width, constants[0]), call->tokens, 1, err);
}

bool kernel_short_conv(struct gpu *gpu, struct gpu_recording *recording,
                       const struct short_conv_call *call, struct err *err)
{
    uint32_t constants[] = { flat_workgroup(gpu), call->taps };
    struct {
        uint32_t width, x_stride, y_stride;
    } push = { call->width, call->x_stride, call->y_stride };
    struct gpu_binding bindings[] = { { call->x, 0, 0 },
                                      { call->weights, 0, 0 },
                                      { call->step, 0, 0 },
                                      { call->cache, 0, 0 },
                                      { call->y, 0, 0 } };
    struct gpu_kernel *kernel =
        gpu_kernel(gpu, "short_conv", variant_of(gpu, "short_conv"), constants, 2, err);

    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 5, &push, sizeof(push),
                      groups(call->width, constants[0]), call->tokens, 1, err);
}

bool kernel_softcap(struct gpu *gpu, struct gpu_recording *recording,
                    const struct gpu_buffer *y, uint32_t count, float cap,
                    struct err *err)
{
    uint32_t workgroup = flat_workgroup(gpu);
    uint32_t x = groups(count, workgroup), rows = groups(x, 32768);
    struct {
        uint32_t count;
        float cap;
    } push = { count, cap };
    struct gpu_binding binding = { y, 0, 0 };
    struct gpu_kernel *kernel =
        gpu_kernel(gpu, "softcap", variant_of(gpu, "softcap"), &workgroup, 1, err);

    return kernel != NULL && gpu_record(recording, kernel, &binding, 1, &push,
                                        sizeof(push), rows > 1 ? 32768 : x, rows, 1, err);
}

bool kernel_slice_peaks(struct gpu *gpu, struct gpu_recording *recording,
                        const struct gpu_buffer *logits, uint32_t count,
                        const struct gpu_buffer *peaks, struct err *err)
{
    uint32_t workgroup = gpu_traits(gpu)->type == GPU_CPU ? 8 : 64;
    struct gpu_binding bindings[] = { { logits, 0, 0 }, { peaks, 0, 0 } };
    struct gpu_kernel *kernel = gpu_kernel(
        gpu, "slice_peaks", variant_of(gpu, "slice_peaks"), &workgroup, 1, err);

    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 2, &count, sizeof(count),
                      groups(groups(count, 64), workgroup), 1, 1, err);
}

static bool record_limits(struct gpu *gpu, struct gpu_recording *recording,
                          const char *variant, const struct gpu_buffer *x,
                          const struct gpu_buffer *y, uint32_t count, struct err *err)
{
    uint32_t workgroup = gpu_traits(gpu)->type == GPU_CPU ? 8 : 64;
    struct gpu_binding bindings[] = { { x, 0, 0 }, { y, 0, 0 } };
    struct gpu_kernel *kernel = gpu_kernel(gpu, "limits", variant, &workgroup, 1, err);

    return kernel != NULL &&
           gpu_record(recording, kernel, bindings, 2, &count, sizeof(count),
                      KERNEL_LIMITS_INVOCATIONS / workgroup, 1, 1, err);
}

bool kernel_limits_read(struct gpu *gpu, struct gpu_recording *recording,
                        const struct gpu_buffer *x, const struct gpu_buffer *y,
                        uint64_t *bytes, struct err *err)
{
    uint32_t count = (uint32_t)(x->size / 16 / KERNEL_LIMITS_INVOCATIONS) / 4 * 4;

    *bytes = (uint64_t)count * KERNEL_LIMITS_INVOCATIONS * 16;
    return record_limits(gpu, recording, gpu_traits(gpu)->texel ? "read_texel" : "read",
                         x, y, count, err);
}

bool kernel_limits_arithmetic(struct gpu *gpu, struct gpu_recording *recording,
                              const struct gpu_buffer *x, const struct gpu_buffer *y,
                              uint32_t rounds, uint64_t *multiply_adds, struct err *err)
{
    *multiply_adds = (uint64_t)rounds * KERNEL_LIMITS_INVOCATIONS * 16 * 4;
    return record_limits(gpu, recording, "arithmetic", x, y, rounds, err);
}
