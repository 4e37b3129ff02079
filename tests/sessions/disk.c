// tests/sessions/disk.c
// SPDX-License-Identifier: MIT
#include "tests/sessions/disk.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

#define SHARED_REGIONS 16

struct disk_step {
    enum { STEP_WRITE, STEP_TRUNCATE, STEP_SYNC, STEP_CREATE, STEP_DELETE } kind;
    enum disk_file file;
    size_t offset, len;
    unsigned char *bytes; // of a write
    bool synced;          // a deletion that syncs the directory
};

static struct {
    sqlite3_vfs *real;
    struct disk_state now;
    struct disk_history *history; // NULL: nothing is recorded
    void *shared[SHARED_REGIONS];
} disk;

struct file {
    sqlite3_file base;
    enum disk_file which;
};

// ---------------------------------------------------------------------------
// Images

static void image_resize(struct disk_image *image, size_t len)
{
    if (len > image->cap) {
        size_t cap = 2 * len;
        unsigned char *bytes = alloc_zero(cap);

        if (image->len > 0)
            memcpy(bytes, image->bytes, image->len);
        free(image->bytes);
        image->bytes = bytes;
        image->cap = cap;
    }
    if (len > image->len)
        memset(image->bytes + image->len, 0, len - image->len);
    image->len = len;
}

static void image_write(struct disk_image *image, size_t offset, const void *bytes,
                        size_t len)
{
    if (offset + len > image->len)
        image_resize(image, offset + len);
    memcpy(image->bytes + offset, bytes, len);
}

void disk_state_copy(struct disk_state *to, const struct disk_state *from)
{
    for (int i = 0; i < DISK_FILES; i++) {
        to->files[i] = (struct disk_image){ .exists = from->files[i].exists };
        if (from->files[i].len > 0)
            image_write(&to->files[i], 0, from->files[i].bytes, from->files[i].len);
    }
}

void disk_state_release(struct disk_state *state)
{
    for (int i = 0; i < DISK_FILES; i++)
        free(state->files[i].bytes);
    *state = (struct disk_state){ 0 };
}

uint64_t disk_state_hash(const struct disk_state *state)
{
    uint64_t hashes[DISK_FILES] = { 0 };

    for (int i = 0; i < DISK_FILES; i++)
        if (state->files[i].exists)
            hashes[i] = 1 + hash_bytes(state->files[i].bytes, state->files[i].len);
    return hash_bytes(hashes, sizeof(hashes));
}

bool disk_state_has(const struct disk_state *state, const char *needle)
{
    for (int i = 0; i < DISK_FILES; i++)
        if (state->files[i].len > 0 && memmem(state->files[i].bytes, state->files[i].len,
                                              needle, strlen(needle)) != NULL)
            return true;
    return false;
}

// ---------------------------------------------------------------------------
// Steps

// Takes over step.bytes.
static void record(struct disk_step step)
{
    struct disk_history *history = disk.history;

    if (history == NULL) {
        free(step.bytes);
        return;
    }
    history->steps =
        alloc_grow(history->steps, history->count, &history->cap, sizeof(step));
    history->steps[history->count++] = step;
}

static void apply(struct disk_state *state, const struct disk_step *step)
{
    struct disk_image *image = &state->files[step->file];

    if (step->kind == STEP_CREATE || step->kind == STEP_DELETE) {
        image->exists = step->kind == STEP_CREATE;
        image_resize(image, 0);
    } else if (image->exists && step->kind == STEP_WRITE) {
        image_write(image, step->offset, step->bytes, step->len);
    } else if (image->exists && step->kind == STEP_TRUNCATE) {
        image_resize(image, step->len);
    }
}

// ---------------------------------------------------------------------------
// The file system

static enum disk_file which_of(sqlite3_file *file)
{
    return ((struct file *)file)->which;
}

static struct disk_image *image_of(sqlite3_file *file)
{
    return &disk.now.files[which_of(file)];
}

static bool find_file(const char *name, enum disk_file *which)
{
    static const char *const names[] = { "/sessions.db", "/sessions.db-journal",
                                         "/sessions.db-wal" };

    for (int i = 0; name != NULL && i < DISK_FILES; i++) {
        size_t len = strlen(name), end = strlen(names[i]);

        if (len >= end && strcmp(name + len - end, names[i]) == 0) {
            *which = (enum disk_file)i;
            return true;
        }
    }
    return false;
}

static int file_close(sqlite3_file *file)
{
    (void)file;
    return SQLITE_OK;
}

