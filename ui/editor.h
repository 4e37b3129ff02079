// ui/editor.h
// SPDX-License-Identifier: MIT
//
// A text edited in $VISUAL or $EDITOR. The terminal must have been given back before.
#ifndef ORIEL_UI_EDITOR_H
#define ORIEL_UI_EDITOR_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

// Replaces text by what the editor leaves. The temporary file is private and removed.
bool editor_run(struct str *text, struct err *err);

#endif
