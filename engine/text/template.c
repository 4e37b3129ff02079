// engine/text/template.c
// SPDX-License-Identifier: MIT
//
// The public functions, and statements: scopes, loops, macros, blocks. Scopes nest as in
// Jinja2: a loop's body, a macro, a with, a block set and a filter block have their own;
// an if does not. What is set inside is not seen outside, a namespace is the way out.
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

//------------------------------------------------------------------ scopes

static struct variable *find_here(struct interpreter *in, const struct scope *scope,
                                  const struct text *name)
{
    struct variable *variable = scope->variables;
    size_t looked_at = 0;

    for (; variable != NULL; variable = variable->next, looked_at++) {
        if (variable->name->len == name->len &&
            memcmp(variable->name->bytes, name->bytes, name->len) == 0)
            break;
    }
    template_charge(in, looked_at * 8);
    return variable;
}

const struct value *scope_find(struct interpreter *in, const struct scope *scope,
                               const struct text *name)
{
    for (; scope != NULL; scope = scope->parent) {
        const struct variable *variable = find_here(in, scope, name);

        if (variable != NULL)
            return &variable->value;
    }
    return NULL;
}

void scope_set(struct interpreter *in, const struct text *name, struct value value)
{
    struct variable *variable = find_here(in, in->scope, name);

    if (variable == NULL) {
        variable = in->spare;
        if (variable != NULL)
            in->spare = variable->next;
        else
            variable = template_alloc(in, 1, sizeof(*variable));
        if (variable == NULL)
            return;
        variable->name = name;
        variable->next = in->scope->variables;
        in->scope->variables = variable;
    }
    variable->value = value;
}

// Opens a scope inside `parent`; the caller keeps the old in->scope.
static bool scope_open(struct interpreter *in, struct scope *parent)
{
    struct scope *scope = template_alloc(in, 1, sizeof(*scope));

    if (scope == NULL)
        return false;
    scope->parent = parent;
    in->scope = scope;
    return true;
}

// Forgets the variables, so that the scope can be used for the next round of a loop. What
// a macro has captured stays, and a new scope takes over.
static void scope_renew(struct interpreter *in)
{
    struct scope *scope = in->scope;

    if (scope->captured) {
        scope_open(in, scope->parent);
        return;
    }
    while (scope->variables != NULL) {
        struct variable *variable = scope->variables;

        scope->variables = variable->next;
        variable->next = in->spare;
        in->spare = variable;
    }
}

static void assign(struct interpreter *in, const struct node *target, struct value value);

static void assign_all(struct interpreter *in, const struct node *targets,
                       struct value value)
{
    const struct value *items;
    size_t count, wanted = 0;

    if (value.kind == VALUE_UNDEFINED) {
        template_fail(in, ERR_FORMAT, "cannot unpack '%s', which is undefined",
                      value.name);
        return;
    }
    if (!value_iterate(in, value, &items, &count))
        return;
    for (const struct node *target = targets; target != NULL; target = target->next)
        wanted++;
    if (wanted != count) {
        template_fail(in, ERR_FORMAT, "cannot unpack %zu values into %zu names", count,
                      wanted);
        return;
    }
    for (const struct node *target = targets; target != NULL; target = target->next)
        assign(in, target, *items++);
}

static void assign_attribute(struct interpreter *in, const struct node *target,
                             struct value value)
{
    struct value object = template_eval(in, target->first);

    if (in->failed)
        return;
    if (object.kind != VALUE_NAMESPACE || target->kind != NODE_ATTRIBUTE) {
        template_fail(in, ERR_FORMAT, "only a namespace's attributes can be set");
        return;
    }
    if (target->name->bytes[0] == '_') {
        template_fail(in, ERR_FORMAT,
                      "an attribute of a namespace cannot begin with '_'");
        return;
    }
    dict_set(in, object.dict, value_text(target->name), value);
}

static void assign(struct interpreter *in, const struct node *target, struct value value)
{
    if (in->failed)
        return;
    if (target->kind == NODE_NAME)
        scope_set(in, target->name, value);
    else if (target->kind == NODE_TUPLE)
        assign_all(in, target->first, value);
    else
        assign_attribute(in, target, value);
}

//------------------------------------------------------------------ blocks

// Runs a body in its own scope and returns what it wrote.
static struct value capture(struct interpreter *in, const struct node *body)
{
    struct builder builder = builder_create(), *out = in->out;
    struct scope *scope = in->scope;

    if (scope_open(in, scope)) {
        in->out = &builder;
        template_execute(in, body);
    }
    in->out = out;
    in->scope = scope;
    return builder_value(in, &builder);
}

