// tests/engine/model/vocabulary.c
// SPDX-License-Identifier: MIT
#include "tests/engine/model/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "engine/text/tokenizer.h"

// Each is reached by merging from the left, so all their beginnings are tokens too.
static const char *const words[] = {
    " the",   " and", "ing",   " to",    " of",       " in", " you",
    " hello", "on",   " what", " is",    "at",        "es",  " a",
    " world", "user", "ed",    "system", "assistant", "ou",
};

#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

// Templates in the shape of ChatML, and of gemma (which calls the assistant "model").
static const char chat_template[] =
    "{%- for message in messages -%}\n"
    "{{- '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' -}}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}";
static const char turn_template[] =
    "{{- bos_token -}}\n"
    "{%- for message in messages -%}\n"
    "{%- set role = 'model' if message.role == 'assistant' else message.role -%}\n"
    "{{- '<start_of_turn>' ~ role ~ '\\n' ~ message.content | trim ~ '<end_of_turn>\\n' -}}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}";

static uint32_t add(struct vocabulary *v, const char *text, enum token_type type)
{
    if (v->count == v->size || strlen(text) >= VOCABULARY_TEXT)
        bug("no room for the token \"%s\"", text);
    strcpy(v->tokens[v->count], text);
    v->types[v->count] = (int32_t)type;
    // SentencePiece merges the pair with the highest score first.
    v->scores[v->count] = type == TOKEN_NORMAL ? -(float)v->count : 0;
    return (uint32_t)v->count++;
}

static bool contains(const struct vocabulary *v, const char *text)
{
    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->tokens[i], text) == 0)
            return true;
    }
    return false;
}

// GPT-2 writes each byte as one visible character: itself, or the next one from U+0100
// on.
static void byte_character(unsigned byte, char text[3])
{
    unsigned next = 256;

    for (unsigned i = 0; i <= byte; i++) {
        bool visible = (i > 32 && i < 127) || (i > 160 && i != 173);
        unsigned code = visible ? i : next++;

        if (i < byte)
            continue;
        text[0] = code < 128 ? (char)code : (char)(0xc0 | code >> 6);
        text[1] = code < 128 ? '\0' : (char)(0x80 | (code & 63));
        text[2] = '\0';
    }
}

// Adds the beginnings of a word as tokens; `space` is how the vocabulary writes a space.
static void add_word(struct vocabulary *v, const char *word, const char *space)
{
    char left[VOCABULARY_TEXT] = "", whole[VOCABULARY_TEXT];

    for (size_t i = 0; word[i] != '\0'; i++) {
        char right[8];

        snprintf(right, sizeof(right), "%s",
                 word[i] == ' ' ? space : (char[2]){ word[i] });
        snprintf(whole, sizeof(whole), "%.28s%s", left, right);
        if (i > 0 && !contains(v, whole)) {
            if (!v->sentencepiece)
                snprintf(v->merges[v->merge_count++], VOCABULARY_TEXT, "%.28s %s", left,
                         right);
            add(v, whole, TOKEN_NORMAL);
        }
        strcpy(left, whole);
    }
}

static void add_words(struct vocabulary *v, const char *space)
{
    for (size_t i = 0; i < WORD_COUNT; i++)
        add_word(v, words[i], space);
}

static void fill_byte_level(struct vocabulary *v)
{
    v->bos = v->eos = add(v, "<|endoftext|>", TOKEN_CONTROL);
    add(v, "<|im_start|>", TOKEN_CONTROL);
    v->eot = add(v, "<|im_end|>", TOKEN_CONTROL);
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[3];

        byte_character(byte, text);
        add(v, text, TOKEN_NORMAL);
    }
    add_words(v, "\xc4\xa0"); // U+0120
    v->chat_template = chat_template;
}

static void fill_sentencepiece(struct vocabulary *v)
{
    add(v, "<pad>", TOKEN_CONTROL);
    v->eos = add(v, "<eos>", TOKEN_CONTROL);
    v->bos = add(v, "<bos>", TOKEN_CONTROL);
    add(v, "<unk>", TOKEN_UNKNOWN);
    add(v, "<start_of_turn>", TOKEN_CONTROL);
    v->eot = add(v, "<end_of_turn>", TOKEN_CONTROL);
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[8];

        snprintf(text, sizeof(text), "<0x%02X>", byte);
        add(v, text, TOKEN_BYTE);
    }
    add_words(v, "\xe2\x96\x81"); // U+2581
    add(v, "\xe2\x96\x81", TOKEN_NORMAL);
    for (char c = '!'; c <= '~'; c++)
        add(v, (char[2]){ c }, TOKEN_NORMAL);
    v->chat_template = turn_template;
}

void vocabulary_init(struct vocabulary *v, bool sentencepiece, size_t size)
{
    *v = (struct vocabulary){ .sentencepiece = sentencepiece, .size = size };
    v->tokens = alloc_array(size, sizeof(*v->tokens));
    v->scores = alloc_array(size, sizeof(*v->scores));
    v->types = alloc_array(size, sizeof(*v->types));
    v->merges = alloc_array(size, sizeof(*v->merges));
    if (sentencepiece)
        fill_sentencepiece(v);
    else
        fill_byte_level(v);
    while (v->count < size) {
        char text[VOCABULARY_TEXT];

        snprintf(text, sizeof(text), "<|unused_%zu|>", v->count);
        add(v, text, TOKEN_UNUSED);
    }
}

void vocabulary_add_controls(struct vocabulary *v, const char *const *texts)
{
    size_t at = 0;

    for (; *texts != NULL; texts++, at++) {
        while (at < v->size && v->types[at] != TOKEN_UNUSED)
            at++;
        if (at == v->size || strlen(*texts) >= VOCABULARY_TEXT)
            bug("no room for the token \"%s\"", *texts);
        strcpy(v->tokens[at], *texts);
        v->types[at] = TOKEN_CONTROL;
    }
}

void vocabulary_release(struct vocabulary *v)
{
    free(v->tokens);
    free(v->scores);
    free(v->types);
    free(v->merges);
}
