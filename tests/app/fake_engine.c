// tests/app/fake_engine.c
// SPDX-License-Identifier: MIT
//
// An engine without model and device, for tests of everything around it. One token is one
// byte (id = byte), 256 and 257 are the special tokens "<|begin|>" and "<|end|>". The
// reply is "You said: " and the rendered prompt. The log-probability of token n is -n
// / 8.
//
// ORIEL_FAKE holds words that make it misbehave, each of the form NAME or NAME=NUMBER:
//   open_ms=N      opening takes N ms, with progress
//   token_ms=N     each token takes N ms
//   prompt_ms=N    reading the prompt takes N ms, without progress
//   tokens=N       the reply is N times "x"
//   die=N          SIGKILL after N tokens          leave=N   exit with status N when
//   generating hang_open, hang                  never returns from opening, from
//   generating fail=N         engine_generate fails with error code N after three tokens
//   text=HEX       the reply is these bytes, each token one
//   send=HEX       opening sends these bytes to the front itself, and then hangs
//   vision         says that it can see            unfit      one kernel fails in doctor
#include "engine/engine.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/utf8.h"

#define BEGIN 256
#define END   257

struct engine {
    char *path;
    uint32_t context_tokens;
    atomic_bool cancelled;
    char seen[65 * 16 + 1]; // hashes of pictures
};

// ---------------------------------------------------------------------------
// The script

static const char *find_word(const char *name)
{
    const char *script = getenv("ORIEL_FAKE");
    size_t len = strlen(name);

    while (script != NULL && *script != '\0') {
        size_t word = strcspn(script, " ");

        if (word >= len && memcmp(script, name, len) == 0 &&
            (word == len || script[len] == '='))
            return script[len] == '=' ? script + len + 1 : "1";
        script += word + strspn(script + word, " ");
    }
    return NULL;
}

static long number(const char *name, long otherwise)
{
    const char *value = find_word(name);

    return value != NULL ? strtol(value, NULL, 10) : otherwise;
}

static void sleep_ms(long ms)
{
    if (ms > 0)
        usleep((useconds_t)ms * 1000);
}

static void hang(void)
{
    while (true)
        pause();
}

static void append_hex(const char *hex, struct str *bytes)
{
    for (unsigned byte; hex != NULL && sscanf(hex, "%2x", &byte) == 1; hex += 2)
        str_append_char(bytes, (char)byte);
}

static void send_raw(void)
{
    struct str bytes;

    if (find_word("send") == NULL)
        return;
    str_init(&bytes, 0);
    append_hex(find_word("send"), &bytes);
    if (write(3, bytes.data, bytes.len) < 0)
        perror("fake engine");
    hang();
}

// ---------------------------------------------------------------------------
// engine.h

struct engine *engine_open(const struct engine_params *params, struct err *err)
{
    long ms = number("open_ms", 0);
    struct engine *engine;

    if (access(params->model_path, R_OK) != 0) {
        err_set_errno(err, "%s", params->model_path);
        return NULL;
    }
    send_raw();
    if (find_word("hang_open") != NULL)
        hang();
    for (long at = 0; at < ms; at += 10) {
        if (!params->progress(params->user, "reading weights", (double)at / (double)ms)) {
            err_set(err, ERR_CANCELLED, "stopped");
            return NULL;
        }
        sleep_ms(10);
    }
    engine = alloc_zero(sizeof(*engine));
    engine->path = alloc_string(params->model_path);
    engine->context_tokens = params->context_tokens > 0 ? params->context_tokens : 4096;
    return engine;
}

struct engine *engine_open_vocabulary(const char *model_path, struct err *err)
{
    return engine_open(&(struct engine_params){ .model_path = model_path }, err);
}

void engine_close(struct engine **engine)
{
    if (*engine == NULL)
        return;
    free((*engine)->path);
    free(*engine);
    *engine = NULL;
}

void engine_cancel(struct engine *engine)
{
    atomic_store(&engine->cancelled, true);
}

