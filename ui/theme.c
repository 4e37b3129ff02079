// ui/theme.c
// SPDX-License-Identifier: MIT
#include "ui/theme.h"

#include <curses.h>
#include <stdlib.h>
#include <string.h>

struct look {
    short many[2]; // foreground and background with 256 colours
    short few[2];  // with 8 or 16
    attr_t attributes;
};

#define OWN (-1) // the terminal's own colour

static const struct look dark[STYLE_ROLES] = {
    [STYLE_TEXT] = { { OWN, OWN }, { OWN, OWN }, A_NORMAL },
    [STYLE_USER] = { { 117, OWN }, { COLOR_CYAN, OWN }, A_NORMAL },
    [STYLE_NAME] = { { 114, OWN }, { COLOR_GREEN, OWN }, A_BOLD },
    [STYLE_HEADING] = { { 222, OWN }, { COLOR_YELLOW, OWN }, A_BOLD },
    [STYLE_CODE] = { { 252, 236 }, { COLOR_CYAN, OWN }, A_NORMAL },
    [STYLE_KEYWORD] = { { 176, 236 }, { COLOR_MAGENTA, OWN }, A_NORMAL },
    [STYLE_STRING] = { { 150, 236 }, { COLOR_GREEN, OWN }, A_NORMAL },
    [STYLE_COMMENT] = { { 245, 236 }, { COLOR_CYAN, OWN }, A_DIM },
    [STYLE_NUMBER] = { { 216, 236 }, { COLOR_YELLOW, OWN }, A_NORMAL },
    [STYLE_LINK] = { { 75, OWN }, { COLOR_CYAN, OWN }, A_UNDERLINE },
    [STYLE_MUTED] = { { 243, OWN }, { OWN, OWN }, A_NORMAL },
    [STYLE_BULLET] = { { 180, OWN }, { COLOR_YELLOW, OWN }, A_NORMAL },
    [STYLE_NOTICE] = { { 180, OWN }, { COLOR_YELLOW, OWN }, A_NORMAL },
    [STYLE_ERROR] = { { 203, OWN }, { COLOR_RED, OWN }, A_BOLD },
    [STYLE_STATUS] = { { 250, 236 }, { OWN, OWN }, A_NORMAL },
    [STYLE_STATE] = { { 114, 236 }, { OWN, OWN }, A_BOLD },
    [STYLE_SELECTED] = { { 231, 24 }, { COLOR_WHITE, COLOR_BLUE }, A_NORMAL },
    [STYLE_FOUND] = { { 16, 222 }, { COLOR_BLACK, COLOR_YELLOW }, A_NORMAL },
};

static const struct look light[STYLE_ROLES] = {
    [STYLE_TEXT] = { { OWN, OWN }, { OWN, OWN }, A_NORMAL },
    [STYLE_USER] = { { 25, OWN }, { COLOR_BLUE, OWN }, A_NORMAL },
    [STYLE_NAME] = { { 28, OWN }, { COLOR_GREEN, OWN }, A_BOLD },
    [STYLE_HEADING] = { { 94, OWN }, { COLOR_MAGENTA, OWN }, A_BOLD },
    [STYLE_CODE] = { { 236, 254 }, { COLOR_BLUE, OWN }, A_NORMAL },
    [STYLE_KEYWORD] = { { 90, 254 }, { COLOR_MAGENTA, OWN }, A_NORMAL },
    [STYLE_STRING] = { { 22, 254 }, { COLOR_GREEN, OWN }, A_NORMAL },
    [STYLE_COMMENT] = { { 243, 254 }, { COLOR_BLUE, OWN }, A_NORMAL },
    [STYLE_NUMBER] = { { 130, 254 }, { COLOR_RED, OWN }, A_NORMAL },
    [STYLE_LINK] = { { 26, OWN }, { COLOR_BLUE, OWN }, A_UNDERLINE },
    [STYLE_MUTED] = { { 245, OWN }, { OWN, OWN }, A_NORMAL },
    [STYLE_BULLET] = { { 94, OWN }, { COLOR_MAGENTA, OWN }, A_NORMAL },
    [STYLE_NOTICE] = { { 94, OWN }, { COLOR_MAGENTA, OWN }, A_NORMAL },
    [STYLE_ERROR] = { { 160, OWN }, { COLOR_RED, OWN }, A_BOLD },
    [STYLE_STATUS] = { { 238, 254 }, { OWN, OWN }, A_NORMAL },
    [STYLE_STATE] = { { 28, 254 }, { OWN, OWN }, A_BOLD },
    [STYLE_SELECTED] = { { 231, 25 }, { COLOR_WHITE, COLOR_BLUE }, A_NORMAL },
    [STYLE_FOUND] = { { 16, 222 }, { COLOR_BLACK, COLOR_YELLOW }, A_NORMAL },
};

static const struct look plain[STYLE_ROLES] = {
    [STYLE_NAME] = { .attributes = A_BOLD },
    [STYLE_HEADING] = { .attributes = A_BOLD | A_UNDERLINE },
    [STYLE_KEYWORD] = { .attributes = A_BOLD },
    [STYLE_LINK] = { .attributes = A_UNDERLINE },
    [STYLE_ERROR] = { .attributes = A_BOLD },
    [STYLE_STATUS] = { .attributes = A_REVERSE },
    [STYLE_STATE] = { .attributes = A_REVERSE | A_BOLD },
    [STYLE_SELECTED] = { .attributes = A_REVERSE },
    [STYLE_FOUND] = { .attributes = A_REVERSE },
};

static const struct look *looks = plain; // of the one screen that a process has

bool theme_parse(const char *name, enum theme *theme)
{
    static const char *const names[] = { "dark", "light", "plain" };

    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        *theme = (enum theme)i;
        return true;
    }
    return false;
}

void theme_use(enum theme theme)
{
    const char *no_color = getenv("NO_COLOR");

    looks = theme == THEME_LIGHT ? light : theme == THEME_DARK ? dark : plain;
    if ((no_color != NULL && no_color[0] != '\0') || !has_colors())
        looks = plain;
    if (looks == plain)
        return;
    start_color();
    use_default_colors();
    for (short role = 0; role < STYLE_ROLES; role++) {
        const short *colours = COLORS >= 256 ? looks[role].many : looks[role].few;

        init_pair((short)(role + 1), colours[0], colours[1]);
    }
}

bool theme_is_plain(void)
{
    return looks == plain;
}

struct style_cell theme_cell(uint16_t style)
{
    unsigned role = style & 0xFF;
    bool few = looks != plain && COLORS < 256;
    attr_t attributes = looks[role].attributes;

    if (few && (role == STYLE_STATUS || role == STYLE_STATE))
        attributes |= A_REVERSE;
    if (few && role == STYLE_MUTED)
        attributes |= A_DIM;
    attributes |= (style & STYLE_BOLD ? A_BOLD : 0) |
                  (style & STYLE_ITALIC ? A_ITALIC : 0) |
                  (style & STYLE_UNDERLINE ? A_UNDERLINE : 0) |
                  (style & STYLE_REVERSE ? A_REVERSE : 0) |
                  (style & (STYLE_DIM | STYLE_STRUCK) ? A_DIM : 0);
    return (struct style_cell){ attributes, looks == plain ? 0 : (short)(role + 1) };
}
