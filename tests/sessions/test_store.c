// tests/sessions/test_store.c
// SPDX-License-Identifier: MIT
//
// The file: who may read it, what it becomes, what happens when it is not ours, newer,
// damaged, or left behind by the dead.
#include "tests/sessions/fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "sessions/private.h"

static int mode_of(const char *name)
{
    char *path = alloc_printf("%s/%s", directory, name);
    struct stat status;
    int mode = lstat(path, &status) == 0 ? (int)(status.st_mode & 07777) : -1;

    free(path);
    return mode;
}

static void files_are_private_whatever_the_umask(void)
{
    static const mode_t masks[] = { 000, 022, 077 };

    for (size_t i = 0; i < 3; i++) {
        mode_t old = umask(masks[i]);
        char *deep = NULL, *lock = NULL;
        struct sessions_sent sent;
        struct sessions *s;

        make_directory();
        deep = alloc_printf("%s/state/oriel", directory);
        s = sessions_open(&(struct sessions_params){ .directory = deep }, NULL);
        REQUIRE(s != NULL);
        OK(send_text(s, NULL, NULL, "private", &sent, &err));
        lock = alloc_printf("state/oriel/instances/%s", s->instance);
        CHECK_INT(mode_of("state/oriel"), 0700);
        CHECK_INT(mode_of("state/oriel/sessions.db"), 0600);
        CHECK_INT(mode_of("state/oriel/sessions.db-journal"), 0600);
        CHECK_INT(mode_of("state/oriel/instances"), 0700);
        CHECK_INT(mode_of(lock), 0600);
        sessions_close(&s);
        umask(old);
        remove_directory();
        free(deep);
        free(lock);
    }
}

static void open_doors_are_closed(void)
{
    struct sessions *s;

    make_directory();
    s = open_store();
    sessions_close(&s);
    chmod(directory, 0755);
    {
        char *path = alloc_printf("%s/sessions.db", directory);

        chmod(path, 0644);
        free(path);
    }
    s = open_store();
    CHECK_INT(mode_of("."), 0700);
    CHECK_INT(mode_of("sessions.db"), 0600);
    sessions_close(&s);
    remove_directory();
}

static void a_link_is_not_followed(void)
{
    char *path;

    make_directory();
    path = alloc_printf("%s/sessions.db", directory);
    CHECK(symlink("/tmp/oriel-elsewhere", path) == 0);
    FAILS(sessions_open(&(struct sessions_params){ .directory = directory }, &err),
          ERR_IO);
    CHECK(access("/tmp/oriel-elsewhere", F_OK) < 0);
    free(path);
    remove_directory();
}

static void old_sqlite_is_never_in_wal_mode(void)
{
    bool safe = sqlite3_libversion_number() >= 3051003;
    struct sessions *s;
    sqlite3_stmt *statement;

    make_directory();
    s = open_store();
    statement = store_prepare(s, NULL, "PRAGMA journal_mode", "");
    REQUIRE(statement != NULL && store_step(s, statement, NULL) == STEP_ROW);
    CHECK_STR((const char *)sqlite3_column_text(statement, 0), safe ? "wal" : "truncate");
    sqlite3_finalize(statement);
    statement = store_prepare(s, NULL, "PRAGMA synchronous", "");
    REQUIRE(statement != NULL && store_step(s, statement, NULL) == STEP_ROW);
    CHECK_INT(sqlite3_column_int(statement, 0), safe ? 2 : 3); // FULL, EXTRA
    sqlite3_finalize(statement);
    sessions_close(&s);
    remove_directory();
}

static void a_new_store_has_its_identity(void)
{
    struct sessions *s;

    make_directory();
    s = open_store();
    CHECK(sessions_read_only(s) == NULL);
    OK(sessions_check(s, &err));
    sessions_close(&s);
    CHECK(s == NULL);
    CHECK_INT(ask_file("PRAGMA application_id"), STORE_APPLICATION_ID);
    CHECK_INT(ask_file("PRAGMA user_version"), schema_version);
    CHECK_INT(ask_file("SELECT count(*) FROM instances"), 0);
    remove_directory();
}

