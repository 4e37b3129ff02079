// engine/text/template_operator.c
// SPDX-License-Identifier: MIT
//
// Arithmetic, comparison, membership and slices with Python's meaning. Integers have 64
// bits: what would not fit is an error, never a wrong number.
#include "engine/text/template_private.h"

#include <math.h>
#include <string.h>

#define COMPARE_UNITS 8 // what comparing two values costs besides their bytes

static int64_t as_integer(struct value value)
{
    return value.kind == VALUE_BOOL ? value.boolean : value.integer;
}

static struct value unsupported(struct interpreter *in, const char *op, struct value left,
                                struct value right)
{
    if (left.kind == VALUE_UNDEFINED || right.kind == VALUE_UNDEFINED)
        return template_fail(in, ERR_FORMAT, "'%s' is undefined",
                             left.kind == VALUE_UNDEFINED ? left.name : right.name);
    return template_fail(in, ERR_FORMAT,
                         "unsupported operand type(s) for %s: '%s' and '%s'", op,
                         value_type_name(left), value_type_name(right));
}

//------------------------------------------------------------------ arithmetic

static const char *operator_name(enum operator_kind op)
{
    static const char *const names[] = {
        [OP_ADD] = "+",     [OP_SUBTRACT] = "-",       [OP_MULTIPLY] = "*",
        [OP_DIVIDE] = "/",  [OP_FLOOR_DIVIDE] = "//",  [OP_MODULO] = "%",
        [OP_POWER] = "**",  [OP_LESS] = "<",           [OP_LESS_EQUAL] = "<=",
        [OP_GREATER] = ">", [OP_GREATER_EQUAL] = ">=",
    };

    return names[op];
}

static bool integer_power(int64_t base, int64_t exponent, int64_t *out)
{
    *out = 1;
    while (exponent > 0) {
        if ((exponent & 1) != 0 && __builtin_mul_overflow(*out, base, out))
            return false;
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
            return false;
    }
    return true;
}

// Division rounds down, the remainder has the sign of b. b is neither 0 nor -1.
static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}

// false: does not fit.
static bool integer_result(enum operator_kind op, int64_t a, int64_t b, int64_t *out)
{
    *out = 0;
    switch (op) {
    case OP_ADD:
        return !__builtin_add_overflow(a, b, out);
    case OP_SUBTRACT:
        return !__builtin_sub_overflow(a, b, out);
    case OP_MULTIPLY:
        return !__builtin_mul_overflow(a, b, out);
    case OP_FLOOR_DIVIDE:
        if (b == -1)
            return !__builtin_sub_overflow(0, a, out);
        *out = floor_divide(a, b);
        return true;
    case OP_MODULO:
        *out = b == -1 ? 0 : a - floor_divide(a, b) * b;
        return true;
    default:
        return integer_power(a, b, out);
    }
}

static double real_result(enum operator_kind op, double a, double b)
{
    double rest;

    switch (op) {
    case OP_ADD:
        return a + b;
    case OP_SUBTRACT:
        return a - b;
    case OP_MULTIPLY:
        return a * b;
    case OP_DIVIDE:
        return a / b;
    case OP_FLOOR_DIVIDE:
        return floor(a / b);
    case OP_MODULO:
        rest = fmod(a, b);
        return rest < 0 || rest > 0 ? (rest < 0) != (b < 0) ? rest + b : rest
                                    : copysign(0, b);
    default:
        return pow(a, b);
    }
}

static struct value arithmetic(struct interpreter *in, enum operator_kind op,
                               struct value left, struct value right)
{
    bool data = left.data || right.data;
    bool divides = op == OP_DIVIDE || op == OP_FLOOR_DIVIDE || op == OP_MODULO;
    bool real = left.kind == VALUE_REAL || right.kind == VALUE_REAL || op == OP_DIVIDE;
    int64_t result;

    if (divides && !value_truthy(right))
        return template_fail(in, ERR_FORMAT, "division by zero");
    if (op == OP_POWER && !real && as_integer(right) < 0)
        real = true;
    if (real)
        return value_data(
            value_real(real_result(op, value_as_real(left), value_as_real(right))), data);
    if (!integer_result(op, as_integer(left), as_integer(right), &result))
        return template_fail(in, ERR_UNSUPPORTED, "integers of more than 64 bits");
    return value_data(value_integer(result), data);
}

