// app/models/source_path.h
// SPDX-License-Identifier: MIT
//
// A model that is on this machine already.
#ifndef ORIEL_APP_MODELS_SOURCE_PATH_H
#define ORIEL_APP_MODELS_SOURCE_PATH_H

#include <stdbool.h>

#include "app/models/meter.h"
#include "app/models/workspace.h"
#include "base/err.h"

// Whether it is a path, and not one of the other kinds of sources.
bool source_is_path(const char *source);

// Makes `name` in the workspace a hard link to the file, or, on another file system, a
// copy.
bool path_fetch(const char *path, const struct workspace *workspace, const char *name,
                struct meter *meter, struct err *err);

#endif
