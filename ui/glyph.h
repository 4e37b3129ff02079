// ui/glyph.h
// SPDX-License-Identifier: MIT
//
// Text as a terminal shows it: glyphs of one or two columns. Everything on the screen,
// trusted or not, is measured and made harmless here and nowhere else, so that what is
// measured is what is drawn.
//
// Terminals disagree on the width of joined emoji, skin tones and variation selectors. A
// wrong guess would shift everything to the right of it, so that what they disagree on is
// drawn as its first part (a family as its first member), which is two columns in all of
// them. Widths are libc's, because curses counts with them; what libc does not know is
// drawn as U+FFFD.
#ifndef ORIEL_UI_GLYPH_H
#define ORIEL_UI_GLYPH_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

#define GLYPH_CHARS 5 // a base and its combining marks, as many as a curses cell holds

struct glyph {
    wchar_t chars[GLYPH_CHARS + 1]; // ends with NUL; none: nothing is drawn
    int width;                      // columns: 0, 1 or 2
    size_t bytes;                   // of text that it stands for
};

// The first glyph of bytes[len] (len > 0). Control characters come out as pictures or
// U+FFFD (base/printable.h): lines and tabs have to be laid out before.
void glyph_next(const char *bytes, size_t len, struct glyph *glyph);

int text_width(const char *bytes, size_t len);

// How many of the bytes fit into `columns`.
size_t text_fit(const char *bytes, size_t len, int columns);

#endif
