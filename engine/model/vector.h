// engine/model/vector.h
// SPDX-License-Identifier: MIT
//
// Vectors of a model file (norms, biases, position embeddings): floats on the host or on
// the device. And how far the loading of a file has come.
#ifndef ORIEL_ENGINE_MODEL_VECTOR_H
#define ORIEL_ENGINE_MODEL_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/format/gguf.h"
#include "engine/gpu/gpu.h"

// All values of a tensor of any type that can be dequantised, in the order of the file.
// ERR_IO, ERR_MEMORY.
bool vector_read(const struct gguf *gguf, const struct gguf_tensor *tensor, float *values,
                 struct err *err);

bool vector_upload(struct gpu *gpu, const char *name, const float *values, size_t count,
                   struct gpu_buffer *buffer, struct err *err);

struct load_meter {
    bool (*progress)(void *user, double fraction); // may be NULL; false cancels
    void *user;
    uint64_t done_bytes, total_bytes;
};
// A matrix_progress; user: the meter.
bool load_meter_add(void *user, uint64_t bytes);

#endif
