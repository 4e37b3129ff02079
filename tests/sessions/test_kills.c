// tests/sessions/test_kills.c
// SPDX-License-Identifier: MIT
//
// Children that use the store and say over a pipe what was reported to them as done are
// killed (SIGKILL) at random instants; whatever they said must be there. KILLS in the
// environment says how often (make check-kills KILLS=10000).
#include "tests/sessions/fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "sessions/private.h"

#define KILLS_DEFAULT 150
#define LIFE_US       40000 // a child lives up to this long after it has begun
#define CHECK_EVERY   25    // kills between full checks

// What a child says: something is done, or it is about to delete.
struct note {
    char kind; // 'm' message done, 'c' streamed text committed, 'd' about to delete
    char conversation[SESSIONS_ID];
    char message[SESSIONS_ID];
    int tokens; // 'c': that many are committed
};

struct notes {
    struct note *list;
    size_t len, cap;
};

static int kills(void)
{
    const char *text = getenv("KILLS");

    return text != NULL && atoi(text) > 0 ? atoi(text) : KILLS_DEFAULT;
}

static void say(int pipe, char kind, const char *conversation, const char *message,
                int tokens)
{
    struct note note = { .kind = kind, .tokens = tokens };

    snprintf(note.conversation, SESSIONS_ID, "%s", conversation);
    snprintf(note.message, SESSIONS_ID, "%s", message);
    if (write(pipe, &note, sizeof(note)) != sizeof(note))
        _exit(1);
}

static void stream(struct sessions *s, int pipe, const char *conversation, unsigned *seed)
{
    struct sessions_reply *reply = begin_reply(s, conversation, NULL, NULL);
    int count = 1 + rand_r(seed) % 6;
    char id[SESSIONS_ID];

    if (reply == NULL)
        _exit(2);
    snprintf(id, sizeof(id), "%s", sessions_reply_id(reply));
    say(pipe, 'c', conversation, id, 0);
    for (int i = 0; i < count; i++) {
        append_token(reply, (uint32_t)i, "word ", i * 1000);
        if (!sessions_reply_flush(reply, NULL))
            _exit(3);
        say(pipe, 'c', conversation, id, i + 1);
    }
    if (!finish_reply(&reply, MESSAGE_DONE, NULL))
        _exit(4);
    say(pipe, 'c', conversation, id, count);
}

// Never returns: types, sends, streams, forks and deletes until it is killed.
static void live(int pipe, unsigned seed)
{
    struct part part = text_part("typing");
    struct message draft = { ROLE_USER, &part, 1 };
    struct sessions *s = open_store();
    struct sessions_sent sent;

    say(pipe, 'o', "", "", 0);
    for (;;) {
        char fork[SESSIONS_ID];

        if (!sessions_draft_save(s, NULL, &draft, NULL) ||
            !send_text(s, NULL, NULL, "the beginning of something", &sent, NULL))
            _exit(5);
        say(pipe, 'm', sent.conversation, sent.message, 0);
        stream(s, pipe, sent.conversation, &seed);
        if (!send_text(s, sent.conversation, NULL, "and more", &sent, NULL))
            _exit(6);
        say(pipe, 'm', sent.conversation, sent.message, 0);
        if (rand_r(&seed) % 3 == 0 &&
            !sessions_fork(s, sent.conversation, NULL, fork, NULL))
            _exit(7);
        if (rand_r(&seed) % 3 == 0) {
            say(pipe, 'd', sent.conversation, "", 0);
            if (rand_r(&seed) % 8 == 0 ? !sessions_forget(s, sent.conversation, NULL)
                                       : !sessions_delete(s, sent.conversation, NULL))
                _exit(8);
        }
    }
}

static void take(struct notes *notes, const struct note *note)
{
    size_t kept = 0;

    if (note->kind == 'd') { // from here on its messages may be gone
        for (size_t i = 0; i < notes->len; i++)
            if (strcmp(notes->list[i].conversation, note->conversation) != 0)
                notes->list[kept++] = notes->list[i];
        notes->len = kept;
    } else if (note->kind != 'o') {
        notes->list = alloc_grow(notes->list, notes->len, &notes->cap, sizeof(*note));
        notes->list[notes->len++] = *note;
    }
}

// Takes notes until one of this kind; '\0': until the child is gone.
static void listen_for(int pipe, char kind, struct notes *notes)
{
    struct note note = { .kind = '\0' };

    do {
        if (read(pipe, &note, sizeof(note)) != sizeof(note))
            return;
        take(notes, &note);
    } while (note.kind != kind);
}

