// engine/vision/encoder_positions.c
// SPDX-License-Identifier: MIT
//
// Where a token stands: learned embeddings, one for each place of a square grid, taken as
// they are or resampled to the tile's own grid, and angles of a rotation in two
// dimensions. Small tables, made once for a size of tile, as the families' reference
// implementations in `transformers` make them, roundings to 32 bits included where they
// decide which embedding is taken.
#include "engine/vision/encoder_plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

// A weighted sum of places along one axis: of `count` places from `first` on.
struct taps {
    uint32_t first, count;
    double *weights;
};

static uint32_t grid_side(uint32_t position_count)
{
    uint32_t side = (uint32_t)sqrt((double)position_count);

    while ((uint64_t)side * side > position_count)
        side--;
    return side;
}

// ---------------------------------------------------------------------------
// One place of the grid for each patch

// Place i of `count` in a grid of `side` (NaViT, arXiv:2307.06304). Idefics3 counts the
// boundaries 1/side, 2/side ... that i/count has reached, all rounded to 32 bits.
static uint32_t bucket(uint32_t i, uint32_t count, uint32_t side, bool rounded)
{
    float place = (float)i * (1.0f / (float)count);
    uint32_t reached = 0;

    if (!rounded)
        return (uint32_t)((uint64_t)i * side / count);
    while (reached + 1 < side &&
           (float)(1.0 / side + (1.0 / side) * (double)reached) <= place)
        reached++;
    return reached;
}

static void take_buckets(const struct vision_plan *plan, uint32_t side, bool rounded,
                         uint32_t *places)
{
    for (uint32_t i = 0; i < plan->patches; i++)
        places[i] = bucket(i / plan->columns, plan->rows, side, rounded) * side +
                    bucket(i % plan->columns, plan->columns, side, rounded);
}

// The rows of the table that patches and class token take, as they are numbered in the
// picture.
static bool choose_places(const struct vision_params *params,
                          const struct vision_weights *weights,
                          const struct vision_plan *plan, uint32_t *places,
                          struct err *err)
{
    uint32_t before = weights->class_embedding != NULL; // its embedding is the first
    uint32_t side = grid_side(weights->position_count);

    if (params->projector == PROJECTOR_IDEFICS3 ||
        params->projector == PROJECTOR_RESAMPLER) {
        take_buckets(plan, side, params->projector == PROJECTOR_IDEFICS3, places);
        return true;
    }
    if (plan->tokens != weights->position_count)
        return err_set(err, ERR_UNSUPPORTED,
                       "a tile of %u x %u patches, and position embeddings for %u",
                       plan->rows, plan->columns, weights->position_count);
    for (uint32_t i = 0; i < plan->patches; i++)
        places[i] = before + i;
    return true;
}

static bool place_each(const struct vision_params *params,
                       const struct vision_weights *weights, struct vision_plan *plan,
                       struct err *err)
{
    uint32_t *places = alloc_array(plan->patches, sizeof(*places));
    size_t width = params->width;
    bool ok = choose_places(params, weights, plan, places, err);

    for (uint32_t t = 0; ok && t < plan->patches; t++)
        memcpy(plan->positions + t * width,
               weights->positions + places[plan->patch_of[t]] * width,
               width * sizeof(float));
    if (ok && plan->tokens > plan->patches)
        memcpy(plan->positions + plan->patches * width, weights->positions,
               width * sizeof(float));
    free(places);
    return ok;
}

// ---------------------------------------------------------------------------
// Resampled grids

// Both ends on both ends (Qwen3-VL).
static void aligned_taps(uint32_t i, uint32_t count, uint32_t side, struct taps *taps)
{
    float steps = count > 1 ? (float)(count - 1) : 1.0f;
    float place = (float)i * (float)(side - 1) / steps;
    uint32_t first = (uint32_t)place;

    taps->first = first < side - 1 ? first : side - 1;
    taps->count = taps->first + 1 < side ? 2 : 1;
    taps->weights[1] = (double)(place - (float)taps->first);
    taps->weights[0] = 1.0 - (taps->count > 1 ? taps->weights[1] : 0.0);
}

// A triangle around the pixel's middle, as wide as the larger of both grids' steps:
// torch's interpolate(mode="bilinear", antialias=True).
static void smooth_taps(uint32_t i, uint32_t count, uint32_t side, struct taps *taps)
{
    double scale = (double)side / (double)count;
    double reach = scale > 1.0 ? scale : 1.0;
    double middle = scale * ((double)i + 0.5), total = 0;
    double from = floor(middle - reach + 0.5), to = floor(middle + reach + 0.5);

    taps->first = from > 0 ? (uint32_t)from : 0;
    taps->count = (to < side ? (uint32_t)to : side) - taps->first;
    for (uint32_t j = 0; j < taps->count; j++) {
        double distance = fabs((double)(taps->first + j) - middle + 0.5) / reach;

        taps->weights[j] = distance < 1.0 ? 1.0 - distance : 0.0;
        total += taps->weights[j];
    }
    for (uint32_t j = 0; j < taps->count; j++)
        taps->weights[j] /= total;
}

