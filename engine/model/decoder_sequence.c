// engine/model/decoder_sequence.c
// SPDX-License-Identifier: MIT
//
// What stands where: the tokens and pictures that the cache holds, their positions, and
// how the next portion of a sequence gets onto the device.
//
// Positions count from 0 in steps of one, but for models with M-RoPE (arXiv:2409.12191,
// section 2.1): there the tokens of a picture share one time, differ in row and column,
// and what follows goes on after the largest of these numbers. The table of angles then
// has a row for each place in the cache, filled as the sequence is.
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/model/decoder_private.h"
#include "engine/model/rope.h"

// Angle tables are filled in steps of this many positions, as the conversation grows.
#define ANGLE_STEP 256

// A token's identity is its id; those of embeddings have the highest bit.
#define EMBEDDING ((uint64_t)1 << 63)

static uint64_t embedding_identity(const struct decoder_picture *picture, size_t index)
{
    return EMBEDDING |
           (picture->identity + (index - picture->first) * 0x9E3779B97F4A7C15);
}

// The picture that place `index` of the sequence belongs to, or NULL.
static const struct decoder_picture *picture_at(const struct decoder_picture *pictures,
                                                size_t count, size_t index)
{
    for (size_t i = 0; i < count && pictures[i].first <= index; i++)
        if (index < pictures[i].first + pictures[i].count)
            return &pictures[i];
    return NULL;
}

uint32_t decoder_cached(const struct decoder *decoder, const uint32_t *tokens,
                        size_t count, const struct decoder_picture *pictures,
                        size_t picture_count)
{
    uint32_t same = 0;
    const struct decoder_picture *inside = NULL;

    for (; same < decoder->cached_count && same < count; same++) {
        uint64_t identity = tokens[same];

        while (picture_count > 0 && pictures->first + pictures->count <= same) {
            pictures++;
            picture_count--;
        }
        inside = picture_at(pictures, picture_count, same);
        if (inside != NULL)
            identity = embedding_identity(inside, same);
        if (decoder->cached[same].identity != identity)
            break;
    }
    inside = picture_at(pictures, picture_count, same);
    return inside != NULL ? (uint32_t)inside->first : same;
}

void decoder_truncate(struct decoder *decoder, uint32_t length)
{
    if (length < decoder->cached_count)
        decoder->cached_count = length;
}

// ---------------------------------------------------------------------------
// Portions

bool decoder_check_pictures(const struct decoder *decoder,
                            const struct decoder_pass *pass, struct err *err)
{
    size_t end = decoder->cached_count;

    for (size_t i = 0; i < pass->picture_count; i++) {
        const struct decoder_picture *picture = &pass->pictures[i];

        if (picture->first < end || picture->count == 0 ||
            picture->first + picture->count > decoder->cached_count + pass->count)
            bug("picture %zu is not within the new tokens", i);
        if (picture->bidirectional && picture->count > decoder->batch)
            return err_set(err, ERR_LIMIT,
                           "a picture of %zu tokens that see one another; at most %u",
                           picture->count, decoder->batch);
        if (picture->deepstack > decoder->model.layers)
            return err_set(err, ERR_MISMATCH,
                           "a picture has vectors for %u layers, the model has %u",
                           picture->deepstack, decoder->model.layers);
        end = picture->first + picture->count;
    }
    return true;
}

uint32_t decoder_next_portion(const struct decoder_pass *pass, uint32_t start,
                              uint32_t done, uint32_t most, bool *together)
{
    size_t at = (size_t)start + done;

    *together = false;
    for (size_t i = 0; i < pass->picture_count; i++) {
        const struct decoder_picture *picture = &pass->pictures[i];

        if (!picture->bidirectional || picture->first < at)
            continue;
        if (picture->first == at) {
            *together = true;
            return (uint32_t)picture->count;
        }
        if (picture->first < at + most)
            return (uint32_t)(picture->first - at);
    }
    return most;
}

static size_t portion_start(const struct portion *portion)
{
    return (size_t)portion->start + portion->done;
}

static const struct decoder_picture *portion_picture(const struct portion *portion,
                                                     uint32_t i)
{
    return picture_at(portion->pass->pictures, portion->pass->picture_count,
                      portion_start(portion) + i);
}

bool decoder_has_pictures(const struct portion *portion)
{
    for (uint32_t i = 0; i < portion->count; i++)
        if (portion_picture(portion, i) != NULL)
            return true;
    return false;
}

uint32_t decoder_deepstack(const struct portion *portion)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < portion->count; i++) {
        const struct decoder_picture *picture = portion_picture(portion, i);

        if (picture != NULL && picture->deepstack > most)
            most = picture->deepstack;
    }
    return most;
}

// ---------------------------------------------------------------------------
// Positions

// The position that the entry at `index` has if it is a token, or its picture begins at.
static uint32_t position_after(const struct decoder *decoder, size_t index)
{
    return index > 0 ? decoder->cached[index - 1].next : 0;
}

// What stands at `index`, after all that stands before it is filled in.
static void fill_entry(struct decoder *decoder, const struct decoder_picture *picture,
                       uint32_t token, size_t index, uint32_t position[3])
{
    struct cached_token *entry = &decoder->cached[index];
    bool grid = picture != NULL && picture->rows > 0 && decoder->angles.axes != NULL;
    uint32_t base = position_after(decoder, grid ? picture->first : index);

    entry->identity = picture != NULL ? embedding_identity(picture, index) : token;
    position[0] = position[1] = position[2] = base;
    entry->next = base + 1;
    if (grid) {
        uint32_t within = (uint32_t)(index - picture->first);

        position[1] += within / picture->columns;
        position[2] += within % picture->columns;
        entry->next =
            base + (picture->rows > picture->columns ? picture->rows : picture->columns);
    }
}

