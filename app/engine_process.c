// app/engine_process.c
// SPDX-License-Identifier: MIT
#include "app/engine_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/messages.h"
#include "base/alloc.h"
#include "base/log.h"

#define HELLO_TIMEOUT_MS 10000
#define STOP_TIMEOUT_MS  500
#define WAIT_SLICE_MS    100
#define TOKENS_MAX       65536 // in one message

static const char nonsense[] = "the engine sent nonsense";

struct engine_process {
    pid_t pid;  // 0: ended and collected
    int fd;     // -1: closed
    int status; // of waitpid, when pid is 0
    struct wire_reader reader;
    struct token_message token;
    uint32_t last_request;
    bool greeted;
    bool refused; // the listener wants no more of this request
};

// ---------------------------------------------------------------------------
// Life and death

static bool set_up_descriptors(posix_spawn_file_actions_t *actions, int socket)
{
    return posix_spawn_file_actions_adddup2(actions, socket, ENGINE_ROLE_FD) == 0 &&
           posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY,
                                            0) == 0 &&
           posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDOUT_FILENO) == 0 &&
           posix_spawn_file_actions_addclosefrom_np(actions, ENGINE_ROLE_FD + 1) == 0;
}

static bool spawn(struct engine_process *process, int socket, struct err *err)
{
    char name[] = ENGINE_ROLE_NAME;
    char *const argv[] = { name, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int failed;

    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    failed = set_up_descriptors(&actions, socket)
                 ? posix_spawn(&process->pid, "/proc/self/exe", &actions, &attributes,
                               argv, environ)
                 : ENOMEM;
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed == 0)
        return true;
    process->pid = 0;
    errno = failed;
    return err_set_errno(err, "cannot start the engine");
}

// Waits at most timeout_ms for the child to end.
static bool collect(struct engine_process *process, int timeout_ms)
{
    int64_t deadline = clock_ns() + (int64_t)timeout_ms * 1000000;

    while (process->pid > 0) {
        pid_t ended = waitpid(process->pid, &process->status, WNOHANG);

        if (ended == process->pid || (ended < 0 && errno == ECHILD)) {
            process->pid = 0;
            break;
        }
        if (clock_ns() >= deadline)
            return false;
        poll(NULL, 0, 2);
    }
    return true;
}

static void kill_child(struct engine_process *process)
{
    if (process->fd >= 0)
        close(process->fd);
    process->fd = -1;
    if (process->pid <= 0)
        return;
    kill(process->pid, SIGKILL);
    while (waitpid(process->pid, &process->status, 0) < 0 && errno == EINTR)
        ;
    process->pid = 0;
}

// The connection ended without an answer: says what became of the child.
static void explain_death(struct engine_process *process, struct err *err)
{
    bool ended = collect(process, STOP_TIMEOUT_MS);

    kill_child(process);
    if (!ended)
        err_set(err, ERR_DEVICE, "the engine closed the connection");
    else if (WIFSIGNALED(process->status))
        err_set(err, ERR_DEVICE, "the engine was killed by signal %d (%s)%s",
                WTERMSIG(process->status), strsignal(WTERMSIG(process->status)),
                WTERMSIG(process->status) == SIGKILL ? ", perhaps for want of memory"
                                                     : "");
    else
        err_set(err, ERR_DEVICE, "the engine ended with exit status %d",
                WEXITSTATUS(process->status));
}

static bool receive_hello(struct engine_process *process, struct err *err)
{
    struct pollfd input = { .fd = process->fd, .events = POLLIN };
    int64_t deadline = clock_ns() + (int64_t)HELLO_TIMEOUT_MS * 1000000;
    struct wire_message message;

    while (true) {
        enum wire_status status = wire_next(&process->reader, &message, err);
        bool hello;

        if (status == WIRE_MESSAGE) {
            hello = process->greeted = message.type == WIRE_HELLO;
            wire_message_release(&message);
            return hello || err_set(err, ERR_FORMAT, "the engine did not greet");
        }
        if (status == WIRE_BROKEN)
            return err_prefix(err, "%s", nonsense);
        if (poll(&input, 1, WAIT_SLICE_MS) > 0)
            status = wire_fill(&process->reader, err);
        if (status == WIRE_BROKEN)
            return false;
        if (status == WIRE_CLOSED) {
            explain_death(process, err);
            return false;
        }
        if (clock_ns() > deadline)
            return err_set(err, ERR_DEVICE, "the engine did not start within %d seconds",
                           HELLO_TIMEOUT_MS / 1000);
    }
}

