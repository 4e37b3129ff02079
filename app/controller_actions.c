// app/controller_actions.c
// SPDX-License-Identifier: MIT
//
// What the commands of the screen do: one function each, in the table at the end.
#include "app/controller.h"
#include "app/models/catalogue.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

typedef bool action_function(struct controller *c, const char *argument, struct err *err);

static bool need_conversation(const struct controller *c, struct err *err)
{
    return c->conversation[0] != '\0' ||
           err_set(err, ERR_USAGE, "this conversation has not begun yet");
}

// Most things have to wait for the reply that is being written.
static bool need_rest(const struct controller *c, struct err *err)
{
    return c->reply == NULL ||
           err_set(err, ERR_USAGE, "a reply is being written; Esc stops it");
}

static bool need_argument(const char *argument, const char *what, struct err *err)
{
    return argument[0] != '\0' || err_set(err, ERR_USAGE, "%s", what);
}

static bool do_stop(struct controller *c, const char *argument, struct err *err)
{
    (void)argument;
    (void)err;
    controller_stop(c);
    return true;
}

static bool do_new(struct controller *c, const char *argument, struct err *err)
{
    (void)argument;
    if (!need_rest(c, err))
        return false;
    controller_new(c);
    return true;
}

static bool do_attach(struct controller *c, const char *argument, struct err *err)
{
    return need_argument(argument, "which pictures? /attach FILE...", err) &&
           controller_attach_named(c, argument, err);
}

static bool do_paste_image(struct controller *c, const char *argument, struct err *err)
{
    (void)argument;
    return controller_paste_image(c, err);
}

static bool do_detach(struct controller *c, const char *argument, struct err *err)
{
    return controller_detach(c, argument, err);
}

static bool do_retry(struct controller *c, const char *argument, struct err *err)
{
    (void)argument;
    if (!need_rest(c, err))
        return false;
    if (controller_last(c, ROLE_USER) == NULL)
        return err_set(err, ERR_USAGE, "there is no message to answer yet");
    ui_hold(c->ui);
    controller_show(c);
    if (c->path.messages[c->path.count - 1].content.role == ROLE_ASSISTANT)
        ui_truncate(c->ui, ui_block_count(c->ui) - 1);
    ui_let(c->ui);
    controller_begin_reply(c);
    return true;
}

static bool do_edit(struct controller *c, const char *argument, struct err *err)
{
    const struct sessions_message *last = controller_last(c, ROLE_USER);
    struct str text;

    (void)argument;
    if (!need_rest(c, err))
        return false;
    if (last == NULL)
        return err_set(err, ERR_USAGE, "you have not said anything yet");
    memcpy(c->edited, last->parent, sizeof(c->edited));
    c->editing = true;
    str_init(&text, 0);
    controller_text(&last->content, &text);
    ui_set_message(c->ui, text.data);
    controller_set_attached(c, &last->content);
    str_release(&text);
    ui_notice(c->ui, "Enter sends it as another version; the old one stays.");
    return true;
}

// The last message that has siblings.
static const struct sessions_message *branch(const struct controller *c)
{
    for (size_t i = c->path.count; i-- > 0;)
        if (c->path.messages[i].sibling_count > 1)
            return &c->path.messages[i];
    return NULL;
}

static bool go_to_sibling(struct controller *c, int by, struct err *err)
{
    const struct sessions_message *message = branch(c);
    const char *const *ids;
    size_t count, index;

    if (!need_rest(c, err))
        return false;
    if (message == NULL)
        return err_set(err, ERR_USAGE,
                       "nothing here has several versions; /retry and "
                       "/edit make them");
    if (!sessions_siblings(c->sessions, message->id, &c->arena, &ids, &count, err))
        return false;
    index = (message->sibling_index + count + (size_t)by) % count;
    if (!sessions_select(c->sessions, ids[index], err) || !controller_load(c, err))
        return false;
    c->skipped = 0; // it was of the other path
    controller_show(c);
    return true;
}

static bool do_previous(struct controller *c, const char *argument, struct err *err)
{
    (void)argument;
    return go_to_sibling(c, -1, err);
}

static bool do_next(struct controller *c, const char *argument, struct err *err)
{
    (void)argument;
    return go_to_sibling(c, 1, err);
}

static bool do_system(struct controller *c, const char *argument, struct err *err)
{
    if (!need_rest(c, err))
        return false;
    free(c->system);
    c->system = argument[0] != '\0' ? alloc_string(argument) : NULL;
    controller_new(c);
    return true;
}

static bool do_model(struct controller *c, const char *argument, struct err *err)
{
    if (!need_rest(c, err) ||
        !need_argument(argument, "which model? /model NAME or /model FILE.gguf", err))
        return false;
    if (c->state == STATE_OPENING)
        return err_set(err, ERR_USAGE, "a model is being loaded already");
    return controller_open_model(c, argument, err);
}

// ---------------------------------------------------------------------------
// Settings

