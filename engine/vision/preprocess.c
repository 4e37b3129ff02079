// engine/vision/preprocess.c
// SPDX-License-Identifier: MIT
//
// What is common to the families. Pictures with transparency are put on white, as
// transformers.image_transforms.convert_to_rgb does it for all of them: Pillow's
// alpha_composite (src/libImaging/AlphaComposite.c), with its roundings.
#include "engine/vision/preprocess_private.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define PICTURE_MAX_SIDE   65535
#define PICTURE_MAX_PIXELS (1U << 27)
#define MARKER_MAX_BYTES   4096

static const struct family {
    bool (*run)(struct preprocess *pre);
    const char *placeholder;
} families[PROJECTOR_COUNT] = {
    [PROJECTOR_MLP] = { preprocess_llava, "<image>" },
    [PROJECTOR_IDEFICS3] = { preprocess_idefics3, "<image>" },
    [PROJECTOR_GEMMA3] = { preprocess_gemma3, "<start_of_image>" },
    [PROJECTOR_QWEN2VL] = { preprocess_qwen, "<|image_pad|>" },
    [PROJECTOR_QWEN25VL] = { preprocess_qwen, "<|image_pad|>" },
    [PROJECTOR_QWEN3VL] = { preprocess_qwen, "<|image_pad|>" },
    [PROJECTOR_INTERNVL] = { preprocess_internvl, "<IMG_CONTEXT>" },
    [PROJECTOR_PIXTRAL] = { preprocess_pixtral, "[IMG]" },
    [PROJECTOR_RESAMPLER] = { preprocess_minicpm, "(<image>./</image>)" },
    [PROJECTOR_LFM2] = { preprocess_lfm2, "<image>" },
};

const char *vision_placeholder(const struct vision_params *params)
{
    return families[params->projector].placeholder;
}

// ---------------------------------------------------------------------------
// The picture

static bool is_opaque(const uint8_t *rgba, size_t count)
{
    uint8_t all = 255;

    for (size_t i = 0; i < count; i++)
        all &= rgba[i * 4 + 3];
    return all == 255;
}

static uint8_t over_white(uint8_t colour, uint8_t alpha)
{
    uint32_t share = (uint32_t)alpha * 128, most = 255 * 128;
    uint32_t sum = colour * share + 255 * (most - share) + (0x80 << 7);

    return (uint8_t)(((sum >> 8) + sum) >> 8 >> 7);
}

static bool put_on_white(struct preprocess *pre, const struct vision_picture *picture)
{
    size_t count = (size_t)picture->width * picture->height;
    uint8_t *to = try_array(count, 4);

    if (to == NULL)
        return err_set(pre->err, ERR_MEMORY, "no memory for a picture of %u x %u pixels",
                       picture->width, picture->height);
    pre->picture.bytes = to;
    for (const uint8_t *from = picture->rgba; count > 0; count--, from += 4, to += 4) {
        memcpy(to, from, 4);
        for (int i = 0; i < 3 && from[3] != 255; i++)
            to[i] = over_white(from[i], from[3]);
    }
    return true;
}

static bool take_picture(struct preprocess *pre, const struct vision_picture *picture)
{
    uint32_t width = picture->width, height = picture->height;

    if (width == 0 || height == 0)
        return err_set(pre->err, ERR_LIMIT, "a picture of %u x %u pixels", width, height);
    if (width > PICTURE_MAX_SIDE || height > PICTURE_MAX_SIDE ||
        (uint64_t)width * height > PICTURE_MAX_PIXELS)
        return err_set(pre->err, ERR_LIMIT,
                       "a picture of %u x %u pixels: the limit is %u, and %d for a side",
                       width, height, PICTURE_MAX_PIXELS, PICTURE_MAX_SIDE);
    // The bytes are only read.
    pre->picture = (struct raster){ .bytes = (uint8_t *)(uintptr_t)picture->rgba,
                                    .width = width,
                                    .height = height };
    pre->number = picture->number;
    pre->input->original_width = pre->input->fitted_width = width;
    pre->input->original_height = pre->input->fitted_height = height;
    return is_opaque(picture->rgba, (size_t)width * height) || put_on_white(pre, picture);
}

