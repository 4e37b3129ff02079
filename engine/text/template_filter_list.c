// engine/text/template_filter_list.c
// SPDX-License-Identifier: MIT
//
// Filters of lists and dictionaries. Those that are generators in Jinja2 give lists of
// the kind LIST_GENERATOR, computed at once.
#include "engine/text/template_private.h"

#include <string.h>

#define FILTER(name)                                                                     \
    static struct value filter_##name(struct interpreter *in, struct value subject,      \
                                      const struct args *args)

static struct value empty_list(struct interpreter *in)
{
    return value_list(in, LIST_LIST);
}

// The elements as a fresh list.
static struct value elements(struct interpreter *in, struct value subject,
                             enum list_kind kind)
{
    struct value list = value_list(in, kind);
    const struct value *items;
    size_t count;

    if (!value_iterate(in, subject, &items, &count))
        return list;
    for (size_t i = 0; i < count && !in->failed; i++)
        list_push(in, list.list, items[i]);
    return value_data(list, subject.data);
}

FILTER(list)
{
    (void)args;
    return elements(in, subject, LIST_LIST);
}

FILTER(first)
{
    struct value list = elements(in, subject, LIST_LIST);

    (void)args;
    return list.list->count > 0 ? list.list->items[0]
                                : value_undefined("the first of an empty list");
}

FILTER(last)
{
    struct value list;

    (void)args;
    if (subject.kind == VALUE_LIST && subject.list->kind == LIST_GENERATOR)
        return template_fail(in, ERR_FORMAT, "'generator' object is not reversible");
    list = elements(in, subject, LIST_LIST);
    return list.list->count > 0 ? list.list->items[list.list->count - 1]
                                : value_undefined("the last of an empty list");
}

FILTER(reverse)
{
    struct value list = elements(in, subject, LIST_GENERATOR);
    size_t count = list.list->count;

    (void)args;
    for (size_t i = 0; i < count / 2; i++) {
        struct value item = list.list->items[i];

        list.list->items[i] = list.list->items[count - 1 - i];
        list.list->items[count - 1 - i] = item;
    }
    if (subject.kind == VALUE_STRING)
        return template_join(in, &template_empty_text, list, false);
    return list;
}

FILTER(items)
{
    struct value list = value_list(in, LIST_GENERATOR);

    (void)args;
    if (subject.kind == VALUE_UNDEFINED)
        return list;
    if (subject.kind != VALUE_DICT)
        return template_fail(in, ERR_FORMAT, "Can only get item pairs from a mapping.");
    for (size_t i = 0; i < subject.dict->count && !in->failed; i++) {
        struct value pair = value_list(in, LIST_TUPLE);

        list_push(in, pair.list, subject.dict->pairs[i].key);
        list_push(in, pair.list, subject.dict->pairs[i].value);
        list_push(in, list.list, pair);
    }
    return list;
}

//------------------------------------------------------------------ keys

// What an element is sorted, grouped or compared by.
struct key {
    struct value attribute; // VALUE_MISSING: the element itself
    struct value fallback;  // VALUE_MISSING: none
    bool case_sensitive;
};

static struct value key_of(struct interpreter *in, const struct key *key,
                           struct value item)
{
    if (key->attribute.kind != VALUE_MISSING && key->attribute.kind != VALUE_NONE)
        item = template_path(in, item, key->attribute);
    if (item.kind == VALUE_UNDEFINED && key->fallback.kind != VALUE_MISSING)
        item = key->fallback;
    if (item.kind == VALUE_STRING && !key->case_sensitive)
        item = template_change_case(in, item.text, CASE_LOWER);
    return item;
}

struct keyed {
    struct value key, item;
};

// Stable, by merging; `spare` has room for count elements.
static void merge_sort(struct interpreter *in, struct keyed *items, struct keyed *spare,
                       size_t count, bool reverse)
{
    size_t half = count / 2, left = 0, right = half;

    if (count < 2 || in->failed)
        return;
    merge_sort(in, items, spare, half, reverse);
    merge_sort(in, items + half, spare, count - half, reverse);
    for (size_t i = 0; i < count && template_step(in); i++) {
        int order = 0;

        if (left < half && right < count)
            order = template_order(in, items[left].key, items[right].key);
        if (right == count || (left < half && (reverse ? order >= 0 : order <= 0)))
            spare[i] = items[left++];
        else
            spare[i] = items[right++];
    }
    if (!in->failed)
        memcpy(items, spare, count * sizeof(*items));
}

