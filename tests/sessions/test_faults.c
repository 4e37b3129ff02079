// tests/sessions/test_faults.c
// SPDX-License-Identifier: MIT
//
// The n-th call to the system, or the n-th allocation of SQLite, fails, for every n, once
// and for ever, from opening the store to closing it: nothing that was acknowledged is
// lost, the file stays sound, nothing leaks, the store says what is wrong, and it goes on
// when the fault is gone. (The method of SQLite's own tests, sqlite.org/testing.html,
// applied to the program above it. The store's own small allocations abort by design and
// are not failed here.)
//
// EVERY=1 takes each n; `make check` takes each of a few.
#include "tests/sessions/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "sessions/private.h"

#define PAGE 4096

// ---------------------------------------------------------------------------
// A system that fails: the calls of SQLite's ordinary file system, and fsync

enum { CALL_WRITE = 1, CALL_SYNC = 2, CALL_OPEN = 4, CALL_READ = 8, CALL_MEMORY = 16 };

static struct {
    int calls;     // which of them count
    int countdown; // the call that fails; 0: none
    bool for_ever;
    int error;      // errno
    int64_t limit;  // bytes that a file may have; 0: any
    int failures;   // so far
    bool installed; // what the real ones are:
    ssize_t (*pwrite)(int fd, const void *bytes, size_t len, off_t offset);
    ssize_t (*pread)(int fd, void *bytes, size_t len, off_t offset);
    int (*ftruncate)(int fd, off_t size);
    int (*open)(const char *path, int flags, int mode);
    sqlite3_mem_methods memory;
} fault;

static bool fails(int call)
{
    if ((fault.calls & call) == 0 || fault.countdown == 0)
        return false;
    if (fault.countdown > 1) {
        fault.countdown--;
        return false;
    }
    fault.countdown = fault.for_ever ? 1 : 0;
    fault.failures++;
    errno = fault.error;
    return true;
}

// Half of what should be written is: a torn page.
static ssize_t call_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    if (fault.limit > 0 && offset + (off_t)len > fault.limit) {
        fault.failures++;
        errno = ENOSPC;
        return -1;
    }
    if (fails(CALL_WRITE)) {
        fault.pwrite(fd, bytes, len / 2, offset);
        errno = fault.error;
        return -1;
    }
    return fault.pwrite(fd, bytes, len, offset);
}

static ssize_t call_pread(int fd, void *bytes, size_t len, off_t offset)
{
    return fails(CALL_READ) ? -1 : fault.pread(fd, bytes, len, offset);
}

static int call_ftruncate(int fd, off_t size)
{
    return fails(CALL_WRITE) ? -1 : fault.ftruncate(fd, size);
}

static int call_open(const char *path, int flags, int mode)
{
    return fails(CALL_OPEN) ? -1 : fault.open(path, flags, mode);
}

// In place of the C library's, for SQLite and for the store. Really syncing would only
// cost time: no power fails here.
int fsync(int fd)
{
    (void)fd;
    return fails(CALL_SYNC) ? -1 : 0;
}

int fdatasync(int fd)
{
    return fsync(fd);
}

static void *memory_take(int len)
{
    return fails(CALL_MEMORY) ? NULL : fault.memory.xMalloc(len);
}

static void *memory_resize(void *memory, int len)
{
    return fails(CALL_MEMORY) ? NULL : fault.memory.xRealloc(memory, len);
}

// sqlite3_config must be called before anything else.
static void install(void)
{
    sqlite3_mem_methods memory;
    sqlite3_vfs *vfs;

    if (fault.installed)
        return;
    fault.installed = true;
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &fault.memory);
    memory = fault.memory;
    memory.xMalloc = memory_take;
    memory.xRealloc = memory_resize;
    CHECK_INT(sqlite3_config(SQLITE_CONFIG_MALLOC, &memory), SQLITE_OK);
    CHECK_INT(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK);
    vfs = sqlite3_vfs_find(NULL);
    fault.pwrite = pwrite;
    fault.pread = pread;
    fault.ftruncate = ftruncate;
    fault.open = (int (*)(const char *, int, int))vfs->xGetSystemCall(vfs, "open");
    vfs->xSetSystemCall(vfs, "pwrite", (sqlite3_syscall_ptr)call_pwrite);
    vfs->xSetSystemCall(vfs, "pwrite64", (sqlite3_syscall_ptr)call_pwrite);
    vfs->xSetSystemCall(vfs, "pread", (sqlite3_syscall_ptr)call_pread);
    vfs->xSetSystemCall(vfs, "pread64", (sqlite3_syscall_ptr)call_pread);
    vfs->xSetSystemCall(vfs, "ftruncate", (sqlite3_syscall_ptr)call_ftruncate);
    vfs->xSetSystemCall(vfs, "open", (sqlite3_syscall_ptr)call_open);
}

