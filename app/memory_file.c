// app/memory_file.c
// SPDX-License-Identifier: MIT
#include "app/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define CHUNK_BYTES 65536

int memory_file_create(struct err *err)
{
    int fd = memfd_create("oriel-bytes", MFD_CLOEXEC);

    if (fd < 0)
        err_set_errno(err, "a file in memory");
    return fd;
}

int memory_file(const void *bytes, size_t len, struct err *err)
{
    int fd = memory_file_create(err);

    if (fd < 0 || file_write_all(fd, bytes, len))
        return fd;
    err_set_errno(err, "a file in memory");
    close(fd);
    return -1;
}

int memory_file_attachment(struct sessions *sessions, const char *hash, struct err *err)
{
    struct sessions_attachment attachment;
    struct str bytes;
    int fd = -1;

    str_init(&bytes, 0);
    if (sessions_load_attachment(sessions, hash, &bytes, &attachment, err))
        fd = memory_file(bytes.data, bytes.len, err);
    str_release(&bytes);
    return fd;
}

static bool copy(int from, int to, size_t max, const char *path, struct err *err)
{
    char chunk[CHUNK_BYTES];
    size_t total = 0;
    ssize_t n;

    while ((n = read(from, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(err, "%s", path);
        total += (size_t)n;
        if (total > max)
            return err_set(err, ERR_LIMIT, "%s: larger than the limit of %zu MiB", path,
                           max >> 20);
        if (!file_write_all(to, chunk, (size_t)n))
            return err_set_errno(err, "a file in memory");
    }
    return true;
}

int memory_file_copy(const char *path, size_t max, struct err *err)
{
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), to = -1;
    struct stat status;
    bool ok;

    if (from < 0 || fstat(from, &status) != 0)
        ok = err_set_errno(err, "%s", path);
    else if (!S_ISREG(status.st_mode))
        ok = err_set(err, ERR_USAGE, "%s: not a file", path);
    else
        ok = (to = memory_file_create(err)) >= 0 && copy(from, to, max, path, err);
    if (from >= 0)
        close(from);
    if (ok)
        return to;
    if (to >= 0)
        close(to);
    return -1;
}

const void *memory_file_map(int fd, size_t *len, struct err *err)
{
    struct stat status;
    void *bytes;

    if (fstat(fd, &status) != 0) {
        err_set_errno(err, "a file in memory");
        return NULL;
    }
    *len = (size_t)status.st_size;
    if (*len == 0) {
        err_set(err, ERR_USAGE, "there is nothing in it");
        return NULL;
    }
    bytes = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes != MAP_FAILED)
        return bytes;
    err_set_errno(err, "a file in memory");
    return NULL;
}

void memory_file_unmap(const void *bytes, size_t len)
{
    munmap((void *)(uintptr_t)bytes, len);
}
