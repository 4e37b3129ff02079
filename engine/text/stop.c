// engine/text/stop.c
// SPDX-License-Identifier: MIT
//
// One Knuth-Morris-Pratt automaton per stop string. `held` are the bytes read and not yet
// shown; invariant between calls: its length is the longest prefix of a stop string that
// the text ends with, plus at most the beginning of a character.
#include "engine/text/stop.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

#define MAX_STRINGS 64
#define MAX_LENGTH  1024

struct stop_string {
    char *bytes;
    size_t len;
    size_t *border; // [len + 1]: longest proper prefix of bytes[0..i) that also ends it
    size_t matched; // how many of its bytes the text ends with
};

struct stop_matcher {
    struct stop_string *strings;
    size_t count;
    struct str held;
    bool stopped;
};

static void find_borders(struct stop_string *s)
{
    size_t k = 0;

    s->border = alloc_array(s->len + 1, sizeof(*s->border));
    for (size_t i = 1; i < s->len; i++) {
        while (k > 0 && s->bytes[i] != s->bytes[k])
            k = s->border[k];
        k += s->bytes[i] == s->bytes[k];
        s->border[i + 1] = k;
    }
}

struct stop_matcher *stop_matcher_create(const char *const *strings, size_t count,
                                         struct err *err)
{
    struct stop_matcher *m;

    if (count > MAX_STRINGS) {
        err_set(err, ERR_USAGE, "more than %d stop strings", MAX_STRINGS);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (strings[i][0] == '\0' || strlen(strings[i]) > MAX_LENGTH) {
            err_set(err, ERR_USAGE, "a stop string must have 1 to %d bytes", MAX_LENGTH);
            return NULL;
        }
    }
    m = alloc_zero(sizeof(*m));
    m->strings = alloc_array(count, sizeof(*m->strings));
    m->count = count;
    str_init(&m->held, 0);
    for (size_t i = 0; i < count; i++) {
        m->strings[i].bytes = alloc_string(strings[i]);
        m->strings[i].len = strlen(strings[i]);
        find_borders(&m->strings[i]);
    }
    return m;
}

void stop_matcher_destroy(struct stop_matcher **matcher)
{
    struct stop_matcher *m = *matcher;

    if (m == NULL)
        return;
    for (size_t i = 0; i < m->count; i++) {
        free(m->strings[i].bytes);
        free(m->strings[i].border);
    }
    free(m->strings);
    str_release(&m->held);
    free(m);
    *matcher = NULL;
}

// Reads one byte. Returns whether the string is complete.
static bool advance(struct stop_string *s, char byte)
{
    while (s->matched > 0 && s->bytes[s->matched] != byte)
        s->matched = s->border[s->matched];
    s->matched += s->bytes[s->matched] == byte;
    return s->matched == s->len;
}

// Moves the first len held bytes to visible, as valid UTF-8. Unless all, the beginning of
// a character at the end stays.
static void show(struct stop_matcher *m, size_t len, bool all, struct str *visible)
{
    size_t at = 0;

    if (!all)
        len -= utf8_incomplete_tail(m->held.data, len);
    while (at < len) {
        uint32_t character;
        bool valid;

        at += utf8_decode(m->held.data + at, len - at, &character, &valid);
        str_append_codepoint(visible, character);
    }
    memmove(m->held.data, m->held.data + at, m->held.len - at);
    str_truncate(&m->held, m->held.len - at);
}

// Reads one byte; returns the length of the stop string that it completes, or 0. *pending
// is how many of the last bytes may still become one.
static size_t match_byte(struct stop_matcher *m, char byte, size_t *pending)
{
    size_t complete = 0;

    *pending = 0;
    for (size_t i = 0; i < m->count; i++) {
        struct stop_string *s = &m->strings[i];

        if (advance(s, byte) && s->len > complete)
            complete = s->len;
        if (s->matched > *pending)
            *pending = s->matched;
    }
    return complete;
}

bool stop_matcher_feed(struct stop_matcher *m, const char *bytes, size_t len,
                       struct str *visible)
{
    size_t pending = 0;

    for (size_t i = 0; i < len && !m->stopped; i++) {
        size_t complete;

        str_append_char(&m->held, bytes[i]);
        complete = match_byte(m, bytes[i], &pending);
        if (complete > 0) {
            m->stopped = true;
            show(m, m->held.len - complete, true, visible);
        }
    }
    if (!m->stopped && len > 0)
        show(m, m->held.len - pending, false, visible);
    return m->stopped;
}

void stop_matcher_finish(struct stop_matcher *m, struct str *visible)
{
    if (!m->stopped)
        show(m, m->held.len, true, visible);
}
