// sessions/private.h
// SPDX-License-Identifier: MIT
//
// What the files of this room share: the connection, the one way to run SQL,
// transactions, and small conversions.
#ifndef ORIEL_SESSIONS_PRIVATE_H
#define ORIEL_SESSIONS_PRIVATE_H

#include <jansson.h>
#include <sqlite3.h>

#include "sessions/sessions.h"

#define STORE_APPLICATION_ID 0x4F52494C // "ORIL"
#define STORE_BUSY_MS        5000
#define TAG_LIMIT            64 // bytes of one tag

// Generated from schema.sql; schema_steps[n] brings version n to n + 1.
extern const char *const schema_steps[];
extern const int schema_version;

struct sessions {
    sqlite3 *db;
    char *directory; // NULL when ephemeral
    char *path;
    char instance[SESSIONS_ID];
    int lock_fd;           // held as long as this instance lives; -1: none
    const char *read_only; // why, or NULL
    bool failed;           // a sync failed: what the file holds is unknown
    bool unreadable;       // some call of the system failed: damage may be none
    bool stale; // a write failed: what SQLite remembers of the file is read anew
    int64_t data_version;
    int busy_ms; // how long to wait for others
    int64_t busy_since_ns;
};

// ---------------------------------------------------------------------------
// store.c: SQL

// types has one letter per argument: s string (NULL: null), S string and size_t length,
// i int64_t, b bytes and size_t length (NULL bytes: null). Strings and bytes are borrowed
// until the statement is finalised. NULL on failure.
sqlite3_stmt *store_prepare(struct sessions *s, struct err *err, const char *sql,
                            const char *types, ...);

enum step { STEP_ROW, STEP_DONE, STEP_FAILED };
enum step store_step(struct sessions *s, sqlite3_stmt *statement, struct err *err);

// Runs a statement to its end.
bool store_run(struct sessions *s, struct err *err, const char *sql, const char *types,
               ...);

// The first column of the first row, or `absent` when there is no row.
bool store_int(struct sessions *s, struct err *err, int64_t *value, int64_t absent,
               const char *sql, const char *types, ...);

// Fills err from the connection's last error. Returns false.
bool store_fail(struct sessions *s, struct err *err);

// Writes: BEGIN IMMEDIATE ... store_end(ok), which commits, or rolls back when ok is
// false or the commit fails. Returns whether it was committed.
bool store_begin(struct sessions *s, struct err *err);
bool store_end(struct sessions *s, bool ok, struct err *err);

// Reads of more than one statement, for one consistent picture.
bool store_begin_read(struct sessions *s, struct err *err);
void store_end_read(struct sessions *s);

// Copies column text into the arena; NULL stays NULL (*text). False: the arena is full.
bool store_text(sqlite3_stmt *statement, int column, struct arena *arena,
                const char **text, size_t *len, struct err *err);
void store_id(sqlite3_stmt *statement, int column, char id[SESSIONS_ID]);

// ---------------------------------------------------------------------------
// upkeep.c

// Brings the store to `version` (production: schema_version), after a backup.
bool store_migrate(struct sessions *s, int version, struct err *err);

// The name of the backup that migrating from `version` leaves; free it.
char *store_backup_path(const struct sessions *s, int version);

// Rebuilds the text indexes and the file, so that nothing deleted is left in it.
bool store_scrub(struct sessions *s, struct err *err);

// ---------------------------------------------------------------------------
// instances.c

bool instance_register(struct sessions *s, struct err *err);
void instance_leave(struct sessions *s);

// ---------------------------------------------------------------------------
// names.c: words for enums, ids, times, text

const char *name_of_role(enum role role);
const char *name_of_state(enum message_state state);
const char *name_of_reason(enum stop_reason reason);
bool role_of(const char *name, enum role *role);
bool state_of(const char *name, enum message_state *state);
bool reason_of(const char *name, enum stop_reason *reason);