static int open_files(void)
{
    DIR *open = opendir("/proc/self/fd");
    int count = 0;

    while (open != NULL && readdir(open) != NULL)
        count++;
    if (open != NULL)
        closedir(open);
    return count;
}

// ---------------------------------------------------------------------------
// What a person's program does, remembering what it was told is done

struct acknowledged {
    char first[SESSIONS_ID]; // a conversation that was there before
    char conversation[SESSIONS_ID];
    char messages[4][SESSIONS_ID];
    int count;
    bool replied; // the whole reply
    bool deleted; // asked for: the first conversation may be gone
};

static bool send(struct sessions *s, const char *conversation, const char *text,
                 struct acknowledged *done, struct err *err)
{
    struct sessions_sent sent;

    if (!send_text(s, conversation, NULL, text, &sent, err))
        return false;
    snprintf(done->messages[done->count++], SESSIONS_ID, "%s", sent.message);
    if (done->conversation[0] == '\0')
        snprintf(done->conversation, SESSIONS_ID, "%s", sent.conversation);
    return true;
}

static bool stream(struct sessions *s, struct acknowledged *done, struct err *err)
{
    struct sessions_reply *reply = begin_reply(s, done->conversation, NULL, err);
    bool ok;

    if (reply == NULL)
        return false;
    snprintf(done->messages[done->count++], SESSIONS_ID, "%s", sessions_reply_id(reply));
    append_token(reply, 1, "an ", 1);
    ok = sessions_reply_flush(reply, err);
    append_token(reply, 2, "answer", 2);
    ok = finish_reply(&reply, MESSAGE_DONE, err) && ok;
    done->replied = reply == NULL;
    sessions_reply_abandon(&reply);
    return ok;
}

static bool look(struct sessions *s, struct err *err)
{
    struct sessions_list_params all = { .limit = 10 };
    struct sessions_list list;
    struct sessions_hits hits;
    struct arena arena;
    bool ok;

    arena_init(&arena, 1 << 20);
    ok = sessions_list(s, &all, &arena, &list, err) &&
         sessions_search(s, "question", 0, &arena, &hits, err);
    arena_release(&arena);
    return ok;
}

static bool use(struct sessions *s, struct acknowledged *done, struct err *err)
{
    struct part draft = text_part("not sent");

    if (!sessions_draft_save(s, NULL, &(struct message){ ROLE_USER, &draft, 1 }, err) ||
        !send(s, NULL, "a question", done, err) || !stream(s, done, err) ||
        !look(s, err) || !send(s, done->conversation, "thanks", done, err) ||
        !sessions_rename(s, done->conversation, "called", err))
        return false;
    done->deleted = true;
    return sessions_delete(s, done->first, err);
}

static void check_kept(const struct acknowledged *done)
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
        OK(conversation_key(s, done->first, &key, &err));
    arena_release(&arena);
    sessions_close(&s);
}

// Opens and uses the store under the fault. What was told is one line that names the
// file.
static struct sessions *open_and_use(struct acknowledged *done, bool *ok)
{
    struct err told = { .code = ERR_NONE };
    struct sessions *s =
        sessions_open(&(struct sessions_params){ .directory = directory }, &told);

    *ok = s != NULL && use(s, done, &told);
    if (*ok)
        return s;
    CHECK(strstr(told.text, directory) != NULL && strchr(told.text, '\n') == NULL);
    CHECK(told.code == ERR_IO ||
          (fault.calls == CALL_MEMORY && told.code == ERR_MEMORY) ||
          (s != NULL && sessions_read_only(s) != NULL && told.code == ERR_UNSUPPORTED));
    if (tap_failures > 0)
        printf("# code %d: %s\n", (int)told.code, told.text);
    return s;
}

// The fault is gone: the next write works at once, or the store has said that it must be
// opened again.
static void go_on(struct sessions **s, struct acknowledged *done)
{
    struct err told = { .code = ERR_NONE };

    if (*s != NULL && send(*s, NULL, "again", done, &told))
        return;
    CHECK(*s == NULL || (*s)->failed || sessions_read_only(*s) != NULL);
    if (tap_failures > 0)
        printf("# code %d: %s\n", (int)told.code, told.text);
    sessions_close(s);
    *s = open_store();
    OK(send(*s, NULL, "again", done, &err));
}

