// tests/fuzz/fuzz_tokenizer.c
// SPDX-License-Identifier: MIT
//
// Any bytes as text for small vocabularies. The first byte chooses the vocabulary; 0xff
// in the rest ends a piece, and pieces are trusted by turns.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tests/engine/text/tokenizer_fixture.h"

#define PIECES_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const pres[] = {
    "default", "gpt-2",        "smollm",     "llama-bpe",   "qwen35", "tekken",
    "gpt-4o",  "deepseek-llm", "afmoe",      "deepseek-v3", "youtu",  "poro-chat",
    "jais-2",  "chameleon",    "exaone-moe", "minicpm5"
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static size_t cut_pieces(const char *text, size_t size, struct text_piece *pieces)
{
    size_t count = 0;

    while (size > 0 && count < PIECES_MAX) {
        const char *end = count + 1 < PIECES_MAX ? memchr(text, 0xff, size) : NULL;
        size_t len = end != NULL ? (size_t)(end - text) : size;

        pieces[count] = (struct text_piece){ text, len, count % 2 == 1 };
        count++;
        text += len + (end != NULL);
        size -= len + (end != NULL);
    }
    return count;
}

// Text that is no token and does not look like SentencePiece's space comes back as it
// was.
static void check_text(const struct tokenizer *t, const struct text_piece *piece)
{
    struct token_list list = { .ids = NULL };
    struct str out;

    if (!utf8_valid(piece->text, piece->len) ||
        memmem(piece->text, piece->len, "\u2581", 3) != NULL ||
        memmem(piece->text, piece->len, "<tag>", 5) != NULL)
        return;
    str_init(&out, 0);
    require(tokenizer_encode(t, piece, 1, false, &list, NULL));
    tokenizer_decode(t, list.ids, list.count, false, &out);
    require(out.len == piece->len && memcmp(out.data, piece->text, out.len) == 0);
    str_release(&out);
    token_list_release(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text_piece pieces[PIECES_MAX];
    struct token_list list = { .ids = NULL };
    struct tokenizer *t;
    size_t count, choice;

    if (size == 0)
        return 0;
    choice = data[0] % (sizeof(pres) / sizeof(pres[0]) + 1);
    t = choice == 0 ? fixture_spm() : fixture_bpe(pres[choice - 1]);
    require(t != NULL);
    count = cut_pieces((const char *)data + 1, size - 1, pieces);
    require(tokenizer_encode(t, pieces, count, true, &list, NULL));
    require(list.count > 0 && list.ids[0] == FIXTURE_BEGIN);
    for (size_t i = 0; i < list.count; i++)
        require(list.ids[i] < tokenizer_size(t));
    if (choice == 0 && count > 0)
        check_text(t, &pieces[0]);
    token_list_release(&list);
    tokenizer_destroy(&t);
    return 0;
}
