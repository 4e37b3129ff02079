// app/controller_pictures.c
// SPDX-License-Identifier: MIT
//
// The pictures of the message that is being written. A file is copied into memory first,
// decoded in the sandbox to see whether it is a picture, then stored and kept with the
// draft: what is shown as attached survives a crash, and does not change with the file.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/clipboard.h"
#include "app/controller.h"
#include "app/memory_file.h"
#include "app/pictures/picture.h"
#include "base/alloc.h"
#include "base/log.h"

#define ATTACHED_MAX 16 // to one message
#define PROBE_PIXELS 16 // of a side: only whether it can be decoded is of interest

struct attaching {
    int memory; // its bytes
    char *name;
    struct picture_decode *decode; // NULL: waits for its turn
};

// ---------------------------------------------------------------------------
// What is attached

static void show(struct controller *c)
{
    size_t count = c->attached_count + c->attaching_count, used = 0;
    const char **names = alloc_array(count + 1, sizeof(*names));
    char *reading = NULL;

    for (size_t i = 0; i < c->attached_count; i++)
        names[used++] = c->attached[i].name;
    if (c->attaching_count > 0) {
        reading = alloc_printf("(reading %s%s)", c->attaching[0].name,
                               c->attaching_count > 1 ? " and others" : "");
        names[used++] = reading;
    }
    ui_set_attachments(c->ui, names, used);
    free(reading);
    free(names);
}

static void add(struct controller *c, const char *hash, const char *name)
{
    struct attached attached = { .name = alloc_string(name) };

    snprintf(attached.hash, sizeof(attached.hash), "%s", hash);
    c->attached = alloc_grow(c->attached, c->attached_count, &c->attached_cap,
                             sizeof(*c->attached));
    c->attached[c->attached_count++] = attached;
}

static void remove_at(struct controller *c, size_t index)
{
    free(c->attached[index].name);
    c->attached_count--;
    memmove(c->attached + index, c->attached + index + 1,
            (c->attached_count - index) * sizeof(*c->attached));
}

static void forget_attaching(struct controller *c, size_t index)
{
    struct attaching *item = &c->attaching[index];

    picture_decode_cancel(&item->decode);
    close(item->memory);
    free(item->name);
    c->attaching_count--;
    memmove(item, item + 1, (c->attaching_count - index) * sizeof(*item));
}

void controller_set_attached(struct controller *c, const struct message *message)
{
    while (c->attaching_count > 0)
        forget_attaching(c, c->attaching_count - 1);
    while (c->attached_count > 0)
        remove_at(c, c->attached_count - 1);
    for (size_t i = 0; message != NULL && i < message->part_count; i++) {
        const struct part *part = &message->parts[i];

        if (part->kind == PART_IMAGE && part->image_hash != NULL)
            add(c, part->image_hash, part->image_name != NULL ? part->image_name : "");
    }
    c->blind_told = false;
    show(c);
}

struct part *controller_parts(const struct controller *c, const char *text, size_t *count)
{
    struct part *parts = alloc_array(c->attached_count + 1, sizeof(*parts));

    for (size_t i = 0; i < c->attached_count; i++)
        parts[i] = (struct part){ .kind = PART_IMAGE,
                                  .image_hash = c->attached[i].hash,
                                  .image_name = c->attached[i].name };
    parts[c->attached_count] =
        (struct part){ .kind = PART_TEXT, .text = text, .text_len = strlen(text) };
    *count = c->attached_count + (text[0] != '\0');
    return parts;
}

bool controller_sees(const struct controller *c)
{
    return c->opened == NULL || c->info.has_vision;
}

static void changed(struct controller *c)
{
    show(c);
    c->draft_dirty = true;
    controller_save_draft(c);
}

// ---------------------------------------------------------------------------
// Attaching

