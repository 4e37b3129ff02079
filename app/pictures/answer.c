// app/pictures/answer.c
// SPDX-License-Identifier: MIT
#include "app/pictures/answer.h"

#include <string.h>

// Offsets; docs/formats.md describes them.
enum {
    AT_MAGIC = 0,
    AT_STATUS = 8,
    AT_FORMAT = 12,
    AT_WIDTH = 16,
    AT_HEIGHT = 20,
    AT_FULL_WIDTH = 24,
    AT_FULL_HEIGHT = 28,
    AT_FRAMES = 32,
    AT_HAS_ALPHA = 36,
    AT_ERROR_CODE = 40,
    AT_TEXT_LENGTH = 44,
    AT_TEXT = 48,
};
#define TEXT_MAX (ANSWER_BYTES - AT_TEXT)

enum { STATUS_PICTURE = 1, STATUS_ERROR = 2 };

static const uint8_t request_magic[8] = "ORLPREQ";
static const uint8_t answer_magic[8] = "ORLPANS";

static void put(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

void request_write(uint8_t bytes[REQUEST_BYTES], const struct image_request *request)
{
    memcpy(bytes, request_magic, sizeof(request_magic));
    put(bytes + 8, request->fit_width);
    put(bytes + 12, request->fit_height);
}

bool request_read(const uint8_t bytes[REQUEST_BYTES], struct image_request *request)
{
    request->pixels_max = IMAGE_PIXELS_MAX;
    request->fit_width = get(bytes + 8);
    request->fit_height = get(bytes + 12);
    return memcmp(bytes, request_magic, sizeof(request_magic)) == 0;
}

static bool is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7F;
}

static void write_error(uint8_t *bytes, const struct err *err)
{
    size_t len = strlen(err->text);

    len = len < TEXT_MAX ? len : TEXT_MAX;
    put(bytes + AT_STATUS, STATUS_ERROR);
    put(bytes + AT_ERROR_CODE, err->code);
    put(bytes + AT_TEXT_LENGTH, (uint32_t)len);
    for (size_t i = 0; i < len; i++)
        bytes[AT_TEXT + i] =
            is_plain((uint8_t)err->text[i]) ? (uint8_t)err->text[i] : '?';
}

void answer_write(uint8_t bytes[ANSWER_BYTES], const struct image *image,
                  const struct err *err)
{
    memset(bytes, 0, ANSWER_BYTES);
    memcpy(bytes + AT_MAGIC, answer_magic, sizeof(answer_magic));
    if (image == NULL) {
        write_error(bytes, err);
        return;
    }
    put(bytes + AT_STATUS, STATUS_PICTURE);
    put(bytes + AT_FORMAT, image->format);
    put(bytes + AT_WIDTH, image->width);
    put(bytes + AT_HEIGHT, image->height);
    put(bytes + AT_FULL_WIDTH, image->full_width);
    put(bytes + AT_FULL_HEIGHT, image->full_height);
    put(bytes + AT_FRAMES, image->frames);
    put(bytes + AT_HAS_ALPHA, image->has_alpha);
}

// ---------------------------------------------------------------------------
// Reading

static bool is_known_error(uint32_t code)
{
    return code == ERR_IO || code == ERR_FORMAT || code == ERR_UNSUPPORTED ||
           code == ERR_LIMIT || code == ERR_MEMORY;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static bool read_error(const uint8_t *bytes, struct err *err)
{
    uint32_t code = get(bytes + AT_ERROR_CODE), len = get(bytes + AT_TEXT_LENGTH);
    char text[TEXT_MAX + 1] = "";

    if (!is_known_error(code) || len == 0 || len > TEXT_MAX ||
        !all_zero(bytes + AT_FORMAT, AT_ERROR_CODE - AT_FORMAT) ||
        !all_zero(bytes + AT_TEXT + len, TEXT_MAX - len))
        return false;
    for (uint32_t i = 0; i < len; i++)
        if (!is_plain(bytes[AT_TEXT + i]))
            return false;
    memcpy(text, bytes + AT_TEXT, len);
    err_set(err, (enum err_code)code, "%s", text);
    return true;
}

static bool is_size(uint32_t width, uint32_t height)
{
    return width >= 1 && width <= IMAGE_SIDE_MAX && height >= 1 &&
           height <= IMAGE_SIDE_MAX && (uint64_t)width * height <= IMAGE_PIXELS_MAX;
}

static bool read_picture(const uint8_t *bytes, const struct image_request *request,
                         struct image *image)
{
    uint32_t format = get(bytes + AT_FORMAT);
    uint32_t has_alpha = get(bytes + AT_HAS_ALPHA);
    uint32_t max_width = request->fit_width, max_height = request->fit_height;

    *image = (struct image){ .format = format,
                             .width = get(bytes + AT_WIDTH),
                             .height = get(bytes + AT_HEIGHT),
                             .full_width = get(bytes + AT_FULL_WIDTH),
                             .full_height = get(bytes + AT_FULL_HEIGHT),
                             .frames = get(bytes + AT_FRAMES),
                             .has_alpha = has_alpha != 0 };
    return format >= IMAGE_PNG && format < IMAGE_FORMATS_END && has_alpha <= 1 &&
           image->frames >= 1 && is_size(image->full_width, image->full_height) &&
           image->width >= 1 && image->width <= image->full_width && image->height >= 1 &&
           image->height <= image->full_height &&
           (max_width == 0 || image->width <= max_width) &&
           (max_height == 0 || image->height <= max_height) &&
           all_zero(bytes + AT_ERROR_CODE, ANSWER_BYTES - AT_ERROR_CODE);
}

bool answer_read(const uint8_t bytes[ANSWER_BYTES], const struct image_request *request,
                 struct image *image, struct err *err)
{
    uint32_t status = get(bytes + AT_STATUS);

    if (memcmp(bytes + AT_MAGIC, answer_magic, sizeof(answer_magic)) == 0) {
        if (status == STATUS_PICTURE && read_picture(bytes, request, image))
            return true;
        if (status == STATUS_ERROR && read_error(bytes, err))
            return false;
    }
    return err_set(err, ERR_DEVICE, "the process that decodes pictures talks nonsense");
}
