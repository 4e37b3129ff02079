// sessions/reply.c
// SPDX-License-Identifier: MIT
//
// Replies while they are written, and what is kept of them afterwards.
//
//   sessions_reply_begin ──> streaming ── sessions_reply_finish ──> done, interrupted,
//   error
//                               │  └── process dies: the next instance_register,
//                               │      process ends: instance_leave ──> interrupted
//                               └── sessions_reply_flush: one more row in reply_chunks
//
// Every arrow is one transaction. A chunk that could not be committed stays in memory and
// is part of the next one.
#include "sessions/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct sessions_reply {
    struct sessions *s;
    char id[SESSIONS_ID];
    int64_t key;
    int64_t conversation;
    struct str text;   // not yet committed
    struct str tokens; // as tokens.c has them
    int64_t token_count;
    int64_t last_ns; // of the last token in `tokens` or committed
    int64_t chunk;   // number of the next one
};

// ---------------------------------------------------------------------------
// Beginning

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

bool record_insert(struct sessions *s, int64_t message,
                   const struct sessions_record *record, struct err *err)
{
    char *settings = settings_encode(&record->settings);
    struct str tokens;
    int64_t last_ns = 0;
    bool ok;

    str_init(&tokens, 0);
    for (size_t i = 0; i < record->token_count; i++)
        token_encode(&tokens, &record->tokens[i], &last_ns);
    ok = store_run(
        s, err,
        "INSERT INTO replies (message, model_name, model_hash, device, build, template_hash, "
        "settings, prompt_count, prompt, prompt_ns, generation_ns, token_count, tokens) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        "issssssibiiib", message, or_empty(record->model_name),
        or_empty(record->model_hash), or_empty(record->device), or_empty(record->build),
        or_empty(record->template_hash), settings, (int64_t)record->prompt_count,
        (const char *)record->prompt, record->prompt_count * sizeof(*record->prompt),
        record->prompt_ns, record->generation_ns, (int64_t)record->token_count,
        record->token_count > 0 ? tokens.data : NULL, tokens.len);
    str_release(&tokens);
    free(settings);
    return ok;
}

static bool begin(struct sessions_reply *reply,
                  const struct sessions_reply_params *params, struct err *err)
{
    struct sessions *s = reply->s;
    struct message_row row = {
        .id = reply->id,
        .role = ROLE_ASSISTANT,
        .state = MESSAGE_STREAMING,
        .instance = s->instance,
        .created_ms = now_ms(),
    };
    struct sessions_record record = {
        .model_name = params->model_name,
        .model_hash = params->model_hash,
        .device = params->device,
        .build = params->build,
        .template_hash = params->template_hash,
        .settings = *params->settings,
        .prompt = params->prompt,
        .prompt_count = params->prompt_count,
    };

    if (!conversation_key(s, params->conversation, &row.conversation, err) ||
        !parent_key(s, row.conversation, params->parent, &row.parent, err))
        return false;
    reply->conversation = row.conversation;
    return message_insert(s, &row, &reply->key, err) &&
           record_insert(s, reply->key, &record, err) &&
           conversation_touch(s, row.conversation, reply->key, err);
}

struct sessions_reply *sessions_reply_begin(struct sessions *s,
                                            const struct sessions_reply_params *params,
                                            struct err *err)
{
    struct sessions_reply *reply = alloc_zero(sizeof(*reply));

    reply->s = s;
    id_random(reply->id);
    str_init(&reply->text, 0);
    str_init(&reply->tokens, 0);
    if (!store_begin(s, err) || !store_end(s, begin(reply, params, err), err))
        sessions_reply_abandon(&reply);
    return reply;
}

const char *sessions_reply_id(const struct sessions_reply *reply)
{
    return reply->id;
}

void sessions_reply_abandon(struct sessions_reply **reply)
{
    if (*reply == NULL)
        return;
    str_release(&(*reply)->text);
    str_release(&(*reply)->tokens);
    free(*reply);
    *reply = NULL;
}

// ---------------------------------------------------------------------------
// Streaming

void sessions_reply_append(struct sessions_reply *reply, const struct token_event *event)
{
    size_t before = reply->text.len;
    struct sessions_token token = {
        .id = event->id,
        .logprob = event->logprob,
        .time_ns = event->time_ns,
    };

    text_clean(&reply->text, event->text, event->text_len);
    token.text_len = reply->text.len - before;
    token_encode(&reply->tokens, &token, &reply->last_ns);
    reply->token_count++;
}

