// tests/base/test_base.c
// SPDX-License-Identifier: MIT
#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/utf8.h"
#include "tests/tap.h"

#include <sys/stat.h>
#include <unistd.h>

static void hex_of(const char *text, size_t repeat, char hex[SHA256_HEX])
{
    struct sha256 hash;
    unsigned char digest[SHA256_BYTES];

    sha256_init(&hash);
    for (size_t i = 0; i < repeat; i++)
        sha256_update(&hash, text, strlen(text));
    sha256_final(&hash, digest);
    sha256_hex(digest, hex);
}

// Vectors: NIST, "Secure Hash Standard" examples (FIPS 180-4).
static void sha256_matches_the_nist_vectors(void)
{
    char hex[SHA256_HEX];

    hex_of("", 1, hex);
    CHECK_STR(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    hex_of("abc", 1, hex);
    CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, hex);
    CHECK_STR(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    hex_of("a", 1000000, hex);
    CHECK_STR(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void strings_stop_at_their_maximum(void)
{
    struct str s;

    str_init(&s, 5);
    CHECK(str_append(&s, "abc"));
    CHECK(!str_append(&s, "def"));
    CHECK(s.truncated);
    CHECK_STR(s.data, "abc");
    CHECK(str_append(&s, "de"));
    CHECK_STR(s.data, "abcde");
    str_release(&s);
    CHECK_INT(s.len, 0);
}

static void utf8_rejects_what_rfc3629_forbids(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool valid;
    } cases[] = {
        { "\xc3\xa9", 2, true },         { "\xe2\x82\xac", 3, true },
        { "\xf0\x9f\x98\x80", 4, true }, { "\xc0\x80", 2, false },
        { "\xed\xa0\x80", 3, false },    { "\xf4\x90\x80\x80", 4, false },
        { "\xe2\x82", 2, false },        { "\x80", 1, false },
        { "\xf4\x8f\xbf\xbf", 4, true }, { "\xe0\x9f\xbf", 3, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CHECK_INT(utf8_valid(cases[i].bytes, cases[i].len), cases[i].valid);
}

static void utf8_round_trips_every_scalar_value(void)
{
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char bytes[UTF8_MAX];
        uint32_t back;
        bool valid;
        size_t len;

        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        len = utf8_encode(c, bytes);
        if (utf8_decode(bytes, len, &back, &valid) != len || back != c || !valid) {
            CHECK_INT(back, c);
            return;
        }
    }
}

// Unicode 15, table 3-8: U+FFFD for each maximal subpart.
static void utf8_splits_ill_formed_input_as_unicode_says(void)
{
    static const char input[] = "\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64";
    static const size_t lengths[] = { 1, 3, 2, 1, 1, 1, 1, 1, 1, 1 };
    size_t at = 0, n = 0;

    while (at < sizeof(input) - 1) {
        uint32_t codepoint;
        bool valid;
        size_t len = utf8_decode(input + at, sizeof(input) - 1 - at, &codepoint, &valid);

        REQUIRE(n < sizeof(lengths) / sizeof(lengths[0]));
        CHECK_INT(len, lengths[n]);
        at += len;
        n++;
    }
    CHECK_INT(n, sizeof(lengths) / sizeof(lengths[0]));
}

static void utf8_holds_back_an_unfinished_character(void)
{
    CHECK_INT(utf8_incomplete_tail("a\xf0\x9f\x98", 4), 3);
    CHECK_INT(utf8_incomplete_tail("a\xe2\x82", 3), 2);
    CHECK_INT(utf8_incomplete_tail("a\xc3", 2), 1);
    CHECK_INT(utf8_incomplete_tail("a\xc3\xa9", 3), 0);
    CHECK_INT(utf8_incomplete_tail("\x80\x80\x80", 3), 0);
    CHECK_INT(utf8_incomplete_tail("\xed\xa0", 2), 0);
}

static void arenas_keep_to_their_budget(void)
{
    struct arena arena;

    arena_init(&arena, 1000);
    CHECK(arena_alloc(&arena, 10, 50) != NULL);
    CHECK(arena_alloc(&arena, 10, 60) == NULL);
    CHECK(arena_alloc(&arena, SIZE_MAX / 2, 3) == NULL);
    CHECK(arena_string(&arena, "ok", 2) != NULL);
    arena_release(&arena);
}

static void errors_are_prefixed_and_cut(void)
{
    struct err err = { .code = ERR_NONE };
    char longer[600];

    CHECK(!err_set(&err, ERR_FORMAT, "bad length %d", 7));
    CHECK(!err_prefix(&err, "file"));
    CHECK_STR(err.text, "file: bad length 7");
    CHECK_INT(err.code, ERR_FORMAT);
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    err_set(&err, ERR_IO, "%s", longer);
    CHECK_INT(strlen(err.text), sizeof(err.text) - 1);
    CHECK_STR(err.text + sizeof(err.text) - 4, "...");
}

static void files_are_replaced_whole_and_private(void)
{
    char directory[] = "/tmp/oriel-test-XXXXXX";
    char path[64];
    struct stat status;
    struct err err = { .code = ERR_NONE };
    struct str text;

    REQUIRE(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/file", directory);
    CHECK(file_replace(path, "first", 5, &err));
    CHECK(file_replace(path, "second", 6, &err));
    CHECK(stat(path, &status) == 0);
    CHECK_INT(status.st_mode & 0777, 0600);
    str_init(&text, 100);
    CHECK(file_read(path, 100, &text, &err));
    CHECK_STR(text.data, "second");
    CHECK(!file_read(path, 3, &text, &err));
    CHECK_INT(err.code, ERR_LIMIT);
    str_release(&text);
    unlink(path);
    CHECK(rmdir(directory) == 0);
}

static const struct test tests[] = {
    { "sha256 matches the NIST vectors", sha256_matches_the_nist_vectors },
    { "strings stop at their maximum", strings_stop_at_their_maximum },
    { "utf8 rejects what RFC 3629 forbids", utf8_rejects_what_rfc3629_forbids },
    { "utf8 round-trips every scalar value", utf8_round_trips_every_scalar_value },
    { "utf8 splits ill-formed input as Unicode says",
      utf8_splits_ill_formed_input_as_unicode_says },
    { "utf8 holds back an unfinished character",
      utf8_holds_back_an_unfinished_character },
    { "arenas keep to their budget", arenas_keep_to_their_budget },
    { "errors are prefixed and cut", errors_are_prefixed_and_cut },
    { "files are replaced whole and private", files_are_replaced_whole_and_private },
};
TAP_MAIN(tests)