#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define SETTING(member) offsetof(struct generation_settings, member)
static const struct setting {
    const char *name;
    size_t offset;
    bool whole; // uint32_t, else float
    double max;
} settings[] = {
    { "temperature", SETTING(temperature), false, 100 },
    { "top-p", SETTING(top_p), false, 1 },
    { "min-p", SETTING(min_p), false, 1 },
    { "typical", SETTING(typical_p), false, 1 },
    { "repeat-penalty", SETTING(repetition_penalty), false, 100 },
    { "top-k", SETTING(top_k), true, 1e9 },
    { "max-tokens", SETTING(max_tokens), true, 1e9 },
};

static void offer_settings(struct controller *c)
{
    const char *names[COUNT(settings) + 1] = { "seed" };

    for (size_t i = 0; i < COUNT(settings); i++)
        names[1 + i] = settings[i].name;
    ui_set_names(c->ui, UI_SET, names, COUNT(names));
}

static void offer_models(struct controller *c)
{
    struct model_names installed = { 0 };
    const char **names;
    size_t count = 0, known = 0;

    while (catalogue[known].name != NULL)
        known++;
    if (!models_list(&installed, &(struct err){ 0 }))
        installed.count = 0;
    names = alloc_array(installed.count + known, sizeof(*names));
    for (size_t i = 0; i < installed.count; i++)
        names[count++] = installed.items[i];
    for (size_t i = 0; i < known; i++)
        names[count++] = catalogue[i].name;
    ui_set_names(c->ui, UI_MODEL, names, count);
    free(names);
    model_names_release(&installed);
}

void controller_offer_names(struct controller *c)
{
    static const char *const themes[] = { "dark", "light", "plain" };

    ui_set_names(c->ui, UI_THEME, themes, COUNT(themes));
    offer_settings(c);
    offer_models(c);
}

static void show_settings(struct controller *c)
{
    const struct generation_settings *s = &c->settings;

    ui_notice(
        c->ui,
        "temperature %g, top-p %g, min-p %g, typical %g, repeat-penalty %g, top-k %u, "
        "max-tokens %u, seed %s%llu",
        (double)s->temperature, (double)s->top_p, (double)s->min_p, (double)s->typical_p,
        (double)s->repetition_penalty, s->top_k, s->max_tokens,
        c->seed_fixed ? "" : "drawn each time, last ", (unsigned long long)s->seed);
}

static bool set_seed(struct controller *c, const char *value, struct err *err)
{
    char *end;
    unsigned long long seed = strtoull(value, &end, 10);

    c->seed_fixed = strcmp(value, "random") != 0;
    if (!c->seed_fixed)
        return true;
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || seed > INT64_MAX)
        return err_set(err, ERR_USAGE, "a seed is a whole number, or \"random\"");
    c->settings.seed = seed;
    return true;
}

static bool set_number(struct controller *c, const struct setting *setting,
                       const char *value, struct err *err)
{
    char *at = (char *)&c->settings + setting->offset, *end;
    double number = strtod(value, &end);

    if (end == value || *end != '\0' || !(number >= 0 && number <= setting->max) ||
        (setting->whole && number != floor(number)))
        return err_set(err, ERR_USAGE, "%s is a %snumber from 0 to %g", setting->name,
                       setting->whole ? "whole " : "", setting->max);
    if (setting->whole)
        *(uint32_t *)(void *)at = (uint32_t)number;
    else
        *(float *)(void *)at = (float)number;
    return true;
}

static bool do_set(struct controller *c, const char *argument, struct err *err)
{
    size_t len = strcspn(argument, " =");
    const char *value = argument + len + strspn(argument + len, " =");
    bool found = false, ok = true;

    if (len == strlen("seed") && memcmp(argument, "seed", len) == 0) {
        found = true;
        ok = set_seed(c, value, err);
    }
    for (size_t i = 0; i < COUNT(settings); i++)
        if (!found && strlen(settings[i].name) == len &&
            memcmp(settings[i].name, argument, len) == 0) {
            found = true;
            ok = set_number(c, &settings[i], value, err);
        }
    if (argument[0] != '\0' && !found)
        return err_set(err, ERR_USAGE, "there is no setting \"%.*s\"", (int)len,
                       argument);
    if (ok)
        show_settings(c);
    return ok;
}

// ---------------------------------------------------------------------------
// Conversations

static bool do_sessions(struct controller *c, const char *argument, struct err *err)
{
    bool was_search = c->search != NULL;

    (void)argument;
    (void)err;
    free(c->search);
    c->search = NULL;
    ui_show_entries(c->ui, was_search || !ui_entries_visible(c->ui));
    controller_list(c);
    return true;
}

static bool do_search(struct controller *c, const char *argument, struct err *err)
{
    if (!need_argument(argument, "what to search for? /search WORDS", err))
        return false;
    free(c->search);
    c->search = alloc_string(argument);
    ui_show_entries(c->ui, true);
    controller_list(c);
    return true;
}