struct value template_escape(struct interpreter *in, const struct text *text)
{
    static const char special[] = "&<>'\"";
    static const char *const escaped[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
    struct builder builder = builder_create();
    struct value value;

    if (text->markup)
        return value_text(text);
    for (size_t i = 0; i < text->len && !in->failed; i++) {
        bool data = text->marks != NULL ? text->marks[i] : text->data;
        const char *found =
            text->bytes[i] != '\0' ? strchr(special, text->bytes[i]) : NULL;

        if (found != NULL)
            builder_literal(in, &builder, escaped[found - special], data);
        else
            builder_append(in, &builder, text->bytes + i, 1, NULL, data);
    }
    value = builder_value(in, &builder);
    if (value.text != &template_empty_text)
        ((struct text *)value.text)->markup = true; // still ours alone
    return value;
}

static struct value add_texts(struct interpreter *in, const struct text *left,
                              const struct text *right)
{
    struct builder builder = builder_create();
    bool markup = left->markup || right->markup;
    struct value value;

    if (markup) {
        left = template_escape(in, left).text;
        right = template_escape(in, right).text;
    }
    builder_text(in, &builder, left);
    builder_text(in, &builder, right);
    value = builder_value(in, &builder);
    if (markup && value.text != &template_empty_text)
        ((struct text *)value.text)->markup = true;
    return value;
}

struct value template_concat(struct interpreter *in, struct value left,
                             struct value right)
{
    struct builder builder = builder_create();

    template_print(in, &builder, left);
    template_print(in, &builder, right);
    return builder_value(in, &builder);
}

static struct value add_lists(struct interpreter *in, struct value left,
                              struct value right)
{
    struct value sum = value_list(in, left.list->kind);

    for (size_t i = 0; i < left.list->count && !in->failed; i++)
        list_push(in, sum.list, left.list->items[i]);
    for (size_t i = 0; i < right.list->count && !in->failed; i++)
        list_push(in, sum.list, right.list->items[i]);
    return value_data(sum, left.data && right.data);
}

static bool is_sequence(struct value value)
{
    return value.kind == VALUE_LIST &&
           (value.list->kind == LIST_LIST || value.list->kind == LIST_TUPLE);
}

static struct value repeat(struct interpreter *in, struct value value, int64_t times)
{
    struct builder builder = builder_create();
    struct value list;

    if (value.kind == VALUE_STRING) {
        for (int64_t i = 0; i < times && template_step(in); i++)
            builder_text(in, &builder, value.text);
        return builder_value(in, &builder);
    }
    list = value_list(in, value.list->kind);
    for (int64_t i = 0; i < times && template_step(in); i++) {
        for (size_t k = 0; k < value.list->count && !in->failed; k++)
            list_push(in, list.list, value.list->items[k]);
    }
    return value_data(list, value.data);
}

static struct value percent(struct interpreter *in, struct value left, struct value right)
{
    if (is_sequence(right) && right.list->kind == LIST_TUPLE)
        return template_percent(in, left.text, right.list->items, right.list->count,
                                NULL);
    return template_percent(in, left.text, &right, 1,
                            right.kind == VALUE_DICT ? right.dict : NULL);
}

struct value template_binary(struct interpreter *in, enum operator_kind op,
                             struct value left, struct value right)
{
    bool integer = right.kind == VALUE_INTEGER || right.kind == VALUE_BOOL;

