// app/models/http.h
// SPDX-License-Identifier: MIT
//
// A file or a text from a web server, through redirects (a bounded number, never from
// https to http) and over failures (a bounded number, with growing pauses, or as long as
// the server asks for).
#ifndef ORIEL_APP_MODELS_HTTP_H
#define ORIEL_APP_MODELS_HTTP_H

#include "app/models/meter.h"
#include "app/models/store.h"
#include "app/models/workspace.h"
#include "base/err.h"
#include "base/str.h"

// Makes file->file in the workspace. What an earlier call left there is continued if the
// server still has the same file (its ETag, its date, what the hub says of it); else it
// begins anew, and says so. The size and the SHA-256 of the file, where they are known,
// must be what the server announces; where they are not, they become that.
bool http_fetch(const char *url, struct model_file *file,
                const struct workspace *workspace, struct meter *meter, struct err *err);

// Appends the text to out, at most out->max bytes.
bool http_get(const char *url, struct str *out, struct err *err);

#endif
