// ui/screen.h
// SPDX-License-Identifier: MIT
//
// The face that fills the terminal: ui.h without its thread. Not thread-safe. The
// functions do what those of the same name in ui.h say.
#ifndef ORIEL_UI_SCREEN_H
#define ORIEL_UI_SCREEN_H

#include <poll.h>

#include "ui/ui.h"

struct screen;

struct screen *screen_open(const struct ui_params *params, struct err *err);
void screen_close(struct screen **screen);

#define SCREEN_FDS 3
void screen_fds(const struct screen *screen, struct pollfd fds[SCREEN_FDS]);
// How long poll may wait; -1: as long as it likes.
int screen_timeout_ms(const struct screen *screen);
// Takes in what has been typed, and signals.
void screen_read(struct screen *screen);
// Draws if anything has changed; may put it off by some milliseconds while much arrives
// (screen_timeout_ms knows).
void screen_paint(struct screen *screen);

bool screen_next(struct screen *screen, struct ui_event *event);
bool screen_has_events(const struct screen *screen);

// Whether the person wants $EDITOR: then the terminal is given back, and the message is
// in text, until screen_editor_end. NULL: the message stays as it was.
bool screen_editor_begin(struct screen *screen, struct str *text);
void screen_editor_end(struct screen *screen, const struct str *text);

size_t screen_add_block(struct screen *screen, const struct ui_block *block);
void screen_append(struct screen *screen, size_t block, const char *text, size_t len);
void screen_finish_block(struct screen *screen, size_t block, const char *meta);
size_t screen_block_count(const struct screen *screen);
void screen_truncate(struct screen *screen, size_t count);
void screen_follow(struct screen *screen);
void screen_read_from(struct screen *screen, size_t block);
void screen_set_picture(struct screen *screen, size_t block,
                        const struct ui_picture *picture);
void screen_set_status(struct screen *screen, const struct ui_status *status);
void screen_set_entries(struct screen *screen, const char *heading,
                        const struct ui_entry *entries, size_t count);
bool screen_entries_visible(const struct screen *screen);
void screen_show_entries(struct screen *screen, bool visible);
void screen_hint(struct screen *screen, const char *text);
const char *screen_message(const struct screen *screen);
void screen_set_message(struct screen *screen, const char *text);
void screen_insert(struct screen *screen, const char *text);
void screen_set_attachments(struct screen *screen, const char *const *names,
                            size_t count);
void screen_set_queued(struct screen *screen, const char *text);
bool screen_copy(struct screen *screen, const char *text, size_t len);

#endif
