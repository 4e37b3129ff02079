// app/client.c
// SPDX-License-Identifier: MIT
#include "app/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/interrupt.h"
#include "app/messages.h"
#include "base/file.h"

static void on_progress(void *user, const char *stage, double fraction)
{
    struct client *client = user;

    progress_update(&client->progress, stage, fraction);
}

static bool on_token(void *user, const struct token_event *event)
{
    struct client *client = user;

    return client->on_token == NULL || client->on_token(client->user, event);
}

static void on_wait(void *user)
{
    struct client *client = user;

    progress_tick(&client->progress);
}

bool client_open(struct client *client, bool quiet, struct err *err)
{
    *client = (struct client){ 0 };
    progress_init(&client->progress, quiet);
    client->process = engine_process_start(err);
    if (client->process == NULL)
        return false;
    interrupt_catch();
    client->listener = (struct engine_listener){
        .on_progress = on_progress,
        .on_token = on_token,
        .on_wait = on_wait,
        .user = client,
        .interrupt_fd = interrupt_fd(),
        .grace_ms = STOP_GRACE_MS,
    };
    return true;
}

void client_close(struct client *client)
{
    progress_erase(&client->progress);
    engine_process_stop(&client->process);
    json_decref(client->opened);
    *client = (struct client){ 0 };
}

json_t *client_call_with(struct client *client, enum wire_type type, const char *stage,
                         json_t *body, int descriptor, struct err *err)
{
    json_t *result = NULL;

    progress_update(&client->progress, stage, -1);
    if (engine_process_send_with(client->process, type, body, descriptor, err))
        result = engine_process_wait(client->process, &client->listener, err);
    progress_erase(&client->progress);
    return result;
}

json_t *client_call(struct client *client, enum wire_type type, const char *stage,
                    json_t *body, struct err *err)
{
    return client_call_with(client, type, stage, body, -1, err);
}

bool model_choice_resolve(struct model_choice *choice, struct err *err)
{
    struct model_files *files = &choice->files;

    if (!models_resolve(choice->name, files, err))
        return false;
    if (choice->mmproj == NULL)
        return true;
    if (access(choice->mmproj, R_OK) != 0)
        return err_set_errno(err, "%s", choice->mmproj);
    if ((size_t)snprintf(files->mmproj, sizeof(files->mmproj), "%s", choice->mmproj) >=
        sizeof(files->mmproj))
        return err_set(err, ERR_LIMIT, "the path of the projector is too long");
    return true;
}

static void set_optional(json_t *body, const char *key, const char *value)
{
    if (value != NULL)
        json_object_set_new(body, key, json_string(value));
}

json_t *model_choice_body(const struct model_choice *choice)
{
    struct err no_cache = { 0 }; // without HOME nothing is kept on disk
    char *cache = file_xdg_directory("XDG_CACHE_HOME", ".cache", &no_cache);
    json_t *body = json_object();

    set_optional(body, "model", choice->files.path);
    if (choice->files.mmproj[0] != '\0')
        set_optional(body, "mmproj", choice->files.mmproj);
    set_optional(body, "device", choice->device);
    set_optional(body, "cache_directory", cache);
    json_object_set_new(body, "context", json_integer(choice->context_tokens));
    free(cache);
    return body;
}

bool client_open_model(struct client *client, const struct model_choice *choice,
                       struct err *err)
{
    client->opened =
        client_call(client, choice->vocabulary_only ? WIRE_OPEN_VOCABULARY : WIRE_OPEN,
                    "opening the model", model_choice_body(choice), err);
    return client->opened != NULL && info_read(&client->info, client->opened, err);
}

void client_claim_output(struct client *client)
{
    if (isatty(STDOUT_FILENO))
        progress_end(&client->progress);
}
