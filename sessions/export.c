// sessions/export.c
// SPDX-License-Identifier: MIT
//
// Writing conversations out: JSON Lines, which holds everything and which import.c reads,
// and three forms for people. Only JSON Lines has the untrusted text as it is, and there
// every character that is not ASCII is escaped; the others pass it through
// printable_append, so that no export can do something to a terminal.
//
// JSON Lines (docs/formats.md): one object a line. {"format": "oriel-sessions",
// "version": 1} first, then for each conversation a line of type "conversation", and its
// messages, parents before children, each after the attachments it is the first to use.
#include "sessions/private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/printable.h"

#define MESSAGE_BUDGET                                                                   \
    ((size_t)256 << 20) // memory for one message, or one path for people

static bool written(FILE *out, struct err *err)
{
    return !ferror(out) ||
           err_set(err, ERR_IO, "the export could not be written: %s", strerror(errno));
}

static void put_printable(FILE *out, const char *text, size_t len)
{
    struct str clean;

    str_init(&clean, 16 * SESSIONS_TEXT_LIMIT);
    printable_append(&clean, text, len);
    fwrite(clean.data, 1, clean.len, out);
    str_release(&clean);
}

// A piece at a time, a multiple of three so that no piece needs padding.
void export_base64(FILE *out, const struct str *bytes)
{
    enum { PIECE = 3 << 14 };

    for (size_t at = 0; at < bytes->len; at += PIECE) {
        size_t len = bytes->len - at < PIECE ? bytes->len - at : PIECE;
        struct str text;

        str_init(&text, 0);
        base64_encode(bytes->data + at, len, &text);
        fwrite(text.data, 1, text.len, out);
        str_release(&text);
    }
}

// ---------------------------------------------------------------------------
// JSON Lines

// Whatever the file holds: JSON must be UTF-8.
static json_t *json_text(const char *text, size_t len)
{
    json_t *value = json_stringn(text, len);

    if (value == NULL) {
        struct str clean;

        str_init(&clean, 0);
        text_clean(&clean, text, len);
        value = json_stringn(clean.data, clean.len);
        str_release(&clean);
    }
    return value;
}

static json_t *json_words(const char *text)
{
    return text != NULL ? json_text(text, strlen(text)) : json_null();
}

bool export_line(FILE *out, json_t *object, struct err *err)
{
    bool ok = json_dumpf(object, out,
                         JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(9)) == 0;

    json_decref(object);
    putc('\n', out);
    if (!ok && !ferror(out))
        return err_set(err, ERR_MEMORY, "a line of the export does not fit in memory");
    return written(out, err);
}

static bool put_attachment(struct sessions *s, const char *hash, FILE *out,
                           struct err *err)
{
    struct sessions_attachment attachment;
    struct str bytes;
    bool ok;

    str_init(&bytes, SESSIONS_ATTACHMENT_LIMIT);
    ok = sessions_load_attachment(s, hash, &bytes, &attachment, err);
    if (ok) {
        fprintf(
            out,
            "{\"type\":\"attachment\",\"hash\":\"%s\",\"media_type\":\"%s\",\"bytes\":\"",
            attachment.hash, attachment.media_type);
        export_base64(out, &bytes);
        fputs("\"}\n", out);
        ok = written(out, err);
    }
    str_release(&bytes);
    return ok;
}

static json_t *parts_to_json(const struct message *message)
{
    json_t *array = json_array();

    for (size_t i = 0; i < message->part_count; i++) {
        const struct part *part = &message->parts[i];
        json_t *object = json_object();

        if (part->kind == PART_TEXT) {
            json_object_set_new(object, "text", json_text(part->text, part->text_len));
        } else {
            json_object_set_new(object, "image_hash", json_words(part->image_hash));
            json_object_set_new(object, "image_name", json_words(part->image_name));
        }
        json_array_append_new(array, object);
    }
    return array;
}

