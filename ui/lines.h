// ui/lines.h
// SPDX-License-Identifier: MIT
//
// Styled text, and the lines that it becomes at a width. Both are plain data: they know
// no screen.
#ifndef ORIEL_UI_LINES_H
#define ORIEL_UI_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "ui/theme.h"

// Text whose parts have styles. Spans lie end to end and cover it all.
struct span {
    size_t end; // where the next one begins
    uint16_t style;
};
struct styled {
    struct str text;
    struct span *spans;
    size_t count, cap;
};
void styled_init(struct styled *styled);
void styled_release(struct styled *styled);
void styled_reset(struct styled *styled);
void styled_put(struct styled *styled, uint16_t style, const char *bytes, size_t len);
void styled_add(struct styled *styled, uint16_t style, const char *text);
void styled_copy(struct styled *to, const struct styled *from, size_t start, size_t end);

int styled_width(const struct styled *styled); // columns

struct run {
    size_t start, len; // in the text of the lines
    uint16_t style;
};
struct line {
    size_t first_run, run_count;
    int width;     // columns
    uint16_t fill; // the style of what is right of the text
};
struct lines {
    struct str text;
    struct run *runs;
    size_t run_count, run_cap;
    struct line *lines;
    size_t count, cap;
};
void lines_init(struct lines *lines);
void lines_release(struct lines *lines);
void lines_reset(struct lines *lines);

// Builds one line: put its pieces, then end it.
void lines_put(struct lines *lines, uint16_t style, const char *bytes, size_t len);
void lines_put_styled(struct lines *lines, const struct styled *styled, size_t start,
                      size_t end);
void lines_end(struct lines *lines, uint16_t fill);

struct wrapping {
    int width;                  // columns, prefixes included
    const struct styled *first; // in front of the first line; may be NULL
    const struct styled *rest;  // in front of the others; may be NULL
    bool anywhere;              // break between any two glyphs (code)
    uint16_t fill;
};
// Breaks the text at spaces, between wide characters, or where a word is wider than the
// line; a newline always ends a line, a tab goes to the next column of eight. Empty text
// makes one empty line.
void lines_wrap(struct lines *lines, const struct styled *text,
                const struct wrapping *wrapping);

// Appends the text of line `index`.
void lines_text(const struct lines *lines, size_t index, struct str *out);

#endif
