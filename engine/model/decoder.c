// engine/model/decoder.c
// SPDX-License-Identifier: MIT
//
// What a decoder holds: weights, cache, activations. Invariant: cache positions
// [0, cached_count) of every layer belong to `cached`.
#include "engine/model/decoder_private.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "engine/model/rope.h"

#define DEFAULT_CONTEXT 8192
#define BATCH           64 // tokens at a time

static uint32_t pad(uint32_t count)
{
    return (count + PACK_BLOCK - 1) / PACK_BLOCK * PACK_BLOCK;
}

uint32_t decoder_peak_count(const struct decoder *decoder)
{
    return (decoder->model.vocabulary + DECODER_SLICE - 1) / DECODER_SLICE;
}

static bool create_cache(struct decoder *decoder, struct err *err)
{
    const struct model_params *p = &decoder->model;
    uint64_t bytes = (uint64_t)p->kv_heads * decoder->context * p->head_dim *
                     (decoder->exact_cache ? 4 : 2);

    if (bytes > gpu_traits(decoder->gpu)->max_range)
        return err_set(
            err, ERR_MEMORY,
            "a context of %u tokens needs %llu MiB per layer, %s can bind %llu MiB",
            decoder->context, (unsigned long long)(bytes >> 20),
            gpu_traits(decoder->gpu)->name,
            (unsigned long long)(gpu_traits(decoder->gpu)->max_range >> 20));
    if (p->taps > 0 &&
        (uint64_t)decoder->context * p->width * 4 > gpu_traits(decoder->gpu)->max_range)
        return err_set(err, ERR_MEMORY, "a context of %u tokens is too large for %s",
                       decoder->context, gpu_traits(decoder->gpu)->name);
    decoder->caches = alloc_array(p->layers, sizeof(*decoder->caches));
    decoder->cached = alloc_array(decoder->context, sizeof(*decoder->cached));
    for (uint32_t i = 0; i < p->layers; i++)
        if (p->convolves[i]
                ? !gpu_buffer_create(decoder->gpu, &decoder->caches[i].products,
                                     (uint64_t)decoder->context * p->width * 4,
                                     GPU_PLACE_DEVICE, "products", err)
                : !gpu_buffer_create(decoder->gpu, &decoder->caches[i].keys, bytes,
                                     GPU_PLACE_DEVICE, "key cache", err) ||
                      !gpu_buffer_create(decoder->gpu, &decoder->caches[i].values, bytes,
                                         GPU_PLACE_DEVICE, "value cache", err))
            return false;
    return true;
}

static bool create_table(struct decoder *decoder, const struct rope_params *rope,
                         const float *factors, struct angle_table *table, struct err *err)
{
    uint32_t half = decoder->model.rotated / 2;

    table->frequencies = alloc_array(half, sizeof(*table->frequencies));
    rope_frequencies(rope, decoder->model.rotated, factors, table->frequencies,
                     &table->magnitude);
    // With M-RoPE it changes with every sequence.
    return gpu_buffer_create(
        decoder->gpu, &table->buffer, (uint64_t)decoder->context * half * 8,
        table->axes != NULL ? GPU_PLACE_SHARED : GPU_PLACE_DEVICE, "angles", err);
}

static bool create_angles(struct decoder *decoder, struct err *err)
{
    const struct model_params *p = &decoder->model;
    bool beyond =
        p->rope.original_context > 0 && decoder->context > p->rope.original_context;
    const float *factors = beyond && decoder->weights.rope_long_factors != NULL
                               ? decoder->weights.rope_long_factors
                               : decoder->weights.rope_factors;

    if (p->rope_sections[0] > 0) {
        decoder->angles.axes = alloc_array(p->rotated / 2, 1);
        rope_axes(p->rope_sections, p->rope_interleaved, p->rotated,
                  decoder->angles.axes);
    }
    return create_table(decoder, &p->rope, factors, &decoder->angles, err) &&
           (!p->local_rope_differs ||
            create_table(decoder, &p->local_rope, NULL, &decoder->local_angles, err));
}

static bool create_rows(struct decoder *decoder, struct gpu_buffer *buffer,
                        uint32_t stride, uint32_t per_token, const char *name,
                        struct err *err)
{
    return gpu_buffer_create(decoder->gpu, buffer,
                             (uint64_t)decoder->batch * per_token * stride * 4,
                             GPU_PLACE_DEVICE, name, err) &&
           gpu_zero(decoder->gpu, buffer, err);
}

