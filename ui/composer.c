// ui/composer.c
// SPDX-License-Identifier: MIT
#include "ui/composer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "base/alloc.h"
#include "ui/completion.h"
#include "ui/glyph.h"
#include "ui/lines_sent.h"
#include "ui/theme.h"
#include "ui/ui.h"

#define PROMPT    "› "
#define CONTINUED "  "
#define HINT_MAX  400

struct composer {
    FILE *nowhere;    // for what readline would print
    struct str queue; // bytes for readline
    size_t queue_used;
    bool sent, ended, editor;
    char *line; // that was sent
    struct str hint;
    int first_row; // of the text, when it is longer than its rows
};

static struct composer *the_composer; // readline's functions take no argument of ours

// ---------------------------------------------------------------------------
// What readline calls

static int next_byte(FILE *file)
{
    struct composer *composer = the_composer;

    (void)file;
    if (composer->queue_used == composer->queue.len)
        return EOF;
    return (unsigned char)composer->queue.data[composer->queue_used++];
}

static int is_input_available(void)
{
    return the_composer->queue_used < the_composer->queue.len;
}

static void redisplay(void)
{
    // composer_paint reads readline's buffer when the next frame is drawn
}

static void on_line(char *line)
{
    struct composer *composer = the_composer;

    if (line == NULL) {
        composer->ended = true;
        return;
    }
    free(composer->line);
    composer->line = line;
    composer->sent = true;
}

static int insert_newline(int count, int key)
{
    (void)key;
    while (count-- > 0)
        rl_insert_text("\n");
    return 0;
}

static int open_editor(int count, int key)
{
    (void)count;
    (void)key;
    the_composer->editor = true;
    return 0;
}

static int line_start(int at)
{
    while (at > 0 && rl_line_buffer[at - 1] != '\n')
        at--;
    return at;
}

static int line_end(int at)
{
    while (at < rl_end && rl_line_buffer[at] != '\n')
        at++;
    return at;
}

// Moves to the byte that is about `columns` right of `start`, within its line.
static void go_to_column(int start, int columns)
{
    size_t len = (size_t)(line_end(start) - start);

    rl_point = start + (int)text_fit(rl_line_buffer + start, len, columns);
}

static int column_of_point(void)
{
    int start = line_start(rl_point);

    return text_width(rl_line_buffer + start, (size_t)(rl_point - start));
}

static int line_up(int count, int key)
{
    int start = line_start(rl_point);

    if (start == 0)
        return rl_get_previous_history(count, key);
    go_to_column(line_start(start - 1), column_of_point());
    return 0;
}

static int line_down(int count, int key)
{
    int end = line_end(rl_point);

    if (end == rl_end)
        return rl_get_next_history(count, key);
    go_to_column(end + 1, column_of_point());
    return 0;
}

static int to_line_start(int count, int key)
{
    (void)count;
    (void)key;
    rl_point = line_start(rl_point);
    return 0;
}

static int to_line_end(int count, int key)
{
    (void)count;
    (void)key;
    rl_point = line_end(rl_point);
    return 0;
}

// What completion has found, in one line.
static void show_matches(char **matches, int count, int longest)
{
    struct str *hint = &the_composer->hint;

    (void)longest;
    str_reset(hint);
    for (int i = 1; i <= count && hint->len < HINT_MAX; i++)
        str_printf(hint, "%s%s", i > 1 ? "  " : "", matches[i]);
}

// ---------------------------------------------------------------------------
// Life

static void bind(const char *sequence, rl_command_func_t *function)
{
    static const char *const maps[] = { "emacs", "vi-insert", "vi-command" };

    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
        rl_generic_bind(ISFUNC, sequence, (char *)function,
                        rl_get_keymap_by_name(maps[i]));
}

static void bind_keys(void)
{
    rl_add_defun("insert-newline", insert_newline, -1);
    rl_add_defun("edit-in-editor", open_editor, -1);
    bind("\n", insert_newline);
    bind("\033\r", insert_newline);
    bind("\033\n", insert_newline);
    bind("\033[13;2u", insert_newline); // Shift-Enter where it is told apart
    bind("\033[27;2;13~", insert_newline);
    bind("\030\005", open_editor);
    bind("\033[A", line_up);
    bind("\033OA", line_up);
    bind("\033[B", line_down);
    bind("\033OB", line_down);
    bind("\033[H", to_line_start);
    bind("\033OH", to_line_start);
    bind("\033[1~", to_line_start);
    bind("\033[F", to_line_end);
    bind("\033OF", to_line_end);
    bind("\033[4~", to_line_end);
}

static void set_up_readline(struct composer *composer)
{
    rl_readline_name = "oriel";
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_change_environment = 0;
    rl_prep_term_function = NULL;
    rl_deprep_term_function = NULL;
    rl_redisplay_function = redisplay;
    rl_getc_function = next_byte;
    rl_input_available_hook = is_input_available;
    completion_install();
    rl_completion_display_matches_hook = show_matches;
    rl_instream = rl_outstream = composer->nowhere;
    rl_initialize();
    rl_variable_bind("enable-bracketed-paste", "off"); // pastes come to us
    rl_variable_bind("bell-style", "none");
    bind_keys();
    rl_callback_handler_install(PROMPT, on_line);
}

struct composer *composer_create(const char *history_path)
{
    struct composer *composer = alloc_zero(sizeof(*composer));

    composer->nowhere = fopen("/dev/null", "r+e");
    str_init(&composer->queue, 0);
    str_init(&composer->hint, 0);
    the_composer = composer;
    history_open(history_path);
    set_up_readline(composer);
    return composer;
}

