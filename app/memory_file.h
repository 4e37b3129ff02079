// app/memory_file.h
// SPDX-License-Identifier: MIT
//
// Files in memory, for bytes that are handed to another process.
#ifndef ORIEL_APP_MEMORY_FILE_H
#define ORIEL_APP_MEMORY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sessions/sessions.h"

// An empty one that can be written; -1 with err set.
int memory_file_create(struct err *err);
// One that holds these bytes.
int memory_file(const void *bytes, size_t len, struct err *err);
// One that holds the original bytes of a stored attachment.
int memory_file_attachment(struct sessions *sessions, const char *hash, struct err *err);
// A copy of a regular file: what becomes of the file later does not matter. ERR_LIMIT
// when it has more than max bytes; every error begins with the path.
int memory_file_copy(const char *path, size_t max, struct err *err);

// Its bytes, mapped, until memory_file_unmap. NULL with err set, or when it is empty.
const void *memory_file_map(int fd, size_t *len, struct err *err);
void memory_file_unmap(const void *bytes, size_t len);

#endif
