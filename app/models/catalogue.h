// app/models/catalogue.h
// SPDX-License-Identifier: MIT
//
// Models that oriel knows by name: where their files are and under which licence. A table
// and nothing else. Exact sizes and checksums stand here only where they were measured;
// for the others the server says them, and pull checks what arrives against that. About
// how large those are, a person wants to know before.
#ifndef ORIEL_APP_MODELS_CATALOGUE_H
#define ORIEL_APP_MODELS_CATALOGUE_H

#include <stdbool.h>
#include <stdint.h>

struct catalogue_file {
    const char *source;  // as `oriel pull` takes it; NULL: there is none
    const char *sha256;  // hexadecimal, or NULL: not known
    uint64_t size_bytes; // 0: not known
    unsigned about_mb;   // where it is not: millions of bytes
};

struct catalogue_entry {
    const char *name;
    const char *family; // "SmolLM2 135M"
    const char *kind;   // "Instruct Q4_1"
    const char *licence;
    struct catalogue_file model;
    struct catalogue_file mmproj; // of models that can see
};

extern const struct catalogue_entry catalogue[]; // ends with a NULL name

// NULL when there is none of that name.
const struct catalogue_entry *catalogue_find(const char *name);
// The most similar name, or NULL when none is similar.
const struct catalogue_entry *catalogue_nearest(const char *name);
// Of all its files; *measured: whether that is exact.
uint64_t catalogue_bytes(const struct catalogue_entry *entry, bool *measured);
// What to pull first: small, free, and there without an account.
const struct catalogue_entry *catalogue_default(void);

#endif
