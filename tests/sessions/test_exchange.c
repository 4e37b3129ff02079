// tests/sessions/test_exchange.c
// SPDX-License-Identifier: MIT
//
// Export and import: what goes out comes in again, what others wrote comes in, and what
// is hostile is refused with one line that says where.
#include "tests/sessions/fixture.h"

#include <jansson.h>

static const char png[] = "\x89PNG\r\n\x1a\nnot really";

// A conversation with everything in it.
static void fill(struct sessions *s, char conversation[SESSIONS_ID])
{
    struct sessions_attachment attached;
    struct sessions_sent sent, edited;
    struct sessions_reply *reply;
    struct part parts[3];
    char id[SESSIONS_ID], fork[SESSIONS_ID];

    OK(sessions_attach(s, png, sizeof(png), &attached, &err));
    parts[0] = text_part("What is <b>this</b> & \"that\"?");
    parts[1] = (struct part){ .kind = PART_IMAGE,
                              .image_hash = attached.hash,
                              .image_name = "a\"><script>.png" };
    parts[2] = text_part("\x1b[31mred\x1b[0m \xe2\x80\xae reversed");
    OK(sessions_send(s,
                     &(struct sessions_send_params){ .message = { ROLE_USER, parts, 3 } },
                     &sent, &err));
    OK(reply_text(s, sent.conversation, NULL, "It is ", "**Markdown** <i>not HTML</i>",
                  id, &err));
    OK(reply_text(s, sent.conversation, sent.message, "Second ", "answer", id, &err));
    OK(send_text(s, sent.conversation, "", "edited", &edited, &err));
    reply = begin_reply(s, sent.conversation, NULL, NULL);
    append_token(reply, 3, "broken off", 5);
    OK(finish_reply(&reply, MESSAGE_INTERRUPTED, &err));
    OK(sessions_select(s, id, &err));
    OK(sessions_tag(s, sent.conversation, "one tag", true, &err));
    OK(sessions_tag(s, sent.conversation, "another", true, &err));
    OK(sessions_fork(s, sent.conversation, NULL, fork, &err));
    snprintf(conversation, SESSIONS_ID, "%s", sent.conversation);
}

static char *export(struct sessions *s, const char *conversation,
                    enum export_format format)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    OK(sessions_export(s, conversation, format, out, &err));
    fclose(out);
    return text;
}

static bool import_text(struct sessions *s, const char *text, const char *where,
                        struct sessions_imported *imported, struct err *err)
{
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    bool ok = sessions_import(s, in, "file.json", where, imported, err);

    fclose(in);
    return ok;
}

static void json_lines_come_back_as_they_went_out(void)
{
    struct sessions *one = open_ephemeral(), *two = open_ephemeral();
    struct sessions_imported imported;
    char conversation[SESSIONS_ID];
    char *out, *again;

    fill(one, conversation);
    out = export(one, NULL, EXPORT_JSONL);
    OK(import_text(two, out, NULL, &imported, &err));
    CHECK_INT(imported.conversations, 2);
    CHECK_INT(imported.messages, 5 + 2);
    CHECK_INT(imported.attachments, 1);
    again = export(two, NULL, EXPORT_JSONL);
    CHECK_STR(again, out);
    CHECK(strstr(out, "one tag") != NULL && strstr(out, "\"seed\":42") != NULL);
    OK(sessions_check(two, &err));
    OK(import_text(two, out, NULL, &imported, &err)); // twice changes nothing
    CHECK_INT(imported.conversations, 0);
    CHECK_INT(imported.unchanged, 2);
    CHECK_INT(imported.messages, 0);
    free(again);
    again = export(two, NULL, EXPORT_JSONL);
    CHECK_STR(again, out);
    free(again);
    free(out);
    sessions_close(&one);
    sessions_close(&two);
}

