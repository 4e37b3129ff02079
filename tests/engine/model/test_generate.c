// tests/engine/model/test_generate.c
// SPDX-License-Identifier: MIT
#include "tests/tap.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "engine/format/gguf.h"
#include "tests/engine/model/random.h"
#include "tests/engine/model/reference_cases.h"

#define PATH "test_generate.gguf" // in the build folder, where tests run

static bool digest(const struct model_recipe *recipe, char hex[SHA256_HEX])
{
    unsigned char bytes[SHA256_BYTES];
    struct sha256 hash;
    struct str file;
    struct err err = { .code = ERR_NONE };

    str_init(&file, 0);
    bool ok = model_generate(recipe, PATH, &err) && file_read(PATH, 1 << 26, &file, &err);
    sha256_init(&hash);
    sha256_update(&hash, file.data, file.len);
    sha256_final(&hash, bytes);
    sha256_hex(bytes, hex);
    str_release(&file);
    unlink(PATH);
    return ok;
}

static void gives_the_same_bytes_for_the_same_recipe(void)
{
    struct model_recipe recipe = { "qwen3", QUANT_Q4_0, 7, 0 };
    char first[SHA256_HEX], second[SHA256_HEX], other[SHA256_HEX];

    REQUIRE(digest(&recipe, first) && digest(&recipe, second));
    recipe.seed++;
    REQUIRE(digest(&recipe, other));
    CHECK_STR(first, second);
    CHECK(strcmp(first, other) != 0);
}

static void every_case_is_a_readable_file(void)
{
    for (size_t i = 0; i < model_case_count(); i++) {
        struct model_case model = model_case_at(i);
        struct err err = { .code = ERR_NONE };
        struct gguf *gguf =
            model_generate(&model.recipe, PATH, &err) ? gguf_open(PATH, &err) : NULL;

        if (gguf == NULL)
            printf("# %s: %s\n", model.name, err.text);
        CHECK(gguf != NULL);
        gguf_close(&gguf);
        unlink(PATH);
    }
}

static void uses_the_type_where_rows_are_whole_blocks(void)
{
    struct model_recipe recipe = { "llama", QUANT_Q4_K, 1, MODEL_WIDE_HEADS };
    struct err err;

    REQUIRE(model_generate(&recipe, PATH, &err));
    struct gguf *gguf = gguf_open(PATH, &err);
    REQUIRE(gguf != NULL);
    CHECK_INT(gguf_find(gguf, "blk.0.attn_q.weight")->type, QUANT_Q4_K);
    CHECK_INT(gguf_find(gguf, "blk.0.attn_output.weight")->type,
              QUANT_Q5_0); // rows of 576
    CHECK_INT(gguf_find(gguf, "blk.0.attn_norm.weight")->type, QUANT_F32);
    gguf_close(&gguf);
    unlink(PATH);
}

static void refuses_an_unknown_architecture(void)
{
    struct model_recipe recipe = { "mamba", QUANT_F32, 1, 0 };
    struct err err;

    CHECK(!model_generate(&recipe, PATH, &err));
    CHECK_INT(err.code, ERR_UNSUPPORTED);
}

static void random_weights_have_the_wanted_spread(void)
{
    enum { COUNT = 1 << 14 };
    static uint8_t bytes[COUNT * 4];
    static float values[COUNT];

    for (uint32_t type = 0; type < 64; type++) {
        struct random random;
        double sum = 0, squares = 0;

        if (quant_traits(type) == NULL)
            continue;
        random_init(&random, 1, "spread");
        random_weights(&random, (enum quant_type)type, 0.05, COUNT, bytes);
        quant_dequantise((enum quant_type)type, bytes, COUNT, values);
        for (size_t i = 0; i < COUNT; i++) {
            sum += (double)values[i];
            squares += (double)values[i] * (double)values[i];
        }
        printf("# %s\n", quant_traits(type)->name);
        CHECK_NEAR(sum / COUNT, 0, 0.05 * 0.05);
        CHECK_NEAR(sqrt(squares / COUNT) / 0.05, 1, 0.15);
    }
}

static const struct test tests[] = {
    { "gives the same bytes for the same recipe",
      gives_the_same_bytes_for_the_same_recipe },
    { "every case is a readable file", every_case_is_a_readable_file },
    { "uses the type where rows are whole blocks",
      uses_the_type_where_rows_are_whole_blocks },
    { "refuses an unknown architecture", refuses_an_unknown_architecture },
    { "random weights have the wanted spread", random_weights_have_the_wanted_spread },
};

TAP_MAIN(tests)
