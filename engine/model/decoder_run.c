// engine/model/decoder_run.c
// SPDX-License-Identifier: MIT
//
// Passes: which tokens are computed, in what portions, and what the cache holds
// afterwards.
//
// Invariants: (1) a pass works on at most `batch` tokens, and on layers [a, b) per
// submission, chosen so that a submission takes about TARGET_NS on this device. (2) The
// pass for one token is recorded once and replayed; position and token come from small
// shared buffers. Passes for more tokens are recorded anew each time, which costs
// microseconds per dispatch.
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "engine/model/decoder_private.h"

#define TARGET_NS ((int64_t)50 * 1000 * 1000)

static bool cancelled(const struct decoder_pass *pass, struct err *err)
{
    if (pass->cancelled == NULL || !*pass->cancelled)
        return false;
    err_set(err, ERR_CANCELLED, "stopped");
    return true;
}

// Layers [from, to) of the pass for one token, with what comes before the first and after
// the last. NULL on failure.
static struct gpu_recording *record_piece(struct decoder *decoder, uint32_t from,
                                          uint32_t to, struct err *err)
{
    uint32_t layers = decoder->model.layers;
    struct decoder_head head = { .tokens = 1, .end_row = decoder->model.vocabulary };
    struct gpu_recording *piece = gpu_recording_create(decoder->gpu, err);

    if (piece == NULL || !gpu_record_begin(piece, err) ||
        (from == 0 && !decoder_record_embedding(decoder, piece, 1, err)) ||
        !decoder_record_layers(decoder, piece, from, to, 1, err) ||
        (to == layers && !decoder_record_head(decoder, piece, &head, err)) ||
        !gpu_record_end(piece, err))
        gpu_recording_destroy(&piece);
    return piece;
}

