// app/cmd_replay.c
// SPDX-License-Identifier: MIT
//
// oriel replay: a saved conversation as it happened. No engine is started, except by
// --verify (replay_verify.c) and --model (replay_compare.c).
//
// Time: `position` runs along the conversation's time line at `speed`, and stands while
// paused; an event is shown when the position has reached it.
#include "app/cmd_replay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/controller.h"
#include "app/output.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/printable.h"

#define PENDING_NS   ((int64_t)250000000) // before asking an unfinished reply again
#define TICK_MS      20
#define SPEED_MAX    1000.0
#define CAST_COLUMNS 80
#define CAST_ROWS    24

static const struct option_spec options[] = {
    { 0, "speed", "X", OPTION_FLOAT, offsetof(struct replay, speed), 0.01, SPEED_MAX,
      "times as fast as it was; 1: real time" },
    { 0, "max-gap", "SECONDS", OPTION_FLOAT, offsetof(struct replay, max_gap), 0, 86400,
      "shorten pauses between messages; 0: as they were" },
    { 0, "instant", NULL, OPTION_FLAG, offsetof(struct replay, instant), 0, 0,
      "show all of it at once" },
    { 0, "cast", "FILE", OPTION_TEXT, offsetof(struct replay, cast), 0, 0,
      "write an asciinema file (version 2), show nothing" },
    { 0, "theme", "NAME", OPTION_TEXT, offsetof(struct replay, theme), 0, 0,
      "dark, light or plain; else the terminal is asked" },
    { .name = "Making it again", .kind = OPTION_HEADING },
    { 0, "verify", NULL, OPTION_FLAG, offsetof(struct replay, verify), 0, 0,
      "make every reply again and compare its tokens" },
    { 'm', "model", "MODEL", OPTION_TEXT, offsetof(struct replay, model.name), 0, 0,
      "the model; without --verify: another, to compare" },
    { 0, "device", "DEVICE", OPTION_TEXT, offsetof(struct replay, model.device), 0, 0,
      "index or part of the name of the GPU" },
    { 0, "context", "TOKENS", OPTION_U32, offsetof(struct replay, model.context_tokens),
      0, 0, "room for prompt and answer; 0: the model's own" },
    OPTIONS_END,
};

// ---------------------------------------------------------------------------
// As text: for pipes and casts

static void append_text(const struct message *message, struct str *out)
{
    for (size_t i = 0; i < message->part_count; i++) {
        const struct part *part = &message->parts[i];

        if (part->kind == PART_TEXT)
            str_append_n(out, part->text, part->text_len);
        else
            str_printf(out, "[picture: %s]\n", part->image_name);
    }
}

static const char *speaker(const struct sessions_message *message)
{
    static const char *const names[] = { "System", "You", "Assistant", "Tool" };

    return message->model != NULL && message->model[0] != '\0'
               ? message->model
               : names[message->content.role];
}

static void event_text(const struct sessions_event *event, struct str *out)
{
    str_reset(out);
    switch (event->kind) {
    case REPLAY_MESSAGE:
        str_printf(out, "%s:\n", speaker(event->message));
        append_text(&event->message->content, out);
        str_append(out, "\n\n");
        break;
    case REPLAY_REPLY_BEGIN:
        str_printf(out, "%s:\n", speaker(event->message));
        break;
    case REPLAY_TEXT:
        str_append_n(out, event->text, event->text_len);
        break;
    case REPLAY_IMAGE:
        str_printf(out, "[picture: %s]\n", event->part->image_name);
        break;
    case REPLAY_REPLY_END:
        str_append(out, "\n\n");
        break;
    case REPLAY_PENDING:
    case REPLAY_END:
        break;
    }
}

static void sleep_ns(int64_t ns)
{
    if (ns > 0)
        nanosleep(
            &(struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 },
            NULL);
}

static bool play_text(struct replay *replay, struct err *err)
{
    int64_t start = clock_ns();
    struct sessions_event event;
    struct str text;
    bool ok = true;

    str_init(&text, 0);
    while (ok && (ok = sessions_replay_next(replay->player, &event, err))) {
        if (event.kind == REPLAY_END)
            break;
        if (!replay->instant)
            sleep_ns(start + (int64_t)((double)event.time_ns / (double)replay->speed) -
                     clock_ns());
        if (event.kind == REPLAY_PENDING && !replay->instant)
            sleep_ns(PENDING_NS);
        else if (event.kind == REPLAY_PENDING)
            break;
        event_text(&event, &text);
        ok = put_text(text.data, text.len, err);
    }
    str_release(&text);
    return ok;
}

// A terminal wants carriage returns, and must not get control characters from a model.
static void cast_text(const struct str *text, struct str *out)
{
    struct str printable;

    str_init(&printable, 0);
    printable_append(&printable, text->data, text->len);
    str_reset(out);
    for (size_t i = 0; i < printable.len; i++) {
        if (printable.data[i] == '\n')
            str_append_char(out, '\r');
        str_append_char(out, printable.data[i]);
    }
    str_release(&printable);
}