// Runs a child until a random instant; false when it ended by itself.
static bool run_and_kill(unsigned seed, struct notes *notes)
{
    static const char beginnings[] = { '-', '-', 'o', 'm' };
    char beginning = beginnings[seed % 4];
    int ends[2], status;
    pid_t child;

    if (pipe(ends) < 0)
        abort();
    child = fork();
    if (child == 0) {
        close(ends[0]);
        live(ends[1], seed);
    }
    close(ends[1]);
    // Half of them are killed while they open the store and bury their predecessor, the
    // others after that, or after something was acknowledged.
    if (beginning != '-')
        listen_for(ends[0], beginning, notes);
    usleep((useconds_t)rand_r(&seed) % (beginning != '-' ? LIFE_US : LIFE_US / 4));
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    listen_for(ends[0], '\0', notes);
    close(ends[0]);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    printf("# the child failed by itself: status %x\n", status);
    return false;
}

static size_t count_lost(struct sessions *s, const struct notes *notes)
{
    size_t lost = 0;

    for (size_t i = 0; i < notes->len; i++) {
        const struct note *note = &notes->list[i];
        int64_t tokens;

        if (!store_int(s, NULL, &tokens, -1,
                       "SELECT coalesce(r.token_count, 0) FROM messages m "
                       "LEFT JOIN replies r ON r.message = m.key WHERE m.id = ?1",
                       "s", note->message) ||
            tokens < note->tokens) {
            printf("# lost: %c %s %d tokens, found %lld\n", note->kind, note->message,
                   note->tokens, (long long)tokens);
            lost++;
        }
    }
    return lost;
}

static void nothing_acknowledged_is_lost_by_killing(void)
{
    struct notes notes = { .len = 0 };
    int count = kills(), alive = 0;
    size_t acknowledged = 0, lost = 0;
    struct sessions *s;

    make_directory();
    s = open_store();
    sessions_close(&s);
    for (int i = 1; i <= count; i++) {
        size_t before = notes.len;

        if (!run_and_kill((unsigned)i, &notes))
            CHECK(false);
        acknowledged += notes.len > before ? notes.len - before : 0;
        alive += notes.len > before;
        if (i % CHECK_EVERY != 0 && i != count)
            continue;
        s = open_store();
        OK(sessions_check(s, &err));
        lost += count_lost(s, &notes);
        sessions_close(&s);
        notes.len = 0; // those have been checked; keeps long runs linear
    }
    printf("# %d kills (%d after something was acknowledged), %zu acknowledged writes, "
           "%zu lost\n",
           count, alive, acknowledged, lost);
    CHECK_INT(lost, 0);
    CHECK(alive > count / 8);
    CHECK_INT(ask_file("SELECT count(*) FROM messages WHERE state = 'streaming'"), 0);
    free(notes.list);
    remove_directory();
}

static void make_old_store(void)
{
    tell_file("BEGIN IMMEDIATE");
    tell_file(schema_steps[0]);
    tell_file(
        "PRAGMA application_id = 1330792780; PRAGMA user_version = 1;"
        "INSERT INTO conversations (key, id, title, created_ms, updated_ms)"
        " VALUES (1, '00000000000000000000000000000001', 'old', 1, 1);"
        "INSERT INTO messages (key, id, conversation, role, state, created_ms)"
        " VALUES (1, '00000000000000000000000000000002', 1, 'user', 'done', 1);"
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " INSERT INTO parts (message, position, text) SELECT 1, i, 'word' || i FROM n");
}

static void a_killed_migration_is_old_or_new(void)
{
    int count = kills() / 5, old = 0;
    unsigned seed = 7;

    for (int i = 0; i < count; i++) {
        struct sessions *s;
        int status;
        pid_t child;

        make_directory();
        make_old_store();
        child = fork();
        if (child == 0) {
            s = open_store();
            _exit(0);
        }
        // The first is killed at once, the last not at all: both ends always occur.
        if (i > 0 && i < count - 1)
            usleep((useconds_t)rand_r(&seed) % 30000);
        if (i < count - 1)
            kill(child, SIGKILL);
        waitpid(child, &status, 0);
        old += ask_file("PRAGMA user_version") == 1;
        CHECK_INT(ask_file("SELECT count(*) FROM parts"), 2001);
        s = open_store();
        OK(sessions_check(s, &err));
        sessions_close(&s);
        CHECK_INT(ask_file("PRAGMA user_version"), schema_version);
        remove_directory();
    }
    printf("# %d migrations killed, %d of them before they were committed\n", count, old);
    CHECK(old > 0 && old < count);
}

static const struct test tests[] = {
    { "nothing acknowledged is lost by killing",
      nothing_acknowledged_is_lost_by_killing },
    { "a killed migration is old or new, never between",
      a_killed_migration_is_old_or_new },
};
TAP_MAIN(tests)
