// engine/vision/projector_resampler.c
// SPDX-License-Identifier: MIT
//
// The resampler of MiniCPM-V (arXiv:2408.01800): a fixed number of learned queries look
// at all patches, whose keys know their place by sines and cosines of column and row.
#include "engine/vision/encoder_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define HEAD_DIM 128 // the family's; narrower models have one head

// [sin, cos] of the column, then of the row, a quarter of the width each.
static void place_row(uint32_t width, uint32_t row, uint32_t column, float *out)
{
    uint32_t quarter = width / 4;

    for (uint32_t i = 0; i < quarter; i++) {
        double turns = pow(10000.0, -(double)i / quarter);

        out[i] = (float)sin(column * turns);
        out[quarter + i] = (float)cos(column * turns);
        out[2 * quarter + i] = (float)sin(row * turns);
        out[3 * quarter + i] = (float)cos(row * turns);
    }
}

static bool write_places(struct vision_pass *pass, uint32_t first, uint32_t tokens)
{
    struct vision_encoder *encoder = pass->encoder;
    uint32_t width = encoder->params.projection_width, stride = vision_pad(width);
    float *rows = alloc_array((size_t)tokens * stride, sizeof(*rows));
    bool ok;

    for (uint32_t i = 0; i < tokens; i++) {
        uint32_t patch = encoder->plan.patch_of[first + i];

        place_row(width, patch / encoder->plan.columns, patch % encoder->plan.columns,
                  rows + (size_t)i * stride);
    }
    ok = gpu_write(encoder->gpu, &encoder->resampler.positions, 0, rows,
                   (uint64_t)tokens * stride * sizeof(*rows), pass->err);
    free(rows);
    return ok;
}

// Values come from the features alone, keys from features and places.
static bool look_at_chunk(struct vision_pass *pass, uint32_t chunk)
{
    struct vision_encoder *encoder = pass->encoder;
    const struct vision_resampler *w = &encoder->weights.resampler;
    struct resampler_state *r = &encoder->resampler;
    uint32_t width = encoder->params.projection_width, stride = vision_pad(width);
    uint32_t first = chunk * encoder->chunk;
    uint32_t tokens = vision_chunk_tokens(encoder, chunk);
    struct add_call add = { .x = &r->positions,
                            .y = &r->input,
                            .width = width,
                            .x_stride = stride,
                            .y_stride = stride,
                            .items = tokens };

    if (!vision_flush(pass) || !write_places(pass, first, tokens) ||
        !vision_product(pass, &w->kv, &encoder->x[chunk], &r->input, stride, tokens,
                        false) ||
        !vision_norm_rows(pass, &w->kv_norm, &r->input, &r->input, width, stride, tokens,
                          encoder->params.norm_epsilon) ||
        !vision_product(pass, &w->value, &r->input, &r->product, stride, tokens, false) ||
        !vision_spread_heads(pass, &r->product, stride, 0, first, tokens, NULL,
                             &r->values) ||
        !vision_spend_values(pass, width, tokens) ||
        !kernel_add(encoder->gpu, encoder->recording, &add, pass->err))
        return false;
    gpu_record_barrier(encoder->recording);
    return vision_product(pass, &w->key, &r->input, &r->product, stride, tokens, false) &&
           vision_spread_heads(pass, &r->product, stride, 0, first, tokens, NULL,
                               &r->keys);
}

static bool ask(struct vision_pass *pass)
{
    struct vision_encoder *encoder = pass->encoder;
    const struct vision_resampler *w = &encoder->weights.resampler;
    struct resampler_state *r = &encoder->resampler;
    uint32_t stride = vision_pad(encoder->params.projection_width);

    return vision_product(pass, &w->query, &r->asked, &r->product, stride,
                          encoder->params.queries, false) &&
           vision_spread_heads(pass, &r->product, stride, 0, 0, encoder->params.queries,
                               NULL, &r->queries);
}

// Blocks of queries that all see every patch.
static uint32_t cut_queries(const struct vision_encoder *encoder, vision_block *blocks)
{
    uint32_t most = kernel_vision_block(encoder->gpu, encoder->resampler.head_dim),
             count = 0;

    for (uint32_t at = 0; at < encoder->params.queries; at += most, count++) {
        uint32_t left = encoder->params.queries - at;

        blocks[count][0] = at;
        blocks[count][1] = left < most ? left : most;
        blocks[count][2] = 0;
        blocks[count][3] = encoder->plan.tokens;
    }
    return count;
}

static bool attend(struct vision_pass *pass)
{
    struct vision_encoder *encoder = pass->encoder;
    struct resampler_state *r = &encoder->resampler;
    vision_block *blocks = alloc_array(encoder->params.queries, sizeof(*blocks));
    struct vision_attend call = {
        .queries = &r->queries,
        .keys = &r->keys,
        .values = &r->values,
        .blocks = &r->blocks,
        .table = blocks,
        .y = &r->attended,
        .end_block = cut_queries(encoder, blocks),
        .stride = vision_pad(encoder->params.projection_width),
    };
    bool ok = vision_flush(pass) &&
              gpu_write(encoder->gpu, &r->blocks, 0, blocks,
                        call.end_block * sizeof(*blocks), pass->err) &&
              vision_attend(pass, &call);

    free(blocks);
    return ok;
}

