// engine/vision/projector.c
// SPDX-License-Identifier: MIT
//
// From the features of patches to embeddings in the language model's space: some norm,
// neighbours side by side or averaged, and one or two matrices. What differs between
// families is which of these they have.
#include "engine/vision/encoder_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

// torch's default, which the projectors of these families have whatever the encoder's is.
#define TORCH_EPSILON 1e-5f

static uint32_t group_size(const struct vision_encoder *encoder)
{
    return encoder->params.merge * encoder->params.merge;
}

static float norm_epsilon(const struct vision_encoder *encoder)
{
    bool own = encoder->params.projector == PROJECTOR_INTERNVL ||
               encoder->params.projector == PROJECTOR_LFM2;

    return own ? TORCH_EPSILON : encoder->params.norm_epsilon;
}

// ---------------------------------------------------------------------------
// Merging

// Patches of a chunk of x that are no class token.
static uint32_t chunk_patches(const struct vision_encoder *encoder, uint32_t chunk)
{
    uint32_t first = chunk * encoder->chunk, patches = encoder->plan.patches;

    if (first >= patches)
        return 0;
    return patches - first < encoder->chunk ? patches - first : encoder->chunk;
}

// Pixtral's norm of patches, into `normed`.
static bool norm_input(struct vision_pass *pass, uint32_t chunk, uint32_t patches,
                       const struct gpu_buffer **rows)
{
    struct vision_encoder *encoder = pass->encoder;

    *rows = &encoder->x[chunk];
    if (encoder->weights.input_norm.weight.memory == NULL)
        return true;
    *rows = &encoder->normed;
    return vision_norm_rows(pass, &encoder->weights.input_norm, &encoder->x[chunk],
                            &encoder->normed, encoder->params.width, encoder->x_stride,
                            patches, encoder->params.norm_epsilon);
}

// The outputs of one chunk of x go to rows [first, ...) of `merged`.
static bool merge_chunk(struct vision_pass *pass, uint32_t chunk, uint32_t first)
{
    struct vision_encoder *encoder = pass->encoder;
    uint32_t patches = chunk_patches(encoder, chunk), parts = group_size(encoder);
    struct merge_call call = {
        .y = &encoder->merged,
        .width = encoder->params.width,
        .parts = parts,
        .x_stride = encoder->x_stride,
        .y_stride = encoder->merged_stride,
        .items = patches / parts,
        .first = first,
        .pool = encoder->params.projector == PROJECTOR_GEMMA3,
        .interleaved = encoder->params.projector == PROJECTOR_PIXTRAL,
    };

    if (!norm_input(pass, chunk, patches, &call.x) ||
        !vision_spend_values(pass, encoder->params.width, patches) ||
        !kernel_merge(encoder->gpu, encoder->recording, &call, pass->err))
        return false;
    gpu_record_barrier(encoder->recording);
    return true;
}

// Outputs [first, first + count), a whole chunk but for the end, become rows of *rows.
static bool gather(struct vision_pass *pass, uint32_t first, uint32_t count,
                   const struct gpu_buffer **rows)
{
    struct vision_encoder *encoder = pass->encoder;
    uint32_t parts = group_size(encoder), per_chunk = encoder->chunk / parts;

    *rows = &encoder->x[first / encoder->chunk];
    if (parts == 1)
        return true;
    for (uint32_t done = 0; done < count; done += per_chunk)
        if (!merge_chunk(pass, (first + done) / per_chunk, done))
            return false;
    *rows = &encoder->merged;
    return true;
}

// ---------------------------------------------------------------------------
// Projecting

static bool run_mlp(struct vision_pass *pass, const struct vision_mlp *mlp,
                    const struct gpu_buffer *rows, uint32_t stride, uint32_t count)
{
    struct vision_encoder *encoder = pass->encoder;
    uint32_t width = encoder->params.projection_width;
    uint32_t middle = mlp->first.matrix.rows, middle_stride = vision_pad(middle);

    // What is normed here was merged, so it may be written over.
    if (mlp->norm.weight.memory != NULL &&
        !vision_norm_rows(pass, &mlp->norm, rows, rows, mlp->first.matrix.columns, stride,
                          count, norm_epsilon(encoder)))
        return false;
    if (mlp->second.matrix.piece_count == 0)
        return vision_product(pass, &mlp->first, rows, &encoder->projected, width, count,
                              false);
    return vision_product(pass, &mlp->first, rows, &encoder->middle, middle_stride, count,
                          false) &&
           vision_activate_rows(pass, VISION_GELU, &encoder->middle, middle,
                                middle_stride, count) &&
           vision_product(pass, &mlp->second, &encoder->middle, &encoder->projected,
                          width, count, false);
}

