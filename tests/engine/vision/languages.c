// tests/engine/vision/languages.c
// SPDX-License-Identifier: MIT
//
// The language models beside the encoders: which architecture, which tokens stand around
// a picture, and a chat template in the shape of the family's own. Contents are a string,
// or a list of parts as the templates of models with pictures take it.
#include "tests/engine/vision/generate_private.h"

// The content of `message`, pictures as `marker`.
#define CONTENT(marker)                                                                  \
    "{%- if message.content is string -%}{{- message.content -}}"                        \
    "{%- else -%}{%- for part in message.content -%}"                                    \
    "{%- if part.type == 'image' -%}{{- '" marker "' -}}"                                \
    "{%- else -%}{{- part.text -}}{%- endif -%}"                                         \
    "{%- endfor -%}{%- endif -%}"

// Each message between `start` and `end` (expressions), then `prompt` for the answer.
#define TEMPLATE(start, marker, end, prompt)                                             \
    "{%- for message in messages -%}"                                                    \
    "{{- " start " -}}" CONTENT(marker) "{{- " end " -}}"                                \
                                        "{%- endfor -%}"                                 \
                                        "{%- if add_generation_prompt -%}{{- '" prompt   \
                                        "' -}}{%- endif -%}"

#define CHATML(marker)                                                                   \
    TEMPLATE("'<|im_start|>' ~ message.role ~ '\\n'", marker, "'<|im_end|>\\n'",         \
             "<|im_start|>assistant\\n")

// Names of the tiles of a picture, 6 rows and columns of them.
#define ROW(start, end, r)                                                               \
    start #r "_col_1" end, start #r "_col_2" end, start #r "_col_3" end,                 \
        start #r "_col_4" end, start #r "_col_5" end, start #r "_col_6" end
#define GRID(start, end)                                                                 \
    ROW(start, end, 1), ROW(start, end, 2), ROW(start, end, 3), ROW(start, end, 4),      \
        ROW(start, end, 5), ROW(start, end, 6)

static const char *const vicuna_controls[] = { "<image>", NULL };
static const char *const smollm_controls[] = {
    "<fake_token_around_image>", "<image>",          "<global-img>",
    "<end_of_utterance>",        GRID("<row_", ">"), NULL,
};
static const char *const gemma_controls[] = {
    "<start_of_image>",
    "<end_of_image>",
    "<image_soft_token>",
    NULL,
};
static const char *const qwen_controls[] = {
    "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>",    "<|video_pad|>",  NULL,
};
static const char *const intern_controls[] = { "<img>", "</img>", "<IMG_CONTEXT>", NULL };
static const char *const mistral_controls[] = {
    "[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]", NULL,
};
static const char *const minicpm_controls[] = {
    "<image>",    "</image>",    "<slice>", "</slice>",
    "<image_id>", "</image_id>", "<unk>",   NULL,
};
static const char *const lfm_controls[] = {
    "<image>",           "<|image_start|>",        "<|image_end|>",
    "<|img_thumbnail|>", GRID("<|img_row_", "|>"), NULL,
};

static const char vicuna_template[] =
    TEMPLATE("'USER: ' if message.role == 'user' else 'ASSISTANT: '", "<image>\\n",
             "' ' if message.role == 'user' else '<|endoftext|>'", "ASSISTANT:");
static const char smollm_template[] =
    "{{- '<|im_start|>' -}}" TEMPLATE("message.role | capitalize ~ ': '", "<image>",
                                      "'<end_of_utterance>\\n'", "Assistant:");
static const char gemma_template[] = "{{- bos_token -}}" TEMPLATE(
    "'<start_of_turn>' ~ ('model' if message.role == 'assistant' else message.role) ~ "
    "'\\n'",
    "<start_of_image>", "'<end_of_turn>\\n'", "<start_of_turn>model\\n");
static const char qwen_template[] = CHATML("<|vision_start|><|image_pad|><|vision_end|>");
static const char intern_template[] = CHATML("<IMG_CONTEXT>\\n");
static const char mistral_template[] =
    TEMPLATE("'[INST]' if message.role == 'user' else ''", "[IMG]",
             "'[/INST]' if message.role == 'user' else '<|endoftext|>'", "");
static const char minicpm_template[] = CHATML("(<image>./</image>)\\n");
static const char lfm_template[] = CHATML("<image>");

const struct language language_vicuna = { .architecture = "llama",
                                          .chat = { vicuna_controls, vicuna_template } };
const struct language language_smollm = { .architecture = "llama",
                                          .chat = { smollm_controls, smollm_template } };
// Gemma 3 has no soft caps.
const struct language language_gemma = { .architecture = "gemma3",
                                         .features = MODEL_PLAIN_KEYS,
                                         .chat = { gemma_controls, gemma_template } };
const struct language language_qwen2 = { .architecture = "qwen2vl",
                                         .chat = { qwen_controls, qwen_template } };
const struct language language_qwen3 = { .architecture = "qwen3vl",
                                         .chat = { qwen_controls, qwen_template } };
const struct language language_intern = { .architecture = "qwen2",
                                          .chat = { intern_controls, intern_template } };
const struct language language_mistral = {
    .architecture = "llama",
    .features = MODEL_WIDE_HEADS,
    .chat = { mistral_controls, mistral_template },
};
// Heads of the resampler are 128 wide: the width is a multiple of that.
const struct language language_minicpm = {
    .architecture = "qwen2",
    .features = MODEL_ROUND,
    .chat = { minicpm_controls, minicpm_template },
};
const struct language language_lfm = { .architecture = "lfm2",
                                       .chat = { lfm_controls, lfm_template } };
