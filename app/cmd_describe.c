// app/cmd_describe.c
// SPDX-License-Identifier: MIT
//
// oriel describe: one paragraph for each picture. With --output the descriptions are
// appended to a file, one JSON object a line, and pictures that the file already
// describes (the same bytes, model and kind of text) are passed over: what was
// interrupted goes on where it was. A picture that cannot be read costs one line on
// standard error and the exit status, not the others.
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "app/client_pictures.h"
#include "app/commands.h"
#include "app/interrupt.h"
#include "app/messages.h"
#include "app/output.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/utf8.h"

#define OUTPUT_MAX ((size_t)1 << 30)

static const char paragraph_prompt[] =
    "Describe this picture in one paragraph: what it shows, where, and what stands out.";
static const char alt_prompt[] =
    "Write alternative text for this picture: one plain sentence of at most 125 "
    "characters that says what it shows, without \"image of\" in front.";

struct describe {
    // options
    struct model_choice model;
    const char *prompt, *output;
    struct generation_settings settings;
    bool json, alt, quiet;
    // the work
    struct client client;
    int fd;       // of the output file, or -1
    json_t *done; // keys of what is described there
    struct str text;
    struct engine_result result;
    struct err unwritten;
    bool failed; // some picture
};

#define AT(member) offsetof(struct describe, member)
#define SETTINGS   offsetof(struct describe, settings)
static const struct option_spec options[] = {
    { 'm', "model", "MODEL", OPTION_TEXT, AT(model.name), 0, 0,
      "name or path of the model" },
    { 0, "mmproj", "FILE", OPTION_TEXT, AT(model.mmproj), 0, 0,
      "vision projector that belongs to the model" },
    { 0, "alt", NULL, OPTION_FLAG, AT(alt), 0, 0, "short alternative texts" },
    { 'p', "prompt", "TEXT", OPTION_TEXT, AT(prompt), 0, 0,
      "what to ask in place of the usual question" },
    { 'n', "max-tokens", "MAX", OPTION_SETTING, SETTINGS, 0, 0,
      "at most this many tokens for each" },
    { 0, "temp", "T", OPTION_SETTING, SETTINGS, 0, 0,
      "temperature; 0, as it is: always the likeliest" },
    { 0, "seed", "N", OPTION_SETTING, SETTINGS, 0, 0, "repeat a random choice" },
    { 0, "json", NULL, OPTION_FLAG, AT(json), 0, 0, "print one JSON object a line" },
    { 'o', "output", "FILE", OPTION_TEXT, AT(output), 0, 0,
      "append JSON lines; what is there is passed over" },
    { 'q', "quiet", NULL, OPTION_FLAG, AT(quiet), 0, 0, "no progress" },
    { 0, "device", "DEVICE", OPTION_TEXT, AT(model.device), 0, 0,
      "index or part of the name of the GPU" },
    { 0, "context", "TOKENS", OPTION_U32, AT(model.context_tokens), 0, 0,
      "room for picture and answer; 0: the model's own" },
    OPTIONS_END,
};

static const char *question(const struct describe *d)
{
    if (d->prompt != NULL)
        return d->prompt;
    return d->alt ? alt_prompt : paragraph_prompt;
}

// ---------------------------------------------------------------------------
// The output file

static char *done_key(const char *hash, const char *model, const char *prompt)
{
    return alloc_printf("%s %s %s", hash, model, prompt);
}

static void note_done(struct describe *d, const char *line, size_t len)
{
    json_t *entry = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    const char *hash, *model, *prompt;

    if (json_unpack(entry, "{s:s, s:s, s:s}", "hash", &hash, "model", &model, "prompt",
                    &prompt) == 0) {
        char *key = done_key(hash, model, prompt);

        json_object_set_new_nocheck(d->done, key, json_true());
        free(key);
    }
    json_decref(entry);
}

// Reads what is there; a last line that was cut short is taken away.
static bool read_output(struct describe *d, struct err *err)
{
    struct str lines;
    size_t whole = 0;
    bool ok;

    str_init(&lines, OUTPUT_MAX);
    ok = file_read(d->output, OUTPUT_MAX, &lines, err);
    while (ok && whole < lines.len) {
        const char *line = lines.data + whole;
        const char *end = memchr(line, '\n', lines.len - whole);

        if (end == NULL)
            break;
        note_done(d, line, (size_t)(end - line));
        whole += (size_t)(end - line) + 1;
    }
    if (ok && whole < lines.len && ftruncate(d->fd, (off_t)whole) != 0)
        ok = err_set_errno(err, "%s", d->output);
    str_release(&lines);
    return ok;
}

