// engine/vision/preprocess_square.c
// SPDX-License-Identifier: MIT
//
// Families that see a square of one size: LLaVA 1.5 and Gemma 3.
//
// LLaVA 1.5 was trained on pictures padded to a square with the mean colour; its
// preprocessor_config.json in the hub names CLIP's processor, which cuts a square out of
// the middle instead, and so would never show the ends of a long picture. The reference
// here is transformers' LlavaImageProcessor with do_pad, made to be what the authors'
// code is.
#include "engine/vision/preprocess_private.h"

bool preprocess_llava(struct preprocess *pre)
{
    const struct vision_params *params = pre->params;
    const struct raster *picture = &pre->picture;
    uint32_t side = picture->width > picture->height ? picture->width : picture->height;
    uint32_t to = params->image_size;
    struct raster_place place = { .width = side,
                                  .height = side,
                                  .left = (side - picture->width) / 2,
                                  .top = (side - picture->height) / 2 };
    struct raster raster;

    if (params->pinpoint_count > 0)
        return preprocess_llava_next(pre);
    for (int i = 0; i < 3; i++)
        place.colour[i] = (uint8_t)(params->mean[i] * 255.0F);
    bool ok = raster_resize_placed(picture, &place, RESAMPLE_BICUBIC, to, to, &raster,
                                   pre->err) &&
              preprocess_add_overview(pre, &raster);
    raster_release(&raster);
    if (!ok)
        return false;
    pre->input->fitted_width = (uint32_t)((uint64_t)picture->width * to / side);
    pre->input->fitted_height = (uint32_t)((uint64_t)picture->height * to / side);
    preprocess_run_tile(pre, &pre->input->tiles[0]);
    return true;
}

// Gemma3ImageProcessor, without the crops of "pan and scan", as published; the line
// breaks are of Gemma3Processor.
bool preprocess_gemma3(struct preprocess *pre)
{
    uint32_t side = pre->params->image_size;

    if (!preprocess_overview(pre, RESAMPLE_BILINEAR, (struct size){ side, side }))
        return false;
    preprocess_mark(pre, "\n\n<start_of_image>");
    preprocess_run_tile(pre, &pre->input->tiles[0]);
    preprocess_mark(pre, "<end_of_image>\n\n");
    return true;
}
