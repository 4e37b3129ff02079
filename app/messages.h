// app/messages.h
// SPDX-License-Identifier: MIT
//
// The value types of base/conversation.h as JSON, for the wire between front and engine
// and for what `--json` prints (docs/formats.md): a token looks the same in both.
// Everything read here came from another process and is checked; text that a reader hands
// out is borrowed from the JSON value, or from the struct it filled.
#ifndef ORIEL_APP_MESSAGES_H
#define ORIEL_APP_MESSAGES_H

#include <jansson.h>
#include <stdbool.h>

#include "base/conversation.h"
#include "base/err.h"
#include "base/str.h"
#include "engine/engine.h"

#define TOP_LOGPROBS_MAX 20

// {"id", "text", "logprob", "top": [{"id", "logprob"}], "time_ns"}; "logprob" is null
// when it is not known, "top" is left out when it is empty.
json_t *token_json(const struct token_event *event);

// A token that was read. event borrows from the other two.
struct token_message {
    struct token_event event;
    struct token_logprob top[TOP_LOGPROBS_MAX];
    struct str text;
};
void token_message_init(struct token_message *token);
void token_message_release(struct token_message *token);
bool token_message_read(struct token_message *token, const json_t *json, struct err *err);

json_t *settings_json(const struct generation_settings *settings);

// Settings that were read; their lists and strings are borrowed from the JSON value.
struct settings_message {
    struct generation_settings settings;
    const char **stop;
    struct logit_bias *biases;
};
void settings_message_release(struct settings_message *message);
bool settings_message_read(struct settings_message *message, const json_t *json,
                           struct err *err);

json_t *conversation_json(const struct conversation *conversation);
// For a model that cannot see: words in place of each picture.
json_t *conversation_words_json(const struct conversation *conversation);

struct conversation_message {
    struct conversation conversation;
    struct message *messages;
    struct part *parts; // of all messages
};
void conversation_message_release(struct conversation_message *message);
bool conversation_message_read(struct conversation_message *message, const json_t *json,
                               struct err *err);

json_t *info_json(const struct engine_info *info);
// The strings are borrowed from json.
bool info_read(struct engine_info *info, const json_t *json, struct err *err);

json_t *result_json(const struct engine_result *result);
bool result_read(struct engine_result *result, const json_t *json, struct err *err);

const char *stop_reason_name(enum stop_reason reason);

#endif
