// app/pictures/decode_role.c
// SPDX-License-Identifier: MIT
//
// The decode process: untrusted bytes in, pixels out. Both are memory that is mapped
// before the sandbox is entered, so that inside it no descriptor and no system call is
// needed to bring them in or out. Not a byte of the picture is looked at outside of it.
#include "app/pictures/decode_role.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "app/pictures/answer.h"
#include "app/pictures/sandbox.h"

static const struct sandbox_limits limits = {
    .memory_bytes = (size_t)2 << 30, // the largest picture, its coefficients, and turned
    .cpu_seconds = 10,
};

static bool map_input(struct image_source *source, struct err *err)
{
    struct stat status;
    void *bytes;

    if (fstat(DECODE_INPUT_FD, &status) != 0)
        return err_set_errno(err, "cannot be read");
    if (status.st_size <= 0 || (uint64_t)status.st_size > IMAGE_INPUT_MAX)
        return err_set(err, ERR_IO, "the file changed while it was read");
    bytes =
        mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, DECODE_INPUT_FD, 0);
    if (bytes == MAP_FAILED)
        return err_set_errno(err, "cannot be read");
    *source = (struct image_source){ bytes, (size_t)status.st_size };
    return true;
}

int decode_role_run(void)
{
    struct err err = { .code = ERR_NONE };
    struct image_request request;
    struct image_source source;
    struct image image;
    uint8_t *memory = mmap(NULL, DECODE_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED,
                           DECODE_OUTPUT_FD, 0);
    uint8_t *page;
    bool ok;

    if (memory == MAP_FAILED)
        return 1;
    page = memory + DECODE_PIXEL_BYTES;
    ok = request_read(page, &request) ||
         err_set(&err, ERR_FORMAT, "it was asked for nothing");
    ok = ok && map_input(&source, &err);
    if (ok && !sandbox_enter(&limits, &err))
        ok = err_prefix(&err, "no picture is decoded without a sandbox");
    ok = ok && image_decode(&source, &request, &image, memory, &err);
    answer_write(page, ok ? &image : NULL, &err);
    return 0;
}
