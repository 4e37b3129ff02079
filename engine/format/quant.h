// engine/format/quant.h
// SPDX-License-Identifier: MIT
//
// Types of stored weights: sizes of their blocks, and exact dequantisation in plain C.
// This is the reference that the shaders and the upload repacking are tested against; the
// reference itself is tested against vectors made by the `gguf` Python package.
//
// Source: ggml-common.h (layouts) and ggml-quants.c (meaning) of the ggml project.
#ifndef ORIEL_ENGINE_FORMAT_QUANT_H
#define ORIEL_ENGINE_FORMAT_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The numbers are those of the file format (ggml_type).
enum quant_type {
    QUANT_F32 = 0,
    QUANT_F16 = 1,
    QUANT_Q4_0 = 2,
    QUANT_Q4_1 = 3,
    QUANT_Q5_0 = 6,
    QUANT_Q5_1 = 7,
    QUANT_Q8_0 = 8,
    QUANT_Q2_K = 10,
    QUANT_Q3_K = 11,
    QUANT_Q4_K = 12,
    QUANT_Q5_K = 13,
    QUANT_Q6_K = 14,
    QUANT_IQ4_NL = 20,
    QUANT_IQ4_XS = 23,
    QUANT_BF16 = 30,
    QUANT_MXFP4 = 39,
};

struct quant_traits {
    const char *name;      // as published, "Q4_K"
    uint32_t block_values; // weights per block
    uint32_t block_bytes;
};

// NULL for a type that we cannot read. quant_type_name also knows the others' names, so
// that they can be refused by name ("IQ2_XXS"); it returns NULL for numbers nobody has
// assigned.
const struct quant_traits *quant_traits(uint32_t type);
const char *quant_type_name(uint32_t type);

// Dequantises `count` weights (a multiple of block_values) from `bytes` into `values`.
// Exactly the arithmetic of the format in f32: scale and minimum multiplied as ggml does.
void quant_dequantise(enum quant_type type, const uint8_t *bytes, size_t count,
                      float *values);

float half_to_float(uint16_t half);  // IEEE 754 binary16, exact
uint16_t float_to_half(float value); // round to nearest even
float bfloat16_to_float(uint16_t bits);

#endif
