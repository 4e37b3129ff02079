// app/engine_worker.h
// SPDX-License-Identifier: MIT
//
// What the files of the engine's side share: engine_role.c (threads, queue, answers) and
// engine_requests.c (what each request does). Private to them.
#ifndef ORIEL_APP_ENGINE_WORKER_H
#define ORIEL_APP_ENGINE_WORKER_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/wire.h"
#include "base/conversation.h"
#include "base/err.h"
#include "engine/engine.h"

#define QUEUE_MAX 4

struct worker {
    int socket;
    pthread_mutex_t lock;
    pthread_cond_t arrived;  // queue or closed changed
    pthread_cond_t finished; // the main thread is done, after closed
    bool done;
    struct wire_message queue[QUEUE_MAX];
    size_t queued;
    bool closed;
    uint32_t running;      // the request that is worked on, 0: none
    atomic_bool cancelled; // that request
    struct engine *engine;
    // Of the main thread alone:
    int descriptor;    // that came with the request, or -1
    json_t *tokens;    // not yet sent
    int64_t tokens_ns; // when the last tokens were sent
    char stage[64];
    int64_t progress_ns; // when the last progress was sent
};

// Answers on the way to the request that runs; false: stop working on it. The first has
// the type of engine_progress, the second of engine_request's on_token, with the worker
// as user.
bool worker_on_progress(void *user, const char *stage, double fraction);
bool worker_on_token(void *user, const struct token_event *event);
// The same for texts that are not generated: sent several at a time.
bool worker_add_token(struct worker *worker, const struct token_event *event);

// Closes the engine that is open, if any; engine may be NULL.
void worker_replace_engine(struct worker *worker, struct engine *engine);

// Does what a request asks for. The body of WIRE_RESULT, or NULL with err set.
json_t *engine_request_run(struct worker *worker, enum wire_type type, const json_t *body,
                           struct err *err);

#endif
