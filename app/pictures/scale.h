// app/pictures/scale.h
// SPDX-License-Identifier: MIT
//
// Makes a picture smaller, for looking at: each new pixel is the mean of the area that it
// covers. Means are taken of light, not of sRGB numbers, so that fine patterns keep their
// brightness, and each colour counts as much as it is opaque.
//
// What a model sees is resized elsewhere, by the rules that it was trained with.
#ifndef ORIEL_APP_PICTURES_SCALE_H
#define ORIEL_APP_PICTURES_SCALE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

// The largest size of the same shape that fits into max_width x max_height (0: any) and
// is not larger than width x height; at least one pixel a side.
void scale_fit(uint32_t width, uint32_t height, uint32_t max_width, uint32_t max_height,
               uint32_t *fit_width, uint32_t *fit_height);

// from[height][width][4] to to[to_height][to_width][4], no side growing. Takes a little
// memory in proportion to to_width; ERR_MEMORY when there is none.
bool scale_box(const uint8_t *from, uint32_t width, uint32_t height, uint8_t *to,
               uint32_t to_width, uint32_t to_height, struct err *err);

#endif
