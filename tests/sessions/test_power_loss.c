// tests/sessions/test_power_loss.c
// SPDX-License-Identifier: MIT
//
// The power goes at every moment of what a person's program does to the store, and takes
// of the writes that were not synced any: each state that this may leave is opened. What
// had been reported as done must be there, what had been forgotten must not, and the file
// must be sound. (The method: Pillai et al., "All File Systems Are Not Created Equal",
// OSDI 2014, and SQLite's own crash tests; here above the store, not below it.)
//
// Where few writes are pending all subsets of their sectors are tried, else some, each
// with sectors of 512 and 4096 bytes, and with noise or zeros where a file grew. States
// that were seen before are not counted again. POWER_STATES says how many there shall be;
// without it a few hundred are taken from all over three stories.
#include "tests/sessions/fixture.h"

#include "sessions/private.h"
#include "tests/sessions/disk.h"

#define PROMISES   128
#define NEEDLE     24
#define STATES     400 // in make check
#define EVERY      29  // moment of a story there
#define EVERY_LONG 5   // and with POWER_STATES, so that many stories are told
#define TWICE      150 // how rarely the power goes again
#define PER_MOMENT 16
#define SCRIPT     12 // things done in one history

// ---------------------------------------------------------------------------
// What the store said is done

enum promise_kind {
    KEPT,      // message `id` has `text`
    STREAMED,  // the reply `id` has at least `text`
    DELETING,  // nothing is promised of `conversation` any more
    DELETED,   // it is in no list
    FORGOTTEN, // and `text` is in no file
};

struct promise {
    enum promise_kind kind;
    size_t at; // steps of the disk that had been done
    char conversation[SESSIONS_ID];
    char id[SESSIONS_ID];
    char text[NEEDLE];
};

static struct {
    struct promise all[PROMISES];
    size_t count;
    struct disk_history history;
} story;

static void promise(enum promise_kind kind, const char *conversation, const char *id,
                    const char *text)
{
    struct promise *made = &story.all[story.count++];

    if (story.count > PROMISES)
        abort();
    made->kind = kind;
    made->at = story.history.count;
    snprintf(made->conversation, SESSIONS_ID, "%s", conversation);
    snprintf(made->id, SESSIONS_ID, "%s", id);
    snprintf(made->text, NEEDLE, "%s", text);
}

static bool is_off(const struct promise *made, size_t at)
{
    for (size_t i = 0; i < story.count && story.all[i].at <= at; i++)
        if (story.all[i].kind == DELETING &&
            strcmp(story.all[i].conversation, made->conversation) == 0)
            return true;
    return false;
}

static bool is_broken(struct sessions *s, const struct promise *made)
{
    int64_t count = -1;

    if (made->kind == KEPT || made->kind == STREAMED)
        return !store_int(s, NULL, &count, 0,
                          "SELECT count(*) FROM messages m JOIN parts p ON p.message = "
                          "m.key WHERE m.id = ?1 AND substr(p.text, 1, length(?2)) = ?2",
                          "ss", made->id, made->text) ||
               count != 1;
    if (made->kind == DELETED)
        return !store_int(s, NULL, &count, 0,
                          "SELECT count(*) FROM conversations WHERE id = ?1", "s",
                          made->conversation) ||
               count != 0;
    return false;
}

static bool any_is_broken(struct sessions *s, size_t at)
{
    for (size_t i = 0; i < story.count && story.all[i].at <= at; i++) {
        const struct promise *made = &story.all[i];

        if ((made->kind >= DELETED || !is_off(made, at)) && is_broken(s, made)) {
            printf("# promise %zu (kind %d, \"%s\") does not hold\n", i, (int)made->kind,
                   made->text);
            return true;
        }
    }
    return false;
}

static bool is_forgotten(const struct disk_state *state, size_t at)
{
    for (size_t i = 0; i < story.count && story.all[i].at <= at; i++)
        if (story.all[i].kind == FORGOTTEN && disk_state_has(state, story.all[i].text)) {
            printf("# \"%s\" was forgotten and is in a file\n", story.all[i].text);
            return false;
        }
    return true;
}

// ---------------------------------------------------------------------------
// What a person's program does

static uint64_t seed;

static unsigned draw(unsigned below)
{
    uint64_t mixed = seed += 0x9E3779B97F4A7C15u;

    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return (unsigned)((mixed ^ (mixed >> 31)) % below);
}

static void word(char text[NEEDLE])
{
    snprintf(text, NEEDLE, "word%08x", draw(UINT32_MAX));
}

struct writer {
    struct sessions *s;
    char conversation[SESSIONS_ID]; // "": none yet
};

