// app/pictures/codec.h
// SPDX-License-Identifier: MIT
//
// From the bytes of a picture to RGBA: what the decode process does inside its sandbox.
// One file per format; formats are told apart by their first bytes, never by a name.
//
// What comes out equals what Pillow 13 makes of the file with exif_transpose and
// convert("RGBA"), the common ground of the published image processors, except that
// 16-bit grey becomes its high byte (Pillow makes everything above 255 white), that a
// transparent grey or colour of a PNG means samples as they are stored (Pillow compares
// them with expanded ones), that only EXIF turns a picture, no XMP, and that JPEG may
// differ by the rounding of another version of the library.
//
// A picture is decoded whole or not at all. Everything stated by the file is hostile:
// sides and pixels are compared with the limits before memory is taken.
#ifndef ORIEL_APP_PICTURES_CODEC_H
#define ORIEL_APP_PICTURES_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IMAGE_SIDE_MAX   65535
#define IMAGE_PIXELS_MAX 100000000u
#define IMAGE_INPUT_MAX  ((size_t)100 << 20)

struct image_source {
    const uint8_t *bytes;
    size_t len;
};

struct image_info {
    uint32_t width, height; // as stored, before the orientation
    uint32_t frames;        // 1 unless it is animated; only the first is decoded
    unsigned orientation;   // EXIF, 1 to 8
    bool has_alpha;         // some pixel may be transparent
};

struct image_codec {
    const char *name;
    bool (*matches)(const struct image_source *source);
    // Reads the header. Sides may be anything; the caller compares them with the limits.
    bool (*read_info)(const struct image_source *source, struct image_info *info,
                      struct err *err);
    // Fills rgba[height][width][4], which is zeroed, for the info that read_info gave.
    bool (*read_pixels)(const struct image_source *source, const struct image_info *info,
                        uint8_t *rgba, struct err *err);
};

extern const struct image_codec image_codec_gif;
extern const struct image_codec image_codec_jpeg;
extern const struct image_codec image_codec_png;
extern const struct image_codec image_codec_webp;

enum image_format {
    IMAGE_NONE,
    IMAGE_PNG,
    IMAGE_JPEG,
    IMAGE_WEBP,
    IMAGE_GIF,
    IMAGE_FORMATS_END
};

// "PNG" and so on, at most 7 bytes.
const char *image_format_name(enum image_format format);

struct image_request {
    uint32_t pixels_max;            // of the stored picture; rgba has room for as many
    uint32_t fit_width, fit_height; // reduced to fit in these; 0: as large as it is
};

struct image {
    enum image_format format;
    uint32_t width, height;           // of what is in rgba, upright
    uint32_t full_width, full_height; // before it was reduced, upright
    uint32_t frames;
    bool has_alpha;
};

// Decodes into rgba, which is zeroed. Fails with ERR_FORMAT, ERR_UNSUPPORTED, ERR_LIMIT
// or ERR_MEMORY and one line.
bool image_decode(const struct image_source *source, const struct image_request *request,
                  struct image *image, uint8_t *rgba, struct err *err);

#endif
