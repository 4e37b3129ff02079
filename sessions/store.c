// sessions/store.c
// SPDX-License-Identifier: MIT
//
// The connection to the one SQLite file: opening, identity, migration, transactions, and
// the translation of SQLite's errors into what a person can do about them.
//
// Invariants:
//  1. Write-ahead logging is only used by SQLite 3.51.3 and later: earlier ones can
//  corrupt
//     the file when two connections checkpoint at once (sqlite.org/wal.html, "the
//     WAL-reset bug"). Otherwise the journal is truncated and the directory synced
//     (EXTRA).
//  2. Every write is BEGIN IMMEDIATE ... COMMIT: a read transaction that is upgraded
//  ignores
//     the busy timeout.
//  3. A file whose user_version is newer than ours, or that is not ours, is never
//  written.
//  4. After a failed sync nothing that this connection says can be trusted (Rebello et
//  al.,
//     "Can Applications Recover from fsync Failures?", USENIX ATC 2020): it refuses to go
//     on.
//  5. No file descriptor on the database is opened or closed here besides SQLite's own:
//     closing one would drop SQLite's POSIX locks.
#include "sessions/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"

#define VERSION_WITH_SAFE_WAL 3051003
#define VALUE_LIMIT           (128 << 20) // bytes of one value or row

// ---------------------------------------------------------------------------
// Errors

static bool is_sync_failure(int code)
{
    return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC ||
           code == SQLITE_IOERR_TRUNCATE;
}

// A full disk, a used-up quota and a failing disk are told apart by the system only, and
// a page that cannot be read is sometimes reported as a damaged one.
static int find_cause(struct sessions *s, int code)
{
    int error = 0;

    if (code == SQLITE_IOERR_NOMEM)
        return SQLITE_NOMEM;
    if ((code & 0xff) != SQLITE_IOERR && (code & 0xff) != SQLITE_CORRUPT)
        return code;
    sqlite3_file_control(s->db, "main", SQLITE_FCNTL_LAST_ERRNO, &error);
    if (error == ENOSPC || error == EDQUOT)
        return SQLITE_FULL;
    s->unreadable |= error == EIO || (code & 0xff) == SQLITE_IOERR;
    return s->unreadable && (code & 0xff) == SQLITE_CORRUPT ? SQLITE_IOERR_READ : code;
}

bool store_fail(struct sessions *s, struct err *err)
{
    int code = sqlite3_extended_errcode(s->db);
    const char *what = sqlite3_errmsg(s->db);

    if (is_sync_failure(code))
        s->failed = true;
    code = find_cause(s, code);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(err, ERR_BUSY,
                       "%s: another oriel is using it; nothing was saved, try again",
                       s->path);
    case SQLITE_FULL:
        return err_set(
            err, ERR_IO,
            "%s: the disk is full or the quota used up; free some space and %s", s->path,
            s->failed ? "start again" : "try again");
    case SQLITE_IOERR:
        return err_set(err, ERR_IO, "%s: the disk fails (%s, code %d); %s", s->path, what,
                       code,
                       s->failed ? "save elsewhere, then start again" : "try again");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return err_set(err, ERR_UNSUPPORTED, "%s: cannot be written (%s)", s->path, what);
    case SQLITE_CANTOPEN:
        return err_set(err, ERR_IO, "%s: cannot be opened; is its directory writable?",
                       s->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(err, ERR_FORMAT,
                       "%s: the file is damaged (%s); it was left as it is: move it away "
                       "and start again, or put back a copy",
                       s->path, what);
    case SQLITE_NOMEM:
        return err_set(err, ERR_MEMORY, "%s: out of memory", s->path);
    case SQLITE_TOOBIG:
        return err_set(err, ERR_LIMIT, "%s: larger than %d bytes", s->path, VALUE_LIMIT);
    default:
        return err_set(err, ERR_FORMAT, "%s: %s (code %d)", s->path, what, code);
    }
}

// ---------------------------------------------------------------------------
// SQL

