// tests/ui/test_keys.c
// SPDX-License-Identifier: MIT
//
// What terminals send, whole and torn at every byte.
#include "ui/keys.h"

#include "tests/tap.h"

// Writes what came out as words: "a", "up", "paste(...)".
static void describe(const struct key *key, struct str *out)
{
    static const char *const names[] = {
        "sequence", "up",  "down",   "left",     "right",
        "home",     "end", "pageup", "pagedown", "delete"
    };

    if (out->len > 0)
        str_append(out, " ");
    if (key->kind == KEY_TEXT && key->bytes[0] < ' ' && key->bytes[0] >= 0)
        str_printf(out, "^%c", key->bytes[0] + 64);
    else if (key->kind == KEY_TEXT)
        str_append_n(out, key->bytes, key->len);
    else if (key->kind == KEY_PASTE)
        str_printf(out, "paste(%.*s)", (int)key->len, key->bytes);
    else if (key->kind == KEY_ESCAPE)
        str_append(out, "escape");
    else if (key->kind == KEY_REPLY)
        str_append(out, "reply");
    else if (key->kind == KEY_MOUSE)
        str_printf(out, "mouse%d(%d,%d)", (int)key->mouse, key->row, key->column);
    else if (key->name >= NAME_F1)
        str_printf(out, "f%d", key->name - NAME_F1 + 1);
    else
        str_append(out, names[key->name]);
    if (key->modifiers != 0)
        str_printf(out, "+%u", key->modifiers);
}

static const struct {
    const char *bytes, *what;
} cases[] = {
    { "ab", "a b" },
    { "é漢", "é 漢" },
    { "\r\n\003", "^M ^J ^C" },
    { "\033[A\033OB", "up down" },
    { "\033[1;2A\033[1;5H", "up+1 home+4" },
    { "\033[5~\033[6~\033[3~", "pageup pagedown delete" },
    { "\033OP\033[15~\033[24~", "f1 f5 f12" },
    { "\033x\033\r", "sequence sequence" },
    { "\033[200~one\rtwo\033[31m\033[201~x", "paste(one\ntwo[31m) x" },
    { "\033[200~a\r\nb\tc\001\033[201~", "paste(a\nb\tc)" },
    { "\033[<64;10;5M\033[<65;1;1M\033[<0;3;4M\033[<0;3;4m",
      "mouse1(4,9) mouse2(0,0) mouse3(3,2) mouse0(3,2)" },
    { "\033]11;rgb:0000/0000/0000\033\\x", "reply x" },
    { "\033]11;rgb:ffff/ffff/ffff\ax", "reply x" },
    { "\033[?62;4;22cx", "reply x" },
    { "\033[6;19;10tx", "reply x" },
    { "\033[?1;0;1024S\033[?2;0;480;312Sx", "reply reply x" },
    { "\033_Gi=31;OK\033\\x", "reply x" },
    { "\033P>|XTerm(379)\033\\x", "reply x" },
    { "\033P1$r0;48:2::1:2:3m\033\\x", "reply x" },
    { "\033Phalf\rx", "reply ^M x" }, // a string that was never ended
    { "\033_half\033[Ax", "reply up x" },
    { "\033]half\003x", "reply ^C x" },
    { "\033P1$r0m\033\\x", "reply x" },
    { "\033[3;4Rx", "reply x" },
    { "\033[I\033[Ox", "reply reply x" },
    { "\xff", "\uFFFD" },
};

// Feeds the bytes in two pieces; time passes only at the end.
static void check_torn(size_t index, size_t at)
{
    const char *bytes = cases[index].bytes;
    struct keys keys;
    struct key key;
    struct str out;

    keys_init(&keys);
    str_init(&out, 0);
    keys_add(&keys, bytes, at, 1);
    while (keys_next(&keys, 1, &key))
        describe(&key, &out);
    keys_add(&keys, bytes + at, strlen(bytes) - at, 2);
    while (keys_next(&keys, 2, &key))
        describe(&key, &out);
    while (keys_next(&keys, 2 + KEYS_ESCAPE_NS, &key))
        describe(&key, &out);
    CHECK_STR(out.data, cases[index].what);
    CHECK(!keys_waiting(&keys));
    str_release(&out);
    keys_release(&keys);
}

static void understands(void)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_torn(i, strlen(cases[i].bytes));
}

static void understands_torn(void)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t at = 0; at < strlen(cases[i].bytes); at++)
            check_torn(i, at);
}

