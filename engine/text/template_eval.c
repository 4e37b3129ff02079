// engine/text/template_eval.c
// SPDX-License-Identifier: MIT
//
// Expressions to values: names, attributes, items, calls, filters and tests.
#include "engine/text/template_private.h"

#include <stdio.h>
#include <string.h>

//------------------------------------------------------------------ names and attributes

static struct value eval_name(struct interpreter *in, const struct text *name)
{
    const struct value *found = scope_find(in, in->scope, name);
    const struct builtin *function;
    struct callable *callable;

    if (found == NULL)
        found = dict_find_name(in, in->globals, name->bytes, name->len);
    if (found != NULL)
        return *found;
    function = template_find_function(name->bytes, name->len);
    if (function == NULL) {
        char *copy = template_alloc(in, name->len + 1, 1);

        if (copy != NULL)
            memcpy(copy, name->bytes, name->len);
        return value_undefined(copy != NULL ? copy : "");
    }
    callable = template_alloc(in, 1, sizeof(*callable));
    if (callable == NULL)
        return value_undefined("");
    callable->builtin = function;
    return (struct value){ .kind = VALUE_CALLABLE, .callable = callable };
}

static struct value undefined_member(struct interpreter *in, struct value object,
                                     const char *name, size_t len)
{
    char text[160], *copy;
    int n = snprintf(text, sizeof(text), "%s object has no attribute '%.*s",
                     value_type_name(object), (int)(len < 100 ? len : 100), name);

    copy = template_alloc(in, (size_t)n + 1, 1);
    if (copy != NULL)
        memcpy(copy, text, (size_t)n);
    return value_undefined(copy != NULL ? copy : "");
}

static bool is_name(const char *name, size_t len, const char *wanted)
{
    return strlen(wanted) == len && memcmp(name, wanted, len) == 0;
}

static struct value loop_attribute(struct interpreter *in, const struct loop *loop,
                                   const char *name, size_t len)
{
    int64_t index = (int64_t)loop->index, count = (int64_t)loop->count;
    const struct {
        const char *name;
        struct value value;
    } attributes[] = {
        { "index", value_integer(index + 1) },
        { "index0", value_integer(index) },
        { "revindex", value_integer(count - index) },
        { "revindex0", value_integer(count - index - 1) },
        { "first", value_bool(index == 0) },
        { "last", value_bool(index + 1 == count) },
        { "length", value_integer(count) },
        { "depth", value_integer((int64_t)loop->depth + 1) },
        { "depth0", value_integer((int64_t)loop->depth) },
        { "previtem", index > 0 ? loop->items[index - 1] : value_undefined("previtem") },
        { "nextitem",
          index + 1 < count ? loop->items[index + 1] : value_undefined("nextitem") },
    };

    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
        if (is_name(name, len, attributes[i].name))
            return attributes[i].value;
    }
    return undefined_member(in, (struct value){ .kind = VALUE_LOOP }, name, len);
}

static struct value find_method(struct interpreter *in, struct value object,
                                const char *name, size_t len)
{
    const struct builtin *method = template_find_method(object, name, len);
    struct callable *callable;

    if (method == NULL)
        return value_missing();
    callable = template_alloc(in, 1, sizeof(*callable));
    if (callable == NULL)
        return value_undefined("");
    callable->builtin = method;
    callable->subject = object;
    return (struct value){ .kind = VALUE_CALLABLE, .callable = callable };
}

static struct value fail_undefined(struct interpreter *in, struct value value)
{
    return template_fail(in, ERR_FORMAT, "'%s' is undefined", value.name);
}

// Methods that the sandbox of Jinja2 hides, and with them members of the same name.
static bool changes_dict(const char *name, size_t len)
{
    static const char *const methods[] = { "clear",   "fromkeys",   "pop",
                                           "popitem", "setdefault", "update" };

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (is_name(name, len, methods[i]))
            return true;
    }
    return false;
}

static bool has_members(struct value object)
{
    return object.kind == VALUE_DICT || object.kind == VALUE_NAMESPACE;
}

