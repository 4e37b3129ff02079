// tests/engine/text/test_tokenizer.c
// SPDX-License-Identifier: MIT
//
// Tokenizing with vocabularies that can be worked out by hand. Real vocabularies are
// compared with the peer in test_tokenizer_golden.c.
#include "engine/text/tokenizer.h"

#include <stdint.h>
#include <time.h>

#include "tests/engine/text/tokenizer_fixture.h"
#include "tests/tap.h"

// Ids as one can read them: a byte as its character or \xNN, others as {id - 256}.
static void render(const struct token_list *list, char *text, size_t size)
{
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < list->count && len + 8 < size; i++) {
        uint32_t id = list->ids[i];

        if (id >= 256)
            len += (size_t)sprintf(text + len, "{%u}", id - 256);
        else if (id > ' ' && id < 0x7f)
            text[len++] = (char)id;
        else
            len += (size_t)sprintf(text + len, "\\x%02x", id);
        text[len] = '\0';
    }
}

static const char *encode_pieces(const struct tokenizer *tokenizer,
                                 const struct text_piece *pieces, size_t count,
                                 bool add_bos)
{
    static char text[512];
    struct token_list list = { .ids = NULL };
    struct err err = { .code = ERR_NONE };

    if (tokenizer_encode(tokenizer, pieces, count, add_bos, &list, &err))
        render(&list, text, sizeof(text));
    else
        snprintf(text, sizeof(text), "%s", err.text);
    token_list_release(&list);
    return text;
}

static const char *encode(const struct tokenizer *tokenizer, const char *text,
                          bool special)
{
    struct text_piece piece = { text, strlen(text), special };

    return encode_pieces(tokenizer, &piece, 1, false);
}

static void merges_by_rank(void)
{
    struct tokenizer *t = fixture_bpe("gpt-2");

    REQUIRE(t != NULL);
    CHECK_STR(encode(t, "abc", false), "a{6}"); // "b c" comes first
    CHECK_STR(encode(t, "abab", false), "{4}{4}");
    CHECK_STR(encode(t, "b a", false), "b{7}");
    CHECK_STR(encode(t, "", false), "");
    tokenizer_destroy(&t);
}

static void merges_through_what_is_no_token(void)
{
    struct tokenizer *t = fixture_bpe("gpt-2");

    REQUIRE(t != NULL);
    CHECK_STR(encode(t, "the", false), "{9}");
    CHECK_STR(encode(t, "he", false), "he"); // joined, but "he" is no token
    tokenizer_destroy(&t);
}

static void takes_whole_words_where_the_family_does(void)
{
    struct tokenizer *plain = fixture_bpe("gpt-2"), *whole = fixture_bpe("llama-bpe");

    REQUIRE(plain != NULL && whole != NULL);
    CHECK_STR(encode(plain, "abc", false), "a{6}");
    CHECK_STR(encode(whole, "abc", false), "{5}");
    CHECK_STR(encode(whole, "xabc", false), "xa{6}");
    tokenizer_destroy(&plain);
    tokenizer_destroy(&whole);
}

