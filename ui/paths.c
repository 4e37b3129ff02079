// ui/paths.c
// SPDX-License-Identifier: MIT
#include "ui/paths.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/str.h"

#define TEXT_MAX  65536 // bytes of a paste that may be paths
#define COUNT_MAX 64
#define SCHEME    "file://"

struct found {
    char **paths;
    size_t count, cap;
};

void paths_free(char **paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    free(paths);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// file:///x and file://localhost/x; %-escapes are undone. false for other hosts, broken
// escapes and a NUL.
static bool put_url(struct str *path, const char *text)
{
    if (strncmp(text, "localhost/", strlen("localhost/")) == 0)
        text += strlen("localhost");
    if (text[0] != '/')
        return false;
    for (; text[0] != '\0'; text++) {
        int high, low;

        if (text[0] != '%') {
            str_append_char(path, text[0]);
            continue;
        }
        high = hex_digit(text[1]);
        low = high < 0 ? -1 : hex_digit(text[2]);
        if (low < 0 || high + low == 0)
            return false;
        str_append_char(path, (char)(high * 16 + low));
        text += 2;
    }
    return true;
}

// Adds what `word` names if that is a regular file.
static bool add_word(struct found *found, const char *word)
{
    const char *home = getenv("HOME");
    struct stat status;
    struct str path;
    bool ok = true;

    str_init(&path, TEXT_MAX);
    if (strncmp(word, SCHEME, strlen(SCHEME)) == 0)
        ok = put_url(&path, word + strlen(SCHEME));
    else if (word[0] == '~' && word[1] == '/' && home != NULL)
        str_printf(&path, "%s%s", home, word + 1);
    else if (word[0] == '/')
        str_append(&path, word);
    ok = ok && path.len > 0 && found->count < COUNT_MAX &&
         stat(path.data, &status) == 0 && S_ISREG(status.st_mode);
    if (ok) {
        found->paths =
            alloc_grow(found->paths, found->count, &found->cap, sizeof(*found->paths));
        found->paths[found->count++] = str_take(&path);
    }
    str_release(&path);
    return ok;
}

// Takes one word as a shell would: quotes of both kinds, backslashes. Returns what is
// behind it, NULL when a quote is left open.
static const char *take_word(const char *at, struct str *word)
{
    char quote = '\0';

    for (; at[0] != '\0'; at++) {
        if (quote != '\0' && at[0] == quote)
            quote = '\0';
        else if (quote == '\0' && (at[0] == '\'' || at[0] == '"'))
            quote = at[0];
        else if (at[0] == '\\' && quote != '\'' && at[1] != '\0')
            str_append_char(word, *++at);
        else if (quote == '\0' && (at[0] == ' ' || at[0] == '\t'))
            break;
        else
            str_append_char(word, at[0]);
    }
    return quote == '\0' ? at : NULL;
}

static bool add_words(struct found *found, const char *line)
{
    struct str word;
    bool ok = true;

    str_init(&word, TEXT_MAX);
    for (line += strspn(line, " \t"); ok && line != NULL && line[0] != '\0';) {
        str_reset(&word);
        line = take_word(line, &word);
        ok = line != NULL && add_word(found, word.data);
        if (ok)
            line += strspn(line, " \t");
    }
    str_release(&word);
    return ok;
}

// A line is one path with bare spaces in it, or words.
static bool add_line(struct found *found, char *line)
{
    size_t len = strlen(line);

    while (len > 0 && strchr(" \t\r", line[len - 1]) != NULL &&
           !(len > 1 && line[len - 2] == '\\'))
        line[--len] = '\0';
    return add_word(found, line + strspn(line, " \t")) || add_words(found, line);
}

char **paths_parse(const char *text, size_t len, size_t *count)
{
    struct found found = { 0 };
    char *copy, *line, *rest;
    bool ok = true;

    *count = 0;
    if (len > TEXT_MAX || memchr(text, '\0', len) != NULL ||
        memchr(text, '/', len) == NULL) // the usual case, quickly
        return NULL;
    copy = alloc_string_n(text, len);
    for (line = strtok_r(copy, "\n", &rest); ok && line != NULL;
         line = strtok_r(NULL, "\n", &rest))
        ok = add_line(&found, line);
    free(copy);
    if (ok && found.count > 0) {
        *count = found.count;
        return found.paths;
    }
    paths_free(found.paths, found.count);
    return NULL;
}
