// app/models/checksum.c
// SPDX-License-Identifier: MIT
#include "app/models/checksum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/interrupt.h"
#include "base/alloc.h"

#define CHUNK ((size_t)1 << 20)

bool sha256_valid(const char *text)
{
    return strlen(text) == SHA256_HEX - 1 &&
           text[strspn(text, "0123456789abcdef")] == '\0';
}

static bool hash_all(int fd, const char *path, struct meter *meter, struct sha256 *hash,
                     uint64_t *size_bytes, struct err *err)
{
    char *buffer = alloc_array(CHUNK, 1);
    bool ok = true;
    ssize_t got = 0;

    *size_bytes = 0;
    while (ok && (got = read(fd, buffer, CHUNK)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            ok = err_set_errno(err, "%s", path);
        } else {
            sha256_update(hash, buffer, (size_t)got);
            *size_bytes += (uint64_t)got;
            meter_update(meter, *size_bytes);
            ok = !interrupted() || err_set(err, ERR_CANCELLED, "stopped");
        }
    }
    free(buffer);
    return ok;
}

bool file_sha256(const char *path, struct meter *meter, char hex[SHA256_HEX],
                 uint64_t *size_bytes, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char digest[SHA256_BYTES];
    const char *slash = strrchr(path, '/');
    struct sha256 hash;
    struct stat status;
    char *what;
    bool ok;

    if (fd < 0)
        return err_set_errno(err, "%s", path);
    what = alloc_printf("checking %s", slash != NULL ? slash + 1 : path);
    meter_begin(meter, what, 0, fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0);
    free(what);
    sha256_init(&hash);
    ok = hash_all(fd, path, meter, &hash, size_bytes, err);
    close(fd);
    meter_erase(meter);
    if (ok) {
        sha256_final(&hash, digest);
        sha256_hex(digest, hex);
    }
    return ok;
}
