// engine/text/template_test.c
// SPDX-License-Identifier: MIT
//
// What can follow `is`.
#include "engine/text/template_private.h"

#include <string.h>

#include <utf8proc.h>

#define TEST(name)                                                                       \
    static struct value test_##name(struct interpreter *in, struct value subject,        \
                                    const struct args *args)

// Tests of the kind alone.
#define KIND_TEST(name, condition)                                                       \
    TEST(name)                                                                           \
    {                                                                                    \
        (void)in;                                                                        \
        (void)args;                                                                      \
        return value_bool(condition);                                                    \
    }

static bool is_kind(struct value value, enum value_kind kind)
{
    return value.kind == kind;
}

static bool is_sequence(struct value value)
{
    return value.kind == VALUE_STRING || value.kind == VALUE_DICT ||
           value.kind == VALUE_UNDEFINED ||
           (value.kind == VALUE_LIST && value.list->kind != LIST_GENERATOR &&
            value.list->kind != LIST_VIEW);
}

static bool is_iterable(struct value value)
{
    return is_kind(value, VALUE_STRING) || is_kind(value, VALUE_DICT) ||
           is_kind(value, VALUE_LIST) || is_kind(value, VALUE_UNDEFINED) ||
           is_kind(value, VALUE_LOOP);
}

KIND_TEST(defined, !is_kind(subject, VALUE_UNDEFINED))
KIND_TEST(undefined, is_kind(subject, VALUE_UNDEFINED))
KIND_TEST(none, is_kind(subject, VALUE_NONE))
KIND_TEST(boolean, is_kind(subject, VALUE_BOOL))
KIND_TEST(is_true, is_kind(subject, VALUE_BOOL) && subject.boolean)
KIND_TEST(is_false, is_kind(subject, VALUE_BOOL) && !subject.boolean)
KIND_TEST(integer, is_kind(subject, VALUE_INTEGER))
KIND_TEST(float, is_kind(subject, VALUE_REAL))
KIND_TEST(number, value_is_number(subject))
KIND_TEST(string, is_kind(subject, VALUE_STRING))
KIND_TEST(mapping, is_kind(subject, VALUE_DICT))
KIND_TEST(sequence, is_sequence(subject))
KIND_TEST(iterable, is_iterable(subject))
KIND_TEST(callable, is_kind(subject, VALUE_CALLABLE) || is_kind(subject, VALUE_LOOP) ||
                        is_kind(subject, VALUE_UNDEFINED))
KIND_TEST(escaped, is_kind(subject, VALUE_STRING) && subject.text->markup)

static bool has_case(struct interpreter *in, struct value subject, enum unicode_case to)
{
    const struct text *text = template_text(in, subject);
    bool cased = false;
    size_t len;

    for (size_t i = 0; i < text->len; i += len) {
        utf8proc_int32_t c = (utf8proc_int32_t)unicode_at(text, i, &len);
        bool upper = utf8proc_tolower(c) != c, lower = utf8proc_toupper(c) != c;

        if (to == CASE_UPPER ? lower : upper)
            return false;
        cased = cased || upper || lower;
    }
    template_charge(in, text->len);
    return cased;
}

KIND_TEST(upper, has_case(in, subject, CASE_UPPER))
KIND_TEST(lower, has_case(in, subject, CASE_LOWER))

static struct value remainder_is(struct interpreter *in, struct value subject,
                                 struct value divisor, int64_t wanted)
{
    struct value rest = template_binary(in, OP_MODULO, subject, divisor);

    return value_bool(template_equal(in, rest, value_integer(wanted)));
}

TEST(odd)
{
    (void)args;
    return remainder_is(in, subject, value_integer(2), 1);
}

TEST(even)
{
    (void)args;
    return remainder_is(in, subject, value_integer(2), 0);
}

TEST(divisibleby)
{
    return remainder_is(in, subject, args->values[0], 0);
}

TEST(eq)
{
    return value_bool(template_equal(in, subject, args->values[0]));
}

TEST(ne)
{
    return value_bool(!template_equal(in, subject, args->values[0]));
}

TEST(lt)
{
    return value_bool(template_compare(in, OP_LESS, subject, args->values[0]));
}

TEST(le)
{
    return value_bool(template_compare(in, OP_LESS_EQUAL, subject, args->values[0]));
}

TEST(gt)
{
    return value_bool(template_compare(in, OP_GREATER, subject, args->values[0]));
}

TEST(ge)
{
    return value_bool(template_compare(in, OP_GREATER_EQUAL, subject, args->values[0]));
}

TEST(in)
{
    return value_bool(template_compare(in, OP_IN, subject, args->values[0]));
}

// Identity: of lists and dictionaries by place, of everything else by value.
TEST(sameas)
{
    struct value other = args->values[0];

    if (subject.kind != other.kind)
        return value_bool(false);
    if (subject.kind == VALUE_LIST)
        return value_bool(subject.list == other.list);
    if (subject.kind == VALUE_DICT)
        return value_bool(subject.dict == other.dict);
    return value_bool(template_equal(in, subject, other));
}

static const struct text *name_of(struct interpreter *in, struct value subject)
{
    if (subject.kind == VALUE_STRING)
        return subject.text;
    template_fail(in, ERR_FORMAT, "a name must be a string, not %s",
                  value_type_name(subject));
    return &template_empty_text;
}

TEST(filter)
{
    const struct text *name = name_of(in, subject);

    (void)args;
    return value_bool(template_find_filter(name->bytes, name->len) != NULL);
}

TEST(test)
{
    const struct text *name = name_of(in, subject);

    (void)args;
    return value_bool(template_find_test(name->bytes, name->len) != NULL);
}

const struct builtin *template_find_test(const char *name, size_t len)
{
    static const struct builtin table[] = {
        { "defined", "", test_defined },    { "undefined", "", test_undefined },
        { "none", "", test_none },          { "boolean", "", test_boolean },
        { "true", "", test_is_true },       { "false", "", test_is_false },
        { "integer", "", test_integer },    { "float", "", test_float },
        { "number", "", test_number },      { "string", "", test_string },
        { "mapping", "", test_mapping },    { "sequence", "", test_sequence },
        { "iterable", "", test_iterable },  { "callable", "", test_callable },
        { "escaped", "", test_escaped },    { "upper", "", test_upper },
        { "lower", "", test_lower },        { "odd", "", test_odd },
        { "even", "", test_even },          { "divisibleby", "num", test_divisibleby },
        { "eq", "other", test_eq },         { "equalto", "other", test_eq },
        { "==", "other", test_eq },         { "ne", "other", test_ne },
        { "!=", "other", test_ne },         { "lt", "other", test_lt },
        { "lessthan", "other", test_lt },   { "<", "other", test_lt },
        { "le", "other", test_le },         { "<=", "other", test_le },
        { "gt", "other", test_gt },         { "greaterthan", "other", test_gt },
        { ">", "other", test_gt },          { "ge", "other", test_ge },
        { ">=", "other", test_ge },         { "in", "seq", test_in },
        { "sameas", "other", test_sameas }, { "filter", "", test_filter },
        { "test", "", test_test },
    };

    return template_find_builtin(table, sizeof(table) / sizeof(table[0]), name, len);
}
