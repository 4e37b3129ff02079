// engine/text/template_method_text.c
// SPDX-License-Identifier: MIT
//
// Methods of strings. Positions are in characters, as in Python.
#include "engine/text/template_private.h"

#include <string.h>

#include <utf8proc.h>

#define METHOD(name)                                                                     \
    static struct value method_##name(struct interpreter *in, struct value subject,      \
                                      const struct args *args)

//------------------------------------------------------------------ whole

METHOD(upper)
{
    (void)args;
    return template_change_case(in, subject.text, CASE_UPPER);
}

METHOD(lower)
{
    (void)args;
    return template_change_case(in, subject.text, CASE_LOWER);
}

METHOD(title)
{
    (void)args;
    return template_change_case(in, subject.text, CASE_TITLE);
}

METHOD(capitalize)
{
    (void)args;
    return template_change_case(in, subject.text, CASE_CAPITAL);
}

METHOD(swapcase)
{
    (void)args;
    return template_change_case(in, subject.text, CASE_SWAP);
}

static struct value strip(struct interpreter *in, struct value subject,
                          const struct args *args, unsigned sides)
{
    const struct text *chars = args_text(in, args, 0, "the characters of strip()");

    return template_strip(in, subject.text, chars, sides);
}

METHOD(strip)
{
    return strip(in, subject, args, 3);
}

METHOD(lstrip)
{
    return strip(in, subject, args, 1);
}

METHOD(rstrip)
{
    return strip(in, subject, args, 2);
}

METHOD(format)
{
    return template_format(in, subject.text, args);
}

METHOD(unsupported)
{
    (void)args;
    return template_fail(in, ERR_UNSUPPORTED, "this method of '%s'",
                         value_type_name(subject));
}

// A string argument that must be there.
static const struct text *needed(struct interpreter *in, const struct args *args,
                                 size_t i)
{
    if (args->values[i].kind == VALUE_STRING)
        return args->values[i].text;
    template_fail(in, ERR_FORMAT, "expected a string, not %s",
                  value_type_name(args->values[i]));
    return &template_empty_text;
}

static size_t find_bytes(const struct text *text, size_t start, const struct text *wanted)
{
    const char *found;

    if (start > text->len)
        return SIZE_MAX;
    found = memmem(text->bytes + start, text->len - start, wanted->bytes, wanted->len);
    return found != NULL ? (size_t)(found - text->bytes) : SIZE_MAX;
}

static size_t find_last(struct interpreter *in, const struct text *text,
                        const struct text *wanted)
{
    if (wanted->len > text->len)
        return SIZE_MAX;
    for (size_t i = text->len - wanted->len + 1; i-- > 0;) {
        if (wanted->len > 0 && text->bytes[i] != wanted->bytes[0])
            continue;
        if (!template_charge(in, wanted->len))
            break;
        if (memcmp(text->bytes + i, wanted->bytes, wanted->len) == 0)
            return i;
    }
    return SIZE_MAX;
}

// `from` is empty: `to` goes before every character and at the end.
static struct value interleave(struct interpreter *in, const struct text *text,
                               const struct text *to, int64_t count)
{
    struct builder builder = builder_create();
    size_t i = 0, len = 0;

    for (; count != 0 && !in->failed; count--, i += len) {
        builder_text(in, &builder, to);
        if (i >= text->len)
            return builder_value(in, &builder);
        unicode_at(text, i, &len);
        builder_text(in, &builder, value_substring(in, text, i, len).text);
    }
    builder_text(in, &builder, value_substring(in, text, i, text->len - i).text);
    return builder_value(in, &builder);
}

struct value template_replace(struct interpreter *in, const struct text *text,
                              const struct text *from, const struct text *to,
                              int64_t count)
{
    struct builder builder = builder_create();
    size_t start = 0, found;

    if (from->len == 0)
        return interleave(in, text, to, count);
    found = template_charge(in, text->len) ? find_bytes(text, 0, from) : SIZE_MAX;
    if (found == SIZE_MAX)
        return value_text(text);
    for (; count != 0 && found != SIZE_MAX && !in->failed; count--) {
        builder_text(in, &builder, value_substring(in, text, start, found - start).text);
        builder_text(in, &builder, to);
        start = found + from->len;
        found = find_bytes(text, start, from);
    }
    builder_text(in, &builder, value_substring(in, text, start, text->len - start).text);
    return builder_value(in, &builder);
}

