// ui/overlay.c
// SPDX-License-Identifier: MIT
#include "ui/overlay.h"

#include <string.h>

#include "ui/formats.h"

#define SAVE_CURSOR    "\0337"
#define RESTORE_CURSOR "\0338"
// Where the cursor goes after a sixel: terminals agree when it stays right of it, and
// then none scrolls.
#define CURSOR_RIGHT     "\033[?8452h"
#define CURSOR_RIGHT_OFF "\033[?8452l"

void overlay_add(struct overlay *overlay, const struct overlay_picture *picture)
{
    if (overlay->next_count < OVERLAY_MAX)
        overlay->next[overlay->next_count++] = *picture;
}

void overlay_clear(struct overlay *overlay)
{
    overlay->cleared = true;
}

void overlay_renew(struct overlay *overlay)
{
    overlay->unsafe = true;
}

static bool same(const struct overlay_picture *a, const struct overlay_picture *b)
{
    return a->y == b->y && a->x == b->x && a->rows == b->rows &&
           a->columns == b->columns && a->number == b->number && a->first == b->first;
}

static bool is_among(const struct overlay_picture *picture,
                     const struct overlay_picture *others, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (same(picture, &others[i]))
            return true;
    return false;
}

static void go_to(struct str *out, int y, int x)
{
    str_printf(out, "\033[%d;%dH", y + 1, x + 1);
}

// ---------------------------------------------------------------------------
// Taking away

static void put_blanks(const struct overlay_picture *picture, struct str *out)
{
    str_append(out, "\033[0m");
    for (int y = picture->y; y < picture->y + picture->rows; y++) {
        go_to(out, y, picture->x);
        str_printf(out, "%*s", picture->columns, "");
    }
}

// Blanks take no picture away from a kitty, and a cleared screen not from all that speak
// its protocol.
static void erase(struct overlay *overlay, const struct overlay_picture *picture,
                  struct str *out)
{
    if (picture->kind == OVERLAY_KITTY)
        format_kitty_remove(picture->number, out);
    else if (!overlay->cleared)
        put_blanks(picture, out);
}

static void forget_kitty(struct overlay *overlay, size_t count, struct str *out)
{
    for (size_t i = 0; i < count; i++)
        format_kitty_forget(overlay->kitty[i], out);
    overlay->kitty_count -= count;
    memmove(overlay->kitty, overlay->kitty + count,
            overlay->kitty_count * sizeof(overlay->kitty[0]));
}

void overlay_erase(struct overlay *overlay, struct str *out)
{
    size_t before = out->len;

    str_append(out, SAVE_CURSOR);
    for (size_t i = 0; i < overlay->shown_count; i++)
        if (overlay->cleared || overlay->unsafe ||
            !is_among(&overlay->shown[i], overlay->next, overlay->next_count))
            erase(overlay, &overlay->shown[i], out);
    if (overlay->cleared) {
        forget_kitty(overlay, overlay->kitty_count, out);
        overlay->cleared = false;
        overlay->unsafe = true;
    }
    if (overlay->unsafe)
        overlay->shown_count = 0;
    overlay->unsafe = false;
    if (out->len == before + strlen(SAVE_CURSOR))
        str_truncate(out, before);
    else
        str_append(out, RESTORE_CURSOR);
}

// ---------------------------------------------------------------------------
// Drawing

static void draw_lines(const struct overlay_picture *picture, struct str *out)
{
    const char *at = picture->bytes, *end = at + picture->len;

    for (int row = 0; row < picture->rows && at < end; row++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline != NULL ? newline : end) - at);

        go_to(out, picture->y + row, picture->x);
        str_append_n(out, at, len);
        at += len + 1;
    }
}

// Whether the terminal knows the picture already. It is the latest then.
static bool touch(struct overlay *overlay, uint32_t number)
{
    size_t at = 0;

    while (at < overlay->kitty_count && overlay->kitty[at] != number)
        at++;
    if (at == overlay->kitty_count)
        return false;
    memmove(overlay->kitty + at, overlay->kitty + at + 1,
            (overlay->kitty_count - at - 1) * sizeof(overlay->kitty[0]));
    overlay->kitty[overlay->kitty_count - 1] = number;
    return true;
}

static void transmit(struct overlay *overlay, const struct overlay_picture *picture,
                     struct str *out)
{
    if (touch(overlay, picture->number))
        return;
    if (overlay->kitty_count == OVERLAY_KITTY_MAX)
        forget_kitty(overlay, 1, out);
    str_append_n(out, picture->bytes, picture->len);
    overlay->kitty[overlay->kitty_count++] = picture->number;
}

static void draw(struct overlay *overlay, const struct overlay_picture *picture,
                 struct str *out)
{
    switch (picture->kind) {
    case OVERLAY_KITTY:
        transmit(overlay, picture, out);
        go_to(out, picture->y, picture->x);
        format_kitty_place(picture->number, picture->top, picture->crop, picture->columns,
                           picture->rows, out);
        break;
    case OVERLAY_LINES:
        draw_lines(picture, out);
        break;
    case OVERLAY_BYTES:
        go_to(out, picture->y, picture->x);
        str_append(out, CURSOR_RIGHT);
        str_append_n(out, picture->bytes, picture->len);
        str_append(out, CURSOR_RIGHT_OFF);
        break;
    }
}

void overlay_draw(struct overlay *overlay, struct str *out)
{
    size_t before = out->len;

    for (size_t i = 0; i < overlay->next_count; i++)
        touch(overlay, overlay->next[i].number); // so that none of them is forgotten
    str_append(out, SAVE_CURSOR);
    for (size_t i = 0; i < overlay->next_count; i++)
        if (!is_among(&overlay->next[i], overlay->shown, overlay->shown_count))
            draw(overlay, &overlay->next[i], out);
    if (out->len == before + strlen(SAVE_CURSOR))
        str_truncate(out, before);
    else
        str_append(out, RESTORE_CURSOR);
    memcpy(overlay->shown, overlay->next, sizeof(overlay->shown));
    overlay->shown_count = overlay->next_count;
    overlay->next_count = 0;
}
