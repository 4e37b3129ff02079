// tests/engine/format/gguf_writer.c
// SPDX-License-Identifier: MIT
#include "tests/engine/format/gguf_writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

#define FILE_MAX    ((size_t)1 << 30)
#define HEADER_SIZE 24

static void append(struct str *to, const void *bytes, size_t size)
{
    if (size > 0 && !str_append_n(to, bytes, size))
        bug("a test model is larger than %zu bytes", FILE_MAX);
}

static void append_u32(struct str *to, uint32_t value)
{
    append(to, &value, sizeof(value));
}

static void append_u64(struct str *to, uint64_t value)
{
    append(to, &value, sizeof(value));
}

static void append_string(struct str *to, const char *bytes, size_t len)
{
    append_u64(to, len);
    append(to, bytes, len);
}

static void append_zeros(struct str *to, uint64_t count)
{
    static const char zeros[4096];

    for (; count > sizeof(zeros); count -= sizeof(zeros))
        append(to, zeros, sizeof(zeros));
    append(to, zeros, (size_t)count);
}

static uint64_t padding(uint64_t size, uint64_t alignment)
{
    return alignment > 0 ? (alignment - size % alignment) % alignment : 0;
}

void gguf_writer_init(struct gguf_writer *writer)
{
    *writer = (struct gguf_writer){ .version = 3, .alignment = 32 };
    str_init(&writer->keys, FILE_MAX);
    str_init(&writer->infos, FILE_MAX);
    str_init(&writer->data, FILE_MAX);
}

void gguf_writer_release(struct gguf_writer *writer)
{
    str_release(&writer->keys);
    str_release(&writer->infos);
    str_release(&writer->data);
    for (size_t i = 0; i < writer->written_count; i++)
        free(writer->written[i].name);
    free(writer->written);
}

static struct gguf_place *add_place(struct gguf_writer *writer, const char *name,
                                    bool is_tensor)
{
    struct gguf_written *written;

    writer->written = alloc_grow(writer->written, writer->written_count,
                                 &writer->written_cap, sizeof(*writer->written));
    written = &writer->written[writer->written_count++];
    *written =
        (struct gguf_written){ .name = alloc_string(name), .is_tensor = is_tensor };
    return &written->place;
}

static void begin_key(struct gguf_writer *writer, const char *key, uint32_t type)
{
    struct gguf_place *place = add_place(writer, key, false);

    place->name_at = writer->keys.len;
    append_string(&writer->keys, key, strlen(key));
    place->type_at = writer->keys.len;
    append_u32(&writer->keys, type);
    place->value_at = writer->keys.len;
    writer->key_count++;
}

void gguf_write_raw(struct gguf_writer *writer, const char *key, uint32_t type,
                    const void *bytes, size_t size)
{
    begin_key(writer, key, type);
    append(&writer->keys, bytes, size);
}

void gguf_write_u8(struct gguf_writer *writer, const char *key, uint8_t value)
{
    gguf_write_raw(writer, key, GGUF_U8, &value, sizeof(value));
}

void gguf_write_i8(struct gguf_writer *writer, const char *key, int8_t value)
{
    gguf_write_raw(writer, key, GGUF_I8, &value, sizeof(value));
}

void gguf_write_u16(struct gguf_writer *writer, const char *key, uint16_t value)
{
    gguf_write_raw(writer, key, GGUF_U16, &value, sizeof(value));
}

void gguf_write_i16(struct gguf_writer *writer, const char *key, int16_t value)
{
    gguf_write_raw(writer, key, GGUF_I16, &value, sizeof(value));
}

void gguf_write_u32(struct gguf_writer *writer, const char *key, uint32_t value)
{
    gguf_write_raw(writer, key, GGUF_U32, &value, sizeof(value));
}

void gguf_write_i32(struct gguf_writer *writer, const char *key, int32_t value)
{
    gguf_write_raw(writer, key, GGUF_I32, &value, sizeof(value));
}

void gguf_write_u64(struct gguf_writer *writer, const char *key, uint64_t value)
{
    gguf_write_raw(writer, key, GGUF_U64, &value, sizeof(value));
}

void gguf_write_i64(struct gguf_writer *writer, const char *key, int64_t value)
{
    gguf_write_raw(writer, key, GGUF_I64, &value, sizeof(value));
}

void gguf_write_f32(struct gguf_writer *writer, const char *key, float value)
{
    gguf_write_raw(writer, key, GGUF_F32, &value, sizeof(value));
}

void gguf_write_f64(struct gguf_writer *writer, const char *key, double value)
{
    gguf_write_raw(writer, key, GGUF_F64, &value, sizeof(value));
}

void gguf_write_bool(struct gguf_writer *writer, const char *key, bool value)
{
    uint8_t byte = value;

    gguf_write_raw(writer, key, GGUF_BOOL, &byte, sizeof(byte));
}

void gguf_write_string(struct gguf_writer *writer, const char *key, const char *value)
{
    gguf_write_string_n(writer, key, value, strlen(value));
}

