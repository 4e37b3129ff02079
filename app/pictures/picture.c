// app/pictures/picture.c
// SPDX-License-Identifier: MIT
#include "app/pictures/picture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/pictures/answer.h"
#include "app/pictures/scale.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"

#define TIMEOUT_MS 10000
#define SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

struct picture_decode {
    struct image_request request;
    pid_t pid;  // 0: there is none
    int pidfd;  // -1: there is none
    int memory; // DECODE_MEMORY bytes, shared with the child; -1: given to the picture
    char *name; // or NULL
    int64_t kill_at_ns;
};

void picture_release(struct picture *picture)
{
    if (picture->rgba != NULL) {
        munmap((void *)(uintptr_t)picture->rgba, picture->bytes);
        close(picture->fd);
    }
    *picture = (struct picture){ .rgba = NULL };
}

// ---------------------------------------------------------------------------
// Starting the child

static bool check_input(int fd, struct err *err)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return err_set_errno(err, "cannot be read");
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_UNSUPPORTED, "not a regular file");
    if (status.st_size == 0)
        return err_set(err, ERR_FORMAT, "the file is empty");
    if ((uint64_t)status.st_size > IMAGE_INPUT_MAX)
        return err_set(err, ERR_LIMIT, "%lld bytes, a picture may have %zu",
                       (long long)status.st_size, IMAGE_INPUT_MAX);
    return true;
}

// A descriptor above those that the child gets, so that none is overwritten on the way.
static int move_up(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, DECODE_OUTPUT_FD + 1);

    close(fd);
    return moved;
}

static bool make_memory(struct picture_decode *decode, struct err *err)
{
    uint8_t request[REQUEST_BYTES];
    int fd = memfd_create("picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    decode->memory = fd >= 0 ? move_up(fd) : -1;
    request_write(request, &decode->request);
    return (decode->memory >= 0 && ftruncate(decode->memory, DECODE_MEMORY) == 0 &&
            pwrite(decode->memory, request, sizeof(request), DECODE_PIXEL_BYTES) ==
                sizeof(request)) ||
           err_set_errno(err, "no memory to decode into");
}

static bool set_up_descriptors(posix_spawn_file_actions_t *actions, int input, int memory)
{
    return posix_spawn_file_actions_adddup2(actions, input, DECODE_INPUT_FD) == 0 &&
           posix_spawn_file_actions_adddup2(actions, memory, DECODE_OUTPUT_FD) == 0 &&
           posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY,
                                            0) == 0 &&
           posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDOUT_FILENO) == 0 &&
           posix_spawn_file_actions_addclosefrom_np(actions, DECODE_OUTPUT_FD + 1) == 0;
}

// No signal is blocked or ignored, and those of the terminal do not reach it.
static bool set_up_signals(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP) == 0 &&
           posix_spawnattr_setsigmask(attributes, &none) == 0 &&
           posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
           posix_spawnattr_setpgroup(attributes, 0) == 0;
}

// All that the child needs of the environment is where libraries lie; the rest may hold
// secrets.
static char *library_path(void)
{
    static const char variable[] = "LD_LIBRARY_PATH=";

    for (char **entry = environ; *entry != NULL; entry++)
        if (strncmp(*entry, variable, sizeof(variable) - 1) == 0)
            return *entry;
    return NULL;
}

static bool spawn(struct picture_decode *decode, int input, struct err *err)
{
    char name[] = DECODE_ROLE_NAME;
    char *const arguments[] = { name, NULL };
    char *const environment[] = { library_path(), NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    failed =
        set_up_descriptors(&actions, input, decode->memory) && set_up_signals(&attributes)
            ? posix_spawn(&decode->pid, "/proc/self/exe", &actions, &attributes,
                          arguments, environment)
            : ENOMEM;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failed == 0) {
        decode->pidfd = pidfd_open(decode->pid, 0);
        return decode->pidfd >= 0 || err_set_errno(err, "cannot watch a process");
    }
    decode->pid = 0;
    errno = failed;
    return err_set_errno(err, "cannot start the process that decodes pictures");
}

struct picture_decode *picture_decode_start(int fd, const char *name, uint32_t max_width,
                                            uint32_t max_height, struct err *err)
{
    struct picture_decode *decode = alloc_zero(sizeof(*decode));

    decode->request = (struct image_request){ IMAGE_PIXELS_MAX, max_width, max_height };
    decode->pidfd = decode->memory = -1;
    decode->kill_at_ns = clock_ns() + (int64_t)TIMEOUT_MS * 1000000;
    decode->name = name != NULL ? alloc_string(name) : NULL;
    if (check_input(fd, err) && make_memory(decode, err) && spawn(decode, fd, err))
        return decode;
    if (name != NULL)
        err_prefix(err, "%s", name);
    picture_decode_cancel(&decode);
    return NULL;
}

int picture_decode_fd(const struct picture_decode *decode)
{
    return decode->pidfd;
}

// ---------------------------------------------------------------------------
// Its end

static int reap(struct picture_decode *decode)
{
    int status = 0;

    while (waitpid(decode->pid, &status, 0) < 0 && errno == EINTR)
        ;
    decode->pid = 0;
    return status;
}

// false: it did not end in time.
static bool await(const struct picture_decode *decode)
{
    struct pollfd ended = { .fd = decode->pidfd, .events = POLLIN };
    int64_t left_ms;

    do {
        left_ms = (decode->kill_at_ns - clock_ns()) / 1000000;
        if (poll(&ended, 1, left_ms > 0 ? (int)left_ms : 0) > 0)
            return true;
    } while (left_ms > 0);
    return false;
}

