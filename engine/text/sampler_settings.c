// engine/text/sampler_settings.c
// SPDX-License-Identifier: MIT
//
// The defaults are those of the peer (llama.cpp's command line), so that comparing is
// fair.
#include "engine/text/sampler_settings.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BIASES       4096
#define MAX_STOP_STRINGS 64

#define SETTING(name, kind, field, min, max, standard, summary)                          \
    {                                                                                    \
        name, summary, kind, offsetof(struct generation_settings, field), min, max,      \
            standard                                                                     \
    }

// clang-format off
static const struct sampler_setting table[] = {
    SETTING("max-tokens", SETTING_UINT32, max_tokens, 0, 1048576, 0,
            "longest reply in tokens; 0: until the model ends it"),
    SETTING("seed", SETTING_UINT64, seed, 0, 18446744073709551615.0, 0,
            "where the random numbers start"),
    SETTING("temperature", SETTING_FLOAT, temperature, 0, 10, 0.8,
            "how freely to choose; 0: always the most probable token"),
    SETTING("top-k", SETTING_UINT32, top_k, 0, 1048576, 40,
            "choose among the K most probable tokens; 0: off"),
    SETTING("top-p", SETTING_FLOAT, top_p, 0, 1, 0.95,
            "choose among the most probable tokens that add up to P; 1: off"),
    SETTING("min-p", SETTING_FLOAT, min_p, 0, 1, 0.05,
            "leave out tokens less probable than P times the most probable; 0: off"),
    SETTING("typical-p", SETTING_FLOAT, typical_p, 0, 1, 1,
            "choose among the most typical tokens that add up to P; 1: off"),
    SETTING("repetition-penalty", SETTING_FLOAT, repetition_penalty, 0.1, 10, 1,
            "divide the score of recent tokens; 1: off"),
    SETTING("presence-penalty", SETTING_FLOAT, presence_penalty, -2, 2, 0,
            "lower the score of recent tokens; 0: off"),
    SETTING("frequency-penalty", SETTING_FLOAT, frequency_penalty, -2, 2, 0,
            "lower the score of recent tokens each time they occurred; 0: off"),
    SETTING("penalty-last-n", SETTING_UINT32, penalty_last_n, 0, 1048576, 64,
            "how many tokens are recent"),
    SETTING("dry-multiplier", SETTING_FLOAT, dry_multiplier, 0, 10, 0,
            "strength of the penalty on repeated sequences (DRY); 0: off"),
    SETTING("dry-base", SETTING_FLOAT, dry_base, 1, 10, 1.75,
            "growth of the DRY penalty with each repeated token"),
    SETTING("dry-allowed-length", SETTING_UINT32, dry_allowed_length, 1, 1024, 2,
            "repeated sequences shorter than this cost nothing"),
    SETTING("dry-last-n", SETTING_UINT32, dry_last_n, 0, 1048576, 1048576,
            "how many tokens DRY looks back"),
    SETTING("top-logprobs", SETTING_UINT32, top_logprobs, 0, 20, 0,
            "how many alternatives to report for each token"),
};
// clang-format on

#define SETTING_COUNT (sizeof(table) / sizeof(table[0]))

const struct sampler_setting *sampler_setting_at(size_t index)
{
    return index < SETTING_COUNT ? &table[index] : NULL;
}

static bool same_name(const char *a, const char *b)
{
    for (; *a != '\0'; a++, b++) {
        if (*a != (*b == '_' ? '-' : *b))
            return false;
    }
    return *b == '\0';
}

const struct sampler_setting *sampler_setting_find(const char *name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (same_name(table[i].name, name))
            return &table[i];
    }
    return NULL;
}

double sampler_setting_get(const struct sampler_setting *setting,
                           const struct generation_settings *settings)
{
    const char *field = (const char *)settings + setting->offset;

    switch (setting->kind) {
    case SETTING_UINT32:
        return *(const uint32_t *)(const void *)field;
    case SETTING_UINT64:
        return (double)*(const uint64_t *)(const void *)field;
    case SETTING_FLOAT:
        return (double)*(const float *)(const void *)field;
    }
    bug("setting of kind %d", (int)setting->kind);
}

static bool check_value(const struct sampler_setting *setting, double value,
                        struct err *err)
{
    // min is compared as the float that is stored: 0.1f is a little more than 0.1
    bool inside =
        setting->kind == SETTING_FLOAT
            ? value >= (double)(float)setting->min && value <= (double)(float)setting->max
            : value >= setting->min && value <= setting->max;

    if (inside && (setting->kind == SETTING_FLOAT || value == floor(value)))
        return true;
    return err_set(err, ERR_USAGE, "%s must be %s from %.15g to %.15g, not %.9g",
                   setting->name,
                   setting->kind == SETTING_FLOAT ? "a number" : "a whole number",
                   setting->min, setting->max, value);
}

bool sampler_setting_set(const struct sampler_setting *setting,
                         struct generation_settings *settings, double value,
                         struct err *err)
{
    char *field = (char *)settings + setting->offset;

    if (setting->kind == SETTING_FLOAT)
        value = (double)(float)value;
    if (!check_value(setting, value, err))
        return false;
    if (setting->kind == SETTING_UINT32)
        *(uint32_t *)(void *)field = (uint32_t)value;
    else if (setting->kind == SETTING_UINT64)
        *(uint64_t *)(void *)field = value < setting->max ? (uint64_t)value : UINT64_MAX;
    else
        *(float *)(void *)field = (float)value;
    return true;
}

bool sampler_setting_read(const struct sampler_setting *setting,
                          struct generation_settings *settings, const char *text,
                          struct err *err)
{
    char *end;
    double value;

    errno = 0;
    if (setting->kind == SETTING_UINT64 && text[0] >= '0' && text[0] <= '9') {
        unsigned long long whole = strtoull(text, &end, 10);

        // exactly, which a double could not hold
        if (*end == '\0' && errno == 0) {
            *(uint64_t *)(void *)((char *)settings + setting->offset) = whole;
            return true;
        }
    }
    value = strtod(text, &end);
    if (*text == '\0' || *end != '\0')
        return err_set(err, ERR_USAGE, "%s must be a number, not \"%s\"", setting->name,
                       text);
    return sampler_setting_set(setting, settings, value, err);
}

bool sampler_settings_check(const struct generation_settings *settings, struct err *err)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (!check_value(&table[i], sampler_setting_get(&table[i], settings), err))
            return false;
    }
    if (settings->bias_count > MAX_BIASES)
        return err_set(err, ERR_USAGE, "more than %d logit biases", MAX_BIASES);
    for (size_t i = 0; i < settings->bias_count; i++) {
        float bias = settings->biases[i].bias;

        if (isnan(bias) || bias > 1000 || (bias < -1000 && !isinf(bias)))
            return err_set(
                err, ERR_USAGE,
                "the logit bias of token %u must be from -1000 to 1000 or -inf",
                settings->biases[i].token);
    }
    if (settings->stop_count > MAX_STOP_STRINGS)
        return err_set(err, ERR_USAGE, "more than %d stop strings", MAX_STOP_STRINGS);
    if (settings->constraint != CONSTRAINT_NONE && settings->constraint_text == NULL)
        return err_set(err, ERR_USAGE, "the constraint on the output has no text");
    return true;
}

void generation_settings_default(struct generation_settings *settings)
{
    *settings = (struct generation_settings){ 0 };
    for (size_t i = 0; i < SETTING_COUNT; i++)
        sampler_setting_set(&table[i], settings, table[i].standard, NULL);
}
