// tests/engine/model/writer.c
// SPDX-License-Identifier: MIT
#include "tests/engine/model/writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "engine/format/gguf.h"

#define ALIGNMENT 32

struct writer {
    struct str keys, infos, data;
    uint64_t key_count, tensor_count;
};

struct writer *writer_create(void)
{
    struct writer *writer = alloc_zero(sizeof(*writer));

    str_init(&writer->keys, 0);
    str_init(&writer->infos, 0);
    str_init(&writer->data, 0);
    return writer;
}

void writer_destroy(struct writer **writer)
{
    if (*writer == NULL)
        return;
    str_release(&(*writer)->keys);
    str_release(&(*writer)->infos);
    str_release(&(*writer)->data);
    free(*writer);
    *writer = NULL;
}

static void put(struct str *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        str_append_char(out, (char)(value >> 8 * i));
}

static void put_text(struct str *out, const char *text)
{
    put(out, strlen(text), 8);
    str_append(out, text);
}

static void put_key(struct writer *writer, const char *key, enum gguf_type type)
{
    put_text(&writer->keys, key);
    put(&writer->keys, type, 4);
    writer->key_count++;
}

static void put_array(struct writer *writer, const char *key, enum gguf_type type,
                      size_t count)
{
    put_key(writer, key, GGUF_ARRAY);
    put(&writer->keys, type, 4);
    put(&writer->keys, count, 8);
}

static uint32_t float_bits(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

void writer_u32(struct writer *writer, const char *key, uint32_t value)
{
    put_key(writer, key, GGUF_U32);
    put(&writer->keys, value, 4);
}

void writer_f32(struct writer *writer, const char *key, float value)
{
    put_key(writer, key, GGUF_F32);
    put(&writer->keys, float_bits(value), 4);
}

void writer_bool(struct writer *writer, const char *key, bool value)
{
    put_key(writer, key, GGUF_BOOL);
    put(&writer->keys, value, 1);
}

void writer_string(struct writer *writer, const char *key, const char *value)
{
    put_key(writer, key, GGUF_STRING);
    put_text(&writer->keys, value);
}

void writer_i32s(struct writer *writer, const char *key, const int32_t *values,
                 size_t count)
{
    put_array(writer, key, GGUF_I32, count);
    for (size_t i = 0; i < count; i++)
        put(&writer->keys, (uint32_t)values[i], 4);
}

void writer_f32s(struct writer *writer, const char *key, const float *values,
                 size_t count)
{
    put_array(writer, key, GGUF_F32, count);
    for (size_t i = 0; i < count; i++)
        put(&writer->keys, float_bits(values[i]), 4);
}

void writer_strings(struct writer *writer, const char *key, const char *first,
                    size_t stride, size_t count)
{
    put_array(writer, key, GGUF_STRING, count);
    for (size_t i = 0; i < count; i++)
        put_text(&writer->keys, first + i * stride);
}

static void pad(struct str *out)
{
    while (out->len % ALIGNMENT != 0)
        str_append_char(out, '\0');
}

void writer_tensor(struct writer *writer, const char *name, uint32_t type,
                   const uint64_t *shape, uint32_t rank, const void *bytes, size_t size)
{
    pad(&writer->data);
    put_text(&writer->infos, name);
    put(&writer->infos, rank, 4);
    for (uint32_t i = 0; i < rank; i++)
        put(&writer->infos, shape[i], 8);
    put(&writer->infos, type, 4);
    put(&writer->infos, writer->data.len, 8);
    writer->tensor_count++;
    str_append_n(&writer->data, bytes, size);
}

bool writer_save(const struct writer *writer, const char *path, struct err *err)
{
    struct str file;

    str_init(&file, 0);
    str_append(&file, "GGUF");
    put(&file, 3, 4);
    put(&file, writer->tensor_count, 8);
    put(&file, writer->key_count, 8);
    str_append_n(&file, writer->keys.data, writer->keys.len);
    str_append_n(&file, writer->infos.data, writer->infos.len);
    pad(&file);
    str_append_n(&file, writer->data.data, writer->data.len);
    bool ok = !file.truncated || err_set(err, ERR_LIMIT, "the model is too large");
    ok = ok && file_replace(path, file.data, file.len, err);
    str_release(&file);
    return ok;
}
