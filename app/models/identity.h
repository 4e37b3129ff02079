// app/models/identity.h
// SPDX-License-Identifier: MIT
//
// Which model file a reply was made with, without reading gigabytes: "sha256:HEX" from
// the record of an installed model, else "sample:HEX", the SHA-256 over the file's size,
// its first MiB (where the metadata is, with the chat template) and 64 blocks of 4 KiB
// spread evenly over the rest. Files that differ by accident have different samples; it
// is no defence against somebody who wants two files to look the same.
#ifndef ORIEL_APP_MODELS_IDENTITY_H
#define ORIEL_APP_MODELS_IDENTITY_H

// NULL when the file cannot be read. The caller frees it.
char *model_identity(const char *path);

#endif
