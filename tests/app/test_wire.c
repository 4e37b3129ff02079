// tests/app/test_wire.c
// SPDX-License-Identifier: MIT
//
// Frames, their fields, and the values that travel in them. That broken frames are
// refused is also tested from outside (test_commands.py) and by fuzz_wire.
#include "app/messages.h"
#include "app/wire.h"
#include "base/base64.h"
#include "tests/tap.h"

#include <sys/socket.h>
#include <unistd.h>

static void base64_matches_rfc_4648(void)
{
    // Section 10 of the RFC.
    static const char *const vectors[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
    };
    struct str text;

    str_init(&text, 0);
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        str_reset(&text);
        CHECK(base64_encode(vectors[i][0], strlen(vectors[i][0]), &text));
        CHECK_STR(text.data, vectors[i][1]);
        str_reset(&text);
        CHECK(base64_decode(vectors[i][1], strlen(vectors[i][1]), &text));
        CHECK_STR(text.data, vectors[i][0]);
    }
    str_release(&text);
}

static void base64_refuses_what_is_not_canonical(void)
{
    static const char *const wrong[] = { "Zg",   "Zg=",      "Z===", "====",   "Zh==",
                                         "Zm9=", "Zg==Zg==", "Zm 9", "Zm9v\n", "Zm_v" };
    struct str text;

    str_init(&text, 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (base64_decode(wrong[i], strlen(wrong[i]), &text))
            printf("# accepted %s\n", wrong[i]);
        CHECK(!base64_decode(wrong[i], strlen(wrong[i]), &text));
    }
    str_release(&text);
}

static void a_frame_arrives_byte_by_byte(void)
{
    json_t *body = json_pack("{s:s, s:i}", "a", "b\xc3\xa9", "c", 3);
    struct wire_message message;
    struct err err = { 0 };
    struct str frame;
    size_t used;

    str_init(&frame, 0);
    REQUIRE(wire_format(WIRE_TOKENS, 7, body, &frame, &err));
    for (size_t len = 0; len < frame.len; len++)
        CHECK_INT(wire_parse(frame.data, len, &used, &message, &err), WIRE_MORE);
    str_append(&frame, "ORLW"); // the beginning of the next
    REQUIRE(wire_parse(frame.data, frame.len, &used, &message, &err) == WIRE_MESSAGE);
    CHECK_INT(used, frame.len - 4);
    CHECK_INT(message.type, WIRE_TOKENS);
    CHECK_INT(message.request, 7);
    CHECK(json_equal(message.body, body));
    wire_message_release(&message);
    json_decref(body);
    str_release(&frame);
}

static void frames_pass_through_a_socket(void)
{
    struct wire_reader reader;
    struct wire_message message;
    struct err err = { 0 };
    enum wire_status status;
    int pair[2];

    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    wire_reader_init(&reader, pair[1]);
    for (unsigned i = 1; i <= 3; i++)
        CHECK(wire_send(pair[0], WIRE_CANCEL, i, json_object(), &err));
    close(pair[0]);
    CHECK_INT(wire_fill(&reader, &err), WIRE_MORE);
    for (unsigned i = 1; i <= 3; i++) {
        REQUIRE(wire_next(&reader, &message, &err) == WIRE_MESSAGE);
        CHECK_INT(message.request, i);
        wire_message_release(&message);
    }
    status = wire_next(&reader, &message, &err);
    CHECK_INT(status, WIRE_MORE);
    CHECK_INT(wire_fill(&reader, &err), WIRE_CLOSED);
    CHECK_INT(err.code, ERR_NONE);
    wire_reader_release(&reader);
    close(pair[1]);
}

static void any_bytes_survive_as_text(void)
{
    static const struct {
        const char *bytes;
        size_t len;
    } texts[] = { { "", 0 },         { "plain", 5 },    { "a\0b", 3 },
                  { "\xff\xfe", 2 }, { "\xe2\x82", 2 }, { "\xed\xa0\x80", 3 } };
    struct err err = { 0 };
    struct str back;

    str_init(&back, 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *object = json_object();

        wire_set_text(object, "key", texts[i].bytes, texts[i].len);
        CHECK(json_is_string(json_object_get(object, "key")));
        CHECK(wire_get_text(object, "key", &back, &err));
        CHECK_INT(back.len, texts[i].len);
        CHECK(memcmp(back.data, texts[i].bytes, texts[i].len) == 0);
        json_decref(object);
    }
    str_release(&back);
}

static void every_error_code_survives(void)
{
    for (enum err_code code = ERR_USAGE; code <= ERR_LOST; code++) {
        struct err sent = { .code = code, .text = "why \xff" }, got = { 0 };
        json_t *body = wire_error_body(&sent);

        wire_read_error(body, &got);
        CHECK_INT(got.code, code);
        CHECK_STR(got.text, "why \xff");
        json_decref(body);
    }
}

