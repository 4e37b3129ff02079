// app/engine_role.c
// SPDX-License-Identifier: MIT
//
// The engine process: holds the model and the device, neither terminal nor database. Two
// threads: the main one works on one request after the other and is the only one that
// sends; the reader takes requests from the socket and passes a WIRE_CANCEL on to the
// engine while the main thread is inside it.
//
// Invariants: (1) `engine` changes only under the lock while no request runs in it, so
// the reader may call engine_cancel under the lock; (2) every request gets exactly one
// WIRE_RESULT or WIRE_ERROR; (3) when the front is gone or talks nonsense, the process
// ends, by itself within EXIT_GRACE_S or else by force; (4) when the device was lost, it
// says so and ends at once, without another call of a driver that may be in any state:
// the front starts a new one.
#include "app/engine_role.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "app/engine_lock.h"
#include "app/engine_worker.h"
#include "app/messages.h"
#include "base/file.h"
#include "base/log.h"

#define TOKENS_PER_MESSAGE 256
#define TOKENS_EVERY_NS    100000000
#define PROGRESS_EVERY_NS  50000000
#define EXIT_GRACE_S       2

// ---------------------------------------------------------------------------
// The reader

static void cancel(struct worker *worker, uint32_t request)
{
    pthread_mutex_lock(&worker->lock);
    if (worker->running != 0 && (worker->running == request || request == 0)) {
        atomic_store(&worker->cancelled, true);
        if (worker->engine != NULL)
            engine_cancel(worker->engine);
    }
    for (size_t i = 0; i < worker->queued; i++)
        if (worker->queue[i].request == request)
            worker->queue[i].type = WIRE_CANCEL; // answered when its turn comes
    pthread_mutex_unlock(&worker->lock);
}

static bool enqueue(struct worker *worker, struct wire_message *message)
{
    bool fits;

    pthread_mutex_lock(&worker->lock);
    fits = worker->queued < QUEUE_MAX;
    if (fits)
        worker->queue[worker->queued++] = *message;
    pthread_cond_signal(&worker->arrived);
    pthread_mutex_unlock(&worker->lock);
    return fits;
}

static bool take_in(struct worker *worker, struct wire_message *message)
{
    if (message->type == WIRE_CANCEL) {
        cancel(worker, message->request);
        wire_message_release(message);
        return true;
    }
    if (message->type < WIRE_HELLO && enqueue(worker, message))
        return true;
    fprintf(stderr, "oriel engine: a message that has no place here (type %d)\n",
            (int)message->type);
    wire_message_release(message);
    return false;
}

// Gives the main thread a while to come back from the engine.
static void await_end(struct worker *worker)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += EXIT_GRACE_S;
    pthread_mutex_lock(&worker->lock);
    worker->closed = true;
    pthread_cond_signal(&worker->arrived);
    while (!worker->done)
        if (pthread_cond_timedwait(&worker->finished, &worker->lock, &deadline) != 0)
            _exit(1); // it is stuck in the engine or its driver
    pthread_mutex_unlock(&worker->lock);
}

static void *read_requests(void *user)
{
    struct worker *worker = user;
    struct wire_reader reader;
    struct wire_message message;
    struct err err = { 0 };
    enum wire_status status = WIRE_MORE;

    wire_reader_init(&reader, worker->socket);
    while (status == WIRE_MORE || status == WIRE_MESSAGE) {
        status = wire_next(&reader, &message, &err);
        if (status == WIRE_MESSAGE && !take_in(worker, &message))
            break;
        if (status == WIRE_MORE)
            status = wire_fill(&reader, &err);
    }
    if (status == WIRE_BROKEN)
        fprintf(stderr, "oriel engine: %s\n", err.text);
    wire_reader_release(&reader);
    cancel(worker, 0);
    await_end(worker);
    return NULL;
}

// ---------------------------------------------------------------------------
// Answers on the way

static bool send_answer(struct worker *worker, enum wire_type type, json_t *body)
{
    struct err err = { 0 };

    if (wire_send(worker->socket, type, worker->running, body, &err))
        return true;
    log_line(LOG_ERROR, "%s", err.text);
    return false;
}

bool worker_on_progress(void *user, const char *stage, double fraction)
{
    struct worker *worker = user;
    int64_t now = clock_ns();
    json_t *body;

    if (atomic_load(&worker->cancelled))
        return false;
    if (strncmp(stage, worker->stage, sizeof(worker->stage) - 1) == 0 &&
        now - worker->progress_ns < PROGRESS_EVERY_NS)
        return true;
    snprintf(worker->stage, sizeof(worker->stage), "%s", stage);
    worker->progress_ns = now;
    body = json_object();
    wire_set_text(body, "stage", stage, strlen(stage));
    wire_set_real(body, "fraction", fraction);
    return send_answer(worker, WIRE_PROGRESS, body);
}