static void a_newer_store_is_only_read(void)
{
    struct sessions_sent sent;
    struct sessions_path path;
    struct message draft;
    struct arena arena;
    struct sessions *s;

    make_directory();
    arena_init(&arena, 1 << 20);
    s = open_store();
    OK(send_text(s, NULL, NULL, "kept", &sent, &err));
    sessions_close(&s);
    tell_file("PRAGMA user_version = 99");
    s = open_store();
    CHECK(sessions_read_only(s) != NULL);
    OK(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err));
    CHECK_INT(path.count, 1);
    OK(sessions_draft_load(s, NULL, &arena, &draft, &err));
    FAILS(send_text(s, sent.conversation, NULL, "x", &sent, &err), ERR_UNSUPPORTED);
    FAILS(sessions_forget(s, sent.conversation, &err), ERR_UNSUPPORTED);
    sessions_close(&s);
    CHECK_INT(ask_file("PRAGMA user_version"), 99);
    CHECK_INT(ask_file("SELECT count(*) FROM messages"), 1);
    arena_release(&arena);
    remove_directory();
}

static void somebody_elses_database_is_refused(void)
{
    make_directory();
    tell_file("CREATE TABLE theirs (x)");
    FAILS(sessions_open(&(struct sessions_params){ .directory = directory }, &err),
          ERR_FORMAT);
    CHECK_INT(ask_file("SELECT count(*) FROM sqlite_schema"), 1);
    tell_file("DROP TABLE theirs; PRAGMA application_id = 5");
    FAILS(sessions_open(&(struct sessions_params){ .directory = directory }, &err),
          ERR_FORMAT);
    remove_directory();
}

