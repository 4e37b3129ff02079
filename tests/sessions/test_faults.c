// tests/sessions/test_faults.c
// SPDX-License-Identifier: MIT
//
// The disk fails at the n-th write, sync or truncation, for every n, once and for ever,
// in each of the ways that SQLite tells apart: nothing that was acknowledged is lost, the
// file stays sound, and the store says what is wrong. (The method of SQLite's own tests,
// sqlite.org/testing.html, applied to the program above it.)
#include "tests/sessions/fixture.h"

#include <signal.h>
#include <sys/resource.h>

#include "sessions/private.h"

// ---------------------------------------------------------------------------
// A file system that fails: SQLite's own one, with some calls counted

static struct {
    sqlite3_vfs *real;
    int countdown; // the call that fails; 0: none
    bool for_ever;
    int code;
    int failures; // so far
} fault;

struct file {
    sqlite3_file base;
    sqlite3_file *real; // behind this struct
};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct file *)file)->real;
}

static bool fails(void)
{
    if (fault.countdown == 0)
        return false;
    if (fault.countdown > 1) {
        fault.countdown--;
        return false;
    }
    fault.countdown = fault.for_ever ? 1 : 0;
    fault.failures++;
    return true;
}

static int file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read_at(sqlite3_file *file, void *bytes, int len, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), bytes, len, offset);
}

// Half of what should be written is: a torn page.
static int file_write_at(sqlite3_file *file, const void *bytes, int len,
                         sqlite3_int64 offset)
{
    if (fails()) {
        real_of(file)->pMethods->xWrite(real_of(file), bytes, len / 2, offset);
        return fault.code == SQLITE_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    }
    return real_of(file)->pMethods->xWrite(real_of(file), bytes, len, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (fails())
        return SQLITE_IOERR_TRUNCATE;
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

// Really syncing would only cost time: no power fails here.
static int file_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return fails() ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int file_lock(sqlite3_file *file, int kind)
{
    return real_of(file)->pMethods->xLock(real_of(file), kind);
}

static int file_unlock(sqlite3_file *file, int kind)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), kind);
}

static int file_check_lock(sqlite3_file *file, int *result)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}

static int file_control(sqlite3_file *file, int op, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, // no shared memory: this is about rollback journals
    .xClose = file_close,
    .xRead = file_read_at,
    .xWrite = file_write_at,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_traits,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                    int *out_flags)
{
    struct file *own = (struct file *)file;
    int result;

    (void)vfs;
    own->real = (sqlite3_file *)(own + 1);
    own->base.pMethods = NULL;
    result = fault.real->xOpen(fault.real, name, own->real, flags, out_flags);
    if (result == SQLITE_OK)
        own->base.pMethods = &methods;
    return result;
}

static void install(void)
{
    static sqlite3_vfs vfs;

    if (fault.real != NULL)
        return;
    fault.real = sqlite3_vfs_find(NULL);
    vfs = *fault.real;
    vfs.zName = "faulty";
    vfs.szOsFile = (int)sizeof(struct file) + fault.real->szOsFile;
    vfs.xOpen = vfs_open;
    vfs.pNext = NULL;
    sqlite3_vfs_register(&vfs, 1);
}

// ---------------------------------------------------------------------------
// What a person's program does, remembering what it was told is done

struct acknowledged {
    char conversation[SESSIONS_ID];
    char messages[3][SESSIONS_ID];
    int count;
    bool replied; // the whole reply
    bool deleted; // asked for: the first conversation may be gone
};

static bool use(struct sessions *s, const char *first, struct acknowledged *done,
                struct err *err)
{
    struct sessions_reply *reply;
    struct sessions_sent sent;
    bool ok;

    if (!send_text(s, NULL, NULL, "a question", &sent, err))
        return false;
    snprintf(done->conversation, SESSIONS_ID, "%s", sent.conversation);
    snprintf(done->messages[done->count++], SESSIONS_ID, "%s", sent.message);
    reply = begin_reply(s, sent.conversation, NULL, err);
    if (reply == NULL)
        return false;
    snprintf(done->messages[done->count++], SESSIONS_ID, "%s", sessions_reply_id(reply));
    append_token(reply, 1, "an ", 1);
    ok = sessions_reply_flush(reply, err);
    append_token(reply, 2, "answer", 2);
    ok = finish_reply(&reply, MESSAGE_DONE, err) && ok;
    done->replied = reply == NULL;
    sessions_reply_abandon(&reply);
    if (!ok || !send_text(s, sent.conversation, NULL, "thanks", &sent, err))
        return false;
    snprintf(done->messages[done->count++], SESSIONS_ID, "%s", sent.message);
    done->deleted = true;
    return sessions_delete(s, first, err);
}

