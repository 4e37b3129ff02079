// ui/screen.c
// SPDX-License-Identifier: MIT
//
// Where everything is on the screen, and which key does what. From above: the transcript
// (or the help in its place) beside the list of conversations, a rule with hints, the
// composer, the status line. Below RULE_ROWS rows the rule goes; below PANE_COLUMNS
// columns the list takes the whole width while it has the keys.
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "ui/completion.h"
#include "ui/composer.h"
#include "ui/editor.h"
#include "ui/glyph.h"
#include "ui/help.h"
#include "ui/keys.h"
#include "ui/markdown.h"
#include "ui/pane.h"
#include "ui/paths.h"
#include "ui/previews.h"
#include "ui/terminal.h"
#include "ui/theme.h"
#include "ui/transcript.h"
#include "ui/ui.h"

#define FRAME_NS       ((int64_t)16000000) // between frames while text arrives
#define RULE_ROWS      8
#define PANE_COLUMNS   56
#define PANE_WIDTH     30
#define COMPOSER_ROWS  10
#define WHEEL_LINES    3
#define EVENTS_MAX     64 // until the owner takes them, keys wait
#define EVENTS_PER_KEY 2  // at most
#define SIGNALS_MAX    8  // kinds of them
#define READ_BYTES     65536
#define ANSWERS_NS     ((int64_t)10000000000) // in which the terminal has answered
#define QUIT_ARMED_NS  ((int64_t)3000000000)

struct queued {
    enum ui_event_kind kind;
    enum ui_action action;
    char *text;
    int signal;
    size_t block;
};

struct ui {
    struct terminal *terminal;
    struct keys keys;
    struct composer *composer;
    struct previews previews;
    struct transcript transcript;
    struct pane pane;
    bool pane_visible, pane_focused;
    struct lines help;
    bool help_visible;
    size_t help_top;
    bool ask_theme, mouse, viewer;
    // status, with strings of our own
    struct ui_status status;
    char *state, *title, *model, *device;
    struct str hint;        // of ours, until the next key
    struct str attachments; // names of pictures, in one line
    struct str queued;      // a message that waits, in one line
    int64_t quit_armed_ns;
    struct queued events[EVENTS_MAX];
    size_t event_count;
    char *event_text; // of the event that was handed out
    bool dirty, urgent;
    int64_t painted_ns, frame_ns; // when, and how long it took
    enum graphics_kind painted_kind;
};

// ---------------------------------------------------------------------------
// Life

static void ask_terminal(struct ui *ui, const char *question)
{
    terminal_ask(ui->terminal, question);
    ui->previews.graphics.awaited = question[0] != '\0';
    keys_expect(&ui->keys, question[0] != '\0' ? clock_ns() + ANSWERS_NS : 0);
}

static void on_resize(struct ui *ui)
{
    struct size cells, pixels;

    terminal_size(ui->terminal, &cells, &pixels);
    graphics_resized(&ui->previews.graphics, cells, pixels);
    ui->previews.rows = cells.height;
}

struct ui *ui_open(const struct ui_params *params, struct err *err)
{
    struct terminal *terminal = terminal_open(true, err);
    struct ui *ui;

    if (terminal == NULL)
        return NULL;
    ui = alloc_zero(sizeof(*ui));
    ui->terminal = terminal;
    ui->mouse = true;
    ui->viewer = params->viewer;
    ui->ask_theme = params->theme == NULL;
    ui->status.fraction = -1;
    keys_init(&ui->keys);
    str_init(&ui->hint, 0);
    str_init(&ui->attachments, 0);
    str_init(&ui->queued, 0);
    lines_init(&ui->help);
    previews_init(&ui->previews);
    transcript_init(&ui->transcript, &ui->previews);
    ui->composer = composer_create(params->history_path);
    ui_set_theme(ui, "dark");
    if (params->theme != NULL)
        ui_set_theme(ui, params->theme);
    ui->previews.graphics.asked_ns = clock_ns();
    ask_terminal(ui, graphics_question(getenv));
    on_resize(ui);
    ui->dirty = ui->urgent = true;
    return ui;
}

void ui_close(struct ui **ui)
{
    struct ui *u = *ui;

    if (u == NULL)
        return;
    composer_destroy(&u->composer);
    terminal_close(&u->terminal);
    transcript_release(&u->transcript);
    previews_release(&u->previews);
    pane_release(&u->pane);
    lines_release(&u->help);
    keys_release(&u->keys);
    str_release(&u->hint);
    str_release(&u->attachments);
    str_release(&u->queued);
    for (size_t i = 0; i < u->event_count; i++)
        free(u->events[i].text);
    free(u->event_text);
    free(u->state);
    free(u->title);
    free(u->model);
    free(u->device);
    free(u);
    *ui = NULL;
}

