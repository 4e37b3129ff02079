// engine/model/decoder.c
// SPDX-License-Identifier: MIT
//
// Invariants: (1) cache positions [0, cached_count) of every layer belong to
// cached_tokens. (2) A pass works on at most `batch` tokens, and on layers [a, b) per
// submission, chosen so that a submission takes about TARGET_NS on this device. (3) The
// pass for one token is recorded once and replayed; position and token come from small
// shared buffers. Passes for more tokens are recorded anew each time, which costs
// microseconds per dispatch.
#include "engine/model/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/gpu/kernels.h"
#include "engine/model/matrix.h"
#include "engine/model/rope.h"
#include "engine/model/weights.h"

#define DEFAULT_CONTEXT 8192
#define TARGET_NS       ((int64_t)50 * 1000 * 1000)

// Angle tables are filled in steps of this many positions, as the conversation grows.
#define ANGLE_STEP 256

// Parameters of a pass that the shaders read.
struct step {
    uint32_t position; // of the pass's first token
    uint32_t unused[3];
};

struct angle_table {
    struct gpu_buffer buffer;
    double *frequencies;
    double magnitude;
    uint32_t filled; // positions
};

struct layer_cache {
    struct gpu_buffer keys, values;
};

// The recorded pass for one token: layers cut into pieces, the last one with the head.
struct replay {
    struct gpu_recording **pieces;
    uint32_t piece_count;
};

struct decoder {
    struct gpu *gpu;
    struct model_params model;
    struct model_weights weights;
    struct layer_cache *caches;
    struct angle_table angles, local_angles;
    uint32_t context, batch;
    bool exact_cache;
    uint32_t *cached_tokens;
    uint32_t cached_count;

    // Activations, [batch] rows each.
    struct gpu_buffer step, tokens, x, normed, qkv, queries, attended, gate_up, hidden,
        extra;
    struct gpu_buffer router_scores, chosen, expert_weights;
    struct gpu_buffer logits, peaks;
    uint32_t logit_rows;
    uint32_t x_stride, qkv_stride, attended_stride, hidden_stride, expert_stride;

    struct gpu_recording *recording; // for passes of several tokens
    struct replay replay;
    uint32_t layers_per_run; // of a full batch
    int64_t token_ns;        // last measured time of a replayed token
};

static uint32_t pad(uint32_t count)
{
    return (count + PACK_BLOCK - 1) / PACK_BLOCK * PACK_BLOCK;
}

// ---------------------------------------------------------------------------
// Recording. Each step waits for the one before it.

static bool then_wait(struct gpu_recording *recording, bool recorded)
{
    if (recorded)
        gpu_record_barrier(recording);
    return recorded;
}

static bool record_norm(struct decoder *decoder, struct gpu_recording *recording,
                        const struct gpu_buffer *x, const struct gpu_buffer *weight,
                        const struct gpu_buffer *y, uint32_t first, uint32_t rows,
                        bool accumulate, struct err *err)
{
    struct rms_norm_call call = {
        .x = x,
        .weight = weight,
        .y = y,
        .width = decoder->model.width,
        .stride = decoder->x_stride,
        .first = first,
        .rows = rows,
        .epsilon = decoder->model.norm_epsilon,
        .accumulate = accumulate,
    };

    return then_wait(recording, kernel_rms_norm(decoder->gpu, recording, &call, err));
}

static bool record_product(struct decoder *decoder, struct gpu_recording *recording,
                           const struct matrix *matrix,
                           const struct matrix_product *product, struct err *err)
{
    return then_wait(recording,
                     matrix_multiply(decoder->gpu, recording, matrix, product, err));
}

static bool record_rope(struct decoder *decoder, struct gpu_recording *recording,
                        uint32_t layer, uint32_t tokens, struct err *err)
{
    const struct model_params *p = &decoder->model;
    const struct layer_weights *w = &decoder->weights.layers[layer];
    bool local = p->local_rope_differs && model_layer_windowed(p, layer);
    struct rope_call call = {
        .x = &decoder->qkv,
        .angles = local ? &decoder->local_angles.buffer : &decoder->angles.buffer,
        .step = &decoder->step,
        .queries = &decoder->queries,
        .key_cache = &decoder->caches[layer].keys,
        .value_cache = &decoder->caches[layer].values,
        .query_norm = p->qk_norm ? &w->query_norm : NULL,
        .key_norm = p->qk_norm ? &w->key_norm : NULL,
        .heads = p->heads,
        .kv_heads = p->kv_heads,
        .head_dim = p->head_dim,
        .rotated = p->rotated,
        .stride = decoder->qkv_stride,
        .context = decoder->context,
        .tokens = tokens,
        .epsilon = p->norm_epsilon,
        .split = p->rope_split,
        .exact_cache = decoder->exact_cache,
    };

    return then_wait(recording, kernel_rope(decoder->gpu, recording, &call, err));
}

