// ui/theme.h
// SPDX-License-Identifier: MIT
//
// Styles: a role in the low byte (what a text is), attributes in the high byte. The theme
// says how roles look on a dark or a light background; without colours (NO_COLOR, or a
// terminal that has none) meaning is carried by attributes alone.
#ifndef ORIEL_UI_THEME_H
#define ORIEL_UI_THEME_H

#include <stdbool.h>
#include <stdint.h>

enum role_style {
    STYLE_TEXT,
    STYLE_USER, // what the person said
    STYLE_NAME, // who speaks
    STYLE_HEADING,
    STYLE_CODE, // inline and in blocks
    STYLE_KEYWORD,
    STYLE_STRING,
    STYLE_COMMENT,
    STYLE_NUMBER,
    STYLE_LINK,
    STYLE_MUTED, // rules, borders, what is unimportant
    STYLE_BULLET,
    STYLE_NOTICE,
    STYLE_ERROR,
    STYLE_STATUS,   // the status line
    STYLE_STATE,    // in the status line: what is happening
    STYLE_SELECTED, // the line that Enter would choose
    STYLE_FOUND,    // what was searched for
    STYLE_ROLES
};

#define STYLE_BOLD      0x0100u
#define STYLE_ITALIC    0x0200u
#define STYLE_UNDERLINE 0x0400u
#define STYLE_STRUCK    0x0800u
#define STYLE_REVERSE   0x1000u
#define STYLE_DIM       0x2000u

enum theme { THEME_DARK, THEME_LIGHT, THEME_PLAIN };

// "dark", "light" or "plain"; false for anything else.
bool theme_parse(const char *name, enum theme *theme);

// Prepares the colours of curses; NO_COLOR and terminals without colours make it plain.
void theme_use(enum theme theme);

bool theme_is_plain(void); // shows no colours

struct style_cell {
    unsigned long attributes; // attr_t of curses
    short pair;
};
struct style_cell theme_cell(uint16_t style);

#endif
