// engine/vision/encoder_layers.c
// SPDX-License-Identifier: MIT
//
// The transformer. A layer goes through the chunks twice: once for the keys and values of
// all tokens, then for the rest, chunk by chunk.
#include "engine/vision/encoder_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

// ---------------------------------------------------------------------------
// From pixels to tokens

// One patch as a vector: [3][patch_size][patch_size].
static void copy_patch(const struct vision_encoder *encoder,
                       const struct vision_tile *tile, uint32_t patch, float *out)
{
    uint32_t side = encoder->params.patch_size;
    uint32_t top = patch / encoder->plan.columns * side;
    uint32_t left = patch % encoder->plan.columns * side;

    for (uint32_t channel = 0; channel < 3; channel++)
        for (uint32_t y = 0; y < side; y++, out += side)
            memcpy(out,
                   tile->values +
                       ((size_t)channel * tile->height + top + y) * tile->width + left,
                   side * sizeof(*out));
}

static bool write_patches(struct vision_pass *pass, const struct vision_tile *tile,
                          uint32_t first, uint32_t count)
{
    struct vision_encoder *encoder = pass->encoder;
    uint32_t stride = encoder->patch_stride;
    float *rows = alloc_array((size_t)encoder->chunk * stride, sizeof(*rows));
    bool ok;

    for (uint32_t i = 0; i < count; i++)
        copy_patch(encoder, tile, encoder->plan.patch_of[first + i],
                   rows + (size_t)i * stride);
    ok = gpu_write(encoder->gpu, &encoder->patches, 0, rows,
                   (uint64_t)encoder->chunk * stride * sizeof(*rows), pass->err);
    free(rows);
    return ok;
}

// What the patches are added to: position embeddings, the class token, or nothing.
static bool write_positions(struct vision_pass *pass, uint32_t chunk, uint32_t tokens)
{
    struct vision_encoder *encoder = pass->encoder;
    const struct vision_plan *plan = &encoder->plan;
    uint32_t stride = encoder->x_stride, width = encoder->params.width;
    float *rows = alloc_array((size_t)encoder->chunk * stride, sizeof(*rows));
    bool ok;

    for (uint32_t i = 0; i < tokens; i++) {
        uint32_t token = chunk * encoder->chunk + i;
        float *row = rows + (size_t)i * stride;

        if (plan->positions != NULL)
            memcpy(row, plan->positions + (size_t)token * width, width * sizeof(*row));
        for (uint32_t c = 0; token >= plan->patches && c < width; c++)
            row[c] += encoder->weights.class_embedding[c];
    }
    ok = gpu_write(encoder->gpu, &encoder->x[chunk], 0, rows,
                   (uint64_t)encoder->chunk * stride * sizeof(*rows), pass->err);
    free(rows);
    return ok;
}

static bool embed_chunk(struct vision_pass *pass, const struct vision_tile *tile,
                        uint32_t chunk)
{
    struct vision_encoder *encoder = pass->encoder;
    const struct vision_weights *w = &encoder->weights;
    uint32_t first = chunk * encoder->chunk;
    uint32_t tokens = vision_chunk_tokens(encoder, chunk);
    uint32_t left = encoder->plan.patches > first ? encoder->plan.patches - first : 0;
    uint32_t patches = tokens < left ? tokens : left;

    if (!vision_flush(pass) || !write_patches(pass, tile, first, patches) ||
        !write_positions(pass, chunk, tokens))
        return false;
    if (patches > 0 &&
        !vision_product(pass, &w->patch, &encoder->patches, &encoder->x[chunk],
                        encoder->x_stride, patches, true))
        return false;
    return w->pre_norm.weight.memory == NULL ||
           vision_norm_rows(pass, &w->pre_norm, &encoder->x[chunk], &encoder->x[chunk],
                            encoder->params.width, encoder->x_stride, tokens,
                            encoder->params.norm_epsilon);
}

// ---------------------------------------------------------------------------
// A layer

// InternViT 6B norms queries and keys over all heads together.
static bool norm_part(struct vision_pass *pass, const struct gpu_buffer *weight,
                      uint32_t column, uint32_t tokens)
{
    struct vision_encoder *encoder = pass->encoder;
    uint32_t inner = encoder->params.heads * encoder->params.head_dim;
    struct rms_norm_call call = { .x = &encoder->qkv,
                                  .weight = weight,
                                  .y = &encoder->qkv,
                                  .width = inner,
                                  .stride = encoder->qkv_stride,
                                  .rows = tokens,
                                  .column = column,
                                  .epsilon = encoder->params.norm_epsilon };

    if (weight->memory == NULL)
        return true;
    if (!vision_spend_values(pass, inner, tokens) ||
        !kernel_rms_norm(encoder->gpu, encoder->recording, &call, pass->err))
        return false;
    gpu_record_barrier(encoder->recording);
    return true;
}

static bool look_at_chunk(struct vision_pass *pass, const struct vision_layer *layer,
                          uint32_t chunk)
{
    struct vision_encoder *encoder = pass->encoder;
    uint32_t inner = encoder->params.heads * encoder->params.head_dim;
    uint32_t first = chunk * encoder->chunk;
    uint32_t tokens = vision_chunk_tokens(encoder, chunk);
    const struct gpu_buffer *angles =
        encoder->plan.angles != NULL ? &encoder->angles : NULL;

    return vision_norm_rows(pass, &layer->attention_norm, &encoder->x[chunk],
                            &encoder->normed, encoder->params.width, encoder->x_stride,
                            tokens, encoder->params.norm_epsilon) &&
           vision_product(pass, &layer->qkv, &encoder->normed, &encoder->qkv,
                          encoder->qkv_stride, tokens, false) &&
           norm_part(pass, &layer->query_norm, 0, tokens) &&
           norm_part(pass, &layer->key_norm, inner, tokens) &&
           vision_spread_heads(pass, &encoder->qkv, encoder->qkv_stride, 0, first, tokens,
                               angles, &encoder->queries) &&
           vision_spread_heads(pass, &encoder->qkv, encoder->qkv_stride, inner, first,
                               tokens, angles, &encoder->keys) &&
           vision_spread_heads(pass, &encoder->qkv, encoder->qkv_stride, 2 * inner, first,
                               tokens, NULL, &encoder->values);
}

