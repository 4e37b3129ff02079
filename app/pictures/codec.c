// app/pictures/codec.c
// SPDX-License-Identifier: MIT
#include "app/pictures/codec.h"

#include <stdlib.h>
#include <string.h>

#include "app/pictures/scale.h"
#include "base/alloc.h"

#define TILE 32 // pixels a side: two tiles stay in the nearest cache

static const struct image_codec *const codecs[IMAGE_FORMATS_END] = {
    [IMAGE_PNG] = &image_codec_png,
    [IMAGE_JPEG] = &image_codec_jpeg,
    [IMAGE_WEBP] = &image_codec_webp,
    [IMAGE_GIF] = &image_codec_gif,
};

const char *image_format_name(enum image_format format)
{
    return codecs[format]->name;
}

// ---------------------------------------------------------------------------
// What it is

// What people attach besides, so that they are told what they have in hand.
static const struct {
    size_t offset;
    const char *bytes;
    const char *name;
} foreign[] = {
    { 0, "BM", "BMP" },           { 0, "II*", "TIFF" },
    { 0, "MM\0*", "TIFF" },       { 4, "ftypheic", "HEIC" },
    { 4, "ftypheix", "HEIC" },    { 4, "ftypmif1", "HEIF" },
    { 4, "ftypavif", "AVIF" },    { 0, "\xFF\x0A", "JPEG XL" },
    { 4, "JXL \r\n", "JPEG XL" }, { 4, "jP  \r\n", "JPEG 2000" },
    { 0, "8BPS", "Photoshop" },   { 0, "%PDF", "PDF" },
    { 0, "<svg", "SVG" },         { 0, "<?xml", "XML" },
};

static bool refuse(const struct image_source *source, struct err *err)
{
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        size_t len = strlen(foreign[i].bytes), offset = foreign[i].offset;

        if (source->len >= offset + len &&
            memcmp(source->bytes + offset, foreign[i].bytes, len) == 0)
            return err_set(err, ERR_UNSUPPORTED,
                           "%s is not read; PNG, JPEG, WebP and GIF are",
                           foreign[i].name);
    }
    return err_set(err, ERR_FORMAT, "not a PNG, JPEG, WebP or GIF picture");
}

static enum image_format find_format(const struct image_source *source)
{
    for (enum image_format format = IMAGE_PNG; format < IMAGE_FORMATS_END; format++)
        if (codecs[format]->matches(source))
            return format;
    return IMAGE_NONE;
}

static bool check_info(const struct image_info *info, uint32_t pixels_max,
                       struct err *err)
{
    if (info->width == 0 || info->height == 0)
        return err_set(err, ERR_FORMAT, "a picture of %u x %u pixels", info->width,
                       info->height);
    if (info->width > IMAGE_SIDE_MAX || info->height > IMAGE_SIDE_MAX)
        return err_set(err, ERR_LIMIT, "%u x %u pixels, a side may have %d", info->width,
                       info->height, IMAGE_SIDE_MAX);
    if ((uint64_t)info->width * info->height > pixels_max)
        return err_set(err, ERR_LIMIT, "%u x %u pixels, a picture may have %u million",
                       info->width, info->height, IMAGE_PIXELS_MAX / 1000000);
    return true;
}

// ---------------------------------------------------------------------------
// The right way up

// Where the first upright pixel is stored, and how far away the next one to the right
// and the next one below are, in pixels of a width x height picture.
struct walk {
    size_t start;
    ptrdiff_t right, down;
};

static struct walk orientation_walk(unsigned orientation, size_t width, size_t height)
{
    ptrdiff_t row = (ptrdiff_t)width;
    size_t top_right = width - 1, bottom_left = width * (height - 1);

