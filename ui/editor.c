// ui/editor.c
// SPDX-License-Identifier: MIT
#include "ui/editor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#define TEXT_MAX ((size_t)8 << 20)

static const char *editor_name(void)
{
    const char *name = getenv("VISUAL");

    if (name == NULL || name[0] == '\0')
        name = getenv("EDITOR");
    return name != NULL && name[0] != '\0' ? name : "vi";
}

// The shell starts it, because $EDITOR may hold options; the path comes as "$1".
static void become_editor(const char *path)
{
    char command[512];
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    snprintf(command, sizeof(command), "%s \"$1\"", editor_name());
    execl("/bin/sh", "sh", "-c", command, "sh", path, (char *)NULL);
    _exit(127);
}

static bool run(const char *path, struct err *err)
{
    pid_t pid = fork();
    int status;

    if (pid < 0)
        return err_set_errno(err, "cannot start %s", editor_name());
    if (pid == 0)
        become_editor(path);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_set_errno(err, "%s", editor_name());
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           err_set(err, ERR_IO, "%s failed; the message is as it was", editor_name());
}

static bool write_text(int fd, const struct str *text, struct err *err)
{
    bool ok = write(fd, text->data, text->len) == (ssize_t)text->len;

    return (close(fd) == 0 && ok) || err_set_errno(err, "a temporary file");
}

bool editor_run(struct str *text, struct err *err)
{
    char path[] = "/tmp/oriel-message-XXXXXX.md";
    int fd = mkstemps(path, 3);
    bool ok;

    if (fd < 0)
        return err_set_errno(err, "a temporary file");
    ok = write_text(fd, text, err) && run(path, err);
    if (ok) {
        str_reset(text);
        ok = file_read(path, TEXT_MAX, text, err);
    }
    unlink(path);
    while (text->len > 0 && text->data[text->len - 1] == '\n')
        str_truncate(text, text->len - 1);
    return ok;
}
