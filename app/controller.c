// app/controller.c
// SPDX-License-Identifier: MIT
//
//                 start_engine              opened
//     DOWN ------------------> OPENING ---------------> READY <--------+
//      ^                          |                       |            |
//      |      engine_failed       |  controller_begin_reply            | finish_reply
//      +--------------------------+                       v            |
//      |                                               WRITING --------+
//      |      engine_failed (starts it again)             | controller_stop
//      +--------------------------------------------------+            |
//      |      stop_deadline: killed, started again        v            |
//      +---------------------------------------------- STOPPING -------+
//
// Invariants. (1) A message is in the store before it is on the screen as sent, and
// before the engine hears of it. (2) There is a c->reply exactly while a reply is being
// written or could not be saved (c->unsaved). (3) Nothing here waits for the engine: the
// loop sleeps only in poll, with the keyboard among what wakes it.
#include "app/controller.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "app/clipboard.h"
#include "app/messages.h"
#include "app/models/identity.h"
#include "app/output.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "config.h"

#define STOP_NS        ((int64_t)3000000000) // for the engine to stop before it is killed
#define DRAFT_NS       ((int64_t)1000000000)
#define LIST_NS        ((int64_t)1000000000)
#define FAILURES_MAX   3
#define PICTURE_WEIGHT 1024 // bytes of text that take about as many tokens
#define ARENA_BYTES    ((size_t)512 << 20)

// ---------------------------------------------------------------------------
// Status

static const char *state_name(const struct controller *c)
{
    if (c->unsaved)
        return "NOT SAVED";
    switch (c->state) {
    case STATE_DOWN:
        return "no model";
    case STATE_OPENING:
    case STATE_WRITING:
        return c->stage;
    case STATE_STOPPING:
        return "stopping";
    case STATE_READY:
        break;
    }
    return "ready";
}

static double speed(const struct controller *c)
{
    double seconds = (double)(clock_ns() - c->first_token_ns) * 1e-9;

    if (c->state == STATE_WRITING && c->token_count > 1 && seconds > 0)
        return (double)(c->token_count - 1) / seconds;
    return c->tokens_per_second;
}

void controller_status(struct controller *c)
{
    bool known = c->opened != NULL;

    ui_set_status(c->ui, &(struct ui_status){
                             .state = state_name(c),
                             .busy = controller_busy(c),
                             .title = c->title,
                             .model = known ? c->model_name : NULL,
                             .device = known ? c->info.device_name : NULL,
                             .context_used = c->prompt_tokens + c->token_count,
                             .context_tokens = known ? c->info.context_tokens : 0,
                             .tokens_per_second = speed(c),
                             .fraction = c->fraction,
                         });
}

bool controller_busy(const struct controller *c)
{
    return c->state == STATE_WRITING || c->state == STATE_STOPPING;
}

static void set_stage(struct controller *c, const char *stage, double fraction)
{
    snprintf(c->stage, sizeof(c->stage), "%s", stage);
    c->fraction = fraction;
    controller_status(c);
}

static void enter(struct controller *c, enum controller_state state, const char *stage)
{
    c->state = state;
    set_stage(c, stage, -1);
}

// ---------------------------------------------------------------------------
// The end of a reply

// Saves the end of the reply; what cannot be saved is tried again by tick.
static void save_end(struct controller *c)
{
    struct err err = { 0 };
    bool was_unsaved = c->unsaved;

    c->unsaved = !sessions_reply_finish(&c->reply, &c->end, &err);
    c->flushed_ns = clock_ns();
    if (c->unsaved && !was_unsaved)
        ui_error(c->ui, &err);
    if (c->unsaved)
        return;
    if (controller_load(c, &err))
        controller_show_end(c, c->block);
    else
        ui_error(c->ui, &err);
    controller_list(c);
}

static void finish_reply(struct controller *c, const struct sessions_reply_end *end)
{
    ui_finish_block(c->ui, c->block, "");
    free(c->end_error);
    c->end_error = end->error != NULL ? alloc_string(end->error) : NULL;
    c->end = *end;
    c->end.error = c->end_error;
    if (end->state != MESSAGE_DONE)
        controller_unqueue(c); // it was written in the hope of a reply
    save_end(c);
}

// ---------------------------------------------------------------------------
// The engine

