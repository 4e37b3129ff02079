// app/models/store.h
// SPDX-License-Identifier: MIT
//
// The models that are installed: $XDG_DATA_HOME/oriel/models (mode 0700) holds NAME.gguf,
// NAME.mmproj.gguf for models that can see (the parts of a split model as
// NAME-00001-of-00005.gguf and so on; names.h), and NAME.json, the record, which says
// where they came from. A model is there when its record is: pull writes it when all
// files are in place, rm removes it first.
#ifndef ORIEL_APP_MODELS_STORE_H
#define ORIEL_APP_MODELS_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/models/record.h"
#include "base/err.h"

struct model_files {
    char path[PATH_MAX];
    char mmproj[PATH_MAX]; // empty: the model has none
};

// What a person wrote after -m: a path, or the name of an installed model; NULL: the only
// one that is installed, else the default one. ERR_NOT_FOUND says what to do, such as
// `oriel pull NAME`.
bool models_resolve(const char *name_or_path, struct model_files *files, struct err *err);

// The name under which a file is installed as a model, or NULL. The caller frees it.
char *models_installed_name(const char *path);

// The folder, created if need be. The caller frees it.
char *models_directory(struct err *err);

// The path of name with suffix behind it in that folder. The caller frees it.
char *models_path(const char *name, const char *suffix, struct err *err);

// The names of all installed models, sorted.
struct model_names {
    char **items;
    size_t count, cap;
};
void model_names_release(struct model_names *names);
bool models_list(struct model_names *names, struct err *err);
// Of those that were begun to be pulled and are not installed.
bool models_list_begun(struct model_names *names, struct err *err);

// Removes an installed model, and what an interrupted pull of it left, whole: every file
// that belongs to the name, whatever the record says. ERR_BUSY while it is being pulled.
bool models_remove(const char *name, struct err *err);
// Removes the files that belong to the name and that the record does not name.
bool models_sweep(const struct model_record *record, struct err *err);

#endif