// The stores for keys and values of a tile that is larger than any before.
static bool make_room(struct vision_pass *pass)
{
    struct vision_encoder *encoder = pass->encoder;
    struct resampler_state *r = &encoder->resampler;

    if (r->keys.room >= encoder->room)
        return true;
    vision_store_destroy(encoder, &r->queries);
    vision_store_destroy(encoder, &r->keys);
    vision_store_destroy(encoder, &r->values);
    return vision_store_create(encoder, &r->queries, r->heads, r->head_dim,
                               encoder->params.queries, encoder->room,
                               "resampler queries", pass->err) &&
           vision_store_create(encoder, &r->values, r->heads, r->head_dim, encoder->room,
                               encoder->room, "resampler values", pass->err) &&
           vision_store_create(encoder, &r->keys, r->heads, r->head_dim, encoder->room,
                               encoder->room, "resampler keys", pass->err);
}

bool vision_resample(struct vision_pass *pass, float *embeddings)
{
    struct vision_encoder *encoder = pass->encoder;
    const struct vision_resampler *w = &encoder->weights.resampler;
    struct resampler_state *r = &encoder->resampler;
    uint32_t width = encoder->params.projection_width, stride = vision_pad(width);
    uint32_t queries = encoder->params.queries;

    if (!vision_flush(pass) || !make_room(pass))
        return false;
    for (uint32_t c = 0; c < vision_chunks(encoder); c++)
        if (!look_at_chunk(pass, c))
            return false;
    return ask(pass) && attend(pass) &&
           vision_product(pass, &w->output, &r->attended, &r->input, stride, queries,
                          false) &&
           vision_norm_rows(pass, &w->post_norm, &r->input, &r->input, width, stride,
                            queries, encoder->params.norm_epsilon) &&
           vision_product(pass, &w->projection, &r->input, &encoder->projected, width,
                          queries, false) &&
           vision_flush(pass) &&
           gpu_read(encoder->gpu, &encoder->projected, 0, embeddings,
                    (uint64_t)queries * width * sizeof(*embeddings), pass->err);
}

// ---------------------------------------------------------------------------

// The queries do not depend on the picture: their norm is computed here, once.
static bool write_queries(struct vision_encoder *encoder, struct err *err)
{
    struct vision_resampler *w = &encoder->weights.resampler;
    uint32_t width = encoder->params.projection_width, stride = vision_pad(width);
    struct vision_pass pass = { .encoder = encoder, .err = err };

    for (uint32_t i = 0; i < encoder->params.queries; i++)
        if (!gpu_write(encoder->gpu, &encoder->resampler.asked,
                       (uint64_t)i * stride * sizeof(float),
                       w->queries + (size_t)i * width, width * sizeof(float), err))
            return false;
    return vision_norm_rows(&pass, &w->query_norm, &encoder->resampler.asked,
                            &encoder->resampler.asked, width, stride,
                            encoder->params.queries, encoder->params.norm_epsilon) &&
           vision_flush(&pass);
}

bool vision_create_resampler(struct vision_encoder *encoder, struct err *err)
{
    struct resampler_state *r = &encoder->resampler;
    uint32_t width = encoder->params.projection_width, stride = vision_pad(width);
    uint32_t tile = matrix_token_tile(encoder->gpu);
    uint32_t queries = (encoder->params.queries + tile - 1) / tile * tile;
    uint32_t rows = queries > encoder->chunk ? queries : encoder->chunk;

    r->heads = width > HEAD_DIM ? width / HEAD_DIM : 1;
    r->head_dim = width / r->heads;
    if (width % r->heads != 0 || r->head_dim % 4 != 0)
        return err_set(err, ERR_UNSUPPORTED, "a resampler of width %u", width);
    return vision_rows_create(encoder, &r->positions, encoder->chunk, stride,
                              "resampler places", err) &&
           vision_rows_create(encoder, &r->asked, queries, stride, "resampler queries",
                              err) &&
           vision_rows_create(encoder, &r->input, rows, stride, "resampler input", err) &&
           vision_rows_create(encoder, &r->product, rows, stride, "resampler product",
                              err) &&
           vision_rows_create(encoder, &r->attended, queries, stride,
                              "resampler attended", err) &&
           vision_rows_create(encoder, &r->blocks, encoder->params.queries, 4,
                              "resampler blocks", err) &&
           vision_rows_create(encoder, &encoder->projected, queries, width, "embeddings",
                              err) &&
           write_queries(encoder, err);
}

void vision_destroy_resampler(struct vision_encoder *encoder)
{
    struct resampler_state *r = &encoder->resampler;
    struct gpu_buffer *buffers[] = { &r->positions, &r->asked,    &r->input,
                                     &r->product,   &r->attended, &r->blocks };

    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        gpu_buffer_destroy(encoder->gpu, buffers[i]);
    vision_store_destroy(encoder, &r->queries);
    vision_store_destroy(encoder, &r->keys);
    vision_store_destroy(encoder, &r->values);
}