static void cuts_words_as_the_family_does(void)
{
    static const struct {
        const char *pre, *text, *ids;
    } cases[] = {
        { "gpt-2", "a'ba b", "a'ba\\x20b" }, { "gpt-2", "x ac", "x{7}c" },
        { "qwen2", "(ab", "({4}" },          { "deepseek-coder", "\nab", "\\x0a{4}" },
        { "default", "e f", "e\\x20f" },     { "tekken", "eF ef", "eF\\x20{8}" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tokenizer *t = fixture_bpe(cases[i].pre);

        REQUIRE(t != NULL);
        CHECK_STR(encode(t, cases[i].text, false), cases[i].ids);
        tokenizer_destroy(&t);
    }
}

static void finds_control_tokens_in_trusted_text_only(void)
{
    struct tokenizer *t = fixture_bpe("gpt-2");
    struct text_piece pieces[] = { { "<|im_", 5, true },
                                   { "end|>", 5, false },
                                   { "<begin>", 7, true } };

    REQUIRE(t != NULL);
    CHECK_STR(encode(t, "<begin>b", true), "{0}b");
    CHECK_STR(encode(t, "<begin>b", false), "<begin>b");
    CHECK_STR(encode_pieces(t, pieces, 3, false), "<|im_end|>{0}");
    pieces[1].special = true;
    CHECK_STR(encode_pieces(t, pieces, 3, false), "{1}{0}");
    tokenizer_destroy(&t);
}

static void finds_user_defined_tokens_anywhere(void)
{
    struct tokenizer *t = fixture_bpe("gpt-2");

    REQUIRE(t != NULL);
    CHECK_STR(encode(t, "a<tag>b", false), "a{2}b");
    CHECK_STR(encode(t, "<tag", false), "<tag");
    tokenizer_destroy(&t);
}

static void prefers_the_longer_special_token(void)
{
    struct tokenizer *t = fixture_bpe("gpt-2");

    REQUIRE(t != NULL);
    CHECK_STR(encode(t, "<begin><tag>", true), "{3}");
    CHECK_STR(encode(t, "<begin><begin><tag>", true), "{0}{3}");
    CHECK_STR(encode(t, "<begin><tag", true), "{0}<tag");
    CHECK_STR(encode(t, "<begin><tag>", false), "<begin>{2}");
    tokenizer_destroy(&t);
}

static void joins_pieces_before_merging(void)
{
    struct tokenizer *t = fixture_bpe("gpt-2");
    const struct text_piece pieces[] = { { "b", 1, false },
                                         { NULL, 0, true },
                                         { "c", 1, true } };

    REQUIRE(t != NULL);
    CHECK_STR(encode_pieces(t, pieces, 3, false), "{6}");
    tokenizer_destroy(&t);
}

static void puts_the_begin_token_once(void)
{
    struct tokenizer *t = fixture_spm();
    struct text_piece piece = { "<begin>b", 8, true };

    REQUIRE(t != NULL);
    CHECK_STR(encode_pieces(t, &piece, 1, true), "{0}{4}b");
    piece.special = false;
    piece.text += 7;
    piece.len = 1;
    CHECK_STR(encode_pieces(t, &piece, 1, true), "{0}{4}b");
    CHECK_STR(encode_pieces(t, &piece, 1, false), "{4}b");
    CHECK_STR(encode_pieces(t, &piece, 0, true), "{0}");
    tokenizer_destroy(&t);
}

static void merges_by_score(void)
{
    struct tokenizer *t = fixture_spm();

    REQUIRE(t != NULL);
    CHECK_STR(encode(t, "b", false), "{4}b");
    CHECK_STR(encode(t, "xabc", false), "{4}x{7}"); // "bc" before "ab", then "abc"
    CHECK_STR(encode(t, "xabab", false), "{4}x{5}{5}");
    CHECK_STR(encode(t, "aaaaa", false), "{8}{10}");
    CHECK_STR(encode(t, "x<tag>a", false),
              "{4}x{2}{8}"); // a prefix after a special token
    tokenizer_destroy(&t);
}

static void falls_back_to_bytes(void)
{
    struct tokenizer *spm = fixture_spm(), *bpe = fixture_bpe("gpt-2");

    REQUIRE(spm != NULL && bpe != NULL);
    CHECK_STR(encode(spm, "\xc3\xa9\xff", false), "{4}\\xc3\\xa9\\xff");
    CHECK_STR(encode(bpe, "\xc3\xa9", false), "\\xc3\\xa9");
    CHECK_STR(encode(bpe, "\xff", false), "\\xef\\xbf\\xbd");
    CHECK_STR(encode(bpe, "\xc1\x81", false), "A"); // overlong: the peer lets it pass
    CHECK_STR(encode(bpe, "\xed\xa0\x80", false), "\\xed\\xa0\\x80");
    CHECK_STR(encode(bpe, "\xe2\x82", false), "\\xef\\xbf\\xbd\\xef\\xbf\\xbd");
    tokenizer_destroy(&spm);
    tokenizer_destroy(&bpe);
}

static void gives_back_any_text(void)
{
    static const char *const texts[] = { "", "abc the \u00e9\U0001f600\n<tag>", "  a",
                                         "\x01\x7f" };
    struct tokenizer *tokenizers[] = { fixture_bpe("gpt-2"), fixture_bpe("llama-bpe"),
                                       fixture_spm() };

    for (size_t i = 0; i < 3; i++) {
        REQUIRE(tokenizers[i] != NULL);
        for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
            struct text_piece piece = { texts[k], strlen(texts[k]), true };
            struct token_list list = { .ids = NULL };
            struct str out;

            str_init(&out, 0);
            REQUIRE(tokenizer_encode(tokenizers[i], &piece, 1, true, &list, NULL));
            tokenizer_decode(tokenizers[i], list.ids, list.count, false, &out);
            CHECK_STR(out.data, texts[k]);
            str_release(&out);
            token_list_release(&list);
        }
        tokenizer_destroy(&tokenizers[i]);
    }
}