static bool record_attention(struct decoder *decoder, struct gpu_recording *recording,
                             uint32_t layer, uint32_t tokens, struct err *err)
{
    const struct model_params *p = &decoder->model;
    struct attention_call call = {
        .queries = &decoder->queries,
        .key_cache = &decoder->caches[layer].keys,
        .value_cache = &decoder->caches[layer].values,
        .step = &decoder->step,
        .y = &decoder->attended,
        .heads = p->heads,
        .kv_heads = p->kv_heads,
        .head_dim = p->head_dim,
        .stride = decoder->attended_stride,
        .context = decoder->context,
        .tokens = tokens,
        .window = model_layer_windowed(p, layer) ? p->window : 0,
        .scale = p->attention_scale,
        .cap = p->attention_cap,
        .exact_cache = decoder->exact_cache,
    };

    return then_wait(recording, kernel_attention(decoder->gpu, recording, &call, err));
}

// A matrix that writes into the residual stream: directly, or by way of a norm of its
// own.
static bool record_residual(struct decoder *decoder, struct gpu_recording *recording,
                            const struct matrix *matrix, const struct gpu_buffer *x,
                            const struct gpu_buffer *bias,
                            const struct gpu_buffer *post_norm, uint32_t tokens,
                            struct err *err)
{
    bool post = decoder->model.post_norms;
    struct matrix_product product = {
        .x = x,
        .y = post ? &decoder->extra : &decoder->x,
        .y_stride = decoder->x_stride,
        .tokens = tokens,
        .bias = bias != NULL && bias->memory != NULL ? bias : NULL,
        .accumulate = !post,
    };

    return record_product(decoder, recording, matrix, &product, err) &&
           (!post || record_norm(decoder, recording, &decoder->extra, post_norm,
                                 &decoder->x, 0, tokens, true, err));
}

static bool record_glu(struct decoder *decoder, struct gpu_recording *recording,
                       uint32_t width, uint32_t items, struct err *err)
{
    struct glu_call call = {
        .x = &decoder->gate_up,
        .y = &decoder->hidden,
        .activation = decoder->model.activation,
        .width = width,
        .x_stride = 2 * width,
        .up_offset = width,
        .y_stride = decoder->hidden_stride,
        .items = items,
    };

    return then_wait(recording, kernel_glu(decoder->gpu, recording, &call, err));
}

static bool record_route(struct decoder *decoder, struct gpu_recording *recording,
                         uint32_t tokens, struct err *err)
{
    const struct model_params *p = &decoder->model;
    struct route_call call = {
        .scores = &decoder->router_scores,
        .chosen = &decoder->chosen,
        .weights = &decoder->expert_weights,
        .experts = p->experts,
        .used = p->experts_used,
        .tokens = tokens,
        .stride = decoder->expert_stride,
        .scale = p->expert_scale,
        .normalise = p->experts_normalised,
    };

    return then_wait(recording, kernel_route(decoder->gpu, recording, &call, err));
}

static bool record_mix(struct decoder *decoder, struct gpu_recording *recording,
                       uint32_t tokens, struct err *err)
{
    struct mix_call call = {
        .x = &decoder->extra,
        .weights = &decoder->expert_weights,
        .y = &decoder->x,
        .used = decoder->model.experts_used,
        .width = decoder->model.width,
        .stride = decoder->x_stride,
        .tokens = tokens,
    };

    return then_wait(recording, kernel_mix(decoder->gpu, recording, &call, err));
}

