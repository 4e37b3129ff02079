// sessions/sessions.h
// SPDX-License-Identifier: MIT
//
// The store: conversations, their pictures and drafts, in one SQLite file. The whole
// public face of sessions/.
//
// Promises. What a function reported as done is on disk: it survives SIGKILL and power
// loss. Nothing that was said is overwritten: messages form a tree, editing and
// regenerating add siblings. Several programs may use one store at once; every write is a
// transaction of its own that either happens or not. Files are 0600 in a directory that
// is 0700. A store that is newer than this program, or damaged, is never changed.
//
// Errors. ERR_BUSY: another program held the store for longer than five seconds; nothing
// was saved, try again. ERR_IO: the disk is full or fails (the text says what to do);
// after a failed sync every later call fails until the store is closed and opened again.
// ERR_FORMAT: the file is damaged. ERR_UNSUPPORTED: the store is read-only.
// ERR_NOT_FOUND: no such id.
//
// Threads and processes: one thread at a time, and not across fork(). Open one `struct
// sessions` per process that needs one, after forking.
//
// Ids are 32 lower-case hexadecimal digits. Results live in the arena that the caller
// gives; all text in them is untrusted, and is valid UTF-8.
//
// Files of the room: schema.sql; store.c (open, transactions, errors), upkeep.c (migrate,
// check, scrub), instances.c (who else is alive), names.c (words, ids, text); tree.c
// (messages), conversations.c (list, rename, tag, fork, delete), reply.c (streaming),
// tokens.c and settings.c (what a reply keeps), attachments.c, drafts.c, search.c;
// export.c, html.c, import.c, import_own.c, import_foreign.c, rescue.c; replay.c.
#ifndef ORIEL_SESSIONS_SESSIONS_H
#define ORIEL_SESSIONS_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/conversation.h"
#include "base/err.h"
#include "base/str.h"

#define SESSIONS_ID               33                 // with the final NUL
#define SESSIONS_TEXT_LIMIT       ((size_t)16 << 20) // bytes of one part of a message
#define SESSIONS_TITLE_LIMIT      512                // bytes; longer titles are cut
#define SESSIONS_PART_LIMIT       1024               // parts of one message
#define SESSIONS_ATTACHMENT_LIMIT ((size_t)32 << 20) // bytes of one attachment
#define SESSIONS_FLUSH_NS         ((int64_t)250000000) // save streamed text at least this often

struct sessions;

struct sessions_params {
    const char *directory; // NULL: $XDG_STATE_HOME/oriel or ~/.local/state/oriel
    bool ephemeral;        // everything in memory, nothing on disk
};

// Opens or creates the store, brings an older one up to date (after a backup beside it),
// and marks replies that a dead program left unfinished as interrupted. Where the disk is
// full or cannot be written, what is there can still be read: see sessions_read_only.
struct sessions *sessions_open(const struct sessions_params *params, struct err *err);

// Accepts NULL inside; sets *sessions to NULL.
void sessions_close(struct sessions **sessions);

// NULL when the store can be written; else why not, for a permanent mark on the screen.
const char *sessions_read_only(const struct sessions *sessions);

// Where the store is; ":memory:" when it is ephemeral. Borrowed.
const char *sessions_file(const struct sessions *sessions);

// Sets *changed when another program has committed since the last call (or since open).
bool sessions_changed(struct sessions *sessions, bool *changed, struct err *err);

// Checks the whole file and both text indexes. ERR_FORMAT names the first damage. Takes
// about 0.5 s for 100 MB.
bool sessions_check(struct sessions *sessions, struct err *err);

// ---------------------------------------------------------------------------
// Messages

enum message_state {
    MESSAGE_STREAMING,
    MESSAGE_DONE,
    MESSAGE_INTERRUPTED,
    MESSAGE_ERROR
};