static bool take(struct controller *c, int memory, const char *name, struct err *err)
{
    const char *slash = strrchr(name, '/');
    struct attaching item = { .memory = memory };

    if (c->attached_count + c->attaching_count >= ATTACHED_MAX) {
        close(memory);
        return err_set(err, ERR_LIMIT, "%s: a message holds at most %d pictures", name,
                       ATTACHED_MAX);
    }
    item.name = alloc_string(slash != NULL && slash[1] != '\0' ? slash + 1 : name);
    c->attaching = alloc_grow(c->attaching, c->attaching_count, &c->attaching_cap,
                              sizeof(*c->attaching));
    c->attaching[c->attaching_count++] = item;
    show(c);
    return true;
}

bool controller_attach(struct controller *c, const char *path, struct err *err)
{
    int memory = memory_file_copy(path, SESSIONS_ATTACHMENT_LIMIT, err);

    return memory >= 0 && take(c, memory, path, err);
}

bool controller_blind(struct controller *c)
{
    if (c->attached_count == 0 || controller_sees(c) || c->blind_told)
        return false;
    c->blind_told = true;
    ui_notice(
        c->ui,
        "%s cannot see pictures. /model NAME goes on with a model that can; /detach "
        "takes them off; Enter sends all of it, of which this model gets the words.",
        c->model_name);
    return true;
}

static bool store(struct controller *c, const struct attaching *item, struct err *err)
{
    struct sessions_attachment attachment;
    size_t len;
    const void *bytes = memory_file_map(item->memory, &len, err);
    bool ok;

    if (bytes == NULL)
        return err_prefix(err, "%s", item->name);
    ok = sessions_attach(c->sessions, bytes, len, &attachment, err);
    memory_file_unmap(bytes, len);
    if (!ok)
        return err_prefix(err, "%s", item->name);
    add(c, attachment.hash, item->name);
    return true;
}

// Its decoder has ended: it is a picture, or not.
static void finish(struct controller *c, size_t index)
{
    struct attaching *item = &c->attaching[index];
    struct picture picture = { 0 };
    struct err err = { 0 };
    bool ok =
        picture_decode_finish(&item->decode, &picture, &err) && store(c, item, &err);

    picture_release(&picture);
    forget_attaching(c, index);
    if (ok)
        controller_blind(c);
    if (!ok)
        ui_error(c->ui, &err);
    changed(c);
}

static void finish_clipboard(struct controller *c)
{
    struct err err = { 0 };
    int memory = clipboard_finish(&c->clipboard, &err);

    if (memory < 0 || !take(c, memory, "clipboard.png", &err))
        ui_error(c->ui, &err);
}

bool controller_paste_image(struct controller *c, struct err *err)
{
    if (c->clipboard == NULL)
        c->clipboard = clipboard_start(err);
    return c->clipboard != NULL;
}

// ---------------------------------------------------------------------------
// While the loop turns

static bool is_readable(int fd)
{
    return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) > 0;
}

// One at a time: a picture is decoded faster than the next path is typed.
void controller_attaching_fds(const struct controller *c, struct pollfd fds[2])
{
    const struct picture_decode *decode =
        c->attaching_count > 0 ? c->attaching[0].decode : NULL;

    fds[0] = (struct pollfd){ .fd = decode != NULL ? picture_decode_fd(decode) : -1,
                              .events = POLLIN };
    fds[1] =
        (struct pollfd){ .fd = c->clipboard != NULL ? clipboard_fd(c->clipboard) : -1,
                         .events = POLLIN };
}

void controller_attaching_tick(struct controller *c, int64_t now)
{
    struct attaching *item;
    struct err err = { 0 };

    if (c->clipboard != NULL && (is_readable(clipboard_fd(c->clipboard)) ||
                                 now >= clipboard_deadline_ns(c->clipboard)))
        finish_clipboard(c);
    if (c->attaching_count > 0 && c->attaching[0].decode != NULL &&
        is_readable(picture_decode_fd(c->attaching[0].decode)))
        finish(c, 0);
    if (c->attaching_count == 0 || c->attaching[0].decode != NULL)
        return;
    item = &c->attaching[0];
    item->decode =
        picture_decode_start(item->memory, item->name, PROBE_PIXELS, PROBE_PIXELS, &err);
    if (item->decode != NULL)
        return;
    ui_error(c->ui, &err);
    forget_attaching(c, 0);
    show(c);
}

