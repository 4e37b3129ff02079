// sessions/settings.c
// SPDX-License-Identifier: MIT
//
// Generation settings as JSON: one table names every field, for writing and for reading.
// Numbers survive exactly (9 significant digits give a binary32 back; the seed is a
// string because JSON numbers are often read as doubles).
#include "sessions/private.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define STOP_LIMIT 256     // stop strings
#define BIAS_LIMIT 1000000 // more than any vocabulary has

enum field_kind { FIELD_FLOAT, FIELD_U32 };

static const struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
} fields[] = {
    { "max_tokens", FIELD_U32, offsetof(struct generation_settings, max_tokens) },
    { "temperature", FIELD_FLOAT, offsetof(struct generation_settings, temperature) },
    { "top_k", FIELD_U32, offsetof(struct generation_settings, top_k) },
    { "top_p", FIELD_FLOAT, offsetof(struct generation_settings, top_p) },
    { "min_p", FIELD_FLOAT, offsetof(struct generation_settings, min_p) },
    { "typical_p", FIELD_FLOAT, offsetof(struct generation_settings, typical_p) },
    { "repetition_penalty", FIELD_FLOAT,
      offsetof(struct generation_settings, repetition_penalty) },
    { "presence_penalty", FIELD_FLOAT,
      offsetof(struct generation_settings, presence_penalty) },
    { "frequency_penalty", FIELD_FLOAT,
      offsetof(struct generation_settings, frequency_penalty) },
    { "penalty_last_n", FIELD_U32, offsetof(struct generation_settings, penalty_last_n) },
    { "dry_multiplier", FIELD_FLOAT,
      offsetof(struct generation_settings, dry_multiplier) },
    { "dry_base", FIELD_FLOAT, offsetof(struct generation_settings, dry_base) },
    { "dry_allowed_length", FIELD_U32,
      offsetof(struct generation_settings, dry_allowed_length) },
    { "dry_last_n", FIELD_U32, offsetof(struct generation_settings, dry_last_n) },
    { "top_logprobs", FIELD_U32, offsetof(struct generation_settings, top_logprobs) },
};

static const char *const constraints[] = {
    [CONSTRAINT_GBNF] = "grammar", [CONSTRAINT_JSON_SCHEMA] = "json_schema"
};

// JSON has no infinities: -INFINITY, which forbids a token, is null.
static json_t *number(float value)
{
    return isfinite(value) ? json_real((double)value) : json_null();
}

static json_t *stops_to_json(const struct generation_settings *settings)
{
    json_t *array = json_array();

    for (size_t i = 0; i < settings->stop_count; i++) {
        struct str text;

        str_init(&text, 0);
        text_clean(&text, settings->stop[i], strlen(settings->stop[i]));
        json_array_append_new(array, json_string(text.data));
        str_release(&text);
    }
    return array;
}

json_t *settings_to_json(const struct generation_settings *settings)
{
    json_t *object = json_object();
    char seed[32];

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const char *at = (const char *)settings + fields[i].offset;
        uint32_t integer;
        float real;

        if (fields[i].kind == FIELD_U32) {
            memcpy(&integer, at, sizeof(integer));
            json_object_set_new(object, fields[i].name, json_integer(integer));
        } else {
            memcpy(&real, at, sizeof(real));
            json_object_set_new(object, fields[i].name, number(real));
        }
    }
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)settings->seed);
    json_object_set_new(object, "seed",
                        settings->seed <= INT64_MAX
                            ? json_integer((json_int_t)settings->seed)
                            : json_string(seed));
    json_object_set_new(object, "stop", stops_to_json(settings));
    if (settings->bias_count > 0) {
        json_t *biases = json_array();

        for (size_t i = 0; i < settings->bias_count; i++)
            json_array_append_new(biases,
                                  json_pack("{s:I, s:o}", "id",
                                            (json_int_t)settings->biases[i].token, "bias",
                                            number(settings->biases[i].bias)));
        json_object_set_new(object, "logit_bias", biases);
    }
    if (settings->constraint != CONSTRAINT_NONE)
        json_object_set_new(object, constraints[settings->constraint],
                            json_string(settings->constraint_text));
    return object;
}

char *settings_encode(const struct generation_settings *settings)
{
    json_t *object = settings_to_json(settings);
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));

    json_decref(object);
    if (text == NULL)
        bug("settings cannot be written as JSON");
    return text;
}

// ---------------------------------------------------------------------------
// Reading

static bool wrong(struct err *err, const char *name)
{
    return err_set(err, ERR_FORMAT, "settings: \"%s\" is not what it should be", name);
}

static bool read_field(const json_t *object, const struct field *field,
                       struct generation_settings *settings, struct err *err)
{
    const json_t *value = json_object_get(object, field->name);
    char *at = (char *)settings + field->offset;