METHOD(replace)
{
    return template_replace(in, subject.text, needed(in, args, 0), needed(in, args, 1),
                            args_integer(in, args, 2, -1, "the count of replace()"));
}

struct value template_join(struct interpreter *in, const struct text *separator,
                           struct value items, bool strict)
{
    struct builder builder = builder_create();
    const struct value *values;
    size_t count;

    if (!value_iterate(in, items, &values, &count))
        return value_text(&template_empty_text);
    for (size_t i = 0; i < count && template_step(in); i++) {
        if (strict && values[i].kind != VALUE_STRING)
            return template_fail(in, ERR_FORMAT, "join() expects strings, not %s",
                                 value_type_name(values[i]));
        if (i > 0)
            builder_text(in, &builder, separator);
        template_print(in, &builder, values[i]);
    }
    return builder_value(in, &builder);
}

METHOD(join)
{
    return template_join(in, subject.text, args->values[0], true);
}

static bool has_affix(struct interpreter *in, const struct text *text,
                      const struct text *affix, bool end)
{
    return template_charge(in, affix->len) && affix->len <= text->len &&
           memcmp(text->bytes + (end ? text->len - affix->len : 0), affix->bytes,
                  affix->len) == 0;
}

// A string or a tuple of strings.
static struct value affix(struct interpreter *in, struct value subject,
                          const struct args *args, bool end)
{
    const struct value *items = &args->values[0];
    size_t count = 1;

    if (items->kind == VALUE_LIST && items->list->kind == LIST_TUPLE &&
        !value_iterate(in, *items, &items, &count))
        return value_bool(false);
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind != VALUE_STRING)
            return template_fail(in, ERR_FORMAT, "expected a string, not %s",
                                 value_type_name(items[i]));
        if (has_affix(in, subject.text, items[i].text, end))
            return value_bool(true);
    }
    return value_bool(false);
}

METHOD(startswith)
{
    return affix(in, subject, args, false);
}

METHOD(endswith)
{
    return affix(in, subject, args, true);
}

METHOD(removeprefix)
{
    const struct text *text = subject.text, *prefix = needed(in, args, 0);

    if (!has_affix(in, text, prefix, false))
        return subject;
    return value_substring(in, text, prefix->len, text->len - prefix->len);
}

METHOD(removesuffix)
{
    const struct text *text = subject.text, *suffix = needed(in, args, 0);

    if (suffix->len == 0 || !has_affix(in, text, suffix, true))
        return subject;
    return value_substring(in, text, 0, text->len - suffix->len);
}

//------------------------------------------------------------------ finding

// Where `wanted` is, in characters; -1: nowhere.
static int64_t position(struct interpreter *in, struct value subject,
                        const struct args *args, bool last)
{
    const struct text *wanted = needed(in, args, 0);
    struct value start = args->values[1], stop = args->values[2], part;
    size_t found, skipped;

    if (start.kind == VALUE_MISSING)
        start = value_none();
    if (stop.kind == VALUE_MISSING)
        stop = value_none();
    part = template_slice(in, subject, start, stop, value_none());
    if (in->failed || !template_charge(in, part.text->len))
        return -1;
    found = last ? find_last(in, part.text, wanted) : find_bytes(part.text, 0, wanted);
    if (found == SIZE_MAX)
        return -1;
    skipped = part.text->len > 0 ? (size_t)(part.text->bytes - subject.text->bytes) : 0;
    return (int64_t)unicode_count(in, subject.text->bytes, skipped + found);
}

METHOD(find)
{
    return value_integer(position(in, subject, args, false));
}

METHOD(rfind)
{
    return value_integer(position(in, subject, args, true));
}

METHOD(index)
{
    int64_t found = position(in, subject, args, false);

    return found >= 0 ? value_integer(found)
                      : template_fail(in, ERR_FORMAT, "substring not found");
}

