// tests/fuzz/fuzz_picture.c
// SPDX-License-Identifier: MIT
//
// What the decode process does inside its sandbox, without the sandbox: any bytes are a
// picture or one line. Pictures are kept small, so that many can be tried.
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_source source = { data, size };
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
    return 0;
}
