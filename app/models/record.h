// app/models/record.h
// SPDX-License-Identifier: MIT
//
// The record of an installed model, models/NAME.json: what its files are and where they
// came from. Records are read as untrusted: one of the model NAME can only name the files
// that NAME may have (names.h), all of the same stem.
#ifndef ORIEL_APP_MODELS_RECORD_H
#define ORIEL_APP_MODELS_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/models/names.h"
#include "base/err.h"
#include "base/hash.h"

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

// All files of the model, the projector last; NULL past the end.
struct model_file *model_record_file(const struct model_record *record, size_t index);
// Which stem its files have.
enum stem model_record_stem(const struct model_record *record);

// ERR_NOT_FOUND when the model is not installed.
bool model_record_read(const char *name, struct model_record *record, struct err *err);
// Replaces the record of that name in one step; the files must be there already. What is
// not ready yet is only in `scratch`, a folder on the same file system.
bool model_record_write(const struct model_record *record, const char *scratch,
                        struct err *err);
// With "path", and "mmproj" where there is one.
json_t *model_record_json(const struct model_record *record, struct err *err);

#endif