static void start_engine(struct controller *c)
{
    struct err err = { 0 };

    if (c->process == NULL)
        c->process = engine_process_spawn(&err);
    if (c->process == NULL ||
        !engine_process_send(c->process, WIRE_OPEN, model_choice_body(&c->model), &err)) {
        engine_process_kill(&c->process);
        ui_error(c->ui, &err);
        enter(c, STATE_DOWN, "");
        return;
    }
    enter(c, STATE_OPENING, "loading the model");
}

bool controller_open_model(struct controller *c, const char *name, struct err *err)
{
    struct model_choice choice = c->model;

    choice.name = name;
    choice.mmproj = NULL; // it belonged to the model before
    if (!model_choice_resolve(&choice, err))
        return false; // what is open stays open
    c->model = choice;
    c->model.name = NULL; // its files are known now, and the name is borrowed
    c->failures = 0;
    c->skipped = 0; // it may have more room
    controller_show_skipped(c);
    start_engine(c);
    return true;
}

// The process is gone: what it wrote stays, and it is started again.
static void engine_failed(struct controller *c, const struct err *err)
{
    engine_process_kill(&c->process);
    ui_error(c->ui, err);
    if (++c->failures < FAILURES_MAX) {
        ui_notice(c->ui, "Starting the engine again; nothing is lost.");
        start_engine(c);
        return;
    }
    ui_notice(c->ui, "The engine failed %u times. /model MODEL tries again.",
              c->failures);
    enter(c, STATE_DOWN, "");
}

static void opened(struct controller *c, json_t *result)
{
    struct err err = { 0 };
    struct engine_info info;

    if (!info_read(&info, result, &err)) {
        json_decref(result);
        engine_failed(c, &err);
        return;
    }
    json_decref(c->opened);
    c->opened = result;
    c->info = info;
    c->blind_told = false;
    free(c->model_name);
    c->model_name = models_installed_name(c->model.files.path);
    if (c->model_name == NULL)
        c->model_name = alloc_string(info.model_name);
    free(c->model_hash);
    c->model_hash = model_identity(c->model.files.path);
    controller_blind(c);
    enter(c, STATE_READY, "");
    if (c->reply_due)
        controller_begin_reply(c);
}

static void generated(struct controller *c, json_t *answer)
{
    struct sessions_reply_end end = { .state = MESSAGE_DONE };
    struct engine_result result;
    struct err err = { 0 };

    if (!result_read(&result, answer, &err)) {
        end = (struct sessions_reply_end){ MESSAGE_ERROR, STOP_ERROR, err.text, 0, 0 };
        ui_error(c->ui, &err);
    } else {
        end.reason = result.reason;
        end.prompt_ns = result.prompt_ns;
        end.generation_ns = result.generation_ns;
        if (result.reason == STOP_CANCELLED)
            end.state = MESSAGE_INTERRUPTED;
        c->prompt_tokens = result.prompt_tokens;
        c->tokens_per_second = result.generation_tokens_per_second;
        c->failures = 0;
    }
    json_decref(answer);
    finish_reply(c, &end);
    enter(c, STATE_READY, ""); // which is seen at once
}

// About how much of the context a message takes, in bytes of text.
static size_t weight(const struct message *message)
{
    size_t sum = 0;

    for (size_t i = 0; i < message->part_count; i++)
        sum += message->parts[i].kind == PART_TEXT ? message->parts[i].text_len
                                                   : PICTURE_WEIGHT;
    return sum;
}

// The prompt is too long: the oldest turns leave, up to a quarter of it or a bit more, so
// that there is room for a reply, and for some turns that begin as the one before did
// (what begins alike is not computed again). false when there is nothing to leave.
static bool shorten(struct controller *c)
{
    size_t first = c->path.count > 0 && c->path.messages[0].content.role == ROLE_SYSTEM;
    size_t left = 0, all = 0, skipped = 0;

    for (size_t i = first + c->skipped; i < c->path.count; i++)
        all += weight(&c->path.messages[i].content);
    for (size_t i = first + c->skipped; i < c->path.count; i++) {
        const struct message *message = &c->path.messages[i].content;

        if (message->role == ROLE_USER && i > first + c->skipped) {
            skipped = i - first;
            if (left >= all / 4)
                break;
        }
        left += weight(message);
    }
    if (skipped == 0)
        return false;
    c->skipped = skipped;
    controller_show_skipped(c);
    return true;
}

