// tests/engine/text/test_tokenizer_golden.c
// SPDX-License-Identifier: MIT
//
// The ids of 2,310 strings must be those of llama.cpp, see
// tests/golden/tokenizer/generate.py: with every pre-tokenizer and a made-up vocabulary,
// and with real vocabularies. The model files are not part of the tree; they are looked
// for where `oriel` keeps models, or in $ORIEL_TEST_MODELS.
#include <stdint.h>
#include <unistd.h>

#include "base/hash.h"
#include "engine/model/vocabulary.h"
#include "tests/engine/text/tokenizer_fixture.h"
#include "tests/tap.h"

#define STRINGS 2310

static bool find_model(const char *name, char *path, size_t size)
{
    const char *models = getenv("ORIEL_TEST_MODELS"), *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");

    if (models != NULL)
        snprintf(path, size, "%s/%s.gguf", models, name);
    else if (data != NULL && data[0] == '/')
        snprintf(path, size, "%s/oriel/models/%s.gguf", data, name);
    else
        snprintf(path, size, "%s/.local/share/oriel/models/%s.gguf", home, name);
    return access(path, R_OK) == 0;
}

static FILE *open_golden(const char *name)
{
    const char *top = getenv("top_srcdir");
    char path[4096];

    snprintf(path, sizeof(path), "%s/tests/golden/tokenizer/%s.txt",
             top != NULL ? top : ".", name);
    return fopen(path, "r");
}

static size_t unhex(const char *hex, char *bytes)
{
    size_t len = 0;
    unsigned value;

    while (sscanf(hex + 2 * len, "%2x", &value) == 1)
        bytes[len++] = (char)value;
    return len;
}

// Three digits of base64 for each id.
static void unpack(const char *packed, size_t len, struct token_list *list)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i + 3 <= len; i += 3) {
        uint32_t id = 0;

        for (size_t k = 0; k < 3; k++)
            id = id << 6 | (uint32_t)(strchr(digits, packed[i + k]) - digits);
        token_list_push(list, id);
    }
}

static bool lists_equal(const struct token_list *a, const uint32_t *ids, size_t count)
{
    return a->count == count &&
           (count == 0 || memcmp(a->ids, ids, count * sizeof(*ids)) == 0);
}

// The string as one piece, with and without the begin token.
static bool gives(const struct tokenizer *t, struct text_piece piece,
                  const struct token_list *want)
{
    size_t begin =
        tokenizer_adds_bos(t) && !(want->count > 0 && want->ids[0] == tokenizer_bos(t));
    struct token_list without = { .ids = NULL }, with = { .ids = NULL };
    bool equal = tokenizer_encode(t, &piece, 1, false, &without, NULL) &&
                 tokenizer_encode(t, &piece, 1, true, &with, NULL) &&
                 lists_equal(&without, want->ids, want->count) &&
                 with.count == want->count + begin &&
                 (begin == 0 || with.ids[0] == tokenizer_bos(t)) &&
                 (want->count == 0 || memcmp(with.ids + begin, want->ids,
                                             want->count * sizeof(*want->ids)) == 0);

    token_list_release(&without);
    token_list_release(&with);
    return equal;
}

static void check_line(const struct tokenizer *t, const char *hex, const char *golden)
{
    static char bytes[1 << 16];
    struct text_piece piece = { bytes, unhex(hex, bytes), false };
    const char *space = strchr(golden, ' ');
    struct token_list plain = { .ids = NULL }, special = { .ids = NULL };

    REQUIRE(space != NULL);
    unpack(golden, (size_t)(space - golden), &plain);
    if (space[1] == '=')
        unpack(golden, (size_t)(space - golden), &special);
    else
        unpack(space + 1, strlen(space + 1), &special);
    if (!gives(t, piece, &plain)) {
        printf("# plain: %s", hex);
        tap_failures++;
    }
    piece.special = true;
    if (!gives(t, piece, &special)) {
        printf("# special: %s", hex);
        tap_failures++;
    }
    token_list_release(&plain);
    token_list_release(&special);
}

