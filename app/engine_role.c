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
// ends, by itself within EXIT_GRACE_S or else by force.
#include "app/engine_role.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "app/messages.h"
#include "app/wire.h"
#include "base/alloc.h"
#include "base/log.h"
#include "engine/engine.h"

#define QUEUE_MAX          4
#define TOKENS_PER_MESSAGE 256
#define TOKENS_EVERY_NS    100000000
#define PROGRESS_EVERY_NS  50000000
#define EXIT_GRACE_S       2
#define BENCH_TOKENS_MAX   1000000

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
    json_t *tokens;    // not yet sent
    int64_t tokens_ns; // when the last tokens were sent
    char stage[64];
    int64_t progress_ns; // when the last progress was sent
};

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
            worker->queue[i].type =
                WIRE_CANCEL; // answered as cancelled when its turn comes
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

static bool on_progress(void *user, const char *stage, double fraction)
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

static bool on_token(void *user, const struct token_event *event)
{
    struct worker *worker = user;

    json_array_append_new(worker->tokens, token_json(event));
    return flush_tokens(worker) && !atomic_load(&worker->cancelled);
}

// For texts that are not generated: in larger messages.
static bool add_token(struct worker *worker, const struct token_event *event)
{
    json_array_append_new(worker->tokens, token_json(event));
    if (json_array_size(worker->tokens) < TOKENS_PER_MESSAGE &&
        clock_ns() - worker->tokens_ns < TOKENS_EVERY_NS)
        return !atomic_load(&worker->cancelled);
    return flush_tokens(worker) && !atomic_load(&worker->cancelled);
}

// ---------------------------------------------------------------------------
// The requests: each returns the body of WIRE_RESULT, or NULL with err set

static bool need_engine(const struct worker *worker, struct err *err)
{
    return worker->engine != NULL || err_set(err, ERR_USAGE, "no model is open");
}

static void replace_engine(struct worker *worker, struct engine *engine)
{
    struct engine *old;

    pthread_mutex_lock(&worker->lock);
    old = worker->engine;
    worker->engine = engine;
    pthread_mutex_unlock(&worker->lock);
    engine_close(&old);
}

static json_t *opened(struct worker *worker, struct engine *engine)
{
    struct engine_info info = { 0 };

    if (engine == NULL)
        return NULL;
    replace_engine(worker, engine);
    engine_info(engine, &info);
    return info_json(&info);
}

static json_t *run_open(struct worker *worker, const json_t *body, struct err *err)
{
    struct engine_params params = { .progress = on_progress, .user = worker };
    uint64_t context;

    params.model_path = wire_get_string(body, "model", err);
    if (params.model_path == NULL ||
        !wire_get_optional_string(body, "mmproj", &params.mmproj_path, err) ||
        !wire_get_optional_string(body, "device", &params.device, err) ||
        !wire_get_optional_string(body, "cache_directory", &params.cache_directory,
                                  err) ||
        !wire_get_uint(body, "context", UINT32_MAX, &context, err))
        return NULL;
    params.context_tokens = (uint32_t)context;
    replace_engine(worker, NULL); // its memory is needed for the next
    return opened(worker, engine_open(&params, err));
}

static json_t *run_open_vocabulary(struct worker *worker, const json_t *body,
                                   struct err *err)
{
    const char *model = wire_get_string(body, "model", err);

    if (model == NULL)
        return NULL;
    replace_engine(worker, NULL);
    return opened(worker, engine_open_vocabulary(model, err));
}

static json_t *generate(struct worker *worker, const struct conversation *conversation,
                        const struct generation_settings *settings, int64_t now,
                        struct err *err)
{
    struct token_ids prompt = { 0 };
    struct engine_result result = { 0 };
    bool fallback = false;
    json_t *answer = NULL;

