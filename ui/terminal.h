// ui/terminal.h
// SPDX-License-Identifier: MIT
//
// The terminal: taken, drawn on, given back. The only way out to the tty.
//
// Invariants. (1) Text reaches the screen only through terminal_put, which draws glyphs
// (glyph.h), so that no control character gets out. (2) While the screen is ours,
// standard error (ours and the engine's) goes into memory; it is shown, made harmless,
// when the terminal is given back. (3) The terminal is given back as it was on every way
// out: by terminal_close, by the handlers of the fatal signals on a stack of their own,
// when memory runs out, and after SIGKILL by the watcher. A process has one terminal;
// what the handlers need is the one global.
#ifndef ORIEL_UI_TERMINAL_H
#define ORIEL_UI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ui/overlay.h"

struct terminal;

// Takes the controlling terminal: alternate screen, raw mode, bracketed paste, the mouse
// if wanted. ERR_USAGE when there is no terminal, ERR_UNSUPPORTED when it cannot do it.
struct terminal *terminal_open(bool mouse, struct err *err);
void terminal_close(struct terminal **terminal);
// For each thread that draws: its fatal signals are handled on a stack of their own,
// until it ends.
void terminal_use_signal_stack(bool on);

int terminal_input_fd(const struct terminal *terminal);
// Readable when a signal has arrived: terminal_next_signal takes it (0: none).
int terminal_signal_fd(const struct terminal *terminal);
int terminal_next_signal(struct terminal *terminal);

// Gives the terminal back for a while (an editor, Ctrl-Z) and takes it again.
void terminal_pause(struct terminal *terminal);
void terminal_resume(struct terminal *terminal);
// Stops the process group as Ctrl-Z does; returns when it goes on.
void terminal_stop(struct terminal *terminal);

void terminal_set_mouse(struct terminal *terminal, bool on);

// Writes a question (graphics.h); answers come as KEY_REPLY.
void terminal_ask(struct terminal *terminal, const char *question);

// Columns and rows, and the pixels that the kernel knows of (0: it does not).
void terminal_size(const struct terminal *terminal, struct size *cells,
                   struct size *pixels);
int terminal_colours(const struct terminal *terminal); // 0: none

// Puts bytes on the clipboard (OSC 52). false when it is more than terminals take.
bool terminal_copy(struct terminal *terminal, const char *bytes, size_t len);

// A frame: begin, put, end. Only what changed is sent.
void terminal_begin(struct terminal *terminal, int *rows, int *columns);
// Draws as much as fits into `columns` from (y, x) on; returns the columns used.
int terminal_put(struct terminal *terminal, int y, int x, int columns, uint16_t style,
                 const char *bytes, size_t len);
void terminal_fill(struct terminal *terminal, int y, int x, int columns, uint16_t style);
// A picture in this frame, over cells that are left blank, drawn after the text.
void terminal_show(struct terminal *terminal, const struct overlay_picture *picture);
// Text beside the pictures scrolls in this frame: curses may scroll the terminal, which
// takes pictures along, so that they are drawn again.
void terminal_renew_pictures(struct terminal *terminal);
// The cursor's place, or y < 0 to hide it.
void terminal_end(struct terminal *terminal, int y, int x);
// After a change of size or when another program has written on the screen.
void terminal_resized(struct terminal *terminal);
void terminal_redraw(struct terminal *terminal);

#endif
