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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "ui/composer.h"
#include "ui/events.h"
#include "ui/glyph.h"
#include "ui/help.h"
#include "ui/keys.h"
#include "ui/pane.h"
#include "ui/paths.h"
#include "ui/previews.h"
#include "ui/screen.h"
#include "ui/terminal.h"
#include "ui/theme.h"
#include "ui/transcript.h"
#include "ui/ui.h"

#define FRAME_NS         ((int64_t)16000000) // between frames while text arrives
#define RULE_ROWS        8
#define PANE_COLUMNS     56
#define PANE_WIDTH       30
#define COMPOSER_ROWS    10
#define WHEEL_LINES      3
#define EVENTS_PER_KEY   2 // at most
#define SIGNALS_MAX      8 // kinds of them
#define READ_BYTES       65536
#define ATTACHMENTS_MORE "+99"
#define ANSWERS_NS       ((int64_t)10000000000) // in which the terminal has answered
#define QUIT_ARMED_NS    ((int64_t)3000000000)

struct screen {
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
    struct str attachments; // names of pictures, a line each
    struct str queued;      // a message that waits, in one line
    int64_t quit_armed_ns;
    struct events events;
    bool editor_due; // the message is to be edited in $EDITOR
    bool dirty, urgent;
    int64_t painted_ns, frame_ns; // when, and how long it took
    enum graphics_kind painted_kind;
};

// ---------------------------------------------------------------------------
// Life

static void touch(struct screen *screen)
{
    screen->dirty = screen->urgent = true;
}

static bool set_theme(struct screen *screen, const char *name)
{
    enum theme theme;

    if (!theme_parse(name, &theme))
        return false;
    theme_use(theme);
    screen->previews.graphics.colours = terminal_colours(screen->terminal);
    previews_set_background(&screen->previews, theme == THEME_LIGHT);
    terminal_redraw(screen->terminal);
    touch(screen);
    return true;
}

static void ask_terminal(struct screen *screen, const char *question)
{
    terminal_ask(screen->terminal, question);
    screen->previews.graphics.awaited = question[0] != '\0';
    keys_expect(&screen->keys, question[0] != '\0' ? clock_ns() + ANSWERS_NS : 0);
}

static void on_resize(struct screen *screen)
{
    struct size cells, pixels;

    terminal_size(screen->terminal, &cells, &pixels);
    graphics_resized(&screen->previews.graphics, cells, pixels);
    screen->previews.rows = cells.height;
}

struct screen *screen_open(const struct ui_params *params, struct err *err)
{
    struct terminal *terminal = terminal_open(true, err);
    struct screen *screen;

    if (terminal == NULL)
        return NULL;
    screen = alloc_zero(sizeof(*screen));
    screen->terminal = terminal;
    screen->mouse = true;
    screen->viewer = params->viewer;
    screen->ask_theme = params->theme == NULL;
    screen->status.fraction = -1;
    keys_init(&screen->keys);
    str_init(&screen->hint, 0);
    str_init(&screen->attachments, 0);
    str_init(&screen->queued, 0);
    lines_init(&screen->help);
    previews_init(&screen->previews);
    transcript_init(&screen->transcript, &screen->previews);
    screen->composer = composer_create(params->history_path);
    set_theme(screen, "dark");
    if (params->theme != NULL)
        set_theme(screen, params->theme);
    screen->previews.graphics.asked_ns = clock_ns();
    ask_terminal(screen, graphics_question(getenv));
    on_resize(screen);
    screen->dirty = screen->urgent = true;
    return screen;
}

void screen_close(struct screen **screen)
{
    struct screen *u = *screen;

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
    events_release(&u->events);
    free(u->state);
    free(u->title);
    free(u->model);
    free(u->device);
    free(u);
    *screen = NULL;
}

