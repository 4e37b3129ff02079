// engine/vision/preprocess_dynamic.c
// SPDX-License-Identifier: MIT
//
// Families that see a picture in about its own size and shape, as one tile: the Qwen-VL
// ones, and Pixtral.
//
// Sources: transformers' Qwen2VLImageProcessor (used by all three), PixtralImageProcessor
// and PixtralProcessor.
#include "engine/vision/preprocess_private.h"

#include <math.h>

#define QWEN_MAX_ASPECT 200 // the reference refuses more

bool preprocess_qwen(struct preprocess *pre)
{
    double width = pre->picture.width, height = pre->picture.height;

    if (fmax(width, height) / fmin(width, height) > QWEN_MAX_ASPECT)
        return err_set(pre->err, ERR_LIMIT,
                       "a picture of %u x %u pixels: this model takes none whose one "
                       "side is more than %d times the other",
                       pre->picture.width, pre->picture.height, QWEN_MAX_ASPECT);
    if (!preprocess_overview(pre, RESAMPLE_BICUBIC, preprocess_smart_size(pre, 0)))
        return false;
    preprocess_run_placed(pre, &pre->input->tiles[0]);
    return true;
}

static struct size pixtral_size(const struct preprocess *pre)
{
    uint32_t factor = pre->params->patch_size * pre->params->merge;
    double width = pre->picture.width, height = pre->picture.height;
    double ratio =
        fmax(height / pre->params->longest_side, width / pre->params->longest_side);

    if (ratio > 1) {
        width = fmax(1, floor(width / ratio));
        height = fmax(1, floor(height / ratio));
    }
    return (struct size){ ((uint32_t)width - 1) / factor * factor + factor,
                          ((uint32_t)height - 1) / factor * factor + factor };
}

// Lines of patches end with a token, the last one with another.
bool preprocess_pixtral(struct preprocess *pre)
{
    uint32_t factor = pre->params->patch_size * pre->params->merge;

    if (!preprocess_overview(pre, RESAMPLE_BICUBIC, pixtral_size(pre)))
        return false;
    const struct vision_tile *tile = &pre->input->tiles[0];
    for (uint32_t row = 0; row < tile->height / factor; row++) {
        if (row > 0)
            preprocess_mark(pre, "[IMG_BREAK]");
        preprocess_run(pre, tile->width / factor);
    }
    preprocess_mark(pre, "[IMG_END]");
    return true;
}
