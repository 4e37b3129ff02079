// app/picture_blocks.c
// SPDX-License-Identifier: MIT
#include "app/picture_blocks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/memory_file.h"
#include "app/pictures/picture.h"
#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"

#define PIXELS_MAX 800 // of a side; the screen keeps no more

struct picture_block {
    size_t block;
    char hash[SHA256_HEX];
    char *name;
    bool wanted;                   // and not decoded yet
    struct picture_decode *decode; // at work, or NULL
};

void picture_blocks_init(struct picture_blocks *blocks, struct ui *ui,
                         struct sessions *sessions)
{
    *blocks = (struct picture_blocks){ .ui = ui, .sessions = sessions };
}

// The screen has been cut to fewer blocks since those from `block` on were added.
static void drop_from(struct picture_blocks *blocks, size_t block)
{
    while (blocks->count > 0 && blocks->items[blocks->count - 1].block >= block) {
        struct picture_block *item = &blocks->items[--blocks->count];

        picture_decode_cancel(&item->decode);
        free(item->name);
    }
}

void picture_blocks_release(struct picture_blocks *blocks)
{
    drop_from(blocks, 0);
    free(blocks->items);
    *blocks = (struct picture_blocks){ 0 };
}

void picture_blocks_add(struct picture_blocks *blocks, const struct part *part,
                        const char *label, const char *meta)
{
    const char *name = part->image_name != NULL ? part->image_name : "";
    struct picture_block item = { .name = alloc_string(name) };

    item.block = ui_add_block(blocks->ui, &(struct ui_block){ .kind = UI_BLOCK_IMAGE,
                                                              .label = label,
                                                              .meta = meta,
                                                              .text = name,
                                                              .text_len = strlen(name) });
    if (part->image_hash != NULL)
        snprintf(item.hash, sizeof(item.hash), "%s", part->image_hash);
    drop_from(blocks, item.block);
    blocks->items =
        alloc_grow(blocks->items, blocks->count, &blocks->cap, sizeof(*blocks->items));
    blocks->items[blocks->count++] = item;
}

// ---------------------------------------------------------------------------
// Decoding

static void fail(struct picture_blocks *blocks, const struct picture_block *item,
                 const struct err *err)
{
    log_line(LOG_ERROR, "picture: %s", err->text);
    ui_set_picture(blocks->ui, item->block, NULL);
}

static void start(struct picture_blocks *blocks, struct picture_block *item)
{
    struct err err = { 0 };
    int fd = memory_file_attachment(blocks->sessions, item->hash, &err);

    if (fd >= 0) {
        item->decode = picture_decode_start(fd, item->name, PIXELS_MAX, PIXELS_MAX, &err);
        close(fd);
    }
    if (item->decode == NULL)
        fail(blocks, item, &err);
}

static void finish(struct picture_blocks *blocks, struct picture_block *item)
{
    struct picture picture = { 0 };
    struct err err = { 0 };

    if (picture_decode_finish(&item->decode, &picture, &err))
        ui_set_picture(blocks->ui, item->block,
                       &(struct ui_picture){ .width = picture.width,
                                             .height = picture.height,
                                             .rgba = picture.rgba,
                                             .full_width = picture.full_width,
                                             .full_height = picture.full_height });
    else
        fail(blocks, item, &err);
    picture_release(&picture);
}

void picture_blocks_want(struct picture_blocks *blocks, size_t block)
{
    for (size_t i = 0; i < blocks->count; i++)
        if (blocks->items[i].block == block) {
            blocks->items[i].wanted = true;
            return;
        }
    ui_set_picture(blocks->ui, block, NULL);
}

void picture_blocks_fds(const struct picture_blocks *blocks,
                        struct pollfd fds[PICTURE_BLOCKS_FDS])
{
    size_t used = 0;

    for (size_t i = 0; i < blocks->count && used < PICTURE_BLOCKS_FDS; i++)
        if (blocks->items[i].decode != NULL)
            fds[used++] =
                (struct pollfd){ .fd = picture_decode_fd(blocks->items[i].decode),
                                 .events = POLLIN };
    while (used < PICTURE_BLOCKS_FDS)
        fds[used++] = (struct pollfd){ .fd = -1 };
}

static bool is_done(const struct picture_decode *decode)
{
    struct pollfd fd = { .fd = picture_decode_fd(decode), .events = POLLIN };

    return poll(&fd, 1, 0) > 0;
}

void picture_blocks_tick(struct picture_blocks *blocks)
{
    size_t running = 0;

    for (size_t i = 0; i < blocks->count; i++) {
        struct picture_block *item = &blocks->items[i];

        if (item->decode != NULL && is_done(item->decode))
            finish(blocks, item);
        running += item->decode != NULL;
    }
    for (size_t i = 0; i < blocks->count && running < PICTURE_BLOCKS_FDS; i++) {
        struct picture_block *item = &blocks->items[i];

        if (!item->wanted)
            continue;
        item->wanted = false;
        start(blocks, item);
        running += item->decode != NULL;
    }
}
