// tests/sessions/test_replay.c
// SPDX-License-Identifier: MIT
#include "tests/sessions/fixture.h"

#include "sessions/private.h"

static struct sessions *s;

// "M:text@ms", "B", "T:text@ms", "I", "E", "P", "." one after the other, times rounded
// down.
static void play(struct sessions_replay *replay, int events, struct str *out)
{
    static const char letters[] = { 'M', 'B', 'T', 'I', 'E', 'P', '.' };

    for (int i = 0; i < events; i++) {
        struct err err = { .code = ERR_NONE };
        struct sessions_event event;

        if (!sessions_replay_next(replay, &event, &err)) {
            str_printf(out, "(%s)", err.text);
            return;
        }
        str_printf(out, "%s%c", i > 0 ? " " : "", letters[event.kind]);
        if (event.kind == REPLAY_MESSAGE)
            str_printf(out, ":%s", event.message->content.parts[0].text);
        if (event.kind == REPLAY_TEXT)
            str_printf(out, ":%.*s", (int)event.text_len, event.text);
        str_printf(out, "@%lld%s", (long long)(event.time_ns / 1000000),
                   event.synthetic ? "s" : "");
        if (event.kind == REPLAY_END)
            return;
    }
}

static void expect(struct sessions_replay *replay, int events, const char *wanted)
{
    struct str got;

    str_init(&got, 0);
    play(replay, events, &got);
    CHECK_STR(got.data, wanted);
    str_release(&got);
}

// Sets the times that the clock gave, so that the time line is known.
static void set_times(const char *sql)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        abort();
}

static void a_conversation_is_played_at_its_real_times(void)
{
    struct sessions_replay *replay;
    struct sessions_sent sent;
    char id[SESSIONS_ID];

    s = open_ephemeral();
    OK(send_text(s, NULL, NULL, "hello", &sent, &err));
    OK(reply_text(s, sent.conversation, NULL, "good ", "day", id, &err));
    OK(send_text(s, sent.conversation, NULL, "bye", &sent, &err));
    set_times(
        "UPDATE messages SET created_ms = 1000000, finished_ms = 1000000 WHERE key = 1;"
        "UPDATE messages SET created_ms = 1000500, finished_ms = 1001000 WHERE key = 2;"
        "UPDATE messages SET created_ms = 1061000, finished_ms = 1061000 WHERE key = 3;"
        "UPDATE replies SET prompt_ns = 200000000");
    replay = sessions_replay_open(s, sent.conversation, NULL, 0, NULL);
    REQUIRE(replay != NULL);
    expect(replay, 99, "M:hello@0 B@500 T:good @701 T:day@751 E@751 M:bye@60751 .@60751");
    sessions_replay_close(&replay);
    replay = sessions_replay_open(s, sent.conversation, NULL, 2000000000, NULL);
    expect(replay, 99, "M:hello@0 B@500 T:good @701 T:day@751 E@751 M:bye@2751 .@2751");
    sessions_replay_close(&replay);
    replay = sessions_replay_open(s, sent.conversation, id, 0, NULL);
    expect(replay, 99, "M:hello@0 B@500 T:good @701 T:day@751 E@751 .@751");
    sessions_replay_close(&replay);
    sessions_close(&s);
}

static void a_live_conversation_is_followed(void)
{
    struct sessions_replay *replay;
    struct sessions_reply *reply;
    struct sessions_sent sent;

    s = open_ephemeral();
    OK(send_text(s, NULL, NULL, "hello", &sent, &err));
    reply = begin_reply(s, sent.conversation, NULL, NULL);
    REQUIRE(reply != NULL);
    set_times("UPDATE messages SET created_ms = 1000000, finished_ms = 1000000");
    replay = sessions_replay_open(s, sent.conversation, NULL, 0, NULL);
    REQUIRE(replay != NULL);
    expect(replay, 3, "M:hello@0 B@0 P@0");
    append_token(reply, 1, "one ", 10000000);
    OK(sessions_reply_flush(reply, &err));
    expect(replay, 2, "T:one @10 P@10");
    append_token(reply, 2, "two", 20000000);
    OK(finish_reply(&reply, MESSAGE_DONE, &err));
    set_times("UPDATE messages SET finished_ms = 1000020 WHERE key = 2");
    expect(replay, 3, "T:two@20 E@20 .@20");
    OK(send_text(s, sent.conversation, NULL, "more", &sent, &err));
    set_times(
        "UPDATE messages SET created_ms = 1001020, finished_ms = 1001020 WHERE key = 3");
    expect(replay, 2, "M:more@1020 .@1020");
    OK(send_text(s, sent.conversation, "", "another branch", &sent, &err));
    expect(replay, 1, ".@1020");
    sessions_replay_close(&replay);
    sessions_close(&s);
}