void controller_attaching_end(struct controller *c)
{
    if (c->clipboard != NULL) {
        int memory = clipboard_finish(&c->clipboard, &(struct err){ 0 });

        if (memory >= 0)
            close(memory);
    }
    while (c->attaching_count > 0)
        forget_attaching(c, c->attaching_count - 1);
    while (c->attached_count > 0)
        remove_at(c, c->attached_count - 1);
    free(c->attaching);
    free(c->attached);
}

// ---------------------------------------------------------------------------
// What a person names

static char *expand_home(const char *path)
{
    const char *home = getenv("HOME");

    if (path[0] == '~' && path[1] == '/' && home != NULL)
        return alloc_printf("%s%s", home, path + 1);
    return alloc_string(path);
}

// Takes the next word from *at: bare, quoted, or with backslashes. NULL: there is none.
static char *next_word(const char **at)
{
    const char *from = *at + strspn(*at, " \t\n");
    struct str word;
    char quote = '\0';

    if (*from == '\0')
        return NULL;
    str_init(&word, 0);
    for (; *from != '\0' && (quote != '\0' || strchr(" \t\n", *from) == NULL); from++) {
        if (*from == quote)
            quote = '\0';
        else if (quote == '\0' && (*from == '"' || *from == '\''))
            quote = *from;
        else if (*from == '\\' && from[1] != '\0' && quote != '\'')
            str_append_char(&word, *++from);
        else
            str_append_char(&word, *from);
    }
    *at = from;
    return str_take(&word);
}

static bool attach_one(struct controller *c, const char *name, struct err *err)
{
    char *path = expand_home(name);
    bool ok = controller_attach(c, path, err);

    free(path);
    return ok;
}

bool controller_attach_named(struct controller *c, const char *argument, struct err *err)
{
    bool ok = true;
    char *word, *whole = expand_home(argument);
    bool is_one = access(whole, F_OK) == 0; // a name with blanks in it

    if (is_one)
        ok = controller_attach(c, whole, err);
    free(whole);
    while (!is_one && ok && (word = next_word(&argument)) != NULL) {
        ok = attach_one(c, word, err);
        free(word);
    }
    return ok;
}

static bool begins_like_picture(const char *path)
{
    static const char *const magics[] = { "\x89PNG", "\xFF\xD8\xFF", "GIF8", "RIFF" };
    char bytes[4] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t len = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;

    if (fd >= 0)
        close(fd);
    for (size_t i = 0; len == sizeof(bytes) && i < 4; i++)
        if (strncmp(bytes, magics[i], strlen(magics[i])) == 0)
            return true;
    return false;
}

void controller_pasted(struct controller *c, const char *text)
{
    struct err err = { 0 };
    size_t count = 0;
    char **paths = ui_paths(text, &count);
    bool pictures = count > 0;

    for (size_t i = 0; i < count; i++)
        pictures = pictures && begins_like_picture(paths[i]);
    if (!pictures)
        ui_insert(c->ui, text);
    for (size_t i = 0; i < count; i++) {
        if (pictures && !controller_attach(c, paths[i], &err))
            ui_error(c->ui, &err);
        free(paths[i]);
    }
    free(paths);
}

bool controller_detach(struct controller *c, const char *name, struct err *err)
{
    size_t before = c->attached_count + c->attaching_count;

    if (name[0] == '\0') {
        controller_set_attached(c, NULL);
    } else {
        for (size_t i = c->attached_count; i-- > 0;)
            if (strcmp(c->attached[i].name, name) == 0)
                remove_at(c, i);
    }
    if (c->attached_count + c->attaching_count == before)
        return before == 0 || name[0] == '\0'
                   ? err_set(err, ERR_USAGE, "nothing is attached; /attach FILE")
                   : err_set(err, ERR_NOT_FOUND, "%s is not attached", name);
    changed(c);
    return true;
}
