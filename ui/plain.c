// ui/plain.c
// SPDX-License-Identifier: MIT
//
// Blocks are written when they are added; when the owner adds again what was written at
// the same place before (it shows a conversation anew), nothing is written. While a reply
// is being written there is no prompt.
#include "ui/plain.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/log.h"
#include "base/printable.h"
#include "ui/events.h"
#include "ui/help.h"
#include "ui/prompt.h"

#define COPY_MAX   ((size_t)74994) // as terminal.c
#define LEAVE_NS   ((int64_t)3000000000)
#define WORD_MAX   20 // bytes of a word that has not ended
#define QUOTED     40 // bytes of a message, to name it
#define EVENTS_LOW (EVENTS_MAX / 2)

struct plain {
    struct events events;
    struct prompt *prompt;
    bool mid_line;      // what was written last has not ended its line
    struct str *blocks; // what stands on the terminal, [count] of it still valid
    size_t count, written, cap;
    size_t streaming;  // the block that is being written; SIZE_MAX: none
    size_t shown;      // bytes of it that are on the terminal
    char *speaker;     // of it, until its first word; NULL: has been said
    bool awaiting;     // the owner has not answered what was sent
    bool busy;         // a reply is being written
    bool list_due;     // the next list is wanted
    char *sent;        // stands on the terminal already
    struct str state;  // that was said last
    struct str meta;   // that was said last
    size_t meta_block; // of which
    size_t read_from;  // that was said last
    struct str around; // pictures that were said last
    char **ids;        // of the list that was written last
    size_t id_count;
    int signals;
    sigset_t old_mask;
    int64_t leave_ns;
};

// ---------------------------------------------------------------------------
// Writing

static void put(struct plain *plain, const char *bytes, size_t len)
{
    struct str text;

    if (len == 0)
        return;
    plain->mid_line = bytes[len - 1] != '\n';
    str_init(&text, 0);
    printable_append(&text, bytes, len);
    fwrite(text.data, 1, text.len, stdout);
    fflush(stdout);
    str_release(&text);
}

// What is being typed stays above, and comes back with the next prompt.
static void begin_line(struct plain *plain)
{
    if (prompt_hide(plain->prompt) || plain->mid_line)
        put(plain, "\n", 1);
}

static void say(struct plain *plain, const char *before, const char *text, size_t len)
{
    begin_line(plain);
    put(plain, before, strlen(before));
    put(plain, text, len);
    begin_line(plain);
}

static void remark(struct plain *plain, const char *text)
{
    char *line = alloc_printf("(%s)", text);

    say(plain, "", line, strlen(line));
    free(line);
}

// ---------------------------------------------------------------------------
// Editing

static void push_line(struct plain *plain, char *line)
{
    enum ui_action action;
    char *argument;

    plain->awaiting = true;
    if (!help_parse(line, &action, &argument)) {
        free(plain->sent);
        plain->sent = alloc_string(line);
        events_push(&plain->events,
                    &(struct ui_event){ .kind = UI_EVENT_SEND, .text = line });
        return;
    }
    if (action == UI_OPEN && argument[0] != '\0' &&
        strspn(argument, "0123456789") == strlen(argument)) {
        unsigned long number = strtoul(argument, NULL, 10);

        if (number >= 1 && number <= plain->id_count) {
            free(argument);
            argument = alloc_string(plain->ids[number - 1]);
        }
    }
    if (action == UI_HELP) {
        for (int i = 0; i < UI_ACTION_COUNT; i++)
            if (ui_actions[i].command != NULL && !help_needs_screen((enum ui_action)i)) {
                char *entry = alloc_printf("/%s %s: ", ui_actions[i].command,
                                           ui_actions[i].argument);

                say(plain, entry, ui_actions[i].summary, strlen(ui_actions[i].summary));
                free(entry);
            }
    } else if (action == UI_ACTION_COUNT) {
        remark(plain, "there is no such command; /help lists them");
    } else if (help_needs_screen(action)) {
        remark(plain, "that needs the full screen");
    } else {
        events_push(&plain->events, &(struct ui_event){ .kind = UI_EVENT_ACTION,
                                                        .action = action,
                                                        .text = argument });
    }
    free(argument);
}

static void on_line(void *user, char *line)
{
    struct plain *plain = user;

    if (line == NULL) {
        plain->awaiting = true;
        events_push(&plain->events,
                    &(struct ui_event){ .kind = UI_EVENT_ACTION, .action = UI_QUIT });
    } else if (line[strspn(line, " \t\n")] != '\0') {
        push_line(plain, line);
    }
    free(line);
    events_push(&plain->events, &(struct ui_event){ .kind = UI_EVENT_TYPED });
}

