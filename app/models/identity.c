// app/models/identity.c
// SPDX-License-Identifier: MIT
#include "app/models/identity.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/models/store.h"
#include "base/alloc.h"
#include "base/hash.h"

#define HEAD_BYTES    ((size_t)1 << 20)
#define BLOCK_BYTES   4096
#define SAMPLED_COUNT 64

// The checksum that pull has written down, if the file still has the size it had then.
static char *recorded(const char *path, uint64_t size)
{
    char *name = models_installed_name(path), *identity = NULL;
    struct model_record record = { 0 };

    if (name != NULL && model_record_read(name, &record, &(struct err){ 0 }) &&
        record.count == 1 && record.files[0].size_bytes == size &&
        record.files[0].sha256[0] != '\0')
        identity = alloc_printf("sha256:%s", record.files[0].sha256);
    model_record_release(&record);
    free(name);
    return identity;
}

static bool add(struct sha256 *hash, int fd, uint64_t offset, size_t len)
{
    char *bytes = alloc_array(len, 1);
    ssize_t n = pread(fd, bytes, len, (off_t)offset);

    if (n > 0)
        sha256_update(hash, bytes, (size_t)n);
    free(bytes);
    return n >= 0;
}

static char *sampled(int fd, uint64_t size)
{
    unsigned char digest[SHA256_BYTES];
    char hex[SHA256_HEX];
    struct sha256 hash;
    bool ok;

    sha256_init(&hash);
    sha256_update(&hash, &size, sizeof(size));
    ok = add(&hash, fd, 0, HEAD_BYTES);
    for (uint64_t i = 1; ok && size > HEAD_BYTES && i <= SAMPLED_COUNT; i++)
        ok = add(&hash, fd, size / SAMPLED_COUNT * i - BLOCK_BYTES, BLOCK_BYTES);
    if (!ok)
        return NULL;
    sha256_final(&hash, digest);
    sha256_hex(digest, hex);
    return alloc_printf("sample:%s", hex);
}

char *model_identity(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *identity = NULL;
    struct stat status;

    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0) {
        identity = recorded(path, (uint64_t)status.st_size);
        if (identity == NULL)
            identity = sampled(fd, (uint64_t)status.st_size);
    }
    close(fd);
    return identity;
}
