// app/cmd_score.c
// SPDX-License-Identifier: MIT
//
// oriel score: how probable a model finds a text, token by token. Texts longer than the
// window are scored in windows that advance by the stride (stated in the output): every
// token but the first is scored once, with at least window - stride tokens before it.
// Perplexity is exp(-mean of the log-probabilities).
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/client.h"
#include "app/commands.h"
#include "app/input.h"
#include "app/messages.h"
#include "app/output.h"
#include "base/file.h"

struct score {
    struct model_choice model;
    bool json;
    uint32_t window, stride, top;
    const char *distributions;
    int descriptor; // of it, or -1
    struct str text;
    struct client client;
    json_t *tokens; // with --json
    double sum;     // of the log-probabilities
    size_t count, scored;
};

#define AT(member) offsetof(struct score, member)
static const struct option_spec options[] = {
    { 'm', "model", "MODEL", OPTION_TEXT, AT(model.name), 0, 0,
      "name or path of the model" },
    { 0, "json", NULL, OPTION_FLAG, AT(json), 0, 0, "print one JSON object" },
    { 0, "window", "TOKENS", OPTION_U32, AT(window), 0, 0,
      "seen at once; 0: all of the context" },
    { 0, "stride", "TOKENS", OPTION_U32, AT(stride), 0, 0,
      "advance of the window; 0: half of it" },
    { 0, "top", "N", OPTION_U32, AT(top), 0, TOP_LOGPROBS_MAX,
      "with --json: the N likeliest tokens each time" },
    { 0, "distributions", "FILE", OPTION_TEXT, AT(distributions), 0, 0,
      "write all log-probabilities, as 32-bit floats" },
    { 0, "device", "DEVICE", OPTION_TEXT, AT(model.device), 0, 0,
      "index or part of the name of the GPU" },
    { 0, "context", "TOKENS", OPTION_U32, AT(model.context_tokens), 0, 0,
      "size of the context; 0: the model's own" },
    OPTIONS_END,
};

static bool on_token(void *user, const struct token_event *event)
{
    struct score *score = user;

    score->count++;
    if (!isnan(event->logprob)) {
        score->sum += (double)event->logprob;
        score->scored++;
    }
    if (score->json) {
        json_array_append_new(score->tokens, token_json(event));
        return true;
    }
    client_claim_output(&score->client);
    if (isnan(event->logprob))
        printf("%u\t-\t", event->id);
    else
        printf("%u\t%.6f\t", event->id, (double)event->logprob);
    put_quoted(stdout, event->text, event->text_len);
    return putchar('\n') != EOF;
}

static void print_summary(const struct score *score, uint64_t window, uint64_t stride)
{
    double mean = score->scored > 0 ? score->sum / (double)score->scored : (double)NAN;
    double bits = -score->sum / log(2.0) / (double)score->text.len;
    json_t *out;

    if (!score->json) {
        printf("perplexity %.4f (%zu tokens scored, %.4f nats a token, %.4f bits a byte; "
               "window %llu, stride %llu)\n",
               exp(-mean), score->scored, -mean, bits, (unsigned long long)window,
               (unsigned long long)stride);
        return;
    }
    out = json_object();
    wire_set_real(out, "perplexity", exp(-mean));
    wire_set_real(out, "mean_logprob", mean);
    wire_set_real(out, "bits_per_byte", bits);
    json_object_set_new(out, "scored_tokens", json_integer((json_int_t)score->scored));
    json_object_set_new(out, "window", json_integer((json_int_t)window));
    json_object_set_new(out, "stride", json_integer((json_int_t)stride));
    json_object_set_new(out, "model", json_string(score->client.info.model_name));
    json_object_set_new(out, "device", json_string(score->client.info.device_name));
    json_object_set(out, "tokens", score->tokens);
    put_json(out);
}

static bool score_text(struct score *score, struct err *err)
{
    json_t *body = json_object(), *result;
    uint64_t window = score->window, stride = score->stride;

    if (window == 0 || window > score->client.info.context_tokens)
        window = score->client.info.context_tokens;
    if (stride == 0)
        stride = window / 2 > 0 ? window / 2 : 1;
    if (stride >= window) {
        json_decref(body);
        return err_set(err, ERR_USAGE,
                       "--stride must be smaller than the window, which has %llu tokens",
                       (unsigned long long)window);
    }
    wire_set_text(body, "text", score->text.data, score->text.len);
    json_object_set_new(body, "window", json_integer((json_int_t)window));
    json_object_set_new(body, "stride", json_integer((json_int_t)stride));
    json_object_set_new(body, "top", json_integer(score->top));
    if (score->distributions != NULL)
        json_object_set_new(body, "distributions", json_string(score->distributions));
    score->client.on_token = on_token;
    score->client.user = score;
    result = client_call_with(&score->client, WIRE_SCORE, "scoring", body,
                              score->descriptor, err);
    if (result != NULL || err->code == ERR_CANCELLED)
        print_summary(score, window, stride);
    json_decref(result);
    return result != NULL;
}

static bool read_text(struct score *score, const struct operands *files, struct err *err)
{
    if (files->count > 1)
        return err_set(err, ERR_USAGE, "one FILE at a time");
    if (files->count == 1)
        return file_read(files->items[0], INPUT_MAX, &score->text, err);
    return input_read(&score->text, err);
}

// The engine writes it, but may open no files itself.
static bool open_distributions(struct score *score, struct err *err)
{
    if (score->distributions == NULL)
        return true;
    score->descriptor =
        open(score->distributions, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return score->descriptor >= 0 || err_set_errno(err, "%s", score->distributions);
}

static bool work(struct score *score, const struct operands *files, struct err *err)
{
    return model_choice_resolve(&score->model, err) && read_text(score, files, err) &&
           open_distributions(score, err) && client_open(&score->client, false, err) &&
           client_open_model(&score->client, &score->model, err) &&
           score_text(score, err);
}

static int run(int argc, char **argv)
{
    struct score score = { .descriptor = -1 };
    struct operands files;
    struct err err = { 0 };
    int code;

    if (!command_options(&command_score, argc, argv, &score, &files, &code))
        return code;
    str_init(&score.text, INPUT_MAX);
    score.tokens = json_array();
    code = work(&score, &files, &err) ? EXIT_OK : complain("score", &err);
    client_close(&score.client);
    if (score.descriptor >= 0)
        close(score.descriptor);
    json_decref(score.tokens);
    str_release(&score.text);
    return code;
}

const struct command command_score = {
    .name = "score",
    .usage = "-m MODEL [--json] [--window N] [--stride N] [--top N] [FILE]",
    .summary = "Log-probability of each token of a text, and perplexity",
    .notes = "Without FILE, standard input is read. One token a line: number, natural\n"
             "logarithm of its probability, text.",
    .options = options,
    .run = run,
};
