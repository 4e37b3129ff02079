// tests/sessions/test_tree.c
// SPDX-License-Identifier: MIT
#include "tests/sessions/fixture.h"

#include "sessions/private.h"

static struct sessions *s;
static struct arena arena;

static void begin(void)
{
    s = open_ephemeral();
    arena_init(&arena, 16 << 20);
}

static void end(void)
{
    OK(sessions_check(s, &err));
    arena_release(&arena);
    sessions_close(&s);
}

static void a_message_begins_a_conversation(void)
{
    struct sessions_sent sent;
    struct sessions_path path;
    struct sessions_entry entry;

    begin();
    OK(send_text(s, NULL, NULL, "  What is\nan oriel? ", &sent, &err));
    OK(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err));
    CHECK_INT(path.count, 1);
    CHECK_STR(path.messages[0].id, sent.message);
    CHECK_STR(path.messages[0].parent, "");
    CHECK_INT(path.messages[0].content.part_count, 1);
    CHECK_STR(path.messages[0].content.parts[0].text, "  What is\nan oriel? ");
    CHECK_INT(path.messages[0].content.role, ROLE_USER);
    CHECK_INT(path.messages[0].state, MESSAGE_DONE);
    OK(sessions_load_entry(s, sent.conversation, &arena, &entry, &err));
    CHECK_STR(entry.title, "What is an oriel?");
    CHECK_INT(entry.message_count, 1);
    end();
}

static void editing_and_regenerating_add_siblings(void)
{
    struct sessions_sent first, edited;
    char one[SESSIONS_ID], two[SESSIONS_ID];
    struct sessions_path path;
    const char *const *ids;
    size_t count;

    begin();
    OK(send_text(s, NULL, NULL, "question", &first, &err));
    OK(reply_text(s, first.conversation, NULL, "answer ", "one", one, &err));
    OK(reply_text(s, first.conversation, first.message, "answer ", "two", two, &err));
    OK(sessions_load_path(s, first.conversation, NULL, &arena, &path, &err));
    CHECK_INT(path.count, 2);
    CHECK_STR(path.messages[1].content.parts[0].text, "answer two");
    CHECK_INT(path.messages[1].sibling_index, 1);
    CHECK_INT(path.messages[1].sibling_count, 2);
    OK(sessions_siblings(s, two, &arena, &ids, &count, &err));
    CHECK_INT(count, 2);
    CHECK_STR(ids[0], one);
    CHECK_STR(ids[1], two);

    OK(send_text(s, first.conversation, "", "edited question", &edited, &err));
    OK(sessions_load_path(s, first.conversation, NULL, &arena, &path, &err));
    CHECK_INT(path.count, 1);
    CHECK_INT(path.messages[0].sibling_count, 2);

    OK(sessions_select(s, first.message, &err)); // goes down to its newest leaf
    OK(sessions_load_path(s, first.conversation, NULL, &arena, &path, &err));
    CHECK_INT(path.count, 2);
    CHECK_STR(path.messages[1].id, two);
    OK(sessions_load_path(s, first.conversation, one, &arena, &path, &err));
    CHECK_STR(path.messages[1].content.parts[0].text, "answer one");
    end();
}

static void a_parent_must_be_in_the_conversation(void)
{
    struct sessions_sent one, two;

    begin();
    OK(send_text(s, NULL, NULL, "one", &one, &err));
    OK(send_text(s, NULL, NULL, "two", &two, &err));
    FAILS(send_text(s, one.conversation, two.message, "x", &one, &err), ERR_NOT_FOUND);
    FAILS(send_text(s, "0123", NULL, "x", &one, &err), ERR_NOT_FOUND);
    end();
}

