// base/alloc.h
// SPDX-License-Identifier: MIT
//
// Memory for our own small things. These never return NULL: when memory runs out they
// call the hook set by alloc_set_exhausted_hook (which gives the terminal back) and
// abort.
//
// Any size that came from a file, an image, a model or the network uses the try_
// functions instead, which return NULL, so that the caller can turn it into a struct err.
#ifndef ORIEL_BASE_ALLOC_H
#define ORIEL_BASE_ALLOC_H

#include <stddef.h>

// Zeroed memory of `size` bytes (at least one).
void *alloc_zero(size_t size);

// Zeroed memory for `count` elements of `size` bytes; the product is checked.
void *alloc_array(size_t count, size_t size);

// Like reallocarray; the tail is not zeroed.
void *alloc_resize(void *memory, size_t count, size_t size);

char *alloc_string(const char *text);
char *alloc_string_n(const char *text, size_t len);
char *alloc_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

// NULL when the product overflows or memory is exhausted. try_array zeroes.
void *try_array(size_t count, size_t size);
void *try_resize(void *memory, size_t count, size_t size);

// Makes room for one more element in a growing array: doubles *cap when len == *cap.
// Returns the array (moved or not).
void *alloc_grow(void *array, size_t len, size_t *cap, size_t size);

void alloc_set_exhausted_hook(void (*hook)(void));

#endif
