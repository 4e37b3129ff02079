// app/models/source_path.c
// SPDX-License-Identifier: MIT
#include "app/models/source_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/interrupt.h"
#include "app/models/hub.h"
#include "app/models/source_pypi.h"
#include "base/alloc.h"
#include "base/file.h"

#define STEP ((size_t)1 << 20)

bool source_is_path(const char *source)
{
    return strncmp(source, PYPI_PREFIX, strlen(PYPI_PREFIX)) != 0 &&
           strncmp(source, HUB_PREFIX, strlen(HUB_PREFIX)) != 0 &&
           strstr(source, "://") == NULL;
}

// By reading and writing: copy_file_range does not go from one kind of file system to
// another (Linux 5.19 and later), and on the same one there would be a link.
static bool copy_all(int in, int out, uint64_t size, struct meter *meter, struct err *err)
{
    char *buffer = alloc_array(STEP, 1);
    uint64_t done = 0;
    bool ok = true;

    while (ok && done < size) {
        ssize_t got = read(in, buffer, STEP);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            ok = err_set_errno(err, "cannot read");
        else if (got == 0)
            ok = err_set(err, ERR_IO, "it became shorter while it was copied");
        else
            ok = file_write_all(out, buffer, (size_t)got) ||
                 err_set_errno(err, "cannot write");
        done += got > 0 ? (uint64_t)got : 0;
        meter_update(meter, done);
        if (ok && interrupted())
            ok = err_set(err, ERR_CANCELLED, "stopped");
    }
    free(buffer);
    return ok;
}

static bool copy(const char *path, const char *to, const struct workspace *workspace,
                 struct meter *meter, struct err *err)
{
    int in = open(path, O_RDONLY | O_CLOEXEC);
    int out = in >= 0 ? open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    struct stat status;
    char *what = alloc_printf("copying %s", path);
    bool ok = (out >= 0 && fstat(in, &status) == 0) || err_set_errno(err, "%s", path);

    ok = ok && workspace_has_room(workspace, (uint64_t)status.st_size, err);
    if (ok) {
        meter_begin(meter, what, 0, (uint64_t)status.st_size);
        ok = copy_all(in, out, (uint64_t)status.st_size, meter, err) ||
             err_prefix(err, "%s", path);
    }
    free(what);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    if (!ok)
        unlink(to); // it would be copied anew anyway
    return ok;
}

bool path_fetch(const char *path, const struct workspace *workspace, const char *name,
                struct meter *meter, struct err *err)
{
    char *to = workspace_path(workspace, name);
    struct stat status;
    bool ok;

    if (stat(path, &status) < 0)
        ok = err_set_errno(err, "%s", path);
    else if (!S_ISREG(status.st_mode))
        ok = err_set(err, ERR_IO, "%s: not a regular file", path);
    else
        ok = (unlink(to) < 0 && errno != ENOENT)
                 ? err_set_errno(err, "%s", to)
                 : linkat(AT_FDCWD, path, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0 ||
                       copy(path, to, workspace, meter, err);
    free(to);
    return ok;
}
