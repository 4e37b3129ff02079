// engine/text/template.c
// SPDX-License-Identifier: MIT
//
// The public functions, and the limits that every part of a rendering counts against.
#include "engine/text/template_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define STEP_UNITS 64 // bytes that count as one step

struct value template_fail(struct interpreter *in, enum err_code code, const char *format,
                           ...)
{
    char what[400];
    va_list args;

    if (!in->failed) {
        va_start(args, format);
        vsnprintf(what, sizeof(what), format, args);
        va_end(args);
        err_set(in->err, code, "template line %u: %s", in->line, what);
        in->failed = true;
    }
    return value_undefined("");
}

static bool use_units(struct interpreter *in, uint64_t units)
{
    if (in->failed)
        return false;
    if (units > in->limits.max_steps * STEP_UNITS - in->steps) {
        template_fail(in, ERR_LIMIT, "the template takes more than %llu steps",
                      (unsigned long long)in->limits.max_steps);
        return false;
    }
    in->steps += units;
    return true;
}

bool template_step(struct interpreter *in)
{
    return use_units(in, STEP_UNITS);
}

bool template_charge(struct interpreter *in, size_t bytes)
{
    return use_units(in, bytes);
}

bool template_descend(struct interpreter *in)
{
    if (in->nested >= TEMPLATE_MAX_NESTED)
        template_fail(in, ERR_LIMIT, "nested deeper than %d", TEMPLATE_MAX_NESTED);
    if (in->failed)
        return false;
    in->nested++;
    return true;
}

void template_ascend(struct interpreter *in)
{
    in->nested--;
}

// Line feeds for all kinds of line ends, and one at the end goes.
static char *normalise(const char *source, size_t len, size_t *normal_len)
{
    char *normal = alloc_zero(len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (source[i] == '\r') {
            normal[n++] = '\n';
            i += i + 1 < len && source[i + 1] == '\n';
        } else {
            normal[n++] = source[i];
        }
    }
    n -= n > 0 && normal[n - 1] == '\n';
    normal[n] = '\0';
    *normal_len = n;
    return normal;
}

static bool parse(struct template *template, size_t len, struct err *err)
{
    struct token_array tokens = { .count = 0 };
    bool ok = template_tokenize(template->source, len, &tokens, err);

    if (ok) {
        struct parser parser = {
            .template = template,
            .token = tokens.items,
            .last = tokens.items + tokens.count - 1,
            .err = err,
        };

        template->body = template_parse_document(&parser);
        ok = !parser.failed;
    }
    free(tokens.items);
    return ok;
}

struct template *template_parse(const char *source, size_t len, struct err *err)
{
    struct template *template;

    if (len > TEMPLATE_MAX_SOURCE) {
        err_set(err, ERR_LIMIT, "the template has %zu bytes, more than %zu", len,
                TEMPLATE_MAX_SOURCE);
        return NULL;
    }
    template = alloc_zero(sizeof(*template));
    arena_init(&template->arena, TEMPLATE_MAX_SYNTAX);
    template->source = normalise(source, len, &len);
    if (!parse(template, len, err))
        template_destroy(&template);
    return template;
}

void template_destroy(struct template **template)
{
    if (*template == NULL)
        return;
    arena_release(&(*template)->arena);
    free((*template)->source);
    free(*template);
    *template = NULL;
}

void template_output_release(struct template_output *output)
{
    str_release(&output->text);
    free(output->pieces);
    *output = (struct template_output){ .pieces = NULL };
}

static bool is_untrusted(const char *name)
{
    return strcmp(name, "messages") == 0 || strcmp(name, "tools") == 0 ||
           strcmp(name, "documents") == 0;
}

static void take_globals(struct interpreter *in, const json_t *globals)
{
    json_t *object = (json_t *)globals; // jansson has no const iterators
    const char *key;
    json_t *member;

    struct value self = value_dict(in); // the blocks of a template: there are none

    self.kind = VALUE_NAMESPACE;
    in->globals = value_dict(in).dict;
    dict_append(in, in->globals, value_literal(in, "self"), self);
    json_object_foreach(object, key, member)
    {
        struct value value = template_from_json(in, member, is_untrusted(key));

        if (!dict_append(in, in->globals, value_literal(in, key), value))
            break;
    }
}

static bool mark_at(const struct builder *builder, size_t i)
{
    return builder->marks != NULL ? builder->marks[i] != 0 : builder->data;
}

static void give_output(const struct builder *builder, struct template_output *output)
{
    size_t cap = 0;

    *output = (struct template_output){ .pieces = NULL };
    str_init(&output->text, builder->len + 1);
    str_append_n(&output->text, builder->len > 0 ? builder->bytes : "", builder->len);
    for (size_t start = 0, end; start < builder->len; start = end) {
        bool data = mark_at(builder, start);

        for (end = start + 1; end < builder->len && mark_at(builder, end) == data;)
            end++;
        output->pieces = alloc_grow(output->pieces, output->piece_count, &cap,
                                    sizeof(*output->pieces));
        output->pieces[output->piece_count++] = (struct template_piece){
            .start = start, .len = end - start, .trusted = !data
        };
    }
}

static struct template_limits with_defaults(const struct template_limits *limits)
{
    struct template_limits all = { .max_steps = 0 };

    if (limits != NULL)
        all = *limits;
    all.max_steps = all.max_steps > 0 ? all.max_steps : 1000000;
    all.max_output = all.max_output > 0 ? all.max_output : (size_t)4 << 20;
    all.max_heap = all.max_heap > 0 ? all.max_heap : (size_t)64 << 20;
    all.max_call_depth = all.max_call_depth > 0 ? all.max_call_depth : 32;
    if (all.max_steps > UINT64_MAX / STEP_UNITS)
        all.max_steps = UINT64_MAX / STEP_UNITS;
    return all;
}

bool template_render(const struct template *template, const json_t *globals, int64_t now,
                     const struct template_limits *limits, struct template_output *output,
                     struct err *err)
{
    struct builder builder = builder_create();
    struct interpreter in = {
        .limits = with_defaults(limits),
        .now = now,
        .out = &builder,
        .err = err,
    };

    arena_init(&in.heap, in.limits.max_heap);
    builder.max = in.limits.max_output;
    take_globals(&in, globals);
    if (scope_open(&in, NULL))
        template_execute(&in, template->body);
    if (!in.failed)
        give_output(&builder, output);
    arena_release(&in.heap);
    return !in.failed;
}