static bool create_activations(struct decoder *decoder, struct err *err)
{
    const struct model_params *p = &decoder->model;
    uint32_t used = p->experts > 0 ? p->experts_used : 1;
    uint32_t ff = p->experts > 0 ? p->expert_ff_width : p->ff_width;

    decoder->x_stride = pad(p->width);
    decoder->qkv_stride = (p->heads + 2 * p->kv_heads) * p->head_dim;
    if (p->taps > 0 && decoder->qkv_stride < 3 * p->width)
        decoder->qkv_stride = 3 * p->width;
    decoder->attended_stride = pad(p->heads * p->head_dim);
    decoder->hidden_stride = pad(ff);
    decoder->expert_stride = pad(p->experts);
    if (p->experts > 0 &&
        (!create_rows(decoder, &decoder->router_scores, decoder->expert_stride, 1,
                      "router", err) ||
         !create_rows(decoder, &decoder->chosen, used, 1, "experts", err) ||
         !create_rows(decoder, &decoder->expert_weights, used, 1, "expert weights", err)))
        return false;
    return gpu_buffer_create(decoder->gpu, &decoder->step, sizeof(struct step),
                             GPU_PLACE_SHARED, "step", err) &&
           gpu_buffer_create(decoder->gpu, &decoder->tokens, (uint64_t)decoder->batch * 4,
                             GPU_PLACE_SHARED, "tokens", err) &&
           gpu_buffer_create(decoder->gpu, &decoder->picture_rows,
                             (uint64_t)decoder->batch * 4, GPU_PLACE_SHARED,
                             "picture rows", err) &&
           create_rows(decoder, &decoder->x, decoder->x_stride, 1, "residual", err) &&
           create_rows(decoder, &decoder->normed, decoder->x_stride, 1, "normed", err) &&
           create_rows(decoder, &decoder->extra, decoder->x_stride, used, "output",
                       err) &&
           create_rows(decoder, &decoder->qkv, decoder->qkv_stride, 1, "qkv", err) &&
           create_rows(decoder, &decoder->queries, p->heads * p->head_dim, 1, "queries",
                       err) &&
           create_rows(decoder, &decoder->attended, decoder->attended_stride, 1,
                       "attended", err) &&
           create_rows(decoder, &decoder->gate_up, 2 * ff, used, "gate and up", err) &&
           create_rows(decoder, &decoder->hidden, decoder->hidden_stride, used, "hidden",
                       err);
}

void decoder_forget_replay(struct decoder *decoder)
{
    struct replay *replay = &decoder->replay;

    for (uint32_t i = 0; i < replay->piece_count; i++)
        gpu_recording_destroy(&replay->pieces[i]);
    free(replay->pieces);
    *replay = (struct replay){ .piece_count = 0 };
}

// Makes room for the logits of `rows` tokens.
bool decoder_require_logits(struct decoder *decoder, uint32_t rows, struct err *err)
{
    uint64_t bytes = (uint64_t)(rows * decoder->model.vocabulary + DECODER_SLICE) * 4;

    if (rows <= decoder->logit_rows)
        return true;
    decoder_forget_replay(decoder); // it names the old buffer
    gpu_buffer_destroy(decoder->gpu, &decoder->logits);
    decoder->logit_rows = 0;
    if (!gpu_buffer_create(decoder->gpu, &decoder->logits, bytes, GPU_PLACE_SHARED,
                           "logits", err))
        return false;
    decoder->logit_rows = rows;
    return true;
}

static bool weights_fraction(void *user, double fraction)
{
    const struct decoder_params *params = user;

    return params->progress == NULL ||
           params->progress(params->user, "reading weights", fraction);
}

struct decoder *decoder_create(const struct decoder_params *params, struct err *err)
{
    struct decoder *decoder = alloc_zero(sizeof(*decoder));
    uint32_t tile = matrix_token_tile(params->gpu);

