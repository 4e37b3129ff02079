// ui/markdown.h
// SPDX-License-Identifier: MIT
//
// Markdown (CommonMark with GitHub's tables, task lists and struck text, read by md4c) as
// lines of a width. Any text is valid, so what is still being written looks right too: an
// unclosed fence is a code block up to the end. HTML is shown as it is written.
#ifndef ORIEL_UI_MARKDOWN_H
#define ORIEL_UI_MARKDOWN_H

#include <stddef.h>

#include "ui/lines.h"

// Appends the lines of text to out.
void markdown_lines(struct lines *out, const char *text, size_t len, int width);

// The code of fenced block `index` (0 is the first), without the fences; false when there
// are not so many.
bool markdown_code(const char *text, size_t len, size_t index, struct str *code);

#endif
