// tests/fuzz/fuzz_keys.c
// SPDX-License-Identifier: MIT
//
// Any bytes from a terminal, torn anywhere: every unit is whole, answers are understood
// or not, and nothing stays behind once time has passed.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "ui/graphics.h"
#include "ui/keys.h"

#define PIECE 7
#define LATER ((int64_t)10000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *nothing(const char *name)
{
    (void)name;
    return NULL;
}

static void take(struct keys *keys, int64_t now, struct graphics *graphics)
{
    struct key key;

    while (keys_next(keys, now, &key)) {
        if (key.kind == KEY_TEXT && key.len == 0)
            abort();
        if (key.kind == KEY_REPLY)
            graphics_answer(graphics, key.bytes, key.len);
    }
    if (graphics_cell(graphics).width <= 0 || graphics_cell(graphics).height <= 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct graphics graphics;
    struct keys keys;
    int64_t now = 1;

    graphics_init(&graphics, nothing);
    graphics_resized(&graphics, (struct size){ 80, 24 }, (struct size){ 0, 0 });
    keys_init(&keys);
    for (size_t at = 0; at < size; at += PIECE, now++) {
        keys_add(&keys, (const char *)data + at, size - at < PIECE ? size - at : PIECE,
                 now);
        take(&keys, now, &graphics);
    }
    take(&keys, now + LATER, &graphics);
    if (keys_waiting(&keys))
        abort();
    keys_release(&keys);
    return 0;
}
