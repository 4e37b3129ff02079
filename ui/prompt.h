// ui/prompt.h
// SPDX-License-Identifier: MIT
//
// The line that is edited in the plain face: readline, on the terminal itself. What is
// typed while there is no prompt is not echoed; it waits, and is edited when the prompt
// comes. The terminal is given back by prompt_close, and by the watcher after any other
// end. One prompt per process, because readline is a set of globals. Not thread-safe.
#ifndef ORIEL_UI_PROMPT_H
#define ORIEL_UI_PROMPT_H

#include <stdbool.h>

// Gets each line that was entered, which it frees; NULL: there will be no more. The
// prompt is gone then.
typedef void prompt_on_line(void *user, char *line);

struct prompt;

// history_path: where lines are kept, or NULL.
struct prompt *prompt_open(const char *history_path, prompt_on_line *on_line, void *user);
void prompt_close(struct prompt **prompt);

void prompt_show(struct prompt *prompt);
// Takes it off the line, where the cursor stays; its text comes back with the next
// prompt_show. false: there was none.
bool prompt_hide(struct prompt *prompt);
bool prompt_is_shown(const struct prompt *prompt);

// What is being edited; valid until the next call. Set it while it is hidden.
const char *prompt_text(const struct prompt *prompt);
void prompt_set_text(struct prompt *prompt, const char *text);

bool prompt_has_room(const struct prompt *prompt); // for what prompt_read reads
// Takes in what has been typed.
void prompt_read(struct prompt *prompt);
// Edits with what has been taken in, until the line is entered. false: nothing waits.
bool prompt_edit(struct prompt *prompt);

// Stops the process group as Ctrl-Z does; returns when it goes on.
void prompt_stop(struct prompt *prompt);
void prompt_resized(struct prompt *prompt);

#endif
