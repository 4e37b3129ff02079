// sessions/import.c
// SPDX-License-Identifier: MIT
//
// Reading conversations in: our own JSON Lines, and (import_foreign.c) the exports of
// others.
//
// The file is hostile until checked. It is read as a sequence of JSON objects, one a line
// or as the elements of one array, and only one of them is in memory at a time; its size
// and its number of elements are limited before it is parsed. Every id, reference and
// number is checked; nothing of the file reaches SQL except as a bound value.
//
// Importing is merging: ids decide what is already here. Foreign ids become ours by
// hashing, so that a second export of the same conversation adds what is new in it.
#include "sessions/private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"

#define OBJECT_BYTES    ((size_t)64 << 20) // of JSON: an attachment in base64 fits
#define OBJECT_ELEMENTS 4000000            // commas and brackets; bounds the parsed size
#define RECORD_BUDGET   ((size_t)256 << 20)
#define TIME_LIMIT_MS   ((int64_t)1 << 52)

// ---------------------------------------------------------------------------
// Cutting the stream into objects

struct source {
    FILE *in;
    size_t line;        // of the next byte, from 1
    size_t object_line; // where the object began
    size_t elements;
    bool in_array;
    bool begun; // the first byte that is no space was seen
};

static int next_byte(struct source *source)
{
    int c = getc(source->in);

    source->line += c == '\n';
    return c;
}

static void skip_byte_order_mark(FILE *in)
{
    int c = getc(in);

    if (c == 0xEF) {
        getc(in);
        getc(in);
    } else {
        ungetc(c, in);
    }
}

// Skips to the first byte of the next object. False at the end (*at_end) or on an error.
static bool find_object(struct source *source, bool *at_end, struct err *err)
{
    for (;;) {
        int c = next_byte(source);

        if (c == EOF) {
            *at_end = true;
            return ferror(source->in) && err_set(err, ERR_IO, "%s", strerror(errno));
        }
        if (c == '{') {
            source->begun = true;
            source->object_line = source->line;
            return true;
        }
        if (c == '[' && !source->begun) {
            source->in_array = true;
        } else if (strchr(" \t\r\n", c) == NULL &&
                   !(source->in_array && (c == ',' || c == ']'))) {
            return err_set(err, ERR_FORMAT,
                           "line %zu: this is none of the formats that oriel reads",
                           source->line);
        }
        source->begun |= c == '[';
    }
}