static void request_failed(struct controller *c, const struct err *err)
{
    bool alive = engine_process_alive(c->process);

    controller_showing_end(c);
    if (!alive && !controller_busy(c)) { // while it loaded, or had nothing to do
        engine_failed(c, err);
        return;
    }
    if (c->state == STATE_OPENING) {
        ui_error(c->ui, err);
        enter(c, c->opened != NULL ? STATE_READY : STATE_DOWN, "");
        return;
    }
    if (alive && err->code == ERR_LIMIT && shorten(c)) {
        controller_begin_reply(c);
        return;
    }
    finish_reply(
        c, &(struct sessions_reply_end){
               .state = err->code == ERR_CANCELLED ? MESSAGE_INTERRUPTED : MESSAGE_ERROR,
               .reason = err->code == ERR_CANCELLED ? STOP_CANCELLED : STOP_ERROR,
               .error = err->text });
    enter(c, STATE_READY, "");
    if (!alive)
        engine_failed(c, err);
    else if (err->code != ERR_CANCELLED)
        ui_error(c->ui, err);
}

static void shown(struct controller *c, json_t *result);

static void receive(struct controller *c)
{
    struct err err = { 0 };
    json_t *result = NULL;

    switch (engine_process_receive(c->process, &c->listener, &result, &err)) {
    case ENGINE_MORE:
        break;
    case ENGINE_RESULT:
        if (c->state == STATE_OPENING)
            opened(c, result);
        else if (c->showing != NULL)
            shown(c, result);
        else
            generated(c, result);
        break;
    case ENGINE_ERROR:
        request_failed(c, &err);
        break;
    }
}

static void on_progress(void *user, const char *stage, double fraction)
{
    struct controller *c = user;

    if (c->state != STATE_STOPPING)
        set_stage(c, stage, fraction);
}

static bool on_token(void *user, const struct token_event *event)
{
    struct controller *c = user;

    if (c->state == STATE_STOPPING)
        return true; // what comes after the person said stop is not wanted
    if (c->token_count++ == 0) {
        c->first_token_ns = clock_ns();
        set_stage(c, "writing", -1);
    }
    sessions_reply_append(c->reply, event);
    str_append_n(&c->reply_text, event->text, event->text_len);
    ui_append(c->ui, c->block, event->text, event->text_len);
    return true;
}

// ---------------------------------------------------------------------------
// A reply

static uint64_t random_seed(void)
{
    uint32_t seed; // enough to differ, short enough to be typed again

    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = (uint32_t)time(NULL);
    return seed;
}

static bool begin_record(struct controller *c, struct err *err)
{
    const struct sessions_message *question = controller_last(c, ROLE_USER);

    if (c->reply != NULL)
        return true; // the second attempt, with a shorter prompt
    if (question == NULL)
        return err_set(err, ERR_USAGE, "there is nothing to answer yet");
    c->reply = sessions_reply_begin(c->sessions,
                                    &(struct sessions_reply_params){
                                        .conversation = c->conversation,
                                        .parent = question->id,
                                        .model_name = c->model_name,
                                        .model_hash = c->model_hash,
                                        .device = c->info.device_name,
                                        .build = PACKAGE_VERSION,
                                        .settings = &c->settings,
                                    },
                                    err);
    if (c->reply == NULL)
        return false;
    str_reset(&c->reply_text);
    c->block = ui_add_block(c->ui, &(struct ui_block){ .kind = UI_BLOCK_REPLY,
                                                       .label = c->model_name,
                                                       .text = "",
                                                       .streaming = true });
    return true;
}

static void ask(struct controller *c)
{
    struct conversation conversation = controller_conversation(c);
    struct err err = { 0 };
    json_t *body = json_object();

    json_object_set_new(body, "messages",
                        controller_sees(c) ? conversation_json(&conversation)
                                           : conversation_words_json(&conversation));
    json_object_set_new(body, "settings", settings_json(&c->settings));
    json_object_set_new(body, "now", json_integer(time(NULL)));
    free((void *)(uintptr_t)conversation.messages);
    set_stage(c, "reading the prompt", -1);
    if (!engine_process_send(c->process, WIRE_GENERATE, body, &err))
        request_failed(c, &err);
}

// The engine sees the pictures before it is asked.
static void go_on(struct controller *c, enum showing_step step, const struct err *err)
{
    if (step == SHOWING_DONE)
        ask(c);
    else if (step == SHOWING_FAILED)
        request_failed(c, err);
}

static void shown(struct controller *c, json_t *result)
{
    struct err err = { 0 };

    if (c->state == STATE_STOPPING) // between two pictures
        err_set(&err, ERR_CANCELLED, "stopped");
    go_on(c,
          c->state == STATE_STOPPING ? SHOWING_FAILED
                                     : controller_showing_answer(c, result, &err),
          &err);
    json_decref(result);
}

