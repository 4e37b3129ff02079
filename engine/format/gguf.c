// engine/format/gguf.c
// SPDX-License-Identifier: MIT
//
// A model of one or several files: opening the parts, finding tensors and metadata in
// them.
//
// A split model is "name-00001-of-00005.gguf" and so on. Metadata is that of the first
// part; the others are found beside it by that pattern only, never by what a file says,
// and their numbers must agree with split.no, split.count and split.tensors.count.
#include "engine/format/gguf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "engine/format/gguf_private.h"

// "dir/name-00002-of-00005.gguf"
struct split_name {
    char *directory; // "dir"
    char *stem;      // "name"
    unsigned number; // 2; both are 0 when the path does not have this form
    unsigned count;  // 5
};

#define SPLIT_SUFFIX_LEN 20 // "-00002-of-00005.gguf"

static bool five_digits(const char *text, unsigned *number)
{
    *number = 0;
    for (int i = 0; i < 5; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *number = *number * 10 + (unsigned)(text[i] - '0');
    }
    return true;
}

static void split_name_init(struct split_name *split, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    size_t len = strlen(base);
    const char *suffix = len > SPLIT_SUFFIX_LEN ? base + len - SPLIT_SUFFIX_LEN : "";

    *split = (struct split_name){ .number = 0 };
    if (suffix[0] != '-' || strncmp(suffix + 6, "-of-", 4) != 0 ||
        strcmp(suffix + 15, ".gguf") != 0 || !five_digits(suffix + 10, &split->count) ||
        !five_digits(suffix + 1, &split->number) || split->number == 0)
        *split = (struct split_name){ .number = 0 };
    if (slash == path)
        split->directory = alloc_string("/");
    else
        split->directory = slash != NULL ? alloc_string_n(path, (size_t)(slash - path))
                                         : alloc_string(".");
    split->stem = alloc_string_n(base, split->number > 0 ? len - SPLIT_SUFFIX_LEN : len);
}

static void split_name_release(struct split_name *split)
{
    free(split->directory);
    free(split->stem);
}

// Compares a number of the part with what it must be.
static bool check_number(struct gguf_part *part, const char *key, uint64_t want,
                         struct err *err)
{
    const struct gguf_entry *entry = gguf_part_find(part, key);
    struct gguf view = { .parts = part, .part_count = 1 };
    uint64_t value = 0;

    if (entry == NULL)
        return err_set(err, ERR_FORMAT, "key '%s' is missing", key);
    if (!gguf_get_u64(&view, key, &value, err))
        return false;
    if (value != want)
        return err_set(err, ERR_FORMAT,
                       "key '%s', byte %zu: is %" PRIu64 ", but must be %" PRIu64, key,
                       entry->at, value, want);
    return true;
}

static bool check_split(struct gguf_part *part, unsigned number, unsigned count,
                        struct err *err)
{
    return check_number(part, "split.no", number - 1, err) &&
           check_number(part, "split.count", count, err);
}

static bool open_first_part(struct gguf *gguf, const char *path,
                            const struct split_name *split, struct err *err)
{
    uint64_t count = 0;

    gguf->parts = alloc_zero(sizeof(*gguf->parts));
    gguf->part_count = 1;
    if (!file_map_open(&gguf->parts[0].file, path, err))
        return false;
    if (!gguf_part_parse(&gguf->parts[0], err) ||
        !gguf_get_u64(gguf, "split.count", &count, err))
        return err_prefix(err, "%s", path);
    if (count <= 1 && split->number <= 1 && split->count <= 1)
        return true;
    if (split->number == 0)
        return err_set(
            err, ERR_FORMAT,
            "%s: key 'split.count', byte %zu: %" PRIu64
            " parts, but the file is not named like \"name-00001-of-%05u.gguf\"",
            path, gguf_part_find(&gguf->parts[0], "split.count")->at, count,
            (unsigned)(count % 100000));
    if (split->number > 1)
        return err_set(err, ERR_USAGE, "%s: this is part %u of %u, open the first one",
                       path, split->number, split->count);
    return check_split(&gguf->parts[0], 1, split->count, err) ||
           err_prefix(err, "%s", path);
}

