// tests/fuzz/fuzz_import.c
// SPDX-License-Identifier: MIT
//
// Any bytes as a file to import; what was accepted is exported in every form, searched
// and played, and its own export is accepted again and changes nothing.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sessions/sessions.h"

#define EVENTS_LIMIT 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what, const struct err *err)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, err->text);
    abort();
}

static bool import_bytes(struct sessions *s, const void *bytes, size_t len,
                         struct sessions_imported *imported, struct err *err)
{
    FILE *in = fmemopen((void *)(uintptr_t)bytes, len, "r");
    bool ok = in != NULL && sessions_import(s, in, "input", NULL, imported, err);

    if (in != NULL)
        fclose(in);
    return ok;
}

static void export_all(struct sessions *s)
{
    struct err err = { .code = ERR_NONE };

    for (int format = EXPORT_MARKDOWN; format <= EXPORT_TEXT; format++) {
        struct sessions_imported imported = { .messages = 0 };
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);

        require(sessions_export(s, NULL, (enum export_format)format, out, &err), "export",
                &err);
        fclose(out);
        if (format == EXPORT_JSONL) {
            require(import_bytes(s, text, len, &imported, &err), "import again", &err);
            require(imported.messages == 0 && imported.conversations == 0, "not equal",
                    &err);
        } else {
            require(memchr(text, '\x1b', len) == NULL, "an escape sequence", &err);
        }
        free(text);
    }
}

static void play(struct sessions *s, const char *conversation)
{
    struct err err = { .code = ERR_NONE };
    struct sessions_event event = { .kind = REPLAY_MESSAGE };
    struct sessions_replay *replay = sessions_replay_open(s, conversation, NULL, 0, &err);
    int64_t last_ns = 0;

    require(replay != NULL, "replay", &err);
    for (int i = 0; i < EVENTS_LIMIT && event.kind != REPLAY_END; i++) {
        require(sessions_replay_next(replay, &event, &err), "replay", &err);
        require(event.time_ns >= last_ns, "time runs backwards", &err);
        last_ns = event.time_ns;
    }
    sessions_replay_close(&replay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sessions *s =
        sessions_open(&(struct sessions_params){ .ephemeral = true }, NULL);
    struct err err = { .code = ERR_NONE };
    struct sessions_imported imported;
    struct sessions_list list;
    struct sessions_hits hits;
    struct arena arena;
    char query[64];

    if (size == 0 || !import_bytes(s, data, size, &imported, &err)) {
        require(size == 0 || (err.code != ERR_NONE && strchr(err.text, '\n') == NULL),
                "not one line", &err);
        err = (struct err){ .code = ERR_NONE };
    }
    arena_init(&arena, (size_t)64 << 20);
    require(sessions_check(s, &err), "check", &err);
    export_all(s);
    snprintf(query, sizeof(query), "%.*s", (int)(size < 60 ? size : 60),
             (const char *)data);
    require(sessions_search(s, query, 0, &arena, &hits, &err), "search", &err);
    require(sessions_list(s, &(struct sessions_list_params){ .limit = 100 }, &arena,
                          &list, &err),
            "list", &err);
    for (size_t i = 0; i < list.count; i++)
        play(s, list.entries[i].id);
    arena_release(&arena);
    sessions_close(&s);
    return 0;
}
