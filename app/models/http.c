// app/models/http.c
// SPDX-License-Identifier: MIT
//
// Two kinds of knowledge about a file stay apart here. What it must be (*file, as the
// caller gave it: by the person's word or the catalogue's) is final: a server that
// announces something else is refused. What an earlier answer said of it (the state,
// which lies beside the bytes that came with it) only tells whether those bytes may be
// continued: a server that says something else now has another file, and it is fetched
// from the beginning.
#include "app/models/http.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/models/checksum.h"
#include "app/models/walk.h"
#include "base/alloc.h"
#include "base/file.h"

#define STRIDE      ((uint64_t)1 << 20)  // so much more, and it counts as going on
#define SYNC_STRIDE ((uint64_t)32 << 20) // so often what has come is put on the disk
#define ROOM_STRIDE ((uint64_t)64 << 20) // without a length, look for room so often
#define STATE_MAX   ((size_t)16 << 10)
#define BOOT_SIZE   40

// ---------------------------------------------------------------------------
// What one answer, or several, say of the file

struct announced {
    char sha256[SHA256_HEX]; // empty: not said
    uint64_t size_bytes;     // 0: not said
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

static struct announced announcement_of(const struct response *response)
{
    struct announced said = { .size_bytes = response->linked_size };

    if (!announced_hash(response, said.sha256))
        said.sha256[0] = '\0';
    return said;
}

// Neither says what the other denies.
static bool agree(const struct announced *a, const struct announced *b)
{
    return (a->size_bytes == 0 || b->size_bytes == 0 || a->size_bytes == b->size_bytes) &&
           (a->sha256[0] == '\0' || b->sha256[0] == '\0' ||
            strcmp(a->sha256, b->sha256) == 0);
}

static void add(struct announced *known, const struct announced *said)
{
    if (said->size_bytes != 0)
        known->size_bytes = said->size_bytes;
    if (said->sha256[0] != '\0')
        memcpy(known->sha256, said->sha256, SHA256_HEX);
}

// ---------------------------------------------------------------------------
// A file

struct download {
    struct walk walk;
    struct announced required;
    const struct workspace *workspace;
    struct meter *meter;
    const char *url, *path, *state_path;
    char boot[BOOT_SIZE]; // of this machine, now; empty: not known
    int fd;
    uint64_t have;                // bytes of the file on disk
    uint64_t total;               // of the whole file; 0: not known
    struct announced announced;   // of what we have
    struct announced said;        // by the answers of this try
    char validator[HEADER_VALUE]; // of what we have; empty: it cannot be continued
    bool stale;                   // the server has another file by now
};

static bool another_file(struct download *download, struct err *err)
{
    download->stale = true;
    return err_set(err, ERR_BUSY, "%s: the file changed while it was fetched",
                   download->url);
}

// What the server says of the file, on the way to it or with it.
static bool take_announcement(struct download *download, const struct response *response,
                              struct err *err)
{
    struct announced said = announcement_of(response);

    if (said.size_bytes != 0 && download->required.size_bytes != 0 &&
        said.size_bytes != download->required.size_bytes)
        return err_set(err, ERR_MISMATCH,
                       "%s: the server announces %llu bytes, but it should have %llu",
                       download->url, (unsigned long long)said.size_bytes,
                       (unsigned long long)download->required.size_bytes);
    if (!agree(&said, &download->required))
        return err_set(err, ERR_MISMATCH,
                       "%s: the server announces the SHA-256 %s, but it should be %s",
                       download->url, said.sha256, download->required.sha256);
    if (!agree(&said, &download->said) ||
        (download->validator[0] != '\0' && !agree(&said, &download->announced)))
        return another_file(download, err);
    add(&download->said, &said);
    return true;
}

static bool on_redirect(void *user, const struct response *response, struct err *err)
{
    return take_announcement(user, response, err);
}

// ---------------------------------------------------------------------------
// What stands beside it for the next time

static bool write_state(const struct download *download, struct err *err)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:I, s:s, s:I}", "url", download->url, "boot",
                  download->boot, "validator", download->validator, "total",
                  (json_int_t)download->total, "sha256", download->announced.sha256,
                  "size_bytes", (json_int_t)download->announced.size_bytes);
    char *text = json != NULL ? json_dumps(json, 0) : NULL;
    bool ok = text != NULL ? file_replace(download->state_path, text, strlen(text), err)
                           : err_set(err, ERR_FORMAT, "%s: headers that are not text",
                                     download->url);

    free(text);
    json_decref(json);
    return ok;
}

