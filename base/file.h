// base/file.h
// SPDX-License-Identifier: MIT
//
// Files: read-only mappings, whole small files, atomic replacement, directories of our
// own.
#ifndef ORIEL_BASE_FILE_H
#define ORIEL_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

// A regular file mapped read-only. The descriptor stays open, so that file_unchanged can
// tell whether somebody truncated or replaced the file after it was checked.
struct file_map {
    int fd; // -1: nothing is mapped
    const uint8_t *bytes;
    size_t size;
    int64_t mtime_ns;
};

bool file_map_open(struct file_map *map, const char *path, struct err *err);

// The same for a name in an open directory. Both follow symbolic links, as whoever names
// the file, or may write into its directory, could as well have put the file itself
// there; what is not a regular file behind them is refused, and opening it waits for
// nobody.
bool file_map_open_at(struct file_map *map, int directory, const char *name,
                      struct err *err);
void file_map_close(struct file_map *map); // also accepts a zeroed or closed map
bool file_map_unchanged(const struct file_map *map);

// Appends the whole file to out; ERR_LIMIT when it is larger than max_bytes.
bool file_read(const char *path, size_t max_bytes, struct str *out, struct err *err);

// Writes all of it, whatever write() takes at a time; false: errno says why not.
bool file_write_all(int fd, const void *bytes, size_t len);

// Writes to a temporary file beside path (mode 0600), syncs, and renames it over path.
bool file_replace(const char *path, const void *bytes, size_t len, struct err *err);

// Makes what was renamed into a directory, or removed from it, durable.
bool file_sync_directory(const char *path, struct err *err);

// A name for the contents of a large file without reading all of it (file_sample.c).
// Files that differ by accident have different ones; it is no defence against somebody
// who wants two files to look the same.
bool file_sample(const char *path, char hex[SHA256_HEX], struct err *err);

// Creates path and its missing parents with mode 0700.
bool file_make_directories(const char *path, struct err *err);

// "$VARIABLE/oriel" or "$HOME/fallback/oriel" (XDG base directories: VARIABLE is
// XDG_DATA_HOME and fallback ".local/share", and so on; a relative value is ignored, as
// the specification says). The caller frees it. NULL with ERR_NOT_FOUND when HOME is
// unset too.
char *file_xdg_directory(const char *variable, const char *fallback, struct err *err);

#endif