static void decoded(struct controller *c)
{
    struct err err = { 0 };

    go_on(c, controller_showing_decoded(c, &err), &err);
}

void controller_begin_reply(struct controller *c)
{
    struct err err = { 0 };

    c->reply_due = c->state != STATE_READY && c->state != STATE_WRITING;
    if (c->reply_due)
        return; // opened goes on here
    if (!c->seed_fixed && c->reply == NULL)
        c->settings.seed = random_seed();
    if (!begin_record(c, &err)) {
        ui_error(c->ui, &err);
        return;
    }
    c->token_count = 0;
    c->flushed_ns = clock_ns();
    enter(c, STATE_WRITING, "looking at the pictures");
    if (controller_sees(c)) {
        struct conversation conversation = controller_conversation(c);

        go_on(c, controller_showing_begin(c, &conversation, &err), &err);
        free((void *)(uintptr_t)conversation.messages);
    } else {
        go_on(c, SHOWING_DONE, &err);
    }
}

void controller_stop(struct controller *c)
{
    if (c->state != STATE_WRITING)
        return;
    if (controller_showing_fd(c) >= 0) { // the engine knows nothing of it yet
        struct err err = { 0 };

        err_set(&err, ERR_CANCELLED, "stopped");
        request_failed(c, &err);
        return;
    }
    engine_process_cancel(c->process);
    c->stop_deadline_ns = clock_ns() + STOP_NS;
    ui_finish_block(c->ui, c->block, "stopped");
    enter(c, STATE_STOPPING, "");
}

// ---------------------------------------------------------------------------
// Time

static void flush(struct controller *c)
{
    struct err err = { 0 };

    c->flushed_ns = clock_ns();
    if (!sessions_reply_flush(c->reply, &err))
        log_line(LOG_ERROR, "flush: %s", err.text); // the end says it to the person
    controller_status(c);
}

