// ui/encoder.h
// SPDX-License-Identifier: MIT
//
// Encodes pictures for the terminal on a thread of its own, so that keys never wait for
// it, and keeps what it has encoded: scrolling back, or redrawing, sends the same bytes.
//
// Invariants. (1) The thread touches only jobs that it has taken and their sources; all
// else belongs to the caller's thread. (2) What is queued and was not asked for again in
// this frame is forgotten. (3) The bytes kept stay below a limit, of which the frame
// that is being drawn may take more.
#ifndef ORIEL_UI_ENCODER_H
#define ORIEL_UI_ENCODER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "ui/graphics.h"
#include "ui/pixels.h"

struct encoder;
struct source; // a picture in the size in which it is shown

struct source_params {
    enum graphics_kind kind; // blocks, iTerm, sixel or kitty
    uint32_t number;         // of its own, for kitty
    struct fit fit;
    struct size cell; // of pixels, in fit's measure
    uint8_t background[3];
    int registers;              // sixel
    enum block_colours colours; // blocks
};

struct encoder *encoder_create(void);
void encoder_destroy(struct encoder **encoder);

// Readable when something that encoder_get did not have is ready; encoder_woken clears
// it.
int encoder_fd(const struct encoder *encoder);
void encoder_woken(struct encoder *encoder);

// Takes the pixels.
struct source *encoder_add(struct encoder *encoder, struct pixels *pixels,
                           const struct source_params *params);
void encoder_remove(struct encoder *encoder, struct source **source);

void encoder_begin_frame(struct encoder *encoder);
// Rows [first, first + rows) of cells, NULL while they are not ready (or cannot be made).
// Waits for them for some milliseconds. Until encoder_begin_frame is called twice.
const struct str *encoder_get(struct encoder *encoder, struct source *source, int first,
                              int rows);
// The same will probably be asked for soon.
void encoder_expect(struct encoder *encoder, struct source *source, int first, int rows);

#endif