static void edit(struct plain *plain)
{
    if (plain->events.count < EVENTS_LOW && prompt_edit(plain->prompt))
        events_push(&plain->events, &(struct ui_event){ .kind = UI_EVENT_TYPED });
}

void plain_paint(struct plain *plain)
{
    if (plain->busy || plain->awaiting)
        return;
    prompt_show(plain->prompt);
    edit(plain);
}

// ---------------------------------------------------------------------------
// Reading

static void on_interrupt(struct plain *plain)
{
    int64_t now = clock_ns();

    if (plain->busy) {
        events_push(&plain->events,
                    &(struct ui_event){ .kind = UI_EVENT_ACTION, .action = UI_STOP });
    } else if (plain->leave_ns != 0 && now - plain->leave_ns < LEAVE_NS) {
        events_push(&plain->events,
                    &(struct ui_event){ .kind = UI_EVENT_ACTION, .action = UI_QUIT });
    } else if (plain_message(plain)[0] != '\0') {
        plain_set_message(plain, "");
    } else {
        plain->leave_ns = now;
        remark(plain, "Ctrl-C again leaves oriel");
    }
}

static void read_signal(struct plain *plain)
{
    struct signalfd_siginfo info;

    if (read(plain->signals, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGINT)
        on_interrupt(plain);
    else if (info.ssi_signo == SIGTSTP) {
        begin_line(plain);
        prompt_stop(plain->prompt);
    } else if (info.ssi_signo == SIGWINCH)
        prompt_resized(plain->prompt);
    else
        events_push(&plain->events, &(struct ui_event){ .kind = UI_EVENT_SIGNAL,
                                                        .signal = (int)info.ssi_signo });
}

void plain_fds(const struct plain *plain, struct pollfd fds[SCREEN_FDS])
{
    bool listen = prompt_has_room(plain->prompt) && plain->events.count < EVENTS_LOW;

    fds[0] = (struct pollfd){ .fd = listen ? STDIN_FILENO : -1, .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = plain->signals, .events = POLLIN };
    for (int i = 2; i < SCREEN_FDS; i++)
        fds[i] = (struct pollfd){ .fd = -1 };
}

void plain_read(struct plain *plain)
{
    struct pollfd fds[SCREEN_FDS];

    while (plain->events.count < EVENTS_LOW) {
        plain_fds(plain, fds);
        if (poll(fds, SCREEN_FDS, 0) <= 0)
            return;
        if (fds[1].revents != 0)
            read_signal(plain);
        if (fds[0].revents != 0)
            prompt_read(plain->prompt);
        edit(plain);
    }
}

bool plain_next(struct plain *plain, struct ui_event *event)
{
    bool have = events_next(&plain->events, event);

    if (!have)
        plain->awaiting = false;
    return have;
}

bool plain_has_events(const struct plain *plain)
{
    return plain->events.count > 0;
}

// ---------------------------------------------------------------------------
// Life

static bool watch_signals(struct plain *plain, struct err *err)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH };
    sigset_t caught;

    sigemptyset(&caught);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaddset(&caught, numbers[i]);
    sigprocmask(SIG_BLOCK, &caught, &plain->old_mask);
    plain->signals = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
    return plain->signals >= 0 || err_set_errno(err, "signals");
}

struct plain *plain_open(const struct ui_params *params, struct err *err)
{
    struct plain *plain;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        err_set(err, ERR_USAGE, "there is no terminal to chat in; oriel ask needs none");
        return NULL;
    }
    plain = alloc_zero(sizeof(*plain));
    plain->streaming = SIZE_MAX;
    plain->awaiting = true;
    str_init(&plain->state, 0);
    str_init(&plain->around, 0);
    str_init(&plain->meta, 0);
    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C");
    plain->prompt = prompt_open(params->history_path, on_line, plain);
    if (watch_signals(plain, err))
        return plain;
    plain_close(&plain);
    return NULL;
}

static void forget_ids(struct plain *plain)
{
    for (size_t i = 0; i < plain->id_count; i++)
        free(plain->ids[i]);
    free(plain->ids);
    plain->ids = NULL;
    plain->id_count = 0;
}

