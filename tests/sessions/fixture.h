// tests/sessions/fixture.h
// SPDX-License-Identifier: MIT
//
// A store in a directory of its own, and short ways to fill it.
#ifndef ORIEL_TESTS_SESSIONS_FIXTURE_H
#define ORIEL_TESTS_SESSIONS_FIXTURE_H

#include <dirent.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "sessions/sessions.h"
#include "tests/tap.h"

#define UNUSED __attribute__((unused))

static char directory[64];

// Not in the build folder: its path may be longer than a test wants.
UNUSED static void make_directory(void)
{
    snprintf(directory, sizeof(directory), "/tmp/oriel-sessions-XXXXXX");
    if (mkdtemp(directory) == NULL)
        abort();
}

UNUSED static void remove_tree(const char *path)
{
    DIR *open = opendir(path);
    struct dirent *entry;

    while (open != NULL && (entry = readdir(open)) != NULL) {
        char *inside = alloc_printf("%s/%s", path, entry->d_name);

        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            unlink(inside) < 0)
            remove_tree(inside);
        free(inside);
    }
    if (open != NULL)
        closedir(open);
    rmdir(path);
}

UNUSED static void remove_directory(void)
{
    remove_tree(directory);
}

UNUSED static struct sessions *open_store(void)
{
    struct err err = { .code = ERR_NONE };
    struct sessions *s =
        sessions_open(&(struct sessions_params){ .directory = directory }, &err);

    if (s == NULL) {
        printf("# %s\n", err.text);
        abort();
    }
    return s;
}

UNUSED static struct sessions *open_ephemeral(void)
{
    return sessions_open(&(struct sessions_params){ .ephemeral = true }, NULL);
}

// Prints the error of a call that should have worked.
#define OK(call)                                                                         \
    do {                                                                                 \
        struct err err = { .code = ERR_NONE };                                           \
        if (!(call)) {                                                                   \
            printf("# %s\n", err.text);                                                  \
            tap_note(__FILE__, __LINE__, #call);                                         \
        }                                                                                \
    } while (0)

// The call must fail with this code; it sees `err`.
#define FAILS(call, wanted)                                                              \
    do {                                                                                 \
        struct err err = { .code = ERR_NONE };                                           \
        CHECK(!(call));                                                                  \
        CHECK_INT(err.code, wanted);                                                     \
        if (err.code != (wanted))                                                        \
            printf("# %s\n", err.text);                                                  \
    } while (0)

UNUSED static struct part text_part(const char *text)
{
    return (struct part){ .kind = PART_TEXT, .text = text, .text_len = strlen(text) };
}

UNUSED static bool send_text(struct sessions *s, const char *conversation,
                             const char *parent, const char *text,
                             struct sessions_sent *sent, struct err *err)
{
    struct part part = text_part(text);
    struct sessions_send_params params = {
        .conversation = conversation,
        .parent = parent,
        .message = { .role = ROLE_USER, .parts = &part, .part_count = 1 },
    };

    return sessions_send(s, &params, sent, err);
}

UNUSED static struct sessions_reply *begin_reply(struct sessions *s,
                                                 const char *conversation,
                                                 const char *parent, struct err *err)
{
    struct generation_settings settings = { .temperature = 0.7f, .seed = 42, .top_p = 1 };
    struct sessions_reply_params params = {
        .conversation = conversation,
        .parent = parent,
        .model_name = "Test 1B",
        .model_hash = "aa",
        .device = "test device",
        .build = "1",
        .template_hash = "bb",
        .settings = &settings,
        .prompt = (const uint32_t[]){ 1, 2, 3 },
        .prompt_count = 3,
    };

    return sessions_reply_begin(s, &params, err);
}

UNUSED static void append_token(struct sessions_reply *reply, uint32_t id,
                                const char *text, int64_t time_ns)
{
    sessions_reply_append(reply, &(struct token_event){ .id = id,
                                                        .logprob = -0.5f * (float)id,
                                                        .text = text,
                                                        .text_len = strlen(text),
                                                        .time_ns = time_ns });
}

UNUSED static bool finish_reply(struct sessions_reply **reply, enum message_state state,
                                struct err *err)
{
    struct sessions_reply_end end = {
        .state = state, .reason = STOP_END, .prompt_ns = 7, .generation_ns = 99
    };

    return sessions_reply_finish(reply, &end, err);
}

// A whole reply of two tokens.
UNUSED static bool reply_text(struct sessions *s, const char *conversation,
                              const char *parent, const char *first, const char *second,
                              char id[SESSIONS_ID], struct err *err)
{
    struct sessions_reply *reply = begin_reply(s, conversation, parent, err);

    if (reply == NULL)
        return false;
    snprintf(id, SESSIONS_ID, "%s", sessions_reply_id(reply));
    append_token(reply, 11, first, 1000000);
    append_token(reply, 12, second, 51000000);
    return finish_reply(&reply, MESSAGE_DONE, err);
}

// The first column of a query on the closed store's file, read by an ordinary connection.
UNUSED static int64_t ask_file(const char *sql)
{
    char *path = alloc_printf("%s/sessions.db", directory);
    sqlite3_stmt *statement = NULL;
    int64_t value = -1;
    sqlite3 *db;

    if (sqlite3_open(path, &db) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    else
        printf("# %s: %s\n", sql, sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    free(path);
    return value;
}

UNUSED static void tell_file(const char *sql)
{
    char *path = alloc_printf("%s/sessions.db", directory);
    char *message = NULL;
    sqlite3 *db;

    sqlite3_open(path, &db);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        printf("# %s: %s\n", sql, message);
    sqlite3_free(message);
    sqlite3_close(db);
    free(path);
}

#endif
