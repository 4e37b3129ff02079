// app/models/names.c
// SPDX-License-Identifier: MIT
#include "app/models/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

static const char plain[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
static const char second_mark[] = "~2", mmproj_suffix[] = ".mmproj";
static const size_t part_len = sizeof("-00001-of-00005") - 1;

// "-00001-of-00005", with as many digits.
static bool is_part_suffix(const char *text, unsigned *part, unsigned *parts)
{
    static const char form[] = "-ddddd-of-ddddd";

    for (size_t i = 0; i < part_len; i++)
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    return text[part_len] == '\0' && sscanf(text, "-%5u-of-%5u", part, parts) == 2 &&
           *part >= 1 && *part <= *parts && *parts <= MODEL_PARTS_MAX;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

bool model_name_valid(const char *name)
{
    size_t len = strlen(name);
    unsigned part, parts;

    return len > 0 && len <= MODEL_NAME_MAX && strchr("._-", name[0]) == NULL &&
           strspn(name, plain) == len && !ends_with(name, mmproj_suffix) &&
           (len < part_len || !is_part_suffix(name + len - part_len, &part, &parts));
}

char *model_name_from(const char *text, size_t len)
{
    char *name = alloc_string_n(text, len < MODEL_NAME_MAX ? len : MODEL_NAME_MAX);

    for (char *at = name; *at != '\0'; at++)
        if (strchr(plain, *at) == NULL)
            *at = '-';
    return name;
}

static const char *mark(enum stem stem)
{
    return stem == STEM_SECOND ? second_mark : "";
}

char *model_part_name(const char *name, enum stem stem, size_t part, size_t count)
{
    if (count == 1)
        return alloc_printf("%s%s.gguf", name, mark(stem));
    return alloc_printf("%s%s-%05zu-of-%05zu.gguf", name, mark(stem), part, count);
}

char *model_mmproj_name(const char *name, enum stem stem)
{
    return alloc_printf("%s%s%s.gguf", name, mark(stem), mmproj_suffix);
}

bool split_name(const char *path, size_t *stem, unsigned *parts)
{
    size_t len = strlen(path);
    unsigned part;
    char *suffix;
    bool ok;

    if (len <= part_len + 5 || !ends_with(path, ".gguf"))
        return false;
    suffix = alloc_string_n(path + len - part_len - 5, part_len);
    ok = is_part_suffix(suffix, &part, parts);
    free(suffix);
    if (ok)
        *stem = len - part_len - 5;
    return ok;
}

bool model_owns(const char *name, const char *file)
{
    size_t len = strlen(name), stem;
    const char *rest = file + len;
    unsigned parts;

    if (strncmp(file, name, len) != 0)
        return false;
    if (strncmp(rest, second_mark, strlen(second_mark)) == 0)
        rest += strlen(second_mark);
    if (strcmp(rest, ".gguf") == 0 || strcmp(rest, ".mmproj.gguf") == 0)
        return true;
    return split_name(file, &stem, &parts) && file + stem == rest;
}
