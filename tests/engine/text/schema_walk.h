// tests/engine/text/schema_walk.h
// SPDX-License-Identifier: MIT
//
// Random texts under a JSON schema, made through the sampler itself with random logits.
#ifndef ORIEL_TESTS_ENGINE_TEXT_SCHEMA_WALK_H
#define ORIEL_TESTS_ENGINE_TEXT_SCHEMA_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define SCHEMA_WALKS 20 // per schema

// Appends one text; the same for the same schema and seed. False when the schema is
// refused or the text does not come to an end.
bool schema_walk(const char *schema, uint64_t seed, struct str *text, struct err *err);

#endif
