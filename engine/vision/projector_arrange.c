// engine/vision/projector_arrange.c
// SPDX-License-Identifier: MIT
//
// Embeddings in the order of the prompt. Mostly those of one tile after another;
// LLaVA 1.6 puts the cut tiles together again, takes away what was padding, and ends each
// line (LlavaNextForConditionalGeneration.pack_image_features in `transformers`).
// Pixtral's lines end in a token of the prompt, so the embedding of it in the file is not
// needed.
#include "engine/vision/encoder_private.h"

#include <math.h>
#include <string.h>

uint32_t vision_tile_outputs(const struct vision_params *params,
                             const struct vision_tile *tile)
{
    uint32_t side = params->patch_size * params->merge;

    if (params->projector == PROJECTOR_RESAMPLER)
        return params->queries;
    return (tile->width / side) * (tile->height / side);
}

// The part of a grid that shows the picture.
struct crop {
    uint32_t top, left, rows, columns; // of embeddings
};

// Python rounds to seven places before it cuts: 0.1 * 30 is 3.
static uint32_t scaled(uint32_t length, double factor)
{
    return (uint32_t)floor(nearbyint(length * factor * 1e7) / 1e7);
}

static struct crop find_crop(const struct vision_params *params,
                             const struct vision_input *input)
{
    uint32_t side = params->image_size / params->patch_size;
    uint32_t rows = input->grid_rows * side, columns = input->grid_columns * side;
    double width = input->original_width, height = input->original_height;
    struct crop crop = { .rows = rows, .columns = columns };

    if (width / height > (double)columns / (double)rows) {
        uint32_t kept = scaled(input->original_height, columns / width);

        crop.top = (rows - kept) / 2;
        crop.rows = rows - 2 * crop.top;
    } else {
        uint32_t kept = scaled(input->original_width, rows / height);

        crop.left = (columns - kept) / 2;
        crop.columns = columns - 2 * crop.left;
    }
    return crop;
}

static bool has_newlines(const struct vision_encoder *encoder)
{
    return encoder->weights.newline != NULL && encoder->params.pinpoint_count > 0;
}

uint32_t vision_arranged_count(const struct vision_encoder *encoder,
                               const struct vision_input *input)
{
    uint32_t count = 0;

    for (size_t i = 0; i < input->tile_count; i++) {
        const struct vision_tile *tile = &input->tiles[i];

        if (has_newlines(encoder) && !tile->overview && input->grid_rows > 0)
            continue;
        count += vision_tile_outputs(&encoder->params, tile);
    }
    if (has_newlines(encoder)) {
        struct crop crop = { .rows = 1 };

        if (input->grid_rows > 0)
            crop = find_crop(&encoder->params, input);
        count += crop.rows * (crop.columns + 1);
    }
    return count;
}

static float *put(float *to, const float *from, size_t count)
{
    memcpy(to, from, count * sizeof(*to));
    return to + count;
}

// The embedding of a place in the grid of cut tiles.
static const float *find_place(const struct vision_encoder *encoder,
                               const struct vision_input *input, const float *raw,
                               uint32_t row, uint32_t column)
{
    size_t width = encoder->params.projection_width;
    uint32_t side = encoder->params.image_size / encoder->params.patch_size;

    for (size_t i = 0; i < input->tile_count; i++) {
        const struct vision_tile *tile = &input->tiles[i];

        if (!tile->overview && tile->row == row / side && tile->column == column / side)
            return raw + (row % side * side + column % side) * width;
        raw += vision_tile_outputs(&encoder->params, tile) * width;
    }
    bug("a picture without its tile %u, %u", row / side, column / side);
}

static void arrange_grid(const struct vision_encoder *encoder,
                         const struct vision_input *input, const float *raw, float *out)
{
    size_t width = encoder->params.projection_width;
    struct crop crop = find_crop(&encoder->params, input);

    for (uint32_t y = 0; y < crop.rows; y++) {
        for (uint32_t x = 0; x < crop.columns; x++)
            out = put(out, find_place(encoder, input, raw, crop.top + y, crop.left + x),
                      width);
        out = put(out, encoder->weights.newline, width);
    }
}

static void arrange_llava(const struct vision_encoder *encoder,
                          const struct vision_input *input, const float *raw, float *out)
{
    size_t width = encoder->params.projection_width;
    const float *from = raw;

    for (size_t i = 0; i < input->tile_count; i++) {
        size_t count = vision_tile_outputs(&encoder->params, &input->tiles[i]) * width;

        if (input->tiles[i].overview || input->grid_rows == 0)
            out = put(out, from, count);
        from += count;
    }
    if (input->grid_rows > 0)
        arrange_grid(encoder, input, raw, out);
    else
        put(out, encoder->weights.newline, width);
}

void vision_arrange(const struct vision_encoder *encoder,
                    const struct vision_input *input, const float *raw, float *embeddings)
{
    size_t width = vision_encoder_output_width(encoder);

    if (has_newlines(encoder))
        arrange_llava(encoder, input, raw, embeddings);
    else
        memcpy(embeddings, raw, input->embedding_count * width * sizeof(*embeddings));
}
