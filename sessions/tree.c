// sessions/tree.c
// SPDX-License-Identifier: MIT
//
// Messages form a tree. A conversation shows one path of it, from a message without
// parent to its active leaf; editing and regenerating add siblings, and nothing is
// overwritten.
#include "sessions/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

#define TITLE_BYTES 80      // of the first text
#define PATH_LIMIT  1000000 // messages of one path: ends a cycle in a damaged file

// ---------------------------------------------------------------------------
// Ids and keys

static bool key_of(struct sessions *s, const char *what, const char *sql, const char *id,
                   int64_t *key, struct err *err)
{
    if (!store_int(s, err, key, 0, sql, "s", id))
        return false;
    return *key != 0 || err_set(err, ERR_NOT_FOUND, "there is no %s %s", what, id);
}

bool conversation_key(struct sessions *s, const char *id, int64_t *key, struct err *err)
{
    return key_of(s, "conversation", "SELECT key FROM conversations WHERE id = ?1", id,
                  key, err);
}

bool message_key(struct sessions *s, const char *id, int64_t *key, struct err *err)
{
    return key_of(s, "message", "SELECT key FROM messages WHERE id = ?1", id, key, err);
}

bool parent_key(struct sessions *s, int64_t conversation, const char *parent,
                int64_t *key, struct err *err)
{
    if (parent == NULL)
        return store_int(s, err, key, 0,
                         "SELECT active_leaf FROM conversations WHERE key = ?1", "i",
                         conversation);
    *key = 0;
    if (parent[0] == '\0')
        return true;
    if (!store_int(s, err, key, 0,
                   "SELECT key FROM messages WHERE id = ?1 AND conversation = ?2", "si",
                   parent, conversation))
        return false;
    return *key != 0 || err_set(err, ERR_NOT_FOUND,
                                "there is no message %s in this conversation", parent);
}

// ---------------------------------------------------------------------------
// Inserting

bool message_insert(struct sessions *s, const struct message_row *row, int64_t *key,
                    struct err *err)
{
    if (!store_run(s, err,
                   "INSERT INTO messages (id, conversation, parent, role, state, "
                   "stop_reason, error, instance, created_ms, finished_ms) "
                   "VALUES (?1, ?2, nullif(?3, 0), ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                   "siisssssii", row->id, row->conversation, row->parent,
                   name_of_role(row->role), name_of_state(row->state),
                   name_of_reason(row->stop_reason), row->error, row->instance,
                   row->created_ms, row->finished_ms))
        return false;
    *key = sqlite3_last_insert_rowid(s->db);
    return true;
}

static bool insert_text(struct sessions *s, int64_t key, size_t position,
                        const struct part *part, struct err *err)
{
    struct str text;
    bool ok;

    if (part->text_len > SESSIONS_TEXT_LIMIT)
        return err_set(err, ERR_LIMIT, "a text of %zu bytes; the limit is %zu",
                       part->text_len, SESSIONS_TEXT_LIMIT);
    str_init(&text, 3 * SESSIONS_TEXT_LIMIT);
    text_clean(&text, part->text, part->text_len);
    ok = store_run(s, err,
                   "INSERT INTO parts (message, position, text) VALUES (?1, ?2, ?3)",
                   "iiS", key, (int64_t)position, text.data, text.len);
    str_release(&text);
    return ok;
}

static bool insert_image(struct sessions *s, int64_t key, size_t position,
                         const struct part *part, struct err *err)
{
    const char *name = part->image_name != NULL ? part->image_name : "";
    int64_t known;
    struct str line;
    bool ok;

    if (!store_int(s, err, &known, 0, "SELECT key FROM attachments WHERE hash = ?1", "s",
                   part->image_hash))
        return false;
    if (known == 0)
        return err_set(err, ERR_NOT_FOUND, "the picture %s is not attached",
                       name[0] != '\0' || part->image_hash == NULL ? name
                                                                   : part->image_hash);
    str_init(&line, SESSIONS_TITLE_LIMIT);
    text_line(&line, name, strlen(name), SESSIONS_TITLE_LIMIT);
    ok = store_run(s, err,
                   "INSERT INTO parts (message, position, attachment, name) "
                   "VALUES (?1, ?2, ?3, ?4)",
                   "iisS", key, (int64_t)position, part->image_hash, line.data, line.len);
    str_release(&line);
    return ok;
}

bool message_insert_parts(struct sessions *s, int64_t key, const struct message *message,
                          struct err *err)
{
    if (message->part_count > SESSIONS_PART_LIMIT)
        return err_set(err, ERR_LIMIT, "a message of %zu parts; the limit is %d",
                       message->part_count, SESSIONS_PART_LIMIT);
    for (size_t i = 0; i < message->part_count; i++) {
        const struct part *part = &message->parts[i];
        bool ok = part->kind == PART_IMAGE ? insert_image(s, key, i, part, err)
                                           : insert_text(s, key, i, part, err);

        if (!ok)
            return false;
    }
    return index_message(s, key, err);
}