static bool record_experts(struct decoder *decoder, struct gpu_recording *recording,
                           const struct layer_weights *w, uint32_t tokens,
                           struct err *err)
{
    const struct model_params *p = &decoder->model;
    uint32_t items = tokens * p->experts_used;
    struct matrix_product router = { .x = &decoder->normed,
                                     .y = &decoder->router_scores,
                                     .y_stride = decoder->expert_stride,
                                     .tokens = tokens };
    struct matrix_product gate = { .x = &decoder->normed,
                                   .y = &decoder->gate_up,
                                   .y_stride = 2 * p->expert_ff_width,
                                   .tokens = items,
                                   .chosen = &decoder->chosen,
                                   .expert_rows = p->expert_ff_width,
                                   .items_per_x = p->experts_used };
    struct matrix_product up = gate;
    struct matrix_product down = { .x = &decoder->hidden,
                                   .y = &decoder->extra,
                                   .y_stride = decoder->x_stride,
                                   .tokens = items,
                                   .chosen = &decoder->chosen,
                                   .expert_rows = p->width,
                                   .items_per_x = 1 };

    up.y_first = p->expert_ff_width;
    return record_product(decoder, recording, &w->router, &router, err) &&
           record_route(decoder, recording, tokens, err) &&
           record_product(decoder, recording, &w->expert_gate, &gate, err) &&
           record_product(decoder, recording, &w->expert_up, &up, err) &&
           record_glu(decoder, recording, p->expert_ff_width, items, err) &&
           record_product(decoder, recording, &w->expert_down, &down, err) &&
           record_mix(decoder, recording, tokens, err);
}

static bool record_feed_forward(struct decoder *decoder, struct gpu_recording *recording,
                                const struct layer_weights *w, uint32_t tokens,
                                struct err *err)
{
    const struct model_params *p = &decoder->model;
    struct matrix_product gate_up = { .x = &decoder->normed,
                                      .y = &decoder->gate_up,
                                      .y_stride = 2 * p->ff_width,
                                      .tokens = tokens };

    if (!record_norm(decoder, recording, &decoder->x, &w->ff_norm, &decoder->normed, 0,
                     tokens, false, err))
        return false;
    if (p->experts > 0)
        return record_experts(decoder, recording, w, tokens, err);
    return record_product(decoder, recording, &w->gate_up, &gate_up, err) &&
           record_glu(decoder, recording, p->ff_width, tokens, err) &&
           record_residual(decoder, recording, &w->down, &decoder->hidden, NULL,
                           &w->ff_post_norm, tokens, err);
}

static bool record_layer(struct decoder *decoder, struct gpu_recording *recording,
                         uint32_t layer, uint32_t tokens, struct err *err)
{
    const struct layer_weights *w = &decoder->weights.layers[layer];
    struct matrix_product qkv = { .x = &decoder->normed,
                                  .y = &decoder->qkv,
                                  .y_stride = decoder->qkv_stride,
                                  .tokens = tokens,
                                  .bias =
                                      w->qkv_bias.memory != NULL ? &w->qkv_bias : NULL };

    return record_norm(decoder, recording, &decoder->x, &w->attention_norm,
                       &decoder->normed, 0, tokens, false, err) &&
           record_product(decoder, recording, &w->qkv, &qkv, err) &&
           record_rope(decoder, recording, layer, tokens, err) &&
           record_attention(decoder, recording, layer, tokens, err) &&
           record_residual(decoder, recording, &w->output, &decoder->attended,
                           &w->output_bias, &w->attention_post_norm, tokens, err) &&
           record_feed_forward(decoder, recording, w, tokens, err);
}

static bool record_embedding(struct decoder *decoder, struct gpu_recording *recording,
                             uint32_t tokens, struct err *err)
{
    if (!matrix_embed(decoder->gpu, recording, &decoder->weights.embedding,
                      &decoder->tokens, tokens, decoder->model.embedding_scale,
                      &decoder->x, decoder->x_stride, err))
        return false;
    gpu_record_barrier(recording);
    return true;
}

static uint32_t peak_count(const struct decoder *decoder)
{
    return (decoder->model.vocabulary + DECODER_SLICE - 1) / DECODER_SLICE;
}

