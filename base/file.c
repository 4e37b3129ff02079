// base/file.c
// SPDX-License-Identifier: MIT
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

static int64_t mtime_ns(const struct stat *status)
{
    return (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;
}

// Takes the descriptor over, also when it fails; a negative one is open's failure.
static bool map_descriptor(struct file_map *map, int fd, const char *path,
                           struct err *err)
{
    struct stat status;
    void *bytes;

    *map = (struct file_map){ .fd = fd };
    if (fd < 0)
        return err_set_errno(err, "%s", path);
    if (fstat(fd, &status) < 0) {
        err_set_errno(err, "%s", path);
        goto fail;
    }
    if (!S_ISREG(status.st_mode)) {
        err_set(err, ERR_IO, "%s: not a regular file", path);
        goto fail;
    }
    if (status.st_size == 0) {
        err_set(err, ERR_FORMAT, "%s: the file is empty", path);
        goto fail;
    }
    bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        err_set_errno(err, "%s: cannot map the file", path);
        goto fail;
    }
    map->bytes = bytes;
    map->size = (size_t)status.st_size;
    map->mtime_ns = mtime_ns(&status);
    return true;

fail:
    file_map_close(map);
    return false;
}

bool file_map_open(struct file_map *map, const char *path, struct err *err)
{
    return map_descriptor(map, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), path, err);
}

bool file_map_open_at(struct file_map *map, int directory, const char *name,
                      struct err *err)
{
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    return map_descriptor(map, fd, name, err);
}

void file_map_close(struct file_map *map)
{
    if (map->bytes == NULL && map->fd <= 0)
        return;
    if (map->bytes != NULL)
        munmap((void *)(uintptr_t)map->bytes, map->size);
    close(map->fd);
    *map = (struct file_map){ .fd = -1 };
}

bool file_map_unchanged(const struct file_map *map)
{
    struct stat status;

    return fstat(map->fd, &status) == 0 && (size_t)status.st_size == map->size &&
           mtime_ns(&status) == map->mtime_ns;
}

bool file_read(const char *path, size_t max_bytes, struct str *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char buffer[16384];
    size_t total = 0;
    ssize_t got;

    if (fd < 0)
        return err_set_errno(err, "%s", path);
    while ((got = read(fd, buffer, sizeof(buffer))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            err_set_errno(err, "%s", path);
            break;
        }
        total += (size_t)got;
        if (total > max_bytes || !str_append_n(out, buffer, (size_t)got)) {
            err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path, max_bytes);
            got = -1;
            break;
        }
    }
    close(fd);
    return got == 0;
}

bool file_write_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        ssize_t put = write(fd, at, len);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return false;
        at += put;
        len -= (size_t)put;
    }
    return true;
}

bool file_sync_directory(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // EINVAL: a file system that knows no such thing.
    bool ok = (fd >= 0 && (fsync(fd) == 0 || errno == EINVAL)) ||
              err_set_errno(err, "%s: cannot sync", path);

    if (fd >= 0)
        close(fd);
    return ok;
}

static bool sync_directory_of(const char *path)
{
    char *directory = alloc_string(path);
    char *slash = strrchr(directory, '/');
    bool ok;

    if (slash != NULL)
        slash[slash == directory] = '\0';
    ok = file_sync_directory(slash != NULL ? directory : ".", NULL);
    free(directory);
    return ok;
}

bool file_replace(const char *path, const void *bytes, size_t len, struct err *err)
{
    char *temporary = alloc_printf("%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    bool ok = fd >= 0;

    if (ok) {
        ok = file_write_all(fd, bytes, len) && fsync(fd) == 0;
        ok = close(fd) == 0 && ok;
        ok = ok && rename(temporary, path) == 0 && sync_directory_of(path);
    }
    if (!ok) {
        err_set_errno(err, "%s: cannot write", path);
        if (fd >= 0)
            unlink(temporary);
    }
    free(temporary);
    return ok;
}

bool file_make_directories(const char *path, struct err *err)
{
    char *copy = alloc_string(path);
    bool ok = true;

    for (char *at = copy + 1; ok; at++) {
        char c = *at;

        if (c != '/' && c != '\0')
            continue;
        *at = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            ok = err_set_errno(err, "%s: cannot create the directory", copy);
        *at = c;
        if (c == '\0')
            break;
    }
    free(copy);
    return ok;
}

char *file_xdg_directory(const char *variable, const char *fallback, struct err *err)
{
    const char *value = getenv(variable);
    const char *home = getenv("HOME");

    if (value != NULL && value[0] == '/')
        return alloc_printf("%s/oriel", value);
    if (home != NULL && home[0] == '/')
        return alloc_printf("%s/%s/oriel", home, fallback);
    err_set(err, ERR_NOT_FOUND, "neither %s nor HOME names a directory", variable);
    return NULL;
}
