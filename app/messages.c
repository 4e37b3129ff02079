// app/messages.c
// SPDX-License-Identifier: MIT
#include "app/messages.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/wire.h"
#include "base/alloc.h"

#define TOKEN_TEXT_MAX     ((size_t)1 << 20)
#define STOP_COUNT_MAX     256
#define BIAS_COUNT_MAX     65536
#define MESSAGES_COUNT_MAX 100000
#define PARTS_COUNT_MAX    100000

// ---------------------------------------------------------------------------
// Structs of numbers: a table of fields is read and written by the same two functions

enum field_kind {
    FIELD_U32,
    FIELD_U64,
    FIELD_I64,
    FIELD_FLOAT,
    FIELD_DOUBLE,
    FIELD_BOOL
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
};

static void write_fields(json_t *object, const struct field *fields, size_t count,
                         const void *from)
{
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)from + fields[i].offset;
        json_t *value = NULL;

        switch (fields[i].kind) {
        case FIELD_U32:
            value = json_integer(*(const uint32_t *)at);
            break;
        case FIELD_U64:
            value = json_integer((json_int_t) * (const uint64_t *)at);
            break;
        case FIELD_I64:
            value = json_integer(*(const int64_t *)at);
            break;
        case FIELD_BOOL:
            value = json_boolean(*(const bool *)at);
            break;
        case FIELD_FLOAT:
            wire_set_real(object, fields[i].name, (double)*(const float *)at);
            continue;
        case FIELD_DOUBLE:
            wire_set_real(object, fields[i].name, *(const double *)at);
            continue;
        }
        json_object_set_new(object, fields[i].name, value);
    }
}

static bool read_field(const json_t *object, const struct field *field, void *at,
                       struct err *err)
{
    uint64_t integer = 0;
    double real = 0;

    switch (field->kind) {
    case FIELD_U32:
        if (!wire_get_uint(object, field->name, UINT32_MAX, &integer, err))
            return false;
        *(uint32_t *)at = (uint32_t)integer;
        return true;
    case FIELD_U64:
    case FIELD_I64: // both are sizes or times here, never negative
        if (!wire_get_uint(object, field->name, INT64_MAX, &integer, err))
            return false;
        *(uint64_t *)at = integer;
        return true;
    case FIELD_FLOAT:
        if (!wire_get_real(object, field->name, &real, err))
            return false;
        *(float *)at = (float)real;
        return isfinite(*(float *)at) ||
               err_set(err, ERR_FORMAT, "field \"%s\" of a message is not finite",
                       field->name);
    case FIELD_DOUBLE:
        return wire_get_real(object, field->name, at, err);
    case FIELD_BOOL:
        return wire_get_bool(object, field->name, at, err);
    }
    return false;
}

static bool read_fields(const json_t *object, const struct field *fields, size_t count,
                        void *into, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!read_field(object, &fields[i], (char *)into + fields[i].offset, err))
            return false;
    return true;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// ---------------------------------------------------------------------------
// Tokens

static void set_logprob(json_t *object, float logprob)
{
    wire_set_real(object, "logprob", (double)logprob);
}

json_t *token_json(const struct token_event *event)
{
    json_t *token = json_object();
    json_t *top;

    json_object_set_new(token, "id", json_integer(event->id));
    wire_set_text(token, "text", event->text, event->text_len);
    set_logprob(token, event->logprob);
    json_object_set_new(token, "time_ns", json_integer(event->time_ns));
    if (event->top_count == 0)
        return token;
    top = json_array();
    for (size_t i = 0; i < event->top_count; i++) {
        json_t *one = json_object();

        json_object_set_new(one, "id", json_integer(event->top[i].id));
        set_logprob(one, event->top[i].logprob);
        json_array_append_new(top, one);
    }
    json_object_set_new(token, "top", top);
    return token;
}

void token_message_init(struct token_message *token)
{
    *token = (struct token_message){ 0 };
    str_init(&token->text, TOKEN_TEXT_MAX);
}

void token_message_release(struct token_message *token)
{
    str_release(&token->text);
}

static bool read_id_and_logprob(const json_t *json, uint32_t *id, float *logprob,
                                struct err *err)
{
    uint64_t integer;
    double real;

    if (!wire_get_uint(json, "id", UINT32_MAX, &integer, err) ||
        !wire_get_real(json, "logprob", &real, err))
        return false;
    *id = (uint32_t)integer;
    *logprob = (float)real;
    return true;
}

