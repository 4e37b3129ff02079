// engine/prompt.c
// SPDX-License-Identifier: MIT
//
// From conversations to text: the chat template. prompt_tokens.c goes on from there.
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

bool engine_tokenize(const struct engine *engine, const char *text, size_t len,
                     bool special, struct token_ids *tokens, struct err *err)
{
    struct text_piece piece = { text, len, special };
    struct token_list list = { .ids = NULL };

    if (!tokenizer_encode(engine->tokenizer, &piece, 1, special, &list, err)) {
        token_list_release(&list);
        return false;
    }
    *tokens = (struct token_ids){ list.ids, list.count };
    return true;
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

// A conversation on its way to the template.
struct writing {
    const struct engine *engine;
    struct str system; // to go in front of the next message
};

static bool append_part(const struct writing *w, const struct part *part,
                        struct str *text)
{
    if (part->kind == PART_IMAGE)
        return str_append(text, w->engine->picture_marker);
    utf8_append_repaired(text, part->text, part->text_len);
    return !text->truncated;
}

static json_t *text_content(const struct writing *w, const struct message *message)
{
    struct str text;
    json_t *content = NULL;
    bool fits = true;

    str_init(&text, 0);
    str_append_n(&text, w->system.data, w->system.len);
    for (size_t i = 0; fits && i < message->part_count; i++)
        fits = append_part(w, &message->parts[i], &text);
    if (fits)
        content = json_stringn(text.data, text.len);
    str_release(&text);
    return content;
}

static void append_typed(json_t *list, const char *bytes, size_t len)
{
    struct str text;

    str_init(&text, SIZE_MAX / 2);
    utf8_append_repaired(&text, bytes, len);
    json_array_append_new(list, json_pack("{s:s, s:o}", "type", "text", "text",
                                          json_stringn_nocheck(text.data, text.len)));
    str_release(&text);
}

static json_t *typed_content(const struct writing *w, const struct message *message)
{
    json_t *list = json_array();

    if (w->system.len > 0)
        append_typed(list, w->system.data, w->system.len);
    for (size_t i = 0; i < message->part_count; i++) {
        const struct part *part = &message->parts[i];

        if (part->kind == PART_IMAGE)
            json_array_append_new(list, json_pack("{s:s}", "type", "image"));
        else
            append_typed(list, part->text, part->text_len);
    }
    return list;
}

static bool has_pictures(const struct message *message)
{
    for (size_t i = 0; i < message->part_count; i++)
        if (message->parts[i].kind == PART_IMAGE)
            return true;
    return false;
}

static bool append_message(struct writing *w, const struct message *message,
                           json_t *messages, struct err *err)
{
    const struct engine *engine = w->engine;
    bool pictures = has_pictures(message);
    json_t *content;

    if (pictures && engine->vision == NULL)
        return err_set(err, ERR_UNSUPPORTED,
                       "the model has no vision: it cannot see pictures");
    content =
        engine->template_wants_lists || (pictures && engine->template_takes_pictures)
            ? typed_content(w, message)
            : text_content(w, message);
    if (content == NULL)
        return err_set(err, ERR_LIMIT, "a message is too long");
    str_reset(&w->system);
    json_array_append_new(
        messages,
        json_pack("{s:s, s:o}", "role", role_name(message->role), "content", content));
    return true;
}

// fold_system: the system text goes in front of the first message after it, for templates
// that know no such role.
static json_t *messages_json(const struct engine *engine,
                             const struct conversation *conversation, bool fold_system,
                             struct err *err)
{
    struct writing w = { .engine = engine };
    json_t *messages = json_array();
    bool ok = true;

    str_init(&w.system, 0);
    for (size_t i = 0; ok && i < conversation->message_count; i++) {
        const struct message *message = &conversation->messages[i];

        if (!fold_system || message->role != ROLE_SYSTEM ||
            i + 1 == conversation->message_count) {
            ok = append_message(&w, message, messages, err);
            continue;
        }
        for (size_t k = 0; k < message->part_count; k++)
            append_part(&w, &message->parts[k], &w.system);
        str_append(&w.system, "\n\n");
    }
    str_release(&w.system);
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

// Takes the reference to messages.
static json_t *template_globals(const struct engine *engine, json_t *messages,
                                const char *tools_json, struct err *err)
{
    json_t *globals, *tools = NULL;
    json_error_t problem;

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

// Takes the reference to messages, which may be NULL (err is set).
static bool render_json(const struct engine *engine, json_t *messages,
                        const char *tools_json, int64_t now,
                        struct template_output *output, struct err *err)
{
    struct template_limits limits = { .max_steps = 0 };
    json_t *globals;
    bool ok;

    if (messages == NULL)
        return false;
    globals = template_globals(engine, messages, tools_json, err);
    if (globals == NULL)
        return false;
    ok = template_render(engine->template, globals, now, &limits, output, err);
    json_decref(globals);
    return ok || err_prefix(err, "chat template");
}

bool engine_render(const struct engine *engine, const struct conversation *conversation,
                   const char *tools_json, int64_t now, struct engine_prompt *prompt,
                   bool *used_fallback, struct err *err)
{
    bool has_system =
        conversation->message_count > 1 && conversation->messages[0].role == ROLE_SYSTEM;
    struct template_output output;
    struct err own = { .code = ERR_NONE };
    bool ok;

    if (!render_json(engine, messages_json(engine, conversation, false, &own), tools_json,
                     now, &output, &own) &&
        !(has_system && own.code == ERR_FORMAT &&
          render_json(engine, messages_json(engine, conversation, true, NULL), tools_json,
                      now, &output, NULL)))
        return err_set(err, own.code, "%s", own.text);
    ok = engine_prompt_assemble(engine, conversation, &output, prompt, err);
    template_output_release(&output);
    if (used_fallback != NULL)
        *used_fallback = engine->template_is_fallback;
    return ok;
}

// ---------------------------------------------------------------------------
// What a template wants. Some print nothing of a content that is a plain text, since they
// expect a list of typed parts; some know where a picture goes.

static const char probe_word[] = "orielprobe";

// Whether the template prints the word of a message with this content (whose reference it
// takes), and, if it is not NULL, that text of its own exactly once.
static bool probe(const struct engine *engine, json_t *content, const char *own_text)
{
    json_t *messages = json_pack("[{s:s, s:o}]", "role", "user", "content", content);
    struct template_output output;
    bool found;
    size_t own = 0;

    if (!render_json(engine, messages, NULL, 0, &output, NULL))
        return false;
    found = strstr(output.text.data, probe_word) != NULL;
    for (size_t i = 0; own_text != NULL && i < output.piece_count; i++)
        if (output.pieces[i].trusted)
            own += engine_count_text(output.text.data + output.pieces[i].start,
                                     output.pieces[i].len, own_text);
    template_output_release(&output);
    return found && (own_text == NULL || own == 1);
}

static json_t *probe_list(bool picture)
{
    json_t *list = json_array();

    if (picture)
        json_array_append_new(list, json_pack("{s:s}", "type", "image"));
    append_typed(list, probe_word, strlen(probe_word));
    return list;
}

void engine_probe_template(struct engine *engine)
{
    engine->template_wants_lists = !probe(engine, json_string(probe_word), NULL) &&
                                   probe(engine, probe_list(false), NULL);
    engine->template_takes_pictures =
        engine->vision != NULL &&
        probe(engine, probe_list(true), engine_picture_placeholder(engine));
}
