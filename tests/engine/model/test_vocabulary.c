// tests/engine/model/test_vocabulary.c
// SPDX-License-Identifier: MIT
//
// Reading a tokenizer from the keys of a GGUF: what is refused, and what is understood.
#include "engine/model/vocabulary.h"

#include <unistd.h>

#include "tests/engine/format/gguf_writer.h"
#include "tests/tap.h"

#define KEY(name) "tokenizer.ggml." name

static const char *const tokens[] = { "<unk>", "<s>", "</s>", "a", "b", "ab", "\u2581" };
#define TOKENS (sizeof(tokens) / sizeof(tokens[0]))

// Opens the vocabulary that the writer made.
static struct tokenizer *load(struct gguf_writer *writer, struct err *err)
{
    char path[] = "/tmp/oriel-vocabulary-XXXXXX";
    int fd = mkstemp(path);
    struct tokenizer *tokenizer = NULL;
    struct gguf *gguf = NULL;

    if (fd >= 0 && gguf_writer_save(writer, path, err))
        gguf = gguf_open(path, err);
    if (gguf != NULL)
        tokenizer = vocabulary_load(gguf, err);
    gguf_close(&gguf);
    unlink(path);
    close(fd);
    return tokenizer;
}

static void write_tokens(struct gguf_writer *writer, const char *model)
{
    gguf_writer_init(writer);
    gguf_write_string(writer, KEY("model"), model);
    gguf_write_strings(writer, KEY("tokens"), TOKENS, tokens);
}

static void write_scores(struct gguf_writer *writer, size_t count)
{
    static const float scores[TOKENS] = { 0, 0, 0, -3, -3, -1, -2 };
    static const int32_t types[TOKENS] = { 2, 3, 3, 1, 1, 1, 1 };

    gguf_write_array(writer, KEY("scores"), GGUF_F32, count, scores);
    gguf_write_array(writer, KEY("token_type"), GGUF_I32, TOKENS, types);
}

static void reads_a_sentencepiece_vocabulary(void)
{
    static const uint32_t want[] = { 1, 6, 5, 0 };
    struct text_piece piece = { "abz", 3, false };
    struct err err = { .code = ERR_NONE };
    struct token_list list = { .ids = NULL };
    struct gguf_writer writer;
    struct tokenizer *t;

    write_tokens(&writer, "llama");
    write_scores(&writer, TOKENS);
    t = load(&writer, &err);
    CHECK_STR(err.text, "");
    REQUIRE(t != NULL);
    CHECK_INT(tokenizer_size(t), TOKENS);
    CHECK_INT(tokenizer_bos(t), 1); // the usual ids
    CHECK_INT(tokenizer_eos(t), 2);
    CHECK_INT(tokenizer_type(t, 0), TOKEN_UNKNOWN);
    CHECK(tokenizer_ends_generation(t, 2));
    CHECK(tokenizer_encode(t, &piece, 1, true, &list, &err));
    CHECK_INT(list.count, 4);
    CHECK(list.count == 4 && memcmp(list.ids, want, sizeof(want)) == 0);
    token_list_release(&list);
    tokenizer_destroy(&t);
    gguf_writer_release(&writer);
}

static void respects_what_the_file_asks_for(void)
{
    static const uint32_t want[] = { 5, 4 };
    struct text_piece piece = { "ab", 2, false };
    struct err err = { .code = ERR_NONE };
    struct token_list list = { .ids = NULL };
    struct gguf_writer writer;
    struct tokenizer *t;

    write_tokens(&writer, "llama");
    write_scores(&writer, TOKENS);
    gguf_write_u32(&writer, KEY("eos_token_id"), 4);
    gguf_write_bool(&writer, KEY("add_bos_token"), false);
    gguf_write_bool(&writer, KEY("add_eos_token"), true);
    gguf_write_bool(&writer, KEY("add_space_prefix"), false);
    t = load(&writer, &err);
    REQUIRE(t != NULL);
    CHECK(!tokenizer_adds_bos(t));
    CHECK(tokenizer_encode(t, &piece, 1, true, &list, &err));
    CHECK_INT(list.count, 2);
    CHECK(list.count == 2 && memcmp(list.ids, want, sizeof(want)) == 0);
    CHECK(tokenizer_ends_generation(t, 4));
    token_list_release(&list);
    tokenizer_destroy(&t);
    gguf_writer_release(&writer);
}

