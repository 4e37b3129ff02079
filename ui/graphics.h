// ui/graphics.h
// SPDX-License-Identifier: MIT
//
// What the terminal says about pictures. It is asked once, when it is taken; answers are
// understood whenever they come, and what they say counts from then on. $TERM is not
// believed: only what is answered, ORIEL_GRAPHICS, which overrides, and COLORTERM, with
// which terminals announce 24-bit colours.
//
// Order of preference: kitty graphics (answers its query), sixel (attribute 4 in DA1, and
// the size of a cell is known: a wrong guess would draw over the text), iTerm2 images (by
// the name that XTVERSION gives), half blocks in colour, words. In tmux the same: 3.4 and
// later, built with sixel, answer attribute 4. Passing pictures through tmux is not
// tried: whether it lets them pass cannot be asked.
#ifndef ORIEL_UI_GRAPHICS_H
#define ORIEL_UI_GRAPHICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ui/formats.h"
#include "ui/pixels.h"

#define GRAPHICS_PATIENCE_NS ((int64_t)100000000) // then it is taken to answer nothing

enum graphics_kind {
    GRAPHICS_UNDECIDED, // it may still answer
    GRAPHICS_WORDS,
    GRAPHICS_BLOCKS,
    GRAPHICS_ITERM,
    GRAPHICS_SIXEL,
    GRAPHICS_KITTY,
};

struct graphics {
    enum graphics_kind forced; // GRAPHICS_UNDECIDED: nothing is
    int64_t asked_ns;
    bool awaited;  // it has been asked, and has not answered all
    bool answered; // DA1, which every terminal answers, and which is asked last
    bool kitty, sixel, iterm, rgb;
    int colours;          // of text; 0: none
    int registers;        // for sixel, 0: not said
    struct size geometry; // of sixel, now; 0: not said
    struct size largest;  // sixel; 0: not said
    struct size cell;     // as answered; 0: not
    struct size text;     // area in pixels, as answered; 0: not
    struct size window;   // pixels, as the kernel has it; 0: unknown
    struct size screen;   // columns and rows
    bool background_known;
    uint8_t background[3];
};

// environment: of the variable's name, as getenv.
void graphics_init(struct graphics *graphics, char *(*environment)(const char *name));

// What to write to the terminal: "" for one that would show it.
const char *graphics_question(char *(*environment)(const char *name));
// Again, after the size or the font has changed.
const char *graphics_cell_question(char *(*environment)(const char *name));

// Takes an answer; false if it was none, or nothing new.
bool graphics_answer(struct graphics *graphics, const char *bytes, size_t len);
void graphics_resized(struct graphics *graphics, struct size screen, struct size window);

enum graphics_kind graphics_kind(const struct graphics *graphics, int64_t now_ns);
// Width and height of a cell in pixels; 10 x 20 if nobody knows.
struct size graphics_cell(const struct graphics *graphics);
enum block_colours graphics_block_colours(const struct graphics *graphics);

#endif
