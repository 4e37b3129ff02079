// engine/prompt.c
// SPDX-License-Identifier: MIT
//
// From conversations to token ids: the chat template, and the tokenizer behind it.
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "engine/private.h"

// Templates for files that bring none, chosen by the special tokens of the vocabulary.
static const struct fallback {
    const char *marker; // a token; NULL: always there
    const char *source;
} fallbacks[] = {
    { "<|im_start|>",
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{{ m.content }}"
      "{{ '<|im_end|>\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}" },
    { "<start_of_turn>",
      "{{ bos_token }}{% for m in messages %}{{ '<start_of_turn>' }}"
      "{{ 'model' if m.role == 'assistant' else 'user' }}{{ '\n' }}{{ m.content | trim }}"
      "{{ '<end_of_turn>\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}" },
    { "<|start_header_id|>",
      "{{ bos_token }}{% for m in messages %}"
      "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' }}"
      "{{ m.content | trim }}{{ '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
      "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}" },
    { NULL,
      "{% for m in messages %}{{ m.role | capitalize }}{{ ': ' }}{{ m.content }}{{ '\n' }}"
      "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}" },
};

bool engine_load_template(struct engine *engine, struct err *err)
{
    struct gguf_string source = { .bytes = NULL };

    if (!gguf_get_string(engine->gguf, "tokenizer.chat_template", &source, err))
        return false;
    if (source.bytes != NULL) {
        engine->template = template_parse(source.bytes, source.len, err);
        return engine->template != NULL || err_prefix(err, "chat template");
    }
    engine->template_is_fallback = true;
    for (size_t i = 0; engine->template == NULL; i++) {
        const char *marker = fallbacks[i].marker;

        if (marker == NULL ||
            tokenizer_find(engine->tokenizer, marker, strlen(marker)) != TOKEN_NONE) {
            engine->template =
                template_parse(fallbacks[i].source, strlen(fallbacks[i].source), err);
            return engine->template != NULL;
        }
    }
    return true;
}

// ---------------------------------------------------------------------------

void token_ids_release(struct token_ids *tokens)
{
    free(tokens->ids);
    *tokens = (struct token_ids){ .ids = NULL };
}

static bool encode(const struct engine *engine, const struct text_piece *pieces,
                   size_t count, bool add_bos, struct token_ids *tokens, struct err *err)
{
    struct token_list list = { .ids = NULL };

    if (!tokenizer_encode(engine->tokenizer, pieces, count, add_bos, &list, err)) {
        token_list_release(&list);
        return false;
    }
    *tokens = (struct token_ids){ list.ids, list.count };
    return true;
}

bool engine_tokenize(const struct engine *engine, const char *text, size_t len,
                     bool special, struct token_ids *tokens, struct err *err)
{
    struct text_piece piece = { text, len, special };

    return encode(engine, &piece, 1, special, tokens, err);
}

void engine_detokenize(const struct engine *engine, const uint32_t *ids, size_t count,
                       bool show_special, struct str *text)
{
    tokenizer_decode(engine->tokenizer, ids, count, show_special, text);
}

// ---------------------------------------------------------------------------

static const char *role_name(enum role role)
{
    static const char *const names[] = { [ROLE_SYSTEM] = "system",
                                         [ROLE_USER] = "user",
                                         [ROLE_ASSISTANT] = "assistant",
                                         [ROLE_TOOL] = "tool" };

    return names[role];
}

// Appends the message's text, with what is not UTF-8 replaced by U+FFFD.
static bool append_text(const struct message *message, struct str *text, struct err *err)
{
    for (size_t i = 0; i < message->part_count; i++) {
        if (message->parts[i].kind == PART_IMAGE)
            return err_set(err, ERR_UNSUPPORTED,
                           "the model has no vision: it cannot see pictures");
        utf8_append_repaired(text, message->parts[i].text, message->parts[i].text_len);
    }
    return !text->truncated || err_set(err, ERR_LIMIT, "a message is too long");
}

