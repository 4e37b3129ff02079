// tests/engine/model/writer.h
// SPDX-License-Identifier: MIT
//
// Writes GGUF v3 files: keys and tensors in the order in which they are given. Everything
// is kept in memory until writer_save.
#ifndef ORIEL_TESTS_ENGINE_MODEL_WRITER_H
#define ORIEL_TESTS_ENGINE_MODEL_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct writer *writer_create(void);
void writer_destroy(struct writer **writer);

void writer_u32(struct writer *writer, const char *key, uint32_t value);
void writer_f32(struct writer *writer, const char *key, float value);
void writer_bool(struct writer *writer, const char *key, bool value);
void writer_string(struct writer *writer, const char *key, const char *value);
void writer_i32s(struct writer *writer, const char *key, const int32_t *values,
                 size_t count);
void writer_f32s(struct writer *writer, const char *key, const float *values,
                 size_t count);

// `count` strings, each NUL-terminated, every `stride` bytes.
void writer_strings(struct writer *writer, const char *key, const char *first,
                    size_t stride, size_t count);

// shape: fastest-varying first. bytes are copied.
void writer_tensor(struct writer *writer, const char *name, uint32_t type,
                   const uint64_t *shape, uint32_t rank, const void *bytes, size_t size);

bool writer_save(const struct writer *writer, const char *path, struct err *err);

#endif
