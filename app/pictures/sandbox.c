// app/pictures/sandbox.c
// SPDX-License-Identifier: MIT
#include "app/pictures/sandbox.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/confine.h"

// ---------------------------------------------------------------------------
// Resource limits

static rlim_t least(rlim_t a, rlim_t b)
{
    return a < b ? a : b;
}

// A limit that is lower already stays as it is.
static bool limit(int resource, rlim_t soft, rlim_t hard)
{
    struct rlimit now;

    return getrlimit(resource, &now) == 0 &&
           setrlimit(resource, &(struct rlimit){ least(soft, now.rlim_max),
                                                 least(hard, now.rlim_max) }) == 0;
}

static bool limit_resources(const struct sandbox_limits *limits, struct err *err)
{
    bool ok = limit(RLIMIT_CPU, limits->cpu_seconds, limits->cpu_seconds + 1) &&
              limit(RLIMIT_CORE, 0, 0) && limit(RLIMIT_FSIZE, 0, 0) &&
              limit(RLIMIT_NPROC, 0, 0);

#ifndef SANDBOX_SANITIZED // its shadow is larger than any machine
    ok = ok && limit(RLIMIT_AS, limits->memory_bytes, limits->memory_bytes);
#endif
    return ok || err_set_errno(err, "cannot limit the process");
}

// ---------------------------------------------------------------------------
// seccomp

#ifdef CONFINE_ARCH
#define ALLOW(call) CONFINE_IF(SYS_##call, SECCOMP_RET_ALLOW)

static bool allow_little(struct err *err)
{
    struct sock_filter filter[] = {
        CONFINE_LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CONFINE_ARCH, 1, 0),
        CONFINE_END(SECCOMP_RET_KILL_PROCESS),
        CONFINE_LOAD(nr),
        ALLOW(brk),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(exit_group),
#ifdef SANDBOX_SANITIZED // to keep its books, and to say what it found
        ALLOW(clock_gettime),
        ALLOW(futex),
        ALLOW(getpid),
        ALLOW(gettid),
        ALLOW(madvise),
        ALLOW(rt_sigaction),
        ALLOW(rt_sigprocmask),
        ALLOW(sched_yield),
        ALLOW(sigaltstack),
        ALLOW(write),
#endif
        // Memory without a file behind it that cannot be executed. The low halves of the
        // arguments hold all the flags that exist.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
        CONFINE_END(SECCOMP_RET_KILL_PROCESS),
        CONFINE_LOAD(args[2]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 3, 0),
        CONFINE_LOAD(args[3]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 0, 1),
        CONFINE_END(SECCOMP_RET_ALLOW),
        CONFINE_END(SECCOMP_RET_KILL_PROCESS),
    };

    return confine_calls(filter, sizeof(filter) / sizeof(filter[0]), err);
}
#else
static bool allow_little(struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "there is no seccomp filter for this processor");
}
#endif

// ---------------------------------------------------------------------------

static bool close_all(struct err *err)
{
#ifdef SANDBOX_SANITIZED // its reports need standard error
    bool ok = close_range(0, STDERR_FILENO - 1, 0) == 0 &&
              close_range(STDERR_FILENO + 1, ~0U, 0) == 0;
#else
    bool ok = close_range(0, ~0U, 0) == 0;
#endif
    return ok || err_set_errno(err, "cannot close descriptors");
}

// The first block of memory costs system calls that later ones do not need.
static void warm_up(void)
{
    void *volatile block = malloc(1);

    free(block);
}

bool sandbox_enter(const struct sandbox_limits *limits, struct err *err)
{
    warm_up();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return err_set_errno(err, "cannot give up privileges");
    return limit_resources(limits, err) &&
           confine_files(CONFINE_ALL, NULL, 0, NULL, err) && close_all(err) &&
           (limit(RLIMIT_NOFILE, 0, 0) ||
            err_set_errno(err, "cannot limit the process")) &&
           allow_little(err);
}