static void shows_control_tokens_on_request(void)
{
    struct tokenizer *t = fixture_bpe("gpt-2");
    const uint32_t ids[] = { FIXTURE_BEGIN, 'x', FIXTURE_USER };
    struct str out;

    REQUIRE(t != NULL);
    str_init(&out, 0);
    tokenizer_decode(t, ids, 3, false, &out);
    CHECK_STR(out.data, "x<tag>");
    str_reset(&out);
    tokenizer_decode(t, ids, 3, true, &out);
    CHECK_STR(out.data, "<begin>x<tag>");
    str_release(&out);
    tokenizer_destroy(&t);
}

static void knows_its_tokens(void)
{
    struct tokenizer *t = fixture_spm();

    REQUIRE(t != NULL);
    CHECK_INT(tokenizer_size(t), FIXTURE_WORDS + 7);
    CHECK_INT(tokenizer_bos(t), FIXTURE_BEGIN);
    CHECK_INT(tokenizer_eos(t), FIXTURE_END);
    CHECK(tokenizer_adds_bos(t));
    CHECK(tokenizer_ends_generation(t, FIXTURE_END));
    CHECK(!tokenizer_ends_generation(t, FIXTURE_BEGIN));
    CHECK_INT(tokenizer_type(t, FIXTURE_BEGIN), TOKEN_CONTROL);
    CHECK_INT(tokenizer_type(t, FIXTURE_USER), TOKEN_USER_DEFINED);
    CHECK_INT(tokenizer_type(t, 'a'), TOKEN_BYTE);
    CHECK_INT(tokenizer_find(t, "abc", 3), FIXTURE_WORDS + 3);
    CHECK_INT(tokenizer_find(t, "abcd", 4), TOKEN_NONE);
    CHECK_INT(tokenizer_find(t, "", 0), TOKEN_NONE);
    tokenizer_destroy(&t);
}

// A vocabulary of one token and one merge, with one thing changed by `spoil`.
static void refuse(void (*spoil)(struct tokenizer_params *), enum err_code code,
                   const char *text)
{
    static const struct token_text token = { "a", 1 }, merge = { "a a", 3 };
    struct tokenizer_params params = {
        .model = { "gpt2", 4 },
        .pre = { "gpt-2", 5 },
        .tokens = &token,
        .token_count = 1,
        .merges = &merge,
        .merge_count = 1,
        .bos = TOKEN_NONE,
        .eos = TOKEN_NONE,
        .eot = TOKEN_NONE,
        .eom = TOKEN_NONE,
        .unknown = TOKEN_NONE,
        .padding = TOKEN_NONE,
    };
    struct err err = { .code = ERR_NONE };
    struct tokenizer *t;

    spoil(&params);
    t = tokenizer_create(&params, &err);
    CHECK(t == NULL);
    CHECK_INT(err.code, code);
    if (text != NULL)
        CHECK_STR(err.text, text);
    tokenizer_destroy(&t);
}

static void unknown_model(struct tokenizer_params *params)
{
    params->model = (struct token_text){ "rwkv", 4 };
}

static void unknown_pre(struct tokenizer_params *params)
{
    params->pre = (struct token_text){ "gpt", 3 };
}

static void id_too_large(struct tokenizer_params *params)
{
    params->eos = 1;
}

static void no_tokens(struct tokenizer_params *params)
{
    params->token_count = 0;
}

