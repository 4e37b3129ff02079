// engine/vision/preprocess_grid.c
// SPDX-License-Identifier: MIT
//
// Families that cut a picture into a grid of squares of about its shape, with all of it
// behind them: InternVL always, LFM2-VL if it is large.
//
// Sources: transformers' GotOcr2ImageProcessor (which InternVL uses) and
// InternVLProcessor, Lfm2VlImageProcessor and Lfm2VlProcessor.
#include "engine/vision/preprocess_private.h"

#include <math.h>

#define LFM2_TILE      512 // pixels of a side
#define LFM2_TOLERANCE 2.0 // times max_pixels: what is not yet large

bool preprocess_internvl(struct preprocess *pre)
{
    uint32_t side = pre->params->image_size;
    struct size square = { side, side };
    struct grid grid = preprocess_nearest_grid(pre, side);
    struct size size = { side * grid.columns, side * grid.rows };
    uint32_t count = side / pre->params->patch_size / pre->params->merge;

    if (grid.columns * grid.rows > 1 &&
        !preprocess_tiles(pre, RESAMPLE_BICUBIC, size, grid))
        return false;
    if (!preprocess_overview(pre, RESAMPLE_BICUBIC, square))
        return false;
    preprocess_mark(pre, "<img>");
    preprocess_run(pre, (uint32_t)pre->input->tile_count * count * count);
    preprocess_mark(pre, "</img>");
    return true;
}

static uint32_t lfm2_side(const struct preprocess *pre)
{
    return pre->params->patch_size * pre->params->merge;
}

static bool lfm2_is_large(const struct preprocess *pre)
{
    double factor = lfm2_side(pre), least = pre->params->patch_size;
    double width = fmax(least, rint(pre->picture.width / factor) * factor);
    double height = fmax(least, rint(pre->picture.height / factor) * factor);

    return width * height > pre->params->max_pixels * LFM2_TOLERANCE;
}

static void lfm2_items(struct preprocess *pre)
{
    const struct vision_input *input = pre->input;

    preprocess_mark(pre, "<|image_start|>");
    for (size_t i = 0; i < input->tile_count; i++) {
        const struct vision_tile *tile = &input->tiles[i];

        if (!tile->overview)
            preprocess_mark(pre, "<|img_row_%u_col_%u|>", tile->row + 1,
                            tile->column + 1);
        else if (input->grid_rows > 0)
            preprocess_mark(pre, "<|img_thumbnail|>");
        preprocess_run_tile(pre, tile);
    }
    preprocess_mark(pre, "<|image_end|>");
}

bool preprocess_lfm2(struct preprocess *pre)
{
    struct grid grid = preprocess_nearest_grid(pre, LFM2_TILE);
    struct size size = { LFM2_TILE * grid.columns, LFM2_TILE * grid.rows };

    if (LFM2_TILE % lfm2_side(pre) != 0)
        return err_set(pre->err, ERR_UNSUPPORTED,
                       "tiles of %d pixels do not divide into patches of %u", LFM2_TILE,
                       lfm2_side(pre));
    if (pre->params->max_tiles > 1 && lfm2_is_large(pre) &&
        !preprocess_tiles(pre, RESAMPLE_BILINEAR, size, grid))
        return false;
    if (!preprocess_overview(pre, RESAMPLE_BILINEAR, preprocess_smart_size(pre, 1)))
        return false;
    lfm2_items(pre);
    return true;
}
