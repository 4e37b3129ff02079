// app/models/http.c
// SPDX-License-Identifier: MIT
#include "app/models/http.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/interrupt.h"
#include "app/models/checksum.h"
#include "app/models/request.h"
#include "base/alloc.h"
#include "base/file.h"

#define REDIRECTS_MAX  5
#define FAILURES_MAX   5
#define FIRST_PAUSE_MS 500
#define PAUSE_MAX_S    120                 // longer than this we do not wait for a server
#define STRIDE         ((uint64_t)1 << 20) // so much more, and it counts as going on
#define ROOM_STRIDE    ((uint64_t)64 << 20) // without a length, look for room so often
#define STATE_MAX      ((size_t)16 << 10)

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

// ---------------------------------------------------------------------------
// Answers

// One answer, when it is not the content: what to do about it.
enum verdict { CONTENT, REDIRECT, TRY_AGAIN, GIVE_UP };

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

// A pause before the next try. false: it is not worth it, or Ctrl-C.
static bool pause_before_retry(const struct response *response, int failures,
                               struct err *err)
{
    int64_t pause_ms = (int64_t)FIRST_PAUSE_MS << failures;

    if (failures + 1 >= FAILURES_MAX)
        return false;
    if (response->retry_after_s > PAUSE_MAX_S)
        return err_set(err, ERR_BUSY, "%s, and asks to wait for %lld s", err->text,
                       (long long)response->retry_after_s);
    if (response->retry_after_s * 1000 > pause_ms)
        pause_ms = response->retry_after_s * 1000;
    return interrupt_sleep((int)pause_ms) || err_set(err, ERR_CANCELLED, "stopped");
}

// ---------------------------------------------------------------------------
// Through redirects

struct walk {
    struct http *http;
    struct request request;
    // After each answer that leads elsewhere; may be NULL.
    bool (*on_redirect)(void *user, const struct response *response, struct err *err);
};

// One try, to the content or to a verdict. *response: the last answer.
static enum verdict walk_once(struct walk *walk, const char *url,
                              struct response *response, struct err *err)
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

// ---------------------------------------------------------------------------
// A file

struct download {
    struct walk walk;
    struct model_file *file;
    const struct workspace *workspace;
    struct meter *meter;
    const char *url, *path, *state_path;
    int fd;
    uint64_t have;                // bytes of the file on disk
    uint64_t total;               // of the whole file; 0: not known
    char validator[HEADER_VALUE]; // of what we have; empty: it cannot be continued
    bool stale;                   // the server has another file by now
};

// The SHA-256 in "x-linked-etag", quoted or not.
static bool announced_hash(const struct response *response, char hex[SHA256_HEX])
{
    const char *text = response->linked_etag;
    size_t len;

    text += *text == '"';
    len = strcspn(text, "\"");
    if (len != SHA256_HEX - 1)
        return false;
    memcpy(hex, text, len);
    hex[len] = '\0';
    return sha256_valid(hex);
}

// What the hub says of the file before it sends us to where it is.
static bool take_announcement(struct download *download, const struct response *response,
                              struct err *err)
{
    struct model_file *file = download->file;
    char hex[SHA256_HEX];

    if (response->linked_size > 0) {
        if (file->size_bytes != 0 && file->size_bytes != response->linked_size)
            return err_set(err, ERR_MISMATCH,
                           "%s: the server announces %llu bytes, but it should have %llu",
                           download->url, (unsigned long long)response->linked_size,
                           (unsigned long long)file->size_bytes);
        file->size_bytes = response->linked_size;
    }
    if (announced_hash(response, hex)) {
        if (file->sha256[0] != '\0' && strcmp(file->sha256, hex) != 0)
            return err_set(err, ERR_MISMATCH,
                           "%s: the server announces the SHA-256 %s, but it should be %s",
                           download->url, hex, file->sha256);
        memcpy(file->sha256, hex, SHA256_HEX);
    }
    return true;
}

static bool on_redirect(void *user, const struct response *response, struct err *err)
{
    return take_announcement(user, response, err);
}

static bool write_state(const struct download *download, struct err *err)
{
    json_t *json = json_pack(
        "{s:s, s:s, s:I, s:s, s:I}", "url", download->url, "validator",
        download->validator, "total", (json_int_t)download->total, "sha256",
        download->file->sha256, "size_bytes", (json_int_t)download->file->size_bytes);
    char *text = json != NULL ? json_dumps(json, 0) : NULL;
    bool ok = text != NULL ? file_replace(download->state_path, text, strlen(text), err)
                           : err_set(err, ERR_FORMAT, "%s: headers that are not text",
                                     download->url);

    free(text);
    json_decref(json);
    return ok;
}