// Puts the rows of `projected` where they belong in the picture, part `part` of each
// embedding.
static bool deliver(struct vision_pass *pass, uint32_t first, uint32_t count,
                    uint32_t part, float *embeddings)
{
    struct vision_encoder *encoder = pass->encoder;
    size_t width = encoder->params.projection_width;
    float *rows = alloc_array(count * width, sizeof(*rows));
    bool ok = vision_flush(pass) && gpu_read(encoder->gpu, &encoder->projected, 0, rows,
                                             count * width * sizeof(*rows), pass->err);

    for (uint32_t i = 0; ok && i < count; i++)
        memcpy(embeddings +
                   encoder->plan.output_of[first + i] *
                       (size_t)vision_encoder_output_width(encoder) +
                   part * width,
               rows + i * width, width * sizeof(*rows));
    free(rows);
    return ok;
}

static bool project(struct vision_pass *pass, const struct vision_mlp *mlp, uint32_t part,
                    float *embeddings)
{
    struct vision_encoder *encoder = pass->encoder;
    const struct vision_linear *merger = &encoder->weights.patch_merger;

    for (uint32_t first = 0; first < encoder->plan.outputs; first += encoder->chunk) {
        uint32_t left = encoder->plan.outputs - first;
        uint32_t count = left < encoder->chunk ? left : encoder->chunk;
        uint32_t stride =
            group_size(encoder) > 1 ? encoder->merged_stride : encoder->x_stride;
        const struct gpu_buffer *rows;

        if (!gather(pass, first, count, &rows))
            return false;
        if (merger->matrix.piece_count > 0) {
            if (!vision_product(pass, merger, rows, &encoder->combined, encoder->x_stride,
                                count, false))
                return false;
            rows = &encoder->combined;
            stride = encoder->x_stride;
        }
        if (!run_mlp(pass, mlp, rows, stride, count) ||
            !deliver(pass, first, count, part, embeddings))
            return false;
    }
    return true;
}

bool vision_project_deepstack(struct vision_pass *pass, uint32_t index, float *embeddings)
{
    return project(pass, &pass->encoder->weights.deepstack[index], 1 + index, embeddings);
}

// LLaVA takes the features as they leave their layer; the others norm them once more.
static bool norm_features(struct vision_pass *pass)
{
    struct vision_encoder *encoder = pass->encoder;
    const struct vision_norm *norm = &encoder->weights.post_norm;

    if (norm->weight.memory == NULL || encoder->params.projector == PROJECTOR_MLP)
        return true;
    for (uint32_t c = 0; c < vision_chunks(encoder); c++)
        if (!vision_norm_rows(pass, norm, &encoder->x[c], &encoder->x[c],
                              encoder->params.width, encoder->x_stride,
                              vision_chunk_tokens(encoder, c),
                              encoder->params.norm_epsilon))
            return false;
    return true;
}

bool vision_project(struct vision_pass *pass, float *embeddings)
{
    struct vision_encoder *encoder = pass->encoder;

    if (!norm_features(pass))
        return false;
    if (encoder->params.projector == PROJECTOR_RESAMPLER)
        return vision_resample(pass, embeddings);
    return project(pass, &encoder->weights.mlp, 0, embeddings);
}

// ---------------------------------------------------------------------------

static uint32_t middle_rows(const struct vision_encoder *encoder)
{
    uint32_t rows = encoder->weights.mlp.first.matrix.rows;

    for (uint32_t i = 0; i < encoder->params.deepstack_count; i++)
        if (encoder->weights.deepstack[i].first.matrix.rows > rows)
            rows = encoder->weights.deepstack[i].first.matrix.rows;
    return rows;
}

bool vision_create_projector(struct vision_encoder *encoder, struct err *err)
{
    const struct vision_params *p = &encoder->params;
    bool pooled = p->projector == PROJECTOR_GEMMA3;

    if (p->projector == PROJECTOR_RESAMPLER)
        return vision_create_resampler(encoder, err);
    encoder->merged_stride =
        vision_pad(pooled ? p->width : p->width * group_size(encoder));
    return vision_rows_create(encoder, &encoder->merged, encoder->chunk,
                              encoder->merged_stride, "merged patches", err) &&
           vision_rows_create(encoder, &encoder->combined, encoder->chunk,
                              encoder->x_stride, "combined patches", err) &&
           vision_rows_create(encoder, &encoder->middle, encoder->chunk,
                              vision_pad(middle_rows(encoder)), "projector", err) &&
           vision_rows_create(encoder, &encoder->projected, encoder->chunk,
                              p->projection_width, "embeddings", err);
}

void vision_destroy_projector(struct vision_encoder *encoder)
{
    struct gpu_buffer *buffers[] = { &encoder->merged, &encoder->combined,
                                     &encoder->middle, &encoder->projected };

    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        gpu_buffer_destroy(encoder->gpu, buffers[i]);
    vision_destroy_resampler(encoder);
}
