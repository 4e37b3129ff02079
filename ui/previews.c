// ui/previews.c
// SPDX-License-Identifier: MIT
#include "ui/previews.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

// The part of the screen's rows that a picture may take. Half blocks need more of them to
// be recognised.
#define SCREEN_SHARE        3
#define SCREEN_SHARE_BLOCKS 2
#define DEFAULT_REGISTERS   256

void previews_init(struct previews *previews)
{
    *previews = (struct previews){ .encoder = encoder_create() };
    graphics_init(&previews->graphics, getenv);
}

void previews_release(struct previews *previews)
{
    encoder_destroy(&previews->encoder);
    free(previews->kept);
}

void previews_begin(struct previews *previews)
{
    previews->frame++;
    encoder_begin_frame(previews->encoder);
}

static void drop_pixels(struct previews *previews, struct preview *preview)
{
    for (size_t i = 0; i < previews->count; i++)
        if (previews->kept[i] == preview)
            previews->kept[i] = previews->kept[--previews->count];
    encoder_remove(previews->encoder, &preview->source);
    pixels_release(&preview->pixels);
}

void preview_release(struct previews *previews, struct preview *preview)
{
    drop_pixels(previews, preview);
    *preview = (struct preview){ 0 };
}

void previews_change(struct previews *previews)
{
    for (size_t i = 0; i < previews->count; i++)
        encoder_remove(previews->encoder, &previews->kept[i]->source);
}

void previews_set_background(struct previews *previews, bool light)
{
    previews->light = light;
    previews_change(previews);
}

// ---------------------------------------------------------------------------
// Pixels

static void bound_pixels(struct previews *previews, const struct preview *newest)
{
    while (true) {
        struct preview *oldest = NULL;
        size_t bytes = 0;

        for (size_t i = 0; i < previews->count; i++) {
            struct preview *preview = previews->kept[i];

            bytes += pixels_bytes(&preview->pixels);
            if (preview != newest && preview->frame < previews->frame &&
                (oldest == NULL || preview->frame < oldest->frame))
                oldest = preview; // never one that is on the screen
        }
        if (bytes <= PREVIEWS_BYTES || oldest == NULL)
            return;
        drop_pixels(previews, oldest);
    }
}

void preview_set(struct previews *previews, struct preview *preview,
                 const struct ui_picture *from)
{
    static const struct size any = { PREVIEW_SIDE, PREVIEW_SIDE };
    struct fit fit = { 0 };

    drop_pixels(previews, preview);
    preview->asked = false;
    preview->failed = true;
    if (from == NULL)
        return;
    fit = pixels_fit(from->width, from->height, (struct size){ 1, 1 }, PREVIEW_SIDE,
                     PREVIEW_SIDE, any);
    if (fit.rows == 0 || !pixels_scale(&preview->pixels, from->rgba, from->width,
                                       from->height, fit.pixels, fit.pixels))
        return;
    preview->failed = false;
    preview->width = from->full_width > 0 ? from->full_width : from->width;
    preview->height = from->full_height > 0 ? from->full_height : from->height;
    preview->frame = previews->frame;
    previews->kept = alloc_grow(previews->kept, previews->count, &previews->cap,
                                sizeof(*previews->kept));
    previews->kept[previews->count++] = preview;
    bound_pixels(previews, preview);
}

bool preview_wanted(const struct previews *previews, struct preview *preview)
{
    enum graphics_kind kind = graphics_kind(&previews->graphics, clock_ns());
    bool wanted = !preview->asked && !preview->failed && preview->pixels.rgba == NULL;

    if (wanted && kind == GRAPHICS_WORDS && preview->width > 0)
        return false;
    preview->asked = preview->asked || wanted;
    return wanted;
}

// ---------------------------------------------------------------------------
// Showing

struct fit preview_fit(const struct previews *previews, const struct preview *preview,
                       int max_columns)
{
    const struct graphics *graphics = &previews->graphics;
    enum graphics_kind kind = graphics_kind(graphics, clock_ns());
    struct size cell = graphics_cell(graphics), limit = { 0 };
    int columns = max_columns < PREVIEW_COLUMNS ? max_columns : PREVIEW_COLUMNS;
    int share = kind == GRAPHICS_BLOCKS ? SCREEN_SHARE_BLOCKS : SCREEN_SHARE;
    struct fit fit;

    if (kind == GRAPHICS_UNDECIDED || kind == GRAPHICS_WORDS || preview->failed)
        return (struct fit){ 0 };
    if (kind == GRAPHICS_SIXEL)
        limit = graphics->largest;
    fit = pixels_fit(preview->width, preview->height, cell, columns,
                     previews->rows / share, limit);
    return kind == GRAPHICS_BLOCKS ? pixels_fit_blocks(&fit, cell) : fit;
}

