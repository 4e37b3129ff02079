// engine/model/decoder_private.h
// SPDX-License-Identifier: MIT
//
// The decoder's inside, shared by decoder.c (what it holds), decoder_record.c (the
// commands of a pass), decoder_run.c (how passes are cut and submitted) and
// decoder_sequence.c (what stands where in the cache: tokens, pictures, positions).
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
    uint8_t *axes;   // M-RoPE: which number of a position turns each pair; NULL: none
    uint32_t filled; // positions
};

// What one position of the cache holds.
struct cached_token {
    uint64_t identity; // of the token, or of the picture's embedding
    uint32_t next;     // the position that comes after it (M-RoPE)
};

struct layer_cache {
    struct gpu_buffer keys, values;
    struct gpu_buffer products; // of a layer that convolves, instead: [context][width]
};

// The recorded pass for one token: layers cut into pieces, the last one with the head.
struct replay {
    struct gpu_recording **pieces;
    uint32_t piece_count;
};

// A pass whose tokens cannot be taken in portions is submitted step by step instead, so
// that no submission is long.
struct fine {
    bool on;
    uint32_t ranges_per_run; // of MATRIX_RANGE rows of a product
    int64_t took_ns;         // the last submission
    const atomic_bool *cancelled;
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
    struct cached_token *cached;
    uint32_t cached_count;

    // Activations, [batch] rows each.
    struct gpu_buffer step, tokens, x, normed, qkv, queries, attended, gate_up, hidden,
        extra;
    struct gpu_buffer router_scores, chosen, expert_weights;
    struct gpu_buffer logits, peaks;
    uint32_t logit_rows;
    uint32_t x_stride, qkv_stride, attended_stride, hidden_stride, expert_stride;

    struct gpu_buffer picture_rows; // [batch] 1 for rows of pictures, 0 for others
    bool together;                  // all tokens of the pass that is recorded see all
    struct fine fine;

    struct gpu_recording *recording; // for passes of several tokens
    struct replay replay;
    uint32_t head_ranges_per_run; // of MATRIX_RANGE rows, when many tokens want logits
    uint32_t layers_per_run;      // of a full batch
    int64_t token_ns;             // last measured time of a replayed token
};

// decoder.c: drops the recorded pass for one token.
void decoder_forget_replay(struct decoder *decoder);

// decoder.c: makes room for the logits of `rows` tokens; drops the recorded pass if it
// has to.
bool decoder_require_logits(struct decoder *decoder, uint32_t rows, struct err *err);

// How many slices of DECODER_SLICE logits there are.
uint32_t decoder_peak_count(const struct decoder *decoder);

// decoder_run.c: submits what is recorded and begins anew (only while fine.on).
bool decoder_cut(struct decoder *decoder, struct gpu_recording *recording,
                 struct err *err);
// What fine.ranges_per_run should become after a submission of a full portion.
uint32_t decoder_adapt_ranges(const struct decoder *decoder);

// decoder_sequence.c: a pass of `count` tokens from tokens[done] on.
struct portion {
    const struct decoder_pass *pass;
    uint32_t start; // position of the pass's first token in the cache
    uint32_t done, count;
};
// How many tokens to take next, at most `most`: never a part of a picture whose tokens
// see one another. *together: it is such a picture, whole.
uint32_t decoder_next_portion(const struct decoder_pass *pass, uint32_t start,
                              uint32_t done, uint32_t most, bool *together);
bool decoder_has_pictures(const struct portion *portion);
uint32_t decoder_deepstack(const struct portion *portion);
// Checks the pictures of a pass.
bool decoder_check_pictures(const struct decoder *decoder,
                            const struct decoder_pass *pass, struct err *err);
// Fills the tables and buffers that the portion's tokens are read from.
bool decoder_prepare(struct decoder *decoder, const struct portion *portion,
                     struct err *err);
// Puts the pictures' embeddings over the rows of x.
bool decoder_place_pictures(struct decoder *decoder, const struct portion *portion,
                            struct err *err);
// Uploads the extra vectors for after `layer` into `extra`, zero in the other rows.
bool decoder_place_deepstack(struct decoder *decoder, const struct portion *portion,
                             uint32_t layer, struct err *err);
// The portion is in the cache now.
void decoder_note_cached(struct decoder *decoder, const struct portion *portion);

// decoder_record.c: adds layers [from, to) of a pass of `tokens` tokens to a recording
// that has begun.
bool decoder_record_embedding(struct decoder *decoder, struct gpu_recording *recording,
                              uint32_t tokens, struct err *err);
// Adds `extra` to the residual stream.
bool decoder_record_add(struct decoder *decoder, struct gpu_recording *recording,
                        uint32_t tokens, struct err *err);
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
