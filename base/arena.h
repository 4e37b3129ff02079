// base/arena.h
// SPDX-License-Identifier: MIT
//
// Memory that is freed together: results of unknown size come from an arena the caller
// gives. An arena has a budget; past it arena_alloc returns NULL, so data from outside
// cannot make it grow without end. Zeroed, 16-byte aligned.
#ifndef ORIEL_BASE_ARENA_H
#define ORIEL_BASE_ARENA_H

#include <stddef.h>

struct arena {
    struct arena_block *blocks;
    size_t used;   // bytes handed out
    size_t budget; // bytes that may be handed out
};

void arena_init(struct arena *arena, size_t budget_bytes);
void arena_release(struct arena *arena);

// NULL when the budget or memory is exhausted, or count * size overflows.
void *arena_alloc(struct arena *arena, size_t count, size_t size);

// A NUL-terminated copy of len bytes; NULL as above.
char *arena_string(struct arena *arena, const char *bytes, size_t len);

#endif