// After a restart of the machine, what had not been put on the disk may be a hole.
static void forget_unsynced(struct download *download, const char *boot)
{
    if (boot == NULL || download->boot[0] == '\0' || strcmp(boot, download->boot) != 0)
        download->have -= download->have % SYNC_STRIDE;
}

static void take_state(struct download *download, const json_t *json)
{
    const char *url = json_string_value(json_object_get(json, "url"));
    const char *validator = json_string_value(json_object_get(json, "validator"));
    const char *sha256 = json_string_value(json_object_get(json, "sha256"));
    json_int_t size = json_integer_value(json_object_get(json, "size_bytes"));
    json_int_t total = json_integer_value(json_object_get(json, "total"));
    struct announced announced = { .size_bytes = size > 0 ? (uint64_t)size : 0 };

    if (sha256 != NULL && sha256_valid(sha256))
        memcpy(announced.sha256, sha256, SHA256_HEX);
    if (url == NULL || strcmp(url, download->url) != 0 || validator == NULL ||
        validator[0] == '\0' || strlen(validator) >= HEADER_VALUE || total <= 0 ||
        (uint64_t)total < download->have || !agree(&announced, &download->required))
        return;
    memcpy(download->validator, validator, strlen(validator) + 1);
    download->total = (uint64_t)total;
    download->announced = announced;
    forget_unsynced(download, json_string_value(json_object_get(json, "boot")));
}

static void read_boot(struct download *download)
{
    struct str text;

    str_init(&text, BOOT_SIZE - 1);
    if (file_read("/proc/sys/kernel/random/boot_id", BOOT_SIZE - 1, &text, NULL))
        memcpy(download->boot, text.data, strcspn(text.data, "\n"));
    str_release(&text);
}

// Whether what is on disk can be continued: what it is part of stands beside it. Of what
// is whole the last byte is asked for again, to hear whether it is still the same file.
static bool read_state(struct download *download, struct err *err)
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
    else if (download->have == download->total)
        download->have--;
    if (ftruncate(download->fd, (off_t)download->have) < 0)
        return err_set_errno(err, "%s", download->path);
    return download->have == 0 || write_state(download, err);
}

// ---------------------------------------------------------------------------
// The answer with the content

// A strong ETag, or the date.
static const char *validator_of(const struct response *response)
{
    return response->etag[0] == '"' ? response->etag : response->modified;
}

// The answer goes on exactly where we are, in the same file.
static bool continues(const struct download *download, const struct response *response)
{
    return response->has_range && response->range_first == download->have &&
           response->range_size == download->total &&
           (response->etag[0] == '\0' || download->validator[0] != '"' ||
            strcmp(response->etag, download->validator) == 0);
}

static bool check_total(struct download *download, const struct response *response,
                        struct err *err)
{
    uint64_t expected = download->required.size_bytes != 0 ? download->required.size_bytes
                                                           : download->said.size_bytes;

    download->total = response->length != NO_LENGTH ? response->length : expected;
    return expected == 0 || download->total == expected ||
           err_set(err, ERR_MISMATCH,
                   "%s: the server sends %llu bytes, but it should have %llu",
                   download->url, (unsigned long long)download->total,
                   (unsigned long long)expected);
}

// Of what could not be continued anyway there is nothing to say.
static void say_why_anew(const struct download *download, const char *validator)
{
    if (download->have == 0 || download->validator[0] == '\0')
        return;
    meter_say(download->meter, "%s: %s; from the beginning", download->url,
              strcmp(validator, download->validator) == 0
                  ? "the server cannot go on where it stopped"
                  : "the server has another file by now");
}

static bool begin_anew(struct download *download, const struct response *response,
                       struct err *err)
{
    const char *validator = validator_of(response);

    say_why_anew(download, validator);
    download->have = 0;
    download->announced = download->said;
    memcpy(download->validator, validator, strlen(validator) + 1);
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
    if (response->status == 206 && !continues(download, response))
        return another_file(download, err);
    if (response->status == 200 && !begin_anew(download, response, err))
        return false;
    if (response->status == 206)
        add(&download->announced, &download->said);
    meter_begin(download->meter, download->meter->what, download->have, download->total);
    return download->total == 0 ||
           workspace_has_room(download->workspace, download->total - download->have, err);
}