typedef void make_taps(uint32_t i, uint32_t count, uint32_t side, struct taps *taps);

static struct taps *axis_taps(uint32_t count, uint32_t side, make_taps *make)
{
    struct taps *taps = alloc_array(count, sizeof(*taps));

    for (uint32_t i = 0; i < count; i++) {
        taps[i].weights = alloc_array((size_t)side + 1, sizeof(*taps[i].weights));
        make(i, count, side, &taps[i]);
    }
    return taps;
}

static void free_taps(struct taps *taps, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(taps[i].weights);
    free(taps);
}

static void blend(const float *table, uint32_t side, size_t width, const struct taps *row,
                  const struct taps *column, float *out)
{
    for (uint32_t y = 0; y < row->count; y++) {
        for (uint32_t x = 0; x < column->count; x++) {
            const float *from =
                table + ((size_t)(row->first + y) * side + column->first + x) * width;
            double weight = row->weights[y] * column->weights[x];

            for (size_t i = 0; i < width; i++)
                out[i] += (float)(weight * (double)from[i]);
        }
    }
}

static bool place_resampled(const struct vision_params *params,
                            const struct vision_weights *weights,
                            struct vision_plan *plan, make_taps *make, struct err *err)
{
    uint32_t side = grid_side(weights->position_count);
    struct taps *rows, *columns;

    if (side * side != weights->position_count || plan->tokens != plan->patches)
        return err_set(err, ERR_FORMAT, "v.position_embd.weight: %u are no square",
                       weights->position_count);
    rows = axis_taps(plan->rows, side, make);
    columns = axis_taps(plan->columns, side, make);
    for (uint32_t t = 0; t < plan->patches; t++)
        blend(weights->positions, side, params->width,
              &rows[plan->patch_of[t] / plan->columns],
              &columns[plan->patch_of[t] % plan->columns],
              plan->positions + (size_t)t * params->width);
    free_taps(rows, plan->rows);
    free_taps(columns, plan->columns);
    return true;
}

// ---------------------------------------------------------------------------
// Angles

// Half of the pairs turn by the row and half by the column. The frequencies of both are
// base^(-4 i / head_dim), those of Pixtral's columns lie halfway between those of its
// rows (arXiv:2409.12191, arXiv:2410.07073).
static void make_angles(const struct vision_params *params, struct vision_plan *plan)
{
    uint32_t pairs = params->head_dim / 2, half = pairs / 2;
    bool between = params->projector == PROJECTOR_PIXTRAL;

    plan->angles = alloc_array((size_t)plan->tokens * pairs * 2, sizeof(float));
    for (uint32_t t = 0; t < plan->patches; t++) {
        float *out = plan->angles + (size_t)t * pairs * 2;
        uint32_t row = plan->patch_of[t] / plan->columns;
        uint32_t column = plan->patch_of[t] % plan->columns;

        for (uint32_t i = 0; i < pairs; i++) {
            double step = i < half ? 2.0 * i : 2.0 * (i - half) + between;
            double angle = (i < half ? row : column) *
                           pow(10000.0, -2.0 * step / (double)params->head_dim);

            out[2 * i] = (float)cos(angle);
            out[2 * i + 1] = (float)sin(angle);
        }
    }
}

bool vision_plan_place(const struct vision_params *params,
                       const struct vision_weights *weights, struct vision_plan *plan,
                       struct err *err)
{
    size_t count = (size_t)plan->tokens * params->width;

    switch (params->projector) {
    case PROJECTOR_QWEN2VL:
    case PROJECTOR_QWEN25VL:
    case PROJECTOR_PIXTRAL:
        make_angles(params, plan);
        return true;
    case PROJECTOR_QWEN3VL:
        make_angles(params, plan);
        break;
    default:
        break;
    }
    if (weights->positions == NULL)
        return err_set(err, ERR_FORMAT, "tensor v.position_embd.weight is missing");
    plan->positions = alloc_array(count, sizeof(float));
    if (params->projector == PROJECTOR_QWEN3VL)
        return place_resampled(params, weights, plan, aligned_taps, err);
    if (params->projector == PROJECTOR_LFM2)
        return place_resampled(params, weights, plan, smooth_taps, err);
    return place_each(params, weights, plan, err);
}
