// ui/terminal.c
// SPDX-License-Identifier: MIT
#include "ui/terminal.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/str.h"
#include "ui/glyph.h"
#include "ui/theme.h"
#include "ui/watcher.h"

#define CAPTURE_MAX   ((off_t)1 << 20) // of standard error; more is forgotten
#define CAPTURE_SHOWN 4096
#define ROW_BITS      9               // of the number of a row
#define COPY_MAX      ((size_t)74994) // bytes that xterm takes as base64 in one OSC 52

static const char modes_on[] = "\033[?2004h";
static const char mouse_on[] = "\033[?1000h\033[?1006h";
static const char mouse_off[] = "\033[?1006l\033[?1000l";
// Everything that we or a curses may have switched on; the mouse first, so that it cannot
// send anything into the shell.
static const char modes_off[] = "\033[?1006l\033[?1000l\033[?2004l\033[?2026l\033[0m"
                                "\033[r\033[?7h\033[?25h\033[?12l\033[?1049l";
static const char kitty_off[] = "\033_Ga=d,d=A,q=2\033\\"; // all its pictures

struct terminal {
    int fd;
    FILE *file;
    SCREEN *screen;
    int signals;
    sigset_t caught, old_mask;
    bool mouse;
    struct overlay overlay;
    struct str frame; // what is sent around the text
};

// What the handlers of fatal signals need.
static struct {
    volatile sig_atomic_t taken;
    volatile sig_atomic_t kitty; // has pictures of ours
    int fd;
    int saved_stderr, captured_stderr; // -1: not captured
    struct termios modes;
    struct watcher *watcher; // for the deaths that no handler sees
} restore = { .saved_stderr = -1, .captured_stderr = -1 };

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGILL,  SIGFPE, SIGABRT,
                                     SIGTRAP, SIGSYS, SIGQUIT, SIGXCPU };
static const int told_signals[] = { SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT };

// ---------------------------------------------------------------------------
// Giving it back. Everything here is async-signal-safe.

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n <= 0 && errno != EINTR)
            return;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
}

// The end of what was written to standard error goes where it was meant to go.
static void release_stderr(void)
{
    char text[CAPTURE_SHOWN];
    off_t size;
    ssize_t len;

    if (restore.saved_stderr < 0)
        return;
    dup2(restore.saved_stderr, STDERR_FILENO);
    size = lseek(restore.captured_stderr, 0, SEEK_END);
    len = size > 0 ? pread(restore.captured_stderr, text, sizeof(text),
                           size > (off_t)sizeof(text) ? size - (off_t)sizeof(text) : 0)
                   : 0;
    for (ssize_t i = 0; i < len; i++)
        if ((text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7F)
            text[i] = '?';
    if (len > 0 && ftruncate(restore.captured_stderr, 0) == 0)
        write_all(STDERR_FILENO, text, (size_t)len);
}

static void give_back(void)
{
    if (!restore.taken)
        return;
    restore.taken = 0;
    watcher_set(restore.watcher, false);
    if (restore.kitty)
        write_all(restore.fd, kitty_off, sizeof(kitty_off) - 1);
    restore.kitty = 0;
    write_all(restore.fd, modes_off, sizeof(modes_off) - 1);
    tcsetattr(restore.fd, TCSANOW, &restore.modes);
    release_stderr();
}

static void on_fatal(int number)
{
    give_back();
    signal(number, SIG_DFL);
    raise(number);
}

void terminal_use_signal_stack(bool on)
{
    static _Thread_local char stack[1 << 14] __attribute__((aligned(16)));
    static _Thread_local stack_t before;

    if (on)
        sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, &before);
    else
        sigaltstack(&before, NULL);
}

static void catch_fatal_signals(void)
{
    struct sigaction action = { .sa_handler = on_fatal,
                                .sa_flags = SA_ONSTACK | SA_NODEFER };

    terminal_use_signal_stack(true);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(fatal_signals) / sizeof(fatal_signals[0]); i++)
        sigaction(fatal_signals[i], &action, NULL);
    alloc_set_exhausted_hook(give_back);
}

// ---------------------------------------------------------------------------
// Taking it

static void capture_stderr(void)
{
    if (restore.captured_stderr < 0)
        restore.captured_stderr = memfd_create("oriel-stderr", MFD_CLOEXEC);
    if (restore.captured_stderr < 0)
        return;
    fcntl(restore.captured_stderr, F_SETFL, O_APPEND);
    if (restore.saved_stderr < 0)
        restore.saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (restore.saved_stderr >= 0)
        dup2(restore.captured_stderr, STDERR_FILENO);
}

