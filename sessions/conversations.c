// sessions/conversations.c
// SPDX-License-Identifier: MIT
//
// Conversations as wholes: list, find, rename, tag, fork, delete, forget.
#include "sessions/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define TAG_COUNT       64 // tags of one conversation
#define LIST_DEFAULT    50
#define ID_PREFIX_LEAST 4

bool conversation_insert(struct sessions *s, const struct conversation_row *row,
                         int64_t *key, struct err *err)
{
    struct str title;
    bool ok;

    str_init(&title, SESSIONS_TITLE_LIMIT);
    text_line(&title, row->title, row->title_len, SESSIONS_TITLE_LIMIT);
    if (title.len == 0)
        str_append(&title, "(no title)");
    ok = store_run(s, err,
                   "INSERT INTO conversations (id, title, tags, origin, forked_from, "
                   "created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                   "sSsssii", row->id, title.data, title.len,
                   row->tags != NULL ? row->tags : "", row->origin, row->forked_from,
                   row->created_ms, row->updated_ms);
    *key = sqlite3_last_insert_rowid(s->db);
    str_release(&title);
    return ok && index_title(s, *key, err);
}

// leaf 0: it stays what it is.
bool conversation_touch(struct sessions *s, int64_t key, int64_t leaf, struct err *err)
{
    return store_run(s, err,
                     "UPDATE conversations SET updated_ms = max(updated_ms, ?3), "
                     "active_leaf = coalesce(nullif(?2, 0), active_leaf) WHERE key = ?1",
                     "iii", key, leaf, now_ms());
}

// ---------------------------------------------------------------------------
// Listing

#define ENTRY_COLUMNS                                                                    \
    "c.id, c.title, c.tags, c.origin, c.created_ms, c.updated_ms, "                      \
    "(SELECT count(*) FROM messages m WHERE m.conversation = c.key), "                   \
    "(SELECT r.model_name FROM replies r WHERE r.message = c.active_leaf), "             \
    "EXISTS (SELECT 1 FROM messages m WHERE m.key = c.active_leaf "                      \
    "AND m.state = 'streaming') "

static bool load_entry(sqlite3_stmt *statement, struct arena *arena,
                       struct sessions_entry *entry, struct err *err)
{
    *entry = (struct sessions_entry){
        .created_ms = sqlite3_column_int64(statement, 4),
        .updated_ms = sqlite3_column_int64(statement, 5),
        .message_count = (size_t)sqlite3_column_int64(statement, 6),
        .streaming = sqlite3_column_int(statement, 8) != 0,
    };
    store_id(statement, 0, entry->id);
    return store_text(statement, 1, arena, &entry->title, NULL, err) &&
           store_text(statement, 2, arena, &entry->tags, NULL, err) &&
           store_text(statement, 3, arena, &entry->origin, NULL, err) &&
           store_text(statement, 7, arena, &entry->model, NULL, err);
}

bool sessions_load_entry(struct sessions *s, const char *conversation,
                         struct arena *arena, struct sessions_entry *entry,
                         struct err *err)
{
    sqlite3_stmt *statement = store_prepare(
        s, err, "SELECT " ENTRY_COLUMNS "FROM conversations c WHERE c.id = ?1", "s",
        conversation);
    enum step step = statement != NULL ? store_step(s, statement, err) : STEP_FAILED;
    bool ok = step == STEP_ROW && load_entry(statement, arena, entry, err);

    sqlite3_finalize(statement);
    if (step == STEP_DONE)
        err_set(err, ERR_NOT_FOUND, "there is no conversation %s", conversation);
    return ok;
}

#define WITH_TAG                                                                         \
    "WHERE (?1 IS NULL OR instr(char(10) || c.tags || char(10), "                        \
    "char(10) || ?1 || char(10)) > 0) "

static bool list(struct sessions *s, const struct sessions_list_params *params,
                 struct arena *arena, struct sessions_list *list, struct err *err)
{
    size_t limit = params->limit > 0 ? params->limit : LIST_DEFAULT;
    sqlite3_stmt *statement;
    enum step step = STEP_FAILED;
    int64_t total;

    if (!store_int(s, err, &total, 0, "SELECT count(*) FROM conversations c " WITH_TAG,
                   "s", params->tag))
        return false;
    list->total = (size_t)total;
    if (limit > list->total)
        limit = list->total;
    list->entries = arena_alloc(arena, limit, sizeof(*list->entries));
    if (list->entries == NULL)
        return err_set(err, ERR_LIMIT, "too many conversations for %zu bytes of memory",
                       arena->budget);
    statement =
        store_prepare(s, err,
                      "SELECT " ENTRY_COLUMNS "FROM conversations c " WITH_TAG
                      "ORDER BY c.updated_ms DESC, c.key DESC LIMIT ?2 OFFSET ?3",
                      "sii", params->tag, (int64_t)limit, (int64_t)params->offset);
    while (statement != NULL && (step = store_step(s, statement, err)) == STEP_ROW)
        if (!load_entry(statement, arena, &list->entries[list->count++], err)) {
            step = STEP_FAILED;
            break;
        }
    sqlite3_finalize(statement);
    return step == STEP_DONE;
}