static void compare_lines(const struct tokenizer *t, FILE *strings, FILE *golden)
{
    char *hex = NULL, *line = NULL;
    size_t hex_cap = 0, line_cap = 0, count = 0;

    while (getline(&hex, &hex_cap, strings) > 0 &&
           getline(&line, &line_cap, golden) > 0) {
        check_line(t, hex, line);
        count++;
    }
    CHECK_INT(count, STRINGS);
    free(hex);
    free(line);
}

static struct tokenizer *load(const char *path)
{
    struct err err = { .code = ERR_NONE };
    struct gguf *gguf = gguf_open(path, &err);
    struct tokenizer *t = gguf != NULL ? vocabulary_load(gguf, &err) : NULL;

    if (t == NULL)
        printf("# %s: %s\n", path, err.text);
    gguf_close(&gguf);
    return t;
}

static void compare(const char *model, const uint32_t *ends, size_t end_count)
{
    FILE *strings, *golden;
    struct tokenizer *t;
    char path[4096];
    size_t found = 0;

    if (!find_model(model, path, sizeof(path))) {
        tap_skip("no model %s", path);
        return;
    }
    t = load(path);
    strings = open_golden("strings");
    golden = open_golden(model);
    REQUIRE(t != NULL && strings != NULL && golden != NULL);
    compare_lines(t, strings, golden);
    for (uint32_t id = 0; id < tokenizer_size(t); id++)
        found += tokenizer_ends_generation(t, id);
    CHECK_INT(found, end_count);
    for (size_t i = 0; i < end_count; i++)
        CHECK(tokenizer_ends_generation(t, ends[i]));
    fclose(strings);
    fclose(golden);
    tokenizer_destroy(&t);
}

// The tokens that end generation are those of llama_vocab_is_eog.
static void smollm(void)
{
    compare("smollm2-135m", (const uint32_t[]){ 0, 2, 4 }, 3);
}

static void gemma(void)
{
    compare("gemma3-270m", (const uint32_t[]){ 1, 106, 212 }, 3);
}

static void qwen(void)
{
    compare("qwen2.5-coder-0.5b",
            (const uint32_t[]){ 128247, 151643, 151645, 151662, 151663, 151664 }, 6);
}

static void hash_ids(struct sha256 *hash, const struct token_list *list)
{
    static const uint8_t end[4] = { 255, 255, 255, 255 };

    for (size_t i = 0; i < list->count; i++) {
        uint32_t id = list->ids[i];
        uint8_t bytes[4] = { (uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16),
                             (uint8_t)(id >> 24) };

        sha256_update(hash, bytes, sizeof(bytes));
    }
    sha256_update(hash, end, sizeof(end));
}

static void compare_family(const char *name, const char *want, FILE *strings)
{
    static char bytes[1 << 16];
    struct tokenizer *t = fixture_pairs(name);
    struct token_list list = { .ids = NULL };
    unsigned char digest[SHA256_BYTES];
    char got[SHA256_HEX], *hex = NULL;
    struct sha256 hash;
    size_t cap = 0;

    REQUIRE(t != NULL);
    sha256_init(&hash);
    rewind(strings);
    while (getline(&hex, &cap, strings) > 0) {
        struct text_piece piece = { bytes, unhex(hex, bytes), false };

        list.count = 0;
        CHECK(tokenizer_encode(t, &piece, 1, false, &list, NULL));
        hash_ids(&hash, &list);
    }
    sha256_final(&hash, digest);
    sha256_hex(digest, got);
    if (strcmp(got, want) != 0) {
        printf("# %s\n", name);
        tap_failures++;
    }
    free(hex);
    token_list_release(&list);
    tokenizer_destroy(&t);
}

static void families(void)
{
    FILE *strings = open_golden("strings"), *golden = open_golden("families");
    char name[64], want[SHA256_HEX];
    size_t count = 0;

    REQUIRE(strings != NULL && golden != NULL);
    while (fscanf(golden, "%63s %64s", name, want) == 2) {
        compare_family(name, want, strings);
        count++;
    }
    CHECK_INT(count, 82);
    fclose(strings);
    fclose(golden);
}

static const struct test tests[] = {
    { "every pre-tokenizer gives the ids of llama.cpp", families },
    { "SmolLM2 gives the ids of llama.cpp", smollm },
    { "Gemma 3 gives the ids of llama.cpp", gemma },
    { "Qwen 2.5 gives the ids of llama.cpp", qwen },
};

TAP_MAIN(tests)