// Logits of `rows` tokens of the pass, from token `first` on.
static bool record_head(struct decoder *decoder, struct gpu_recording *recording,
                        uint32_t first, uint32_t rows, struct err *err)
{
    const struct model_params *p = &decoder->model;
    struct matrix_product head = { .x = &decoder->normed,
                                   .y = &decoder->logits,
                                   .y_stride = p->vocabulary,
                                   .tokens = rows,
                                   .first_x = first };

    return record_norm(decoder, recording, &decoder->x, &decoder->weights.output_norm,
                       &decoder->normed, first, rows, false, err) &&
           record_product(decoder, recording, model_weights_head(&decoder->weights),
                          &head, err) &&
           (p->logit_cap <= 0.0f ||
            then_wait(recording,
                      kernel_softcap(decoder->gpu, recording, &decoder->logits,
                                     rows * p->vocabulary, p->logit_cap, err))) &&
           (rows > 1 || kernel_slice_peaks(decoder->gpu, recording, &decoder->logits,
                                           p->vocabulary, &decoder->peaks, err));
}

// Layers [from, to) of a pass; the embedding comes before layer 0, the head after the
// last.
static bool record_piece(struct decoder *decoder, struct gpu_recording *recording,
                         uint32_t from, uint32_t to, uint32_t tokens, uint32_t logit_rows,
                         struct err *err)
{
    if (!gpu_record_begin(recording, err) ||
        (from == 0 && !record_embedding(decoder, recording, tokens, err)))
        return false;
    for (uint32_t layer = from; layer < to; layer++)
        if (!record_layer(decoder, recording, layer, tokens, err))
            return false;
    if (to == decoder->model.layers && logit_rows > 0 &&
        !record_head(decoder, recording, tokens - logit_rows, logit_rows, err))
        return false;
    return gpu_record_end(recording, err);
}