    switch (orientation) {
    case 2: // mirrored
        return (struct walk){ top_right, -1, row };
    case 3: // upside down
        return (struct walk){ top_right + bottom_left, -1, -row };
    case 4: // upside down and mirrored
        return (struct walk){ bottom_left, 1, -row };
    case 5: // rows are columns
        return (struct walk){ 0, row, 1 };
    case 6: // to be turned clockwise
        return (struct walk){ bottom_left, -row, 1 };
    case 7: // rows are columns, from the last corner
        return (struct walk){ top_right + bottom_left, -row, -1 };
    case 8: // to be turned counterclockwise
        return (struct walk){ top_right, row, -1 };
    default:
        return (struct walk){ 0, 1, row };
    }
}

// Copies the upright columns x0 to x1 of the upright rows y0 to y1.
static void turn_tile(const uint8_t *stored, const struct walk *walk, uint8_t *rgba,
                      size_t width, const size_t x[2], const size_t y[2])
{
    for (size_t row = y[0]; row < y[1]; row++) {
        const uint8_t *from =
            stored + 4 * ((ptrdiff_t)walk->start + walk->right * (ptrdiff_t)x[0] +
                          walk->down * (ptrdiff_t)row);

        for (size_t column = x[0]; column < x[1]; column++)
            memcpy(rgba + 4 * (row * width + column),
                   from + 4 * walk->right * (ptrdiff_t)(column - x[0]), 4);
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

// width, height: of the upright picture.
static void turn(const uint8_t *stored, unsigned orientation, uint8_t *rgba, size_t width,
                 size_t height)
{
    struct walk walk = orientation < 5 ? orientation_walk(orientation, width, height)
                                       : orientation_walk(orientation, height, width);

    for (size_t y = 0; y < height; y += TILE)
        for (size_t x = 0; x < width; x += TILE)
            turn_tile(stored, &walk, rgba, width,
                      (const size_t[2]){ x, least(x + TILE, width) },
                      (const size_t[2]){ y, least(y + TILE, height) });
}

// ---------------------------------------------------------------------------
// From bytes to pixels

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t old = *a;

    *a = *b;
    *b = old;
}

// Decodes into memory of its own, then reduces and turns into rgba.
static bool decode_changed(const struct image_source *source,
                           const struct image_info *info, struct image *image,
                           uint8_t *rgba, struct err *err)
{
    bool lies = info->orientation >= 5; // rows are columns
    uint32_t width = lies ? image->height : image->width;
    uint32_t height = lies ? image->width : image->height;
    bool reduced = width != info->width || height != info->height;
    uint8_t *stored = try_array((size_t)info->width * info->height, 4);
    uint8_t *small = reduced ? try_array((size_t)width * height, 4) : stored;
    bool ok;

    if (stored == NULL || small == NULL)
        ok = err_set(err, ERR_MEMORY, "%u x %u pixels do not fit into memory",
                     info->width, info->height);
    else
        ok = codecs[image->format]->read_pixels(source, info, stored, err) &&
             (!reduced ||
              scale_box(stored, info->width, info->height, small, width, height, err));
    if (ok)
        turn(small, info->orientation, rgba, image->width, image->height);
    if (reduced)
        free(small);
    free(stored);
    return ok;
}

bool image_decode(const struct image_source *source, const struct image_request *request,
                  struct image *image, uint8_t *rgba, struct err *err)
{
    struct image_info info = { .frames = 1, .orientation = 1 };
    enum image_format format = find_format(source);
    bool ok;

    if (format == IMAGE_NONE)
        return refuse(source, err);
    ok = codecs[format]->read_info(source, &info, err) &&
         check_info(&info, request->pixels_max, err);
    if (ok) {
        *image = (struct image){ .format = format,
                                 .full_width = info.width,
                                 .full_height = info.height,
                                 .frames = info.frames,
                                 .has_alpha = info.has_alpha };
        if (info.orientation >= 5)
            swap(&image->full_width, &image->full_height);
        scale_fit(image->full_width, image->full_height, request->fit_width,
                  request->fit_height, &image->width, &image->height);
        ok = info.orientation == 1 && image->width == info.width &&
                     image->height == info.height
                 ? codecs[format]->read_pixels(source, &info, rgba, err)
                 : decode_changed(source, &info, image, rgba, err);
    }
    return ok || err_prefix(err, "%s", codecs[format]->name);
}