// The new conversation's title: its first text, or the name of its first picture.
static bool begin_conversation(struct sessions *s, const struct message *message,
                               struct sessions_sent *sent, int64_t *key, struct err *err)
{
    const char *title = "", *picture = "";
    size_t len;

    for (size_t i = message->part_count; i-- > 0;) {
        const struct part *part = &message->parts[i];

        if (part->kind == PART_TEXT && part->text_len > 0)
            title = part->text;
        else if (part->kind == PART_IMAGE && part->image_name != NULL)
            picture = part->image_name;
    }
    if (title[0] == '\0')
        title = picture;
    len = strnlen(title, TITLE_BYTES);
    len -= utf8_incomplete_tail(title, len);
    id_random(sent->conversation);
    return conversation_insert(s,
                               &(struct conversation_row){
                                   .id = sent->conversation,
                                   .title = title,
                                   .title_len = len,
                                   .origin = "",
                                   .created_ms = now_ms(),
                                   .updated_ms = now_ms(),
                               },
                               key, err);
}

static bool send(struct sessions *s, const struct sessions_send_params *params,
                 struct sessions_sent *sent, struct err *err)
{
    struct message_row row = {
        .id = sent->message,
        .role = params->message.role,
        .state = MESSAGE_DONE,
        .created_ms = now_ms(),
        .finished_ms = now_ms(),
    };
    int64_t key;

    id_random(sent->message);
    if (params->conversation == NULL) {
        if (!begin_conversation(s, &params->message, sent, &row.conversation, err))
            return false;
    } else {
        if (!conversation_key(s, params->conversation, &row.conversation, err) ||
            !parent_key(s, row.conversation, params->parent, &row.parent, err))
            return false;
        snprintf(sent->conversation, SESSIONS_ID, "%s", params->conversation);
    }
    return message_insert(s, &row, &key, err) &&
           message_insert_parts(s, key, &params->message, err) &&
           conversation_touch(s, row.conversation, key, err) &&
           store_run(s, err,
                     "DELETE FROM drafts WHERE conversation = ?1 AND instance = ?2", "ss",
                     params->conversation != NULL ? params->conversation : "",
                     s->instance);
}

// What is sent may name ids in the struct that takes the new ones, so that is filled
// last.
bool sessions_send(struct sessions *s, const struct sessions_send_params *params,
                   struct sessions_sent *sent, struct err *err)
{
    struct sessions_sent ids;

    if (!store_begin(s, err) || !store_end(s, send(s, params, &ids, err), err))
        return false;
    *sent = ids;
    return true;
}

// ---------------------------------------------------------------------------
// Loading

// A streaming reply's text is still in its chunks, as one part.
static bool load_streaming_part(struct sessions *s, int64_t key, struct arena *arena,
                                struct part *part, struct err *err)
{
    struct reply_chunks chunks;
    bool ok = reply_chunks_load(s, key, &chunks, err);

    *part = (struct part){ .kind = PART_TEXT };
    if (ok) {
        part->text = arena_string(arena, chunks.text.data, chunks.text.len);
        part->text_len = chunks.text.len;
        ok = part->text != NULL ||
             err_set(err, ERR_LIMIT, "too much text for %zu bytes", arena->budget);
    }
    reply_chunks_release(&chunks);
    return ok;
}

bool part_load(sqlite3_stmt *statement, struct arena *arena, struct part *part,
               struct err *err)
{
    if (sqlite3_column_type(statement, 0) != SQLITE_NULL) {
        *part = (struct part){ .kind = PART_TEXT };
        return store_text(statement, 0, arena, &part->text, &part->text_len, err);
    }
    *part = (struct part){ .kind = PART_IMAGE };
    if (!store_text(statement, 1, arena, &part->image_hash, NULL, err) ||
        !store_text(statement, 2, arena, &part->image_name, NULL, err))
        return false;
    if (part->image_hash == NULL)
        return err_set(err, ERR_FORMAT, "a part is neither text nor picture");
    if (part->image_name == NULL)
        part->image_name = "";
    return true;
}

static bool load_parts(struct sessions *s, int64_t key, bool streaming,
                       struct arena *arena, struct message *message, struct err *err)
{
    sqlite3_stmt *statement;
    enum step step = STEP_FAILED;
    struct part *parts;
    int64_t count;

