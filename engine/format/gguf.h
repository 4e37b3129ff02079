// engine/format/gguf.h
// SPDX-License-Identifier: MIT
//
// Reading and checking GGUF model files.
//
// The file is hostile until checked: every count, offset and length is compared with the
// size of the file before it is used, and nothing is allocated in proportion to a number
// that only the file vouches for. Weights are not read here, only found. Once open, a
// struct gguf never changes: several threads may read it.
//
// Source: GGUF v2 and v3, docs/gguf.md of the ggml project. Differences: big-endian
// files, arrays of arrays and alignments above 64 KiB are refused.
#ifndef ORIEL_ENGINE_FORMAT_GGUF_H
#define ORIEL_ENGINE_FORMAT_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct gguf; // owns the files, and every string and tensor that it hands out

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
};

struct gguf_tensor {
    const char *name;
    uint32_t type;        // enum quant_type, see engine/format/quant.h
    uint32_t rank;        // 1 to 4
    uint64_t shape[4];    // elements, fastest-varying first; unused ranks are 1
    const uint8_t *bytes; // borrowed from the mapped file; see gguf_unchanged
    uint64_t size_bytes;
};

// A string of the metadata: UTF-8 without NUL bytes, not NUL-terminated.
struct gguf_string {
    const char *bytes;
    size_t len;
};

// An array value. bytes are little-endian elements, not aligned (NULL for GGUF_STRING).
struct gguf_array {
    enum gguf_type type;
    uint64_t count;
    const uint8_t *bytes;
    const struct gguf_string *strings; // GGUF_STRING only
};

// Maps path read-only; for "name-00001-of-00005.gguf" all parts, found beside it by name
// (links, as hub caches have them, are followed).
// Fails with ERR_IO, ERR_FORMAT (the text names the key or tensor and the byte offset),
// ERR_UNSUPPORTED or ERR_LIMIT. Free with gguf_close.
struct gguf *gguf_open(const char *path, struct err *err);

// Accepts NULL inside; sets *gguf to NULL. Whatever was borrowed from it is gone.
void gguf_close(struct gguf **gguf);

// Whether the files are still what they were when they were checked. Metadata is a copy,
// but the weights are mapped: reading them from a file that shrank is a fault.
bool gguf_unchanged(const struct gguf *gguf);

// Copies bytes of a tensor of this gguf without touching the mapping: a file that shrank
// is ERR_IO. offset + size <= tensor->size_bytes.
bool gguf_read(const struct gguf *gguf, const struct gguf_tensor *tensor, uint64_t offset,
               size_t size, void *destination, struct err *err);

uint64_t gguf_size_bytes(const struct gguf *gguf); // of all parts

size_t gguf_tensor_count(const struct gguf *gguf);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t index);

// Returns NULL if there is no such tensor. At most 17 comparisons.
const struct gguf_tensor *gguf_find(const struct gguf *gguf, const char *name);

// Metadata, typed. The get_ functions return true and fill *value when the key is there
// with a fitting type (get_u64 takes any integer type that is not negative, get_f64 any
// number); a missing key leaves *value as it was and returns true; a wrong type is
// ERR_FORMAT that names the key. Use gguf_has to tell missing from present.
bool gguf_has(const struct gguf *gguf, const char *key);
bool gguf_get_u64(const struct gguf *gguf, const char *key, uint64_t *value,
                  struct err *err);
bool gguf_get_f64(const struct gguf *gguf, const char *key, double *value,
                  struct err *err);
bool gguf_get_bool(const struct gguf *gguf, const char *key, bool *value,
                   struct err *err);
// The number must lie in [low, high], *value too if the key is missing: ERR_FORMAT says
// what it is and may be.
bool gguf_get_u32(const struct gguf *gguf, const char *key, uint32_t low, uint32_t high,
                  uint32_t *value, struct err *err);
bool gguf_get_string(const struct gguf *gguf, const char *key, struct gguf_string *value,
                     struct err *err);
bool gguf_get_array(const struct gguf *gguf, const char *key, enum gguf_type type,
                    struct gguf_array *value, struct err *err);

// Element access for arrays of numbers (index < count).
uint64_t gguf_array_u64(const struct gguf_array *array, uint64_t index);
int64_t gguf_array_i64(const struct gguf_array *array, uint64_t index);
double gguf_array_f64(const struct gguf_array *array, uint64_t index);

// All metadata in file order, for `oriel models show`: the value rendered as short text
// (strings are cut between characters and are still untrusted: sanitise before showing),
// arrays as "[type x count]".
size_t gguf_key_count(const struct gguf *gguf);
const char *gguf_key_at(const struct gguf *gguf, size_t index);
void gguf_describe_value(const struct gguf *gguf, size_t index, char *text, size_t size);

#endif
