// ui/overlay.h
// SPDX-License-Identifier: MIT
//
// The pictures on the screen: which bytes take away the ones that have gone, and draw the
// ones that have come, between one frame and the next. A picture lies over cells that
// curses has been told are blank; curses never writes to cells that stay the same, so a
// picture that stays costs nothing, and one that goes is erased by writing blanks, which
// leaves curses' idea of the screen true.
//
// The order in a frame: overlay_erase, the text, overlay_draw.
#ifndef ORIEL_UI_OVERLAY_H
#define ORIEL_UI_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "ui/pixels.h"

#define OVERLAY_MAX       32 // pictures on a screen; more are not shown
#define OVERLAY_KITTY_MAX 48 // pictures that a kitty keeps for us

enum overlay_kind {
    OVERLAY_BYTES, // bytes draw it at the cursor
    OVERLAY_LINES, // bytes draw it, a newline between rows
    OVERLAY_KITTY, // bytes transmit it whole; it is placed
};

struct overlay_picture {
    int y, x, rows, columns; // cells
    enum overlay_kind kind;
    uint32_t number;   // another one: other pixels
    int first;         // the row of the picture at y
    const char *bytes; // borrowed until overlay_draw
    size_t len;
    int top;          // kitty: the pixel row at y
    struct size crop; // kitty: what is placed
};

struct overlay {
    struct overlay_picture shown[OVERLAY_MAX], next[OVERLAY_MAX];
    size_t shown_count, next_count;
    uint32_t kitty[OVERLAY_KITTY_MAX]; // numbers, the latest last
    size_t kitty_count;
    bool cleared; // the screen has been, since the last frame
    bool unsafe;  // all pictures are to be taken away before the text, and drawn again
};

// Adds to the frame that is being made.
void overlay_add(struct overlay *overlay, const struct overlay_picture *picture);
// Everything on the screen has been wiped, or will be.
void overlay_clear(struct overlay *overlay);

// The text beside pictures scrolls in the next frame: they must not stay meanwhile.
void overlay_renew(struct overlay *overlay);

// Append what is to be sent. Where both append nothing the screen is as it should be.
void overlay_erase(struct overlay *overlay, struct str *out);
void overlay_draw(struct overlay *overlay, struct str *out);

#endif