// ---------------------------------------------------------------------------
// Creation

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
    decoder->caches = alloc_array(p->layers, sizeof(*decoder->caches));
    decoder->cached_tokens =
        alloc_array(decoder->context, sizeof(*decoder->cached_tokens));
    for (uint32_t i = 0; i < p->layers; i++)
        if (!gpu_buffer_create(decoder->gpu, &decoder->caches[i].keys, bytes,
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
    return gpu_buffer_create(decoder->gpu, &table->buffer,
                             (uint64_t)decoder->context * half * 8, GPU_PLACE_DEVICE,
                             "angles", err);
}

static bool create_angles(struct decoder *decoder, struct err *err)
{
    const struct model_params *p = &decoder->model;
    bool beyond =
        p->rope.original_context > 0 && decoder->context > p->rope.original_context;
    const float *factors = beyond && decoder->weights.rope_long_factors != NULL
                               ? decoder->weights.rope_long_factors
                               : decoder->weights.rope_factors;

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

// Makes room for the logits of `rows` tokens.
static bool require_logits(struct decoder *decoder, uint32_t rows, struct err *err)
{
    uint64_t bytes = (uint64_t)(rows * decoder->model.vocabulary + DECODER_SLICE) * 4;

    if (rows <= decoder->logit_rows)
        return true;
    for (uint32_t i = 0; i < decoder->replay.piece_count; i++)
        gpu_recording_destroy(&decoder->replay.pieces[i]); // they name the old buffer
    decoder->replay.piece_count = 0;
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
    decoder->batch = (64 + tile - 1) / tile * tile;
    decoder->layers_per_run = 1;
    decoder->recording = gpu_recording_create(decoder->gpu, err);
    if (decoder->recording == NULL ||
        !model_weights_load(decoder->gpu, params->gguf, &decoder->model,
                            &decoder->weights, weights_fraction,
                            (void *)(uintptr_t)params, err) ||
        !create_cache(decoder, err) || !create_angles(decoder, err) ||
        !create_activations(decoder, err) || !require_logits(decoder, 1, err) ||
        !gpu_buffer_create(decoder->gpu, &decoder->peaks,
                           (uint64_t)peak_count(decoder) * 8, GPU_PLACE_SHARED, "peaks",
                           err))
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
        &decoder->step,
        &decoder->tokens,
        &decoder->x,
        &decoder->normed,
        &decoder->qkv,
        &decoder->queries,
        &decoder->attended,
        &decoder->gate_up,
        &decoder->hidden,
        &decoder->extra,
        &decoder->router_scores,
        &decoder->chosen,
        &decoder->logits,
        &decoder->expert_weights,
        &decoder->angles.buffer,
        &decoder->peaks,
        &decoder->local_angles.buffer,
    };

    for (uint32_t i = 0; i < decoder->replay.piece_count; i++)
        gpu_recording_destroy(&decoder->replay.pieces[i]);
    free(decoder->replay.pieces);
    gpu_recording_destroy(&decoder->recording);
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        gpu_buffer_destroy(decoder->gpu, buffers[i]);
    for (uint32_t i = 0; decoder->caches != NULL && i < decoder->model.layers; i++) {
        gpu_buffer_destroy(decoder->gpu, &decoder->caches[i].keys);
        gpu_buffer_destroy(decoder->gpu, &decoder->caches[i].values);
    }
    model_weights_release(decoder->gpu, &decoder->model, &decoder->weights);
    free(decoder->caches);
    free(decoder->cached_tokens);
    free(decoder->angles.frequencies);
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

// ---------------------------------------------------------------------------
// Passes

uint32_t decoder_cached(const struct decoder *decoder, const uint32_t *tokens,
                        size_t count)
{
    uint32_t same = 0;

    while (same < decoder->cached_count && same < count &&
           decoder->cached_tokens[same] == tokens[same])
        same++;
    return same;
}

void decoder_truncate(struct decoder *decoder, uint32_t length)
{
    if (length < decoder->cached_count)
        decoder->cached_count = length;
}

static bool fill_table(struct decoder *decoder, struct angle_table *table, uint32_t end,
                       struct err *err)
{
    uint32_t half = decoder->model.rotated / 2;

    while (table->frequencies != NULL && table->filled < end) {
        uint32_t left = decoder->context - table->filled;
        uint32_t count = left < ANGLE_STEP ? left : ANGLE_STEP;
        float(*angles)[2] = alloc_array((size_t)count * half, sizeof(*angles));
        bool ok;

        rope_angles(table->frequencies, table->magnitude, decoder->model.rotated,
                    table->filled, count, angles);
        ok = gpu_write(decoder->gpu, &table->buffer, (uint64_t)table->filled * half * 8,
                       angles, (uint64_t)count * half * 8, err);
        free(angles);
        if (!ok)
            return false;
        table->filled += count;
    }
    return true;
}

static bool prepare(struct decoder *decoder, const uint32_t *tokens, uint32_t count,
                    struct err *err)
{
    struct step step = { .position = decoder->cached_count };
    uint32_t end = decoder->cached_count + count;

    for (uint32_t i = 0; i < count; i++)
        if (tokens[i] >= decoder->model.vocabulary)
            return err_set(err, ERR_FORMAT, "token %u is not in the vocabulary of %u",
                           tokens[i], decoder->model.vocabulary);
    return fill_table(decoder, &decoder->angles, end, err) &&
           fill_table(decoder, &decoder->local_angles, end, err) &&
           gpu_write(decoder->gpu, &decoder->step, 0, &step, sizeof(step), err) &&
           gpu_write(decoder->gpu, &decoder->tokens, 0, tokens, (uint64_t)count * 4, err);
}

static bool cancelled(const struct decoder_pass *pass, struct err *err)
{
    if (pass->cancelled == NULL || !*pass->cancelled)
        return false;
    err_set(err, ERR_CANCELLED, "stopped");
    return true;
}

// Records the pass for one token, cut into so many pieces that each stays within
// TARGET_NS.
static bool record_replay(struct decoder *decoder, uint32_t piece_count, struct err *err)
{
    struct replay *replay = &decoder->replay;
    uint32_t layers = decoder->model.layers;

    for (uint32_t i = 0; i < replay->piece_count; i++)
        gpu_recording_destroy(&replay->pieces[i]);
    piece_count = piece_count < layers ? piece_count : layers;
    replay->pieces = alloc_resize(replay->pieces, piece_count, sizeof(*replay->pieces));
    replay->piece_count = 0;
    for (uint32_t i = 0; i < piece_count; i++) {
        uint32_t from = (uint32_t)((uint64_t)layers * i / piece_count);
        uint32_t to = (uint32_t)((uint64_t)layers * (i + 1) / piece_count);

        replay->pieces[i] = gpu_recording_create(decoder->gpu, err);
        if (replay->pieces[i] == NULL)
            return false;
        replay->piece_count++;
        if (!record_piece(decoder, replay->pieces[i], from, to, 1, 1, err))
            return false;
    }
    return true;
}

static bool run_token(struct decoder *decoder, const struct decoder_pass *pass,
                      struct err *err)
{
    struct replay *replay = &decoder->replay;
    int64_t start = clock_ns();

    if (replay->piece_count == 0 && !record_replay(decoder, 1, err))
        return false;
    if (decoder->token_ns > 2 * TARGET_NS * replay->piece_count &&
        replay->piece_count < decoder->model.layers &&
        !record_replay(decoder, (uint32_t)(decoder->token_ns / TARGET_NS) + 1, err))
        return false;
    for (uint32_t i = 0; i < replay->piece_count; i++)
        if (cancelled(pass, err) || !gpu_run(replay->pieces[i], err))
            return false;
    decoder->token_ns = clock_ns() - start;
    return true;
}

// Runs a batch layer group by layer group, and learns how many layers fit into TARGET_NS.
static bool run_batch(struct decoder *decoder, const struct decoder_pass *pass,
                      uint32_t tokens, uint32_t logit_rows, uint32_t done,
                      struct err *err)
{
    uint32_t layers = decoder->model.layers;

    for (uint32_t from = 0; from < layers;) {
        uint32_t to = from + decoder->layers_per_run;
        int64_t start = clock_ns(), took;

        to = to < layers ? to : layers;
        if (cancelled(pass, err) ||
            !record_piece(decoder, decoder->recording, from, to, tokens, logit_rows,
                          err) ||
            !gpu_run(decoder->recording, err))
            return false;
        took = clock_ns() - start;
        if (took > TARGET_NS && decoder->layers_per_run > 1)
            decoder->layers_per_run /= 2;
        else if (took < TARGET_NS / 2 && to < layers)
            decoder->layers_per_run *= 2;
        from = to;
        if (pass->progress != NULL &&
            !pass->progress(pass->user, "reading the prompt",
                            (done + (double)tokens * from / layers) / pass->count))
            return err_set(err, ERR_CANCELLED, "stopped");
    }
    return true;
}

static bool deliver(struct decoder *decoder, const struct decoder_pass *pass,
                    uint32_t first, uint32_t rows, struct err *err)
{
    uint32_t vocabulary = decoder->model.vocabulary;

    for (uint32_t i = 0; i < rows; i++) {
        struct decoder_logits logits = {
            .index = first + i,
            .values = (const float *)decoder->logits.mapped + (size_t)i * vocabulary,
            .count = vocabulary,
            .peaks = rows == 1 ? decoder->peaks.mapped : NULL,
            .peak_count = rows == 1 ? peak_count(decoder) : 0,
        };

        if (!pass->on_logits(pass->user, &logits))
            return err_set(err, ERR_CANCELLED, "stopped");
    }
    return true;
}

// How many of the remaining tokens to take at once: whole tiles of the many-token kernel,
// and what is left over together.
static uint32_t next_batch(const struct decoder *decoder, uint32_t left)
{
    uint32_t tile = matrix_token_tile(decoder->gpu);

    if (left >= decoder->batch)
        return decoder->batch;
    return left > tile ? left / tile * tile : left;
}

bool decoder_run(struct decoder *decoder, const struct decoder_pass *pass,
                 struct err *err)
{
    if (pass->count == 0 || pass->count > decoder->context - decoder->cached_count)
        return err_set(err, ERR_LIMIT,
                       "%u tokens after %u do not fit into the context of %u",
                       pass->count, decoder->cached_count, decoder->context);
    if (pass->all_logits && !require_logits(decoder, decoder->batch, err))
        return false;
    for (uint32_t done = 0; done < pass->count;) {
        uint32_t count = next_batch(decoder, pass->count - done);
        bool last = done + count == pass->count;
        uint32_t rows = pass->all_logits ? count : last;
        bool single = count == 1 && rows == 1;

        if (!prepare(decoder, pass->tokens + done, count, err) ||
            !(single ? run_token(decoder, pass, err)
                     : run_batch(decoder, pass, count, rows, done, err)))
            return false;
        memcpy(decoder->cached_tokens + decoder->cached_count, pass->tokens + done,
               count * sizeof(*pass->tokens));
        decoder->cached_count += count;
        if (rows > 0 && !deliver(decoder, pass, pass->all_logits ? done : 0, rows, err))
            return false;
        done += count;
    }
    return true;
}