void screen_fds(const struct screen *screen, struct pollfd fds[SCREEN_FDS])
{
    bool room = screen->events.count + SIGNALS_MAX < EVENTS_MAX;

    fds[0] = (struct pollfd){ .fd = room ? terminal_input_fd(screen->terminal) : -1,
                              .events = POLLIN };
    fds[1] =
        (struct pollfd){ .fd = terminal_signal_fd(screen->terminal), .events = POLLIN };
    fds[2] =
        (struct pollfd){ .fd = encoder_fd(screen->previews.encoder), .events = POLLIN };
}

static int64_t frame_due_ns(const struct screen *screen)
{
    int64_t pause = 2 * screen->frame_ns > FRAME_NS ? 2 * screen->frame_ns : FRAME_NS;

    return screen->urgent ? 0 : screen->painted_ns + pause;
}

static int64_t graphics_patience_ns(const struct screen *screen)
{
    return screen->previews.graphics.asked_ns + GRAPHICS_PATIENCE_NS;
}

int screen_timeout_ms(const struct screen *screen)
{
    int64_t now = clock_ns(), until = INT64_MAX;

    if (keys_waiting(&screen->keys))
        until = now + KEYS_ESCAPE_NS / 2;
    if (screen->dirty && frame_due_ns(screen) < until)
        until = frame_due_ns(screen);
    if (screen->painted_kind == GRAPHICS_UNDECIDED &&
        graphics_patience_ns(screen) < until)
        until = graphics_patience_ns(screen);
    if (until == INT64_MAX)
        return -1;
    return until <= now ? 0 : (int)((until - now + 999999) / 1000000);
}

// ---------------------------------------------------------------------------
// Events

static void push_action(struct screen *screen, enum ui_action action, const char *text)
{
    events_push(
        &screen->events,
        &(struct ui_event){ .kind = UI_EVENT_ACTION, .action = action, .text = text });
}

static void push_typed(struct screen *screen)
{
    events_push(&screen->events, &(struct ui_event){ .kind = UI_EVENT_TYPED });
}

bool screen_next(struct screen *screen, struct ui_event *event)
{
    return events_next(&screen->events, event);
}

bool screen_has_events(const struct screen *screen)
{
    return screen->events.count > 0;
}

// ---------------------------------------------------------------------------
// Actions that are ours

static void set_hint(struct screen *screen, const char *text)
{
    str_reset(&screen->hint);
    str_append(&screen->hint, text);
}

bool screen_editor_begin(struct screen *screen, struct str *text)
{
    if (!screen->editor_due)
        return false;
    screen->editor_due = false;
    str_append(text, composer_text(screen->composer));
    terminal_pause(screen->terminal);
    return true;
}

void screen_editor_end(struct screen *screen, const struct str *text)
{
    if (text != NULL && strlen(text->data) == text->len)
        composer_set(screen->composer, text->data);
    terminal_resume(screen->terminal);
    push_typed(screen);
    touch(screen);
}

static void show_help(struct screen *screen, bool visible)
{
    screen->help_visible = visible;
    screen->help_top = 0;
}

static void find(struct screen *screen, const char *text, bool down)
{
    if (text != NULL && text[0] == '\0') {
        transcript_find(&screen->transcript, "", down);
        return;
    }
    if (!transcript_find(&screen->transcript, text, down))
        set_hint(screen, screen->transcript.needle.len == 0
                             ? "Nothing is searched: /find TEXT"
                         : down ? "No more below"
                                : "No more above");
}

static void set_mouse(struct screen *screen, bool on)
{
    screen->mouse = on;
    terminal_set_mouse(screen->terminal, on);
    set_hint(screen, on ? "The wheel scrolls; select with Shift held"
                        : "The mouse belongs to the terminal: select as usual");
}

static void page(struct screen *screen, int direction)
{
    int lines = screen->transcript.height > 2 ? screen->transcript.height - 2 : 1;

    if (screen->help_visible && direction < 0)
        screen->help_top -=
            screen->help_top < (size_t)lines ? screen->help_top : (size_t)lines;
    else if (screen->help_visible)
        screen->help_top += (size_t)lines;
    else
        transcript_scroll(&screen->transcript, direction * lines);
}