struct sessions_message {
    char id[SESSIONS_ID];
    char parent[SESSIONS_ID]; // "" for the first of a conversation
    struct message content;   // pictures by image_hash and image_name
    enum message_state state;
    enum stop_reason stop_reason;
    const char *error; // NULL, or why state is MESSAGE_ERROR
    const char *model; // NULL unless a model wrote it
    int64_t created_ms;
    int64_t finished_ms;  // 0: not yet, or unknown
    size_t token_count;   // 0: none were kept
    size_t sibling_index; // 0 is the oldest
    size_t sibling_count; // at least 1
};

struct sessions_path {
    struct sessions_message *messages; // from the first to the leaf
    size_t count;
};

struct sessions_send_params {
    const char *conversation; // NULL: begin a new one, titled after its first text
    const char *parent;       // NULL: the active leaf; "": none, a new beginning
    struct message message;   // pictures by the image_hash that sessions_attach gave
};

struct sessions_sent {
    char conversation[SESSIONS_ID];
    char message[SESSIONS_ID];
};

// Saves a finished message and makes it the active leaf; a draft of this program for that
// conversation is gone with it. To edit a message, send the new text with the parent of
// the old one.
bool sessions_send(struct sessions *sessions, const struct sessions_send_params *params,
                   struct sessions_sent *sent, struct err *err);

// The messages from the first to `leaf` (NULL: the active leaf). No messages is no error.
bool sessions_load_path(struct sessions *sessions, const char *conversation,
                        const char *leaf, struct arena *arena, struct sessions_path *path,
                        struct err *err);

// The ids of a message's siblings, itself among them, oldest first.
bool sessions_siblings(struct sessions *sessions, const char *message,
                       struct arena *arena, const char *const **ids, size_t *count,
                       struct err *err);

// Makes the newest leaf below message (or the message itself) the active leaf.
bool sessions_select(struct sessions *sessions, const char *message, struct err *err);

// ---------------------------------------------------------------------------
// Replies

struct sessions_reply_params {
    const char *conversation;
    const char *parent; // NULL: the active leaf
    const char *model_name;
    const char *model_hash; // of the file
    const char *device;
    const char *build;                          // of the program
    const char *template_hash;                  // of the chat template
    const struct generation_settings *settings; // with the seed that was used
    const uint32_t *prompt; // may be NULL; it is only kept when it is given
    size_t prompt_count;
};

struct sessions_reply_end {
    enum message_state state; // not MESSAGE_STREAMING
    enum stop_reason reason;
    const char *error; // for MESSAGE_ERROR
    int64_t prompt_ns;
    int64_t generation_ns;
};

// A reply that is being written: streaming -> done | interrupted | error. Text is
// appended in memory; flush commits what is new; what a failed flush could not save stays
// in memory and the next flush tries again. Call flush at least every SESSIONS_FLUSH_NS.
struct sessions_reply;

struct sessions_reply *sessions_reply_begin(struct sessions *sessions,
                                            const struct sessions_reply_params *params,
                                            struct err *err);
const char *sessions_reply_id(const struct sessions_reply *reply); // borrowed
void sessions_reply_append(struct sessions_reply *reply, const struct token_event *event);
bool sessions_reply_flush(struct sessions_reply *reply, struct err *err);

// Flushes and ends. On success frees *reply and sets it to NULL; on failure it stays, so
// that it can be tried again or rescued.
bool sessions_reply_finish(struct sessions_reply **reply,
                           const struct sessions_reply_end *end, struct err *err);

// Gives up without touching the store: the row stays streaming until this program ends,
// and is then marked interrupted. Accepts NULL inside.
void sessions_reply_abandon(struct sessions_reply **reply);

struct sessions_token {
    uint32_t id;
    float logprob;
    int64_t time_ns;
    size_t text_len; // bytes of the reply's text that became visible by it
};

struct sessions_record {
    const char *model_name, *model_hash, *device, *build, *template_hash;
    struct generation_settings settings;
    const uint32_t *prompt; // NULL: not kept
    size_t prompt_count;
    const struct sessions_token *tokens;
    size_t token_count;
    int64_t prompt_ns, generation_ns;
};