static void each_line_is_json_and_plain_ascii(void)
{
    struct sessions *s = open_ephemeral();
    char conversation[SESSIONS_ID], *out, *at;
    int lines = 0;

    fill(s, conversation);
    out = export(s, conversation, EXPORT_JSONL);
    for (char *line = strtok_r(out, "\n", &at); line != NULL;
         line = strtok_r(NULL, "\n", &at)) {
        json_t *value = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

        CHECK(json_is_object(value));
        json_decref(value);
        for (const char *c = line; *c != '\0'; c++)
            CHECK(*c >= ' ' && *c <= '~');
        lines++;
    }
    CHECK_INT(lines, 1 + 1 + 1 + 5); // header, conversation, picture, messages
    free(out);
    sessions_close(&s);
}

static void a_later_export_adds_what_is_new(void)
{
    struct sessions *one = open_ephemeral(), *two = open_ephemeral();
    struct sessions_imported imported;
    struct sessions_path path;
    struct sessions_sent sent;
    struct arena arena;
    char *out;

    arena_init(&arena, 1 << 20);
    OK(send_text(one, NULL, NULL, "first", &sent, &err));
    out = export(one, NULL, EXPORT_JSONL);
    OK(import_text(two, out, NULL, &imported, &err));
    free(out);
    OK(send_text(one, sent.conversation, NULL, "second", &sent, &err));
    out = export(one, NULL, EXPORT_JSONL);
    OK(import_text(two, out, NULL, &imported, &err));
    CHECK_INT(imported.updated, 1);
    CHECK_INT(imported.messages, 1);
    OK(sessions_load_path(two, sent.conversation, NULL, &arena, &path, &err));
    CHECK_INT(path.count, 2);
    CHECK_STR(path.messages[1].id, sent.message);
    free(out);
    arena_release(&arena);
    sessions_close(&one);
    sessions_close(&two);
}

static void markdown_has_headings_and_no_escape_sequences(void)
{
    struct sessions *s = open_ephemeral();
    char conversation[SESSIONS_ID], *out;

    fill(s, conversation);
    out = export(s, conversation, EXPORT_MARKDOWN);
    CHECK(strncmp(out, "# What is <b>this</b>", 21) == 0);
    CHECK(strstr(out, "\n## You\n\n") != NULL);
    CHECK(strstr(out, "\n## Test 1B\n\nSecond answer\n") != NULL);
    CHECK(strstr(out, "*[Picture: a\"><script>.png, image/png, 19 bytes") != NULL);
    CHECK(strchr(out, '\x1b') == NULL);
    CHECK(strstr(out, "\xe2\x80\xae") == NULL);
    CHECK(strstr(out, "edited") == NULL); // another branch
    free(out);
    out = export(s, conversation, EXPORT_TEXT);
    CHECK(strstr(out, "You:\n\n") != NULL);
    CHECK(strchr(out, '\x1b') == NULL);
    free(out);
    sessions_close(&s);
}

static void html_escapes_everything_and_holds_the_pictures(void)
{
    struct sessions *s = open_ephemeral();
    char conversation[SESSIONS_ID], *out;

    fill(s, conversation);
    out = export(s, conversation, EXPORT_HTML);
    CHECK(strncmp(out, "<!DOCTYPE html>", 15) == 0);
    CHECK(strstr(out, "What is &lt;b&gt;this&lt;/b&gt; &amp; &quot;that&quot;?") != NULL);
    CHECK(strstr(out, "<script") == NULL);
    CHECK(strstr(out, "<b>") == NULL);
    CHECK(strchr(out, '\x1b') == NULL);
    // Base64 of the bytes by coreutils: printf '\x89PNG\r\n\x1a\nnot really\0' | base64
    CHECK(strstr(out, "<img src=\"data:image/png;base64,iVBORw0KGgpub3QgcmVhbGx5AA==\" "
                      "alt=\"a&quot;&gt;&lt;script&gt;.png\">") != NULL);
    CHECK(strstr(out, "default-src 'none'") != NULL);
    CHECK(strstr(out, "</html>\n") != NULL);
    free(out);
    sessions_close(&s);
}

// ---------------------------------------------------------------------------
// Others

