// ui/ui.c
// SPDX-License-Identifier: MIT
//
// The thread that answers keys. It alone reads the terminal and paints; the owner's calls
// change what will be painted, under the lock, and wake it. The lock is never held while
// anything waits: not for the disk, not for the engine, not while $EDITOR runs.
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "ui/completion.h"
#include "ui/editor.h"
#include "ui/markdown.h"
#include "ui/paths.h"
#include "ui/plain.h"
#include "ui/screen.h"
#include "ui/terminal.h"
#include "ui/ui.h"

struct ui {
    struct screen *screen; // one of the two
    struct plain *plain;
    pthread_mutex_t lock; // of both, recursive
    pthread_t thread;
    int thread_fd, owner_fd; // wake the one, tell the other
    bool ending;
    char *message; // that ui_message has handed out
};

#define FACE(ui, what, ...)                                                              \
    ((ui)->plain != NULL ? plain_##what((ui)->plain __VA_OPT__(, ) __VA_ARGS__)          \
                         : screen_##what((ui)->screen __VA_OPT__(, ) __VA_ARGS__))

// ---------------------------------------------------------------------------
// The thread

static void signal_fd(int fd)
{
    eventfd_write(fd, 1); // fails only when it is told more often than can be counted
}

static void drain(int fd)
{
    eventfd_t value;

    eventfd_read(fd, &value);
}

static void tell_owner(struct ui *ui)
{
    if (FACE(ui, has_events))
        signal_fd(ui->owner_fd);
}

static void wait_for_something(struct ui *ui)
{
    struct pollfd fds[SCREEN_FDS + 1];
    int timeout;

    pthread_mutex_lock(&ui->lock);
    FACE(ui, paint);
    tell_owner(ui); // painting may have asked for pictures
    FACE(ui, fds, fds);
    timeout = ui->plain != NULL ? -1 : screen_timeout_ms(ui->screen);
    pthread_mutex_unlock(&ui->lock);
    fds[SCREEN_FDS] = (struct pollfd){ .fd = ui->thread_fd, .events = POLLIN };
    if (poll(fds, SCREEN_FDS + 1, timeout) > 0 && fds[SCREEN_FDS].revents != 0)
        drain(ui->thread_fd);
}

// The owner's calls go on meanwhile; only nothing is painted.
static void edit_message(struct ui *ui, struct str *text)
{
    struct err err = { 0 };
    bool ok;

    pthread_mutex_unlock(&ui->lock);
    ok = editor_run(text, &err);
    pthread_mutex_lock(&ui->lock);
    screen_editor_end(ui->screen, ok ? text : NULL);
    if (err.code != ERR_NONE)
        ui_error(ui, &err);
    screen_read(ui->screen); // keys that were typed before it
}

static void read_keys(struct ui *ui)
{
    struct str text;

    FACE(ui, read);
    str_init(&text, 0);
    if (ui->screen != NULL && screen_editor_begin(ui->screen, &text))
        edit_message(ui, &text);
    str_release(&text);
    tell_owner(ui);
}

static void *run(void *user)
{
    struct ui *ui = user;
    bool ending = false;

    terminal_use_signal_stack(true);
    while (!ending) {
        wait_for_something(ui);
        pthread_mutex_lock(&ui->lock);
        ending = ui->ending;
        if (!ending)
            read_keys(ui);
        pthread_mutex_unlock(&ui->lock);
    }
    terminal_use_signal_stack(false);
    return NULL;
}

// ---------------------------------------------------------------------------
// Life

static bool start(struct ui *ui, struct err *err)
{
    pthread_mutexattr_t attributes;
    int failed;

    ui->thread_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ui->owner_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ui->thread_fd < 0 || ui->owner_fd < 0)
        return err_set_errno(err, "eventfd");
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&ui->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    failed = pthread_create(&ui->thread, NULL, run, ui);
    if (failed == 0)
        return true;
    pthread_mutex_destroy(&ui->lock);
    errno = failed;
    return err_set_errno(err, "a thread for the screen");
}

static void release(struct ui *ui)
{
    screen_close(&ui->screen);
    plain_close(&ui->plain);
    if (ui->thread_fd >= 0)
        close(ui->thread_fd);
    if (ui->owner_fd >= 0)
        close(ui->owner_fd);
    free(ui->message);
    free(ui);
}

struct ui *ui_open(const struct ui_params *params, struct err *err)
{
    struct ui *ui = alloc_zero(sizeof(*ui));

    ui->thread_fd = ui->owner_fd = -1;
    if (params->plain)
        ui->plain = plain_open(params, err);
    else
        ui->screen = screen_open(params, err);
    if ((ui->plain != NULL || ui->screen != NULL) && start(ui, err))
        return ui;
    release(ui);
    return NULL;
}

void ui_close(struct ui **ui)
{
    struct ui *u = *ui;

    if (u == NULL)
        return;
    pthread_mutex_lock(&u->lock);
    u->ending = true;
    pthread_mutex_unlock(&u->lock);
    signal_fd(u->thread_fd);
    pthread_join(u->thread, NULL);
    pthread_mutex_destroy(&u->lock);
    release(u);
    *ui = NULL;
}

void ui_hold(struct ui *ui)
{
    pthread_mutex_lock(&ui->lock);
}

