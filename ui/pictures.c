// ui/pictures.c
// SPDX-License-Identifier: MIT
#include "ui/pictures.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#define SCREEN_SHARE      3 // of the screen's rows that a picture may take, at most
#define DEFAULT_REGISTERS 256

void pictures_init(struct pictures *pictures)
{
    *pictures = (struct pictures){ .encoder = encoder_create() };
    graphics_init(&pictures->graphics, getenv);
}

void pictures_release(struct pictures *pictures)
{
    encoder_destroy(&pictures->encoder);
    free(pictures->kept);
}

void pictures_begin(struct pictures *pictures)
{
    pictures->frame++;
    encoder_begin_frame(pictures->encoder);
}

static void drop_pixels(struct pictures *pictures, struct picture *picture)
{
    for (size_t i = 0; i < pictures->count; i++)
        if (pictures->kept[i] == picture)
            pictures->kept[i] = pictures->kept[--pictures->count];
    encoder_remove(pictures->encoder, &picture->source);
    pixels_release(&picture->pixels);
}

void picture_release(struct pictures *pictures, struct picture *picture)
{
    drop_pixels(pictures, picture);
    *picture = (struct picture){ 0 };
}

void pictures_change(struct pictures *pictures)
{
    for (size_t i = 0; i < pictures->count; i++)
        encoder_remove(pictures->encoder, &pictures->kept[i]->source);
}

void pictures_set_background(struct pictures *pictures, bool light)
{
    pictures->light = light;
    pictures_change(pictures);
}

// ---------------------------------------------------------------------------
// Pixels

static void bound_pixels(struct pictures *pictures, const struct picture *newest)
{
    while (true) {
        struct picture *oldest = NULL;
        size_t bytes = 0;

        for (size_t i = 0; i < pictures->count; i++) {
            struct picture *picture = pictures->kept[i];

            bytes += pixels_bytes(&picture->pixels);
            if (picture != newest && picture->frame < pictures->frame &&
                (oldest == NULL || picture->frame < oldest->frame))
                oldest = picture; // never one that is on the screen
        }
        if (bytes <= PICTURES_BYTES || oldest == NULL)
            return;
        drop_pixels(pictures, oldest);
    }
}

void picture_set(struct pictures *pictures, struct picture *picture,
                 const struct ui_picture *from)
{
    static const struct size any = { PICTURE_SIDE, PICTURE_SIDE };
    struct fit fit = { 0 };

    drop_pixels(pictures, picture);
    picture->asked = false;
    picture->failed = true;
    if (from == NULL)
        return;
    fit = pixels_fit(from->width, from->height, (struct size){ 1, 1 }, PICTURE_SIDE,
                     PICTURE_SIDE, any);
    if (fit.rows == 0 || !pixels_scale(&picture->pixels, from->rgba, from->width,
                                       from->height, fit.pixels, fit.pixels))
        return;
    picture->failed = false;
    picture->width = from->full_width > 0 ? from->full_width : from->width;
    picture->height = from->full_height > 0 ? from->full_height : from->height;
    picture->frame = pictures->frame;
    pictures->kept = alloc_grow(pictures->kept, pictures->count, &pictures->cap,
                                sizeof(*pictures->kept));
    pictures->kept[pictures->count++] = picture;
    bound_pixels(pictures, picture);
}

bool picture_wanted(const struct pictures *pictures, struct picture *picture)
{
    enum graphics_kind kind = graphics_kind(&pictures->graphics, clock_ns());
    bool wanted = !picture->asked && !picture->failed && picture->pixels.rgba == NULL;

    if (wanted && kind == GRAPHICS_WORDS && picture->width > 0)
        return false;
    picture->asked = picture->asked || wanted;
    return wanted;
}

// ---------------------------------------------------------------------------
// Showing

