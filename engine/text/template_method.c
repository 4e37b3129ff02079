// engine/text/template_method.c
// SPDX-License-Identifier: MIT
//
// Methods of lists, dictionaries and loops. Nothing here changes its object: lists have
// no append, dictionaries no update.
#include "engine/text/template_private.h"

#define METHOD(name)                                                                     \
    static struct value method_##name(struct interpreter *in, struct value subject,      \
                                      const struct args *args)

//------------------------------------------------------------------ dictionaries, lists

static struct value view(struct interpreter *in, struct value subject, bool keys,
                         bool values)
{
    struct value list = value_list(in, LIST_VIEW);

    for (size_t i = 0; i < subject.dict->count && !in->failed; i++) {
        const struct pair *pair = &subject.dict->pairs[i];
        struct value item = keys ? pair->key : pair->value;

        if (keys && values) {
            item = value_list(in, LIST_TUPLE);
            list_push(in, item.list, pair->key);
            list_push(in, item.list, pair->value);
        }
        list_push(in, list.list, item);
    }
    return list;
}

METHOD(items)
{
    (void)args;
    return view(in, subject, true, true);
}

METHOD(keys)
{
    (void)args;
    return view(in, subject, true, false);
}

METHOD(values)
{
    (void)args;
    return view(in, subject, false, true);
}

METHOD(get)
{
    const struct value *found = dict_find(in, subject.dict, args->values[0]);

    if (found != NULL)
        return *found;
    return args->values[1].kind == VALUE_MISSING ? value_none() : args->values[1];
}

// Nothing can change either of them: the same will do.
METHOD(copy)
{
    (void)in;
    (void)args;
    return subject;
}

METHOD(list_index)
{
    for (size_t i = 0; i < subject.list->count && template_step(in); i++) {
        if (template_equal(in, subject.list->items[i], args->values[0]))
            return value_integer((int64_t)i);
    }
    return template_fail(in, ERR_FORMAT, "the value is not in the list");
}

METHOD(list_count)
{
    int64_t count = 0;

    for (size_t i = 0; i < subject.list->count && template_step(in); i++)
        count += template_equal(in, subject.list->items[i], args->values[0]);
    return value_integer(count);
}

//------------------------------------------------------------------ loops

METHOD(cycle)
{
    (void)in;
    if (args->count == 0)
        return template_fail(in, ERR_FORMAT, "no items for cycling given");
    return args->values[subject.loop->index % args->count];
}

METHOD(changed)
{
    struct value now = value_list(in, LIST_TUPLE);
    bool changed;

    for (size_t i = 0; i < args->count && !in->failed; i++)
        list_push(in, now.list, args->values[i]);
    changed =
        !subject.loop->has_changed || !template_equal(in, now, subject.loop->changed);
    subject.loop->changed = now;
    subject.loop->has_changed = true;
    return value_bool(changed);
}

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct builtin dict_methods[] = {
    { "items", "", method_items },   { "keys", "", method_keys },
    { "values", "", method_values }, { "get", "key default?", method_get },
    { "copy", "", method_copy },
};

static const struct builtin list_methods[] = {
    { "index", "value", method_list_index },
    { "count", "value", method_list_count },
    { "copy", "", method_copy },
};

static const struct builtin loop_methods[] = {
    { "cycle", "*", method_cycle },
    { "changed", "*", method_changed },
};

const struct builtin *template_find_method(struct value object, const char *name,
                                           size_t len)
{
    switch (object.kind) {
    case VALUE_STRING:
        return template_find_text_method(name, len);
    case VALUE_DICT:
        return template_find_builtin(dict_methods, COUNT(dict_methods), name, len);
    case VALUE_LIST:
        if (object.list->kind != LIST_LIST && object.list->kind != LIST_TUPLE)
            return NULL;
        return template_find_builtin(list_methods, COUNT(list_methods), name, len);
    case VALUE_LOOP:
        return template_find_builtin(loop_methods, COUNT(loop_methods), name, len);
    default:
        return NULL;
    }
}