static void waits_for_a_lone_escape(void)
{
    struct keys keys;
    struct key key;

    keys_init(&keys);
    keys_add(&keys, "\033", 1, 1000);
    CHECK(!keys_next(&keys, 1000 + KEYS_ESCAPE_NS - 1, &key));
    CHECK(keys_waiting(&keys));
    REQUIRE(keys_next(&keys, 1000 + KEYS_ESCAPE_NS, &key));
    CHECK_INT(key.kind, KEY_ESCAPE);
    keys_release(&keys);
}

// What came, when the bytes came in two pieces, the second one `pause` later.
static void check_late(const char *bytes, size_t at, int64_t pause, bool expected,
                       const char *what)
{
    int64_t now = 1, end = at > 0 ? now + pause : now;
    struct keys keys;
    struct key key;
    struct str out;

    keys_init(&keys);
    str_init(&out, 0);
    if (expected)
        keys_expect(&keys, now + 2000000000);
    keys_add(&keys, bytes, at, now);
    for (; now < end; now += 10000000)
        while (keys_next(&keys, now, &key))
            describe(&key, &out);
    keys_add(&keys, bytes + at, strlen(bytes) - at, now);
    while (keys_next(&keys, now + KEYS_ESCAPE_NS, &key))
        describe(&key, &out);
    CHECK_STR(out.data, what);
    CHECK(!keys_waiting(&keys));
    str_release(&out);
    keys_release(&keys);
}

static const char *const answers[] = {
    "\033]11;rgb:0000/0000/0000\033\\x",
    "\033[?62;4;22cx",
    "\033[6;19;10tx",
    "\033_Gi=31;OK\033\\x",
    "\033P>|XTerm(379)\033\\x",
    "\033P1$r0;48:2::1:2:3m\033\\x",
};

// A slow line tears answers; what comes late is not text either.
static void takes_no_late_answer_for_text(void)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        for (size_t at = 0; at < strlen(answers[i]) - 1; at++)
            check_late(answers[i], at, 900000000, true, "reply x");
        for (size_t at = 3; at < strlen(answers[i]) - 1; at++)
            check_late(answers[i], at, 900000000, false, "reply x");
    }
}

static void takes_alt_for_alt(void)
{
    check_late("\033P", 2, 50000000, false, "sequence");
    check_late("\033_a", 2, 50000000, false, "sequence a");
    check_late("\033]a", 2, 50000000, false, "sequence a");
}

static void forgets_an_answer_without_end(void)
{
    check_late("\033_Gi=31;OKx", 10, 1100000000, false, "reply x");
    check_late("\033[?62;4x", 7, 1100000000, false, "reply x");
}

static void drops_an_overlong_answer(void)
{
    struct keys keys;
    struct key key;
    struct str out;

    keys_init(&keys);
    str_init(&out, 0);
    keys_add(&keys, "\033P", 2, 1);
    for (int i = 0; i < 1000; i++) {
        keys_add(&keys, "0123456789", 10, 2 + i);
        while (keys_next(&keys, 2 + i, &key))
            describe(&key, &out);
    }
    keys_add(&keys, "0123\033", 5, 2000);
    CHECK(!keys_next(&keys, 2000, &key));
    keys_add(&keys, "\\x", 2, 2001);
    while (keys_next(&keys, 2001, &key))
        describe(&key, &out);
    CHECK_STR(out.data, "reply x");
    str_release(&out);
    keys_release(&keys);
}

static void survives_a_paste_without_end(void)
{
    struct keys keys;
    struct key key;

    keys_init(&keys);
    keys_add(&keys, "\033[200~lost", 10, 0);
    CHECK(!keys_next(&keys, 1000000000, &key));
    REQUIRE(keys_next(&keys, 3000000000, &key));
    CHECK_INT(key.kind, KEY_PASTE);
    CHECK_INT(key.len, 4);
    keys_release(&keys);
}

static const struct test tests[] = {
    { "understands what terminals send", understands },
    { "understands it torn at every byte", understands_torn },
    { "waits before it believes in a lone Escape", waits_for_a_lone_escape },
    { "takes no late answer for text", takes_no_late_answer_for_text },
    { "takes Alt and a letter for that", takes_alt_for_alt },
    { "forgets an answer whose end is lost", forgets_an_answer_without_end },
    { "drops an overlong answer", drops_an_overlong_answer },
    { "survives a paste whose end is lost", survives_a_paste_without_end },
};

TAP_MAIN(tests)
