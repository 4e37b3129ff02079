// sessions/upkeep.c
// SPDX-License-Identifier: MIT
//
// What is done to the file as a whole: bringing it up to date, checking it, and removing
// every trace of what was deleted.
//
// A migration is one transaction after a backup that is whole or not there, so the file
// is always of the old version or of the new one. Nothing ever migrates down.
#include "sessions/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

#define SCRUB_IN_MEMORY ((int64_t)512 << 20)

// ---------------------------------------------------------------------------
// Migration

char *store_backup_path(const struct sessions *s, int version)
{
    return alloc_printf("%s.version-%d.backup", s->path, version);
}

static bool sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return ok;
}

// VACUUM INTO an empty file that is already private, then rename: the backup is whole or
// it is not there.
static bool back_up(struct sessions *s, int version, struct err *err)
{
    char *path = store_backup_path(s, version);
    char *temporary = alloc_printf("%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    bool ok = fd >= 0;

    if (!ok)
        err_set_errno(err, "%s: cannot write a backup before changing the store",
                      temporary);
    else
        close(fd);
    ok = ok && store_run(s, err, "VACUUM INTO ?1", "s", temporary);
    if (ok && (!sync_path(temporary, O_RDWR) || rename(temporary, path) < 0 ||
               !sync_path(s->directory, O_RDONLY | O_DIRECTORY)))
        ok = err_set_errno(err, "%s: cannot write a backup before changing the store",
                           path);
    if (!ok && fd >= 0)
        unlink(temporary);
    free(temporary);
    free(path);
    return ok;
}

static bool check_is_ok(struct sessions *s, const char *pragma, struct err *err)
{
    sqlite3_stmt *statement = store_prepare(s, err, pragma, "");
    enum step step = statement != NULL ? store_step(s, statement, err) : STEP_FAILED;
    bool ok = step == STEP_DONE;

    if (step == STEP_ROW) {
        const char *found = (const char *)sqlite3_column_text(statement, 0);

        ok = found != NULL && strcmp(found, "ok") == 0;
        if (!ok)
            err_set(err, ERR_FORMAT, "%s: the file is damaged: %s", s->path,
                    found != NULL ? found : "?");
    }
    sqlite3_finalize(statement);
    return ok;
}

static bool run_steps(struct sessions *s, int from, int to, struct err *err)
{
    char pragma[64];

    for (int i = from; i < to; i++)
        if (sqlite3_exec(s->db, schema_steps[i], NULL, NULL, NULL) != SQLITE_OK)
            return store_fail(s, err);
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", to);
    if (!store_run(s, err, pragma, ""))
        return false;
    if (from == 0) {
        snprintf(pragma, sizeof(pragma), "PRAGMA application_id = %d",
                 STORE_APPLICATION_ID);
        return store_run(s, err, pragma, "");
    }
    return check_is_ok(s, "PRAGMA foreign_key_check", err) &&
           check_is_ok(s, "PRAGMA quick_check", err);
}

bool store_migrate(struct sessions *s, int version, struct err *err)
{
    int64_t from;
    bool ok;

    if (!store_int(s, err, &from, 0, "PRAGMA user_version", ""))
        return false;
    if (from >= version)
        return true;
    if (from > 0 && s->directory != NULL && !back_up(s, (int)from, err))
        return false;
    if (!store_begin(s, err))
        return false;
    // Another instance may have been faster: what counts is the version under the lock.
    ok = store_int(s, err, &from, 0, "PRAGMA user_version", "");
    if (ok && from < version)
        ok = run_steps(s, (int)from, version, err);
    return store_end(s, ok, err);
}

// ---------------------------------------------------------------------------
// Checking

bool sessions_check(struct sessions *s, struct err *err)
{
    bool ok = check_is_ok(s, "PRAGMA integrity_check(1)", err) &&
              check_is_ok(s, "PRAGMA foreign_key_check", err);

    if (!ok || s->read_only != NULL)
        return ok;
    return store_begin(s, err) &&
           store_end(s,
                     store_run(s, err,
                               "INSERT INTO parts_index (parts_index, rank) "
                               "VALUES ('integrity-check', 1)",
                               "") &&
                         store_run(s, err,
                                   "INSERT INTO titles_index (titles_index, rank) "
                                   "VALUES ('integrity-check', 1)",
                                   ""),
                     err);
}

// ---------------------------------------------------------------------------
// Forgetting

static bool rebuild_indexes(struct sessions *s, struct err *err)
{
    return store_run(s, err, "INSERT INTO parts_index (parts_index) VALUES ('rebuild')",
                     "") &&
           store_run(s, err, "INSERT INTO titles_index (titles_index) VALUES ('rebuild')",
                     "");
}

static bool remove_backups(const struct sessions *s, struct err *err)
{
    bool ok = true;

    for (int version = 1; s->directory != NULL && version < schema_version; version++) {
        char *path = store_backup_path(s, version);

        if (unlink(path) < 0 && errno != ENOENT)
            ok = err_set_errno(err, "%s: cannot be removed", path);
        free(path);
    }
    return ok;
}

// VACUUM copies the file through a temporary one: kept in memory when it fits there, so
// that not even an unlinked file outside our directory ever holds a conversation.
bool store_scrub(struct sessions *s, struct err *err)
{
    int64_t bytes;

    if (!store_begin(s, err) || !store_end(s, rebuild_indexes(s, err), err))
        return false;
    if (!store_int(
            s, err, &bytes, 0,
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", ""))
        return false;
    if (bytes <= SCRUB_IN_MEMORY && !store_run(s, err, "PRAGMA temp_store = MEMORY", ""))
        return false;
    return store_run(s, err, "VACUUM", "") &&
           store_run(s, err, "PRAGMA wal_checkpoint(TRUNCATE)", "") &&
           remove_backups(s, err);
}
