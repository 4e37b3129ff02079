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
#include <stdlib.h>
#include <string.h>

#define OBJECT_BYTES    ((size_t)64 << 20) // of JSON: an attachment in base64 fits
#define OBJECT_ELEMENTS 4000000            // commas and brackets; bounds the parsed size

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
// The whole file

static bool read_value(struct importer *importer, const json_t *value, struct err *err)
{
    if (json_object_get(value, "mapping") != NULL)
        return import_end(importer, true, err) && import_chatgpt(importer, value, err);
    if (json_object_get(value, "chat") != NULL)
        return import_end(importer, true, err) && import_open_webui(importer, value, err);
    return import_own(importer, value, err);
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
