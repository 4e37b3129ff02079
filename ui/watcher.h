// ui/watcher.h
// SPDX-License-Identifier: MIT
//
// A process of a few kilobytes that does one thing: when its parent is gone without
// having given the terminal back (SIGKILL, or want of memory), it gives it back. It is
// forked before there are threads, and holds nothing but the terminal and the end of a
// pipe whose other end closes when the parent ends, however that happens.
//
// The modes of the terminal are only set back while they are still those that the parent
// had set: a shell that was faster is left alone.
#ifndef ORIEL_UI_WATCHER_H
#define ORIEL_UI_WATCHER_H

#include <stdbool.h>
#include <stddef.h>

struct watcher;

// reset: what to write to the terminal, a string that lives as long as the program. NULL
// when there cannot be one; all functions accept that.
struct watcher *watcher_start(int terminal, const char *reset);
// Whether the terminal is the parent's now, to be given back if it dies.
// Async-signal-safe.
void watcher_set(struct watcher *watcher, bool taken);
void watcher_stop(struct watcher **watcher);

#endif