// fold_system: the system text goes in front of the first message after it, for templates
// that know no such role.
static json_t *messages_json(const struct conversation *conversation, bool fold_system,
                             struct err *err)
{
    json_t *messages = json_array();
    struct str text;
    bool ok = true;

    str_init(&text, 0);
    for (size_t i = 0; ok && i < conversation->message_count; i++) {
        const struct message *message = &conversation->messages[i];

        ok = append_text(message, &text, err);
        if (fold_system && message->role == ROLE_SYSTEM &&
            i + 1 < conversation->message_count) {
            str_append(&text, "\n\n");
            continue;
        }
        if (ok)
            json_array_append_new(messages, json_pack("{s:s, s:o}", "role",
                                                      role_name(message->role), "content",
                                                      json_stringn(text.data, text.len)));
        str_reset(&text);
    }
    str_release(&text);
    if (ok)
        return messages;
    json_decref(messages);
    return NULL;
}

static json_t *special_token(const struct engine *engine, uint32_t id)
{
    struct str text;
    json_t *string;

    str_init(&text, 0);
    if (id != TOKEN_NONE)
        tokenizer_token_bytes(engine->tokenizer, id, true, &text);
    string = json_stringn(text.data, text.len);
    str_release(&text);
    return string != NULL ? string : json_string("");
}

static json_t *template_globals(const struct engine *engine,
                                const struct conversation *conversation, bool fold_system,
                                const char *tools_json, struct err *err)
{
    json_t *messages = messages_json(conversation, fold_system, err);
    json_t *globals, *tools = NULL;
    json_error_t problem;

    if (messages == NULL)
        return NULL;
    if (tools_json != NULL) {
        tools = json_loads(tools_json, JSON_REJECT_DUPLICATES, &problem);
        if (tools == NULL) {
            err_set(err, ERR_FORMAT, "tools: line %d: %s", problem.line, problem.text);
            json_decref(messages);
            return NULL;
        }
    }
    globals =
        json_pack("{s:o, s:b, s:o, s:o}", "messages", messages, "add_generation_prompt",
                  1, "bos_token", special_token(engine, tokenizer_bos(engine->tokenizer)),
                  "eos_token", special_token(engine, tokenizer_eos(engine->tokenizer)));
    if (tools != NULL)
        json_object_set_new(globals, "tools", tools);
    return globals;
}

static bool render(const struct engine *engine, const struct conversation *conversation,
                   bool fold_system, const char *tools_json, int64_t now,
                   struct template_output *output, struct err *err)
{
    json_t *globals =
        template_globals(engine, conversation, fold_system, tools_json, err);
    struct template_limits limits = { .max_steps = 0 };
    bool ok;

    if (globals == NULL)
        return false;
    ok = template_render(engine->template, globals, now, &limits, output, err);
    json_decref(globals);
    return ok || err_prefix(err, "chat template");
}

bool engine_render(const struct engine *engine, const struct conversation *conversation,
                   const char *tools_json, int64_t now, struct token_ids *prompt,
                   bool *used_fallback, struct err *err)
{
    bool has_system =
        conversation->message_count > 1 && conversation->messages[0].role == ROLE_SYSTEM;
    struct template_output output;
    struct text_piece *pieces;
    struct err own = { .code = ERR_NONE };
    bool ok;

    if (!render(engine, conversation, false, tools_json, now, &output, &own) &&
        !(has_system && own.code == ERR_FORMAT &&
          render(engine, conversation, true, tools_json, now, &output, NULL)))
        return err_set(err, own.code, "%s", own.text);
    pieces = alloc_array(output.piece_count, sizeof(*pieces));
    for (size_t i = 0; i < output.piece_count; i++)
        pieces[i] = (struct text_piece){ output.text.data + output.pieces[i].start,
                                         output.pieces[i].len, output.pieces[i].trusted };
    ok = encode(engine, pieces, output.piece_count, true, prompt, err);
    free(pieces);
    template_output_release(&output);
    if (used_fallback != NULL)
        *used_fallback = engine->template_is_fallback;
    return ok;
}
