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
            hello = message.type == WIRE_HELLO;
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

struct engine_process *engine_process_start(struct err *err)
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
    if (!ok || !receive_hello(process, err))
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

bool engine_process_alive(const struct engine_process *process)
{
    return process->fd >= 0;
}

// ---------------------------------------------------------------------------
// A request

struct call {
    struct engine_process *process;
    const struct engine_listener *listener;
    uint32_t request;
    int64_t kill_at_ns; // 0: not interrupted
    bool refused;       // on_token wants no more
    json_t *result;
};

enum step { STEP_ON, STEP_DONE, STEP_FAILED, STEP_BROKEN };

static enum step take_progress(struct call *call, const json_t *body, struct err *err)
{
    const char *stage = wire_get_string(body, "stage", err);
    double fraction;

    if (stage == NULL || !wire_get_real(body, "fraction", &fraction, err))
        return STEP_BROKEN;
    if (call->listener->on_progress != NULL)
        call->listener->on_progress(call->listener->user, stage, fraction);
    return STEP_ON;
}

static void ask_to_stop(struct call *call)
{
    struct err lost; // if it cannot be sent, the next receive tells why

    call->kill_at_ns = clock_ns() + (int64_t)call->listener->grace_ms * 1000000;
    wire_send(call->process->fd, WIRE_CANCEL, call->request, json_object(), &lost);
}

static enum step take_tokens(struct call *call, const json_t *body, struct err *err)
{
    const json_t *tokens = wire_get_array(body, "tokens", TOKENS_MAX, err);
    struct token_message *token = &call->process->token;

    if (tokens == NULL)
        return STEP_BROKEN;
    for (size_t i = 0; i < json_array_size(tokens); i++) {
        if (!token_message_read(token, json_array_get(tokens, i), err))
            return STEP_BROKEN;
        if (call->listener->on_token == NULL || call->refused)
            continue;
        call->refused = !call->listener->on_token(call->listener->user, &token->event);
        if (call->refused && call->kill_at_ns == 0)
            ask_to_stop(call);
    }
    return STEP_ON;
}

static enum step take_message(struct call *call, const struct wire_message *message,
                              struct err *err)
{
    if (message->request != call->request) {
        err_set(err, ERR_FORMAT, "answer to request %u while %u is worked on",
                message->request, call->request);
        return STEP_BROKEN;
    }
    switch (message->type) {
    case WIRE_PROGRESS:
        return take_progress(call, message->body, err);
    case WIRE_TOKENS:
        return take_tokens(call, message->body, err);
    case WIRE_RESULT:
        call->result = json_incref(message->body);
        return STEP_DONE;
    case WIRE_ERROR:
        wire_read_error(message->body, err);
        return STEP_FAILED;
    default:
        err_set(err, ERR_FORMAT, "message of type %d in place of an answer",
                message->type);
        return STEP_BROKEN;
    }
}

// Waits until something arrives, the person wants to stop, or a moment has passed.
static enum wire_status wait_for_bytes(struct call *call, struct err *err)
{
    struct pollfd fds[2] = {
        { .fd = call->process->fd, .events = POLLIN },
        { .fd = call->kill_at_ns == 0 ? call->listener->interrupt_fd : -1,
          .events = POLLIN },
    };
    int ready = poll(fds, 2, call->kill_at_ns == 0 ? WAIT_SLICE_MS : 5);

    if (fds[1].revents != 0)
        ask_to_stop(call);
    if (call->kill_at_ns != 0 && clock_ns() > call->kill_at_ns) {
        kill_child(call->process);
        err_set(err, ERR_CANCELLED, "stopped; the engine did not answer and was killed");
        return WIRE_BROKEN;
    }
    if (ready > 0 && fds[0].revents != 0)
        return wire_fill(&call->process->reader, err);
    if (ready <= 0 && call->listener->on_wait != NULL)
        call->listener->on_wait(call->listener->user);
    return WIRE_MORE;
}

static enum step run_call(struct call *call, struct err *err)
{
    enum step step = STEP_ON;

    while (step == STEP_ON) {
        struct wire_message message;
        enum wire_status status = wire_next(&call->process->reader, &message, err);

        if (status == WIRE_MESSAGE) {
            step = take_message(call, &message, err);
            wire_message_release(&message);
            continue;
        }
        if (status == WIRE_MORE)
            status = wait_for_bytes(call, err);
        if (status == WIRE_CLOSED) {
            explain_death(call->process, err);
            step = STEP_FAILED;
        }
        if (status == WIRE_BROKEN)
            step = engine_process_alive(call->process) ? STEP_BROKEN : STEP_FAILED;
    }
    return step;
}

json_t *engine_process_call(struct engine_process *process, enum wire_type type,
                            json_t *body, const struct engine_listener *listener,
                            struct err *err)
{
    struct call call = {
        .process = process,
        .listener = listener,
        .request = ++process->last_request,
    };
    enum step step;

    if (process->fd < 0) {
        json_decref(body);
        err_set(err, ERR_DEVICE, "the engine is not running");
        return NULL;
    }
    if (!wire_send(process->fd, type, call.request, body, err)) {
        if (err->code != ERR_LIMIT)
            explain_death(process, err);
        return NULL;
    }
    step = run_call(&call, err);
    if (step == STEP_BROKEN) {
        err_prefix(err, "%s", nonsense);
        kill_child(process);
    }
    return step == STEP_DONE ? call.result : NULL;
}
