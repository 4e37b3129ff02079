// app/options.c
// SPDX-License-Identifier: MIT
#include "app/options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/text/sampler_settings.h"

#define WORD_MAX    64
#define HELP_COLUMN 30

void text_list_release(struct text_list *list)
{
    free(list->items);
    *list = (struct text_list){ 0 };
}

// ---------------------------------------------------------------------------
// Values

static bool range_error(const struct option_spec *spec, const char *text, struct err *err)
{
    if (spec->min == 0 && spec->max == 0)
        return err_set(err, ERR_USAGE, "--%s wants a whole number, not \"%s\"",
                       spec->name, text);
    return err_set(err, ERR_USAGE, "--%s wants a number from %g to %g, not \"%s\"",
                   spec->name, spec->min, spec->max, text);
}

static bool parse_integer(const struct option_spec *spec, const char *text,
                          uint64_t type_max, uint64_t *value, struct err *err)
{
    char *end;

    errno = 0;
    *value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || *value > type_max)
        return range_error(spec, text, err);
    if (spec->max > 0 && ((double)*value < spec->min || (double)*value > spec->max))
        return range_error(spec, text, err);
    return true;
}

static bool parse_float(const struct option_spec *spec, const char *text, float *value,
                        struct err *err)
{
    char *end;
    double number = strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(number) || number < spec->min ||
        number > spec->max)
        return range_error(spec, text, err);
    *value = (float)number;
    return true;
}

// By the names that people know from other programs, too.
static const struct sampler_setting *find_setting(const char *name)
{
    static const char *const other_names[][2] = { { "temp", "temperature" },
                                                  { "typical", "typical-p" },
                                                  { "repeat-penalty",
                                                    "repetition-penalty" },
                                                  { "logprobs", "top-logprobs" } };
    const struct sampler_setting *setting = sampler_setting_find(name);

    for (size_t i = 0; setting == NULL && i < sizeof(other_names) / sizeof(*other_names);
         i++)
        if (strcmp(name, other_names[i][0]) == 0)
            setting = sampler_setting_find(other_names[i][1]);
    if (setting == NULL)
        bug("no setting is called %s", name);
    return setting;
}

// Its range is the sampler's own.
static bool parse_setting(const struct option_spec *spec, const char *text,
                          struct generation_settings *settings, struct err *err)
{
    const struct sampler_setting *setting = find_setting(spec->name);

    return sampler_setting_read(setting, settings, text, NULL) ||
           err_set(err, ERR_USAGE,
                   "--%s wants a %snumber from %.15g to %.15g, not \"%s\"", spec->name,
                   setting->kind == SETTING_FLOAT ? "" : "whole ", setting->min,
                   setting->max, text);
}

static bool set_value(const struct option_spec *spec, const char *text, void *values,
                      struct err *err)
{
    void *at = (char *)values + spec->offset;
    struct text_list *list = at;
    uint64_t integer;

    switch (spec->kind) {
    case OPTION_FLAG:
        *(bool *)at = true;
        return true;
    case OPTION_TEXT:
        *(const char **)at = text;
        return true;
    case OPTION_LIST:
        list->items =
            alloc_grow(list->items, list->count, &list->cap, sizeof(*list->items));
        list->items[list->count++] = text;
        return true;
    case OPTION_U32:
        if (!parse_integer(spec, text, UINT32_MAX, &integer, err))
            return false;
        *(uint32_t *)at = (uint32_t)integer;
        return true;
    case OPTION_U64:
        return parse_integer(spec, text, INT64_MAX, at, err);
    case OPTION_FLOAT:
        return parse_float(spec, text, at, err);
    case OPTION_SETTING:
        return parse_setting(spec, text, at, err);
    case OPTION_HEADING:
        break;
    }
    bug("option --%s has no kind", spec->name);
}

// ---------------------------------------------------------------------------
// Names

size_t word_distance(const char *a, const char *b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t a_len = strlen(a), b_len = strlen(b);

    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);

            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

static bool is_option(const struct option_spec *spec)
{
    return spec->kind != OPTION_HEADING;
}

static const struct option_spec *find_letter(const struct option_spec *specs, char letter)
{
    for (; specs->name != NULL; specs++)
        if (is_option(specs) && specs->letter == letter)
            return specs;
    return NULL;
}

static const struct option_spec *find_name(const struct option_spec *specs,
                                           const char *name, size_t len)
{
    for (; specs->name != NULL; specs++)
        if (is_option(specs) && strlen(specs->name) == len &&
            memcmp(specs->name, name, len) == 0)
            return specs;
    return NULL;
}