// Reads from behind the '{' to the matching '}'.
static bool read_object(struct source *source, struct str *text, struct err *err)
{
    bool in_string = false, escaped = false;
    size_t depth = 1;

    source->elements = 0;
    str_reset(text);
    str_append_char(text, '{');
    while (depth > 0) {
        int c = next_byte(source);

        if (c == EOF)
            return err_set(err, ERR_FORMAT, "line %zu: the file ends inside an object",
                           source->object_line);
        if (!str_append_char(text, (char)c))
            return err_set(err, ERR_LIMIT, "line %zu: an object of more than %zu bytes",
                           source->object_line, OBJECT_BYTES);
        if (in_string) {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        in_string = c == '"';
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        source->elements += c == ',' || c == '{' || c == '[';
        if (source->elements > OBJECT_ELEMENTS)
            return err_set(err, ERR_LIMIT, "line %zu: an object of more than %d elements",
                           source->object_line, OBJECT_ELEMENTS);
    }
    return true;
}

// ---------------------------------------------------------------------------
// Into the store

static bool normalise_tags(const char *text, struct str *tags, struct err *err)
{
    const char *at = text != NULL ? text : "";

    while (*at != '\0') {
        size_t len = strcspn(at, "\n");
        struct str tag, merged;
        bool ok = true;

        str_init(&tag, TAG_LIMIT);
        str_init(&merged, 0);
        text_line(&tag, at, len, TAG_LIMIT);
        if (tag.len > 0)
            ok = tags_edit(tags->data, tag.data, true, &merged, err);
        if (ok && tag.len > 0) {
            str_reset(tags);
            str_append_n(tags, merged.data, merged.len);
        }
        str_release(&tag);
        str_release(&merged);
        if (!ok)
            return false;
        at += len + (at[len] == '\n');
    }
    return true;
}

static bool insert_conversation(struct importer *importer,
                                const struct import_conversation *conversation,
                                struct err *err)
{
    const char *forked = conversation->forked_from;
    struct str tags;
    bool ok;

    str_init(&tags, 0);
    ok = normalise_tags(conversation->tags, &tags, err) &&
         conversation_insert(
             importer->s,
             &(struct conversation_row){
                 .id = conversation->id,
                 .title = conversation->title,
                 .title_len = strlen(conversation->title),
                 .tags = tags.data,
                 .origin = conversation->origin,
                 .forked_from = forked != NULL && id_valid(forked) ? forked : NULL,
                 .created_ms = conversation->created_ms,
                 .updated_ms = conversation->updated_ms,
             },
             &importer->conversation, err);
    str_release(&tags);
    return ok;
}

static bool open_conversation(struct importer *importer,
                              const struct import_conversation *conversation,
                              struct err *err)
{
    if (!store_int(importer->s, err, &importer->conversation, 0,
                   "SELECT key FROM conversations WHERE id = ?1", "s", conversation->id))
        return false;
    importer->is_new = importer->conversation == 0;
    return !importer->is_new || insert_conversation(importer, conversation, err);
}

bool import_begin(struct importer *importer,
                  const struct import_conversation *conversation, struct err *err)
{
    if (!id_valid(conversation->id))
        return err_set(err, ERR_FORMAT,
                       "a conversation's id is not 32 hexadecimal digits");
    importer->messages = importer->attachments = 0;
    importer->updated_ms = conversation->updated_ms;
    snprintf(importer->id, SESSIONS_ID, "%s", conversation->id);
    snprintf(importer->active_leaf, SESSIONS_ID, "%s",
             conversation->active_leaf != NULL ? conversation->active_leaf : "");
    if (!store_begin(importer->s, err))
        return false;
    if (open_conversation(importer, conversation, err))
        return true;
    importer->conversation = 0;
    return store_end(importer->s, false, err);
}

bool import_message(struct importer *importer, const struct import_message *message,
                    int64_t *key, struct err *err)
{
    struct message_row row = {
        .id = message->id,
        .conversation = importer->conversation,
        .role = message->content.role,
        .state =
            message->state == MESSAGE_STREAMING ? MESSAGE_INTERRUPTED : message->state,
        .stop_reason = message->stop_reason,
        .error = message->error,
        .created_ms = message->created_ms,
        .finished_ms = message->finished_ms,
    };
    int64_t where;

    *key = 0;
    if (!id_valid(message->id))
        return err_set(err, ERR_FORMAT, "a message's id is not 32 hexadecimal digits");
    if (!store_int(importer->s, err, &where, 0,
                   "SELECT conversation FROM messages WHERE id = ?1", "s", message->id))
        return false;
    if (where == importer->conversation)
        return true;
    if (where != 0)
        return err_set(err, ERR_FORMAT, "message %s belongs to another conversation",
                       message->id);
    if (!parent_key(importer->s, row.conversation,
                    message->parent != NULL ? message->parent : "", &row.parent, err)) {
        return err_prefix(err, "message %s", message->id);
    }
    importer->messages++;
    return message_insert(importer->s, &row, key, err) &&
           message_insert_parts(importer->s, *key, &message->content, err);
}

bool import_picture(struct importer *importer, const void *bytes, size_t len,
                    struct sessions_attachment *attachment, struct err *err)
{
    bool added;

    if (!attachment_insert(importer->s, bytes, len, attachment, &added, err))
        return false;
    importer->attachments += added;
    return true;
}

// What the file says of the active leaf counts for a new conversation, and for one that
// the file knows better than we do.
static bool settle(struct importer *importer, struct err *err)
{
    int64_t ours;

    if (!importer->is_new && importer->messages == 0)
        return true;
    return store_int(importer->s, err, &ours, 0,
                     "SELECT updated_ms FROM conversations WHERE key = ?1", "i",
                     importer->conversation) &&
           store_run(
               importer->s, err,
               "UPDATE conversations SET active_leaf = coalesce("
               "(SELECT key FROM messages WHERE id = ?2 AND conversation = ?1), "
               "active_leaf, (SELECT max(key) FROM messages WHERE conversation = ?1)), "
               "updated_ms = max(updated_ms, ?3) WHERE key = ?1",
               "isi", importer->conversation,
               importer->is_new || importer->updated_ms >= ours ? importer->active_leaf
                                                                : "",
               importer->updated_ms);
}

bool import_end(struct importer *importer, bool ok, struct err *err)
{
    struct sessions_imported *done = importer->done;

    if (importer->conversation == 0)
        return ok;
    ok = store_end(importer->s, ok && settle(importer, err), err);
    importer->conversation = 0;
    if (!ok)
        return false;
    done->conversations += importer->is_new;
    done->updated += !importer->is_new && importer->messages > 0;
    done->unchanged += !importer->is_new && importer->messages == 0;
    done->messages += importer->messages;
    done->attachments += importer->attachments;
    return true;
}

// ---------------------------------------------------------------------------
// Fields of our own format

static bool wrong(struct err *err, const char *field)
{
    return err_set(err, ERR_FORMAT, "\"%s\" is missing or not what it should be", field);
}

// A string, or NULL for null and absent.
static bool get_text(const json_t *object, const char *field, const char **text,
                     struct err *err)
{
    const json_t *value = json_object_get(object, field);

    *text = json_string_value(value);
    return value == NULL || json_is_null(value) || *text != NULL || wrong(err, field);
}

static bool get_time(const json_t *object, const char *field, int64_t *ms,
                     struct err *err)
{
    const json_t *value = json_object_get(object, field);

    *ms = json_integer_value(value);
    return (json_is_integer(value) && *ms >= 0 && *ms < TIME_LIMIT_MS) ||
           wrong(err, field);
}

static bool get_count(const json_t *object, const char *field, int64_t *count,
                      struct err *err)
{
    const json_t *value = json_object_get(object, field);

    *count = json_integer_value(value);
    return (json_is_integer(value) && *count >= 0) || wrong(err, field);
}

static bool read_parts(const json_t *object, struct arena *arena, struct message *message,
                       struct err *err)
{
    const json_t *array = json_object_get(object, "parts");
    size_t count = json_array_size(array);
    struct part *parts;

    if (!json_is_array(array))
        return wrong(err, "parts");
    if (count > SESSIONS_PART_LIMIT ||
        (parts = arena_alloc(arena, count, sizeof(*parts))) == NULL)
        return err_set(err, ERR_LIMIT, "a message of %zu parts; the limit is %d", count,
                       SESSIONS_PART_LIMIT);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);
        const json_t *text = json_object_get(item, "text");

        if (json_is_string(text)) {
            parts[i] = (struct part){ .kind = PART_TEXT,
                                      .text = json_string_value(text),
                                      .text_len = json_string_length(text) };
        } else {
            parts[i] = (struct part){ .kind = PART_IMAGE };
            if (!get_text(item, "image_hash", &parts[i].image_hash, err) ||
                !get_text(item, "image_name", &parts[i].image_name, err))
                return false;
            if (parts[i].image_hash == NULL || !hash_valid(parts[i].image_hash))
                return wrong(err, "image_hash");
        }
    }
    message->parts = parts;
    message->part_count = count;
    return true;
}