static const char chatgpt[] =
    "[{\"title\": \"Trip to Rome\", \"create_time\": 1700000000.25, \"update_time\": "
    "1700000100, \"id\": \"6f9619ff-8b86-d011-b42d-00cf4fc964ff\", \"current_node\": \"n4\", "
    "\"mapping\": {"
    "\"n4\": {\"id\": \"n4\", \"parent\": \"n2\", \"children\": [], \"message\": {\"author\": "
    "{\"role\": \"assistant\"}, \"create_time\": 1700000030, \"content\": {\"content_type\": "
    "\"text\", \"parts\": [\"Take the train.\"]}, \"metadata\": {\"model_slug\": \"gpt-4\"}}},"
    "\"root\": {\"id\": \"root\", \"message\": null, \"parent\": null},"
    "\"n1\": {\"parent\": \"root\", \"message\": {\"author\": {\"role\": \"system\"}, "
    "\"content\": {\"content_type\": \"text\", \"parts\": [\"\"]}}},"
    "\"n2\": {\"parent\": \"n1\", \"message\": {\"author\": {\"role\": \"user\"}, "
    "\"create_time\": 1700000010, \"content\": {\"content_type\": \"multimodal_text\", "
    "\"parts\": [{\"content_type\": \"image_asset_pointer\", \"asset_pointer\": "
    "\"file-service://file-Abc123\"}, \"How?\", {\"content_type\": \"image_asset_pointer\", "
    "\"asset_pointer\": \"file-service://file-Missing1\"}]}}},"
    "\"n3\": {\"parent\": \"n2\", \"message\": {\"author\": {\"role\": \"assistant\"}, "
    "\"content\": {\"content_type\": \"text\", \"parts\": [\"By plane.\"]}, "
    "\"metadata\": {\"model_slug\": \"gpt-4\"}}}}}]";

static void chatgpt_exports_are_read(void)
{
    struct sessions *s = open_ephemeral();
    struct sessions_imported imported;
    struct sessions_entry entry;
    struct sessions_path path;
    struct arena arena;
    char id[SESSIONS_ID], *picture;
    FILE *file;

    make_directory();
    arena_init(&arena, 1 << 20);
    picture = alloc_printf("%s/file-Abc123-holiday.png", directory);
    file = fopen(picture, "w");
    REQUIRE(file != NULL);
    fwrite(png, 1, sizeof(png), file);
    fclose(file);
    OK(import_text(s, chatgpt, directory, &imported, &err));
    CHECK_INT(imported.conversations, 1);
    CHECK_INT(imported.messages, 3);
    CHECK_INT(imported.attachments, 1);
    CHECK_INT(imported.missing_images, 1);
    OK(sessions_find(s, "Trip to Rome", id, &err));
    OK(sessions_load_entry(s, id, &arena, &entry, &err));
    CHECK_STR(entry.origin, "chatgpt");
    CHECK_INT(entry.created_ms, 1700000000250);
    CHECK_INT(entry.updated_ms, 1700000100000);
    OK(sessions_load_path(s, id, NULL, &arena, &path, &err));
    REQUIRE(path.count == 2);
    REQUIRE(path.messages[0].content.part_count == 3);
    CHECK_STR(path.messages[0].content.parts[0].image_name, "file-Abc123-holiday.png");
    CHECK_STR(path.messages[0].content.parts[1].text, "How?");
    CHECK_STR(path.messages[0].content.parts[2].text,
              "[picture that is not in the export: file-Missing1]");
    CHECK_STR(path.messages[1].content.parts[0].text, "Take the train.");
    CHECK_STR(path.messages[1].model, "gpt-4");
    CHECK_INT(path.messages[1].sibling_count, 2);
    CHECK_INT(path.messages[1].created_ms, 1700000030000);
    OK(import_text(s, chatgpt, directory, &imported, &err));
    CHECK_INT(imported.unchanged, 1);
    OK(sessions_check(s, &err));
    free(picture);
    arena_release(&arena);
    sessions_close(&s);
    remove_directory();
}