static void focus_pane(struct screen *screen, bool focused)
{
    screen->pane_focused = focused && screen->pane_visible;
}

void screen_show_entries(struct screen *screen, bool visible)
{
    screen->pane_visible = visible;
    focus_pane(screen, visible);
    touch(screen);
}

bool screen_entries_visible(const struct screen *screen)
{
    return screen->pane_visible;
}

static bool act_here(struct screen *screen, enum ui_action action, const char *argument)
{
    switch (action) {
    case UI_EDITOR:
        screen->editor_due = true;
        return true;
    case UI_FIND:
        find(screen, argument, false);
        return true;
    case UI_FIND_UP:
    case UI_FIND_DOWN:
        find(screen, NULL, action == UI_FIND_DOWN);
        return true;
    case UI_FOLD:
        transcript_fold(&screen->transcript);
        return true;
    case UI_RAW:
        set_hint(screen, transcript_raw(&screen->transcript)
                             ? "Replies as the model wrote them"
                             : "Replies as Markdown");
        return true;
    case UI_PAGE_UP:
        page(screen, -1);
        return true;
    case UI_PAGE_DOWN:
        page(screen, 1);
        return true;
    case UI_TOP:
        transcript_begin(&screen->transcript);
        return true;
    case UI_BOTTOM:
        transcript_end(&screen->transcript);
        return true;
    case UI_THEME:
        if (!set_theme(screen, argument))
            set_hint(screen, "The themes are dark, light and plain");
        return true;
    case UI_MOUSE:
        set_mouse(screen, !screen->mouse);
        return true;
    case UI_REDRAW:
        terminal_redraw(screen->terminal);
        return true;
    case UI_SUSPEND:
        terminal_stop(screen->terminal);
        return true;
    case UI_HELP:
        show_help(screen, !screen->help_visible);
        return true;
    default:
        return false;
    }
}

