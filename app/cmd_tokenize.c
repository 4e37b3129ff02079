// app/cmd_tokenize.c
// SPDX-License-Identifier: MIT
//
// oriel tokenize: a text as the model sees it. Needs neither weights nor a device.
#include <stdlib.h>
#include <string.h>

#include "app/client.h"
#include "app/commands.h"
#include "app/input.h"
#include "app/output.h"

struct tokenize {
    struct model_choice model;
    bool special, json;
    struct str text;
    struct client client;
    json_t *ids; // with --json
};

static const struct option_spec options[] = {
    { 'm', "model", "MODEL", OPTION_TEXT, offsetof(struct tokenize, model.name), 0, 0,
      "name or path of the model" },
    { 0, "special", NULL, OPTION_FLAG, offsetof(struct tokenize, special), 0, 0,
      "read special tokens and add the begin token" },
    { 0, "json", NULL, OPTION_FLAG, offsetof(struct tokenize, json), 0, 0,
      "print {\"ids\": [...]}" },
    OPTIONS_END,
};

static bool on_token(void *user, const struct token_event *event)
{
    struct tokenize *tokenize = user;

    if (tokenize->json) {
        json_array_append_new(tokenize->ids, json_integer(event->id));
        return true;
    }
    client_claim_output(&tokenize->client);
    printf("%u\t", event->id);
    put_quoted(stdout, event->text, event->text_len);
    return putchar('\n') != EOF;
}

static bool print_tokens(struct tokenize *tokenize, struct err *err)
{
    json_t *body = json_object(), *result;

    wire_set_text(body, "text", tokenize->text.data, tokenize->text.len);
    json_object_set_new(body, "special", json_boolean(tokenize->special));
    tokenize->client.on_token = on_token;
    tokenize->client.user = tokenize;
    result = client_call(&tokenize->client, WIRE_TOKENIZE, "tokenizing", body, err);
    if (result == NULL)
        return false;
    json_decref(result);
    if (tokenize->json)
        put_json(json_pack("{s:O}", "ids", tokenize->ids));
    return true;
}

static bool work(struct tokenize *tokenize, const struct operands *words, struct err *err)
{
    tokenize->model.vocabulary_only = true;
    return model_choice_resolve(&tokenize->model, err) &&
           input_words(words->items, words->count, &tokenize->text, err) &&
           client_open(&tokenize->client, false, err) &&
           client_open_model(&tokenize->client, &tokenize->model, err) &&
           print_tokens(tokenize, err);
}

static int run(int argc, char **argv)
{
    struct tokenize tokenize = { 0 };
    struct operands words;
    struct err err = { 0 };
    int code;

    if (!command_options(&command_tokenize, argc, argv, &tokenize, &words, &code))
        return code;
    str_init(&tokenize.text, INPUT_MAX);
    tokenize.ids = json_array();
    code = work(&tokenize, &words, &err) ? EXIT_OK : complain("tokenize", &err);
    client_close(&tokenize.client);
    json_decref(tokenize.ids);
    str_release(&tokenize.text);
    return code;
}

const struct command command_tokenize = {
    .name = "tokenize",
    .usage = "-m MODEL [--special] [--json] [TEXT]",
    .summary = "Show the tokens of a text",
    .notes = "Without TEXT, standard input is read. One token a line: number, tab, text.",
    .options = options,
    .run = run,
};
