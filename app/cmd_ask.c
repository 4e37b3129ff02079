// app/cmd_ask.c
// SPDX-License-Identifier: MIT
//
// oriel ask: one question, one answer. The answer is streamed to standard output,
// everything else goes to standard error. Whatever ends the answer (the model, a limit,
// Ctrl-C, the death of the engine), the text so far is kept.
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "app/client_pictures.h"
#include "app/commands.h"
#include "app/input.h"
#include "app/messages.h"
#include "app/output.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/utf8.h"

#define CONSTRAINT_MAX ((size_t)1 << 20)

struct ask {
    // options
    struct model_choice model;
    const char *system;
    struct text_list images, stop, bias;
    const char *grammar, *grammar_text, *json_schema;
    uint64_t seed;
    struct generation_settings settings;
    bool json, quiet;
    // what is made of them
    struct str prompt, constraint;
    struct logit_bias *biases;
    char (*hashes)[SHA256_HEX]; // of the images
    struct part *parts;         // of the person's message
    // the answer
    struct client client;
    json_t *tokens; // with --json
    struct str text;
    size_t token_count;
    struct engine_result result;
    struct err unwritten; // why standard output took no more
};

#define AT(member) offsetof(struct ask, member)
#define SETTINGS   offsetof(struct ask, settings)
static const struct option_spec options[] = {
    { 'm', "model", "MODEL", OPTION_TEXT, AT(model.name), 0, 0,
      "name or path of the model" },
    { 's', "system", "TEXT", OPTION_TEXT, AT(system), 0, 0,
      "instructions for the model" },
    { 'i', "image", "FILE", OPTION_LIST, AT(images), 0, 0,
      "a picture to look at (repeatable)" },
    { 0, "mmproj", "FILE", OPTION_TEXT, AT(model.mmproj), 0, 0,
      "vision projector that belongs to the model" },
    { 'n', "max-tokens", "MAX", OPTION_SETTING, SETTINGS, 0, 0,
      "at most this many tokens; 0: no limit" },
    { 0, "json", NULL, OPTION_FLAG, AT(json), 0, 0, "print one JSON object at the end" },
    { 'q', "quiet", NULL, OPTION_FLAG, AT(quiet), 0, 0, "no progress, no statistics" },
    { 0, "device", "DEVICE", OPTION_TEXT, AT(model.device), 0, 0,
      "index or part of the name of the GPU" },
    { 0, "context", "TOKENS", OPTION_U32, AT(model.context_tokens), 0, 0,
      "room for prompt and answer; 0: the model's own" },
    { .name = "How the next token is chosen", .kind = OPTION_HEADING },
    { 0, "temp", "T", OPTION_SETTING, SETTINGS, 0, 0,
      "temperature; 0: always the likeliest" },
    { 0, "seed", "N", OPTION_U64, AT(seed), 0, 0, "repeat a random choice" },
    { 0, "top-k", "N", OPTION_SETTING, SETTINGS, 0, 0, "only the N likeliest; 0: off" },
    { 0, "top-p", "P", OPTION_SETTING, SETTINGS, 0, 0,
      "only the likeliest that sum to P; 1: off" },
    { 0, "min-p", "P", OPTION_SETTING, SETTINGS, 0, 0,
      "only those at least P times the likeliest" },
    { 0, "typical", "P", OPTION_SETTING, SETTINGS, 0, 0,
      "locally typical sampling; 1: off" },
    { 0, "repeat-penalty", "X", OPTION_SETTING, SETTINGS, 0, 0,
      "divide what was said before; 1: off" },
    { 0, "presence-penalty", "X", OPTION_SETTING, SETTINGS, 0, 0,
      "subtract once from what was said" },
    { 0, "frequency-penalty", "X", OPTION_SETTING, SETTINGS, 0, 0,
      "subtract for each time it was said" },
    { 0, "penalty-last-n", "N", OPTION_SETTING, SETTINGS, 0, 0,
      "tokens that the penalties look at" },
    { 0, "dry-multiplier", "X", OPTION_SETTING, SETTINGS, 0, 0,
      "penalty for repeated sequences (DRY); 0: off" },
    { 0, "dry-base", "X", OPTION_SETTING, SETTINGS, 0, 0,
      "growth of that penalty with the length" },
    { 0, "dry-allowed-length", "N", OPTION_SETTING, SETTINGS, 0, 0,
      "length that is not penalised" },
    { 0, "dry-last-n", "N", OPTION_SETTING, SETTINGS, 0, 0, "tokens that DRY looks at" },
    { 0, "logit-bias", "ID=X", OPTION_LIST, AT(bias), 0, 0,
      "add X to a token's score; -inf forbids it" },
    { 0, "stop", "TEXT", OPTION_LIST, AT(stop), 0, 0,
      "end the answer before TEXT (repeatable)" },
    { 0, "grammar", "FILE", OPTION_TEXT, AT(grammar), 0, 0, "answer by a GBNF grammar" },
    { 0, "grammar-text", "TEXT", OPTION_TEXT, AT(grammar_text), 0, 0,
      "the same, grammar given here" },
    { 0, "json-schema", "FILE", OPTION_TEXT, AT(json_schema), 0, 0,
      "answer in JSON by a JSON schema" },
    { 0, "logprobs", "N", OPTION_SETTING, SETTINGS, 0, 0,
      "with --json: the N likeliest tokens each time" },
    OPTIONS_END,
};

