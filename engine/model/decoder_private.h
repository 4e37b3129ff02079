// engine/model/decoder_private.h
// SPDX-License-Identifier: MIT
//
// The decoder's inside, shared by decoder.c (what it holds), decoder_record.c (the
// commands of a pass) and decoder_run.c (how passes are cut and submitted).
#ifndef ORIEL_ENGINE_MODEL_DECODER_PRIVATE_H
#define ORIEL_ENGINE_MODEL_DECODER_PRIVATE_H

#include "engine/model/decoder.h"
#include "engine/model/matrix.h"
#include "engine/model/weights.h"

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
    uint32_t batch_limit; // at most batch: where one layer of a batch takes too long
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
    uint32_t head_ranges_per_run; // of MATRIX_RANGE rows, when many tokens want logits
    uint32_t layers_per_run;      // of a full batch
    int64_t token_ns;             // last measured time of a replayed token
};

// decoder.c: makes room for the logits of `rows` tokens; drops the recorded pass if it
// has to.
bool decoder_require_logits(struct decoder *decoder, uint32_t rows, struct err *err);

// How many slices of DECODER_SLICE logits there are.
uint32_t decoder_peak_count(const struct decoder *decoder);

// decoder_record.c: adds layers [from, to) of a pass of `tokens` tokens to a recording
// that has begun; the embedding comes before layer 0.
bool decoder_record_layers(struct decoder *decoder, struct gpu_recording *recording,
                           uint32_t from, uint32_t to, uint32_t tokens, struct err *err);

// Logits of tokens [first_token, first_token + tokens) of a pass, rows [first_row,
// end_row) of the vocabulary (multiples of MATRIX_RANGE, but for the end). Ranges are
// recorded in order.
struct decoder_head {
    uint32_t first_token, tokens, first_row, end_row;
};
bool decoder_record_head(struct decoder *decoder, struct gpu_recording *recording,
                         const struct decoder_head *head, struct err *err);

#endif
