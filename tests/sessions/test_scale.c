// tests/sessions/test_scale.c
// SPDX-License-Identifier: MIT
//
// 100,000 messages in 1,000 conversations (MESSAGES=1000000: in 10,000): opening, listing
// and searching stay instant. The best of five tries is judged, because other tests run
// at the same time.
#include "tests/sessions/fixture.h"

#include <sys/resource.h>

#include "base/log.h"

#define TRIES   5
#define IN_EACH 100 // messages of a conversation

static int messages(void)
{
    const char *text = getenv("MESSAGES");

    return text != NULL && atoi(text) >= 1000 ? atoi(text) : 100000;
}

static void fill(int count)
{
    struct sessions *s;
    char *sql = alloc_printf(
        "PRAGMA synchronous = OFF; BEGIN;"
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
        " INSERT INTO conversations (key, id, title, tags, created_ms, updated_ms, active_leaf)"
        " SELECT i, printf('%%032x', i), 'Conversation ' || i, 'work', i, i, i * 100 FROM n;"
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
        " INSERT INTO messages (key, id, conversation, parent, role, state, created_ms)"
        " SELECT i, printf('%%032x', i), (i - 1) / 100 + 1, iif(i %% 100 = 1, NULL, i - 1),"
        " iif(i %% 2, 'user', 'assistant'), 'done', i FROM n;"
        "INSERT INTO parts (message, position, text) SELECT key, 0, 'Message number ' || key ||"
        " ' says that the ' || printf('%%x', key * 7919 %% 65536) || ' lies on the ' ||"
        " printf('%%x', key * 104729 %% 4096) || ' and goes on about it for a while, as people and"
        " models do, in a second and a third clause that nobody will read again' FROM messages;"
        "INSERT INTO parts_index (parts_index) VALUES ('rebuild');"
        "INSERT INTO titles_index (titles_index) VALUES ('rebuild'); COMMIT",
        count / IN_EACH, count);

    make_directory();
    s = open_store();
    sessions_close(&s);
    tell_file(sql);
    free(sql);
}

static double since_ms(int64_t start_ns)
{
    return (double)(clock_ns() - start_ns) / 1e6;
}

static double search_ms(struct sessions *s, const char *query, size_t wanted)
{
    double best = 1e9;

    for (int i = 0; i < TRIES; i++) {
        struct sessions_hits hits;
        struct arena arena;
        int64_t start = clock_ns();

        arena_init(&arena, 16 << 20);
        OK(sessions_search(s, query, 50, &arena, &hits, &err));
        best = fmin(best, since_ms(start));
        CHECK_INT(hits.count, wanted);
        arena_release(&arena);
    }
    printf("# search for %s: %.1f ms\n", query, best);
    return best;
}

static void many_messages_open_and_list_at_once(void)
{
    int count = messages();
    double slow = count > 100000 ? 10000 : 1000;
    double best = 1e9;
    struct rusage usage;
    struct sessions *s;
    int64_t start;

    fill(count);
    for (int i = 0; i < TRIES; i++) {
        struct sessions_list_params first = { .limit = 50 };
        struct sessions_list list;
        struct sessions_path path;
        struct arena arena;
        start = clock_ns();
        arena_init(&arena, 16 << 20);
        s = open_store();
        OK(sessions_list(s, &first, &arena, &list, &err));
        OK(sessions_load_path(s, list.entries[0].id, NULL, &arena, &path, &err));
        best = fmin(best, since_ms(start));
        CHECK_INT(list.count, 50);
        CHECK_INT(list.total, count / IN_EACH);
        CHECK_INT(list.entries[0].message_count, 100);
        CHECK_INT(path.count, 100);
        arena_release(&arena);
        sessions_close(&s);
    }
    printf("# open, list 50, load the newest: %.1f ms\n", best);
    CHECK(best <= (count > 100000 ? 100 : 50));
    s = open_store();
    CHECK(search_ms(s, "\"message number 77777\"", 1) <= 50);
    CHECK(search_ms(s, "nowhere", 0) <= 50);
    CHECK(search_ms(s, "that the", 50) <= 50); // in every message
    // Begins a word in every message. AddressSanitizer copies at each growing of SQLite's
    // buffer for it, which takes seconds.
    if (count > 100000)
        CHECK(search_ms(s, "mess", 50) <= 100);
    CHECK(search_ms(s, "天", 0) <= slow); // reads every text
    getrusage(RUSAGE_SELF, &usage);
    printf("# %ld KiB were resident at most\n", usage.ru_maxrss);
    start = clock_ns();
    OK(sessions_check(s, &err));
    printf("# checking the whole file: %.0f ms\n", since_ms(start));
    sessions_close(&s);
    remove_directory();
}

static const struct test tests[] = {
    { "many messages open, list and search at once",
      many_messages_open_and_list_at_once },
};
TAP_MAIN(tests)