// ---------------------------------------------------------------------------
// Tiles

// In the order of torchvision's normalize, after mean and deviation are scaled to bytes.
static void prepare_normal(struct preprocess *pre)
{
    for (int i = 0; i < 3; i++) {
        float mean = pre->params->mean[i] * 255.0F;
        float deviation = pre->params->deviation[i] * 255.0F;

        for (int j = 0; j < 256; j++)
            pre->normal[i][j] = ((float)j - mean) / deviation;
    }
}

static void normalise(const struct preprocess *pre, const struct raster *from,
                      size_t left, size_t top, const struct vision_tile *tile)
{
    size_t plane = (size_t)tile->width * tile->height;

    for (size_t y = 0; y < tile->height; y++) {
        const uint8_t *pixel = from->bytes + ((top + y) * from->width + left) * 4;
        float *to = tile->values + y * tile->width;

        for (size_t x = 0; x < tile->width; x++, pixel += 4) {
            to[x] = pre->normal[0][pixel[0]];
            to[plane + x] = pre->normal[1][pixel[1]];
            to[2 * plane + x] = pre->normal[2][pixel[2]];
        }
    }
}

// What does not fill a patch is not seen: 384 pixels are 27 patches of 14.
static bool add_tile(struct preprocess *pre, const struct raster *raster, uint32_t row,
                     uint32_t column, struct size size, bool overview)
{
    struct vision_input *input = pre->input;
    uint32_t patch = pre->params->patch_size;
    struct vision_tile tile = { .width = size.width / patch * patch,
                                .height = size.height / patch * patch,
                                .overview = overview,
                                .row = row,
                                .column = column };

    tile.values = try_array((size_t)tile.width * tile.height, 3 * sizeof(*tile.values));
    if (tile.values == NULL)
        return err_set(pre->err, ERR_MEMORY, "no memory for a tile of %u x %u pixels",
                       tile.width, tile.height);
    normalise(pre, raster, (size_t)column * size.width, (size_t)row * size.height, &tile);
    input->tiles = alloc_resize(input->tiles, input->tile_count + 1, sizeof(tile));
    input->tiles[input->tile_count++] = tile;
    return true;
}

bool preprocess_add_overview(struct preprocess *pre, const struct raster *raster)
{
    return add_tile(pre, raster, 0, 0, (struct size){ raster->width, raster->height },
                    true);
}

bool preprocess_add_tiles(struct preprocess *pre, const struct raster *raster,
                          struct grid grid)
{
    struct size size = { raster->width / grid.columns, raster->height / grid.rows };

    pre->input->grid_rows = grid.rows;
    pre->input->grid_columns = grid.columns;
    for (uint32_t row = 0; row < grid.rows; row++) {
        for (uint32_t column = 0; column < grid.columns; column++) {
            if (!add_tile(pre, raster, row, column, size, false))
                return false;
        }
    }
    return true;
}

bool preprocess_overview(struct preprocess *pre, enum resample_filter filter,
                         struct size size)
{
    struct raster raster;
    bool ok = raster_resize(&pre->picture, filter, size.width, size.height, &raster,
                            pre->err) &&
              preprocess_add_overview(pre, &raster);

    raster_release(&raster);
    if (pre->input->grid_rows == 0) {
        pre->input->fitted_width = size.width;
        pre->input->fitted_height = size.height;
    }
    return ok;
}

bool preprocess_tiles(struct preprocess *pre, enum resample_filter filter,
                      struct size size, struct grid grid)
{
    struct raster raster;
    bool ok = raster_resize(&pre->picture, filter, size.width, size.height, &raster,
                            pre->err) &&
              preprocess_add_tiles(pre, &raster, grid);

    raster_release(&raster);
    pre->input->fitted_width = size.width;
    pre->input->fitted_height = size.height;
    return ok;
}

// ---------------------------------------------------------------------------
// Items

static void add_item(struct preprocess *pre, struct vision_item item)
{
    struct vision_input *input = pre->input;

    input->items = alloc_resize(input->items, input->item_count + 1, sizeof(item));
    input->items[input->item_count++] = item;
}