    if (!engine_render(worker->engine, conversation, NULL, now, &prompt, &fallback, err))
        return NULL;
    if (engine_generate(worker->engine,
                        &(struct engine_request){
                            .prompt = prompt.ids,
                            .prompt_count = prompt.count,
                            .settings = settings,
                            .progress = on_progress,
                            .on_token = on_token,
                            .user = worker,
                        },
                        &result, err)) {
        answer = result_json(&result);
        json_object_set_new(answer, "used_fallback_template", json_boolean(fallback));
    }
    token_ids_release(&prompt);
    return answer;
}

static json_t *run_generate(struct worker *worker, const json_t *body, struct err *err)
{
    struct conversation_message conversation;
    struct settings_message settings;
    json_t *answer = NULL;
    uint64_t now;

    if (!need_engine(worker, err) || !wire_get_uint(body, "now", INT64_MAX, &now, err))
        return NULL;
    if (conversation_message_read(&conversation, body, err)) {
        if (settings_message_read(&settings, json_object_get(body, "settings"), err))
            answer = generate(worker, &conversation.conversation, &settings.settings,
                              (int64_t)now, err);
        settings_message_release(&settings);
    }
    conversation_message_release(&conversation);
    return answer;
}

static bool tokenize_field(struct worker *worker, const json_t *body, bool special,
                           struct token_ids *tokens, struct err *err)
{
    struct str text;
    bool ok;

    str_init(&text, 0);
    ok = wire_get_text(body, "text", &text, err) &&
         engine_tokenize(worker->engine, text.data, text.len, special, tokens, err);
    str_release(&text);
    return ok;
}

// The text of one token alone, which may be a piece of a character.
static void piece_of(const struct worker *worker, uint32_t id, struct str *piece)
{
    str_reset(piece);
    engine_detokenize(worker->engine, &id, 1, true, piece);
}

static json_t *count_result(size_t count)
{
    json_t *answer = json_object();

    json_object_set_new(answer, "count", json_integer((json_int_t)count));
    return answer;
}

static json_t *run_tokenize(struct worker *worker, const json_t *body, struct err *err)
{
    struct token_ids tokens = { 0 };
    struct str piece;
    bool special, ok = true;
    json_t *answer;

    if (!need_engine(worker, err) || !wire_get_bool(body, "special", &special, err) ||
        !tokenize_field(worker, body, special, &tokens, err))
        return NULL;
    str_init(&piece, 0);
    for (size_t i = 0; ok && i < tokens.count; i++) {
        piece_of(worker, tokens.ids[i], &piece);
        ok = add_token(worker, &(struct token_event){ .id = tokens.ids[i],
                                                      .logprob = NAN,
                                                      .text = piece.data,
                                                      .text_len = piece.len });
    }
    answer = ok ? count_result(tokens.count) : NULL;
    if (!ok)
        err_set(err, ERR_CANCELLED, "stopped");
    str_release(&piece);
    token_ids_release(&tokens);
    return answer;
}

struct scoring {
    struct worker *worker;
    const struct token_ids *tokens;
    struct str piece;
    FILE *distributions; // NULL: nobody wants them
};

static bool on_scored(void *user, size_t index, const struct token_event *event)
{
    struct scoring *scoring = user;
    struct token_event scored = *event;

    piece_of(scoring->worker, scoring->tokens->ids[index], &scoring->piece);
    scored.text = scoring->piece.data;
    scored.text_len = scoring->piece.len;
    return add_token(scoring->worker, &scored);
}

static bool on_distribution(void *user, size_t index, const float *logprobs, size_t count)
{
    struct scoring *scoring = user;

    (void)index; // they come in order
    return fwrite(logprobs, sizeof(*logprobs), count, scoring->distributions) == count;
}

static bool on_score_progress(void *user, const char *stage, double fraction)
{
    return on_progress(((struct scoring *)user)->worker, stage, fraction);
}

// What the model wants in front of every text: the begin token, or nothing.
static bool begin_tokens(struct worker *worker, struct token_ids *tokens, struct err *err)
{
    return engine_tokenize(worker->engine, "", 0, true, tokens, err);
}

