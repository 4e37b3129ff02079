// app/models/walk.h
// SPDX-License-Identifier: MIT
//
// From a URL to its content: through redirects (a bounded number, never from https to
// http), and what to do about every other answer. http.h is built on it.
#ifndef ORIEL_APP_MODELS_WALK_H
#define ORIEL_APP_MODELS_WALK_H

#include <stdbool.h>

#include "app/models/request.h"
#include "base/err.h"

enum verdict { CONTENT, REDIRECT, TRY_AGAIN, GIVE_UP };

struct walk {
    struct http *http;
    struct request request; // its url is the walk's own
    // After each answer that leads elsewhere; may be NULL.
    bool (*on_redirect)(void *user, const struct response *response, struct err *err);
};

// One try: CONTENT, or TRY_AGAIN or GIVE_UP with *err. *response: the last answer,
// released but for its numbers.
enum verdict walk_once(struct walk *walk, const char *url, struct response *response,
                       struct err *err);

// A pause before the next try, after so many failures before this one. false: it is not
// worth it (*err stays or says more), or Ctrl-C.
bool walk_pause(const struct response *response, int failures, struct err *err);

#endif
