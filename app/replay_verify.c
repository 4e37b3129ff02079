// app/replay_verify.c
// SPDX-License-Identifier: MIT
//
// oriel replay --verify. The same model file, device and build must give the same tokens;
// another of them may not, and is named beforehand.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/cmd_replay.h"
#include "app/messages.h"
#include "app/models/identity.h"
#include "app/output.h"
#include "base/alloc.h"

#define MEMORY     ((size_t)256 << 20)
#define HASH_KIND  7  // "sha256:", "sample:"
#define HASH_SHOWN 19 // bytes of a hash

struct verification {
    struct replay *replay;
    struct client client;
    char *hash; // of the model file, as models/identity.h makes it
    struct sessions_path path;
    struct sessions_record record; // of the reply that is made again
    size_t compared;               // tokens
    bool differs;
    uint32_t other; // what came in place of token `compared`
    size_t replies, different;
};

static bool on_token(void *user, const struct token_event *event)
{
    struct verification *v = user;

    if (event->id == ENGINE_NO_TOKEN)
        return true;
    if (v->differs || v->compared == v->record.token_count)
        return true;
    if (v->record.tokens[v->compared].id == event->id) {
        v->compared++;
    } else {
        v->differs = true;
        v->other = event->id;
    }
    return true;
}

static json_t *request_body(const struct verification *v, size_t index)
{
    struct message *messages = alloc_array(index, sizeof(*messages));
    struct generation_settings settings = v->record.settings;
    json_t *body = json_object();

    for (size_t i = 0; i < index; i++)
        messages[i] = v->path.messages[i].content;
    // A reply that was stopped is compared as far as it went.
    settings.max_tokens = (uint32_t)v->record.token_count;
    json_object_set_new(
        body, "messages",
        v->client.info.has_vision
            ? conversation_json(&(struct conversation){ messages, index })
            : conversation_words_json(&(struct conversation){ messages, index }));
    json_object_set_new(body, "settings", settings_json(&settings));
    json_object_set_new(body, "now",
                        json_integer(v->path.messages[index].created_ms / 1000));
    free(messages);
    return body;
}

static void report(struct verification *v, size_t index)
{
    printf("reply %zu: ", index + 1);
    if (v->differs)
        printf("token %zu of %zu differs: %u then, %u now\n", v->compared + 1,
               v->record.token_count, v->record.tokens[v->compared].id, v->other);
    else if (v->compared < v->record.token_count)
        printf("ended after %zu of %zu tokens\n", v->compared, v->record.token_count);
    else
        printf("%zu tokens, all the same\n", v->record.token_count);
    fflush(stdout);
    v->replies++;
    v->different += v->compared < v->record.token_count;
}

static void name_differences(const struct verification *v)
{
    const char *hash = v->record.model_hash;

    // Hashes of the two kinds say nothing about each other.
    if (hash[0] != '\0' && v->hash != NULL && strncmp(hash, v->hash, HASH_KIND) == 0) {
        if (strcmp(hash, v->hash) != 0)
            remark("replay",
                   "it was written by another model file (%s: %.*s..., not %.*s...)",
                   v->record.model_name, HASH_SHOWN, hash, HASH_SHOWN, v->hash);
    } else if (strcmp(v->record.model_name, v->client.info.model_name) != 0) {
        remark("replay", "it was written by %s, not %s", v->record.model_name,
               v->client.info.model_name);
    }
    if (strcmp(v->record.device, v->client.info.device_name) != 0)
        remark("replay", "it was written on %s, not %s", v->record.device,
               v->client.info.device_name);
}

static bool verify_reply(struct verification *v, size_t index, struct arena *arena,
                         struct err *err)
{
    struct err failure = { 0 };
    json_t *answer;

    if (!sessions_load_record(v->replay->sessions, v->path.messages[index].id, arena,
                              &v->record, &failure)) {
        if (failure.code == ERR_NOT_FOUND)
            return true; // not written by our engine
        *err = failure;
        return false;
    }
    if (v->record.token_count == 0)
        return true;
    if (v->replies == 0)
        name_differences(v);
    v->compared = 0;
    v->differs = false;
    for (size_t i = 0; i < index; i++)
        if (!replay_show_pictures(&v->client, v->replay->sessions,
                                  &v->path.messages[i].content, err))
            return false;
    answer = client_call(&v->client, WIRE_GENERATE, "making a reply again",
                         request_body(v, index), &failure);
    json_decref(answer);
    if (answer == NULL) {
        *err = failure;
        return false;
    }
    report(v, index);
    return true;
}

static bool verify_all(struct verification *v, struct err *err)
{
    struct arena arena;
    bool ok = true;

    for (size_t i = 0; ok && i < v->path.count; i++) {
        if (v->path.messages[i].content.role != ROLE_ASSISTANT)
            continue;
        arena_init(&arena, MEMORY);
        ok = verify_reply(v, i, &arena, err);
        arena_release(&arena);
    }
    if (!ok)
        return false;
    if (v->different > 0)
        return err_set(err, ERR_MISMATCH, "%zu of %zu replies differ", v->different,
                       v->replies);
    if (v->replies == 0)
        return err_set(err, ERR_NOT_FOUND, "no reply here was written by this program");
    printf("all %zu replies are the same\n", v->replies);
    return true;
}

bool replay_verify(struct replay *replay, struct err *err)
{
    struct verification v = { .replay = replay };
    struct arena arena;
    bool ok;

    arena_init(&arena, MEMORY);
    ok = sessions_load_path(replay->sessions, replay->conversation, NULL, &arena, &v.path,
                            err) &&
         model_choice_resolve(&replay->model, err) &&
         client_open(&v.client, false, err) &&
         client_open_model(&v.client, &replay->model, err);
    if (ok) {
        v.hash = model_identity(replay->model.files.path);
        v.client.on_token = on_token;
        v.client.user = &v;
        ok = verify_all(&v, err);
    }
    client_close(&v.client);
    free(v.hash);
    arena_release(&arena);
    return ok;
}