static int bind(sqlite3_stmt *statement, const char *types, va_list args)
{
    int result = SQLITE_OK;

    for (int i = 1; types[i - 1] != '\0' && result == SQLITE_OK; i++) {
        const char *text;
        size_t len;

        switch (types[i - 1]) {
        case 'i':
            result = sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
            break;
        case 's':
            text = va_arg(args, const char *);
            result = sqlite3_bind_text(statement, i, text, -1, SQLITE_STATIC);
            break;
        case 'S':
            text = va_arg(args, const char *);
            len = va_arg(args, size_t);
            result =
                sqlite3_bind_text64(statement, i, text, len, SQLITE_STATIC, SQLITE_UTF8);
            break;
        case 'b':
            text = va_arg(args, const char *);
            len = va_arg(args, size_t);
            result = sqlite3_bind_blob64(statement, i, text, len, SQLITE_STATIC);
            break;
        default:
            bug("store_prepare: type '%c'", types[i - 1]);
        }
    }
    return result;
}

static sqlite3_stmt *prepare(struct sessions *s, struct err *err, const char *sql,
                             const char *types, va_list args)
{
    sqlite3_stmt *statement = NULL;

    if (s->failed) {
        err_set(
            err, ERR_IO,
            "%s: an earlier write could not be made safe; save elsewhere, then start again",
            s->path);
        return NULL;
    }
    if (sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL) == SQLITE_OK &&
        bind(statement, types, args) == SQLITE_OK)
        return statement;
    store_fail(s, err);
    sqlite3_finalize(statement);
    return NULL;
}

sqlite3_stmt *store_prepare(struct sessions *s, struct err *err, const char *sql,
                            const char *types, ...)
{
    sqlite3_stmt *statement;
    va_list args;

    va_start(args, types);
    statement = prepare(s, err, sql, types, args);
    va_end(args);
    return statement;
}

enum step store_step(struct sessions *s, sqlite3_stmt *statement, struct err *err)
{
    switch (sqlite3_step(statement)) {
    case SQLITE_ROW:
        return STEP_ROW;
    case SQLITE_DONE:
        return STEP_DONE;
    default:
        store_fail(s, err);
        return STEP_FAILED;
    }
}

static bool run(struct sessions *s, struct err *err, sqlite3_stmt *statement)
{
    enum step step = statement != NULL ? STEP_ROW : STEP_FAILED;

    while (step == STEP_ROW)
        step = store_step(s, statement, err);
    sqlite3_finalize(statement);
    return step == STEP_DONE;
}

bool store_run(struct sessions *s, struct err *err, const char *sql, const char *types,
               ...)
{
    sqlite3_stmt *statement;
    va_list args;

    va_start(args, types);
    statement = prepare(s, err, sql, types, args);
    va_end(args);
    return run(s, err, statement);
}

bool store_int(struct sessions *s, struct err *err, int64_t *value, int64_t absent,
               const char *sql, const char *types, ...)
{
    enum step step = STEP_FAILED;
    sqlite3_stmt *statement;
    va_list args;

    va_start(args, types);
    statement = prepare(s, err, sql, types, args);
    va_end(args);
    if (statement != NULL)
        step = store_step(s, statement, err);
    if (step != STEP_FAILED)
        *value = step == STEP_ROW ? sqlite3_column_int64(statement, 0) : absent;
    sqlite3_finalize(statement);
    return step != STEP_FAILED;
}

