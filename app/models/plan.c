// app/models/plan.c
// SPDX-License-Identifier: MIT
#include "app/models/plan.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/models/catalogue.h"
#include "app/models/checksum.h"
#include "app/models/hub.h"
#include "app/models/source_path.h"
#include "app/models/source_pypi.h"
#include "base/alloc.h"

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

// ---------------------------------------------------------------------------
// Names

// What a model is called whose file is called so.
static char *name_from_file(const char *path)
{
    const char *slash = strrchr(path, '/'), *file = slash != NULL ? slash + 1 : path;
    size_t stem = strcspn(file, "?#");
    unsigned parts;

    if (!split_name(file, &stem, &parts) && stem > 5 &&
        strncmp(file + stem - 5, ".gguf", 5) == 0)
        stem -= 5;
    return model_name_from(file, stem);
}

static bool choose_name(const struct pull_params *params, const char *what,
                        struct model_record *plan, struct err *err)
{
    plan->name = params->name != NULL ? alloc_string(params->name) : name_from_file(what);
    return model_name_valid(plan->name) ||
           err_set(err, ERR_USAGE,
                   "\"%s\" cannot be the name of a model; give --name NAME of letters, "
                   "digits and \"._-\", not ending in .mmproj or in numbers of parts",
                   plan->name);
}

// ---------------------------------------------------------------------------
// Files

static void set_files(struct model_record *plan, size_t count)
{
    plan->files = alloc_array(count, sizeof(*plan->files));
    plan->count = count;
    for (size_t i = 0; i < count; i++)
        plan->files[i].file = model_part_name(plan->name, STEM_FIRST, i + 1, count);
}

// One source, or, when it is a part of a split model, those of all parts.
static void add_model(struct model_record *plan, const char *source)
{
    size_t stem;
    unsigned parts;

    if (begins_with(source, PYPI_PREFIX) || !split_name(source, &stem, &parts)) {
        set_files(plan, 1);
        plan->files[0].source = alloc_string(source);
        return;
    }
    set_files(plan, parts);
    for (unsigned i = 0; i < parts; i++)
        plan->files[i].source =
            alloc_printf("%.*s-%05u-of-%05u.gguf", (int)stem, source, i + 1, parts);
}

static void add_mmproj(struct model_record *plan, const char *source)
{
    plan->mmproj.file = model_mmproj_name(plan->name, STEM_FIRST);
    plan->mmproj.source = alloc_string(source);
}

static void expect(struct model_file *file, const struct catalogue_file *known)
{
    if (known->sha256 != NULL)
        memcpy(file->sha256, known->sha256, SHA256_HEX);
    file->size_bytes = known->size_bytes;
}

// ---------------------------------------------------------------------------
// Kinds of sources

static bool from_catalogue(const struct catalogue_entry *entry,
                           const struct pull_params *params, struct model_record *plan,
                           struct err *err)
{
    if (!choose_name(params, entry->name, plan, err))
        return false;
    plan->source = alloc_string(entry->name);
    plan->licence = alloc_string(entry->licence);
    add_model(plan, entry->model.source);
    expect(&plan->files[0], &entry->model);
    if (params->mmproj == NULL && entry->mmproj.source != NULL) {
        add_mmproj(plan, entry->mmproj.source);
        expect(&plan->mmproj, &entry->mmproj);
    }
    return true;
}

// pypi:... and https://...
static bool from_url(const struct pull_params *params, struct model_record *plan,
                     struct err *err)
{
    plan->source = alloc_string(params->what);
    if (!choose_name(params, params->what, plan, err))
        return false;
    add_model(plan, params->what);
    return true;
}

static bool from_hub(const struct pull_params *params, struct model_record *plan,
                     struct err *err)
{
    char *model = NULL, *mmproj = NULL, *url = NULL;
    bool ok;