// Sorts the elements of list (which is ours alone) and returns their keys beside them.
static struct keyed *sort_list(struct interpreter *in, struct list *list,
                               const struct key *key, bool reverse)
{
    struct keyed *items = template_alloc(in, list->count + 1, 2 * sizeof(*items));

    if (items == NULL)
        return NULL;
    for (size_t i = 0; i < list->count && !in->failed; i++)
        items[i] = (struct keyed){ key_of(in, key, list->items[i]), list->items[i] };
    merge_sort(in, items, items + list->count, list->count, reverse);
    for (size_t i = 0; i < list->count && !in->failed; i++)
        list->items[i] = items[i].item;
    return in->failed ? NULL : items;
}

// "a,b" sorts by a, then by b: a list of the parts, or the attribute itself.
static struct value split_attribute(struct interpreter *in, struct value attribute)
{
    if (attribute.kind == VALUE_STRING &&
        memchr(attribute.text->bytes, ',', attribute.text->len) != NULL)
        return template_fail(in, ERR_UNSUPPORTED, "sorting by several attributes");
    return attribute;
}

FILTER(sort)
{
    struct value list = elements(in, subject, LIST_LIST);
    struct key key = { split_attribute(in, args->values[2]), value_missing(),
                       args_bool(args, 1, false) };

    sort_list(in, list.list, &key, args_bool(args, 0, false));
    return list;
}

FILTER(dictsort)
{
    const struct text *by = args_text(in, args, 1, "the `by` of dictsort");
    bool by_value = by != NULL && value_is_string(value_text(by), "value");
    struct key key = { value_integer(by_value), value_missing(),
                       args_bool(args, 0, false) };
    struct value list;

    if (subject.kind != VALUE_DICT)
        return template_fail(in, ERR_FORMAT, "'%s' object has no attribute 'items'",
                             value_type_name(subject));
    if (by != NULL && !by_value && !value_is_string(value_text(by), "key"))
        return template_fail(in, ERR_FORMAT,
                             "You can only sort by either \"key\" or \"value\"");
    list = elements(in, filter_items(in, subject, args), LIST_LIST);
    sort_list(in, list.list, &key, args_bool(args, 2, false));
    return list;
}

FILTER(groupby)
{
    struct value list = elements(in, subject, LIST_LIST), groups = empty_list(in);
    struct key key = { args->values[0], args->values[1], args_bool(args, 2, false) };
    struct keyed *items = sort_list(in, list.list, &key, false);
    struct key plain = { args->values[0], args->values[1], true };
    struct value group = value_missing();

    for (size_t i = 0; items != NULL && i < list.list->count && !in->failed; i++) {
        if (i == 0 || !template_equal(in, items[i - 1].key, items[i].key)) {
            group = value_list(in, LIST_TUPLE);
            if (in->failed)
                break;
            group.list->group = true;
            list_push(in, group.list, key_of(in, &plain, items[i].item));
            list_push(in, group.list, empty_list(in));
            list_push(in, groups.list, group);
        }
        if (!in->failed)
            list_push(in, group.list->items[1].list, items[i].item);
    }
    return groups;
}

FILTER(unique)
{
    struct value list = elements(in, subject, LIST_LIST), seen = value_dict(in);
    struct value result = value_list(in, LIST_GENERATOR);
    struct key key = { args->values[1], value_missing(), args_bool(args, 0, false) };

    for (size_t i = 0; i < list.list->count && template_step(in); i++) {
        struct value item_key = key_of(in, &key, list.list->items[i]);

        if (dict_find(in, seen.dict, item_key) != NULL)
            continue;
        dict_append(in, seen.dict, item_key, value_none());
        list_push(in, result.list, list.list->items[i]);
    }
    return result;
}

