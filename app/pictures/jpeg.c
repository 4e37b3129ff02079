// app/pictures/jpeg.c
// SPDX-License-Identifier: MIT
//
// JPEG by libjpeg-turbo. Data that is damaged or ends early is an error here, although
// the library would go on with grey. Four colours are taken to be inverted, as everyone
// does since Photoshop.
#include "app/pictures/codec.h"

#include <setjmp.h>
#include <stdio.h> // jpeglib.h needs it
#include <string.h>

#include <jpeglib.h>

#include <jerror.h> // its numbers depend on what jpeglib.h has defined

#include "app/pictures/exif.h"

#define SCANS_MAX         100 // each costs a pass over the whole picture
#define LIBRARY_BYTES_MAX ((long)1 << 30)
#define MARKER_APP1       0xE1
#define MARKER_SOS        0xDA

struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    const struct image_source *source;
    struct err *err;
};

static bool jpeg_matches(const struct image_source *source)
{
    return source->len >= 3 && memcmp(source->bytes, "\xFF\xD8\xFF", 3) == 0;
}

// ---------------------------------------------------------------------------
// What libjpeg calls

static void on_error(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];

    if (jpeg->err->msg_code == JWRN_JPEG_EOF || jpeg->err->msg_code == JERR_INPUT_EOF) {
        err_set(reader->err, ERR_FORMAT, "cut short after %zu bytes",
                reader->source->len);
    } else if (reader->jpeg.src != NULL) {
        jpeg->err->format_message(jpeg, text);
        err_set(reader->err,
                jpeg->err->msg_code == JERR_OUT_OF_MEMORY ? ERR_MEMORY : ERR_FORMAT,
                "%s (before byte %zu)", text,
                (size_t)(reader->jpeg.src->next_input_byte - reader->source->bytes));
    } else {
        err_set(reader->err, ERR_MEMORY, "libjpeg cannot start");
    }
    longjmp(reader->escape, 1);
}

// Warnings after which part of the picture is invented.
static void on_message(j_common_ptr jpeg, int level)
{
    if (level >= 0)
        return;
    switch (jpeg->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_BOGUS_PROGRESSION:
        on_error(jpeg);
    }
}

static void on_progress(j_common_ptr jpeg)
{
    struct reader *reader = jpeg->client_data;

    if (reader->jpeg.input_scan_number <= SCANS_MAX)
        return;
    err_set(reader->err, ERR_LIMIT, "more than %d passes over the picture", SCANS_MAX);
    longjmp(reader->escape, 1);
}

// ---------------------------------------------------------------------------
// What libjpeg does for us

static void open_reader(struct reader *reader)
{
    reader->jpeg.err = jpeg_std_error(&reader->errors);
    reader->jpeg.client_data = reader;
    reader->errors.error_exit = on_error;
    reader->errors.emit_message = on_message;
    reader->progress.progress_monitor = on_progress;
}

// Nothing that lives here changes after setjmp.
static bool read_header(struct reader *reader)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;

    if (setjmp(reader->escape) != 0)
        return false;
    jpeg_create_decompress(jpeg);
    jpeg->mem->max_memory_to_use = LIBRARY_BYTES_MAX;
    jpeg->progress = &reader->progress;
    jpeg_mem_src(jpeg, reader->source->bytes, reader->source->len);
    jpeg_read_header(jpeg, TRUE);
    return true;
}

static bool choose_colours(struct reader *reader)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;

    switch (jpeg->jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_YCbCr:
    case JCS_RGB:
        jpeg->out_color_space = JCS_EXT_RGBA;
        return true;
    case JCS_CMYK:
    case JCS_YCCK:
        jpeg->out_color_space = JCS_CMYK;
        return true;
    default:
        return err_set(reader->err, ERR_UNSUPPORTED,
                       "%d colours a pixel; 1, 3 and 4 are known", jpeg->num_components);
    }
}

// a * b / 255, rounded.
static unsigned mul_255(unsigned a, unsigned b)
{
    unsigned product = a * b + 128;

    return (product + (product >> 8)) >> 8;
}

// What is stored is 255 - ink. A colour is what its ink and the black leave of white.
static void cmyk_to_rgba(uint8_t *row, uint32_t width)
{
    for (uint32_t x = 0; x < width; x++, row += 4) {
        unsigned white = row[3];

        for (int i = 0; i < 3; i++) {
            unsigned ink = mul_255(255u - row[i], white);

            row[i] = (uint8_t)(white - ink);
        }
        row[3] = 0xFF;
    }
}

static bool read_rows(struct reader *reader, uint8_t *rgba)
{
    struct jpeg_decompress_struct *jpeg = &reader->jpeg;

    if (setjmp(reader->escape) != 0)
        return false;
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = rgba + (size_t)4 * jpeg->output_width * jpeg->output_scanline;

        jpeg_read_scanlines(jpeg, &row, 1);
        if (jpeg->out_color_space == JCS_CMYK)
            cmyk_to_rgba(row, jpeg->output_width);
    }
    jpeg_finish_decompress(jpeg);
    return true;
}

// ---------------------------------------------------------------------------
// What we look for ourselves

// The first Exif segment before the data. A damaged file is refused by libjpeg; here the
// walk just ends.
static unsigned find_orientation(const struct image_source *source)
{
    const uint8_t *bytes = source->bytes;
    size_t at = 2;

    while (source->len - at >= 4) {
        unsigned marker = bytes[at + 1];
        size_t len = (size_t)bytes[at + 2] << 8 | bytes[at + 3];

        if (bytes[at] == 0xFF && marker == 0xFF) { // padding
            at++;
            continue;
        }
        if (bytes[at] != 0xFF || marker == MARKER_SOS || len < 2 ||
            len > source->len - at - 2)
            return 1;
        if (marker == MARKER_APP1 && len >= 8 && memcmp(bytes + at + 4, "Exif\0", 6) == 0)
            return exif_orientation(bytes + at + 4, len - 2);
        at += 2 + len;
    }
    return 1;
}

static bool read_jpeg_info(const struct image_source *source, struct image_info *info,
                           struct err *err)
{
    struct reader reader = { .source = source, .err = err };
    bool ok;

    open_reader(&reader);
    ok = read_header(&reader) && choose_colours(&reader);
    if (ok) {
        info->width = reader.jpeg.image_width;
        info->height = reader.jpeg.image_height;
        info->orientation = find_orientation(source);
    }
    jpeg_destroy_decompress(&reader.jpeg);
    return ok;
}

static bool read_jpeg_pixels(const struct image_source *source,
                             const struct image_info *info, uint8_t *rgba,
                             struct err *err)
{
    struct reader reader = { .source = source, .err = err };
    bool ok;

    open_reader(&reader);
    ok = read_header(&reader) && choose_colours(&reader);
    if (ok && (reader.jpeg.image_width != info->width ||
               reader.jpeg.image_height != info->height))
        ok = err_set(err, ERR_FORMAT, "the file changed while it was read");
    ok = ok && read_rows(&reader, rgba);
    jpeg_destroy_decompress(&reader.jpeg);
    return ok;
}

const struct image_codec image_codec_jpeg = {
    .name = "JPEG",
    .matches = jpeg_matches,
    .read_info = read_jpeg_info,
    .read_pixels = read_jpeg_pixels,
};
