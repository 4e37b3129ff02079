// tests/base/test_printable.c
// SPDX-License-Identifier: MIT
#include "base/printable.h"
#include "base/utf8.h"
#include "tests/tap.h"

static void known_sequences_become_harmless(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *shown;
    } cases[] = {
        { "plain \xc3\xa9 \xf0\x9f\x98\x80\n\t", 15,
          "plain \xc3\xa9 \xf0\x9f\x98\x80\n\t" },
        { "\x1b[31m", 5, "\xe2\x90\x9b[31m" },
        { "\x1b]52;c;aGk=\x07", 12, "\xe2\x90\x9b]52;c;aGk=\xe2\x90\x87" },
        { "a\0b", 3,
          "a\xe2\x90\x80"
          "b" },
        { "\x7f", 1, "\xe2\x90\xa1" },
        { "a\r\nb\rc\r", 7,
          "a\nb\xe2\x90\x8d"
          "c\xe2\x90\x8d" },
        { "\xc2\x9b"
          "31m",
          5,
          "\xef\xbf\xbd"
          "31m" }, // CSI as one C1 character
        { "\x9b"
          "31m",
          4,
          "\xef\xbf\xbd"
          "31m" },                                 // and as one byte
        { "\xe2\x80\xae", 3, "\xef\xbf\xbd" },     // right-to-left override
        { "\xe2\x81\xa6", 3, "\xef\xbf\xbd" },     // left-to-right isolate
        { "\xf3\xa0\x81\x81", 4, "\xef\xbf\xbd" }, // tag letter
        { "\xe2\x80\x8d", 3, "\xe2\x80\x8d" },     // zero-width joiner stays
        { "\xe2\x82", 2, "\xef\xbf\xbd" },
    };
    struct str shown;

    str_init(&shown, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        str_reset(&shown);
        printable_append(&shown, cases[i].bytes, cases[i].len);
        CHECK_STR(shown.data, cases[i].shown);
    }
    str_release(&shown);
}

static bool harmless(const struct str *shown)
{
    for (size_t at = 0; at < shown->len;) {
        uint32_t codepoint;
        bool valid;

        at += utf8_decode(shown->data + at, shown->len - at, &codepoint, &valid);
        if (!valid || (codepoint < 0x20 && codepoint != '\n' && codepoint != '\t') ||
            (codepoint >= 0x7F && codepoint <= 0x9F))
            return false;
    }
    return true;
}

static void random_bytes_never_carry_a_control_character_out(void)
{
    struct str shown;
    uint32_t random = 1;

    str_init(&shown, 0);
    for (int round = 0; round < 20000; round++) {
        char bytes[16];

        for (size_t i = 0; i < sizeof(bytes); i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = (char)(random >> 24);
        }
        str_reset(&shown);
        printable_append(&shown, bytes, sizeof(bytes));
        if (!harmless(&shown)) {
            CHECK(harmless(&shown));
            break;
        }
    }
    str_release(&shown);
}

static const struct test tests[] = {
    { "known sequences become harmless", known_sequences_become_harmless },
    { "random bytes never carry a control character out",
      random_bytes_never_carry_a_control_character_out },
};
TAP_MAIN(tests)