static const char open_webui[] =
    "[{\"id\": \"c1\", \"user_id\": \"u\", \"title\": \"Cat picture\", \"created_at\": "
    "1710000000, \"updated_at\": 1710000050, \"meta\": {\"tags\": [\"pets\", \"a\\nb\"]}, "
    "\"chat\": {\"title\": \"Cat picture\", \"models\": [\"llava:7b\"], \"history\": "
    "{\"currentId\": \"m2\", \"messages\": {"
    "\"m1\": {\"id\": \"m1\", \"parentId\": null, \"childrenIds\": [\"m2\"], \"role\": "
    "\"user\", \"content\": \"What is it?\", \"timestamp\": 1710000001, \"files\": [{\"type\": "
    "\"image\", \"url\": \"data:image/gif;base64,R0lGODlhAAA=\"}]},"
    "\"m2\": {\"id\": \"m2\", \"parentId\": \"m1\", \"role\": \"assistant\", \"content\": "
    "\"A cat.\", \"model\": \"llava:7b\", \"timestamp\": 1710000002, \"done\": true},"
    "\"m3\": {\"id\": \"m3\", \"parentId\": \"m1\", \"role\": \"assistant\", \"content\": "
    "\"A d\", \"model\": \"llava:7b\", \"done\": false}}}}}]";

static void open_webui_exports_are_read(void)
{
    struct sessions *s = open_ephemeral();
    struct sessions_attachment attached;
    struct sessions_imported imported;
    struct sessions_entry entry;
    struct sessions_path path;
    struct arena arena;
    struct str bytes;
    char id[SESSIONS_ID];

    arena_init(&arena, 1 << 20);
    str_init(&bytes, 0);
    OK(import_text(s, open_webui, NULL, &imported, &err));
    CHECK_INT(imported.messages, 3);
    OK(sessions_find(s, "Cat picture", id, &err));
    OK(sessions_load_entry(s, id, &arena, &entry, &err));
    CHECK_STR(entry.origin, "open-webui");
    CHECK_STR(entry.tags, "a\nb\npets");
    CHECK_STR(entry.model, "llava:7b");
    OK(sessions_load_path(s, id, NULL, &arena, &path, &err));
    REQUIRE(path.count == 2);
    REQUIRE(path.messages[0].content.part_count == 2);
    OK(sessions_load_attachment(s, path.messages[0].content.parts[0].image_hash, &bytes,
                                &attached, &err));
    CHECK_INT(bytes.len, 8);
    CHECK_STR(attached.media_type, "image/gif");
    CHECK_STR(path.messages[1].content.parts[0].text, "A cat.");
    str_release(&bytes);
    arena_release(&arena);
    sessions_close(&s);
}

// ---------------------------------------------------------------------------
// Hostile

#define CONVERSATION                                                                          \
    "{\"type\":\"conversation\",\"id\":\"00000000000000000000000000000001\",\"title\":\"t\"," \
    "\"created_ms\":1,\"updated_ms\":1}\n"
#define MESSAGE(id, parent, rest)                                                        \
    "{\"type\":\"message\",\"id\":\"000000000000000000000000000000" id                   \
    "\",\"parent\":" parent                                                              \
    ",\"role\":\"user\",\"state\":\"done\",\"stop_reason\":\"none\",\"created_ms\":1,"   \
    "\"finished_ms\":1," rest "}\n"

