// base/confine.c
// SPDX-License-Identifier: MIT
#include "base/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <unistd.h>

// struct landlock_ruleset_attr as of ABI 6.
struct ruleset {
    uint64_t files, network, scope;
};

// What each ABI knows; a later one is told as much as the last here.
static const struct {
    struct ruleset rules;
    size_t size;
} known[] = {
    { { 0x1FFF, 0, 0 }, 8 },  // ABI 1: execute to make_sym
    { { 0x3FFF, 0, 0 }, 8 },  // refer
    { { 0x7FFF, 0, 0 }, 8 },  // truncate
    { { 0x7FFF, 3, 0 }, 16 }, // bind and connect TCP
    { { 0xFFFF, 3, 0 }, 16 }, // ioctl on devices
    { { 0xFFFF, 3, 3 }, 24 }, // abstract sockets, signals
};

#define NEWEST (sizeof(known) / sizeof(known[0]))

static bool allow_below(int ruleset, const struct confine_path *path, uint64_t files)
{
    struct landlock_path_beneath_attr rule = {
        .allowed_access = path->allowed & files,
        .parent_fd = open(path->path, O_PATH | O_CLOEXEC),
    };
    bool ok;

    if (rule.parent_fd < 0)
        return true;
    ok = rule.allowed_access == 0 || syscall(SYS_landlock_add_rule, ruleset,
                                             LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    close(rule.parent_fd);
    return ok;
}

bool confine_files(uint32_t forbidden, const struct confine_path *paths, size_t count,
                   bool *done, struct err *err)
{
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    size_t newest = abi < 1 ? 0 : (size_t)abi < NEWEST ? (size_t)abi : NEWEST;
    struct ruleset rules;
    int ruleset;
    bool ok;

    if (done != NULL)
        *done = newest > 0;
    if (newest == 0)
        return true;
    rules = known[newest - 1].rules;
    rules.files &= forbidden;
    ruleset =
        (int)syscall(SYS_landlock_create_ruleset, &rules, known[newest - 1].size, 0);
    ok = ruleset >= 0;
    for (size_t i = 0; ok && i < count; i++)
        ok = allow_below(ruleset, &paths[i], rules.files);
    ok = (ok && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0) ||
         err_set_errno(err, "Landlock refuses");
    if (ruleset >= 0)
        close(ruleset);
    return ok;
}

bool confine_calls(struct sock_filter *filter, size_t count, struct err *err)
{
    struct sock_fprog program = { (unsigned short)count, filter };

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
                   &program) == 0 ||
           err_set_errno(err, "this system has no seccomp filter");
}
