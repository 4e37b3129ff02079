// app/models/record.c
// SPDX-License-Identifier: MIT
#include "app/models/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/models/checksum.h"
#include "app/models/store.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

#define RECORD_MAX ((size_t)256 << 10)

static void model_file_release(struct model_file *file)
{
    free(file->file);
    free(file->source);
    *file = (struct model_file){ .file = NULL };
}

void model_record_release(struct model_record *record)
{
    for (size_t i = 0; i < record->count; i++)
        model_file_release(&record->files[i]);
    model_file_release(&record->mmproj);
    free(record->files);
    free(record->name);
    free(record->source);
    free(record->licence);
    free(record->date);
    *record = (struct model_record){ .name = NULL };
}

struct model_file *model_record_file(const struct model_record *record, size_t index)
{
    if (index < record->count)
        return &record->files[index];
    return index == record->count && record->mmproj.file != NULL
               ? (struct model_file *)&record->mmproj
               : NULL;
}

uint64_t model_record_bytes(const struct model_record *record)
{
    const struct model_file *file;
    uint64_t total = 0;

    for (size_t i = 0; (file = model_record_file(record, i)) != NULL; i++)
        total += file->size_bytes;
    return total;
}

enum stem model_record_stem(const struct model_record *record)
{
    char *second = model_part_name(record->name, STEM_SECOND, 1, record->count);
    bool same = strcmp(record->files[0].file, second) == 0;

    free(second);
    return same ? STEM_SECOND : STEM_FIRST;
}

// ---------------------------------------------------------------------------
// Reading

static char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? alloc_string(text) : NULL;
}

static bool read_file(const json_t *json, struct model_file *file)
{
    const char *sha256 = json_string_value(json_object_get(json, "sha256"));
    json_int_t size = json_integer_value(json_object_get(json, "size_bytes"));

    file->file = text_of(json, "file");
    file->source = text_of(json, "source");
    if (file->file == NULL || file->source == NULL || sha256 == NULL ||
        !sha256_valid(sha256) || size <= 0)
        return false;
    memcpy(file->sha256, sha256, SHA256_HEX);
    file->size_bytes = (uint64_t)size;
    return true;
}

// Takes the name that we would have given.
static bool is_called(const struct model_file *file, char *expected)
{
    bool same = strcmp(file->file, expected) == 0;

    free(expected);
    return same;
}

static bool names_its_own(const struct model_record *record)
{
    enum stem stem = model_record_stem(record);

    for (size_t i = 0; i < record->count; i++)
        if (!is_called(&record->files[i],
                       model_part_name(record->name, stem, i + 1, record->count)))
            return false;
    return record->mmproj.file == NULL ||
           is_called(&record->mmproj, model_mmproj_name(record->name, stem));
}

static bool read_record(const json_t *json, struct model_record *record)
{
    const json_t *files = json_object_get(json, "files"),
                 *mmproj = json_object_get(json, "mmproj");
    const char *name = json_string_value(json_object_get(json, "name"));
    size_t count = json_array_size(files);

    record->source = text_of(json, "source");
    record->licence = text_of(json, "licence");
    record->date = text_of(json, "date");
    if (name == NULL || strcmp(name, record->name) != 0 || record->source == NULL ||
        record->date == NULL || count == 0 || count > MODEL_PARTS_MAX)
        return false;
    record->files = alloc_array(count, sizeof(*record->files));
    record->count = count;
    for (size_t i = 0; i < count; i++)
        if (!read_file(json_array_get(files, i), &record->files[i]))
            return false;
    return (mmproj == NULL || read_file(mmproj, &record->mmproj)) &&
           names_its_own(record);
}

bool model_record_read(const char *name, struct model_record *record, struct err *err)
{
    char *path = model_name_valid(name) ? models_path(name, ".json", err) : NULL;
    struct str text;
    json_t *json = NULL;
    bool ok = false;

    *record = (struct model_record){ .name = alloc_string(name) };
    str_init(&text, RECORD_MAX);
    if (path == NULL || (access(path, F_OK) < 0 && errno == ENOENT)) {
        err_set(err, ERR_NOT_FOUND, "%s is not installed", name);
    } else if (file_read(path, RECORD_MAX, &text, err)) {
        json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
        ok = read_record(json, record) ||
             err_set(err, ERR_FORMAT, "%s: not a record of oriel; oriel models rm %s",
                     path, name);
    }
    json_decref(json);
    str_release(&text);
    free(path);
    if (!ok)
        model_record_release(record);
    return ok;
}

// ---------------------------------------------------------------------------
// Writing

static json_t *file_json(const struct model_file *file)
{
    return json_pack("{s:s, s:s, s:s, s:I}", "file", file->file, "source", file->source,
                     "sha256", file->sha256, "size_bytes", (json_int_t)file->size_bytes);
}

static json_t *record_json(const struct model_record *record)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s?, s:s}", "name", record->name, "source", record->source,
                  "licence", record->licence, "date", record->date);
    json_t *files = json_array();

    for (size_t i = 0; i < record->count; i++)
        json_array_append_new(files, file_json(&record->files[i]));
    json_object_set_new(json, "files", files);
    return json;
}

static bool write_text(const char *text, const char *path, const char *scratch,
                       struct err *err)
{
    char *ready = alloc_printf("%s/record", scratch);
    bool ok = file_replace(ready, text, strlen(text), err) &&
              (rename(ready, path) == 0 || err_set_errno(err, "%s", path));

    free(ready);
    return ok;
}

bool model_record_write(const struct model_record *record, const char *scratch,
                        struct err *err)
{
    char *directory = models_directory(err), *path, *text;
    json_t *json;
    bool ok;

    if (directory == NULL)
        return false;
    path = alloc_printf("%s/%s.json", directory, record->name);
    json = record_json(record);
    if (record->mmproj.file != NULL)
        json_object_set_new(json, "mmproj", file_json(&record->mmproj));
    text = json_dumps(json, JSON_INDENT(2));
    ok = text != NULL
             ? write_text(text, path, scratch, err) && file_sync_directory(directory, err)
             : err_set(err, ERR_FORMAT, "%s: not UTF-8", path);
    free(text);
    json_decref(json);
    free(path);
    free(directory);
    return ok;
}

json_t *model_record_json(const struct model_record *record, struct err *err)
{
    char *directory = models_directory(err);
    json_t *json;

    if (directory == NULL)
        return NULL;
    json = record_json(record);
    json_object_set_new(json, "size_bytes",
                        json_integer((json_int_t)model_record_bytes(record)));
    json_object_set_new(json, "path",
                        json_sprintf("%s/%s", directory, record->files[0].file));
    if (record->mmproj.file != NULL)
        json_object_set_new(json, "mmproj",
                            json_sprintf("%s/%s", directory, record->mmproj.file));
    free(directory);
    return json;
}