static void act(struct screen *screen, enum ui_action action, const char *argument)
{
    if (action == UI_SESSIONS && screen->pane_visible && !screen->pane_focused &&
        argument[0] == '\0') {
        focus_pane(screen, true);
        return;
    }
    if (!act_here(screen, action, argument))
        push_action(screen, action, argument);
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
static bool on_escape(struct screen *screen)
{
    if (screen->help_visible)
        show_help(screen, false);
    else if (screen->pane_focused)
        focus_pane(screen, false);
    else if (screen->status.busy)
        push_action(screen, UI_STOP, "");
    else if (screen->transcript.needle.len > 0)
        find(screen, "", false);
    else
        return false;
    return true;
}

// Nothing that was typed is lost by it, and it never quits by accident.
static void on_interrupt(struct screen *screen)
{
    int64_t now = clock_ns();

    if (on_escape(screen))
        return;
    if (screen->viewer) {
        push_action(screen, UI_QUIT, "");
        return;
    }
    if (!composer_empty(screen->composer)) {
        composer_set(screen->composer, "");
        push_typed(screen);
    } else if (screen->quit_armed_ns != 0 &&
               now - screen->quit_armed_ns < QUIT_ARMED_NS) {
        push_action(screen, UI_QUIT, "");
    } else {
        screen->quit_armed_ns = now;
        set_hint(screen, "Ctrl-C again leaves oriel");
    }
}

static void send(struct screen *screen, const char *text)
{
    enum ui_action action;
    char *argument;

    if (text[strspn(text, " \n\t")] == '\0')
        return;
    if (!help_parse(text, &action, &argument)) {
        transcript_end(&screen->transcript);
        events_push(&screen->events,
                    &(struct ui_event){ .kind = UI_EVENT_SEND, .text = text });
        return;
    }
    if (action == UI_ACTION_COUNT) {
        composer_set(screen->composer, text);
        set_hint(screen, "There is no such command; F1 lists them");
    } else {
        act(screen, action, argument);
    }
    free(argument);
}

static void on_composer_key(struct screen *screen, const struct key *key)
{
    switch (composer_key(screen->composer, key)) {
    case COMPOSER_SEND:
        send(screen, composer_take(screen->composer));
        break;
    case COMPOSER_END:
        push_action(screen, UI_QUIT, "");
        break;
    case COMPOSER_EDITOR:
        screen->editor_due = true;
        break;
    case COMPOSER_ON:
        break;
    }
    push_typed(screen);
}

// Files that are pasted or dropped are the owner's to attach; other text is typing.
static void on_paste(struct screen *screen, const struct key *key)
{
    size_t count;
    char **paths = paths_parse(key->bytes, key->len, &count);

    if (paths == NULL) {
        on_composer_key(screen, key);
        return;
    }
    paths_free(paths, count);
    events_push(&screen->events,
                &(struct ui_event){ .kind = UI_EVENT_PASTE, .text = key->bytes });
}

static void on_pane_key(struct screen *screen, const struct key *key)
{
    int rows = screen->transcript.height > 4 ? screen->transcript.height / 2 : 1;
    const char *id;

    if (key->kind == KEY_TEXT && key->bytes[0] == '\r') {
        id = pane_selected(&screen->pane);
        focus_pane(screen, false);
        if (id != NULL)
            push_action(screen, UI_OPEN, id);
    } else if (key->kind == KEY_TEXT) { // typing goes where typing goes
        focus_pane(screen, false);
        on_composer_key(screen, key);
    } else if (key->name == NAME_UP || key->name == NAME_DOWN) {
        pane_move(&screen->pane, key->name == NAME_UP ? -1 : 1);
    } else if (key->name == NAME_PAGE_UP || key->name == NAME_PAGE_DOWN) {
        pane_move(&screen->pane, key->name == NAME_PAGE_UP ? -rows : rows);
    } else if (key->name == NAME_F1 + 1) {
        focus_pane(screen, false);
        push_action(screen, UI_SESSIONS, "");
    }
}

static void on_help_key(struct screen *screen, const struct key *key)
{
    if (key->name == NAME_UP && screen->help_top > 0)
        screen->help_top--;
    else if (key->name == NAME_DOWN)
        screen->help_top++;
    else if (key->name == NAME_PAGE_UP || key->name == NAME_PAGE_DOWN)
        page(screen, key->name == NAME_PAGE_UP ? -1 : 1);
    else
        show_help(screen, false);
}

static int pane_width(const struct screen *screen, int columns)
{
    if (!screen->pane_visible)
        return 0;
    if (columns >= PANE_COLUMNS)
        return PANE_WIDTH;
    return screen->pane_focused ? columns : 0;
}

static void on_mouse(struct screen *screen, const struct key *key)
{
    int direction = key->mouse == MOUSE_WHEEL_UP ? -1 : 1;

    if (key->mouse == MOUSE_PRESS) {
        if (screen->pane_visible && key->column < PANE_WIDTH &&
            pane_click(&screen->pane, key->row))
            push_action(screen, UI_OPEN, pane_selected(&screen->pane));
    } else if (key->mouse != MOUSE_OTHER) {
        if (screen->help_visible)
            screen->help_top +=
                (size_t)(direction < 0 && screen->help_top == 0 ? 0 : direction);
        else if (screen->pane_visible && key->column < PANE_WIDTH)
            pane_move(&screen->pane, direction);
        else
            transcript_scroll(&screen->transcript, direction * WHEEL_LINES);
    }
}

// The terminal says what it can, or what its background is.
static void on_reply(struct screen *screen, const struct key *key)
{
    struct graphics *graphics = &screen->previews.graphics;
    const uint8_t *rgb = graphics->background;
    bool news = graphics_answer(graphics, key->bytes, key->len);

    if (!graphics->awaited)
        keys_expect(&screen->keys, 0);
    if (!news)
        return;
    if (screen->ask_theme && graphics->background_known) {
        screen->ask_theme = false;
        // Luma of ITU-R BT.601
        if (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] > 140)
            set_theme(screen, "light");
    }
    previews_change(&screen->previews);
    screen->dirty = true;
}