// Columns instead of one object a token: shorter, and easily read into a table.
static json_t *tokens_to_json(const struct sessions_record *record)
{
    json_t *ids = json_array(), *times = json_array(), *logprobs = json_array();
    json_t *lengths = json_array();

    for (size_t i = 0; i < record->token_count; i++) {
        const struct sessions_token *token = &record->tokens[i];

        json_array_append_new(ids, json_integer(token->id));
        json_array_append_new(times, json_integer(token->time_ns));
        json_array_append_new(logprobs, isfinite(token->logprob)
                                            ? json_real((double)token->logprob)
                                            : json_null());
        json_array_append_new(lengths, json_integer((json_int_t)token->text_len));
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "id", ids, "time_ns", times, "logprob",
                     logprobs, "text_bytes", lengths);
}

static json_t *record_to_json(const struct sessions_record *record)
{
    json_t *object = json_object();
    json_t *prompt = json_array();

    json_object_set_new(object, "model", json_words(record->model_name));
    json_object_set_new(object, "model_hash", json_words(record->model_hash));
    json_object_set_new(object, "device", json_words(record->device));
    json_object_set_new(object, "build", json_words(record->build));
    json_object_set_new(object, "template_hash", json_words(record->template_hash));
    json_object_set_new(object, "settings", settings_to_json(&record->settings));
    json_object_set_new(object, "prompt_count",
                        json_integer((json_int_t)record->prompt_count));
    for (size_t i = 0; record->prompt != NULL && i < record->prompt_count; i++)
        json_array_append_new(prompt, json_integer(record->prompt[i]));
    json_object_set_new(object, "prompt",
                        record->prompt != NULL ? json_incref(prompt) : json_null());
    json_decref(prompt);
    json_object_set_new(object, "prompt_ns", json_integer(record->prompt_ns));
    json_object_set_new(object, "generation_ns", json_integer(record->generation_ns));
    json_object_set_new(object, "tokens", tokens_to_json(record));
    return object;
}

bool export_message(FILE *out, const struct sessions_message *message,
                    const struct sessions_record *record, struct err *err)
{
    json_t *object = json_object();

    json_object_set_new(object, "type", json_string("message"));
    json_object_set_new(object, "id", json_string(message->id));
    json_object_set_new(object, "parent",
                        message->parent[0] != '\0' ? json_string(message->parent)
                                                   : json_null());
    json_object_set_new(object, "role", json_string(name_of_role(message->content.role)));
    json_object_set_new(object, "state", json_string(name_of_state(message->state)));
    json_object_set_new(object, "stop_reason",
                        json_string(name_of_reason(message->stop_reason)));
    json_object_set_new(object, "error", json_words(message->error));
    json_object_set_new(object, "created_ms", json_integer(message->created_ms));
    json_object_set_new(object, "finished_ms", json_integer(message->finished_ms));
    json_object_set_new(object, "parts", parts_to_json(&message->content));
    if (record != NULL)
        json_object_set_new(object, "reply", record_to_json(record));
    return export_line(out, object, err);
}

static bool put_conversation(struct sessions *s, const char *conversation, FILE *out,
                             struct err *err)
{
    sqlite3_stmt *statement = store_prepare(
        s, err,
        "SELECT c.title, c.tags, c.origin, c.forked_from, c.created_ms, c.updated_ms, m.id "
        "FROM conversations c LEFT JOIN messages m ON m.key = c.active_leaf WHERE c.id = ?1",
        "s", conversation);
    enum step step = statement != NULL ? store_step(s, statement, err) : STEP_FAILED;
    json_t *object = json_object();

    if (step == STEP_DONE)
        err_set(err, ERR_NOT_FOUND, "there is no conversation %s", conversation);
    if (step == STEP_ROW) {
        static const char *const names[] = { "title", "tags", "origin", "forked_from" };

        json_object_set_new(object, "type", json_string("conversation"));
        json_object_set_new(object, "id", json_string(conversation));
        for (int i = 0; i < 4; i++)
            json_object_set_new(
                object, names[i],
                json_words((const char *)sqlite3_column_text(statement, i)));
        json_object_set_new(object, "created_ms",
                            json_integer(sqlite3_column_int64(statement, 4)));
        json_object_set_new(object, "updated_ms",
                            json_integer(sqlite3_column_int64(statement, 5)));
        json_object_set_new(object, "active_leaf",
                            json_words((const char *)sqlite3_column_text(statement, 6)));
    }
    sqlite3_finalize(statement);
    if (step == STEP_ROW)
        return export_line(out, object, err);
    json_decref(object);
    return false;
}

