// sessions/import_own.c
// SPDX-License-Identifier: MIT
//
// Our own JSON Lines (docs/formats.md), one object at a time. The reverse of export.c;
// every field is checked, because anybody can write such a file.
#include "sessions/private.h"

#include <math.h>
#include <string.h>

#include "base/base64.h"

#define RECORD_BUDGET ((size_t)256 << 20)
#define TIME_LIMIT_MS ((int64_t)1 << 52)

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

bool import_own(struct importer *importer, const json_t *object, struct err *err)
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
