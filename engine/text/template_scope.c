// engine/text/template_scope.c
// SPDX-License-Identifier: MIT
//
// Variables. Scopes nest as in Jinja2: a loop's body, a macro, a with, a block set and a
// filter block have their own; an if does not. What is set inside is not seen outside, a
// namespace is the way out.
#include "engine/text/template_private.h"

#include <string.h>

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
bool scope_open(struct interpreter *in, struct scope *parent)
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
void scope_renew(struct interpreter *in)
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
        scope_assign(in, target, *items++);
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

void scope_assign(struct interpreter *in, const struct node *target, struct value value)
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