bool sessions_list(struct sessions *s, const struct sessions_list_params *params,
                   struct arena *arena, struct sessions_list *result, struct err *err)
{
    bool ok;

    *result = (struct sessions_list){ .count = 0 };
    if (!store_begin_read(s, err))
        return false;
    ok = list(s, params, arena, result, err);
    store_end_read(s);
    return ok;
}

// ---------------------------------------------------------------------------
// Finding by what a person types

static bool find_by(struct sessions *s, const char *sql, const char *name,
                    char id[SESSIONS_ID], int *matches, struct err *err)
{
    sqlite3_stmt *statement = store_prepare(s, err, sql, "s", name);
    enum step step = STEP_FAILED;

    *matches = 0;
    while (statement != NULL && (step = store_step(s, statement, err)) == STEP_ROW) {
        store_id(statement, 0, id);
        ++*matches;
    }
    sqlite3_finalize(statement);
    return step == STEP_DONE;
}

bool sessions_find(struct sessions *s, const char *name, char id[SESSIONS_ID],
                   struct err *err)
{
    size_t len = strlen(name);
    bool hex = len >= ID_PREFIX_LEAST && strspn(name, "0123456789abcdef") == len;
    int matches = 0;

    if (strcmp(name, "last") == 0) {
        if (!find_by(s,
                     "SELECT id FROM conversations WHERE ?1 = 'last' "
                     "ORDER BY updated_ms DESC, key DESC LIMIT 1",
                     name, id, &matches, err))
            return false;
        return matches > 0 ||
               err_set(err, ERR_NOT_FOUND, "there are no conversations yet");
    }
    if (hex && !find_by(s,
                        "SELECT id FROM conversations WHERE id >= ?1 AND id < ?1 || 'g' "
                        "LIMIT 2",
                        name, id, &matches, err))
        return false;
    if (matches == 0 &&
        !find_by(s,
                 "SELECT id FROM conversations WHERE title = ?1 COLLATE NOCASE LIMIT 2",
                 name, id, &matches, err))
        return false;
    if (matches == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no conversation \"%s\"", name);
    return matches == 1 ||
           err_set(err, ERR_USAGE, "several conversations are called \"%s\"; use the id",
                   name);
}

// ---------------------------------------------------------------------------
// Rename and tag

static bool rename_to(struct sessions *s, const char *conversation,
                      const struct str *title, struct err *err)
{
    int64_t key;

    return conversation_key(s, conversation, &key, err) && unindex_title(s, key, err) &&
           store_run(s, err, "UPDATE conversations SET title = ?2 WHERE key = ?1", "iS",
                     key, title->data, title->len) &&
           index_title(s, key, err);
}

bool sessions_rename(struct sessions *s, const char *conversation, const char *title,
                     struct err *err)
{
    struct str line;
    bool ok;

    str_init(&line, SESSIONS_TITLE_LIMIT);
    text_line(&line, title, strlen(title), SESSIONS_TITLE_LIMIT);
    if (line.len == 0)
        ok = err_set(err, ERR_USAGE, "a title needs at least one visible character");
    else
        ok = store_begin(s, err) &&
             store_end(s, rename_to(s, conversation, &line, err), err);
    str_release(&line);
    return ok;
}

// Walks the sorted lines of `tags` and writes them to out with tag put in, or left out.
bool tags_edit(const char *tags, const char *tag, bool present, struct str *out,
               struct err *err)
{
    bool pending = present;
    size_t count = 0;

    for (const char *at = tags; *at != '\0';) {
        size_t len = strcspn(at, "\n");
        int order = strncmp(at, tag, len);

        if (order == 0 && tag[len] != '\0')
            order = -1;
        if (pending && order >= 0) {
            str_printf(out, "%s%s", count++ > 0 ? "\n" : "", tag);
            pending = false;
        }
        if (order != 0)
            str_printf(out, "%s%.*s", count++ > 0 ? "\n" : "", (int)len, at);
        at += len + (at[len] == '\n');
    }
    if (pending)
        str_printf(out, "%s%s", count++ > 0 ? "\n" : "", tag);
    return count <= TAG_COUNT ||
           err_set(err, ERR_LIMIT, "a conversation has at most %d tags", TAG_COUNT);
}

static bool change_tags(struct sessions *s, const char *conversation, const char *tag,
                        bool present, struct err *err)
{
    sqlite3_stmt *statement;
    struct str tags;
    int64_t key;
    bool ok;

    if (!conversation_key(s, conversation, &key, err))
        return false;
    str_init(&tags, 0);
    statement =
        store_prepare(s, err, "SELECT tags FROM conversations WHERE key = ?1", "i", key);
    ok = statement != NULL && store_step(s, statement, err) == STEP_ROW &&
         tags_edit((const char *)sqlite3_column_text(statement, 0), tag, present, &tags,
                   err);
    sqlite3_finalize(statement);
    ok = ok && unindex_title(s, key, err) &&
         store_run(s, err, "UPDATE conversations SET tags = ?2 WHERE key = ?1", "iS", key,
                   tags.data, tags.len) &&
         index_title(s, key, err);
    str_release(&tags);
    return ok;
}

