// engine/model/decoder_record.c
// SPDX-License-Identifier: MIT
//
// The commands of a pass, layer by layer. Each step waits for the one before it.
#include "engine/gpu/kernels.h"
#include "engine/model/decoder_private.h"

// Between two steps: the second waits for the first, or is submitted after it.
static bool then_wait(struct decoder *decoder, struct gpu_recording *recording,
                      bool recorded, struct err *err)
{
    if (recorded && decoder->fine.on)
        return decoder_cut(decoder, recording, err);
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

    return then_wait(decoder, recording,
                     kernel_rms_norm(decoder->gpu, recording, &call, err), err);
}

static bool record_product(struct decoder *decoder, struct gpu_recording *recording,
                           const struct matrix *matrix,
                           const struct matrix_product *product, struct err *err)
{
    struct matrix_product part = *product;

    if (!decoder->fine.on || product->chosen != NULL || product->end_row > 0)
        return then_wait(decoder, recording,
                         matrix_multiply(decoder->gpu, recording, matrix, product, err),
                         err);
    while (part.end_row < matrix->rows) {
        uint32_t count = decoder->fine.ranges_per_run * MATRIX_RANGE;

        part.first_row = part.end_row;
        part.end_row =
            matrix->rows - part.first_row > count ? part.first_row + count : matrix->rows;
        if (!matrix_multiply(decoder->gpu, recording, matrix, &part, err) ||
            !decoder_cut(decoder, recording, err))
            return false;
        if (part.end_row - part.first_row == count)
            decoder->fine.ranges_per_run = decoder_adapt_ranges(decoder);
    }
    return true;
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

    return then_wait(decoder, recording, kernel_rope(decoder->gpu, recording, &call, err),
                     err);
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
        .together = decoder->together,
    };

    return then_wait(decoder, recording,
                     kernel_attention(decoder->gpu, recording, &call, err), err);
}

static bool record_convolution(struct decoder *decoder, struct gpu_recording *recording,
                               uint32_t layer, uint32_t tokens, struct err *err)
{
    struct short_conv_call call = {
        .x = &decoder->qkv,
        .weights = &decoder->weights.layers[layer].convolution,
        .step = &decoder->step,
        .cache = &decoder->caches[layer].products,
        .y = &decoder->attended,
        .width = decoder->model.width,
        .taps = decoder->model.taps,
        .x_stride = decoder->qkv_stride,
        .y_stride = decoder->attended_stride,
        .tokens = tokens,
    };

    return then_wait(decoder, recording,
                     kernel_short_conv(decoder->gpu, recording, &call, err), err);
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

    return then_wait(decoder, recording, kernel_glu(decoder->gpu, recording, &call, err),
                     err);
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

    return then_wait(decoder, recording,
                     kernel_route(decoder->gpu, recording, &call, err), err);
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

    return then_wait(decoder, recording, kernel_mix(decoder->gpu, recording, &call, err),
                     err);
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
           (decoder->model.convolves[layer]
                ? record_convolution(decoder, recording, layer, tokens, err)
                : record_rope(decoder, recording, layer, tokens, err) &&
                      record_attention(decoder, recording, layer, tokens, err)) &&
           record_residual(decoder, recording, &w->output, &decoder->attended,
                           &w->output_bias, &w->attention_post_norm, tokens, err) &&
           record_feed_forward(decoder, recording, w, tokens, err);
}

bool decoder_record_embedding(struct decoder *decoder, struct gpu_recording *recording,
                              uint32_t tokens, struct err *err)
{
    if (!matrix_embed(decoder->gpu, recording, &decoder->weights.embedding,
                      &decoder->tokens, tokens, decoder->model.embedding_scale,
                      &decoder->x, decoder->x_stride, err))
        return false;
    gpu_record_barrier(recording);
    return true;
}

bool decoder_record_add(struct decoder *decoder, struct gpu_recording *recording,
                        uint32_t tokens, struct err *err)
{
    struct mix_call call = {
        .x = &decoder->extra,
        .weights = &decoder->picture_rows,
        .y = &decoder->x,
        .used = 1,
        .width = decoder->model.width,
        .stride = decoder->x_stride,
        .tokens = tokens,
    };

    return then_wait(decoder, recording, kernel_mix(decoder->gpu, recording, &call, err),
                     err);
}

bool decoder_record_head(struct decoder *decoder, struct gpu_recording *recording,
                         const struct decoder_head *head, struct err *err)
{
    const struct model_params *p = &decoder->model;
    struct matrix_product product = { .x = &decoder->normed,
                                      .y = &decoder->logits,
                                      .y_stride = p->vocabulary,
                                      .tokens = head->tokens,
                                      .first_x = head->first_token,
                                      .first_row = head->first_row,
                                      .end_row = head->end_row };
    bool last = head->end_row == p->vocabulary;

    if (head->first_row == 0 &&
        !record_norm(decoder, recording, &decoder->x, &decoder->weights.output_norm,
                     &decoder->normed, head->first_token, head->tokens, false, err))
        return false;
    return record_product(decoder, recording, model_weights_head(&decoder->weights),
                          &product, err) &&
           (!last || p->logit_cap <= 0.0f ||
            then_wait(decoder, recording,
                      kernel_softcap(decoder->gpu, recording, &decoder->logits,
                                     head->tokens * p->vocabulary, p->logit_cap, err),
                      err)) &&
           (!last || head->tokens > 1 ||
            kernel_slice_peaks(decoder->gpu, recording, &decoder->logits, p->vocabulary,
                               &decoder->peaks, err));
}

bool decoder_record_layers(struct decoder *decoder, struct gpu_recording *recording,
                           uint32_t from, uint32_t to, uint32_t tokens, struct err *err)
{
    for (uint32_t layer = from; layer < to; layer++)
        if (!record_layer(decoder, recording, layer, tokens, err))
            return false;
    return true;
}
