// engine/vision/preprocess_idefics3.c
// SPDX-License-Identifier: MIT
//
// Idefics3 and SmolVLM: the longer side is made longest_side, then both sides multiples
// of a square, which is cut into squares; behind these all of it in one square. Each step
// resizes the result of the one before.
//
// Source: transformers' SmolVLMImageProcessor and SmolVLMProcessor.
#include "engine/vision/preprocess_private.h"

#define MAX_SIDE 4096

static uint32_t at_least_one(double value)
{
    return value >= 1 ? (uint32_t)value : 1;
}

// The shorter side is made even, once.
static struct size fit_longest(struct size size, uint32_t longest)
{
    double aspect = (double)size.width / size.height;

    if (size.width >= size.height) {
        size.width = longest;
        size.height = (uint32_t)(size.width / aspect);
        size.height = at_least_one(size.height + size.height % 2);
    } else {
        size.height = longest;
        size.width = (uint32_t)(size.height * aspect);
        size.width = at_least_one(size.width + size.width % 2);
    }
    return size;
}

static struct size fit_below(struct size size, uint32_t longest)
{
    double aspect = (double)size.width / size.height;

    if (size.width >= size.height && size.width > longest)
        return (struct size){ longest, at_least_one(longest / aspect) };
    if (size.height > size.width && size.height > longest)
        return (struct size){ at_least_one(longest * aspect), longest };
    return size;
}

static uint32_t round_up(uint32_t value, uint32_t side)
{
    return (value + side - 1) / side * side;
}

static struct size fit_squares(struct size size, uint32_t side)
{
    double aspect = (double)size.width / size.height;

    if (size.width >= size.height) {
        size.width = round_up(size.width, side);
        size.height = round_up(at_least_one(size.width / aspect), side);
    } else {
        size.height = round_up(size.height, side);
        size.width = round_up(at_least_one(size.height * aspect), side);
    }
    return size;
}

static bool add_squares(struct preprocess *pre, const struct raster *raster)
{
    uint32_t side = pre->params->image_size;
    struct grid grid = { raster->width / side, raster->height / side };
    struct raster whole;

    if (grid.columns * grid.rows == 1)
        return preprocess_add_overview(pre, raster);
    bool ok = preprocess_add_tiles(pre, raster, grid) &&
              raster_resize(raster, RESAMPLE_LANCZOS, side, side, &whole, pre->err);
    if (!ok)
        return false;
    ok = preprocess_add_overview(pre, &whole);
    raster_release(&whole);
    return ok;
}

static void add_items(struct preprocess *pre)
{
    const struct vision_input *input = pre->input;

    for (size_t i = 0; i + 1 < input->tile_count; i++) {
        const struct vision_tile *tile = &input->tiles[i];

        preprocess_mark(pre, "<fake_token_around_image><row_%u_col_%u>", tile->row + 1,
                        tile->column + 1);
        preprocess_run_tile(pre, tile);
        if (tile->column + 1 == input->grid_columns)
            preprocess_mark(pre, "\n");
    }
    if (input->grid_rows > 0)
        preprocess_mark(pre, "\n");
    preprocess_mark(pre, "<fake_token_around_image><global-img>");
    preprocess_run_tile(pre, &input->tiles[input->tile_count - 1]);
    preprocess_mark(pre, "<fake_token_around_image>");
}

bool preprocess_idefics3(struct preprocess *pre)
{
    struct size size = { pre->picture.width, pre->picture.height };
    struct raster first, second = { .bytes = NULL };

    size = fit_below(fit_longest(size, pre->params->longest_side), MAX_SIDE);
    bool ok = raster_resize(&pre->picture, RESAMPLE_LANCZOS, size.width, size.height,
                            &first, pre->err);
    size = fit_squares(size, pre->params->image_size);
    ok = ok && raster_resize(&first, RESAMPLE_LANCZOS, size.width, size.height, &second,
                             pre->err);
    raster_release(&first);
    ok = ok && add_squares(pre, &second);
    raster_release(&second);
    if (!ok)
        return false;
    pre->input->fitted_width = size.width;
    pre->input->fitted_height = size.height;
    add_items(pre);
    return true;
}
