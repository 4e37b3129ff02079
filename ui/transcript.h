// ui/transcript.h
// SPDX-License-Identifier: MIT
//
// What was said, as blocks, and the part of it that is on the screen. The lines of a
// block are made when they are first seen at a width, and again when its text changes:
// painting and scrolling cost what is visible, however long the conversation.
//
// Invariants: (1) while `follow` is set the end is shown; scrolling up clears it,
// reaching the end sets it; (2) otherwise the first visible line is `top_line` of block
// `top`, so that what is appended never moves what is read.
#ifndef ORIEL_UI_TRANSCRIPT_H
#define ORIEL_UI_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>

#include "ui/lines.h"
#include "ui/previews.h"
#include "ui/terminal.h"
#include "ui/ui.h"

struct block {
    enum ui_block_kind kind;
    char *label, *meta;
    struct str text;
    char *beside_label; // NULL: nothing stands beside it
    struct str beside;
    bool streaming;
    bool unfolded;           // its reasoning is shown
    struct preview *preview; // of an image; NULL otherwise
    struct fit fit;          // in the lines below
    size_t picture_line;     // the first of the lines that it takes
    struct lines lines;
    int width; // that lines were made for; 0: they are to be made
};

struct transcript {
    struct previews *previews;
    struct block *blocks;
    size_t count, cap;
    bool follow;
    size_t top, top_line;
    int width, height; // of the last painting
    size_t bottom;     // the block after the last that it showed
    struct str needle; // what is searched; "" for nothing
    size_t found_block, found_line;
    bool found;
    bool raw; // replies are shown as they were written
    size_t read_from;
};
// previews: of the same screen; borrowed.
void transcript_init(struct transcript *transcript, struct previews *previews);
void transcript_release(struct transcript *transcript);
void transcript_clear(struct transcript *transcript);

size_t transcript_add(struct transcript *transcript, const struct ui_block *block);
void transcript_append(struct transcript *transcript, size_t index, const char *text,
                       size_t len);
void transcript_change(struct transcript *transcript, size_t index, const char *meta,
                       bool streaming);
void transcript_truncate(struct transcript *transcript, size_t count);

void transcript_set_picture(struct transcript *transcript, size_t index,
                            const struct ui_picture *picture);
// An image that was painted without having its pixels; says so once.
bool transcript_wanted(struct transcript *transcript, size_t *index);

void transcript_scroll(struct transcript *transcript, int lines); // < 0: up
void transcript_end(struct transcript *transcript);
void transcript_begin(struct transcript *transcript);
// Shows or hides the reasoning of all replies.
void transcript_fold(struct transcript *transcript);
// Shows replies as they were written, or as Markdown; returns which it is now.
bool transcript_raw(struct transcript *transcript);

// A rule above block `index` says that the model reads from there on; 0: it reads all.
void transcript_read_from(struct transcript *transcript, size_t index);

// Goes to the next line above (or below) that contains text; NULL: the same text again.
// false when there is none.
bool transcript_find(struct transcript *transcript, const char *text, bool down);

void transcript_paint(struct transcript *transcript, struct terminal *terminal, int y,
                      int x, int height, int width);

#endif
