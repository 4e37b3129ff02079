// app/pictures/png.c
// SPDX-License-Identifier: MIT
//
// PNG by libpng. Of the chunks that are not the picture itself, only eXIf (which way up)
// and acTL (how many frames) are looked at, by our own walk over the file; libpng skips
// them all. A wrong checksum anywhere is an error. Gamma and profiles are left alone.
#include "app/pictures/codec.h"

#include <png.h>
#include <string.h>

#include "app/pictures/exif.h"

#define SIGNATURE_BYTES 8
#define CHUNK_BYTES_MAX ((size_t)1 << 20) // of what libpng keeps
#define CHUNKS_MAX      1000

struct reader {
    const struct image_source *source;
    size_t at;
    const struct image_info *info; // NULL while the header is read
    struct err *err;
    png_structp png;
    png_infop header;
};

static bool png_matches(const struct image_source *source)
{
    return source->len >= SIGNATURE_BYTES &&
           memcmp(source->bytes, "\x89PNG\r\n\x1a\n", SIGNATURE_BYTES) == 0;
}

// ---------------------------------------------------------------------------
// What libpng calls

static void on_error(png_structp png, png_const_charp text)
{
    struct reader *reader = png_get_error_ptr(png);

    if (reader->at > reader->source->len)
        err_set(reader->err, ERR_FORMAT, "cut short after %zu bytes",
                reader->source->len);
    else
        err_set(reader->err, ERR_FORMAT, "%s (before byte %zu)", text, reader->at);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t len)
{
    struct reader *reader = png_get_io_ptr(png);

    if (len > reader->source->len - reader->at) {
        reader->at = reader->source->len + 1;
        png_error(png, "cut short");
    }
    memcpy(to, reader->source->bytes + reader->at, len);
    reader->at += len;
}

// ---------------------------------------------------------------------------
// What libpng does for us

static bool open_reader(struct reader *reader)
{
    reader->png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, on_error, on_warning);
    if (reader->png == NULL)
        return err_set(reader->err, ERR_MEMORY, "libpng cannot start");
    reader->header = png_create_info_struct(reader->png);
    if (reader->header == NULL)
        return err_set(reader->err, ERR_MEMORY, "libpng cannot start");
    png_set_read_fn(reader->png, reader, on_read);
    return true;
}

static void close_reader(struct reader *reader)
{
    png_destroy_read_struct(&reader->png, &reader->header, NULL);
}

static void read_header(struct reader *reader)
{
    png_structp png = reader->png;

    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); // ours come later
    png_set_chunk_malloc_max(png, CHUNK_BYTES_MAX);
    png_set_chunk_cache_max(png, CHUNKS_MAX);
    png_read_info(png, reader->header);
}

// Every kind becomes 8-bit RGBA. tRNS is applied to samples as they are stored.
static void read_rows(struct reader *reader, uint8_t *rgba)
{
    png_structp png = reader->png;
    uint32_t width = png_get_image_width(png, reader->header);
    uint32_t height = png_get_image_height(png, reader->header);
    int passes;

    if (width != reader->info->width || height != reader->info->height)
        png_error(png, "the file changed while it was read");
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 0xFF, PNG_FILLER_AFTER);
    passes = png_set_interlace_handling(png);
    png_read_update_info(png, reader->header);
    if (png_get_rowbytes(png, reader->header) != (size_t)4 * width)
        png_error(png, "rows of an unexpected length");
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < height; y++)
            png_read_row(png, rgba + (size_t)4 * width * y, NULL);
    png_read_end(png, NULL);
}

// rgba NULL: the header only. Nothing that lives here changes after setjmp.
static bool read_png(struct reader *reader, uint8_t *rgba)
{
    if (setjmp(png_jmpbuf(reader->png)) != 0)
        return false;
    read_header(reader);
    if (rgba != NULL)
        read_rows(reader, rgba);
    return true;
}

// ---------------------------------------------------------------------------
// What we look for ourselves

static uint32_t get_32(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

// A damaged file is refused by libpng; here the walk just ends.
static void walk_chunks(const struct image_source *source, struct image_info *info)
{
    size_t at = SIGNATURE_BYTES;

    while (source->len - at >= 12) {
        const uint8_t *chunk = source->bytes + at;
        uint32_t len = get_32(chunk);

        if (len > source->len - at - 12)
            return;
        if (memcmp(chunk + 4, "eXIf", 4) == 0)
            info->orientation = exif_orientation(chunk + 8, len);
        if (memcmp(chunk + 4, "acTL", 4) == 0 && len == 8 && get_32(chunk + 8) > 0)
            info->frames = get_32(chunk + 8);
        at += 12 + (size_t)len;
    }
}

static bool png_read_header(const struct image_source *source, struct image_info *info,
                            struct err *err)
{
    struct reader reader = { .source = source, .err = err };
    bool ok = open_reader(&reader) && read_png(&reader, NULL);

    if (ok) {
        info->width = png_get_image_width(reader.png, reader.header);
        info->height = png_get_image_height(reader.png, reader.header);
        info->has_alpha =
            (png_get_color_type(reader.png, reader.header) & PNG_COLOR_MASK_ALPHA) != 0 ||
            png_get_valid(reader.png, reader.header, PNG_INFO_tRNS) != 0;
        walk_chunks(source, info);
    }
    close_reader(&reader);
    return ok;
}

static bool png_read_pixels(const struct image_source *source,
                            const struct image_info *info, uint8_t *rgba, struct err *err)
{
    struct reader reader = { .source = source, .info = info, .err = err };
    bool ok = open_reader(&reader) && read_png(&reader, rgba);

    close_reader(&reader);
    return ok;
}

const struct image_codec image_codec_png = {
    .name = "PNG",
    .matches = png_matches,
    .read_info = png_read_header,
    .read_pixels = png_read_pixels,
};
