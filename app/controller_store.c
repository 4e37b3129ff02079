// app/controller_store.c
// SPDX-License-Identifier: MIT
//
// Conversations between the store and the screen.
#include "app/controller.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/messages.h"
#include "base/alloc.h"
#include "base/log.h"

#define LISTED_MAX  200
#define LIST_BYTES  ((size_t)16 << 20)
#define TITLE_BYTES 80

// ---------------------------------------------------------------------------
// Messages

void controller_text(const struct message *message, struct str *out)
{
    for (size_t i = 0; i < message->part_count; i++)
        if (message->parts[i].kind == PART_TEXT)
            str_append_n(out, message->parts[i].text, message->parts[i].text_len);
}

const struct sessions_message *controller_last(const struct controller *c, enum role role)
{
    for (size_t i = c->path.count; i-- > 0;)
        if (c->path.messages[i].content.role == role)
            return &c->path.messages[i];
    return NULL;
}

static bool is_empty(const struct message *message)
{
    for (size_t i = 0; i < message->part_count; i++)
        if (message->parts[i].kind != PART_TEXT || message->parts[i].text_len > 0)
            return false;
    return true;
}

// What the engine is to see: all but empty messages, what no longer fits, and what the
// reply that is being written will replace.
struct conversation controller_conversation(const struct controller *c)
{
    const struct sessions_message *question = controller_last(c, ROLE_USER);
    struct message *messages = alloc_array(c->path.count, sizeof(*messages));
    size_t count = 0, first = 0;

    for (size_t i = 0; i < c->path.count; i++) {
        const struct message *message = &c->path.messages[i].content;
        bool system = i == 0 && message->role == ROLE_SYSTEM;

        first += system;
        if (!is_empty(message) && (system || i >= first + c->skipped))
            messages[count++] = *message;
        if (&c->path.messages[i] == question)
            break;
    }
    return (struct conversation){ messages, count };
}

static const char *how_it_ended(const struct sessions_message *message)
{
    if (message->state == MESSAGE_ERROR)
        return message->error != NULL ? message->error : "failed";
    if (message->state == MESSAGE_STREAMING)
        return "being written";
    switch (message->stop_reason) {
    case STOP_LENGTH:
        return "cut at the limit of tokens";
    case STOP_CONTEXT:
        return "the context is full";
    default:
        return message->state == MESSAGE_INTERRUPTED ? "stopped" : "";
    }
}

char *controller_meta(const struct sessions_message *message)
{
    const char *how = how_it_ended(message);

    if (message->sibling_count < 2)
        return alloc_string(how);
    return alloc_printf("%zu/%zu%s%s", message->sibling_index + 1, message->sibling_count,
                        how[0] != '\0' ? " · " : "", how);
}

void controller_show_message(struct picture_blocks *blocks,
                             const struct sessions_message *message)
{
    static const enum ui_block_kind kinds[] = { UI_BLOCK_SYSTEM, UI_BLOCK_USER,
                                                UI_BLOCK_REPLY, UI_BLOCK_SYSTEM };
    static const char *const names[] = { "System", "You", "Assistant", "Tool" };
    enum role role = message->content.role;
    bool has_model = message->model != NULL && message->model[0] != '\0';
    const char *label = has_model ? message->model : names[role]; // of the first block
    char *beside = controller_meta(message), *meta = beside;
    struct str text;

    for (size_t i = 0; i < message->content.part_count; i++)
        if (message->content.parts[i].kind == PART_IMAGE) {
            picture_blocks_add(blocks, &message->content.parts[i], label, meta);
            label = meta = NULL;
        }
    str_init(&text, 0);
    controller_text(&message->content, &text);
    if (text.len > 0 || label != NULL)
        ui_add_block(blocks->ui, &(struct ui_block){ .kind = kinds[role],
                                                     .label = label,
                                                     .meta = meta,
                                                     .text = text.data,
                                                     .text_len = text.len });
    str_release(&text);
    free(beside);
}

// One message of the path.
static void show_next(struct controller *c, const struct sessions_message *message)
{
    if (message->content.role == ROLE_USER) {
        c->questions = alloc_grow(c->questions, c->question_count, &c->question_cap,
                                  sizeof(*c->questions));
        c->questions[c->question_count++] = ui_block_count(c->ui);
    }
    controller_show_message(&c->pictures, message);
}

void controller_show(struct controller *c)
{
    ui_hold(c->ui);
    ui_truncate(c->ui, 0);
    c->question_count = 0;
    for (size_t i = 0; i < c->path.count; i++)
        show_next(c, &c->path.messages[i]);
    controller_show_skipped(c);
    ui_follow(c->ui);
    ui_let(c->ui);
}

