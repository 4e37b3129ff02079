// tests/engine/vision/golden_reader.h
// SPDX-License-Identifier: MIT
//
// Reads the goldens of tests/golden/vision (its README.md has the format) and makes the
// tiles that they were computed from.
#ifndef ORIEL_TESTS_ENGINE_VISION_GOLDEN_READER_H
#define ORIEL_TESTS_ENGINE_VISION_GOLDEN_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/vision/preprocess.h"

#define GOLDEN_TILES 8
#define GOLDEN_ITEMS 128
#define GOLDEN_NAME  16

// A rectangle of an endless picture. turned: of the picture after it was turned by 90
// degrees clockwise, and the height that it had before; else 0.
struct golden_tile {
    uint32_t seed, width, height, x, y, turned, overview, row, column;
};

struct golden_picture {
    struct golden_tile tiles[GOLDEN_TILES];
    uint32_t tile_count, grid_rows, grid_columns, original_width, original_height;
};

struct golden_case {
    char family[GOLDEN_NAME], type[GOLDEN_NAME];
    struct golden_picture picture;
    uint32_t count, width;
    const float *embeddings; // [count][width], borrowed from the goldens
};

// A token, or (count > 0) a run of embeddings.
struct golden_item {
    uint32_t token, picture, first, count, rows, columns;
};

struct golden_prompt {
    char family[GOLDEN_NAME], name[GOLDEN_NAME];
    struct golden_picture pictures[2];
    struct golden_item items[GOLDEN_ITEMS];
    uint32_t picture_count, item_count, vocabulary;
    const float *logits; // [vocabulary], after the last item
};

struct goldens {
    struct golden_case *cases;
    struct golden_prompt *prompts;
    size_t case_count, prompt_count;
    float *embeddings, *logits; // own
};

// ERR_IO, ERR_FORMAT. Release in any case.
bool goldens_read(const char *folder, struct goldens *goldens, struct err *err);
void goldens_release(struct goldens *goldens);

// What the encoder takes in; without items.
void golden_input_init(const struct golden_picture *picture, uint32_t embedding_count,
                       struct vision_input *input);
void golden_input_release(struct vision_input *input);

#endif