    if (!store_int(s, err, &count, 0, "SELECT count(*) FROM parts WHERE message = ?1",
                   "i", key))
        return false;
    parts = arena_alloc(arena, (size_t)count + 1, sizeof(*parts));
    if (parts == NULL)
        return err_set(err, ERR_LIMIT, "too many messages for %zu bytes of memory",
                       arena->budget);
    message->parts = parts;
    statement =
        store_prepare(s, err,
                      "SELECT text, attachment, name FROM parts WHERE message = ?1 "
                      "ORDER BY position LIMIT ?2",
                      "ii", key, count);
    while (statement != NULL && (step = store_step(s, statement, err)) == STEP_ROW)
        if (!part_load(statement, arena, &parts[message->part_count++], err))
            break;
    sqlite3_finalize(statement);
    if (step != STEP_DONE || !streaming)
        return step == STEP_DONE;
    if (!load_streaming_part(s, key, arena, &parts[message->part_count], err))
        return false;
    message->part_count += parts[message->part_count].text_len > 0;
    return true;
}

// What load_message reads from the row it stands on.
#define MESSAGE_COLUMNS                                                                  \
    "m.key, m.id, p.id, m.role, m.state, m.stop_reason, m.error, m.created_ms, "         \
    "m.finished_ms, r.model_name, r.token_count, "                                       \
    "(SELECT count(*) FROM messages b WHERE b.conversation = m.conversation "            \
    "AND b.parent IS m.parent), "                                                        \
    "(SELECT count(*) FROM messages b WHERE b.conversation = m.conversation "            \
    "AND b.parent IS m.parent AND b.key < m.key)"
#define MESSAGE_JOINS                                                                    \
    " LEFT JOIN messages p ON p.key = m.parent LEFT JOIN replies r ON r.message = m.key "
static bool load_message(struct sessions *s, sqlite3_stmt *statement, struct arena *arena,
                         struct sessions_message *message, struct err *err)
{
    *message = (struct sessions_message){
        .created_ms = sqlite3_column_int64(statement, 7),
        .finished_ms = sqlite3_column_int64(statement, 8),
        .token_count = (size_t)sqlite3_column_int64(statement, 10),
        .sibling_count = (size_t)sqlite3_column_int64(statement, 11),
        .sibling_index = (size_t)sqlite3_column_int64(statement, 12),
    };
    store_id(statement, 1, message->id);
    store_id(statement, 2, message->parent);
    if (!role_of((const char *)sqlite3_column_text(statement, 3),
                 &message->content.role) ||
        !state_of((const char *)sqlite3_column_text(statement, 4), &message->state) ||
        !reason_of((const char *)sqlite3_column_text(statement, 5),
                   &message->stop_reason))
        return err_set(err, ERR_FORMAT, "%s: message %s is damaged", s->path,
                       message->id);
    return store_text(statement, 6, arena, &message->error, NULL, err) &&
           store_text(statement, 9, arena, &message->model, NULL, err) &&
           load_parts(s, sqlite3_column_int64(statement, 0),
                      message->state == MESSAGE_STREAMING, arena, &message->content, err);
}

// Ancestors of the leaf with their distance to it.
#define PATH_TABLE                                                                       \
    "WITH RECURSIVE path (key, depth) AS (SELECT ?1, 0 UNION ALL "                       \
    "SELECT m.parent, path.depth + 1 FROM path JOIN messages m ON m.key = path.key "     \
    "WHERE m.parent IS NOT NULL AND path.depth < ?2) "

static bool load_path(struct sessions *s, int64_t leaf, struct arena *arena,
                      struct sessions_path *path, struct err *err)
{
    sqlite3_stmt *statement;
    enum step step = STEP_FAILED;
    int64_t count;

    if (!store_int(s, err, &count, 0,
                   PATH_TABLE
                   "SELECT count(*) FROM path JOIN messages m ON m.key = path.key",
                   "ii", leaf, (int64_t)PATH_LIMIT))
        return false;
    path->messages = arena_alloc(arena, (size_t)count, sizeof(*path->messages));
    if (path->messages == NULL)
        return err_set(err, ERR_LIMIT, "too many messages for %zu bytes of memory",
                       arena->budget);
    statement = store_prepare(
        s, err,
        PATH_TABLE "SELECT " MESSAGE_COLUMNS
                   " FROM path JOIN messages m ON m.key = path.key" MESSAGE_JOINS
                   "ORDER BY path.depth DESC",
        "ii", leaf, (int64_t)PATH_LIMIT);
    while (statement != NULL && path->count < (size_t)count &&
           (step = store_step(s, statement, err)) == STEP_ROW)
        if (!load_message(s, statement, arena, &path->messages[path->count++], err)) {
            step = STEP_FAILED;
            break;
        }
    sqlite3_finalize(statement);
    return step != STEP_FAILED || count == 0;
}