static void hostile_files_are_refused_with_their_place(void)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        { "hello", "file.json: line 1: this is none of the formats that oriel reads" },
        { "\n\n42", "file.json: line 3: this is none of the formats that oriel reads" },
        { " ", "file.json: there is nothing in it" },
        { "{}", "file.json: line 1: this is none of the formats that oriel reads" },
        { "{\"a\":", "file.json: line 1: the file ends inside an object" },
        { "[{\"a\":]}]", "file.json: line 1: unexpected token near ']'" },
        { "{\"format\":\"oriel-sessions\",\"version\":2}",
          "file.json: line 1: made by a newer oriel, or not by oriel" },
        { "{\"type\":\"message\"}",
          "file.json: line 1: something before the first conversation" },
        { "{\"type\":\"conversation\",\"id\":\"../../etc/passwd\",\"title\":\"\","
          "\"created_ms\":1,\"updated_ms\":1}",
          "file.json: line 1: a conversation's id is not 32 hexadecimal digits" },
        { "{\"type\":\"conversation\",\"id\":5}",
          "file.json: line 1: \"id\" is missing or not what it should be" },
        { CONVERSATION "{\"type\":\"x\\u001b[2J\"}",
          "file.json: line 2: a line of type \"x\x1b[2J\"" },
        { CONVERSATION MESSAGE("02", "\"00000000000000000000000000000003\"",
                               "\"parts\":[]"),
          "file.json: line 2: message 00000000000000000000000000000002: there is no message "
          "00000000000000000000000000000003 in this conversation" },
        { CONVERSATION MESSAGE("02", "\"00000000000000000000000000000002\"",
                               "\"parts\":[]"),
          "file.json: line 2: message 00000000000000000000000000000002: there is no message "
          "00000000000000000000000000000002 in this conversation" },
        { CONVERSATION MESSAGE("02", "null", "\"parts\":{}"),
          "file.json: line 2: \"parts\" is missing or not what it should be" },
        { CONVERSATION MESSAGE("02", "null", "\"parts\":[{\"image_hash\":\"x\"}]"),
          "file.json: line 2: \"image_hash\" is missing or not what it should be" },
        { CONVERSATION MESSAGE(
              "02", "null",
              "\"parts\":[{\"image_hash\":\"0000000000000000000000000000000000000000"
              "000000000000000000000000\",\"image_name\":\"n\"}]"),
          "file.json: line 2: the picture n is not attached" },
        { CONVERSATION "{\"type\":\"attachment\",\"hash\":\"00\",\"bytes\":\"AAAA\"}",
          "file.json: line 2: the bytes of attachment 00 have another hash" },
        { CONVERSATION "{\"type\":\"attachment\",\"hash\":\"00\",\"bytes\":\"A\"}",
          "file.json: line 2: \"bytes\" is not base64" },
        { CONVERSATION MESSAGE("02", "null", "\"parts\":[],\"reply\":{\"settings\":[]}"),
          "file.json: line 2: settings: not an object" },
        { "[{\"title\":\"c\",\"mapping\":{\"a\":{\"parent\":\"b\"},\"b\":{\"parent\":\"a\"}}}]",
          "file.json: line 1: messages that are their own ancestors" },
        { "[{\"chat\":{}}]", "file.json: line 1: a chat without \"history\"" },
        { "[{\"chat\":{\"history\":{\"messages\":{\"a\":{\"role\":\"user\",\"files\":[{\"type\":"
          "\"image\",\"url\":\"data:;base64,???\"}]}}}}}]",
          "file.json: line 1: message a: a picture that is not base64, or of more than "
          "33554432 bytes" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sessions *s = open_ephemeral();
        struct err mistake = { .code = ERR_NONE };
        struct sessions_imported imported;
        struct sessions_list list;
        struct arena arena;

        arena_init(&arena, 1 << 20);
        CHECK(!import_text(s, cases[i].text, NULL, &imported, &mistake));
        CHECK_STR(mistake.text, cases[i].message);
        OK(sessions_list(s, &(struct sessions_list_params){ .limit = 1 }, &arena, &list,
                         &err));
        CHECK_INT(list.total, 0); // the conversation with the mistake is not there
        OK(sessions_check(s, &err));
        arena_release(&arena);
        sessions_close(&s);
    }
}

static void what_came_before_the_mistake_is_kept(void)
{
    struct sessions *s = open_ephemeral();
    struct sessions_imported imported;
    char *text =
        alloc_printf("%.*s, {\"chat\": 1}]", (int)sizeof(open_webui) - 2, open_webui);

    FAILS(import_text(s, text, NULL, &imported, &err), ERR_FORMAT);
    CHECK_INT(imported.conversations, 1);
    CHECK_INT(imported.messages, 3);
    free(text);
    sessions_close(&s);
}

static char *repeat(const char *begin, const char *piece, size_t count, const char *end)
{
    struct str text;

    str_init(&text, (size_t)256 << 20);
    str_append(&text, begin);
    for (size_t i = 0; i < count; i++)
        str_append(&text, piece);
    str_append(&text, end);
    return str_take(&text);
}