// One run. False when the fault lay beyond the end.
static bool run_with_fault(int n, int64_t limit)
{
    struct acknowledged done = { .count = 0 };
    struct sessions_sent first;
    sqlite3_int64 memory;
    struct sessions *s;
    int files;
    bool ok, failed;

    make_directory();
    s = open_store();
    OK(send_text(s, NULL, NULL, "the first", &first, &err));
    sessions_close(&s);
    snprintf(done.first, SESSIONS_ID, "%s", first.conversation);
    memory = sqlite3_memory_used();
    files = open_files();
    fault.failures = 0;
    fault.countdown = n;
    fault.limit = limit;
    s = open_and_use(&done, &ok);
    failed = fault.failures > 0;
    fault.countdown = 0;
    fault.limit = 0;
    CHECK(ok || failed);
    go_on(&s, &done);
    sessions_close(&s);
    CHECK_INT(sqlite3_memory_used(), memory);
    CHECK_INT(open_files(), files);
    check_kept(&done);
    remove_directory();
    return failed;
}

static int every(int unless_told)
{
    const char *text = getenv("EVERY");

    return text != NULL && atoi(text) > 0 ? atoi(text) : unless_told;
}

static void run_all(int calls, int error, bool for_ever, int step, int least)
{
    int n = 1, runs = 0;

    install();
    fault.calls = calls;
    fault.error = error;
    fault.for_ever = for_ever;
    step = every(step);
    while (run_with_fault(n, 0) && tap_failures == 0) {
        n += step;
        runs++;
    }
    if (tap_failures > 0)
        printf("# at place %d\n", n);
    printf("# failed %s (%s) at %d of %d places\n", for_ever ? "for ever" : "once",
           calls == CALL_MEMORY ? "memory" : strerror(error), runs, n - 1);
    CHECK(n > least);
}

static void an_error_at_any_place_loses_nothing(void)
{
    run_all(CALL_WRITE | CALL_SYNC, EIO, false, 7, 40);
}

static void errors_from_any_place_on_lose_nothing(void)
{
    run_all(CALL_WRITE | CALL_SYNC, EIO, true, 8, 40);
}

static void a_full_disk_from_any_place_on_loses_nothing(void)
{
    run_all(CALL_WRITE, ENOSPC, true, 9, 40);
    run_all(CALL_WRITE, ENOSPC, false, 11, 40);
}

static void a_used_up_quota_loses_nothing(void)
{
    run_all(CALL_WRITE | CALL_SYNC, EDQUOT, true, 12, 40);
    run_all(CALL_WRITE | CALL_SYNC, EDQUOT, false, 13, 40);
}

static void a_disk_that_becomes_read_only_loses_nothing(void)
{
    run_all(CALL_WRITE | CALL_SYNC, EROFS, true, 14, 40);
}

static void files_that_cannot_be_opened_lose_nothing(void)
{
    run_all(CALL_OPEN, EMFILE, false, 2, 2);
    run_all(CALL_OPEN, EACCES, true, 2, 2);
}

static void files_that_cannot_be_read_lose_nothing(void)
{
    run_all(CALL_READ, EIO, false, 5, 10);
    run_all(CALL_READ, EIO, true, 6, 10);
}

static void no_memory_at_any_place_loses_nothing(void)
{
    run_all(CALL_MEMORY, 0, false, 157, 2000);
    run_all(CALL_MEMORY, 0, true, 163, 2000);
}

// No file may have more than k pages, for each k from what is there on.
static void a_disk_that_is_full_at_any_page_loses_nothing(void)
{
    int64_t pages = 1;

    install();
    fault.calls = 0;
    while (run_with_fault(0, pages * PAGE) && tap_failures == 0)
        pages++;
    printf("# full at each of %lld pages\n", (long long)pages - 1);
    CHECK(pages > 20);
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

    install();
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

    install();
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
    { "a full disk from any place on loses nothing",
      a_full_disk_from_any_place_on_loses_nothing },
    { "a used up quota loses nothing", a_used_up_quota_loses_nothing },
    { "a disk that becomes read-only loses nothing",
      a_disk_that_becomes_read_only_loses_nothing },
    { "files that cannot be opened lose nothing",
      files_that_cannot_be_opened_lose_nothing },
    { "files that cannot be read lose nothing", files_that_cannot_be_read_lose_nothing },
    { "no memory at any place loses nothing", no_memory_at_any_place_loses_nothing },
    { "a disk that is full at any page loses nothing",
      a_disk_that_is_full_at_any_page_loses_nothing },
    { "a file that cannot grow is reported",
      a_file_that_cannot_grow_is_reported_as_full },
    { "a full disk can still be read", a_full_disk_can_still_be_read },
};
TAP_MAIN(tests)
