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

// Appends the help to out.
void help_lines(struct lines *out, int width);

#endif