    decoder->gpu = params->gpu;
    decoder->exact_cache = params->exact_cache;
    if (!model_params_read(params->gguf, &decoder->model, err))
        goto fail;
    decoder->context = params->context;
    if (decoder->context == 0)
        decoder->context = decoder->model.trained_context < DEFAULT_CONTEXT
                               ? decoder->model.trained_context
                               : DEFAULT_CONTEXT;
    decoder->batch_limit = (BATCH + tile - 1) / tile * tile;
    decoder->batch = (params->together + tile - 1) / tile * tile;
    if (decoder->batch < decoder->batch_limit)
        decoder->batch = decoder->batch_limit;
    decoder->layers_per_run = 1;
    decoder->head_ranges_per_run = 1;
    decoder->fine.ranges_per_run = 1;
    decoder->recording = gpu_recording_create(decoder->gpu, err);
    if (decoder->recording == NULL ||
        !model_weights_load(decoder->gpu, params->gguf, &decoder->model,
                            &decoder->weights, weights_fraction,
                            (void *)(uintptr_t)params, err) ||
        !create_cache(decoder, err) || !create_angles(decoder, err) ||
        !create_activations(decoder, err) || !decoder_require_logits(decoder, 1, err) ||
        !gpu_buffer_create(decoder->gpu, &decoder->peaks,
                           (uint64_t)decoder_peak_count(decoder) * 8, GPU_PLACE_SHARED,
                           "peaks", err))
        goto fail;
    return decoder;

fail:
    decoder_destroy(&decoder);
    return NULL;
}

void decoder_destroy(struct decoder **handle)
{
    struct decoder *decoder = *handle;

    if (decoder == NULL)
        return;
    struct gpu_buffer *buffers[] = {
        &decoder->step,           &decoder->tokens,
        &decoder->picture_rows,   &decoder->x,
        &decoder->normed,         &decoder->qkv,
        &decoder->queries,        &decoder->attended,
        &decoder->gate_up,        &decoder->hidden,
        &decoder->extra,          &decoder->router_scores,
        &decoder->chosen,         &decoder->logits,
        &decoder->expert_weights, &decoder->angles.buffer,
        &decoder->peaks,          &decoder->local_angles.buffer,
    };

    decoder_forget_replay(decoder);
    gpu_recording_destroy(&decoder->recording);
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        gpu_buffer_destroy(decoder->gpu, buffers[i]);
    for (uint32_t i = 0; decoder->caches != NULL && i < decoder->model.layers; i++) {
        gpu_buffer_destroy(decoder->gpu, &decoder->caches[i].keys);
        gpu_buffer_destroy(decoder->gpu, &decoder->caches[i].values);
        gpu_buffer_destroy(decoder->gpu, &decoder->caches[i].products);
    }
    model_weights_release(decoder->gpu, &decoder->model, &decoder->weights);
    free(decoder->caches);
    free(decoder->cached);
    free(decoder->angles.frequencies);
    free(decoder->angles.axes);
    free(decoder->local_angles.frequencies);
    free(decoder);
    *handle = NULL;
}

const struct model_params *decoder_model(const struct decoder *decoder)
{
    return &decoder->model;
}

uint32_t decoder_context(const struct decoder *decoder)
{
    return decoder->context;
}

static void add_cost(const struct matrix *matrix, uint64_t numerator,
                     uint64_t denominator, uint64_t *bytes, uint64_t *macs)
{
    *bytes += matrix_bytes(matrix) * numerator / denominator;
    *macs += (uint64_t)matrix->rows * matrix->columns * numerator / denominator;
}

void decoder_cost(const struct decoder *decoder, uint64_t *weight_bytes,
                  uint64_t *multiply_adds)
{
    const struct model_params *p = &decoder->model;

    *weight_bytes = *multiply_adds = 0;
    add_cost(model_weights_head(&decoder->weights), 1, 1, weight_bytes, multiply_adds);
    for (uint32_t i = 0; i < p->layers; i++) {
        const struct layer_weights *w = &decoder->weights.layers[i];
        const struct matrix *dense[] = { &w->qkv, &w->output, &w->gate_up, &w->down,
                                         &w->router };
        const struct matrix *experts[] = { &w->expert_gate, &w->expert_up,
                                           &w->expert_down };

        for (size_t m = 0; m < sizeof(dense) / sizeof(dense[0]); m++)
            add_cost(dense[m], 1, 1, weight_bytes, multiply_adds);
        for (size_t m = 0; p->experts > 0 && m < 3; m++)
            add_cost(experts[m], p->experts_used, p->experts, weight_bytes,
                     multiply_adds);
    }
}
