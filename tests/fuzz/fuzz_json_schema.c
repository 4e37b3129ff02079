// tests/fuzz/fuzz_json_schema.c
// SPDX-License-Identifier: MIT
//
// Any bytes as a JSON schema. When it is accepted, a text that the grammar allows is made
// by always taking the first allowed byte of a rotating order; it must be JSON if it is
// complete.
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/text/json_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX 200

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_text(const char *text, size_t len)
{
    json_error_t error;
    json_t *value = json_loadb(text, len, JSON_DECODE_ANY, &error);

    require(value != NULL);
    json_decref(value);
}

static void write_text(const struct grammar *grammar, uint32_t seed)
{
    struct grammar_matcher *matcher = grammar_matcher_create(grammar, NULL);
    char text[TEXT_MAX];
    size_t len = 0;
    bool taken = matcher != NULL;

    while (taken && len < TEXT_MAX) {
        if (grammar_matcher_may_end(matcher))
            check_text(text, len);
        seed = seed * 1664525 + 1013904223;
        taken = false;
        for (uint32_t i = 0; i < 256 && !taken; i++) {
            text[len] = (char)(i + (seed >> 24));
            taken = grammar_matcher_accept(matcher, text + len, 1, NULL);
        }
        len += taken;
        require(taken || grammar_matcher_may_end(matcher));
    }
    grammar_matcher_destroy(&matcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = { .code = ERR_NONE };
    struct grammar *grammar = json_schema_parse((const char *)data, size, &err);

    require((grammar == NULL) == (err.code != ERR_NONE));
    for (uint32_t seed = 0; grammar != NULL && seed < 4; seed++)
        write_text(grammar, seed);
    grammar_destroy(&grammar);
    return 0;
}
