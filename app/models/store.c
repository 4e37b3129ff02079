// app/models/store.c
// SPDX-License-Identifier: MIT
#include "app/models/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/models/catalogue.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

#define RECORD_MAX   ((size_t)256 << 10)
#define FILE_MAX_LEN (MODEL_NAME_MAX + 32)

// ---------------------------------------------------------------------------
// Names and places

static bool plain_characters(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789._-")] == '\0';
}

bool model_name_valid(const char *name)
{
    return name[0] != '\0' && strlen(name) <= MODEL_NAME_MAX &&
           strchr("._-", name[0]) == NULL && plain_characters(name);
}

char *models_directory(struct err *err)
{
    char *data = file_xdg_directory("XDG_DATA_HOME", ".local/share", err), *directory;

    if (data == NULL)
        return NULL;
    directory = alloc_printf("%s/models", data);
    free(data);
    if (file_make_directories(directory, err))
        return directory;
    free(directory);
    return NULL;
}

// directory/name, and suffix behind it.
static char *path_in_store(const char *name, const char *suffix, struct err *err)
{
    char *directory = models_directory(err), *path;

    if (directory == NULL)
        return NULL;
    path = alloc_printf("%s/%s%s", directory, name, suffix);
    free(directory);
    return path;
}

// ---------------------------------------------------------------------------
// Records

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

uint64_t model_record_bytes(const struct model_record *record)
{
    uint64_t total = record->mmproj.size_bytes;

    for (size_t i = 0; i < record->count; i++)
        total += record->files[i].size_bytes;
    return total;
}

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
    if (file->file == NULL || strlen(file->file) > FILE_MAX_LEN || file->file[0] == '.' ||
        !plain_characters(file->file) || sha256 == NULL ||
        strlen(sha256) != SHA256_HEX - 1 || size <= 0)
        return false;
    memcpy(file->sha256, sha256, SHA256_HEX);
    file->size_bytes = (uint64_t)size;
    return true;
}

static bool read_record(const json_t *json, struct model_record *record)
{
    const json_t *files = json_object_get(json, "files"),
                 *mmproj = json_object_get(json, "mmproj");
    size_t count = json_array_size(files);

    record->source = text_of(json, "source");
    record->licence = text_of(json, "licence");
    record->date = text_of(json, "date");
    if (record->source == NULL || record->date == NULL || count == 0 ||
        count > MODEL_PARTS_MAX)
        return false;
    record->files = alloc_array(count, sizeof(*record->files));
    record->count = count;
    for (size_t i = 0; i < count; i++)
        if (!read_file(json_array_get(files, i), &record->files[i]))
            return false;
    return !json_is_object(mmproj) || read_file(mmproj, &record->mmproj);
}