static bool unknown_name(const struct option_spec *specs, const char *name, size_t len,
                         struct err *err)
{
    const char *nearest = NULL;
    size_t best = len / 3 + 2;
    char *word = alloc_string_n(name, len);

    for (; specs->name != NULL; specs++) {
        size_t distance = word_distance(word, specs->name);

        if (is_option(specs) && distance < best) {
            best = distance;
            nearest = specs->name;
        }
    }
    if (nearest != NULL)
        err_set(err, ERR_USAGE, "there is no option --%s; did you mean --%s?", word,
                nearest);
    else
        err_set(err, ERR_USAGE, "there is no option --%s", word);
    free(word);
    return false;
}

// ---------------------------------------------------------------------------
// The command line

struct parse {
    const struct option_spec *specs;
    char **argv;
    int argc, next; // the next word to look at
    void *values;
    bool help;
};

// The value is what is attached, or else the next word.
static bool take_value(struct parse *parse, const struct option_spec *spec,
                       const char *attached, struct err *err)
{
    if (spec->kind == OPTION_FLAG) {
        if (attached != NULL)
            return err_set(err, ERR_USAGE, "--%s takes no value", spec->name);
        return set_value(spec, NULL, parse->values, err);
    }
    if (attached == NULL && parse->next == parse->argc)
        return err_set(err, ERR_USAGE, "--%s wants a value: --%s %s", spec->name,
                       spec->name, spec->argument);
    if (attached == NULL)
        attached = parse->argv[parse->next++];
    return set_value(spec, attached, parse->values, err);
}

static bool take_name(struct parse *parse, const char *word, struct err *err)
{
    size_t len = strcspn(word, "=");
    const struct option_spec *spec = find_name(parse->specs, word, len);

    if (strcmp(word, "help") == 0) {
        parse->help = true;
        return true;
    }
    if (spec == NULL)
        return unknown_name(parse->specs, word, len, err);
    return take_value(parse, spec, word[len] == '=' ? word + len + 1 : NULL, err);
}

static bool take_letters(struct parse *parse, const char *letters, struct err *err)
{
    for (; *letters != '\0'; letters++) {
        const struct option_spec *spec = find_letter(parse->specs, *letters);

        if (*letters == 'h' && spec == NULL) {
            parse->help = true;
            return true;
        }
        if (spec == NULL)
            return err_set(err, ERR_USAGE, "there is no option -%c", *letters);
        if (spec->kind != OPTION_FLAG)
            return take_value(parse, spec, letters[1] != '\0' ? letters + 1 : NULL, err);
        set_value(spec, NULL, parse->values, err);
    }
    return true;
}

enum options_status options_parse(const struct option_spec *specs, int argc, char **argv,
                                  void *values, struct operands *operands,
                                  struct err *err)
{
    struct parse parse = {
        .specs = specs, .argv = argv, .argc = argc, .next = 1, .values = values
    };
    bool options = true, ok = true;

    *operands = (struct operands){ .items = argv };
    while (ok && !parse.help && parse.next < argc) {
        char *word = argv[parse.next++];

        if (!options || word[0] != '-' || word[1] == '\0')
            operands->items[operands->count++] = word;
        else if (strcmp(word, "--") == 0)
            options = false;
        else if (word[1] == '-')
            ok = take_name(&parse, word + 2, err);
        else
            ok = take_letters(&parse, word + 1, err);
    }
    if (!ok)
        return OPTIONS_WRONG;
    return parse.help ? OPTIONS_HELP : OPTIONS_OK;
}

static void help_line(const struct option_spec *spec, FILE *file)
{
    int len = spec->letter != '\0'
                  ? fprintf(file, "  -%c, --%s", spec->letter, spec->name)
                  : fprintf(file, "      --%s", spec->name);

    if (spec->argument != NULL)
        len += fprintf(file, " %s", spec->argument);
    if (len >= HELP_COLUMN) {
        fputc('\n', file);
        len = 0;
    }
    fprintf(file, "%*s%s\n", HELP_COLUMN - len, "", spec->help);
}

void options_help(const struct option_spec *specs, FILE *file)
{
    for (; specs->name != NULL; specs++) {
        if (is_option(specs))
            help_line(specs, file);
        else
            fprintf(file, "\n%s:\n", specs->name);
    }
}