static void a_reply_keeps_everything_about_its_making(void)
{
    struct sessions_sent sent;
    struct sessions_record record;
    char id[SESSIONS_ID];

    begin();
    OK(send_text(s, NULL, NULL, "question", &sent, &err));
    OK(reply_text(s, sent.conversation, NULL, "an ", "answer", id, &err));
    OK(sessions_load_record(s, id, &arena, &record, &err));
    CHECK_STR(record.model_name, "Test 1B");
    CHECK_STR(record.device, "test device");
    CHECK_INT(record.settings.seed, 42);
    CHECK(record.settings.temperature == 0.7f);
    CHECK_INT(record.prompt_count, 3);
    CHECK_INT(record.prompt[2], 3);
    CHECK_INT(record.token_count, 2);
    CHECK_INT(record.tokens[1].id, 12);
    CHECK_INT(record.tokens[1].time_ns, 51000000);
    CHECK(record.tokens[1].logprob == -6.0f);
    CHECK_INT(record.tokens[0].text_len, 3);
    CHECK_INT(record.generation_ns, 99);
    FAILS(sessions_load_record(s, sent.message, &arena, &record, &err), ERR_NOT_FOUND);
    end();
}

static void settings_come_back_exactly(void)
{
    struct generation_settings settings = {
        .max_tokens = 7,
        .seed = UINT64_MAX,
        .temperature = 0.1f,
        .top_k = UINT32_MAX,
        .top_p = 0.95f,
        .min_p = 1e-30f,
        .typical_p = 1.0f / 3,
        .repetition_penalty = 1.1f,
        .presence_penalty = -0.7f,
        .frequency_penalty = 0.3f,
        .penalty_last_n = 64,
        .dry_multiplier = 0.8f,
        .dry_base = 1.75f,
        .dry_allowed_length = 2,
        .dry_last_n = 999,
        .stop = (const char *const[]){ "\n\n", "\"stop\"" },
        .stop_count = 2,
        .biases = (const struct logit_bias[]){ { 5, -INFINITY }, { 6, 2.5f } },
        .bias_count = 2,
        .constraint = CONSTRAINT_GBNF,
        .constraint_text = "root ::= \"a\"",
        .top_logprobs = 20,
    };
    struct generation_settings back;
    char *json, *again;

    begin();
    for (int round = 0; round < 2; round++) {
        json = settings_encode(&settings);
        OK(settings_decode(json, &arena, &back, &err));
        again = settings_encode(&back);
        CHECK_STR(again, json);
        CHECK(back.seed == settings.seed && back.temperature == settings.temperature &&
              back.typical_p == settings.typical_p && back.min_p == settings.min_p &&
              back.top_k == settings.top_k && back.constraint == settings.constraint);
        REQUIRE(back.bias_count == 2 && back.stop_count == 2);
        CHECK(isinf(back.biases[0].bias) && back.biases[1].bias == 2.5f);
        CHECK_STR(back.stop[1], "\"stop\"");
        CHECK_STR(back.constraint_text, settings.constraint_text);
        free(json);
        free(again);
        settings.seed = 12345;
        settings.constraint = CONSTRAINT_JSON_SCHEMA;
    }
    FAILS(settings_decode("{\"top_k\":-1}", &arena, &back, &err), ERR_FORMAT);
    FAILS(settings_decode("{\"top_p\":1e300}", &arena, &back, &err), ERR_FORMAT);
    FAILS(settings_decode("{\"seed\":\"-1\"}", &arena, &back, &err), ERR_FORMAT);
    FAILS(settings_decode("[]", &arena, &back, &err), ERR_FORMAT);
    FAILS(settings_decode(NULL, &arena, &back, &err), ERR_FORMAT);
    end();
}

static void a_streaming_reply_can_be_read_while_it_grows(void)
{
    struct sessions_sent sent;
    struct sessions_reply *reply;
    struct sessions_record record;
    struct sessions_path path;

    begin();
    OK(send_text(s, NULL, NULL, "question", &sent, &err));
    reply = begin_reply(s, sent.conversation, NULL, NULL);
    REQUIRE(reply != NULL);
    append_token(reply, 1, "one ", 10);
    OK(sessions_reply_flush(reply, &err));
    append_token(reply, 2, "two", 20);
    OK(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err));
    CHECK_INT(path.messages[1].state, MESSAGE_STREAMING);
    CHECK_STR(path.messages[1].content.parts[0].text, "one ");
    OK(sessions_reply_flush(reply, &err));
    OK(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err));
    CHECK_STR(path.messages[1].content.parts[0].text, "one two");
    OK(sessions_load_record(s, path.messages[1].id, &arena, &record, &err));
    CHECK_INT(record.token_count, 2);
    CHECK_INT(record.tokens[1].time_ns, 20);
    OK(finish_reply(&reply, MESSAGE_DONE, &err));
    CHECK(reply == NULL);
    OK(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err));
    CHECK_STR(path.messages[1].content.parts[0].text, "one two");
    CHECK_INT(path.messages[1].state, MESSAGE_DONE);
    CHECK_INT(path.messages[1].token_count, 2);
    end();
}

