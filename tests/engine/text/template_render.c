// tests/engine/text/template_render.c
// SPDX-License-Identifier: MIT
//
// Renders templates for scripts. Each line of the input is a JSON object with "template",
// "globals" and, if wanted, "now"; each line of the output one with "text" and "pieces"
// ([start, length, trusted]) or with "error" and "code".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/text/template.h"

static json_t *failure(const struct err *err)
{
    return json_pack("{s:s, s:i}", "error", err->text, "code", (int)err->code);
}

static json_t *success(const struct template_output *output)
{
    json_t *pieces = json_array();

    for (size_t i = 0; i < output->piece_count; i++)
        json_array_append_new(pieces,
                              json_pack("[I, I, b]", (json_int_t)output->pieces[i].start,
                                        (json_int_t)output->pieces[i].len,
                                        (int)output->pieces[i].trusted));
    return json_pack("{s:s%, s:o}", "text", output->text.data, output->text.len, "pieces",
                     pieces);
}

static json_t *render(const json_t *request)
{
    const json_t *source = json_object_get(request, "template");
    struct template_output output;
    struct err err = { .code = ERR_NONE };
    struct template *template =
        template_parse(json_string_value(source), json_string_length(source), &err);
    json_t *reply;

    if (template == NULL)
        return failure(&err);
    if (template_render(template, json_object_get(request, "globals"),
                        json_integer_value(json_object_get(request, "now")), NULL,
                        &output, &err)) {
        reply = success(&output);
        template_output_release(&output);
    } else {
        reply = failure(&err);
    }
    template_destroy(&template);
    return reply;
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;

    while ((len = getline(&line, &cap, stdin)) > 0) {
        json_error_t error;
        json_t *request = json_loadb(line, (size_t)len, JSON_ALLOW_NUL, &error), *reply;

        if (!json_is_string(json_object_get(request, "template")) ||
            !json_is_object(json_object_get(request, "globals"))) {
            fprintf(stderr, "template_render: not a request: %s\n", error.text);
            json_decref(request);
            free(line);
            return 1;
        }
        reply = render(request);
        if (reply == NULL || json_dumpf(reply, stdout, JSON_COMPACT) != 0) {
            fputs("template_render: the reply is not JSON\n", stderr);
            json_decref(request);
            free(line);
            return 1;
        }
        putchar('\n');
        fflush(stdout);
        json_decref(reply);
        json_decref(request);
    }
    free(line);
    return 0;
}
