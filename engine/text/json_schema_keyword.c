// engine/text/json_schema_keyword.c
// SPDX-License-Identifier: MIT
//
// The keywords that are known, and what they speak of. A keyword that is not in the table
// is refused: to ignore a demand would be to answer without it.
#include "engine/text/json_schema_private.h"

#include <string.h>

static const struct {
    const char *name;
    enum schema_use use;
} keywords[] = {
    { "type", USE_CORE },
    { "enum", USE_CORE },
    { "const", USE_CORE },
    { "anyOf", USE_CORE },
    { "oneOf", USE_CORE },
    { "allOf", USE_CORE },
    { "$ref", USE_CORE },
    { "properties", USE_OBJECT },
    { "required", USE_OBJECT },
    { "additionalProperties", USE_OBJECT },
    { "items", USE_ARRAY },
    { "prefixItems", USE_ARRAY },
    { "minItems", USE_ARRAY },
    { "maxItems", USE_ARRAY },
    { "minLength", USE_STRING },
    { "maxLength", USE_STRING },
    { "pattern", USE_STRING },
    { "format", USE_STRING },
    { "minimum", USE_NUMBER },
    { "maximum", USE_NUMBER },
    { "exclusiveMinimum", USE_NUMBER },
    { "exclusiveMaximum", USE_NUMBER },
    { "$defs", USE_ANNOTATION },
    { "definitions", USE_ANNOTATION },
    { "$schema", USE_ANNOTATION },
    { "$comment", USE_ANNOTATION },
    { "title", USE_ANNOTATION },
    { "description", USE_ANNOTATION },
    { "default", USE_ANNOTATION },
    { "examples", USE_ANNOTATION },
    { "deprecated", USE_ANNOTATION },
    { "readOnly", USE_ANNOTATION },
    { "writeOnly", USE_ANNOTATION },
};

// The use of a keyword, or -1.
static int keyword_use(const char *name)
{
    if (strncmp(name, "x-", 2) == 0)
        return USE_ANNOTATION;
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        if (strcmp(keywords[i].name, name) == 0)
            return (int)keywords[i].use;
    }
    return -1;
}

bool schema_check_keywords(struct schema_converter *c, const json_t *schema,
                           unsigned *uses)
{
    void *iter = json_object_iter((json_t *)(uintptr_t)schema);

    *uses = 0;
    for (; iter != NULL;
         iter = json_object_iter_next((json_t *)(uintptr_t)schema, iter)) {
        const char *name = json_object_iter_key(iter);
        int use = keyword_use(name);

        // $id changes what references mean, except at the root
        if (strcmp(name, "$id") == 0 && schema == c->root)
            use = USE_ANNOTATION;
        if (use < 0)
            return schema_refuse(c, ERR_UNSUPPORTED, name,
                                 "this keyword is not supported");
        *uses |= 1u << use;
    }
    return true;
}

bool schema_count(struct schema_converter *c, const json_t *schema, const char *keyword,
                  uint32_t *number)
{
    const json_t *value = json_object_get(schema, keyword);

    if (value == NULL)
        return true;
    if (!json_is_number(value) || json_number_value(value) < 0 ||
        json_number_value(value) != (double)(int64_t)json_number_value(value))
        return schema_refuse(c, ERR_FORMAT, keyword, "must be a whole number from 0");
    if (json_number_value(value) > SCHEMA_MAX_REPEAT)
        return schema_refuse(c, ERR_LIMIT, keyword, "more than 65536");
    *number = (uint32_t)json_number_value(value);
    return true;
}

bool schema_is_annotation(const char *name)
{
    return keyword_use(name) == USE_ANNOTATION;
}
