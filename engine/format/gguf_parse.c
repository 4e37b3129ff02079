// engine/format/gguf_parse.c
// SPDX-License-Identifier: MIT
//
// One GGUF file from its first byte to the table of its tensors. What can be wrong with its
// layout is checked here and nowhere else (what keys mean is checked in gguf_rules.c):
//  1. A count is compared with the bytes that are left before anything is done with it.
//  2. Sums and products of numbers from the file use __builtin_*_overflow.
//  3. Keys and tensor names are printable ASCII and unique; all other strings are UTF-8
//     without NUL.
//  4. Tensors follow each other in the data section exactly as the format lays them out:
//     aligned, no overlap, no gap, all inside the file.
// A refusal names the key or tensor and the byte offset of the field that is wrong.
#include "engine/format/gguf_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "engine/format/quant.h"

#define KEY_NAME_MAX    65535
#define TENSOR_NAME_MAX 63
#define STRING_MAX      ((uint64_t)16 << 20)
#define ELEMENT_MAX     ((uint64_t)64 << 10) // a string inside an array: a token, a merge
#define ARRAY_MAX       ((uint64_t)1 << 24)
#define DIMENSION_MAX   ((uint64_t)1 << 40)
#define ELEMENTS_MAX    ((uint64_t)1 << 48)
#define KEY_BYTES       14 // length, one letter, type, one byte of value
#define TENSOR_BYTES    33 // length, one letter, rank, one dimension, type, offset
#define ALIGNMENT_MIN   8
#define ALIGNMENT_MAX   65536
#define READ_AHEAD      ((size_t)1 << 20)

struct reader {
    struct gguf_part *part;
    size_t at;        // next byte
    size_t field;     // where the field that was taken last begins
    const char *kind; // what is being read, for messages: "header", "key", "tensor"
    size_t ordinal;
    const char *name; // NULL until it is known
};

static const struct {
    const char *name;
    uint8_t size; // of a scalar; of its length field for a string
} types[] = {
    [GGUF_U8] = { "u8", 1 },         [GGUF_I8] = { "i8", 1 },
    [GGUF_U16] = { "u16", 2 },       [GGUF_I16] = { "i16", 2 },
    [GGUF_U32] = { "u32", 4 },       [GGUF_I32] = { "i32", 4 },
    [GGUF_F32] = { "f32", 4 },       [GGUF_BOOL] = { "bool", 1 },
    [GGUF_STRING] = { "string", 8 }, [GGUF_ARRAY] = { "array", 12 },
    [GGUF_U64] = { "u64", 8 },       [GGUF_I64] = { "i64", 8 },
    [GGUF_F64] = { "f64", 8 },
};

const char *gguf_type_name(uint32_t type)
{
    return type < sizeof(types) / sizeof(types[0]) ? types[type].name : NULL;
}

size_t gguf_type_size(enum gguf_type type)
{
    return types[type].size;
}

// "tensor 'x', byte 40: ..."
__attribute__((format(printf, 4, 5))) static bool refuse(const struct reader *reader,
                                                         struct err *err,
                                                         enum err_code code,
                                                         const char *format, ...)
{
    char reason[256];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    if (reader->name != NULL)
        return err_set(err, code, "%s '%.80s%s', byte %zu: %s", reader->kind,
                       reader->name, strlen(reader->name) > 80 ? "..." : "",
                       reader->field, reason);
    if (reader->ordinal > 0)
        return err_set(err, code, "%s number %zu, byte %zu: %s", reader->kind,
                       reader->ordinal, reader->field, reason);
    return err_set(err, code, "%s, byte %zu: %s", reader->kind, reader->field, reason);
}

