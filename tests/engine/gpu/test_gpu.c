// tests/engine/gpu/test_gpu.c
// SPDX-License-Identifier: MIT
//
// The device layer without a model: choosing a device, moving bytes, and the pipeline cache
// on disk, which is untrusted.
#include "tests/tap.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "engine/gpu/gpu.h"
#include "engine/gpu/kernels.h"

static struct gpu *open_default(const char *cache_directory)
{
    struct gpu_params params = { .cache_directory = cache_directory };
    struct err err = { .code = ERR_NONE };
    struct gpu *gpu = gpu_open(&params, &err);

    if (gpu == NULL)
        tap_skip("no Vulkan device: %s", err.text);
    return gpu;
}

static void devices_are_found_by_index_and_name(void)
{
    struct gpu_traits *list;
    struct err err = { .code = ERR_NONE };
    size_t count = gpu_list(&list, &err);

    if (count == 0)
        tap_skip("no Vulkan device: %s", err.text);
    for (size_t i = 0; i < count; i++) {
        char index[24];
        struct gpu_params params = { .device = index };
        struct gpu *gpu;

        snprintf(index, sizeof(index), "%zu", i);
        gpu = gpu_open(&params, &err);
        CHECK(gpu != NULL);
        if (gpu != NULL)
            CHECK_STR(gpu_traits(gpu)->name, list[i].name);
        gpu_close(&gpu);
        params.device = list[i].name;
        gpu = gpu_open(&params, &err);
        CHECK(gpu != NULL);
        gpu_close(&gpu);
    }
    free(list);
}

static void an_unknown_device_is_named(void)
{
    struct gpu_params params = { .device = "Voodoo 2" };
    struct err err = { .code = ERR_NONE };
    struct gpu_traits *list;
    size_t count = gpu_list(&list, &err);
    struct gpu *gpu;

    free(list);
    if (count == 0) {
        tap_skip("no Vulkan device: %s", err.text);
        return;
    }
    gpu = gpu_open(&params, &err);
    CHECK(gpu == NULL);
    CHECK_INT(err.code, ERR_NOT_FOUND);
    CHECK(strstr(err.text, "Voodoo 2") != NULL);
    gpu_close(&gpu);
}

// Through the mapping, and through the staging buffer, in more than one piece.
static void move_bytes(const char *disable)
{
    const size_t size = ((size_t)16 << 20) * 2 + 4096 + 16;
    struct gpu *gpu;
    struct gpu_buffer buffer;
    struct err err = { .code = ERR_NONE };
    unsigned char *bytes, *back;

    setenv("ORIEL_DISABLE", disable, 1);
    gpu = open_default(NULL);
    if (gpu == NULL)
        return;
    bytes = alloc_zero(size);
    back = alloc_zero(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 251);
    CHECK(gpu_buffer_create(gpu, &buffer, size, GPU_PLACE_DEVICE, "bytes", &err));
    CHECK(gpu_allocated_bytes(gpu) >= size);
    CHECK(gpu_zero(gpu, &buffer, &err));
    CHECK(gpu_read(gpu, &buffer, 0, back, size, &err));
    CHECK(back[0] == 0 && memcmp(back, back + 1, size - 1) == 0);
    CHECK(gpu_write(gpu, &buffer, 16, bytes + 16, size - 16, &err));
    CHECK(gpu_read(gpu, &buffer, 16, back + 16, size - 16, &err));
    CHECK(memcmp(back + 16, bytes + 16, size - 16) == 0);
    gpu_buffer_destroy(gpu, &buffer);
    free(bytes);
    free(back);
    gpu_close(&gpu);
    unsetenv("ORIEL_DISABLE");
}

static void bytes_move_where_memory_is_mapped(void)
{
    move_bytes("");
}

static void bytes_move_where_memory_is_staged(void)
{
    move_bytes("unified");
}

static void too_much_memory_is_refused_with_the_numbers(void)
{
    struct gpu *gpu = open_default(NULL);
    struct gpu_buffer buffer;
    struct err err = { .code = ERR_NONE };

    if (gpu == NULL)
        return;
    CHECK(!gpu_buffer_create(gpu, &buffer, (uint64_t)1 << 46, GPU_PLACE_DEVICE, "the moon",
                             &err));
    CHECK_INT(err.code, ERR_MEMORY);
    CHECK(strstr(err.text, "the moon") != NULL && strstr(err.text, "MiB") != NULL);
    CHECK_INT(gpu_allocated_bytes(gpu), 0);
    gpu_close(&gpu);
}

