// app/models/hub.h
// SPDX-License-Identifier: MIT
//
// Models on the hub: "hf:OWNER/REPO:FILE" is one file, "hf:OWNER/REPO" a repository, of
// which the hub itself says what is in it.
#ifndef ORIEL_APP_MODELS_HUB_H
#define ORIEL_APP_MODELS_HUB_H

#include <stdbool.h>

#include "base/err.h"

#define HUB_PREFIX "hf:"

// Whether it names a repository alone, without a file.
bool hub_is_repository(const char *source);

// Where the file of "hf:OWNER/REPO:FILE" is. The caller frees it.
char *hub_url(const char *source, struct err *err);

// What to take of "hf:OWNER/REPO": sources of the model (of a split one: of a part) and,
// where there is one, of the projector; and the licence, where it is said. The caller
// frees all three; mmproj and licence may be NULL.
bool hub_choose(const char *source, char **model, char **mmproj, char **licence,
                struct err *err);

#endif