void engine_info(const struct engine *engine, struct engine_info *info)
{
    *info = (struct engine_info){
        .model_name = "Fake 1B",
        .architecture = "fake",
        .quantisation = "F32",
        .device_name = "Fake device",
        .parameter_count = 1000000000,
        .file_bytes = 4000000000,
        .device_bytes = 4000000000,
        .context_tokens = engine->context_tokens,
        .trained_context_tokens = 8192,
        .layer_count = 2,
        .width = 64,
        .vocabulary_size = 258,
        .has_template = true,
        .has_vision = find_word("vision") != NULL,
        .load_ns = 500000000,
    };
}

void token_ids_release(struct token_ids *tokens)
{
    free(tokens->ids);
    *tokens = (struct token_ids){ 0 };
}

static void append_bytes(struct token_ids *tokens, const char *bytes, size_t len)
{
    tokens->ids =
        alloc_resize(tokens->ids, tokens->count + len + 1, sizeof(*tokens->ids));
    for (size_t i = 0; i < len; i++)
        tokens->ids[tokens->count++] = (unsigned char)bytes[i];
}

bool engine_tokenize(const struct engine *engine, const char *text, size_t len,
                     bool special, struct token_ids *tokens, struct err *err)
{
    (void)engine;
    (void)err;
    *tokens = (struct token_ids){ 0 };
    append_bytes(tokens, "", 0);
    if (special)
        tokens->ids[tokens->count++] = BEGIN;
    append_bytes(tokens, text, len);
    return true;
}

void engine_detokenize(const struct engine *engine, const uint32_t *ids, size_t count,
                       bool show_special, struct str *text)
{
    (void)engine;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < BEGIN)
            str_append_char(text, (char)ids[i]);
        else if (show_special)
            str_append(text, ids[i] == BEGIN ? "<|begin|>" : "<|end|>");
    }
}

void engine_prompt_release(struct engine_prompt *prompt)
{
    free(prompt->ids);
    *prompt = (struct engine_prompt){ 0 };
}

// Knows a picture only if its pixels have come.
bool engine_add_picture(struct engine *engine, const struct engine_picture *picture,
                        engine_progress *progress, void *user,
                        struct engine_picture_info *info, struct err *err)
{
    bool seen = strstr(engine->seen, picture->hash) != NULL;

    *info = (struct engine_picture_info){ .known = seen || picture->rgba != NULL,
                                          .was_known = seen,
                                          .token_count = 7,
                                          .tile_count = 1 };
    if (strlen(picture->hash) != 64)
        return err_set(err, ERR_FORMAT, "not a hash");
    if (!info->known || seen)
        return true;
    if (!progress(user, "encoding the picture", 0.5))
        return err_set(err, ERR_CANCELLED, "stopped");
    if (strlen(engine->seen) + 65 > sizeof(engine->seen))
        engine->seen[0] = '\0';
    strcat(strcat(engine->seen, picture->hash), " ");
    return true;
}

char *engine_picture_json(const char *mmproj_path, const struct engine_picture *picture,
                          struct err *err)
{
    (void)mmproj_path;
    (void)err;
    return alloc_printf("{\"projector\": \"fake\", \"original\": {\"width\": %u, "
                        "\"height\": %u}, \"fitted\": {\"width\": 64, \"height\": 64}, "
                        "\"grid\": {\"rows\": 0, \"columns\": 0}, \"tiles\": "
                        "[{\"width\": 64, \"height\": 64, \"overview\": true, "
                        "\"row\": 0, \"column\": 0}], \"tokens\": 7}",
                        picture->width, picture->height);
}

static void append_part(struct token_ids *prompt, const struct part *part)
{
    const char *slash;
    char *text;

    if (part->kind == PART_TEXT) {
        append_bytes(prompt, part->text, part->text_len);
        return;
    }
    slash = strrchr(part->image_path, '/');
    text = alloc_printf("[%s %.8s]", slash != NULL ? slash + 1 : part->image_name,
                        part->image_hash);
    append_bytes(prompt, text, strlen(text));
    free(text);
}