static void no_merges(struct tokenizer_params *params)
{
    params->merge_count = 0;
}

static void no_bytes(struct tokenizer_params *params)
{
    static const struct token_text token = { "abc", 3 };

    params->tokens = &token;
}

static void no_bytes_spm(struct tokenizer_params *params)
{
    params->model = (struct token_text){ "llama", 5 };
    params->unknown = TOKEN_NONE;
    params->token_count = 0;
}

static void long_token(struct tokenizer_params *params)
{
    static char bytes[70000];
    static const struct token_text token = { bytes, sizeof(bytes) };

    params->tokens = &token;
}

static void refuses_bad_vocabularies_by_name(void)
{
    refuse(unknown_model, ERR_UNSUPPORTED, "unknown tokenizer model \"rwkv\"");
    refuse(unknown_pre, ERR_UNSUPPORTED, "unknown pre-tokenizer \"gpt\"");
    refuse(id_too_large, ERR_FORMAT, "the end token 1 is not among the 1 tokens");
    refuse(no_tokens, ERR_FORMAT, "the vocabulary is empty");
    refuse(no_merges, ERR_FORMAT, NULL);
    refuse(no_bytes, ERR_FORMAT, "the vocabulary has no byte tokens");
    refuse(no_bytes_spm, ERR_FORMAT, NULL);
    refuse(long_token, ERR_LIMIT, NULL);
}

static void refuses_a_text_above_the_limit(void)
{
    struct tokenizer *t = fixture_bpe("gpt-2");
    struct text_piece pieces[2] = { { "a", 1, false }, { "a", (size_t)16 << 20, false } };

    REQUIRE(t != NULL);
    CHECK_STR(encode_pieces(t, pieces, 2, true), "the text is longer than 16 MiB");
    tokenizer_destroy(&t);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Every kind of step that could take quadratic time would take minutes here.
static void takes_linear_time(void)
{
    static const char *const pres[] = { "gpt-2",    "tekken",  "afmoe",      "jais-2",
                                        "tiny_aya", "default", "exaone-moe", NULL };
    static const char *const units[] = { "a", "A",   " ",     "\n",     "0",
                                         "<", "ab ", "<tag>", "a\u0301" };
    size_t len = (size_t)1 << 18;
    char *text = malloc(len);
    double start = seconds();

    for (size_t p = 0; p <= sizeof(pres) / sizeof(pres[0]) - 1; p++) {
        struct tokenizer *t = pres[p] != NULL ? fixture_bpe(pres[p]) : fixture_spm();

        REQUIRE(t != NULL);
        for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
            struct text_piece piece = { text, len, true };
            struct token_list list = { .ids = NULL };

            for (size_t i = 0; i < len; i++)
                text[i] = units[u][i % strlen(units[u])];
            CHECK(tokenizer_encode(t, &piece, 1, true, &list, NULL));
            CHECK(list.count > 0);
            token_list_release(&list);
        }
        tokenizer_destroy(&t);
    }
    free(text);
    CHECK(seconds() - start < 60);
}

static const struct test tests[] = {
    { "merges by rank", merges_by_rank },
    { "merges through what is no token", merges_through_what_is_no_token },
    { "takes whole words where the family does",
      takes_whole_words_where_the_family_does },
    { "cuts words as the family does", cuts_words_as_the_family_does },
    { "finds control tokens in trusted text only",
      finds_control_tokens_in_trusted_text_only },
    { "finds user-defined tokens anywhere", finds_user_defined_tokens_anywhere },
    { "prefers the longer special token", prefers_the_longer_special_token },
    { "joins pieces before merging", joins_pieces_before_merging },
    { "puts the begin token once", puts_the_begin_token_once },
    { "merges by score", merges_by_score },
    { "falls back to bytes", falls_back_to_bytes },
    { "gives back any text", gives_back_any_text },
    { "shows control tokens on request", shows_control_tokens_on_request },
    { "knows its tokens", knows_its_tokens },
    { "refuses bad vocabularies by name", refuses_bad_vocabularies_by_name },
    { "refuses a text above the limit", refuses_a_text_above_the_limit },
    { "takes linear time", takes_linear_time },
};

TAP_MAIN(tests)