static struct value extreme(struct interpreter *in, struct value subject,
                            const struct args *args, int sign)
{
    struct value list = elements(in, subject, LIST_LIST);
    struct key key = { args->values[1], value_missing(), args_bool(args, 0, false) };
    struct value best, best_key;

    if (list.list->count == 0)
        return value_undefined("No aggregated item, sequence was empty.");
    best = list.list->items[0];
    best_key = key_of(in, &key, best);
    for (size_t i = 1; i < list.list->count && template_step(in); i++) {
        struct value item_key = key_of(in, &key, list.list->items[i]);

        if (sign * template_order(in, item_key, best_key) > 0) {
            best = list.list->items[i];
            best_key = item_key;
        }
    }
    return best;
}

FILTER(max)
{
    return extreme(in, subject, args, 1);
}

FILTER(min)
{
    return extreme(in, subject, args, -1);
}

FILTER(sum)
{
    struct key key = { args->values[0], value_missing(), true };
    struct value total =
        args->values[1].kind == VALUE_MISSING ? value_integer(0) : args->values[1];
    const struct value *items;
    size_t count;

    if (!value_iterate(in, subject, &items, &count))
        return total;
    for (size_t i = 0; i < count && template_step(in); i++)
        total = template_binary(in, OP_ADD, total, key_of(in, &key, items[i]));
    return total;
}

FILTER(join)
{
    const struct text *separator = &template_empty_text;
    struct key key = { args->values[1], value_missing(), true };
    struct value list;

    if (args->values[0].kind != VALUE_MISSING)
        separator = template_text(in, args->values[0]);
    if (args->values[1].kind == VALUE_MISSING)
        return template_join(in, separator, subject, false);
    list = elements(in, subject, LIST_LIST);
    for (size_t i = 0; i < list.list->count && !in->failed; i++)
        list.list->items[i] = key_of(in, &key, list.list->items[i]);
    return template_join(in, separator, list, false);
}

FILTER(batch)
{
    struct value list = elements(in, subject, LIST_LIST);
    struct value result = value_list(in, LIST_GENERATOR), row = value_missing();
    int64_t size = args_integer(in, args, 0, 1, "the size of batch");

    if (size < 1)
        return template_fail(in, ERR_FORMAT, "the size of batch must be positive");
    for (size_t i = 0; i < list.list->count && !in->failed; i++) {
        if (i % (size_t)size == 0) {
            row = empty_list(in);
            list_push(in, result.list, row);
        }
        list_push(in, row.list, list.list->items[i]);
    }
    if (args->values[1].kind == VALUE_MISSING || args->values[1].kind == VALUE_NONE ||
        row.kind != VALUE_LIST)
        return result;
    while ((int64_t)row.list->count < size && !in->failed)
        list_push(in, row.list, args->values[1]);
    return result;
}

//------------------------------------------------------------------ filters of filters

// The arguments behind the first `skip`.
static struct args rest_of(const struct args *args, size_t skip)
{
    struct args rest = *args;

    rest.values += skip;
    rest.count -= skip;
    return rest;
}

static const struct builtin *named_builtin(struct interpreter *in, struct value name,
                                           bool test)
{
    const struct builtin *found = NULL;

    if (name.kind == VALUE_STRING)
        found = test ? template_find_test(name.text->bytes, name.text->len)
                     : template_find_filter(name.text->bytes, name.text->len);
    if (found == NULL)
        template_fail(
            in, ERR_UNSUPPORTED, "a %s named '%.*s'", test ? "test" : "filter",
            name.kind == VALUE_STRING && name.text->len < 100 ? (int)name.text->len : 0,
            name.kind == VALUE_STRING ? name.text->bytes : "");
    return found;
}

// The elements; as in Jinja2, these filters take anything false for an empty list.
static bool truthy_elements(struct interpreter *in, struct value subject,
                            const struct value **items, size_t *count)
{
    if (!value_truthy(subject))
        subject = empty_list(in);
    return value_iterate(in, subject, items, count);
}

