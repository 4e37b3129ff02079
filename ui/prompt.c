// ui/prompt.c
// SPDX-License-Identifier: MIT
#include "ui/prompt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/readline.h>

#include "base/alloc.h"
#include "base/str.h"
#include "ui/completion.h"
#include "ui/lines_sent.h"
#include "ui/watcher.h"

#define PROMPT      "You: "
#define AHEAD_MAX   ((size_t)1 << 20) // bytes typed ahead; more waits in the terminal
#define READ_BYTES  4096
#define PASTE_BEGIN "\033[200~"
#define PASTE_END   "\033[201~"

struct prompt {
    prompt_on_line *on_line;
    void *user;
    struct watcher *watcher;
    bool shown;       // readline has the line
    char *text;       // kept while it is not; NULL: none
    struct str ahead; // typed, and not yet given to readline
    size_t used;      // of it
    bool ended;       // the terminal will not send any more
};

static struct prompt *the_prompt; // readline's functions take no argument of ours

// ---------------------------------------------------------------------------
// What readline calls

static int next_byte(FILE *file)
{
    struct prompt *prompt = the_prompt;

    if (prompt->used < prompt->ahead.len)
        return (unsigned char)prompt->ahead.data[prompt->used++];
    return prompt->ended ? EOF : rl_getc(file);
}

static int is_input_available(void)
{
    return the_prompt->used < the_prompt->ahead.len || the_prompt->ended ||
           poll(&(struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN }, 1, 0) > 0;
}

static void on_line(char *line)
{
    struct prompt *prompt = the_prompt;

    rl_callback_handler_remove();
    prompt->shown = false;
    if (line != NULL && line[strspn(line, " \t\n")] != '\0')
        history_remember(line);
    prompt->on_line(prompt->user, line);
}

// ---------------------------------------------------------------------------
// The terminal

static void take(struct prompt *prompt)
{
    rl_prep_terminal(1);
    watcher_set(prompt->watcher, true);
}

static void give_back(struct prompt *prompt)
{
    watcher_set(prompt->watcher, false);
    rl_deprep_terminal();
}

struct prompt *prompt_open(const char *history_path, prompt_on_line *line, void *user)
{
    struct prompt *prompt = alloc_zero(sizeof(*prompt));

    *prompt = (struct prompt){ .on_line = line, .user = user };
    str_init(&prompt->ahead, 0);
    the_prompt = prompt;
    rl_readline_name = "oriel";
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_change_environment = 0;
    rl_prep_term_function = NULL; // it is ours between two prompts too
    rl_deprep_term_function = NULL;
    rl_getc_function = next_byte;
    rl_input_available_hook = is_input_available;
    rl_instream = stdin;
    rl_outstream = stdout;
    completion_install();
    history_open(history_path);
    prompt->watcher = watcher_start(STDIN_FILENO, "");
    rl_initialize();
    take(prompt);
    return prompt;
}

void prompt_close(struct prompt **prompt)
{
    struct prompt *p = *prompt;

    if (p == NULL)
        return;
    if (p->shown)
        rl_callback_handler_remove();
    give_back(p);
    watcher_stop(&p->watcher);
    history_close();
    completion_release();
    str_release(&p->ahead);
    free(p->text);
    free(p);
    *prompt = NULL;
    the_prompt = NULL;
}

void prompt_stop(struct prompt *prompt)
{
    sigset_t stop;

    give_back(prompt);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    kill(0, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, NULL); // it stops here
    sigprocmask(SIG_BLOCK, &stop, NULL);
    take(prompt);
}

void prompt_resized(struct prompt *prompt)
{
    if (prompt->shown)
        rl_resize_terminal();
}

// ---------------------------------------------------------------------------
// The line

void prompt_show(struct prompt *prompt)
{
    if (prompt->shown)
        return;
    rl_callback_handler_install(PROMPT, on_line);
    prompt->shown = true;
    if (prompt->text != NULL)
        rl_insert_text(prompt->text);
    free(prompt->text);
    prompt->text = NULL;
    rl_redisplay();
}

bool prompt_hide(struct prompt *prompt)
{
    if (!prompt->shown)
        return false;
    prompt_set_text(prompt, rl_line_buffer);
    rl_callback_handler_remove();
    prompt->shown = false;
    return true;
}

bool prompt_is_shown(const struct prompt *prompt)
{
    return prompt->shown;
}

const char *prompt_text(const struct prompt *prompt)
{
    if (prompt->shown)
        return rl_line_buffer;
    return prompt->text != NULL ? prompt->text : "";
}

void prompt_set_text(struct prompt *prompt, const char *text)
{
    char *copy = alloc_string(text);

    free(prompt->text);
    prompt->text = copy;
}

// ---------------------------------------------------------------------------
// Typing

bool prompt_has_room(const struct prompt *prompt)
{
    return !prompt->ended && prompt->ahead.len < AHEAD_MAX;
}

void prompt_read(struct prompt *prompt)
{
    char bytes[READ_BYTES];
    ssize_t len = read(STDIN_FILENO, bytes, sizeof(bytes));

    if (len > 0)
        str_append_n(&prompt->ahead, bytes, (size_t)len);
    else if (len == 0 || (errno != EINTR && errno != EAGAIN))
        prompt->ended = true;
}

// How many bytes may be edited with. A paste that has not ended yet, or the beginning of
// what announces one, stays behind: readline would wait for the rest, and everybody with
// it.
static size_t whole(const struct prompt *prompt)
{
    const char *at = prompt->ahead.data + prompt->used, *paste;
    const char *end = prompt->ahead.data + prompt->ahead.len;
    size_t mark = strlen(PASTE_BEGIN);

    if (!prompt_has_room(prompt))
        return prompt->ahead.len;
    while ((paste = memmem(at, (size_t)(end - at), PASTE_BEGIN, mark)) != NULL) {
        at = memmem(paste, (size_t)(end - paste), PASTE_END, mark);
        if (at == NULL)
            return (size_t)(paste - prompt->ahead.data);
    }
    while (--mark > 2) // Escape alone is a key
        if (prompt->ahead.len - prompt->used >= mark &&
            memcmp(end - mark, PASTE_BEGIN, mark) == 0)
            return prompt->ahead.len - mark;
    return prompt->ahead.len;
}

static void forget_used(struct prompt *prompt)
{
    size_t left = prompt->ahead.len - prompt->used;

    memmove(prompt->ahead.data, prompt->ahead.data + prompt->used, left);
    str_truncate(&prompt->ahead, left);
    prompt->used = 0;
}

bool prompt_edit(struct prompt *prompt)
{
    size_t end = whole(prompt);

    if (!prompt->shown || (end == 0 && !prompt->ended))
        return false;
    while (prompt->shown && (prompt->used < end || prompt->ended))
        rl_callback_read_char();
    forget_used(prompt);
    return true;
}
