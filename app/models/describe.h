// app/models/describe.h
// SPDX-License-Identifier: MIT
//
// What is in a model file. The front never parses one: the engine process does, and may
// die of it.
#ifndef ORIEL_APP_MODELS_DESCRIBE_H
#define ORIEL_APP_MODELS_DESCRIBE_H

#include <jansson.h>

#include "base/err.h"

// The report of engine_describe_json (docs/formats.md), or NULL with the reason why the
// file is refused.
json_t *model_describe(const char *path, struct err *err);

#endif
