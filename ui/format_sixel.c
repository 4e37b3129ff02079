// ui/format_sixel.c
// SPDX-License-Identifier: MIT
#include "ui/formats.h"

#include <stdlib.h>
#include <string.h>

#include <sixel.h>

#include "base/alloc.h"

struct sixel_source {
    struct size size;
    uint8_t *rgb;
    sixel_dither_t *palette;
};

// What libsixel copies the pixels of: it changes them while it dithers.
static uint8_t *copy_rows(const struct sixel_source *source, int top, int height)
{
    size_t row = (size_t)source->size.width * 3;
    uint8_t *rows = try_array((size_t)height, row);

    if (rows != NULL)
        memcpy(rows, source->rgb + (size_t)top * row, (size_t)height * row);
    return rows;
}

// libsixel counts colours by their upper five bits, so that what it chooses ends at 248:
// white would be grey.
static void brighten(sixel_dither_t *palette)
{
    uint8_t *values = sixel_dither_get_palette(palette);
    int count = 3 * sixel_dither_get_num_of_palette_colors(palette);

    for (int i = 0; i < count; i++)
        values[i] = values[i] >= 248 ? 255 : (uint8_t)(values[i] * 255 / 248);
}

static bool choose_palette(struct sixel_source *source, int colours)
{
    uint8_t *copy = copy_rows(source, 0, source->size.height);
    bool ok = copy != NULL &&
              SIXEL_SUCCEEDED(sixel_dither_new(&source->palette, colours, NULL)) &&
              SIXEL_SUCCEEDED(sixel_dither_initialize(
                  source->palette, copy, source->size.width, source->size.height,
                  SIXEL_PIXELFORMAT_RGB888, SIXEL_LARGE_NORM, SIXEL_REP_AVERAGE_PIXELS,
                  SIXEL_QUALITY_HIGH));

    free(copy);
    if (!ok)
        return false;
    brighten(source->palette);
    sixel_dither_set_pixelformat(source->palette, SIXEL_PIXELFORMAT_RGB888);
    sixel_dither_set_diffusion_type(source->palette, SIXEL_DIFFUSE_FS);
    return true;
}

struct sixel_source *format_sixel_prepare(const struct pixels *pixels,
                                          const uint8_t background[3], int colours)
{
    struct sixel_source *source = alloc_zero(sizeof(*source));

    source->size = pixels->size;
    source->rgb = try_array((size_t)pixels->size.width * (size_t)pixels->size.height, 3);
    if (source->rgb != NULL) {
        pixels_compose(pixels, 0, pixels->size.height, background, source->rgb);
        if (choose_palette(source,
                           colours < SIXEL_PALETTE_MAX ? colours : SIXEL_PALETTE_MAX))
            return source;
    }
    format_sixel_release(&source);
    return NULL;
}

void format_sixel_release(struct sixel_source **source)
{
    struct sixel_source *s = *source;

    if (s == NULL)
        return;
    if (s->palette != NULL)
        sixel_dither_unref(s->palette);
    free(s->rgb);
    free(s);
    *source = NULL;
}

static int append(char *bytes, int len, void *out)
{
    str_append_n(out, bytes, (size_t)len);
    return len;
}

bool format_sixel(const struct sixel_source *source, int top, int height, struct str *out)
{
    uint8_t *rows = copy_rows(source, top, height);
    sixel_output_t *output = NULL;
    const char *body;
    struct str sixel;
    bool ok;

    str_init(&sixel, out->max);
    ok = rows != NULL && SIXEL_SUCCEEDED(sixel_output_new(&output, append, &sixel, NULL));
    if (ok) {
        sixel_output_set_encode_policy(output, SIXEL_ENCODEPOLICY_FAST);
        ok = SIXEL_SUCCEEDED(
            sixel_encode(rows, source->size.width, height, 8, source->palette, output));
        sixel_output_unref(output);
    }
    body = ok ? strchr(sixel.data, 'q') : NULL; // behind its parameters
    if (body != NULL) {
        str_append(out, "\033P0;1;0"); // ours: unset pixels stay
        str_append(out, body);
    }
    str_release(&sixel);
    free(rows);
    return body != NULL && !sixel.truncated && !out->truncated;
}

int format_sixel_height(int height, int top, int room)
{
    int left = height - top, bands = (left + SIXEL_BAND - 1) / SIXEL_BAND;

    if (bands * SIXEL_BAND <= room)
        return left;
    return room / SIXEL_BAND * SIXEL_BAND;
}
