// tests/engine/vision/test_generate.c
// SPDX-License-Identifier: MIT
#include "tests/tap.h"

#include <jansson.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "engine/format/gguf.h"
#include "engine/model/vocabulary.h"
#include "engine/text/template.h"
#include "tests/engine/vision/generate.h"

#define LANGUAGE  "test_vision_generate.gguf" // in the build folder, where tests run
#define PROJECTOR "test_vision_generate-mmproj.gguf"

static bool generate(const char *family, enum quant_type type, uint64_t seed)
{
    struct vision_recipe recipe = { .family = family, .type = type, .seed = seed };
    struct err err = { .code = ERR_NONE };
    bool ok = vision_generate(&recipe, LANGUAGE, PROJECTOR, &err);

    if (!ok)
        printf("# %s: %s\n", family, err.text);
    return ok;
}

static bool digest(const char *path, char hex[SHA256_HEX])
{
    unsigned char bytes[SHA256_BYTES];
    struct sha256 hash;
    struct str file;
    struct err err = { .code = ERR_NONE };

    str_init(&file, 0);
    bool ok = file_read(path, 1 << 26, &file, &err);
    sha256_init(&hash);
    sha256_update(&hash, file.data, file.len);
    sha256_final(&hash, bytes);
    sha256_hex(bytes, hex);
    str_release(&file);
    return ok;
}

static void clean(void)
{
    unlink(LANGUAGE);
    unlink(PROJECTOR);
}

static void gives_the_same_bytes_for_the_same_recipe(void)
{
    char first[SHA256_HEX], second[SHA256_HEX], other[SHA256_HEX];

    REQUIRE(generate("pixtral", QUANT_F16, 1) && digest(PROJECTOR, first));
    REQUIRE(generate("pixtral", QUANT_F16, 1) && digest(PROJECTOR, second));
    REQUIRE(generate("pixtral", QUANT_F16, 2) && digest(PROJECTOR, other));
    CHECK_STR(first, second);
    CHECK(strcmp(first, other) != 0);
    clean();
}

// Opens a file of the pair, and says so if it cannot be.
static struct gguf *open_file(const char *path)
{
    struct err err = { .code = ERR_NONE };
    struct gguf *gguf = gguf_open(path, &err);

    if (gguf == NULL)
        printf("# %s\n", err.text);
    CHECK(gguf != NULL);
    return gguf;
}

static void every_family_is_a_pair_of_readable_files(void)
{
    static const enum quant_type types[] = { QUANT_F32, QUANT_F16, QUANT_Q8_0 };

    for (size_t i = 0; i < vision_family_count(); i++) {
        for (size_t j = 0; j < 3; j++) {
            bool ok = generate(vision_family_at(i), types[j], 1);

            CHECK(ok);
            struct gguf *language = ok ? open_file(LANGUAGE) : NULL;
            struct gguf *projector = ok ? open_file(PROJECTOR) : NULL;
            gguf_close(&language);
            gguf_close(&projector);
        }
    }
    clean();
}

static void check_shape(const struct gguf *gguf, const char *name, uint32_t type,
                        uint64_t columns, uint64_t rows)
{
    const struct gguf_tensor *tensor = gguf_find(gguf, name);

    if (tensor == NULL)
        printf("# no %s\n", name);
    REQUIRE(tensor != NULL);
    CHECK_INT(tensor->type, type);
    CHECK_INT(tensor->shape[0], columns);
    CHECK_INT(tensor->shape[1], rows);
}

static void old_files_swap_the_names_of_the_feed_forward_part(void)
{
    REQUIRE(generate("llava-1.5", QUANT_F16, 1));
    struct gguf *gguf = open_file(PROJECTOR);
    REQUIRE(gguf != NULL);
    check_shape(gguf, "v.blk.0.ffn_down.weight", QUANT_F16, 96, 160);
    check_shape(gguf, "v.blk.0.ffn_up.weight", QUANT_F16, 160, 96);
    gguf_close(&gguf);
    clean();
}

static void types_are_those_that_converters_choose(void)
{
    REQUIRE(generate("gemma3", QUANT_Q8_0, 1));
    struct gguf *gguf = open_file(PROJECTOR);
    REQUIRE(gguf != NULL);
    check_shape(gguf, "v.blk.0.ffn_up.weight", QUANT_Q8_0, 288, 200);
    check_shape(gguf, "v.blk.0.ffn_down.weight", QUANT_F16, 200, 288); // no whole blocks
    check_shape(gguf, "v.patch_embd.weight", QUANT_F32, 14, 14);
    check_shape(gguf, "v.position_embd.weight", QUANT_F32, 288, 64);
    check_shape(gguf, "mm.input_projection.weight", QUANT_F16, 160, 288);
    gguf_close(&gguf);
    clean();
}

