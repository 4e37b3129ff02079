// ui/completion.c
// SPDX-License-Identifier: MIT
#include "ui/completion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <readline/readline.h>

#include "base/alloc.h"
#include "ui/help.h"

static struct names {
    char **items;
    size_t count;
} known[UI_ACTION_COUNT];

// What the generators below work on while readline asks them.
static struct {
    const struct names *names;
    const char *typed; // of the argument, up to the cursor
    size_t before;     // bytes of it in front of the word that readline completes
} asked;

static char *next_command(const char *text, int state)
{
    static int at; // readline asks until we say NULL

    if (state == 0)
        at = 0;
    while (at < UI_ACTION_COUNT) {
        const char *name = ui_actions[at++].command;

        if (name != NULL && strncmp(name, text + 1, strlen(text + 1)) == 0)
            return alloc_printf("/%s", name);
    }
    return NULL;
}

// A name may have blanks, at which readline has cut: what is behind the last one that was
// typed is offered.
static char *next_name(const char *text, int state)
{
    static size_t at;

    (void)text;
    if (state == 0)
        at = 0;
    while (at < asked.names->count) {
        const char *name = asked.names->items[at++];

        if (strncasecmp(name, asked.typed, strlen(asked.typed)) == 0)
            return alloc_string(name + asked.before);
    }
    return NULL;
}

static char **complete_argument(const char *text, int start, int end)
{
    size_t word = strcspn(rl_line_buffer + 1, " ");
    enum ui_action action = help_find(rl_line_buffer + 1, word);
    size_t begin = 1 + word + strspn(rl_line_buffer + 1 + word, " ");
    char **matches, *typed;

    if (action == UI_ATTACH || action == UI_EXPORT)
        return rl_completion_matches(text, rl_filename_completion_function);
    if (action == UI_ACTION_COUNT || known[action].count == 0 || (size_t)start < begin)
        return NULL;
    typed = alloc_string_n(rl_line_buffer + begin, (size_t)end - begin);
    asked.names = &known[action];
    asked.typed = typed;
    asked.before = (size_t)start - begin;
    matches = rl_completion_matches(text, next_name);
    free(typed);
    return matches;
}

static char **complete(const char *text, int start, int end)
{
    rl_attempted_completion_over = 1;
    if (start == 0 && text[0] == '/' && strchr(text + 1, '/') == NULL)
        return rl_completion_matches(text, next_command);
    if (rl_line_buffer[0] == '/' &&
        strcspn(rl_line_buffer + 1, " /") == strcspn(rl_line_buffer + 1, " "))
        return complete_argument(text, start, end);
    if (strchr(text, '/') != NULL || text[0] == '~')
        return rl_completion_matches(text, rl_filename_completion_function);
    return NULL;
}

void completion_install(void)
{
    rl_attempted_completion_function = complete;
    rl_completer_word_break_characters = " \t\n\"'";
    rl_completer_quote_characters = "\"'";
    rl_filename_quote_characters = " \t\n\"'\\";
}

static void forget(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct names){ 0 };
}

void completion_set(enum ui_action action, const char *const *names, size_t count)
{
    forget(&known[action]);
    known[action].items = alloc_array(count + 1, sizeof(*known[action].items));
    for (size_t i = 0; i < count; i++)
        known[action].items[i] = alloc_string(names[i]);
    known[action].count = count;
}

void completion_release(void)
{
    for (int i = 0; i < UI_ACTION_COUNT; i++)
        forget(&known[i]);
}