static bool do_open(struct controller *c, const char *argument, struct err *err)
{
    return need_rest(c, err) &&
           need_argument(argument, "which conversation? F2 lists them", err) &&
           controller_open(c, argument, err);
}

static bool do_rename(struct controller *c, const char *argument, struct err *err)
{
    if (!need_conversation(c, err) ||
        !need_argument(argument, "to what? /rename TITLE", err) ||
        !sessions_rename(c->sessions, c->conversation, argument, err) ||
        !controller_load(c, err))
        return false;
    controller_list(c);
    return true;
}

static bool do_fork(struct controller *c, const char *argument, struct err *err)
{
    char id[SESSIONS_ID];

    (void)argument;
    if (!need_rest(c, err) || !need_conversation(c, err) ||
        !sessions_fork(c->sessions, c->conversation, NULL, id, err) ||
        !controller_open(c, id, err))
        return false;
    ui_notice(c->ui, "This is a copy; the original stays as it is.");
    return true;
}

static bool do_delete(struct controller *c, const char *argument, struct err *err)
{
    (void)argument;
    if (!need_rest(c, err) || !need_conversation(c, err))
        return false;
    if (!c->delete_armed) {
        c->delete_armed = true;
        ui_notice(c->ui, "/delete once more deletes \"%s\" for good.",
                  c->title != NULL ? c->title : "");
        return true;
    }
    c->delete_armed = c->draft_dirty = false;
    if (!sessions_delete(c->sessions, c->conversation, err))
        return false;
    controller_new(c);
    return true;
}

static bool format_of(const char *path, enum export_format *format)
{
    static const char *const ends[] = { ".md", ".jsonl", ".html", ".txt" };
    const char *dot = strrchr(path, '.');

    for (int i = 0; dot != NULL && i < 4; i++) {
        if (strcmp(dot, ends[i]) != 0)
            continue;
        *format = (enum export_format)i;
        return true;
    }
    return false;
}

static bool do_export(struct controller *c, const char *argument, struct err *err)
{
    enum export_format format;
    FILE *file;
    bool ok;
    int fd;

    if (!need_conversation(c, err) ||
        !need_argument(argument, "to which file? /export FILE.md", err))
        return false;
    if (!format_of(argument, &format))
        return err_set(err, ERR_USAGE,
                       "the name must end with .md, .html, .txt or .jsonl");
    fd = open(argument, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL)
        return err_set_errno(err, "%s", argument);
    ok = sessions_export(c->sessions, c->conversation, format, file, err);
    if (fclose(file) != 0 && ok)
        ok = err_set_errno(err, "%s", argument);
    if (ok)
        ui_notice(c->ui, "Written to %s", argument);
    return ok;
}

static bool do_copy(struct controller *c, const char *argument, struct err *err)
{
    const struct sessions_message *last = controller_last(c, ROLE_ASSISTANT);
    long code = strtol(argument, NULL, 10);
    struct str text;
    bool ok;

    if (last == NULL)
        return err_set(err, ERR_USAGE, "there is no reply to copy yet");
    str_init(&text, 0);
    controller_text(&last->content, &text);
    if (argument[0] == '\0')
        ok = ui_copy(c->ui, text.data, text.len) ||
             err_set(err, ERR_LIMIT, "too long for the clipboard; /export FILE.md");
    else
        ok = (code > 0 && ui_copy_code(c->ui, text.data, text.len, (size_t)code - 1)) ||
             err_set(err, ERR_NOT_FOUND, "the last reply has no code block %s", argument);
    str_release(&text);
    if (ok)
        ui_notice(c->ui, "Sent to the terminal's clipboard.");
    return ok;
}

static bool do_quit(struct controller *c, const char *argument, struct err *err)
{
    (void)argument;
    (void)err;
    c->quit = true;
    return true;
}

static action_function *const functions[UI_ACTION_COUNT] = {
    [UI_STOP] = do_stop,         [UI_NEW] = do_new,
    [UI_RETRY] = do_retry,       [UI_EDIT] = do_edit,
    [UI_PREVIOUS] = do_previous, [UI_NEXT] = do_next,
    [UI_SYSTEM] = do_system,     [UI_MODEL] = do_model,
    [UI_SET] = do_set,           [UI_SESSIONS] = do_sessions,
    [UI_OPEN] = do_open,         [UI_SEARCH] = do_search,
    [UI_RENAME] = do_rename,     [UI_FORK] = do_fork,
    [UI_DELETE] = do_delete,     [UI_ATTACH] = do_attach,
    [UI_DETACH] = do_detach,     [UI_PASTE_IMAGE] = do_paste_image,
    [UI_EXPORT] = do_export,     [UI_COPY] = do_copy,
    [UI_QUIT] = do_quit,
};

void controller_act(struct controller *c, enum ui_action action, const char *argument)
{
    struct err err = { 0 };

    if (functions[action] != NULL && !functions[action](c, argument, &err))
        ui_error(c->ui, &err);
}