bool model_record_read(const char *name, struct model_record *record, struct err *err)
{
    char *path = model_name_valid(name) ? path_in_store(name, ".json", err) : NULL;
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

bool model_record_write(const struct model_record *record, struct err *err)
{
    char *path = path_in_store(record->name, ".json", err), *text;
    json_t *json;
    bool ok;

    if (path == NULL)
        return false;
    json = record_json(record);
    if (record->mmproj.file != NULL)
        json_object_set_new(json, "mmproj", file_json(&record->mmproj));
    text = json_dumps(json, JSON_INDENT(2));
    ok = text != NULL ? file_replace(path, text, strlen(text), err)
                      : err_set(err, ERR_FORMAT, "%s: not UTF-8", path);
    free(text);
    json_decref(json);
    free(path);
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

// ---------------------------------------------------------------------------
// All of them

void model_names_release(struct model_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct model_names){ .items = NULL };
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_name(struct model_names *names, const char *file)
{
    const char *dot = strrchr(file, '.');
    char *name;

    if (dot == NULL || strcmp(dot, ".json") != 0)
        return;
    name = alloc_string_n(file, (size_t)(dot - file));
    if (!model_name_valid(name)) {
        free(name);
        return;
    }
    names->items =
        alloc_grow(names->items, names->count, &names->cap, sizeof(*names->items));
    names->items[names->count++] = name;
}

bool models_list(struct model_names *names, struct err *err)
{
    char *directory = models_directory(err);
    DIR *entries = directory != NULL ? opendir(directory) : NULL;
    const struct dirent *entry;

    *names = (struct model_names){ .items = NULL };
    if (directory != NULL && entries == NULL)
        err_set_errno(err, "%s", directory);
    free(directory);
    if (entries == NULL)
        return false;
    while ((entry = readdir(entries)) != NULL)
        add_name(names, entry->d_name);
    closedir(entries);
    if (names->count > 0)
        qsort(names->items, names->count, sizeof(*names->items), compare_names);
    return true;
}

static bool remove_file(const char *file, struct err *err)
{
    char *path = path_in_store(file, "", err);
    bool ok = path != NULL &&
              (unlink(path) == 0 || errno == ENOENT || err_set_errno(err, "%s", path));

    free(path);
    return ok;
}

static bool begins_with_file(const char *name, const char *file)
{
    struct model_record record = { 0 };
    bool same = model_record_read(name, &record, &(struct err){ 0 }) &&
                record.count > 0 && strcmp(record.files[0].file, file) == 0;

    model_record_release(&record);
    return same;
}

char *models_installed_name(const char *path)
{
    struct err err = { 0 };
    char *directory = models_directory(&err), *name = NULL;
    const char *slash = strrchr(path, '/');
    struct model_names names = { 0 };

    if (directory != NULL && slash != NULL &&
        strlen(directory) == (size_t)(slash - path) &&
        memcmp(directory, path, (size_t)(slash - path)) == 0 && models_list(&names, &err))
        for (size_t i = 0; i < names.count && name == NULL; i++)
            if (begins_with_file(names.items[i], slash + 1))
                name = alloc_string(names.items[i]);
    model_names_release(&names);
    free(directory);
    return name;
}

bool models_remove(const char *name, struct err *err)
{
    struct model_record record;
    char *path;
    bool ok;

    if (!model_record_read(name, &record, err))
        return false;
    path = alloc_printf("%s.json", name);
    ok = remove_file(path, err);
    for (size_t i = 0; ok && i < record.count; i++)
        ok = remove_file(record.files[i].file, err);
    if (ok && record.mmproj.file != NULL)
        ok = remove_file(record.mmproj.file, err);
    free(path);
    model_record_release(&record);
    return ok;
}

// ---------------------------------------------------------------------------
// Which one is meant

static bool copy_path(char to[PATH_MAX], const char *directory, const char *file,
                      struct err *err)
{
    if (snprintf(to, PATH_MAX, "%s/%s", directory, file) < PATH_MAX)
        return true;
    return err_set(err, ERR_LIMIT, "%s/%s: the path is too long", directory, file);
}

static bool resolve_installed(const char *name, struct model_files *files,
                              struct err *err)
{
    char *directory = models_directory(err);
    struct model_record record;
    bool ok;

    if (directory == NULL)
        return false;
    ok = model_record_read(name, &record, err);
    if (ok) {
        ok = copy_path(files->path, directory, record.files[0].file, err) &&
             (record.mmproj.file == NULL ||
              copy_path(files->mmproj, directory, record.mmproj.file, err));
        model_record_release(&record);
    }
    free(directory);
    return ok;
}

// A projector beside the model belongs to it when it is called so: x.gguf and
// x.mmproj.gguf.
static bool resolve_path(const char *path, struct model_files *files, struct err *err)
{
    size_t len = strlen(path), stem = len;

    if (access(path, R_OK) < 0)
        return err_set_errno(err, "%s", path);
    if (len >= PATH_MAX)
        return err_set(err, ERR_LIMIT, "%s: the path is too long", path);
    memcpy(files->path, path, len + 1);
    if (len > 5 && strcmp(path + len - 5, ".gguf") == 0)
        stem = len - 5;
    if (snprintf(files->mmproj, PATH_MAX, "%.*s.mmproj.gguf", (int)stem, path) >=
            PATH_MAX ||
        access(files->mmproj, R_OK) < 0)
        files->mmproj[0] = '\0';
    return true;
}

static bool is_installed(const struct model_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static bool several_installed(const struct model_names *names, struct err *err)
{
    struct str list;

    str_init(&list, 300);
    for (size_t i = 0; i < names->count; i++)
        str_printf(&list, "%s%s", i > 0 ? ", " : "", names->items[i]);
    err_set(err, ERR_USAGE, "which model? %s are installed: give -m NAME", list.data);
    str_release(&list);
    return false;
}

static bool resolve_default(const struct model_names *names, struct model_files *files,
                            struct err *err)
{
    const char *usual = catalogue_default()->name;

    if (names->count == 1)
        return resolve_installed(names->items[0], files, err);
    if (is_installed(names, usual))
        return resolve_installed(usual, files, err);
    if (names->count == 0)
        return err_set(err, ERR_NOT_FOUND, "no model is installed: oriel pull %s", usual);
    return several_installed(names, err);
}

static bool no_such_model(const char *name, struct err *err)
{
    const struct catalogue_entry *nearest = catalogue_nearest(name);

    if (catalogue_find(name) != NULL)
        return err_set(err, ERR_NOT_FOUND, "%s is not installed: oriel pull %s", name,
                       name);
    if (nearest != NULL)
        return err_set(err, ERR_NOT_FOUND,
                       "there is no model or file \"%s\"; did you mean %s?", name,
                       nearest->name);
    return err_set(err, ERR_NOT_FOUND,
                   "there is no model or file \"%s\"; oriel models lists them", name);
}

bool models_resolve(const char *name_or_path, struct model_files *files, struct err *err)
{
    struct model_names names;
    bool ok;

    *files = (struct model_files){ .path = "" };
    if (name_or_path != NULL && strchr(name_or_path, '/') != NULL)
        return resolve_path(name_or_path, files, err);
    if (!models_list(&names, err))
        return false;
    if (name_or_path == NULL)
        ok = resolve_default(&names, files, err);
    else if (is_installed(&names, name_or_path))
        ok = resolve_installed(name_or_path, files, err);
    else if (access(name_or_path, F_OK) == 0)
        ok = resolve_path(name_or_path, files, err);
    else
        ok = no_such_model(name_or_path, err);
    model_names_release(&names);
    return ok;
}
