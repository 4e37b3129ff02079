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
#include "app/models/workspace.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

// ---------------------------------------------------------------------------
// Places

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

char *models_path(const char *name, const char *suffix, struct err *err)
{
    char *directory = models_directory(err), *path;

    if (directory == NULL)
        return NULL;
    path = alloc_printf("%s/%s%s", directory, name, suffix);
    free(directory);
    return path;
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

static void add_name(struct model_names *names, const char *name, size_t len)
{
    char *copy = alloc_string_n(name, len);

    if (!model_name_valid(copy)) {
        free(copy);
        return;
    }
    names->items =
        alloc_grow(names->items, names->count, &names->cap, sizeof(*names->items));
    names->items[names->count++] = copy;
}

// The names in entries that begin and end so.
static bool list_entries(struct model_names *names, const char *start, const char *end,
                         struct err *err)
{
    char *directory = models_directory(err);
    DIR *entries = directory != NULL ? opendir(directory) : NULL;
    size_t start_len = strlen(start), end_len = strlen(end);
    const struct dirent *entry;

    *names = (struct model_names){ .items = NULL };
    if (directory != NULL && entries == NULL)
        err_set_errno(err, "%s", directory);
    free(directory);
    if (entries == NULL)
        return false;
    while ((entry = readdir(entries)) != NULL) {
        const char *name = entry->d_name;
        size_t len = strlen(name);

        if (len > start_len + end_len && strncmp(name, start, start_len) == 0 &&
            strcmp(name + len - end_len, end) == 0)
            add_name(names, name + start_len, len - start_len - end_len);
    }
    closedir(entries);
    if (names->count > 0)
        qsort(names->items, names->count, sizeof(*names->items), compare_names);
    return true;
}

bool models_list(struct model_names *names, struct err *err)
{
    return list_entries(names, "", ".json", err);
}

bool models_list_begun(struct model_names *names, struct err *err)
{
    size_t kept = 0;

    if (!list_entries(names, WORKSPACE_PREFIX, "", err))
        return false;
    for (size_t i = 0; i < names->count; i++) {
        char *path = models_path(names->items[i], ".json", err);

        if (path != NULL && access(path, F_OK) < 0)
            names->items[kept++] = names->items[i];
        else
            free(names->items[i]);
        free(path);
    }
    names->count = kept;
    return true;
}

// ---------------------------------------------------------------------------
// Removal

static bool names_file(const struct model_record *record, const char *name)
{
    const struct model_file *file;

    for (size_t i = 0; (file = model_record_file(record, i)) != NULL; i++)
        if (strcmp(file->file, name) == 0)
            return true;
    return false;
}

bool models_sweep(const struct model_record *record, struct err *err)
{
    char *directory = models_directory(err);
    DIR *entries = directory != NULL ? opendir(directory) : NULL;
    const struct dirent *entry;
    bool ok = entries != NULL;

    if (directory != NULL && entries == NULL)
        err_set_errno(err, "%s", directory);
    while (ok && (entry = readdir(entries)) != NULL)
        if (model_owns(record->name, entry->d_name) &&
            !names_file(record, entry->d_name) &&
            unlinkat(dirfd(entries), entry->d_name, 0) < 0)
            ok = err_set_errno(err, "%s/%s", directory, entry->d_name);
    if (entries != NULL)
        closedir(entries);
    free(directory);
    return ok;
}

static bool remove_record(const char *name, struct err *err)
{
    char *path = models_path(name, ".json", err);
    char *directory = models_directory(err);
    bool ok = path != NULL && directory != NULL &&
              (unlink(path) == 0 || errno == ENOENT || err_set_errno(err, "%s", path)) &&
              file_sync_directory(directory, err);

    free(directory);
    free(path);
    return ok;
}

static bool is_there(const char *name)
{
    char *record = models_path(name, ".json", NULL);
    char *begun = models_path(WORKSPACE_PREFIX, name, NULL);
    bool there = record != NULL && begun != NULL &&
                 (access(record, F_OK) == 0 || access(begun, F_OK) == 0);

    free(begun);
    free(record);
    return there;
}

bool models_remove(const char *name, struct err *err)
{
    struct model_record nothing = { .name = (char *)name };
    struct workspace workspace;
    bool ok;

    if (!model_name_valid(name) || !is_there(name))
        return err_set(err, ERR_NOT_FOUND, "%s is not installed", name);
    if (!workspace_open(&workspace, name, err))
        return false;
    ok = remove_record(name, err) && models_sweep(&nothing, err);
    workspace_remove(&workspace);
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
