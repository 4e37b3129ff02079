// ui/lines_sent.h
// SPDX-License-Identifier: MIT
//
// readline's history, kept in a file: what Up and Ctrl-R find. Global, as readline is.
#ifndef ORIEL_UI_LINES_SENT_H
#define ORIEL_UI_LINES_SENT_H

// path: where lines are kept; NULL: nowhere.
void history_open(const char *path);
void history_close(void);
// The line was sent. The same line twice in a row is kept once.
void history_remember(const char *line);

#endif
