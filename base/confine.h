// base/confine.h
// SPDX-License-Identifier: MIT
//
// Locks that a process puts on itself for good: Landlock (which files and ports) and
// seccomp (which system calls). Each caller says what it allows; here is how that is told
// to the kernel, whatever its age.
//
// Sources: landlock(7), seccomp(2), Documentation/userspace-api/landlock.rst of Linux.
#ifndef ORIEL_BASE_CONFINE_H
#define ORIEL_BASE_CONFINE_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "base/err.h"

// What can be done with files, by the bits of Landlock; those above WRITE_FILE by name of
// what they make. Headers of older systems lack the later ones.
enum {
    CONFINE_EXECUTE = 1 << 0,
    CONFINE_WRITE_FILE = 1 << 1,
    CONFINE_READ_FILE = 1 << 2,
    CONFINE_READ_DIR = 1 << 3,
    CONFINE_REMOVE_DIR = 1 << 4,
    CONFINE_REMOVE_FILE = 1 << 5,
    CONFINE_MAKE_CHAR = 1 << 6,
    CONFINE_MAKE_DIR = 1 << 7,
    CONFINE_MAKE_REG = 1 << 8,
    CONFINE_MAKE_SOCK = 1 << 9,
    CONFINE_MAKE_FIFO = 1 << 10,
    CONFINE_MAKE_BLOCK = 1 << 11,
    CONFINE_MAKE_SYM = 1 << 12,
    CONFINE_REFER = 1 << 13,
    CONFINE_TRUNCATE = 1 << 14,
    CONFINE_IOCTL_DEV = 1 << 15,
    CONFINE_ALL = (1 << 16) - 1,
};

// What stays allowed below a path.
struct confine_path {
    const char *path; // that does not exist: nothing is below it
    uint32_t allowed;
};

// Forbids what `forbidden` names, but below the paths; every TCP port; abstract UNIX
// sockets and signals to processes outside. As much of it as this kernel knows; a kernel
// without Landlock: nothing, and *done (may be NULL) is false. Holds for this thread and
// those that it starts.
bool confine_files(uint32_t forbidden, const struct confine_path *paths, size_t count,
                   bool *done, struct err *err);

// ---------------------------------------------------------------------------
// seccomp. CONFINE_ARCH is not defined where there is no filter for the processor.

#if defined(__x86_64__)
#define CONFINE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define CONFINE_ARCH AUDIT_ARCH_AARCH64
#endif

#define CONFINE_LOAD(field)                                                              \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define CONFINE_END(action) BPF_STMT(BPF_RET | BPF_K, (action))
// If what is loaded is `value`, ends with `action`.
#define CONFINE_IF(value, action)                                                        \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1), CONFINE_END(action)

// For every thread of the process.
bool confine_calls(struct sock_filter *filter, size_t count, struct err *err);

#endif
