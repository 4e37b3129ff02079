// app/models/pip.c
// SPDX-License-Identifier: MIT
#include "app/models/pip.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/interrupt.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"

#define LOCK_FD    3 // the workspace stays locked as long as pip works in it
#define SLICE_MS   100
#define GRACE_MS   2000
#define LOG_MAX    ((size_t)1 << 20)
#define REASON_MAX 300

static const char wheel_folder[] = "wheel", temporary_folder[] = "tmp",
                  log_name[] = "log";

// ---------------------------------------------------------------------------
// The child

static bool set_up_child(posix_spawn_file_actions_t *actions,
                         const struct workspace *workspace)
{
    // python3 -m looks for modules in the working folder first: in ours there are none.
    return posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY,
                                            0) == 0 &&
           posix_spawn_file_actions_addchdir_np(actions, workspace->path) == 0 &&
           posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, log_name,
                                            O_WRONLY | O_CREAT | O_TRUNC, 0600) == 0 &&
           posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, STDERR_FILENO) == 0 &&
           posix_spawn_file_actions_adddup2(actions, workspace->fd, LOCK_FD) == 0 &&
           posix_spawn_file_actions_addclosefrom_np(actions, LOCK_FD + 1) == 0;
}

// The person's environment, so that their pip configuration works, but with temporary
// files where the room was checked and where they can be counted.
static char **child_environment(const struct workspace *workspace)
{
    size_t count = 0, out = 0;
    char **list;

    while (environ[count] != NULL)
        count++;
    list = alloc_array(count + 2, sizeof(*list));
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "TMPDIR=", 7) != 0)
            list[out++] = alloc_string(environ[i]);
    list[out] = alloc_printf("TMPDIR=%s/%s", workspace->path, temporary_folder);
    return list;
}

static void free_list(char **list)
{
    for (size_t i = 0; list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

static bool spawn(const struct workspace *workspace, const char *requirement, pid_t *pid,
                  struct err *err)
{
    const char *const argv[] = {
        "python3",
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--no-deps",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--only-binary=:all:",
        "-d",
        wheel_folder,
        requirement,
        NULL,
    };
    char **environment = child_environment(workspace);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int failed = ENOMEM;

    sigemptyset(&defaults);
    sigaddset(&defaults, SIGXFSZ); // ignored by us
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawn_file_actions_init(&actions);
    if (set_up_child(&actions, workspace))
        failed =
            posix_spawnp(pid, argv[0], &actions, &attributes, (char **)argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free_list(environment);
    errno = failed;
    if (failed == ENOENT)
        return err_set(err, ERR_NOT_FOUND,
                       "python3 is missing: apt-get install python3 python3-pip");
    return failed == 0 || err_set_errno(err, "cannot start python3");
}

// What has arrived: pip fills a temporary file first, and copies it then.
static uint64_t arrived(const struct workspace *workspace)
{
    char *temporary = workspace_path(workspace, temporary_folder);
    char *wheel = workspace_path(workspace, wheel_folder);
    uint64_t a = tree_bytes(temporary), b = tree_bytes(wheel);

    free(temporary);
    free(wheel);
    return a > b ? a : b;
}

static bool stop_child(pid_t pid, struct err *err)
{
    int status;

    kill(pid, SIGTERM);
    for (int waited = 0; waited < GRACE_MS; waited += SLICE_MS / 10) {
        if (waitpid(pid, &status, WNOHANG) != 0)
            return err_set(err, ERR_CANCELLED, "stopped");
        usleep(SLICE_MS * 100);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return err_set(err, ERR_CANCELLED, "stopped");
}

static bool wait_for(pid_t pid, const struct workspace *workspace, struct meter *meter,
                     uint64_t done, int *status, struct err *err)
{
    pid_t ended;

    while ((ended = waitpid(pid, status, WNOHANG)) == 0) {
        uint64_t now = done + arrived(workspace);

        if (!interrupt_sleep(SLICE_MS))
            return stop_child(pid, err);
        meter_update(meter, now > meter->total && meter->total > 0 ? meter->total : now);
    }
    return ended == pid || err_set_errno(err, "cannot wait for pip");
}

// ---------------------------------------------------------------------------
// Its words and its wheel

// The last line of pip's log that says something.
static bool explain(const struct workspace *workspace, const char *requirement,
                    struct err *err)
{
    char *path = workspace_path(workspace, log_name), *line, *rest, *last = NULL;
    struct str log;

    str_init(&log, LOG_MAX);
    file_read(path, LOG_MAX, &log, NULL);
    for (line = strtok_r(log.data, "\r\n", &rest); line != NULL;
         line = strtok_r(NULL, "\r\n", &rest))
        if (line[strspn(line, " \t")] != '\0')
            last = line;
    if (last != NULL && strncmp(last, "ERROR: ", 7) == 0)
        last += 7;
    if (last != NULL && strstr(last, "No module named pip") != NULL)
        err_set(err, ERR_NOT_FOUND, "pip is missing: apt-get install python3-pip");
    else
        err_set(err, ERR_IO, "pip cannot get %s: %.*s", requirement, REASON_MAX,
                last != NULL ? last : "it says nothing");
    str_release(&log);
    free(path);
    return false;
}

static char *find_wheel(const struct workspace *workspace, const char *requirement,
                        struct err *err)
{
    char *folder = workspace_path(workspace, wheel_folder), *found = NULL;
    DIR *entries = opendir(folder);
    const struct dirent *entry;

    while (entries != NULL && found == NULL && (entry = readdir(entries)) != NULL) {
        size_t len = strlen(entry->d_name);

        if (len > 4 && strcmp(entry->d_name + len - 4, ".whl") == 0)
            found = alloc_printf("%s/%s", folder, entry->d_name);
    }
    if (entries != NULL)
        closedir(entries);
    free(folder);
    if (found == NULL)
        err_set(err, ERR_IO, "pip left no wheel of %s", requirement);
    return found;
}

static bool empty_folder(const struct workspace *workspace, const char *name,
                         struct err *err)
{
    char *path = workspace_path(workspace, name);
    bool ok = remove_tree(path) && mkdir(path, 0700) == 0;

    if (!ok)
        err_set_errno(err, "%s", path);
    free(path);
    return ok;
}

char *pip_download(const struct workspace *workspace, const char *requirement,
                   struct meter *meter, uint64_t done, struct err *err)
{
    int status = 0;
    pid_t pid;

    if (!empty_folder(workspace, wheel_folder, err) ||
        !empty_folder(workspace, temporary_folder, err) ||
        !spawn(workspace, requirement, &pid, err) ||
        !wait_for(pid, workspace, meter, done, &status, err))
        return NULL;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        if (interrupted())
            err_set(err, ERR_CANCELLED, "stopped");
        else
            explain(workspace, requirement, err);
        return NULL;
    }
    return find_wheel(workspace, requirement, err);
}