// SQLite may already have rolled back by itself (disk full, I/O error). Without memory
// even this may fail: it is tried twice, and again by whoever begins next.
static void roll_back(struct sessions *s)
{
    for (int i = 0; i < 2 && sqlite3_get_autocommit(s->db) == 0; i++)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

bool store_begin(struct sessions *s, struct err *err)
{
    roll_back(s);
    if (s->read_only != NULL)
        return err_set(err, ERR_UNSUPPORTED, "%s: %s", s->path, s->read_only);
    // FTS5 (seen in 3.40.1) keeps the totals of its index that it failed to read for want
    // of memory, and would write them with the next message: it is made to forget.
    if (s->stale && !store_run(s, err, "PRAGMA writable_schema = RESET", ""))
        return false;
    s->stale = false;
    return store_run(s, err, "BEGIN IMMEDIATE", "");
}

bool store_end(struct sessions *s, bool ok, struct err *err)
{
    if (ok && store_run(s, err, "COMMIT", ""))
        return true;
    roll_back(s);
    s->stale = true;
    return false;
}

bool store_begin_read(struct sessions *s, struct err *err)
{
    roll_back(s);
    return store_run(s, err, "BEGIN", "");
}

void store_end_read(struct sessions *s)
{
    roll_back(s);
}

bool store_text(sqlite3_stmt *statement, int column, struct arena *arena,
                const char **text, size_t *len, struct err *err)
{
    const char *value = (const char *)sqlite3_column_text(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);

    *text = NULL;
    if (len != NULL)
        *len = size;
    if (value == NULL)
        return true;
    *text = arena_string(arena, value, size);
    return *text != NULL ||
           err_set(err, ERR_LIMIT, "too much text for %zu bytes of memory",
                   arena->budget);
}

void store_id(sqlite3_stmt *statement, int column, char id[SESSIONS_ID])
{
    const char *value = (const char *)sqlite3_column_text(statement, column);

    snprintf(id, SESSIONS_ID, "%s", value != NULL ? value : "");
}

// ---------------------------------------------------------------------------
// Opening

static bool take_directory(struct sessions *s, const char *directory, struct err *err)
{
    struct stat status;

    s->directory = directory != NULL
                       ? alloc_string(directory)
                       : file_xdg_directory("XDG_STATE_HOME", ".local/state", err);
    if (s->directory == NULL || !file_make_directories(s->directory, err))
        return false;
    if (stat(s->directory, &status) < 0)
        return err_set_errno(err, "%s", s->directory);
    if (!S_ISDIR(status.st_mode))
        return err_set(err, ERR_IO, "%s: not a directory", s->directory);
    if (status.st_uid != geteuid())
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: belongs to another user; conversations are not kept there",
                       s->directory);
    if ((status.st_mode & 077) != 0 && chmod(s->directory, 0700) < 0 && errno != EROFS)
        return err_set_errno(err, "%s: others can read it, and that cannot be changed",
                             s->directory);
    return true;
}

// SQLite gives its journal the permissions of the database, so only this file matters.
static bool take_file(struct sessions *s, struct err *err)
{
    struct stat status;
    int fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd >= 0) {
        bool ok = fchmod(fd, 0600) == 0;

        close(fd);
        return ok || err_set_errno(err, "%s", s->path);
    }
    if (lstat(s->path, &status) < 0)
        return err_set_errno(err, "%s: cannot be created", s->path);
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_IO, "%s: not a regular file", s->path);
    if (status.st_uid != geteuid())
        return err_set(err, ERR_UNSUPPORTED, "%s: belongs to another user", s->path);
    if ((status.st_mode & 077) != 0 && chmod(s->path, 0600) < 0 && errno != EROFS)
        return err_set_errno(err, "%s: others can read it, and that cannot be changed",
                             s->path);
    return true;
}

// Waits a few milliseconds, a different time for each. SQLite's own waiting grows to 100
// ms and lets one of several busy programs starve for seconds.
static int wait_for_others(void *user, int attempts)
{
    struct sessions *s = user;
    struct timespec pause = { .tv_nsec = 0 };
    uint16_t random;

    if (attempts == 0)
        s->busy_since_ns = clock_ns();
    if (clock_ns() - s->busy_since_ns > (int64_t)s->busy_ms * 1000000)
        return 0;
    sqlite3_randomness(sizeof(random), &random);
    pause.tv_nsec = 500000 + random * 100; // 0.5 to 7 ms
    nanosleep(&pause, NULL);
    return 1;
}

static bool configure(struct sessions *s, struct err *err)
{
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_handler(s->db, wait_for_others, s);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, VALUE_LIMIT);
    sqlite3_limit(s->db, SQLITE_LIMIT_SQL_LENGTH, 64 << 10);
    sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 1); // VACUUM needs one
    return store_run(s, err, "PRAGMA foreign_keys = ON", "") &&
           store_run(s, err, "PRAGMA cell_size_check = ON", "") &&
           store_run(s, err, "PRAGMA mmap_size = 0", "") &&
           store_run(s, err, "PRAGMA cache_size = -8000", "") && // KiB
           store_run(s, err, "PRAGMA secure_delete = ON", "") &&
           (s->directory != NULL || store_run(s, err, "PRAGMA temp_store = MEMORY", ""));
}

struct identity {
    int64_t application, version, tables;
};

// One picture: another instance may be creating the store just now.
static bool read_identity(struct sessions *s, struct identity *identity, struct err *err)
{
    bool ok =
        store_begin_read(s, err) &&
        store_int(s, err, &identity->application, 0, "PRAGMA application_id", "") &&
        store_int(s, err, &identity->version, 0, "PRAGMA user_version", "") &&
        store_int(s, err, &identity->tables, 0, "SELECT count(*) FROM sqlite_schema", "");

    store_end_read(s);
    return ok;
}