struct engine_process *engine_process_spawn(struct err *err)
{
    struct engine_process *process;
    int pair[2];
    bool ok;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        err_set_errno(err, "cannot start the engine");
        return NULL;
    }
    process = alloc_zero(sizeof(*process));
    process->fd = pair[0];
    wire_reader_init(&process->reader, pair[0]);
    token_message_init(&process->token);
    ok = spawn(process, pair[1], err);
    close(pair[1]);
    if (!ok)
        engine_process_stop(&process);
    return process;
}

struct engine_process *engine_process_start(struct err *err)
{
    struct engine_process *process = engine_process_spawn(err);

    if (process != NULL && !receive_hello(process, err))
        engine_process_stop(&process);
    return process;
}

void engine_process_stop(struct engine_process **process)
{
    struct engine_process *p = *process;

    if (p == NULL)
        return;
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    collect(p, STOP_TIMEOUT_MS);
    kill_child(p);
    wire_reader_release(&p->reader);
    token_message_release(&p->token);
    free(p);
    *process = NULL;
}

void engine_process_kill(struct engine_process **process)
{
    if (*process == NULL)
        return;
    kill_child(*process);
    engine_process_stop(process);
}

bool engine_process_alive(const struct engine_process *process)
{
    return process->fd >= 0;
}

// ---------------------------------------------------------------------------
// A request

enum step { STEP_ON, STEP_RESULT, STEP_ERROR, STEP_BROKEN };

static enum step take_progress(const struct engine_listener *listener, const json_t *body,
                               struct err *err)
{
    const char *stage = wire_get_string(body, "stage", err);
    double fraction;

    if (stage == NULL || !wire_get_real(body, "fraction", &fraction, err))
        return STEP_BROKEN;
    if (listener->on_progress != NULL)
        listener->on_progress(listener->user, stage, fraction);
    return STEP_ON;
}

void engine_process_cancel(struct engine_process *process)
{
    struct err lost; // if it cannot be sent, the next receive tells why

    wire_send(process->fd, WIRE_CANCEL, process->last_request, json_object(), &lost);
}

static enum step take_tokens(struct engine_process *process,
                             const struct engine_listener *listener, const json_t *body,
                             struct err *err)
{
    const json_t *tokens = wire_get_array(body, "tokens", TOKENS_MAX, err);
    struct token_message *token = &process->token;

    if (tokens == NULL)
        return STEP_BROKEN;
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        if (!token_message_read(token, json_array_get(tokens, i), err))
            return STEP_BROKEN;
        if (listener->on_token == NULL || process->refused)
            continue;
        process->refused = !listener->on_token(listener->user, &token->event);
        if (process->refused)
            engine_process_cancel(process);
    }
    return STEP_ON;
}

static enum step take_message(struct engine_process *process,
                              const struct engine_listener *listener,
                              const struct wire_message *message, json_t **result,
                              struct err *err)
{
    if (!process->greeted && message->type == WIRE_HELLO) {
        process->greeted = true;
        return STEP_ON;
    }
    if (message->request != process->last_request || !process->greeted) {
        err_set(err, ERR_FORMAT, "answer to request %u while %u is worked on",
                message->request, process->last_request);
        return STEP_BROKEN;
    }
    switch (message->type) {
    case WIRE_PROGRESS:
        return take_progress(listener, message->body, err);
    case WIRE_TOKENS:
        return take_tokens(process, listener, message->body, err);
    case WIRE_RESULT:
        *result = json_incref(message->body);
        return STEP_RESULT;
    case WIRE_ERROR:
        wire_read_error(message->body, err);
        return STEP_ERROR;
    default:
        err_set(err, ERR_FORMAT, "message of type %d in place of an answer",
                message->type);
        return STEP_BROKEN;
    }
}