void plain_close(struct plain **plain)
{
    struct plain *p = *plain;

    if (p == NULL)
        return;
    begin_line(p);
    prompt_close(&p->prompt);
    if (p->signals >= 0)
        close(p->signals);
    sigprocmask(SIG_SETMASK, &p->old_mask, NULL);
    for (size_t i = 0; i < p->written; i++)
        str_release(&p->blocks[i]);
    free(p->blocks);
    forget_ids(p);
    events_release(&p->events);
    str_release(&p->state);
    str_release(&p->around);
    str_release(&p->meta);
    free(p->speaker);
    free(p->sent);
    free(p);
    *plain = NULL;
}

// ---------------------------------------------------------------------------
// The transcript

static const char *speaker(const struct ui_block *block)
{
    switch (block->kind) {
    case UI_BLOCK_NOTICE:
        return "Note";
    case UI_BLOCK_ERROR:
        return "Error";
    case UI_BLOCK_IMAGE:
        return block->label != NULL ? block->label : "Picture";
    default:
        return block->label != NULL ? block->label : "";
    }
}

static void forget_from(struct plain *plain, size_t block)
{
    while (plain->written > block)
        str_release(&plain->blocks[--plain->written]);
}

// Who speaks, once there is something to be said: remarks may come before it.
static void say_speaker(struct plain *plain)
{
    if (plain->speaker == NULL)
        return;
    begin_line(plain);
    put(plain, plain->speaker, strlen(plain->speaker));
    put(plain, ": ", plain->speaker[0] != '\0' ? 2 : 0);
    free(plain->speaker);
    plain->speaker = NULL;
}

// Whole words only, until the end, unless they are very long.
static void show_stream(struct plain *plain, bool all)
{
    const struct str *text = &plain->blocks[plain->streaming];
    size_t end = text->len;

    while (!all && end > plain->shown && text->data[end - 1] != ' ' &&
           text->data[end - 1] != '\n')
        end--;
    if (text->len - end > WORD_MAX)
        end = text->len;
    if (end == plain->shown && !all)
        return;
    say_speaker(plain);
    put(plain, text->data + plain->shown, end - plain->shown);
    plain->shown = end;
}

static void end_stream(struct plain *plain)
{
    if (plain->streaming == SIZE_MAX)
        return;
    show_stream(plain, true);
    begin_line(plain);
    plain->streaming = SIZE_MAX;
}

static bool stands_there(const struct plain *plain, size_t index, const struct str *text)
{
    return index < plain->written && plain->blocks[index].len == text->len &&
           memcmp(plain->blocks[index].data, text->data, text->len) == 0;
}

static void write_block(struct plain *plain, const struct ui_block *block,
                        struct str *text)
{
    size_t index = plain->count;

    end_stream(plain);
    forget_from(plain, index);
    plain->blocks =
        alloc_grow(plain->blocks, plain->written, &plain->cap, sizeof(*plain->blocks));
    plain->blocks[plain->written++] = *text;
    if (block->kind == UI_BLOCK_USER && plain->sent != NULL &&
        strcmp(plain->sent, text->data) == 0) {
        free(plain->sent);
        plain->sent = NULL;
        return;
    }
    plain->speaker = alloc_string(speaker(block));
    if (block->streaming) {
        plain->streaming = index;
        plain->shown = 0;
        show_stream(plain, false);
        return;
    }
    say_speaker(plain);
    if (block->kind == UI_BLOCK_IMAGE)
        put(plain, "(picture) ", strlen("(picture) "));
    put(plain, text->data, text->len);
    begin_line(plain);
    if (block->meta != NULL && block->meta[0] != '\0')
        remark(plain, block->meta);
}

size_t plain_add_block(struct plain *plain, const struct ui_block *block)
{
    struct str text;

    str_init(&text, 0);
    str_append_n(&text, block->text, block->text_len);
    if (stands_there(plain, plain->count, &text) && !block->streaming)
        str_release(&text);
    else
        write_block(plain, block, &text);
    return plain->count++;
}

void plain_append(struct plain *plain, size_t block, const char *text, size_t len)
{
    if (block >= plain->written)
        return;
    str_append_n(&plain->blocks[block], text, len);
    if (block == plain->streaming)
        show_stream(plain, false);
}

void plain_finish_block(struct plain *plain, size_t block, const char *meta)
{
    if (block == plain->streaming)
        end_stream(plain);
    if (meta == NULL || meta[0] == '\0' ||
        (block == plain->meta_block && strcmp(meta, plain->meta.data) == 0))
        return;
    remark(plain, meta);
    plain->meta_block = block;
    str_reset(&plain->meta);
    str_append(&plain->meta, meta);
}