static bool flush_tokens(struct worker *worker)
{
    json_t *body = json_object();

    json_object_set_new(body, "tokens", worker->tokens);
    worker->tokens = json_array();
    worker->tokens_ns = clock_ns();
    return send_answer(worker, WIRE_TOKENS, body);
}

bool worker_on_token(void *user, const struct token_event *event)
{
    struct worker *worker = user;

    json_array_append_new(worker->tokens, token_json(event));
    return flush_tokens(worker) && !atomic_load(&worker->cancelled);
}

// For texts that are not generated: in larger messages.
bool worker_add_token(struct worker *worker, const struct token_event *event)
{
    json_array_append_new(worker->tokens, token_json(event));
    if (json_array_size(worker->tokens) < TOKENS_PER_MESSAGE &&
        clock_ns() - worker->tokens_ns < TOKENS_EVERY_NS)
        return !atomic_load(&worker->cancelled);
    return flush_tokens(worker) && !atomic_load(&worker->cancelled);
}

void worker_replace_engine(struct worker *worker, struct engine *engine)
{
    struct engine *old;

    pthread_mutex_lock(&worker->lock);
    old = worker->engine;
    worker->engine = engine;
    pthread_mutex_unlock(&worker->lock);
    engine_close(&old);
}

// ---------------------------------------------------------------------------
// The main thread

static bool next_request(struct worker *worker, struct wire_message *message)
{
    bool got = false;

    pthread_mutex_lock(&worker->lock);
    while (worker->queued == 0 && !worker->closed)
        pthread_cond_wait(&worker->arrived, &worker->lock);
    if (!worker->closed) {
        *message = worker->queue[0];
        memmove(worker->queue, worker->queue + 1,
                --worker->queued * sizeof(worker->queue[0]));
        worker->running = message->request;
        atomic_store(&worker->cancelled, false);
        got = true;
    }
    pthread_mutex_unlock(&worker->lock);
    return got;
}

static bool answer_request(struct worker *worker, const struct wire_message *message)
{
    struct err err = { 0 };
    json_t *result;
    bool ok;

    worker->stage[0] = '\0';
    worker->descriptor = message->fd;
    result = engine_request_run(worker, message->type, message->body, &err);
    ok = json_array_size(worker->tokens) == 0 || flush_tokens(worker);
    if (result != NULL)
        ok = send_answer(worker, WIRE_RESULT, result) && ok;
    else
        ok = send_answer(worker, WIRE_ERROR, wire_error_body(&err)) && ok;
    if (err.code == ERR_LOST)
        _exit(ENGINE_EXIT_LOST);
    pthread_mutex_lock(&worker->lock);
    worker->running = 0;
    pthread_mutex_unlock(&worker->lock);
    return ok;
}

static void restrict_process(void)
{
    prctl(PR_SET_NAME, "oriel-engine");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN); // Ctrl-C is for the front, which says WIRE_CANCEL
}

#if defined(__SANITIZE_ADDRESS__)
#define WATCHED true
#else
#define WATCHED false
#endif

// A kernel that refuses a lock is no reason not to work: the model is not trusted, but
// nothing is known against it either.
static void lock_in(void)
{
    struct err err = { 0 }, no_cache = { 0 };
    struct engine_lock lock = { .watched = WATCHED };
    char *cache;

    if (getenv("ORIEL_UNLOCK_ENGINE") != NULL)
        return;
    cache = file_xdg_directory("XDG_CACHE_HOME", ".cache", &no_cache);
    if (cache != NULL && file_make_directories(cache, &no_cache)) // what is not there
        lock.cache_directory = cache;                             // cannot be allowed
    if (!engine_lock(&lock, &err))
        log_line(LOG_ERROR, "the engine is not locked in: %s", err.text);
    free(cache);
}

static void end_reader(struct worker *worker, pthread_t reader)
{
    shutdown(worker->socket, SHUT_RDWR);
    pthread_mutex_lock(&worker->lock);
    worker->done = true;
    pthread_cond_signal(&worker->finished);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(reader, NULL);
}

int engine_role_run(int socket)
{
    struct worker worker = { .socket = socket,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .arrived = PTHREAD_COND_INITIALIZER,
                             .finished = PTHREAD_COND_INITIALIZER };
    struct wire_message message;
    pthread_t reader;
    bool ok = true;

    restrict_process();
    log_open("engine");
    lock_in();
    worker.tokens = json_array();
    if (!send_answer(&worker, WIRE_HELLO, json_object()) ||
        pthread_create(&reader, NULL, read_requests, &worker) != 0)
        return 1;
    while (ok && next_request(&worker, &message)) {
        ok = answer_request(&worker, &message);
        wire_message_release(&message);
    }
    worker_replace_engine(&worker, NULL);
    end_reader(&worker, reader);
    while (worker.queued > 0)
        wire_message_release(&worker.queue[--worker.queued]);
    json_decref(worker.tokens);
    return ok ? 0 : 1;
}