static struct value map_attribute(struct interpreter *in, struct value subject,
                                  const struct args *args)
{
    struct value result = value_list(in, LIST_GENERATOR);
    struct key key = { value_missing(), value_missing(), true };
    const struct value *items;
    size_t count;

    for (size_t i = 0; i < args->named_count; i++) {
        if (value_is_string(args->named[i].key, "attribute"))
            key.attribute = args->named[i].value;
        else if (value_is_string(args->named[i].key, "default"))
            key.fallback = args->named[i].value;
        else
            return template_fail(in, ERR_FORMAT, "map() got an unexpected argument");
    }
    if (key.attribute.kind == VALUE_MISSING)
        return template_fail(in, ERR_FORMAT, "map requires a filter argument");
    if (!truthy_elements(in, subject, &items, &count))
        return result;
    for (size_t i = 0; i < count && template_step(in); i++)
        list_push(in, result.list, key_of(in, &key, items[i]));
    return result;
}

FILTER(map)
{
    struct value result = value_list(in, LIST_GENERATOR);
    const struct builtin *filter;
    const struct value *items;
    struct args rest;
    size_t count;

    if (args->count == 0)
        return map_attribute(in, subject, args);
    rest = rest_of(args, 1);
    filter = named_builtin(in, args->values[0], false);
    if (filter == NULL || !truthy_elements(in, subject, &items, &count))
        return result;
    for (size_t i = 0; i < count && !in->failed; i++)
        list_push(in, result.list, template_run(in, filter, items[i], &rest));
    return result;
}

// Keeps the elements whose test (or truth) is `wanted`; the test looks at the attribute,
// if there is one.
static struct value choose(struct interpreter *in, struct value subject,
                           const struct args *args, const struct key *key, bool wanted)
{
    struct value result = value_list(in, LIST_GENERATOR);
    const struct builtin *test = NULL;
    const struct value *items;
    struct args rest = *args;
    size_t count;

    if (args->count > 0) {
        test = named_builtin(in, args->values[0], true);
        rest = rest_of(args, 1);
    }
    if (!truthy_elements(in, subject, &items, &count))
        return result;
    for (size_t i = 0; i < count && template_step(in); i++) {
        struct value looked_at = key_of(in, key, items[i]);

        if (test != NULL)
            looked_at = template_run(in, test, looked_at, &rest);
        if (value_truthy(looked_at) == wanted)
            list_push(in, result.list, items[i]);
    }
    return result;
}

FILTER(select)
{
    struct key key = { value_missing(), value_missing(), true };

    return choose(in, subject, args, &key, true);
}

FILTER(reject)
{
    struct key key = { value_missing(), value_missing(), true };

    return choose(in, subject, args, &key, false);
}

static struct value choose_by(struct interpreter *in, struct value subject,
                              const struct args *args, bool wanted)
{
    struct key key = { value_missing(), value_missing(), true };
    struct args rest;

    if (args->count == 0)
        return template_fail(in, ERR_FORMAT, "Missing parameter for attribute name");
    key.attribute = args->values[0];
    rest = rest_of(args, 1);
    return choose(in, subject, &rest, &key, wanted);
}

FILTER(selectattr)
{
    return choose_by(in, subject, args, true);
}

FILTER(rejectattr)
{
    return choose_by(in, subject, args, false);
}

const struct builtin *template_find_list_filter(const char *name, size_t len)
{
    static const struct builtin table[] = {
        { "list", "", filter_list },
        { "first", "", filter_first },
        { "last", "", filter_last },
        { "reverse", "", filter_reverse },
        { "items", "", filter_items },
        { "sort", "reverse? case_sensitive? attribute?", filter_sort },
        { "dictsort", "case_sensitive? by? reverse?", filter_dictsort },
        { "groupby", "attribute default? case_sensitive?", filter_groupby },
        { "unique", "case_sensitive? attribute?", filter_unique },
        { "max", "case_sensitive? attribute?", filter_max },
        { "min", "case_sensitive? attribute?", filter_min },
        { "sum", "attribute? start?", filter_sum },
        { "join", "d? attribute?", filter_join },
        { "batch", "linecount fill_with?", filter_batch },
        { "map", "*", filter_map },
        { "select", "*", filter_select },
        { "reject", "*", filter_reject },
        { "selectattr", "*", filter_selectattr },
        { "rejectattr", "*", filter_rejectattr },
    };

    return template_find_builtin(table, sizeof(table) / sizeof(table[0]), name, len);
}