static void say(struct writer *writer, bool anew)
{
    char text[NEEDLE], *long_text = NULL;
    struct sessions_sent sent;

    word(text);
    if (draw(4) == 0) // several pages
        long_text = alloc_printf("%s %0*d", text, (int)draw(20000), 0);
    OK(send_text(writer->s,
                 anew || writer->conversation[0] == '\0' ? NULL : writer->conversation,
                 NULL, long_text != NULL ? long_text : text, &sent, &err));
    snprintf(writer->conversation, SESSIONS_ID, "%s", sent.conversation);
    promise(KEPT, sent.conversation, sent.message, text);
    free(long_text);
}

static void answer(struct writer *writer)
{
    struct sessions_reply *reply;
    char text[NEEDLE];

    if (writer->conversation[0] == '\0')
        say(writer, true);
    reply = begin_reply(writer->s, writer->conversation, NULL, NULL);
    REQUIRE(reply != NULL);
    word(text);
    append_token(reply, 1, text, 1);
    OK(sessions_reply_flush(reply, &err));
    promise(STREAMED, writer->conversation, sessions_reply_id(reply), text);
    append_token(reply, 2, " more", 2);
    if (draw(2) == 0) {
        OK(finish_reply(&reply, MESSAGE_DONE, &err));
        promise(STREAMED, writer->conversation, story.all[story.count - 1].id,
                story.all[story.count - 1].text);
    }
    sessions_reply_abandon(&reply);
}

static void change(struct writer *writer)
{
    struct part draft = text_part("not sent yet");
    char fork[SESSIONS_ID];

    if (writer->conversation[0] == '\0')
        say(writer, true);
    switch (draw(4)) {
    case 0:
        OK(sessions_rename(writer->s, writer->conversation, "another title", &err));
        break;
    case 1:
        OK(sessions_tag(writer->s, writer->conversation, "tagged", true, &err));
        break;
    case 2:
        OK(sessions_draft_save(writer->s, writer->conversation,
                               &(struct message){ ROLE_USER, &draft, 1 }, &err));
        break;
    default:
        OK(sessions_fork(writer->s, writer->conversation, NULL, fork, &err));
        break;
    }
}

// Every needle that was said in this conversation goes, also the reply's.
static void leave(struct writer *writer, bool forget)
{
    size_t said = story.count;

    if (writer->conversation[0] == '\0')
        return;
    promise(DELETING, writer->conversation, "", "");
    if (forget)
        OK(sessions_forget(writer->s, writer->conversation, &err));
    else
        OK(sessions_delete(writer->s, writer->conversation, &err));
    promise(DELETED, writer->conversation, "", "");
    for (size_t i = 0; forget && i < said; i++)
        if (story.all[i].kind == KEPT &&
            strcmp(story.all[i].conversation, writer->conversation) == 0)
            promise(FORGOTTEN, writer->conversation, "", story.all[i].text);
    writer->conversation[0] = '\0';
}

// A fork has the same words, so what is forgotten was not forked: see do_something.
static void do_something(struct writer *writer, bool forgetful)
{
    unsigned what = draw(12);

    if (what < 5)
        say(writer, what == 0);
    else if (what < 8)
        answer(writer);
    else if (what < 10 && !forgetful)
        change(writer);
    else if (what == 11)
        leave(writer, forgetful);
}

// The same seed tells the same story. Every fifth begins with no store at all.
static void tell_story(uint64_t number, const struct disk_state *filled)
{
    struct writer writer = { .conversation = "" };

    seed = number;
    story.count = 0;
    disk_load(number % 5 == 1 ? NULL : filled);
    disk_record(&story.history);
    writer.s = open_store();
    for (int i = 0; i < SCRIPT; i++)
        do_something(&writer, number % 4 == 0);
    sessions_close(&writer.s);
    disk_stop();
}

// ---------------------------------------------------------------------------
// What may be left of it

static struct {
    uint64_t *hashes; // of the states that were opened
    size_t count, cap;
    size_t moments, stories, again;
    size_t every; // moment
} seen;

static bool is_new(const struct disk_state *state)
{
    uint64_t hash = disk_state_hash(state);

    // Equal states follow each other closely: a step that changes nothing, a sector that
    // was the same.
    for (size_t i = seen.count, looked = 0; i > 0 && looked < 512; i--, looked++)
        if (seen.hashes[i - 1] == hash)
            return false;
    seen.hashes = alloc_grow(seen.hashes, seen.count, &seen.cap, sizeof(hash));
    seen.hashes[seen.count++] = hash;
    return true;
}

