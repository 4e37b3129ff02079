// base/file_sample.c
// SPDX-License-Identifier: MIT
//
// A short name for the contents of a large file, made in milliseconds: SHA-256 over its
// size, its first MiB and 64 blocks of 4 KiB spread evenly over the rest. In a model file
// the first MiB holds the metadata, with the chat template.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

#define HEAD_BYTES    ((size_t)1 << 20)
#define BLOCK_BYTES   4096
#define SAMPLED_COUNT 64

static bool add(struct sha256 *hash, int fd, uint64_t offset, size_t len)
{
    char *bytes = alloc_array(len, 1);
    ssize_t n = pread(fd, bytes, len, (off_t)offset);

    if (n > 0)
        sha256_update(hash, bytes, (size_t)n);
    free(bytes);
    return n >= 0;
}

bool file_sample(const char *path, char hex[SHA256_HEX], struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char digest[SHA256_BYTES];
    struct sha256 hash;
    struct stat status;
    uint64_t size;
    bool ok = fd >= 0 && fstat(fd, &status) == 0;

    if (ok) {
        size = (uint64_t)status.st_size;
        sha256_init(&hash);
        sha256_update(&hash, &size, sizeof(size));
        ok = add(&hash, fd, 0, HEAD_BYTES);
        for (uint64_t i = 1; ok && size > HEAD_BYTES && i <= SAMPLED_COUNT; i++)
            ok = add(&hash, fd, size / SAMPLED_COUNT * i - BLOCK_BYTES, BLOCK_BYTES);
    }
    if (!ok)
        err_set_errno(err, "%s", path);
    if (fd >= 0)
        close(fd);
    if (!ok)
        return false;
    sha256_final(&hash, digest);
    sha256_hex(digest, hex);
    return true;
}