static void end_marker(struct preprocess *pre)
{
    if (pre->marker.len > 0)
        add_item(pre, (struct vision_item){ .kind = VISION_MARKER,
                                            .marker = str_take(&pre->marker) });
}

void preprocess_mark(struct preprocess *pre, const char *format, ...)
{
    char text[128];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    str_append(&pre->marker, text);
}

static void add_run(struct preprocess *pre, uint32_t count, uint32_t rows,
                    uint32_t columns)
{
    end_marker(pre);
    add_item(pre, (struct vision_item){ .kind = VISION_EMBEDDINGS,
                                        .first = pre->input->embedding_count,
                                        .count = count,
                                        .rows = rows,
                                        .columns = columns });
    pre->input->embedding_count += count;
}

void preprocess_run(struct preprocess *pre, uint32_t count)
{
    add_run(pre, count, 0, 0);
}

void preprocess_run_tile(struct preprocess *pre, const struct vision_tile *tile)
{
    uint32_t side = pre->params->patch_size * pre->params->merge;

    add_run(pre, tile->width / side * (tile->height / side), 0, 0);
}

void preprocess_run_placed(struct preprocess *pre, const struct vision_tile *tile)
{
    uint32_t side = pre->params->patch_size * pre->params->merge;
    uint32_t rows = tile->height / side, columns = tile->width / side;

    add_run(pre, rows * columns, rows, columns);
}

// ---------------------------------------------------------------------------
// Sizes

struct size preprocess_smart_size(const struct preprocess *pre, double least)
{
    double factor = pre->params->patch_size * pre->params->merge;
    double width = pre->picture.width, height = pre->picture.height;
    double across = fmax(least, rint(width / factor));
    double down = fmax(least, rint(height / factor));
    double pixels = across * factor * down * factor;

    if (pixels > pre->params->max_pixels) {
        double beta = sqrt(height * width / pre->params->max_pixels);

        across = floor(width / beta / factor);
        down = floor(height / beta / factor);
    } else if (pixels < pre->params->min_pixels) {
        double beta = sqrt(pre->params->min_pixels / (height * width));

        across = ceil(width * beta / factor);
        down = ceil(height * beta / factor);
    }
    return (struct size){ (uint32_t)(fmax(1, across) * factor),
                          (uint32_t)(fmax(1, down) * factor) };
}

struct grid preprocess_nearest_grid(const struct preprocess *pre, uint32_t side)
{
    double width = pre->picture.width, height = pre->picture.height, least = INFINITY;
    struct grid best = { 1, 1 };

    for (uint32_t tiles = pre->params->min_tiles; tiles <= pre->params->max_tiles;
         tiles++) {
        double half = 0.5 * side * side * tiles;

        for (uint32_t columns = 1; columns <= tiles; columns++) {
            if (tiles % columns != 0)
                continue;
            struct grid grid = { columns, tiles / columns };
            double distance = fabs(width / height - (double)grid.columns / grid.rows);

            if (distance < least || (distance == least && width * height > half))
                best = grid;
            least = distance < least ? distance : least;
        }
    }
    return best;
}

bool vision_preprocess(const struct vision_params *params,
                       const struct vision_picture *picture, struct vision_input *input,
                       struct err *err)
{
    struct preprocess pre = { .params = params, .input = input, .err = err };

    *input = (struct vision_input){ .tiles = NULL };
    str_init(&pre.marker, MARKER_MAX_BYTES);
    prepare_normal(&pre);
    bool ok = take_picture(&pre, picture) && families[params->projector].run(&pre);
    if (ok)
        end_marker(&pre);
    if (pre.picture.bytes != picture->rgba)
        free(pre.picture.bytes);
    str_release(&pre.marker);
    return ok;
}

void vision_input_release(struct vision_input *input)
{
    for (size_t i = 0; i < input->tile_count; i++)
        free(input->tiles[i].values);
    for (size_t i = 0; i < input->item_count; i++)
        free(input->items[i].marker);
    free(input->tiles);
    free(input->items);
    *input = (struct vision_input){ .tiles = NULL };
}
