// app/picture_blocks.h
// SPDX-License-Identifier: MIT
//
// The stored pictures that a screen shows: which attachment each image block is, and its
// pixels, which are decoded in the sandbox when the block comes into view, some at a time
// and without waiting.
#ifndef ORIEL_APP_PICTURE_BLOCKS_H
#define ORIEL_APP_PICTURE_BLOCKS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/conversation.h"
#include "sessions/sessions.h"
#include "ui/ui.h"

#define PICTURE_BLOCKS_FDS 2 // decoded at once

struct picture_blocks {
    struct ui *ui;
    struct sessions *sessions;
    struct picture_block *items; // by block, ascending
    size_t count, cap;
};
void picture_blocks_init(struct picture_blocks *blocks, struct ui *ui,
                         struct sessions *sessions);
void picture_blocks_release(struct picture_blocks *blocks);

// Adds a block for a part that is a picture. label and meta as in struct ui_block.
void picture_blocks_add(struct picture_blocks *blocks, const struct part *part,
                        const char *label, const char *meta);

// Answers UI_EVENT_PICTURE, now or later.
void picture_blocks_want(struct picture_blocks *blocks, size_t block);

// What to poll for, and what to do afterwards, whatever poll has said.
void picture_blocks_fds(const struct picture_blocks *blocks,
                        struct pollfd fds[PICTURE_BLOCKS_FDS]);
void picture_blocks_tick(struct picture_blocks *blocks);

#endif
