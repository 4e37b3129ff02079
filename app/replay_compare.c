// app/replay_compare.c
// SPDX-License-Identifier: MIT
//
// oriel replay --model: another model answers the same user turns. It sees the words and
// pictures of the person and its own earlier answers, never those of the first model; it
// gets the settings and the seed that the reply at that place was made with, if they are
// known. A turn that has no reply, or one that is still being written, is answered all
// the same.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "app/cmd_replay.h"
#include "app/controller.h"
#include "app/messages.h"
#include "app/output.h"
#include "base/alloc.h"
#include "base/log.h"

#define MEMORY    ((size_t)256 << 20)
#define WORDS_MAX 4000 // of a reply that are compared

// One model's answer to one turn.
struct side {
    size_t tokens;
    double seconds; // 0: not known
};

struct turn {
    struct side before, now;
    double agreement; // part of the words that both say in the same order; < 0: unknown
};

struct comparison {
    struct replay *replay;
    struct client client;
    struct ui *ui; // NULL: text goes to standard output
    struct picture_blocks pictures;
    bool quit;
    int stop_fd; // the engine is to stop
    struct sessions_path path;
    char *name;               // of the new model
    struct message *messages; // what it sees
    struct part *parts;       // its own answers
    size_t message_count;
    size_t block;
    struct str answer;
    size_t token_count;
    struct turn *turns;
    size_t turn_count;
    char *first_name; // of the model that answered before
};

// ---------------------------------------------------------------------------
// Agreement

struct word {
    const char *bytes;
    size_t len;
};

static size_t split(const struct str *text, struct word *words)
{
    size_t count = 0, at = 0;

    while (count < WORDS_MAX) {
        size_t start = at + strspn(text->data + at, " \t\n");

        at = start + strcspn(text->data + start, " \t\n");
        if (at == start)
            break;
        words[count++] = (struct word){ text->data + start, at - start };
    }
    return count;
}