    if (in->failed)
        return value_undefined("");
    if (value_is_number(left) && value_is_number(right))
        return arithmetic(in, op, left, right);
    if (op == OP_ADD && left.kind == VALUE_STRING && right.kind == VALUE_STRING)
        return add_texts(in, left.text, right.text);
    if (op == OP_ADD && is_sequence(left) && is_sequence(right) &&
        left.list->kind == right.list->kind)
        return add_lists(in, left, right);
    if (op == OP_MULTIPLY && integer && (left.kind == VALUE_STRING || is_sequence(left)))
        return repeat(in, left, as_integer(right));
    if (op == OP_MULTIPLY && (right.kind == VALUE_STRING || is_sequence(right)) &&
        (left.kind == VALUE_INTEGER || left.kind == VALUE_BOOL))
        return repeat(in, right, as_integer(left));
    if (op == OP_MODULO && left.kind == VALUE_STRING)
        return percent(in, left, right);
    return unsupported(in, operator_name(op), left, right);
}

//------------------------------------------------------------------ comparison

static bool lists_equal(struct interpreter *in, const struct list *a,
                        const struct list *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->kind == LIST_GENERATOR || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!template_equal(in, a->items[i], b->items[i]))
            return false;
    }
    return true;
}

static bool dicts_equal(struct interpreter *in, const struct dict *a,
                        const struct dict *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct value *other = dict_find(in, b, a->pairs[i].key);

        if (other == NULL || !template_equal(in, a->pairs[i].value, *other))
            return false;
    }
    return true;
}

static int compare_numbers(struct value left, struct value right)
{
    double a, b;

    if (left.kind != VALUE_REAL && right.kind != VALUE_REAL)
        return (as_integer(left) > as_integer(right)) -
               (as_integer(left) < as_integer(right));
    a = value_as_real(left);
    b = value_as_real(right);
    return (a > b) - (a < b);
}

static bool is_nan(struct value value)
{
    return value.kind == VALUE_REAL && isnan(value.real);
}

static bool equal(struct interpreter *in, struct value left, struct value right)
{
    if (value_is_number(left) && value_is_number(right))
        return !is_nan(left) && !is_nan(right) && compare_numbers(left, right) == 0;
    if (left.kind != right.kind)
        return false;
    switch (left.kind) {
    case VALUE_STRING:
        return left.text->len == right.text->len && template_charge(in, left.text->len) &&
               memcmp(left.text->bytes, right.text->bytes, left.text->len) == 0;
    case VALUE_LIST:
        return lists_equal(in, left.list, right.list);
    case VALUE_DICT:
        return dicts_equal(in, left.dict, right.dict);
    case VALUE_NAMESPACE:
        return left.dict == right.dict;
    case VALUE_CALLABLE:
        return left.callable == right.callable;
    case VALUE_LOOP:
        return left.loop == right.loop;
    default:
        return true; // both undefined or both none
    }
}

bool template_equal(struct interpreter *in, struct value left, struct value right)
{
    bool result;

    if (!template_charge(in, COMPARE_UNITS) || !template_descend(in))
        return false;
    result = equal(in, left, right);
    template_ascend(in);
    return result;
}

static int order_texts(const struct text *a, const struct text *b)
{
    size_t len = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->bytes, b->bytes, len); // UTF-8 sorts as its code points do

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static int order(struct interpreter *in, struct value left, struct value right)
{
    if (value_is_number(left) && value_is_number(right))
        return compare_numbers(left, right);
    if (left.kind == VALUE_STRING && right.kind == VALUE_STRING) {
        template_charge(in, left.text->len);
        return order_texts(left.text, right.text);
    }
    if (is_sequence(left) && is_sequence(right) && left.list->kind == right.list->kind) {
        for (size_t i = 0; i < left.list->count && i < right.list->count; i++) {
            if (!template_equal(in, left.list->items[i], right.list->items[i]))
                return template_order(in, left.list->items[i], right.list->items[i]);
        }
        return (left.list->count > right.list->count) -
               (left.list->count < right.list->count);
    }
    unsupported(in, "<", left, right);
    return 0;
}

int template_order(struct interpreter *in, struct value left, struct value right)
{
    int result;

    if (!template_charge(in, COMPARE_UNITS) || !template_descend(in))
        return 0;
    result = order(in, left, right);
    template_ascend(in);
    return result;
}

static bool list_contains(struct interpreter *in, struct value container,
                          struct value value)
{
    const struct value *items;
    size_t count;

    if (!value_iterate(in, container, &items, &count))
        return false;
    for (size_t i = 0; i < count && template_step(in); i++) {
        if (template_equal(in, items[i], value))
            return true;
    }
    return false;
}

