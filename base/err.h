// base/err.h
// SPDX-License-Identifier: MIT
//
// What went wrong, once for the program (code) and once for the person (text).
//
// A function that can fail takes a `struct err *` last and returns bool or a pointer. It
// leaves the err untouched on success, so calls chain. The text is one complete line
// without newline: what and why come from the lowest layer, upper layers put the file or
// the place in front with err_prefix. The text may hold untrusted bytes (names from
// files): whoever shows it passes it through the sanitizer of its room.
#ifndef ORIEL_BASE_ERR_H
#define ORIEL_BASE_ERR_H

#include <stdbool.h>

enum err_code {
    ERR_NONE = 0,
    ERR_USAGE,       // the person asked for something that makes no sense
    ERR_IO,          // the operating system refused: open, read, write, network
    ERR_FORMAT,      // a file or message breaks its format
    ERR_UNSUPPORTED, // well formed, but not something we can do
    ERR_LIMIT,       // larger than a limit that we set
    ERR_MEMORY,      // host or device memory does not suffice
    ERR_DEVICE,      // the GPU or its driver failed
    ERR_NOT_FOUND,   // no such model, session, option ...
    ERR_CANCELLED,   // the person stopped it
    ERR_MISMATCH,    // checksum, hash or version differs from what was expected
    ERR_BUSY,        // somebody else holds it; trying again may work
    ERR_LOST,        // the GPU is gone for this process; one that is started anew may do
};

struct err {
    enum err_code code;
    char text[512];
};

// Fills err (which may be NULL) and returns false, so that one can write
// `return err_set(err, ERR_FORMAT, "...")`. A longer text is cut with "...".
bool err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Like err_set, and appends ": " and the message for errno.
bool err_set_errno(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Puts "format: " in front of the text. Returns false.
bool err_prefix(struct err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// A bug of ours: prints where, and aborts.
#define bug(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
void bug_at(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

#endif