static void bound_capture(void)
{
    struct stat status;

    if (restore.captured_stderr >= 0 && fstat(restore.captured_stderr, &status) == 0 &&
        status.st_size > CAPTURE_MAX && ftruncate(restore.captured_stderr, 0) != 0)
        return; // it is memory, which can always be cut
}

static void take(struct terminal *terminal)
{
    restore.taken = 1;
    watcher_set(restore.watcher, true);
    capture_stderr();
    write_all(terminal->fd, modes_on, sizeof(modes_on) - 1);
    if (terminal->mouse)
        write_all(terminal->fd, mouse_on, sizeof(mouse_on) - 1);
}

static void use_utf8(void)
{
    setlocale(LC_ALL, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
    setlocale(LC_NUMERIC, "C"); // for JSON and our own numbers
}

static bool open_screen(struct terminal *terminal, struct err *err)
{
    const char *name = getenv("TERM");

    terminal->screen = newterm(NULL, terminal->file, terminal->file);
    if (terminal->screen == NULL)
        return err_set(err, ERR_UNSUPPORTED, "curses does not know the terminal \"%s\"",
                       name != NULL ? name : "");
    raw();
    noecho();
    nonl();
    leaveok(stdscr, FALSE);
    scrollok(stdscr, FALSE);
    return true;
}

static bool watch_signals(struct terminal *terminal, struct err *err)
{
    sigemptyset(&terminal->caught);
    for (size_t i = 0; i < sizeof(told_signals) / sizeof(told_signals[0]); i++) {
        sigaddset(&terminal->caught, told_signals[i]);
        signal(told_signals[i], SIG_DFL); // those that curses took
    }
    sigprocmask(SIG_BLOCK, &terminal->caught, &terminal->old_mask);
    terminal->signals = signalfd(-1, &terminal->caught, SFD_CLOEXEC | SFD_NONBLOCK);
    return terminal->signals >= 0 || err_set_errno(err, "signals");
}

struct terminal *terminal_open(bool mouse, struct err *err)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct terminal *terminal;

    if (fd < 0 || tcgetattr(fd, &restore.modes) != 0) {
        err_set(err, ERR_USAGE, "there is no terminal to chat in; oriel ask needs none");
        return NULL;
    }
    use_utf8();
    terminal = alloc_zero(sizeof(*terminal));
    *terminal = (struct terminal){ .fd = fd, .signals = -1, .mouse = mouse };
    str_init(&terminal->frame, 0);
    terminal->file = fdopen(fd, "r+");
    restore.fd = fd;
    restore.watcher = watcher_start(fd, modes_off);
    if (terminal->file == NULL || !open_screen(terminal, err) ||
        !watch_signals(terminal, err)) {
        terminal_close(&terminal);
        return NULL;
    }
    catch_fatal_signals();
    take(terminal);
    theme_use(THEME_DARK);
    return terminal;
}

void terminal_close(struct terminal **terminal)
{
    struct terminal *t = *terminal;

    if (t == NULL)
        return;
    if (t->screen != NULL) {
        endwin();
        give_back();
        tcflush(t->fd, TCIFLUSH); // late answers are not for the shell
        delscreen(t->screen);
    }
    if (t->signals >= 0) {
        close(t->signals);
        sigprocmask(SIG_SETMASK, &t->old_mask, NULL);
    }
    watcher_stop(&restore.watcher);
    if (t->file != NULL)
        fclose(t->file);
    str_release(&t->frame);
    free(t);
    *terminal = NULL;
}

int terminal_input_fd(const struct terminal *terminal)
{
    return terminal->fd;
}

int terminal_signal_fd(const struct terminal *terminal)
{
    return terminal->signals;
}

int terminal_next_signal(struct terminal *terminal)
{
    struct signalfd_siginfo info;

    return read(terminal->signals, &info, sizeof(info)) == sizeof(info)
               ? (int)info.ssi_signo
               : 0;
}

void terminal_pause(struct terminal *terminal)
{
    (void)terminal;
    endwin();
    give_back();
}

void terminal_resume(struct terminal *terminal)
{
    take(terminal);
    terminal_resized(terminal);
}

void terminal_stop(struct terminal *terminal)
{
    sigset_t stop;

    terminal_pause(terminal);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    kill(0, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, NULL); // it stops here
    sigprocmask(SIG_BLOCK, &stop, NULL);
    terminal_resume(terminal);
}

void terminal_set_mouse(struct terminal *terminal, bool on)
{
    terminal->mouse = on;
    if (on)
        write_all(terminal->fd, mouse_on, sizeof(mouse_on) - 1);
    else
        write_all(terminal->fd, mouse_off, sizeof(mouse_off) - 1);
}