static void bombs_are_refused(void)
{
    struct sessions *s = open_ephemeral();
    struct sessions_imported imported;
    char *deep = repeat("{\"chat\":", "[", 100000, "");
    char *wide = repeat("{\"chat\":[0", ",0", 5000000, "]}");
    char *closed = repeat("{\"chat\":", "[", 100000, "");
    char *long_one;

    FAILS(import_text(s, deep, NULL, &imported, &err), ERR_FORMAT);
    FAILS(import_text(s, wide, NULL, &imported, &err), ERR_LIMIT);
    free(closed);
    closed = repeat(deep, "]", 100000, "}");
    FAILS(import_text(s, closed, NULL, &imported, &err), ERR_FORMAT);
    long_one = repeat("{\"chat\":\"", "0123456789abcdef", 5 << 20, "\"}");
    FAILS(import_text(s, long_one, NULL, &imported, &err), ERR_LIMIT);
    free(deep);
    free(wide);
    free(closed);
    free(long_one);
    sessions_close(&s);
}

static void what_could_not_be_saved_is_rescued(void)
{
    struct sessions *s = open_ephemeral();
    struct part part = text_part("typed while the disk was full");
    struct sessions_rescue rescue = { .title = "t", .created_ms = INT64_C(1) << 45 };
    struct sessions_imported imported;
    struct sessions_path path;
    struct sessions_sent sent;
    struct arena arena;
    struct stat status;
    char *file;
    FILE *in;

    make_directory();
    arena_init(&arena, 1 << 20);
    file = alloc_printf("%s/rescue.jsonl", directory);
    OK(send_text(s, NULL, NULL, "saved", &sent, &err));
    rescue.conversation = sent.conversation;
    rescue.parent = sent.message;
    rescue.content = (struct message){ ROLE_USER, &part, 1 };
    umask(0);
    OK(sessions_rescue_write(file, &rescue, &err));
    umask(022);
    rescue.conversation =
        "00000000000000000000000000000009"; // begun while nothing was saved
    rescue.parent = "";
    OK(sessions_rescue_write(file, &rescue, &err));
    CHECK(stat(file, &status) == 0);
    CHECK_INT(status.st_mode & 07777, 0600);
    in = fopen(file, "r");
    REQUIRE(in != NULL);
    OK(sessions_import(s, in, file, NULL, &imported, &err));
    CHECK_INT(imported.updated, 1);
    CHECK_INT(imported.conversations, 1);
    OK(sessions_load_path(s, sent.conversation, NULL, &arena, &path, &err));
    REQUIRE(path.count == 2);
    CHECK_STR(path.messages[1].content.parts[0].text, "typed while the disk was full");
    fclose(in);
    free(file);
    arena_release(&arena);
    sessions_close(&s);
    remove_directory();
}

static void an_export_to_a_full_disk_fails(void)
{
    struct sessions *s = open_ephemeral();
    char conversation[SESSIONS_ID];
    FILE *full = fopen("/dev/full", "w");

    if (full == NULL) {
        tap_skip("/dev/full cannot be opened");
    } else {
        fill(s, conversation);
        for (int format = EXPORT_MARKDOWN; format <= EXPORT_TEXT; format++)
            FAILS(
                sessions_export(s, conversation, (enum export_format)format, full, &err),
                ERR_IO);
        fclose(full);
    }
    sessions_close(&s);
}

static const struct test tests[] = {
    { "JSON Lines come back as they went out", json_lines_come_back_as_they_went_out },
    { "each line is JSON and plain ASCII", each_line_is_json_and_plain_ascii },
    { "a later export adds what is new", a_later_export_adds_what_is_new },
    { "Markdown has headings and no escape sequences",
      markdown_has_headings_and_no_escape_sequences },
    { "HTML escapes everything and holds the pictures",
      html_escapes_everything_and_holds_the_pictures },
    { "ChatGPT exports are read", chatgpt_exports_are_read },
    { "Open WebUI exports are read", open_webui_exports_are_read },
    { "hostile files are refused with their place",
      hostile_files_are_refused_with_their_place },
    { "what came before the mistake is kept", what_came_before_the_mistake_is_kept },
    { "bombs are refused", bombs_are_refused },
    { "what could not be saved is rescued", what_could_not_be_saved_is_rescued },
    { "an export to a full disk fails", an_export_to_a_full_disk_fails },
};
TAP_MAIN(tests)