static void append_ids(struct token_ids *tokens, const struct token_ids *more)
{
    if (more->count == 0)
        return;
    tokens->ids =
        alloc_resize(tokens->ids, tokens->count + more->count, sizeof(*tokens->ids));
    memcpy(tokens->ids + tokens->count, more->ids, more->count * sizeof(*more->ids));
    tokens->count += more->count;
}

static bool score(struct scoring *scoring, const json_t *body, struct err *err)
{
    uint64_t window, stride, top;
    struct token_event first = { .logprob = NAN };

    if (!wire_get_uint(body, "window", UINT32_MAX, &window, err) ||
        !wire_get_uint(body, "stride", UINT32_MAX, &stride, err) ||
        !wire_get_uint(body, "top", TOP_LOGPROBS_MAX, &top, err))
        return false;
    if (scoring->tokens->count < 2)
        return err_set(err, ERR_USAGE, "the text is too short: %zu token%s, at least 2",
                       scoring->tokens->count, scoring->tokens->count == 1 ? "" : "s");
    first.id = scoring->tokens->ids[0];
    return on_scored(scoring, 0, &first) &&
           engine_score(scoring->worker->engine,
                        &(struct score_params){
                            .tokens = scoring->tokens->ids,
                            .count = scoring->tokens->count,
                            .window = window,
                            .stride = stride,
                            .top_logprobs = (uint32_t)top,
                            .on_token = on_scored,
                            .on_distribution =
                                scoring->distributions != NULL ? on_distribution : NULL,
                            .progress = on_score_progress,
                            .user = scoring,
                        },
                        err);
}

// Runs score with the file for the distributions open, if there is to be one.
static bool score_into(struct scoring *scoring, const json_t *body, struct err *err)
{
    const char *path;
    bool ok;

    if (!wire_get_optional_string(body, "distributions", &path, err))
        return false;
    if (path == NULL)
        return score(scoring, body, err);
    scoring->distributions = fopen(path, "wbe");
    if (scoring->distributions == NULL)
        return err_set_errno(err, "%s", path);
    ok = score(scoring, body, err);
    if (ferror(scoring->distributions) || fclose(scoring->distributions) != 0)
        ok = err_set_errno(err, "%s", path);
    return ok;
}

static json_t *run_score(struct worker *worker, const json_t *body, struct err *err)
{
    struct token_ids tokens = { 0 }, text = { 0 };
    struct scoring scoring = { .worker = worker, .tokens = &tokens };
    json_t *answer = NULL;

    if (!need_engine(worker, err) || !begin_tokens(worker, &tokens, err))
        return NULL;
    str_init(&scoring.piece, 0);
    if (tokenize_field(worker, body, false, &text, err)) {
        append_ids(&tokens, &text);
        if (score_into(&scoring, body, err))
            answer = count_result(tokens.count);
    }
    str_release(&scoring.piece);
    token_ids_release(&text);
    token_ids_release(&tokens);
    return answer;
}

