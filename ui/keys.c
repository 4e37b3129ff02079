// ui/keys.c
// SPDX-License-Identifier: MIT
#include "ui/keys.h"

#include <string.h>

#include "base/utf8.h"

#define ESC              '\033'
#define PASTE_BEGIN      "\033[200~"
#define PASTE_END        "\033[201~"
#define PASTE_STALLED_NS ((int64_t)2000000000) // its end was lost
#define TORN_NS          ((int64_t)1000000000) // so was that of a sequence
#define SEQUENCE_MAX     4096                  // a longer answer is dropped
#define PARAMETERS       4

void keys_init(struct keys *keys)
{
    *keys = (struct keys){ 0 };
    str_init(&keys->input, 2 * KEYS_PASTE_MAX);
    str_init(&keys->paste, KEYS_PASTE_MAX);
}

void keys_release(struct keys *keys)
{
    str_release(&keys->input);
    str_release(&keys->paste);
}

void keys_add(struct keys *keys, const char *bytes, size_t len, int64_t now_ns)
{
    if (keys->used == keys->input.len) {
        str_reset(&keys->input);
        keys->used = 0;
    }
    str_append_n(&keys->input, bytes, len);
    if (now_ns - keys->arrived_ns >= TORN_NS)
        keys->dropping = false;
    keys->arrived_ns = now_ns;
}

void keys_expect(struct keys *keys, int64_t until_ns)
{
    keys->answers_until_ns = until_ns;
}

bool keys_waiting(const struct keys *keys)
{
    return keys->pasting || keys->used < keys->input.len;
}

// ---------------------------------------------------------------------------
// Pastes

static void add_pasted(struct keys *keys, const char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint32_t codepoint;
        bool valid;
        size_t used = utf8_decode(bytes + at, len - at, &codepoint, &valid);

        if (codepoint == '\r')
            codepoint = at + 1 < len && bytes[at + 1] == '\n' ? 0 : '\n';
        if (codepoint == '\n' || codepoint == '\t' || codepoint == '\r' ||
            (codepoint >= ' ' && codepoint != 0x7F &&
             !(codepoint >= 0x80 && codepoint < 0xA0)))
            str_append_codepoint(&keys->paste, codepoint);
        at += used;
    }
}

static bool take_paste(struct keys *keys, int64_t now_ns, struct key *key)
{
    const char *bytes = keys->input.data + keys->used;
    size_t len = keys->input.len - keys->used;
    const char *end = memmem(bytes, len, PASTE_END, strlen(PASTE_END));

    if (end == NULL && now_ns - keys->arrived_ns < PASTE_STALLED_NS)
        return false;
    if (end != NULL)
        len = (size_t)(end - bytes);
    str_reset(&keys->paste);
    add_pasted(keys, bytes, len);
    keys->used += len + (end != NULL ? strlen(PASTE_END) : 0);
    keys->pasting = false;
    *key = (struct key){ .kind = KEY_PASTE,
                         .bytes = keys->paste.data,
                         .len = keys->paste.len };
    return true;
}

// ---------------------------------------------------------------------------
// Sequences

static bool begins_string(char second)
{
    return second == ']' || second == 'P' || second == '_' || second == '^' ||
           second == 'X';
}

// OSC is ended by BEL or ST; DCS, APC, PM and SOS by ST. Any other control character was
// never part of it. 0 when it is not complete.
static size_t string_length(const char *bytes, size_t len)
{
    for (size_t i = 2; i < len; i++) {
        if ((unsigned char)bytes[i] >= ' ')
            continue;
        if (bytes[i] == '\a' && bytes[1] == ']')
            return i + 1;
        if (bytes[i] != ESC)
            return i;
        if (i + 1 == len)
            return 0;
        return bytes[i + 1] == '\\' ? i + 2 : i;
    }
    return 0;
}

static size_t csi_length(const char *bytes, size_t len)
{
    for (size_t i = 2; i < len; i++) // parameters, intermediates, final
        if ((unsigned char)bytes[i] >= 0x40 && (unsigned char)bytes[i] <= 0x7E &&
            !(i == 2 && bytes[2] == '['))
            return i + 1;
        else if ((unsigned char)bytes[i] < 0x20)
            return i; // torn
    return 0;
}