static void take_state(struct download *download, const json_t *json)
{
    const char *url = json_string_value(json_object_get(json, "url"));
    const char *validator = json_string_value(json_object_get(json, "validator"));
    const char *sha256 = json_string_value(json_object_get(json, "sha256"));
    json_int_t size = json_integer_value(json_object_get(json, "size_bytes"));
    json_int_t total = json_integer_value(json_object_get(json, "total"));
    struct model_file *file = download->file;

    if (url == NULL || strcmp(url, download->url) != 0 || validator == NULL ||
        validator[0] == '\0' || strlen(validator) >= HEADER_VALUE || sha256 == NULL ||
        total <= 0 || (uint64_t)total < download->have ||
        (file->sha256[0] != '\0' && strcmp(sha256, file->sha256) != 0) ||
        (file->size_bytes != 0 && file->size_bytes != (uint64_t)size))
        return;
    memcpy(download->validator, validator, strlen(validator) + 1);
    download->total = (uint64_t)total;
    if (sha256_valid(sha256))
        memcpy(file->sha256, sha256, SHA256_HEX);
    file->size_bytes = (uint64_t)size;
}

// Whether what is on disk can be continued: what it is part of stands beside it.
static void read_state(struct download *download)
{
    struct str text;
    json_t *json;

    str_init(&text, STATE_MAX);
    if (file_read(download->state_path, STATE_MAX, &text, NULL)) {
        json = json_loadb(text.data, text.len, 0, NULL);
        take_state(download, json);
        json_decref(json);
    }
    str_release(&text);
    if (download->validator[0] == '\0')
        download->have = 0;
}

// The answer goes on exactly where we are, in the same file.
static bool continues(const struct download *download, const struct response *response)
{
    return response->has_range && response->range_first == download->have &&
           response->range_size == download->total &&
           (response->etag[0] == '\0' || download->validator[0] != '"' ||
            strcmp(response->etag, download->validator) == 0);
}

// A strong ETag, or the date.
static void choose_validator(struct download *download, const struct response *response)
{
    const char *best = response->etag[0] == '"' ? response->etag : response->modified;

    memcpy(download->validator, best, strlen(best) + 1);
}

static bool check_total(struct download *download, const struct response *response,
                        struct err *err)
{
    uint64_t expected = download->file->size_bytes;

    download->total = response->length != NO_LENGTH ? response->length : expected;
    return expected == 0 || download->total == expected ||
           err_set(err, ERR_MISMATCH,
                   "%s: the server sends %llu bytes, but it should have %llu",
                   download->url, (unsigned long long)download->total,
                   (unsigned long long)expected);
}

static bool begin_anew(struct download *download, const struct response *response,
                       struct err *err)
{
    download->have = 0;
    choose_validator(download, response);
    if (!check_total(download, response, err))
        return false;
    if (ftruncate(download->fd, 0) < 0)
        return err_set_errno(err, "%s", download->path);
    return write_state(download, err);
}

static bool on_start(void *user, const struct response *response, struct err *err)
{
    struct download *download = user;

    if (!take_announcement(download, response, err))
        return false;
    if (response->status == 206 && !continues(download, response)) {
        download->stale = true;
        return err_set(err, ERR_BUSY, "%s: the file changed while it was fetched",
                       download->url);
    }
    if (response->status == 200 && !begin_anew(download, response, err))
        return false;
    meter_begin(download->meter, download->meter->what, download->have, download->total);
    return download->total == 0 ||
           workspace_has_room(download->workspace, download->total - download->have, err);
}

static bool on_bytes(void *user, const char *bytes, size_t len, struct err *err)
{
    struct download *download = user;

    if (download->total != 0 && len > download->total - download->have)
        return err_set(err, ERR_MISMATCH, "%s: the server sends more than %llu bytes",
                       download->url, (unsigned long long)download->total);
    if (download->total == 0 &&
        download->have / ROOM_STRIDE != (download->have + len) / ROOM_STRIDE &&
        !workspace_has_room(download->workspace, ROOM_STRIDE, err))
        return false;
    while (len > 0) {
        ssize_t put = pwrite(download->fd, bytes, len, (off_t)download->have);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return err_set_errno(err, "%s: cannot write", download->path);
        bytes += put;
        len -= (size_t)put;
        download->have += (uint64_t)put;
    }
    meter_update(download->meter, download->have);
    return true;
}

