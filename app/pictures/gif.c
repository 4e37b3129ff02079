// app/pictures/gif.c
// SPDX-License-Identifier: MIT
//
// GIF by giflib: the first frame, in its place on the canvas. A canvas that is too small
// for it grows. What it leaves free is transparent when the frame has a transparent
// colour, otherwise of colour 0.
#include "app/pictures/codec.h"

#include <gif_lib.h>
#include <string.h>

struct reader {
    const struct image_source *source;
    size_t at;
    GifFileType *gif;
    uint32_t width, height; // of the canvas, grown
    int transparent;        // index, or NO_TRANSPARENT_COLOR
};

static bool gif_matches(const struct image_source *source)
{
    return source->len >= 6 && (memcmp(source->bytes, "GIF87a", 6) == 0 ||
                                memcmp(source->bytes, "GIF89a", 6) == 0);
}

static int on_read(GifFileType *gif, GifByteType *to, int len)
{
    struct reader *reader = gif->UserData;
    size_t left = reader->source->len - reader->at;
    size_t taken = (size_t)len < left ? (size_t)len : left;

    memcpy(to, reader->source->bytes + reader->at, taken);
    reader->at += taken;
    return (int)taken;
}

static bool explain(const struct reader *reader, int error, struct err *err)
{
    const char *text = GifErrorString(error);

    if (error == D_GIF_ERR_NOT_ENOUGH_MEM)
        return err_set(err, ERR_MEMORY, "it does not fit into memory");
    if (reader->at == reader->source->len)
        return err_set(err, ERR_FORMAT, "cut short after %zu bytes", reader->at);
    return err_set(err, ERR_FORMAT, "%s (before byte %zu)",
                   text != NULL ? text : "the file is damaged", reader->at);
}

// ---------------------------------------------------------------------------
// As far as the first frame

