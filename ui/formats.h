// ui/formats.h
// SPDX-License-Identifier: MIT
//
// A picture, or some of its rows, as the bytes with which a terminal shows it where its
// cursor is. Pure: nothing here knows a screen. All may be called by a thread other than
// the screen's.
//
// Sources: DEC STD 070 and XTerm Control Sequences (sixel), the kitty graphics protocol,
// the iTerm2 inline images protocol.
#ifndef ORIEL_UI_FORMATS_H
#define ORIEL_UI_FORMATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "ui/pixels.h"

#define SIXEL_BAND 6 // pixel rows that a sixel covers

// Sixel needs a palette, which is chosen once for the whole picture, so that its parts
// have the same colours.
struct sixel_source;
// With at most so many colours, of which 256 are used. NULL: no memory.
struct sixel_source *format_sixel_prepare(const struct pixels *pixels,
                                          const uint8_t background[3], int colours);
void format_sixel_release(struct sixel_source **source);
// Pixel rows [top, top + height); unset pixels stay what they are.
bool format_sixel(const struct sixel_source *source, int top, int height,
                  struct str *out);
// How many of the pixel rows from `top` on can be shown in `room` pixel rows, such that
// no band of six reaches over the room (terminals differ in what they do there).
int format_sixel_height(int height, int top, int room);

// The whole picture under the number `image`, for format_kitty_place. Nothing is shown.
bool format_kitty(const struct pixels *pixels, uint32_t image, struct str *out);
// Shows pixel rows [top, top + height) in cells.
void format_kitty_place(uint32_t image, int top, struct size crop, int columns, int rows,
                        struct str *out);
void format_kitty_remove(uint32_t image, struct str *out); // from the screen
void format_kitty_forget(uint32_t image, struct str *out); // its pixels too

// Pixel rows [top, top + height) in cells.
bool format_iterm(const struct pixels *pixels, int top, int height, int columns, int rows,
                  struct str *out);

enum block_colours {
    BLOCKS_8 = 8,
    BLOCKS_16 = 16,
    BLOCKS_256 = 256,
    BLOCKS_RGB = 1 << 24
};
// Half blocks, two pixels a cell; a newline between rows of cells. top is even.
bool format_blocks(const struct pixels *pixels, int top, int height,
                   const uint8_t background[3], enum block_colours colours,
                   struct str *out);

#endif
