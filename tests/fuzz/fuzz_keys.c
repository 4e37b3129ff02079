// tests/fuzz/fuzz_keys.c
// SPDX-License-Identifier: MIT
//
// Any bytes from a terminal, torn anywhere: every unit is whole, and nothing stays behind
// once time has passed.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "ui/keys.h"

#define PIECE 7
#define LATER ((int64_t)10000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct keys *keys, int64_t now)
{
    struct key key;

    while (keys_next(keys, now, &key))
        if (key.kind == KEY_TEXT && key.len == 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct keys keys;
    int64_t now = 1;

    keys_init(&keys);
    for (size_t at = 0; at < size; at += PIECE, now++) {
        keys_add(&keys, (const char *)data + at, size - at < PIECE ? size - at : PIECE,
                 now);
        take(&keys, now);
    }
    take(&keys, now + LATER);
    if (keys_waiting(&keys))
        abort();
    keys_release(&keys);
    return 0;
}
