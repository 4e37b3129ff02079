// app/clipboard.h
// SPDX-License-Identifier: MIT
//
// The picture in the clipboard, from wl-paste (Wayland) or xclip (X11), which run beside
// us: no call here waits.
#ifndef ORIEL_APP_CLIPBOARD_H
#define ORIEL_APP_CLIPBOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct clipboard;

// ERR_UNSUPPORTED: there is no clipboard to ask, or no program that can.
struct clipboard *clipboard_start(struct err *err);

// Readable when the program has ended.
int clipboard_fd(const struct clipboard *clipboard);
// When it has had enough time.
int64_t clipboard_deadline_ns(const struct clipboard *clipboard);

// The bytes as a file in memory, which is the caller's, or -1 with err set. Kills a
// program that is still running. Sets *clipboard to NULL.
int clipboard_finish(struct clipboard **clipboard, struct err *err);

#endif
