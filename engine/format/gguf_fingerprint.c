// engine/format/gguf_fingerprint.c
// SPDX-License-Identifier: MIT
//
// A short name for the contents of a model file, made in milliseconds: SHA-256 over all
// metadata and over samples of each tensor. Two files that differ by accident (another
// model, other quantisation, a fine-tuned copy) have different fingerprints; it is no
// defence against somebody who wants two files to look the same.
#include "base/hash.h"
#include "engine/format/gguf.h"
#include "engine/format/gguf_private.h"

#define SAMPLE_BYTES 256
#define SAMPLE_COUNT 4 // per tensor, evenly spread

static bool add_samples(struct sha256 *hash, const struct gguf *gguf,
                        const struct gguf_tensor *tensor, struct err *err)
{
    uint8_t bytes[SAMPLE_BYTES];
    uint64_t size = tensor->size_bytes < SAMPLE_BYTES ? tensor->size_bytes : SAMPLE_BYTES;

    for (uint64_t i = 0; i < SAMPLE_COUNT; i++) {
        uint64_t offset = (tensor->size_bytes - size) / (SAMPLE_COUNT - 1) * i;

        if (!gguf_read(gguf, tensor, offset, size, bytes, err))
            return false;
        sha256_update(hash, bytes, size);
    }
    return true;
}

bool gguf_fingerprint(const struct gguf *gguf, char hex[GGUF_FINGERPRINT],
                      struct err *err)
{
    unsigned char digest[SHA256_BYTES];
    struct sha256 hash;

    sha256_init(&hash);
    for (size_t i = 0; i < gguf->part_count; i++) {
        const struct gguf_part *part = &gguf->parts[i];
        uint64_t size = part->file.size;

        sha256_update(&hash, &size, sizeof(size));
        sha256_update(&hash, part->head, part->head_size);
    }
    for (size_t i = 0; i < gguf->tensor_count; i++)
        if (!add_samples(&hash, gguf, &gguf->tensors[i], err))
            return false;
    sha256_final(&hash, digest);
    sha256_hex(digest, hex);
    return true;
}