// What leaves, leaves up to a question.
void controller_show_skipped(struct controller *c)
{
    size_t first = c->path.count > 0 && c->path.messages[0].content.role == ROLE_SYSTEM;
    size_t before = 0;

    for (size_t i = 0; i < first + c->skipped && i < c->path.count; i++)
        before += c->path.messages[i].content.role == ROLE_USER;
    if (before < c->question_count)
        ui_read_from(c->ui, c->skipped > 0 ? c->questions[before] : 0);
}

void controller_show_end(struct controller *c, size_t block)
{
    char *beside;

    if (c->path.count == 0)
        return;
    beside = controller_meta(&c->path.messages[c->path.count - 1]);
    ui_finish_block(c->ui, block, beside);
    free(beside);
}

// ---------------------------------------------------------------------------
// Conversations

static void set_title(struct controller *c, const char *title)
{
    char *copy = title != NULL ? alloc_string(title) : NULL;

    free(c->title);
    c->title = copy;
}

bool controller_load(struct controller *c, struct err *err)
{
    struct sessions_entry entry;

    arena_release(&c->arena);
    arena_init(&c->arena, c->arena.budget);
    c->path = (struct sessions_path){ 0 };
    if (!sessions_load_path(c->sessions, c->conversation, NULL, &c->arena, &c->path,
                            err) ||
        !sessions_load_entry(c->sessions, c->conversation, &c->arena, &entry, err))
        return false;
    set_title(c, entry.title);
    return true;
}

static void leave(struct controller *c)
{
    controller_unqueue(c);
    controller_save_draft(c);
    c->editing = c->reply_due = false;
    c->skipped = c->prompt_tokens = c->token_count = 0;
    c->tokens_per_second = 0;
}

bool controller_open(struct controller *c, const char *name, struct err *err)
{
    char id[SESSIONS_ID];

    if (!sessions_find(c->sessions, name, id, err))
        return false;
    leave(c);
    memcpy(c->conversation, id, sizeof(id));
    if (!controller_load(c, err))
        return false;
    controller_show(c);
    controller_load_draft(c);
    controller_list(c);
    return true;
}

void controller_new(struct controller *c)
{
    leave(c);
    c->conversation[0] = '\0';
    c->path = (struct sessions_path){ 0 };
    set_title(c, NULL);
    ui_truncate(c->ui, 0);
    c->question_count = 0;
    ui_notice(c->ui, "Type a message and press Enter. %s shows all commands.",
              c->plain ? "/help" : "F1");
    if (c->system != NULL)
        ui_add_block(c->ui, &(struct ui_block){ .kind = UI_BLOCK_SYSTEM,
                                                .label = "System",
                                                .text = c->system,
                                                .text_len = strlen(c->system) });
    controller_load_draft(c);
    controller_list(c);
}

// A conversation that begins with instructions is titled after what the person said.
static bool send_system(struct controller *c, const char *text,
                        struct sessions_sent *sent, struct err *err)
{
    struct part part = { .kind = PART_TEXT,
                         .text = c->system,
                         .text_len = strlen(c->system) };
    char *title = alloc_printf("%.*s", TITLE_BYTES, text);
    bool ok = sessions_send(
                  c->sessions,
                  &(struct sessions_send_params){ .message = { ROLE_SYSTEM, &part, 1 } },
                  sent, err) &&
              sessions_rename(c->sessions, sent->conversation, title, err);

    free(title);
    return ok;
}

static bool send_message(struct controller *c, const char *text, struct err *err)
{
    struct sessions_sent sent = { 0 };
    const char *conversation = c->conversation;
    size_t count;
    struct part *parts;
    bool ok;

    if (conversation[0] == '\0' && c->system != NULL) {
        if (!send_system(c, text, &sent, err))
            return false;
        memcpy(c->conversation, sent.conversation, sizeof(c->conversation));
    }
    parts = controller_parts(c, text, &count);
    ok = sessions_send(c->sessions,
                       &(struct sessions_send_params){
                           .conversation = conversation[0] != '\0' ? conversation : NULL,
                           .parent = c->editing ? c->edited : NULL,
                           .message = { ROLE_USER, parts, count } },
                       &sent, err);
    free(parts);
    if (ok)
        memcpy(c->conversation, sent.conversation, sizeof(c->conversation));
    return ok;
}

bool controller_send(struct controller *c, const char *text, struct err *err)
{
    bool begins = c->path.count == 0;

    if (!send_message(c, text, err) || !controller_load(c, err))
        return false;
    if (c->editing || begins)
        controller_show(c);
    else if (c->path.count > 0)
        show_next(c, &c->path.messages[c->path.count - 1]);
    c->editing = c->draft_dirty = false;
    controller_set_attached(c, NULL);
    free(c->system);
    c->system = NULL;
    controller_list(c);
    return true;
}

// ---------------------------------------------------------------------------
// The list

