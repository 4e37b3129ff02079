// app/pictures/sandbox.h
// SPDX-License-Identifier: MIT
//
// Locks the process in, for good: afterwards it can compute, use memory and end, and
// nothing else. It holds no descriptor, and every system call but the few that memory
// management needs ends it at once.
//
// Four locks, so that a hole in one is not a way out: resource limits, no_new_privs with
// no core and no tracing, Landlock (no path, no port; only where the kernel has it), and
// a seccomp filter, without which there is no sandbox and sandbox_enter fails.
#ifndef ORIEL_APP_PICTURES_SANDBOX_H
#define ORIEL_APP_PICTURES_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

// Built with AddressSanitizer the sandbox is wider: there is no limit of memory, standard
// error stays open, and the few calls that the sanitizer makes are allowed.
#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif

struct sandbox_limits {
    size_t memory_bytes;  // of address space
    unsigned cpu_seconds; // then SIGXCPU, and a second later SIGKILL
};

// Closes every descriptor. When it fails, the process is half locked in and should say
// so and end. To end afterwards: _exit.
bool sandbox_enter(const struct sandbox_limits *limits, struct err *err);

#endif
