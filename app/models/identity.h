// app/models/identity.h
// SPDX-License-Identifier: MIT
//
// Which model file a reply was made with, without reading gigabytes: "sha256:HEX" from
// the record of an installed model, else "sample:HEX", as file_sample (base/file.h) makes
// it.
#ifndef ORIEL_APP_MODELS_IDENTITY_H
#define ORIEL_APP_MODELS_IDENTITY_H

// NULL when the file cannot be read. The caller frees it.
char *model_identity(const char *path);

#endif