size_t plain_block_count(const struct plain *plain)
{
    return plain->count;
}

void plain_truncate(struct plain *plain, size_t count)
{
    if (count < plain->count)
        plain->count = count;
    if (plain->meta_block >= count)
        str_reset(&plain->meta);
    if (plain->read_from >= count)
        plain->read_from = 0;
}

// "two plus two is ...": enough of a text to find it again.
static char *beginning(const struct str *text)
{
    size_t len = strcspn(text->data, "\n"), end = len < QUOTED ? len : QUOTED;

    while (end < len && end > 0 && text->data[end] != ' ')
        end--;
    if (end == 0 && len > 0)
        end = len;
    return alloc_printf("%.*s%s", (int)end, text->data, end < text->len ? " ..." : "");
}

void plain_read_from(struct plain *plain, size_t block)
{
    char *quoted, *line;

    if (block == plain->read_from || block >= plain->count)
        return;
    plain->read_from = block;
    if (block == 0)
        return;
    quoted = beginning(&plain->blocks[block]);
    line = alloc_printf("the model no longer reads what was said before: %s", quoted);
    remark(plain, line);
    free(quoted);
    free(line);
}

// ---------------------------------------------------------------------------
// Around it

void plain_set_status(struct plain *plain, const struct ui_status *status)
{
    bool ready = status->model != NULL && strcmp(status->state, "ready") == 0;
    char *state = ready ? alloc_printf("ready: %s on %s", status->model, status->device)
                        : alloc_string(status->state);

    plain->busy = status->busy;
    if (!status->busy && strcmp(state, plain->state.data) != 0 && state[0] != '\0') {
        str_reset(&plain->state);
        str_append(&plain->state, state);
        end_stream(plain);
        remark(plain, state);
    }
    free(state);
}

void plain_set_entries(struct plain *plain, const char *heading,
                       const struct ui_entry *entries, size_t count)
{
    if (!plain->list_due)
        return;
    plain->list_due = false;
    forget_ids(plain);
    plain->ids = alloc_array(count, sizeof(*plain->ids));
    say(plain, heading, ":", 1);
    for (size_t i = 0; i < count; i++) {
        char *line = alloc_printf("%zu. %s, %s%s", i + 1, entries[i].title,
                                  entries[i].detail, entries[i].current ? ", open" : "");

        plain->ids[plain->id_count++] = alloc_string(entries[i].id);
        say(plain, "", line, strlen(line));
        free(line);
    }
    remark(plain, "/open NUMBER opens one");
}

bool plain_entries_visible(const struct plain *plain)
{
    return plain->list_due;
}

void plain_show_entries(struct plain *plain, bool visible)
{
    plain->list_due = visible;
}

void plain_hint(struct plain *plain, const char *text)
{
    remark(plain, text);
}

const char *plain_message(const struct plain *plain)
{
    return prompt_text(plain->prompt);
}

void plain_set_message(struct plain *plain, const char *text)
{
    if (strcmp(plain_message(plain), text) == 0)
        return;
    begin_line(plain);
    prompt_set_text(plain->prompt, text);
}

void plain_insert(struct plain *plain, const char *text)
{
    char *both = alloc_printf("%s%s", plain_message(plain), text);

    plain_set_message(plain, both);
    free(both);
}

void plain_set_attachments(struct plain *plain, const char *const *names, size_t count)
{
    struct str text;

    str_init(&text, 0);
    for (size_t i = 0; i < count; i++)
        str_printf(&text, "%s%s", i > 0 ? ", " : "attached: ", names[i]);
    if (strcmp(text.data, plain->around.data) != 0 && count > 0)
        remark(plain, text.data);
    str_release(&plain->around);
    plain->around = text;
}

void plain_set_queued(struct plain *plain, const char *text)
{
    if (text != NULL)
        say(plain, "(queued) ", text, strlen(text));
}

bool plain_copy(struct plain *plain, const char *text, size_t len)
{
    const char *name = getenv("TERM");
    struct str sequence;

    if (len > COPY_MAX || name == NULL || strcmp(name, "dumb") == 0)
        return false;
    begin_line(plain);
    str_init(&sequence, 0);
    str_append(&sequence, "\033]52;c;");
    base64_encode(text, len, &sequence);
    str_append(&sequence, "\033\\");
    fwrite(sequence.data, 1, sequence.len, stdout);
    fflush(stdout);
    str_release(&sequence);
    return true;
}