// ---------------------------------------------------------------------------
// From options to a request

static bool read_stdin(struct ask *ask, struct err *err)
{
    struct str piped;
    bool ok;
    size_t bad;

    if (isatty(STDIN_FILENO))
        return true;
    str_init(&piped, INPUT_MAX);
    ok = input_read(&piped, err);
    if (ok && piped.len > 0) {
        if (ask->prompt.len > 0)
            str_append(&ask->prompt, "\n\n");
        bad = utf8_append_repaired(&ask->prompt, piped.data, piped.len);
        if (bad > 0)
            remark("ask", "standard input is not UTF-8: %zu places were replaced", bad);
    }
    str_release(&piped);
    return ok;
}

static bool make_prompt(struct ask *ask, const struct operands *words, struct err *err)
{
    struct str argument;

    str_init(&argument, 0);
    if (words->count > 0)
        input_words(words->items, words->count, &argument, err);
    utf8_append_repaired(&ask->prompt, argument.data, argument.len);
    str_release(&argument);
    if (!read_stdin(ask, err))
        return false;
    if (ask->prompt.truncated)
        return err_set(err, ERR_LIMIT, "the prompt is too long");
    return ask->prompt.len > 0 ||
           err_set(err, ERR_USAGE, "nothing to ask: give a PROMPT, or pipe a text in");
}

static bool make_constraint(struct ask *ask, struct err *err)
{
    struct generation_settings *settings = &ask->settings;
    const char *file = ask->grammar != NULL ? ask->grammar : ask->json_schema;

    if ((ask->grammar != NULL) + (ask->grammar_text != NULL) +
            (ask->json_schema != NULL) >
        1)
        return err_set(err, ERR_USAGE,
                       "only one of --grammar, --grammar-text and --json-schema");
    if (file != NULL && !file_read(file, CONSTRAINT_MAX, &ask->constraint, err))
        return false;
    if (file != NULL && (!utf8_valid(ask->constraint.data, ask->constraint.len) ||
                         strlen(ask->constraint.data) != ask->constraint.len))
        return err_set(err, ERR_FORMAT, "%s: not UTF-8 text", file);
    if (ask->grammar_text != NULL)
        utf8_append_repaired(&ask->constraint, ask->grammar_text,
                             strlen(ask->grammar_text));
    if (file == NULL && ask->grammar_text == NULL)
        return true;
    settings->constraint =
        ask->json_schema != NULL ? CONSTRAINT_JSON_SCHEMA : CONSTRAINT_GBNF;
    settings->constraint_text = ask->constraint.data;
    return true;
}

