// ui/keys.h
// SPDX-License-Identifier: MIT
//
// What the terminal sends, cut into whole units: characters, key sequences, pastes, mouse
// events, and answers to questions, which may come late or unasked and are never taken
// for typing, torn or not. A lone Escape is one that nothing follows for KEYS_ESCAPE_NS.
//
// Source: ECMA-48, XTerm Control Sequences (Dickey). readline gets whole units only,
// because it submits or hangs on torn ones.
#ifndef ORIEL_UI_KEYS_H
#define ORIEL_UI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define KEYS_ESCAPE_NS ((int64_t)40000000)
#define KEYS_PASTE_MAX ((size_t)8 << 20) // bytes; the rest is dropped

enum key_kind {
    KEY_TEXT,     // a character, control characters included: in bytes
    KEY_SEQUENCE, // a key with a name, or an unknown sequence: in bytes too
    KEY_ESCAPE,   // alone
    KEY_PASTE,    // bytes: newlines as \n, without control characters
    KEY_MOUSE,
    KEY_REPLY, // bytes: the whole answer
};

enum key_name {
    NAME_NONE,
    NAME_UP,
    NAME_DOWN,
    NAME_LEFT,
    NAME_RIGHT,
    NAME_HOME,
    NAME_END,
    NAME_PAGE_UP,
    NAME_PAGE_DOWN,
    NAME_DELETE,
    NAME_F1, // and so on, to F12
    NAME_F12 = NAME_F1 + 11,
};

#define KEY_SHIFT   1u
#define KEY_ALT     2u
#define KEY_CONTROL 4u

enum mouse_event { MOUSE_OTHER, MOUSE_WHEEL_UP, MOUSE_WHEEL_DOWN, MOUSE_PRESS };

struct key {
    enum key_kind kind;
    enum key_name name;
    unsigned modifiers;
    enum mouse_event mouse;
    int row, column;   // of the mouse, from 0
    const char *bytes; // until the next call
    size_t len;
};

struct keys {
    struct str input;
    size_t used;        // bytes of input that were handed out
    int64_t arrived_ns; // when the last bytes came
    int64_t answers_until_ns;
    bool pasting;
    bool dropping; // the rest of an overlong sequence
    struct str paste;
};
void keys_init(struct keys *keys);
void keys_release(struct keys *keys);

void keys_add(struct keys *keys, const char *bytes, size_t len, int64_t now_ns);

// Until then the terminal is expected to answer, and what may be the beginning of an
// answer is not hastily taken for a key. In the past: all answers are there.
void keys_expect(struct keys *keys, int64_t until_ns);

// The next unit; false when none is complete yet.
bool keys_next(struct keys *keys, int64_t now_ns, struct key *key);

// Whether something waits for time to pass (a lone Escape, perhaps).
bool keys_waiting(const struct keys *keys);

#endif
