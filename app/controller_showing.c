// app/controller_showing.c
// SPDX-License-Identifier: MIT
//
// Before a reply the engine must have seen the pictures of the conversation. Each is
// named to it by its hash; only if it does not know it, from this session or from its
// cache, the stored bytes are decoded in the sandbox and the pixels handed over. Nothing
// here waits.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/client_pictures.h"
#include "app/controller.h"
#include "app/memory_file.h"
#include "app/pictures/picture.h"
#include "base/alloc.h"
#include "base/hash.h"

struct showing {
    struct shown {
        char hash[SHA256_HEX];
        char *name;
    } * items;
    size_t count, cap, next;
    struct picture_decode *decode; // of the next one, or NULL
};

void controller_showing_end(struct controller *c)
{
    struct showing *showing = c->showing;

    if (showing == NULL)
        return;
    picture_decode_cancel(&showing->decode);
    for (size_t i = 0; i < showing->count; i++)
        free(showing->items[i].name);
    free(showing->items);
    free(showing);
    c->showing = NULL;
}

static void add(struct showing *showing, const struct part *part)
{
    struct shown *item;

    if (part->kind != PART_IMAGE || part->image_hash == NULL)
        return;
    for (size_t i = 0; i < showing->count; i++)
        if (strcmp(showing->items[i].hash, part->image_hash) == 0)
            return;
    showing->items = alloc_grow(showing->items, showing->count, &showing->cap,
                                sizeof(*showing->items));
    item = &showing->items[showing->count++];
    snprintf(item->hash, sizeof(item->hash), "%s", part->image_hash);
    item->name = alloc_string(part->image_name != NULL ? part->image_name : "picture");
}

// Names the next picture, if there is one.
static enum showing_step name_next(struct controller *c, struct err *err)
{
    const struct showing *showing = c->showing;
    const struct shown *item;

    if (showing->next == showing->count) {
        controller_showing_end(c);
        return SHOWING_DONE;
    }
    item = &showing->items[showing->next];
    return engine_process_send(c->process, WIRE_PICTURE,
                               picture_body(item->name, item->hash, NULL), err)
               ? SHOWING_ON
               : SHOWING_FAILED;
}

enum showing_step controller_showing_begin(struct controller *c,
                                           const struct conversation *conversation,
                                           struct err *err)
{
    controller_showing_end(c);
    c->showing = alloc_zero(sizeof(*c->showing));
    for (size_t i = 0; i < conversation->message_count; i++)
        for (size_t k = 0; k < conversation->messages[i].part_count; k++)
            add(c->showing, &conversation->messages[i].parts[k]);
    return name_next(c, err);
}

static bool start_decode(struct controller *c, struct err *err)
{
    struct showing *showing = c->showing;
    const struct shown *item = &showing->items[showing->next];
    int fd = memory_file_attachment(c->sessions, item->hash, err);

    if (fd < 0)
        return err_prefix(err, "%s", item->name);
    showing->decode = picture_decode_start(fd, item->name, 0, 0, err);
    close(fd);
    return showing->decode != NULL;
}

enum showing_step controller_showing_answer(struct controller *c, const json_t *answer,
                                            struct err *err)
{
    bool known;

    if (!wire_get_bool(answer, "known", &known, err))
        return SHOWING_FAILED;
    if (!known)
        return start_decode(c, err) ? SHOWING_ON : SHOWING_FAILED;
    c->showing->next++;
    return name_next(c, err);
}

int controller_showing_fd(const struct controller *c)
{
    return c->showing != NULL && c->showing->decode != NULL
               ? picture_decode_fd(c->showing->decode)
               : -1;
}

enum showing_step controller_showing_decoded(struct controller *c, struct err *err)
{
    struct showing *showing = c->showing;
    struct picture picture = { 0 };
    const struct shown *item = &showing->items[showing->next];
    bool ok;

    if (!picture_decode_finish(&showing->decode, &picture, err))
        return SHOWING_FAILED;
    ok = engine_process_send_with(c->process, WIRE_PICTURE,
                                  picture_body(item->name, item->hash, &picture),
                                  picture.fd, err);
    picture_release(&picture);
    return ok ? SHOWING_ON : SHOWING_FAILED;
}
