// ui/plain.h
// SPDX-License-Identifier: MIT
//
// The face for screen readers and terminals that can only write on: everything is written
// once, from top to bottom, with a word for who speaks; the message is edited by readline
// on the last line. Not thread-safe. The functions do what those of the same name in ui.h
// and screen.h say.
#ifndef ORIEL_UI_PLAIN_H
#define ORIEL_UI_PLAIN_H

#include "ui/screen.h"
#include "ui/ui.h"

struct plain;

struct plain *plain_open(const struct ui_params *params, struct err *err);
void plain_close(struct plain **plain);
void plain_fds(const struct plain *plain, struct pollfd fds[SCREEN_FDS]);
void plain_read(struct plain *plain);
// Shows the prompt when it is the person's turn.
void plain_paint(struct plain *plain);
bool plain_next(struct plain *plain, struct ui_event *event);
bool plain_has_events(const struct plain *plain);
size_t plain_add_block(struct plain *plain, const struct ui_block *block);
void plain_append(struct plain *plain, size_t block, const char *text, size_t len);
void plain_finish_block(struct plain *plain, size_t block, const char *meta);
size_t plain_block_count(const struct plain *plain);
void plain_truncate(struct plain *plain, size_t count);
void plain_read_from(struct plain *plain, size_t block);
void plain_set_status(struct plain *plain, const struct ui_status *status);
void plain_set_entries(struct plain *plain, const char *heading,
                       const struct ui_entry *entries, size_t count);
bool plain_entries_visible(const struct plain *plain);
void plain_show_entries(struct plain *plain, bool visible);
void plain_hint(struct plain *plain, const char *text);
const char *plain_message(const struct plain *plain);
void plain_set_message(struct plain *plain, const char *text);
void plain_insert(struct plain *plain, const char *text);
void plain_set_attachments(struct plain *plain, const char *const *names, size_t count);
void plain_set_queued(struct plain *plain, const char *text);
bool plain_copy(struct plain *plain, const char *text, size_t len);

#endif