struct fit picture_fit(const struct pictures *pictures, const struct picture *picture,
                       int max_columns)
{
    const struct graphics *graphics = &pictures->graphics;
    enum graphics_kind kind = graphics_kind(graphics, clock_ns());
    struct size cell = graphics_cell(graphics), limit = { 0 };
    int columns = max_columns < PICTURE_COLUMNS ? max_columns : PICTURE_COLUMNS;
    struct fit fit;

    if (kind == GRAPHICS_UNDECIDED || kind == GRAPHICS_WORDS || picture->failed)
        return (struct fit){ 0 };
    if (kind == GRAPHICS_SIXEL)
        limit = graphics->largest;
    fit = pixels_fit(picture->width, picture->height, cell, columns,
                     pictures->rows / SCREEN_SHARE, limit);
    return kind == GRAPHICS_BLOCKS ? pixels_fit_blocks(&fit, cell) : fit;
}

static bool same_fit(const struct fit *a, const struct fit *b)
{
    return a->pixels.width == b->pixels.width && a->pixels.height == b->pixels.height;
}

// The picture in the size in which it is shown now; false when there are no pixels.
static bool make_source(struct pictures *pictures, struct picture *picture,
                        const struct fit *fit, enum graphics_kind kind)
{
    const struct graphics *graphics = &pictures->graphics;
    struct source_params params = {
        .kind = kind,
        .fit = *fit,
        .cell = graphics_cell(graphics),
        .registers = graphics->registers >= 2 ? graphics->registers : DEFAULT_REGISTERS,
        .colours = graphics_block_colours(graphics),
    };
    struct size canvas = fit->pixels;
    struct pixels pixels = { 0 };

    if (picture->source != NULL && same_fit(&picture->fit, fit) && picture->kind == kind)
        return true;
    encoder_remove(pictures->encoder, &picture->source);
    if (kind == GRAPHICS_BLOCKS)
        params.cell = (struct size){ 1, 2 };
    if (kind == GRAPHICS_KITTY || kind == GRAPHICS_ITERM) // are told cells, not pixels
        canvas = (struct size){ fit->columns * params.cell.width,
                                fit->rows * params.cell.height };
    if (picture->pixels.rgba == NULL ||
        !pixels_scale(&pixels, picture->pixels.rgba, (uint32_t)picture->pixels.size.width,
                      (uint32_t)picture->pixels.size.height, fit->pixels, canvas))
        return false;
    memset(params.background, pictures->light ? 0xFF : 0, sizeof(params.background));
    if (graphics->background_known)
        memcpy(params.background, graphics->background, sizeof(params.background));
    picture->fit = *fit;
    picture->kind = kind;
    params.number = picture->number = ++pictures->next_number;
    picture->source = encoder_add(pictures->encoder, &pixels, &params);
    return true;
}

// What the next line of a reply, or of scrolling, will show.
static void expect_next(struct pictures *pictures, struct picture *picture, int first,
                        int rows)
{
    int total = picture->fit.rows;

    if (first + rows == total && rows > 1)
        encoder_expect(pictures->encoder, picture->source, first + 1, rows - 1);
    else if (first == 0 && rows < total)
        encoder_expect(pictures->encoder, picture->source, 0, rows + 1);
    if (first > 0 && first + rows == total)
        encoder_expect(pictures->encoder, picture->source, first - 1, rows + 1);
}

void picture_show(struct pictures *pictures, struct terminal *terminal,
                  struct picture *picture, const struct fit *fit, int first, int rows,
                  int y, int x)
{
    enum graphics_kind kind = graphics_kind(&pictures->graphics, clock_ns());
    struct size cell = graphics_cell(&pictures->graphics);
    const struct str *bytes;
    bool whole = kind == GRAPHICS_KITTY; // it cuts by itself

    picture->frame = pictures->frame;
    if (!make_source(pictures, picture, fit, kind))
        return;
    bytes = encoder_get(pictures->encoder, picture->source, whole ? 0 : first,
                        whole ? fit->rows : rows);
    if (!whole)
        expect_next(pictures, picture, first, rows);
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
                      .number = picture->number,
                      .first = first,
                      .bytes = bytes->data,
                      .len = bytes->len,
                      .top = first * cell.height,
                      .crop = { fit->columns * cell.width, rows * cell.height } });
}