// One try. TRY_AGAIN also when the file on the server changed.
static enum verdict try_once(struct download *download, struct response *response,
                             struct err *err)
{
    enum verdict verdict;

    download->stale = false;
    download->walk.request.first_byte = download->validator[0] ? download->have : 0;
    download->walk.request.validator = download->validator;
    verdict = walk_once(&download->walk, download->url, response, err);
    if (verdict == GIVE_UP && (download->stale || response->status == 416)) {
        download->validator[0] = '\0'; // from the beginning, then
        return TRY_AGAIN;
    }
    if (verdict == CONTENT && download->total != 0 && download->have != download->total) {
        err_set(err, ERR_IO, "%s: the connection ended after %llu of %llu bytes",
                download->url, (unsigned long long)download->have,
                (unsigned long long)download->total);
        return TRY_AGAIN;
    }
    return verdict;
}

static bool is_whole(const struct download *download)
{
    return download->validator[0] != '\0' && download->have == download->total;
}

static bool run(struct download *download, struct err *err)
{
    uint64_t best = download->have;
    struct response response;
    enum verdict verdict = TRY_AGAIN;

    if (is_whole(download))
        return true;
    for (int failures = 0; verdict == TRY_AGAIN; failures++) {
        struct err failure = { 0 };

        verdict = try_once(download, &response, &failure);
        if (download->have > best + STRIDE) { // it is a bad line, but it moves
            best = download->have;
            failures = 0;
        }
        if (verdict != CONTENT &&
            (verdict == GIVE_UP || !pause_before_retry(&response, failures, &failure))) {
            *err = failure;
            return false;
        }
    }
    return true;
}

static bool open_and_run(struct download *download, struct err *err)
{
    bool ok;

    download->fd = open(download->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (download->fd < 0)
        return err_set_errno(err, "%s", download->path);
    download->have = (uint64_t)lseek(download->fd, 0, SEEK_END);
    read_state(download);
    download->walk.http = http_open(err);
    ok = download->walk.http != NULL && run(download, err);
    http_close(&download->walk.http);
    close(download->fd);
    return ok;
}

bool http_fetch(const char *url, struct model_file *file,
                const struct workspace *workspace, struct meter *meter, struct err *err)
{
    char *path = workspace_path(workspace, file->file);
    char *state = alloc_printf("%s.state", path);
    char *what = alloc_printf("fetching %s", file->file);
    struct download download = {
        .file = file,
        .workspace = workspace,
        .meter = meter,
        .url = url,
        .path = path,
        .state_path = state,
        .walk = { .on_redirect = on_redirect,
                  .request = { .on_start = on_start, .on_bytes = on_bytes } },
    };
    bool ok;

    download.walk.request.user = &download;
    meter_begin(meter, what, 0, 0);
    ok = open_and_run(&download, err);
    meter_erase(meter);
    free(what);
    free(state);
    free(path);
    return ok;
}

// ---------------------------------------------------------------------------
// A text

static bool on_text_start(void *user, const struct response *response, struct err *err)
{
    (void)response;
    (void)err;
    str_reset(user);
    return true;
}

static bool on_text(void *user, const char *bytes, size_t len, struct err *err)
{
    struct str *out = user;

    return str_append_n(out, bytes, len) ||
           err_set(err, ERR_LIMIT, "the answer is longer than %zu bytes", out->max);
}

bool http_get(const char *url, struct str *out, struct err *err)
{
    struct walk walk = {
        .http = http_open(err),
        .request = { .on_start = on_text_start, .on_bytes = on_text, .user = out }
    };
    enum verdict verdict = TRY_AGAIN;
    struct response response;

    if (walk.http == NULL)
        return false;
    for (int failures = 0; verdict == TRY_AGAIN; failures++) {
        struct err failure = { 0 };

        verdict = walk_once(&walk, url, &response, &failure);
        if (verdict == TRY_AGAIN && !pause_before_retry(&response, failures, &failure))
            verdict = GIVE_UP;
        if (verdict == GIVE_UP)
            *err = failure;
    }
    http_close(&walk.http);
    return verdict == CONTENT;
}
