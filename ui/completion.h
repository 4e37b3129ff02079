// ui/completion.h
// SPDX-License-Identifier: MIT
//
// What Tab completes: the commands, the arguments of which the owner knows the names, and
// files. For readline, which is a set of globals, so that this is one too.
#ifndef ORIEL_UI_COMPLETION_H
#define ORIEL_UI_COMPLETION_H

#include <stddef.h>

#include "ui/ui.h"

// Makes readline use it.
void completion_install(void);
// The names that an action's argument may have; copied.
void completion_set(enum ui_action action, const char *const *names, size_t count);
void completion_release(void);

#endif