static void put_time(struct str *out, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000), now = time(NULL);
    char text[32] = "";
    struct tm then, today;

    if (localtime_r(&seconds, &then) == NULL || localtime_r(&now, &today) == NULL)
        return;
    strftime(text, sizeof(text),
             then.tm_year == today.tm_year && then.tm_yday == today.tm_yday ? "%H:%M"
                                                                            : "%Y-%m-%d",
             &then);
    str_append(out, text);
}

static void offer_titles(struct controller *c, const struct sessions_list *list)
{
    const char **titles = alloc_array(list->count + 1, sizeof(*titles));

    for (size_t i = 0; i < list->count; i++)
        titles[i] = list->entries[i].title;
    ui_set_names(c->ui, UI_OPEN, titles, list->count);
    free(titles);
}

static void list_conversations(struct controller *c, struct arena *arena)
{
    struct sessions_list list;
    struct ui_entry *entries;
    struct err err = { 0 };
    struct str detail;

    if (!sessions_list(c->sessions, &(struct sessions_list_params){ .limit = LISTED_MAX },
                       arena, &list, &err)) {
        ui_error(c->ui, &err);
        return;
    }
    offer_titles(c, &list);
    entries = alloc_array(list.count, sizeof(*entries));
    for (size_t i = 0; i < list.count; i++) {
        const struct sessions_entry *entry = &list.entries[i];

        str_init(&detail, 0);
        put_time(&detail, entry->updated_ms);
        str_printf(&detail, " · %zu message%s%s", entry->message_count,
                   entry->message_count == 1 ? "" : "s",
                   entry->streaming ? " · being written" : "");
        entries[i] = (struct ui_entry){ entry->id, entry->title, str_take(&detail),
                                        strcmp(entry->id, c->conversation) == 0 };
    }
    ui_set_entries(c->ui, "Conversations", entries, list.count);
    for (size_t i = 0; i < list.count; i++)
        free((char *)entries[i].detail);
    free(entries);
}

// The marks around a match have no meaning in one line of the list.
static char *without_marks(const char *snippet)
{
    char *text = alloc_string(snippet), *to = text;

    for (const char *from = snippet; *from != '\0'; from++)
        if (*from != SESSIONS_MATCH_BEGIN && *from != SESSIONS_MATCH_END)
            *to++ = *from == '\n' ? ' ' : *from;
    *to = '\0';
    return text;
}

static void list_hits(struct controller *c, struct arena *arena)
{
    struct sessions_hits hits;
    struct ui_entry *entries;
    struct err err = { 0 };
    char *heading;

    if (!sessions_search(c->sessions, c->search, LISTED_MAX, arena, &hits, &err)) {
        ui_error(c->ui, &err);
        return;
    }
    entries = alloc_array(hits.count, sizeof(*entries));
    for (size_t i = 0; i < hits.count; i++)
        entries[i] = (struct ui_entry){ hits.hits[i].conversation, hits.hits[i].title,
                                        without_marks(hits.hits[i].snippet), false };
    heading = alloc_printf("%zu found: %s", hits.count, c->search);
    ui_set_entries(c->ui, heading, entries, hits.count);
    free(heading);
    for (size_t i = 0; i < hits.count; i++)
        free((char *)entries[i].detail);
    free(entries);
}

void controller_list(struct controller *c)
{
    struct arena arena;

    arena_init(&arena, LIST_BYTES);
    if (c->search != NULL)
        list_hits(c, &arena);
    else
        list_conversations(c, &arena);
    arena_release(&arena);
}

// ---------------------------------------------------------------------------
// Drafts

static const char *draft_of(const struct controller *c)
{
    return c->conversation[0] != '\0' ? c->conversation : NULL;
}

void controller_save_draft(struct controller *c)
{
    struct message draft = { .role = ROLE_USER };
    struct err err = { 0 };
    struct part *parts;
    const char *typed;
    char *text;

    if (!c->draft_dirty)
        return;
    c->draft_dirty = false;
    typed = ui_message(c->ui);
    text = alloc_printf("%s%s%s", c->queued != NULL ? c->queued : "",
                        c->queued != NULL && typed[0] != '\0' ? "\n" : "", typed);
    draft.parts = parts = controller_parts(c, text, &draft.part_count);
    if (!sessions_draft_save(c->sessions, draft_of(c), &draft, &err))
        log_line(LOG_ERROR, "draft: %s", err.text);
    free(parts);
    free(text);
}

void controller_load_draft(struct controller *c)
{
    struct err err = { 0 };
    struct message draft;
    struct arena arena;
    struct str text;

    arena_init(&arena, LIST_BYTES);
    str_init(&text, 0);
    if (sessions_draft_load(c->sessions, draft_of(c), &arena, &draft, &err))
        controller_text(&draft, &text);
    else
        log_line(LOG_ERROR, "draft: %s", err.text);
    ui_set_message(c->ui, text.data);
    controller_set_attached(c, draft.part_count > 0 ? &draft : NULL);
    str_release(&text);
    arena_release(&arena);
}
