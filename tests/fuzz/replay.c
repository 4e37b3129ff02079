// tests/fuzz/replay.c
// SPDX-License-Identifier: MIT
//
// Stands in for libFuzzer in a normal build: feeds files to the target that it is linked
// with and prints TAP. Every file must be done within one second of processor time; a
// crash ends the program, and the last line says in which file.
//
//     fuzz_NAME [FILE | DIRECTORY]...    without arguments:
//     $top_srcdir/tests/fuzz/corpus/NAME
#include <dirent.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

#define INPUT_MAX   ((size_t)16 << 20)
#define CPU_SECONDS 1.0
#define HANG_AFTER  60 // seconds until the program is killed

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct replay {
    int count;
    int failed;
};

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void report(struct replay *replay, const char *path, const char *problem)
{
    printf("%sok %d - %s%s%s\n", problem != NULL ? "not " : "", ++replay->count, path,
           problem != NULL ? ": " : "", problem != NULL ? problem : "");
    replay->failed += problem != NULL;
}

static void replay_file(struct replay *replay, const char *path)
{
    struct err err = { .code = ERR_NONE };
    struct str input;
    double start;

    str_init(&input, INPUT_MAX);
    if (!file_read(path, INPUT_MAX, &input, &err)) {
        report(replay, path, err.text);
    } else {
        // An own block of the exact size, so that AddressSanitizer sees the first byte
        // past it.
        uint8_t *exact = alloc_zero(input.len);

        memcpy(exact, input.data, input.len);
        printf("# %s\n", path);
        alarm(HANG_AFTER);
        start = cpu_seconds();
        LLVMFuzzerTestOneInput(exact, input.len);
        alarm(0);
        report(replay, path,
               cpu_seconds() - start > CPU_SECONDS ? "took more than a second" : NULL);
        free(exact);
    }
    str_release(&input);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay_path(struct replay *replay, const char *path)
{
    struct dirent **entries;
    struct stat status;
    int count;

    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        replay_file(replay, path);
        return;
    }
    count = scandir(path, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        char *inside = alloc_printf("%s/%s", path, entries[i]->d_name);

        replay_file(replay, inside);
        free(inside);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    if (count <= 0)
        report(replay, path, "there are no files");
}

// The program fuzz_NAME belongs to tests/fuzz/corpus/NAME.
static void replay_corpus(struct replay *replay, char *program)
{
    const char *top = getenv("top_srcdir");
    const char *name = basename(program);
    char *corpus;

    if (strncmp(name, "fuzz_", 5) == 0)
        name += 5;
    corpus = alloc_printf("%s/tests/fuzz/corpus/%s", top != NULL ? top : ".", name);
    replay_path(replay, corpus);
    free(corpus);
}

int main(int argc, char **argv)
{
    struct replay replay = { .count = 0 };

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++)
        replay_path(&replay, argv[i]);
    if (argc < 2)
        replay_corpus(&replay, argv[0]);
    printf("1..%d\n", replay.count);
    return replay.failed > 0;
}
