// engine/pictures.h
// SPDX-License-Identifier: MIT
//
// What the model has seen: the embeddings of pictures, kept in memory while they are used
// and on disk so that the same picture costs nothing in a later turn or session.
// Private to engine/.
#ifndef ORIEL_ENGINE_PICTURES_H
#define ORIEL_ENGINE_PICTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "engine/format/gguf.h"
#include "engine/vision/encoder.h"
#include "engine/vision/params.h"
#include "engine/vision/preprocess.h"

// The eyes of a model: its vision encoder.
struct vision {
    struct gguf *gguf; // until the encoder is there
    struct vision_params params;
    struct vision_encoder *encoder;
    char sample[SHA256_HEX]; // of the projector's file
    char *cache;             // folder for embeddings, or NULL
    char *device;
};

struct picture {
    char hash[SHA256_HEX]; // of the original bytes
    struct vision_item *items;
    size_t item_count;
    float *embeddings; // [embedding_count][width]
    size_t embedding_count;
    uint32_t width;
    size_t tile_count;
    uint64_t used; // when, in uses
    struct picture *next;
};
void picture_destroy(struct picture *picture); // accepts NULL
size_t picture_bytes(const struct picture *picture);
// For the decoder's cache: what stands for the embeddings from `offset` on.
uint64_t picture_identity(const struct picture *picture, size_t offset);

// The most that embeddings take in memory, but for the picture used last.
#define PICTURES_MAX_BYTES ((size_t)512 << 20)

struct pictures {
    struct picture *first; // a few dozen at most: a list is enough
    size_t bytes;
    uint64_t clock;
};
const struct picture *picture_find(const struct pictures *pictures, const char *hash);
void pictures_release(struct pictures *pictures);

// picture_cache.c. Both only use vision's cache, sample and device; a file that is
// not there, not ours or damaged is as good as none.
struct picture *picture_cache_load(const struct vision *vision, const char *hash,
                                   uint32_t width);
void picture_cache_save(const struct vision *vision, const struct picture *picture);

#endif