bool token_message_read(struct token_message *token, const json_t *json, struct err *err)
{
    struct token_event *event = &token->event;
    uint64_t time_ns;
    const json_t *top;

    *event = (struct token_event){ .top = token->top };
    if (!read_id_and_logprob(json, &event->id, &event->logprob, err) ||
        !wire_get_text(json, "text", &token->text, err) ||
        !wire_get_uint(json, "time_ns", INT64_MAX, &time_ns, err))
        return false;
    event->time_ns = (int64_t)time_ns;
    event->text = token->text.data;
    event->text_len = token->text.len;
    if (json_object_get(json, "top") == NULL)
        return true;
    top = wire_get_array(json, "top", TOP_LOGPROBS_MAX, err);
    if (top == NULL)
        return false;
    for (size_t i = 0; i < json_array_size(top); i++)
        if (!read_id_and_logprob(json_array_get(top, i), &token->top[i].id,
                                 &token->top[i].logprob, err))
            return false;
    event->top_count = json_array_size(top);
    return true;
}

// ---------------------------------------------------------------------------
// Settings

#define SETTING(kind, member)                                                            \
    {                                                                                    \
#member, kind, offsetof(struct generation_settings, member)                      \
    }
static const struct field setting_fields[] = {
    SETTING(FIELD_U32, max_tokens),
    SETTING(FIELD_U64, seed),
    SETTING(FIELD_FLOAT, temperature),
    SETTING(FIELD_U32, top_k),
    SETTING(FIELD_FLOAT, top_p),
    SETTING(FIELD_FLOAT, min_p),
    SETTING(FIELD_FLOAT, typical_p),
    SETTING(FIELD_FLOAT, repetition_penalty),
    SETTING(FIELD_FLOAT, presence_penalty),
    SETTING(FIELD_FLOAT, frequency_penalty),
    SETTING(FIELD_U32, penalty_last_n),
    SETTING(FIELD_FLOAT, dry_multiplier),
    SETTING(FIELD_FLOAT, dry_base),
    SETTING(FIELD_U32, dry_allowed_length),
    SETTING(FIELD_U32, dry_last_n),
    SETTING(FIELD_U32, top_logprobs),
};

static const char *const constraint_keys[] = {
    [CONSTRAINT_GBNF] = "grammar", [CONSTRAINT_JSON_SCHEMA] = "json_schema"
};

json_t *settings_json(const struct generation_settings *settings)
{
    json_t *json = json_object();
    json_t *stop = json_array(), *biases = json_array();

    write_fields(json, setting_fields, COUNT(setting_fields), settings);
    for (size_t i = 0; i < settings->stop_count; i++)
        json_array_append_new(stop, json_string(settings->stop[i]));
    for (size_t i = 0; i < settings->bias_count; i++) {
        json_t *bias = json_object();

        json_object_set_new(bias, "id", json_integer(settings->biases[i].token));
        wire_set_real(bias, "bias", (double)settings->biases[i].bias);
        json_array_append_new(biases, bias);
    }
    json_object_set_new(json, "stop", stop);
    json_object_set_new(json, "logit_bias", biases);
    if (settings->constraint != CONSTRAINT_NONE)
        json_object_set_new(json, constraint_keys[settings->constraint],
                            json_string(settings->constraint_text));
    return json;
}

void settings_message_release(struct settings_message *message)
{
    free(message->stop);
    free(message->biases);
    *message = (struct settings_message){ 0 };
}

static bool read_stop(struct settings_message *message, const json_t *json,
                      struct err *err)
{
    const json_t *list = wire_get_array(json, "stop", STOP_COUNT_MAX, err);

    if (list == NULL)
        return false;
    message->stop = alloc_array(json_array_size(list), sizeof(*message->stop));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (text == NULL)
            return err_set(err, ERR_FORMAT, "a stop string is not a string");
        message->stop[i] = text;
    }
    message->settings.stop = message->stop;
    message->settings.stop_count = json_array_size(list);
    return true;
}

static bool read_biases(struct settings_message *message, const json_t *json,
                        struct err *err)
{
    const json_t *list = wire_get_array(json, "logit_bias", BIAS_COUNT_MAX, err);

    if (list == NULL)
        return false;
    message->biases = alloc_array(json_array_size(list), sizeof(*message->biases));
    for (size_t i = 0; i < json_array_size(list); i++) {
        uint64_t id;
        double bias;

        if (!wire_get_uint(json_array_get(list, i), "id", UINT32_MAX, &id, err) ||
            !wire_get_real(json_array_get(list, i), "bias", &bias, err))
            return false;
        message->biases[i] = (struct logit_bias){
            .token = (uint32_t)id,
            .bias = isnan(bias) ? -INFINITY : (float)bias, // null forbids the token
        };
    }
    message->settings.biases = message->biases;
    message->settings.bias_count = json_array_size(list);
    return true;
}