void gguf_write_string_n(struct gguf_writer *writer, const char *key, const char *bytes,
                         size_t len)
{
    begin_key(writer, key, GGUF_STRING);
    append_string(&writer->keys, bytes, len);
}

static size_t element_size(enum gguf_type type)
{
    switch (type) {
    case GGUF_U8:
    case GGUF_I8:
    case GGUF_BOOL:
        return 1;
    case GGUF_U16:
    case GGUF_I16:
        return 2;
    case GGUF_U32:
    case GGUF_I32:
    case GGUF_F32:
        return 4;
    case GGUF_U64:
    case GGUF_I64:
    case GGUF_F64:
        return 8;
    case GGUF_STRING:
    case GGUF_ARRAY:
        break;
    }
    bug("an element of type %d has no fixed size", (int)type);
}

static void begin_array(struct gguf_writer *writer, const char *key, enum gguf_type type,
                        uint64_t count)
{
    begin_key(writer, key, GGUF_ARRAY);
    append_u32(&writer->keys, type);
    append_u64(&writer->keys, count);
}

void gguf_write_array(struct gguf_writer *writer, const char *key, enum gguf_type type,
                      uint64_t count, const void *elements)
{
    begin_array(writer, key, type, count);
    append(&writer->keys, elements, (size_t)count * element_size(type));
}

void gguf_write_strings(struct gguf_writer *writer, const char *key, uint64_t count,
                        const char *const *values)
{
    begin_array(writer, key, GGUF_STRING, count);
    for (uint64_t i = 0; i < count; i++)
        append_string(&writer->keys, values[i], strlen(values[i]));
}

void gguf_write_tensor(struct gguf_writer *writer, const char *name, uint32_t type,
                       uint32_t rank, const uint64_t *shape, const void *bytes,
                       size_t size)
{
    struct gguf_place *place = add_place(writer, name, true);

    append_zeros(&writer->data, padding(writer->data.len, writer->alignment));
    place->name_at = writer->infos.len;
    append_string(&writer->infos, name, strlen(name));
    place->rank_at = writer->infos.len;
    append_u32(&writer->infos, rank);
    place->shape_at = writer->infos.len;
    append(&writer->infos, shape, rank * sizeof(*shape));
    place->type_at = writer->infos.len;
    append_u32(&writer->infos, type);
    place->offset_at = writer->infos.len;
    append_u64(&writer->infos, writer->data.len);
    place->data_at = writer->data.len;
    if (bytes != NULL)
        append(&writer->data, bytes, size);
    else
        append_zeros(&writer->data, size);
    writer->tensor_count++;
}

void gguf_writer_finish(struct gguf_writer *writer, struct str *file)
{
    str_reset(file);
    append(file, "GGUF", 4);
    append_u32(file, writer->version);
    append_u64(file, writer->tensor_count + writer->extra_tensors);
    append_u64(file, writer->key_count + writer->extra_keys);
    append(file, writer->keys.data, writer->keys.len);
    append(file, writer->infos.data, writer->infos.len);
    append_zeros(file, padding(file->len, writer->alignment));
    append(file, writer->data.data, writer->data.len);
}

bool gguf_writer_save(struct gguf_writer *writer, const char *path, struct err *err)
{
    struct str file;
    bool ok;

    str_init(&file, FILE_MAX);
    gguf_writer_finish(writer, &file);
    ok = file_replace(path, file.data, file.len, err);
    str_release(&file);
    return ok;
}

struct gguf_place gguf_writer_place(const struct gguf_writer *writer, const char *name)
{
    size_t infos_at = HEADER_SIZE + writer->keys.len;
    size_t data_at = infos_at + writer->infos.len;
    size_t i = writer->written_count;
    struct gguf_place place;

    while (i > 0 && strcmp(writer->written[i - 1].name, name) != 0)
        i--;
    if (i == 0)
        bug("'%s' was not written", name);
    place = writer->written[i - 1].place;
    if (!writer->written[i - 1].is_tensor) {
        place.name_at += HEADER_SIZE;
        place.type_at += HEADER_SIZE;
        place.value_at += HEADER_SIZE;
        return place;
    }
    place.name_at += infos_at;
    place.rank_at += infos_at;
    place.shape_at += infos_at;
    place.type_at += infos_at;
    place.offset_at += infos_at;
    place.data_at += data_at + (size_t)padding(data_at, writer->alignment);
    return place;
}

void gguf_patch(struct str *file, size_t at, const void *bytes, size_t size)
{
    if (at > file->len || size > file->len - at)
        bug("a patch of %zu bytes at %zu in a file of %zu", size, at, file->len);
    memcpy(file->data + at, bytes, size);
}

void gguf_patch_u32(struct str *file, size_t at, uint32_t value)
{
    gguf_patch(file, at, &value, sizeof(value));
}

void gguf_patch_u64(struct str *file, size_t at, uint64_t value)
{
    gguf_patch(file, at, &value, sizeof(value));
}