    plan->source = alloc_string(params->what);
    if (hub_is_repository(params->what))
        ok = hub_choose(params->what, &model, &mmproj, &plan->licence, err);
    else
        ok = (model = alloc_string(params->what)) != NULL;
    ok = ok && (url = hub_url(model, err)) != NULL && choose_name(params, url, plan, err);
    if (ok)
        add_model(plan, model);
    if (ok && mmproj != NULL && params->mmproj == NULL)
        add_mmproj(plan, mmproj);
    free(model);
    free(mmproj);
    free(url);
    return ok;
}

// The folder is resolved and the file is not: what a link is called is how a person calls
// the model, and how the parts of a split one find each other (hub caches keep files
// under their hashes and give names by links).
static char *absolute_path(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? alloc_string(".")
                                 : alloc_string_n(path, (size_t)(slash - path) + 1);
    char resolved[PATH_MAX], *absolute = NULL;

    if (access(path, F_OK) < 0 || realpath(folder, resolved) == NULL)
        err_set_errno(err, "%s", path);
    else
        absolute = alloc_printf("%s/%s", strcmp(resolved, "/") == 0 ? "" : resolved,
                                slash != NULL ? slash + 1 : path);
    free(folder);
    return absolute;
}

static bool from_path(const struct pull_params *params, struct model_record *plan,
                      struct err *err)
{
    plan->source = absolute_path(params->what, err);
    if (plan->source == NULL || !choose_name(params, plan->source, plan, err))
        return false;
    add_model(plan, plan->source);
    return true;
}

static bool given_mmproj(const char *source, struct model_record *plan, struct err *err)
{
    char *path = source_is_path(source) ? absolute_path(source, err) : NULL;

    if (source_is_path(source) && path == NULL)
        return false;
    add_mmproj(plan, path != NULL ? path : source);
    free(path);
    return true;
}

static bool no_such_source(const char *what, struct err *err)
{
    const struct catalogue_entry *nearest = catalogue_nearest(what);

    if (nearest != NULL)
        return err_set(err, ERR_NOT_FOUND,
                       "there is no model or file \"%s\"; did you mean %s?", what,
                       nearest->name);
    return err_set(err, ERR_NOT_FOUND,
                   "there is no model or file \"%s\"; oriel models lists them", what);
}

static bool make_files(const struct pull_params *params, const char *what,
                       struct model_record *plan, struct err *err)
{
    const struct catalogue_entry *entry = catalogue_find(what);

    if (entry != NULL)
        return from_catalogue(entry, params, plan, err);
    if (begins_with(what, PYPI_PREFIX))
        return from_url(params, plan, err);
    if (begins_with(what, HUB_PREFIX))
        return from_hub(params, plan, err);
    if (strstr(what, "://") != NULL)
        return from_url(params, plan, err);
    if (access(what, F_OK) == 0)
        return from_path(params, plan, err);
    return strchr(what, '/') != NULL ? err_set_errno(err, "%s", what)
                                     : no_such_source(what, err);
}

static char *now_text(void)
{
    time_t now = time(NULL);
    char text[32] = "";
    struct tm parts;

    if (gmtime_r(&now, &parts) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return alloc_string(text);
}

bool plan_make(const struct pull_params *params, struct model_record *plan,
               struct err *err)
{
    *plan = (struct model_record){ .date = now_text() };
    if (params->sha256 != NULL && !sha256_valid(params->sha256))
        return err_set(err, ERR_USAGE,
                       "--sha256 %s: not 64 hexadecimal digits in small letters",
                       params->sha256);
    if (!make_files(params, params->what, plan, err))
        return false;
    if (params->mmproj != NULL && !given_mmproj(params->mmproj, plan, err))
        return false;
    if (params->sha256 != NULL && plan->count > 1)
        return err_set(err, ERR_USAGE, "--sha256 cannot be given for a split model");
    if (params->sha256 != NULL)
        memcpy(plan->files[0].sha256, params->sha256, SHA256_HEX);
    return true;
}