// object.name: a method first, then a member.
struct value template_attribute(struct interpreter *in, struct value object,
                                const char *name, size_t len)
{
    const struct value *member;
    struct value method;

    if (in->failed)
        return value_undefined("");
    if (object.kind == VALUE_UNDEFINED)
        return fail_undefined(in, object);
    method = find_method(in, object, name, len);
    if (method.kind != VALUE_MISSING)
        return method;
    if (object.kind == VALUE_LOOP)
        return loop_attribute(in, object.loop, name, len);
    if (object.kind == VALUE_LIST && object.list->group && is_name(name, len, "grouper"))
        return object.list->items[0];
    if (object.kind == VALUE_LIST && object.list->group && is_name(name, len, "list"))
        return object.list->items[1];
    if (object.kind == VALUE_DICT && changes_dict(name, len))
        return undefined_member(in, object, name, len);
    member = has_members(object) ? dict_find_name(in, object.dict, name, len) : NULL;
    return member != NULL ? *member : undefined_member(in, object, name, len);
}

static struct value item_at(struct interpreter *in, struct value object, int64_t index)
{
    bool is_text = object.kind == VALUE_STRING;
    int64_t count =
        (int64_t)(is_text ? unicode_count(in, object.text->bytes, object.text->len)
                          : object.list->count);
    size_t offset, len;

    if (index < 0)
        index += count;
    if (index < 0 || index >= count)
        return undefined_member(in, object, "element", 7);
    if (!is_text)
        return object.list->items[index];
    template_charge(in, object.text->len);
    offset = unicode_offset(object.text, (size_t)index);
    unicode_at(object.text, offset, &len);
    return value_substring(in, object.text, offset, len);
}

// object[key]: a member first, then a method.
struct value template_item(struct interpreter *in, struct value object, struct value key)
{
    bool indexed = object.kind == VALUE_STRING ||
                   (object.kind == VALUE_LIST && object.list->kind != LIST_GENERATOR &&
                    object.list->kind != LIST_VIEW);
    const struct value *member = NULL;

    if (in->failed)
        return value_undefined("");
    if (object.kind == VALUE_UNDEFINED)
        return fail_undefined(in, object);
    if (object.kind == VALUE_DICT &&
        (key.kind == VALUE_STRING || value_is_number(key) || key.kind == VALUE_NONE))
        member = dict_find(in, object.dict, key);
    if (member != NULL)
        return *member;
    if (indexed && key.kind == VALUE_INTEGER)
        return item_at(in, object, key.integer);
    if (indexed && key.kind == VALUE_BOOL)
        return item_at(in, object, key.boolean);
    if (key.kind != VALUE_STRING)
        return undefined_member(in, object, "such element", 12);
    if (object.kind == VALUE_DICT) {
        struct value method = find_method(in, object, key.text->bytes, key.text->len);

        return method.kind != VALUE_MISSING
                   ? method
                   : undefined_member(in, object, key.text->bytes, key.text->len);
    }
    return template_attribute(in, object, key.text->bytes, key.text->len);
}

struct value template_path(struct interpreter *in, struct value object, struct value path)
{
    const char *part, *end;

    if (path.kind != VALUE_STRING)
        return template_item(in, object, path);
    part = path.text->bytes;
    end = part + path.text->len;
    for (;;) {
        const char *dot = memchr(part, '.', (size_t)(end - part));
        size_t len = (size_t)((dot != NULL ? dot : end) - part);
        bool digits = len > 0 && len < 18 && strspn(part, "0123456789") >= len;
        int64_t index = 0;

        for (size_t i = 0; digits && i < len; i++)
            index = index * 10 + (part[i] - '0');
        object = template_item(in, object,
                               digits ? value_integer(index)
                                      : value_string(in, part, len, false));
        if (dot == NULL || in->failed)
            return object;
        part = dot + 1;
    }
}

//------------------------------------------------------------------ calls

void template_evaluate_args(struct interpreter *in, const struct node *nodes,
                            struct args *args)
{
    size_t count = 0, named = 0;

    for (const struct node *node = nodes; node != NULL; node = node->next) {
        named += node->kind == NODE_KEYWORD;
        count += node->kind != NODE_KEYWORD;
    }
    *args = (struct args){ .count = 0 };
    if (count > 0)
        args->values = template_alloc(in, count, sizeof(*args->values));
    if (named > 0)
        args->named = template_alloc(in, named, sizeof(*args->named));
    for (const struct node *node = nodes; node != NULL && !in->failed;
         node = node->next) {
        if (node->kind == NODE_KEYWORD)
            args->named[args->named_count++] = (struct pair){
                .key = value_text(node->name),
                .value = template_eval(in, node->first),
            };
        else
            args->values[args->count++] = template_eval(in, node);
    }
}