static bool open_part(struct gguf_part *part, int directory,
                      const struct split_name *split, unsigned number, struct err *err)
{
    char *name = alloc_printf("%s-%05u-of-%05u.gguf", split->stem, number, split->count);
    bool ok = file_map_open_at(&part->file, directory, name, err);

    if (ok &&
        (!gguf_part_parse(part, err) || !check_split(part, number, split->count, err)))
        ok = err_prefix(err, "%s", name);
    free(name);
    return ok;
}

static bool open_other_parts(struct gguf *gguf, const struct split_name *split,
                             struct err *err)
{
    bool ok = true;
    int directory;

    if (split->count <= 1)
        return true;
    if (split->count > GGUF_PARTS_MAX)
        return err_set(err, ERR_LIMIT, "%s: %u parts are more than the limit of %d",
                       split->stem, split->count, GGUF_PARTS_MAX);
    directory = open(split->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return err_set_errno(err, "%s", split->directory);
    gguf->parts = alloc_resize(gguf->parts, split->count, sizeof(*gguf->parts));
    for (unsigned number = 2; ok && number <= split->count; number++) {
        struct gguf_part *part = &gguf->parts[gguf->part_count++];

        *part = (struct gguf_part){ .file.fd = -1 };
        ok = open_part(part, directory, split, number, err);
    }
    close(directory);
    return ok;
}

// The part whose mapping holds the tensor.
static const struct gguf_part *part_of(const struct gguf *gguf,
                                       const struct gguf_tensor *tensor)
{
    for (size_t i = 0; i < gguf->part_count; i++) {
        const struct file_map *file = &gguf->parts[i].file;

        if (tensor->bytes >= file->bytes && tensor->bytes < file->bytes + file->size)
            return &gguf->parts[i];
    }
    bug("tensor '%s' is of another model", tensor->name);
}

static const char *tensor_name(const void *tensors, size_t i)
{
    return ((const struct gguf_tensor *)tensors)[i].name;
}

static bool refuse_twin(const struct gguf *gguf, const struct gguf_tensor *tensor,
                        struct err *err)
{
    return err_set(err, ERR_FORMAT, "tensor '%s', byte %zu: the name appears twice",
                   tensor->name,
                   (size_t)(tensor->bytes - part_of(gguf, tensor)->file.bytes));
}

// One table of the tensors of all parts.
static bool join_tensors(struct gguf *gguf, struct err *err)
{
    size_t total = 0, twin = SIZE_MAX;

    for (size_t i = 0; i < gguf->part_count; i++)
        total += gguf->parts[i].tensor_count;
    if (total > GGUF_TENSORS_MAX)
        return err_set(err, ERR_LIMIT, "%zu tensors are more than the limit of %d", total,
                       GGUF_TENSORS_MAX);
    if (gguf->part_count > 1 &&
        !check_number(&gguf->parts[0], "split.tensors.count", total, err))
        return false;
    gguf->tensors = try_array(total + 1, sizeof(*gguf->tensors));
    if (gguf->tensors == NULL)
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", total);
    for (size_t i = 0; i < gguf->part_count; i++) {
        const struct gguf_part *part = &gguf->parts[i];

        if (part->tensor_count > 0)
            memcpy(gguf->tensors + gguf->tensor_count, part->tensors,
                   part->tensor_count * sizeof(*part->tensors));
        gguf->tensor_count += part->tensor_count;
    }
    if (!gguf_index_build(&gguf->names, total, tensor_name, gguf->tensors, &twin))
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", total);
    if (twin != SIZE_MAX)
        return refuse_twin(gguf, &gguf->tensors[twin], err);
    return true;
}

struct gguf *gguf_open(const char *path, struct err *err)
{
    struct gguf *gguf = alloc_zero(sizeof(*gguf));
    struct split_name split;
    bool ok;

