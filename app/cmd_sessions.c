// app/cmd_sessions.c
// SPDX-License-Identifier: MIT
//
// oriel sessions: the saved conversations, for people and scripts.
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/output.h"
#include "base/alloc.h"
#include "sessions/sessions.h"

#define MEMORY ((size_t)256 << 20) // for what one command shows

struct arguments {
    bool json, remove;
    const char *tag, *format, *output, *message;
    uint32_t limit, offset;
    char **operands; // behind the action
    size_t count;
};

static const struct option_spec options[] = {
    { 0, "json", NULL, OPTION_FLAG, offsetof(struct arguments, json), 0, 0,
      "print JSON: one array, or one object" },
    { 0, "limit", "N", OPTION_U32, offsetof(struct arguments, limit), 1, 1000000,
      "list, search: at most so many" },
    { 0, "offset", "N", OPTION_U32, offsetof(struct arguments, offset), 0, 0,
      "list: leave out the first N" },
    { 0, "tag", "TAG", OPTION_TEXT, offsetof(struct arguments, tag), 0, 0,
      "list: only those with this tag" },
    { 'f', "format", "FORMAT", OPTION_TEXT, offsetof(struct arguments, format), 0, 0,
      "export: markdown, jsonl, html or text" },
    { 'o', "output", "FILE", OPTION_TEXT, offsetof(struct arguments, output), 0, 0,
      "export: write FILE, not standard output" },
    { 0, "message", "ID", OPTION_TEXT, offsetof(struct arguments, message), 0, 0,
      "fork: only up to this message" },
    { 0, "remove", NULL, OPTION_FLAG, offsetof(struct arguments, remove), 0, 0,
      "tag: take the tags away" },
    OPTIONS_END,
};

// ---------------------------------------------------------------------------
// Showing

static void put_date(int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    char text[32] = "";
    struct tm parts;

    if (localtime_r(&seconds, &parts) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &parts);
    fputs(text, stdout);
}

static void put_words(const char *text)
{
    put_printable(stdout, text, strlen(text));
}

static json_t *tags_json(const char *tags)
{
    json_t *array = json_array();

    while (*tags != '\0') {
        size_t len = strcspn(tags, "\n");

        json_array_append_new(array, json_stringn(tags, len));
        tags += len + (tags[len] == '\n');
    }
    return array;
}

static json_t *entry_json(const struct sessions_entry *entry)
{
    return json_pack(
        "{s:s, s:s, s:o, s:s, s:s?, s:I, s:I, s:I, s:b}", "id", entry->id, "title",
        entry->title, "tags", tags_json(entry->tags), "origin", entry->origin, "model",
        entry->model, "created_ms", (json_int_t)entry->created_ms, "updated_ms",
        (json_int_t)entry->updated_ms, "messages", (json_int_t)entry->message_count,
        "streaming", (int)entry->streaming);
}

static bool list_sessions(struct sessions *s, const struct arguments *arguments,
                          struct arena *arena, struct err *err)
{
    struct sessions_list_params params = { .tag = arguments->tag,
                                           .offset = arguments->offset,
                                           .limit = arguments->limit };
    json_t *array = arguments->json ? json_array() : NULL;
    struct sessions_list list;

    if (!sessions_list(s, &params, arena, &list, err)) {
        json_decref(array);
        return false;
    }
    for (size_t i = 0; i < list.count; i++) {
        const struct sessions_entry *entry = &list.entries[i];

        if (array != NULL) {
            json_array_append_new(array, entry_json(entry));
            continue;
        }
        printf("%.8s  ", entry->id);
        put_date(entry->updated_ms);
        printf("  %4zu  ", entry->message_count);
        put_words(entry->title);
        putchar('\n');
    }
    if (array != NULL)
        put_json(array);
    else if (params.offset + list.count < list.total)
        remark("sessions", "%zu of %zu shown; --limit and --offset show more", list.count,
               list.total);
    return true;
}

static json_t *message_json(const struct sessions_message *message)
{
    static const char *const roles[] = { "system", "user", "assistant", "tool" };
    static const char *const states[] = { "streaming", "done", "interrupted", "error" };
    json_t *parts = json_array();

    for (size_t i = 0; i < message->content.part_count; i++) {
        const struct part *part = &message->content.parts[i];

        if (part->kind == PART_TEXT)
            json_array_append_new(
                parts, json_pack("{s:s%}", "text", part->text, part->text_len));
        else
            json_array_append_new(parts,
                                  json_pack("{s:s, s:s}", "image_hash", part->image_hash,
                                            "image_name", part->image_name));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:I, s:o}", "id", message->id, "parent",
                     message->parent, "role", roles[message->content.role], "state",
                     states[message->state], "model", message->model, "created_ms",
                     (json_int_t)message->created_ms, "parts", parts);
}