void ui_fds(const struct ui *ui, struct pollfd fds[UI_FDS])
{
    fds[0] = (struct pollfd){ .fd = terminal_input_fd(ui->terminal), .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = terminal_signal_fd(ui->terminal), .events = POLLIN };
    fds[2] = (struct pollfd){ .fd = encoder_fd(ui->previews.encoder), .events = POLLIN };
}

static int64_t frame_due_ns(const struct ui *ui)
{
    int64_t pause = 2 * ui->frame_ns > FRAME_NS ? 2 * ui->frame_ns : FRAME_NS;

    return ui->urgent ? 0 : ui->painted_ns + pause;
}

static int64_t graphics_patience_ns(const struct ui *ui)
{
    return ui->previews.graphics.asked_ns + GRAPHICS_PATIENCE_NS;
}

int ui_timeout_ms(const struct ui *ui)
{
    int64_t now = clock_ns(), until = INT64_MAX;

    if (ui->event_count > 0)
        return 0;
    if (keys_waiting(&ui->keys))
        until = now + KEYS_ESCAPE_NS / 2;
    if (ui->dirty && frame_due_ns(ui) < until)
        until = frame_due_ns(ui);
    if (ui->painted_kind == GRAPHICS_UNDECIDED && graphics_patience_ns(ui) < until)
        until = graphics_patience_ns(ui);
    if (until == INT64_MAX)
        return -1;
    return until <= now ? 0 : (int)((until - now + 999999) / 1000000);
}

// ---------------------------------------------------------------------------
// Events

static void push_event(struct ui *ui, struct queued event, const char *text)
{
    if (event.kind == UI_EVENT_TYPED && ui->event_count > 0 &&
        ui->events[ui->event_count - 1].kind == UI_EVENT_TYPED)
        return; // said once is enough
    if (ui->event_count == EVENTS_MAX)
        bug("more events than ui_read leaves room for");
    event.text = alloc_string(text);
    ui->events[ui->event_count++] = event;
}

static void push_action(struct ui *ui, enum ui_action action, const char *text)
{
    push_event(ui, (struct queued){ .kind = UI_EVENT_ACTION, .action = action }, text);
}

bool ui_next(struct ui *ui, struct ui_event *event)
{
    if (ui->event_count == 0)
        return false;
    free(ui->event_text);
    ui->event_text = ui->events[0].text;
    *event = (struct ui_event){ .kind = ui->events[0].kind,
                                .action = ui->events[0].action,
                                .text = ui->event_text,
                                .signal = ui->events[0].signal,
                                .block = ui->events[0].block };
    memmove(ui->events, ui->events + 1, --ui->event_count * sizeof(ui->events[0]));
    return true;
}

// ---------------------------------------------------------------------------
// Actions that are ours

static void set_hint(struct ui *ui, const char *text)
{
    str_reset(&ui->hint);
    str_append(&ui->hint, text);
}

static void touch(struct ui *ui)
{
    ui->dirty = ui->urgent = true;
}

static void edit_message(struct ui *ui)
{
    struct err err = { 0 };
    struct str text;

    str_init(&text, 0);
    str_append(&text, composer_text(ui->composer));
    terminal_pause(ui->terminal);
    if (editor_run(&text, &err) && strlen(text.data) == text.len)
        composer_set(ui->composer, text.data);
    terminal_resume(ui->terminal);
    if (err.code != ERR_NONE)
        ui_error(ui, &err);
    str_release(&text);
}

static void show_help(struct ui *ui, bool visible)
{
    ui->help_visible = visible;
    ui->help_top = 0;
}

static void find(struct ui *ui, const char *text, bool down)
{
    if (text != NULL && text[0] == '\0') {
        transcript_find(&ui->transcript, "", down);
        return;
    }
    if (!transcript_find(&ui->transcript, text, down))
        set_hint(ui, ui->transcript.needle.len == 0 ? "Nothing is searched: /find TEXT"
                     : down                         ? "No more below"
                                                    : "No more above");
}

static void set_mouse(struct ui *ui, bool on)
{
    ui->mouse = on;
    terminal_set_mouse(ui->terminal, on);
    set_hint(ui, on ? "The wheel scrolls; select with Shift held"
                    : "The mouse belongs to the terminal: select as usual");
}

