// engine/text/tokenizer_rules.c
// SPDX-License-Identifier: MIT
//
// What the texts of tokens say about them. Model files often give a special token the
// wrong type or do not name all tokens that end generation; like llama.cpp, whose lists
// these are, we know the common ones by their text.
#include <string.h>

#include "engine/text/tokenizer_private.h"

// Each of these ends generation and is a control token, whatever its type.
static const char *const end_texts[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "[e~[",
};

// Tokens for filling in the middle: of each role the first in the vocabulary is a control
// token; some of the roles also end generation.
struct infill_role {
    bool ends;
    const char *texts[9];
};

static const struct infill_role infill_roles[] = {
    { false,
      { "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\uff5cfim\u2581begin\uff5c>",
        "<PRE>", "\u2581<PRE>", "<|code_prefix|>", "<|prefix|>" } },
    { false,
      { "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\uff5cfim\u2581hole\uff5c>",
        "<SUF>", "\u2581<SUF>", "<|code_suffix|>", "<|suffix|>" } },
    { false,
      { "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<\uff5cfim\u2581end\uff5c>",
        "<MID>", "\u2581<MID>", "<|code_middle|>", "<|middle|>" } },
    { true, { "<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]" } },
    { true, { "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>" } },
    { true, { "<|file_sep|>" } },
};

// The channels of gpt-oss: always shown, found in any text.
static const char *const user_texts[] = {
    "<|channel|>",
    "<|message|>",
    "<|start|>",
    "<|constrain|>",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint32_t find(const struct tokenizer *tokenizer, const char *text)
{
    uint32_t id = token_table_find(&tokenizer->table, text, strlen(text));

    return id < tokenizer->size ? id : TOKEN_NONE;
}

static bool ends(const struct tokenizer *tokenizer, const char *text)
{
    uint32_t id = find(tokenizer, text);

    return id != TOKEN_NONE && (tokenizer->flags[id] & TOKEN_ENDS) != 0;
}

static void set_flags(struct tokenizer *tokenizer, uint32_t id, unsigned flags)
{
    if (id != TOKEN_NONE)
        tokenizer->flags[id] |= (uint8_t)flags;
}

static void replace_flags(struct tokenizer *tokenizer, const char *text, unsigned flags)
{
    uint32_t id = find(tokenizer, text);

    if (id != TOKEN_NONE)
        tokenizer->flags[id] = (uint8_t)flags;
}

static void apply_types(struct tokenizer *tokenizer)
{
    for (size_t id = 0; id < tokenizer->size; id++) {
        uint8_t type = tokenizer->types[id];

        if (type == TOKEN_CONTROL || type == TOKEN_UNKNOWN)
            tokenizer->flags[id] = TOKEN_IS_CONTROL;
        else if (type == TOKEN_USER_DEFINED)
            tokenizer->flags[id] = TOKEN_IS_USER;
    }
}

static void apply_infill_role(struct tokenizer *tokenizer, const struct infill_role *role)
{
    uint32_t first = TOKEN_NONE;

    for (size_t i = 0; i < COUNT(role->texts) && role->texts[i] != NULL; i++) {
        uint32_t id = find(tokenizer, role->texts[i]);

        if (id < first)
            first = id;
    }
    set_flags(tokenizer, first, TOKEN_IS_CONTROL | (role->ends ? TOKEN_ENDS : 0));
}

// Where a marker means something else than its text says.
static void apply_exceptions(struct tokenizer *tokenizer)
{
    bool calls = ends(tokenizer, "<|call|>") || ends(tokenizer, "<|calls|>");

    // The harmony format of gpt-oss, and solar-open: <|end|> only ends one message.
    if (ends(tokenizer, "<|end|>") && calls &&
        (ends(tokenizer, "<|return|>") || ends(tokenizer, "<|flush|>")))
        replace_flags(tokenizer, "<|end|>", TOKEN_IS_USER);
    // Gemma 4: </s> is an HTML tag.
    if (ends(tokenizer, "</s>") &&
        (ends(tokenizer, "<|tool_response>") || ends(tokenizer, "<|plamo:eos|>")))
        replace_flags(tokenizer, "</s>", 0);
}

static void apply_strips(struct tokenizer *tokenizer)
{
    static const char *const exceptions[] = { "<unk>", "<s>", "<|endoftext|>" };

    for (size_t id = 0; id < tokenizer->size; id++) {
        if (tokenizer->flags[id] & (TOKEN_IS_CONTROL | TOKEN_IS_USER))
            tokenizer->flags[id] |= TOKEN_STRIPS;
    }
    for (size_t i = 0; i < COUNT(exceptions); i++) {
        uint32_t id = find(tokenizer, exceptions[i]);

        if (id != TOKEN_NONE)
            tokenizer->flags[id] &= (uint8_t)~TOKEN_STRIPS;
    }
}

void tokenizer_apply_rules(struct tokenizer *tokenizer,
                           const struct tokenizer_params *params)
{
    apply_types(tokenizer);
    for (size_t i = 0; i < COUNT(infill_roles); i++)
        apply_infill_role(tokenizer, &infill_roles[i]);
    for (size_t i = 0; i < COUNT(end_texts); i++)
        set_flags(tokenizer, find(tokenizer, end_texts[i]),
                  TOKEN_IS_CONTROL | TOKEN_ENDS);
    for (size_t i = 0; i < COUNT(user_texts); i++)
        replace_flags(tokenizer, user_texts[i], TOKEN_IS_USER);
    set_flags(tokenizer, tokenizer->eos, TOKEN_ENDS);
    set_flags(tokenizer, params->eot, TOKEN_ENDS);
    set_flags(tokenizer, params->eom, TOKEN_ENDS);
    apply_exceptions(tokenizer);
    if (params->strips_after_special)
        apply_strips(tokenizer);
}