static bool show_json(struct sessions *s, const char *id, struct arena *arena,
                      struct err *err)
{
    struct sessions_entry entry;
    struct sessions_path path;
    json_t *object, *messages;

    if (!sessions_load_entry(s, id, arena, &entry, err) ||
        !sessions_load_path(s, id, NULL, arena, &path, err))
        return false;
    object = entry_json(&entry);
    messages = json_array();
    for (size_t i = 0; i < path.count; i++)
        json_array_append_new(messages, message_json(&path.messages[i]));
    json_object_set_new(object, "messages", messages);
    put_json(object);
    return true;
}

static bool show(struct sessions *s, const struct arguments *arguments,
                 struct arena *arena, struct err *err)
{
    char id[SESSIONS_ID];

    if (!sessions_find(s, arguments->operands[0], id, err))
        return false;
    return arguments->json ? show_json(s, id, arena, err)
                           : sessions_export(s, id, EXPORT_TEXT, stdout, err);
}

// The marks around what matched: bold on a terminal, nothing elsewhere.
static void put_snippet(const char *snippet)
{
    bool bold = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;

    while (*snippet != '\0') {
        size_t len = strcspn(snippet, "\x02\x03\n\t");

        put_printable(stdout, snippet, len);
        snippet += len;
        if (*snippet == SESSIONS_MATCH_BEGIN)
            fputs(bold ? "\x1b[1m" : "", stdout);
        else if (*snippet == SESSIONS_MATCH_END)
            fputs(bold ? "\x1b[0m" : "", stdout);
        else if (*snippet != '\0')
            putchar(' ');
        snippet += *snippet != '\0';
    }
    fputs(bold ? "\x1b[0m\n" : "\n", stdout);
}

static json_t *hit_json(const struct sessions_hit *hit)
{
    char *snippet = alloc_string(hit->snippet), *to = snippet;
    json_t *object;

    for (const char *at = snippet; *at != '\0'; at++)
        if (*at != SESSIONS_MATCH_BEGIN && *at != SESSIONS_MATCH_END)
            *to++ = *at;
    *to = '\0';
    object = json_pack("{s:s, s:s?, s:s, s:s, s:I}", "id", hit->conversation, "message",
                       hit->message[0] != '\0' ? hit->message : NULL, "title", hit->title,
                       "snippet", snippet, "created_ms", (json_int_t)hit->created_ms);
    free(snippet);
    return object;
}

static bool search(struct sessions *s, const struct arguments *arguments,
                   struct arena *arena, struct err *err)
{
    json_t *array = arguments->json ? json_array() : NULL;
    struct sessions_hits hits;
    struct str query;
    bool ok;

    str_init(&query, 0);
    for (size_t i = 0; i < arguments->count; i++)
        str_printf(&query, "%s%s", i > 0 ? " " : "", arguments->operands[i]);
    ok = sessions_search(s, query.data, arguments->limit, arena, &hits, err);
    str_release(&query);
    for (size_t i = 0; ok && i < hits.count; i++) {
        if (array != NULL) {
            json_array_append_new(array, hit_json(&hits.hits[i]));
            continue;
        }
        printf("%.8s  ", hits.hits[i].conversation);
        put_words(hits.hits[i].title);
        fputs("\n          ", stdout);
        put_snippet(hits.hits[i].snippet);
    }
    if (ok && array != NULL)
        put_json(array);
    else
        json_decref(array);
    return ok;
}

// ---------------------------------------------------------------------------
// Out and in

static const struct {
    const char *name, *suffix;
    enum export_format format;
} formats[] = {
    { "markdown", ".md", EXPORT_MARKDOWN },
    { "jsonl", ".jsonl", EXPORT_JSONL },
    { "html", ".html", EXPORT_HTML },
    { "text", ".txt", EXPORT_TEXT },
};

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static bool choose_format(const struct arguments *arguments, enum export_format *format,
                          struct err *err)
{
    *format = EXPORT_MARKDOWN;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (arguments->format != NULL
                ? strcmp(arguments->format, formats[i].name) == 0
                : arguments->output != NULL &&
                      ends_with(arguments->output, formats[i].suffix)) {
            *format = formats[i].format;
            return true;
        }
    }
    return arguments->format == NULL ||
           err_set(err, ERR_USAGE,
                   "there is no format \"%s\": use markdown, jsonl, html or text",
                   arguments->format);
}

