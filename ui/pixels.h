// ui/pixels.h
// SPDX-License-Identifier: MIT
//
// Pictures as arithmetic: how large one is shown, which part of it some rows of cells
// show, and the scaling. Knows no terminal.
#ifndef ORIEL_UI_PIXELS_H
#define ORIEL_UI_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIXELS_SIDE_MAX ((uint32_t)1 << 17)

struct size {
    int width, height;
};

// Rows from the top, 4 bytes a pixel: red, green, blue, alpha (not multiplied in).
struct pixels {
    struct size size;
    uint8_t *rgba;
};
void pixels_release(struct pixels *pixels);
size_t pixels_bytes(const struct pixels *pixels);

// The mean of the source pixels that fall on each pixel of `size`, weighted by their
// alpha; of many it takes 4 x 4, so that the time does not depend on the source. The
// result lies in the upper left of a transparent `canvas`, which is not smaller. false:
// no memory, or no such picture.
bool pixels_scale(struct pixels *to, const uint8_t *rgba, uint32_t width, uint32_t height,
                  struct size size, struct size canvas);

// Rows [top, top + height) over a background: rgb[height][width][3].
void pixels_compose(const struct pixels *pixels, int top, int height,
                    const uint8_t background[3], uint8_t *rgb);

// How large a picture is shown: in pixels, and the cells that it needs. Never larger than
// it is.
struct fit {
    struct size pixels;
    int columns, rows; // 0: there is no room
};
struct fit pixels_fit(uint32_t width, uint32_t height, struct size cell, int max_columns,
                      int max_rows, struct size max_pixels);

// The same in half cells, one pixel wide and two high a cell.
struct fit pixels_fit_blocks(const struct fit *fit, struct size cell);

#endif
