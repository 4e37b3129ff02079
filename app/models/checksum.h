// app/models/checksum.h
// SPDX-License-Identifier: MIT
#ifndef ORIEL_APP_MODELS_CHECKSUM_H
#define ORIEL_APP_MODELS_CHECKSUM_H

#include <stdbool.h>
#include <stdint.h>

#include "app/models/meter.h"
#include "base/err.h"
#include "base/hash.h"

// 64 hexadecimal digits, in small letters.
bool sha256_valid(const char *text);

// The SHA-256 and the size of a file, as it is on disk. ERR_CANCELLED after Ctrl-C.
bool file_sha256(const char *path, struct meter *meter, char hex[SHA256_HEX],
                 uint64_t *size_bytes, struct err *err);

#endif
