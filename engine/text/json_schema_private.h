// engine/text/json_schema_private.h
// SPDX-License-Identifier: MIT
//
// Shared by the files of the JSON schema converter: json_schema.c (dispatch, references),
// json_schema_keyword.c (what is known), json_schema_basic.c (pieces, any JSON value),
// json_schema_object.c, json_schema_array.c, json_schema_choice.c (enum, anyOf, oneOf),
// json_schema_merge.c ($ref, allOf, oneOf), json_schema_pattern.c (regular expressions,
// formats), json_schema_scalar.c (strings and numbers).
#ifndef ORIEL_ENGINE_TEXT_JSON_SCHEMA_PRIVATE_H
#define ORIEL_ENGINE_TEXT_JSON_SCHEMA_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"
#include "engine/text/grammar_ast.h"

#define SCHEMA_MAX_DEPTH  64
#define SCHEMA_MAX_REPEAT 65536  // minLength, maxItems ...
#define SCHEMA_MAX_MADE   100000 // schemas put together while converting

// Rules that every schema may use, made when they are first asked for.
enum schema_basic {
    BASIC_SPACE,     // white space between tokens
    BASIC_CHARACTER, // one character of a string
    BASIC_STRING,
    BASIC_NUMBER,
    BASIC_INTEGER,
    BASIC_VALUE,
    BASIC_OBJECT,
    BASIC_ARRAY,
    BASIC_COUNT,
};

struct schema_converter {
    struct grammar_ast *ast;
    const json_t *root;
    json_t *made;                 // an array that owns the schemas we put together
    json_t *refs;                 // JSON pointer -> rule
    json_t *pending;              // pointers whose rule is not defined yet
    uint32_t basics[BASIC_COUNT]; // rule + 1
    struct str place;             // JSON pointer of the schema at hand
    int depth;
    struct err *err;
};

// Sets the error "JSON schema, PLACE/keyword: why" (keyword may be NULL); returns false.
bool schema_refuse(struct schema_converter *c, enum err_code code, const char *keyword,
                   const char *why);

bool schema_convert(struct schema_converter *c, const json_t *schema,
                    const struct grammar_expr **expr);
// Converts the schema at place/keyword or place/keyword/name.
bool schema_convert_at(struct schema_converter *c, const json_t *schema,
                       const char *keyword, const char *name,
                       const struct grammar_expr **expr);
bool schema_convert_element(struct schema_converter *c, const json_t *schema,
                            const char *keyword, size_t index,
                            const struct grammar_expr **expr);

// ---------------------------------------------------------------------------
// json_schema_keyword.c

// What a keyword speaks of.
enum schema_use {
    USE_ANNOTATION,
    USE_CORE,
    USE_OBJECT,
    USE_ARRAY,
    USE_STRING,
    USE_NUMBER
};

// Every keyword is known. uses: a bit for each use that occurs.
bool schema_check_keywords(struct schema_converter *c, const json_t *schema,
                           unsigned *uses);
bool schema_is_annotation(const char *keyword);
// The whole number >= 0 of a keyword; absent leaves *number. At most SCHEMA_MAX_REPEAT.
bool schema_count(struct schema_converter *c, const json_t *schema, const char *keyword,
                  uint32_t *number);

// ---------------------------------------------------------------------------
// json_schema_basic.c

const struct grammar_expr *schema_basic(struct schema_converter *c,
                                        enum schema_basic basic);
const struct grammar_expr *schema_text(struct schema_converter *c, const char *bytes);
// A text exactly as JSON: quoted, escaped.
const struct grammar_expr *schema_literal(struct schema_converter *c,
                                          const json_t *value);
const struct grammar_expr *schema_nothing(struct schema_converter *c);
const struct grammar_expr *schema_space(struct schema_converter *c);
const struct grammar_expr *schema_pair(struct schema_converter *c,
                                       const struct grammar_expr *first,
                                       const struct grammar_expr *second);
const struct grammar_expr *schema_either(struct schema_converter *c,
                                         const struct grammar_expr *first,
                                         const struct grammar_expr *second);
// A comma and the white space after it, then expr.
const struct grammar_expr *schema_after_comma(struct schema_converter *c,
                                              const struct grammar_expr *expr);
// key ":" value.
const struct grammar_expr *schema_member(struct schema_converter *c,
                                         const struct grammar_expr *key,
                                         const struct grammar_expr *value);
// The expression as a rule of its own, so that it is written out once.
const struct grammar_expr *schema_rule_of(struct schema_converter *c,
                                          const struct grammar_expr *expr);

// ---------------------------------------------------------------------------
// json_schema_object.c, json_schema_array.c, json_schema_choice.c

bool schema_object(struct schema_converter *c, const json_t *schema,
                   const struct grammar_expr **expr);
bool schema_array(struct schema_converter *c, const json_t *schema,
                  const struct grammar_expr **expr);
// uses: as schema_check_keywords found them.
bool schema_enum(struct schema_converter *c, const json_t *schema, unsigned uses,
                 const struct grammar_expr **expr);
bool schema_union(struct schema_converter *c, const json_t *schema,
                  const struct grammar_expr **expr);

// ---------------------------------------------------------------------------
// json_schema_scalar.c

bool schema_string(struct schema_converter *c, const json_t *schema,
                   const struct grammar_expr **expr);
bool schema_number(struct schema_converter *c, const json_t *schema, bool integer,
                   const struct grammar_expr **expr);
// The basic rules of strings and numbers.
const struct grammar_expr *schema_basic_character(struct schema_converter *c);
const struct grammar_expr *schema_basic_number(struct schema_converter *c);
const struct grammar_expr *schema_basic_integer(struct schema_converter *c);

// ---------------------------------------------------------------------------
// json_schema_pattern.c

// The inside of a JSON string that matches the regular expression.
bool schema_pattern(struct schema_converter *c, const char *keyword, const char *pattern,
                    const struct grammar_expr **expr);
// The regular expression of a format, or NULL.
const char *schema_format_pattern(const char *format);

// ---------------------------------------------------------------------------
// json_schema_merge.c

// The schema that a local reference names, or NULL with the error set.
const json_t *schema_resolve(struct schema_converter *c, const char *reference);
// An equivalent schema without $ref and allOf at its top; lives as long as c.
const json_t *schema_flatten(struct schema_converter *c, const json_t *schema);
const json_t *schema_merge(struct schema_converter *c, const json_t *a, const json_t *b);
// Whether we can tell that no value is valid under both.
bool schema_disjoint(struct schema_converter *c, const json_t *a, const json_t *b);
// Whether the schema's "type", if it has one, allows the value.
bool schema_type_allows(const json_t *schema, const json_t *value);
// A copy of what is not an annotation; lives as long as c.
json_t *schema_without_annotations(struct schema_converter *c, const json_t *schema);

#endif