static bool parse_bias(const char *text, struct logit_bias *bias, struct err *err)
{
    char *end;
    unsigned long id = strtoul(text, &end, 10);

    bias->token = (uint32_t)id;
    if (text[0] >= '0' && text[0] <= '9' && *end == '=' && id <= UINT32_MAX) {
        const char *number = end + 1;

        bias->bias = strtof(number, &end);
        if (end != number && *end == '\0' && !isnan(bias->bias) && bias->bias < INFINITY)
            return true;
    }
    return err_set(err, ERR_USAGE, "--logit-bias wants ID=X, not \"%s\"", text);
}

static bool make_lists(struct ask *ask, struct err *err)
{
    ask->biases = alloc_array(ask->bias.count, sizeof(*ask->biases));
    for (size_t i = 0; i < ask->bias.count; i++)
        if (!parse_bias(ask->bias.items[i], &ask->biases[i], err))
            return false;
    for (size_t i = 0; i < ask->stop.count; i++)
        if (!utf8_valid(ask->stop.items[i], strlen(ask->stop.items[i])))
            return err_set(err, ERR_USAGE, "--stop: not UTF-8 text");
    ask->settings.biases = ask->biases;
    ask->settings.bias_count = ask->bias.count;
    ask->settings.stop = ask->stop.items;
    ask->settings.stop_count = ask->stop.count;
    return true;
}

// 32 bits are enough to differ and short enough to be typed again.
static uint64_t random_seed(void)
{
    uint32_t seed;

    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = (uint32_t)time(NULL);
    return seed;
}

// The pictures come before the words about them.
static bool make_parts(struct ask *ask, struct err *err)
{
    ask->hashes = alloc_array(ask->images.count, sizeof(*ask->hashes));
    ask->parts = alloc_array(ask->images.count + 1, sizeof(*ask->parts));
    for (size_t i = 0; i < ask->images.count; i++) {
        if (!picture_hash(ask->images.items[i], ask->hashes[i], err))
            return false;
        ask->parts[i] = (struct part){ .kind = PART_IMAGE,
                                       .image_path = ask->images.items[i],
                                       .image_hash = ask->hashes[i],
                                       .image_name = ask->images.items[i] };
    }
    ask->parts[ask->images.count] = (struct part){ .kind = PART_TEXT,
                                                   .text = ask->prompt.data,
                                                   .text_len = ask->prompt.len };
    return true;
}

static bool prepare(struct ask *ask, const struct operands *words, struct err *err)
{
    if (!model_choice_resolve(&ask->model, err))
        return false;
    if (ask->system != NULL && !utf8_valid(ask->system, strlen(ask->system)))
        return err_set(err, ERR_USAGE, "--system: not UTF-8 text");
    ask->settings.seed = ask->seed == UINT64_MAX ? random_seed() : ask->seed;
    return make_lists(ask, err) && make_constraint(ask, err) &&
           make_prompt(ask, words, err) && make_parts(ask, err);
}

static json_t *request_body(const struct ask *ask)
{
    struct part system = { .kind = PART_TEXT, .text = ask->system };
    struct message messages[] = {
        { .role = ROLE_SYSTEM, .parts = &system, .part_count = 1 },
        { .role = ROLE_USER, .parts = ask->parts, .part_count = ask->images.count + 1 },
    };
    size_t first = ask->system == NULL;
    json_t *body = json_object();

    system.text_len = ask->system != NULL ? strlen(ask->system) : 0;
    json_object_set_new(
        body, "messages",
        conversation_json(&(struct conversation){ messages + first, 2 - first }));
    json_object_set_new(body, "settings", settings_json(&ask->settings));
    json_object_set_new(body, "now", json_integer(time(NULL)));
    return body;
}

// ---------------------------------------------------------------------------
// The answer