static void on_viewer_key(struct screen *screen, const struct key *key)
{
    const char *text = key->kind == KEY_ESCAPE ? "escape" : "right";
    char *typed;

    if (key->kind != KEY_TEXT && key->kind != KEY_ESCAPE && key->name != NAME_RIGHT)
        return;
    typed =
        key->kind == KEY_TEXT ? alloc_string_n(key->bytes, key->len) : alloc_string(text);
    events_push(&screen->events,
                &(struct ui_event){ .kind = UI_EVENT_KEY, .text = typed });
    free(typed);
}

static void on_key(struct screen *screen, const struct key *key)
{
    const struct binding *binding = find_binding(key);

    if (key->kind == KEY_REPLY) {
        on_reply(screen, key);
        return;
    }
    touch(screen);
    str_reset(&screen->hint);
    if (key->kind == KEY_TEXT && key->bytes[0] == ('C' & 0x1F)) {
        on_interrupt(screen);
        return;
    }
    screen->quit_armed_ns = 0;
    if (key->kind == KEY_MOUSE)
        on_mouse(screen, key);
    else if (key->kind == KEY_ESCAPE && on_escape(screen))
        return;
    else if (screen->help_visible)
        on_help_key(screen, key);
    else if (screen->pane_focused)
        on_pane_key(screen, key);
    else if (key->kind == KEY_SEQUENCE && key->modifiers == KEY_SHIFT &&
             (key->name == NAME_UP || key->name == NAME_DOWN))
        transcript_scroll(&screen->transcript, key->name == NAME_UP ? -1 : 1);
    else if (binding != NULL)
        act(screen, binding->action, "");
    else if (screen->viewer)
        on_viewer_key(screen, key);
    else if (key->kind == KEY_PASTE)
        on_paste(screen, key);
    else if (key->kind != KEY_ESCAPE || composer_wants_escape(screen->composer))
        on_composer_key(screen, key);
}

// ---------------------------------------------------------------------------
// Reading

static void read_signals(struct screen *screen)
{
    int number;

    while ((number = terminal_next_signal(screen->terminal)) != 0) {
        touch(screen);
        if (number == SIGWINCH) {
            terminal_resized(screen->terminal);
            ask_terminal(screen, graphics_cell_question(getenv));
            on_resize(screen);
        } else if (number == SIGTSTP)
            terminal_stop(screen->terminal);
        else if (number == SIGCONT)
            terminal_redraw(screen->terminal);
        else
            events_push(&screen->events,
                        &(struct ui_event){ .kind = UI_EVENT_SIGNAL, .signal = number });
    }
}

static void read_input(struct screen *screen)
{
    char bytes[READ_BYTES];
    ssize_t len = read(terminal_input_fd(screen->terminal), bytes, sizeof(bytes));

    if (len > 0)
        keys_add(&screen->keys, bytes, (size_t)len, clock_ns());
    else if (len == 0 || (errno != EINTR && errno != EAGAIN))
        events_push(&screen->events,
                    &(struct ui_event){ .kind = UI_EVENT_SIGNAL, .signal = SIGHUP });
}

