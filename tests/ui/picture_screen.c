// tests/ui/picture_screen.c
// SPDX-License-Identifier: MIT
//
// The screen alone, without a program behind it: shows what its arguments, and the
// messages typed into it, say. For the tests of pictures on real terminals.
//
//   text:N           a reply of N numbered lines
//   stream:N         the same, a line every 50 ms
//   quarters:W:H     a picture: red, green / blue, yellow
//   photo:W:H        a picture with many colours
//   hole:W:H         a red frame around transparent pixels
//   broken           a picture that cannot be shown
//   attach:NAME:...  pictures that go with the next message
//   truncate:N       keeps N blocks
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "ui/ui.h"

#define PICTURES  16
#define ENTRIES   40
#define STREAM_NS ((int64_t)50000000)

struct drawn {
    size_t block;
    char kind[16];
    unsigned width, height;
};

struct gallery {
    struct ui *ui;
    struct drawn pictures[PICTURES];
    size_t count;
    size_t stream; // block
    unsigned lines, line;
    int64_t next_ns;
};

static void paint_pixel(const struct drawn *drawn, unsigned x, unsigned y,
                        uint8_t rgba[4])
{
    static const uint8_t quarters[4][4] = {
        { 255, 0, 0, 255 }, { 0, 204, 0, 255 }, { 0, 0, 255, 255 }, { 255, 204, 0, 255 }
    };
    bool right = x >= drawn->width / 2, below = y >= drawn->height / 2;
    unsigned across = x * 255 / drawn->width, down = y * 255 / drawn->height;

    if (drawn->kind[0] == 'q') {
        memcpy(rgba, quarters[2 * below + right], 4);
    } else if (drawn->kind[0] == 'p') {
        unsigned wave = (x * x / 64 + y * y / 64) & 127;

        memcpy(rgba,
               (uint8_t[]){ (uint8_t)across, (uint8_t)(255 - down), (uint8_t)(wave + 64),
                            255 },
               4);
    } else {
        bool edge = across < 40 || across >= 216 || down < 40 || down >= 216;

        memcpy(rgba, (uint8_t[]){ 255, 0, 0, edge ? 255 : 0 }, 4);
    }
}

static void give_picture(struct gallery *gallery, size_t block)
{
    for (size_t i = 0; i < gallery->count; i++) {
        const struct drawn *drawn = &gallery->pictures[i];
        uint8_t *rgba;

        if (drawn->block != block || drawn->width == 0)
            continue;
        rgba = alloc_array((size_t)drawn->width * drawn->height, 4);
        for (unsigned y = 0; y < drawn->height; y++)
            for (unsigned x = 0; x < drawn->width; x++)
                paint_pixel(drawn, x, y, rgba + 4 * ((size_t)y * drawn->width + x));
        ui_set_picture(gallery->ui, block,
                       &(struct ui_picture){ drawn->width, drawn->height, rgba, 0, 0 });
        free(rgba);
        return;
    }
    ui_set_picture(gallery->ui, block, NULL);
}

static void add_picture(struct gallery *gallery, const char *kind, unsigned width,
                        unsigned height)
{
    struct drawn *drawn = &gallery->pictures[gallery->count++ % PICTURES];
    char name[64];

    *drawn = (struct drawn){ .width = width, .height = height };
    snprintf(drawn->kind, sizeof(drawn->kind), "%s", kind);
    snprintf(name, sizeof(name), "%s.png", kind);
    drawn->block =
        ui_add_block(gallery->ui, &(struct ui_block){ .kind = UI_BLOCK_IMAGE,
                                                      .text = name,
                                                      .text_len = strlen(name) });
}

static void add_line(struct gallery *gallery)
{
    char line[64];
    int len = snprintf(line, sizeof(line), "%sline %u", gallery->line > 0 ? "  \n" : "",
                       gallery->line + 1);

    ui_append(gallery->ui, gallery->stream, line, (size_t)len);
    gallery->line++;
}

