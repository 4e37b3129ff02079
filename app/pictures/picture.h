// app/pictures/picture.h
// SPDX-License-Identifier: MIT
//
// Pictures for the front, which never parses one: each is decoded by a child process of
// its own, "oriel decode", that is locked in before it looks at the first byte
// (decode_role.c, sandbox.c). Files of the room: codec and one file per format, exif and
// scale compute; answer is what the processes share.
//
// A child cannot live long: it has 10 s of processor time, and nothing to wait for.
#ifndef ORIEL_APP_PICTURES_PICTURE_H
#define ORIEL_APP_PICTURES_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct picture {
    uint32_t width, height; // upright
    const uint8_t *rgba;    // [height][width][4], not premultiplied
    size_t bytes;           // of rgba
    int fd;                 // sealed memory file that holds just these; may be handed on
    uint32_t full_width, full_height; // before it was reduced to fit
    uint32_t frames;                  // more than 1: animated, this is the first
    bool has_alpha;                   // some pixel may be transparent
    char format[8];                   // "PNG", "JPEG", "WebP", "GIF"
};

// Accepts a zeroed picture, and leaves one.
void picture_release(struct picture *picture);

// ---------------------------------------------------------------------------
// Without waiting

struct picture_decode; // one child at work

// Starts to decode the file of at most 100 MiB behind fd, which is needed only during the
// call; its offset does not matter. `name` stands in front of every error (NULL: nothing
// does). A picture that does not fit into max_width x max_height is reduced in the child,
// as picture_scale would do; 0: any size fits.
struct picture_decode *picture_decode_start(int fd, const char *name, uint32_t max_width,
                                            uint32_t max_height, struct err *err);

// Readable when the child has ended and picture_decode_finish will not wait.
int picture_decode_fd(const struct picture_decode *decode);

// Waits for the child, at most until 10 s after its start; then it is killed. The caller
// releases the picture. Sets *decode to NULL. To give the memory of a large picture back
// takes about a millisecond per megapixel: let what is only shown be reduced.
bool picture_decode_finish(struct picture_decode **decode, struct picture *picture,
                           struct err *err);

// Kills the child, and waits until it is gone. NULL-safe.
void picture_decode_cancel(struct picture_decode **decode);

// ---------------------------------------------------------------------------
// All in one, waiting

bool picture_decode_bytes(const void *bytes, size_t len, const char *name,
                          struct picture *picture, struct err *err);

// From a regular file.
bool picture_open(const char *path, struct picture *picture, struct err *err);

// ---------------------------------------------------------------------------

// Makes it smaller to fit into max_width x max_height (0: any), keeping its shape; never
// larger. Waits some 10 ns per pixel. The caller frees the result, [*height][*width][4];
// NULL with ERR_MEMORY.
uint8_t *picture_scale(const struct picture *picture, uint32_t max_width,
                       uint32_t max_height, uint32_t *width, uint32_t *height,
                       struct err *err);

#endif
