// app/models/identity.c
// SPDX-License-Identifier: MIT
#include "app/models/identity.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "app/models/store.h"
#include "base/alloc.h"
#include "base/file.h"

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

char *model_identity(const char *path)
{
    char *identity = NULL, hex[SHA256_HEX];
    struct stat status;

    if (stat(path, &status) == 0)
        identity = recorded(path, (uint64_t)status.st_size);
    if (identity == NULL && file_sample(path, hex, NULL))
        identity = alloc_printf("sample:%s", hex);
    return identity;
}