METHOD(count)
{
    const struct text *wanted = needed(in, args, 0);
    size_t start = 0, found;
    int64_t count = 0;

    if (wanted->len == 0)
        return value_integer(
            (int64_t)unicode_count(in, subject.text->bytes, subject.text->len) + 1);
    template_charge(in, subject.text->len);
    for (; (found = find_bytes(subject.text, start, wanted)) != SIZE_MAX; count++)
        start = found + wanted->len;
    return value_integer(count);
}

static struct value partition(struct interpreter *in, struct value subject,
                              const struct args *args, bool last)
{
    const struct text *text = subject.text, *separator = needed(in, args, 0);
    struct value tuple = value_list(in, LIST_TUPLE),
                 none = value_text(&template_empty_text);
    size_t found, behind;

    if (separator->len == 0)
        return template_fail(in, ERR_FORMAT, "empty separator");
    found = last ? find_last(in, text, separator) : find_bytes(text, 0, separator);
    template_charge(in, text->len);
    if (found == SIZE_MAX) {
        list_push(in, tuple.list, last ? none : subject);
        list_push(in, tuple.list, none);
        list_push(in, tuple.list, last ? subject : none);
        return tuple;
    }
    behind = found + separator->len;
    list_push(in, tuple.list, value_substring(in, text, 0, found));
    list_push(in, tuple.list, value_text(separator));
    list_push(in, tuple.list, value_substring(in, text, behind, text->len - behind));
    return tuple;
}

METHOD(partition)
{
    return partition(in, subject, args, false);
}

METHOD(rpartition)
{
    return partition(in, subject, args, true);
}

//------------------------------------------------------------------ splitting

static void push_part(struct interpreter *in, struct list *list, const struct text *text,
                      size_t start, size_t end)
{
    list_push(in, list, value_substring(in, text, start, end - start));
}

static void split_at(struct interpreter *in, struct list *list, const struct text *text,
                     const struct text *separator, int64_t count)
{
    size_t start = 0, found;

    for (; count != 0 && !in->failed; count--) {
        found = find_bytes(text, start, separator);
        if (found == SIZE_MAX)
            break;
        push_part(in, list, text, start, found);
        start = found + separator->len;
    }
    push_part(in, list, text, start, text->len);
}

static bool space_at(const struct text *text, size_t i, size_t *len)
{
    return unicode_is_space(unicode_at(text, i, len));
}

static void split_spaces(struct interpreter *in, struct list *list,
                         const struct text *text, int64_t count)
{
    size_t start = 0, end, len;

    for (;; count--) {
        while (start < text->len && space_at(text, start, &len))
            start += len;
        if (start >= text->len || in->failed)
            return;
        for (end = start; end < text->len && !space_at(text, end, &len);)
            end += len;
        if (count == 0) {
            push_part(in, list, text, start, text->len);
            return;
        }
        push_part(in, list, text, start, end);
        start = end;
    }
}

static const struct text *separator_of(struct interpreter *in, const struct args *args)
{
    const struct text *separator = args_text(in, args, 0, "the separator");

    if (separator != NULL && separator->len == 0)
        template_fail(in, ERR_FORMAT, "empty separator");
    return separator;
}

METHOD(split)
{
    const struct text *separator = separator_of(in, args);
    int64_t count = args_integer(in, args, 1, -1, "the count of split()");
    struct value list = value_list(in, LIST_LIST);

    if (!template_charge(in, subject.text->len))
        return list;
    if (separator != NULL)
        split_at(in, list.list, subject.text, separator, count);
    else
        split_spaces(in, list.list, subject.text, count);
    return list;
}

static void reverse(struct list *list)
{
    for (size_t i = 0; i < list->count / 2; i++) {
        struct value item = list->items[i];

        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = item;
    }
}