static void page(struct ui *ui, int direction)
{
    int lines = ui->transcript.height > 2 ? ui->transcript.height - 2 : 1;

    if (ui->help_visible && direction < 0)
        ui->help_top -= ui->help_top < (size_t)lines ? ui->help_top : (size_t)lines;
    else if (ui->help_visible)
        ui->help_top += (size_t)lines;
    else
        transcript_scroll(&ui->transcript, direction * lines);
}

static void focus_pane(struct ui *ui, bool focused)
{
    ui->pane_focused = focused && ui->pane_visible;
}

void ui_show_entries(struct ui *ui, bool visible)
{
    ui->pane_visible = visible;
    focus_pane(ui, visible);
    touch(ui);
}

bool ui_entries_visible(const struct ui *ui)
{
    return ui->pane_visible;
}

static bool act_here(struct ui *ui, enum ui_action action, const char *argument)
{
    switch (action) {
    case UI_EDITOR:
        edit_message(ui);
        return true;
    case UI_FIND:
        find(ui, argument, false);
        return true;
    case UI_FIND_UP:
    case UI_FIND_DOWN:
        find(ui, NULL, action == UI_FIND_DOWN);
        return true;
    case UI_FOLD:
        transcript_fold(&ui->transcript);
        return true;
    case UI_RAW:
        set_hint(ui, transcript_raw(&ui->transcript) ? "Replies as the model wrote them"
                                                     : "Replies as Markdown");
        return true;
    case UI_PAGE_UP:
        page(ui, -1);
        return true;
    case UI_PAGE_DOWN:
        page(ui, 1);
        return true;
    case UI_TOP:
        transcript_begin(&ui->transcript);
        return true;
    case UI_BOTTOM:
        transcript_end(&ui->transcript);
        return true;
    case UI_THEME:
        if (!ui_set_theme(ui, argument))
            set_hint(ui, "The themes are dark, light and plain");
        return true;
    case UI_MOUSE:
        set_mouse(ui, !ui->mouse);
        return true;
    case UI_REDRAW:
        terminal_redraw(ui->terminal);
        return true;
    case UI_SUSPEND:
        terminal_stop(ui->terminal);
        return true;
    case UI_HELP:
        show_help(ui, !ui->help_visible);
        return true;
    default:
        return false;
    }
}

static void act(struct ui *ui, enum ui_action action, const char *argument)
{
    if (action == UI_SESSIONS && ui->pane_visible && !ui->pane_focused &&
        argument[0] == '\0') {
        focus_pane(ui, true);
        return;
    }
    if (!act_here(ui, action, argument))
        push_action(ui, action, argument);
}

// ---------------------------------------------------------------------------
// Keys

static const struct binding {
    enum key_name name; // or
    char control;       // a control character
    unsigned modifiers;
    enum ui_action action;
} bindings[] = {
    { .name = NAME_F1, .action = UI_HELP },
    { .name = NAME_F1 + 1, .action = UI_SESSIONS },
    { .name = NAME_F1 + 2, .action = UI_FIND_UP },
    { .name = NAME_F1 + 3, .action = UI_FIND_DOWN },
    { .name = NAME_F1 + 4, .action = UI_FOLD },
    { .name = NAME_F1 + 5, .action = UI_MOUSE },
    { .name = NAME_PAGE_UP, .action = UI_PAGE_UP },
    { .name = NAME_PAGE_DOWN, .action = UI_PAGE_DOWN },
    { .name = NAME_HOME, .modifiers = KEY_CONTROL, .action = UI_TOP },
    { .name = NAME_END, .modifiers = KEY_CONTROL, .action = UI_BOTTOM },
    { .control = 'L' & 0x1F, .action = UI_REDRAW },
    { .control = 'Z' & 0x1F, .action = UI_SUSPEND },
};

static const struct binding *find_binding(const struct key *key)
{
    for (size_t i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++) {
        const struct binding *binding = &bindings[i];

        if (binding->name != NAME_NONE
                ? key->kind == KEY_SEQUENCE && key->name == binding->name &&
                      key->modifiers == binding->modifiers
                : key->kind == KEY_TEXT && key->bytes[0] == binding->control)
            return binding;
    }
    return NULL;
}

// Takes back one thing at a time: the help, the list, the reply.
static bool on_escape(struct ui *ui)
{
    if (ui->help_visible)
        show_help(ui, false);
    else if (ui->pane_focused)
        focus_pane(ui, false);
    else if (ui->status.busy)
        push_action(ui, UI_STOP, "");
    else if (ui->transcript.needle.len > 0)
        find(ui, "", false);
    else
        return false;
    return true;
}