static bool same_size(struct size a, struct size b)
{
    return a.width == b.width && a.height == b.height;
}

// The picture in the size in which it is shown now; false when there are no pixels.
static bool make_source(struct previews *previews, struct preview *preview,
                        const struct fit *fit, enum graphics_kind kind)
{
    const struct graphics *graphics = &previews->graphics;
    struct source_params params = {
        .kind = kind,
        .fit = *fit,
        .cell = graphics_cell(graphics),
        .registers = graphics->registers >= 2 ? graphics->registers : DEFAULT_REGISTERS,
        .colours = graphics_block_colours(graphics),
    };
    struct size canvas = fit->pixels;
    struct pixels pixels = { 0 };

    if (preview->source != NULL && preview->kind == kind &&
        same_size(preview->cell, params.cell) &&
        same_size(preview->fit.pixels, fit->pixels))
        return true;
    encoder_remove(previews->encoder, &preview->source);
    preview->cell = params.cell;
    if (kind == GRAPHICS_BLOCKS)
        params.cell = (struct size){ 1, 2 };
    if (kind == GRAPHICS_KITTY || kind == GRAPHICS_ITERM) // are told cells, not pixels
        canvas = (struct size){ fit->columns * params.cell.width,
                                fit->rows * params.cell.height };
    if (preview->pixels.rgba == NULL ||
        !pixels_scale(&pixels, preview->pixels.rgba, (uint32_t)preview->pixels.size.width,
                      (uint32_t)preview->pixels.size.height, fit->pixels, canvas))
        return false;
    memset(params.background, previews->light ? 0xFF : 0, sizeof(params.background));
    if (graphics->background_known)
        memcpy(params.background, graphics->background, sizeof(params.background));
    preview->fit = *fit;
    preview->kind = kind;
    params.number = preview->number = ++previews->next_number;
    preview->source = encoder_add(previews->encoder, &pixels, &params);
    return true;
}

// What the next line of a reply, or of scrolling, will show.
static void expect_next(struct previews *previews, struct preview *preview, int first,
                        int rows)
{
    int total = preview->fit.rows;

    if (first + rows == total && rows > 1)
        encoder_expect(previews->encoder, preview->source, first + 1, rows - 1);
    else if (first == 0 && rows < total)
        encoder_expect(previews->encoder, preview->source, 0, rows + 1);
    if (first > 0 && first + rows == total)
        encoder_expect(previews->encoder, preview->source, first - 1, rows + 1);
}

void preview_show(struct previews *previews, struct terminal *terminal,
                  struct preview *preview, const struct fit *fit, int first, int rows,
                  int y, int x)
{
    enum graphics_kind kind = graphics_kind(&previews->graphics, clock_ns());
    struct size cell = graphics_cell(&previews->graphics);
    const struct str *bytes;
    bool whole = kind == GRAPHICS_KITTY; // it cuts by itself

    preview->frame = previews->frame;
    if (!make_source(previews, preview, fit, kind))
        return;
    bytes = encoder_get(previews->encoder, preview->source, whole ? 0 : first,
                        whole ? fit->rows : rows);
    if (!whole)
        expect_next(previews, preview, first, rows);
    if (bytes == NULL)
        return;
    terminal_show(terminal,
                  &(struct overlay_picture){
                      .y = y,
                      .x = x,
                      .columns = fit->columns,
                      .rows = rows,
                      .kind = whole                     ? OVERLAY_KITTY
                              : kind == GRAPHICS_BLOCKS ? OVERLAY_LINES
                                                        : OVERLAY_BYTES,
                      .number = preview->number,
                      .first = first,
                      .bytes = bytes->data,
                      .len = bytes->len,
                      .top = first * cell.height,
                      .crop = { fit->columns * cell.width, rows * cell.height } });
}