static void write_file(const char *name, const void *bytes, size_t len)
{
    char *path = alloc_printf("%s/%s", directory, name);
    FILE *file = fopen(path, "w");

    if (file == NULL || fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
        abort();
    free(path);
}

static void a_file_that_is_no_database_is_left_as_it_is(void)
{
    char garbage[8192], *path;
    struct str after;

    make_directory();
    str_init(&after, 0);
    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (char)(i * 7 + 1);
    write_file("sessions.db", garbage, sizeof(garbage));
    FAILS(sessions_open(&(struct sessions_params){ .directory = directory }, &err),
          ERR_FORMAT);
    path = alloc_printf("%s/sessions.db", directory);
    OK(file_read(path, 1 << 20, &after, &err));
    CHECK_INT(after.len, sizeof(garbage));
    CHECK(memcmp(after.data, garbage, sizeof(garbage)) == 0);
    str_release(&after);
    free(path);
    remove_directory();
}

// Flips bytes all over the file: every call must say so or give what was stored, and not
// crash (this runs under the sanitizers).
static void damage_is_reported_and_never_crashes(void)
{
    struct sessions_list_params all = { .limit = 1000 };
    struct sessions_sent sent;
    struct sessions *s;
    struct str original;
    char *path, reply[SESSIONS_ID];
    unsigned seed = 1;
    int damaged = 0;

    make_directory();
    path = alloc_printf("%s/sessions.db", directory);
    str_init(&original, 0);
    s = open_store();
    for (int i = 0; i < 20; i++) {
        OK(send_text(s, NULL, NULL, "some words to be stored", &sent, &err));
        OK(reply_text(s, sent.conversation, NULL, "an ", "answer", reply, &err));
    }
    sessions_close(&s);
    OK(file_read(path, 1 << 20, &original, &err));
    for (int round = 0; round < 60; round++) {
        struct err err = { .code = ERR_NONE };
        struct sessions_list list;
        struct arena arena;
        char *copy = alloc_string_n(original.data, original.len);

        for (int i = 0; i < 32; i++)
            copy[(size_t)rand_r(&seed) % original.len] ^= (char)(1 << rand_r(&seed) % 8);
        write_file("sessions.db", copy, original.len);
        arena_init(&arena, 16 << 20);
        s = sessions_open(&(struct sessions_params){ .directory = directory }, &err);
        if (s != NULL && sessions_list(s, &all, &arena, &list, &err)) {
            for (size_t i = 0; i < list.count; i++) {
                struct sessions_path messages;
                struct sessions_record record;

                if (sessions_load_path(s, list.entries[i].id, NULL, &arena, &messages,
                                       &err) &&
                    messages.count > 1)
                    sessions_load_record(s, messages.messages[1].id, &arena, &record,
                                         &err);
            }
            sessions_check(s, &err);
        }
        damaged += err.code != ERR_NONE;
        sessions_close(&s);
        arena_release(&arena);
        free(copy);
    }
    printf("# %d of 60 damaged files were reported\n", damaged);
    CHECK(damaged > 40);
    str_release(&original);
    free(path);
    remove_directory();
}

// A store as the first version made it: schema_steps[0] and nothing else.
static void an_older_store_is_migrated_after_a_backup(void)
{
    struct sessions_hits hits;
    struct arena arena;
    struct sessions *s;
    char *backup;

    make_directory();
    arena_init(&arena, 1 << 20);
    tell_file(schema_steps[0]);
    tell_file(
        "PRAGMA application_id = 1330792780; PRAGMA user_version = 1;"
        "INSERT INTO conversations (key, id, title, created_ms, updated_ms)"
        " VALUES (1, '00000000000000000000000000000001', 'old title', 1, 1);"
        "INSERT INTO messages (key, id, conversation, role, state, created_ms)"
        " VALUES (1, '00000000000000000000000000000002', 1, 'user', 'done', 1);"
        "INSERT INTO parts (message, position, text) VALUES (1, 0, 'written long ago')");
    umask(0);
    s = open_store();
    umask(022);
    OK(sessions_search(s, "long ago", 0, &arena, &hits, &err));
    CHECK_INT(hits.count, 1);
    OK(sessions_check(s, &err));
    CHECK_INT(mode_of("sessions.db.version-1.backup"), 0600);
    backup = store_backup_path(s, 1);
    sessions_close(&s);
    CHECK_INT(ask_file("PRAGMA user_version"), schema_version);
    {
        char *now = alloc_printf("%s/sessions.db", directory);

        CHECK(rename(backup, now) == 0); // the backup is a whole store of the old version
        free(now);
    }
    CHECK_INT(ask_file("PRAGMA user_version"), 1);
    CHECK_INT(ask_file("SELECT count(*) FROM parts"), 1);
    free(backup);
    arena_release(&arena);
    remove_directory();
}

static int count_locks(void)
{
    char *path = alloc_printf("%s/instances", directory);
    DIR *locks = opendir(path);
    struct dirent *entry;
    int count = 0;

    while (locks != NULL && (entry = readdir(locks)) != NULL)
        count += entry->d_name[0] != '.';
    if (locks != NULL)
        closedir(locks);
    free(path);
    return count;
}

static void replies_of_the_dead_become_interrupted(void)
{
    struct sessions_sent sent;
    struct sessions_path path;
    struct sessions_record record;
    struct message draft;
    struct arena arena;
    struct sessions *s;
    int status;
    pid_t child;

    make_directory();
    arena_init(&arena, 1 << 20);
    s = open_store();
    OK(send_text(s, NULL, NULL, "question", &sent, &err));
    sessions_close(&s);
    child = fork();
    if (child == 0) {
        struct part part = text_part("typed before dying");
        struct sessions_reply *reply;

        s = open_store();
        reply = begin_reply(s, sent.conversation, NULL, NULL);
        append_token(reply, 1, "saved ", 5);
        sessions_reply_flush(reply, NULL);
        append_token(reply, 2, "not saved", 10);
        sessions_draft_save(s, NULL, &(struct message){ ROLE_USER, &part, 1 }, NULL);
        kill(getpid(), SIGKILL);
    }
    waitpid(child, &status, 0);
    CHECK_INT(count_locks(), 1);
    s = open_store();
    CHECK_INT(count_locks(), 1);
    OK(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err));
    REQUIRE(path.count == 2);
    CHECK_INT(path.messages[1].state, MESSAGE_INTERRUPTED);
    CHECK_STR(path.messages[1].content.parts[0].text, "saved ");
    OK(sessions_load_record(s, path.messages[1].id, &arena, &record, &err));
    CHECK_INT(record.token_count, 1);
    OK(sessions_draft_load(s, NULL, &arena, &draft, &err));
    REQUIRE(draft.part_count == 1);
    CHECK_STR(draft.parts[0].text, "typed before dying");
    OK(sessions_check(s, &err));
    sessions_close(&s);
    CHECK_INT(count_locks(), 0);
    arena_release(&arena);
    remove_directory();
}