// Nothing that was typed is lost by it, and it never quits by accident.
static void on_interrupt(struct ui *ui)
{
    int64_t now = clock_ns();

    if (on_escape(ui))
        return;
    if (ui->viewer) {
        push_action(ui, UI_QUIT, "");
        return;
    }
    if (!composer_empty(ui->composer)) {
        composer_set(ui->composer, "");
        push_event(ui, (struct queued){ .kind = UI_EVENT_TYPED }, "");
    } else if (ui->quit_armed_ns != 0 && now - ui->quit_armed_ns < QUIT_ARMED_NS) {
        push_action(ui, UI_QUIT, "");
    } else {
        ui->quit_armed_ns = now;
        set_hint(ui, "Ctrl-C again leaves oriel");
    }
}

// "/word argument" is a command; a path ("/home/x.png") is not.
static void send(struct ui *ui, const char *text)
{
    size_t word = strcspn(text + 1, " \n\t/");
    enum ui_action action;
    char *argument;
    size_t len;

    if (text[strspn(text, " \n\t")] == '\0')
        return;
    if (text[0] != '/' || text[1 + word] == '/') {
        transcript_end(&ui->transcript);
        push_event(ui, (struct queued){ .kind = UI_EVENT_SEND }, text);
        return;
    }
    action = help_find(text + 1, word);
    if (action == UI_ACTION_COUNT) {
        composer_set(ui->composer, text);
        set_hint(ui, "There is no such command; F1 lists them");
        return;
    }
    argument = alloc_string(text + 1 + word + strspn(text + 1 + word, " \t"));
    for (len = strlen(argument); len > 0 && strchr(" \n\t", argument[len - 1]) != NULL;)
        argument[--len] = '\0';
    act(ui, action, argument);
    free(argument);
}

static void on_composer_key(struct ui *ui, const struct key *key)
{
    switch (composer_key(ui->composer, key)) {
    case COMPOSER_SEND:
        send(ui, composer_take(ui->composer));
        break;
    case COMPOSER_END:
        push_action(ui, UI_QUIT, "");
        break;
    case COMPOSER_EDITOR:
        edit_message(ui);
        break;
    case COMPOSER_ON:
        break;
    }
    push_event(ui, (struct queued){ .kind = UI_EVENT_TYPED }, "");
}

// Files that are pasted or dropped are the owner's to attach; other text is typing.
static void on_paste(struct ui *ui, const struct key *key)
{
    size_t count;
    char **paths = paths_parse(key->bytes, key->len, &count);

    if (paths == NULL) {
        on_composer_key(ui, key);
        return;
    }
    paths_free(paths, count);
    push_event(ui, (struct queued){ .kind = UI_EVENT_PASTE }, key->bytes);
}

static void on_pane_key(struct ui *ui, const struct key *key)
{
    int rows = ui->transcript.height > 4 ? ui->transcript.height / 2 : 1;
    const char *id;

    if (key->kind == KEY_TEXT && key->bytes[0] == '\r') {
        id = pane_selected(&ui->pane);
        focus_pane(ui, false);
        if (id != NULL)
            push_action(ui, UI_OPEN, id);
    } else if (key->kind == KEY_TEXT) { // typing goes where typing goes
        focus_pane(ui, false);
        on_composer_key(ui, key);
    } else if (key->name == NAME_UP || key->name == NAME_DOWN) {
        pane_move(&ui->pane, key->name == NAME_UP ? -1 : 1);
    } else if (key->name == NAME_PAGE_UP || key->name == NAME_PAGE_DOWN) {
        pane_move(&ui->pane, key->name == NAME_PAGE_UP ? -rows : rows);
    } else if (key->name == NAME_F1 + 1) {
        focus_pane(ui, false);
        push_action(ui, UI_SESSIONS, "");
    }
}

static void on_help_key(struct ui *ui, const struct key *key)
{
    if (key->name == NAME_UP && ui->help_top > 0)
        ui->help_top--;
    else if (key->name == NAME_DOWN)
        ui->help_top++;
    else if (key->name == NAME_PAGE_UP || key->name == NAME_PAGE_DOWN)
        page(ui, key->name == NAME_PAGE_UP ? -1 : 1);
    else
        show_help(ui, false);
}

static int pane_width(const struct ui *ui, int columns)
{
    if (!ui->pane_visible)
        return 0;
    if (columns >= PANE_COLUMNS)
        return PANE_WIDTH;
    return ui->pane_focused ? columns : 0;
}

