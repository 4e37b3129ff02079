// engine/text/template_statement.c
// SPDX-License-Identifier: MIT
//
// Statements to text: blocks, macros, loops.
#include "engine/text/template_private.h"

#include <string.h>

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
            scope_assign(in, set->first, value);
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
        scope_assign(in, node->first, items[i]);
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
        scope_assign(in, node->first, loop->items[loop->index]);
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

    scope_assign(in, node->first, value);
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