void composer_destroy(struct composer **composer)
{
    struct composer *c = *composer;

    if (c == NULL)
        return;
    rl_callback_handler_remove();
    history_close();
    completion_release();
    if (c->nowhere != NULL)
        fclose(c->nowhere);
    str_release(&c->queue);
    str_release(&c->hint);
    free(c->line);
    free(c);
    the_composer = NULL;
    *composer = NULL;
}

// ---------------------------------------------------------------------------
// Editing

static void feed(struct composer *composer, const char *bytes, size_t len)
{
    str_reset(&composer->queue);
    composer->queue_used = 0;
    str_append_n(&composer->queue, bytes, len);
    while (composer->queue_used < composer->queue.len)
        rl_callback_read_char();
}

void composer_insert(struct composer *composer, const char *bytes, size_t len)
{
    char *text = alloc_string_n(bytes, len);

    if (RL_ISSTATE(RL_STATE_ISEARCH | RL_STATE_NSEARCH))
        feed(composer, "\a", 1); // leaves the search
    rl_begin_undo_group();
    rl_insert_text(text);
    rl_end_undo_group();
    free(text);
}

enum composer_result composer_key(struct composer *composer, const struct key *key)
{
    str_reset(&composer->hint);
    composer->sent = composer->ended = composer->editor = false;
    if (key->kind == KEY_PASTE)
        composer_insert(composer, key->bytes, key->len);
    else
        feed(composer, key->bytes, key->len);
    if (composer->sent) {
        history_remember(composer->line);
        return COMPOSER_SEND;
    }
    return composer->ended    ? COMPOSER_END
           : composer->editor ? COMPOSER_EDITOR
                              : COMPOSER_ON;
}

const char *composer_take(struct composer *composer)
{
    return composer->line;
}

const char *composer_text(const struct composer *composer)
{
    (void)composer;
    return rl_line_buffer;
}

void composer_set(struct composer *composer, const char *text)
{
    (void)composer;
    rl_replace_line(text, 1);
    rl_point = rl_end;
    using_history(); // Up and Ctrl-R begin at the end
}

bool composer_empty(const struct composer *composer)
{
    (void)composer;
    return rl_end == 0;
}

bool composer_wants_escape(const struct composer *composer)
{
    (void)composer;
    return rl_editing_mode == 0 || RL_ISSTATE(RL_STATE_ISEARCH | RL_STATE_NSEARCH);
}

const char *composer_hint(const struct composer *composer)
{
    return composer->hint.data;
}

// ---------------------------------------------------------------------------
// Drawing

// What stands in front: our prompt, or readline's during a search.
static const char *prompt(void)
{
    return rl_display_prompt != NULL ? rl_display_prompt : PROMPT;
}

// Goes over the text as it is drawn; with a terminal it draws rows [first, first + rows).
struct walk {
    struct terminal *terminal; // NULL: only counts
    int y, x, first, rows, columns;
    int row, column, indent;
    int cursor_row, cursor_column;
};

static void put(struct walk *walk, uint16_t style, const char *bytes, size_t len)
{
    int y = walk->row - walk->first;

    if (walk->terminal != NULL && y >= 0 && y < walk->rows)
        terminal_put(walk->terminal, walk->y + y, walk->x + walk->column,
                     walk->columns - walk->column, style, bytes, len);
}

static void next_row(struct walk *walk)
{
    walk->row++;
    walk->column = walk->indent;
}

static void walk_text(struct walk *walk)
{
    const char *before = prompt();
    size_t len = (size_t)rl_end;
    struct glyph glyph;

    walk->indent = text_width(CONTINUED, strlen(CONTINUED));
    put(walk, STYLE_NAME, before, strlen(before));
    walk->column = text_width(before, strlen(before));
    if (walk->column > walk->columns / 2)
        walk->column = walk->columns / 2;
    for (size_t at = 0; at <= len; at += glyph.bytes) {
        const char *bytes = rl_line_buffer + at;

        if (at < len && bytes[0] != '\n') {
            glyph_next(bytes, len - at, &glyph);
            if (walk->column + glyph.width > walk->columns - 1)
                next_row(walk);
        }
        if (at == (size_t)rl_point) {
            walk->cursor_row = walk->row;
            walk->cursor_column = walk->column;
        }
        if (at == len)
            return;
        if (bytes[0] == '\n') {
            glyph.bytes = 1;
            next_row(walk);
            continue;
        }
        put(walk, STYLE_TEXT, bytes, glyph.bytes);
        walk->column += glyph.width;
    }
}

int composer_rows(const struct composer *composer, int columns, int max_rows)
{
    struct walk walk = { .columns = columns };

    (void)composer;
    walk_text(&walk);
    return walk.row + 1 < max_rows ? walk.row + 1 : max_rows;
}

void composer_paint(struct composer *composer, struct terminal *terminal, int y, int x,
                    int rows, int columns, int *cursor_y, int *cursor_x)
{
    struct walk walk = { .columns = columns };

    walk_text(&walk);
    if (walk.cursor_row < composer->first_row)
        composer->first_row = walk.cursor_row;
    if (walk.cursor_row >= composer->first_row + rows)
        composer->first_row = walk.cursor_row - rows + 1;
    if (composer->first_row + rows > walk.row + 1)
        composer->first_row = walk.row + 1 > rows ? walk.row + 1 - rows : 0;
    walk = (struct walk){ .terminal = terminal,
                          .y = y,
                          .x = x,
                          .first = composer->first_row,
                          .rows = rows,
                          .columns = columns };
    walk_text(&walk);
    *cursor_y = y + walk.cursor_row - composer->first_row;
    *cursor_x = x + walk.cursor_column;
}