// One user's message, a picture and a word, rendered by the file's own template.
static bool render(const struct gguf *gguf, struct template_output *output,
                   struct err *err)
{
    struct gguf_string source = { .len = 0 };
    struct template *template =
        gguf_get_string(gguf, "tokenizer.chat_template", &source, err)
            ? template_parse(source.bytes, source.len, err)
            : NULL;
    json_t *globals =
        json_pack("{s:s, s:b, s:[{s:s, s:[{s:s}, {s:s, s:s}]}]}", "bos_token", "<bos>",
                  "add_generation_prompt", 1, "messages", "role", "user", "content",
                  "type", "image", "type", "text", "text", "what");
    bool ok =
        template != NULL && template_render(template, globals, 0, NULL, output, err);

    json_decref(globals);
    template_destroy(&template);
    return ok;
}

static void check_markers(const char *family, const char *rendered, const char *marker)
{
    struct err err = { .code = ERR_NONE };
    struct template_output output = { .piece_count = 0 };

    REQUIRE(generate(family, QUANT_F16, 1));
    struct gguf *gguf = open_file(LANGUAGE);
    struct tokenizer *tokenizer = gguf != NULL ? vocabulary_load(gguf, &err) : NULL;
    str_init(&output.text, 0);
    bool ok = tokenizer != NULL && render(gguf, &output, &err);
    if (!ok)
        printf("# %s: %s\n", family, err.text);
    CHECK(ok);
    if (ok) {
        uint32_t id = tokenizer_find(tokenizer, marker, strlen(marker));

        CHECK_STR(output.text.data, rendered);
        CHECK(id != TOKEN_NONE && tokenizer_type(tokenizer, id) == TOKEN_CONTROL);
    }
    template_output_release(&output);
    tokenizer_destroy(&tokenizer);
    gguf_close(&gguf);
    clean();
}

static void templates_have_a_place_for_pictures(void)
{
    static const struct {
        const char *family, *rendered, *marker;
    } cases[] = {
        { "llava-1.5", "USER: <image>\nwhat ASSISTANT:", "<image>" },
        { "idefics3", "<|im_start|>User: <image>what<end_of_utterance>\nAssistant:",
          "<row_6_col_6>" },
        { "gemma3",
          "<bos><start_of_turn>user\n<start_of_image>what<end_of_turn>\n"
          "<start_of_turn>model\n",
          "<end_of_image>" },
        { "qwen2.5vl",
          "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>what<|im_end|>\n"
          "<|im_start|>assistant\n",
          "<|image_pad|>" },
        { "internvl",
          "<|im_start|>user\n<IMG_CONTEXT>\nwhat<|im_end|>\n<|im_start|>assistant\n",
          "</img>" },
        { "pixtral", "[INST][IMG]what[/INST]", "[IMG_BREAK]" },
        { "minicpmv",
          "<|im_start|>user\n(<image>./</image>)\nwhat<|im_end|>\n"
          "<|im_start|>assistant\n",
          "<slice>" },
        { "lfm2vl", "<|im_start|>user\n<image>what<|im_end|>\n<|im_start|>assistant\n",
          "<|img_row_6_col_6|>" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_markers(cases[i].family, cases[i].rendered, cases[i].marker);
}

static void refuses_an_unknown_family(void)
{
    struct vision_recipe recipe = { .family = "kosmos", .seed = 1 };
    struct err err;

    CHECK(!vision_generate(&recipe, LANGUAGE, PROJECTOR, &err));
    CHECK_INT(err.code, ERR_UNSUPPORTED);
}

static const struct test tests[] = {
    { "gives the same bytes for the same recipe",
      gives_the_same_bytes_for_the_same_recipe },
    { "every family is a pair of readable files",
      every_family_is_a_pair_of_readable_files },
    { "old files swap the names of the feed-forward part",
      old_files_swap_the_names_of_the_feed_forward_part },
    { "types are those that converters choose", types_are_those_that_converters_choose },
    { "templates have a place for pictures", templates_have_a_place_for_pictures },
    { "refuses an unknown family", refuses_an_unknown_family },
};

TAP_MAIN(tests)
