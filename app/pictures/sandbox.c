// app/pictures/sandbox.c
// SPDX-License-Identifier: MIT
#include "app/pictures/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

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
// Landlock

// As of ABI 6; older kernels are told about as much as they know, and headers of older
// kernels lack the later fields.
struct ruleset {
    uint64_t files, network, scope;
};

static bool forbid_paths(struct err *err)
{
    static const struct {
        uint64_t files, network, scope;
        size_t size;
    } known[] = {
        { 0x1FFF, 0, 0, 8 },  // ABI 1: execute to make_sym
        { 0x3FFF, 0, 0, 8 },  // refer
        { 0x7FFF, 0, 0, 8 },  // truncate
        { 0x7FFF, 3, 0, 16 }, // bind and connect TCP
        { 0xFFFF, 3, 0, 16 }, // ioctl on devices
        { 0xFFFF, 3, 3, 24 }, // abstract sockets, signals
    };
    long abi =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    size_t index;
    struct ruleset rules;
    long fd;
    bool ok;

    if (abi < 1)
        return true; // this kernel has none; seccomp stands alone
    index = (size_t)(abi <= 6 ? abi : 6) - 1;
    rules =
        (struct ruleset){ known[index].files, known[index].network, known[index].scope };
    fd = syscall(SYS_landlock_create_ruleset, &rules, known[index].size, 0);
    ok = fd >= 0 && syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    return ok || err_set_errno(err, "Landlock refuses");
}

// ---------------------------------------------------------------------------
// seccomp

#ifdef OUR_ARCH
#define LOAD(field)                                                                      \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define END(action) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_##action)
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), END(ALLOW)

static bool allow_little(struct err *err)
{
    struct sock_filter filter[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
        END(KILL_PROCESS),
        LOAD(nr),
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
        END(KILL_PROCESS),
        LOAD(args[2]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 3, 0),
        LOAD(args[3]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 0, 1),
        END(ALLOW),
        END(KILL_PROCESS),
    };
    struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
                   &program) == 0 ||
           err_set_errno(err, "this system has no seccomp filter");
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
    return limit_resources(limits, err) && forbid_paths(err) && close_all(err) &&
           (limit(RLIMIT_NOFILE, 0, 0) ||
            err_set_errno(err, "cannot limit the process")) &&
           allow_little(err);
}
