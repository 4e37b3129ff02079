// app/engine_requests.c
// SPDX-License-Identifier: MIT
//
// What each request of the front does with the engine. Every function returns the body of
// WIRE_RESULT, or NULL with err set.
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/engine_worker.h"
#include "app/messages.h"
#include "base/alloc.h"

#define BENCH_TOKENS_MAX 1000000
#define PICTURE_SIDE_MAX 65535

static bool need_engine(const struct worker *worker, struct err *err)
{
    return worker->engine != NULL || err_set(err, ERR_USAGE, "no model is open");
}

static json_t *opened(struct worker *worker, struct engine *engine)
{
    struct engine_info info = { 0 };

    if (engine == NULL)
        return NULL;
    worker_replace_engine(worker, engine);
    engine_info(engine, &info);
    return info_json(&info);
}

static json_t *run_open(struct worker *worker, const json_t *body, struct err *err)
{
    struct engine_params params = { .progress = worker_on_progress, .user = worker };
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
    worker_replace_engine(worker, NULL); // its memory is needed for the next
    return opened(worker, engine_open(&params, err));
}

static json_t *run_open_vocabulary(struct worker *worker, const json_t *body,
                                   struct err *err)
{
    const char *model = wire_get_string(body, "model", err);

    if (model == NULL)
        return NULL;
    worker_replace_engine(worker, NULL);
    return opened(worker, engine_open_vocabulary(model, err));
}

static json_t *generate(struct worker *worker, const struct conversation *conversation,
                        const struct generation_settings *settings, int64_t now,
                        struct err *err)
{
    struct engine_prompt prompt = { 0 };
    struct engine_result result = { 0 };
    bool fallback = false;
    json_t *answer = NULL;

    if (!engine_render(worker->engine, conversation, NULL, now, &prompt, &fallback, err))
        return NULL;
    if (engine_generate(worker->engine,
                        &(struct engine_request){
                            .prompt = &prompt,
                            .settings = settings,
                            .progress = worker_on_progress,
                            .on_token = worker_on_token,
                            .user = worker,
                        },
                        &result, err)) {
        answer = result_json(&result);
        json_object_set_new(answer, "used_fallback_template", json_boolean(fallback));
    }
    engine_prompt_release(&prompt);
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
        ok = worker_add_token(worker, &(struct token_event){ .id = tokens.ids[i],
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
    return worker_add_token(scoring->worker, &scored);
}

static bool on_distribution(void *user, size_t index, const float *logprobs, size_t count)
{
    struct scoring *scoring = user;

    (void)index; // they come in order
    return fwrite(logprobs, sizeof(*logprobs), count, scoring->distributions) == count;
}

static bool on_score_progress(void *user, const char *stage, double fraction)
{
    return worker_on_progress(((struct scoring *)user)->worker, stage, fraction);
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

// Runs score with the file for the distributions, if one came along. It is known by its
// name to whoever reads an error.
static bool score_into(struct scoring *scoring, const json_t *body, struct err *err)
{
    const char *name;
    bool ok, written;

    if (!wire_get_optional_string(body, "distributions", &name, err))
        return false;
    if (name == NULL)
        return score(scoring, body, err);
    scoring->distributions = fdopen(dup(scoring->worker->descriptor), "wb");
    if (scoring->distributions == NULL)
        return err_set_errno(err, "%s", name);
    ok = score(scoring, body, err);
    written = !ferror(scoring->distributions);
    if (fclose(scoring->distributions) != 0 || !written)
        ok = err_set_errno(err, "%s", name);
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
    return wrap_json("doctor",
                     engine_doctor_json(device, worker_on_progress, worker, err), err);
}

static json_t *run_describe(struct worker *worker, const json_t *body, struct err *err)
{
    const char *model = wire_get_string(body, "model", err);

    (void)worker;
    return model != NULL ? wrap_json("description", engine_describe_json(model, err), err)
                         : NULL;
}

// ---------------------------------------------------------------------------
// Pictures: their pixels come as an open file in memory that nobody can change any more.

static bool map_pixels(int fd, struct engine_picture *picture, struct err *err)
{
    const int seals = F_SEAL_WRITE | F_SEAL_SHRINK;
    size_t size = (size_t)picture->width * picture->height * 4;
    struct stat status;
    void *pixels;

    if (fstat(fd, &status) != 0 || (uint64_t)status.st_size < size || size == 0 ||
        (fcntl(fd, F_GET_SEALS) & seals) != seals)
        return err_set(err, ERR_FORMAT, "%s: the pixels are not what was announced",
                       picture->name);
    pixels = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (pixels == MAP_FAILED)
        return err_set_errno(err, "%s: cannot map its pixels", picture->name);
    picture->rgba = pixels;
    return true;
}

static void unmap_pixels(struct engine_picture *picture)
{
    if (picture->rgba != NULL)
        munmap((void *)(uintptr_t)picture->rgba,
               (size_t)picture->width * picture->height * 4);
    picture->rgba = NULL;
}

// A picture with its pixels, if there are any.
static bool take_picture(const struct worker *worker, const json_t *body,
                         struct engine_picture *picture, struct err *err)
{
    uint64_t width = 0, height = 0;

    *picture = (struct engine_picture){ .hash = wire_get_string(body, "hash", err) };
    if (picture->hash == NULL)
        return false;
    picture->name = wire_get_string(body, "name", err);
    if (picture->name == NULL)
        return false;
    if (worker->descriptor < 0)
        return true;
    if (!wire_get_uint(body, "width", PICTURE_SIDE_MAX, &width, err) ||
        !wire_get_uint(body, "height", PICTURE_SIDE_MAX, &height, err))
        return false;
    picture->width = (uint32_t)width;
    picture->height = (uint32_t)height;
    return map_pixels(worker->descriptor, picture, err);
}

static json_t *run_picture(struct worker *worker, const json_t *body, struct err *err)
{
    struct engine_picture_info info = { 0 };
    struct engine_picture picture;
    json_t *answer = NULL;

    if (!need_engine(worker, err) || !take_picture(worker, body, &picture, err))
        return NULL;
    if (engine_add_picture(worker->engine, &picture, worker_on_progress, worker, &info,
                           err)) {
        answer = json_object();
        json_object_set_new(answer, "known", json_boolean(info.known));
        json_object_set_new(answer, "was_known", json_boolean(info.was_known));
        json_object_set_new(answer, "tokens", json_integer((json_int_t)info.token_count));
        json_object_set_new(answer, "tiles", json_integer((json_int_t)info.tile_count));
        json_object_set_new(answer, "encode_ns", json_integer(info.encode_ns));
    }
    unmap_pixels(&picture);
    return answer;
}

static json_t *run_picture_layout(struct worker *worker, const json_t *body,
                                  struct err *err)
{
    const char *mmproj = wire_get_string(body, "mmproj", err);
    struct engine_picture picture;
    json_t *answer;

    if (mmproj == NULL || !take_picture(worker, body, &picture, err))
        return NULL;
    answer = wrap_json("layout", engine_picture_json(mmproj, &picture, err), err);
    unmap_pixels(&picture);
    return answer;
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
    [WIRE_DOCTOR] = run_doctor,     [WIRE_DESCRIBE] = run_describe,
    [WIRE_PICTURE] = run_picture,   [WIRE_PICTURE_LAYOUT] = run_picture_layout,
    [WIRE_CANCEL] = run_cancelled,
};

json_t *engine_request_run(struct worker *worker, enum wire_type type, const json_t *body,
                           struct err *err)
{
    return handlers[type](worker, body, err);
}