static void on_mouse(struct ui *ui, const struct key *key)
{
    int direction = key->mouse == MOUSE_WHEEL_UP ? -1 : 1;

    if (key->mouse == MOUSE_PRESS) {
        if (ui->pane_visible && key->column < PANE_WIDTH &&
            pane_click(&ui->pane, key->row))
            push_action(ui, UI_OPEN, pane_selected(&ui->pane));
    } else if (key->mouse != MOUSE_OTHER) {
        if (ui->help_visible)
            ui->help_top += (size_t)(direction < 0 && ui->help_top == 0 ? 0 : direction);
        else if (ui->pane_visible && key->column < PANE_WIDTH)
            pane_move(&ui->pane, direction);
        else
            transcript_scroll(&ui->transcript, direction * WHEEL_LINES);
    }
}

// The terminal says what it can, or what its background is.
static void on_reply(struct ui *ui, const struct key *key)
{
    struct graphics *graphics = &ui->previews.graphics;
    const uint8_t *rgb = graphics->background;
    bool news = graphics_answer(graphics, key->bytes, key->len);

    if (!graphics->awaited)
        keys_expect(&ui->keys, 0);
    if (!news)
        return;
    if (ui->ask_theme && graphics->background_known) {
        ui->ask_theme = false;
        // Luma of ITU-R BT.601
        if (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] > 140)
            ui_set_theme(ui, "light");
    }
    previews_change(&ui->previews);
    ui->dirty = true;
}

static void on_viewer_key(struct ui *ui, const struct key *key)
{
    const char *text = key->kind == KEY_ESCAPE ? "escape" : "right";
    char *typed;

    if (key->kind != KEY_TEXT && key->kind != KEY_ESCAPE && key->name != NAME_RIGHT)
        return;
    typed =
        key->kind == KEY_TEXT ? alloc_string_n(key->bytes, key->len) : alloc_string(text);
    push_event(ui, (struct queued){ .kind = UI_EVENT_KEY }, typed);
    free(typed);
}

static void on_key(struct ui *ui, const struct key *key)
{
    const struct binding *binding = find_binding(key);

    if (key->kind == KEY_REPLY) {
        on_reply(ui, key);
        return;
    }
    touch(ui);
    str_reset(&ui->hint);
    if (key->kind == KEY_TEXT && key->bytes[0] == ('C' & 0x1F)) {
        on_interrupt(ui);
        return;
    }
    ui->quit_armed_ns = 0;
    if (key->kind == KEY_MOUSE)
        on_mouse(ui, key);
    else if (key->kind == KEY_ESCAPE && on_escape(ui))
        return;
    else if (ui->help_visible)
        on_help_key(ui, key);
    else if (ui->pane_focused)
        on_pane_key(ui, key);
    else if (key->kind == KEY_SEQUENCE && key->modifiers == KEY_SHIFT &&
             (key->name == NAME_UP || key->name == NAME_DOWN))
        transcript_scroll(&ui->transcript, key->name == NAME_UP ? -1 : 1);
    else if (binding != NULL)
        act(ui, binding->action, "");
    else if (ui->viewer)
        on_viewer_key(ui, key);
    else if (key->kind == KEY_PASTE)
        on_paste(ui, key);
    else if (key->kind != KEY_ESCAPE || composer_wants_escape(ui->composer))
        on_composer_key(ui, key);
}

// ---------------------------------------------------------------------------
// Reading

static void read_signals(struct ui *ui)
{
    int number;

    while ((number = terminal_next_signal(ui->terminal)) != 0) {
        touch(ui);
        if (number == SIGWINCH) {
            terminal_resized(ui->terminal);
            ask_terminal(ui, graphics_cell_question(getenv));
            on_resize(ui);
        } else if (number == SIGTSTP)
            terminal_stop(ui->terminal);
        else if (number == SIGCONT)
            terminal_redraw(ui->terminal);
        else
            push_event(ui, (struct queued){ .kind = UI_EVENT_SIGNAL, .signal = number },
                       "");
    }
}

static void read_input(struct ui *ui)
{
    char bytes[READ_BYTES];
    ssize_t len = read(terminal_input_fd(ui->terminal), bytes, sizeof(bytes));

    if (len > 0)
        keys_add(&ui->keys, bytes, (size_t)len, clock_ns());
    else if (len == 0 || (errno != EINTR && errno != EAGAIN))
        push_event(ui, (struct queued){ .kind = UI_EVENT_SIGNAL, .signal = SIGHUP }, "");
}