static void replies_of_the_living_are_left_alone(void)
{
    struct sessions_sent sent;
    struct sessions_path path;
    struct sessions_reply *reply;
    struct sessions *one, *two;
    struct arena arena;
    bool changed;

    make_directory();
    arena_init(&arena, 1 << 20);
    one = open_store();
    OK(send_text(one, NULL, NULL, "question", &sent, &err));
    reply = begin_reply(one, sent.conversation, NULL, NULL);
    REQUIRE(reply != NULL);
    two = open_store();
    OK(sessions_load_path(two, sent.conversation, NULL, &arena, &path, &err));
    CHECK_INT(path.messages[1].state, MESSAGE_STREAMING);
    OK(sessions_changed(two, &changed, &err));
    CHECK(!changed);
    append_token(reply, 1, "seen by both", 5);
    OK(finish_reply(&reply, MESSAGE_DONE, &err));
    OK(sessions_changed(two, &changed, &err));
    CHECK(changed);
    OK(sessions_load_path(two, sent.conversation, NULL, &arena, &path, &err));
    CHECK_STR(path.messages[1].content.parts[0].text, "seen by both");
    sessions_close(&one);
    sessions_close(&two);
    arena_release(&arena);
    remove_directory();
}

static void a_store_held_by_another_is_busy_and_nothing_is_lost(void)
{
    struct sessions_sent sent;
    struct sessions_reply *reply;
    struct sessions *one, *two;

    make_directory();
    one = open_store();
    two = open_store();
    two->busy_ms = 20; // five seconds are for people
    OK(send_text(two, NULL, NULL, "question", &sent, &err));
    reply = begin_reply(two, sent.conversation, NULL, NULL);
    REQUIRE(reply != NULL);
    append_token(reply, 1, "kept in memory", 5);
    OK(store_begin(one, &err));
    FAILS(sessions_reply_flush(reply, &err), ERR_BUSY);
    FAILS(finish_reply(&reply, MESSAGE_DONE, &err), ERR_BUSY);
    CHECK(reply != NULL);
    OK(store_end(one, true, &err));
    OK(finish_reply(&reply, MESSAGE_DONE, &err));
    sessions_close(&one);
    sessions_close(&two);
    CHECK_INT(ask_file("SELECT count(*) FROM parts WHERE text = 'kept in memory'"), 1);
    remove_directory();
}

static bool any_file_has(const char *needle)
{
    DIR *open = opendir(directory);
    struct dirent *entry;
    bool found = false;

    while (open != NULL && (entry = readdir(open)) != NULL) {
        char *path = alloc_printf("%s/%s", directory, entry->d_name);
        struct str bytes;

        str_init(&bytes, 0);
        if (entry->d_type == DT_REG && file_read(path, 64 << 20, &bytes, NULL) &&
            memmem(bytes.data, bytes.len, needle, strlen(needle)) != NULL) {
            printf("# \"%s\" is in %s\n", needle, entry->d_name);
            found = true;
        }
        str_release(&bytes);
        free(path);
    }
    if (open != NULL)
        closedir(open);
    return found;
}