// Decides whether the file is ours and may be written.
static bool identify(struct sessions *s, struct err *err)
{
    struct identity identity;

    if (!read_identity(s, &identity, err))
        return false;
    if (identity.application != STORE_APPLICATION_ID &&
        (identity.application != 0 || identity.tables > 0))
        return err_set(err, ERR_FORMAT, "%s: not a store of oriel", s->path);
    if (identity.version > schema_version)
        s->read_only = "written by a newer oriel, so this one only reads it";
    else if (sqlite3_db_readonly(s->db, "main") == 1)
        s->read_only = "the file cannot be written, so nothing is saved";
    if (s->read_only != NULL && identity.version == 0)
        return err_set(err, ERR_UNSUPPORTED, "%s: %s", s->path, s->read_only);
    return s->read_only == NULL || store_run(s, err, "PRAGMA query_only = ON", "");
}

static bool set_journal(struct sessions *s, struct err *err)
{
    bool wal = sqlite3_libversion_number() >= VERSION_WITH_SAFE_WAL;
    sqlite3_stmt *statement = store_prepare(
        s, err, wal ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = TRUNCATE", "");
    bool ok = statement != NULL && store_step(s, statement, err) == STEP_ROW;

    if (ok) {
        const char *mode = (const char *)sqlite3_column_text(statement, 0);

        if (mode == NULL || strcmp(mode, wal ? "wal" : "truncate") != 0)
            ok = err_set(err, ERR_BUSY, "%s: another program keeps it in journal mode %s",
                         s->path, mode != NULL ? mode : "?");
    }
    sqlite3_finalize(statement);
    return ok &&
           store_run(s, err,
                     wal ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = EXTRA",
                     "");
}

// A disk that is full is no reason not to show what is on it.
static bool register_or_read(struct sessions *s, struct err *err)
{
    struct err problem = { .code = ERR_NONE };

    if (instance_register(s, &problem))
        return true;
    if (problem.code != ERR_IO)
        return err_set(err, problem.code, "%s", problem.text);
    s->read_only =
        "the disk is full or fails, so nothing is saved until oriel is started again";
    return store_run(s, err, "PRAGMA query_only = ON", "");
}

static bool open_store(struct sessions *s, const struct sessions_params *params,
                       struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;

    if (params->ephemeral) {
        s->path = alloc_string(":memory:");
    } else {
        if (!take_directory(s, params->directory, err))
            return false;
        s->path = alloc_printf("%s/sessions.db", s->directory);
        if (!take_file(s, err))
            return false;
    }
    if (sqlite3_open_v2(s->path, &s->db, flags, NULL) != SQLITE_OK)
        return s->db != NULL ? store_fail(s, err)
                             : err_set(err, ERR_MEMORY, "%s: out of memory", s->path);
    if (!configure(s, err) || !identify(s, err))
        return false;
    if (s->read_only != NULL)
        return true;
    return (params->ephemeral || set_journal(s, err)) &&
           store_migrate(s, schema_version, err) && register_or_read(s, err);
}

struct sessions *sessions_open(const struct sessions_params *params, struct err *err)
{
    struct sessions *s = alloc_zero(sizeof(*s));
    bool changed;

    s->lock_fd = -1;
    s->busy_ms = STORE_BUSY_MS;
    id_random(s->instance);
    if (!open_store(s, params, err) || !sessions_changed(s, &changed, err))
        sessions_close(&s);
    return s;
}

void sessions_close(struct sessions **sessions)
{
    struct sessions *s = *sessions;

    if (s == NULL)
        return;
    if (s->db != NULL) {
        instance_leave(s);
        sqlite3_close(s->db);
    }
    free(s->directory);
    free(s->path);
    free(s);
    *sessions = NULL;
}

const char *sessions_read_only(const struct sessions *s)
{
    return s->read_only;
}

const char *sessions_file(const struct sessions *s)
{
    return s->path;
}

bool sessions_changed(struct sessions *s, bool *changed, struct err *err)
{
    int64_t version;

    if (!store_int(s, err, &version, 0, "PRAGMA data_version", ""))
        return false;
    *changed = version != s->data_version;
    s->data_version = version;
    return true;
}