// The length of the escape sequence at bytes[len], 0 when it is not complete.
static size_t sequence_length(const char *bytes, size_t len)
{
    uint32_t codepoint;
    bool valid;

    if (len < 2)
        return 0;
    if (begins_string(bytes[1]))
        return string_length(bytes, len);
    switch (bytes[1]) {
    case '[':
        return csi_length(bytes, len);
    case 'O': // SS3
        return len >= 3 ? 3 : 0;
    case ESC: // an Escape, and the beginning of something else
        return 1;
    default: // Alt and a character
        if (utf8_incomplete_tail(bytes + 1, len - 1) == len - 1)
            return 0;
        return 1 + utf8_decode(bytes + 1, len - 1, &codepoint, &valid);
    }
}

struct csi {
    unsigned values[PARAMETERS];
    size_t count;
    char mark; // '<', '?', '>' or 0
    char final;
};

static struct csi parse_csi(const char *bytes, size_t len)
{
    struct csi csi = { .final = bytes[len - 1] };
    size_t i = 2;

    if (i < len && strchr("<=>?", bytes[i]) != NULL)
        csi.mark = bytes[i++];
    for (; i + 1 < len; i++) {
        if (csi.count == 0)
            csi.count = 1;
        if (bytes[i] == ';' && csi.count < PARAMETERS)
            csi.count++;
        else if (bytes[i] >= '0' && bytes[i] <= '9' && csi.values[csi.count - 1] < 100000)
            csi.values[csi.count - 1] =
                csi.values[csi.count - 1] * 10 + (unsigned)(bytes[i] - '0');
    }
    return csi;
}

static enum key_name letter_name(char final)
{
    switch (final) {
    case 'A':
        return NAME_UP;
    case 'B':
        return NAME_DOWN;
    case 'C':
        return NAME_RIGHT;
    case 'D':
        return NAME_LEFT;
    case 'H':
        return NAME_HOME;
    case 'F':
        return NAME_END;
    case 'P':
    case 'Q':
    case 'R':
    case 'S':
        return (enum key_name)(NAME_F1 + (final - 'P'));
    default:
        return NAME_NONE;
    }
}

static enum key_name tilde_name(unsigned value)
{
    static const unsigned char names[] = {
        [1] = NAME_HOME,      [3] = NAME_DELETE,   [4] = NAME_END,     [5] = NAME_PAGE_UP,
        [6] = NAME_PAGE_DOWN, [7] = NAME_HOME,     [8] = NAME_END,     [11] = NAME_F1,
        [12] = NAME_F1 + 1,   [13] = NAME_F1 + 2,  [14] = NAME_F1 + 3, [15] = NAME_F1 + 4,
        [17] = NAME_F1 + 5,   [18] = NAME_F1 + 6,  [19] = NAME_F1 + 7, [20] = NAME_F1 + 8,
        [21] = NAME_F1 + 9,   [23] = NAME_F1 + 10, [24] = NAME_F12,
    };

    return value < sizeof(names) ? (enum key_name)names[value] : NAME_NONE;
}

static void take_mouse(const struct csi *csi, struct key *key)
{
    unsigned button = csi->values[0];

    key->kind = KEY_MOUSE;
    key->mouse = button == 64                       ? MOUSE_WHEEL_UP
                 : button == 65                     ? MOUSE_WHEEL_DOWN
                 : button == 0 && csi->final == 'M' ? MOUSE_PRESS
                                                    : MOUSE_OTHER;
    key->column = (int)csi->values[1] - 1;
    key->row = (int)csi->values[2] - 1;
}