static bool insert_chunk(struct sessions_reply *reply, struct err *err)
{
    if (reply->token_count == 0)
        return true;
    return store_run(
        reply->s, err,
        "INSERT INTO reply_chunks (message, number, text, token_count, tokens) "
        "VALUES (?1, ?2, ?3, ?4, ?5)",
        "iiSib", reply->key, reply->chunk, reply->text.data, reply->text.len,
        reply->token_count, reply->tokens.data, reply->tokens.len);
}

bool sessions_reply_flush(struct sessions_reply *reply, struct err *err)
{
    if (reply->token_count == 0)
        return true;
    if (!store_begin(reply->s, err) ||
        !store_end(reply->s, insert_chunk(reply, err), err))
        return false;
    str_reset(&reply->text);
    str_reset(&reply->tokens);
    reply->token_count = 0;
    reply->chunk++;
    return true;
}

static bool finish(struct sessions_reply *reply, const struct sessions_reply_end *end,
                   struct err *err)
{
    return insert_chunk(reply, err) &&
           store_run(reply->s, err,
                     "UPDATE replies SET prompt_ns = ?2, generation_ns = ?3 "
                     "WHERE message = ?1",
                     "iii", reply->key, end->prompt_ns, end->generation_ns) &&
           reply_fold(reply->s, reply->key, end->state, end->reason, end->error, err) &&
           conversation_touch(reply->s, reply->conversation, 0, err);
}

bool sessions_reply_finish(struct sessions_reply **reply,
                           const struct sessions_reply_end *end, struct err *err)
{
    struct sessions *s = (*reply)->s;

    if (!store_begin(s, err) || !store_end(s, finish(*reply, end, err), err))
        return false;
    sessions_reply_abandon(reply);
    return true;
}

// ---------------------------------------------------------------------------
// Folding

bool reply_chunks_load(struct sessions *s, int64_t message, struct reply_chunks *chunks,
                       struct err *err)
{
    sqlite3_stmt *statement;
    enum step step = STEP_FAILED;

    chunks->token_count = 0;
    str_init(&chunks->text, 0);
    str_init(&chunks->tokens, 0);
    statement = store_prepare(s, err,
                              "SELECT text, token_count, tokens FROM reply_chunks "
                              "WHERE message = ?1 ORDER BY number",
                              "i", message);
    while (statement != NULL && (step = store_step(s, statement, err)) == STEP_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        const char *tokens = sqlite3_column_blob(statement, 2);

        str_append_n(&chunks->text, text, (size_t)sqlite3_column_bytes(statement, 0));
        str_append_n(&chunks->tokens, tokens, (size_t)sqlite3_column_bytes(statement, 2));
        chunks->token_count += sqlite3_column_int64(statement, 1);
    }
    sqlite3_finalize(statement);
    return step == STEP_DONE;
}

void reply_chunks_release(struct reply_chunks *chunks)
{
    str_release(&chunks->text);
    str_release(&chunks->tokens);
}

static bool fold_chunks(struct sessions *s, int64_t message,
                        const struct reply_chunks *chunks, struct err *err)
{
    if (chunks->text.len > 0 &&
        !store_run(s, err,
                   "INSERT INTO parts (message, position, text) "
                   "SELECT ?1, count(*), ?2 FROM parts WHERE message = ?1",
                   "iS", message, chunks->text.data, chunks->text.len))
        return false;
    return store_run(
               s, err,
               "UPDATE replies SET tokens = ?2, token_count = ?3 WHERE message = ?1",
               "ibi", message, chunks->tokens.data, chunks->tokens.len,
               chunks->token_count) &&
           index_message(s, message, err) &&
           store_run(s, err, "DELETE FROM reply_chunks WHERE message = ?1", "i", message);
}

bool reply_fold(struct sessions *s, int64_t message, enum message_state state,
                enum stop_reason reason, const char *error, struct err *err)
{
    struct reply_chunks chunks;
    bool ok = reply_chunks_load(s, message, &chunks, err) &&
              fold_chunks(s, message, &chunks, err) &&
              store_run(s, err,
                        "UPDATE messages SET state = ?2, stop_reason = ?3, error = ?4, "
                        "instance = NULL, finished_ms = ?5 WHERE key = ?1",
                        "isssi", message, name_of_state(state), name_of_reason(reason),
                        error, now_ms());

    reply_chunks_release(&chunks);
    return ok;
}

// ---------------------------------------------------------------------------
// Reading the record