// A temporary file beside it that becomes FILE when it is whole.
static bool export_to_file(struct sessions *s, const char *id, enum export_format format,
                           const char *path, struct err *err)
{
    char *temporary = alloc_printf("%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    bool ok = out != NULL || err_set_errno(err, "%s: cannot be written", path);

    ok = ok && sessions_export(s, id, format, out, err);
    if (ok && (fsync(fd) < 0 || rename(temporary, path) < 0))
        ok = err_set_errno(err, "%s: cannot be written", path);
    if (!ok && fd >= 0)
        unlink(temporary);
    if (out != NULL)
        fclose(out);
    free(temporary);
    return ok;
}

static bool export(struct sessions *s, const struct arguments *arguments,
                   struct arena *arena, struct err *err)
{
    const char *name = arguments->count > 0 ? arguments->operands[0] : NULL;
    enum export_format format;
    char id[SESSIONS_ID];

    (void)arena;
    if (!choose_format(arguments, &format, err) ||
        (name != NULL && !sessions_find(s, name, id, err)))
        return false;
    return arguments->output != NULL
               ? export_to_file(s, name != NULL ? id : NULL, format, arguments->output,
                                err)
               : sessions_export(s, name != NULL ? id : NULL, format, stdout, err);
}

static bool import_file(struct sessions *s, const char *path,
                        struct sessions_imported *imported, struct err *err)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *in = standard ? stdin : fopen(path, "re");
    char *copy = alloc_string(path);
    bool ok = in != NULL || err_set_errno(err, "%s", path);

    ok = ok && sessions_import(s, in, standard ? "standard input" : path,
                               standard ? NULL : dirname(copy), imported, err);
    if (in != NULL && !standard)
        fclose(in);
    free(copy);
    return ok;
}

static bool import(struct sessions *s, const struct arguments *arguments,
                   struct arena *arena, struct err *err)
{
    struct sessions_imported done = { .messages = 0 };
    bool ok = import_file(s, arguments->operands[0], &done, err);

    (void)arena;
    if (arguments->json) {
        put_json(json_pack(
            "{s:I, s:I, s:I, s:I, s:I, s:I}", "conversations",
            (json_int_t)done.conversations, "updated", (json_int_t)done.updated,
            "unchanged", (json_int_t)done.unchanged, "messages",
            (json_int_t)done.messages, "attachments", (json_int_t)done.attachments,
            "missing_images", (json_int_t)done.missing_images));
    } else if (ok || done.conversations + done.updated > 0) {
        printf(
            "%zu new conversations, %zu with new messages, %zu unchanged; %zu messages, "
            "%zu pictures\n",
            done.conversations, done.updated, done.unchanged, done.messages,
            done.attachments);
        if (done.missing_images > 0)
            remark("sessions", "%zu pictures are named by the file but not there",
                   done.missing_images);
    }
    return ok;
}

// ---------------------------------------------------------------------------
// Changing

static bool rename_session(struct sessions *s, const struct arguments *arguments,
                           struct arena *arena, struct err *err)
{
    char id[SESSIONS_ID];

    (void)arena;
    return sessions_find(s, arguments->operands[0], id, err) &&
           sessions_rename(s, id, arguments->operands[1], err);
}

static bool tag(struct sessions *s, const struct arguments *arguments,
                struct arena *arena, struct err *err)
{
    char id[SESSIONS_ID];
    bool ok = sessions_find(s, arguments->operands[0], id, err);

    (void)arena;
    for (size_t i = 1; ok && i < arguments->count; i++)
        ok = sessions_tag(s, id, arguments->operands[i], !arguments->remove, err);
    return ok;
}

static bool fork_session(struct sessions *s, const struct arguments *arguments,
                         struct arena *arena, struct err *err)
{
    char id[SESSIONS_ID], fork[SESSIONS_ID];

    (void)arena;
    if (!sessions_find(s, arguments->operands[0], id, err) ||
        !sessions_fork(s, id, arguments->message, fork, err))
        return false;
    if (arguments->json)
        put_json(json_pack("{s:s}", "id", fork));
    else
        puts(fork);
    return true;
}