static bool fill_table(struct decoder *decoder, struct angle_table *table, uint32_t end,
                       struct err *err)
{
    uint32_t half = decoder->model.rotated / 2;

    while (table->frequencies != NULL && table->filled < end) {
        uint32_t left = decoder->context - table->filled;
        uint32_t count = left < ANGLE_STEP ? left : ANGLE_STEP;
        float(*angles)[2] = alloc_array((size_t)count * half, sizeof(*angles));
        bool ok;

        rope_angles(table->frequencies, table->magnitude, decoder->model.rotated,
                    table->filled, count, angles);
        ok = gpu_write(decoder->gpu, &table->buffer, (uint64_t)table->filled * half * 8,
                       angles, (uint64_t)count * half * 8, err);
        free(angles);
        if (!ok)
            return false;
        table->filled += count;
    }
    return true;
}

// Fills in the entries of the portion and, with M-RoPE, their angles. ids: what to look
// up in the embedding.
static bool fill_entries(struct decoder *decoder, const struct portion *portion,
                         uint32_t *ids, struct err *err)
{
    const struct angle_table *table = &decoder->angles;
    uint32_t half = decoder->model.rotated / 2;
    float(*angles)[2] = NULL;
    bool ok = true;

    if (table->axes != NULL)
        angles = alloc_array((size_t)portion->count * half, sizeof(*angles));
    for (uint32_t i = 0; ok && i < portion->count; i++) {
        const struct decoder_picture *picture = portion_picture(portion, i);
        uint32_t token = portion->pass->tokens[portion->done + i], position[3];

        ids[i] = picture != NULL ? 0 : token;
        if (ids[i] >= decoder->model.vocabulary)
            ok = err_set(err, ERR_FORMAT, "token %u is not in the vocabulary of %u",
                         token, decoder->model.vocabulary);
        fill_entry(decoder, picture, token, portion_start(portion) + i, position);
        if (angles != NULL)
            rope_angles_at(table->frequencies, table->magnitude, decoder->model.rotated,
                           table->axes, position, angles + (size_t)i * half);
    }
    if (ok && angles != NULL)
        ok = gpu_write(decoder->gpu, &decoder->angles.buffer,
                       portion_start(portion) * half * 8, angles,
                       (uint64_t)portion->count * half * 8, err);
    free(angles);
    return ok;
}

bool decoder_prepare(struct decoder *decoder, const struct portion *portion,
                     struct err *err)
{
    struct step step = { .position = (uint32_t)portion_start(portion) };
    uint32_t end = step.position + portion->count;
    uint32_t *ids = alloc_array(portion->count, sizeof(*ids));
    bool ok;

    ok = fill_entries(decoder, portion, ids, err) &&
         (decoder->angles.axes != NULL ||
          (fill_table(decoder, &decoder->angles, end, err) &&
           fill_table(decoder, &decoder->local_angles, end, err))) &&
         gpu_write(decoder->gpu, &decoder->step, 0, &step, sizeof(step), err) &&
         gpu_write(decoder->gpu, &decoder->tokens, 0, ids, (uint64_t)portion->count * 4,
                   err);
    free(ids);
    return ok;
}

void decoder_note_cached(struct decoder *decoder, const struct portion *portion)
{
    decoder->cached_count = (uint32_t)portion_start(portion) + portion->count;
}

// ---------------------------------------------------------------------------
// Embeddings

// Vector `which` of the embedding in row i: 0 is the embedding itself, the others are for
// the layers. NULL: the row has none.
static const float *vector_of(const struct decoder *decoder,
                              const struct portion *portion, uint32_t i, uint32_t which)
{
    const struct decoder_picture *picture = portion_picture(portion, i);
    size_t within;

    if (picture == NULL || which > picture->deepstack)
        return NULL;
    within = portion_start(portion) + i - picture->first;
    return picture->embeddings +
           (within * (1 + picture->deepstack) + which) * decoder->model.width;
}

bool decoder_place_pictures(struct decoder *decoder, const struct portion *portion,
                            struct err *err)
{
    size_t stride = decoder->x_stride;
    float *rows = alloc_array((size_t)portion->count * stride, sizeof(*rows));
    bool ok = true;

    for (uint32_t i = 0; ok && i < portion->count;) {
        uint32_t first = i;
        const float *vector;

        while (i < portion->count &&
               (vector = vector_of(decoder, portion, i, 0)) != NULL) {
            memcpy(rows + i * stride, vector, decoder->model.width * sizeof(*rows));
            i++;
        }
        if (i > first)
            ok = gpu_write(decoder->gpu, &decoder->x, first * stride * sizeof(*rows),
                           rows + first * stride, (i - first) * stride * sizeof(*rows),
                           err);
        else
            i++;
    }
    free(rows);
    return ok;
}

bool decoder_place_deepstack(struct decoder *decoder, const struct portion *portion,
                             uint32_t layer, struct err *err)
{
    size_t stride = decoder->x_stride;
    float *rows = alloc_array((size_t)portion->count * stride, sizeof(*rows));
    float *factors = alloc_array(portion->count, sizeof(*factors));
    bool ok;

    for (uint32_t i = 0; i < portion->count; i++) {
        const float *vector = vector_of(decoder, portion, i, 1 + layer);

        factors[i] = vector != NULL;
        if (vector != NULL)
            memcpy(rows + i * stride, vector, decoder->model.width * sizeof(*rows));
    }
    ok = gpu_write(decoder->gpu, &decoder->extra, 0, rows,
                   portion->count * stride * sizeof(*rows), err) &&
         gpu_write(decoder->gpu, &decoder->picture_rows, 0, factors,
                   portion->count * sizeof(*factors), err);
    free(rows);
    free(factors);
    return ok;
}
