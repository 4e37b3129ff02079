// app/models/workspace.h
// SPDX-License-Identifier: MIT
//
// The folder of one pull: models/.pull-NAME, on the same file system as the models, so
// that what is whole moves by rename. It is locked while a pull works in it and stays
// when that pull is interrupted, so that the next one goes on from there.
#ifndef ORIEL_APP_MODELS_WORKSPACE_H
#define ORIEL_APP_MODELS_WORKSPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define WORKSPACE_PREFIX ".pull-"

struct workspace {
    char *path;
    int fd; // holds the lock; a child that inherits it holds it too
};

// ERR_BUSY while another process pulls the same name.
bool workspace_open(struct workspace *workspace, const char *name, struct err *err);
// Leaves what is in it for the next time.
void workspace_close(struct workspace *workspace);
// Removes it with all that is in it, and closes.
void workspace_remove(struct workspace *workspace);

// The path of something in it. The caller frees it.
char *workspace_path(const struct workspace *workspace, const char *file);

// Opens a file in it to go on writing, or returns -1. What is there as a link to a file
// of somebody else (a person's own, an installed one) makes way for an empty one.
int workspace_open_file(const char *path, struct err *err);

// ERR_LIMIT with both numbers when the file system has not that much room.
bool workspace_has_room(const struct workspace *workspace, uint64_t bytes,
                        struct err *err);

// Removes a folder and everything in it. true when it is gone.
bool remove_tree(const char *path);
// Of all files in it; 0 when there is no such folder.
uint64_t tree_bytes(const char *path);

#endif