static void cast_event(FILE *file, double seconds, const struct str *text)
{
    struct str out;
    json_t *line;

    str_init(&out, 0);
    cast_text(text, &out);
    line = json_pack("[f, s, s%]", seconds, "o", out.data, out.len);
    json_dumpf(line, file, JSON_COMPACT | JSON_REAL_PRECISION(12));
    fputc('\n', file);
    json_decref(line);
    str_release(&out);
}

static bool write_events(struct replay *replay, FILE *file, struct err *err)
{
    struct sessions_event event;
    struct str text;
    bool ok;

    str_init(&text, 0);
    while ((ok = sessions_replay_next(replay->player, &event, err)) &&
           event.kind != REPLAY_END && event.kind != REPLAY_PENDING) {
        event_text(&event, &text);
        if (text.len > 0)
            cast_event(file, (double)event.time_ns * 1e-9 / (double)replay->speed, &text);
    }
    str_release(&text);
    return ok;
}

// Source: asciicast v2, one JSON value per line: a header, then [seconds, "o", text].
static bool write_cast(struct replay *replay, struct err *err)
{
    FILE *file = fopen(replay->cast, "wxe");
    json_t *header;
    bool ok;

    if (file == NULL)
        return err_set_errno(err, "%s", replay->cast);
    header = json_pack("{s:i, s:i, s:i, s:s}", "version", 2, "width", CAST_COLUMNS,
                       "height", CAST_ROWS, "title", replay->title);
    json_dumpf(header, file, JSON_COMPACT);
    fputc('\n', file);
    json_decref(header);
    ok = write_events(replay, file, err);
    if (fclose(file) != 0 && ok)
        ok = err_set_errno(err, "%s", replay->cast);
    return ok;
}

// ---------------------------------------------------------------------------
// On the screen

struct player {
    struct replay *replay;
    struct ui *ui;
    struct picture_blocks pictures;
    struct sessions_event event; // the next one, when have is set
    bool have, paused, quit;
    int quit_signal;
    double speed;
    int64_t position_ns, last_ns; // on the time line; when it was brought up to date
    int64_t ask_ns;               // not before this clock time
    size_t block;
};

static void show_state(struct player *player)
{
    bool over = player->have && player->event.kind == REPLAY_END;
    char state[64];

    snprintf(state, sizeof(state), "%s %lld:%02lld  %gx",
             over             ? "the end,"
             : player->paused ? "paused at"
                              : "playing",
             (long long)(player->position_ns / 60000000000),
             (long long)(player->position_ns / 1000000000 % 60), player->speed);
    ui_set_status(player->ui, &(struct ui_status){ .state = state,
                                                   .title = player->replay->title,
                                                   .fraction = -1 });
    ui_hint(player->ui, "Space pause · → step · + - speed · q leave");
}

static void show_event(struct player *player)
{
    const struct sessions_event *event = &player->event;
    char *meta;

    switch (event->kind) {
    case REPLAY_MESSAGE:
        controller_show_message(&player->pictures, event->message);
        break;
    case REPLAY_REPLY_BEGIN:
        player->block =
            ui_add_block(player->ui, &(struct ui_block){ .kind = UI_BLOCK_REPLY,
                                                         .label = speaker(event->message),
                                                         .text = "",
                                                         .streaming = true });
        break;
    case REPLAY_TEXT:
        ui_append(player->ui, player->block, event->text, event->text_len);
        break;
    case REPLAY_IMAGE:
        picture_blocks_add(&player->pictures, event->part, NULL, NULL);
        player->block = ui_add_block( // its text goes on below
            player->ui,
            &(struct ui_block){ .kind = UI_BLOCK_REPLY, .text = "", .streaming = true });
        break;
    case REPLAY_REPLY_END:
        meta = controller_meta(event->message);
        ui_finish_block(player->ui, player->block, meta);
        free(meta);
        break;
    case REPLAY_PENDING:
    case REPLAY_END:
        break;
    }
}

// Takes the next event in; false when there is none now.
static bool fetch(struct player *player)
{
    struct err err = { 0 };

    if (player->have && player->event.kind != REPLAY_END &&
        player->event.kind != REPLAY_PENDING)
        return true;
    if (clock_ns() < player->ask_ns)
        return false;
    player->have = sessions_replay_next(player->replay->player, &player->event, &err);
    if (!player->have) {
        ui_error(player->ui, &err);
        player->ask_ns = INT64_MAX;
        return false;
    }
    if (player->event.kind != REPLAY_END && player->event.kind != REPLAY_PENDING)
        return true;
    player->ask_ns = clock_ns() + PENDING_NS; // there may be more later
    return false;
}