static bool read_constraint(struct generation_settings *settings, const json_t *json,
                            struct err *err)
{
    for (enum constraint_kind kind = CONSTRAINT_GBNF; kind <= CONSTRAINT_JSON_SCHEMA;
         kind++) {
        const char *text;

        if (!wire_get_optional_string(json, constraint_keys[kind], &text, err))
            return false;
        if (text == NULL)
            continue;
        settings->constraint = kind;
        settings->constraint_text = text;
    }
    return true;
}

bool settings_message_read(struct settings_message *message, const json_t *json,
                           struct err *err)
{
    *message = (struct settings_message){ 0 };
    return read_fields(json, setting_fields, COUNT(setting_fields), &message->settings,
                       err) &&
           read_stop(message, json, err) && read_biases(message, json, err) &&
           read_constraint(&message->settings, json, err);
}

// ---------------------------------------------------------------------------
// Conversations

static const char *const role_names[] = {
    [ROLE_SYSTEM] = "system",
    [ROLE_USER] = "user",
    [ROLE_ASSISTANT] = "assistant",
    [ROLE_TOOL] = "tool",
};

static json_t *part_json(const struct part *part)
{
    json_t *json = json_object();

    if (part->kind == PART_TEXT) {
        json_object_set_new(json, "text", json_stringn(part->text, part->text_len));
    } else {
        json_object_set_new(
            json, "image_path",
            json_string(part->image_path != NULL ? part->image_path : ""));
        json_object_set_new(json, "image_hash", json_string(part->image_hash));
        json_object_set_new(json, "image_name", json_string(part->image_name));
    }
    return json;
}

static json_t *part_words_json(const struct part *part)
{
    if (part->kind == PART_TEXT)
        return part_json(part);
    return json_pack("{s:o}", "text",
                     json_sprintf("[a picture that you cannot see: %s]\n",
                                  part->image_name != NULL ? part->image_name : ""));
}

static json_t *messages_json(const struct conversation *conversation,
                             json_t *(*to_json)(const struct part *))
{
    json_t *list = json_array();

    for (size_t i = 0; i < conversation->message_count; i++) {
        const struct message *message = &conversation->messages[i];
        json_t *json = json_object(), *parts = json_array();

        for (size_t k = 0; k < message->part_count; k++)
            json_array_append_new(parts, to_json(&message->parts[k]));
        json_object_set_new(json, "role", json_string(role_names[message->role]));
        json_object_set_new(json, "parts", parts);
        json_array_append_new(list, json);
    }
    return list;
}

json_t *conversation_json(const struct conversation *conversation)
{
    return messages_json(conversation, part_json);
}

json_t *conversation_words_json(const struct conversation *conversation)
{
    return messages_json(conversation, part_words_json);
}

void conversation_message_release(struct conversation_message *message)
{
    free(message->messages);
    free(message->parts);
    *message = (struct conversation_message){ 0 };
}

static bool read_part(struct part *part, const json_t *json, struct err *err)
{
    const json_t *text = json_object_get(json, "text");

    if (json_is_string(text)) {
        *part = (struct part){ .kind = PART_TEXT,
                               .text = json_string_value(text),
                               .text_len = json_string_length(text) };
        return true;
    }
    *part = (struct part){ .kind = PART_IMAGE,
                           .image_path = wire_get_string(json, "image_path", err) };
    return part->image_path != NULL &&
           wire_get_optional_string(json, "image_hash", &part->image_hash, err) &&
           wire_get_optional_string(json, "image_name", &part->image_name, err);
}

static bool read_role(enum role *role, const json_t *json, struct err *err)
{
    const char *name = wire_get_string(json, "role", err);

    if (name == NULL)
        return false;
    for (size_t i = 0; i < COUNT(role_names); i++) {
        if (strcmp(role_names[i], name) != 0)
            continue;
        *role = (enum role)i;
        return true;
    }
    return err_set(err, ERR_FORMAT, "a message has a role that does not exist");
}

static bool count_parts(const json_t *list, size_t *total, struct err *err)
{
    *total = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *parts = wire_get_array(json_array_get(list, i), "parts",
                                             PARTS_COUNT_MAX - *total, err);

        if (parts == NULL)
            return false;
        *total += json_array_size(parts);
    }
    return true;
}

bool conversation_message_read(struct conversation_message *message, const json_t *json,
                               struct err *err)
{
    const json_t *list = wire_get_array(json, "messages", MESSAGES_COUNT_MAX, err);
    size_t total, next = 0;

