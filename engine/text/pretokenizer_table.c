// engine/text/pretokenizer_table.c
// SPDX-License-Identifier: MIT
//
// The expressions of the families, as their tokenizer.json files publish them, written
// for the one-byte classes of pretokenizer.h. Where llama.cpp reads them differently
// (upper and lower case outside ASCII is not told apart) this table follows llama.cpp, so
// that the same file gives the same ids.
//
// Where an expression can be written so that it never has to step back, it is.
#include <string.h>

#include "engine/text/pretokenizer.h"

// Inside a [class].
#define LETTER      "A-Za-z\\xd2"
#define UPPER       "A-Z\\xd2" // or of unknown case
#define LOWER       "a-z\\xd2"
#define NUMBER      "0-9\\xd1"
#define PUNCTUATION "!-#%-*,\\-./:;?@\\[\\\\\\]_{}\\xd3"
#define MARK        "\\xd4"
#define SYMBOL      "$+<=>^`|~\\xd5"
#define MEMBER      "\\xe0"

#define CONTRACTION "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"
#define SPACES      "\\s+(?!\\S)|\\s+"
#define LINES       "\\s*[\\r\\n]+|" SPACES
#define WORD        "[^\\r\\n" LETTER NUMBER "]?[" LETTER "]+"
#define OTHERS      " ?[^\\s" LETTER NUMBER "]+"
#define ASCII_SIGN  "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"

#define GPT2   "'(?:[stmd]|re|ve|ll)| ?[" LETTER "]+| ?[" NUMBER "]+|" OTHERS "|" SPACES
#define LLAMA3 CONTRACTION "|" WORD "|[" NUMBER "]{1,3}|" OTHERS "[\\r\\n]*|" LINES
#define QWEN2  CONTRACTION "|" WORD "|[" NUMBER "]|" OTHERS "[\\r\\n]*|" LINES
#define QWEN35                                                                           \
    CONTRACTION "|[^\\r\\n" LETTER NUMBER "]?[" LETTER MARK "]+|[" NUMBER "]"            \
                "| ?[^\\s" LETTER MARK NUMBER "]+[\\r\\n]*|" LINES
// A word with its capitals first, or all in capitals; `end` is what may follow it.
#define CASED(upper, lower, end)                                                         \
    "[^\\r\\n" LETTER NUMBER "]?[" upper "]*[" lower "]+" end "|[^\\r\\n" LETTER NUMBER  \
    "]?[" upper "]+[" lower "]*" end
#define OTHERS_SLASH OTHERS "[\\r\\n/]*|" LINES
#define GPT4O                                                                            \
    CASED(UPPER, LOWER, "(?:" CONTRACTION ")?") "|[" NUMBER "]{1,3}|" OTHERS_SLASH
#define MARKED_WORD "[^\\r\\n" LETTER NUMBER "]?[" LETTER MARK "]+(?:" CONTRACTION ")?"
#define SIGNED_WORD                                                                      \
    ASCII_SIGN "[A-Za-z]+|[^\\r\\n" LETTER PUNCTUATION SYMBOL "]?[" LETTER MARK "]+"
#define SIGNS        " ?[" PUNCTUATION SYMBOL "]+"
#define DEEPSEEK3    SIGNED_WORD "|" SIGNS "[\\r\\n]*|" LINES
#define NEWLINE_RUNS "[^\\n]+|\\n+"
#define CLAUSE       " ?[^(\\s|.,!?)" MEMBER "]+"

// Sets of characters.
#define CJK        "\u4e00-\u9fa5"
#define KANA       "\u3040-\u309f\u30a0-\u30ff"
#define CJK_HANGUL CJK "\u0800-\u4e00\uac00-\ud7ff"
#define STOPS      "\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c"
#define WIDE_SIGNS "\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002"
#define YOUTU_SIGNS                                                                      \
    "\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f"
static const char cased_letters[] =
    "\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293"
    "\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386"
    "\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f"
    "\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba"
    "\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15"
    "\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b"
    "\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4"
    "\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4"
    "\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124"
    "\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149"
    "\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2"
    "\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e"
    "\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a"
    "\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb"
    "\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df"
    "\U0001e900-\U0001e943";
