// tests/fuzz/fuzz_picture_answer.c
// SPDX-License-Identifier: MIT
//
// The front's reader of what the decode process left. Input: 8 bytes that say what was
// asked for, then the answer. What is believed is within the limits, and is written back
// as the same bytes: there is no second way to say it.
#include <stdint.h>
#include <string.h>

#include "app/pictures/answer.h"

static void check_picture(const struct image *image, const struct image_request *request)
{
    if (image->width < 1 || image->height < 1 || image->width > image->full_width ||
        image->height > image->full_height || image->full_width > IMAGE_SIDE_MAX ||
        image->full_height > IMAGE_SIDE_MAX ||
        (uint64_t)image->full_width * image->full_height > IMAGE_PIXELS_MAX ||
        (size_t)4 * image->width * image->height > DECODE_PIXEL_BYTES ||
        (request->fit_width != 0 && image->width > request->fit_width) ||
        (request->fit_height != 0 && image->height > request->fit_height) ||
        strlen(image_format_name(image->format)) > 7)
        bug("a picture of %u x %u pixels is believed", image->width, image->height);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t bytes[8 + ANSWER_BYTES] = { 0 }, again[ANSWER_BYTES];
    struct image_request request = { .pixels_max = IMAGE_PIXELS_MAX };
    struct err err = { .code = ERR_NONE };
    struct image image;
    bool ok;

    memcpy(bytes, data, size < sizeof(bytes) ? size : sizeof(bytes));
    memcpy(&request.fit_width, bytes, 4);
    memcpy(&request.fit_height, bytes + 4, 4);
    ok = answer_read(bytes + 8, &request, &image, &err);
    if (ok)
        check_picture(&image, &request);
    else if (err.code == ERR_NONE || err.text[0] == '\0')
        bug("refused without a word");
    if (!ok && err.code == ERR_DEVICE)
        return 0;
    answer_write(again, ok ? &image : NULL, &err);
    if (memcmp(again, bytes + 8, sizeof(again)) != 0)
        bug("the answer can be said in another way");
    return 0;
}