    split_name_init(&split, path);
    ok = open_first_part(gguf, path, &split, err) && open_other_parts(gguf, &split, err);
    if (ok && !(join_tensors(gguf, err) && gguf_check_rules(gguf, err)))
        ok = err_prefix(err, "%s", path);
    if (!ok)
        gguf_close(&gguf);
    split_name_release(&split);
    return gguf;
}

void gguf_close(struct gguf **gguf)
{
    struct gguf *g = *gguf;

    if (g == NULL)
        return;
    for (size_t i = 0; i < g->part_count; i++)
        gguf_part_release(&g->parts[i]);
    gguf_index_release(&g->names);
    free(g->tensors);
    free(g->parts);
    free(g);
    *gguf = NULL;
}

bool gguf_unchanged(const struct gguf *gguf)
{
    for (size_t i = 0; i < gguf->part_count; i++) {
        if (!file_map_unchanged(&gguf->parts[i].file))
            return false;
    }
    return true;
}

bool gguf_read(const struct gguf *gguf, const struct gguf_tensor *tensor, uint64_t offset,
               size_t size, void *destination, struct err *err)
{
    const struct file_map *file = &part_of(gguf, tensor)->file;
    size_t at = (size_t)(tensor->bytes - file->bytes) + (size_t)offset;
    char *to = destination;

    if (offset > tensor->size_bytes || size > tensor->size_bytes - offset)
        bug("tensor '%s': %zu bytes at %" PRIu64, tensor->name, size, offset);
    while (size > 0) {
        ssize_t got = pread(file->fd, to, size, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, "tensor '%s', byte %zu", tensor->name, at);
        if (got == 0)
            return err_set(
                err, ERR_IO,
                "tensor '%s', byte %zu: the file was truncated while it was in use",
                tensor->name, at);
        to += got;
        at += (size_t)got;
        size -= (size_t)got;
    }
    return true;
}

uint64_t gguf_size_bytes(const struct gguf *gguf)
{
    uint64_t total = 0;

    for (size_t i = 0; i < gguf->part_count; i++)
        total += gguf->parts[i].file.size;
    return total;
}

size_t gguf_tensor_count(const struct gguf *gguf)
{
    return gguf->tensor_count;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t index)
{
    return &gguf->tensors[index];
}

const struct gguf_tensor *gguf_find(const struct gguf *gguf, const char *name)
{
    size_t ordinal = gguf_index_find(&gguf->names, name);

    return ordinal != SIZE_MAX ? &gguf->tensors[ordinal] : NULL;
}

static bool is_signed(enum gguf_type type)
{
    return type == GGUF_I8 || type == GGUF_I16 || type == GGUF_I32 || type == GGUF_I64;
}

static bool is_unsigned(enum gguf_type type)
{
    return type == GGUF_U8 || type == GGUF_U16 || type == GGUF_U32 || type == GGUF_U64;
}

static bool is_float(enum gguf_type type)
{
    return type == GGUF_F32 || type == GGUF_F64;
}

int64_t gguf_array_i64(const struct gguf_array *array, uint64_t index)
{
    size_t size = gguf_type_size(array->type);
    uint64_t bits = gguf_load(array->bytes + index * size, size);
    unsigned unused = 64 - 8 * (unsigned)size;

    // Shifting up and back down repeats the sign.
    return is_signed(array->type) ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
}

uint64_t gguf_array_u64(const struct gguf_array *array, uint64_t index)
{
    return (uint64_t)gguf_array_i64(array, index);
}

double gguf_array_f64(const struct gguf_array *array, uint64_t index)
{
    if (array->type == GGUF_F32) {
        uint32_t bits = (uint32_t)gguf_load(array->bytes + index * 4, 4);
        float value;

        memcpy(&value, &bits, sizeof(value));
        return (double)value;
    }
    if (array->type == GGUF_F64) {
        uint64_t bits = gguf_load(array->bytes + index * 8, 8);
        double value;

        memcpy(&value, &bits, sizeof(value));
        return value;
    }
    if (is_signed(array->type))
        return (double)gguf_array_i64(array, index);
    return (double)gguf_array_u64(array, index);
}

bool gguf_has(const struct gguf *gguf, const char *key)
{
    return gguf_part_find(&gguf->parts[0], key) != NULL;
}

static bool wrong(const struct gguf_entry *entry, const char *want, struct err *err)
{
    return err_set(err, ERR_FORMAT, "key '%s', byte %zu: must be %s, but is %s%s%s",
                   entry->name, entry->at, want, entry->is_array ? "an array of " : "",
                   gguf_type_name(entry->value.type), entry->is_array ? "s" : "");
}

bool gguf_get_u64(const struct gguf *gguf, const char *key, uint64_t *value,
                  struct err *err)
{
    const struct gguf_entry *entry = gguf_part_find(&gguf->parts[0], key);