bool sessions_tag(struct sessions *s, const char *conversation, const char *tag,
                  bool present, struct err *err)
{
    struct str line;
    bool ok;

    str_init(&line, 0);
    text_line(&line, tag, strlen(tag), strlen(tag) + 8);
    if (line.len == 0)
        ok = err_set(err, ERR_USAGE, "a tag needs at least one visible character");
    else if (line.len > TAG_LIMIT)
        ok = err_set(err, ERR_LIMIT, "a tag has at most %d bytes", TAG_LIMIT);
    else
        ok = store_begin(s, err) &&
             store_end(s, change_tags(s, conversation, line.data, present, err), err);
    str_release(&line);
    return ok;
}

// ---------------------------------------------------------------------------
// Fork

static bool copy_message(struct sessions *s, int64_t from, int64_t conversation,
                         int64_t parent, int64_t *key, struct err *err)
{
    char id[SESSIONS_ID];
    int64_t streaming;

    id_random(id);
    if (!store_run(s, err,
                   "INSERT INTO messages (id, conversation, parent, role, state, "
                   "stop_reason, error, created_ms, finished_ms) "
                   "SELECT ?1, ?2, nullif(?3, 0), role, state, stop_reason, error, "
                   "created_ms, finished_ms FROM messages WHERE key = ?4",
                   "siii", id, conversation, parent, from))
        return false;
    *key = sqlite3_last_insert_rowid(s->db);
    if (!store_run(s, err,
                   "INSERT INTO parts (message, position, text, attachment, name) "
                   "SELECT ?1, position, text, attachment, name FROM parts "
                   "WHERE message = ?2 ORDER BY position",
                   "ii", *key, from) ||
        !store_run(
            s, err,
            "INSERT INTO replies SELECT ?1, model_name, model_hash, device, build, "
            "template_hash, settings, prompt_count, prompt, prompt_ns, "
            "generation_ns, token_count, tokens FROM replies WHERE message = ?2",
            "ii", *key, from) ||
        !store_run(
            s, err,
            "INSERT INTO reply_chunks SELECT ?1, number, text, token_count, tokens "
            "FROM reply_chunks WHERE message = ?2",
            "ii", *key, from) ||
        !store_int(s, err, &streaming, 0,
                   "SELECT state = 'streaming' FROM messages WHERE key = ?1", "i", *key))
        return false;
    return streaming ? reply_fold(s, *key, MESSAGE_INTERRUPTED, STOP_NONE, NULL, err)
                     : index_message(s, *key, err);
}

static bool insert_copy(struct sessions *s, int64_t from, char id[SESSIONS_ID],
                        int64_t *to, struct err *err)
{
    id_random(id);
    if (!store_run(s, err,
                   "INSERT INTO conversations (id, title, tags, origin, forked_from, "
                   "created_ms, updated_ms) SELECT ?1, title, tags, origin, id, ?2, ?2 "
                   "FROM conversations WHERE key = ?3",
                   "sii", id, now_ms(), from))
        return false;
    *to = sqlite3_last_insert_rowid(s->db);
    return index_title(s, *to, err);
}

static bool fork_path(struct sessions *s, const char *conversation, const char *message,
                      char id[SESSIONS_ID], struct err *err)
{
    int64_t from, to, leaf, last = 0, *keys = NULL;
    size_t count = 0;
    bool ok = conversation_key(s, conversation, &from, err) &&
              parent_key(s, from, message, &leaf, err) &&
              path_keys(s, leaf, &keys, &count, err) &&
              insert_copy(s, from, id, &to, err);

    for (size_t i = 0; ok && i < count; i++)
        ok = copy_message(s, keys[i], to, last, &last, err);
    ok = ok && conversation_touch(s, to, last, err);
    free(keys);
    return ok;
}

bool sessions_fork(struct sessions *s, const char *conversation, const char *message,
                   char id[SESSIONS_ID], struct err *err)
{
    return store_begin(s, err) &&
           store_end(s, fork_path(s, conversation, message, id, err), err);
}

// ---------------------------------------------------------------------------
// Delete and forget

bool sessions_delete(struct sessions *s, const char *conversation, struct err *err)
{
    int64_t key;

    return store_begin(s, err) &&
           store_end(s,
                     conversation_key(s, conversation, &key, err) &&
                         unindex_conversation(s, key, err) &&
                         store_run(s, err, "DELETE FROM conversations WHERE key = ?1",
                                   "i", key),
                     err);
}

bool sessions_forget(struct sessions *s, const char *conversation, struct err *err)
{
    if (conversation != NULL && !sessions_delete(s, conversation, err))
        return false;
    if (store_scrub(s, err))
        return true;
    return err_prefix(err, "deleted, but traces may remain in the file");
}