// Compiles one kernel and runs it: 1 when the result is right.
static bool kernel_works(struct gpu *gpu)
{
    struct gpu_buffer y;
    struct gpu_recording *recording;
    struct err err = { .code = ERR_NONE };
    float values[64] = { 0 }, back[64];
    bool ok;

    for (int i = 0; i < 64; i++)
        values[i] = (float)(i - 32);
    recording = gpu_recording_create(gpu, &err);
    ok = gpu_buffer_create(gpu, &y, sizeof(values), GPU_PLACE_DEVICE, "values", &err) &&
         gpu_write(gpu, &y, 0, values, sizeof(values), &err) && recording != NULL &&
         gpu_record_begin(recording, &err) &&
         kernel_softcap(gpu, recording, &y, 64, 10.0f, &err) &&
         gpu_record_end(recording, &err) && gpu_run(recording, &err) &&
         gpu_read(gpu, &y, 0, back, sizeof(back), &err);
    for (int i = 0; ok && i < 64; i++)
        ok = fabs((double)back[i] - 10.0 * tanh((double)values[i] / 10.0)) < 1e-4;
    gpu_recording_destroy(&recording);
    gpu_buffer_destroy(gpu, &y);
    return ok;
}

// The one file in a folder, or NULL.
static char *only_file(const char *folder)
{
    DIR *directory = opendir(folder);
    char *path = NULL;
    int files = 0;

    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        free(path);
        path = alloc_printf("%s/%s", folder, entry->d_name);
        files++;
    }
    if (directory != NULL)
        closedir(directory);
    CHECK_INT(files, 1);
    return path;
}

// Opens a device with the cache, checks that a kernel works, closes (which saves the cache).
static bool cycle(const char *folder)
{
    struct gpu *gpu = open_default(folder);
    bool ok = gpu != NULL && kernel_works(gpu);

    gpu_close(&gpu);
    return ok;
}

static void a_damaged_pipeline_cache_is_ignored(void)
{
    char folder[] = "/tmp/oriel-cache-XXXXXX";
    struct err err = { .code = ERR_NONE };
    struct stat status;
    struct str good;
    char *path;

    REQUIRE(mkdtemp(folder) != NULL);
    if (!cycle(folder)) {
        CHECK(tap_skip_reason[0] != '\0');
        rmdir(folder);
        return;
    }
    path = only_file(folder);
    REQUIRE(path != NULL && stat(path, &status) == 0);
    CHECK_INT(status.st_mode & 0777, 0600);
    str_init(&good, 64 << 20);
    CHECK(file_read(path, 64 << 20, &good, &err));
    CHECK(good.len > 32 + 16);
    for (size_t i = 0; i < 5; i++) {
        size_t len = i == 0 ? 0 : i == 1 ? 31 : i == 2 ? 40 : good.len;
        char *bad = alloc_string_n(good.data, good.len);

        if (i == 3)
            bad[good.len - 1] ^= 1;
        if (i == 4)
            memset(bad + 32, 0xFF, good.len - 32);
        CHECK(file_replace(path, bad, len, &err));
        free(bad);
        CHECK(cycle(folder));
    }
    str_release(&good);
    unlink(path);
    free(path);
    CHECK(rmdir(folder) == 0);
}

static void a_cache_that_cannot_be_written_does_not_matter(void)
{
    CHECK(cycle("/proc/oriel-cannot-be-here") || tap_skip_reason[0] != '\0');
}

static const struct test tests[] = {
    { "devices are found by index and name", devices_are_found_by_index_and_name },
    { "an unknown device is named", an_unknown_device_is_named },
    { "bytes move where memory is mapped", bytes_move_where_memory_is_mapped },
    { "bytes move where memory is staged", bytes_move_where_memory_is_staged },
    { "too much memory is refused with the numbers",
      too_much_memory_is_refused_with_the_numbers },
    { "a damaged pipeline cache is ignored", a_damaged_pipeline_cache_is_ignored },
    { "a cache that cannot be written does not matter",
      a_cache_that_cannot_be_written_does_not_matter },
};
TAP_MAIN(tests)
