// ui/help.h
// SPDX-License-Identifier: MIT
//
// The table of actions, and the help that is made of it.
#ifndef ORIEL_UI_HELP_H
#define ORIEL_UI_HELP_H

#include "ui/lines.h"
#include "ui/ui.h"

// The action of that command, or of the only one that begins so; UI_ACTION_COUNT: none.
enum ui_action help_find(const char *name, size_t len);

// "/word argument" is a command; other text, and a path such as "/home/x.png", is not:
// false. *action is UI_ACTION_COUNT when there is no such command. free(*argument).
bool help_parse(const char *text, enum ui_action *action, char **argument);

// What only screen.h can do: scroll, fold, theme.
bool help_needs_screen(enum ui_action action);

// Appends the help to out.
void help_lines(struct lines *out, int width);

#endif