METHOD(rsplit)
{
    const struct text *separator = separator_of(in, args), *text = subject.text;
    int64_t count = args_integer(in, args, 1, -1, "the count of rsplit()");
    struct value list = value_list(in, LIST_LIST);
    size_t found;

    if (count < 0)
        return method_split(in, subject, args);
    if (separator == NULL)
        return template_fail(in, ERR_UNSUPPORTED, "rsplit() at white space with a count");
    for (; count != 0 && template_charge(in, text->len); count--) {
        found = find_last(in, text, separator);
        if (found == SIZE_MAX)
            break;
        push_part(in, list.list, text, found + separator->len, text->len);
        text = value_substring(in, text, 0, found).text;
    }
    list_push(in, list.list, value_text(text));
    if (!in->failed)
        reverse(list.list);
    return list;
}

METHOD(splitlines)
{
    const struct text *text = subject.text;
    bool keep = args_bool(args, 0, false);
    struct value list = value_list(in, LIST_LIST);
    size_t start = 0, len;

    for (size_t i = 0; i < text->len && !in->failed; i += len) {
        uint32_t c = unicode_at(text, i, &len);

        if (!((c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
              c == 0x2028 || c == 0x2029))
            continue;
        if (c == '\r' && i + 1 < text->len && text->bytes[i + 1] == '\n')
            len = 2;
        push_part(in, list.list, text, start, keep ? i + len : i);
        start = i + len;
    }
    if (start < text->len)
        push_part(in, list.list, text, start, text->len);
    return list;
}

//------------------------------------------------------------------ kinds

static bool every(struct interpreter *in, const struct text *text,
                  bool (*is)(utf8proc_category_t, uint32_t))
{
    size_t len;

    template_charge(in, text->len);
    for (size_t i = 0; i < text->len; i += len) {
        uint32_t c = unicode_at(text, i, &len);

        if (!is(utf8proc_category((utf8proc_int32_t)c), c))
            return false;
    }
    return text->len > 0;
}

static bool is_letter(utf8proc_category_t category, uint32_t c)
{
    (void)c;
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

static bool is_decimal(utf8proc_category_t category, uint32_t c)
{
    (void)c;
    return category == UTF8PROC_CATEGORY_ND;
}

static bool is_superscript(uint32_t c)
{
    return c == 0xB2 || c == 0xB3 || c == 0xB9 || c == 0x2070 ||
           (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089);
}

static bool is_digit(utf8proc_category_t category, uint32_t c)
{
    return is_decimal(category, c) || is_superscript(c);
}

static bool is_numeric(utf8proc_category_t category, uint32_t c)
{
    (void)c;
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

static bool is_letter_or_number(utf8proc_category_t category, uint32_t c)
{
    return is_letter(category, c) || is_numeric(category, c);
}

static bool is_blank(utf8proc_category_t category, uint32_t c)
{
    (void)category;
    return unicode_is_space(c);
}

// isalpha() and its sisters.
#define CHARACTER_METHOD(name, is)                                                       \
    METHOD(name)                                                                         \
    {                                                                                    \
        (void)args;                                                                      \
        return value_bool(every(in, subject.text, is));                                  \
    }

CHARACTER_METHOD(isalpha, is_letter)
CHARACTER_METHOD(isdecimal, is_decimal)
CHARACTER_METHOD(isdigit, is_digit)
CHARACTER_METHOD(isnumeric, is_numeric)
CHARACTER_METHOD(isalnum, is_letter_or_number)
CHARACTER_METHOD(isspace, is_blank)

static struct value case_test(struct interpreter *in, struct value subject,
                              const char *name)
{
    struct args none = { .count = 0 };

    return template_run(in, template_find_test(name, strlen(name)), subject, &none);
}

METHOD(isupper)
{
    (void)args;
    return case_test(in, subject, "upper");
}

METHOD(islower)
{
    (void)args;
    return case_test(in, subject, "lower");
}

//------------------------------------------------------------------ padding

enum side { SIDE_LEFT, SIDE_RIGHT, SIDE_BOTH };

static struct value justify(struct interpreter *in, struct value subject,
                            const struct args *args, enum side side)
{
    const struct text *text = subject.text;
    int64_t width = args_integer(in, args, 0, 0, "the width"), left;
    int64_t count = (int64_t)unicode_count(in, text->bytes, text->len);
    int64_t fill = width > count ? width - count : 0;
    const struct text *with = value_literal(in, " ").text;
    struct builder builder = builder_create();

    if (args->values[1].kind != VALUE_MISSING)
        with = needed(in, args, 1);
    if (unicode_count(in, with->bytes, with->len) != 1)
        return template_fail(in, ERR_FORMAT,
                             "The fill character must be exactly one character long");
    left = side == SIDE_LEFT    ? fill
           : side == SIDE_RIGHT ? 0
                                : fill / 2 + (fill & width & 1);
    for (int64_t i = 0; i < left && template_step(in); i++)
        builder_text(in, &builder, with);
    builder_text(in, &builder, text);
    for (int64_t i = left; i < fill && template_step(in); i++)
        builder_text(in, &builder, with);
    return builder_value(in, &builder);
}

METHOD(center)
{
    return justify(in, subject, args, SIDE_BOTH);
}

METHOD(ljust)
{
    return justify(in, subject, args, SIDE_RIGHT);
}

METHOD(rjust)
{
    return justify(in, subject, args, SIDE_LEFT);
}

METHOD(zfill)
{
    const struct text *text = subject.text;
    bool sign = text->len > 0 && (text->bytes[0] == '-' || text->bytes[0] == '+');
    int64_t width = args_integer(in, args, 0, 0, "the width of zfill()");
    int64_t count = (int64_t)unicode_count(in, text->bytes, text->len);
    struct builder builder = builder_create();

    builder_text(in, &builder, value_substring(in, text, 0, sign).text);
    for (int64_t i = count; i < width && template_step(in); i++)
        builder_literal(in, &builder, "0", false);
    builder_text(in, &builder, value_substring(in, text, sign, text->len - sign).text);
    return builder_value(in, &builder);
}

const struct builtin *template_find_text_method(const char *name, size_t len)
{
    static const struct builtin table[] = {
        { "upper", "", method_upper },
        { "lower", "", method_lower },
        { "title", "", method_title },
        { "capitalize", "", method_capitalize },
        { "swapcase", "", method_swapcase },
        { "strip", "chars?", method_strip },
        { "lstrip", "chars?", method_lstrip },
        { "rstrip", "chars?", method_rstrip },
        { "split", "sep? maxsplit?", method_split },
        { "rsplit", "sep? maxsplit?", method_rsplit },
        { "splitlines", "keepends?", method_splitlines },
        { "startswith", "prefix", method_startswith },
        { "endswith", "suffix", method_endswith },
        { "removeprefix", "prefix", method_removeprefix },
        { "removesuffix", "suffix", method_removesuffix },
        { "replace", "old new count?", method_replace },
        { "join", "iterable", method_join },
        { "find", "sub start? end?", method_find },
        { "rfind", "sub start? end?", method_rfind },
        { "index", "sub start? end?", method_index },
        { "count", "sub", method_count },
        { "partition", "sep", method_partition },
        { "rpartition", "sep", method_rpartition },
        { "format", "*", method_format },
        { "isalpha", "", method_isalpha },
        { "isdecimal", "", method_isdecimal },
        { "isdigit", "", method_isdigit },
        { "isnumeric", "", method_isnumeric },
        { "isalnum", "", method_isalnum },
        { "isspace", "", method_isspace },
        { "isupper", "", method_isupper },
        { "islower", "", method_islower },
        { "center", "width fillchar?", method_center },
        { "ljust", "width fillchar?", method_ljust },
        { "rjust", "width fillchar?", method_rjust },
        { "zfill", "width", method_zfill },
        { "encode", "*", method_unsupported },
        { "casefold", "*", method_unsupported },
        { "expandtabs", "*", method_unsupported },
        { "format_map", "*", method_unsupported },
        { "isascii", "*", method_unsupported },
        { "isidentifier", "*", method_unsupported },
        { "isprintable", "*", method_unsupported },
        { "istitle", "*", method_unsupported },
        { "rindex", "*", method_unsupported },
        { "translate", "*", method_unsupported },
    };

    return template_find_builtin(table, sizeof(table) / sizeof(table[0]), name, len);
}