static void a_token_survives(void)
{
    struct token_logprob top[2] = { { 5, -0.1f }, { 6, -INFINITY } };
    struct token_event event = { .id = UINT32_MAX,
                                 .logprob = -1.0f / 3,
                                 .text = "a\0\xff",
                                 .text_len = 3,
                                 .top = top,
                                 .top_count = 2,
                                 .time_ns = 1234567890123 };
    struct token_message token;
    struct err err = { 0 };
    json_t *json = token_json(&event);

    token_message_init(&token);
    REQUIRE(token_message_read(&token, json, &err));
    CHECK_INT(token.event.id, UINT32_MAX);
    CHECK(token.event.logprob == event.logprob);
    CHECK_INT(token.event.text_len, 3);
    CHECK(memcmp(token.event.text, "a\0\xff", 3) == 0);
    CHECK_INT(token.event.time_ns, event.time_ns);
    REQUIRE(token.event.top_count == 2);
    CHECK(token.event.top[0].id == 5 && token.event.top[0].logprob == -0.1f);
    CHECK(isnan(token.event.top[1].logprob)); // not finite: not known
    token_message_release(&token);
    json_decref(json);
}

static void settings_survive(void)
{
    static const char *const stop[] = { "a", "b" };
    static const struct logit_bias biases[] = { { 3, 0.5f }, { 4, -INFINITY } };
    struct generation_settings settings = {
        .max_tokens = 5,
        .seed = INT64_MAX,
        .temperature = 0.7f,
        .top_p = 0.9f,
        .dry_last_n = 64,
        .stop = stop,
        .stop_count = 2,
        .biases = biases,
        .bias_count = 2,
        .constraint = CONSTRAINT_JSON_SCHEMA,
        .constraint_text = "{}",
    };
    struct settings_message got;
    struct err err = { 0 };
    json_t *json = settings_json(&settings);

    REQUIRE(settings_message_read(&got, json, &err));
    CHECK_INT(got.settings.max_tokens, 5);
    CHECK(got.settings.seed == INT64_MAX);
    CHECK(got.settings.temperature == 0.7f && got.settings.top_p == 0.9f);
    CHECK_INT(got.settings.dry_last_n, 64);
    REQUIRE(got.settings.stop_count == 2 && got.settings.bias_count == 2);
    CHECK_STR(got.settings.stop[1], "b");
    CHECK(got.settings.biases[0].token == 3 && got.settings.biases[0].bias == 0.5f);
    CHECK(got.settings.biases[1].token == 4 && got.settings.biases[1].bias == -INFINITY);
    CHECK_INT(got.settings.constraint, CONSTRAINT_JSON_SCHEMA);
    CHECK_STR(got.settings.constraint_text, "{}");
    settings_message_release(&got);
    json_decref(json);
}

static void a_conversation_survives(void)
{
    struct part system = { .kind = PART_TEXT, .text = "s\0s", .text_len = 3 };
    struct part user[] = {
        { .kind = PART_IMAGE, .image_path = "p", .image_hash = "h", .image_name = "n" },
        { .kind = PART_TEXT, .text = "t", .text_len = 1 },
    };
    struct message messages[] = { { ROLE_SYSTEM, &system, 1 },
                                  { ROLE_ASSISTANT, NULL, 0 },
                                  { ROLE_USER, user, 2 } };
    struct conversation_message got;
    struct err err = { 0 };
    json_t *json = json_object();

    json_object_set_new(json, "messages",
                        conversation_json(&(struct conversation){ messages, 3 }));
    REQUIRE(conversation_message_read(&got, json, &err));
    REQUIRE(got.conversation.message_count == 3);
    CHECK_INT(got.conversation.messages[0].parts[0].text_len, 3);
    CHECK_INT(got.conversation.messages[1].role, ROLE_ASSISTANT);
    CHECK_INT(got.conversation.messages[1].part_count, 0);
    REQUIRE(got.conversation.messages[2].part_count == 2);
    CHECK_INT(got.conversation.messages[2].parts[0].kind, PART_IMAGE);
    CHECK_STR(got.conversation.messages[2].parts[0].image_hash, "h");
    CHECK_STR(got.conversation.messages[2].parts[0].image_name, "n");
    CHECK_STR(got.conversation.messages[2].parts[1].text, "t");
    conversation_message_release(&got);
    json_decref(json);
}

static const struct test tests[] = {
    { "base64 matches RFC 4648", base64_matches_rfc_4648 },
    { "base64 refuses what is not canonical", base64_refuses_what_is_not_canonical },
    { "a frame arrives byte by byte", a_frame_arrives_byte_by_byte },
    { "frames pass through a socket", frames_pass_through_a_socket },
    { "any bytes survive as text", any_bytes_survive_as_text },
    { "every error code survives", every_error_code_survives },
    { "a token survives", a_token_survives },
    { "settings survive", settings_survive },
    { "a conversation survives", a_conversation_survives },
};
TAP_MAIN(tests)
