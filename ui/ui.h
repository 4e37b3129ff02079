// ui/ui.h
// SPDX-License-Identifier: MIT
//
// What a person sees and types: the whole public face of ui/. It knows no engine and no
// store; whoever owns it tells it what to show and is told what the person wants.
//
// A thread of its own reads the terminal and paints, so that keys are answered whatever
// the owner is doing: it may wait for the disk between two calls. The owner polls ui_fd
// and takes the events with ui_next; any thread may call any function, and none waits.
// One ui per process. Strings given are copied; strings in an event live until the next
// ui_next.
//
// Files of the room: terminal.c (the only way out to the tty), keys.c (the only way in),
// glyph.c (widths, harmlessness), theme.c, lines.c (styled text, wrapping), markdown.c,
// table.c, highlight.c, transcript.c, composer.c (readline), completion.c (Tab),
// paths.c (what was dropped), watcher.c (gives the terminal back after a SIGKILL),
// graphics.c (what the terminal says about pictures), pixels.c, format_*.c (pictures as
// terminals take them), encoder.c (the thread that makes them), previews.c, overlay.c
// (pictures over the text), actions.def, help.c, pane.c (the list of conversations),
// screen.c (where everything is,
// which key does what), plain.c (the other face, without curses), prompt.c (its line),
// events.c, ui.c (the thread).
#ifndef ORIEL_UI_UI_H
#define ORIEL_UI_UI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum ui_action {
#define ACTION(name, command, argument, keys, summary) UI_##name,
#include "ui/actions.def"
#undef ACTION
    UI_ACTION_COUNT
};

struct ui_action_info {
    const char *command; // without the slash; NULL: it has only keys
    const char *argument;
    const char *keys;
    const char *summary;
};
extern const struct ui_action_info ui_actions[UI_ACTION_COUNT];

struct ui;

struct ui_params {
    const char *history_path; // where sent lines are kept; NULL: nowhere
    const char *theme;        // "dark", "light", "plain"; NULL: asked of the terminal
    bool viewer;              // nothing is written here: keys come as UI_EVENT_KEY
    bool plain;               // the face of plain.h, not that of screen.h
};

struct ui *ui_open(const struct ui_params *params, struct err *err);
void ui_close(struct ui **ui);

enum ui_event_kind {
    UI_EVENT_SEND,   // text: the message
    UI_EVENT_ACTION, // action, text: its argument or ""
    UI_EVENT_TYPED,  // the message being written has changed
    UI_EVENT_KEY,    // text: the character; "right" for that key, "escape"
    UI_EVENT_SIGNAL, // SIGTERM, SIGHUP or SIGINT: end soon; signal
    // block: an image block whose pixels are wanted has come into view. To be answered
    // with ui_set_picture, at any time.
    UI_EVENT_PICTURE,
    // text: was pasted and names nothing but files (ui_paths). It is not in the message:
    // the owner attaches the files, or calls ui_insert.
    UI_EVENT_PASTE,
};
struct ui_event {
    enum ui_event_kind kind;
    enum ui_action action;
    const char *text;
    int signal;
    size_t block;
};
// Readable when ui_next has something.
int ui_fd(const struct ui *ui);
bool ui_next(struct ui *ui, struct ui_event *event);

// What is said between the two is painted at once, not in parts.
void ui_hold(struct ui *ui);
void ui_let(struct ui *ui);

// ---------------------------------------------------------------------------
// The transcript: blocks from 0 on

enum ui_block_kind {
    UI_BLOCK_USER,
    UI_BLOCK_REPLY, // Markdown
    UI_BLOCK_SYSTEM,
    UI_BLOCK_IMAGE, // text: its name
    UI_BLOCK_NOTICE,
    UI_BLOCK_ERROR,
};
struct ui_block {
    enum ui_block_kind kind;
    const char *label; // who; NULL: no heading
    const char *meta;  // beside it; may be NULL
    const char *text;
    size_t text_len;
    bool streaming; // more is to come
    // Of a reply: another one to be shown at its left, whole. NULL: none.
    const char *beside_label, *beside;
    size_t beside_len;
};
size_t ui_add_block(struct ui *ui, const struct ui_block *block); // returns its index
void ui_append(struct ui *ui, size_t block, const char *text, size_t len);
void ui_finish_block(struct ui *ui, size_t block, const char *meta);
size_t ui_block_count(struct ui *ui);
void ui_truncate(struct ui *ui, size_t count); // keeps the first `count` blocks
void ui_follow(struct ui *ui);                 // shows the end
// What the model still has in its context: this block and all after it, and a system
// message at the beginning. 0: everything. Shown as a rule above the block.
void ui_read_from(struct ui *ui, size_t block);
void ui_notice(struct ui *ui, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ui_error(struct ui *ui, const struct err *err);

struct ui_picture {
    uint32_t width, height; // pixels
    const uint8_t *rgba;    // rows from the top, sRGB, alpha not multiplied in
    // What the caption says, where the pixels were made smaller; 0: width and height.
    uint32_t full_width, full_height;
};
// The pixels of an image block: copied, scaled to what the screen needs. NULL: it cannot
// be shown. Ignored when the block is gone or is no image.
void ui_set_picture(struct ui *ui, size_t block, const struct ui_picture *picture);

// ---------------------------------------------------------------------------
// Around it

struct ui_status {
    const char *state; // "ready", "loading", ...
    bool busy;         // a reply is being written: Escape stops it
    const char *title; // of the conversation
    const char *model;
    const char *device;
    size_t context_used, context_tokens; // tokens; 0: not known
    double tokens_per_second;            // 0: not known
    double fraction;                     // of what `state` names; < 0: not known
};
void ui_set_status(struct ui *ui, const struct ui_status *status);

struct ui_entry {
    const char *id;
    const char *title;
    const char *detail; // when, or where a search found it
    bool current;
};
// heading: what the list is ("Conversations", "Found: ...").
void ui_set_entries(struct ui *ui, const char *heading, const struct ui_entry *entries,
                    size_t count);
bool ui_entries_visible(struct ui *ui);
void ui_show_entries(struct ui *ui, bool visible);

// A line between the transcript and what is below, until the next key.
void ui_hint(struct ui *ui, const char *text);

const char *ui_message(struct ui *ui); // being written; valid until the next call
void ui_set_message(struct ui *ui, const char *text);
void ui_insert(struct ui *ui, const char *text); // where its cursor is
// A text that could not go: in front of what has been typed since.
void ui_put_back(struct ui *ui, const char *text);

// The pictures that go with the next message, shown above it.
void ui_set_attachments(struct ui *ui, const char *const *names, size_t count);
// A message that waits to be sent, shown there too; NULL: none.
void ui_set_queued(struct ui *ui, const char *text);

// What Tab offers as the argument of an action's command.
void ui_set_names(struct ui *ui, enum ui_action action, const char *const *names,
                  size_t count);

// The files that a text names, if it names nothing else: absolute, below ~, or file://
// URLs; bare, quoted or with backslashes; in lines or in words. NULL: it is other text.
// Free each path and the array.
char **ui_paths(const char *text, size_t *count);

bool ui_copy(struct ui *ui, const char *text, size_t len); // to the clipboard
bool ui_copy_code(struct ui *ui, const char *markdown, size_t len, size_t index);

#endif
