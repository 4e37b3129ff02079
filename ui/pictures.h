// ui/pictures.h
// SPDX-License-Identifier: MIT
//
// The pictures of a conversation: how large each is on this screen, its pixels while
// there is room for them, and what is sent to the terminal to show some of its rows.
//
// Pixels are kept at most PICTURE_SIDE large and PICTURES_BYTES in all; those that were
// not seen for longest go, and are asked for again when they come into view.
#ifndef ORIEL_UI_PICTURES_H
#define ORIEL_UI_PICTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ui/encoder.h"
#include "ui/graphics.h"
#include "ui/terminal.h"
#include "ui/ui.h"

#define PICTURE_COLUMNS 40
#define PICTURE_SIDE    800 // pixels
#define PICTURES_BYTES  ((size_t)32 << 20)

struct picture {
    uint32_t width, height; // 0: not known
    bool asked;             // for its pixels, which have not come
    bool failed;            // they will not come
    struct pixels pixels;   // as they came, but not larger than PICTURE_SIDE
    struct source *source;  // as they are shown; NULL: not made yet
    uint32_t number;        // of the source
    struct fit fit;         // of the source
    enum graphics_kind kind;
    uint64_t frame; // in which it was seen last
};

struct pictures {
    struct graphics graphics;
    struct encoder *encoder;
    struct picture **kept; // those that have pixels
    size_t count, cap;
    uint64_t frame;
    uint32_t next_number;
    int rows;   // of the screen
    bool light; // the theme
};
void pictures_init(struct pictures *pictures);
void pictures_release(struct pictures *pictures);

// Before painting.
void pictures_begin(struct pictures *pictures);

void picture_release(struct pictures *pictures, struct picture *picture);
void picture_set(struct pictures *pictures, struct picture *picture,
                 const struct ui_picture *from);
// Sources of all pictures are made anew: the theme, or what is known of the terminal, has
// changed.
void pictures_change(struct pictures *pictures);
// What lies behind transparent pixels, if the terminal has not said it.
void pictures_set_background(struct pictures *pictures, bool light);

// In cells; 0 rows: it is shown as words.
struct fit picture_fit(const struct pictures *pictures, const struct picture *picture,
                       int max_columns);
// Whether its pixels should be asked for; says so once.
bool picture_wanted(const struct pictures *pictures, struct picture *picture);

// Puts rows [first, first + rows) of it on the screen at (y, x), as soon as they are
// ready.
void picture_show(struct pictures *pictures, struct terminal *terminal,
                  struct picture *picture, const struct fit *fit, int first, int rows,
                  int y, int x);

#endif