// Makes sure that the copy holds the file up to `end` (which is inside the file).
static bool fill(struct reader *reader, size_t end, struct err *err)
{
    struct gguf_part *part = reader->part;
    size_t want = end > SIZE_MAX - READ_AHEAD ? end : end + READ_AHEAD;

    if (end > part->head_reserved)
        return refuse(reader, err, ERR_LIMIT, "metadata is larger than %zu bytes",
                      GGUF_METADATA_MAX);
    if (want > part->head_reserved)
        want = part->head_reserved;
    while (part->head_filled < end) {
        ssize_t got = pread(part->file.fd, part->head + part->head_filled,
                            want - part->head_filled, (off_t)part->head_filled);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, "cannot read at byte %zu", part->head_filled);
        if (got == 0)
            return err_set(err, ERR_IO,
                           "the file was truncated to %zu bytes while it was read",
                           part->head_filled);
        part->head_filled += (size_t)got;
    }
    return true;
}

static inline size_t left(const struct reader *reader)
{
    return reader->part->file.size - reader->at;
}

// The next `size` bytes, or NULL if the file ends before.
static inline const uint8_t *take(struct reader *reader, uint64_t size, const char *what,
                                  struct err *err)
{
    reader->field = reader->at;
    if (size > left(reader)) {
        refuse(reader, err, ERR_FORMAT,
               "%s takes %" PRIu64 " bytes, but the file ends after %zu", what, size,
               left(reader));
        return NULL;
    }
    if (reader->at + size > reader->part->head_filled &&
        !fill(reader, reader->at + (size_t)size, err))
        return NULL;
    reader->at += (size_t)size;
    return reader->part->head + reader->field;
}

static inline bool take_u32(struct reader *reader, const char *what, uint32_t *value,
                            struct err *err)
{
    const uint8_t *bytes = take(reader, 4, what, err);

    if (bytes != NULL)
        *value = (uint32_t)gguf_load(bytes, 4);
    return bytes != NULL;
}

static inline bool take_u64(struct reader *reader, const char *what, uint64_t *value,
                            struct err *err)
{
    const uint8_t *bytes = take(reader, 8, what, err);

    if (bytes != NULL)
        *value = gguf_load(bytes, 8);
    return bytes != NULL;
}

// A length and that many bytes.
static inline bool take_string(struct reader *reader, const char *what, uint64_t max,
                               struct gguf_string *string, struct err *err)
{
    uint64_t len;
    const uint8_t *bytes;

    if (!take_u64(reader, what, &len, err))
        return false;
    if (len > max)
        return refuse(reader, err, ERR_LIMIT,
                      "%s of %" PRIu64 " bytes is longer than %" PRIu64, what, len, max);
    bytes = take(reader, len, what, err);
    *string = (struct gguf_string){ (const char *)bytes, (size_t)len };
    return bytes != NULL;
}

static inline bool check_text(const struct reader *reader, const struct gguf_string *text,
                              struct err *err)
{
    for (size_t i = 0; i < text->len; i++) {
        if (text->bytes[i] == '\0')
            return refuse(reader, err, ERR_FORMAT, "a string contains a NUL byte");
        if ((unsigned char)text->bytes[i] >= 0x80) {
            if (memchr(text->bytes + i, '\0', text->len - i) != NULL)
                return refuse(reader, err, ERR_FORMAT, "a string contains a NUL byte");
            if (!utf8_valid(text->bytes + i, text->len - i))
                return refuse(reader, err, ERR_FORMAT, "a string is not valid UTF-8");
            break;
        }
    }
    return true;
}

// A key or tensor name: printable ASCII, as the format demands. Returns an own copy.
static const char *take_name(struct reader *reader, uint64_t max, struct err *err)
{
    struct gguf_string name = { NULL, 0 };
    const char *copy;

    if (!take_string(reader, "the name", max, &name, err))
        return NULL;
    if (name.len == 0) {
        refuse(reader, err, ERR_FORMAT, "the name is empty");
        return NULL;
    }
    for (size_t i = 0; i < name.len; i++) {
        if (name.bytes[i] < 0x20 || name.bytes[i] > 0x7E) {
            refuse(reader, err, ERR_FORMAT, "the name is not printable ASCII");
            return NULL;
        }
    }
    copy = arena_string(&reader->part->names, name.bytes, name.len);
    if (copy == NULL)
        refuse(reader, err, ERR_MEMORY, "no memory for the name");
    return copy;
}

