// app/client_pictures.c
// SPDX-License-Identifier: MIT
#include "app/client_pictures.h"

#include <string.h>

#include "app/messages.h"
#include "app/output.h"
#include "app/pictures/picture.h"
#include "base/file.h"

static const char stage[] = "looking at the picture";

bool picture_hash(const char *path, char hex[SHA256_HEX], struct err *err)
{
    unsigned char digest[SHA256_BYTES];
    struct file_map map = { .fd = -1 };

    if (!file_map_open(&map, path, err))
        return false;
    sha256_of(map.bytes, map.size, digest);
    sha256_hex(digest, hex);
    file_map_close(&map);
    return true;
}

json_t *picture_body(const char *path, const char *hash, const struct picture *pixels)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    json_t *body = json_object();

    wire_set_text(body, "name", name, strlen(name));
    json_object_set_new(body, "hash", json_string(hash));
    if (pixels != NULL) {
        json_object_set_new(body, "width", json_integer(pixels->width));
        json_object_set_new(body, "height", json_integer(pixels->height));
    }
    return body;
}

static bool read_shown(const json_t *answer, struct shown_picture *shown, bool *known,
                       struct err *err)
{
    uint64_t encode_ns;

    if (!wire_get_bool(answer, "known", known, err) ||
        !wire_get_bool(answer, "was_known", &shown->was_known, err) ||
        !wire_get_uint(answer, "tokens", UINT32_MAX, &shown->tokens, err) ||
        !wire_get_uint(answer, "tiles", UINT32_MAX, &shown->tiles, err) ||
        !wire_get_uint(answer, "encode_ns", INT64_MAX, &encode_ns, err))
        return false;
    shown->encode_ns = (int64_t)encode_ns;
    return true;
}

bool client_show_picture(struct client *client, const char *path, const char *hash,
                         struct shown_picture *shown, struct err *err)
{
    struct picture picture;
    bool known = false, ok;
    json_t *answer =
        client_call(client, WIRE_PICTURE, stage, picture_body(path, hash, NULL), err);

    ok = answer != NULL && read_shown(answer, shown, &known, err);
    json_decref(answer);
    if (!ok || known)
        return ok;
    if (!picture_open(path, &picture, err))
        return false;
    answer = client_call_with(client, WIRE_PICTURE, stage,
                              picture_body(path, hash, &picture), picture.fd, err);
    ok = answer != NULL && read_shown(answer, shown, &known, err);
    json_decref(answer);
    picture_release(&picture);
    return ok;
}

json_t *client_picture_layout(struct client *client, const char *mmproj, const char *path,
                              const struct picture *picture, struct err *err)
{
    json_t *body = picture_body(path, "", picture);
    json_t *answer, *layout;

    json_object_set_new(body, "mmproj", json_string(mmproj));
    answer = client_call_with(client, WIRE_PICTURE_LAYOUT, stage, body, picture->fd, err);
    layout = json_incref(json_object_get(answer, "layout"));
    json_decref(answer);
    return layout;
}