static const char asian_scripts[] =
    "\u4e00-\u9fff\u3400-\u4dbf\u8c48-\ufaff\u3040-\u309f\u30a0-\u30ff"
    "\uff65-\uff9f\u2f00-\u2fdf\u0e40-\u0e7f\u0e80-\u0eff\u1780-\u17ff"
    "\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff";

static const struct pretoken_family families[] = {
    { .names = "default ",
      .rules = { { .pattern = "[" PUNCTUATION "$+<=>^~|]+" },
                 { .pattern = GPT2 },
                 { .pattern = "[" NUMBER "]+" },
                 { .pattern = "[0-9][0-9][0-9]" } } },
    { .names =
          "gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum "
          "modern-bert exaone4 mpt olmo jais trillion granite-docling ",
      .rules = { { .pattern = GPT2 } } },
    { .names = "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2 ",
      .rules = { { .pattern = "[" NUMBER "]" }, { .pattern = GPT2 } } },
    { .names = "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 "
               "jina-v5-nano ",
      .whole_words = true,
      .adds_bos = true,
      .rules = { { .pattern = LLAMA3 } } },
    { .names = "dbrx smaug-bpe chatglm-bpe ", .rules = { { .pattern = LLAMA3 } } },
    { .names = "glm4 glm5 ", .whole_words = true, .rules = { { .pattern = LLAMA3 } } },
    { .names = "qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open "
               "grok-2 ",
      .rules = { { .pattern = QWEN2 } } },
    { .names = "qwen35 ", .rules = { { .pattern = QWEN35 } } },
    { .names = "tekken ",
      .whole_words = true,
      .adds_bos = true,
      .rules = { { .pattern = CASED(UPPER, LOWER, "") "|[" NUMBER "]|" OTHERS_SLASH } } },
    { .names = "gpt-4o llama4 kanana2 talkie minimax-m2 ",
      .rules = { { .pattern = GPT4O } } },
    { .names = "granite-embed-multi-97m ",
      .whole_words = true,
      .rules = { { .pattern = CASED(UPPER MARK, LOWER MARK,
                                    "(?:" CONTRACTION ")?") "|[" NUMBER
                                                            "]{1,3}|" OTHERS_SLASH } } },
    { .names = "tiny_aya cohere2moe ",
      .rules = { { .pattern = PRETOKEN_DIGIT_GROUPS },
                 { .pattern = MARKED_WORD "|[" NUMBER "]{1,3}|" OTHERS_SLASH } } },
    { .names = "deepseek-llm ",
      .rules = { { .pattern = "[\\r\\n]" },
                 { .pattern = "\\s?[A-Za-z" MEMBER "]+", .members = cased_letters },
                 { .pattern = "\\s?[!-/:-~" MEMBER "]+", .members = WIDE_SIGNS },
                 { .pattern = "\\s+$" },
                 { .pattern = "[" MEMBER "]+", .members = CJK_HANGUL },
                 { .pattern = "[" NUMBER "]+" } } },
    { .names = "deepseek-coder ",
      .rules = { { .pattern = "[\\r\\n]" },
                 { .pattern = "\\s?[" LETTER "]+" },
                 { .pattern = "\\s?[" PUNCTUATION "]+" },
                 { .pattern = "[" MEMBER "]+", .members = CJK_HANGUL },
                 { .pattern = "[" NUMBER "]" } } },
    { .names = "deepseek-v3 hunyuan-dense joyai-llm hy_v4 ",
      .rules = { { .pattern = "[" NUMBER "]{1,3}" },
                 { .pattern = "[" MEMBER "]+", .members = CJK KANA },
                 { .pattern = DEEPSEEK3 } } },
    { .names = "spark2_5 ",
      .rules = { { .pattern = "[" NUMBER "]{1,3}" },
                 { .pattern = "[" MEMBER "]+", .members = CJK KANA },
                 { .pattern = SIGNED_WORD "|" SIGNS "|[\\r\\n]|" SPACES },
                 { .pattern = "[" NUMBER "]" } } },
    { .names = "youtu ",
      .whole_words = true,
      .rules = { { .pattern = "[" MEMBER "]+", .members = "\uac00-\ud7a3\u3131-\u318e" },
                 { .pattern = "[" MEMBER "]+", .members = YOUTU_SIGNS },
                 { .pattern = "[" MEMBER "]+", .members = "\u3105-\u312f" },
                 { .pattern = "[" MEMBER "]+", .members = CJK KANA },
                 { .pattern = MARKED_WORD "|[" NUMBER "]|" OTHERS_SLASH } } },
    { .names = "afmoe ",
      .rules = { { .pattern = PRETOKEN_DIGIT_GROUPS },
                 { .pattern = "[" MEMBER "]+", .members = asian_scripts },
                 { .pattern = DEEPSEEK3 } } },
    { .names = "falcon ",
      .rules = { { .pattern = "[" PUNCTUATION "$+<=>^~|`]+" },
                 { .pattern = GPT2 },
                 { .pattern = "[0-9][0-9][0-9]" } } },
    { .names = "poro-chat bloom gpt3-finnish ",
      .rules = { { .pattern = CLAUSE, .members = STOPS } } },
    { .names = "viking ",
      .rules = { { .pattern = CLAUSE, .members = STOPS },
                 { .pattern = "[" NUMBER "]" } } },
    { .names = "jais-2 ",
      .rules = { { .pattern = CONTRACTION "|" WORD "|[" NUMBER "]{1,3}|" OTHERS
                                          "[\\r\\n]*|\\s*[\\r\\n]+|\\s{512}(?!\\S)"
                                          "|\\s{256}(?!\\S)|\\s{128}(?!\\S)"
                                          "|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)"
                                          "|\\s{8}(?!\\S)|\\s{4}(?!\\S)"
                                          "|\\s{1,2}(?!\\S)|\\s" } } },
    { .names = "chameleon ",
      .adds_bos = true,
      .rules = { { .pattern = "<sentinel:[0-9]+>" },
                 { .pattern = "IMGIMG[A-I]{1,4}Z" },
                 { .pattern = "[\\t\\n]|    |  " },
                 { .pattern = "[" NUMBER "]" },
                 { .pattern = "[" PUNCTUATION "!-/:-@\\[-`{-~]" },
                 { .pattern = GPT2 } } },
    { .names = "bailingmoe bailingmoe2 llada-moe ",
      .rules = { { .pattern = CONTRACTION "|" WORD "|[" NUMBER "]|" OTHERS
                                          "[\\r\\n]*|\\s*[\\r\\n]|" SPACES } } },
    { .names = "seed-coder ",
      .rules = { { .pattern = CONTRACTION "|" WORD "|[" NUMBER "]| ?[^\\s" LETTER NUMBER
                                          "]+|" LINES } } },
    { .names = "ufakzeka ",
      .rules = { { .pattern = WORD "|[" NUMBER "]|" OTHERS "[\\r\\n]*|" LINES } } },
    { .names = "laguna ",
      .rules = { { .pattern = NEWLINE_RUNS }, { .pattern = QWEN2 } } },
    { .names = "exaone-moe ",
      .rules = { { .pattern =
                       CONTRACTION "|[^\\r\\n" LETTER NUMBER "]?(?:[" LETTER "][" MARK
                                   "]*+(?: [" LETTER "][" MARK "]*+)*+)++|[" NUMBER
                                   "]|" OTHERS "[\\r\\n/]?|\\s*[\\r\\n]|" SPACES } } },
    { .names = "minicpm5 ",
      .whole_words = true,
      .rules = { { .pattern = "[" NUMBER "]{1,3}" },
                 { .pattern = CONTRACTION "|" WORD "|[" NUMBER "]+|" OTHERS
                                          "[\\r\\n]*|" LINES } } },
};

static bool has_name(const char *names, const char *name, size_t len)
{
    for (const char *end; *names != '\0'; names = end + 1) {
        end = strchr(names, ' ');
        if ((size_t)(end - names) == len && memcmp(names, name, len) == 0)
            return true;
    }
    return false;
}

const struct pretoken_family *pretoken_family_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (has_name(families[i].names, name, len))
            return &families[i];
    }
    return NULL;
}
