// engine/model/pack.h
// SPDX-License-Identifier: MIT
//
// From the block layouts of files to the planes of the device
// (shaders/include/weights.glsl): done once, when a model is loaded. Every file type
// becomes one of nine device formats; the weights that the shaders see are exactly those
// of the file.
#ifndef ORIEL_ENGINE_MODEL_PACK_H
#define ORIEL_ENGINE_MODEL_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "engine/format/quant.h"

#define PACK_ROWS  8  // rows that are interleaved
#define PACK_BLOCK 32 // weights
#define PACK_UNIT  16 // bytes

enum device_format {
    FORMAT_Q4H,
    FORMAT_Q4S,
    FORMAT_Q4S16,
    FORMAT_Q8H,
    FORMAT_Q8S,
    FORMAT_Q8S16,
    FORMAT_F16,
    FORMAT_BF16,
    FORMAT_F32,
    FORMAT_COUNT,
};

struct device_format_traits {
    const char *name;      // of the shader variants
    uint32_t quant_units;  // 128-bit units per block of 32 weights
    uint32_t scale_blocks; // blocks per 128-bit unit of scales; 0: there are none
};
const struct device_format_traits *device_format_traits(enum device_format format);

enum device_format pack_format(enum quant_type type);

// Blocks of 32 that a row of `columns` weights takes; the last one is filled with zeros.
uint32_t pack_blocks(uint64_t columns);

// Bytes of each plane for PACK_ROWS rows.
size_t pack_quant_bytes(enum device_format format, uint32_t blocks);
size_t pack_scale_bytes(enum device_format format, uint32_t blocks);

// Packs PACK_ROWS rows of `columns` weights of a type. rows[i] points to the file's bytes
// of a row, or is NULL for a row of zeros. quants and scales must be zeroed; scales may
// be NULL for the float formats.
void pack_rows(enum quant_type type, const uint8_t *const rows[PACK_ROWS],
               uint64_t columns, uint32_t *quants, uint32_t *scales);

#endif
