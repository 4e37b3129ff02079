// tests/sessions/disk.h
// SPDX-License-Identifier: MIT
//
// A disk in memory under the store's files, which remembers every write, truncation,
// deletion and sync in order, and can be put into each state that a power loss may leave:
// what was synced is there; of the rest, any sectors are, and any are not.
//
// It holds the database, its journal and its write-ahead log, for one connection at a
// time; all other files (temporary ones, backups) are real. Promised by no file system
// and therefore lost as well: the length of a file, its deletion, and its name in the
// directory, until a sync covers them.
#ifndef ORIEL_TESTS_SESSIONS_DISK_H
#define ORIEL_TESTS_SESSIONS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_file { DISK_DATABASE, DISK_JOURNAL, DISK_LOG, DISK_FILES };

struct disk_image {
    bool exists;
    unsigned char *bytes;
    size_t len, cap;
};

// What all files hold.
struct disk_state {
    struct disk_image files[DISK_FILES];
};

void disk_state_copy(struct disk_state *to, const struct disk_state *from);
void disk_state_release(struct disk_state *state);
uint64_t disk_state_hash(const struct disk_state *state);
bool disk_state_has(const struct disk_state *state, const char *needle);

// Becomes SQLite's default file system. Once per process.
void disk_install(void);

// What the files hold from now on; an empty database for NULL. No connection is open.
void disk_load(const struct disk_state *state);
const struct disk_state *disk_now(void);

// ---------------------------------------------------------------------------
// What happened

struct disk_step;

struct disk_history {
    struct disk_state before;
    struct disk_step *steps;
    size_t count, cap;
};

// Everything is recorded into history until disk_stop. It begins with what the files
// hold.
void disk_record(struct disk_history *history);
void disk_stop(void);
void disk_history_release(struct disk_history *history);

// One moment of a history.
struct disk_moment {
    const struct disk_history *history;
    size_t at;              // steps that have been done
    struct disk_state safe; // what no power loss can take
    size_t *pending;        // the steps since, that one can take
    size_t pending_count, pending_cap;
};

void disk_moment_init(struct disk_moment *moment, const struct disk_history *history);
bool disk_moment_next(struct disk_moment *moment); // false: that was the last
void disk_moment_release(struct disk_moment *moment);

// How the power goes. keep: bit i says whether the i-th pending sector arrived; beyond 64
// sectors the bits repeat, mixed.
struct disk_loss {
    uint64_t keep;
    size_t sector; // 512 or 4096
    bool garbage;  // what did not arrive in a part that is new is noise, else zeros
};

// How many pending sectors, truncations, creations and deletions there are.
size_t disk_units(const struct disk_moment *moment, size_t sector);

// The files after it. Release it.
void disk_lose(const struct disk_moment *moment, const struct disk_loss *loss,
               struct disk_state *state);

#endif
