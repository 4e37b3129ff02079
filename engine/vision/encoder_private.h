// engine/vision/encoder_private.h
// SPDX-License-Identifier: MIT
//
// The encoder's inside, shared by encoder.c (what it holds, and a picture tile by tile),
// encoder_pass.c (how work is cut into submissions), encoder_layers.c (from pixels to the
// features of a layer), projector.c and projector_resampler.c (from those to embeddings)
// and projector_arrange.c (embeddings in the order of the prompt).
//
// Invariants: (1) what belongs to all tokens of a tile is kept in chunks (the residual
// stream) or by heads (queries, keys, values); everything else is as large as one chunk
// and used again by the next. (2) Buffers are zero beyond the columns that are written:
// products read whole blocks of 32.
#ifndef ORIEL_ENGINE_VISION_ENCODER_PRIVATE_H
#define ORIEL_ENGINE_VISION_ENCODER_PRIVATE_H

#include "engine/gpu/kernels.h"
#include "engine/vision/encoder.h"
#include "engine/vision/encoder_plan.h"
#include "engine/vision/weights.h"

// [heads][room][head_dim], as many heads in a buffer as one binding reaches.
struct head_store {
    struct gpu_buffer *parts;
    uint32_t part_count, heads_per_part, heads, head_dim, room;
};

struct resampler_state {
    uint32_t heads, head_dim;
    struct head_store queries, keys, values;
    struct gpu_buffer positions; // [chunk][projection], of one chunk at a time
    struct gpu_buffer asked;     // [queries][projection]
    struct gpu_buffer input, product, attended, blocks;
};

struct vision_encoder {
    struct gpu *gpu;
    struct vision_params params;
    struct vision_weights weights;
    uint64_t reach; // bytes of a buffer that one binding can hold
    uint32_t chunk; // tokens; whole groups that are merged, whole tiles of a product
    struct gpu_recording *recording;
    double speed; // multiply-adds per nanosecond, as measured

    struct vision_plan plan; // of the size that tiles have at the moment
    uint32_t plan_width, plan_height;

    // Of all tokens; made for `room` of them, whole chunks.
    uint32_t room;
    struct gpu_buffer *x; // [chunks] of [chunk][x_stride]
    struct head_store queries, keys, values;
    struct gpu_buffer angles, blocks, windowed;

    // Of one chunk.
    uint32_t patch_stride, x_stride, qkv_stride, attended_stride, up_stride;
    uint32_t hidden_stride, merged_stride;
    struct gpu_buffer patches, normed, qkv, attended, up, hidden, branch;
    struct gpu_buffer merged, combined, middle, projected;
    struct resampler_state resampler;
};

// Floats of a row in a buffer that a product reads.
uint32_t vision_pad(uint32_t columns);

uint32_t vision_chunks(const struct vision_encoder *encoder);

// Tokens of a chunk of the plan.
uint32_t vision_chunk_tokens(const struct vision_encoder *encoder, uint32_t chunk);

// As many heads in a part as one binding of `reach` positions holds; those that are
// attended together have the same reach.
bool vision_store_create(struct vision_encoder *encoder, struct head_store *store,
                         uint32_t heads, uint32_t head_dim, uint32_t room, uint32_t reach,
                         const char *name, struct err *err);
void vision_store_destroy(struct vision_encoder *encoder, struct head_store *store);

bool vision_rows_create(struct vision_encoder *encoder, struct gpu_buffer *buffer,
                        uint32_t rows, uint32_t stride, const char *name,
                        struct err *err);

// ---------------------------------------------------------------------------
// encoder_pass.c

// One call of vision_encode. Commands are gathered into submissions of about 50 ms, by
// what they cost in multiply-adds and the speed that was measured so far.
struct vision_pass {
    struct vision_encoder *encoder;
    const atomic_bool *cancelled;
    vision_progress *progress;
    void *user;
    bool recording;
    uint64_t spent;   // on what is recorded
    double done, all; // multiply-adds of the picture, for progress
    struct err *err;
};

// Makes room for commands that cost this much: may submit what there is.
bool vision_spend(struct vision_pass *pass, uint64_t cost);

// For a kernel that reads, changes and writes values.
bool vision_spend_values(struct vision_pass *pass, uint32_t width, uint32_t rows);

// How much more fits into the submission, at least `least`.
uint64_t vision_budget(struct vision_pass *pass, uint64_t least);

// Submits what is recorded and waits: the host may read and write buffers afterwards.
bool vision_flush(struct vision_pass *pass);

// y = (y +) x * w^T + bias for `tokens` rows, cut as the budget demands, and a barrier.
bool vision_product(struct vision_pass *pass, const struct vision_linear *linear,
                    const struct gpu_buffer *x, const struct gpu_buffer *y,
                    uint32_t y_stride, uint32_t tokens, bool accumulate);

bool vision_norm_rows(struct vision_pass *pass, const struct vision_norm *norm,
                      const struct gpu_buffer *x, const struct gpu_buffer *y,
                      uint32_t width, uint32_t stride, uint32_t rows, float epsilon);

enum kernel_activation vision_kernel_activation(enum vision_activation activation);

bool vision_activate_rows(struct vision_pass *pass, enum vision_activation activation,
                          const struct gpu_buffer *x, uint32_t width, uint32_t stride,
                          uint32_t rows);

bool vision_spread_heads(struct vision_pass *pass, const struct gpu_buffer *x,
                         uint32_t stride, uint32_t column, uint32_t first,
                         uint32_t tokens, const struct gpu_buffer *angles,
                         struct head_store *store);

struct vision_attend {
    const struct head_store *queries, *keys, *values;
    const struct gpu_buffer *blocks, *y;
    const vision_block *table; // what is in blocks
    uint32_t first_block, end_block;
    uint32_t first_query, stride;
};
bool vision_attend(struct vision_pass *pass, const struct vision_attend *attend);

// ---------------------------------------------------------------------------

// encoder_layers.c: from a tile's pixels to the features that count, in x. Deepstack
// projectors put their part into embeddings on the way.
bool vision_run_layers(struct vision_pass *pass, const struct vision_tile *tile,
                       float *embeddings);

// projector.c: embeddings[outputs][output width], in the order of the merged patches in
// the picture. vision_project_deepstack fills the part of deepstack projector `index`.
bool vision_project(struct vision_pass *pass, float *embeddings);
bool vision_project_deepstack(struct vision_pass *pass, uint32_t index,
                              float *embeddings);
bool vision_create_projector(struct vision_encoder *encoder, struct err *err);
void vision_destroy_projector(struct vision_encoder *encoder);

// projector_resampler.c
bool vision_create_resampler(struct vision_encoder *encoder, struct err *err);
void vision_destroy_resampler(struct vision_encoder *encoder);
bool vision_resample(struct vision_pass *pass, float *embeddings);

// projector_arrange.c: how many embeddings a picture becomes, and where those of its
// tiles (one tile after the other in `raw`) go among them, with lines ended.
uint32_t vision_arranged_count(const struct vision_encoder *encoder,
                               const struct vision_input *input);
void vision_arrange(const struct vision_encoder *encoder,
                    const struct vision_input *input, const float *raw,
                    float *embeddings);

// What one tile of this size becomes, before lines are ended.
uint32_t vision_tile_outputs(const struct vision_params *params,
                             const struct vision_tile *tile);

#endif