static bool open_output(struct describe *d, struct err *err)
{
    if (d->output == NULL)
        return true;
    d->fd = open(d->output, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (d->fd < 0)
        return err_set_errno(err, "%s", d->output);
    if (flock(d->fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_BUSY, "%s: another oriel writes to it", d->output);
    return read_output(d, err);
}

static bool append_line(struct describe *d, const json_t *entry, struct err *err)
{
    char *text = json_dumps(entry, JSON_COMPACT);
    char *line = alloc_printf("%s\n", text);
    bool ok =
        file_write_all(d->fd, line, strlen(line)) || err_set_errno(err, "%s", d->output);

    free(line);
    free(text);
    return ok;
}

// ---------------------------------------------------------------------------
// One picture

static bool on_token(void *user, const struct token_event *event)
{
    struct describe *d = user;

    str_append_n(&d->text, event->text, event->text_len);
    return true;
}

static json_t *request_body(const struct describe *d, const char *path, const char *hash)
{
    struct part parts[] = {
        { .kind = PART_IMAGE,
          .image_path = path,
          .image_hash = hash,
          .image_name = path },
        { .kind = PART_TEXT, .text = question(d), .text_len = strlen(question(d)) },
    };
    struct message message = { ROLE_USER, parts, 2 };
    json_t *body = json_object();

    json_object_set_new(body, "messages",
                        conversation_json(&(struct conversation){ &message, 1 }));
    json_object_set_new(body, "settings", settings_json(&d->settings));
    json_object_set_new(body, "now", json_integer(time(NULL)));
    return body;
}

static bool ask(struct describe *d, const char *path, const char *hash,
                struct shown_picture *shown, struct err *err)
{
    json_t *answer;
    bool ok;

    str_reset(&d->text);
    if (!client_show_picture(&d->client, path, hash, shown, err))
        return false;
    answer = client_call(&d->client, WIRE_GENERATE, "describing",
                         request_body(d, path, hash), err);
    ok = answer != NULL && result_read(&d->result, answer, err);
    json_decref(answer);
    if (ok && d->result.reason == STOP_CANCELLED)
        return err_set(err, ERR_CANCELLED, "stopped");
    return ok;
}

// Without the white space around it, on one line when it is alternative text.
static void tidy(struct describe *d)
{
    struct str *text = &d->text;
    size_t start = strspn(text->data, " \t\r\n");

    while (text->len > start && strchr(" \t\r\n", text->data[text->len - 1]) != NULL)
        str_truncate(text, text->len - 1);
    memmove(text->data, text->data + start, text->len - start + 1);
    text->len -= start;
    for (size_t i = 0; d->alt && i < text->len; i++)
        if (text->data[i] == '\n' || text->data[i] == '\r')
            text->data[i] = ' ';
}

static json_t *entry_json(const struct describe *d, const char *path, const char *hash,
                          const struct shown_picture *shown)
{
    json_t *entry = json_object();

    wire_set_text(entry, "file", path, strlen(path));
    json_object_set_new(entry, "hash", json_string(hash));
    json_object_set_new(entry, "model", json_string(d->client.info.model_name));
    json_object_set_new(entry, "prompt", json_string(question(d)));
    wire_set_text(entry, "text", d->text.data, d->text.len);
    json_object_set_new(entry, "stop_reason",
                        json_string(stop_reason_name(d->result.reason)));
    json_object_set_new(entry, "picture_tokens", json_integer((json_int_t)shown->tokens));
    json_object_set_new(entry, "encode_ns", json_integer(shown->encode_ns));
    json_object_set_new(entry, "prompt_tokens",
                        json_integer((json_int_t)d->result.prompt_tokens));
    json_object_set_new(entry, "generated_tokens",
                        json_integer((json_int_t)d->result.generated_tokens));
    wire_set_real(entry, "prompt_tokens_per_second", d->result.prompt_tokens_per_second);
    wire_set_real(entry, "generation_tokens_per_second",
                  d->result.generation_tokens_per_second);
    return entry;
}

static bool put_description(const struct describe *d, const char *path, size_t count,
                            struct err *err)
{
    if (count > 1) {
        put_printable(stdout, path, strlen(path));
        fputs(d->alt ? ": " : "\n", stdout);
    }
    if (!put_text(d->text.data, d->text.len, err) ||
        !put_text(count > 1 && !d->alt ? "\n\n" : "\n", count > 1 && !d->alt ? 2 : 1,
                  err))
        return false;
    return true;
}

static bool put_result(struct describe *d, const char *path, const char *hash,
                       const struct shown_picture *shown, size_t count, struct err *err)
{
    json_t *entry = entry_json(d, path, hash, shown);
    bool ok = true;

    if (d->fd >= 0)
        ok = append_line(d, entry, err);
    if (!d->json) {
        json_decref(entry);
        return ok && (d->fd >= 0 || put_description(d, path, count, err));
    }
    return put_json(entry) && ok && finish_output(err);
}

static bool is_done(const struct describe *d, const char *hash)
{
    char *key = done_key(hash, d->client.info.model_name, question(d));
    bool done = json_object_get(d->done, key) != NULL;

    free(key);
    return done;
}

// False: no further pictures.
static bool describe_one(struct describe *d, const char *path, size_t count)
{
    struct shown_picture shown = { .tokens = 0 };
    struct err err = { .code = ERR_NONE };
    char hash[SHA256_HEX];

    if (picture_hash(path, hash, &err)) {
        if (d->fd >= 0 && is_done(d, hash))
            return true;
        if (ask(d, path, hash, &shown, &err)) {
            tidy(d);
            if (put_result(d, path, hash, &shown, count, &d->unwritten))
                return true;
            complain("describe", &d->unwritten);
            d->failed = true;
            return false;
        }
    }
    d->failed = true;
    if (err.code == ERR_CANCELLED)
        return false;
    complain("describe", &err);
    return engine_process_alive(d->client.process);
}

static int describe_all(struct describe *d, const struct operands *files)
{
    for (size_t i = 0; i < files->count; i++) {
        if (!d->quiet && files->count > 1 && isatty(STDERR_FILENO))
            fprintf(stderr, "[%zu of %zu]\n", i + 1, files->count);
        if (!describe_one(d, files->items[i], files->count))
            break;
    }
    if (interrupted())
        return EXIT_INTERRUPTED;
    return d->failed ? EXIT_FAILED : EXIT_OK;
}

static bool prepare(struct describe *d, const struct operands *files, struct err *err)
{
    if (files->count == 0)
        return err_set(err, ERR_USAGE, "which pictures? Give their FILEs");
    if (d->prompt != NULL && !utf8_valid(d->prompt, strlen(d->prompt)))
        return err_set(err, ERR_USAGE, "--prompt: not UTF-8 text");
    if (d->settings.max_tokens == 0)
        d->settings.max_tokens = d->alt ? 80 : 400;
    if (!model_choice_resolve(&d->model, err) || !open_output(d, err))
        return false;
    if (!client_open(&d->client, d->quiet, err) ||
        !client_open_model(&d->client, &d->model, err))
        return false;
    d->client.on_token = on_token;
    d->client.user = d;
    return d->client.info.has_vision ||
           err_set(err, ERR_UNSUPPORTED,
                   "the model %s has no vision; `oriel models` lists some that have",
                   d->client.info.model_name);
}

static int run(int argc, char **argv)
{
    struct describe d = { .fd = -1, .done = json_object() };
    struct operands files;
    struct err err = { .code = ERR_NONE };
    int code;

    generation_settings_default(&d.settings);
    d.settings.temperature = 0;
    str_init(&d.text, 0);
    if (command_options(&command_describe, argc, argv, &d, &files, &code))
        code = prepare(&d, &files, &err) ? describe_all(&d, &files)
                                         : complain("describe", &err);
    client_close(&d.client);
    json_decref(d.done);
    str_release(&d.text);
    if (d.fd >= 0)
        close(d.fd);
    return code;
}

const struct command command_describe = {
    .name = "describe",
    .usage = "[-m MODEL] [--alt] [--json] [-o FILE] PICTURE...",
    .summary = "Describe pictures, one paragraph each",
    .notes = "With -o, what was interrupted goes on where it was.",
    .options = options,
    .run = run,
};
