// sessions/names.c
// SPDX-License-Identifier: MIT
//
// Words for enums (in the file and in exports), ids, times, and text made fit to be
// stored.
#include "sessions/private.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/hash.h"
#include "base/utf8.h"

static const char *const roles[] = { "system", "user", "assistant", "tool" };
static const char *const states[] = { "streaming", "done", "interrupted", "error" };
static const char *const stop_reasons[] = { "none",    "end",       "string", "length",
                                            "context", "cancelled", "error" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool find_name(const char *const *names, size_t count, const char *name,
                      int *index)
{
    for (size_t i = 0; name != NULL && i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            *index = (int)i;
            return true;
        }
    }
    return false;
}

const char *name_of_role(enum role role)
{
    return roles[role];
}

const char *name_of_state(enum message_state state)
{
    return states[state];
}

const char *name_of_reason(enum stop_reason reason)
{
    return stop_reasons[reason];
}

bool role_of(const char *name, enum role *role)
{
    int index;

    if (!find_name(roles, COUNT(roles), name, &index))
        return false;
    *role = (enum role)index;
    return true;
}

bool state_of(const char *name, enum message_state *state)
{
    int index;

    if (!find_name(states, COUNT(states), name, &index))
        return false;
    *state = (enum message_state)index;
    return true;
}

bool reason_of(const char *name, enum stop_reason *reason)
{
    int index;

    if (!find_name(stop_reasons, COUNT(stop_reasons), name, &index))
        return false;
    *reason = (enum stop_reason)index;
    return true;
}

static void id_of_bytes(const unsigned char bytes[16], char id[SESSIONS_ID])
{
    for (int i = 0; i < 16; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

void id_random(char id[SESSIONS_ID])
{
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        bug("getrandom gave less than 16 bytes");
    id_of_bytes(bytes, id);
}

void id_derive(const char *first, const char *second, char id[SESSIONS_ID])
{
    unsigned char digest[SHA256_BYTES];
    struct sha256 hash;

    sha256_init(&hash);
    sha256_update(&hash, first, strlen(first) + 1);
    sha256_update(&hash, second, strlen(second) + 1);
    sha256_final(&hash, digest);
    id_of_bytes(digest, id);
}

static bool is_hex(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

bool id_valid(const char *id)
{
    return is_hex(id, SESSIONS_ID - 1);
}

bool hash_valid(const char *hash)
{
    return is_hex(hash, SHA256_HEX - 1);
}

int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void text_clean(struct str *out, const char *bytes, size_t len)
{
    size_t at = 0;

    while (at < len) {
        uint32_t codepoint;
        bool valid;
        size_t step = utf8_decode(bytes + at, len - at, &codepoint, &valid);

        if (valid && codepoint != 0)
            str_append_n(out, bytes + at, step);
        else
            str_append_codepoint(out, UTF8_REPLACEMENT);
        at += step;
    }
}

void text_line(struct str *out, const char *bytes, size_t len, size_t max)
{
    size_t at = 0;
    bool space = true; // leading space is dropped, a run of it becomes one

    while (at < len && out->len < max) {
        uint32_t codepoint;
        bool valid;
        size_t step = utf8_decode(bytes + at, len - at, &codepoint, &valid);
        bool blank =
            valid && (codepoint <= 0x20 || (codepoint >= 0x7F && codepoint <= 0xA0));

        if (out->len + UTF8_MAX > max)
            break;
        if (blank && !space)
            str_append_char(out, ' ');
        else if (!blank)
            str_append_codepoint(out, codepoint);
        space = blank;
        at += step;
    }
    if (out->len > 0 && out->data[out->len - 1] == ' ')
        str_truncate(out, out->len - 1);
}