    if (entry == NULL)
        return true;
    if (entry->is_array ||
        (!is_unsigned(entry->value.type) && !is_signed(entry->value.type)))
        return wrong(entry, "an integer", err);
    if (is_signed(entry->value.type) && gguf_array_i64(&entry->value, 0) < 0)
        return err_set(err, ERR_FORMAT, "key '%s', byte %zu: %" PRId64 " is negative",
                       key, entry->at, gguf_array_i64(&entry->value, 0));
    *value = gguf_array_u64(&entry->value, 0);
    return true;
}

bool gguf_get_f64(const struct gguf *gguf, const char *key, double *value,
                  struct err *err)
{
    const struct gguf_entry *entry = gguf_part_find(&gguf->parts[0], key);
    double number;

    if (entry == NULL)
        return true;
    if (entry->is_array || entry->value.type == GGUF_BOOL ||
        entry->value.type == GGUF_STRING)
        return wrong(entry, "a number", err);
    number = gguf_array_f64(&entry->value, 0);
    if (!isfinite(number))
        return err_set(err, ERR_FORMAT, "key '%s', byte %zu: the number is not finite",
                       key, entry->at);
    *value = number;
    return true;
}

bool gguf_get_bool(const struct gguf *gguf, const char *key, bool *value, struct err *err)
{
    const struct gguf_entry *entry = gguf_part_find(&gguf->parts[0], key);

    if (entry == NULL)
        return true;
    if (entry->is_array || entry->value.type != GGUF_BOOL)
        return wrong(entry, "a bool", err);
    *value = entry->value.bytes[0] != 0;
    return true;
}

bool gguf_get_u32(const struct gguf *gguf, const char *key, uint32_t low, uint32_t high,
                  uint32_t *value, struct err *err)
{
    uint64_t number = *value;

    if (!gguf_get_u64(gguf, key, &number, err))
        return false;
    if (number < low || number > high)
        return err_set(err, ERR_FORMAT, "%s is %llu, it must be %u to %u%s", key,
                       (unsigned long long)number, low, high,
                       gguf_has(gguf, key) ? "" : " (the key is missing)");
    *value = (uint32_t)number;
    return true;
}

bool gguf_get_string(const struct gguf *gguf, const char *key, struct gguf_string *value,
                     struct err *err)
{
    const struct gguf_entry *entry = gguf_part_find(&gguf->parts[0], key);

    if (entry == NULL)
        return true;
    if (entry->is_array || entry->value.type != GGUF_STRING)
        return wrong(entry, "a string", err);
    *value = entry->text;
    return true;
}

bool gguf_get_array(const struct gguf *gguf, const char *key, enum gguf_type type,
                    struct gguf_array *value, struct err *err)
{
    const struct gguf_entry *entry = gguf_part_find(&gguf->parts[0], key);
    char want[32];

    if (entry == NULL)
        return true;
    if (!entry->is_array || entry->value.type != type) {
        snprintf(want, sizeof(want), "an array of %ss", gguf_type_name(type));
        return wrong(entry, want, err);
    }
    *value = entry->value;
    return true;
}

size_t gguf_key_count(const struct gguf *gguf)
{
    return gguf->parts[0].entry_count;
}

const char *gguf_key_at(const struct gguf *gguf, size_t index)
{
    return gguf->parts[0].entries[index].name;
}

static void describe_string(const struct gguf_string *string, char *text, size_t size)
{
    size_t len = string->len;

    if (len >= size) {
        len = size - 1;
        len -= utf8_incomplete_tail(string->bytes, len);
    }
    memcpy(text, string->bytes, len);
    text[len] = '\0';
}

void gguf_describe_value(const struct gguf *gguf, size_t index, char *text, size_t size)
{
    const struct gguf_entry *entry = &gguf->parts[0].entries[index];
    const struct gguf_array *value = &entry->value;

    if (size == 0)
        return;
    if (entry->is_array)
        snprintf(text, size, "[%s x %" PRIu64 "]", gguf_type_name(value->type),
                 value->count);
    else if (value->type == GGUF_STRING)
        describe_string(&entry->text, text, size);
    else if (value->type == GGUF_BOOL)
        snprintf(text, size, "%s", value->bytes[0] != 0 ? "true" : "false");
    else if (is_float(value->type))
        snprintf(text, size, "%.9g", gguf_array_f64(value, 0));
    else if (is_signed(value->type))
        snprintf(text, size, "%" PRId64, gguf_array_i64(value, 0));
    else
        snprintf(text, size, "%" PRIu64, gguf_array_u64(value, 0));
}
