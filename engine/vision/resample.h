// engine/vision/resample.h
// SPDX-License-Identifier: MIT
//
// Pictures of bytes made larger or smaller, to the last bit as the image processors of
// `transformers` 5 do it: torchvision's resize with antialias of uint8 pictures on a CPU.
// That is Pillow's way (two passes, across first, each rounded to bytes), but with
// weights of 16 bits instead of 22: the two differ by 1, seldom 2. (Pillow 13 goes down
// first when that is less work; here it is always across.)
//
// Sources: torch's aten/src/ATen/native/cpu/UpSampleKernel.cpp, Pillow's
// src/libImaging/Resample.c.
#ifndef ORIEL_ENGINE_VISION_RESAMPLE_H
#define ORIEL_ENGINE_VISION_RESAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

// Rows from the top, four bytes a pixel: R, G, B and one that means nothing.
struct raster {
    uint8_t *bytes;
    uint32_t width, height;
};

enum resample_filter {
    RESAMPLE_BILINEAR,
    RESAMPLE_BICUBIC,
    RESAMPLE_LANCZOS,
    RESAMPLE_BICUBIC_PILLOW, // with its weights of 22 bits; slower
};

// A picture on a larger canvas of one colour. A canvas much larger than the picture costs
// nothing.
struct raster_place {
    uint32_t width, height; // of the canvas
    uint32_t left, top;     // of the picture on it
    uint8_t colour[4];
};

#define RASTER_MAX_SIDE   65535
#define RASTER_MAX_PIXELS (1U << 25) // of a result

// Allocates to->bytes; free with raster_release. Sides of the result must not be 0.
// ERR_LIMIT, ERR_MEMORY.
bool raster_create(struct raster *to, uint32_t width, uint32_t height, struct err *err);
void raster_release(struct raster *raster);
bool raster_resize(const struct raster *from, enum resample_filter filter, uint32_t width,
                   uint32_t height, struct raster *to, struct err *err);
bool raster_resize_placed(const struct raster *from, const struct raster_place *place,
                          enum resample_filter filter, uint32_t width, uint32_t height,
                          struct raster *to, struct err *err);

#endif