void screen_read(struct screen *screen)
{
    struct pollfd fds[SCREEN_FDS];
    struct key key;

    screen_fds(screen, fds);
    if (screen->events.count + SIGNALS_MAX < EVENTS_MAX && poll(fds, SCREEN_FDS, 0) > 0) {
        if (fds[1].revents != 0)
            read_signals(screen);
        if (fds[0].revents != 0)
            read_input(screen);
        if (fds[2].revents != 0) {
            encoder_woken(screen->previews.encoder);
            touch(screen);
        }
    }
    while (!screen->editor_due && screen->events.count + EVENTS_PER_KEY <= EVENTS_MAX &&
           keys_next(&screen->keys, clock_ns(), &key))
        on_key(screen, &key);
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

static struct layout lay_out(const struct screen *screen, int rows, int columns)
{
    struct layout layout = {
        .rows = rows, .columns = columns, .rule = -1, .attachments = -1
    };
    int most = rows / 3 < COMPOSER_ROWS ? rows / 3 : COMPOSER_ROWS;

    if (!screen->viewer)
        layout.composer_rows =
            composer_rows(screen->composer, columns, most > 0 ? most : 1);
    layout.composer = rows - 1 - layout.composer_rows;
    if (layout.composer < 0)
        layout.composer = 0;
    layout.body = layout.composer;
    if (screen->attachments.len + screen->queued.len > 0 && layout.body > 1)
        layout.attachments = --layout.body;
    if (rows >= RULE_ROWS)
        layout.rule = --layout.body;
    layout.pane = pane_width(screen, columns);
    return layout;
}

static void paint_rule(const struct screen *screen, const struct layout *layout,
                       const char *hint)
{
    const char *more = screen->transcript.follow ? "" : " ↓ more, Ctrl-End ";
    int width = text_width(more, strlen(more)), x = layout->columns - width - 2;

    for (int i = 0; i < layout->columns; i++)
        terminal_put(screen->terminal, layout->rule, i, 1, STYLE_MUTED, "─", strlen("─"));
    if (more[0] != '\0' && x > 0)
        terminal_put(screen->terminal, layout->rule, x, width, STYLE_NOTICE, more,
                     strlen(more));
    if (hint[0] == '\0')
        return;
    terminal_put(screen->terminal, layout->rule, 2, 1, STYLE_TEXT, " ", 1);
    x = 3 + terminal_put(screen->terminal, layout->rule, 3, layout->columns - 6,
                         STYLE_NOTICE, hint, strlen(hint));
    terminal_put(screen->terminal, layout->rule, x, 1, STYLE_TEXT, " ", 1);
}

static void short_number(struct str *out, size_t value)
{
    if (value < 10000)
        str_printf(out, "%zu", value);
    else
        str_printf(out, "%.*fk", value < 100000 ? 1 : 0, (double)value / 1000);
}

static void describe_numbers(const struct screen *screen, struct str *out)
{
    const struct ui_status *status = &screen->status;

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

static void paint_status(const struct screen *screen, const struct layout *layout,
                         const char *hint)
{
    int y = layout->rows - 1, x = 1, end = layout->columns - 1, width;
    struct str text;

    str_init(&text, 0);
    terminal_fill(screen->terminal, y, 0, layout->columns, STYLE_STATUS);
    if (hint[0] != '\0') {
        terminal_put(screen->terminal, y, x, end - x, STYLE_STATUS, hint, strlen(hint));
        return;
    }
    if (screen->state != NULL)
        str_append(&text, screen->state);
    if (screen->status.fraction >= 0)
        str_printf(&text, " %.0f %%", screen->status.fraction * 100);
    x += terminal_put(screen->terminal, y, x, end - x, STYLE_STATE, text.data, text.len) +
         2;
    str_reset(&text);
    describe_numbers(screen, &text);
    width = text_width(text.data, text.len);
    if (end - width > x) {
        terminal_put(screen->terminal, y, end - width, width, STYLE_STATUS, text.data,
                     text.len);
        end -= width + 2;
    }
    str_reset(&text);
    str_printf(
        &text, "%s%s%s%s%s", screen->model != NULL ? screen->model : "",
        screen->device != NULL ? " · " : "", screen->device != NULL ? screen->device : "",
        screen->title != NULL ? " · " : "", screen->title != NULL ? screen->title : "");
    if (end > x)
        terminal_put(screen->terminal, y, x, end - x, STYLE_STATUS, text.data, text.len);
    str_release(&text);
}

static void paint_help(struct screen *screen, int y, int x, int height, int width)
{
    size_t last;

    lines_reset(&screen->help);
    help_lines(&screen->help, width > 2 ? width - 2 : width);
    last = screen->help.count > (size_t)height ? screen->help.count - (size_t)height : 0;
    if (screen->help_top > last)
        screen->help_top = last;
    for (int row = 0; row < height; row++) {
        size_t index = screen->help_top + (size_t)row;
        int used = 1;

        if (index >= screen->help.count)
            return;
        for (size_t i = 0; i < screen->help.lines[index].run_count; i++) {
            const struct run *run =
                &screen->help.runs[screen->help.lines[index].first_run + i];

            used +=
                terminal_put(screen->terminal, y + row, x + used, width - used,
                             run->style, screen->help.text.data + run->start, run->len);
        }
    }
}

static void paint_body(struct screen *screen, const struct layout *layout)
{
    int x = layout->pane, width = layout->columns - layout->pane;

    if (layout->pane > 0)
        pane_paint(&screen->pane, screen->terminal, 0, 0, layout->body, layout->pane,
                   screen->pane_focused);
    if (width <= 0)
        return;
    if (screen->help_visible)
        paint_help(screen, 0, x, layout->body, width);
    else
        transcript_paint(&screen->transcript, screen->terminal, 0, x + (width > 30),
                         layout->body, width > 30 ? width - 2 : width);
}

// As many names as fit, then how many there are besides. Returns the next column.
static int paint_attachments(const struct screen *screen, int y, int x, int columns)
{
    int end = columns - 1 - (int)strlen(ATTACHMENTS_MORE), more = 0;

    for (const char *name = screen->attachments.data; name[0] != '\0';) {
        size_t len = strcspn(name, "\n");

        if (more > 0 || (x > 2 && x + text_width(name, len) > end))
            more++;
        else
            x += terminal_put(screen->terminal, y, x, end - x, STYLE_LINK, name, len) + 2;
        name += len + 1;
    }
    if (more > 0) {
        char text[sizeof(ATTACHMENTS_MORE) + 10];
        int len = snprintf(text, sizeof(text), "+%d", more);

        x += terminal_put(screen->terminal, y, x, columns - 1 - x, STYLE_MUTED, text,
                          (size_t)len) +
             2;
    }
    return x;
}

// What goes with the next message, and the one that waits to be sent.
static void paint_waiting(const struct screen *screen, int y, int columns)
{
    int x = paint_attachments(screen, y, 2, columns);

    if (x < columns - 1)
        terminal_put(screen->terminal, y, x, columns - x - 1, STYLE_NOTICE,
                     screen->queued.data, screen->queued.len);
}

static void paint(struct screen *screen)
{
    const char *hint =
        screen->hint.len > 0 ? screen->hint.data : composer_hint(screen->composer);
    int rows, columns, y = -1, x = 0;
    struct layout layout;

    terminal_begin(screen->terminal, &rows, &columns);
    previews_begin(&screen->previews);
    layout = lay_out(screen, rows, columns);
    paint_body(screen, &layout);
    if (layout.rule >= 0)
        paint_rule(screen, &layout, hint);
    if (layout.attachments >= 0)
        paint_waiting(screen, layout.attachments, columns);
    if (rows > 1)
        paint_status(screen, &layout, layout.rule >= 0 ? "" : hint);
    if (!screen->viewer)
        composer_paint(screen->composer, screen->terminal, layout.composer, 0,
                       layout.composer_rows, columns, &y, &x);
    terminal_end(screen->terminal, screen->pane_focused || screen->help_visible ? -1 : y,
                 x < columns ? x : columns - 1);
}

// Asks for the pixels of the pictures that are on the screen. What there is no room for
// is asked when the next frame is painted.
static bool ask_pictures(struct screen *screen)
{
    size_t block;

    while (screen->events.count < EVENTS_MAX / 2 &&
           transcript_wanted(&screen->transcript, &block))
        events_push(&screen->events,
                    &(struct ui_event){ .kind = UI_EVENT_PICTURE, .block = block });
    return screen->events.count < EVENTS_MAX / 2;
}

void screen_paint(struct screen *screen)
{
    int64_t now = clock_ns();

    if (graphics_kind(&screen->previews.graphics, now) != screen->painted_kind)
        screen->dirty = true;
    if (!screen->dirty || now < frame_due_ns(screen))
        return;
    screen->painted_kind = graphics_kind(&screen->previews.graphics, now);
    paint(screen);
    screen->urgent = false;
    screen->dirty = !ask_pictures(screen);
    screen->painted_ns = clock_ns();
    screen->frame_ns = screen->painted_ns - now;
}

// ---------------------------------------------------------------------------
// What the owner says

size_t screen_add_block(struct screen *screen, const struct ui_block *block)
{
    screen->dirty = true;
    return transcript_add(&screen->transcript, block);
}

void screen_append(struct screen *screen, size_t block, const char *text, size_t len)
{
    screen->dirty = true;
    transcript_append(&screen->transcript, block, text, len);
}

void screen_finish_block(struct screen *screen, size_t block, const char *meta)
{
    screen->dirty = true;
    transcript_change(&screen->transcript, block, meta, false);
}

size_t screen_block_count(const struct screen *screen)
{
    return screen->transcript.count;
}

void screen_truncate(struct screen *screen, size_t count)
{
    screen->dirty = true;
    transcript_truncate(&screen->transcript, count);
}

void screen_follow(struct screen *screen)
{
    screen->dirty = true;
    transcript_end(&screen->transcript);
}

void screen_read_from(struct screen *screen, size_t block)
{
    screen->dirty = true;
    if (block > 0 && block != screen->transcript.read_from)
        set_hint(screen, "The oldest turns have left the model's context");
    transcript_read_from(&screen->transcript, block);
}

void screen_set_picture(struct screen *screen, size_t block,
                        const struct ui_picture *picture)
{
    screen->dirty = true;
    transcript_set_picture(&screen->transcript, block, picture);
}

static void replace(char **to, const char *from)
{
    char *copy = from != NULL && from[0] != '\0' ? alloc_string(from) : NULL;

    free(*to);
    *to = copy;
}

void screen_set_status(struct screen *screen, const struct ui_status *status)
{
    screen->dirty = true;
    screen->status = *status;
    replace(&screen->state, status->state);
    replace(&screen->title, status->title);
    replace(&screen->model, status->model);
    replace(&screen->device, status->device);
}

void screen_set_entries(struct screen *screen, const char *heading,
                        const struct ui_entry *entries, size_t count)
{
    screen->dirty = true;
    pane_set(&screen->pane, heading, entries, count);
}

void screen_hint(struct screen *screen, const char *text)
{
    touch(screen);
    set_hint(screen, text);
}

const char *screen_message(const struct screen *screen)
{
    return composer_text(screen->composer);
}

void screen_set_message(struct screen *screen, const char *text)
{
    touch(screen);
    composer_set(screen->composer, text);
}

void screen_insert(struct screen *screen, const char *text)
{
    touch(screen);
    composer_insert(screen->composer, text, strlen(text));
    if (screen->events.count < EVENTS_MAX)
        push_typed(screen);
}

void screen_set_attachments(struct screen *screen, const char *const *names, size_t count)
{
    touch(screen);
    str_reset(&screen->attachments);
    for (size_t i = 0; i < count; i++)
        str_printf(&screen->attachments, "▣ %s\n", names[i]);
}

void screen_set_queued(struct screen *screen, const char *text)
{
    touch(screen);
    str_reset(&screen->queued);
    if (text == NULL)
        return;
    str_append(&screen->queued, "queued: ");
    for (; *text != '\0'; text++)
        str_append_char(&screen->queued, *text == '\n' ? ' ' : *text);
}

bool screen_copy(struct screen *screen, const char *text, size_t len)
{
    return terminal_copy(screen->terminal, text, len);
}
