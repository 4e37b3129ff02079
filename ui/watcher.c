// ui/watcher.c
// SPDX-License-Identifier: MIT
#include "ui/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"

// What both processes see.
struct shared {
    atomic_bool taken;
    struct termios before, ours;
};

struct watcher {
    pid_t pid;
    int terminal, pipe;
    struct shared *shared;
};

static bool same_modes(const struct termios *a, const struct termios *b)
{
    return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag &&
           a->c_cflag == b->c_cflag && a->c_lflag == b->c_lflag;
}

static void give_back(int terminal, const struct shared *shared, const char *reset)
{
    struct termios now;
    size_t len = strlen(reset);
    ssize_t n;

    while (len > 0 &&
           ((n = write(terminal, reset, len)) > 0 || (n < 0 && errno == EINTR)))
        if (n > 0) {
            reset += n;
            len -= (size_t)n;
        }
    if (tcgetattr(terminal, &now) == 0 && same_modes(&now, &shared->ours))
        tcsetattr(terminal, TCSAFLUSH, &shared->before); // what was typed blindly goes
}

// Only the terminal and the pipe stay open, in a session of its own, so that no signal to
// the parent's group and no job control of the shell reaches it.
static _Noreturn void watch(int pipe, int terminal, const struct shared *shared,
                            const char *reset)
{
    sigset_t all;
    char byte;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "oriel-watcher");
    setsid();
    // the terminal first: it may be standard input
    if (dup2(terminal, STDOUT_FILENO) < 0 || dup2(pipe, STDIN_FILENO) < 0)
        _exit(1);
    close_range(STDERR_FILENO, ~0u, 0);
    while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR)
        ;
    if (atomic_load(&shared->taken))
        give_back(STDOUT_FILENO, shared, reset);
    _exit(0);
}

static struct shared *share(int terminal)
{
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED)
        return NULL;
    if (tcgetattr(terminal, &shared->before) == 0)
        return shared;
    munmap(shared, sizeof(*shared));
    return NULL;
}

struct watcher *watcher_start(int terminal, const char *reset)
{
    struct shared *shared = share(terminal);
    struct watcher *watcher;
    int ends[2];
    pid_t pid;

    if (shared == NULL)
        return NULL;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        munmap(shared, sizeof(*shared));
        return NULL;
    }
    pid = fork();
    if (pid == 0)
        watch(ends[0], terminal, shared, reset);
    close(ends[0]);
    watcher = alloc_zero(sizeof(*watcher));
    *watcher = (struct watcher){ pid, terminal, ends[1], shared };
    if (pid < 0)
        watcher_stop(&watcher);
    return watcher;
}

void watcher_set(struct watcher *watcher, bool taken)
{
    if (watcher == NULL)
        return;
    if (taken)
        tcgetattr(watcher->terminal, &watcher->shared->ours);
    atomic_store(&watcher->shared->taken, taken);
}

void watcher_stop(struct watcher **watcher)
{
    struct watcher *w = *watcher;

    if (w == NULL)
        return;
    close(w->pipe);
    while (w->pid > 0 && waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    munmap(w->shared, sizeof(*w->shared));
    free(w);
    *watcher = NULL;
}