static void tick(struct controller *c, int64_t now)
{
    struct err err = { 0 };
    bool changed = false;

    if (c->state == STATE_STOPPING && now >= c->stop_deadline_ns) {
        engine_process_kill(&c->process);
        finish_reply(c, &(struct sessions_reply_end){ .state = MESSAGE_INTERRUPTED,
                                                      .reason = STOP_CANCELLED });
        err_set(&err, ERR_DEVICE, "the engine did not stop and was killed");
        engine_failed(c, &err);
    }
    if (c->reply != NULL && now - c->flushed_ns >= SESSIONS_FLUSH_NS) {
        if (c->unsaved)
            save_end(c);
        else
            flush(c);
    }
    if (c->draft_dirty && now - c->draft_ns >= DRAFT_NS)
        controller_save_draft(c);
    if (ui_entries_visible(c->ui) && now - c->listed_ns >= LIST_NS) {
        c->listed_ns = now;
        if (sessions_changed(c->sessions, &changed, &err) && changed)
            controller_list(c);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int timeout_ms(const struct controller *c, int64_t now)
{
    int64_t until = INT64_MAX;
    if (c->state == STATE_STOPPING)
        until = earlier(until, c->stop_deadline_ns);
    if (c->reply != NULL)
        until = earlier(until, c->flushed_ns + SESSIONS_FLUSH_NS);
    if (c->draft_dirty)
        until = earlier(until, c->draft_ns + DRAFT_NS);
    if (c->clipboard != NULL)
        until = earlier(until, clipboard_deadline_ns(c->clipboard));
    if (ui_entries_visible(c->ui))
        until = earlier(until, c->listed_ns + LIST_NS);
    if (until == INT64_MAX)
        return -1;
    return until <= now ? 0 : (int)((until - now) / 1000000 + 1);
}

// ---------------------------------------------------------------------------
// The person

static bool must_wait(const struct controller *c)
{
    return controller_busy(c) || c->reply != NULL || c->reply_due ||
           c->attaching_count > 0 || c->clipboard != NULL;
}

// Several that wait become one.
static void queue(struct controller *c, const char *text)
{
    char *before = c->queued;

    c->queued = alloc_printf("%s%s%s", before != NULL ? before : "",
                             before != NULL ? "\n" : "", text);
    free(before);
    ui_set_queued(c->ui, c->queued);
    c->draft_dirty = true;
    controller_save_draft(c);
}

void controller_unqueue(struct controller *c)
{
    if (c->queued == NULL)
        return;
    ui_put_back(c->ui, c->queued);
    ui_set_queued(c->ui, NULL);
    free(c->queued);
    c->queued = NULL;
}

static void on_send(struct controller *c, const char *text)
{
    struct err err = { 0 };

    if (c->reply_due && c->state == STATE_DOWN) {
        ui_put_back(c->ui, text); // nothing that was typed is lost
        ui_notice(c->ui, "There is no model: /model MODEL");
        return;
    }
    if (must_wait(c)) {
        queue(c, text);
        return;
    }
    if (controller_blind(c)) {
        ui_put_back(c->ui, text);
        return;
    }
    if (!controller_send(c, text, &err)) {
        ui_error(c->ui, &err);
        ui_put_back(c->ui, text);
        return;
    }
    controller_begin_reply(c);
    if (c->state == STATE_DOWN)
        ui_notice(c->ui, "Saved. There is no model to answer: /model MODEL opens one.");
}

static void on_event(struct controller *c, const struct ui_event *event)
{
    if (event->kind != UI_EVENT_TYPED && event->action != UI_DELETE)
        c->delete_armed = false;
    switch (event->kind) {
    case UI_EVENT_SEND:
        on_send(c, event->text);
        break;
    case UI_EVENT_ACTION:
        controller_act(c, event->action, event->text);
        break;
    case UI_EVENT_TYPED:
        if (!c->draft_dirty)
            c->draft_ns = clock_ns();
        c->draft_dirty = true;
        break;
    case UI_EVENT_KEY:
        break; // only a viewer gets keys
    case UI_EVENT_PICTURE:
        picture_blocks_want(&c->pictures, event->block);
        break;
    case UI_EVENT_PASTE:
        controller_pasted(c, event->text);
        break;
    case UI_EVENT_SIGNAL:
        c->quit = true;
        c->quit_signal = event->signal;
        break;
    }
    controller_status(c);
}

// What waits goes when nothing is in its way any more.
static void send_queued(struct controller *c)
{
    char *text = c->queued;

    if (text == NULL || must_wait(c))
        return;
    c->queued = NULL;
    ui_set_queued(c->ui, NULL);
    on_send(c, text);
    free(text);
}

enum {
    FD_UI,
    FD_ENGINE,
    FD_SHOWING,
    FD_BLOCKS,
    FD_ATTACHING = FD_BLOCKS + PICTURE_BLOCKS_FDS,
    FDS = FD_ATTACHING + 2
};

static void loop(struct controller *c)
{
    struct pollfd fds[FDS];
    struct ui_event event;

    while (!c->quit) {
        fds[FD_UI] = (struct pollfd){ .fd = ui_fd(c->ui), .events = POLLIN };
        fds[FD_ENGINE] = (struct pollfd){
            .fd = c->process != NULL ? engine_process_fd(c->process) : -1,
            .events = POLLIN,
        };
        fds[FD_SHOWING] =
            (struct pollfd){ .fd = controller_showing_fd(c), .events = POLLIN };
        picture_blocks_fds(&c->pictures, fds + FD_BLOCKS);
        controller_attaching_fds(c, fds + FD_ATTACHING);
        poll(fds, FDS, timeout_ms(c, clock_ns()));
        while (!c->quit && ui_next(c->ui, &event))
            on_event(c, &event);
        if (fds[FD_ENGINE].revents != 0 && c->process != NULL)
            receive(c);
        if (fds[FD_SHOWING].revents != 0 && controller_showing_fd(c) >= 0)
            decoded(c);
        picture_blocks_tick(&c->pictures);
        controller_attaching_tick(c, clock_ns());
        send_queued(c);
        tick(c, clock_ns());
    }
}

// ---------------------------------------------------------------------------
// Beginning and end

static bool open_store(struct controller *c, bool ephemeral, struct err *err)
{
    struct err why = { 0 };

    c->sessions =
        sessions_open(&(struct sessions_params){ .ephemeral = ephemeral }, &why);
    if (c->sessions == NULL && !ephemeral) {
        ui_error(c->ui, &why);
        ui_notice(c->ui, "This conversation is kept in memory only.");
        c->sessions = sessions_open(&(struct sessions_params){ .ephemeral = true }, err);
    } else if (c->sessions == NULL) {
        *err = why;
    }
    if (c->sessions != NULL && sessions_read_only(c->sessions) != NULL)
        ui_notice(c->ui, "Nothing can be saved: %s", sessions_read_only(c->sessions));
    return c->sessions != NULL;
}

// Beside the store, in the format of exports: a version of its own, because what the
// store has of the reply stays as it is.
static bool write_rescue(const struct controller *c, const char *path, struct err *err)
{
    const struct sessions_message *question = controller_last(c, ROLE_USER);
    struct part part = { .kind = PART_TEXT,
                         .text = c->reply_text.data,
                         .text_len = c->reply_text.len };

    return sessions_rescue_write(
        path,
        &(struct sessions_rescue){ .conversation = c->conversation,
                                   .title = c->title != NULL ? c->title : "",
                                   .parent = question != NULL ? question->id : "",
                                   .content = { ROLE_ASSISTANT, &part, 1 },
                                   .created_ms = (int64_t)time(NULL) * 1000 },
        err);
}

// The last attempt to save a reply; what the store still refuses goes into a file.
static void rescue(struct controller *c)
{
    struct err err = { 0 }, failed = { 0 };
    char *path;

    if (c->reply != NULL && c->unsaved &&
        !sessions_reply_finish(&c->reply, &c->end, &err)) {
        path = alloc_printf("%s.rescue.jsonl", sessions_file(c->sessions));
        remark("chat", "the last reply is not saved: %s", err.text);
        if (write_rescue(c, path, &failed))
            remark("chat", "it is in %s: oriel sessions import takes it in", path);
        else
            remark("chat", "%s", failed.text);
        free(path);
    }
    sessions_reply_abandon(&c->reply);
}

static void end(struct controller *c)
{
    if (c->reply != NULL && !c->unsaved) {
        c->end = (struct sessions_reply_end){ .state = MESSAGE_INTERRUPTED,
                                              .reason = STOP_CANCELLED };
        c->unsaved = true;
    }
    if (c->sessions != NULL)
        controller_save_draft(c);
    controller_attaching_end(c);
    controller_showing_end(c);
    picture_blocks_release(&c->pictures);
    ui_close(&c->ui);
    rescue(c);
    engine_process_kill(&c->process);
    sessions_close(&c->sessions);
    json_decref(c->opened);
    arena_release(&c->arena);
    free(c->title);
    free(c->system);
    free(c->end_error);
    free(c->search);
    free(c->queued);
    free(c->questions);
    free(c->model_name);
    free(c->model_hash);
    str_release(&c->reply_text);
}

static char *history_path(void)
{
    struct err err = { 0 };
    char *directory = file_xdg_directory("XDG_STATE_HOME", ".local/state", &err);
    char *path = NULL;

    if (directory != NULL && file_make_directories(directory, &err))
        path = alloc_printf("%s/history", directory);
    free(directory);
    return path;
}

static bool begin(struct controller *c, const struct controller_params *params,
                  struct err *err)
{
    struct err wrong = { 0 };
    char *history = params->ephemeral ? NULL : history_path();
    bool have_model;

    c->ui = ui_open(&(struct ui_params){ .history_path = history,
                                         .theme = params->theme,
                                         .plain = params->plain },
                    err);
    free(history);
    if (c->ui == NULL)
        return false;
    enter(c, STATE_DOWN, "");
    have_model = controller_open_model(c, params->model.name, &wrong);
    if (!open_store(c, params->ephemeral, err))
        return false;
    picture_blocks_init(&c->pictures, c->ui, c->sessions);
    controller_new(c);
    controller_offer_names(c);
    if (!have_model)
        ui_error(c->ui, &wrong);
    if (params->session != NULL && !controller_open(c, params->session, &wrong))
        ui_error(c->ui, &wrong);
    return true;
}

bool controller_run(const struct controller_params *params, int *ended_by,
                    struct err *err)
{
    struct controller c = {
        .model = params->model,
        .plain = params->plain,
        .settings = params->settings,
        .seed_fixed = params->seed_fixed,
        .system = params->system != NULL ? alloc_string(params->system) : NULL,
        .fraction = -1,
    };
    bool ok;

    c.listener = (struct engine_listener){
        .on_progress = on_progress, .on_token = on_token, .user = &c, .interrupt_fd = -1
    };
    arena_init(&c.arena, ARENA_BYTES);
    str_init(&c.reply_text, 0);
    ok = begin(&c, params, err);
    if (ok)
        loop(&c);
    end(&c);
    *ended_by = c.quit_signal;
    return ok;
}