bool engine_render(const struct engine *engine, const struct conversation *conversation,
                   const char *tools_json, int64_t now, struct engine_prompt *prompt,
                   bool *used_fallback, struct err *err)
{
    static const char *const names[] = { "system", "user", "assistant", "tool" };
    struct token_ids bytes = { 0 };

    (void)engine;
    (void)tools_json;
    (void)now;
    (void)err;
    *used_fallback = false;
    for (size_t i = 0; i < conversation->message_count; i++) {
        const struct message *message = &conversation->messages[i];
        const char *name = names[message->role];

        append_bytes(&bytes, name, strlen(name));
        append_bytes(&bytes, "<", 1);
        for (size_t k = 0; k < message->part_count; k++)
            append_part(&bytes, &message->parts[k]);
        append_bytes(&bytes, ">", 1);
    }
    *prompt = (struct engine_prompt){ .ids = bytes.ids, .count = bytes.count };
    return true;
}

static void make_reply(const struct engine_request *request, struct str *reply)
{
    long tokens = number("tokens", -1);

    if (find_word("text") != NULL) {
        append_hex(find_word("text"), reply);
        return;
    }
    for (long i = 0; i < tokens; i++)
        str_append_char(reply, 'x');
    if (tokens >= 0)
        return;
    str_append(reply, "You said: ");
    engine_detokenize(NULL, request->prompt->ids, request->prompt->count, false, reply);
}

struct reply {
    const struct engine_request *request;
    struct str text;
    size_t shown; // bytes of text that were handed out
    int64_t start_ns;
};

static bool emit(struct reply *reply, size_t index)
{
    struct token_logprob top[20];
    size_t tops = reply->request->settings->top_logprobs;
    size_t whole = index + 1 - utf8_incomplete_tail(reply->text.data, index + 1);
    struct token_event event = {
        .id = (unsigned char)reply->text.data[index],
        .logprob = (float)index / -8,
        .text = reply->text.data + reply->shown,
        .text_len = whole - reply->shown,
        .top = top,
        .top_count = tops,
        .time_ns = clock_ns() - reply->start_ns,
    };

    for (size_t i = 0; i < tops; i++)
        top[i] = (struct token_logprob){ (uint32_t)i, (float)i / -4 };
    reply->shown = whole;
    return reply->request->on_token(reply->request->user, &event);
}

static bool misbehave(size_t index, struct err *err)
{
    if (number("leave", -1) >= 0)
        _exit((int)number("leave", 0));
    if (number("die", -1) == (long)index)
        kill(getpid(), SIGKILL);
    if (find_word("hang") != NULL && index == 3)
        hang();
    if (number("fail", 0) > 0 && index == 3)
        return err_set(err, (enum err_code)number("fail", 0), "the fake engine fails");
    return true;
}

bool engine_generate(struct engine *engine, const struct engine_request *request,
                     struct engine_result *result, struct err *err)
{
    struct reply reply = { .request = request, .start_ns = clock_ns() };
    size_t max = request->settings->max_tokens, index;
    bool ok = true;

    atomic_store(&engine->cancelled, false);
    if (request->prompt->count > engine->context_tokens)
        return err_set(err, ERR_LIMIT,
                       "the prompt has %zu tokens, the context room for %u",
                       request->prompt->count, engine->context_tokens);
    str_init(&reply.text, 0);
    make_reply(request, &reply.text);
    sleep_ms(number("prompt_ms", 0));
    result->reason = STOP_END;
    for (index = 0; ok && index < reply.text.len;) {
        if (max > 0 && index == max) {
            result->reason = STOP_LENGTH;
            break;
        }
        ok = misbehave(index, err);
        sleep_ms(number("token_ms", 0));
        if (ok && (atomic_load(&engine->cancelled) || !emit(&reply, index++))) {
            result->reason = STOP_CANCELLED;
            break;
        }
    }
    if (ok && find_word("late") != NULL) {
        str_reset(&reply.text);
        append_hex(find_word("late"), &reply.text);
        request->on_token(request->user,
                          &(struct token_event){ .id = ENGINE_NO_TOKEN,
                                                 .text = reply.text.data,
                                                 .text_len = reply.text.len });
    }
    result->prompt_tokens = request->prompt->count;
    result->reused_tokens = 3;
    result->generated_tokens = index;
    result->prompt_ns = 100000000;
    result->generation_ns = 2000000000;
    result->prompt_tokens_per_second = (double)request->prompt->count / 0.1;
    result->generation_tokens_per_second = (double)index / 2;
    str_release(&reply.text);
    return ok;
}