// What was kept of a reply. ERR_NOT_FOUND when the message was not written by our engine.
bool sessions_load_record(struct sessions *sessions, const char *message,
                          struct arena *arena, struct sessions_record *record,
                          struct err *err);

// ---------------------------------------------------------------------------
// Conversations

struct sessions_list_params {
    const char *tag; // NULL: all
    size_t offset;
    size_t limit; // 0: 50
};

struct sessions_entry {
    char id[SESSIONS_ID];
    const char *title;
    const char *tags;   // sorted, separated by newlines; "" for none
    const char *origin; // "" (ours), "chatgpt", "open-webui"
    const char *model;  // of the active leaf, or NULL
    int64_t created_ms, updated_ms;
    size_t message_count; // of all branches
    bool streaming;       // some program is writing a reply now
};

struct sessions_list {
    struct sessions_entry *entries; // newest first
    size_t count;
    size_t total; // without offset and limit
};

bool sessions_list(struct sessions *sessions, const struct sessions_list_params *params,
                   struct arena *arena, struct sessions_list *list, struct err *err);

bool sessions_load_entry(struct sessions *sessions, const char *conversation,
                         struct arena *arena, struct sessions_entry *entry,
                         struct err *err);

// Finds the conversation that `name` means: an id, the beginning of one (at least 4
// digits), "last" for the newest, or a title. ERR_NOT_FOUND, or ERR_USAGE when several
// match.
bool sessions_find(struct sessions *sessions, const char *name, char id[SESSIONS_ID],
                   struct err *err);

bool sessions_rename(struct sessions *sessions, const char *conversation,
                     const char *title, struct err *err);
bool sessions_tag(struct sessions *sessions, const char *conversation, const char *tag,
                  bool present, struct err *err);

// Copies the path from the first message to `message` (NULL: the active leaf) into a new
// conversation; pictures are shared.
bool sessions_fork(struct sessions *sessions, const char *conversation,
                   const char *message, char id[SESSIONS_ID], struct err *err);

// Removes it from every list and search. Its text is overwritten in the file.
bool sessions_delete(struct sessions *sessions, const char *conversation,
                     struct err *err);

// Deletes, rebuilds the text indexes and the whole file, so that no trace of it remains
// in any file of the store, backups of migrations included. Copies outside, and what a
// solid state disk or a snapshot keeps, are beyond it. ERR_BUSY: it is deleted, but
// traces may remain until it is called again with conversation NULL.
bool sessions_forget(struct sessions *sessions, const char *conversation,
                     struct err *err);

// ---------------------------------------------------------------------------
// Attachments and drafts

struct sessions_attachment {
    char hash[65];
    const char *media_type; // static: "image/png", ... "application/octet-stream"
    size_t size;
};

// Keeps the original bytes; giving the same bytes twice keeps them once. An attachment
// that neither a message nor a draft uses within a day is removed.
bool sessions_attach(struct sessions *sessions, const void *bytes, size_t len,
                     struct sessions_attachment *attachment, struct err *err);

// Appends the bytes to out. ERR_MISMATCH when they are not what was stored.
bool sessions_load_attachment(struct sessions *sessions, const char *hash,
                              struct str *out, struct sessions_attachment *attachment,
                              struct err *err);

// conversation NULL: the message that begins a new one. No parts: forget the draft.
bool sessions_draft_save(struct sessions *sessions, const char *conversation,
                         const struct message *draft, struct err *err);

// An empty draft (no parts) when there is none. Takes over what a dead program left.
bool sessions_draft_load(struct sessions *sessions, const char *conversation,
                         struct arena *arena, struct message *draft, struct err *err);

// ---------------------------------------------------------------------------
// Search

#define SESSIONS_MATCH_BEGIN '\x02' // around each match in a snippet
#define SESSIONS_MATCH_END   '\x03'

