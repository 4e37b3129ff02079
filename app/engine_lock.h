// app/engine_lock.h
// SPDX-License-Identifier: MIT
//
// Locks the engine process in, before it has read a byte of a model: it starts no program
// and no process, opens no socket, looks into no other process, and writes no file but in
// the caches. A driver needs the rest (devices, reading, threads, memory that it fills
// with code), and each driver something else: so what is known to be of no use to any is
// forbidden, with an error and not with death, and all else allowed.
//
// The lock holds what this kernel has: without Landlock files can be written, on a
// processor that confine.h does not know calls are not filtered. ORIEL_UNLOCK_ENGINE
// leaves it open, for a driver that cannot live with it.
#ifndef ORIEL_APP_ENGINE_LOCK_H
#define ORIEL_APP_ENGINE_LOCK_H

#include <stdbool.h>

#include "base/err.h"

struct engine_lock {
    // A sanitizer looks on: it writes its report where it was told, and stops the threads
    // through a child that traces them.
    bool watched;
    const char *cache_directory; // may be written to besides the drivers' own; or NULL
};

// While there is one thread. When it fails, some of the locks are missing.
bool engine_lock(const struct engine_lock *lock, struct err *err);

#endif