bool engine_score(struct engine *engine, const struct score_params *params,
                  struct err *err)
{
    (void)engine;
    for (size_t i = 1; i < params->count; i++) {
        struct token_logprob top[20];
        struct token_event event = { .id = params->tokens[i],
                                     .logprob = (float)i / -8,
                                     .text = "",
                                     .top = top,
                                     .top_count = params->top_logprobs };

        for (size_t k = 0; k < params->top_logprobs; k++)
            top[k] = (struct token_logprob){ (uint32_t)k, (float)k / -4 };
        sleep_ms(number("token_ms", 0));
        if (params->on_distribution != NULL &&
            !params->on_distribution(params->user, i, (float[]){ (float)i, -1 }, 2))
            return err_set(err, ERR_CANCELLED, "stopped");
        if (!params->on_token(params->user, i, &event))
            return err_set(err, ERR_CANCELLED, "stopped");
    }
    return true;
}

bool engine_bench(struct engine *engine, struct bench_run *run, struct err *err)
{
    static int calls; // the first call, the warm-up, is slow

    (void)engine;
    (void)err;
    run->prompt_ns = calls == 0 ? 9000000000 : 1000000000 + calls * 1000;
    run->generation_ns = 2000000000;
    calls++;
    return true;
}

bool engine_bench_limits(struct engine *engine, struct bench_limits *limits,
                         struct err *err)
{
    (void)engine;
    (void)err;
    *limits = (struct bench_limits){ .bytes_per_second = 1e9,
                                     .multiply_adds_per_second = 1e10,
                                     .weight_bytes_per_token = 1000000,
                                     .multiply_adds_per_token = 1000000 };
    return true;
}

char *engine_devices_json(struct err *err)
{
    (void)err;
    return alloc_string(
        "[{\"index\": 0, \"name\": \"Fake\\u001b[31m device\", \"driver\": "
        "\"fake 1\", \"api\": \"1.3.0\", \"type\": \"cpu\", "
        "\"memory_bytes\": 1073741824, \"traits\": {\"fp16\": false}, "
        "\"kernels\": [{\"operation\": \"matvec\", \"variant\": "
        "\"matvec_q4_0\", \"why\": \"no fp16\"}]}]");
}

// A model here is any file that does not begin otherwise than "GGUF".
char *engine_describe_json(const char *model_path, struct err *err)
{
    FILE *file = fopen(model_path, "rbe");
    char start[9] = ""; // "GGUFclip" begins a projector
    size_t len = file != NULL ? fread(start, 1, 8, file) : 0;

    if (file != NULL)
        fclose(file);
    if (file == NULL || strncmp(start, "GGUF", len < 4 ? len : 4) != 0) {
        err_set(err, ERR_FORMAT, "%s: not a GGUF file", model_path);
        return NULL;
    }
    if (strcmp(start, "GGUFclip") == 0)
        return alloc_string("{\"architecture\": \"clip\"}");
    return alloc_string(
        "{\"title\": \"Fake \\u001b[31m model\", \"architecture\": \"fake\", \"licence\": \"MIT\", "
        "\"context_tokens\": 2048, \"has_template\": true, \"parameters\": 135000000, "
        "\"quantisation\": {\"Q4_1\": 130000000, \"F32\": 5000000}, "
        "\"metadata\": {\"general.architecture\": \"fake\"}}");
}

char *engine_doctor_json(const char *device, engine_progress *progress, void *user,
                         struct err *err)
{
    (void)device;
    (void)err;
    progress(user, "checking kernels", 0.5);
    return alloc_printf(
        "{\"device\": \"Fake device\", \"results\": [{\"kernel\": \"matvec\", \"variant\": "
        "\"q4_0\", \"case\": \"4096x64\", \"error\": 1e-7, \"tolerance\": 1e-5, \"passed\": "
        "%s, \"milliseconds\": 1.5}]}",
        find_word("unfit") != NULL ? "false" : "true");
}