static bool same_word(const struct word *a, const struct word *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

// The longest common subsequence of the words (Wagner and Fischer 1974, one row kept), as
// a part of the longer text.
static double agreement(const struct str *a, const struct str *b)
{
    struct word *first = alloc_array(WORDS_MAX, sizeof(*first));
    struct word *second = alloc_array(WORDS_MAX, sizeof(*second));
    size_t m = split(a, first), n = split(b, second), most = m > n ? m : n;
    size_t *row = alloc_array(n + 1, sizeof(*row));
    double part;

    for (size_t i = 0; i < m; i++) {
        size_t diagonal = 0; // of the row above, one to the left

        for (size_t k = 0; k < n; k++) {
            size_t above = row[k + 1];

            if (same_word(&first[i], &second[k]))
                row[k + 1] = diagonal + 1;
            else if (row[k] > above)
                row[k + 1] = row[k];
            diagonal = above;
        }
    }
    part = most > 0 ? (double)row[n] / (double)most : 1;
    free(first);
    free(second);
    free(row);
    return part;
}

// ---------------------------------------------------------------------------
// Showing

static void put_line(const struct comparison *c, const char *speaker,
                     const struct str *text)
{
    struct err unwritten = { 0 };

    if (c->ui != NULL)
        return;
    put_text(speaker, strlen(speaker), &unwritten);
    put_text(":\n", 2, &unwritten);
    put_text(text->data, text->len, &unwritten);
    put_text("\n\n", 2, &unwritten);
}

static void show_question(struct comparison *c, const struct sessions_message *message)
{
    struct str text;

    if (c->ui != NULL) {
        controller_show_message(&c->pictures, message);
        return;
    }
    str_init(&text, 0);
    for (size_t i = 0; i < message->content.part_count; i++)
        if (message->content.parts[i].kind == PART_IMAGE)
            str_printf(&text, "[picture: %s]\n", message->content.parts[i].image_name);
    controller_text(&message->content, &text);
    put_line(c, message->content.role == ROLE_SYSTEM ? "System" : "You", &text);
    str_release(&text);
}

static void set_state(struct comparison *c, const char *state, double fraction)
{
    if (c->ui != NULL)
        ui_set_status(c->ui, &(struct ui_status){ .state = state,
                                                  .title = c->replay->title,
                                                  .model = c->name,
                                                  .fraction = fraction });
}

static void take_events(struct comparison *c)
{
    struct ui_event event;

    if (c->ui == NULL)
        return;
    while (ui_next(c->ui, &event)) {
        bool key = event.kind == UI_EVENT_KEY &&
                   (strcmp(event.text, "q") == 0 || strcmp(event.text, "escape") == 0);

        if (event.kind == UI_EVENT_PICTURE)
            picture_blocks_want(&c->pictures, event.block);
        if (key || event.kind == UI_EVENT_SIGNAL ||
            (event.kind == UI_EVENT_ACTION && event.action == UI_QUIT))
            c->quit = true;
    }
    picture_blocks_tick(&c->pictures);
    if (c->quit)
        eventfd_write(c->stop_fd, 1);
}

// ---------------------------------------------------------------------------
// The engine

static bool on_token(void *user, const struct token_event *event)
{
    struct comparison *c = user;

    c->token_count += event->id != ENGINE_NO_TOKEN;
    str_append_n(&c->answer, event->text, event->text_len);
    if (c->ui != NULL)
        ui_append(c->ui, c->block, event->text, event->text_len);
    take_events(c);
    return !c->quit;
}

static void on_progress(void *user, const char *stage, double fraction)
{
    struct comparison *c = user;

    set_state(c, stage, fraction);
    take_events(c);
}

static void on_wait(void *user)
{
    take_events(user);
}

// On the screen there is no line for progress, and keys come through it.
static void listen(struct comparison *c)
{
    c->client.on_token = on_token;
    c->client.user = c;
    if (c->ui == NULL)
        return;
    c->client.listener.on_progress = on_progress;
    c->client.listener.on_token = on_token;
    c->client.listener.on_wait = on_wait;
    c->client.listener.user = c;
    c->client.listener.interrupt_fd = c->stop_fd;
}

static json_t *request_body(const struct comparison *c,
                            const struct generation_settings *settings)
{
    struct conversation conversation = { c->messages, c->message_count };
    json_t *body = json_object();

    json_object_set_new(body, "messages",
                        c->client.info.has_vision
                            ? conversation_json(&conversation)
                            : conversation_words_json(&conversation));
    json_object_set_new(body, "settings", settings_json(settings));
    json_object_set_new(body, "now", json_integer(time(NULL)));
    return body;
}

static void add_message(struct comparison *c, const struct message *message)
{
    c->messages[c->message_count++] = *message;
}

// The answer stays for the turns after it; its text is freed at the end.
static void keep_answer(struct comparison *c)
{
    struct part *part = &c->parts[c->turn_count];

    *part = (struct part){ .kind = PART_TEXT, .text_len = c->answer.len };
    part->text = str_take(&c->answer);
    str_init(&c->answer, 0);
    add_message(c, &(struct message){ ROLE_ASSISTANT, part, 1 });
}

// What is known of the reply that was there, or NULL when there is none.
static const struct sessions_message *reply_to(const struct comparison *c, size_t index)
{
    const struct sessions_message *next = &c->path.messages[index + 1];

    return index + 1 < c->path.count && next->content.role == ROLE_ASSISTANT ? next
                                                                             : NULL;
}

static void read_record(struct comparison *c, const struct sessions_message *reply,
                        struct arena *arena, struct turn *turn,
                        struct generation_settings *settings)
{
    struct sessions_record record;

    generation_settings_default(settings);
    if (reply == NULL || !sessions_load_record(c->replay->sessions, reply->id, arena,
                                               &record, &(struct err){ 0 }))
        return; // of another program, or being written: what it was made with is unknown
    *settings = record.settings;
    turn->before.tokens = record.token_count;
    turn->before.seconds = (double)record.generation_ns * 1e-9;
}

static void begin_turn(struct comparison *c, const struct sessions_message *reply,
                       const struct str *before)
{
    const char *who = reply != NULL && reply->model != NULL ? reply->model : "(no reply)";

    if (c->first_name == NULL && reply != NULL && reply->model != NULL)
        c->first_name = alloc_string(reply->model);
    if (reply != NULL)
        put_line(c, who, before);
    if (c->ui != NULL)
        c->block = ui_add_block(c->ui, &(struct ui_block){ .kind = UI_BLOCK_REPLY,
                                                           .label = c->name,
                                                           .text = "",
                                                           .streaming = true,
                                                           .beside_label = who,
                                                           .beside = before->data,
                                                           .beside_len = before->len });
}

static bool answer_turn(struct comparison *c, const struct sessions_message *reply,
                        const struct str *before, struct arena *arena, struct err *err)
{
    struct turn *turn = &c->turns[c->turn_count];
    struct generation_settings settings;
    struct engine_result result;
    json_t *answer;
    bool ok;

    read_record(c, reply, arena, turn, &settings);
    begin_turn(c, reply, before);
    c->token_count = 0;
    set_state(c, "reading the prompt", -1);
    answer = client_call(&c->client, WIRE_GENERATE, "answering",
                         request_body(c, &settings), err);
    ok = answer != NULL && result_read(&result, answer, err);
    json_decref(answer);
    if (c->ui != NULL)
        ui_finish_block(c->ui, c->block, "");
    if (!ok)
        return false;
    turn->now.tokens = c->token_count;
    turn->now.seconds = (double)result.generation_ns * 1e-9;
    turn->agreement = reply != NULL ? agreement(before, &c->answer) : -1;
    put_line(c, c->name, &c->answer);
    keep_answer(c);
    c->turn_count++;
    return true;
}

static bool run_turn(struct comparison *c, size_t index, struct err *err)
{
    const struct sessions_message *reply = reply_to(c, index);
    struct arena arena;
    struct str before;
    bool ok;

    show_question(c, &c->path.messages[index]);
    if (!replay_show_pictures(&c->client, c->replay->sessions,
                              &c->path.messages[index].content, err))
        return false;
    add_message(c, &c->path.messages[index].content);
    if (c->path.messages[index].content.role != ROLE_USER)
        return true;
    arena_init(&arena, MEMORY);
    str_init(&before, 0);
    if (reply != NULL)
        controller_text(&reply->content, &before);
    ok = answer_turn(c, reply, &before, &arena, err);
    str_release(&before);
    arena_release(&arena);
    return ok;
}

// ---------------------------------------------------------------------------
// The table

static void put_side(struct str *out, const struct side *side)
{
    if (side->seconds <= 0) {
        str_append(out, " – | – | – |");
        return;
    }
    str_printf(out, " %zu | %.1f | %.1f |", side->tokens,
               side->tokens > 1 ? (double)(side->tokens - 1) / side->seconds : 0.0,
               side->seconds);
}

static void make_table(const struct comparison *c, struct str *out)
{
    double sum = 0;
    size_t known = 0;

    str_printf(
        out,
        "First: %s. Now: %s.\n\n| turn | tokens | per second | seconds | tokens "
        "now | per second | seconds | same words |\n|--:|--:|--:|--:|--:|--:|--:|--:"
        "|\n",
        c->first_name != NULL ? c->first_name : "unknown", c->name);
    for (size_t i = 0; i < c->turn_count; i++) {
        const struct turn *turn = &c->turns[i];

        str_printf(out, "| %zu |", i + 1);
        put_side(out, &turn->before);
        put_side(out, &turn->now);
        if (turn->agreement >= 0) {
            str_printf(out, " %.0f %% |\n", turn->agreement * 100);
            sum += turn->agreement;
            known++;
        } else {
            str_append(out, " – |\n");
        }
    }
    if (known > 0)
        str_printf(out, "\nOn average %.0f %% of the words are the same.\n",
                   sum / (double)known * 100);
}

static void show_table(struct comparison *c)
{
    struct err unwritten = { 0 };
    struct str table;

    str_init(&table, 0);
    make_table(c, &table);
    if (c->ui != NULL)
        ui_add_block(c->ui, &(struct ui_block){ .kind = UI_BLOCK_REPLY,
                                                .text = table.data,
                                                .text_len = table.len });
    else
        put_text(table.data, table.len, &unwritten);
    str_release(&table);
}

// ---------------------------------------------------------------------------

static bool open_model(struct comparison *c, struct err *err)
{
    if (!model_choice_resolve(&c->replay->model, err) ||
        !client_open(&c->client, c->ui != NULL, err))
        return false;
    listen(c);
    if (!client_open_model(&c->client, &c->replay->model, err))
        return false;
    c->name = models_installed_name(c->replay->model.files.path);
    if (c->name == NULL)
        c->name = alloc_string(c->client.info.model_name);
    return true;
}

static bool run_turns(struct comparison *c, struct err *err)
{
    set_state(c, "loading the model", -1);
    if (!open_model(c, err))
        return false;
    c->messages = alloc_array(2 * c->path.count + 1, sizeof(*c->messages));
    c->parts = alloc_array(c->path.count + 1, sizeof(*c->parts));
    c->turns = alloc_array(c->path.count + 1, sizeof(*c->turns));
    for (size_t i = 0; i < c->path.count && !c->quit; i++)
        if (c->path.messages[i].content.role != ROLE_ASSISTANT && !run_turn(c, i, err))
            return false;
    show_table(c);
    return true;
}

// The screen stays until the person leaves; what went wrong stands on it too.
static void wait_for_person(struct comparison *c, bool ok, const struct err *err)
{
    if (!ok && !c->quit)
        ui_error(c->ui, err);
    set_state(c, "done", -1);
    ui_hint(c->ui, "PgUp PgDn scroll · q leaves");
    while (!c->quit) {
        poll(&(struct pollfd){ .fd = ui_fd(c->ui), .events = POLLIN }, 1, 100);
        take_events(c);
    }
}

static void release(struct comparison *c)
{
    for (size_t i = 0; i < c->turn_count; i++)
        free((char *)(uintptr_t)c->parts[i].text);
    client_close(&c->client);
    if (c->stop_fd >= 0)
        close(c->stop_fd);
    free(c->messages);
    free(c->parts);
    free(c->turns);
    free(c->name);
    free(c->first_name);
    str_release(&c->answer);
}

static bool compare(struct comparison *c, struct err *err)
{
    bool ok;

    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        c->ui = ui_open(&(struct ui_params){ .theme = c->replay->theme, .viewer = true },
                        err);
        if (c->ui == NULL)
            return false;
        picture_blocks_init(&c->pictures, c->ui, c->replay->sessions);
    }
    ok = run_turns(c, err);
    if (c->ui != NULL) {
        wait_for_person(c, ok, err);
        picture_blocks_release(&c->pictures);
        ui_close(&c->ui);
    }
    return ok || (c->quit && err->code == ERR_CANCELLED);
}

bool replay_compare(struct replay *replay, struct err *err)
{
    struct comparison c = { .replay = replay, .stop_fd = eventfd(0, EFD_CLOEXEC) };
    struct arena arena;
    bool ok;

    arena_init(&arena, MEMORY);
    str_init(&c.answer, 0);
    ok = sessions_load_path(replay->sessions, replay->conversation, NULL, &arena, &c.path,
                            err) &&
         compare(&c, err);
    release(&c);
    arena_release(&arena);
    return ok;
}
