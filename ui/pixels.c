// ui/pixels.c
// SPDX-License-Identifier: MIT
#include "ui/pixels.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define SAMPLES 4 // of the source a pixel, each way

void pixels_release(struct pixels *pixels)
{
    free(pixels->rgba);
    *pixels = (struct pixels){ 0 };
}

size_t pixels_bytes(const struct pixels *pixels)
{
    return pixels->rgba != NULL
               ? (size_t)pixels->size.width * (size_t)pixels->size.height * 4
               : 0;
}

// ---------------------------------------------------------------------------
// Scaling

// The source rows (or columns) that pixel `at` of `to` is the mean of.
struct taps {
    uint32_t at[SAMPLES];
    unsigned count;
};

static struct taps taps_of(uint32_t at, uint32_t to, uint32_t from)
{
    uint32_t start = (uint32_t)((uint64_t)at * from / to);
    uint32_t end = (uint32_t)(((uint64_t)at + 1) * from / to);
    uint32_t span = end > start ? end - start : 1;
    struct taps taps = { .count = span < SAMPLES ? span : SAMPLES };

    for (unsigned i = 0; i < taps.count; i++)
        taps.at[i] =
            start + (uint32_t)(((uint64_t)span * (2 * i + 1)) / (2 * taps.count));
    return taps;
}

static void mean(const uint8_t *rgba, size_t width, const struct taps *x,
                 const struct taps *y, uint8_t out[4])
{
    unsigned sums[3] = { 0 }, alpha = 0, count = x->count * y->count;

    for (unsigned i = 0; i < y->count; i++)
        for (unsigned j = 0; j < x->count; j++) {
            const uint8_t *pixel = rgba + 4 * (width * y->at[i] + x->at[j]);

            for (unsigned k = 0; k < 3; k++)
                sums[k] += (unsigned)pixel[k] * pixel[3];
            alpha += pixel[3];
        }
    for (unsigned k = 0; k < 3; k++)
        out[k] = alpha > 0 ? (uint8_t)((sums[k] + alpha / 2) / alpha) : 0;
    out[3] = (uint8_t)((alpha + count / 2) / count);
}

bool pixels_scale(struct pixels *to, const uint8_t *rgba, uint32_t width, uint32_t height,
                  struct size size, struct size canvas)
{
    struct taps *columns;

    if (width == 0 || height == 0 || width > PIXELS_SIDE_MAX ||
        height > PIXELS_SIDE_MAX || size.width <= 0 || size.height <= 0 ||
        (to->rgba = try_array((size_t)canvas.width * (size_t)canvas.height, 4)) == NULL)
        return false;
    to->size = canvas;
    columns = alloc_array((size_t)size.width, sizeof(*columns));
    for (int x = 0; x < size.width; x++)
        columns[x] = taps_of((uint32_t)x, (uint32_t)size.width, width);
    for (int y = 0; y < size.height; y++) {
        struct taps rows = taps_of((uint32_t)y, (uint32_t)size.height, height);
        uint8_t *out = to->rgba + 4 * (size_t)y * (size_t)canvas.width;

        for (int x = 0; x < size.width; x++, out += 4)
            mean(rgba, width, &columns[x], &rows, out);
    }
    free(columns);
    return true;
}

void pixels_compose(const struct pixels *pixels, int top, int height,
                    const uint8_t background[3], uint8_t *rgb)
{
    const uint8_t *from = pixels->rgba + 4 * (size_t)top * (size_t)pixels->size.width;

    for (size_t i = (size_t)height * (size_t)pixels->size.width; i > 0; i--) {
        unsigned alpha = from[3];

        for (unsigned k = 0; k < 3; k++)
            *rgb++ =
                (uint8_t)((from[k] * alpha + background[k] * (255 - alpha) + 127) / 255);
        from += 4;
    }
}

// ---------------------------------------------------------------------------
// Fitting

static int at_least_one(double value)
{
    return value < 1 ? 1 : (int)(value + 0.5);
}

static int cells(int pixels, int cell)
{
    return (pixels + cell - 1) / cell;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

struct fit pixels_fit(uint32_t width, uint32_t height, struct size cell, int max_columns,
                      int max_rows, struct size max_pixels)
{
    double w = width, h = height, scale;
    struct fit fit = { 0 };

    if (width == 0 || height == 0 || max_columns < 1 || max_rows < 1)
        return fit;
    scale = smaller(1, smaller(max_columns * cell.width / w, max_rows * cell.height / h));
    if (max_pixels.width > 0 && max_pixels.height > 0)
        scale = smaller(scale, smaller(max_pixels.width / w, max_pixels.height / h));
    fit.pixels = (struct size){ at_least_one(w * scale), at_least_one(h * scale) };
    fit.columns = cells(fit.pixels.width, cell.width);
    fit.rows = cells(fit.pixels.height, cell.height);
    return fit;
}

struct fit pixels_fit_blocks(const struct fit *fit, struct size cell)
{
    struct fit blocks = { 0 };

    if (fit->rows == 0)
        return blocks;
    blocks.columns = at_least_one((double)fit->pixels.width / cell.width);
    blocks.pixels.width = blocks.columns;
    blocks.pixels.height = at_least_one(2.0 * fit->pixels.height / cell.height);
    blocks.rows = cells(blocks.pixels.height, 2);
    return blocks;
}
