// sessions/rescue.c
// SPDX-License-Identifier: MIT
//
// The last resort when the store cannot be written: what was not saved is appended to a
// file in the format of exports, so that sessions_import puts it where it belongs. Needs
// neither the database nor memory in proportion to anything but the text.
#include "sessions/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool put_lines(FILE *out, const struct sessions_rescue *rescue, struct err *err)
{
    struct sessions_message message = {
        .content = rescue->content,
        .state = MESSAGE_INTERRUPTED,
        .created_ms = rescue->created_ms,
        .finished_ms = rescue->created_ms,
    };
    json_t *conversation;

    if (rescue->message != NULL)
        snprintf(message.id, SESSIONS_ID, "%s", rescue->message);
    else
        id_random(message.id);
    snprintf(message.parent, SESSIONS_ID, "%s", rescue->parent);
    conversation = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "type", "conversation",
                             "id", rescue->conversation, "title", rescue->title,
                             "created_ms", (json_int_t)rescue->created_ms, "updated_ms",
                             (json_int_t)rescue->created_ms, "active_leaf", message.id);
    if (conversation == NULL)
        return err_set(err, ERR_FORMAT, "the title is not UTF-8");
    return export_line(out, conversation, err) &&
           export_message(out, &message, NULL, err);
}

// All of it or nothing, and never mixed with the lines of another program.
static bool append(int fd, const char *text, size_t len)
{
    off_t before;
    int saved;

    if (flock(fd, LOCK_EX) < 0)
        return false;
    before = lseek(fd, 0, SEEK_END);
    if (write(fd, text, len) == (ssize_t)len && fsync(fd) == 0)
        return true;
    saved = errno;
    if (ftruncate(fd, before) == 0)
        errno = saved;
    return false;
}

bool sessions_rescue_write(const char *path, const struct sessions_rescue *rescue,
                           struct err *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    char *text = NULL;
    size_t len = 0;
    FILE *memory;
    bool ok;

    if (fd < 0)
        return err_set_errno(err, "%s: cannot be written", path);
    memory = open_memstream(&text, &len);
    ok = memory != NULL && put_lines(memory, rescue, err);
    if (memory != NULL)
        fclose(memory);
    if (ok && (fchmod(fd, 0600) < 0 || !append(fd, text, len)))
        ok = err_set_errno(err, "%s: cannot be written", path);
    close(fd);
    free(text);
    return ok;
}
