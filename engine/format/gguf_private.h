// engine/format/gguf_private.h
// SPDX-License-Identifier: MIT
//
// Inside the reader: what gguf_parse.c finds in one file, and gguf.c joins and hands out.
//
// Metadata is copied, weights are mapped. The copy lives in address space that is
// reserved once and filled as the parser advances: pointers into it stay valid, memory
// grows with the data and not with claims, and a file that is truncated meanwhile gives
// an error, not a fault.
#ifndef ORIEL_ENGINE_FORMAT_GGUF_PRIVATE_H
#define ORIEL_ENGINE_FORMAT_GGUF_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "engine/format/gguf.h"

#define GGUF_METADATA_MAX ((size_t)256 << 20) // bytes before the weights
#define GGUF_KEYS_MAX     65536
#define GGUF_TENSORS_MAX  65536
#define GGUF_PARTS_MAX    1024

// One metadata key. A single value is an array of one element; a single string is in
// `text`.
struct gguf_entry {
    const char *name;
    size_t at; // byte offset of the value in the file
    bool is_array;
    struct gguf_array value;
    struct gguf_string text;
};

// Finds names: sorted by hash, then by the name itself, so that nobody can make it slow.
struct gguf_index {
    struct gguf_index_slot {
        uint64_t hash;
        const char *name;
        size_t ordinal;
    } * slots;
    size_t count;
};

// One file and the copy of what precedes its weights.
struct gguf_part {
    struct file_map file;
    uint8_t *head; // reserved: head_reserved bytes; filled from the file: head_filled
    size_t head_reserved;
    size_t head_filled;
    struct gguf_entry *entries;
    size_t entry_count;
    struct gguf_tensor *tensors;
    size_t tensor_count;
    struct gguf_index keys;
    struct arena names;
};

struct gguf {
    struct gguf_part *parts;
    size_t part_count;
    struct gguf_tensor *tensors; // of all parts, in the order of the files
    size_t tensor_count;
    struct gguf_index names;
};

// Parses and checks part->file, which is mapped; all else in *part is zero. On failure
// the part holds what there was so far. Free with gguf_part_release in both cases.
bool gguf_part_parse(struct gguf_part *part, struct err *err);
void gguf_part_release(struct gguf_part *part);

// Finds an entry of this part, or NULL.
const struct gguf_entry *gguf_part_find(const struct gguf_part *part, const char *key);

// Builds the index over count names; name_at(context, i) gives the i-th. *twin becomes
// the ordinal of a name that is there for the second time, or SIZE_MAX. False: out of
// memory.
bool gguf_index_build(struct gguf_index *index, size_t count,
                      const char *(*name_at)(const void *context, size_t i),
                      const void *context, size_t *twin);
void gguf_index_release(struct gguf_index *index);
size_t gguf_index_find(const struct gguf_index *index, const char *name); // or SIZE_MAX

// Checks the keys that other code calculates with: types, ranges, lengths that must
// agree.
bool gguf_check_rules(const struct gguf *gguf, struct err *err);

// The published name of a value type ("u32"), NULL if there is none.
const char *gguf_type_name(uint32_t type);

// Bytes of one number or bool of this type.
size_t gguf_type_size(enum gguf_type type);

// A little-endian number of 1 to 8 bytes.
static inline uint64_t gguf_load(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

#endif