static void pictures_and_text_alternate(void)
{
    static const char png[] = "\x89PNG\r\n\x1a\nrest of the bytes";
    struct sessions_attachment attached, loaded;
    struct sessions_path path;
    struct sessions_sent sent;
    struct part parts[3];
    struct str bytes;

    begin();
    str_init(&bytes, 0);
    OK(sessions_attach(s, png, sizeof(png), &attached, &err));
    CHECK_STR(attached.media_type, "image/png");
    parts[0] = text_part("before");
    parts[1] = (struct part){ .kind = PART_IMAGE,
                              .image_hash = attached.hash,
                              .image_name = "cat\n.png" };
    parts[2] = text_part("after");
    OK(sessions_send(s,
                     &(struct sessions_send_params){
                         .message = { ROLE_USER, parts, 3 },
                     },
                     &sent, &err));
    OK(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err));
    CHECK_INT(path.messages[0].content.part_count, 3);
    CHECK_INT(path.messages[0].content.parts[1].kind, PART_IMAGE);
    CHECK_STR(path.messages[0].content.parts[1].image_hash, attached.hash);
    CHECK_STR(path.messages[0].content.parts[1].image_name, "cat .png");
    CHECK_STR(path.messages[0].content.parts[2].text, "after");
    OK(sessions_load_attachment(s, attached.hash, &bytes, &loaded, &err));
    CHECK_INT(bytes.len, sizeof(png));
    CHECK(memcmp(bytes.data, png, sizeof(png)) == 0);
    OK(sessions_delete(s, sent.conversation,
                       &err)); // takes the last user's picture along
    FAILS(sessions_load_attachment(s, attached.hash, &bytes, &loaded, &err),
          ERR_NOT_FOUND);
    FAILS(sessions_attach(s, png, 0, &attached, &err), ERR_USAGE);
    FAILS(sessions_attach(s, png, SESSIONS_ATTACHMENT_LIMIT + 1, &attached, &err),
          ERR_LIMIT);
    str_release(&bytes);
    end();
}

static void a_fork_has_its_own_messages_and_shares_pictures(void)
{
    struct sessions_attachment attached;
    struct sessions_record record;
    struct sessions_path path;
    struct sessions_sent sent, more;
    char reply[SESSIONS_ID], fork[SESSIONS_ID];
    struct part part;

    begin();
    OK(sessions_attach(s, "GIF89a...", 9, &attached, &err));
    part = (struct part){ .kind = PART_IMAGE, .image_hash = attached.hash };
    OK(sessions_send(s,
                     &(struct sessions_send_params){ .message = { ROLE_USER, &part, 1 } },
                     &sent, &err));
    OK(reply_text(s, sent.conversation, NULL, "a ", "cat", reply, &err));
    OK(send_text(s, sent.conversation, NULL, "not in the fork", &more, &err));
    OK(sessions_fork(s, sent.conversation, reply, fork, &err));
    OK(sessions_delete(s, sent.conversation, &err));
    OK(sessions_load_path(s, fork, NULL, &arena, &path, &err));
    CHECK_INT(path.count, 2);
    CHECK(strcmp(path.messages[1].id, reply) != 0);
    CHECK_STR(path.messages[0].content.parts[0].image_hash, attached.hash);
    CHECK_STR(path.messages[1].content.parts[0].text, "a cat");
    OK(sessions_load_record(s, path.messages[1].id, &arena, &record, &err));
    CHECK_INT(record.token_count, 2);
    end();
}

