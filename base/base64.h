// base/base64.h
// SPDX-License-Identifier: MIT
//
// Base64 with padding (RFC 4648, section 4), for bytes that must travel inside JSON.
#ifndef ORIEL_BASE_BASE64_H
#define ORIEL_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

// Appends to out.
bool base64_encode(const char *bytes, size_t len, struct str *out);
// Strict: no other characters, no missing padding, no bits left over.
bool base64_decode(const char *text, size_t len, struct str *out);

#endif