// Whether an earlier message of this conversation already brought the attachment.
static bool is_first_use(struct sessions *s, const char *hash, int64_t key, bool *first,
                         struct err *err)
{
    int64_t earlier;

    if (!store_int(s, err, &earlier, 0,
                   "SELECT p.key FROM parts p JOIN messages m ON m.key = p.message "
                   "WHERE p.attachment = ?1 AND m.key < ?2 AND m.conversation = "
                   "(SELECT conversation FROM messages WHERE key = ?2) LIMIT 1",
                   "si", hash, key))
        return false;
    *first = earlier == 0;
    return true;
}

static bool put_one(struct sessions *s, int64_t key, struct arena *arena, FILE *out,
                    struct err *err)
{
    struct sessions_message message;
    struct sessions_record record;

    if (!message_load_key(s, key, arena, &message, err))
        return false;
    for (size_t i = 0; i < message.content.part_count; i++) {
        const struct part *part = &message.content.parts[i];
        bool first = true;

        for (size_t k = 0; k < i; k++)
            first = first &&
                    (message.content.parts[k].kind != PART_IMAGE ||
                     part->kind != PART_IMAGE ||
                     strcmp(message.content.parts[k].image_hash, part->image_hash) != 0);
        if (part->kind != PART_IMAGE || !first)
            continue;
        if (!is_first_use(s, part->image_hash, key, &first, err) ||
            (first && !put_attachment(s, part->image_hash, out, err)))
            return false;
    }
    if (message.model == NULL)
        return export_message(out, &message, NULL, err);
    return sessions_load_record(s, message.id, arena, &record, err) &&
           export_message(out, &message, &record, err);
}

static bool export_jsonl(struct sessions *s, const char *conversation, FILE *out,
                         struct err *err)
{
    int64_t *keys = NULL;
    size_t count = 0;
    bool ok =
        put_conversation(s, conversation, out, err) &&
        collect_keys(s,
                     store_prepare(s, err,
                                   "SELECT m.key FROM messages m JOIN conversations c "
                                   "ON c.key = m.conversation WHERE c.id = ?1 "
                                   "ORDER BY m.key",
                                   "s", conversation),
                     &keys, &count, err);

    for (size_t i = 0; ok && i < count; i++) {
        struct arena arena;

        arena_init(&arena, MESSAGE_BUDGET);
        ok = put_one(s, keys[i], &arena, out, err);
        arena_release(&arena);
    }
    free(keys);
    return ok;
}

// ---------------------------------------------------------------------------
// For people

static const char *speaker(const struct sessions_message *message)
{
    switch (message->content.role) {
    case ROLE_SYSTEM:
        return "System";
    case ROLE_USER:
        return "You";
    case ROLE_TOOL:
        return "Tool";
    case ROLE_ASSISTANT:
        break;
    }
    return message->model != NULL && message->model[0] != '\0' ? message->model
                                                               : "Assistant";
}

void export_heading(struct str *out, const struct sessions_message *message)
{
    static const char *const notes[] = {
        [MESSAGE_STREAMING] = " (still writing)",
        [MESSAGE_DONE] = "",
        [MESSAGE_INTERRUPTED] = " (interrupted)",
        [MESSAGE_ERROR] = " (failed)",
    };
    const char *name = speaker(message);

    text_line(out, name, strlen(name), SESSIONS_TITLE_LIMIT);
    str_append(out, notes[message->state]);
}

void export_date(FILE *out, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    char text[32] = "";
    struct tm parts;

    if (gmtime_r(&seconds, &parts) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &parts);
    fputs(text, out);
}

static bool put_picture_words(struct sessions *s, FILE *out, const struct part *part,
                              const char *before, const char *after, struct err *err)
{
    struct sessions_attachment attachment;
    struct str bytes;
    bool ok;

    str_init(&bytes, SESSIONS_ATTACHMENT_LIMIT);
    ok = sessions_load_attachment(s, part->image_hash, &bytes, &attachment, err);
    if (ok) {
        fprintf(out, "%sPicture: ", before);
        put_printable(out, part->image_name, strlen(part->image_name));
        fprintf(out, "%s%s, %zu bytes, SHA-256 %.16s...%s\n",
                part->image_name[0] != '\0' ? ", " : "", attachment.media_type,
                attachment.size, attachment.hash, after);
    }
    str_release(&bytes);
    return ok;
}

