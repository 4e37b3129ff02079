// engine/describe.c
// SPDX-License-Identifier: MIT
//
// What is in a GGUF file, whether or not this engine can run it: `oriel models show`.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "engine/engine.h"
#include "engine/format/gguf.h"
#include "engine/format/quant.h"

#define TYPES_MAX      64
#define VALUE_TEXT_MAX 160

static void set_text(json_t *json, const char *name, const struct gguf *gguf,
                     const char *key)
{
    struct gguf_string value = { .bytes = NULL };

    if (gguf_get_string(gguf, key, &value, NULL) && value.bytes != NULL)
        json_object_set_new(json, name, json_stringn(value.bytes, value.len));
}

// A number whose key begins with the architecture's name.
static void set_number(json_t *json, const char *name, const struct gguf *gguf,
                       const char *key)
{
    struct gguf_string architecture = { .bytes = "" };
    char full[128];
    uint64_t value = 0;

    gguf_get_string(gguf, "general.architecture", &architecture, NULL);
    snprintf(full, sizeof(full), "%.*s.%s", (int)architecture.len, architecture.bytes,
             key);
    if (gguf_get_u64(gguf, full, &value, NULL) && value != 0 && value <= INT64_MAX)
        json_object_set_new(json, name, json_integer((json_int_t)value));
}

// How many weights there are of each type: {"Q4_K": 123, ...}.
static void set_types(json_t *json, const struct gguf *gguf)
{
    uint64_t counts[TYPES_MAX] = { 0 }, parameters = 0;
    json_t *types = json_object();

    for (size_t i = 0; i < gguf_tensor_count(gguf); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(gguf, i);
        uint64_t count = t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];

        parameters += count;
        if (t->type < TYPES_MAX)
            counts[t->type] += count;
    }
    for (uint32_t type = 0; type < TYPES_MAX; type++)
        if (counts[type] > 0)
            json_object_set_new(types, quant_type_name(type),
                                json_integer((json_int_t)counts[type]));
    json_object_set_new(json, "parameters", json_integer((json_int_t)parameters));
    json_object_set_new(json, "quantisation", types);
}

static json_t *metadata(const struct gguf *gguf)
{
    json_t *object = json_object();
    char text[VALUE_TEXT_MAX];

    for (size_t i = 0; i < gguf_key_count(gguf); i++) {
        gguf_describe_value(gguf, i, text, sizeof(text));
        json_object_set_new(object, gguf_key_at(gguf, i), json_string(text));
    }
    return object;
}

char *engine_describe_json(const char *model_path, struct err *err)
{
    struct gguf *gguf = gguf_open(model_path, err);
    json_t *json;
    char *text;

    if (gguf == NULL)
        return NULL;
    json = json_object();
    set_text(json, "title", gguf, "general.name");
    set_text(json, "architecture", gguf, "general.architecture");
    set_text(json, "licence", gguf, "general.license");
    set_text(json, "projector", gguf, "clip.projector_type");
    set_text(json, "tokenizer", gguf, "tokenizer.ggml.model");
    set_number(json, "context_tokens", gguf, "context_length");
    set_number(json, "layers", gguf, "block_count");
    set_number(json, "width", gguf, "embedding_length");
    json_object_set_new(json, "has_template",
                        json_boolean(gguf_has(gguf, "tokenizer.chat_template")));
    json_object_set_new(json, "file_bytes",
                        json_integer((json_int_t)gguf_size_bytes(gguf)));
    set_types(json, gguf);
    json_object_set_new(json, "metadata", metadata(gguf));
    text = json_dumps(json, 0);
    json_decref(json);
    gguf_close(&gguf);
    if (text == NULL)
        err_set(err, ERR_MEMORY, "%s: no memory to describe it", model_path);
    return text;
}
