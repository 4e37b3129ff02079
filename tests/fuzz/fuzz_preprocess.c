// tests/fuzz/fuzz_preprocess.c
// SPDX-License-Identifier: MIT
//
// Any parameters that vision_params_read could have let through (with smaller sizes, for
// speed) and any small picture. Input: HEAD bytes of numbers, then pixels, which are
// repeated until there are enough. What comes out is whole: tiles of whole patches,
// numbers, runs that are all of the embeddings in order, never two markers in a row.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/vision/preprocess.h"

#define HEAD       24
#define PIXELS     (1U << 12)
#define SIDE       64
#define MAX_PIXELS (1U << 14)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t between(uint32_t low, uint32_t high, uint32_t value)
{
    return low + value % (high - low + 1);
}

static uint32_t pair(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

static struct vision_params take_params(const uint8_t *head)
{
    struct vision_params params = { .projector = head[0] % PROJECTOR_COUNT };

    params.patch_size = between(1, 32, head[1]);
    params.merge = between(1, 2, head[2]);
    if (params.projector == PROJECTOR_MLP || params.projector == PROJECTOR_RESAMPLER)
        params.merge = 1;
    params.image_size = between(1, SIDE / params.patch_size / params.merge, head[3]) *
                            params.patch_size * params.merge +
                        head[4] % params.patch_size;
    params.min_pixels = between(1, MAX_PIXELS / 2, pair(head + 5));
    params.max_pixels = between(params.min_pixels, MAX_PIXELS, pair(head + 7) * 2);
    if (params.max_pixels <
        params.patch_size * params.merge * params.patch_size * params.merge)
        params.max_pixels = MAX_PIXELS;
    params.longest_side = between(1, params.image_size * 8, pair(head + 9));
    if (params.projector == PROJECTOR_PIXTRAL)
        params.longest_side = params.image_size;
    params.min_tiles = between(1, 6, head[11]);
    params.max_tiles = between(params.min_tiles, 6, head[12]);
    params.queries = between(1, 64, head[13]);
    params.pinpoint_count = head[14] % 6;
    for (uint32_t i = 0; i < params.pinpoint_count; i++) {
        params.pinpoints[i][0] = params.image_size * between(1, 3, head[15 + i]);
        params.pinpoints[i][1] = params.image_size * between(1, 3, head[15 + i] / 3);
    }
    for (int i = 0; i < 3; i++) {
        params.mean[i] = (float)head[19] / 255.0F;
        params.deviation[i] = (float)(head[19] + 1) / 256.0F;
    }
    return params;
}

static void check_tile(const struct vision_params *params, const struct vision_tile *tile)
{
    size_t count = (size_t)3 * tile->width * tile->height;

    if (tile->width == 0 || tile->height == 0 ||
        tile->width % (params->patch_size * params->merge) != 0 ||
        tile->height % (params->patch_size * params->merge) != 0)
        bug("a tile of %u x %u", tile->width, tile->height);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(tile->values[i]))
            bug("a tile holds %g", (double)tile->values[i]);
    }
}

static void check_items(const struct vision_input *input)
{
    enum vision_item_kind last = VISION_EMBEDDINGS;
    uint32_t next = 0;

    for (size_t i = 0; i < input->item_count; i++) {
        const struct vision_item *item = &input->items[i];

        if (item->kind == VISION_MARKER) {
            if (last == VISION_MARKER && i > 0)
                bug("two markers in a row");
            if (item->marker == NULL || item->marker[0] == '\0')
                bug("an empty marker");
        } else if (item->first != next || item->count == 0 ||
                   (item->rows != 0 && item->rows * item->columns != item->count)) {
            bug("a run of %u from %u, not from %u", item->count, item->first, next);
        } else {
            next += item->count;
        }
        last = item->kind;
    }
    if (next != input->embedding_count)
        bug("runs of %u embeddings, not %u", next, input->embedding_count);
}

static void check_input(const struct vision_params *params,
                        const struct vision_input *input)
{
    size_t cut = (size_t)input->grid_rows * input->grid_columns;

    if (input->tile_count == 0 ||
        (input->tile_count != cut + 1 && input->tile_count != cut))
        bug("%zu tiles, %zu of them cut", input->tile_count, cut);
    for (size_t i = 0; i < input->tile_count; i++)
        check_tile(params, &input->tiles[i]);
    check_items(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t head[HEAD] = { 0 };
    struct err err = { .code = ERR_NONE };
    struct vision_input input;

    memcpy(head, data, size < HEAD ? size : HEAD);
    struct vision_params params = take_params(head);
    uint32_t width = pair(head + 20), height = pair(head + 22);
    if (width > 0)
        height %= PIXELS / width + 1;
    size_t count = (size_t)width * height * 4;
    uint8_t *rgba = alloc_zero(count);
    for (size_t i = 0; size > HEAD && i < count; i++)
        rgba[i] = data[HEAD + i % (size - HEAD)];
    struct vision_picture picture = { .rgba = rgba, .width = width, .height = height };
    if (vision_preprocess(&params, &picture, &input, &err))
        check_input(&params, &input);
    else if (err.code == ERR_NONE || err.text[0] == '\0')
        bug("refused without a word");
    vision_input_release(&input);
    free(rgba);
    return 0;
}