// The innermost filter of a block has no subject of its own.
static struct value apply_filters(struct interpreter *in, const struct node *filter,
                                  struct value subject)
{
    if (filter == NULL || !template_descend(in))
        return subject;
    subject = template_apply(in, filter, apply_filters(in, filter->first, subject));
    template_ascend(in);
    return subject;
}

static void execute_with(struct interpreter *in, const struct node *node)
{
    struct scope *scope = in->scope;

    if (scope_open(in, scope)) {
        struct scope *inner = in->scope;

        for (const struct node *set = node->first; set != NULL && !in->failed;
             set = set->next) {
            struct value value;

            in->scope = scope; // the values do not see each other
            value = template_eval(in, set->second);
            in->scope = inner;
            assign(in, set->first, value);
        }
        template_execute(in, node->third);
    }
    in->scope = scope;
}

//------------------------------------------------------------------ macros

static struct value make_macro(struct interpreter *in, const struct node *node)
{
    struct callable *macro = template_alloc(in, 1, sizeof(*macro));

    if (macro == NULL)
        return value_undefined("");
    macro->macro = node;
    macro->scope = in->scope;
    for (struct scope *scope = in->scope; scope != NULL; scope = scope->parent)
        scope->captured = true;
    return (struct value){ .kind = VALUE_CALLABLE, .callable = macro };
}

static const struct value *find_named(const struct args *args, const struct text *name)
{
    for (size_t i = 0; i < args->named_count; i++) {
        const struct text *key = args->named[i].key.text;

        if (key->len == name->len && memcmp(key->bytes, name->bytes, name->len) == 0)
            return &args->named[i].value;
    }
    return NULL;
}

static const char caller_name[] = "caller";

// The parameters become variables of the scope that was opened for the call.
static void bind_macro(struct interpreter *in, const struct callable *macro,
                       const struct args *args)
{
    static const struct text caller = { .bytes = caller_name,
                                        .len = sizeof(caller_name) - 1 };
    const struct value *called_from = find_named(args, &caller);
    size_t used = 0, index = 0;

    if (called_from != NULL) {
        scope_set(in, &caller, *called_from);
        used++;
    }
    for (const struct node *node = macro->macro->first; node != NULL && !in->failed;
         node = node->next, index++) {
        const struct value *named = find_named(args, node->name);
        struct value value = value_undefined("parameter");

        if (index < args->count && named != NULL)
            template_fail(in, ERR_FORMAT, "the macro got the argument '%.*s' twice",
                          (int)node->name->len, node->name->bytes);
        else if (index < args->count)
            value = args->values[index];
        else if (named != NULL)
            value = *named;
        else if (node->first != NULL)
            value = template_eval(in, node->first);
        used += named != NULL;
        scope_set(in, node->name, value);
    }
    if (args->count > index || used != args->named_count)
        template_fail(in, ERR_FORMAT,
                      "the macro '%.*s' got arguments that it does not take",
                      (int)macro->macro->name->len, macro->macro->name->bytes);
}

static bool enter_call(struct interpreter *in)
{
    if (in->calls >= in->limits.max_call_depth)
        template_fail(in, ERR_LIMIT, "calls nested deeper than %u",
                      in->limits.max_call_depth);
    if (in->failed)
        return false;
    in->calls++;
    return true;
}

struct value template_call_macro(struct interpreter *in, const struct callable *macro,
                                 const struct args *args)
{
    struct builder builder = builder_create(), *out = in->out;
    struct scope *scope = in->scope;

    if (!enter_call(in))
        return value_undefined("");
    if (scope_open(in, macro->scope)) {
        bind_macro(in, macro, args);
        in->out = &builder;
        template_execute(in, macro->macro->third);
    }
    in->out = out;
    in->scope = scope;
    in->calls--;
    return builder_value(in, &builder);
}

// {% call f(x) %}: f(x, caller=macro)
static void execute_call_block(struct interpreter *in, const struct node *node)
{
    static const struct text caller = { .bytes = caller_name,
                                        .len = sizeof(caller_name) - 1 };
    struct value callee = template_eval(in, node->first->first);
    struct args args;
    struct pair *named;

    template_evaluate_args(in, node->first->second, &args);
    named = template_alloc(in, args.named_count + 1, sizeof(*named));
    if (named == NULL)
        return;
    for (size_t i = 0; i < args.named_count; i++)
        named[i] = args.named[i];
    named[args.named_count++] = (struct pair){ .key = value_text(&caller),
                                               .value = make_macro(in, node->second) };
    args.named = named;
    template_print(in, in->out, template_call(in, callee, &args));
}

//------------------------------------------------------------------ loops

static const struct text loop_name = { .bytes = "loop", .len = 4 };