static void a_fork_of_a_streaming_reply_is_interrupted(void)
{
    struct sessions_sent sent;
    struct sessions_reply *reply;
    struct sessions_path path;
    char fork[SESSIONS_ID];

    begin();
    OK(send_text(s, NULL, NULL, "question", &sent, &err));
    reply = begin_reply(s, sent.conversation, NULL, NULL);
    REQUIRE(reply != NULL);
    append_token(reply, 1, "half", 10);
    OK(sessions_reply_flush(reply, &err));
    OK(sessions_fork(s, sent.conversation, NULL, fork, &err));
    OK(finish_reply(&reply, MESSAGE_DONE, &err));
    OK(sessions_load_path(s, fork, NULL, &arena, &path, &err));
    CHECK_INT(path.messages[1].state, MESSAGE_INTERRUPTED);
    CHECK_STR(path.messages[1].content.parts[0].text, "half");
    end();
}

static void the_list_is_newest_first_in_pages(void)
{
    struct sessions_sent sent[5];
    struct sessions_list list;
    char text[16];

    begin();
    for (int i = 0; i < 5; i++) {
        snprintf(text, sizeof(text), "number %d", i);
        OK(send_text(s, NULL, NULL, text, &sent[i], &err));
        usleep(2000);
    }
    OK(send_text(s, sent[1].conversation, NULL, "again", &sent[1], &err));
    OK(sessions_list(s, &(struct sessions_list_params){ .limit = 2 }, &arena, &list,
                     &err));
    CHECK_INT(list.count, 2);
    CHECK_INT(list.total, 5);
    CHECK_STR(list.entries[0].title, "number 1");
    CHECK_INT(list.entries[0].message_count, 2);
    CHECK_STR(list.entries[1].title, "number 4");
    OK(sessions_list(s, &(struct sessions_list_params){ .limit = 2, .offset = 4 }, &arena,
                     &list, &err));
    CHECK_INT(list.count, 1);
    CHECK_STR(list.entries[0].title, "number 0");
    end();
}

static void tags_are_a_sorted_set(void)
{
    struct sessions_sent sent;
    struct sessions_entry entry;
    struct sessions_list list;

    begin();
    OK(send_text(s, NULL, NULL, "tagged", &sent, &err));
    OK(sessions_tag(s, sent.conversation, "work", true, &err));
    OK(sessions_tag(s, sent.conversation, "a cat", true, &err));
    OK(sessions_tag(s, sent.conversation, "worker", true, &err));
    OK(sessions_tag(s, sent.conversation, "work", true, &err));
    OK(sessions_load_entry(s, sent.conversation, &arena, &entry, &err));
    CHECK_STR(entry.tags, "a cat\nwork\nworker");
    OK(sessions_list(s, &(struct sessions_list_params){ .tag = "work" }, &arena, &list,
                     &err));
    CHECK_INT(list.total, 1);
    OK(sessions_list(s, &(struct sessions_list_params){ .tag = "wor" }, &arena, &list,
                     &err));
    CHECK_INT(list.total, 0);
    OK(sessions_tag(s, sent.conversation, "work", false, &err));
    OK(sessions_load_entry(s, sent.conversation, &arena, &entry, &err));
    CHECK_STR(entry.tags, "a cat\nworker");
    FAILS(sessions_tag(s, sent.conversation, " \n", true, &err), ERR_USAGE);
    end();
}

static void conversations_are_found_by_id_beginning_and_title(void)
{
    struct sessions_sent one, two;
    char prefix[9], id[SESSIONS_ID];

    begin();
    FAILS(sessions_find(s, "last", id, &err), ERR_NOT_FOUND);
    OK(send_text(s, NULL, NULL, "Same title", &one, &err));
    OK(send_text(s, NULL, NULL, "Same title", &two, &err));
    snprintf(prefix, sizeof(prefix), "%.8s", one.conversation);
    OK(sessions_find(s, prefix, id, &err));
    CHECK_STR(id, one.conversation);
    OK(sessions_find(s, two.conversation, id, &err));
    CHECK_STR(id, two.conversation);
    OK(sessions_find(s, "last", id, &err));
    CHECK_STR(id, two.conversation);
    FAILS(sessions_find(s, "same title", id, &err), ERR_USAGE);
    OK(sessions_rename(s, one.conversation, "Other\ttitle", &err));
    OK(sessions_find(s, "other TITLE", id, &err));
    CHECK_STR(id, one.conversation);
    FAILS(sessions_find(s, "nothing", id, &err), ERR_NOT_FOUND);
    FAILS(sessions_rename(s, one.conversation, "\n", &err), ERR_USAGE);
    end();
}