static bool read_token(const json_t *columns[4], size_t i, struct sessions_token *token)
{
    const json_t *id = json_array_get(columns[0], i),
                 *time = json_array_get(columns[1], i);
    const json_t *logprob = json_array_get(columns[2], i);
    const json_t *length = json_array_get(columns[3], i);

    if (!json_is_integer(id) || json_integer_value(id) < 0 ||
        json_integer_value(id) > UINT32_MAX || !json_is_integer(time) ||
        json_integer_value(time) < 0 ||
        !(json_is_number(logprob) || json_is_null(logprob)) || !json_is_integer(length) ||
        json_integer_value(length) < 0 ||
        json_integer_value(length) > (json_int_t)SESSIONS_TEXT_LIMIT)
        return false;
    *token = (struct sessions_token){
        .id = (uint32_t)json_integer_value(id),
        .time_ns = json_integer_value(time),
        .logprob = json_is_null(logprob) ? -INFINITY : (float)json_number_value(logprob),
        .text_len = (size_t)json_integer_value(length),
    };
    return true;
}

static bool read_tokens(const json_t *object, struct arena *arena,
                        struct sessions_record *record, struct err *err)
{
    const json_t *tokens = json_object_get(object, "tokens");
    const json_t *columns[4] = {
        json_object_get(tokens, "id"),
        json_object_get(tokens, "time_ns"),
        json_object_get(tokens, "logprob"),
        json_object_get(tokens, "text_bytes"),
    };
    size_t count = json_array_size(columns[0]);
    struct sessions_token *list;