static bool contains(struct interpreter *in, struct value container, struct value value)
{
    if (container.kind == VALUE_DICT)
        return dict_find(in, container.dict, value) != NULL;
    if (container.kind != VALUE_STRING)
        return list_contains(in, container, value);
    if (value.kind != VALUE_STRING) {
        template_fail(in, ERR_FORMAT,
                      "'in <string>' requires string as left operand, not %s",
                      value_type_name(value));
        return false;
    }
    if (!template_charge(in, container.text->len))
        return false;
    return memmem(container.text->bytes, container.text->len, value.text->bytes,
                  value.text->len) != NULL;
}

bool template_compare(struct interpreter *in, enum operator_kind op, struct value left,
                      struct value right)
{
    int result;

    if (in->failed)
        return false;
    switch (op) {
    case OP_EQUAL:
        return template_equal(in, left, right);
    case OP_NOT_EQUAL:
        return !template_equal(in, left, right);
    case OP_IN:
        return contains(in, right, left);
    case OP_NOT_IN:
        return !contains(in, right, left);
    default:
        break;
    }
    if (is_nan(left) || is_nan(right))
        return false;
    result = template_order(in, left, right);
    if (op == OP_LESS)
        return result < 0;
    if (op == OP_LESS_EQUAL)
        return result <= 0;
    return op == OP_GREATER ? result > 0 : result >= 0;
}

//------------------------------------------------------------------ slices

// One bound of a slice of `count` elements, as Python clamps it.
static bool slice_bound(struct interpreter *in, struct value value, int64_t count,
                        bool back, bool is_start, int64_t *bound)
{
    int64_t lowest = back ? -1 : 0, highest = back ? count - 1 : count;

    if (value.kind == VALUE_NONE) {
        *bound = is_start == back ? highest : lowest;
        return true;
    }
    if (value.kind != VALUE_INTEGER && value.kind != VALUE_BOOL) {
        template_fail(in, ERR_FORMAT, "slice indices must be integers or None");
        return false;
    }
    *bound = as_integer(value);
    if (*bound < 0)
        *bound += count;
    *bound = *bound < lowest ? lowest : *bound > highest ? highest : *bound;
    return true;
}

static struct value slice_text(struct interpreter *in, const struct text *text,
                               int64_t start, int64_t stop)
{
    size_t from, to;

    if (stop <= start)
        return value_text(&template_empty_text);
    template_charge(in, text->len);
    from = unicode_offset(text, (size_t)start);
    to = unicode_offset(text, (size_t)stop);
    return value_substring(in, text, from, to - from);
}

static struct value characters(struct interpreter *in, struct value value)
{
    struct value list = value_list(in, LIST_LIST);
    const struct value *items;
    size_t count;

    if (!value_iterate(in, value, &items, &count))
        return list;
    for (size_t i = 0; i < count && !in->failed; i++)
        list_push(in, list.list, items[i]);
    return list;
}

struct value template_slice(struct interpreter *in, struct value object,
                            struct value start, struct value stop, struct value step)
{
    int64_t by = step.kind == VALUE_INTEGER ? step.integer : 1, from, to, count;
    bool is_text = object.kind == VALUE_STRING;
    struct value list, result;

    if (object.kind == VALUE_UNDEFINED)
        return unsupported(in, "[]", object, object);
    if (!is_text && !is_sequence(object))
        return value_undefined("slice");
    if (by == 0 || by == INT64_MIN)
        return template_fail(in, ERR_FORMAT, "slice step cannot be zero");
    count = (int64_t)(is_text ? unicode_count(in, object.text->bytes, object.text->len)
                              : object.list->count);
    if (!slice_bound(in, start, count, by < 0, true, &from) ||
        !slice_bound(in, stop, count, by < 0, false, &to))
        return value_undefined("");
    if (is_text && by == 1)
        return slice_text(in, object.text, from, to);
    list = is_text ? characters(in, object) : object;
    result = value_list(in, is_text ? LIST_LIST : object.list->kind);
    while (!in->failed && (by > 0 ? from < to : from > to)) {
        list_push(in, result.list, list.list->items[from]);
        if (__builtin_add_overflow(from, by, &from))
            break;
    }
    return is_text ? template_join(in, &template_empty_text, result, false)
                   : value_data(result, object.data);
}
