// engine/picture_cache.c
// SPDX-License-Identifier: MIT
//
// Embeddings on disk, one file for each picture, model, device and version. A cache,
// never the truth: what cannot be read or does not check out is computed again, and
// nothing is reported when it cannot be written.
//
// A file: "ORLPIC01", little-endian u32 item count, embedding count, width, tile count;
// for each item u32 kind, first, count, rows, columns, length of the marker and its
// bytes; the embeddings as f32; SHA-256 of all that.
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "config.h"
#include "engine/pictures.h"

#define MAGIC           "ORLPIC01"
#define MAGIC_BYTES     8
#define ITEMS_MAX       65536
#define MARKER_MAX      4096
#define EMBEDDINGS_MAX  ((size_t)1 << 24)
#define CACHE_MAX_BYTES ((int64_t)1 << 30)
#define CACHE_MAX_FILES 4096

// Changes whenever an encoder gives other numbers than before.
#define ENCODER_REVISION "1"

static char *cache_path(const struct vision *vision, const char *hash)
{
    const char *const parts[] = { hash, vision->sample, vision->device,
                                  PACKAGE_VERSION, ENCODER_REVISION };
    unsigned char digest[SHA256_BYTES];
    char name[SHA256_HEX];
    struct sha256 key;

    sha256_init(&key);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        sha256_update(&key, parts[i], strlen(parts[i]) + 1);
    sha256_final(&key, digest);
    sha256_hex(digest, name);
    return alloc_printf("%s/%s", vision->cache, name);
}

// ---------------------------------------------------------------------------
// Reading

struct reader {
    const uint8_t *at, *end;
    bool ok;
};

static const uint8_t *take(struct reader *r, size_t size)
{
    const uint8_t *bytes = r->at;

    if ((size_t)(r->end - r->at) < size)
        r->ok = false;
    if (!r->ok)
        return NULL;
    r->at += size;
    return bytes;
}