static int file_read_at(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset)
{
    const struct disk_image *image = image_of(file);
    size_t at = (size_t)offset, wanted = (size_t)len;
    size_t there = at < image->len ? image->len - at : 0;

    if (there > wanted)
        there = wanted;
    memset(bytes, 0, wanted);
    if (there > 0)
        memcpy(bytes, image->bytes + at, there);
    return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write_at(sqlite3_file *file, const void *bytes, int len,
                         sqlite3_int64 offset)
{
    unsigned char *copy = alloc_zero((size_t)len);

    memcpy(copy, bytes, (size_t)len);
    image_write(image_of(file), (size_t)offset, bytes, (size_t)len);
    record((struct disk_step){ .kind = STEP_WRITE,
                               .file = which_of(file),
                               .offset = (size_t)offset,
                               .len = (size_t)len,
                               .bytes = copy });
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    image_resize(image_of(file), (size_t)size);
    record((struct disk_step){
        .kind = STEP_TRUNCATE, .file = which_of(file), .len = (size_t)size });
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    record((struct disk_step){ .kind = STEP_SYNC, .file = which_of(file) });
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    *size = (sqlite3_int64)image_of(file)->len;
    return SQLITE_OK;
}

// One connection: nobody to be kept out.
static int file_lock(sqlite3_file *file, int kind)
{
    (void)file;
    (void)kind;
    return SQLITE_OK;
}

static int file_check_lock(sqlite3_file *file, int *result)
{
    (void)file;
    *result = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
    (void)file;
    (void)op;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *file)
{
    (void)file;
    return 4096;
}

// As SQLite believes of every disk: bytes beside a write are not damaged by it.
static int file_traits(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int shared_map(sqlite3_file *file, int region, int size, int extend,
                      void volatile **memory)
{
    (void)file;
    *memory = NULL;
    if (region >= SHARED_REGIONS)
        return SQLITE_NOMEM;
    if (disk.shared[region] == NULL && extend)
        disk.shared[region] = alloc_zero((size_t)size);
    *memory = disk.shared[region];
    return SQLITE_OK;
}

static int shared_lock(sqlite3_file *file, int offset, int count, int flags)
{
    (void)file;
    (void)offset;
    (void)count;
    (void)flags;
    return SQLITE_OK;
}

static void shared_barrier(sqlite3_file *file)
{
    (void)file;
}

static int shared_unmap(sqlite3_file *file, int and_delete)
{
    (void)file;
    (void)and_delete;
    for (int i = 0; i < SHARED_REGIONS; i++) {
        free(disk.shared[i]);
        disk.shared[i] = NULL;
    }
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read_at,
    .xWrite = file_write_at,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = shared_map,
    .xShmLock = shared_lock,
    .xShmBarrier = shared_barrier,
    .xShmUnmap = shared_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                    int *out_flags)
{
    enum disk_file which;

    (void)vfs;
    if (!find_file(name, &which))
        return disk.real->xOpen(disk.real, name, file, flags, out_flags);
    file->pMethods = NULL;
    if (!disk.now.files[which].exists && (flags & SQLITE_OPEN_CREATE) == 0)
        return SQLITE_CANTOPEN;
    if (!disk.now.files[which].exists)
        record((struct disk_step){ .kind = STEP_CREATE, .file = which });
    disk.now.files[which].exists = true;
    ((struct file *)file)->which = which;
    file->pMethods = &methods;
    if (out_flags != NULL)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    enum disk_file which;

    (void)vfs;
    if (!find_file(name, &which))
        return disk.real->xDelete(disk.real, name, sync_directory);
    if (!disk.now.files[which].exists)
        return SQLITE_IOERR_DELETE_NOENT;
    disk.now.files[which].exists = false;
    image_resize(&disk.now.files[which], 0);
    record((struct disk_step){
        .kind = STEP_DELETE, .file = which, .synced = sync_directory != 0 });
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    enum disk_file which;

    (void)vfs;
    if (!find_file(name, &which))
        return disk.real->xAccess(disk.real, name, flags, result);
    *result =
        disk.now.files[which].exists &&
        (flags != SQLITE_ACCESS_EXISTS || disk.now.files[which].len > 0 || which == 0);
    return SQLITE_OK;
}

void disk_install(void)
{
    static sqlite3_vfs vfs;

    disk.real = sqlite3_vfs_find(NULL);
    vfs = *disk.real;
    vfs.zName = "disk";
    if (vfs.szOsFile < (int)sizeof(struct file))
        vfs.szOsFile = (int)sizeof(struct file);
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    vfs.xAccess = vfs_access;
    vfs.pNext = NULL;
    sqlite3_vfs_register(&vfs, 1);
}

void disk_load(const struct disk_state *state)
{
    disk_state_release(&disk.now);
    if (state != NULL)
        disk_state_copy(&disk.now, state);
    disk.now.files[DISK_DATABASE].exists = true;
}

const struct disk_state *disk_now(void)
{
    return &disk.now;
}

// ---------------------------------------------------------------------------
// Histories and what may be left of them

void disk_record(struct disk_history *history)
{
    *history = (struct disk_history){ .count = 0 };
    disk_state_copy(&history->before, &disk.now);
    disk.history = history;
}

void disk_stop(void)
{
    disk.history = NULL;
}

void disk_history_release(struct disk_history *history)
{
    for (size_t i = 0; i < history->count; i++)
        free(history->steps[i].bytes);
    free(history->steps);
    disk_state_release(&history->before);
}

void disk_moment_init(struct disk_moment *moment, const struct disk_history *history)
{
    *moment = (struct disk_moment){ .history = history };
    disk_state_copy(&moment->safe, &history->before);
}

void disk_moment_release(struct disk_moment *moment)
{
    disk_state_release(&moment->safe);
    free(moment->pending);
}

// Creating a journal or a log is made safe with its first sync: SQLite syncs the
// directory then. So is the database's own name, which was made before.
static bool is_covered(const struct disk_step *pending, const struct disk_step *by)
{
    bool directory = pending->kind == STEP_CREATE || pending->kind == STEP_DELETE;

    if (by->kind == STEP_DELETE)
        return by->synced && (directory || pending->file == by->file);
    return by->kind == STEP_SYNC &&
           (pending->file == by->file || (directory && by->file != DISK_DATABASE));
}

bool disk_moment_next(struct disk_moment *moment)
{
    const struct disk_step *steps = moment->history->steps;
    size_t kept = 0, step = moment->at;

    if (step == moment->history->count)
        return false;
    if (steps[step].kind != STEP_SYNC) {
        moment->pending = alloc_grow(moment->pending, moment->pending_count,
                                     &moment->pending_cap, sizeof(size_t));
        moment->pending[moment->pending_count++] = step;
    }
    for (size_t i = 0; i < moment->pending_count; i++)
        if (is_covered(&steps[moment->pending[i]], &steps[step]))
            apply(&moment->safe, &steps[moment->pending[i]]);
        else
            moment->pending[kept++] = moment->pending[i];
    moment->pending_count = kept;
    moment->at++;
    return true;
}

// The sectors that a step touches; a truncation, creation or deletion happens or not.
static size_t units_of(const struct disk_step *step, size_t sector)
{
    if (step->kind != STEP_WRITE || step->len == 0)
        return 1;
    return (step->offset + step->len - 1) / sector - step->offset / sector + 1;
}

size_t disk_units(const struct disk_moment *moment, size_t sector)
{
    size_t units = 0;

    for (size_t i = 0; i < moment->pending_count; i++)
        units += units_of(&moment->history->steps[moment->pending[i]], sector);
    return units;
}

static bool is_kept(const struct disk_loss *loss, size_t unit)
{
    uint64_t mixed = unit < 64 ? loss->keep : (loss->keep + unit) * 0x9E3779B97F4A7C15u;

    return loss->keep == UINT64_MAX || (mixed >> (unit % 64) & 1) != 0;
}

static void lose_part(struct disk_image *image, size_t offset, size_t len, bool garbage)
{
    size_t old = image->len;

    if (!garbage || offset + len <= old)
        return;
    image_resize(image, offset + len);
    for (size_t i = old > offset ? old : offset; i < offset + len; i++)
        image->bytes[i] = (unsigned char)(i * 167 + 13);
}

static void lose_write(struct disk_state *state, const struct disk_step *step,
                       const struct disk_loss *loss, size_t unit)
{
    struct disk_image *image = &state->files[step->file];
    size_t at = step->offset, end = step->offset + step->len;

    while (image->exists && at < end) {
        size_t next = (at / loss->sector + 1) * loss->sector;
        size_t len = (next < end ? next : end) - at;

        if (is_kept(loss, unit++))
            image_write(image, at, step->bytes + (at - step->offset), len);
        else
            lose_part(image, at, len, loss->garbage);
        at += len;
    }
}

// A file whose deletion did not arrive is still the old one, and what was written to its
// successor is not in it.
void disk_lose(const struct disk_moment *moment, const struct disk_loss *loss,
               struct disk_state *state)
{
    bool is_old[DISK_FILES] = { false };
    size_t unit = 0;

    disk_state_copy(state, &moment->safe);
    for (size_t i = 0; i < moment->pending_count; i++) {
        const struct disk_step *step = &moment->history->steps[moment->pending[i]];
        bool kept = is_kept(loss, unit);

        if (step->kind == STEP_DELETE)
            is_old[step->file] = !kept;
        else if (step->kind == STEP_CREATE && kept)
            is_old[step->file] = false;
        if (step->kind == STEP_WRITE && !is_old[step->file])
            lose_write(state, step, loss, unit);
        else if (step->kind != STEP_WRITE && kept && !is_old[step->file])
            apply(state, step);
        unit += units_of(step, loss->sector);
    }
}
