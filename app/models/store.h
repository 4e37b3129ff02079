// app/models/store.h
// SPDX-License-Identifier: MIT
//
// The models that are installed: $XDG_DATA_HOME/oriel/models (mode 0700) holds NAME.gguf,
// NAME.mmproj.gguf for models that can see (the parts of a split model as
// NAME-00001-of-00005.gguf and so on), and NAME.json, the record, which says where they
// came from. A model is there when its record is: pull writes it last, rm removes it
// first.
//
// Records are read as untrusted: a file of a model is always a plain name in that folder.
#ifndef ORIEL_APP_MODELS_STORE_H
#define ORIEL_APP_MODELS_STORE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"

#define MODEL_NAME_MAX  64
#define MODEL_PARTS_MAX 256

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

// Letters, digits and "._-", beginning with a letter or digit, at most MODEL_NAME_MAX.
bool model_name_valid(const char *name);

struct model_file {
    char *file; // its name in the folder
    char *source;
    char sha256[SHA256_HEX];
    uint64_t size_bytes;
};

struct model_record {
    char *name;
    char *source;             // what pull was asked for
    char *licence;            // NULL: not known
    char *date;               // ISO 8601, UTC
    struct model_file *files; // [count]: the model, or its parts in order
    size_t count;
    struct model_file mmproj; // file NULL: there is none
};
void model_record_release(struct model_record *record);
uint64_t model_record_bytes(const struct model_record *record); // of all files

// ERR_NOT_FOUND when the model is not installed.
bool model_record_read(const char *name, struct model_record *record, struct err *err);
bool model_record_write(const struct model_record *record, struct err *err);
// With "path", and "mmproj" where there is one.
json_t *model_record_json(const struct model_record *record, struct err *err);

// The names of all installed models, sorted.
struct model_names {
    char **items;
    size_t count, cap;
};
void model_names_release(struct model_names *names);
bool models_list(struct model_names *names, struct err *err);

// Removes an installed model, whole.
bool models_remove(const char *name, struct err *err);

#endif
