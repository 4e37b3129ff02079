// app/models/walk.c
// SPDX-License-Identifier: MIT
#include "app/models/walk.h"

#include <stdlib.h>
#include <string.h>

#include "app/interrupt.h"
#include "base/alloc.h"

#define REDIRECTS_MAX  5
#define FAILURES_MAX   5
#define FIRST_PAUSE_MS 500
#define PAUSE_MAX_S    120 // longer than this we do not wait for a server

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

// ---------------------------------------------------------------------------
// Answers

static enum verdict judge(const struct request *request, const struct response *response,
                          struct err *err)
{
    long status = response->status;

    if (status == 200 || status == 206)
        return CONTENT;
    if (status >= 300 && status < 400 && response->location != NULL)
        return REDIRECT;
    if (status == 408 || status == 429 || status >= 500) {
        err_set(err, ERR_BUSY, "%s: the server answers %ld%s", request->url, status,
                status == 429 ? " (too many requests)" : "");
        return TRY_AGAIN;
    }
    if (status == 404 || status == 410)
        err_set(err, ERR_NOT_FOUND, "%s: the server answers %ld: it is not there",
                request->url, status);
    else if (status == 401 || status == 403)
        err_set(err, ERR_IO,
                "%s: the server answers %ld: access is refused; models with a licence to "
                "accept need HF_TOKEN",
                request->url, status);
    else
        err_set(err, ERR_IO, "%s: the server answers %ld", request->url, status);
    return GIVE_UP;
}

static bool may_redirect(const char *from, const char *to, struct err *err)
{
    return !begins_with(from, "https:") || begins_with(to, "https:") ||
           err_set(err, ERR_IO, "%s: redirected to %s, which is not https", from, to);
}

bool walk_pause(const struct response *response, int failures, struct err *err)
{
    int64_t pause_ms = (int64_t)FIRST_PAUSE_MS << failures;

    if (failures + 1 >= FAILURES_MAX)
        return false;
    if (response->retry_after_s > PAUSE_MAX_S)
        return err_prefix(err, "it asks to wait for %lld s",
                          (long long)response->retry_after_s);
    if (response->retry_after_s * 1000 > pause_ms)
        pause_ms = response->retry_after_s * 1000;
    return interrupt_sleep((int)pause_ms) || err_set(err, ERR_CANCELLED, "stopped");
}

// ---------------------------------------------------------------------------
// Through redirects

enum verdict walk_once(struct walk *walk, const char *url, struct response *response,
                       struct err *err)
{
    char *here = alloc_string(url);
    enum verdict verdict = REDIRECT;

    for (int hops = 0; verdict == REDIRECT; hops++) {
        enum request_outcome outcome;

        walk->request.url = here;
        outcome = http_request(walk->http, &walk->request, response, err);
        if (outcome == REQUEST_ANSWERED)
            verdict = judge(&walk->request, response, err);
        else
            verdict = outcome == REQUEST_BROKEN ? TRY_AGAIN : GIVE_UP;
        if (verdict == REDIRECT &&
            ((hops == REDIRECTS_MAX &&
              !err_set(err, ERR_IO, "%s: more than %d redirects", url, REDIRECTS_MAX)) ||
             !may_redirect(here, response->location, err) ||
             (walk->on_redirect != NULL &&
              !walk->on_redirect(walk->request.user, response, err))))
            verdict = GIVE_UP;
        if (verdict == REDIRECT) {
            free(here);
            here = response->location;
            response->location = NULL;
        }
        response_release(response);
    }
    walk->request.url = NULL;
    free(here);
    return verdict;
}
