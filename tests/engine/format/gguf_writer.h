// tests/engine/format/gguf_writer.h
// SPDX-License-Identifier: MIT
//
// Builds GGUF files in memory for tests, right ones and wrong ones.
//
//     struct gguf_writer writer;
//     gguf_writer_init(&writer);
//     gguf_write_string(&writer, "general.architecture", "llama");
//     gguf_write_u32(&writer, "llama.block_count", 2);
//     gguf_write_tensor(&writer, "output_norm.weight", QUANT_F32, 1, shape, bytes, size);
//     gguf_writer_save(&writer, path);
//     gguf_writer_release(&writer);
//
// To break a file: write wrong things (nothing is checked: any type, shape, size, count),
// set the fields below before finishing, or change bytes of the finished file at the
// places that gguf_writer_place knows.
#ifndef ORIEL_TESTS_ENGINE_FORMAT_GGUF_WRITER_H
#define ORIEL_TESTS_ENGINE_FORMAT_GGUF_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "engine/format/gguf.h"
#include "engine/format/quant.h"

// Where the fields of a key or a tensor are in the finished file. Unused ones are 0.
struct gguf_place {
    size_t name_at; // of its length; the text follows 8 bytes later
    size_t rank_at;
    size_t shape_at;
    size_t type_at;
    size_t value_at; // keys: of the value; strings: of its length; arrays: of the element
                     // type
    size_t offset_at; // tensors: of the offset field
    size_t data_at;   // tensors: of the weights
};

struct gguf_writer {
    // May be changed before finishing.
    uint32_t version;    // 3
    uint64_t alignment;  // 32: how weights are placed (the key is the caller's business)
    uint64_t extra_keys; // added to the count in the header; wraps
    uint64_t extra_tensors;

    // Own.
    uint64_t key_count, tensor_count;
    struct str keys, infos, data;
    struct gguf_written {
        char *name;
        bool is_tensor;
        struct gguf_place place; // relative to keys, infos and data
    } * written;
    size_t written_count, written_cap;
};

void gguf_writer_init(struct gguf_writer *writer);
void gguf_writer_release(struct gguf_writer *writer);

void gguf_write_u8(struct gguf_writer *writer, const char *key, uint8_t value);
void gguf_write_i8(struct gguf_writer *writer, const char *key, int8_t value);
void gguf_write_u16(struct gguf_writer *writer, const char *key, uint16_t value);
void gguf_write_i16(struct gguf_writer *writer, const char *key, int16_t value);
void gguf_write_u32(struct gguf_writer *writer, const char *key, uint32_t value);
void gguf_write_i32(struct gguf_writer *writer, const char *key, int32_t value);
void gguf_write_u64(struct gguf_writer *writer, const char *key, uint64_t value);
void gguf_write_i64(struct gguf_writer *writer, const char *key, int64_t value);
void gguf_write_f32(struct gguf_writer *writer, const char *key, float value);
void gguf_write_f64(struct gguf_writer *writer, const char *key, double value);
void gguf_write_bool(struct gguf_writer *writer, const char *key, bool value);
void gguf_write_string(struct gguf_writer *writer, const char *key, const char *value);
void gguf_write_string_n(struct gguf_writer *writer, const char *key, const char *bytes,
                         size_t len);

// elements: count numbers or bools of this type, as the host keeps them (little-endian).
void gguf_write_array(struct gguf_writer *writer, const char *key, enum gguf_type type,
                      uint64_t count, const void *elements);
void gguf_write_strings(struct gguf_writer *writer, const char *key, uint64_t count,
                        const char *const *values);

// Any value type with any bytes after it.
void gguf_write_raw(struct gguf_writer *writer, const char *key, uint32_t type,
                    const void *bytes, size_t size);

// bytes NULL: zeros. The next tensor begins after `size` bytes, rounded up.
void gguf_write_tensor(struct gguf_writer *writer, const char *name, uint32_t type,
                       uint32_t rank, const uint64_t *shape, const void *bytes,
                       size_t size);

// Replaces *file by the whole file. The writer may go on afterwards.
void gguf_writer_finish(struct gguf_writer *writer, struct str *file);
bool gguf_writer_save(struct gguf_writer *writer, const char *path, struct err *err);

// Where the key or tensor of that name will be in a file that is finished now; of
// several, the last. A bug if there is none.
struct gguf_place gguf_writer_place(const struct gguf_writer *writer, const char *name);

// Changes a finished file in place.
void gguf_patch(struct str *file, size_t at, const void *bytes, size_t size);
void gguf_patch_u32(struct str *file, size_t at, uint32_t value);
void gguf_patch_u64(struct str *file, size_t at, uint64_t value);

#endif
