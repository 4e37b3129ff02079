// engine/model/matrix.h
// SPDX-License-Identifier: MIT
//
// A weight matrix on the device and its products. A matrix may be made of several tensors
// (queries, keys and values; gate and up), whose rows follow one another; it is kept in
// pieces, each of one device format and small enough for one binding.
#ifndef ORIEL_ENGINE_MODEL_MATRIX_H
#define ORIEL_ENGINE_MODEL_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/format/gguf.h"
#include "engine/gpu/gpu.h"
#include "engine/model/pack.h"

struct matrix_piece {
    enum device_format format;
    struct gpu_buffer quants, scales;
    uint32_t first, rows; // of the whole matrix
};

struct matrix {
    uint32_t columns, blocks, rows;
    struct matrix_piece *pieces;
    size_t piece_count;
};

// Told of every packed byte of the file; false cancels.
typedef bool matrix_progress(void *user, uint64_t bytes);

// Reads, packs and uploads the rows of tensors[0..count), all with the same number of
// columns. gguf NULL: from tensors[i]->bytes, which is memory of the caller's. whole: the
// matrix must be one piece (experts). ERR_MEMORY, ERR_IO, ERR_UNSUPPORTED.
bool matrix_create(struct gpu *gpu, const struct gguf *gguf,
                   const struct gguf_tensor *const *tensors, size_t count, bool whole,
                   struct matrix *matrix, matrix_progress *progress, void *user,
                   struct err *err);
void matrix_destroy(struct gpu *gpu, struct matrix *matrix);

uint64_t matrix_bytes(const struct matrix *matrix); // on the device

// Products may be cut into ranges of rows, to keep submissions short.
#define MATRIX_RANGE 512

struct matrix_product {
    const struct gpu_buffer *x; // [rows][blocks * 32], zero beyond columns
    const struct gpu_buffer *y; // [tokens][y_stride]
    uint32_t y_stride;
    uint32_t y_first; // where the matrix's row 0 goes within a row of y
    uint32_t
        tokens; // how many rows of x; x and y have room for matrix_token_room of them
    uint32_t first_x;              // row of x that goes to row 0 of y
    const struct gpu_buffer *bias; // [matrix rows] or NULL
    bool accumulate;               // add to y

    // Only these rows of the matrix (multiples of MATRIX_RANGE, but for the end); 0, 0:
    // all.
    uint32_t first_row, end_row;

    // Mixture of experts: item i (of `tokens` items) is multiplied by the chosen[i]-th of
    // the matrices that lie one after another, each of expert_rows rows, and reads row i
    // / items_per_x of x. NULL: none of this.
    const struct gpu_buffer *chosen;
    uint32_t expert_rows, items_per_x;
};

// Records y = x * w^T. No barrier.
bool matrix_multiply(struct gpu *gpu, struct gpu_recording *recording,
                     const struct matrix *matrix, const struct matrix_product *product,
                     struct err *err);

// The number of tokens that the many-token kernel works on at a time: buffers hold a
// multiple.
uint32_t matrix_token_tile(const struct gpu *gpu);

// Records y[t] = scale * w[token[t]], y: [tokens][stride].
bool matrix_embed(struct gpu *gpu, struct gpu_recording *recording,
                  const struct matrix *matrix, const struct gpu_buffer *tokens,
                  uint32_t token_count, float scale, const struct gpu_buffer *y,
                  uint32_t stride, struct err *err);

#endif
