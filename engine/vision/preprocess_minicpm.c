// engine/vision/preprocess_minicpm.c
// SPDX-License-Identifier: MIT
//
// MiniCPM-V 2.6: all of the picture in about 448 x 448 pixels, then slices of about as
// many, in a grid of about its shape. Each becomes the same number of embeddings.
//
// Source: image_processing_minicpmv.py of openbmb/MiniCPM-V-2_6, which resizes with
// Pillow. transformers' class for MiniCPM-V 4.6 has the same rules, but merges patches
// and therefore rounds otherwise.
#include "engine/vision/preprocess_private.h"

#include <math.h>

struct sides {
    double width, height;
};

static double round_to(double length, double divisor)
{
    return fmax(rint(length / divisor) * divisor, divisor);
}

// About image_size x image_size pixels in the same shape, in whole patches.
static struct sides best_size(const struct vision_params *params, struct sides sides,
                              bool enlarge)
{
    double scale = params->image_size, patch = params->patch_size;

    if (sides.width * sides.height > scale * scale || enlarge) {
        double aspect = sides.width / sides.height;

        sides.height = trunc(scale / sqrt(aspect));
        sides.width = trunc(sides.height * aspect);
    }
    return (struct sides){ round_to(sides.width, patch), round_to(sides.height, patch) };
}

static struct size slices_size(const struct preprocess *pre, struct grid grid)
{
    struct sides slice = {
        round_to(pre->picture.width, grid.columns) / grid.columns,
        round_to(pre->picture.height, grid.rows) / grid.rows,
    };
    struct sides best = best_size(pre->params, slice, true);

    return (struct size){ (uint32_t)best.width * grid.columns,
                          (uint32_t)best.height * grid.rows };
}

// One less, as many, or one more than the picture's pixels would need.
static struct grid choose_grid(const struct preprocess *pre)
{
    const struct vision_params *params = pre->params;
    double width = pre->picture.width, height = pre->picture.height, least = INFINITY;
    double scale = params->image_size, needed = ceil(width * height / (scale * scale));
    uint32_t multiple = (uint32_t)fmin(needed, params->max_tiles);
    struct grid best = { 1, 1 };

    if (multiple <= 1)
        return best;
    for (uint32_t tiles = multiple - 1; tiles <= multiple + 1; tiles++) {
        if (tiles == 1 || tiles > params->max_tiles)
            continue;
        for (uint32_t columns = 1; columns <= tiles; columns++) {
            if (tiles % columns != 0)
                continue;
            struct grid grid = { columns, tiles / columns };
            double error = fabs(log(width / height) - log((double)columns / grid.rows));

            if (error < least) {
                least = error;
                best = grid;
            }
        }
    }
    return best;
}

static void add_items(struct preprocess *pre)
{
    const struct vision_input *input = pre->input;

    preprocess_mark(pre, "<image_id>%u</image_id><image>", pre->number);
    preprocess_run(pre, pre->params->queries);
    preprocess_mark(pre, "</image>");
    for (size_t i = 1; i < input->tile_count; i++) {
        const struct vision_tile *tile = &input->tiles[i];

        preprocess_mark(pre,
                        tile->row > 0 && tile->column == 0 ? "\n<slice>" : "<slice>");
        preprocess_run(pre, pre->params->queries);
        preprocess_mark(pre, "</slice>");
    }
}

bool preprocess_minicpm(struct preprocess *pre)
{
    struct grid grid = choose_grid(pre);
    bool sliced = grid.columns * grid.rows > 1;
    struct sides whole = best_size(
        pre->params, (struct sides){ pre->picture.width, pre->picture.height }, !sliced);

    if (!preprocess_overview(
            pre, RESAMPLE_BICUBIC_PILLOW,
            (struct size){ (uint32_t)whole.width, (uint32_t)whole.height }) ||
        (sliced &&
         !preprocess_tiles(pre, RESAMPLE_BICUBIC_PILLOW, slices_size(pre, grid), grid)))
        return false;
    add_items(pre);
    return true;
}
