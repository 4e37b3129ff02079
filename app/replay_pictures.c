// app/replay_pictures.c
// SPDX-License-Identifier: MIT
//
// Before the engine answers a stored message again it must have seen its pictures.
#include <stdio.h>
#include <unistd.h>

#include "app/client_pictures.h"
#include "app/cmd_replay.h"
#include "app/memory_file.h"

static bool show(struct client *client, struct sessions *sessions, const char *hash,
                 struct err *err)
{
    int fd = memory_file_attachment(sessions, hash, err);
    struct shown_picture shown;
    char path[64];
    bool ok;

    if (fd < 0)
        return false;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    ok = client_show_picture(client, path, hash, &shown, err);
    close(fd);
    return ok;
}

bool replay_show_pictures(struct client *client, struct sessions *sessions,
                          const struct message *message, struct err *err)
{
    for (size_t i = 0; client->info.has_vision && i < message->part_count; i++) {
        const struct part *part = &message->parts[i];

        if (part->kind == PART_IMAGE && part->image_hash != NULL &&
            !show(client, sessions, part->image_hash, err))
            return false;
    }
    return true;
}
