// engine/vision/preprocess_private.h
// SPDX-License-Identifier: MIT
//
// One picture on its way: what the schemes (preprocess_*.c) build with. A scheme chooses
// sizes, adds tiles in the order of the embeddings, then says how they stand in the
// prompt.
#ifndef ORIEL_ENGINE_VISION_PREPROCESS_PRIVATE_H
#define ORIEL_ENGINE_VISION_PREPROCESS_PRIVATE_H

#include "base/str.h"
#include "engine/vision/preprocess.h"
#include "engine/vision/resample.h"

struct preprocess {
    const struct vision_params *params;
    struct raster picture; // on white; its bytes may be the caller's
    uint32_t number;
    struct vision_input *input;
    float normal[3][256]; // what each byte becomes
    struct str marker;    // text since the last run
    struct err *err;
};

struct size {
    uint32_t width, height;
};

struct grid {
    uint32_t columns, rows;
};

// Adds the whole raster as a tile, or takes it apart, row by row.
bool preprocess_add_overview(struct preprocess *pre, const struct raster *raster);
bool preprocess_add_tiles(struct preprocess *pre, const struct raster *raster,
                          struct grid grid);

// Resizes the picture, and adds it.
bool preprocess_overview(struct preprocess *pre, enum resample_filter filter,
                         struct size size);
bool preprocess_tiles(struct preprocess *pre, enum resample_filter filter,
                      struct size size, struct grid grid);

void preprocess_mark(struct preprocess *pre, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// The next `count` embeddings.
void preprocess_run(struct preprocess *pre, uint32_t count);
// The next embeddings, of a tile of this size.
void preprocess_run_tile(struct preprocess *pre, const struct vision_tile *tile);
// The same, with places.
void preprocess_run_placed(struct preprocess *pre, const struct vision_tile *tile);

// About the picture's own size in whole tokens, with min_pixels to max_pixels. least:
// tokens that a side of few pixels counts as, 0 or 1, before it is known whether the
// whole has too few.
struct size preprocess_smart_size(const struct preprocess *pre, double least);
// Of grids with min to max tiles, the one whose shape is nearest to the picture's; of two
// as near the larger, if the picture has more pixels than half of it.
struct grid preprocess_nearest_grid(const struct preprocess *pre, uint32_t side);

bool preprocess_llava(struct preprocess *pre);
bool preprocess_llava_next(struct preprocess *pre);
bool preprocess_idefics3(struct preprocess *pre);
bool preprocess_gemma3(struct preprocess *pre);
bool preprocess_qwen(struct preprocess *pre);
bool preprocess_internvl(struct preprocess *pre);
bool preprocess_pixtral(struct preprocess *pre);
bool preprocess_minicpm(struct preprocess *pre);
bool preprocess_lfm2(struct preprocess *pre);

#endif