// Room for one more element; *cap is what is allocated.
static bool grow(void **array, size_t len, size_t *cap, size_t size, struct err *err)
{
    size_t wider = *cap > 0 ? *cap * 2 : 16;
    void *moved;

    if (len < *cap)
        return true;
    moved = try_resize(*array, wider, size);
    if (moved == NULL)
        return err_set(err, ERR_MEMORY, "no memory for %zu entries of the file", wider);
    *array = moved;
    *cap = wider;
    return true;
}

static bool parse_strings(struct reader *reader, struct gguf_array *array,
                          struct err *err)
{
    void *strings = NULL;
    size_t cap = 0;
    bool ok = true;

    for (uint64_t i = 0; ok && i < array->count; i++) {
        struct gguf_string string;

        ok = take_string(reader, "a string", ELEMENT_MAX, &string, err) &&
             check_text(reader, &string, err) &&
             grow(&strings, (size_t)i, &cap, sizeof(string), err);
        if (ok)
            ((struct gguf_string *)strings)[i] = string;
    }
    array->strings = strings; // owned by the entry from here on, complete or not
    return ok;
}

static bool check_bools(const struct reader *reader, const struct gguf_array *array,
                        struct err *err)
{
    for (uint64_t i = 0; i < array->count; i++) {
        if (array->bytes[i] > 1)
            return refuse(reader, err, ERR_FORMAT, "a bool is %u, neither 0 nor 1",
                          array->bytes[i]);
    }
    return true;
}

static bool parse_array(struct reader *reader, struct gguf_array *array, struct err *err)
{
    uint32_t type;
    uint64_t size;

    if (!take_u32(reader, "the element type", &type, err))
        return false;
    if (gguf_type_name(type) == NULL)
        return refuse(reader, err, ERR_FORMAT, "element type %" PRIu32 " does not exist",
                      type);
    if (type == GGUF_ARRAY)
        return refuse(reader, err, ERR_UNSUPPORTED, "arrays of arrays are not supported");
    array->type = (enum gguf_type)type;
    if (!take_u64(reader, "the element count", &array->count, err))
        return false;
    if (array->count > ARRAY_MAX)
        return refuse(reader, err, ERR_LIMIT,
                      "%" PRIu64 " elements are more than the limit of %" PRIu64,
                      array->count, ARRAY_MAX);
    size = array->count * types[type].size; // at most 2^24 * 8
    if (size > left(reader))
        return refuse(reader, err, ERR_FORMAT,
                      "%" PRIu64 " elements need %" PRIu64
                      " bytes, but the file ends after %zu",
                      array->count, size, left(reader));
    if (type == GGUF_STRING)
        return parse_strings(reader, array, err);
    array->bytes = take(reader, size, "the array", err);
    return array->bytes != NULL && (type != GGUF_BOOL || check_bools(reader, array, err));
}

static bool parse_value(struct reader *reader, struct gguf_entry *entry, struct err *err)
{
    uint32_t type;

    if (!take_u32(reader, "the value type", &type, err))
        return false;
    if (gguf_type_name(type) == NULL)
        return refuse(reader, err, ERR_FORMAT, "value type %" PRIu32 " does not exist",
                      type);
    entry->at = reader->at;
    entry->is_array = type == GGUF_ARRAY;
    if (entry->is_array)
        return parse_array(reader, &entry->value, err);
    entry->value = (struct gguf_array){ .type = (enum gguf_type)type, .count = 1 };
    if (type == GGUF_STRING)
        return take_string(reader, "the string", STRING_MAX, &entry->text, err) &&
               check_text(reader, &entry->text, err);
    entry->value.bytes = take(reader, types[type].size, "the value", err);
    return entry->value.bytes != NULL &&
           (type != GGUF_BOOL || check_bools(reader, &entry->value, err));
}

static const char *entry_name(const void *entries, size_t i)
{
    return ((const struct gguf_entry *)entries)[i].name;
}

