// engine/text/template_function.c
// SPDX-License-Identifier: MIT
//
// The global functions of a template, and the lookup in all tables of built-ins.
#include "engine/text/template_private.h"

#include <string.h>

const struct builtin *template_find_builtin(const struct builtin *table, size_t count,
                                            const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0)
            return &table[i];
    }
    return NULL;
}

const struct text *args_text(struct interpreter *in, const struct args *args, size_t i,
                             const char *what)
{
    const struct value *value = &args->values[i];

    if (value->kind == VALUE_MISSING || value->kind == VALUE_NONE)
        return NULL;
    if (value->kind != VALUE_STRING) {
        template_fail(in, ERR_FORMAT, "%s must be a string, not %s", what,
                      value_type_name(*value));
        return NULL;
    }
    return value->text;
}

int64_t args_integer(struct interpreter *in, const struct args *args, size_t i,
                     int64_t fallback, const char *what)
{
    const struct value *value = &args->values[i];

    if (value->kind == VALUE_MISSING || value->kind == VALUE_NONE)
        return fallback;
    if (value->kind == VALUE_BOOL)
        return value->boolean;
    if (value->kind != VALUE_INTEGER) {
        template_fail(in, ERR_FORMAT, "%s must be an integer, not %s", what,
                      value_type_name(*value));
        return fallback;
    }
    return value->integer;
}

bool args_bool(const struct args *args, size_t i, bool fallback)
{
    return args->values[i].kind == VALUE_MISSING ? fallback
                                                 : value_truthy(args->values[i]);
}

//------------------------------------------------------------------ functions

static struct value function_range(struct interpreter *in, struct value subject,
                                   const struct args *args)
{
    bool two = args->values[1].kind != VALUE_MISSING;
    int64_t first = args_integer(in, args, 0, 0, "a bound of range()");
    int64_t start = two ? first : 0;
    int64_t stop = two ? args_integer(in, args, 1, 0, "a bound of range()") : first;
    int64_t step = args_integer(in, args, 2, 1, "the step of range()"), distance;
    struct value list = value_list(in, LIST_RANGE);
    uint64_t count;

    (void)subject;
    if (in->failed)
        return list;
    if (step == 0 || step == INT64_MIN)
        return template_fail(in, ERR_FORMAT, "the step of range() must not be zero");
    if (__builtin_sub_overflow(stop, start, &distance))
        return template_fail(in, ERR_LIMIT, "range() of more than %d",
                             TEMPLATE_MAX_RANGE);
    if ((distance > 0) != (step > 0) || distance == 0)
        return list;
    count = (uint64_t)((distance - (step > 0 ? 1 : -1)) / step) + 1;
    if (count > TEMPLATE_MAX_RANGE)
        return template_fail(in, ERR_LIMIT, "range() of more than %d",
                             TEMPLATE_MAX_RANGE);
    for (uint64_t i = 0; i < count; i++)
        list_push(in, list.list, value_integer(start + (int64_t)i * step));
    return list;
}

static void add_named(struct interpreter *in, struct dict *dict, const struct args *args)
{
    for (size_t i = 0; i < args->named_count; i++)
        dict_set(in, dict, args->named[i].key, args->named[i].value);
}

static void add_pair(struct interpreter *in, struct dict *dict, struct value pair)
{
    const struct value *items;
    size_t count;

    if (!value_iterate(in, pair, &items, &count))
        return;
    if (count != 2)
        template_fail(in, ERR_FORMAT, "dict() takes pairs, not %zu values", count);
    else
        dict_set(in, dict, items[0], items[1]);
}

static struct value function_dict(struct interpreter *in, struct value subject,
                                  const struct args *args)
{
    struct value dict = value_dict(in);
    const struct value *items;
    size_t count;

    (void)subject;
    if (args->count > 1)
        return template_fail(in, ERR_FORMAT, "dict() takes one positional argument");
    if (args->count == 1 && args->values[0].kind == VALUE_DICT) {
        const struct dict *from = args->values[0].dict;

        for (size_t i = 0; i < from->count; i++)
            dict_append(in, dict.dict, from->pairs[i].key, from->pairs[i].value);
        dict.data = args->values[0].data;
    } else if (args->count == 1 && value_iterate(in, args->values[0], &items, &count)) {
        for (size_t i = 0; i < count && !in->failed; i++)
            add_pair(in, dict.dict, items[i]);
    }
    add_named(in, dict.dict, args);
    return dict;
}

