// sessions/replay.c
// SPDX-License-Identifier: MIT
//
// A saved conversation as events on one time line, one message in memory at a time.
//
// Time: a message stands where it was made relative to the one before (pauses cut to
// max_gap_ns); the tokens of a reply stand at their real times after its prompt was read.
// Where no times were kept (imported), a second passes between messages and 50 ms between
// words, and the events say that they are synthetic.
//
//   NEXT ──message──> NEXT          NEXT ──no more──> REPLAY_END (asked again: looks
//   again) NEXT ──reply begins──> TEXT ──token, word or picture──> TEXT TEXT ──nothing
//   new, still streaming──> REPLAY_PENDING, TEXT TEXT ──all shown──> REPLAY_REPLY_END,
//   NEXT
#include "sessions/private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define MESSAGE_BUDGET ((size_t)256 << 20)
#define PAUSE_NS       ((int64_t)1000000000) // between messages without times
#define WORD_NS        ((int64_t)50000000)

enum phase { PHASE_NEXT, PHASE_TEXT };

struct sessions_replay {
    struct sessions *s;
    char conversation[SESSIONS_ID];
    char leaf[SESSIONS_ID]; // "": the active one
    int64_t max_gap_ns;

    int64_t *keys; // of the path
    size_t count;
    size_t index; // of the message that is shown, or comes next

    enum phase phase;
    struct arena arena; // message and record
    struct sessions_message message;
    struct sessions_record record;
    size_t part, offset; // what comes next of the message
    size_t token;

    int64_t time_ns;  // of the last event
    int64_t begin_ns; // of the tokens' time 0
    int64_t wall_ms;  // when the last message was complete; 0: unknown
};

static bool load_keys(struct sessions_replay *replay, struct err *err)
{
    struct sessions *s = replay->s;
    const char *leaf = replay->leaf[0] != '\0' ? replay->leaf : NULL;
    int64_t conversation, leaf_key, *keys = NULL;
    size_t count = 0;
    bool ok;

    if (!store_begin_read(s, err))
        return false;
    ok = conversation_key(s, replay->conversation, &conversation, err) &&
         parent_key(s, conversation, leaf, &leaf_key, err) &&
         path_keys(s, leaf_key, &keys, &count, err);
    store_end_read(s);
    // If another branch has become the active one, what was played is all there is of
    // this.
    if (ok && count >= replay->index &&
        (replay->index == 0 ||
         keys[replay->index - 1] == replay->keys[replay->index - 1])) {
        free(replay->keys);
        replay->keys = keys;
        replay->count = count;
    } else {
        free(keys);
    }
    return ok;
}

static bool load_message(struct sessions_replay *replay, struct err *err)
{
    struct sessions *s = replay->s;

    arena_release(&replay->arena);
    arena_init(&replay->arena, MESSAGE_BUDGET);
    replay->record = (struct sessions_record){ .token_count = 0 };
    if (!message_load_key(s, replay->keys[replay->index], &replay->arena,
                          &replay->message, err))
        return false;
    return replay->message.model == NULL ||
           sessions_load_record(s, replay->message.id, &replay->arena, &replay->record,
                                err);
}

struct sessions_replay *sessions_replay_open(struct sessions *s, const char *conversation,
                                             const char *leaf, int64_t max_gap_ns,
                                             struct err *err)
{
    struct sessions_replay *replay = alloc_zero(sizeof(*replay));

    replay->s = s;
    replay->max_gap_ns = max_gap_ns;
    snprintf(replay->conversation, SESSIONS_ID, "%s", conversation);
    snprintf(replay->leaf, SESSIONS_ID, "%s", leaf != NULL ? leaf : "");
    arena_init(&replay->arena, MESSAGE_BUDGET);
    if (!load_keys(replay, err))
        sessions_replay_close(&replay);
    return replay;
}

void sessions_replay_close(struct sessions_replay **replay)
{
    if (*replay == NULL)
        return;
    arena_release(&(*replay)->arena);
    free((*replay)->keys);
    free(*replay);
    *replay = NULL;
}

// Moves the time line to where the message begins. True when that is made up.
static bool advance_to_message(struct sessions_replay *replay)
{
    const struct sessions_message *message = &replay->message;
    bool known = message->created_ms > 0 && (replay->wall_ms > 0 || replay->index == 0);
    int64_t gap_ns = PAUSE_NS;

    if (replay->index == 0) {
        gap_ns = 0;
    } else if (known) {
        int64_t gap_ms = message->created_ms - replay->wall_ms;

        gap_ms = gap_ms > 0 ? gap_ms : 0;
        if (__builtin_mul_overflow(gap_ms, 1000000, &gap_ns))
            gap_ns = PAUSE_NS;
    }
    if (replay->max_gap_ns > 0 && gap_ns > replay->max_gap_ns)
        gap_ns = replay->max_gap_ns;
    replay->time_ns += gap_ns;
    replay->wall_ms =
        message->finished_ms > 0 ? message->finished_ms : message->created_ms;
    return !known;
}