// Keeps the items for which the condition holds.
static struct value filter_items(struct interpreter *in, const struct node *node,
                                 const struct value *items, size_t count)
{
    struct value kept = value_list(in, LIST_LIST);

    for (size_t i = 0; i < count && template_step(in); i++) {
        scope_renew(in);
        assign(in, node->first, items[i]);
        if (value_truthy(template_eval(in, node->second->second)))
            list_push(in, kept.list, items[i]);
    }
    return kept;
}

static void run_rounds(struct interpreter *in, const struct node *node, struct loop *loop)
{
    for (; loop->index < loop->count && template_step(in); loop->index++) {
        scope_renew(in);
        scope_set(in, &loop_name, (struct value){ .kind = VALUE_LOOP, .loop = loop });
        assign(in, node->first, loop->items[loop->index]);
        template_execute(in, node->third);
        if (in->flow == FLOW_BREAK) {
            in->flow = FLOW_ON;
            return;
        }
        in->flow = FLOW_ON;
    }
}

static void execute_loop(struct interpreter *in, const struct node *node,
                         struct value values, uint32_t depth, struct scope *outer)
{
    struct loop *loop = template_alloc(in, 1, sizeof(*loop));
    struct scope *scope = in->scope;

    if (loop == NULL || !scope_open(in, outer) ||
        !value_iterate(in, values, &loop->items, &loop->count)) {
        in->scope = scope;
        return;
    }
    loop->depth = depth;
    loop->node = node->op == OP_IN ? node : NULL;
    loop->scope = outer;
    if (node->second->second != NULL) {
        struct value kept = filter_items(in, node, loop->items, loop->count);

        loop->items = kept.list->items;
        loop->count = kept.list->count;
    }
    if (loop->count > 0)
        run_rounds(in, node, loop);
    else if (node->fourth != NULL) {
        scope_renew(in);
        template_execute(in, node->fourth);
    }
    in->scope = scope;
}

// loop(items) inside of a recursive loop: its text.
struct value template_recurse(struct interpreter *in, struct loop *loop,
                              struct value items)
{
    struct builder builder = builder_create(), *out = in->out;

    if (!enter_call(in))
        return value_undefined("");
    in->out = &builder;
    execute_loop(in, loop->node, items, loop->depth + 1, loop->scope);
    in->out = out;
    in->calls--;
    return builder_value(in, &builder);
}

//------------------------------------------------------------------ statements

static void execute_if(struct interpreter *in, const struct node *node)
{
    // An elif is an if that is alone in the else branch: no recursion for it.
    while (node != NULL && node->kind == NODE_IF && !in->failed) {
        if (value_truthy(template_eval(in, node->first))) {
            template_execute(in, node->second);
            return;
        }
        if (node->third == NULL || node->third->kind != NODE_IF ||
            node->third->next != NULL) {
            template_execute(in, node->third);
            return;
        }
        node = node->third;
    }
}

static void execute_set(struct interpreter *in, const struct node *node)
{
    struct value value = node->kind == NODE_SET
                             ? template_eval(in, node->second)
                             : apply_filters(in, node->second, capture(in, node->third));

    assign(in, node->first, value);
}

static void execute_node(struct interpreter *in, const struct node *node)
{
    switch (node->kind) {
    case NODE_TEXT:
        builder_text(in, in->out, node->literal.text);
        break;
    case NODE_OUTPUT:
        template_print(in, in->out, template_eval(in, node->first));
        break;
    case NODE_IF:
        execute_if(in, node);
        break;
    case NODE_FOR:
        execute_loop(in, node, template_eval(in, node->second->first), 0, in->scope);
        break;
    case NODE_SET:
    case NODE_SET_BLOCK:
        execute_set(in, node);
        break;
    case NODE_WITH:
        execute_with(in, node);
        break;
    case NODE_MACRO:
        scope_set(in, node->name, make_macro(in, node));
        break;
    case NODE_CALL_BLOCK:
        execute_call_block(in, node);
        break;
    case NODE_FILTER_BLOCK:
        template_print(in, in->out,
                       apply_filters(in, node->second, capture(in, node->third)));
        break;
    case NODE_BREAK:
    case NODE_CONTINUE:
        in->flow = node->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
        break;
    case NODE_BLOCK:
        template_print(in, in->out, capture(in, node->third));
        break;
    default:
        bug("node %d is not a statement", node->kind);
    }
}

void template_execute(struct interpreter *in, const struct node *statements)
{
    if (!template_descend(in))
        return;
    for (const struct node *node = statements; node != NULL && in->flow == FLOW_ON;
         node = node->next) {
        in->line = node->line;
        if (!template_step(in))
            break;
        execute_node(in, node);
    }
    template_ascend(in);
}

//------------------------------------------------------------------ public

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
