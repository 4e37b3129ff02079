// ui/composer.h
// SPDX-License-Identifier: MIT
//
// The line being edited, which may have many lines. readline edits it (callback
// interface): its bindings, history, undo and the user's inputrc work, with `$if oriel`.
// It never sees the terminal: it gets whole units from keys.h, and we draw its buffer.
//
// readline is a set of globals, so that there is one composer.
#ifndef ORIEL_UI_COMPOSER_H
#define ORIEL_UI_COMPOSER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "ui/keys.h"
#include "ui/terminal.h"

enum composer_result {
    COMPOSER_ON,     // still editing
    COMPOSER_SEND,   // composer_take has the text
    COMPOSER_END,    // Ctrl-D on an empty line
    COMPOSER_EDITOR, // the text is to be edited in $EDITOR
};

struct composer;

// history_path: where lines are kept, or NULL.
struct composer *composer_create(const char *history_path);
void composer_destroy(struct composer **composer);

// Gives readline a KEY_TEXT, KEY_SEQUENCE, KEY_ESCAPE or KEY_PASTE.
enum composer_result composer_key(struct composer *composer, const struct key *key);

// The text that was sent, once; valid until the next call. It is in the history then.
const char *composer_take(struct composer *composer);

const char *composer_text(const struct composer *composer); // valid until the next key
void composer_set(struct composer *composer, const char *text);
void composer_insert(struct composer *composer, const char *bytes, size_t len);
bool composer_empty(const struct composer *composer);
// Whether Escape has a meaning of its own (vi mode, or in the middle of a search).
bool composer_wants_escape(const struct composer *composer);

// What completion has found, in one line; "" when there is nothing to say.
const char *composer_hint(const struct composer *composer);

int composer_rows(const struct composer *composer, int columns, int max_rows);
// Draws and says where the cursor is.
void composer_paint(struct composer *composer, struct terminal *terminal, int y, int x,
                    int rows, int columns, int *cursor_y, int *cursor_x);

#endif