static void check_kept(const struct acknowledged *done, const char *first)
{
    struct sessions *s = open_store();
    struct sessions_path path;
    struct arena arena;
    int64_t key;

    arena_init(&arena, 1 << 20);
    OK(sessions_check(s, &err));
    for (int i = 0; i < done->count; i++)
        OK(message_key(s, done->messages[i], &key, &err));
    if (done->replied) {
        OK(sessions_load_path(s, done->conversation, done->messages[1], &arena, &path,
                              &err));
        CHECK(path.count == 2 && path.messages[1].content.part_count == 1 &&
              strcmp(path.messages[1].content.parts[0].text, "an answer") == 0);
    }
    if (!done->deleted)
        OK(conversation_key(s, first, &key, &err));
    arena_release(&arena);
    sessions_close(&s);
}

// One run with the n-th call failing. False when n is beyond the end.
static bool run_with_fault(int n, bool for_ever, int code)
{
    struct acknowledged done = { .count = 0 };
    struct err told = { .code = ERR_NONE };
    struct sessions_sent first, again;
    struct sessions *s;
    bool ok, failed;

    make_directory();
    s = open_store();
    OK(send_text(s, NULL, NULL, "the first", &first, &err));
    fault.failures = 0;
    fault.countdown = n;
    fault.for_ever = for_ever;
    fault.code = code;
    ok = use(s, first.conversation, &done, &told);
    failed = fault.failures > 0;
    fault.countdown = 0;
    if (!ok) {
        CHECK(told.code == ERR_IO);
        CHECK(strstr(told.text, "sessions.db") != NULL &&
              strchr(told.text, '\n') == NULL);
    }
    // The disk is well again: the next write works at once, or the store says that it
    // must be opened again.
    if (!send_text(s, NULL, NULL, "again", &again, &told))
        CHECK(s->failed);
    else
        snprintf(done.messages[done.count < 3 ? done.count++ : 2], SESSIONS_ID, "%s",
                 again.message);
    sessions_close(&s);
    check_kept(&done, first.conversation);
    remove_directory();
    return failed;
}

static int every(void)
{
    const char *text = getenv("EVERY");

    return text != NULL && atoi(text) > 0 ? atoi(text) : 4;
}

static void run_all(int first, bool for_ever, int code)
{
    int step = every();
    int n = (first - 1) % step + 1, runs = 0;

    install();
    while (run_with_fault(n, for_ever, code) && tap_failures == 0) {
        n += step;
        runs++;
    }
    printf("# failed %s at %d of %d places\n", for_ever ? "for ever" : "once", runs,
           n - 1);
    CHECK(n > 40);
}

static void an_error_at_any_place_loses_nothing(void)
{
    run_all(1, false, SQLITE_IOERR);
}

static void errors_from_any_place_on_lose_nothing(void)
{
    run_all(2, true, SQLITE_IOERR);
}

static void a_disk_that_is_full_from_any_place_on_loses_nothing(void)
{
    run_all(3, true, SQLITE_FULL);
}

// A real limit of the kernel: the file cannot grow.
static void a_file_that_cannot_grow_is_reported_as_full(void)
{
    struct rlimit old, limit;
    struct err told = { .code = ERR_NONE };
    struct sessions_sent first, sent;
    struct sessions *s;
    char *text = alloc_zero(100001);
    int64_t size;

    make_directory();
    s = open_store();
    OK(send_text(s, NULL, NULL, "the first", &first, &err));
    OK(store_int(s, &err, &size, 0,
                 "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                 ""));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = (rlim_t)size + 8192;
    setrlimit(RLIMIT_FSIZE, &limit);
    memset(text, 'x', 100000);
    CHECK(!send_text(s, NULL, NULL, text, &sent, &told));
    CHECK_INT(told.code, ERR_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    OK(send_text(s, NULL, NULL, text, &sent, &err));
    OK(sessions_check(s, &err));
    sessions_close(&s);
    CHECK_INT(ask_file("SELECT count(*) FROM messages"), 2);
    free(text);
    remove_directory();
}

static void a_full_disk_can_still_be_read(void)
{
    struct sessions_sent sent, more;
    struct rlimit old, none;
    struct sessions_path path;
    struct sessions *s;
    struct arena arena;

    make_directory();
    arena_init(&arena, 1 << 20);
    s = open_store();
    OK(send_text(s, NULL, NULL, "still here", &sent, &err));
    sessions_close(&s);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    none = old;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_FSIZE, &none);
    s = open_store();
    CHECK(sessions_read_only(s) != NULL);
    OK(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err));
    CHECK_INT(path.count, 1);
    FAILS(send_text(s, NULL, NULL, "more", &more, &err), ERR_UNSUPPORTED);
    sessions_close(&s);
    setrlimit(RLIMIT_FSIZE, &old);
    s = open_store();
    CHECK(sessions_read_only(s) == NULL);
    OK(sessions_check(s, &err));
    sessions_close(&s);
    arena_release(&arena);
    remove_directory();
}

static const struct test tests[] = {
    { "an error at any place loses nothing", an_error_at_any_place_loses_nothing },
    { "errors from any place on lose nothing", errors_from_any_place_on_lose_nothing },
    { "a disk that is full from any place on loses nothing",
      a_disk_that_is_full_from_any_place_on_loses_nothing },
    { "a file that cannot grow is reported",
      a_file_that_cannot_grow_is_reported_as_full },
    { "a full disk can still be read", a_full_disk_can_still_be_read },
};
TAP_MAIN(tests)
