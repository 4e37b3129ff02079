// app/client.h
// SPDX-License-Identifier: MIT
//
// How a command uses the engine: one child process, progress on standard error, and
// Ctrl-C, which stops the engine within STOP_GRACE_MS.
#ifndef ORIEL_APP_CLIENT_H
#define ORIEL_APP_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "app/engine_process.h"
#include "app/models/store.h"
#include "app/progress.h"
#include "base/err.h"

// A person feels no delay below about 150 ms; the engine itself promises about 100.
#define STOP_GRACE_MS 120

struct client {
    struct engine_process *process;
    struct engine_listener listener;
    struct progress progress;
    struct engine_info info; // of the open model; strings borrowed from `opened`
    json_t *opened;
    bool (*on_token)(void *user, const struct token_event *event);
    void *user;
};

struct model_choice {
    const char *name;   // what the person wrote; NULL: the default model
    const char *mmproj; // file of a vision projector that the person named, or NULL
    struct model_files files;
    const char *device;
    uint32_t context_tokens;
    bool vocabulary_only; // neither weights nor device: only to tokenize
};

// Finds the files of the model; see models_resolve.
bool model_choice_resolve(struct model_choice *choice, struct err *err);

// The body of WIRE_OPEN or WIRE_OPEN_VOCABULARY.
json_t *model_choice_body(const struct model_choice *choice);

// Starts the engine. client_close is needed also after a failure.
bool client_open(struct client *client, bool quiet, struct err *err);
void client_close(struct client *client);

bool client_open_model(struct client *client, const struct model_choice *choice,
                       struct err *err);

// engine_process_call with the client's listener. stage: what is being done, until the
// engine says more. client->on_token gets the tokens; if it
// prints them, it calls client_claim_output first.
json_t *client_call(struct client *client, enum wire_type type, const char *stage,
                    json_t *body, struct err *err);

// The same with an open file for the engine; -1: none.
json_t *client_call_with(struct client *client, enum wire_type type, const char *stage,
                         json_t *body, int descriptor, struct err *err);

// The output begins: no more progress when both go to terminals.
void client_claim_output(struct client *client);

#endif
