// engine/text/stop.h
// SPDX-License-Identifier: MIT
//
// Stop strings in a stream. Bytes go in as tokens produce them; out comes what may be
// shown: never a byte of a stop string, nor of what may still become one, nor half a
// character.
//
// The stop string that is complete first ends the text; of several that are complete at
// the same byte the longest. How the bytes were cut into pieces makes no difference.
#ifndef ORIEL_ENGINE_TEXT_STOP_H
#define ORIEL_ENGINE_TEXT_STOP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct stop_matcher;

// strings[count] are copied. ERR_USAGE for an empty one, one longer than 1024 bytes, or
// more than 64.
struct stop_matcher *stop_matcher_create(const char *const *strings, size_t count,
                                         struct err *err);
void stop_matcher_destroy(struct stop_matcher **matcher);

// Reads bytes[len] and appends to visible what is now certain to be text. Bytes that are
// not UTF-8 appear as U+FFFD. True when a stop string is complete: the text before it has
// been appended and everything later is ignored.
bool stop_matcher_feed(struct stop_matcher *matcher, const char *bytes, size_t len,
                       struct str *visible);

// No more will come: appends what was held back, unless a stop string was found.
void stop_matcher_finish(struct stop_matcher *matcher, struct str *visible);

#endif