static void destroy(struct picture_decode **decode)
{
    if ((*decode)->pidfd >= 0)
        close((*decode)->pidfd);
    if ((*decode)->memory >= 0)
        close((*decode)->memory);
    free((*decode)->name);
    free(*decode);
    *decode = NULL;
}

void picture_decode_cancel(struct picture_decode **decode)
{
    if (*decode == NULL)
        return;
    if ((*decode)->pid > 0) {
        kill((*decode)->pid, SIGKILL);
        reap(*decode);
    }
    destroy(decode);
}

// It ended otherwise than by its own decision.
static bool explain_death(int status, struct err *err)
{
    if (!WIFSIGNALED(status))
        return err_set(err, ERR_DEVICE,
                       "the process that decodes pictures ended with exit status %d",
                       WEXITSTATUS(status));
    switch (WTERMSIG(status)) {
    case SIGXCPU:
        return err_set(err, ERR_LIMIT, "it takes more than %d s to decode",
                       TIMEOUT_MS / 1000);
    case SIGKILL:
    case SIGBUS: // memory files end so when there is no more memory
        return err_set(err, ERR_MEMORY,
                       "memory ran out, or the file changed while it was read");
    case SIGSYS:
        return err_set(err, ERR_FORMAT,
                       "decoding it was stopped, for it tried what the sandbox forbids");
    default:
        return err_set(err, ERR_FORMAT, "decoding it crashed (signal %d, %s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
}

// The child is gone, so nobody can write to the memory any more.
static bool take_pixels(struct picture_decode *decode, const struct image *image,
                        struct picture *picture, struct err *err)
{
    size_t bytes = (size_t)4 * image->width * image->height;
    void *rgba;

    if (ftruncate(decode->memory, (off_t)bytes) != 0 ||
        fcntl(decode->memory, F_ADD_SEALS, SEALS) != 0)
        return err_set_errno(err, "cannot seal the pixels");
    rgba = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, decode->memory, 0);
    if (rgba == MAP_FAILED)
        return err_set_errno(err, "cannot map the pixels");
    *picture = (struct picture){ .width = image->width,
                                 .height = image->height,
                                 .rgba = rgba,
                                 .bytes = bytes,
                                 .fd = decode->memory,
                                 .full_width = image->full_width,
                                 .full_height = image->full_height,
                                 .frames = image->frames,
                                 .has_alpha = image->has_alpha };
    snprintf(picture->format, sizeof(picture->format), "%s",
             image_format_name(image->format));
    decode->memory = -1;
    return true;
}

bool picture_decode_finish(struct picture_decode **decode, struct picture *picture,
                           struct err *err)
{
    struct picture_decode *d = *decode;
    uint8_t answer[ANSWER_BYTES];
    struct image image;
    bool ok = await(d);
    int status;

    if (!ok)
        kill(d->pid, SIGKILL);
    status = reap(d);
    if (!ok)
        err_set(err, ERR_LIMIT, "it takes more than %d s to decode", TIMEOUT_MS / 1000);
    else if (status != 0)
        ok = explain_death(status, err);
    else if (pread(d->memory, answer, sizeof(answer), DECODE_PIXEL_BYTES) !=
             sizeof(answer))
        ok = err_set_errno(err, "cannot read what was decoded");
    else
        ok = answer_read(answer, &d->request, &image, err) &&
             take_pixels(d, &image, picture, err);
    if (!ok && d->name != NULL)
        err_prefix(err, "%s", d->name);
    destroy(decode);
    return ok;
}

// ---------------------------------------------------------------------------
// All in one

static bool decode_fd(int fd, const char *name, struct picture *picture, struct err *err)
{
    struct picture_decode *decode = picture_decode_start(fd, name, 0, 0, err);

    return decode != NULL && picture_decode_finish(&decode, picture, err);
}

bool picture_decode_bytes(const void *bytes, size_t len, const char *name,
                          struct picture *picture, struct err *err)
{
    int fd = memfd_create("bytes", MFD_CLOEXEC);
    bool ok = fd >= 0 && file_write_all(fd, bytes, len);

    if (ok)
        ok = decode_fd(fd, name, picture, err);
    else
        err_set_errno(err, "%s: no memory to decode from", name != NULL ? name : "");
    if (fd >= 0)
        close(fd);
    return ok;
}

bool picture_open(const char *path, struct picture *picture, struct err *err)
{
    // Without O_NONBLOCK a pipe that nobody writes to would be waited for.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool ok;

    if (fd < 0)
        return err_set_errno(err, "%s", path);
    ok = decode_fd(fd, path, picture, err);
    close(fd);
    return ok;
}

uint8_t *picture_scale(const struct picture *picture, uint32_t max_width,
                       uint32_t max_height, uint32_t *width, uint32_t *height,
                       struct err *err)
{
    uint8_t *small;

    scale_fit(picture->width, picture->height, max_width, max_height, width, height);
    small = try_array((size_t)*width * *height, 4);
    if (small == NULL) {
        err_set(err, ERR_MEMORY, "%u x %u pixels do not fit into memory", *width,
                *height);
        return NULL;
    }
    if (scale_box(picture->rgba, picture->width, picture->height, small, *width, *height,
                  err))
        return small;
    free(small);
    return NULL;
}
