// ui/markdown_guard.h
// SPDX-License-Identifier: MIT
//
// md4c up to 0.4.8 (Debian 12) reads past its table of lines when a block ends inside the
// parentheses of an inline link: "[a](b". That is what every link looks like while it is
// being written. The guard takes such text apart before it reaches the parser.
#ifndef ORIEL_UI_MARKDOWN_GUARD_H
#define ORIEL_UI_MARKDOWN_GUARD_H

#include <stddef.h>

#include "base/str.h"

// Appends text to safe, with a backslash between "]" and "(" wherever no inline link is
// complete on its line: it looks the same when drawn. Code is left as it is.
void markdown_guard(const char *text, size_t len, struct str *safe);

#endif