static bool parse_entries(struct reader *reader, uint64_t count, struct err *err)
{
    struct gguf_part *part = reader->part;
    void *entries = NULL;
    size_t cap = 0, twin = SIZE_MAX;
    bool ok = true;

    reader->kind = "key";
    while (ok && part->entry_count < count) {
        struct gguf_entry entry = { .name = NULL };

        reader->ordinal = part->entry_count + 1;
        reader->name = NULL;
        reader->name = entry.name = take_name(reader, KEY_NAME_MAX, err);
        ok = entry.name != NULL &&
             grow(&entries, part->entry_count, &cap, sizeof(entry), err);
        part->entries = entries;
        if (ok) {
            ok = parse_value(reader, &entry, err);
            part->entries[part->entry_count++] = entry;
        }
    }
    if (!ok)
        return false;
    if (!gguf_index_build(&part->keys, part->entry_count, entry_name, entries, &twin))
        return err_set(err, ERR_MEMORY, "no memory for %zu keys", part->entry_count);
    if (twin == SIZE_MAX)
        return true;
    reader->name = part->entries[twin].name;
    reader->field = part->entries[twin].at;
    return refuse(reader, err, ERR_FORMAT, "the key appears twice");
}

static bool parse_shape(struct reader *reader, struct gguf_tensor *tensor,
                        struct err *err)
{
    uint64_t elements = 1;

    if (!take_u32(reader, "the rank", &tensor->rank, err))
        return false;
    if (tensor->rank < 1 || tensor->rank > 4)
        return refuse(reader, err, ERR_FORMAT, "rank %" PRIu32 " is not between 1 and 4",
                      tensor->rank);
    for (uint32_t i = 0; i < 4; i++) {
        tensor->shape[i] = 1;
        if (i >= tensor->rank)
            continue;
        if (!take_u64(reader, "a dimension", &tensor->shape[i], err))
            return false;
        if (tensor->shape[i] < 1 || tensor->shape[i] > DIMENSION_MAX)
            return refuse(reader, err, ERR_FORMAT,
                          "dimension %" PRIu32 " is %" PRIu64 ", not between 1 and 2^40",
                          i + 1, tensor->shape[i]);
        if (__builtin_mul_overflow(elements, tensor->shape[i], &elements) ||
            elements > ELEMENTS_MAX)
            return refuse(reader, err, ERR_LIMIT, "more than 2^48 elements");
    }
    return true;
}

// Type and shape give the size.
static bool parse_type(struct reader *reader, struct gguf_tensor *tensor, struct err *err)
{
    const struct quant_traits *traits;
    const char *name;
    uint64_t blocks;

    if (!take_u32(reader, "the type", &tensor->type, err))
        return false;
    traits = quant_traits(tensor->type);
    name = quant_type_name(tensor->type);
    if (name == NULL)
        return refuse(reader, err, ERR_FORMAT, "type %" PRIu32 " does not exist",
                      tensor->type);
    if (traits == NULL)
        return refuse(reader, err, ERR_UNSUPPORTED,
                      "weights of type %s are not supported", name);
    if (tensor->shape[0] % traits->block_values != 0)
        return refuse(reader, err, ERR_FORMAT,
                      "rows of %" PRIu64 " weights are not whole blocks of %" PRIu32
                      " (%s)",
                      tensor->shape[0], traits->block_values, name);
    blocks = tensor->shape[0] / traits->block_values * tensor->shape[1] *
             tensor->shape[2] * tensor->shape[3]; // at most 2^48, see parse_shape
    tensor->size_bytes = blocks * traits->block_bytes;
    if (tensor->size_bytes > reader->part->file.size)
        return refuse(reader, err, ERR_FORMAT,
                      "%" PRIu64 " bytes of weights do not fit into a file of %zu bytes",
                      tensor->size_bytes, reader->part->file.size);
    return true;
}

static uint64_t round_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

