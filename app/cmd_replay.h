// app/cmd_replay.h
// SPDX-License-Identifier: MIT
#ifndef ORIEL_APP_CMD_REPLAY_H
#define ORIEL_APP_CMD_REPLAY_H

#include <stdbool.h>

#include "app/client.h"
#include "base/err.h"
#include "sessions/sessions.h"

struct replay {
    // options
    float speed, max_gap;
    bool instant, verify;
    const char *cast, *theme;
    struct model_choice model;
    // what is played
    struct sessions *sessions;
    char conversation[SESSIONS_ID];
    const char *title;
    struct sessions_replay *player;
};

// Makes every reply of the active path again, from the messages before it and the stored
// settings and seed, and compares the tokens. ERR_MISMATCH names the first that differs.
bool replay_verify(struct replay *replay, struct err *err);

// Shows the pictures of a stored message to the engine, if its model can see.
bool replay_show_pictures(struct client *client, struct sessions *sessions,
                          const struct message *message, struct err *err);

// Has another model answer the same user turns, each after its own answers, and shows
// both: side by side on a terminal, else as text; then a table.
bool replay_compare(struct replay *replay, struct err *err);

#endif