    for (int i = 0; i < 4; i++)
        if (!json_is_array(columns[i]) || json_array_size(columns[i]) != count)
            return wrong(err, "tokens");
    list = arena_alloc(arena, count, sizeof(*list));
    if (list == NULL)
        return err_set(err, ERR_LIMIT, "a reply of %zu tokens", count);
    for (size_t i = 0; i < count; i++)
        if (!read_token(columns, i, &list[i]))
            return err_set(err, ERR_FORMAT, "token %zu is not what it should be", i);
    record->tokens = list;
    record->token_count = count;
    return true;
}

static bool read_prompt(const json_t *object, struct arena *arena,
                        struct sessions_record *record, struct err *err)
{
    const json_t *array = json_object_get(object, "prompt");
    size_t count = json_array_size(array);
    uint32_t *prompt;
    int64_t claimed;

    if (!get_count(object, "prompt_count", &claimed, err))
        return false;
    record->prompt_count = (size_t)claimed;
    if (array == NULL || json_is_null(array))
        return true;
    if (!json_is_array(array) || count != record->prompt_count)
        return wrong(err, "prompt");
    prompt = arena_alloc(arena, count, sizeof(*prompt));
    if (prompt == NULL)
        return err_set(err, ERR_LIMIT, "a prompt of %zu tokens", count);
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(array, i);

        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) > UINT32_MAX)
            return wrong(err, "prompt");
        prompt[i] = (uint32_t)json_integer_value(id);
    }
    record->prompt = prompt;
    return true;
}

static bool read_record(const json_t *object, struct arena *arena,
                        struct sessions_record *record, struct err *err)
{
    *record = (struct sessions_record){ .token_count = 0 };
    return get_text(object, "model", &record->model_name, err) &&
           get_text(object, "model_hash", &record->model_hash, err) &&
           get_text(object, "device", &record->device, err) &&
           get_text(object, "build", &record->build, err) &&
           get_text(object, "template_hash", &record->template_hash, err) &&
           settings_from_json(json_object_get(object, "settings"), arena,
                              &record->settings, err) &&
           get_count(object, "prompt_ns", &record->prompt_ns, err) &&
           get_count(object, "generation_ns", &record->generation_ns, err) &&
           read_prompt(object, arena, record, err) &&
           read_tokens(object, arena, record, err);
}

// ---------------------------------------------------------------------------
// Lines of our own format

static bool read_conversation(struct importer *importer, const json_t *object,
                              struct err *err)
{
    struct import_conversation conversation;
    const char *origin;

    if (!import_end(importer, true, err) ||
        !get_text(object, "id", &conversation.id, err) ||
        !get_text(object, "title", &conversation.title, err) ||
        !get_text(object, "tags", &conversation.tags, err) ||
        !get_text(object, "origin", &origin, err) ||
        !get_text(object, "forked_from", &conversation.forked_from, err) ||
        !get_text(object, "active_leaf", &conversation.active_leaf, err) ||
        !get_time(object, "created_ms", &conversation.created_ms, err) ||
        !get_time(object, "updated_ms", &conversation.updated_ms, err))
        return false;
    if (conversation.id == NULL)
        return wrong(err, "id");
    if (conversation.title == NULL)
        return wrong(err, "title");
    conversation.origin = origin != NULL && strlen(origin) <= TAG_LIMIT ? origin : "";
    return import_begin(importer, &conversation, err);
}

static bool read_attachment(struct importer *importer, const json_t *object,
                            struct err *err)
{
    const json_t *value = json_object_get(object, "bytes");
    struct sessions_attachment attachment;
    const char *hash;
    struct str bytes;
    bool ok;

    if (!get_text(object, "hash", &hash, err))
        return false;
    if (!json_is_string(value))
        return wrong(err, "bytes");
    str_init(&bytes, SESSIONS_ATTACHMENT_LIMIT);
    if (!base64_decode(json_string_value(value), json_string_length(value), &bytes))
        ok = bytes.truncated
                 ? err_set(err, ERR_LIMIT, "an attachment of more than %zu bytes",
                           SESSIONS_ATTACHMENT_LIMIT)
                 : err_set(err, ERR_FORMAT, "\"bytes\" is not base64");
    else
        ok = import_picture(importer, bytes.data, bytes.len, &attachment, err);
    str_release(&bytes);
    if (ok && (hash == NULL || strcmp(hash, attachment.hash) != 0))
        ok = err_set(err, ERR_MISMATCH, "the bytes of attachment %.64s have another hash",
                     hash != NULL ? hash : "?");
    return ok;
}

static bool read_header(const json_t *object, struct import_message *message,
                        struct err *err)
{
    const char *role, *state, *reason;

