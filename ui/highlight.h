// ui/highlight.h
// SPDX-License-Identifier: MIT
//
// Colours for code: comments, strings, numbers and the keywords of the common languages.
// A scanner, not a parser: it never fails, and a wrong guess costs a colour.
#ifndef ORIEL_UI_HIGHLIGHT_H
#define ORIEL_UI_HIGHLIGHT_H

#include <stddef.h>

#include "ui/lines.h"

// Appends the code to out. language: as after the fence ("python", "c++"), not
// NUL-terminated; what is not known gets no colours but STYLE_CODE.
void highlight(struct styled *out, const char *language, size_t language_len,
               const char *code, size_t len);

#endif
