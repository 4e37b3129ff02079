// sessions/attachments.c
// SPDX-License-Identifier: MIT
//
// Original bytes by their SHA-256, checked again whenever they are read. Nothing here
// looks into an image further than its first bytes, which say what kind it claims to be.
#include "sessions/private.h"

#include <string.h>

#include "base/hash.h"

static const struct {
    const char *media_type;
    const char *magic;
    size_t offset, len;
} kinds[] = {
    { "image/png", "\x89PNG\r\n\x1a\n", 0, 8 },
    { "image/jpeg", "\xff\xd8\xff", 0, 3 },
    { "image/gif", "GIF87a", 0, 6 },
    { "image/gif", "GIF89a", 0, 6 },
    { "image/webp", "WEBP", 8, 4 },
};

static const char *sniff(const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (len >= kinds[i].offset + kinds[i].len &&
            memcmp(bytes + kinds[i].offset, kinds[i].magic, kinds[i].len) == 0)
            return kinds[i].media_type;
    return "application/octet-stream";
}

static void describe(const void *bytes, size_t len,
                     struct sessions_attachment *attachment)
{
    unsigned char digest[SHA256_BYTES];

    sha256_of(bytes, len, digest);
    *attachment =
        (struct sessions_attachment){ .media_type = sniff(bytes, len), .size = len };
    sha256_hex(digest, attachment->hash);
}

bool attachment_insert(struct sessions *s, const void *bytes, size_t len,
                       struct sessions_attachment *attachment, bool *added,
                       struct err *err)
{
    int64_t known;

    if (len == 0)
        return err_set(err, ERR_USAGE, "an empty file cannot be attached");
    if (len > SESSIONS_ATTACHMENT_LIMIT)
        return err_set(err, ERR_LIMIT,
                       "%zu bytes are too many to attach; the limit is %zu", len,
                       SESSIONS_ATTACHMENT_LIMIT);
    describe(bytes, len, attachment);
    if (!store_int(s, err, &known, 0, "SELECT key FROM attachments WHERE hash = ?1", "s",
                   attachment->hash))
        return false;
    *added = known == 0;
    if (known != 0) // used again: not an orphan for another day
        return store_run(s, err, "UPDATE attachments SET created_ms = ?2 WHERE key = ?1",
                         "ii", known, now_ms());
    return store_run(s, err,
                     "INSERT INTO attachments (hash, media_type, created_ms, bytes) "
                     "VALUES (?1, ?2, ?3, ?4)",
                     "ssib", attachment->hash, attachment->media_type, now_ms(),
                     (const char *)bytes, len);
}

bool sessions_attach(struct sessions *s, const void *bytes, size_t len,
                     struct sessions_attachment *attachment, struct err *err)
{
    bool added;

    return store_begin(s, err) &&
           store_end(s, attachment_insert(s, bytes, len, attachment, &added, err), err);
}

bool sessions_load_attachment(struct sessions *s, const char *hash, struct str *out,
                              struct sessions_attachment *attachment, struct err *err)
{
    sqlite3_stmt *statement =
        store_prepare(s, err, "SELECT bytes FROM attachments WHERE hash = ?1", "s", hash);
    enum step step = statement != NULL ? store_step(s, statement, err) : STEP_FAILED;
    bool ok = step == STEP_ROW;

    if (step == STEP_DONE)
        err_set(err, ERR_NOT_FOUND, "there is no attachment %s", hash);
    if (ok) {
        const void *bytes = sqlite3_column_blob(statement, 0);
        size_t len = (size_t)sqlite3_column_bytes(statement, 0);

        describe(bytes != NULL ? bytes : "", len, attachment);
        if (strcmp(attachment->hash, hash) != 0)
            ok = err_set(err, ERR_MISMATCH,
                         "%s: the bytes of attachment %s are not those that were stored",
                         s->path, hash);
        else if (!str_append_n(out, bytes, len))
            ok = err_set(err, ERR_LIMIT, "attachment %s has %zu bytes", hash, len);
    }
    sqlite3_finalize(statement);
    return ok;
}