    if (!get_text(object, "id", &message->id, err) ||
        !get_text(object, "parent", &message->parent, err) ||
        !get_text(object, "role", &role, err) ||
        !get_text(object, "state", &state, err) ||
        !get_text(object, "stop_reason", &reason, err) ||
        !get_text(object, "error", &message->error, err) ||
        !get_time(object, "created_ms", &message->created_ms, err) ||
        !get_time(object, "finished_ms", &message->finished_ms, err))
        return false;
    if (message->id == NULL)
        return wrong(err, "id");
    if (!role_of(role, &message->content.role))
        return wrong(err, "role");
    if (!state_of(state, &message->state))
        return wrong(err, "state");
    return reason_of(reason, &message->stop_reason) || wrong(err, "stop_reason");
}

static bool read_message(struct importer *importer, const json_t *object, struct err *err)
{
    const json_t *reply = json_object_get(object, "reply");
    struct import_message message = { .id = NULL };
    struct sessions_record record;
    struct arena arena;
    int64_t key;
    bool ok;

    arena_init(&arena, RECORD_BUDGET);
    ok = read_header(object, &message, err) &&
         read_parts(object, &arena, &message.content, err) &&
         (reply == NULL || read_record(reply, &arena, &record, err)) &&
         import_message(importer, &message, &key, err);
    if (ok && key != 0 && reply != NULL)
        ok = record_insert(importer->s, key, &record, err);
    arena_release(&arena);
    return ok;
}

static bool read_own(struct importer *importer, const json_t *object, struct err *err)
{
    const char *format = json_string_value(json_object_get(object, "format"));
    const char *type = json_string_value(json_object_get(object, "type"));

    if (format != NULL) {
        if (strcmp(format, "oriel-sessions") == 0 &&
            json_integer_value(json_object_get(object, "version")) == 1)
            return true;
        return err_set(err, ERR_UNSUPPORTED, "made by a newer oriel, or not by oriel");
    }
    if (type == NULL)
        return err_set(err, ERR_FORMAT, "this is none of the formats that oriel reads");
    if (strcmp(type, "conversation") == 0)
        return read_conversation(importer, object, err);
    if (importer->conversation == 0)
        return err_set(err, ERR_FORMAT, "something before the first conversation");
    if (strcmp(type, "attachment") == 0)
        return read_attachment(importer, object, err);
    if (strcmp(type, "message") == 0)
        return read_message(importer, object, err);
    return err_set(err, ERR_FORMAT, "a line of type \"%.32s\"", type);
}

// ---------------------------------------------------------------------------
// The whole file

static bool read_value(struct importer *importer, const json_t *value, struct err *err)
{
    if (json_object_get(value, "mapping") != NULL)
        return import_end(importer, true, err) && import_chatgpt(importer, value, err);
    if (json_object_get(value, "chat") != NULL)
        return import_end(importer, true, err) && import_open_webui(importer, value, err);
    return read_own(importer, value, err);
}

static bool read_text(struct importer *importer, const struct source *source,
                      const struct str *text, struct err *err)
{
    json_error_t where;
    json_t *value = json_loadb(text->data, text->len, JSON_ALLOW_NUL, &where);
    bool ok;

    if (value == NULL)
        return err_set(err, ERR_FORMAT, "line %zu: %s",
                       source->object_line +
                           (size_t)(where.line > 0 ? where.line - 1 : 0),
                       where.text);
    ok = read_value(importer, value, err);
    if (!ok)
        err_prefix(err, "line %zu", source->object_line);
    json_decref(value);
    return ok;
}

bool sessions_import(struct sessions *s, FILE *in, const char *name,
                     const char *directory, struct sessions_imported *imported,
                     struct err *err)
{
    struct importer importer = { .s = s, .directory = directory, .done = imported };
    struct source source = { .in = in, .line = 1 };
    struct str text;
    bool at_end = false;
    bool ok = true;

    *imported = (struct sessions_imported){ .conversations = 0 };
    str_init(&text, OBJECT_BYTES);
    skip_byte_order_mark(in);
    while (ok) {
        if (!find_object(&source, &at_end, err)) {
            ok = at_end && !ferror(in);
            break;
        }
        ok =
            read_object(&source, &text, err) && read_text(&importer, &source, &text, err);
    }
    str_release(&text);
    if (ok && !source.begun)
        ok = err_set(err, ERR_FORMAT, "there is nothing in it");
    ok = import_end(&importer, ok, err);
    return ok || err_prefix(err, "%s", name);
}
