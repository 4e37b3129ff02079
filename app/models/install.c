// app/models/install.c
// SPDX-License-Identifier: MIT
#include "app/models/install.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/models/store.h"
#include "base/alloc.h"
#include "base/file.h"

static bool sync_file(const struct model_file *file, const struct workspace *workspace,
                      struct err *err)
{
    char *path = workspace_path(workspace, file->file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = (fd >= 0 && fsync(fd) == 0) || err_set_errno(err, "%s: cannot sync", path);

    if (fd >= 0)
        close(fd);
    free(path);
    return ok;
}

// Takes the name over.
static bool move(struct model_file *file, char *name, const struct workspace *workspace,
                 const char *directory, struct err *err)
{
    char *from = workspace_path(workspace, file->file);
    char *to = alloc_printf("%s/%s", directory, name);
    bool ok = rename(from, to) == 0 || err_set_errno(err, "%s", to);

    free(from);
    free(to);
    free(file->file);
    file->file = name;
    return ok;
}

static bool move_all(struct model_record *record, enum stem stem,
                     const struct workspace *workspace, const char *directory,
                     struct err *err)
{
    for (size_t i = 0; i < record->count; i++)
        if (!move(&record->files[i],
                  model_part_name(record->name, stem, i + 1, record->count), workspace,
                  directory, err))
            return false;
    return record->mmproj.file == NULL ||
           move(&record->mmproj, model_mmproj_name(record->name, stem), workspace,
                directory, err);
}

bool install(struct model_record *record, const struct model_record *old,
             const struct workspace *workspace, struct err *err)
{
    bool replaces = old->count > 0;
    enum stem stem =
        replaces && model_record_stem(old) == STEM_FIRST ? STEM_SECOND : STEM_FIRST;
    char *directory = models_directory(err);
    const struct model_file *file;
    bool ok = directory != NULL;

    for (size_t i = 0; ok && (file = model_record_file(record, i)) != NULL; i++)
        ok = sync_file(file, workspace, err);
    ok = ok && move_all(record, stem, workspace, directory, err) &&
         file_sync_directory(directory, err) &&
         model_record_write(record, workspace->path, err);
    if (ok)
        models_sweep(record, NULL); // what stays is swept by the next one
    free(directory);
    return ok;
}
