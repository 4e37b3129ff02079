// app/controller.h
// SPDX-License-Identifier: MIT
//
// One conversation: joins what a person sees (ui/), what is kept (sessions/) and what
// answers (the engine process). Files: controller.c (the state machine and its loop),
// controller_store.c (conversations to and from the store), controller_pictures.c (what
// goes with the next message), controller_actions.c (what the commands of the screen do).
#ifndef ORIEL_APP_CONTROLLER_H
#define ORIEL_APP_CONTROLLER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "app/client.h"
#include "app/engine_process.h"
#include "app/picture_blocks.h"
#include "base/arena.h"
#include "base/conversation.h"
#include "base/err.h"
#include "base/hash.h"
#include "sessions/sessions.h"
#include "ui/ui.h"

enum controller_state {
    STATE_DOWN,    // no model, or the engine failed
    STATE_OPENING, // the model is being loaded
    STATE_READY,
    STATE_WRITING,  // a reply is being written
    STATE_STOPPING, // the person does not want the rest of it
};

struct attached {
    char hash[SHA256_HEX]; // of the stored bytes
    char *name;
};

struct controller {
    struct ui *ui;
    bool plain; // which face it has
    struct sessions *sessions;
    bool quit;
    int quit_signal; // that ended us, or 0

    // the engine
    enum controller_state state;
    struct model_choice model;
    struct engine_process *process;
    struct engine_listener listener;
    json_t *opened;
    struct engine_info info; // borrows from opened
    char *model_name;        // what the person calls it
    char *model_hash;        // models/identity.h; NULL: not known
    int64_t stop_deadline_ns;
    unsigned failures; // of the engine, one after the other

    // the conversation
    char conversation[SESSIONS_ID]; // "": not begun
    char *title;
    struct arena arena; // of path
    struct sessions_path path;
    char *system;             // for the conversation that is not begun
    char edited[SESSIONS_ID]; // the parent for the next message, when `editing`
    bool editing;
    bool delete_armed;
    struct picture_blocks pictures; // that are on the screen

    // the message that is being written
    struct attached *attached;
    size_t attached_count, attached_cap;
    struct showing *showing; // pictures that the engine must see first; NULL: none left
    struct attaching *attaching; // on their way there, in order
    size_t attaching_count, attaching_cap;
    struct clipboard *clipboard; // that was asked, or NULL
    char *queued;                // sent before it could go, or NULL
    bool blind_told;             // that the model cannot see what is attached

    size_t skipped;    // messages at the beginning that no longer fit into the context
    size_t *questions; // the blocks of what the person said, in the order of the path
    size_t question_count, question_cap;

    // the reply
    struct generation_settings settings;
    bool seed_fixed;
    bool reply_due; // as soon as the engine is ready
    struct sessions_reply *reply;
    struct str reply_text;         // all of it, should the store refuse it
    struct sessions_reply_end end; // how it ended, when it could not be saved yet
    char *end_error;
    bool unsaved;
    size_t block; // of the reply on the screen
    size_t token_count;
    size_t prompt_tokens;
    int64_t first_token_ns;
    int64_t flushed_ns;
    double tokens_per_second;
    char stage[64];
    double fraction;

    bool draft_dirty;
    int64_t draft_ns, listed_ns;
    char *search; // what the list shows: NULL for all conversations
};

struct controller_params {
    struct model_choice model;
    const char *system;
    const char *session; // which conversation to open, or NULL
    const char *theme;
    bool plain;
    bool ephemeral;
    bool seed_fixed;
    struct generation_settings settings;
};

// Runs the chat until the person leaves. Returns false with err when it could not begin.
// *ended_by: the signal that ended it, or 0.
bool controller_run(const struct controller_params *params, int *ended_by,
                    struct err *err);

// ---------------------------------------------------------------------------
// For the files of the controller

void controller_status(struct controller *c);
bool controller_busy(const struct controller *c); // a reply is being written
// Loads a model; name as after -m. false when there is none of that name.
bool controller_open_model(struct controller *c, const char *name, struct err *err);
void controller_begin_reply(struct controller *c);
void controller_stop(struct controller *c);
// Puts what waits to be sent back into the message being written.
void controller_unqueue(struct controller *c);

// Loads the active path of c->conversation; controller_show shows all of it,
// controller_show_end says beside a block how the last message ended.
bool controller_load(struct controller *c, struct err *err);
void controller_show(struct controller *c);
// Shows where on the path the model's context begins.
void controller_show_skipped(struct controller *c);
void controller_show_message(struct picture_blocks *blocks,
                             const struct sessions_message *message);
// What stands beside a message: which version it is, how it ended. free() it.
char *controller_meta(const struct sessions_message *message);
void controller_show_end(struct controller *c, size_t block);
bool controller_open(struct controller *c, const char *name, struct err *err);
void controller_new(struct controller *c);
// Saves what the person sent and shows it.
bool controller_send(struct controller *c, const char *text, struct err *err);
void controller_list(struct controller *c);
void controller_save_draft(struct controller *c);
void controller_load_draft(struct controller *c);
// What the engine is to answer: messages of the path; free() the array.
struct conversation controller_conversation(const struct controller *c);
// The last message of that role on the path, or NULL.
const struct sessions_message *controller_last(const struct controller *c,
                                               enum role role);
// The text of a message, without pictures.
void controller_text(const struct message *message, struct str *out);

// The pictures that go with the message being written.
bool controller_attach(struct controller *c, const char *path, struct err *err);
// Names as a person types them: several, quoted, with ~.
bool controller_attach_named(struct controller *c, const char *argument, struct err *err);
bool controller_paste_image(struct controller *c, struct err *err);
// Text that names files: pictures are attached, else it is text.
void controller_pasted(struct controller *c, const char *text);
// "": all.
bool controller_detach(struct controller *c, const char *name, struct err *err);
// Those of this message in place of what is attached; NULL: none.
void controller_set_attached(struct controller *c, const struct message *message);
// What is attached and the text. free() it; it borrows from both.
struct part *controller_parts(const struct controller *c, const char *text,
                              size_t *count);
bool controller_sees(const struct controller *c); // false: the model has no vision
// Says so when pictures are attached; true when it had not been said before.
bool controller_blind(struct controller *c);
// controller_showing.c: shows the engine the pictures of a conversation, one by one.
enum showing_step {
    SHOWING_ON,     // it works on one, or one is being decoded
    SHOWING_DONE,   // all are seen
    SHOWING_FAILED, // err says why
};
enum showing_step controller_showing_begin(struct controller *c,
                                           const struct conversation *conversation,
                                           struct err *err);
// The engine has answered.
enum showing_step controller_showing_answer(struct controller *c, const json_t *answer,
                                            struct err *err);
// Readable when controller_showing_decoded has something to do; -1: never.
int controller_showing_fd(const struct controller *c);
enum showing_step controller_showing_decoded(struct controller *c, struct err *err);
void controller_showing_end(struct controller *c);

void controller_attaching_fds(const struct controller *c, struct pollfd fds[2]);
void controller_attaching_tick(struct controller *c, int64_t now);
void controller_attaching_end(struct controller *c);

// What Tab completes, apart from the titles, which controller_list gives.
void controller_offer_names(struct controller *c);
void controller_act(struct controller *c, enum ui_action action, const char *argument);

#endif
