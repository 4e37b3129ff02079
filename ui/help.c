// ui/help.c
// SPDX-License-Identifier: MIT
#include "ui/help.h"

#include <string.h>

#include "base/alloc.h"
#include "ui/glyph.h"

#define NAME_COLUMNS 22

const struct ui_action_info ui_actions[UI_ACTION_COUNT] = {
#define ACTION(name, command, argument, keys, summary)                                   \
    [UI_##name] = { command, argument, keys, summary },
#include "ui/actions.def"
#undef ACTION
};

enum ui_action help_find(const char *name, size_t len)
{
    int found = UI_ACTION_COUNT;

    for (int i = 0; i < UI_ACTION_COUNT; i++) {
        const char *command = ui_actions[i].command;

        if (command == NULL || len == 0 || strncmp(command, name, len) != 0)
            continue;
        if (command[len] == '\0')
            return (enum ui_action)i;
        if (found != UI_ACTION_COUNT)
            return UI_ACTION_COUNT; // several begin so
        found = i;
    }
    return (enum ui_action)found;
}

bool help_needs_screen(enum ui_action action)
{
    static const bool needs[UI_ACTION_COUNT] = {
        [UI_FIND] = true, [UI_FIND_UP] = true, [UI_FIND_DOWN] = true, [UI_FOLD] = true,
        [UI_RAW] = true,  [UI_THEME] = true,   [UI_MOUSE] = true,
    };

    return needs[action];
}

bool help_parse(const char *text, enum ui_action *action, char **argument)
{
    size_t word, len;

    *argument = NULL;
    if (text[0] != '/')
        return false;
    word = strcspn(text + 1, " \n\t/");
    if (text[1 + word] == '/')
        return false;
    *action = help_find(text + 1, word);
    *argument = alloc_string(text + 1 + word + strspn(text + 1 + word, " \t"));
    for (len = strlen(*argument); len > 0 && strchr(" \n\t", (*argument)[len - 1]);)
        (*argument)[--len] = '\0';
    return true;
}

static void put_entry(struct lines *out, const char *name, const char *argument,
                      const char *summary, int width)
{
    struct styled first, rest, text;

    styled_init(&first);
    styled_init(&rest);
    styled_init(&text);
    styled_add(&first, STYLE_NAME, name);
    if (argument[0] != '\0') {
        styled_add(&first, STYLE_TEXT, " ");
        styled_add(&first, STYLE_TEXT, argument);
    }
    while (text_width(first.text.data, first.text.len) < NAME_COLUMNS)
        styled_add(&first, STYLE_TEXT, " ");
    for (int i = 0; i < NAME_COLUMNS && i < width / 2; i++)
        styled_add(&rest, STYLE_TEXT, " ");
    styled_add(&text, STYLE_TEXT, summary);
    lines_wrap(out, &text,
               &(struct wrapping){ .width = width, .first = &first, .rest = &rest });
    styled_release(&first);
    styled_release(&rest);
    styled_release(&text);
}

static void put_heading(struct lines *out, const char *text)
{
    lines_put(out, STYLE_HEADING, text, strlen(text));
    lines_end(out, STYLE_TEXT);
}

void help_lines(struct lines *out, int width)
{
    struct str name;

    str_init(&name, 0);
    put_heading(out, "Keys");
    for (int i = 0; i < UI_ACTION_COUNT; i++)
        if (ui_actions[i].keys[0] != '\0')
            put_entry(out, ui_actions[i].keys, "", ui_actions[i].summary, width);
    lines_end(out, STYLE_TEXT);
    put_heading(out, "Commands (Tab completes them; the beginning of a name will do)");
    for (int i = 0; i < UI_ACTION_COUNT; i++) {
        if (ui_actions[i].command == NULL)
            continue;
        str_reset(&name);
        str_printf(&name, "/%s", ui_actions[i].command);
        put_entry(out, name.data, ui_actions[i].argument, ui_actions[i].summary, width);
    }
    str_release(&name);
    lines_end(out, STYLE_TEXT);
    put_heading(out, "The message is edited by readline: ~/.inputrc applies");
}
