// app/engine_process.h
// SPDX-License-Identifier: MIT
//
// The front's side of the engine: starts this same executable again as "oriel engine",
// talks with it through a socket pair (wire.h), and survives whatever becomes of it. The
// child gets the socket as descriptor 3, nothing on standard input, and standard output
// joined to standard error; no other descriptor. When the front dies, it dies.
//
// One thread at a time. After a failed call that was not an answer of the engine, or the
// answer that the device was lost (engine_process_alive is false), the process is gone and
// must be stopped and started anew.
#ifndef ORIEL_APP_ENGINE_PROCESS_H
#define ORIEL_APP_ENGINE_PROCESS_H

#include <jansson.h>
#include <stdbool.h>

#include "app/wire.h"
#include "base/conversation.h"
#include "base/err.h"
#include "engine/engine.h"

#define ENGINE_ROLE_NAME "oriel engine"
#define ENGINE_ROLE_FD   3

struct engine_process;

// Starts the child and waits for its greeting (at most 10 s).
struct engine_process *engine_process_start(struct err *err);
// Ends the child: politely, then after half a second by force. NULL-safe.
void engine_process_stop(struct engine_process **process);
// At once, by force.
void engine_process_kill(struct engine_process **process);
bool engine_process_alive(const struct engine_process *process);

// What happens while a request is worked on. Every member may be NULL (interrupt_fd: -1).
struct engine_listener {
    void (*on_progress)(void *user, const char *stage, double fraction);
    // The event is valid during the call. false: the engine is asked to stop.
    bool (*on_token)(void *user, const struct token_event *event);
    void (*on_wait)(void *user); // about every 100 ms while nothing arrives
    void *user;
    // Becomes readable when the person wants to stop. The engine is asked to stop, and
    // when it has not answered after grace_ms, it is killed.
    int interrupt_fd;
    int grace_ms;
};

// Sends a request and waits for its answer: the body of WIRE_RESULT (the caller releases
// it) or NULL with the engine's err, ERR_CANCELLED when it was killed after an interrupt,
// or ERR_DEVICE when it died, which says how. Takes the reference to body.
json_t *engine_process_call(struct engine_process *process, enum wire_type type,
                            json_t *body, const struct engine_listener *listener,
                            struct err *err);
// Waits for the answer to what engine_process_send has sent.
json_t *engine_process_wait(struct engine_process *process,
                            const struct engine_listener *listener, struct err *err);

// ---------------------------------------------------------------------------
// The same without waiting, for those who have other things to attend to.

// Starts the child; its greeting is taken in by engine_process_receive.
struct engine_process *engine_process_spawn(struct err *err);

// Readable when engine_process_receive has something to do; -1 when it is not alive.
int engine_process_fd(const struct engine_process *process);

// Sends a request. Only when there is none already. Takes the reference to body.
bool engine_process_send(struct engine_process *process, enum wire_type type,
                         json_t *body, struct err *err);
// The same with an open file, which stays the caller's; -1: none.
bool engine_process_send_with(struct engine_process *process, enum wire_type type,
                              json_t *body, int descriptor, struct err *err);

// Asks the engine to stop what it works on; it still answers.
void engine_process_cancel(struct engine_process *process);

enum engine_answer {
    ENGINE_MORE,   // no answer yet
    ENGINE_RESULT, // *result is the body of WIRE_RESULT; the caller releases it
    ENGINE_ERROR,  // *err as engine_process_call says
};
// Takes in what has arrived and tells the listener (its interrupt_fd and on_wait are not
// used).
enum engine_answer engine_process_receive(struct engine_process *process,
                                          const struct engine_listener *listener,
                                          json_t **result, struct err *err);

#endif