static void malformed_text_is_stored_as_valid_utf8(void)
{
    struct part part = { .kind = PART_TEXT, .text = "a\xff\0z\xe2\x82", .text_len = 6 };
    struct sessions_sent sent;
    struct sessions_path path;

    begin();
    OK(sessions_send(s,
                     &(struct sessions_send_params){ .message = { ROLE_USER, &part, 1 } },
                     &sent, &err));
    OK(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err));
    CHECK_STR(path.messages[0].content.parts[0].text,
              "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd");
    end();
}

static void drafts_are_kept_until_they_are_sent(void)
{
    struct part parts[1] = { text_part("half a thou") };
    struct message draft = { ROLE_USER, parts, 1 };
    struct sessions_attachment attached;
    struct message loaded;
    struct sessions_sent sent;

    begin();
    OK(sessions_draft_save(s, NULL, &draft, &err));
    OK(sessions_draft_load(s, NULL, &arena, &loaded, &err));
    CHECK_INT(loaded.part_count, 1);
    CHECK_STR(loaded.parts[0].text, "half a thou");
    OK(sessions_attach(s, "GIF89a", 6, &attached, &err));
    parts[0] = (struct part){ .kind = PART_IMAGE, .image_hash = attached.hash };
    OK(sessions_draft_save(s, NULL, &draft, &err));
    OK(sessions_draft_save(s, NULL, &draft,
                           &err)); // the picture survives being saved again
    OK(sessions_draft_load(s, NULL, &arena, &loaded, &err));
    CHECK_STR(loaded.parts[0].image_hash, attached.hash);
    OK(send_text(s, NULL, NULL, "a thought", &sent, &err));
    OK(sessions_draft_load(s, NULL, &arena, &loaded, &err));
    CHECK_INT(loaded.part_count, 0);
    OK(sessions_draft_save(s, sent.conversation, &(struct message){ ROLE_USER, parts, 0 },
                           &err));
    end();
}

static void a_path_of_5000_messages_is_loaded_and_deleted(void)
{
    struct sessions_sent sent;
    struct sessions_path path;

    begin();
    OK(send_text(s, NULL, NULL, "0", &sent, &err));
    for (int i = 1; i < 5000; i++)
        if (!send_text(s, sent.conversation, NULL, "next", &sent, NULL))
            CHECK(false);
    OK(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err));
    CHECK_INT(path.count, 5000);
    CHECK_STR(path.messages[0].content.parts[0].text, "0");
    CHECK_STR(path.messages[4999].id, sent.message);
    OK(sessions_delete(s, sent.conversation, &err));
    FAILS(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err),
          ERR_NOT_FOUND);
    end();
}

static const struct test tests[] = {
    { "a message begins a conversation", a_message_begins_a_conversation },
    { "editing and regenerating add siblings", editing_and_regenerating_add_siblings },
    { "a parent must be in the conversation", a_parent_must_be_in_the_conversation },
    { "a reply keeps everything about its making",
      a_reply_keeps_everything_about_its_making },
    { "settings come back exactly", settings_come_back_exactly },
    { "a streaming reply can be read while it grows",
      a_streaming_reply_can_be_read_while_it_grows },
    { "pictures and text alternate", pictures_and_text_alternate },
    { "a fork has its own messages and shares pictures",
      a_fork_has_its_own_messages_and_shares_pictures },
    { "a fork of a streaming reply is interrupted",
      a_fork_of_a_streaming_reply_is_interrupted },
    { "the list is newest first, in pages", the_list_is_newest_first_in_pages },
    { "tags are a sorted set", tags_are_a_sorted_set },
    { "conversations are found by id, beginning and title",
      conversations_are_found_by_id_beginning_and_title },
    { "malformed text is stored as valid UTF-8", malformed_text_is_stored_as_valid_utf8 },
    { "drafts are kept until they are sent", drafts_are_kept_until_they_are_sent },
    { "a path of 5000 messages is loaded and deleted",
      a_path_of_5000_messages_is_loaded_and_deleted },
};
TAP_MAIN(tests)
