// base/printable.h
// SPDX-License-Identifier: MIT
//
// Untrusted text made harmless for a terminal: what a model, a file, a driver or a server
// wrote never carries a control character out.
#ifndef ORIEL_BASE_PRINTABLE_H
#define ORIEL_BASE_PRINTABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

// What is shown in place of one character: itself, unless it is one of those below.
uint32_t printable_codepoint(uint32_t codepoint);

// Appends the text with newlines and tabs kept, a carriage return before a newline
// dropped, every other C0 control character and DEL as its picture (U+2400 and up), and
// C1 controls, ill-formed bytes, bidirectional controls (CVE-2021-42574), line
// separators, the byte order mark and tag characters as U+FFFD.
void printable_append(struct str *out, const char *bytes, size_t len);

#endif