// While the reply is not seen as it is made.
static void show_progress(struct ask *ask)
{
    uint32_t max = ask->settings.max_tokens;

    progress_update(&ask->client.progress, "writing",
                    max > 0 ? (double)ask->token_count / max : -1);
}

// Text that was held back, because it might have become a stop string, belongs to the
// last token.
static void add_token(struct ask *ask, const struct token_event *event)
{
    json_t *last = json_array_get(ask->tokens, json_array_size(ask->tokens) - 1);
    struct err err = { 0 };
    struct str text;

    if (event->id != ENGINE_NO_TOKEN) {
        json_array_append_new(ask->tokens, token_json(event));
        return;
    }
    if (last == NULL)
        return;
    str_init(&text, 0);
    wire_get_text(last, "text", &text, &err);
    str_append_n(&text, event->text, event->text_len);
    wire_set_text(last, "text", text.data, text.len);
    str_release(&text);
}

static bool on_token(void *user, const struct token_event *event)
{
    struct ask *ask = user;

    ask->token_count += event->id != ENGINE_NO_TOKEN;
    str_append_n(&ask->text, event->text, event->text_len);
    if (!ask->json)
        client_claim_output(&ask->client);
    show_progress(ask);
    if (ask->json) {
        add_token(ask, event);
        return true;
    }
    return put_text(event->text, event->text_len, &ask->unwritten);
}

static void add_timings(const struct ask *ask, json_t *out)
{
    json_t *timings = json_object();

    json_object_set_new(timings, "load_ns", json_integer(ask->client.info.load_ns));
    json_object_set_new(timings, "prompt_ns", json_integer(ask->result.prompt_ns));
    json_object_set_new(timings, "generation_ns",
                        json_integer(ask->result.generation_ns));
    json_object_set_new(out, "timings", timings);
}

static void print_json(struct ask *ask, const struct err *failure)
{
    const struct engine_result *result = &ask->result;
    json_t *out = json_object();

    wire_set_text(out, "text", ask->text.data, ask->text.len);
    json_object_set(out, "tokens", ask->tokens);
    json_object_set_new(out, "stop_reason",
                        json_string(stop_reason_name(result->reason)));
    json_object_set_new(out, "prompt_tokens",
                        json_integer((json_int_t)result->prompt_tokens));
    json_object_set_new(out, "reused_tokens",
                        json_integer((json_int_t)result->reused_tokens));
    json_object_set_new(out, "generated_tokens",
                        json_integer((json_int_t)result->generated_tokens));
    wire_set_real(out, "prompt_tokens_per_second", result->prompt_tokens_per_second);
    wire_set_real(out, "generation_tokens_per_second",
                  result->generation_tokens_per_second);
    add_timings(ask, out);
    json_object_set_new(out, "seed", json_integer((json_int_t)ask->settings.seed));
    json_object_set_new(out, "model", json_string(ask->client.info.model_name));
    json_object_set_new(out, "device", json_string(ask->client.info.device_name));
    json_object_set_new(out, "settings", settings_json(&ask->settings));
    if (failure->code != ERR_NONE)
        json_object_set_new(out, "error", wire_error_body(failure));
    put_json(out);
}

static void print_statistics(const struct ask *ask)
{
    const struct engine_result *result = &ask->result;
    bool terminal = isatty(STDERR_FILENO);

    if (result->reason == STOP_CANCELLED && result->generated_tokens == 0) {
        remark("ask", "stopped before the first word");
        return;
    }
    if (!isfinite(result->generation_tokens_per_second)) // the engine had to be killed
        return;
    fprintf(stderr,
            "%s[%zu tokens read at %.1f/s, %zu written at %.1f/s, seed %" PRIu64
            ", %s]%s\n",
            terminal ? "\033[2m" : "", result->prompt_tokens - result->reused_tokens,
            result->prompt_tokens_per_second, result->generated_tokens,
            result->generation_tokens_per_second, ask->settings.seed,
            stop_reason_name(result->reason), terminal ? "\033[0m" : "");
}

