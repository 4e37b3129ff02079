// tests/fuzz/fuzz_picture.c
// SPDX-License-Identifier: MIT
//
// What the decode process does inside its sandbox, without the sandbox: any bytes are a
// picture or one line. Pictures are kept small, so that many can be tried. Half of the
// PNG files get right checksums, so that what was changed in them is reached.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/pictures/codec.h"
#include "base/alloc.h"

#define PIXELS_MAX 40000

static void check_picture(const struct image *image, const struct image_request *request,
                          const uint8_t *rgba)
{
    size_t pixels = (size_t)image->width * image->height;

    if (image->width == 0 || image->height == 0 || image->frames == 0 ||
        (uint64_t)image->full_width * image->full_height > PIXELS_MAX ||
        image->width > image->full_width || image->height > image->full_height)
        bug("%u x %u of %u x %u pixels, %u frames", image->width, image->height,
            image->full_width, image->full_height, image->frames);
    if (request->fit_width != 0 &&
        (image->width > request->fit_width || image->height > request->fit_height))
        bug("%u x %u pixels do not fit", image->width, image->height);
    for (size_t i = 0; i < pixels; i++)
        if (!image->has_alpha && rgba[4 * i + 3] != 0xFF)
            bug("a transparent pixel");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t checksum(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0xFFFFFFFF;

    for (size_t i = 0; i < len; i++) {
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum % 2 == 1 ? 0xEDB88320 : 0);
    }
    return ~sum;
}

static uint8_t *copy_with_checksums(const uint8_t *data, size_t size)
{
    uint8_t *copy = alloc_zero(size);
    size_t at = 8;

    memcpy(copy, data, size);
    while (size >= 12 && at <= size - 12) {
        uint8_t *chunk = copy + at;
        size_t len = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 |
                     (size_t)chunk[2] << 8 | chunk[3];
        uint32_t sum;

        if (len > size - 12 - at)
            break;
        sum = checksum(chunk + 4, len + 4);
        for (int i = 0; i < 4; i++)
            chunk[8 + len + i] = (uint8_t)(sum >> (24 - 8 * i));
        at += 12 + len;
    }
    return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool repaired = size > 8 && data[0] == 0x89 && size % 4 < 2;
    uint8_t *copy = repaired ? copy_with_checksums(data, size) : NULL;
    struct image_source source = { repaired ? copy : data, size };
    struct image_request request = { .pixels_max = PIXELS_MAX };
    uint8_t *rgba = alloc_array(PIXELS_MAX, 4);
    struct err err = { .code = ERR_NONE };
    struct image image;

    if (size % 2 == 1) // as good as a coin, and replays
        request.fit_width = request.fit_height = 20;
    if (image_decode(&source, &request, &image, rgba, &err))
        check_picture(&image, &request, rgba);
    else if (err.code == ERR_NONE || err.text[0] == '\0' ||
             strchr(err.text, '\n') != NULL)
        bug("refused with \"%s\"", err.text);
    free(rgba);
    free(copy);
    return 0;
}
