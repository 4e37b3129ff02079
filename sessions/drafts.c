// sessions/drafts.c
// SPDX-License-Identifier: MIT
//
// What a person has typed and not sent. Each instance keeps its own draft of a
// conversation, so that two windows never overwrite each other's; that of a dead instance
// goes to whoever opens the conversation next.
#include "sessions/private.h"

static bool insert_parts(struct sessions *s, int64_t draft, const struct message *message,
                         struct err *err)
{
    for (size_t i = 0; i < message->part_count; i++) {
        const struct part *part = &message->parts[i];
        bool image = part->kind == PART_IMAGE;
        struct str text;
        bool ok;

        str_init(&text, 3 * SESSIONS_TEXT_LIMIT);
        if (!image)
            text_clean(&text, part->text, part->text_len);
        ok =
            store_run(s, err,
                      "INSERT INTO draft_parts (draft, position, text, attachment, name) "
                      "VALUES (?1, ?2, ?3, ?4, ?5)",
                      "iiSss", draft, (int64_t)i, image ? NULL : text.data, text.len,
                      image ? part->image_hash : NULL, image ? part->image_name : NULL);
        str_release(&text);
        if (!ok)
            return false;
    }
    return true;
}

// The new draft is there before the old one goes, so that a picture which both have is
// not removed in between.
static bool save(struct sessions *s, const char *conversation,
                 const struct message *draft, struct err *err)
{
    int64_t key = 0;

    if (draft->part_count > SESSIONS_PART_LIMIT)
        return err_set(err, ERR_LIMIT, "a draft of %zu parts; the limit is %d",
                       draft->part_count, SESSIONS_PART_LIMIT);
    if (draft->part_count > 0) {
        if (!store_run(s, err,
                       "INSERT INTO drafts (conversation, instance, updated_ms) "
                       "VALUES (?1, ?2, ?3)",
                       "ssi", conversation, s->instance, now_ms()))
            return false;
        key = sqlite3_last_insert_rowid(s->db);
        if (!insert_parts(s, key, draft, err))
            return false;
    }
    return store_run(s, err,
                     "DELETE FROM drafts WHERE conversation = ?1 AND instance = ?2 "
                     "AND key <> ?3",
                     "ssi", conversation, s->instance, key);
}

bool sessions_draft_save(struct sessions *s, const char *conversation,
                         const struct message *draft, struct err *err)
{
    return store_begin(s, err) &&
           store_end(s, save(s, conversation != NULL ? conversation : "", draft, err),
                     err);
}

static bool load_parts(struct sessions *s, int64_t draft, struct arena *arena,
                       struct message *message, struct err *err)
{
    sqlite3_stmt *statement;
    enum step step = STEP_FAILED;
    struct part *parts;
    int64_t count;

    if (!store_int(s, err, &count, 0, "SELECT count(*) FROM draft_parts WHERE draft = ?1",
                   "i", draft))
        return false;
    parts = arena_alloc(arena, (size_t)count, sizeof(*parts));
    if (parts == NULL)
        return err_set(err, ERR_LIMIT, "the draft is too long");
    message->parts = parts;
    statement = store_prepare(s, err,
                              "SELECT text, attachment, name FROM draft_parts "
                              "WHERE draft = ?1 ORDER BY position",
                              "i", draft);
    while (statement != NULL && message->part_count < (size_t)count &&
           (step = store_step(s, statement, err)) == STEP_ROW)
        if (!part_load(statement, arena, &parts[message->part_count++], err)) {
            step = STEP_FAILED;
            break;
        }
    sqlite3_finalize(statement);
    return step != STEP_FAILED || count == 0;
}

static bool load(struct sessions *s, const char *conversation, struct arena *arena,
                 struct message *draft, struct err *err)
{
    int64_t key;

    if (!store_int(s, err, &key, 0,
                   "SELECT key FROM drafts WHERE conversation = ?1 AND (instance = ?2 OR "
                   "instance NOT IN (SELECT id FROM instances)) "
                   "ORDER BY instance = ?2 DESC, updated_ms DESC, key DESC LIMIT 1",
                   "ss", conversation, s->instance))
        return false;
    if (key == 0)
        return true;
    return (s->read_only != NULL ||
            store_run(s, err, "UPDATE drafts SET instance = ?2 WHERE key = ?1", "is", key,
                      s->instance)) &&
           load_parts(s, key, arena, draft, err);
}

bool sessions_draft_load(struct sessions *s, const char *conversation,
                         struct arena *arena, struct message *draft, struct err *err)
{
    const char *key = conversation != NULL ? conversation : "";

    *draft = (struct message){ .role = ROLE_USER };
    if (s->read_only != NULL)
        return load(s, key, arena, draft, err);
    return store_begin(s, err) && store_end(s, load(s, key, arena, draft, err), err);
}