    if (value == NULL)
        return true;
    if (field->kind == FIELD_U32) {
        json_int_t number = json_integer_value(value);
        uint32_t integer = (uint32_t)number;

        if (!json_is_integer(value) || number < 0 || number > UINT32_MAX)
            return wrong(err, field->name);
        memcpy(at, &integer, sizeof(integer));
    } else {
        float real = (float)json_number_value(value);

        if (!json_is_number(value) || !isfinite(real))
            return wrong(err, field->name);
        memcpy(at, &real, sizeof(real));
    }
    return true;
}

static bool read_seed(const json_t *object, uint64_t *seed, struct err *err)
{
    const json_t *value = json_object_get(object, "seed");
    const char *text = json_string_value(value);
    char *end = NULL;

    if (value == NULL)
        return true;
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *seed = (uint64_t)json_integer_value(value);
        return true;
    }
    errno = 0;
    if (text != NULL && text[0] >= '0' && text[0] <= '9')
        *seed = strtoull(text, &end, 10);
    return (end != NULL && *end == '\0' && errno == 0) || wrong(err, "seed");
}

static bool read_stops(const json_t *object, struct arena *arena,
                       struct generation_settings *settings, struct err *err)
{
    const json_t *value = json_object_get(object, "stop");
    size_t count = json_array_size(value);
    const char **list;

    if (count == 0)
        return value == NULL || json_is_array(value) || wrong(err, "stop");
    if (count > STOP_LIMIT || (list = arena_alloc(arena, count, sizeof(*list))) == NULL)
        return err_set(err, ERR_LIMIT, "settings: too many stop strings");
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(value, i);

        if (!json_is_string(item))
            return wrong(err, "stop");
        list[i] = arena_string(arena, json_string_value(item), json_string_length(item));
        if (list[i] == NULL)
            return err_set(err, ERR_LIMIT, "settings: the stop strings are too long");
    }
    settings->stop = list;
    settings->stop_count = count;
    return true;
}

static bool read_biases(const json_t *object, struct arena *arena,
                        struct generation_settings *settings, struct err *err)
{
    const json_t *value = json_object_get(object, "logit_bias");
    size_t count = json_array_size(value);
    struct logit_bias *list;

    if (count == 0)
        return value == NULL || json_is_array(value) || wrong(err, "logit_bias");
    if (count > BIAS_LIMIT || (list = arena_alloc(arena, count, sizeof(*list))) == NULL)
        return err_set(err, ERR_LIMIT, "settings: too many logit biases");
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(value, i);
        const json_t *token = json_object_get(pair, "id"),
                     *bias = json_object_get(pair, "bias");

        if (!json_is_integer(token) || json_integer_value(token) < 0 ||
            json_integer_value(token) > UINT32_MAX ||
            !(json_is_number(bias) || json_is_null(bias)))
            return wrong(err, "logit_bias");
        list[i].token = (uint32_t)json_integer_value(token);
        list[i].bias = json_is_null(bias) ? -INFINITY : (float)json_number_value(bias);
    }
    settings->biases = list;
    settings->bias_count = count;
    return true;
}

static bool read_constraint(const json_t *object, struct arena *arena,
                            struct generation_settings *settings, struct err *err)
{
    for (int i = CONSTRAINT_GBNF; i <= CONSTRAINT_JSON_SCHEMA; i++) {
        const json_t *text = json_object_get(object, constraints[i]);

        if (text == NULL)
            continue;
        if (!json_is_string(text))
            return wrong(err, constraints[i]);
        settings->constraint = (enum constraint_kind)i;
        settings->constraint_text =
            arena_string(arena, json_string_value(text), json_string_length(text));
        if (settings->constraint_text == NULL)
            return err_set(err, ERR_LIMIT, "settings: the constraint is too long");
    }
    return true;
}

bool settings_from_json(const json_t *json, struct arena *arena,
                        struct generation_settings *settings, struct err *err)
{
    *settings = (struct generation_settings){ .top_p = 1.0f,
                                              .typical_p = 1.0f,
                                              .repetition_penalty = 1.0f };
    if (!json_is_object(json))
        return err_set(err, ERR_FORMAT, "settings: not an object");
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (!read_field(json, &fields[i], settings, err))
            return false;
    return read_seed(json, &settings->seed, err) &&
           read_stops(json, arena, settings, err) &&
           read_biases(json, arena, settings, err) &&
           read_constraint(json, arena, settings, err);
}

bool settings_decode(const char *json, struct arena *arena,
                     struct generation_settings *settings, struct err *err)
{
    json_error_t where;
    json_t *object = json_loads(json != NULL ? json : "", JSON_REJECT_DUPLICATES, &where);
    bool ok = object != NULL ? settings_from_json(object, arena, settings, err)
                             : err_set(err, ERR_FORMAT, "settings: %s", where.text);

    json_decref(object);
    return ok;
}
