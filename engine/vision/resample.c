// engine/vision/resample.c
// SPDX-License-Identifier: MIT
//
// Both passes are one loop, sums of weighted rows of bytes, 64 bytes at a time: down the
// picture as it is, across on blocks of 16 rows that are turned by 90 degrees. Loops have
// constant lengths, and 16 bit factors with 32 bit products, so that compilers make
// vector instructions of them at -O2. The only exception are Pillow's longer weights.
#include "engine/vision/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define CHUNK 64 // bytes of a row that are summed at once
#define LANES 16 // of them in registers
#define BLOCK 16 // rows that are turned at once: CHUNK bytes

#define MAX_PRECISION 22 // 32 bits, less 8 of a byte and 2 for overshoot

// Where each place of a result comes from along one axis.
struct axis {
    uint32_t length; // of the result
    uint32_t *first; // [length]
    uint32_t *count; // [length]
    int32_t *weights;
    uint32_t stride;    // weights of one place
    unsigned precision; // bits behind the point
    bool wide;          // weights have more than 16 bits
};

// ---------------------------------------------------------------------------
// Weights

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double bicubic(double x)
{
    const double a = -0.5;

    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double sinc(double x)
{
    return x == 0 ? 1 : sin(x * M_PI) / (x * M_PI);
}

static double lanczos(double x)
{
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const struct kernel {
    double (*at)(double x);
    double support; // places on each side
    bool wide;
} kernels[] = {
    [RESAMPLE_BILINEAR] = { bilinear, 1, false },
    [RESAMPLE_BICUBIC] = { bicubic, 2, false },
    [RESAMPLE_LANCZOS] = { lanczos, 3, false },
    [RESAMPLE_BICUBIC_PILLOW] = { bicubic, 2, true },
};

// Finds the places that count for each of the result, and their weights, which add up to
// 1. Returns the largest weight.
static double weigh(struct axis *axis, uint32_t length, const struct kernel *kernel,
                    double *weights)
{
    double scale = (double)length / axis->length, largest = 0;
    double stretch = scale >= 1 ? scale : 1, support = kernel->support * stretch;

    for (uint32_t i = 0; i < axis->length; i++, weights += axis->stride) {
        double center = scale * (i + 0.5), total = 0;
        int64_t low = (int64_t)(center - support + 0.5);
        int64_t high = (int64_t)(center + support + 0.5);

        low = low > 0 ? low : 0;
        high = high < length ? high : length;
        axis->first[i] = (uint32_t)low;
        axis->count[i] = (uint32_t)(high - low);
        for (uint32_t j = 0; j < axis->count[i]; j++) {
            weights[j] = kernel->at(((double)(j + low) - center + 0.5) * (1 / stretch));
            total += weights[j];
        }
        for (uint32_t j = 0; j < axis->count[i]; j++) {
            weights[j] /= total;
            largest = weights[j] > largest ? weights[j] : largest;
        }
    }
    return largest;
}

// The most bits that keep the largest weight within 16.
static unsigned choose_precision(double largest, bool wide)
{
    unsigned precision = wide ? MAX_PRECISION : 0;

    while (precision < MAX_PRECISION &&
           (int)(0.5 + largest * (double)(1 << (precision + 1))) < (1 << 15))
        precision++;
    return precision;
}

static void axis_release(struct axis *axis)
{
    free(axis->first);
    free(axis->count);
    free(axis->weights);
    *axis = (struct axis){ .length = 0 };
}

static bool axis_init(struct axis *axis, uint32_t from, uint32_t to,
                      enum resample_filter filter, struct err *err)
{
    const struct kernel *kernel = &kernels[filter];
    double scale = (double)from / to;
    uint32_t stride = (uint32_t)ceil(kernel->support * (scale >= 1 ? scale : 1)) * 2 + 1;
    size_t count = (size_t)to * stride;
    double *weights = try_array(count, sizeof(*weights));

    *axis = (struct axis){ .length = to,
                           .first = try_array(to, sizeof(*axis->first)),
                           .count = try_array(to, sizeof(*axis->count)),
                           .weights = try_array(count, sizeof(*axis->weights)),
                           .stride = stride,
                           .wide = kernel->wide };
    if (weights == NULL || axis->first == NULL || axis->count == NULL ||
        axis->weights == NULL) {
        free(weights);
        axis_release(axis);
        return err_set(err, ERR_MEMORY, "no memory for %zu weights", count);
    }
    axis->precision = choose_precision(weigh(axis, from, kernel, weights), axis->wide);
    for (size_t i = 0; i < count; i++) {
        double weight = weights[i] * (double)(1 << axis->precision);

        axis->weights[i] = (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    free(weights);
    return true;
}

// ---------------------------------------------------------------------------
// Sums

// Sums are of 32 bits with a sign, but added without: they do not overflow, and need not
// be checked for it.
static void sums_begin(uint32_t *sums, const struct axis *axis)
{
    for (int i = 0; i < CHUNK; i++)
        sums[i] = 1U << axis->precision >> 1;
}

static void sums_add_wide(uint32_t *restrict sums, const uint8_t *restrict row,
                          size_t stride, const int32_t *restrict weights, uint32_t count)
{
    uint32_t local[LANES];

    memcpy(local, sums, sizeof(local));
    for (uint32_t i = 0; i < count; i++, row += stride) {
        uint32_t weight = (uint32_t)weights[i];
        uint8_t bytes[LANES];

        memcpy(bytes, row, sizeof(bytes));
        for (int j = 0; j < LANES; j++)
            local[j] += weight * bytes[j];
    }
    memcpy(sums, local, sizeof(local));
}

static void sums_add_short(uint32_t *restrict sums, const uint8_t *restrict row,
                           size_t stride, const int32_t *restrict weights, uint32_t count)
{
    uint32_t local[LANES];

    memcpy(local, sums, sizeof(local));
    for (uint32_t i = 0; i < count; i++, row += stride) {
        int16_t weight = (int16_t)weights[i];
        uint8_t bytes[LANES];

        memcpy(bytes, row, sizeof(bytes));
        for (int j = 0; j < LANES; j++)
            local[j] += (uint32_t)(weight * (int16_t)bytes[j]);
    }
    memcpy(sums, local, sizeof(local));
}

// Adds `count` rows that are `stride` bytes apart.
static void sums_add(uint32_t *sums, const struct axis *axis, const uint8_t *rows,
                     size_t stride, const int32_t *weights, uint32_t count)
{
    for (int lane = 0; lane < CHUNK; lane += LANES) {
        if (axis->wide)
            sums_add_wide(sums + lane, rows + lane, stride, weights, count);
        else
            sums_add_short(sums + lane, rows + lane, stride, weights, count);
    }
}

static void sums_end(const uint32_t *restrict sums, const struct axis *axis,
                     uint8_t *restrict to)
{
    for (int i = 0; i < CHUNK; i++) {
        int32_t value = (int32_t)sums[i] >> axis->precision;

        value = value < 0 ? 0 : value;
        to[i] = (uint8_t)(value > 255 ? 255 : value);
    }
}

// ---------------------------------------------------------------------------
// Passes. What lies between them are rows of whole chunks.

struct passes {
    const struct raster *from;
    const struct raster_place *place;
    struct axis across, down;
    size_t stride;       // bytes of a row between the passes
    uint8_t *between;    // [from->height][stride]
    uint8_t *border;     // [stride]: a row of which the canvas is empty
    uint8_t *turned;     // [columns][CHUNK]
    uint32_t begin, end; // columns of the result that see the picture
    uint32_t low, high;  // columns of the canvas that these see
};

static void fill(uint8_t *to, const uint8_t colour[4], size_t count)
{
    for (size_t i = 0; i < count; i++)
        memcpy(to + i * 4, colour, 4);
}

static void find_columns(struct passes *passes)
{
    const struct axis *across = &passes->across;
    uint32_t left = passes->place->left, right = left + passes->from->width;

    passes->end = across->length;
    while (across->first[passes->begin] + across->count[passes->begin] <= left)
        passes->begin++;
    while (across->first[passes->end - 1] >= right)
        passes->end--;
    passes->low = across->first[passes->begin];
    passes->high = across->first[passes->end - 1] + across->count[passes->end - 1];
}

static void make_border(struct passes *passes)
{
    const struct axis *across = &passes->across;
    uint8_t colour[CHUNK], result[CHUNK];
    uint32_t sums[CHUNK];

    fill(colour, passes->place->colour, CHUNK / 4);
    for (uint32_t x = 0; x < across->length; x++) {
        sums_begin(sums, across);
        sums_add(sums, across, colour, 0, across->weights + (size_t)x * across->stride,
                 across->count[x]);
        sums_end(sums, across, result);
        memcpy(passes->border + (size_t)x * 4, result, 4);
    }
}

// The picture's columns among [low, high) of the canvas, as rows of BLOCK pixels. The
// others stay as they are.
static void turn_block(struct passes *passes, uint32_t y)
{
    const struct raster *from = passes->from;
    const uint8_t *rows[BLOCK];
    uint32_t left = passes->place->left, right = left + from->width;
    uint32_t begin = passes->low > left ? passes->low : left;
    uint32_t end = passes->high < right ? passes->high : right;
    uint8_t *to = passes->turned + (size_t)(begin - passes->low) * CHUNK;

    for (uint32_t i = 0; i < BLOCK; i++) {
        uint32_t row = y + i < from->height ? y + i : from->height - 1;

        rows[i] = from->bytes + (size_t)row * from->width * 4;
    }
    for (uint32_t x = begin - left; x < end - left; x++, to += CHUNK) {
        for (uint32_t i = 0; i < BLOCK; i++)
            memcpy(to + (size_t)i * 4, rows[i] + (size_t)x * 4, 4);
    }
}

static void pass_across_block(struct passes *passes, uint32_t y)
{
    const struct axis *across = &passes->across;
    uint32_t rows = passes->from->height - y < BLOCK ? passes->from->height - y : BLOCK;
    uint8_t *to = passes->between + (size_t)y * passes->stride;

    turn_block(passes, y);
    for (uint32_t x = passes->begin; x < passes->end; x++) {
        uint8_t result[CHUNK];
        uint32_t sums[CHUNK];

        sums_begin(sums, across);
        sums_add(sums, across,
                 passes->turned + (size_t)(across->first[x] - passes->low) * CHUNK, CHUNK,
                 across->weights + (size_t)x * across->stride, across->count[x]);
        sums_end(sums, across, result);
        for (uint32_t i = 0; i < rows; i++)
            memcpy(to + i * passes->stride + (size_t)x * 4, result + (size_t)i * 4, 4);
    }
}

static void pass_across(struct passes *passes)
{
    const struct raster *from = passes->from;

    for (uint32_t y = 0; y < from->height; y++) {
        uint8_t *to = passes->between + y * passes->stride;

        memcpy(to, passes->border, passes->stride);
        if (passes->across.length == passes->place->width)
            memcpy(to + (size_t)passes->place->left * 4,
                   from->bytes + (size_t)y * from->width * 4, (size_t)from->width * 4);
    }
    if (passes->across.length == passes->place->width)
        return;
    for (uint32_t y = 0; y < from->height; y += BLOCK)
        pass_across_block(passes, y);
}

// Of the places that count for a row: those above the picture, on it, below.
static void pass_down_row(const struct passes *passes, uint32_t y, uint8_t *to)
{
    const struct axis *down = &passes->down;
    const int32_t *weights = down->weights + (size_t)y * down->stride;
    uint32_t first = down->first[y], end = first + down->count[y];
    uint32_t top = passes->place->top, bottom = top + passes->from->height;
    uint32_t upper = first > top ? first : top, lower = end < bottom ? end : bottom;

    if (upper >= lower)
        upper = lower = end;
    for (size_t x = 0; x < (size_t)passes->across.length * 4; x += CHUNK) {
        size_t room = (size_t)passes->across.length * 4 - x;
        uint8_t result[CHUNK];
        uint32_t sums[CHUNK];

        sums_begin(sums, down);
        sums_add(sums, down, passes->border + x, 0, weights, upper - first);
        if (upper < lower)
            sums_add(sums, down, passes->between + (upper - top) * passes->stride + x,
                     passes->stride, weights + (upper - first), lower - upper);
        sums_add(sums, down, passes->border + x, 0, weights + (lower - first),
                 end - lower);
        sums_end(sums, down, result);
        memcpy(to + x, result, room < CHUNK ? room : CHUNK);
    }
}

static void pass_down(const struct passes *passes, struct raster *to)
{
    for (uint32_t y = 0; y < to->height; y++)
        pass_down_row(passes, y, to->bytes + (size_t)y * to->width * 4);
}

static bool run_passes(struct passes *passes, struct raster *to, struct err *err)
{
    size_t across = passes->across.length;

    find_columns(passes);
    passes->stride = (across * 4 + CHUNK - 1) / CHUNK * CHUNK;
    passes->border = try_array(passes->stride, 1);
    passes->between = try_array(passes->from->height, passes->stride);
    passes->turned = try_array(passes->high - passes->low, CHUNK);
    if (passes->border == NULL || passes->between == NULL || passes->turned == NULL)
        return err_set(err, ERR_MEMORY, "no memory to resize a picture of %u x %u pixels",
                       passes->from->width, passes->from->height);
    fill(passes->turned, passes->place->colour,
         (size_t)(passes->high - passes->low) * BLOCK);
    make_border(passes);
    pass_across(passes);
    pass_down(passes, to);
    return true;
}

// ---------------------------------------------------------------------------

bool raster_create(struct raster *to, uint32_t width, uint32_t height, struct err *err)
{
    *to = (struct raster){ .width = width, .height = height };
    if (width > RASTER_MAX_PIXELS || height > RASTER_MAX_PIXELS ||
        (uint64_t)width * height > RASTER_MAX_PIXELS)
        return err_set(err, ERR_LIMIT,
                       "the model wants the picture as %u x %u pixels, the limit is %u",
                       width, height, RASTER_MAX_PIXELS);
    to->bytes = try_array((size_t)width * height, 4);
    if (to->bytes == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a picture of %u x %u pixels",
                       width, height);
    return true;
}

void raster_release(struct raster *raster)
{
    free(raster->bytes);
    *raster = (struct raster){ .bytes = NULL };
}

bool raster_resize_placed(const struct raster *from, const struct raster_place *place,
                          enum resample_filter filter, uint32_t width, uint32_t height,
                          struct raster *to, struct err *err)
{
    struct passes passes = { .from = from, .place = place };
    bool ok = raster_create(to, width, height, err) &&
              axis_init(&passes.across, place->width, width, filter, err) &&
              axis_init(&passes.down, place->height, height, filter, err) &&
              run_passes(&passes, to, err);

    axis_release(&passes.across);
    axis_release(&passes.down);
    free(passes.border);
    free(passes.between);
    free(passes.turned);
    if (!ok)
        raster_release(to);
    return ok;
}

bool raster_resize(const struct raster *from, enum resample_filter filter, uint32_t width,
                   uint32_t height, struct raster *to, struct err *err)
{
    const struct raster_place place = { .width = from->width, .height = from->height };

    return raster_resize_placed(from, &place, filter, width, height, to, err);
}
