// tests/sessions/test_instances.c
// SPDX-License-Identifier: MIT
//
// Eight programs on one store at once: nothing is lost, nothing is reported as locked.
// SECONDS in the environment says how long (make check-instances SECONDS=60).
#include "tests/sessions/fixture.h"

#include <sys/wait.h>

#include "base/log.h"
#include "sessions/private.h"

#define PROCESSES       8
#define SECONDS_DEFAULT 4
#define PAUSE_US        20000 // on average, between the writes of one program
#define WRITES_LIMIT    100000

struct report {
    char kind; // 'm' an id that is committed, 'e' an error
    char text[128];
    int64_t took_ns;
};

static int64_t seconds(void)
{
    const char *text = getenv("SECONDS");

    return text != NULL && atoi(text) > 0 ? atoi(text) : SECONDS_DEFAULT;
}

static void tell(int pipe, char kind, const char *text, int64_t took_ns)
{
    struct report report = { .kind = kind, .took_ns = took_ns };

    snprintf(report.text, sizeof(report.text), "%s", text);
    if (write(pipe, &report, sizeof(report)) != sizeof(report))
        _exit(1);
}

// One round as a person's program does it: send, stream, finish, look at the list.
static bool one_round(struct sessions *s, int pipe, const char *shared, struct err *err)
{
    struct sessions_reply *reply;
    struct sessions_list list;
    struct sessions_sent sent;
    struct arena arena;
    int64_t start = clock_ns();
    bool ok;

    if (!send_text(s, shared, NULL, "from one of many", &sent, err))
        return false;
    tell(pipe, 'm', sent.message, clock_ns() - start);
    reply = begin_reply(s, shared, sent.message, err);
    if (reply == NULL)
        return false;
    for (uint32_t i = 0; i < 3; i++) {
        append_token(reply, i, "word ", i);
        start = clock_ns();
        if (!sessions_reply_flush(reply, err))
            return false;
        tell(pipe, 'f', "", clock_ns() - start);
    }
    snprintf(sent.message, SESSIONS_ID, "%s", sessions_reply_id(reply));
    if (!finish_reply(&reply, MESSAGE_DONE, err))
        return false;
    tell(pipe, 'm', sent.message, clock_ns() - start);
    arena_init(&arena, 1 << 20);
    ok = sessions_list(s, &(struct sessions_list_params){ .limit = 10 }, &arena, &list,
                       err);
    arena_release(&arena);
    return ok;
}

static void work(int pipe, const char *shared, int64_t until_ns, unsigned seed)
{
    struct sessions *s = NULL;

    for (int round = 0; clock_ns() < until_ns; round++) {
        struct err err = { .code = ERR_NONE };

        if (round % 20 == 0) { // programs come and go
            sessions_close(&s);
            s = sessions_open(&(struct sessions_params){ .directory = directory }, &err);
        }
        if (s == NULL || !one_round(s, pipe, shared, &err)) {
            tell(pipe, 'e', err.text, 0);
            _exit(1);
        }
        usleep((useconds_t)rand_r(&seed) % (2 * PAUSE_US));
    }
    sessions_close(&s);
    _exit(0);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static void eight_programs_lose_nothing(void)
{
    int64_t *took = alloc_array(WRITES_LIMIT, sizeof(*took));
    char(*ids)[SESSIONS_ID] = alloc_array(WRITES_LIMIT, sizeof(*ids));
    size_t writes = 0, messages = 0, lost = 0;
    struct sessions_sent sent;
    struct report report;
    struct sessions *s;
    int ends[2];

    make_directory();
    s = open_store();
    OK(send_text(s, NULL, NULL, "shared", &sent, &err));
    sessions_close(&s);
    if (pipe(ends) < 0)
        abort();
    for (unsigned i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            close(ends[0]);
            work(ends[1], sent.conversation, clock_ns() + seconds() * 1000000000, i + 1);
        }
    close(ends[1]);
    while (read(ends[0], &report, sizeof(report)) == sizeof(report)) {
        if (report.kind == 'e') {
            printf("# an error: %s\n", report.text);
            CHECK(report.kind != 'e');
        }
        if (writes < WRITES_LIMIT)
            took[writes++] = report.took_ns;
        if (report.kind == 'm' && messages < WRITES_LIMIT)
            snprintf(ids[messages++], SESSIONS_ID, "%.32s", report.text);
    }
    close(ends[0]);
    while (wait(NULL) > 0)
        ;
    s = open_store();
    for (size_t i = 0; i < messages; i++) {
        int64_t key;

        lost += !message_key(s, ids[i], &key, NULL);
    }
    OK(sessions_check(s, &err));
    sessions_close(&s);
    CHECK_INT(ask_file("SELECT count(*) FROM messages"), messages + 1);
    CHECK_INT(ask_file("SELECT count(*) FROM messages WHERE state <> 'done'"), 0);
    qsort(took, writes, sizeof(*took), compare);
    REQUIRE(writes > 0);
    printf(
        "# %d programs, %d s: %zu writes, %zu messages, %zu lost; a write took %.1f ms "
        "(median), %.1f ms (99 %%), %.1f ms (longest)\n",
        PROCESSES, (int)seconds(), writes, messages, lost, (double)took[writes / 2] / 1e6,
        (double)took[writes * 99 / 100] / 1e6, (double)took[writes - 1] / 1e6);
    CHECK_INT(lost, 0);
    free(took);
    free(ids);
    remove_directory();
}

static void eight_programs_may_create_it_at_once(void)
{
    int failed = 0, status;

    for (int round = 0; round < 10; round++) {
        make_directory();
        for (int i = 0; i < PROCESSES; i++)
            if (fork() == 0) {
                struct err problem = { .code = ERR_NONE };
                struct sessions *s = sessions_open(
                    &(struct sessions_params){ .directory = directory }, &problem);
                struct sessions_sent sent;

                if (s == NULL || !send_text(s, NULL, NULL, "first", &sent, &problem)) {
                    fprintf(stderr, "# %s\n", problem.text);
                    _exit(1);
                }
                sessions_close(&s);
                _exit(0);
            }
        while (wait(&status) > 0)
            failed += status != 0;
        CHECK_INT(ask_file("SELECT count(*) FROM messages"), PROCESSES);
        CHECK_INT(ask_file("SELECT count(*) FROM instances"), 0);
        remove_directory();
    }
    CHECK_INT(failed, 0);
}

static const struct test tests[] = {
    { "eight programs may create it at once", eight_programs_may_create_it_at_once },
    { "eight programs on one store lose nothing", eight_programs_lose_nothing },
};
TAP_MAIN(tests)