void id_random(char id[SESSIONS_ID]);
// The same id for the same two texts: what importing twice must find again.
void id_derive(const char *first, const char *second, char id[SESSIONS_ID]);
bool id_valid(const char *id);

int64_t now_ms(void);

// Appends text as valid UTF-8: malformed bytes and NUL become U+FFFD. Lone control
// characters stay: they are data, and only made harmless where they are shown.
void text_clean(struct str *out, const char *bytes, size_t len);
// One line of at most max bytes, without control characters, cut between characters.
void text_line(struct str *out, const char *bytes, size_t len, size_t max);

// ---------------------------------------------------------------------------
// tree.c

// Inserts into the open transaction. key is the row's.
struct message_row {
    const char *id;
    int64_t conversation;
    int64_t parent; // 0: none
    enum role role;
    enum message_state state;
    enum stop_reason stop_reason;
    const char *error;
    const char *instance;
    int64_t created_ms;
    int64_t finished_ms;
};
bool message_insert(struct sessions *s, const struct message_row *row, int64_t *key,
                    struct err *err);
bool message_insert_parts(struct sessions *s, int64_t key, const struct message *message,
                          struct err *err);

// From the columns text, attachment, name.
bool part_load(sqlite3_stmt *statement, struct arena *arena, struct part *part,
               struct err *err);

// 0 keys never exist. ERR_NOT_FOUND names the id.
bool conversation_key(struct sessions *s, const char *id, int64_t *key, struct err *err);
bool message_key(struct sessions *s, const char *id, int64_t *key, struct err *err);

// The key of `parent` as sessions_send_params means it, inside conversation.
bool parent_key(struct sessions *s, int64_t conversation, const char *parent,
                int64_t *key, struct err *err);

struct conversation_row {
    const char *id;
    const char *title; // made one line
    size_t title_len;
    const char *tags; // as tags_edit made them; NULL: none
    const char *origin;
    const char *forked_from; // NULL: none
    int64_t created_ms, updated_ms;
};
// Writes the sorted lines of `tags` to out, with tag among them or not.
bool tags_edit(const char *tags, const char *tag, bool present, struct str *out,
               struct err *err);
bool conversation_insert(struct sessions *s, const struct conversation_row *row,
                         int64_t *key, struct err *err);
bool conversation_touch(struct sessions *s, int64_t key, int64_t leaf, struct err *err);

// One message in a read transaction of its own, for callers that write out what they
// read: no lock is held while somebody's pipe is full.
bool message_load_key(struct sessions *s, int64_t key, struct arena *arena,
                      struct sessions_message *message, struct err *err);

// Keys of the path from the first message to the leaf; keys of any statement, which is
// finalised (NULL: it failed before). Free *keys, also after a failure.
bool path_keys(struct sessions *s, int64_t leaf, int64_t **keys, size_t *count,
               struct err *err);
bool collect_keys(struct sessions *s, sqlite3_stmt *statement, int64_t **keys,
                  size_t *count, struct err *err);

// ---------------------------------------------------------------------------
// search.c: the text indexes, in the open transaction. A message is put in once its parts
// are complete; a title is taken out before it changes and put in afterwards.

bool index_message(struct sessions *s, int64_t message, struct err *err);
bool index_title(struct sessions *s, int64_t conversation, struct err *err);
bool unindex_title(struct sessions *s, int64_t conversation, struct err *err);
// Title and all messages.
bool unindex_conversation(struct sessions *s, int64_t conversation, struct err *err);

// ---------------------------------------------------------------------------
// reply.c, tokens.c, settings.c, attachments.c

// Inserts what is known of a reply's making; tokens may follow later.
bool record_insert(struct sessions *s, int64_t message,
                   const struct sessions_record *record, struct err *err);