void ui_read(struct ui *ui)
{
    struct pollfd fds[UI_FDS];
    struct key key;

    ui_fds(ui, fds);
    if (ui->event_count + SIGNALS_MAX < EVENTS_MAX && poll(fds, UI_FDS, 0) > 0) {
        if (fds[1].revents != 0)
            read_signals(ui);
        if (fds[0].revents != 0)
            read_input(ui);
        if (fds[2].revents != 0) {
            encoder_woken(ui->previews.encoder);
            touch(ui);
        }
    }
    while (ui->event_count + EVENTS_PER_KEY <= EVENTS_MAX &&
           keys_next(&ui->keys, clock_ns(), &key))
        on_key(ui, &key);
}

// ---------------------------------------------------------------------------
// Painting

struct layout {
    int rows, columns;
    int body;        // rows of transcript and pane
    int rule;        // row, or -1
    int attachments; // row, or -1
    int composer;    // first row
    int composer_rows;
    int pane; // columns
};

static struct layout lay_out(const struct ui *ui, int rows, int columns)
{
    struct layout layout = {
        .rows = rows, .columns = columns, .rule = -1, .attachments = -1
    };
    int most = rows / 3 < COMPOSER_ROWS ? rows / 3 : COMPOSER_ROWS;

    if (!ui->viewer)
        layout.composer_rows = composer_rows(ui->composer, columns, most > 0 ? most : 1);
    layout.composer = rows - 1 - layout.composer_rows;
    if (layout.composer < 0)
        layout.composer = 0;
    layout.body = layout.composer;
    if (ui->attachments.len + ui->queued.len > 0 && layout.body > 1)
        layout.attachments = --layout.body;
    if (rows >= RULE_ROWS)
        layout.rule = --layout.body;
    layout.pane = pane_width(ui, columns);
    return layout;
}

static void paint_rule(const struct ui *ui, const struct layout *layout, const char *hint)
{
    const char *more = ui->transcript.follow ? "" : " ↓ more, Ctrl-End ";
    int width = text_width(more, strlen(more)), x = layout->columns - width - 2;

    for (int i = 0; i < layout->columns; i++)
        terminal_put(ui->terminal, layout->rule, i, 1, STYLE_MUTED, "─", strlen("─"));
    if (more[0] != '\0' && x > 0)
        terminal_put(ui->terminal, layout->rule, x, width, STYLE_NOTICE, more,
                     strlen(more));
    if (hint[0] == '\0')
        return;
    terminal_put(ui->terminal, layout->rule, 2, 1, STYLE_TEXT, " ", 1);
    x = 3 + terminal_put(ui->terminal, layout->rule, 3, layout->columns - 6, STYLE_NOTICE,
                         hint, strlen(hint));
    terminal_put(ui->terminal, layout->rule, x, 1, STYLE_TEXT, " ", 1);
}

static void short_number(struct str *out, size_t value)
{
    if (value < 10000)
        str_printf(out, "%zu", value);
    else
        str_printf(out, "%.*fk", value < 100000 ? 1 : 0, (double)value / 1000);
}

static void describe_numbers(const struct ui *ui, struct str *out)
{
    const struct ui_status *status = &ui->status;

    if (status->tokens_per_second > 0)
        str_printf(out, "%.*f tokens/s  ", status->tokens_per_second < 100 ? 1 : 0,
                   status->tokens_per_second);
    if (status->context_tokens > 0) {
        short_number(out, status->context_used);
        str_append(out, "/");
        short_number(out, status->context_tokens);
        str_printf(out, " (%zu %%) ",
                   status->context_used * 100 / status->context_tokens);
    }
}

static void paint_status(const struct ui *ui, const struct layout *layout,
                         const char *hint)
{
    int y = layout->rows - 1, x = 1, end = layout->columns - 1, width;
    struct str text;

    str_init(&text, 0);
    terminal_fill(ui->terminal, y, 0, layout->columns, STYLE_STATUS);
    if (hint[0] != '\0') {
        terminal_put(ui->terminal, y, x, end - x, STYLE_STATUS, hint, strlen(hint));
        return;
    }
    if (ui->state != NULL)
        str_append(&text, ui->state);
    if (ui->status.fraction >= 0)
        str_printf(&text, " %.0f %%", ui->status.fraction * 100);
    x += terminal_put(ui->terminal, y, x, end - x, STYLE_STATE, text.data, text.len) + 2;
    str_reset(&text);
    describe_numbers(ui, &text);
    width = text_width(text.data, text.len);
    if (end - width > x) {
        terminal_put(ui->terminal, y, end - width, width, STYLE_STATUS, text.data,
                     text.len);
        end -= width + 2;
    }
    str_reset(&text);
    str_printf(&text, "%s%s%s%s%s", ui->model != NULL ? ui->model : "",
               ui->device != NULL ? " · " : "", ui->device != NULL ? ui->device : "",
               ui->title != NULL ? " · " : "", ui->title != NULL ? ui->title : "");
    if (end > x)
        terminal_put(ui->terminal, y, x, end - x, STYLE_STATUS, text.data, text.len);
    str_release(&text);
}