// Ends the answer: on a terminal the next line begins at the left.
static void end_text(const struct ask *ask)
{
    if (!ask->json && isatty(STDOUT_FILENO) && ask->text.len > 0 &&
        ask->text.data[ask->text.len - 1] != '\n')
        putchar('\n');
    fflush(stdout);
}

static bool generate(struct ask *ask, struct err *err)
{
    json_t *answer = client_call(&ask->client, WIRE_GENERATE, "reading the prompt",
                                 request_body(ask), err);
    bool ok = answer != NULL && result_read(&ask->result, answer, err);

    if (!ok) {
        ask->result = (struct engine_result){
            .reason = err->code == ERR_CANCELLED ? STOP_CANCELLED : STOP_ERROR,
            .generated_tokens = ask->token_count,
            .prompt_tokens_per_second = (double)NAN,
            .generation_tokens_per_second = (double)NAN,
        };
    }
    json_decref(answer);
    return ok;
}

static bool check_vision(const struct ask *ask, struct err *err)
{
    if (ask->images.count == 0 || ask->client.info.has_vision)
        return true;
    return err_set(err, ERR_UNSUPPORTED,
                   "the model %s has no vision: it cannot look at %s",
                   ask->client.info.model_name, ask->images.items[0]);
}

static bool show_pictures(struct ask *ask, struct err *err)
{
    struct shown_picture shown;

    if (!check_vision(ask, err))
        return false;
    for (size_t i = 0; i < ask->images.count; i++)
        if (!client_show_picture(&ask->client, ask->images.items[i], ask->hashes[i],
                                 &shown, err))
            return false;
    return true;
}

static int answer(struct ask *ask)
{
    struct err err = { 0 };
    bool ok;

    if (!client_open(&ask->client, ask->quiet, &err) ||
        !client_open_model(&ask->client, &ask->model, &err) || !show_pictures(ask, &err))
        return complain("ask", &err);
    ask->client.on_token = on_token;
    ask->client.user = ask;
    ok = generate(ask, &err);
    end_text(ask);
    if (ask->json)
        print_json(ask, &err);
    if (ask->unwritten.code != ERR_NONE)
        return complain("ask", &ask->unwritten);
    if (!ok && ask->result.reason != STOP_CANCELLED)
        return complain("ask", &err);
    if (!ask->quiet && (ok || ask->result.reason == STOP_CANCELLED))
        print_statistics(ask);
    return ask->result.reason == STOP_CANCELLED ? EXIT_INTERRUPTED : EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct ask ask = { .seed = UINT64_MAX };
    struct operands words;
    struct err err = { 0 };
    int code;

    generation_settings_default(&ask.settings);
    str_init(&ask.prompt, 2 * INPUT_MAX);
    str_init(&ask.constraint, CONSTRAINT_MAX);
    str_init(&ask.text, 0);
    ask.tokens = json_array();
    if (command_options(&command_ask, argc, argv, &ask, &words, &code))
        code = prepare(&ask, &words, &err) ? answer(&ask) : complain("ask", &err);
    client_close(&ask.client);
    json_decref(ask.tokens);
    str_release(&ask.prompt);
    str_release(&ask.constraint);
    str_release(&ask.text);
    text_list_release(&ask.images);
    text_list_release(&ask.stop);
    text_list_release(&ask.bias);
    free(ask.biases);
    free(ask.hashes);
    free(ask.parts);
    return code;
}

const struct command command_ask = {
    .name = "ask",
    .usage =
        "[-m MODEL] [-s SYSTEM] [-i IMAGE]... [-n MAX] [--temp T] [--seed N] [--json] "
        "[PROMPT]",
    .summary = "Answer one question, in words or about pictures",
    .notes =
        "What is piped in is added to the prompt: cat notes.txt | oriel ask \"sum up\"",
    .options = options,
    .run = run,
};
