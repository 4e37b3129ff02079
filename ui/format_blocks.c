// ui/format_blocks.c
// SPDX-License-Identifier: MIT
#include "ui/formats.h"

#include <stdlib.h>

#include "base/alloc.h"

#define UPPER_HALF "▀"
#define CUBE       6 // steps of each colour among 256

// What terminals mean by their first 16 colours, near enough (xterm).
static const uint8_t first_colours[16][3] = {
    { 0, 0, 0 },       { 205, 0, 0 },   { 0, 205, 0 },   { 205, 205, 0 },
    { 0, 0, 238 },     { 205, 0, 205 }, { 0, 205, 205 }, { 229, 229, 229 },
    { 127, 127, 127 }, { 255, 0, 0 },   { 0, 255, 0 },   { 255, 255, 0 },
    { 92, 92, 255 },   { 255, 0, 255 }, { 0, 255, 255 }, { 255, 255, 255 },
};

static int distance(const uint8_t rgb[3], int red, int green, int blue)
{
    int r = rgb[0] - red, g = rgb[1] - green, b = rgb[2] - blue;

    return 2 * r * r + 4 * g * g + 3 * b * b; // as eyes weigh them, about
}

static int nearest_of_first(const uint8_t rgb[3], int count)
{
    int best = 0, best_distance = INT32_MAX;

    for (int i = 0; i < count; i++) {
        const uint8_t *colour = first_colours[i];
        int far = distance(rgb, colour[0], colour[1], colour[2]);

        if (far < best_distance) {
            best = i;
            best_distance = far;
        }
    }
    return best;
}

static int cube_value(int step)
{
    return step == 0 ? 0 : 55 + 40 * step;
}

static int cube_step(int value)
{
    return value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40;
}

// The nearest of the colour cube (16 to 231) and the greys (232 to 255).
static int nearest_of_256(const uint8_t rgb[3])
{
    int r = cube_step(rgb[0]), g = cube_step(rgb[1]), b = cube_step(rgb[2]);
    int mean = (rgb[0] + rgb[1] + rgb[2]) / 3;
    int grey = mean < 3 ? 0 : mean > 238 ? 23 : (mean - 3) / 10;
    int level = 8 + 10 * grey;

    if (distance(rgb, level, level, level) <
        distance(rgb, cube_value(r), cube_value(g), cube_value(b)))
        return 232 + grey;
    return 16 + CUBE * CUBE * r + CUBE * g + b;
}

static int number_of(const uint8_t rgb[3], enum block_colours colours)
{
    return colours == BLOCKS_RGB   ? rgb[0] << 16 | rgb[1] << 8 | rgb[2]
           : colours == BLOCKS_256 ? nearest_of_256(rgb)
                                   : nearest_of_first(rgb, colours);
}

static void put_colour(struct str *out, int number, bool above,
                       enum block_colours colours)
{
    if (colours == BLOCKS_RGB)
        str_printf(out, "\033[%d;2;%d;%d;%dm", above ? 38 : 48, number >> 16,
                   number >> 8 & 0xFF, number & 0xFF);
    else if (colours == BLOCKS_256)
        str_printf(out, "\033[%d;5;%dm", above ? 38 : 48, number);
    else
        str_printf(out, "\033[%dm",
                   (above ? 30 : 40) + (number < 8 ? number : 60 + number - 8));
}

// A row of cells; `below` is NULL where the picture ends in the middle of it.
static void put_row(struct str *out, const uint8_t *above, const uint8_t *below,
                    int width, enum block_colours colours)
{
    int upper = -1, lower = -1;

    str_append(out, "\033[0m");
    for (int x = 0; x < width; x++, above += 3) {
        int number = number_of(above, colours);

        if (number != upper)
            put_colour(out, upper = number, true, colours);
        if (below != NULL) {
            number = number_of(below, colours);
            if (number != lower)
                put_colour(out, lower = number, false, colours);
            below += 3;
        }
        str_append(out, UPPER_HALF);
    }
    str_append(out, "\033[0m");
}

bool format_blocks(const struct pixels *pixels, int top, int height,
                   const uint8_t background[3], enum block_colours colours,
                   struct str *out)
{
    size_t row = (size_t)pixels->size.width * 3;
    uint8_t *rgb = try_array((size_t)height, row);

    if (rgb == NULL)
        return false;
    pixels_compose(pixels, top, height, background, rgb);
    for (int y = 0; y < height; y += 2) {
        if (y > 0)
            str_append(out, "\n");
        put_row(out, rgb + (size_t)y * row,
                y + 1 < height ? rgb + (size_t)(y + 1) * row : NULL, pixels->size.width,
                colours);
    }
    free(rgb);
    return !out->truncated;
}