static void paint_help(struct ui *ui, int y, int x, int height, int width)
{
    size_t last;

    lines_reset(&ui->help);
    help_lines(&ui->help, width > 2 ? width - 2 : width);
    last = ui->help.count > (size_t)height ? ui->help.count - (size_t)height : 0;
    if (ui->help_top > last)
        ui->help_top = last;
    for (int row = 0; row < height; row++) {
        size_t index = ui->help_top + (size_t)row;
        int used = 1;

        if (index >= ui->help.count)
            return;
        for (size_t i = 0; i < ui->help.lines[index].run_count; i++) {
            const struct run *run = &ui->help.runs[ui->help.lines[index].first_run + i];

            used += terminal_put(ui->terminal, y + row, x + used, width - used,
                                 run->style, ui->help.text.data + run->start, run->len);
        }
    }
}

static void paint_body(struct ui *ui, const struct layout *layout)
{
    int x = layout->pane, width = layout->columns - layout->pane;

    if (layout->pane > 0)
        pane_paint(&ui->pane, ui->terminal, 0, 0, layout->body, layout->pane,
                   ui->pane_focused);
    if (width <= 0)
        return;
    if (ui->help_visible)
        paint_help(ui, 0, x, layout->body, width);
    else
        transcript_paint(&ui->transcript, ui->terminal, 0, x + (width > 30), layout->body,
                         width > 30 ? width - 2 : width);
}

// What goes with the next message, and the one that waits to be sent.
static void paint_waiting(const struct ui *ui, int y, int columns)
{
    int x = 2;

    x += terminal_put(ui->terminal, y, x, columns - x - 1, STYLE_LINK,
                      ui->attachments.data, ui->attachments.len);
    if (x > 2)
        x += 2;
    if (x < columns - 1)
        terminal_put(ui->terminal, y, x, columns - x - 1, STYLE_NOTICE, ui->queued.data,
                     ui->queued.len);
}

static void paint(struct ui *ui)
{
    const char *hint = ui->hint.len > 0 ? ui->hint.data : composer_hint(ui->composer);
    int rows, columns, y = -1, x = 0;
    struct layout layout;

    terminal_begin(ui->terminal, &rows, &columns);
    previews_begin(&ui->previews);
    layout = lay_out(ui, rows, columns);
    paint_body(ui, &layout);
    if (layout.rule >= 0)
        paint_rule(ui, &layout, hint);
    if (layout.attachments >= 0)
        paint_waiting(ui, layout.attachments, columns);
    if (rows > 1)
        paint_status(ui, &layout, layout.rule >= 0 ? "" : hint);
    if (!ui->viewer)
        composer_paint(ui->composer, ui->terminal, layout.composer, 0,
                       layout.composer_rows, columns, &y, &x);
    terminal_end(ui->terminal, ui->pane_focused || ui->help_visible ? -1 : y,
                 x < columns ? x : columns - 1);
}

// Asks for the pixels of the pictures that are on the screen. What there is no room for
// is asked when the next frame is painted.
static bool ask_pictures(struct ui *ui)
{
    size_t block;

    while (ui->event_count < EVENTS_MAX / 2 && transcript_wanted(&ui->transcript, &block))
        push_event(ui, (struct queued){ .kind = UI_EVENT_PICTURE, .block = block }, "");
    return ui->event_count < EVENTS_MAX / 2;
}

void ui_paint(struct ui *ui)
{
    int64_t now = clock_ns();

    if (graphics_kind(&ui->previews.graphics, now) != ui->painted_kind)
        ui->dirty = true;
    if (!ui->dirty || now < frame_due_ns(ui))
        return;
    ui->painted_kind = graphics_kind(&ui->previews.graphics, now);
    paint(ui);
    ui->urgent = false;
    ui->dirty = !ask_pictures(ui);
    ui->painted_ns = clock_ns();
    ui->frame_ns = ui->painted_ns - now;
}

// ---------------------------------------------------------------------------
// What the owner says

size_t ui_add_block(struct ui *ui, const struct ui_block *block)
{
    ui->dirty = true;
    return transcript_add(&ui->transcript, block);
}

