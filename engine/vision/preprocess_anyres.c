// engine/vision/preprocess_anyres.c
// SPDX-License-Identifier: MIT
//
// LLaVA 1.6: the picture fits into one of several sizes ("pinpoints"), black around it,
// and is cut into squares; before these, all of it in one square. The encoder puts the
// squares together again, takes the padding off and ends each line with a vector.
//
// Source: transformers' LlavaNextImageProcessor and LlavaNextProcessor.
#include "engine/vision/preprocess_private.h"

#include <math.h>
#include <string.h>

// The size that keeps most of the picture's pixels, and of those the one that wastes
// least.
static struct size choose_pinpoint(const struct preprocess *pre)
{
    double width = pre->picture.width, height = pre->picture.height;
    double most = 0, least = INFINITY;
    struct size best = { pre->params->pinpoints[0][1], pre->params->pinpoints[0][0] };

    for (uint32_t i = 0; i < pre->params->pinpoint_count; i++) {
        const uint32_t *point = pre->params->pinpoints[i]; // height, width
        double scale = fmin(point[1] / width, point[0] / height);
        double effective =
            fmin(floor(width * scale) * floor(height * scale), width * height);
        double wasted = (double)point[1] * point[0] - effective;

        if (effective > most || (effective == most && wasted < least)) {
            most = effective;
            least = wasted;
            best = (struct size){ point[1], point[0] };
        }
    }
    return best;
}

static struct size fit(const struct preprocess *pre, struct size into)
{
    double width = pre->picture.width, height = pre->picture.height;
    double across = into.width / width, down = into.height / height;

    if (across < down)
        return (struct size){ into.width,
                              (uint32_t)fmin(ceil(height * across), into.height) };
    return (struct size){ (uint32_t)fmin(ceil(width * down), into.width), into.height };
}

// Black where the picture is not.
static bool place_fitted(struct preprocess *pre, const struct raster *fitted,
                         struct size size, struct raster *canvas)
{
    uint32_t left = (size.width - fitted->width) / 2;
    uint32_t top = (size.height - fitted->height) / 2;

    if (!raster_create(canvas, size.width, size.height, pre->err))
        return false;
    for (uint32_t y = 0; y < fitted->height; y++)
        memcpy(canvas->bytes + ((size_t)(top + y) * size.width + left) * 4,
               fitted->bytes + (size_t)y * fitted->width * 4, (size_t)fitted->width * 4);
    return true;
}

static bool add_fitted(struct preprocess *pre, struct size size)
{
    uint32_t side = pre->params->image_size;
    struct size fitted = fit(pre, size);
    struct raster raster, canvas = { .bytes = NULL };
    bool ok = raster_resize(&pre->picture, RESAMPLE_BICUBIC, fitted.width, fitted.height,
                            &raster, pre->err) &&
              place_fitted(pre, &raster, size, &canvas) &&
              preprocess_add_tiles(
                  pre, &canvas, (struct grid){ size.width / side, size.height / side });

    raster_release(&raster);
    raster_release(&canvas);
    pre->input->fitted_width = fitted.width;
    pre->input->fitted_height = fitted.height;
    return ok;
}

// What is left of `length` embeddings when the padding is gone, the same on both ends;
// `kept` show the picture. Python rounds to seven places before it cuts.
static uint32_t trim(uint32_t length, double kept)
{
    return length - (length - (uint32_t)floor(rint(kept * 1e7) / 1e7)) / 2 * 2;
}

static uint32_t count_embeddings(const struct preprocess *pre, struct size size)
{
    uint32_t patch = pre->params->patch_size, side = pre->params->image_size / patch;
    uint32_t rows = size.height / pre->params->image_size * side;
    uint32_t columns = size.width / pre->params->image_size * side;
    double width = pre->picture.width, height = pre->picture.height;

    if (width / height > (double)columns / rows)
        rows = trim(rows, height * (columns / width));
    else
        columns = trim(columns, width * (rows / height));
    return side * side + rows * (columns + 1);
}

bool preprocess_llava_next(struct preprocess *pre)
{
    struct size size = choose_pinpoint(pre);
    uint32_t side = pre->params->image_size;

    if (!preprocess_overview(pre, RESAMPLE_BICUBIC, (struct size){ side, side }) ||
        !add_fitted(pre, size))
        return false;
    preprocess_run(pre, count_embeddings(pre, size));
    return true;
}