void terminal_ask(struct terminal *terminal, const char *question)
{
    write_all(terminal->fd, question, strlen(question));
}

void terminal_size(const struct terminal *terminal, struct size *cells,
                   struct size *pixels)
{
    struct winsize size = { 0 };

    ioctl(terminal->fd, TIOCGWINSZ, &size);
    *cells = (struct size){ COLS, LINES };
    *pixels = (struct size){ size.ws_xpixel, size.ws_ypixel };
}

int terminal_colours(const struct terminal *terminal)
{
    (void)terminal;
    return theme_is_plain() ? 0 : COLORS;
}

bool terminal_copy(struct terminal *terminal, const char *bytes, size_t len)
{
    struct str sequence;

    if (len > COPY_MAX)
        return false;
    str_init(&sequence, 0);
    str_append(&sequence, "\033]52;c;");
    base64_encode(bytes, len, &sequence);
    str_append(&sequence, "\033\\");
    write_all(terminal->fd, sequence.data, sequence.len);
    str_release(&sequence);
    return true;
}

// ---------------------------------------------------------------------------
// Drawing

void terminal_begin(struct terminal *terminal, int *rows, int *columns)
{
    (void)terminal;
    bound_capture();
    erase();
    *rows = LINES;
    *columns = COLS;
}

static void put_glyph(const struct glyph *glyph, const struct style_cell *cell)
{
    cchar_t cchar;

    if (setcchar(&cchar, glyph->chars, (attr_t)cell->attributes, cell->pair, NULL) == OK)
        add_wch(&cchar);
}

int terminal_put(struct terminal *terminal, int y, int x, int columns, uint16_t style,
                 const char *bytes, size_t len)
{
    struct style_cell cell = theme_cell(style);
    struct glyph glyph;
    int used = 0;

    (void)terminal;
    if (y < 0 || y >= LINES || x < 0)
        return 0;
    for (size_t at = 0; at < len; at += glyph.bytes) {
        glyph_next(bytes + at, len - at, &glyph);
        if (used + glyph.width > columns || x + used + glyph.width > COLS)
            break;
        if (glyph.width == 0)
            continue;
        move(y, x + used);
        put_glyph(&glyph, &cell);
        used += glyph.width;
    }
    return used;
}

void terminal_fill(struct terminal *terminal, int y, int x, int columns, uint16_t style)
{
    for (; columns > 0; columns--)
        x += terminal_put(terminal, y, x, 1, style, " ", 1);
}

void terminal_end(struct terminal *terminal, int y, int x)
{
    curs_set(y >= 0);
    if (y >= 0)
        move(y, x);
    // Terminals that know mode 2026 show the frame at once.
    str_reset(&terminal->frame);
    str_append(&terminal->frame, "\033[?2026h");
    overlay_erase(&terminal->overlay, &terminal->frame);
    write_all(terminal->fd, terminal->frame.data, terminal->frame.len);
    refresh();
    str_reset(&terminal->frame);
    overlay_draw(&terminal->overlay, &terminal->frame);
    str_append(&terminal->frame, "\033[?2026l");
    if (terminal->overlay.kitty_count > 0)
        restore.kitty = 1; // before there is something to take back
    write_all(terminal->fd, terminal->frame.data, terminal->frame.len);
}

// Curses scrolls parts of the terminal where rows look alike to it, and pictures would go
// along. The blanks below a picture therefore spell the number of their row: its bits are
// spaces, and spaces that do not break.
static void mark_row(int y, int x)
{
    move(y, x);
    for (int bit = 0; bit < ROW_BITS && x + bit < COLS; bit++) {
        cchar_t cell;

        if (setcchar(&cell, y >> bit & 1 ? L"\u00A0" : L" ", WA_NORMAL, 0, NULL) == OK)
            add_wch(&cell);
    }
}

void terminal_renew_pictures(struct terminal *terminal)
{
    overlay_renew(&terminal->overlay);
}

void terminal_show(struct terminal *terminal, const struct overlay_picture *picture)
{
    for (int row = 0; row < picture->rows; row++)
        mark_row(picture->y + row, picture->x);
    overlay_add(&terminal->overlay, picture);
}

void terminal_resized(struct terminal *terminal)
{
    struct winsize size;

    if (ioctl(terminal->fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        resizeterm(size.ws_row, size.ws_col);
    terminal_redraw(terminal);
}

void terminal_redraw(struct terminal *terminal)
{
    overlay_clear(&terminal->overlay);
    clearok(curscr, TRUE);
}