static bool put_for_people(struct sessions *s, FILE *out, bool markdown,
                           const struct sessions_message *message, struct err *err)
{
    struct str heading;

    str_init(&heading, 0);
    export_heading(&heading, message);
    fputs(markdown ? "## " : "", out);
    put_printable(out, heading.data, heading.len);
    str_release(&heading);
    fputs(markdown ? "\n\n" : ":\n\n", out);
    for (size_t i = 0; i < message->content.part_count; i++) {
        const struct part *part = &message->content.parts[i];

        if (part->kind == PART_IMAGE) {
            if (!put_picture_words(s, out, part, markdown ? "*[" : "[",
                                   markdown ? "]*" : "]", err))
                return false;
        } else {
            put_printable(out, part->text, part->text_len);
            putc('\n', out);
        }
        putc('\n', out);
    }
    return written(out, err);
}

static void put_title(FILE *out, bool markdown, const struct sessions_entry *entry)
{
    fputs(markdown ? "# " : "", out);
    put_printable(out, entry->title, strlen(entry->title));
    fputs("\n\n", out);
    export_date(out, entry->created_ms);
    fputs("\n\n", out);
}

static bool export_path(struct sessions *s, const char *conversation,
                        enum export_format format, FILE *out, struct err *err)
{
    bool markdown = format == EXPORT_MARKDOWN;
    struct sessions_entry entry;
    struct sessions_path path;
    struct arena arena;
    bool ok;

    arena_init(&arena, MESSAGE_BUDGET);
    ok = sessions_load_entry(s, conversation, &arena, &entry, err) &&
         sessions_load_path(s, conversation, NULL, &arena, &path, err);
    if (ok && format == EXPORT_HTML)
        html_conversation(out, &entry);
    else if (ok)
        put_title(out, markdown, &entry);
    for (size_t i = 0; ok && i < path.count; i++)
        ok = format == EXPORT_HTML
                 ? html_message(s, out, &path.messages[i], err)
                 : put_for_people(s, out, markdown, &path.messages[i], err);
    arena_release(&arena);
    return ok && written(out, err);
}

// ---------------------------------------------------------------------------
// Any of them

static bool export_one(struct sessions *s, const char *conversation,
                       enum export_format format, FILE *out, struct err *err)
{
    return format == EXPORT_JSONL ? export_jsonl(s, conversation, out, err)
                                  : export_path(s, conversation, format, out, err);
}

// Oldest first, one after the other: new ones that come meanwhile are exported too.
static bool export_all(struct sessions *s, enum export_format format, FILE *out,
                       struct err *err)
{
    int64_t key = 0;

    for (;;) {
        char id[SESSIONS_ID];
        sqlite3_stmt *statement = store_prepare(
            s, err,
            "SELECT key, id FROM conversations WHERE key > ?1 ORDER BY key LIMIT 1", "i",
            key);
        enum step step = statement != NULL ? store_step(s, statement, err) : STEP_FAILED;

        if (step == STEP_ROW) {
            key = sqlite3_column_int64(statement, 0);
            store_id(statement, 1, id);
        }
        sqlite3_finalize(statement);
        if (step != STEP_ROW)
            return step == STEP_DONE;
        if (!export_one(s, id, format, out, err))
            return err_prefix(err, "conversation %s", id);
    }
}

bool sessions_export(struct sessions *s, const char *conversation,
                     enum export_format format, FILE *out, struct err *err)
{
    bool ok;

    if (format == EXPORT_JSONL)
        fputs("{\"format\":\"oriel-sessions\",\"version\":1}\n", out);
    if (format == EXPORT_HTML)
        html_begin(out);
    ok = conversation != NULL ? export_one(s, conversation, format, out, err)
                              : export_all(s, format, out, err);
    if (ok && format == EXPORT_HTML)
        html_end(out);
    fflush(out);
    return ok && written(out, err);
}