// The position of a parameter in "a b? c?", or -1.
static int parameter_index(const char *params, const struct text *name)
{
    int index = 0;

    while (*params != '\0') {
        size_t len = strcspn(params, " ?");

        if (len == name->len && memcmp(params, name->bytes, len) == 0)
            return index;
        params += len;
        params += strspn(params, " ?");
        index++;
    }
    return -1;
}

// Puts every argument where `params` wants it.
static bool bind(struct interpreter *in, const struct builtin *builtin,
                 const struct args *args, struct value *bound, struct args *result)
{
    const char *params = builtin->params;
    size_t count = 0;

    for (const char *p = params; *p != '\0'; count++) {
        bound[count] = count < args->count ? args->values[count] : value_missing();
        p += strcspn(p, " ");
        p += *p == ' ';
    }
    for (size_t i = 0; i < args->named_count; i++) {
        int index = parameter_index(params, args->named[i].key.text);

        if (index < 0 || bound[index].kind != VALUE_MISSING) {
            template_fail(in, ERR_FORMAT, "%s() got an unexpected argument '%.*s'",
                          builtin->name, (int)args->named[i].key.text->len,
                          args->named[i].key.text->bytes);
            return false;
        }
        bound[index] = args->named[i].value;
    }
    if (args->count > count) {
        template_fail(in, ERR_FORMAT, "%s() takes at most %zu arguments", builtin->name,
                      count);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(params, " ");

        if (bound[i].kind == VALUE_MISSING && params[len - 1] != '?') {
            template_fail(in, ERR_FORMAT, "%s() misses the argument '%.*s'",
                          builtin->name, (int)len, params);
            return false;
        }
        params += len + (params[len] == ' ');
    }
    *result = (struct args){ .values = bound, .count = count };
    return true;
}

struct value template_run(struct interpreter *in, const struct builtin *builtin,
                          struct value subject, const struct args *args)
{
    struct value bound[TEMPLATE_MAX_PARAMS];
    struct args result;

    if (!template_step(in))
        return value_undefined("");
    if (strcmp(builtin->params, "*") == 0)
        return builtin->run(in, subject, args);
    if (!bind(in, builtin, args, bound, &result))
        return value_undefined("");
    return builtin->run(in, subject, &result);
}

struct value template_call(struct interpreter *in, struct value callee,
                           const struct args *args)
{
    if (in->failed)
        return value_undefined("");
    if (callee.kind == VALUE_UNDEFINED)
        return fail_undefined(in, callee);
    if (callee.kind == VALUE_LOOP) {
        if (callee.loop->node == NULL || args->count != 1)
            return template_fail(
                in, ERR_FORMAT, "only a recursive loop can be called, with one argument");
        return template_recurse(in, callee.loop, args->values[0]);
    }
    if (callee.kind != VALUE_CALLABLE)
        return template_fail(in, ERR_FORMAT, "'%s' object is not callable",
                             value_type_name(callee));
    if (callee.callable->builtin != NULL)
        return template_run(in, callee.callable->builtin, callee.callable->subject, args);
    return template_call_macro(in, callee.callable, args);
}

static struct value eval_call(struct interpreter *in, const struct node *node)
{
    struct value callee = template_eval(in, node->first);
    struct args args;

    template_evaluate_args(in, node->second, &args);
    in->line = node->line;
    return template_call(in, callee, &args);
}

// A filter or test of a value.
struct value template_apply(struct interpreter *in, const struct node *node,
                            struct value subject)
{
    struct args args;

    template_evaluate_args(in, node->second, &args);
    in->line = node->line;
    if (node->builtin == NULL)
        return template_fail(in, ERR_UNSUPPORTED, "the %s '%.*s' is not known here",
                             node->kind == NODE_FILTER ? "filter" : "test",
                             (int)node->name->len, node->name->bytes);
    return template_run(in, node->builtin, subject, &args);
}

//------------------------------------------------------------------ the rest

static struct value eval_items(struct interpreter *in, const struct node *items,
                               enum list_kind kind)
{
    struct value list = value_list(in, kind);

    for (; items != NULL && !in->failed; items = items->next)
        list_push(in, list.list, template_eval(in, items));
    return list;
}

static struct value eval_dict(struct interpreter *in, const struct node *pairs)
{
    struct value dict = value_dict(in);

