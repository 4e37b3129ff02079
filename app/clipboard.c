// app/clipboard.c
// SPDX-License-Identifier: MIT
#include "app/clipboard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/memory_file.h"
#include "base/alloc.h"
#include "base/log.h"

#define PATIENCE_NS ((int64_t)5000000000)

static const struct source {
    const char *variable; // that says that this kind of screen is there
    const char *const arguments[8];
} sources[] = {
    { "WAYLAND_DISPLAY", { "wl-paste", "--no-newline", "--type", "image/png" } },
    { "DISPLAY", { "xclip", "-selection", "clipboard", "-t", "image/png", "-o" } },
};

struct clipboard {
    pid_t pid;
    int pidfd, memory;
    int64_t deadline_ns;
};

// Its output goes straight into memory; it gets no terminal.
static int run(const struct source *source, int memory, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int failed;

    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                              O_RDONLY, 0);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, memory, STDOUT_FILENO);
    if (failed == 0)
        failed = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
                                                  O_WRONLY, 0);
    if (failed == 0)
        failed = posix_spawnp(pid, source->arguments[0], &actions, &attributes,
                              (char *const *)(uintptr_t)source->arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

static const struct source *find_source(struct err *err)
{
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        const char *value = getenv(sources[i].variable);

        if (value != NULL && value[0] != '\0')
            return &sources[i];
    }
    err_set(err, ERR_UNSUPPORTED,
            "no clipboard can be reached from here; /attach FILE attaches a file");
    return NULL;
}

struct clipboard *clipboard_start(struct err *err)
{
    const struct source *source = find_source(err);
    struct clipboard *clipboard;
    int failed;

    if (source == NULL)
        return NULL;
    clipboard = alloc_zero(sizeof(*clipboard));
    clipboard->pidfd = -1;
    clipboard->deadline_ns = clock_ns() + PATIENCE_NS;
    clipboard->memory = memory_file_create(err);
    failed = clipboard->memory < 0 ? 0 : run(source, clipboard->memory, &clipboard->pid);
    if (failed == ENOENT)
        err_set(err, ERR_UNSUPPORTED, "the clipboard needs the program %s",
                source->arguments[0]);
    else if (failed != 0)
        err_set(err, ERR_IO, "%s cannot be started", source->arguments[0]);
    if (clipboard->memory < 0 || failed != 0) {
        clipboard->pid = 0;
        clipboard_finish(&clipboard, &(struct err){ 0 });
        return NULL;
    }
    clipboard->pidfd = pidfd_open(clipboard->pid, 0);
    return clipboard;
}

int clipboard_fd(const struct clipboard *clipboard)
{
    return clipboard->pidfd;
}

int64_t clipboard_deadline_ns(const struct clipboard *clipboard)
{
    return clipboard->deadline_ns;
}

// Whether the program has ended as it should.
static bool collect(const struct clipboard *clipboard)
{
    int status = 0;

    if (clipboard->pid <= 0)
        return false;
    if (waitpid(clipboard->pid, &status, WNOHANG) == 0) {
        kill(clipboard->pid, SIGKILL);
        while (waitpid(clipboard->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int clipboard_finish(struct clipboard **clipboard, struct err *err)
{
    struct clipboard *c = *clipboard;
    int memory = c->memory;

    if (!collect(c)) {
        err_set(err, ERR_NOT_FOUND, "there is no picture in the clipboard");
        if (memory >= 0)
            close(memory);
        memory = -1;
    }
    if (c->pidfd >= 0)
        close(c->pidfd);
    free(c);
    *clipboard = NULL;
    return memory;
}
