// ui/format_iterm.c
// SPDX-License-Identifier: MIT
#include "ui/formats.h"

#include <stdlib.h>

#include <png.h>

#include "base/base64.h"

bool format_iterm(const struct pixels *pixels, int top, int height, int columns, int rows,
                  struct str *out)
{
    png_image image = { .version = PNG_IMAGE_VERSION,
                        .width = (png_uint_32)pixels->size.width,
                        .height = (png_uint_32)height,
                        .format = PNG_FORMAT_RGBA,
                        .flags = PNG_IMAGE_FLAG_FAST };
    const uint8_t *from = pixels->rgba + 4 * (size_t)top * (size_t)pixels->size.width;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    struct str png;
    bool ok;

    str_init(&png, 0);
    ok = size <= png.max;
    if (ok) {
        char *bytes = malloc(size);

        ok = bytes != NULL &&
             png_image_write_to_memory(&image, bytes, &size, 0, from, 0, NULL);
        if (ok)
            str_append_n(&png, bytes, size);
        free(bytes);
    }
    png_image_free(&image);
    if (ok) {
        str_printf(out,
                   "\033]1337;File=inline=1;size=%zu;width=%d;height=%d;"
                   "preserveAspectRatio=0;doNotMoveCursor=1:",
                   png.len, columns, rows);
        base64_encode(png.data, png.len, out);
        str_append(out, "\a");
    }
    str_release(&png);
    return ok && !out->truncated;
}