static bool has_bytes(const struct engine_process *process)
{
    return poll(&(struct pollfd){ .fd = process->fd, .events = POLLIN }, 1, 0) > 0;
}

enum engine_answer engine_process_receive(struct engine_process *process,
                                          const struct engine_listener *listener,
                                          json_t **result, struct err *err)
{
    enum step step = STEP_ON;

    while (step == STEP_ON) {
        struct wire_message message;
        enum wire_status status = wire_next(&process->reader, &message, err);

        if (status == WIRE_MESSAGE) {
            step = take_message(process, listener, &message, result, err);
            wire_message_release(&message);
            continue;
        }
        if (status == WIRE_MORE && !has_bytes(process))
            return ENGINE_MORE;
        if (status == WIRE_MORE)
            status = wire_fill(&process->reader, err);
        if (status == WIRE_CLOSED) {
            explain_death(process, err);
            return ENGINE_ERROR;
        }
        if (status == WIRE_BROKEN)
            step = STEP_BROKEN;
    }
    if (step == STEP_RESULT)
        return ENGINE_RESULT;
    if (step == STEP_BROKEN)
        err_prefix(err, "%s", nonsense);
    if (step == STEP_BROKEN || err->code == ERR_LOST) // then it ends by itself anyway
        kill_child(process);
    return ENGINE_ERROR;
}

int engine_process_fd(const struct engine_process *process)
{
    return process->fd;
}

bool engine_process_send_with(struct engine_process *process, enum wire_type type,
                              json_t *body, int descriptor, struct err *err)
{
    if (process->fd < 0) {
        json_decref(body);
        return err_set(err, ERR_DEVICE, "the engine is not running");
    }
    process->refused = false;
    if (wire_send_with(process->fd, type, ++process->last_request, body, descriptor, err))
        return true;
    if (err->code != ERR_LIMIT)
        explain_death(process, err);
    return false;
}

bool engine_process_send(struct engine_process *process, enum wire_type type,
                         json_t *body, struct err *err)
{
    return engine_process_send_with(process, type, body, -1, err);
}

// Waits until something arrives, the person wants to stop, or a moment has passed. false:
// the engine did not stop in time, and was killed.
static bool wait_for_bytes(struct engine_process *process,
                           const struct engine_listener *listener, int64_t *kill_at_ns,
                           struct err *err)
{
    struct pollfd fds[2] = {
        { .fd = process->fd, .events = POLLIN },
        { .fd = *kill_at_ns == 0 ? listener->interrupt_fd : -1, .events = POLLIN },
    };
    int ready = poll(fds, 2, *kill_at_ns == 0 ? WAIT_SLICE_MS : 5);

    if (*kill_at_ns == 0 && (fds[1].revents != 0 || process->refused)) {
        if (!process->refused)
            engine_process_cancel(process);
        *kill_at_ns = clock_ns() + (int64_t)listener->grace_ms * 1000000;
    }
    if (*kill_at_ns != 0 && clock_ns() > *kill_at_ns) {
        kill_child(process);
        return err_set(err, ERR_CANCELLED,
                       "stopped; the engine did not answer and was killed");
    }
    if (ready <= 0 && listener->on_wait != NULL)
        listener->on_wait(listener->user);
    return true;
}

json_t *engine_process_wait(struct engine_process *process,
                            const struct engine_listener *listener, struct err *err)
{
    enum engine_answer answer;
    int64_t kill_at_ns = 0; // 0: not interrupted
    json_t *result = NULL;

    while ((answer = engine_process_receive(process, listener, &result, err)) ==
           ENGINE_MORE)
        if (!wait_for_bytes(process, listener, &kill_at_ns, err))
            return NULL;
    return answer == ENGINE_RESULT ? result : NULL;
}

json_t *engine_process_call(struct engine_process *process, enum wire_type type,
                            json_t *body, const struct engine_listener *listener,
                            struct err *err)
{
    return engine_process_send(process, type, body, err)
               ? engine_process_wait(process, listener, err)
               : NULL;
}