// Phi-3 is known by its name only.
static void drops_white_space_after_special_tokens_of_phi_3(void)
{
    static const char *const names[] = { "Phi 4", "Phi-3 mini" };
    struct text_piece piece = { "</s> \nab", 8, true };

    for (size_t i = 0; i < 2; i++) {
        struct err err = { .code = ERR_NONE };
        struct token_list list = { .ids = NULL };
        struct gguf_writer writer;
        struct tokenizer *t;

        write_tokens(&writer, "llama");
        write_scores(&writer, TOKENS);
        gguf_write_bool(&writer, KEY("add_space_prefix"), false);
        gguf_write_string(&writer, "general.name", names[i]);
        t = load(&writer, &err);
        REQUIRE(t != NULL);
        CHECK(tokenizer_encode(t, &piece, 1, false, &list, &err));
        CHECK_INT(list.count, i == 0 ? 4 : 2); // </s> (space newline) ab
        token_list_release(&list);
        tokenizer_destroy(&t);
        gguf_writer_release(&writer);
    }
}

// The message must have `text` in it.
static void refuse(struct gguf_writer *writer, enum err_code code, const char *text)
{
    struct err err = { .code = ERR_NONE };
    struct tokenizer *t = load(writer, &err);

    CHECK(t == NULL);
    CHECK_INT(err.code, code);
    if (strstr(err.text, text) == NULL)
        CHECK_STR(err.text, text);
    tokenizer_destroy(&t);
    gguf_writer_release(writer);
}

static void refuses_arrays_of_the_wrong_length(void)
{
    struct gguf_writer writer;

    write_tokens(&writer, "llama");
    write_scores(&writer, TOKENS - 1);
    refuse(&writer, ERR_FORMAT, "tokenizer.ggml.scores");
}

static void refuses_arrays_of_the_wrong_type(void)
{
    static const uint8_t types[TOKENS] = { 0 };
    struct gguf_writer writer;

    write_tokens(&writer, "llama");
    gguf_write_array(&writer, KEY("token_type"), GGUF_U8, TOKENS, types);
    refuse(&writer, ERR_FORMAT, "tokenizer.ggml.token_type");
}

static void refuses_ids_out_of_range(void)
{
    struct gguf_writer writer;

    write_tokens(&writer, "llama");
    gguf_write_u32(&writer, KEY("bos_token_id"), TOKENS);
    refuse(&writer, ERR_FORMAT, "tokenizer.ggml.bos_token_id");
    write_tokens(&writer, "llama");
    gguf_write_u64(&writer, KEY("eos_token_id"), UINT64_MAX);
    refuse(&writer, ERR_FORMAT, "tokenizer.ggml.eos_token_id");
}

static void refuses_a_file_without_vocabulary(void)
{
    struct gguf_writer writer;

    gguf_writer_init(&writer);
    gguf_write_string(&writer, "general.architecture", "llama");
    refuse(&writer, ERR_FORMAT, "the file has no vocabulary (tokenizer.ggml.tokens)");
}

static void refuses_kinds_it_does_not_know(void)
{
    static const char *const merges[] = { "a b" };
    struct gguf_writer writer;

    write_tokens(&writer, "bert");
    refuse(&writer, ERR_UNSUPPORTED, "unknown tokenizer model \"bert\"");
    write_tokens(&writer, "gpt2");
    refuse(&writer, ERR_FORMAT, "a \"gpt2\" vocabulary without merges");
    write_tokens(&writer, "gpt2");
    gguf_write_strings(&writer, KEY("merges"), 1, merges);
    gguf_write_string(&writer, KEY("pre"), "kimi-k2");
    refuse(&writer, ERR_UNSUPPORTED, "unknown pre-tokenizer \"kimi-k2\"");
}

static const struct test tests[] = {
    { "reads a SentencePiece vocabulary", reads_a_sentencepiece_vocabulary },
    { "respects what the file asks for", respects_what_the_file_asks_for },
    { "drops white space after special tokens of Phi-3",
      drops_white_space_after_special_tokens_of_phi_3 },
    { "refuses arrays of the wrong length", refuses_arrays_of_the_wrong_length },
    { "refuses arrays of the wrong type", refuses_arrays_of_the_wrong_type },
    { "refuses ids out of range", refuses_ids_out_of_range },
    { "refuses a file without vocabulary", refuses_a_file_without_vocabulary },
    { "refuses kinds it does not know", refuses_kinds_it_does_not_know },
};

TAP_MAIN(tests)
