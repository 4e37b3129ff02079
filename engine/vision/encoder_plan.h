// engine/vision/encoder_plan.h
// SPDX-License-Identifier: MIT
//
// What is known of a tile before anything is computed, by its size alone: the order in
// which patches become tokens, where each stands, and which tokens see one another.
//
// Tokens of one merged output follow one another, row by row of the small square, and
// merged outputs of one attention window do; so merging and windows are about neighbours.
// A class token is the last one: no order matters to attention.
#ifndef ORIEL_ENGINE_VISION_ENCODER_PLAN_H
#define ORIEL_ENGINE_VISION_ENCODER_PLAN_H

#include "engine/gpu/kernels.h"
#include "engine/vision/weights.h"

struct vision_plan {
    uint32_t rows, columns;          // of patches
    uint32_t patches, tokens;        // tokens: patches, and a class token
    uint32_t outputs;                // merged patches
    uint32_t *patch_of;              // [patches] row * columns + column of a token
    uint32_t *output_of;             // [outputs] likewise, of merged patches
    uint32_t *window_ends;           // [window_count] token after the last
    uint32_t window_count;           // 1 where all see all
    float *positions;                // [tokens][width], added to the patches, or NULL
    float *angles;                   // [tokens][head_dim / 2][2] or NULL
    vision_block *blocks, *windowed; // of queries; windowed NULL: no windows
    uint32_t *first_block;           // [chunks + 1] of blocks, by chunk of tokens
    uint32_t *first_windowed;
};

// width, height: the tile's, in pixels. chunk: tokens that are computed together; a block
// of queries lies within one. ERR_UNSUPPORTED: a size that the model has no embeddings
// for.
bool vision_plan_make(const struct vision_params *params,
                      const struct vision_weights *weights, uint32_t width,
                      uint32_t height, uint32_t chunk, uint32_t block,
                      struct vision_plan *plan, struct err *err);
void vision_plan_release(struct vision_plan *plan);

// encoder_positions.c: fills plan->positions and plan->angles, where the family has them.
bool vision_plan_place(const struct vision_params *params,
                       const struct vision_weights *weights, struct vision_plan *plan,
                       struct err *err);

#endif