// Opens what is on the disk now; `at` says which promises hold.
static bool stands(size_t at)
{
    struct err err = { .code = ERR_NONE };
    struct sessions *s =
        sessions_open(&(struct sessions_params){ .directory = directory }, &err);
    bool ok = s != NULL && sessions_check(s, &err) && !any_is_broken(s, at) &&
              is_forgotten(disk_now(), at);
    struct sessions_sent sent;

    if (ok && seen.count % 16 == 0)
        ok = send_text(s, NULL, NULL, "on we go", &sent, &err) && sessions_check(s, &err);
    sessions_close(&s);
    if (!ok)
        printf("# after step %zu of %zu: %s\n", at, story.history.count, err.text);
    return ok;
}

// The power comes back, and goes again while the store is being opened.
static bool stands_twice(size_t at)
{
    struct disk_history history;
    struct disk_moment moment;
    bool ok;

    disk_record(&history);
    ok = stands(at);
    disk_stop();
    disk_moment_init(&moment, &history);
    while (ok && disk_moment_next(&moment)) {
        struct disk_loss loss = { ((uint64_t)draw(UINT32_MAX) << 32) | draw(UINT32_MAX),
                                  512, draw(2) == 0 };
        struct disk_state state;

        disk_lose(&moment, &loss, &state);
        if (is_new(&state)) {
            disk_load(&state);
            ok = stands(at);
            seen.again++;
        }
        disk_state_release(&state);
    }
    disk_moment_release(&moment);
    disk_history_release(&history);
    return ok;
}

static bool try_loss(const struct disk_moment *moment, const struct disk_loss *loss)
{
    struct disk_state state;
    bool ok = true;

    disk_lose(moment, loss, &state);
    if (is_new(&state)) {
        disk_load(&state);
        ok = (seen.count - seen.again) % TWICE == 0 ? stands_twice(moment->at)
                                                    : stands(moment->at);
    }
    disk_state_release(&state);
    return ok;
}

static bool try_moment(const struct disk_moment *moment)
{
    for (int i = 0; i < 4; i++) {
        struct disk_loss loss = { 0, i < 2 ? 512 : 4096, i % 2 != 0 };
        size_t units = disk_units(moment, loss.sector);
        bool all = units <= 4; // every subset
        uint64_t tries = all ? (uint64_t)1 << units : PER_MOMENT / 4;

        for (uint64_t k = 0; k < tries; k++) {
            if (all)
                loss.keep = k;
            else if (k < 2)
                loss.keep = k == 0 ? 0 : UINT64_MAX;
            else
                loss.keep = ((uint64_t)draw(UINT32_MAX) << 32) | draw(UINT32_MAX);
            if (!try_loss(moment, &loss))
                return false;
        }
    }
    return true;
}

static bool try_story(size_t wanted)
{
    struct disk_moment moment;
    bool ok = true;

    disk_moment_init(&moment, &story.history);
    while (ok && seen.count < wanted && disk_moment_next(&moment)) {
        if ((moment.at + seen.stories) % seen.every != 0)
            continue;
        ok = try_moment(&moment);
        seen.moments++;
    }
    disk_moment_release(&moment);
    return ok;
}

// A store with something in it, and a directory for what is not on the disk in memory.
static void fill(struct disk_state *filled)
{
    struct sessions_sent sent;
    struct sessions *s;

    disk_load(NULL);
    s = open_store();
    for (int i = 0; i < 20; i++)
        OK(send_text(s, NULL, NULL, "what was said before, and is not looked for", &sent,
                     &err));
    sessions_close(&s);
    disk_state_copy(filled, disk_now());
}

static void whatever_the_power_takes_nothing_acknowledged_is_lost(void)
{
    const char *text = getenv("POWER_STATES");
    size_t wanted = text != NULL ? (size_t)atoll(text) : STATES;
    struct disk_state filled;

    seen.every = text != NULL ? EVERY_LONG : EVERY;
    make_directory();
    disk_install();
    fill(&filled);
    while (seen.count < wanted && tap_failures == 0) {
        tell_story(++seen.stories, &filled);
        CHECK(try_story(wanted));
        disk_history_release(&story.history);
    }
    printf("# %zu states after %zu moments of %zu stories, %zu of them from a second "
           "loss: %s\n",
           seen.count, seen.moments, seen.stories, seen.again,
           tap_failures == 0 ? "nothing lost" : "NOT SOUND");
    disk_state_release(&filled);
    disk_load(NULL);
    free(seen.hashes);
    remove_directory();
}

static const struct test tests[] = {
    { "whatever the power takes nothing acknowledged is lost",
      whatever_the_power_takes_nothing_acknowledged_is_lost },
};
TAP_MAIN(tests)