// x += scale * (input * w^T + bias); without a scale the product itself adds.
static bool add_branch(struct vision_pass *pass, const struct vision_linear *linear,
                       const struct gpu_buffer *scale, const struct gpu_buffer *input,
                       uint32_t chunk, uint32_t tokens)
{
    struct vision_encoder *encoder = pass->encoder;
    struct add_call call = { .x = &encoder->branch,
                             .y = &encoder->x[chunk],
                             .scale = scale,
                             .width = encoder->params.width,
                             .x_stride = encoder->x_stride,
                             .y_stride = encoder->x_stride,
                             .items = tokens };

    if (scale->memory == NULL)
        return vision_product(pass, linear, input, &encoder->x[chunk], encoder->x_stride,
                              tokens, true);
    if (!vision_product(pass, linear, input, &encoder->branch, encoder->x_stride, tokens,
                        false) ||
        !vision_spend_values(pass, encoder->params.width, tokens) ||
        !kernel_add(encoder->gpu, encoder->recording, &call, pass->err))
        return false;
    gpu_record_barrier(encoder->recording);
    return true;
}

static bool gate(struct vision_pass *pass, uint32_t tokens)
{
    struct vision_encoder *encoder = pass->encoder;
    uint32_t width = encoder->params.ff_width;
    struct glu_call call = { .x = &encoder->up,
                             .y = &encoder->hidden,
                             .activation =
                                 vision_kernel_activation(encoder->params.activation),
                             .width = width,
                             .x_stride = encoder->up_stride,
                             .up_offset = width,
                             .y_stride = encoder->hidden_stride,
                             .items = tokens };

    if (!vision_spend_values(pass, width, tokens) ||
        !kernel_glu(encoder->gpu, encoder->recording, &call, pass->err))
        return false;
    gpu_record_barrier(encoder->recording);
    return true;
}

static bool feed_forward(struct vision_pass *pass, const struct vision_layer *layer,
                         uint32_t tokens)
{
    struct vision_encoder *encoder = pass->encoder;

    if (encoder->params.gated)
        return vision_product(pass, &layer->up, &encoder->normed, &encoder->up,
                              encoder->up_stride, tokens, false) &&
               gate(pass, tokens);
    return vision_product(pass, &layer->up, &encoder->normed, &encoder->hidden,
                          encoder->hidden_stride, tokens, false) &&
           vision_activate_rows(pass, encoder->params.activation, &encoder->hidden,
                                encoder->params.ff_width, encoder->hidden_stride, tokens);
}

static bool finish_chunk(struct vision_pass *pass, const struct vision_layer *layer,
                         bool windowed, uint32_t chunk)
{
    struct vision_encoder *encoder = pass->encoder;
    const struct vision_plan *plan = &encoder->plan;
    const uint32_t *first_block = windowed ? plan->first_windowed : plan->first_block;
    uint32_t tokens = vision_chunk_tokens(encoder, chunk);
    struct vision_attend attend = {
        .queries = &encoder->queries,
        .keys = &encoder->keys,
        .values = &encoder->values,
        .blocks = windowed ? &encoder->windowed : &encoder->blocks,
        .table = windowed ? plan->windowed : plan->blocks,
        .y = &encoder->attended,
        .first_block = first_block[chunk],
        .end_block = first_block[chunk + 1],
        .first_query = chunk * encoder->chunk,
        .stride = encoder->attended_stride,
    };

    return vision_attend(pass, &attend) &&
           add_branch(pass, &layer->output, &layer->attention_scale, &encoder->attended,
                      chunk, tokens) &&
           vision_norm_rows(pass, &layer->ff_norm, &encoder->x[chunk], &encoder->normed,
                            encoder->params.width, encoder->x_stride, tokens,
                            encoder->params.norm_epsilon) &&
           feed_forward(pass, layer, tokens) &&
           add_branch(pass, &layer->down, &layer->ff_scale, &encoder->hidden, chunk,
                      tokens);
}

bool vision_run_layers(struct vision_pass *pass, const struct vision_tile *tile,
                       float *embeddings)
{
    struct vision_encoder *encoder = pass->encoder;
    const struct vision_params *p = &encoder->params;
    uint32_t chunks = vision_chunks(encoder), deepstack = 0;

    for (uint32_t c = 0; c < chunks; c++)
        if (!embed_chunk(pass, tile, c))
            return false;
    for (uint32_t i = 0; i < p->feature_layer; i++) {
        const struct vision_layer *layer = &encoder->weights.layers[i];
        bool windowed = encoder->plan.windowed != NULL && !p->full[i];

        for (uint32_t c = 0; c < chunks; c++)
            if (!look_at_chunk(pass, layer, c))
                return false;
        for (uint32_t c = 0; c < chunks; c++)
            if (!finish_chunk(pass, layer, windowed, c))
                return false;
        if (p->deepstack[i] && !vision_project_deepstack(pass, deepstack++, embeddings))
            return false;
    }
    return true;
}