// Records the pass for one token, cut into so many pieces that each stays within
// TARGET_NS.
static bool record_replay(struct decoder *decoder, uint32_t piece_count, struct err *err)
{
    struct replay *replay = &decoder->replay;
    uint32_t layers = decoder->model.layers;

    decoder_forget_replay(decoder);
    piece_count = piece_count < layers ? piece_count : layers;
    replay->pieces = alloc_array(piece_count, sizeof(*replay->pieces));
    for (uint32_t i = 0; i < piece_count; i++) {
        replay->pieces[i] =
            record_piece(decoder, (uint32_t)((uint64_t)layers * i / piece_count),
                         (uint32_t)((uint64_t)layers * (i + 1) / piece_count), err);
        if (replay->pieces[i] == NULL) {
            decoder_forget_replay(decoder); // a part of a pass is none
            return false;
        }
        replay->piece_count++;
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

// Doubles or halves a portion of work so that a run of it takes about TARGET_NS.
static uint32_t adapt(uint32_t portion, int64_t took_ns)
{
    if (took_ns > TARGET_NS && portion > 1)
        return portion / 2;
    return took_ns < TARGET_NS / 2 && portion < 1u << 16 ? portion * 2 : portion;
}

static bool report(const struct decoder_pass *pass, double done, struct err *err)
{
    if (pass->progress == NULL ||
        pass->progress(pass->user, "reading the prompt", done / pass->count))
        return true;
    return err_set(err, ERR_CANCELLED, "stopped");
}

bool decoder_cut(struct decoder *decoder, struct gpu_recording *recording,
                 struct err *err)
{
    int64_t start = clock_ns();
    bool ok;

    if (decoder->fine.cancelled != NULL && *decoder->fine.cancelled)
        return err_set(err, ERR_CANCELLED, "stopped");
    ok = gpu_record_end(recording, err) && gpu_run(recording, err) &&
         gpu_record_begin(recording, err);
    decoder->fine.took_ns = clock_ns() - start;
    return ok;
}

uint32_t decoder_adapt_ranges(const struct decoder *decoder)
{
    return adapt(decoder->fine.ranges_per_run, decoder->fine.took_ns);
}

// One submission of its own for what the layers begin with.
static bool run_embedding(struct decoder *decoder, const struct portion *portion,
                          struct err *err)
{
    struct gpu_recording *recording = decoder->recording;

    return gpu_record_begin(recording, err) &&
           decoder_record_embedding(decoder, recording, portion->count, err) &&
           gpu_record_end(recording, err) && gpu_run(recording, err) &&
           decoder_place_pictures(decoder, portion, err);
}

static bool run_deepstack(struct decoder *decoder, const struct portion *portion,
                          uint32_t layer, struct err *err)
{
    struct gpu_recording *recording = decoder->recording;

    return decoder_place_deepstack(decoder, portion, layer, err) &&
           gpu_record_begin(recording, err) &&
           decoder_record_add(decoder, recording, portion->count, err) &&
           gpu_record_end(recording, err) && gpu_run(recording, err);
}

static bool run_some_layers(struct decoder *decoder, uint32_t from, uint32_t to,
                            uint32_t tokens, bool embed, struct err *err)
{
    struct gpu_recording *recording = decoder->recording;

    return gpu_record_begin(recording, err) &&
           (!embed || decoder_record_embedding(decoder, recording, tokens, err)) &&
           decoder_record_layers(decoder, recording, from, to, tokens, err) &&
           gpu_record_end(recording, err) && gpu_run(recording, err);
}

// Runs the layers of a batch, a few at a time, and learns how many fit into TARGET_NS.
static bool run_layers(struct decoder *decoder, const struct portion *portion,
                       struct err *err)
{
    const struct decoder_pass *pass = portion->pass;
    uint32_t layers = decoder->model.layers, tokens = portion->count;
    bool pictures = decoder_has_pictures(portion);
    uint32_t deepstack = pictures ? decoder_deepstack(portion) : 0;

    if (pictures && !run_embedding(decoder, portion, err))
        return false;
    for (uint32_t from = 0; from < layers;) {
        uint32_t left = layers - from, count = decoder->layers_per_run;
        int64_t start = clock_ns(), took;

        count = count < left ? count : left;
        if (from < deepstack || decoder->fine.on)
            count = 1;
        if (cancelled(pass, err) ||
            !run_some_layers(decoder, from, from + count, tokens, from == 0 && !pictures,
                             err) ||
            (from < deepstack && !run_deepstack(decoder, portion, from, err)))
            return false;
        took = clock_ns() - start;
        if (count == decoder->layers_per_run && !decoder->fine.on)
            decoder->layers_per_run = adapt(count, took);
        if (count == 1 && took > 2 * TARGET_NS && decoder->batch_limit > 1 &&
            !decoder->fine.on)
            decoder->batch_limit = (decoder->batch_limit + 1) / 2;
        from += count;
        if (!report(pass, portion->done + (double)tokens * from / layers, err))
            return false;
    }
    return true;
}

// A picture whose tokens see one another is computed at once, in fine steps.
static bool run_portion(struct decoder *decoder, const struct portion *portion,
                        bool together, struct err *err)
{
    bool ok;

    decoder->together = decoder->fine.on = together;
    decoder->fine.cancelled = portion->pass->cancelled;
    ok = run_layers(decoder, portion, err);
    decoder->together = decoder->fine.on = false;
    return ok;
}

// Logits of the last `rows` tokens of the batch: at once for one token, else range by
// range of the vocabulary.
static bool run_head(struct decoder *decoder, const struct decoder_pass *pass,
                     uint32_t tokens, uint32_t rows, struct err *err)
{
    uint32_t vocabulary = decoder->model.vocabulary;
    struct gpu_recording *recording = decoder->recording;
    struct decoder_head head = { .first_token = tokens - rows, .tokens = rows };

    while (rows > 0 && head.end_row < vocabulary) {
        uint32_t count =
            rows == 1 ? vocabulary : decoder->head_ranges_per_run * MATRIX_RANGE;
        uint32_t left = vocabulary - head.end_row;
        int64_t start = clock_ns();

        head.first_row = head.end_row;
        head.end_row += count < left ? count : left;
        if (cancelled(pass, err) || !gpu_record_begin(recording, err) ||
            !decoder_record_head(decoder, recording, &head, err) ||
            !gpu_record_end(recording, err) || !gpu_run(recording, err))
            return false;
        if (rows > 1 && count < left)
            decoder->head_ranges_per_run =
                adapt(decoder->head_ranges_per_run, clock_ns() - start);
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
            .peak_count = rows == 1 ? decoder_peak_count(decoder) : 0,
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

    if (left >= decoder->batch_limit)
        return decoder->batch_limit;
    return left > tile ? left / tile * tile : left;
}

bool decoder_run(struct decoder *decoder, const struct decoder_pass *pass,
                 struct err *err)
{
    uint32_t rows_wanted = 1; // of logits

    if (pass->count == 0 || pass->count > decoder->context - decoder->cached_count)
        return err_set(err, ERR_LIMIT,
                       "%u tokens after %u do not fit into the context of %u",
                       pass->count, decoder->cached_count, decoder->context);
    if (pass->all_logits)
        rows_wanted = pass->picture_count > 0 ? decoder->batch : decoder->batch_limit;
    if (!decoder_require_logits(decoder, rows_wanted, err) ||
        !decoder_check_pictures(decoder, pass, err))
        return false;
    struct portion portion = { .pass = pass, .start = decoder->cached_count };
    while (portion.done < pass->count) {
        bool together, last;
        uint32_t rows;

        portion.count = decoder_next_portion(
            pass, portion.start, portion.done,
            next_batch(decoder, pass->count - portion.done), &together);
        last = portion.done + portion.count == pass->count;
        rows = pass->all_logits ? portion.count : last;
        bool single = portion.count == 1 && rows == 1 && !decoder_has_pictures(&portion);

        if (!decoder_prepare(decoder, &portion, err) ||
            !(single ? run_token(decoder, pass, err)
                     : run_portion(decoder, &portion, together, err) &&
                           run_head(decoder, pass, portion.count, rows, err)))
            return false;
        decoder_note_cached(decoder, &portion);
        if (rows > 0 &&
            !deliver(decoder, pass, pass->all_logits ? portion.done : 0, rows, err))
            return false;
        portion.done += portion.count;
    }
    return true;
}