static void begin_reply(struct gallery *gallery, unsigned lines)
{
    gallery->stream = ui_add_block(
        gallery->ui,
        &(struct ui_block){
            .kind = UI_BLOCK_REPLY, .label = "Model", .text = "", .streaming = true });
    gallery->lines = lines;
    gallery->line = 0;
    gallery->next_ns = clock_ns();
}

// names: ":NAME:NAME..."
static void attach(struct ui *ui, const char *names)
{
    char *copy = alloc_string(names), *rest = NULL;
    const char *list[PICTURES];
    size_t count = 0;

    for (char *name = strtok_r(copy, ":", &rest); name != NULL && count < PICTURES;
         name = strtok_r(NULL, ":", &rest))
        list[count++] = name;
    ui_set_attachments(ui, list, count);
    free(copy);
}

static void obey(struct gallery *gallery, const char *word)
{
    char kind[16] = "";
    unsigned first = 0, second = 0;

    sscanf(word, "%15[a-z]:%u:%u", kind, &first, &second);
    if (strcmp(kind, "text") == 0 || strcmp(kind, "stream") == 0) {
        begin_reply(gallery, first);
        while (kind[0] == 't' && gallery->line < gallery->lines)
            add_line(gallery);
    } else if (strcmp(kind, "truncate") == 0) {
        ui_truncate(gallery->ui, first);
    } else if (strcmp(kind, "attach") == 0) {
        attach(gallery->ui, strchr(word, ':'));
    } else {
        add_picture(gallery, kind, first, second);
    }
}

static void show_entries(struct ui *ui)
{
    struct ui_entry entries[ENTRIES];
    char titles[ENTRIES][32];

    for (int i = 0; i < ENTRIES; i++) {
        snprintf(titles[i], sizeof(titles[i]), "Number %d of many", i + 1);
        entries[i] = (struct ui_entry){ titles[i], titles[i], "today", i == 0 };
    }
    ui_set_entries(ui, "Conversations", entries, ENTRIES);
    ui_show_entries(ui, !ui_entries_visible(ui));
}

// false: the end.
static bool on_event(struct gallery *gallery, const struct ui_event *event)
{
    switch (event->kind) {
    case UI_EVENT_SEND:
        obey(gallery, event->text);
        return true;
    case UI_EVENT_PICTURE:
        give_picture(gallery, event->block);
        return true;
    case UI_EVENT_PASTE:
        ui_notice(gallery->ui, "files: %s", event->text);
        return true;
    case UI_EVENT_SIGNAL:
        return false;
    case UI_EVENT_ACTION:
        if (event->action == UI_SESSIONS)
            show_entries(gallery->ui);
        return event->action != UI_QUIT;
    default:
        return true;
    }
}

static void loop(struct gallery *gallery)
{
    struct pollfd fd = { .fd = ui_fd(gallery->ui), .events = POLLIN };
    struct ui_event event;
    bool on = true;

    while (on) {
        poll(&fd, 1, gallery->line < gallery->lines ? 10 : -1);
        while (on && ui_next(gallery->ui, &event))
            on = on_event(gallery, &event);
        if (gallery->line < gallery->lines && clock_ns() >= gallery->next_ns) {
            add_line(gallery);
            gallery->next_ns += STREAM_NS;
        }
    }
}

int main(int argc, char **argv)
{
    struct gallery gallery = { 0 };
    struct err err = { 0 };

    gallery.ui = ui_open(&(struct ui_params){ .theme = getenv("THEME") }, &err);
    if (gallery.ui == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    ui_set_status(gallery.ui, &(struct ui_status){ .state = "ready", .fraction = -1 });
    for (int i = 1; i < argc; i++)
        obey(&gallery, argv[i]);
    loop(&gallery);
    ui_close(&gallery.ui);
    return 0;
}
