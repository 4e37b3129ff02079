// ui/graphics.c
// SPDX-License-Identifier: MIT
#include "ui/graphics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX      256 // longer ones are none that we asked for
#define CELL_SIDE_MAX   256 // pixels
#define SCREEN_SIDE_MAX 32768
#define BORDER_MAX      3 // pixels that a window's border can add to each cell

#define ASK_BACKGROUND "\033]11;?\033\\"
#define ASK_KITTY      "\033_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\033\\"
#define ASK_NAME       "\033[>0q"
#define ASK_REGISTERS  "\033[?1;1;0S"
#define ASK_LARGEST    "\033[?2;4;0S"
#define ASK_CELL       "\033[16t\033[14t\033[?2;1;0S"
// Sets a colour, asks what is set, takes it back.
#define ASK_RGB        "\033[48;2;1;2;3m\033P$qm\033\\\033[m"
#define ASK_ATTRIBUTES "\033[c"

static const struct {
    const char *name;
    enum graphics_kind kind;
} kinds[] = {
    { "sixel", GRAPHICS_SIXEL }, { "kitty", GRAPHICS_KITTY },
    { "iterm", GRAPHICS_ITERM }, { "blocks", GRAPHICS_BLOCKS },
    { "words", GRAPHICS_WORDS },
};

// As XTVERSION gives them.
static const char *const iterm_names[] = { "iTerm2", "WezTerm", "mintty", "Tabby" };

void graphics_init(struct graphics *graphics, char *(*environment)(const char *name))
{
    const char *forced = environment("ORIEL_GRAPHICS");
    const char *colours = environment("COLORTERM");

    *graphics = (struct graphics){ 0 };
    for (size_t i = 0; forced != NULL && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(forced, kinds[i].name) == 0)
            graphics->forced = kinds[i].kind;
    graphics->rgb = colours != NULL &&
                    (strcmp(colours, "truecolor") == 0 || strcmp(colours, "24bit") == 0);
}

// ---------------------------------------------------------------------------
// Asking

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

// Some show what they do not understand.
static bool is_mute(char *(*environment)(const char *name))
{
    const char *name = environment("TERM");

    return name == NULL || strcmp(name, "linux") == 0 || strcmp(name, "dumb") == 0;
}

const char *graphics_question(char *(*environment)(const char *name))
{
    const char *name = environment("TERM");

    if (is_mute(environment))
        return "";
    // A multiplexer would take kitty's query for the title of a window.
    if (starts(name, "tmux") || starts(name, "screen") || environment("TMUX") != NULL ||
        environment("STY") != NULL)
        return ASK_BACKGROUND ASK_NAME ASK_REGISTERS ASK_LARGEST ASK_CELL ASK_ATTRIBUTES;
    return ASK_BACKGROUND ASK_KITTY ASK_NAME ASK_REGISTERS ASK_LARGEST ASK_CELL ASK_RGB
        ASK_ATTRIBUTES;
}

const char *graphics_cell_question(char *(*environment)(const char *name))
{
    return is_mute(environment) ? "" : ASK_CELL ASK_ATTRIBUTES;
}

// ---------------------------------------------------------------------------
// Answers

static bool is_sensible(int width, int height, int limit)
{
    return width > 0 && height > 0 && width <= limit && height <= limit;
}

// "ESC [ ? 62 ; 4 ; 22 c"
static bool take_attributes(struct graphics *graphics, const char *text)
{
    bool before = graphics->answered && graphics->sixel;
    char *end;

    graphics->answered = true;
    graphics->awaited = false;
    for (text += strlen("\033[?"); text[0] != '\0'; text = end) {
        long attribute = strtol(text, &end, 10);

        if (attribute == 4)
            graphics->sixel = true;
        if (end == text || end[0] != ';')
            break;
        end++;
    }
    return !before;
}

// Whether that is news.
static bool set_size(struct size *size, int width, int height)
{
    bool same = size->width == width && size->height == height;

    *size = (struct size){ width, height };
    return !same;
}

// "ESC [ ? item ; 0 ; value S": item 1 is colour registers, 2 is the size of sixels, of
// which we ask what it is now, and the most that it can be. What is answered for "now"
// comes second, and is never more.
static bool take_xtsmgraphics(struct graphics *graphics, const char *text)
{
    int item, status, width = 0, height = 0;
    int count = sscanf(text, "\033[?%d;%d;%d;%dS", &item, &status, &width, &height);

    if (count >= 3 && item == 1 && status == 0 && width > 0) {
        graphics->registers = width;
        return true;
    }
    if (count != 4 || item != 2 || status != 0 ||
        !is_sensible(width, height, SCREEN_SIDE_MAX))
        return false;
    return set_size(graphics->largest.width == 0 ? &graphics->largest
                                                 : &graphics->geometry,
                    width, height);
}

// "ESC [ 6 ; height ; width t" is a cell, 4 the text area.
static bool take_window_report(struct graphics *graphics, const char *text)
{
    int what, height, width;

    if (sscanf(text, "\033[%d;%d;%dt", &what, &height, &width) != 3)
        return false;
    if (what == 6 && is_sensible(width, height, CELL_SIDE_MAX))
        return set_size(&graphics->cell, width, height);
    if (what == 4 && is_sensible(width, height, SCREEN_SIDE_MAX))
        return set_size(&graphics->text, width, height);
    return false;
}

