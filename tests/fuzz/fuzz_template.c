// tests/fuzz/fuzz_template.c
// SPDX-License-Identifier: MIT
//
// Any bytes as a chat template: parse it, and if it is accepted render a conversation.
// What comes out stays within the limits, its pieces cover it, and no byte of the
// caller's is trusted.
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/text/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLERS "\xE2\x98\x83" // snowmen, in the conversation only

static void require(bool condition)
{
    if (!condition)
        abort();
}

static json_t *conversation(void)
{
    return json_pack(
        "{s:[{s:s, s:s}, {s:s, s:[{s:s, s:s}], s:i, s:f, s:b}], s:[{s:{s:s}}],"
        " s:b, s:s, s:n}",
        "messages", "role", "user", "content", " " CALLERS "|<s>" CALLERS, "role",
        "assistant", "content", "type", "text", "text", CALLERS, "n", 7, "f", 2.5, "t", 1,
        "tools", "function", "name", CALLERS, "add_generation_prompt", 1, "bos_token",
        "<s>", "nothing");
}

static void check(const struct template_output *output,
                  const struct template_limits *limits, bool callers_own)
{
    size_t end = 0;

    require(output->text.len <= limits->max_output);
    for (size_t i = 0; i < output->piece_count; i++) {
        const struct template_piece *piece = &output->pieces[i];

        require(piece->start == end && piece->len > 0);
        require(i == 0 || piece->trusted != piece[-1].trusted);
        require(!piece->trusted || !callers_own ||
                memmem(output->text.data + piece->start, piece->len, CALLERS, 3) == NULL);
        end += piece->len;
    }
    require(end == output->text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct template_limits limits = { .max_steps = 20000,
                                            .max_output = 100000,
                                            .max_heap = 4 << 20 };
    // Beyond ASCII a template can spell a snowman itself, or with an escape.
    bool callers_own = memchr(data, '\\', size) == NULL;
    struct err err = { .code = ERR_NONE };
    struct template_output output;
    struct template *template;
    json_t *globals;

    for (size_t i = 0; i < size; i++)
        callers_own = callers_own && data[i] < 0x80;
    template = template_parse((const char *)data, size, &err);
    require((template == NULL) == (err.code != ERR_NONE));
    if (template == NULL)
        return 0;
    globals = conversation();
    require(globals != NULL);
    if (template_render(template, globals, 0, &limits, &output, &err)) {
        check(&output, &limits, callers_own);
        template_output_release(&output);
    } else {
        require(err.code != ERR_NONE);
    }
    json_decref(globals);
    template_destroy(&template);
    return 0;
}