// Each tensor begins where the previous one ends, rounded up. *end: of the data so far.
static bool parse_place(struct reader *reader, uint64_t alignment, uint64_t *end,
                        uint64_t *offset, struct err *err)
{
    uint64_t expected = round_up(*end, alignment); // *end <= file size

    if (!take_u64(reader, "the offset", offset, err))
        return false;
    if (*offset % alignment != 0)
        return refuse(reader, err, ERR_FORMAT,
                      "offset %" PRIu64 " is not a multiple of the alignment %" PRIu64,
                      *offset, alignment);
    if (*offset < expected)
        return refuse(reader, err, ERR_FORMAT,
                      "offset %" PRIu64
                      " overlaps the tensor before it, which ends at %" PRIu64,
                      *offset, *end);
    if (*offset > expected)
        return refuse(reader, err, ERR_FORMAT,
                      "offset %" PRIu64
                      " leaves a gap after the tensor before it, which ends at %" PRIu64,
                      *offset, *end);
    return true;
}

// tensor->bytes stays NULL: where the data section begins is known only after the table.
static bool parse_tensor(struct reader *reader, uint64_t alignment, uint64_t *end,
                         struct gguf_tensor *tensor, struct err *err)
{
    uint64_t offset;

    if (!parse_shape(reader, tensor, err) || !parse_type(reader, tensor, err) ||
        !parse_place(reader, alignment, end, &offset, err))
        return false;
    if (__builtin_add_overflow(offset, tensor->size_bytes, end) ||
        *end > reader->part->file.size)
        return refuse(reader, err, ERR_FORMAT,
                      "%" PRIu64 " bytes of weights at offset %" PRIu64
                      " do not fit into a file of %zu bytes",
                      tensor->size_bytes, offset, reader->part->file.size);
    return true;
}

static bool parse_tensors(struct reader *reader, uint64_t count, uint64_t alignment,
                          struct err *err)
{
    struct gguf_part *part = reader->part;
    void *tensors = NULL;
    size_t cap = 0;
    uint64_t end = 0;
    bool ok = true;

    reader->kind = "tensor";
    while (ok && part->tensor_count < count) {
        struct gguf_tensor tensor = { .name = NULL };

        reader->ordinal = part->tensor_count + 1;
        reader->name = NULL;
        reader->name = tensor.name = take_name(reader, TENSOR_NAME_MAX, err);
        ok = tensor.name != NULL &&
             grow(&tensors, part->tensor_count, &cap, sizeof(tensor), err) &&
             parse_tensor(reader, alignment, &end, &tensor, err);
        part->tensors = tensors;
        if (ok)
            part->tensors[part->tensor_count++] = tensor;
    }
    return ok;
}

// Now that the place of the data section is known: every tensor must be inside the file.
static bool place_tensors(struct reader *reader, uint64_t alignment, struct err *err)
{
    struct gguf_part *part = reader->part;
    uint64_t at = round_up(reader->at, alignment);

    for (size_t i = 0; i < part->tensor_count; i++) {
        struct gguf_tensor *tensor = &part->tensors[i];

        at = round_up(at, alignment);
        if (at > part->file.size || tensor->size_bytes > part->file.size - at) {
            reader->name = tensor->name;
            reader->field = at;
            return refuse(reader, err, ERR_FORMAT,
                          "%" PRIu64 " bytes of weights, but the file ends at byte %zu",
                          tensor->size_bytes, part->file.size);
        }
        tensor->bytes = part->file.bytes + at;
        at += tensor->size_bytes;
    }
    return true;
}

static bool parse_header(struct reader *reader, uint64_t *tensors, uint64_t *keys,
                         struct err *err)
{
    const uint8_t *magic = take(reader, 4, "the magic number", err);
    uint32_t version;