static void advance(struct player *player)
{
    int64_t now = clock_ns();

    if (!player->paused && player->have)
        player->position_ns += (int64_t)((double)(now - player->last_ns) * player->speed);
    player->last_ns = now;
    while (fetch(player) &&
           (player->replay->instant || player->event.time_ns <= player->position_ns)) {
        show_event(player);
        player->have = false;
    }
    if (player->have && player->event.kind == REPLAY_END)
        player->position_ns = player->event.time_ns;
    show_state(player);
}

static void step(struct player *player)
{
    player->paused = true;
    if (!fetch(player))
        return;
    if (player->event.time_ns > player->position_ns)
        player->position_ns = player->event.time_ns;
    show_event(player);
    player->have = false;
}

static void on_key(struct player *player, const char *key)
{
    if (strcmp(key, "q") == 0 || strcmp(key, "escape") == 0 || strcmp(key, "\004") == 0)
        player->quit = true;
    else if (strcmp(key, " ") == 0)
        player->paused = !player->paused;
    else if (strcmp(key, "right") == 0 || strcmp(key, ".") == 0)
        step(player);
    else if (strcmp(key, "+") == 0 && player->speed * 2 <= SPEED_MAX)
        player->speed *= 2;
    else if (strcmp(key, "-") == 0 && player->speed > 0.05)
        player->speed /= 2;
}

static void on_event(struct player *player, const struct ui_event *event)
{
    if (event->kind == UI_EVENT_KEY)
        on_key(player, event->text);
    else if (event->kind == UI_EVENT_PICTURE)
        picture_blocks_want(&player->pictures, event->block);
    else if (event->kind == UI_EVENT_SIGNAL)
        player->quit_signal = event->signal;
    if (event->kind == UI_EVENT_SIGNAL ||
        (event->kind == UI_EVENT_ACTION && event->action == UI_QUIT))
        player->quit = true;
}

static bool play_screen(struct replay *replay, struct err *err)
{
    struct player player = { .replay = replay,
                             .speed = (double)replay->speed,
                             .last_ns = clock_ns() };
    struct ui_event event;

    player.ui =
        ui_open(&(struct ui_params){ .theme = replay->theme, .viewer = true }, err);
    if (player.ui == NULL)
        return false;
    picture_blocks_init(&player.pictures, player.ui, replay->sessions);
    while (!player.quit) {
        advance(&player);
        poll(&(struct pollfd){ .fd = ui_fd(player.ui), .events = POLLIN }, 1, TICK_MS);
        while (ui_next(player.ui, &event))
            on_event(&player, &event);
        picture_blocks_tick(&player.pictures);
    }
    picture_blocks_release(&player.pictures);
    ui_close(&player.ui);
    if (player.quit_signal != 0) {
        signal(player.quit_signal, SIG_DFL);
        raise(player.quit_signal);
    }
    return true;
}

// ---------------------------------------------------------------------------

static bool play(struct replay *replay, struct err *err)
{
    bool ok;

    if (replay->verify)
        return replay_verify(replay, err);
    if (replay->model.name != NULL)
        return replay_compare(replay, err);
    replay->player = sessions_replay_open(replay->sessions, replay->conversation, NULL,
                                          (int64_t)((double)replay->max_gap * 1e9), err);
    if (replay->player == NULL)
        return false;
    if (replay->cast != NULL)
        ok = write_cast(replay, err);
    else if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        ok = play_screen(replay, err);
    else
        ok = play_text(replay, err);
    sessions_replay_close(&replay->player);
    return ok;
}

static bool open_conversation(struct replay *replay, const char *name,
                              struct arena *arena, struct err *err)
{
    struct sessions_entry entry;

    replay->sessions = sessions_open(&(struct sessions_params){ 0 }, err);
    if (replay->sessions == NULL ||
        !sessions_find(replay->sessions, name, replay->conversation, err) ||
        !sessions_load_entry(replay->sessions, replay->conversation, arena, &entry, err))
        return false;
    replay->title = entry.title;
    return true;
}

static int run(int argc, char **argv)
{
    struct replay replay = { .speed = 1, .max_gap = 5 };
    struct operands names;
    struct err err = { 0 };
    struct arena arena;
    int code;

    if (!command_options(&command_replay, argc, argv, &replay, &names, &code))
        return code;
    arena_init(&arena, (size_t)1 << 20);
    if (names.count != 1)
        err_set(&err, ERR_USAGE, "which SESSION? its title, its id, or \"last\"");
    code = names.count == 1 && open_conversation(&replay, names.items[0], &arena, &err) &&
                   play(&replay, &err)
               ? EXIT_OK
               : complain("replay", &err);
    sessions_close(&replay.sessions);
    arena_release(&arena);
    return code;
}

const struct command command_replay = {
    .name = "replay",
    .usage = "[--speed X] [--max-gap SECONDS] [--instant] [--cast FILE] [--verify] "
             "[-m MODEL] SESSION",
    .summary = "Show a saved conversation as it happened, or make it again",
    .notes = "SESSION is the title or id of a conversation, or \"last\".",
    .options = options,
    .run = run,
};