static bool decode_tokens(const void *bytes, size_t len, int64_t count,
                          struct arena *arena, struct sessions_record *record,
                          struct err *err)
{
    struct sessions_token *tokens;

    // A token takes at least 7 bytes, so a damaged count cannot ask for much memory.
    if (count < 0 || (uint64_t)count > len / 7)
        return err_set(err, ERR_FORMAT, "%lld tokens in %zu bytes", (long long)count,
                       len);
    tokens = arena_alloc(arena, (size_t)count, sizeof(*tokens));
    if (tokens == NULL)
        return err_set(err, ERR_LIMIT, "too many tokens for %zu bytes of memory",
                       arena->budget);
    record->tokens = tokens;
    record->token_count = (size_t)count;
    return tokens_decode(bytes, len, tokens, (size_t)count, err);
}

static bool load_tokens(struct sessions *s, sqlite3_stmt *statement, struct arena *arena,
                        struct sessions_record *record, struct err *err)
{
    struct reply_chunks chunks;
    bool ok;

    if (sqlite3_column_type(statement, 10) != SQLITE_NULL)
        return decode_tokens(sqlite3_column_blob(statement, 10),
                             (size_t)sqlite3_column_bytes(statement, 10),
                             sqlite3_column_int64(statement, 9), arena, record, err);
    ok = reply_chunks_load(s, sqlite3_column_int64(statement, 11), &chunks, err) &&
         decode_tokens(chunks.tokens.data, chunks.tokens.len, chunks.token_count, arena,
                       record, err);
    reply_chunks_release(&chunks);
    return ok;
}

static bool load_prompt(sqlite3_stmt *statement, struct arena *arena,
                        struct sessions_record *record, struct err *err)
{
    size_t len = (size_t)sqlite3_column_bytes(statement, 7);
    uint32_t *prompt;

    record->prompt_count = (size_t)sqlite3_column_int64(statement, 6);
    if (sqlite3_column_type(statement, 7) == SQLITE_NULL)
        return true;
    if (len != record->prompt_count * sizeof(*prompt))
        return err_set(err, ERR_FORMAT, "the prompt is damaged");
    prompt = arena_alloc(arena, record->prompt_count, sizeof(*prompt));
    if (prompt == NULL)
        return err_set(err, ERR_LIMIT, "the prompt is too long for %zu bytes of memory",
                       arena->budget);
    if (len > 0)
        memcpy(prompt, sqlite3_column_blob(statement, 7), len);
    record->prompt = prompt;
    return true;
}

static bool load_record(struct sessions *s, sqlite3_stmt *statement, struct arena *arena,
                        struct sessions_record *record, struct err *err)
{
    const char *settings;

    *record = (struct sessions_record){
        .prompt_ns = sqlite3_column_int64(statement, 8),
        .generation_ns = sqlite3_column_int64(statement, 12),
    };
    return store_text(statement, 0, arena, &record->model_name, NULL, err) &&
           store_text(statement, 1, arena, &record->model_hash, NULL, err) &&
           store_text(statement, 2, arena, &record->device, NULL, err) &&
           store_text(statement, 3, arena, &record->build, NULL, err) &&
           store_text(statement, 4, arena, &record->template_hash, NULL, err) &&
           store_text(statement, 5, arena, &settings, NULL, err) &&
           settings_decode(settings, arena, &record->settings, err) &&
           load_prompt(statement, arena, record, err) &&
           load_tokens(s, statement, arena, record, err);
}

bool sessions_load_record(struct sessions *s, const char *message, struct arena *arena,
                          struct sessions_record *record, struct err *err)
{
    sqlite3_stmt *statement;
    bool ok = false;

    if (!store_begin_read(s, err))
        return false;
    statement = store_prepare(
        s, err,
        "SELECT r.model_name, r.model_hash, r.device, r.build, r.template_hash, r.settings, "
        "r.prompt_count, r.prompt, r.prompt_ns, r.token_count, r.tokens, r.message, "
        "r.generation_ns FROM replies r JOIN messages m ON m.key = r.message "
        "WHERE m.id = ?1",
        "s", message);
    if (statement != NULL) {
        enum step step = store_step(s, statement, err);

        if (step == STEP_DONE)
            err_set(err, ERR_NOT_FOUND, "nothing was kept of message %s", message);
        if (step == STEP_ROW) {
            ok = load_record(s, statement, arena, record, err);
            if (!ok)
                err_prefix(err, "message %s", message);
        }
    }
    sqlite3_finalize(statement);
    store_end_read(s);
    return ok;
}
