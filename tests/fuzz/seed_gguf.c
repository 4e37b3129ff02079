// tests/fuzz/seed_gguf.c
// SPDX-License-Identifier: MIT
//
// Writes the good model of tests/engine/format and every broken one into a folder, for
// fuzz_gguf to begin with: seed_gguf FOLDER. corpus/gguf is what libFuzzer's -merge=1
// kept of these and of what it found.
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "tests/engine/format/broken_files.h"

static bool write_seed(const char *folder, size_t number, const struct str *file)
{
    char *path = alloc_printf("%s/%03zu", folder, number);
    struct err err = { .code = ERR_NONE };
    bool ok = file_replace(path, file->data, file->len, &err);

    if (!ok)
        fprintf(stderr, "%s\n", err.text);
    free(path);
    return ok;
}

int main(int argc, char **argv)
{
    struct gguf_writer writer;
    struct str file;
    bool ok = argc == 2;

    if (!ok)
        fputs("usage: seed_gguf FOLDER\n", stderr);
    str_init(&file, 0);
    gguf_writer_init(&writer);
    write_good_model(&writer);
    gguf_writer_finish(&writer, &file);
    ok = ok && write_seed(argv[1], 0, &file);
    for (size_t i = 0; ok && i < broken_file_count; i++) {
        build_broken_file(&broken_files[i], &file);
        ok = write_seed(argv[1], i + 1, &file);
    }
    gguf_writer_release(&writer);
    str_release(&file);
    return !ok;
}
