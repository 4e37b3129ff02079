// app/models/workspace.c
// SPDX-License-Identifier: MIT
#include "app/models/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "app/models/meter.h"
#include "app/models/store.h"
#include "base/alloc.h"

#define MARGIN_BYTES ((uint64_t)64 << 20) // left free for everybody else

// Whoever held the lock before may have removed the folder since we opened it.
static bool still_there(const struct workspace *workspace)
{
    struct stat held, named;

    return fstat(workspace->fd, &held) == 0 && stat(workspace->path, &named) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

static bool lock(struct workspace *workspace, const char *name, struct err *err)
{
    do {
        if (workspace->fd >= 0)
            close(workspace->fd);
        workspace->fd = -1;
        if (mkdir(workspace->path, 0700) < 0 && errno != EEXIST)
            return err_set_errno(err, "%s", workspace->path);
        workspace->fd =
            open(workspace->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (workspace->fd < 0 && errno != ENOENT)
            return err_set_errno(err, "%s", workspace->path);
        if (workspace->fd >= 0 && flock(workspace->fd, LOCK_EX | LOCK_NB) < 0)
            return errno == EWOULDBLOCK
                       ? err_set(err, ERR_BUSY, "%s is being pulled already", name)
                       : err_set_errno(err, "%s", workspace->path);
    } while (workspace->fd < 0 || !still_there(workspace));
    return true;
}

bool workspace_open(struct workspace *workspace, const char *name, struct err *err)
{
    char *directory = models_directory(err);

    *workspace = (struct workspace){ .fd = -1 };
    if (directory == NULL)
        return false;
    workspace->path = alloc_printf("%s/" WORKSPACE_PREFIX "%s", directory, name);
    free(directory);
    if (lock(workspace, name, err))
        return true;
    workspace_close(workspace);
    return false;
}

void workspace_close(struct workspace *workspace)
{
    if (workspace->fd >= 0) {
        rmdir(workspace->path); // if it is empty
        close(workspace->fd);
    }
    free(workspace->path);
    *workspace = (struct workspace){ .fd = -1 };
}

void workspace_remove(struct workspace *workspace)
{
    if (workspace->path != NULL)
        remove_tree(workspace->path);
    workspace_close(workspace);
}

char *workspace_path(const struct workspace *workspace, const char *file)
{
    return alloc_printf("%s/%s", workspace->path, file);
}

int workspace_open_file(const char *path, struct err *err)
{
    int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    int fd = open(path, flags, 0600);
    struct stat status;

    if (fd >= 0 && fstat(fd, &status) == 0 && status.st_nlink > 1) {
        close(fd);
        fd = unlink(path) == 0 ? open(path, flags, 0600) : -1;
    }
    if (fd < 0)
        err_set_errno(err, "%s", path);
    return fd;
}

bool workspace_has_room(const struct workspace *workspace, uint64_t bytes,
                        struct err *err)
{
    char needed[SIZE_TEXT], free_text[SIZE_TEXT];
    struct statvfs status;
    uint64_t available;

    if (fstatvfs(workspace->fd, &status) < 0)
        return err_set_errno(err, "%s", workspace->path);
    available = (uint64_t)status.f_bavail * status.f_frsize;
    if (bytes < UINT64_MAX - MARGIN_BYTES && available >= bytes + MARGIN_BYTES)
        return true;
    return err_set(
        err, ERR_LIMIT, "%s more must fit on the disk, but only %s are free in %s",
        size_text(bytes, needed), size_text(available, free_text), workspace->path);
}

// ---------------------------------------------------------------------------
// Trees

static FTS *walk(const char *path)
{
    char *copy = alloc_string(path);
    FTS *tree = fts_open((char *[]){ copy, NULL }, FTS_PHYSICAL | FTS_NOCHDIR, NULL);

    free(copy);
    return tree;
}

bool remove_tree(const char *path)
{
    FTS *tree = walk(path);
    FTSENT *entry;

    while (tree != NULL && (entry = fts_read(tree)) != NULL) {
        if (entry->fts_info == FTS_D)
            continue; // it comes again as FTS_DP, when it is empty
        if (entry->fts_info == FTS_DP)
            rmdir(entry->fts_accpath);
        else
            unlink(entry->fts_accpath);
    }
    if (tree != NULL)
        fts_close(tree);
    return access(path, F_OK) < 0;
}

uint64_t tree_bytes(const char *path)
{
    FTS *tree = walk(path);
    FTSENT *entry;
    uint64_t total = 0;

    while (tree != NULL && (entry = fts_read(tree)) != NULL)
        if (entry->fts_info == FTS_F)
            total += (uint64_t)entry->fts_statp->st_size;
    if (tree != NULL)
        fts_close(tree);
    return total;
}