static uint32_t take_u32(struct reader *r)
{
    const uint8_t *b = take(r, 4);

    return b == NULL
               ? 0
               : b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static bool take_item(struct reader *r, const struct picture *picture,
                      struct vision_item *item)
{
    uint32_t kind = take_u32(r), len;
    const uint8_t *marker;

    item->first = take_u32(r);
    item->count = take_u32(r);
    item->rows = take_u32(r);
    item->columns = take_u32(r);
    len = take_u32(r);
    if (!r->ok || kind > VISION_EMBEDDINGS || len > MARKER_MAX ||
        item->first > picture->embedding_count ||
        item->count > picture->embedding_count - item->first ||
        (item->rows != 0 && (uint64_t)item->rows * item->columns != item->count))
        return false;
    item->kind = (enum vision_item_kind)kind;
    marker = take(r, len);
    if (marker == NULL || memchr(marker, '\0', len) != NULL)
        return false;
    if (item->kind == VISION_MARKER)
        item->marker = alloc_string_n((const char *)marker, len);
    return true;
}

static bool take_picture(struct reader *r, struct picture *picture, uint32_t width)
{
    const uint8_t *magic = take(r, MAGIC_BYTES), *values;
    uint32_t items = take_u32(r), embeddings = take_u32(r);
    size_t bytes;

    picture->width = take_u32(r);
    picture->tile_count = take_u32(r);
    if (!r->ok || memcmp(magic, MAGIC, MAGIC_BYTES) != 0 || picture->width != width ||
        items > ITEMS_MAX || embeddings > EMBEDDINGS_MAX)
        return false;
    picture->embedding_count = embeddings;
    picture->items = alloc_array(items, sizeof(*picture->items));
    for (; picture->item_count < items; picture->item_count++)
        if (!take_item(r, picture, &picture->items[picture->item_count]))
            return false;
    bytes = (size_t)embeddings * width * sizeof(float);
    values = take(r, bytes);
    if (values == NULL || r->at != r->end)
        return false;
    picture->embeddings = try_array((size_t)embeddings * width, sizeof(float));
    if (picture->embeddings == NULL)
        return false;
    memcpy(picture->embeddings, values, bytes);
    return true;
}

static bool checks_out(const struct file_map *map)
{
    unsigned char digest[SHA256_BYTES];

    if (map->size < SHA256_BYTES)
        return false;
    sha256_of(map->bytes, map->size - SHA256_BYTES, digest);
    return memcmp(digest, map->bytes + map->size - SHA256_BYTES, SHA256_BYTES) == 0;
}

struct picture *picture_cache_load(const struct vision *vision, const char *hash,
                                   uint32_t width)
{
    struct file_map map = { .fd = -1 };
    struct picture *picture = NULL;
    char *path;

    if (vision->cache == NULL)
        return NULL;
    path = cache_path(vision, hash);
    if (file_map_open(&map, path, NULL) && checks_out(&map)) {
        struct reader reader = { map.bytes, map.bytes + map.size - SHA256_BYTES, true };

        picture = alloc_zero(sizeof(*picture));
        memcpy(picture->hash, hash, sizeof(picture->hash));
        if (take_picture(&reader, picture, width)) {
            utimensat(AT_FDCWD, path, NULL, 0); // used now: not the next to go
        } else {
            picture_destroy(picture);
            picture = NULL;
        }
    }
    file_map_close(&map);
    free(path);
    return picture;
}

// ---------------------------------------------------------------------------
// Writing

static void put_u32(struct str *out, size_t value)
{
    for (unsigned shift = 0; shift < 32; shift += 8)
        str_append_char(out, (char)(value >> shift & 0xFF));
}

static void put_item(struct str *out, const struct vision_item *item)
{
    size_t len = item->kind == VISION_MARKER ? strlen(item->marker) : 0;

    put_u32(out, item->kind);
    put_u32(out, item->first);
    put_u32(out, item->count);
    put_u32(out, item->rows);
    put_u32(out, item->columns);
    put_u32(out, len);
    str_append_n(out, item->marker, len);
}

static void put_picture(struct str *out, const struct picture *picture)
{
    unsigned char digest[SHA256_BYTES];

    str_append_n(out, MAGIC, MAGIC_BYTES);
    put_u32(out, picture->item_count);
    put_u32(out, picture->embedding_count);
    put_u32(out, picture->width);
    put_u32(out, picture->tile_count);
    for (size_t i = 0; i < picture->item_count; i++)
        put_item(out, &picture->items[i]);
    str_append_n(out, (const char *)picture->embeddings,
                 picture->embedding_count * picture->width * sizeof(float));
    sha256_of(out->data, out->len, digest);
    str_append_n(out, (const char *)digest, sizeof(digest));
}

struct cached_file {
    char name[SHA256_HEX];
    int64_t size;
    struct timespec used;
};

static int by_use(const void *a, const void *b)
{
    const struct timespec *left = &((const struct cached_file *)a)->used;
    const struct timespec *right = &((const struct cached_file *)b)->used;

    if (left->tv_sec != right->tv_sec)
        return left->tv_sec < right->tv_sec ? -1 : 1;
    return (left->tv_nsec > right->tv_nsec) - (left->tv_nsec < right->tv_nsec);
}

static size_t list_files(DIR *folder, struct cached_file *files, int64_t *total)
{
    size_t count = 0;
    struct dirent *entry;

    while (count < CACHE_MAX_FILES && (entry = readdir(folder)) != NULL) {
        struct stat status;

        if (strlen(entry->d_name) != SHA256_HEX - 1 ||
            fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(status.st_mode))
            continue;
        memcpy(files[count].name, entry->d_name, SHA256_HEX);
        files[count].size = status.st_size;
        files[count++].used = status.st_mtim;
        *total += status.st_size;
    }
    return count;
}

// Removes what has not been used for longest until there is room for `more` bytes.
static void prune(const char *path, int64_t more)
{
    DIR *folder = opendir(path);
    struct cached_file *files;
    int64_t total = more;
    size_t count;

    if (folder == NULL)
        return;
    files = alloc_array(CACHE_MAX_FILES, sizeof(*files));
    count = list_files(folder, files, &total);
    if (total > CACHE_MAX_BYTES || count == CACHE_MAX_FILES) {
        qsort(files, count, sizeof(*files), by_use);
        for (size_t i = 0; i < count && (total > CACHE_MAX_BYTES || i == 0); i++)
            if (unlinkat(dirfd(folder), files[i].name, 0) == 0)
                total -= files[i].size;
    }
    free(files);
    closedir(folder);
}

void picture_cache_save(const struct vision *vision, const struct picture *picture)
{
    struct str out;
    char *path;

    if (vision->cache == NULL || !file_make_directories(vision->cache, NULL))
        return;
    str_init(&out, CACHE_MAX_BYTES / 4);
    put_picture(&out, picture);
    if (!out.truncated) {
        path = cache_path(vision, picture->hash);
        prune(vision->cache, (int64_t)out.len);
        file_replace(path, out.data, out.len, NULL);
        free(path);
    }
    str_release(&out);
}