static bool delete_session(struct sessions *s, const struct arguments *arguments,
                           struct arena *arena, struct err *err)
{
    char id[SESSIONS_ID];

    (void)arena;
    for (size_t i = 0; i < arguments->count; i++)
        if (!sessions_find(s, arguments->operands[i], id, err) ||
            !sessions_delete(s, id, err))
            return false;
    return true;
}

static bool forget(struct sessions *s, const struct arguments *arguments,
                   struct arena *arena, struct err *err)
{
    char id[SESSIONS_ID];

    (void)arena;
    return sessions_find(s, arguments->operands[0], id, err) &&
           sessions_forget(s, id, err);
}

// ---------------------------------------------------------------------------
// Which of them

static const struct action {
    const char *name, *operands;
    size_t least, most;
    bool (*run)(struct sessions *s, const struct arguments *arguments,
                struct arena *arena, struct err *err);
} actions[] = {
    { "list", "", 0, 0, list_sessions },
    { "show", "SESSION", 1, 1, show },
    { "search", "WORD...", 1, SIZE_MAX, search },
    { "export", "[SESSION]", 0, 1, export },
    { "import", "FILE", 1, 1, import },
    { "rename", "SESSION TITLE", 2, 2, rename_session },
    { "delete", "SESSION...", 1, SIZE_MAX, delete_session },
    { "fork", "SESSION", 1, 1, fork_session },
    { "tag", "SESSION TAG...", 2, SIZE_MAX, tag },
    { "forget", "SESSION", 1, 1, forget },
};

static const struct action *find_action(const struct operands *words, struct err *err)
{
    for (size_t i = 0; words->count > 0 && i < sizeof(actions) / sizeof(actions[0]);
         i++) {
        const struct action *action = &actions[i];
        size_t count = words->count - 1;

        if (strcmp(words->items[0], action->name) != 0)
            continue;
        if (count >= action->least && count <= action->most)
            return action;
        err_set(err, ERR_USAGE, "the usage is: oriel sessions %s%s%s", action->name,
                action->operands[0] != '\0' ? " " : "", action->operands);
        return NULL;
    }
    if (words->count == 0)
        err_set(err, ERR_USAGE, "say what to do: oriel help sessions");
    else
        err_set(err, ERR_USAGE,
                "there is no \"sessions %s\"; oriel help sessions lists them",
                words->items[0]);
    return NULL;
}

static bool run_action(const struct action *action, const struct arguments *arguments,
                       struct err *err)
{
    struct sessions *s =
        sessions_open(&(struct sessions_params){ .directory = NULL }, err);
    struct arena arena;
    bool ok;

    if (s == NULL)
        return false;
    if (sessions_read_only(s) != NULL)
        remark("sessions", "%s: %s", sessions_file(s), sessions_read_only(s));
    arena_init(&arena, MEMORY);
    ok = action->run(s, arguments, &arena, err);
    arena_release(&arena);
    sessions_close(&s);
    return ok;
}

static int run(int argc, char **argv)
{
    struct arguments arguments = { .limit = 50 };
    const struct action *action;
    struct operands words;
    struct err err = { 0 };
    int code;

    if (!command_options(&command_sessions, argc, argv, &arguments, &words, &code))
        return code;
    action = find_action(&words, &err);
    if (action == NULL)
        return complain("sessions", &err);
    arguments.operands = words.items + 1;
    arguments.count = words.count - 1;
    return run_action(action, &arguments, &err) ? EXIT_OK : complain("sessions", &err);
}

const struct command command_sessions = {
    .name = "sessions",
    .usage = "ACTION [OPTION]... [ARGUMENT]...",
    .summary = "List, search, export, import and change saved conversations",
    .notes =
        "Actions:\n"
        "  list                     newest first\n"
        "  show SESSION             the whole conversation\n"
        "  search WORD...           in messages, titles and tags\n"
        "  export [SESSION]         one, or all of them\n"
        "  import FILE              of oriel, ChatGPT or Open WebUI; -: standard input\n"
        "  rename SESSION TITLE\n"
        "  tag SESSION TAG...\n"
        "  fork SESSION             a copy to go on with; prints its id\n"
        "  delete SESSION...\n"
        "  forget SESSION           delete, and leave no trace in the files\n"
        "SESSION is an id, its first 4 digits or more, a title, or \"last\".",
    .options = options,
    .run = run,
};