struct sessions_hit {
    char conversation[SESSIONS_ID];
    char message[SESSIONS_ID]; // "" when title or tags matched
    const char *title;
    const char *snippet;
    enum role role; // of the message
    int64_t created_ms;
};

struct sessions_hits {
    struct sessions_hit *hits; // titles first, then the best matches (of
                               // very many: the newest)
    size_t count;
};

// All words must occur; "several words" in quotes in that order; the last word may be the
// beginning of one. Any text is a valid query. limit 0: 50.
bool sessions_search(struct sessions *sessions, const char *query, size_t limit,
                     struct arena *arena, struct sessions_hits *hits, struct err *err);

// ---------------------------------------------------------------------------
// Out and in

enum export_format { EXPORT_MARKDOWN, EXPORT_JSONL, EXPORT_HTML, EXPORT_TEXT };

// Writes the active path of a conversation (JSON Lines: all branches, and everything else
// that is known of it). conversation NULL: all of them, oldest first.
bool sessions_export(struct sessions *sessions, const char *conversation,
                     enum export_format format, FILE *out, struct err *err);

struct sessions_imported {
    size_t conversations; // that were not here before
    size_t updated;       // that were here and got new messages
    size_t unchanged;
    size_t messages;       // added
    size_t attachments;    // added
    size_t missing_images; // named by the file but not to be found
};

// Reads JSON Lines as sessions_export writes them, conversations.json of ChatGPT, or
// chats exported by Open WebUI; which one is seen from the contents. Importing is
// merging: what is already here stays, what is not is added, so that doing it twice
// changes nothing. One transaction per conversation: on failure those before it are in,
// and the text says where the file is wrong. name: for messages. directory: where
// pictures named by a ChatGPT export are, or NULL.
bool sessions_import(struct sessions *sessions, FILE *in, const char *name,
                     const char *directory, struct sessions_imported *imported,
                     struct err *err);

// What could not be saved, written at once to a file beside the store that
// sessions_import reads. Appends, syncs, 0600.
struct sessions_rescue {
    const char *conversation; // id
    const char *title;
    const char *message;    // id; NULL: a new one
    const char *parent;     // id or ""
    struct message content; // pictures by image_hash
    int64_t created_ms;
};
bool sessions_rescue_write(const char *path, const struct sessions_rescue *rescue,
                           struct err *err);

// ---------------------------------------------------------------------------
// Replay: a saved conversation as events on one time line

enum replay_kind {
    REPLAY_MESSAGE,     // a whole message that no model streamed
    REPLAY_REPLY_BEGIN, // a reply begins; nothing visible yet
    REPLAY_TEXT,        // text of the reply, by one token or (synthetic) one word
    REPLAY_IMAGE,       // a picture inside an imported reply
    REPLAY_REPLY_END,   // message->state and stop_reason say how
    REPLAY_PENDING,     // a reply is still being written: ask again later
    REPLAY_END,         // nothing more (asking again later may find more)
};

// Everything in it lives until the next call.
struct sessions_event {
    enum replay_kind kind;
    int64_t time_ns; // since the first message; never decreases
    bool synthetic;  // the time is made up, because none was kept
    const struct sessions_message *message;
    const struct part *part; // REPLAY_IMAGE
    const char *text;        // REPLAY_TEXT
    size_t text_len;
    const struct sessions_token *token; // REPLAY_TEXT: NULL when synthetic
};

struct sessions_replay;

// leaf NULL: the active leaf, and messages that are added below it while playing.
// max_gap_ns: pauses between messages are cut to this; 0: as long as they were.
struct sessions_replay *sessions_replay_open(struct sessions *sessions,
                                             const char *conversation, const char *leaf,
                                             int64_t max_gap_ns, struct err *err);
void sessions_replay_close(struct sessions_replay **replay);
bool sessions_replay_next(struct sessions_replay *replay, struct sessions_event *event,
                          struct err *err);

#endif