void ui_let(struct ui *ui)
{
    tell_owner(ui);
    pthread_mutex_unlock(&ui->lock);
    signal_fd(ui->thread_fd);
}

// ---------------------------------------------------------------------------
// Events

int ui_fd(const struct ui *ui)
{
    return ui->owner_fd;
}

bool ui_next(struct ui *ui, struct ui_event *event)
{
    bool have;

    pthread_mutex_lock(&ui->lock);
    have = FACE(ui, next, event);
    if (!have)
        drain(ui->owner_fd);
    pthread_mutex_unlock(&ui->lock);
    signal_fd(ui->thread_fd); // keys may have waited for room
    return have;
}

// ---------------------------------------------------------------------------
// What the owner says

size_t ui_add_block(struct ui *ui, const struct ui_block *block)
{
    size_t index;

    ui_hold(ui);
    index = FACE(ui, add_block, block);
    ui_let(ui);
    return index;
}

void ui_append(struct ui *ui, size_t block, const char *text, size_t len)
{
    ui_hold(ui);
    FACE(ui, append, block, text, len);
    ui_let(ui);
}

void ui_finish_block(struct ui *ui, size_t block, const char *meta)
{
    ui_hold(ui);
    FACE(ui, finish_block, block, meta);
    ui_let(ui);
}

size_t ui_block_count(struct ui *ui)
{
    size_t count;

    ui_hold(ui);
    count = FACE(ui, block_count);
    ui_let(ui);
    return count;
}

void ui_truncate(struct ui *ui, size_t count)
{
    ui_hold(ui);
    FACE(ui, truncate, count);
    ui_let(ui);
}

void ui_follow(struct ui *ui)
{
    ui_hold(ui);
    if (ui->screen != NULL)
        screen_follow(ui->screen);
    ui_let(ui);
}

void ui_read_from(struct ui *ui, size_t block)
{
    ui_hold(ui);
    FACE(ui, read_from, block);
    ui_let(ui);
}

static void add_line(struct ui *ui, enum ui_block_kind kind, const char *text)
{
    ui_add_block(
        ui, &(struct ui_block){ .kind = kind, .text = text, .text_len = strlen(text) });
}

void ui_notice(struct ui *ui, const char *format, ...)
{
    va_list args;
    char line[1024];

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    add_line(ui, UI_BLOCK_NOTICE, line);
}

void ui_error(struct ui *ui, const struct err *err)
{
    add_line(ui, UI_BLOCK_ERROR, err->text);
}

void ui_set_picture(struct ui *ui, size_t block, const struct ui_picture *picture)
{
    ui_hold(ui);
    if (ui->screen != NULL)
        screen_set_picture(ui->screen, block, picture);
    ui_let(ui);
}

void ui_set_status(struct ui *ui, const struct ui_status *status)
{
    ui_hold(ui);
    FACE(ui, set_status, status);
    ui_let(ui);
}

void ui_set_entries(struct ui *ui, const char *heading, const struct ui_entry *entries,
                    size_t count)
{
    ui_hold(ui);
    FACE(ui, set_entries, heading, entries, count);
    ui_let(ui);
}

bool ui_entries_visible(struct ui *ui)
{
    bool visible;

    ui_hold(ui);
    visible = FACE(ui, entries_visible);
    ui_let(ui);
    return visible;
}

void ui_show_entries(struct ui *ui, bool visible)
{
    ui_hold(ui);
    FACE(ui, show_entries, visible);
    ui_let(ui);
}

void ui_hint(struct ui *ui, const char *text)
{
    ui_hold(ui);
    FACE(ui, hint, text);
    ui_let(ui);
}

const char *ui_message(struct ui *ui)
{
    ui_hold(ui);
    free(ui->message);
    ui->message = alloc_string(FACE(ui, message));
    ui_let(ui);
    return ui->message;
}

void ui_set_message(struct ui *ui, const char *text)
{
    ui_hold(ui);
    FACE(ui, set_message, text);
    ui_let(ui);
}

void ui_put_back(struct ui *ui, const char *text)
{
    const char *since;
    char *both;

    ui_hold(ui);
    since = FACE(ui, message);
    both = alloc_printf("%s%s%s", text, since[0] != '\0' ? "\n" : "", since);
    FACE(ui, set_message, both);
    ui_let(ui);
    free(both);
}

void ui_insert(struct ui *ui, const char *text)
{
    ui_hold(ui);
    FACE(ui, insert, text);
    ui_let(ui);
}

void ui_set_attachments(struct ui *ui, const char *const *names, size_t count)
{
    ui_hold(ui);
    FACE(ui, set_attachments, names, count);
    ui_let(ui);
}

void ui_set_queued(struct ui *ui, const char *text)
{
    ui_hold(ui);
    FACE(ui, set_queued, text);
    ui_let(ui);
}

void ui_set_names(struct ui *ui, enum ui_action action, const char *const *names,
                  size_t count)
{
    ui_hold(ui);
    completion_set(action, names, count);
    ui_let(ui);
}

char **ui_paths(const char *text, size_t *count)
{
    return paths_parse(text, strlen(text), count);
}

bool ui_copy(struct ui *ui, const char *text, size_t len)
{
    bool ok;

    ui_hold(ui);
    ok = FACE(ui, copy, text, len);
    ui_let(ui);
    return ok;
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