static void an_unfinished_reply_ends_where_it_ended(void)
{
    struct sessions_replay *replay;
    struct sessions_reply *reply;
    struct sessions_event event = { .kind = REPLAY_END };
    struct sessions_sent sent;

    s = open_ephemeral();
    OK(send_text(s, NULL, NULL, "hello", &sent, &err));
    reply = begin_reply(s, sent.conversation, NULL, NULL);
    REQUIRE(reply != NULL);
    append_token(reply, 1, "half", 10000000);
    OK(finish_reply(&reply, MESSAGE_INTERRUPTED, &err));
    replay = sessions_replay_open(s, sent.conversation, NULL, 0, NULL);
    for (int i = 0; i < 4; i++)
        OK(sessions_replay_next(replay, &event, &err));
    CHECK_INT(event.kind, REPLAY_REPLY_END);
    CHECK_INT(event.message->state, MESSAGE_INTERRUPTED);
    sessions_replay_close(&replay);
    sessions_close(&s);
}

static void an_imported_reply_is_played_word_by_word(void)
{
    static char file[] =
        "[{\"id\":\"x\",\"title\":\"t\",\"chat\":{\"history\":{\"currentId\":\"b\","
        "\"messages\":{\"a\":{\"role\":\"user\",\"content\":\"hi\"},"
        "\"b\":{\"parentId\":\"a\",\"role\":\"assistant\",\"content\":\"one two\\nthree\","
        "\"files\":[{\"type\":\"image\",\"url\":\"data:image/gif;base64,R0lGODlh\"}]}}}}}]";
    struct sessions_imported imported;
    struct sessions_replay *replay;
    char id[SESSIONS_ID];
    FILE *in = fmemopen(file, sizeof(file) - 1, "r");

    s = open_ephemeral();
    OK(sessions_import(s, in, "test", NULL, &imported, &err));
    fclose(in);
    OK(sessions_find(s, "last", id, &err));
    replay = sessions_replay_open(s, id, NULL, 0, NULL);
    REQUIRE(replay != NULL);
    expect(
        replay, 99,
        "M:hi@0s B@1000s I@1000 T:one @1050s T:two\n@1100s T:three@1150s E@1150 .@1150");
    sessions_replay_close(&replay);
    sessions_close(&s);
}

static void a_damaged_record_shows_no_more_than_the_text(void)
{
    struct sessions_replay *replay;
    struct sessions_sent sent;
    char id[SESSIONS_ID];

    s = open_ephemeral();
    OK(send_text(s, NULL, NULL, "hello", &sent, &err));
    OK(reply_text(s, sent.conversation, NULL, "good ", "day", id, &err));
    set_times("UPDATE messages SET created_ms = 1000000, finished_ms = 1000000;"
              "UPDATE parts SET text = 'goo' WHERE text = 'good day'");
    replay = sessions_replay_open(s, sent.conversation, NULL, 0, NULL);
    REQUIRE(replay != NULL);
    expect(replay, 99, "M:hello@0 B@0 T:goo@1 T:@51 E@51 .@51");
    sessions_replay_close(&replay);
    CHECK(sessions_replay_open(s, "00000000000000000000000000000000", NULL, 0, NULL) ==
          NULL);
    sessions_close(&s);
}

static const struct test tests[] = {
    { "a conversation is played at its real times",
      a_conversation_is_played_at_its_real_times },
    { "a live conversation is followed", a_live_conversation_is_followed },
    { "an unfinished reply ends where it ended",
      an_unfinished_reply_ends_where_it_ended },
    { "an imported reply is played word by word",
      an_imported_reply_is_played_word_by_word },
    { "a damaged record shows no more than the text",
      a_damaged_record_shows_no_more_than_the_text },
};
TAP_MAIN(tests)