static void fill(const struct sessions_replay *replay, enum replay_kind kind,
                 struct sessions_event *event)
{
    *event = (struct sessions_event){ .kind = kind,
                                      .time_ns = replay->time_ns,
                                      .message = &replay->message };
}

static bool next_message(struct sessions_replay *replay, struct sessions_event *event,
                         struct err *err)
{
    bool synthetic;

    if (replay->index == replay->count && !load_keys(replay, err))
        return false;
    if (replay->index == replay->count) {
        *event =
            (struct sessions_event){ .kind = REPLAY_END, .time_ns = replay->time_ns };
        return true;
    }
    if (!load_message(replay, err))
        return false;
    synthetic = advance_to_message(replay);
    if (replay->message.content.role == ROLE_ASSISTANT) {
        replay->phase = PHASE_TEXT;
        replay->part = replay->offset = replay->token = 0;
        replay->begin_ns = replay->time_ns + replay->record.prompt_ns;
        fill(replay, REPLAY_REPLY_BEGIN, event);
    } else {
        replay->index++;
        fill(replay, REPLAY_MESSAGE, event);
    }
    event->synthetic = synthetic;
    return true;
}

// What is left of the text part that is being shown.
static size_t text_left(const struct sessions_replay *replay)
{
    const struct message *content = &replay->message.content;

    if (replay->part >= content->part_count ||
        content->parts[replay->part].kind != PART_TEXT)
        return 0;
    return content->parts[replay->part].text_len - replay->offset;
}

static void take_text(struct sessions_replay *replay, size_t len,
                      struct sessions_event *event)
{
    const struct message *content = &replay->message.content;

    fill(replay, REPLAY_TEXT, event);
    event->text = len > 0 ? content->parts[replay->part].text + replay->offset : "";
    event->text_len = len;
    replay->offset += len;
}

static void next_token(struct sessions_replay *replay, struct sessions_event *event)
{
    const struct sessions_token *token = &replay->record.tokens[replay->token++];
    size_t left = text_left(replay);
    int64_t at;

    if (!__builtin_add_overflow(replay->begin_ns, token->time_ns, &at) &&
        at > replay->time_ns)
        replay->time_ns = at;
    take_text(replay, token->text_len < left ? token->text_len : left, event);
    event->token = token;
}

// A word and the space behind it.
static void next_word(struct sessions_replay *replay, struct sessions_event *event)
{
    const char *text = replay->message.content.parts[replay->part].text + replay->offset;
    size_t left = text_left(replay), len = 0;

    while (len < left && !isspace((unsigned char)text[len]))
        len++;
    while (len < left && isspace((unsigned char)text[len]))
        len++;
    replay->time_ns += WORD_NS;
    take_text(replay, len, event);
    event->synthetic = true;
}

// Steps over parts that are shown; false when there are no more.
static bool find_part(struct sessions_replay *replay)
{
    const struct message *content = &replay->message.content;

    while (replay->part < content->part_count &&
           content->parts[replay->part].kind == PART_TEXT && text_left(replay) == 0) {
        replay->part++;
        replay->offset = 0;
    }
    return replay->part < content->part_count;
}

static bool next_of_reply(struct sessions_replay *replay, struct sessions_event *event,
                          struct err *err)
{
    bool streaming = replay->message.state == MESSAGE_STREAMING;

    // A streaming reply has grown, or ended, since it was loaded.
    if (streaming && replay->token == replay->record.token_count &&
        !load_message(replay, err))
        return false;
    streaming = replay->message.state == MESSAGE_STREAMING;
    if (replay->token < replay->record.token_count) {
        next_token(replay, event);
    } else if (streaming) {
        fill(replay, REPLAY_PENDING, event);
    } else if (find_part(replay) && text_left(replay) > 0) {
        next_word(replay, event);
    } else if (replay->part < replay->message.content.part_count) {
        fill(replay, REPLAY_IMAGE, event);
        event->part = &replay->message.content.parts[replay->part++];
    } else {
        replay->wall_ms = replay->message.finished_ms;
        replay->phase = PHASE_NEXT;
        replay->index++;
        fill(replay, REPLAY_REPLY_END, event);
    }
    return true;
}

bool sessions_replay_next(struct sessions_replay *replay, struct sessions_event *event,
                          struct err *err)
{
    return replay->phase == PHASE_TEXT ? next_of_reply(replay, event, err)
                                       : next_message(replay, event, err);
}