void ui_append(struct ui *ui, size_t block, const char *text, size_t len)
{
    ui->dirty = true;
    transcript_append(&ui->transcript, block, text, len);
}

void ui_finish_block(struct ui *ui, size_t block, const char *meta)
{
    ui->dirty = true;
    transcript_change(&ui->transcript, block, meta, false);
}

size_t ui_block_count(const struct ui *ui)
{
    return ui->transcript.count;
}

void ui_truncate(struct ui *ui, size_t count)
{
    ui->dirty = true;
    transcript_truncate(&ui->transcript, count);
}

void ui_follow(struct ui *ui)
{
    ui->dirty = true;
    transcript_end(&ui->transcript);
}

void ui_notice(struct ui *ui, const char *format, ...)
{
    struct str text;
    va_list args;
    char line[1024];

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    str_init(&text, 0);
    str_append(&text, line);
    ui_add_block(ui, &(struct ui_block){ .kind = UI_BLOCK_NOTICE,
                                         .text = text.data,
                                         .text_len = text.len });
    str_release(&text);
}

void ui_error(struct ui *ui, const struct err *err)
{
    ui_add_block(ui, &(struct ui_block){ .kind = UI_BLOCK_ERROR,
                                         .text = err->text,
                                         .text_len = strlen(err->text) });
}

void ui_set_picture(struct ui *ui, size_t block, const struct ui_picture *picture)
{
    ui->dirty = true;
    transcript_set_picture(&ui->transcript, block, picture);
}

static void replace(char **to, const char *from)
{
    char *copy = from != NULL && from[0] != '\0' ? alloc_string(from) : NULL;

    free(*to);
    *to = copy;
}

void ui_set_status(struct ui *ui, const struct ui_status *status)
{
    ui->dirty = true;
    ui->status = *status;
    replace(&ui->state, status->state);
    replace(&ui->title, status->title);
    replace(&ui->model, status->model);
    replace(&ui->device, status->device);
}

void ui_set_entries(struct ui *ui, const char *heading, const struct ui_entry *entries,
                    size_t count)
{
    ui->dirty = true;
    pane_set(&ui->pane, heading, entries, count);
}

void ui_hint(struct ui *ui, const char *text)
{
    touch(ui);
    set_hint(ui, text);
}

const char *ui_message(const struct ui *ui)
{
    return composer_text(ui->composer);
}

void ui_set_message(struct ui *ui, const char *text)
{
    touch(ui);
    composer_set(ui->composer, text);
}

void ui_insert(struct ui *ui, const char *text)
{
    touch(ui);
    composer_insert(ui->composer, text, strlen(text));
    if (ui->event_count < EVENTS_MAX)
        push_event(ui, (struct queued){ .kind = UI_EVENT_TYPED }, "");
}

void ui_set_attachments(struct ui *ui, const char *const *names, size_t count)
{
    touch(ui);
    str_reset(&ui->attachments);
    for (size_t i = 0; i < count; i++)
        str_printf(&ui->attachments, "%s▣ %s", i > 0 ? "  " : "", names[i]);
}

void ui_set_queued(struct ui *ui, const char *text)
{
    touch(ui);
    str_reset(&ui->queued);
    if (text == NULL)
        return;
    str_append(&ui->queued, "queued: ");
    for (; *text != '\0'; text++)
        str_append_char(&ui->queued, *text == '\n' ? ' ' : *text);
}

char **ui_paths(const char *text, size_t *count)
{
    return paths_parse(text, strlen(text), count);
}

void ui_set_names(struct ui *ui, enum ui_action action, const char *const *names,
                  size_t count)
{
    (void)ui;
    completion_set(action, names, count);
}

bool ui_copy(struct ui *ui, const char *text, size_t len)
{
    return terminal_copy(ui->terminal, text, len);
}

bool ui_copy_code(struct ui *ui, const char *markdown, size_t len, size_t index)
{
    struct str code;
    bool ok;

    str_init(&code, 0);
    ok = markdown_code(markdown, len, index, &code) && ui_copy(ui, code.data, code.len);
    str_release(&code);
    return ok;
}

bool ui_set_theme(struct ui *ui, const char *name)
{
    enum theme theme;

    if (!theme_parse(name, &theme))
        return false;
    theme_use(theme);
    ui->previews.graphics.colours = terminal_colours(ui->terminal);
    previews_set_background(&ui->previews, theme == THEME_LIGHT);
    terminal_redraw(ui->terminal);
    touch(ui);
    return true;
}
