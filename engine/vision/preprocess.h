// engine/vision/preprocess.h
// SPDX-License-Identifier: MIT
//
// From a decoded picture to what an encoder takes in, as the family's reference processor
// does it: choice of size and tiles, resampling with that processor's filter and
// rounding, normalisation. And how the result stands in a prompt: markers, and runs of
// embeddings. Plain C on the host: little work, and its roundings are fixed by others.
//
// The reference is the image processors of `transformers` 5 in the configurations that
// are published with the models (for LLaVA 1.5 see preprocess_square.c; MiniCPM-V 2.6 is
// not among them: its authors' own processor). Differences:
//   - where a reference fails on a picture because it comes out 0 pixels wide, ours is 1
//     patch wide;
//   - sides are at most 65535 pixels, pictures 2^27, and what a picture is resized to
//     2^25.
#ifndef ORIEL_ENGINE_VISION_PREPROCESS_H
#define ORIEL_ENGINE_VISION_PREPROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/vision/params.h"

// Rows from the top, four bytes (R, G, B, A) a pixel, sRGB, alpha not multiplied in.
struct vision_picture {
    const uint8_t *rgba;
    uint32_t width, height;
    uint32_t number; // among the pictures of the prompt, from 0: some markers say it
};

// What passes through the encoder at once. width and height: multiples of the patch size
// (and of patch size times merge); less than the family's size where that is none, since
// an encoder does not see what is less than a patch.
struct vision_tile {
    uint32_t width, height;
    float *values;        // [3][height][width], normalised
    bool overview;        // the whole picture, where others are cut from it
    uint32_t row, column; // of one that was cut, from 0
};

enum vision_item_kind { VISION_MARKER, VISION_EMBEDDINGS };

// How a picture stands in the prompt, in order. Two markers never follow one another, so
// that each is split into tokens as a whole; the text before and after the placeholder
// belongs to the first and last one in the same way.
struct vision_item {
    enum vision_item_kind kind;
    char *marker;          // text in which special tokens count
    uint32_t first, count; // of the picture's embeddings
    uint32_t rows;         // of that run, where places matter to the decoder (M-RoPE);
    uint32_t columns;      // else 0
};

struct vision_input {
    struct vision_tile *tiles;
    size_t tile_count;
    uint32_t grid_rows, grid_columns;     // of cut tiles; 0: not cut
    uint32_t fitted_width, fitted_height; // the picture within the tiles, without padding
    uint32_t original_width, original_height;
    uint32_t embedding_count; // that the encoder makes of it
    struct vision_item *items;
    size_t item_count;
};

// ERR_LIMIT: a picture of no pixels, or of more or other ones than the family takes.
// ERR_MEMORY. Release *input with vision_input_release, after an error too.
bool vision_preprocess(const struct vision_params *params,
                       const struct vision_picture *picture, struct vision_input *input,
                       struct err *err);
void vision_input_release(struct vision_input *input);

// The text by which the family's chat templates name one picture, "<|image_pad|>": where
// it stands, the items go.
const char *vision_placeholder(const struct vision_params *params);

#endif
