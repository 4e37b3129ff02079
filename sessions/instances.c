// sessions/instances.c
// SPDX-License-Identifier: MIT
//
// Who else uses the store, and what the dead left behind.
//
// Each instance holds flock() on a file of its own in instances/ as long as it lives. The
// file is created under the store's write lock, so a file that can be locked by somebody
// who holds the write lock belongs to a dead instance, whatever killed it and whichever
// process has its number now.
#include "sessions/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

#define ORPHAN_MS ((int64_t)24 * 3600 * 1000) // attachments that nothing uses

static char *lock_path(const struct sessions *s, const char *instance)
{
    return alloc_printf("%s/instances/%s", s->directory, instance);
}

static bool lock_own(struct sessions *s, struct err *err)
{
    char *directory = alloc_printf("%s/instances", s->directory);
    char *path = lock_path(s, s->instance);
    bool ok = file_make_directories(directory, err);

    if (ok) {
        s->lock_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (s->lock_fd < 0 || flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
            ok = err_set_errno(err, "%s: cannot be locked", path);
    }
    free(path);
    free(directory);
    return ok;
}

static bool end_replies_of(struct sessions *s, const char *instance, struct err *err)
{
    int64_t message;

    for (;;) {
        if (!store_int(
                s, err, &message, 0,
                "SELECT key FROM messages WHERE state = 'streaming' AND instance = ?1",
                "s", instance))
            return false;
        if (message == 0)
            return store_run(s, err, "DELETE FROM instances WHERE id = ?1", "s",
                             instance);
        if (!reply_fold(s, message, MESSAGE_INTERRUPTED, STOP_NONE, NULL, err))
            return false;
    }
}

// Locks and removes the file of a dead instance; false when it lives.
static bool take_from_dead(struct sessions *s, const char *instance)
{
    char *path = lock_path(s, instance);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool dead = fd >= 0 ? flock(fd, LOCK_EX | LOCK_NB) == 0 : errno == ENOENT;

    if (dead && fd >= 0)
        unlink(path);
    if (fd >= 0)
        close(fd);
    free(path);
    return dead;
}

static bool bury_files(struct sessions *s, struct err *err)
{
    char *path = alloc_printf("%s/instances", s->directory);
    DIR *directory = opendir(path);
    struct dirent *entry;
    bool ok = directory != NULL || err_set_errno(err, "%s", path);

    while (ok && (entry = readdir(directory)) != NULL)
        if (id_valid(entry->d_name) && take_from_dead(s, entry->d_name))
            ok = end_replies_of(s, entry->d_name, err);
    if (directory != NULL)
        closedir(directory);
    free(path);
    return ok;
}

// Rows whose file is gone.
static bool bury_rows(struct sessions *s, struct err *err)
{
    char id[SESSIONS_ID] = "";

    for (;;) {
        sqlite3_stmt *statement = store_prepare(
            s, err, "SELECT id FROM instances WHERE id > ?1 ORDER BY id LIMIT 1", "s",
            id);
        enum step step = statement != NULL ? store_step(s, statement, err) : STEP_FAILED;

        if (step == STEP_ROW)
            store_id(statement, 0, id);
        sqlite3_finalize(statement);
        if (step != STEP_ROW)
            return step == STEP_DONE;
        if (take_from_dead(s, id) && !end_replies_of(s, id, err))
            return false;
    }
}

static bool remove_orphans(struct sessions *s, struct err *err)
{
    return store_run(s, err,
                     "DELETE FROM attachments WHERE created_ms < ?1 AND hash NOT IN "
                     "(SELECT attachment FROM parts WHERE attachment IS NOT NULL UNION "
                     "SELECT attachment FROM draft_parts WHERE attachment IS NOT NULL)",
                     "i", now_ms() - ORPHAN_MS);
}

bool instance_register(struct sessions *s, struct err *err)
{
    bool ok;

    if (!store_begin(s, err))
        return false;
    ok = s->directory == NULL ||
         (lock_own(s, err) && bury_files(s, err) && bury_rows(s, err));
    ok = ok && remove_orphans(s, err) &&
         store_run(s, err, "INSERT INTO instances VALUES (?1, ?2, ?3)", "sii",
                   s->instance, (int64_t)getpid(), now_ms());
    return store_end(s, ok, err);
}

// Failing is harmless: the next instance finds this one dead.
void instance_leave(struct sessions *s)
{
    char *path;

    if (s->lock_fd < 0)
        return;
    if (!s->failed && store_begin(s, NULL))
        store_end(s, end_replies_of(s, s->instance, NULL), NULL);
    path = lock_path(s, s->instance);
    unlink(path);
    close(s->lock_fd);
    free(path);
}