    if (magic == NULL)
        return false;
    if (memcmp(magic, "GGUF", 4) != 0)
        return refuse(reader, err, ERR_FORMAT, "this is not a GGUF file");
    if (!take_u32(reader, "the version", &version, err))
        return false;
    if (version != 0 && (version & 0xFFFF) == 0)
        return refuse(reader, err, ERR_UNSUPPORTED, "big-endian GGUF is not supported");
    if (version != 2 && version != 3)
        return refuse(reader, err, ERR_UNSUPPORTED,
                      "GGUF version %" PRIu32 " is not supported, only 2 and 3", version);
    if (!take_u64(reader, "the tensor count", tensors, err))
        return false;
    if (*tensors > GGUF_TENSORS_MAX)
        return refuse(reader, err, ERR_LIMIT,
                      "%" PRIu64 " tensors are more than the limit of %d", *tensors,
                      GGUF_TENSORS_MAX);
    if (!take_u64(reader, "the key count", keys, err))
        return false;
    if (*keys > GGUF_KEYS_MAX)
        return refuse(reader, err, ERR_LIMIT,
                      "%" PRIu64 " keys are more than the limit of %d", *keys,
                      GGUF_KEYS_MAX);
    if (*keys * KEY_BYTES + *tensors * TENSOR_BYTES > left(reader))
        return refuse(reader, err, ERR_FORMAT,
                      "%" PRIu64 " keys and %" PRIu64
                      " tensors do not fit into the %zu bytes that are left",
                      *keys, *tensors, left(reader));
    return true;
}

static bool find_alignment(struct reader *reader, uint64_t *alignment, struct err *err)
{
    const struct gguf_entry *entry = gguf_part_find(reader->part, "general.alignment");

    *alignment = 32;
    if (entry == NULL)
        return true;
    reader->name = entry->name;
    reader->field = entry->at;
    if (entry->is_array || entry->value.type != GGUF_U32)
        return refuse(reader, err, ERR_FORMAT, "must be a u32");
    *alignment = gguf_load(entry->value.bytes, 4);
    if (*alignment < ALIGNMENT_MIN || *alignment > ALIGNMENT_MAX ||
        (*alignment & (*alignment - 1)) != 0)
        return refuse(reader, err, ERR_FORMAT,
                      "%" PRIu64 " is not a power of two between %d and %d", *alignment,
                      ALIGNMENT_MIN, ALIGNMENT_MAX);
    return true;
}

// Address space only: pages come into being as they are filled.
static bool reserve_head(struct gguf_part *part, struct err *err)
{
    size_t size =
        part->file.size < GGUF_METADATA_MAX ? part->file.size : GGUF_METADATA_MAX;
    void *head = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (head == MAP_FAILED)
        return err_set(err, ERR_MEMORY, "no address space for %zu bytes of metadata",
                       size);
    madvise(head, size, MADV_HUGEPAGE); // fewer faults while it fills; a hint only
    part->head = head;
    part->head_reserved = size;
    return true;
}

bool gguf_part_parse(struct gguf_part *part, struct err *err)
{
    struct reader reader = { .part = part, .kind = "header" };
    uint64_t tensors = 0, keys = 0, alignment = 0;

    arena_init(&part->names, GGUF_METADATA_MAX);
    return reserve_head(part, err) && parse_header(&reader, &tensors, &keys, err) &&
           parse_entries(&reader, keys, err) &&
           find_alignment(&reader, &alignment, err) &&
           parse_tensors(&reader, tensors, alignment, err) &&
           place_tensors(&reader, alignment, err);
}

void gguf_part_release(struct gguf_part *part)
{
    for (size_t i = 0; i < part->entry_count; i++)
        free((void *)(uintptr_t)part->entries[i].value.strings);
    free(part->entries);
    free(part->tensors);
    gguf_index_release(&part->keys);
    arena_release(&part->names);
    if (part->head != NULL)
        munmap(part->head, part->head_reserved);
    file_map_close(&part->file);
    *part = (struct gguf_part){ .file.fd = -1 };
}

const struct gguf_entry *gguf_part_find(const struct gguf_part *part, const char *key)
{
    size_t ordinal = gguf_index_find(&part->keys, key);

    return ordinal != SIZE_MAX ? &part->entries[ordinal] : NULL;
}
