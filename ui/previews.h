// ui/previews.h
// SPDX-License-Identifier: MIT
//
// The pictures of a conversation: how large each is on this screen, its pixels while
// there is room for them, and what is sent to the terminal to show some of its rows.
//
// Pixels are kept at most PREVIEW_SIDE large and PREVIEWS_BYTES in all; those that were
// not seen for longest go, and are asked for again when they come into view.
#ifndef ORIEL_UI_PREVIEWS_H
#define ORIEL_UI_PREVIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ui/encoder.h"
#include "ui/graphics.h"
#include "ui/terminal.h"
#include "ui/ui.h"

#define PREVIEW_COLUMNS 40
#define PREVIEW_SIDE    800 // pixels
#define PREVIEWS_BYTES  ((size_t)32 << 20)

struct preview {
    uint32_t width, height; // 0: not known
    bool asked;             // for its pixels, which have not come
    bool failed;            // they will not come
    struct pixels pixels;   // as they came, but not larger than PREVIEW_SIDE
    struct source *source;  // as they are shown; NULL: not made yet
    // Of the source:
    uint32_t number;
    struct fit fit;
    struct size cell;
    enum graphics_kind kind;

    uint64_t frame; // in which it was seen last
};

struct previews {
    struct graphics graphics;
    struct encoder *encoder;
    struct preview **kept; // those that have pixels
    size_t count, cap;
    uint64_t frame;
    uint32_t next_number;
    int rows;   // of the screen
    bool light; // the theme
};
void previews_init(struct previews *previews);
void previews_release(struct previews *previews);

// Before painting.
void previews_begin(struct previews *previews);

void preview_release(struct previews *previews, struct preview *preview);
void preview_set(struct previews *previews, struct preview *preview,
                 const struct ui_picture *from);
// Sources of all pictures are made anew: the theme, or what is known of the terminal, has
// changed.
void previews_change(struct previews *previews);
// What lies behind transparent pixels, if the terminal has not said it.
void previews_set_background(struct previews *previews, bool light);

// In cells; 0 rows: it is shown as words.
struct fit preview_fit(const struct previews *previews, const struct preview *preview,
                       int max_columns);
// Whether its pixels should be asked for; says so once.
bool preview_wanted(const struct previews *previews, struct preview *preview);

// Puts rows [first, first + rows) of it on the screen at (y, x), as soon as they are
// ready.
void preview_show(struct previews *previews, struct terminal *terminal,
                  struct preview *preview, const struct fit *fit, int first, int rows,
                  int y, int x);

#endif