    *message = (struct conversation_message){ 0 };
    if (list == NULL || !count_parts(list, &total, err))
        return false;
    message->messages = alloc_array(json_array_size(list), sizeof(*message->messages));
    message->parts = alloc_array(total, sizeof(*message->parts));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *parts = json_object_get(json_array_get(list, i), "parts");
        struct message *one = &message->messages[i];

        if (!read_role(&one->role, json_array_get(list, i), err))
            return false;
        one->parts = message->parts + next;
        one->part_count = json_array_size(parts);
        for (size_t k = 0; k < one->part_count; k++)
            if (!read_part(&message->parts[next++], json_array_get(parts, k), err))
                return false;
    }
    message->conversation =
        (struct conversation){ message->messages, json_array_size(list) };
    return true;
}

// ---------------------------------------------------------------------------
// The model, and how a reply went

#define INFO(kind, member)                                                               \
    {                                                                                    \
#member, kind, offsetof(struct engine_info, member)                              \
    }
static const struct field info_fields[] = {
    INFO(FIELD_U64, parameter_count),
    INFO(FIELD_U64, file_bytes),
    INFO(FIELD_U64, device_bytes),
    INFO(FIELD_U32, context_tokens),
    INFO(FIELD_U32, trained_context_tokens),
    INFO(FIELD_U32, layer_count),
    INFO(FIELD_U32, width),
    INFO(FIELD_U32, vocabulary_size),
    INFO(FIELD_BOOL, has_template),
    INFO(FIELD_BOOL, has_vision),
    INFO(FIELD_I64, load_ns),
};

static const struct {
    const char *name;
    size_t offset;
} info_strings[] = {
    { "model", offsetof(struct engine_info, model_name) },
    { "architecture", offsetof(struct engine_info, architecture) },
    { "quantisation", offsetof(struct engine_info, quantisation) },
    { "device", offsetof(struct engine_info, device_name) },
};

json_t *info_json(const struct engine_info *info)
{
    json_t *json = json_object();

    for (size_t i = 0; i < COUNT(info_strings); i++) {
        const char *text =
            *(const char *const *)((const char *)info + info_strings[i].offset);

        wire_set_text(json, info_strings[i].name, text != NULL ? text : "",
                      text != NULL ? strlen(text) : 0);
    }
    write_fields(json, info_fields, COUNT(info_fields), info);
    return json;
}

bool info_read(struct engine_info *info, const json_t *json, struct err *err)
{
    for (size_t i = 0; i < COUNT(info_strings); i++) {
        const char *text = wire_get_string(json, info_strings[i].name, err);

        if (text == NULL)
            return false;
        *(const char **)((char *)info + info_strings[i].offset) = text;
    }
    return read_fields(json, info_fields, COUNT(info_fields), info, err);
}

static const char *const reason_names[] = {
    [STOP_NONE] = "none",     [STOP_END] = "end",         [STOP_STRING] = "string",
    [STOP_LENGTH] = "length", [STOP_CONTEXT] = "context", [STOP_CANCELLED] = "cancelled",
    [STOP_ERROR] = "error",
};

const char *stop_reason_name(enum stop_reason reason)
{
    return reason_names[reason];
}

#define RESULT(kind, member)                                                             \
    {                                                                                    \
#member, kind, offsetof(struct engine_result, member)                            \
    }
static const struct field result_fields[] = {
    RESULT(FIELD_U64, prompt_tokens),
    RESULT(FIELD_U64, reused_tokens),
    RESULT(FIELD_U64, generated_tokens),
    RESULT(FIELD_I64, prompt_ns),
    RESULT(FIELD_I64, generation_ns),
    RESULT(FIELD_DOUBLE, prompt_tokens_per_second),
    RESULT(FIELD_DOUBLE, generation_tokens_per_second),
};
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "counts travel as 64-bit integers");

json_t *result_json(const struct engine_result *result)
{
    json_t *json = json_object();

    json_object_set_new(json, "stop_reason", json_string(reason_names[result->reason]));
    write_fields(json, result_fields, COUNT(result_fields), result);
    return json;
}

bool result_read(struct engine_result *result, const json_t *json, struct err *err)
{
    const char *name = wire_get_string(json, "stop_reason", err);

    if (name == NULL ||
        !read_fields(json, result_fields, COUNT(result_fields), result, err))
        return false;
    for (size_t i = 0; i < COUNT(reason_names); i++) {
        if (strcmp(reason_names[i], name) != 0)
            continue;
        result->reason = (enum stop_reason)i;
        return true;
    }
    return err_set(err, ERR_FORMAT, "a reply stopped for an unknown reason");
}
