// engine/text/sampler_settings.h
// SPDX-License-Identifier: MIT
//
// The one table of the numbers in struct generation_settings: name, range and default.
// The command line, the configuration, the HTTP interface and the sampler's own check
// read it.
#ifndef ORIEL_ENGINE_TEXT_SAMPLER_SETTINGS_H
#define ORIEL_ENGINE_TEXT_SAMPLER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conversation.h"
#include "base/err.h"

enum setting_kind { SETTING_UINT32, SETTING_UINT64, SETTING_FLOAT };

struct sampler_setting {
    const char *name; // "top-k"
    const char *summary;
    enum setting_kind kind;
    size_t offset; // within struct generation_settings
    double min, max, standard;
};

// NULL when index is past the last one.
const struct sampler_setting *sampler_setting_at(size_t index);
// By name, with "-" and "_" meaning the same; NULL: there is none.
const struct sampler_setting *sampler_setting_find(const char *name);

double sampler_setting_get(const struct sampler_setting *setting,
                           const struct generation_settings *settings);
// ERR_USAGE names the setting and its range.
bool sampler_setting_set(const struct sampler_setting *setting,
                         struct generation_settings *settings, double value,
                         struct err *err);
// From text, whole and in the C locale's notation.
bool sampler_setting_read(const struct sampler_setting *setting,
                          struct generation_settings *settings, const char *text,
                          struct err *err);

// All numbers in their ranges, biases and stop strings usable. ERR_USAGE.
bool sampler_settings_check(const struct generation_settings *settings, struct err *err);

// Also declared in engine/engine.h, for those who see no more than that.
void generation_settings_default(struct generation_settings *settings);

#endif