static void name_sequence(struct key *key)
{
    struct csi csi;

    key->kind = KEY_SEQUENCE;
    if (key->bytes[1] == 'O') {
        key->name = letter_name(key->bytes[2]);
        return;
    }
    if (begins_string(key->bytes[1]) && key->len > 2) {
        key->kind = KEY_REPLY;
        return;
    }
    if (key->bytes[1] != '[')
        return; // Alt and a character
    csi = parse_csi(key->bytes, key->len);
    if (csi.mark == '<' && (csi.final == 'M' || csi.final == 'm')) {
        take_mouse(&csi, key);
        return;
    }
    if (csi.mark != 0 || strchr("cntyuRIO", csi.final) != NULL) {
        key->kind = KEY_REPLY; // device attributes, reports of position, mode and focus
        return;
    }
    key->name = csi.final == '~' ? tilde_name(csi.values[0]) : letter_name(csi.final);
    if (csi.count >= 2 && csi.values[1] > 1)
        key->modifiers = csi.values[1] - 1;
}

// How long the rest of an incomplete sequence may take. What has only one or two bytes
// may be a key; what is longer, or comes while answers are expected, is none.
static int64_t patience_ns(const struct keys *keys, size_t len, int64_t now_ns)
{
    return len > 2 || now_ns < keys->answers_until_ns ? TORN_NS : KEYS_ESCAPE_NS;
}

// The rest of a sequence that is longer than anything sensible.
static void drop(struct keys *keys, int64_t now_ns)
{
    const char *bytes = keys->input.data + keys->used;
    size_t len = keys->input.len - keys->used, end = 0;
    bool stalled = now_ns - keys->arrived_ns >= TORN_NS;

    while (end < len && (unsigned char)bytes[end] >= ' ')
        end++;
    keys->used += end;
    if (!stalled && (end == len || (bytes[end] == ESC && end + 1 == len)))
        return;
    keys->dropping = false;
    if (end < len && bytes[end] == '\a')
        keys->used++;
    else if (end + 1 < len && bytes[end] == ESC && bytes[end + 1] == '\\')
        keys->used += 2;
}

static void take_incomplete(struct keys *keys, size_t len, struct key *key)
{
    *key = (struct key){ .kind = KEY_REPLY, .bytes = "" };
    if (len == 1)
        *key = (struct key){ .kind = KEY_ESCAPE, .bytes = "\033", .len = 1 };
    else if (len == 2 && begins_string(keys->input.data[keys->used + 1]))
        *key = (struct key){ .kind = KEY_SEQUENCE, // Alt and that character
                             .bytes = keys->input.data + keys->used,
                             .len = 2 };
    keys->dropping = len >= SEQUENCE_MAX;
    keys->used = keys->input.len;
}

static bool take_sequence(struct keys *keys, int64_t now_ns, struct key *key)
{
    const char *bytes = keys->input.data + keys->used;
    size_t len = keys->input.len - keys->used, used = sequence_length(bytes, len);

    if (used == 0) {
        if (now_ns - keys->arrived_ns < patience_ns(keys, len, now_ns) &&
            len < SEQUENCE_MAX)
            return false;
        take_incomplete(keys, len, key);
        return true;
    }
    keys->used += used;
    if (used == strlen(PASTE_BEGIN) && memcmp(bytes, PASTE_BEGIN, used) == 0) {
        keys->pasting = true;
        return keys_next(keys, now_ns, key);
    }
    *key = (struct key){ .kind = KEY_ESCAPE, .bytes = bytes, .len = used };
    if (used > 1)
        name_sequence(key);
    return true;
}

bool keys_next(struct keys *keys, int64_t now_ns, struct key *key)
{
    const char *bytes;
    size_t len;
    uint32_t codepoint;
    bool valid;

    if (keys->pasting)
        return take_paste(keys, now_ns, key);
    if (keys->dropping)
        drop(keys, now_ns);
    bytes = keys->input.data + keys->used;
    len = keys->input.len - keys->used;
    if (len == 0 || keys->dropping)
        return false;
    if (bytes[0] == ESC)
        return take_sequence(keys, now_ns, key);
    if (utf8_incomplete_tail(bytes, len) == len &&
        now_ns - keys->arrived_ns < KEYS_ESCAPE_NS)
        return false;
    *key = (struct key){ .kind = KEY_TEXT,
                         .bytes = bytes,
                         .len = utf8_decode(bytes, len, &codepoint, &valid) };
    keys->used += key->len;
    if (!valid) {
        key->bytes = "\uFFFD";
        key->len = strlen("\uFFFD");
    }
    return true;
}