// The index stores words in lower case and without the beginning they share with the word
// before, so the canary in it is looked for by a part.
static void forgetting_leaves_no_trace_in_any_file(void)
{
    static const char picture[] = "GIF89a canaryseven bytes";
    struct sessions_attachment attached;
    struct sessions_sent sent, other;
    struct part parts[2];
    struct sessions *s;
    struct arena arena;
    struct sessions_hits hits;
    char reply[SESSIONS_ID];

    make_directory();
    arena_init(&arena, 1 << 20);
    s = open_store();
    for (int i = 0; i < 200; i++)
        OK(send_text(s, NULL, NULL, "other words around it", &other, &err));
    OK(sessions_attach(s, picture, sizeof(picture), &attached, &err));
    parts[0] = text_part("canaryone is canarytwo");
    parts[1] = (struct part){ .kind = PART_IMAGE,
                              .image_hash = attached.hash,
                              .image_name = "canarythree.png" };
    OK(sessions_send(s,
                     &(struct sessions_send_params){ .message = { ROLE_USER, parts, 2 } },
                     &sent, &err));
    OK(sessions_tag(s, sent.conversation, "canaryfour", true, &err));
    OK(sessions_rename(s, sent.conversation, "canaryfive", &err));
    OK(reply_text(s, sent.conversation, NULL, "canary", "six", reply, &err));
    OK(sessions_draft_save(s, sent.conversation, &(struct message){ ROLE_USER, parts, 2 },
                           &err));
    CHECK(any_file_has("canary"));
    OK(sessions_forget(s, sent.conversation, &err));
    CHECK(!any_file_has("canary"));
    CHECK(!any_file_has("anaryone"));
    CHECK(!any_file_has("narythree"));
    CHECK(!any_file_has("naryseven"));
    OK(sessions_search(s, "around", 0, &arena, &hits, &err));
    CHECK_INT(hits.count, 50);
    OK(sessions_check(s, &err));
    sessions_close(&s);
    CHECK(!any_file_has("canary"));
    CHECK_INT(ask_file("SELECT count(*) FROM messages"), 200);
    arena_release(&arena);
    remove_directory();
}

static void an_ephemeral_store_touches_no_file(void)
{
    struct sessions_sent sent;
    struct sessions *s;
    char *before;

    make_directory();
    setenv("XDG_STATE_HOME", directory, 1);
    s = open_ephemeral();
    REQUIRE(s != NULL);
    OK(send_text(s, NULL, NULL, "nowhere", &sent, &err));
    OK(sessions_forget(s, sent.conversation, &err));
    CHECK_STR(sessions_file(s), ":memory:");
    sessions_close(&s);
    before = alloc_printf("%s/oriel", directory);
    CHECK(access(before, F_OK) < 0);
    unsetenv("XDG_STATE_HOME");
    free(before);
    remove_directory();
}

// An attachment whose bytes were changed behind our back.
static void a_changed_attachment_is_not_handed_out(void)
{
    struct sessions_attachment attached, loaded;
    struct sessions *s;
    struct str bytes;

    make_directory();
    str_init(&bytes, 0);
    s = open_store();
    OK(sessions_attach(s, "GIF89a", 6, &attached, &err));
    sessions_close(&s);
    tell_file("UPDATE attachments SET bytes = x'474946383761'");
    s = open_store();
    FAILS(sessions_load_attachment(s, attached.hash, &bytes, &loaded, &err),
          ERR_MISMATCH);
    CHECK_INT(bytes.len, 0);
    sessions_close(&s);
    str_release(&bytes);
    remove_directory();
}

static const struct test tests[] = {
    { "files are private whatever the umask", files_are_private_whatever_the_umask },
    { "open doors are closed", open_doors_are_closed },
    { "a link is not followed", a_link_is_not_followed },
    { "an old SQLite is never in WAL mode", old_sqlite_is_never_in_wal_mode },
    { "a new store has its identity", a_new_store_has_its_identity },
    { "a newer store is only read", a_newer_store_is_only_read },
    { "somebody else's database is refused", somebody_elses_database_is_refused },
    { "a file that is no database is left as it is",
      a_file_that_is_no_database_is_left_as_it_is },
    { "damage is reported and never crashes", damage_is_reported_and_never_crashes },
    { "an older store is migrated after a backup",
      an_older_store_is_migrated_after_a_backup },
    { "replies of the dead become interrupted", replies_of_the_dead_become_interrupted },
    { "replies of the living are left alone", replies_of_the_living_are_left_alone },
    { "a store held by another is busy and nothing is lost",
      a_store_held_by_another_is_busy_and_nothing_is_lost },
    { "forgetting leaves no trace in any file", forgetting_leaves_no_trace_in_any_file },
    { "an ephemeral store touches no file", an_ephemeral_store_touches_no_file },
    { "a changed attachment is not handed out", a_changed_attachment_is_not_handed_out },
};
TAP_MAIN(tests)
