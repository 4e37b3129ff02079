// tests/engine/vision/preprocess_cases.c
// SPDX-License-Identifier: MIT
#include "tests/engine/vision/preprocess_cases.h"

#include <string.h>

// clang-format off
#define CLIP                                             \
    .mean = { 0.48145466F, 0.4578275F, 0.40821073F },    \
    .deviation = { 0.26862954F, 0.26130258F, 0.27577711F }
#define HALVES                                           \
    .mean = { 0.5F, 0.5F, 0.5F }, .deviation = { 0.5F, 0.5F, 0.5F }
#define IMAGENET                                         \
    .mean = { 0.485F, 0.456F, 0.406F }, .deviation = { 0.229F, 0.224F, 0.225F }

static const struct named {
    const char *name;
    struct vision_params params;
} families[] = {
    { "llava-1.5", { .projector = PROJECTOR_MLP, .image_size = 336, .patch_size = 14,
                     .merge = 1, CLIP } },
    { "llava-1.6", { .projector = PROJECTOR_MLP, .image_size = 336, .patch_size = 14,
                     .merge = 1, .pinpoint_count = 5,
                     .pinpoints = { { 336, 672 }, { 672, 336 }, { 672, 672 },
                                    { 1008, 336 }, { 336, 1008 } }, CLIP } },
    { "smolvlm-256m", { .projector = PROJECTOR_IDEFICS3, .image_size = 512,
                        .patch_size = 16, .merge = 4, .longest_side = 2048, HALVES } },
    { "smolvlm-2.2b", { .projector = PROJECTOR_IDEFICS3, .image_size = 384,
                        .patch_size = 14, .merge = 3, .longest_side = 1536, HALVES } },
    { "gemma3", { .projector = PROJECTOR_GEMMA3, .image_size = 896, .patch_size = 14,
                  .merge = 4, HALVES } },
    { "qwen2vl", { .projector = PROJECTOR_QWEN2VL, .image_size = 560, .patch_size = 14,
                   .merge = 2, .min_pixels = 3136, .max_pixels = 12845056, CLIP } },
    { "qwen2.5vl", { .projector = PROJECTOR_QWEN25VL, .image_size = 560,
                     .patch_size = 14, .merge = 2, .min_pixels = 3136,
                     .max_pixels = 1003520, CLIP } },
    { "qwen3vl", { .projector = PROJECTOR_QWEN3VL, .image_size = 768, .patch_size = 16,
                   .merge = 2, .min_pixels = 65536, .max_pixels = 16777216, HALVES } },
    { "internvl", { .projector = PROJECTOR_INTERNVL, .image_size = 448,
                    .patch_size = 14, .merge = 2, .min_tiles = 1, .max_tiles = 12,
                    IMAGENET } },
    { "pixtral", { .projector = PROJECTOR_PIXTRAL, .image_size = 1024, .patch_size = 16,
                   .merge = 1, .longest_side = 1024, CLIP } },
    { "mistral3", { .projector = PROJECTOR_PIXTRAL, .image_size = 1540,
                    .patch_size = 14, .merge = 2, .longest_side = 1540, CLIP } },
    { "minicpmv", { .projector = PROJECTOR_RESAMPLER, .image_size = 448,
                    .patch_size = 14, .merge = 1, .min_tiles = 1, .max_tiles = 9,
                    .queries = 64, HALVES } },
    { "lfm2vl", { .projector = PROJECTOR_LFM2, .image_size = 256, .patch_size = 16,
                  .merge = 2, .min_pixels = 65536, .max_pixels = 262144, .min_tiles = 2,
                  .max_tiles = 10, HALVES } },
};
// clang-format on

const struct vision_params *preprocess_params(const char *name)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (strcmp(families[i].name, name) == 0)
            return &families[i].params;
    }
    return NULL;
}

static uint32_t noise(uint32_t seed, uint32_t x, uint32_t y, uint32_t channel)
{
    uint32_t mixed =
        x * 2654435761U + y * 2246822519U + channel * 3266489917U + seed * 668265263U;

    mixed ^= mixed >> 15;
    mixed *= 40503U;
    mixed ^= mixed >> 13;
    return mixed >> 8 & 255;
}

// Up and down again, across and down the picture, in steps that the seed chooses.
static uint32_t wave(uint32_t seed, uint32_t x, uint32_t y, uint32_t channel)
{
    uint32_t across = seed * 7 % 23 + channel * 3, down = seed * 5 % 19 + channel;
    uint32_t place = (x * across + y * down + seed * 37 + channel * 85) / 2 % 512;

    return place < 256 ? place : 511 - place;
}

static uint8_t colour(uint32_t seed, uint32_t kind, uint32_t x, uint32_t y,
                      uint32_t channel)
{
    switch (kind % 4) {
    case 0:
        return (uint8_t)noise(seed, x, y, channel);
    case 1:
        return (uint8_t)wave(seed, x, y, channel);
    case 2:
        return (uint8_t)((wave(seed, x, y, channel) * 3 + noise(seed, x, y, channel)) /
                         4);
    default:
        return wave(seed, x, y, channel) > 127 ? 255 : 0;
    }
}

static uint8_t alpha(uint32_t seed, uint32_t kind, uint32_t x, uint32_t y)
{
    switch (kind / 4 % 3) {
    case 0:
        return 255;
    case 1:
        return (uint8_t)wave(seed, x, y, 3);
    default:
        return (uint8_t)noise(seed, x, y, 3);
    }
}

void preprocess_picture(uint32_t seed, uint32_t kind, uint32_t width, uint32_t height,
                        uint8_t *rgba)
{
    bool grey = kind / 12 == 1;

    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            for (uint32_t i = 0; i < 3; i++)
                *rgba++ = colour(seed, kind, x, y, grey ? 0 : i);
            *rgba++ = alpha(seed, kind, x, y);
        }
    }
}
