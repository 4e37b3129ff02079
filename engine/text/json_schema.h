// engine/text/json_schema.h
// SPDX-License-Identifier: MIT
//
// JSON Schema (2020-12, the part that a grammar can promise) to a grammar: whatever the
// grammar lets through is valid under the schema. It need not let through all that is
// valid:
//   - objects have their declared properties, in the order of declaration; further ones
//   only
//     where additionalProperties allows them in so many words or no property is declared
//   - a schema without "type" is taken to mean the type that its keywords speak of
//   - numbers, exponents and white space have bounded length
// Any keyword that would restrict more than the grammar does is refused by name, with the
// JSON pointer of its place. Annotations (title, description, default ...) are ignored.
#ifndef ORIEL_ENGINE_TEXT_JSON_SCHEMA_H
#define ORIEL_ENGINE_TEXT_JSON_SCHEMA_H

#include <stddef.h>

#include "base/err.h"
#include "engine/text/grammar.h"

// ERR_FORMAT: not JSON, not a schema, or one that nothing can satisfy. ERR_UNSUPPORTED:
// the keyword and its place. ERR_LIMIT: above 1 MiB, nested deeper than 64, or too large
// once written out as a grammar.
struct grammar *json_schema_parse(const char *text, size_t len, struct err *err);

#endif