// Keys from the first message to the leaf, in malloc'd *keys.
bool path_keys(struct sessions *s, int64_t leaf, int64_t **keys, size_t *count,
               struct err *err)
{
    sqlite3_stmt *statement = store_prepare(
        s, err, PATH_TABLE "SELECT key FROM path WHERE key <> 0 ORDER BY depth DESC",
        "ii", leaf, (int64_t)PATH_LIMIT);

    return collect_keys(s, statement, keys, count, err);
}

bool collect_keys(struct sessions *s, sqlite3_stmt *statement, int64_t **keys,
                  size_t *count, struct err *err)
{
    enum step step = STEP_FAILED;
    size_t cap = 0;

    *keys = NULL;
    *count = 0;
    while (statement != NULL && (step = store_step(s, statement, err)) == STEP_ROW) {
        *keys = alloc_grow(*keys, *count, &cap, sizeof(**keys));
        (*keys)[(*count)++] = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return step == STEP_DONE;
}

static bool load_by_key(struct sessions *s, int64_t key, struct arena *arena,
                        struct sessions_message *message, struct err *err)
{
    sqlite3_stmt *statement = store_prepare(
        s, err,
        "SELECT " MESSAGE_COLUMNS " FROM messages m" MESSAGE_JOINS "WHERE m.key = ?1",
        "i", key);
    enum step step = statement != NULL ? store_step(s, statement, err) : STEP_FAILED;
    bool ok = step == STEP_ROW && load_message(s, statement, arena, message, err);

    if (step == STEP_DONE)
        err_set(err, ERR_NOT_FOUND, "the message was deleted meanwhile");
    sqlite3_finalize(statement);
    return ok;
}

bool message_load_key(struct sessions *s, int64_t key, struct arena *arena,
                      struct sessions_message *message, struct err *err)
{
    bool ok = store_begin_read(s, err) && load_by_key(s, key, arena, message, err);

    store_end_read(s);
    return ok;
}

bool sessions_load_path(struct sessions *s, const char *conversation, const char *leaf,
                        struct arena *arena, struct sessions_path *path, struct err *err)
{
    int64_t key, leaf_key;
    bool ok;

    *path = (struct sessions_path){ .count = 0 };
    if (!store_begin_read(s, err))
        return false;
    ok = conversation_key(s, conversation, &key, err) &&
         parent_key(s, key, leaf, &leaf_key, err) &&
         load_path(s, leaf_key, arena, path, err);
    store_end_read(s);
    return ok;
}

// ---------------------------------------------------------------------------
// Siblings

bool sessions_siblings(struct sessions *s, const char *message, struct arena *arena,
                       const char *const **ids, size_t *count, struct err *err)
{
    sqlite3_stmt *statement;
    enum step step = STEP_FAILED;
    const char **list = NULL;
    size_t len = 0, cap = 0;
    int64_t key;

    if (!message_key(s, message, &key, err))
        return false;
    statement = store_prepare(s, err,
                              "SELECT b.id FROM messages m JOIN messages b ON "
                              "b.conversation = m.conversation AND b.parent IS m.parent "
                              "WHERE m.key = ?1 ORDER BY b.key",
                              "i", key);
    while (statement != NULL && (step = store_step(s, statement, err)) == STEP_ROW) {
        list = alloc_grow(list, len, &cap, sizeof(*list));
        if (!store_text(statement, 0, arena, &list[len++], NULL, err)) {
            step = STEP_FAILED;
            break;
        }
    }
    sqlite3_finalize(statement);
    if (step == STEP_DONE) {
        const char **copy = arena_alloc(arena, len, sizeof(*copy));

        if (copy == NULL)
            step = STEP_FAILED;
        else
            memcpy(copy, list, len * sizeof(*copy));
        *ids = copy;
        *count = len;
    }
    free(list);
    return step == STEP_DONE;
}

// From message down, always to the newest child.
static bool select_below(struct sessions *s, const char *message, struct err *err)
{
    int64_t key, conversation, leaf;

    return message_key(s, message, &key, err) &&
           store_int(s, err, &conversation, 0,
                     "SELECT conversation FROM messages WHERE key = ?1", "i", key) &&
           store_int(
               s, err, &leaf, key,
               "WITH RECURSIVE down (key, depth) AS (SELECT ?1, 0 UNION ALL "
               "SELECT (SELECT max(c.key) FROM messages c WHERE c.parent = down.key), "
               "down.depth + 1 FROM down WHERE down.key IS NOT NULL AND down.depth < ?2) "
               "SELECT key FROM down WHERE key IS NOT NULL ORDER BY depth DESC LIMIT 1",
               "ii", key, (int64_t)PATH_LIMIT) &&
           store_run(s, err, "UPDATE conversations SET active_leaf = ?2 WHERE key = ?1",
                     "ii", conversation, leaf);
}

bool sessions_select(struct sessions *s, const char *message, struct err *err)
{
    return store_begin(s, err) && store_end(s, select_below(s, message, err), err);
}