static bool write_all(struct download *download, const char *bytes, size_t len,
                      struct err *err)
{
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
    return true;
}

static bool on_bytes(void *user, const char *bytes, size_t len, struct err *err)
{
    struct download *download = user;
    uint64_t before = download->have;

    if (download->total != 0 && len > download->total - before)
        return err_set(err, ERR_MISMATCH, "%s: the server sends more than %llu bytes",
                       download->url, (unsigned long long)download->total);
    if (download->total == 0 && before / ROOM_STRIDE != (before + len) / ROOM_STRIDE &&
        !workspace_has_room(download->workspace, ROOM_STRIDE, err))
        return false;
    if (!write_all(download, bytes, len, err))
        return false;
    if (before / SYNC_STRIDE != download->have / SYNC_STRIDE &&
        fdatasync(download->fd) < 0)
        return err_set_errno(err, "%s: cannot sync", download->path);
    meter_update(download->meter, download->have);
    return true;
}

// ---------------------------------------------------------------------------
// Try upon try

// The other file, then, from its beginning.
static void begin_with_another(struct download *download)
{
    say_why_anew(download, "");
    download->have = 0;
    download->validator[0] = '\0';
}

// One try. TRY_AGAIN also when the file on the server changed.
static enum verdict try_once(struct download *download, struct response *response,
                             struct err *err)
{
    enum verdict verdict;

    download->stale = false;
    download->said = (struct announced){ .size_bytes = 0 };
    download->walk.request.first_byte = download->validator[0] ? download->have : 0;
    download->walk.request.validator = download->validator;
    verdict = walk_once(&download->walk, download->url, response, err);
    if (verdict == GIVE_UP && (download->stale || response->status == 416)) {
        begin_with_another(download);
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

static bool run(struct download *download, struct err *err)
{
    uint64_t best = download->have;
    struct response response;
    enum verdict verdict = TRY_AGAIN;

    for (int failures = 0; verdict == TRY_AGAIN; failures++) {
        struct err failure = { 0 };

        verdict = try_once(download, &response, &failure);
        if (download->have > best + STRIDE) { // it is a bad line, but it moves
            best = download->have;
            failures = 0;
        }
        if (verdict != CONTENT &&
            (verdict == GIVE_UP || !walk_pause(&response, failures, &failure))) {
            *err = failure;
            return false;
        }
    }
    return true;
}

static bool open_and_run(struct download *download, struct err *err)
{
    bool ok;

    download->fd = workspace_open_file(download->path, err);
    if (download->fd < 0)
        return false;
    download->have = (uint64_t)lseek(download->fd, 0, SEEK_END);
    read_boot(download);
    download->walk.http = http_open(err);
    ok = download->walk.http != NULL && read_state(download, err) && run(download, err);
    http_close(&download->walk.http);
    close(download->fd);
    if (!ok && download->have == 0) { // nothing to go on from
        unlink(download->path);
        unlink(download->state_path);
    }
    return ok;
}

bool http_fetch(const char *url, struct model_file *file,
                const struct workspace *workspace, struct meter *meter, struct err *err)
{
    char *path = workspace_path(workspace, file->file);
    char *state = alloc_printf("%s.state", path);
    char *what = alloc_printf("fetching %s", file->file);
    struct download download = {
        .required = { .size_bytes = file->size_bytes },
        .workspace = workspace,
        .meter = meter,
        .url = url,
        .path = path,
        .state_path = state,
        .walk = { .on_redirect = on_redirect,
                  .request = { .on_start = on_start, .on_bytes = on_bytes } },
    };
    bool ok;

    memcpy(download.required.sha256, file->sha256, SHA256_HEX);
    download.walk.request.user = &download;
    meter_begin(meter, what, 0, 0);
    ok = open_and_run(&download, err);
    meter_erase(meter);
    if (ok) {
        add(&download.announced, &download.required);
        memcpy(file->sha256, download.announced.sha256, SHA256_HEX);
        file->size_bytes = download.announced.size_bytes;
    }
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
        if (verdict == TRY_AGAIN && !walk_pause(&response, failures, &failure))
            verdict = GIVE_UP;
        if (verdict == GIVE_UP)
            *err = failure;
    }
    http_close(&walk.http);
    return verdict == CONTENT;
}
