// engine/model/rope.h
// SPDX-License-Identifier: MIT
//
// Rotary position embedding (arXiv:2104.09864): the table of angles. Sines and cosines
// are computed here in double precision, because a shader's sin() is only exact near zero
// and a position times a frequency is not.
#ifndef ORIEL_ENGINE_MODEL_ROPE_H
#define ORIEL_ENGINE_MODEL_ROPE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/model/params.h"

// Fills frequencies[rotated / 2], radians per position, and *magnitude, the factor of all
// sines and cosines. factors: divisors [rotated / 2] or NULL.
void rope_frequencies(const struct rope_params *params, uint32_t rotated,
                      const float *factors, double *frequencies, double *magnitude);

// The same for one position of three numbers (M-RoPE, arXiv:2409.12191): pair i turns by
// position[axes[i]].
void rope_angles_at(const double *frequencies, double magnitude, uint32_t rotated,
                    const uint8_t *axes, const uint32_t position[3], float (*table)[2]);

// Which of the three numbers turns each pair, axes[rotated / 2]. Interleaved: as in
// Qwen3-VL, where height and width take every third pair from 1 and 2 on.
void rope_axes(const uint32_t sections[3], bool interleaved, uint32_t rotated,
               uint8_t *axes);

// Fills table[(position - first) * rotated / 2 + i] = (cos, sin) for count positions.
void rope_angles(const double *frequencies, double magnitude, uint32_t rotated,
                 uint32_t first, uint32_t count, float (*table)[2]);

#endif
