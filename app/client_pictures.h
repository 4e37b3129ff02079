// app/client_pictures.h
// SPDX-License-Identifier: MIT
//
// How a command shows pictures to the engine: by hash first, and only when the engine
// does not know it, decoded in the sandbox and handed over as pixels.
#ifndef ORIEL_APP_CLIENT_PICTURES_H
#define ORIEL_APP_CLIENT_PICTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/client.h"
#include "base/err.h"
#include "base/hash.h"

// SHA-256 of a file's bytes. ERR_IO; ERR_LIMIT: larger than a picture may be.
bool picture_hash(const char *path, char hex[SHA256_HEX], struct err *err);

// The body of WIRE_PICTURE: the last part of the path is its name. pixels NULL: it is
// only asked whether the engine knows it.
struct picture;
json_t *picture_body(const char *path, const char *hash, const struct picture *pixels);

struct shown_picture {
    bool was_known;  // the engine had its embeddings
    uint64_t tokens; // of the context
    uint64_t tiles;
    int64_t encode_ns; // 0 when it was known
};

// Every line of err begins with the path.
bool client_show_picture(struct client *client, const char *path, const char *hash,
                         struct shown_picture *shown, struct err *err);

// What the model of this projector would see of it, as engine_picture_json says: a new
// reference, or NULL.
json_t *client_picture_layout(struct client *client, const char *mmproj, const char *path,
                              const struct picture *picture, struct err *err);

#endif