static struct value function_namespace(struct interpreter *in, struct value subject,
                                       const struct args *args)
{
    struct value space = function_dict(in, subject, args);

    space.kind = in->failed ? VALUE_UNDEFINED : VALUE_NAMESPACE;
    if (in->failed)
        space.name = "";
    return space;
}

static struct value function_raise(struct interpreter *in, struct value subject,
                                   const struct args *args)
{
    const struct text *words = template_text(in, args->values[0]);

    (void)subject;
    return template_fail(in, ERR_FORMAT, "%.*s",
                         (int)(words->len < 350 ? words->len : 350), words->bytes);
}

static struct value function_strftime(struct interpreter *in, struct value subject,
                                      const struct args *args)
{
    const struct text *format = args_text(in, args, 0, "the format of strftime_now()");

    (void)subject;
    return format != NULL ? template_strftime(in, format) : value_undefined("");
}

// The state of a cycler or joiner: values and where it stands, in a list that only the
// functions here change.
static struct value stateful(struct interpreter *in, const struct builtin *builtin,
                             const struct args *args)
{
    struct callable *callable = template_alloc(in, 1, sizeof(*callable));
    struct value state = value_list(in, LIST_LIST);

    if (callable == NULL)
        return value_undefined("");
    list_push(in, state.list, value_integer(0));
    for (size_t i = 0; i < args->count; i++)
        list_push(in, state.list, args->values[i]);
    callable->builtin = builtin;
    callable->subject = state;
    return (struct value){ .kind = VALUE_CALLABLE, .callable = callable };
}

static struct value joiner_call(struct interpreter *in, struct value state,
                                const struct args *args)
{
    (void)in;
    (void)args;
    if (state.list->items[0].integer++ == 0)
        return value_text(&template_empty_text);
    return state.list->items[1];
}

static struct value function_joiner(struct interpreter *in, struct value subject,
                                    const struct args *args)
{
    static const struct builtin call = { "joiner", "", joiner_call };
    struct value separator = args->values[0];
    struct args state = { .values = &separator, .count = 1 };

    (void)subject;
    if (separator.kind == VALUE_MISSING)
        separator = value_literal(in, ", ");
    return stateful(in, &call, &state);
}

static struct value cycler_next(struct interpreter *in, struct value state,
                                const struct args *args)
{
    struct value *items = state.list->items;
    size_t count = state.list->count - 1;
    struct value value = items[1 + (size_t)items[0].integer];

    (void)in;
    (void)args;
    items[0].integer = (items[0].integer + 1) % (int64_t)count;
    return value;
}

static struct value cycler_reset(struct interpreter *in, struct value state,
                                 const struct args *args)
{
    (void)in;
    (void)args;
    state.list->items[0].integer = 0;
    return value_none();
}

static struct value function_cycler(struct interpreter *in, struct value subject,
                                    const struct args *args)
{
    static const struct builtin next = { "next", "", cycler_next };
    static const struct builtin reset = { "reset", "", cycler_reset };
    struct value cycler = value_dict(in), state = stateful(in, &next, args);
    struct callable *resets = template_alloc(in, 1, sizeof(*resets));

    (void)subject;
    if (args->count == 0 || args->named_count > 0)
        return template_fail(in, ERR_FORMAT, "at least one item has to be provided");
    if (resets == NULL)
        return value_undefined("");
    *resets = (struct callable){ .builtin = &reset, .subject = state.callable->subject };
    dict_append(in, cycler.dict, value_literal(in, "next"), state);
    dict_append(in, cycler.dict, value_literal(in, "reset"),
                (struct value){ .kind = VALUE_CALLABLE, .callable = resets });
    cycler.kind = VALUE_NAMESPACE;
    return cycler;
}

const struct builtin *template_find_function(const char *name, size_t len)
{
    static const struct builtin table[] = {
        { "range", "start stop? step?", function_range },
        { "dict", "*", function_dict },
        { "namespace", "*", function_namespace },
        { "raise_exception", "message", function_raise },
        { "strftime_now", "format", function_strftime },
        { "joiner", "sep?", function_joiner },
        { "cycler", "*", function_cycler },
    };

    return template_find_builtin(table, sizeof(table) / sizeof(table[0]), name, len);
}