static bool take_extension(struct reader *reader)
{
    GifByteType *block; // its length, then its bytes
    int code;

    if (DGifGetExtension(reader->gif, &code, &block) != GIF_OK)
        return false;
    if (code == GRAPHICS_EXT_FUNC_CODE && block != NULL) {
        GraphicsControlBlock control;

        if (DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
            reader->transparent = control.TransparentColor;
    }
    while (block != NULL)
        if (DGifGetExtensionNext(reader->gif, &block) != GIF_OK)
            return false;
    return true;
}

static uint32_t larger(int a, int b)
{
    return (uint32_t)(a > b ? a : b);
}

static bool find_frame(struct reader *reader, struct err *err)
{
    GifFileType *gif = reader->gif;
    GifRecordType type = UNDEFINED_RECORD_TYPE;

    while (type != IMAGE_DESC_RECORD_TYPE) {
        if (DGifGetRecordType(gif, &type) != GIF_OK)
            return explain(reader, gif->Error, err);
        if (type == TERMINATE_RECORD_TYPE)
            return err_set(err, ERR_FORMAT, "there is no picture in it");
        if (type == EXTENSION_RECORD_TYPE && !take_extension(reader))
            return explain(reader, gif->Error, err);
    }
    if (DGifGetImageDesc(gif) != GIF_OK)
        return explain(reader, gif->Error, err);
    if (gif->Image.Width <= 0 || gif->Image.Height <= 0)
        return err_set(err, ERR_FORMAT, "a frame of %d x %d pixels", gif->Image.Width,
                       gif->Image.Height);
    reader->width = larger(gif->SWidth, gif->Image.Left + gif->Image.Width);
    reader->height = larger(gif->SHeight, gif->Image.Top + gif->Image.Height);
    return true;
}

static bool open_reader(struct reader *reader, struct err *err)
{
    int error = D_GIF_SUCCEEDED;

    reader->transparent = NO_TRANSPARENT_COLOR;
    reader->gif = DGifOpen(reader, on_read, &error);
    if (reader->gif == NULL)
        return explain(reader, error, err);
    return find_frame(reader, err);
}

static void close_reader(struct reader *reader)
{
    if (reader->gif != NULL)
        DGifCloseFile(reader->gif, NULL);
}

// ---------------------------------------------------------------------------
// How many frames there are

static bool skip(const struct image_source *source, size_t *at, size_t len)
{
    if (len > source->len - *at)
        return false;
    *at += len;
    return true;
}

// Blocks, each with its length in front, until an empty one.
static bool skip_blocks(const struct image_source *source, size_t *at)
{
    while (*at < source->len) {
        size_t len = source->bytes[(*at)++];

        if (len == 0)
            return true;
        if (!skip(source, at, len))
            return false;
    }
    return false;
}

// `at` lies behind the begin of the data of the first frame.
static uint32_t count_frames(const struct image_source *source, size_t at)
{
    uint32_t frames = 1;

    if (!skip_blocks(source, &at))
        return frames;
    while (at < source->len) {
        uint8_t type = source->bytes[at++];

        if (type == '!') {
            if (!skip(source, &at, 1) || !skip_blocks(source, &at))
                break;
        } else if (type == ',') {
            size_t colours;

            if (!skip(source, &at, 9))
                break;
            colours = source->bytes[at - 1];
            if (((colours & 0x80) != 0 &&
                 !skip(source, &at, (size_t)6 << (colours & 7))) ||
                !skip(source, &at, 1) || !skip_blocks(source, &at))
                break;
            frames++;
        } else {
            break;
        }
    }
    return frames;
}

static bool read_gif_info(const struct image_source *source, struct image_info *info,
                          struct err *err)
{
    struct reader reader = { .source = source };
    bool ok = open_reader(&reader, err);

    if (ok) {
        info->width = reader.width;
        info->height = reader.height;
        info->has_alpha = reader.transparent != NO_TRANSPARENT_COLOR;
        info->frames = count_frames(source, reader.at);
    }
    close_reader(&reader);
    return ok;
}

// ---------------------------------------------------------------------------
// Pixels

// Without any colours the numbers are greys; numbers beyond the last colour are black.
static void fill_palette(const struct reader *reader, uint8_t palette[256][4])
{
    const ColorMapObject *colours = reader->gif->Image.ColorMap != NULL
                                        ? reader->gif->Image.ColorMap
                                        : reader->gif->SColorMap;

    for (int i = 0; i < 256; i++) {
        uint8_t grey = colours == NULL ? (uint8_t)i : 0;
        uint8_t alpha = i == reader->transparent ? 0 : 0xFF;

        memcpy(palette[i], (const uint8_t[4]){ grey, grey, grey, alpha }, 4);
        if (colours != NULL && i < colours->ColorCount)
            memcpy(palette[i],
                   (const uint8_t[3]){ colours->Colors[i].Red, colours->Colors[i].Green,
                                       colours->Colors[i].Blue },
                   3);
    }
}

static bool read_row(struct reader *reader, const uint8_t palette[256][4], uint8_t *rgba,
                     struct err *err)
{
    GifPixelType indices[IMAGE_SIDE_MAX];

    if (DGifGetLine(reader->gif, indices, reader->gif->Image.Width) != GIF_OK)
        return explain(reader, reader->gif->Error, err);
    for (int x = 0; x < reader->gif->Image.Width; x++)
        memcpy(rgba + (size_t)4 * x, palette[indices[x]], 4);
    return true;
}

static bool read_rows(struct reader *reader, uint8_t *rgba, struct err *err)
{
    static const struct {
        int first, step;
    } passes[] = { { 0, 8 }, { 4, 8 }, { 2, 4 }, { 1, 2 }, { 0, 1 } };
    const GifImageDesc *frame = &reader->gif->Image;
    uint8_t *corner =
        rgba + 4 * ((size_t)reader->width * (size_t)frame->Top + (size_t)frame->Left);
    uint8_t palette[256][4];
    uint8_t background;

    fill_palette(reader, palette);
    background =
        reader->transparent != NO_TRANSPARENT_COLOR ? (uint8_t)reader->transparent : 0;
    for (size_t i = 0; i < (size_t)reader->width * reader->height; i++)
        memcpy(rgba + 4 * i, palette[background], 4);
    for (int pass = frame->Interlace ? 0 : 4; pass < (frame->Interlace ? 4 : 5); pass++)
        for (int y = passes[pass].first; y < frame->Height; y += passes[pass].step)
            if (!read_row(reader, palette, corner + (size_t)4 * reader->width * (size_t)y,
                          err))
                return false;
    return true;
}

static bool read_gif_pixels(const struct image_source *source,
                            const struct image_info *info, uint8_t *rgba, struct err *err)
{
    struct reader reader = { .source = source };
    bool ok = open_reader(&reader, err);

    if (ok && (reader.width != info->width || reader.height != info->height))
        ok = err_set(err, ERR_FORMAT, "the file changed while it was read");
    ok = ok && read_rows(&reader, rgba, err);
    close_reader(&reader);
    return ok;
}

const struct image_codec image_codec_gif = {
    .name = "GIF",
    .matches = gif_matches,
    .read_info = read_gif_info,
    .read_pixels = read_gif_pixels,
};