// What a streaming message has so far. Released also after a failure.
struct reply_chunks {
    struct str text;
    struct str tokens;
    int64_t token_count;
};
bool reply_chunks_load(struct sessions *s, int64_t message, struct reply_chunks *chunks,
                       struct err *err);
void reply_chunks_release(struct reply_chunks *chunks);

// Folds the chunks of a streaming message into parts and replies and sets its state, in
// the open transaction.
bool reply_fold(struct sessions *s, int64_t message, enum message_state state,
                enum stop_reason reason, const char *error, struct err *err);

void token_encode(struct str *out, const struct sessions_token *token, int64_t *last_ns);
// Appends to out (an array of struct sessions_token). ERR_FORMAT on malformed bytes.
bool tokens_decode(const unsigned char *bytes, size_t len, struct sessions_token *tokens,
                   size_t count, struct err *err);

char *settings_encode(const struct generation_settings *settings); // free it
bool settings_decode(const char *json, struct arena *arena,
                     struct generation_settings *settings, struct err *err);
json_t *settings_to_json(const struct generation_settings *settings);
bool settings_from_json(const json_t *json, struct arena *arena,
                        struct generation_settings *settings, struct err *err);

// In the open transaction.
bool attachment_insert(struct sessions *s, const void *bytes, size_t len,
                       struct sessions_attachment *attachment, bool *added,
                       struct err *err);
bool hash_valid(const char *hash);

// ---------------------------------------------------------------------------
// export.c, html.c, import.c, import_own.c, import_foreign.c

// Lines of our own format. export_line takes the object.
bool export_line(FILE *out, json_t *object, struct err *err);
bool export_message(FILE *out, const struct sessions_message *message,
                    const struct sessions_record *record, struct err *err);
// Who speaks, on one line. Untrusted: the caller makes it harmless.
void export_heading(struct str *out, const struct sessions_message *message);
void export_date(FILE *out, int64_t ms);
void export_base64(FILE *out, const struct str *bytes);
void html_begin(FILE *out);
void html_end(FILE *out);
void html_conversation(FILE *out, const struct sessions_entry *entry);
bool html_message(struct sessions *s, FILE *out, const struct sessions_message *message,
                  struct err *err);

// What an import has of the conversation that it is reading.
struct importer {
    struct sessions *s;
    const char *directory;
    struct sessions_imported *done;
    int64_t conversation; // key; 0: none is open
    char id[SESSIONS_ID];
    bool is_new;
    int64_t updated_ms;            // as the file says
    char active_leaf[SESSIONS_ID]; // as the file says; "": unknown
    size_t messages, attachments;  // added with this conversation
};

struct import_conversation {
    const char *id;
    const char *title;
    const char *tags; // one a line, or NULL
    const char *origin;
    const char *forked_from;
    int64_t created_ms, updated_ms;
    const char *active_leaf; // id, or NULL
};

struct import_message {
    const char *id;
    const char *parent; // id, or NULL
    enum message_state state;
    enum stop_reason stop_reason;
    const char *error;
    int64_t created_ms, finished_ms;
    struct message content;
    const char *model; // NULL: no model wrote it
};

// Begins a conversation in a transaction, or opens the one with this id.
bool import_begin(struct importer *importer,
                  const struct import_conversation *conversation, struct err *err);
// Adds a message unless it is there. *key is 0 when it was, else the row's.
bool import_message(struct importer *importer, const struct import_message *message,
                    int64_t *key, struct err *err);
bool import_picture(struct importer *importer, const void *bytes, size_t len,
                    struct sessions_attachment *attachment, struct err *err);
// Commits, or rolls back when ok is false.
bool import_end(struct importer *importer, bool ok, struct err *err);

// One line of our own format.
bool import_own(struct importer *importer, const json_t *object, struct err *err);
// One value of a foreign export: a whole conversation.
bool import_chatgpt(struct importer *importer, const json_t *value, struct err *err);
bool import_open_webui(struct importer *importer, const json_t *value, struct err *err);

#endif