// VmHWM of this process: the most memory it ever had resident.
static uint64_t peak_memory_bytes(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

static json_t *run_bench(struct worker *worker, const json_t *body, struct err *err)
{
    struct bench_run run = { 0 };
    uint64_t prompt, generated;
    json_t *answer;

    if (!need_engine(worker, err) ||
        !wire_get_uint(body, "prompt_tokens", BENCH_TOKENS_MAX, &prompt, err) ||
        !wire_get_uint(body, "generated_tokens", BENCH_TOKENS_MAX, &generated, err))
        return NULL;
    run.prompt_tokens = prompt;
    run.generated_tokens = generated;
    if (!engine_bench(worker->engine, &run, err))
        return NULL;
    answer = json_object();
    json_object_set_new(answer, "prompt_ns", json_integer(run.prompt_ns));
    json_object_set_new(answer, "generation_ns", json_integer(run.generation_ns));
    json_object_set_new(answer, "peak_memory_bytes",
                        json_integer((json_int_t)peak_memory_bytes()));
    return answer;
}

static json_t *run_limits(struct worker *worker, const json_t *body, struct err *err)
{
    struct bench_limits limits = { 0 };
    json_t *answer;

    (void)body;
    if (!need_engine(worker, err) || !engine_bench_limits(worker->engine, &limits, err))
        return NULL;
    answer = json_object();
    wire_set_real(answer, "bytes_per_second", limits.bytes_per_second);
    wire_set_real(answer, "multiply_adds_per_second", limits.multiply_adds_per_second);
    json_object_set_new(answer, "weight_bytes_per_token",
                        json_integer((json_int_t)limits.weight_bytes_per_token));
    json_object_set_new(answer, "multiply_adds_per_token",
                        json_integer((json_int_t)limits.multiply_adds_per_token));
    return answer;
}

// Wraps a JSON text that the engine library made as {"KEY": ...}. Frees the text.
static json_t *wrap_json(const char *key, char *text, struct err *err)
{
    json_error_t problem;
    json_t *answer, *value;

    if (text == NULL)
        return NULL;
    value = json_loads(text, 0, &problem);
    free(text);
    if (value == NULL) {
        err_set(err, ERR_FORMAT, "the engine's report is not JSON: %s", problem.text);
        return NULL;
    }
    answer = json_object();
    json_object_set_new(answer, key, value);
    return answer;
}

static json_t *run_devices(struct worker *worker, const json_t *body, struct err *err)
{
    (void)worker;
    (void)body;
    return wrap_json("devices", engine_devices_json(err), err);
}

static json_t *run_doctor(struct worker *worker, const json_t *body, struct err *err)
{
    const char *device;

    if (!wire_get_optional_string(body, "device", &device, err))
        return NULL;
    return wrap_json("doctor", engine_doctor_json(device, on_progress, worker, err), err);
}

static json_t *run_cancelled(struct worker *worker, const json_t *body, struct err *err)
{
    (void)worker;
    (void)body;
    err_set(err, ERR_CANCELLED, "stopped");
    return NULL;
}

static json_t *(*const handlers[])(struct worker *, const json_t *, struct err *) = {
    [WIRE_OPEN] = run_open,         [WIRE_OPEN_VOCABULARY] = run_open_vocabulary,
    [WIRE_GENERATE] = run_generate, [WIRE_TOKENIZE] = run_tokenize,
    [WIRE_SCORE] = run_score,       [WIRE_BENCH] = run_bench,
    [WIRE_LIMITS] = run_limits,     [WIRE_DEVICES] = run_devices,
    [WIRE_DOCTOR] = run_doctor,     [WIRE_CANCEL] = run_cancelled,
};

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
    result = handlers[message->type](worker, message->body, &err);
    ok = json_array_size(worker->tokens) == 0 || flush_tokens(worker);
    if (result != NULL)
        ok = send_answer(worker, WIRE_RESULT, result) && ok;
    else
        ok = send_answer(worker, WIRE_ERROR, wire_error_body(&err)) && ok;
    pthread_mutex_lock(&worker->lock);
    worker->running = 0;
    pthread_mutex_unlock(&worker->lock);
    return ok;
}

static void restrict_process(void)
{
    static const struct rlimit none = { 0, 0 };

    prctl(PR_SET_NAME, "oriel-engine");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &none); // a core would hold the conversation
    signal(SIGINT, SIG_IGN);       // Ctrl-C is for the front, which says WIRE_CANCEL
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
    worker.tokens = json_array();
    if (!send_answer(&worker, WIRE_HELLO, json_object()) ||
        pthread_create(&reader, NULL, read_requests, &worker) != 0)
        return 1;
    while (ok && next_request(&worker, &message)) {
        ok = answer_request(&worker, &message);
        wire_message_release(&message);
    }
    replace_engine(&worker, NULL);
    end_reader(&worker, reader);
    while (worker.queued > 0)
        wire_message_release(&worker.queue[--worker.queued]);
    json_decref(worker.tokens);
    return ok ? 0 : 1;
}