// "ESC P > | name version ESC \"
static bool take_name(struct graphics *graphics, const char *text)
{
    text += strlen("\033P>|");
    for (size_t i = 0; i < sizeof(iterm_names) / sizeof(iterm_names[0]); i++)
        if (starts(text, iterm_names[i]))
            graphics->iterm = true;
    return graphics->iterm;
}

// "ESC ] 11 ; rgb:RRRR/GGGG/BBBB"
static bool take_background(struct graphics *graphics, const char *text)
{
    unsigned red, green, blue;

    if (sscanf(text, "\033]11;rgb:%2x%*[0-9a-fA-F]/%2x%*[0-9a-fA-F]/%2x", &red, &green,
               &blue) != 3)
        return false;
    graphics->background_known = true;
    graphics->background[0] = (uint8_t)red;
    graphics->background[1] = (uint8_t)green;
    graphics->background[2] = (uint8_t)blue;
    return true;
}

// "ESC P 1 $ r 0 ; 48 : 2 : : 1 : 2 : 3 m ESC \", with or without the empty field, with
// semicolons in some.
static bool take_colours(struct graphics *graphics, const char *text)
{
    graphics->rgb =
        graphics->rgb || strstr(text, "1:2:3") != NULL || strstr(text, "1;2;3") != NULL;
    return graphics->rgb;
}

// A string that was torn has no end.
static bool is_whole(const char *bytes, size_t len)
{
    return bytes[1] == '[' || bytes[len - 1] == '\a' ||
           (bytes[len - 2] == '\033' && bytes[len - 1] == '\\');
}

bool graphics_answer(struct graphics *graphics, const char *bytes, size_t len)
{
    char text[ANSWER_MAX];

    if (len < 4 || len >= sizeof(text) || !is_whole(bytes, len))
        return false;
    memcpy(text, bytes, len);
    text[len] = '\0';
    if (starts(text, "\033[?") && text[len - 1] == 'c')
        return take_attributes(graphics, text);
    if (starts(text, "\033[?") && text[len - 1] == 'S')
        return take_xtsmgraphics(graphics, text);
    if (starts(text, "\033[") && text[len - 1] == 't')
        return take_window_report(graphics, text);
    if (starts(text, "\033P>|"))
        return take_name(graphics, text);
    if (starts(text, "\033P1$r"))
        return take_colours(graphics, text);
    if (starts(text, "\033]11;"))
        return take_background(graphics, text);
    if (starts(text, "\033_Gi=31") && strstr(text, ";OK") != NULL)
        return graphics->kitty = true;
    return false;
}

void graphics_resized(struct graphics *graphics, struct size screen, struct size window)
{
    graphics->screen = screen;
    graphics->window = window;
    graphics->text = graphics->geometry = (struct size){ 0 }; // were of the old size
}

// ---------------------------------------------------------------------------
// What follows from them

static struct size divide(struct size pixels, struct size screen)
{
    if (pixels.width <= 0 || pixels.height <= 0 || screen.width <= 0 ||
        screen.height <= 0)
        return (struct size){ 0 };
    return (struct size){ pixels.width / screen.width, pixels.height / screen.height };
}

// The sixel geometry is the window without its border, or the largest sixel.
static bool geometry_is_exact(const struct graphics *graphics, struct size outer)
{
    struct size cell = divide(graphics->geometry, graphics->screen);

    return cell.width > 0 && graphics->geometry.width % graphics->screen.width == 0 &&
           graphics->geometry.height % graphics->screen.height == 0 &&
           cell.width <= outer.width && outer.width - cell.width <= BORDER_MAX &&
           cell.height <= outer.height && outer.height - cell.height <= BORDER_MAX;
}

// 0 x 0 when nobody knows.
static struct size known_cell(const struct graphics *graphics)
{
    struct size window = divide(graphics->window, graphics->screen);
    struct size text = divide(graphics->text, graphics->screen);

    if (graphics->cell.width > 0)
        return graphics->cell;
    if (geometry_is_exact(graphics, window))
        return divide(graphics->geometry, graphics->screen);
    if (is_sensible(text.width, text.height, CELL_SIDE_MAX))
        return text;
    if (is_sensible(window.width, window.height, CELL_SIDE_MAX))
        return window;
    return (struct size){ 0 };
}

struct size graphics_cell(const struct graphics *graphics)
{
    struct size cell = known_cell(graphics);

    return cell.width > 0 ? cell : (struct size){ 10, 20 };
}

enum graphics_kind graphics_kind(const struct graphics *graphics, int64_t now_ns)
{
    if (graphics->forced != GRAPHICS_UNDECIDED)
        return graphics->forced;
    if (graphics->kitty)
        return GRAPHICS_KITTY;
    if (!graphics->answered && now_ns - graphics->asked_ns < GRAPHICS_PATIENCE_NS)
        return GRAPHICS_UNDECIDED;
    if (graphics->sixel && known_cell(graphics).width > 0)
        return GRAPHICS_SIXEL;
    if (graphics->iterm)
        return GRAPHICS_ITERM;
    return graphics->colours >= BLOCKS_8 ? GRAPHICS_BLOCKS : GRAPHICS_WORDS;
}

enum block_colours graphics_block_colours(const struct graphics *graphics)
{
    return graphics->rgb                     ? BLOCKS_RGB
           : graphics->colours >= BLOCKS_256 ? BLOCKS_256
           : graphics->colours >= BLOCKS_16  ? BLOCKS_16
                                             : BLOCKS_8;
}