    for (; pairs != NULL && !in->failed; pairs = pairs->next) {
        struct value key = template_eval(in, pairs->first);

        dict_set(in, dict.dict, key, template_eval(in, pairs->second));
    }
    return dict;
}

static struct value eval_concat(struct interpreter *in, const struct node *items)
{
    struct builder builder = builder_create();

    for (; items != NULL && !in->failed; items = items->next)
        template_print(in, &builder, template_eval(in, items));
    return builder_value(in, &builder);
}

static struct value eval_compare(struct interpreter *in, const struct node *node)
{
    struct value left = template_eval(in, node->first);

    for (const struct node *to = node->second; to != NULL; to = to->next) {
        struct value right = template_eval(in, to->first);

        if (!template_compare(in, to->op, left, right))
            return value_bool(false);
        left = right;
    }
    return value_bool(true);
}

static struct value eval_sign(struct interpreter *in, const struct node *node)
{
    struct value value = template_eval(in, node->first);

    if (value.kind == VALUE_REAL)
        return node->kind == NODE_NEGATE ? value_data(value_real(-value.real), value.data)
                                         : value;
    return template_binary(in, node->kind == NODE_NEGATE ? OP_SUBTRACT : OP_ADD,
                           value_integer(0), value);
}

static struct value eval_optional(struct interpreter *in, const struct node *node)
{
    return node != NULL ? template_eval(in, node) : value_none();
}

static struct value eval_item(struct interpreter *in, const struct node *node)
{
    struct value object = template_eval(in, node->first), start, stop, step;

    if (node->second->kind != NODE_SLICE)
        return template_item(in, object, template_eval(in, node->second));
    start = eval_optional(in, node->second->first);
    stop = eval_optional(in, node->second->second);
    step = eval_optional(in, node->second->third);
    return in->failed ? value_undefined("")
                      : template_slice(in, object, start, stop, step);
}

static struct value eval_choice(struct interpreter *in, const struct node *node)
{
    struct value left = template_eval(in, node->first);

    if (node->kind == NODE_CONDITIONAL) {
        if (value_truthy(left))
            return template_eval(in, node->second);
        return node->third != NULL
                   ? template_eval(in, node->third)
                   : value_undefined("the inline if-expression without else");
    }
    if (in->failed || value_truthy(left) == (node->kind == NODE_OR))
        return left;
    return template_eval(in, node->second);
}

static struct value eval_binary(struct interpreter *in, const struct node *node)
{
    struct value left = template_eval(in, node->first);
    struct value right = template_eval(in, node->second);

    in->line = node->line;
    return template_binary(in, node->op, left, right);
}

static struct value eval_node(struct interpreter *in, const struct node *node)
{
    switch (node->kind) {
    case NODE_LITERAL:
        return node->literal;
    case NODE_NAME:
        return eval_name(in, node->name);
    case NODE_LIST:
        return eval_items(in, node->first, LIST_LIST);
    case NODE_TUPLE:
        return eval_items(in, node->first, LIST_TUPLE);
    case NODE_DICT:
        return eval_dict(in, node->first);
    case NODE_AND:
    case NODE_OR:
    case NODE_CONDITIONAL:
        return eval_choice(in, node);
    case NODE_NOT:
        return value_bool(!value_truthy(template_eval(in, node->first)));
    case NODE_NEGATE:
    case NODE_POSITIVE:
        return eval_sign(in, node);
    case NODE_COMPARE:
        return eval_compare(in, node);
    case NODE_BINARY:
        return eval_binary(in, node);
    case NODE_CONCAT:
        return eval_concat(in, node->first);
    case NODE_ATTRIBUTE:
        return template_attribute(in, template_eval(in, node->first), node->name->bytes,
                                  node->name->len);
    case NODE_ITEM:
        return eval_item(in, node);
    case NODE_CALL:
        return eval_call(in, node);
    case NODE_FILTER:
    case NODE_TEST:
        return template_apply(in, node, template_eval(in, node->first));
    default:
        bug("node %d is not an expression", node->kind);
    }
}

struct value template_eval(struct interpreter *in, const struct node *node)
{
    struct value value;

    if (!template_step(in) || !template_descend(in))
        return value_undefined("");
    in->line = node->line;
    value = eval_node(in, node);
    template_ascend(in);
    return value;
}
