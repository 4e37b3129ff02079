// base/log.h
// SPDX-License-Identifier: MIT
//
// The debug log: ORIEL_LOG=level:file (level 1 errors, 2 slow steps, 3 everything), read
// once at start. Lines are escaped: even the log cannot carry a control character. No
// chat text is ever logged.
#ifndef ORIEL_BASE_LOG_H
#define ORIEL_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_ERROR = 1, LOG_SLOW = 2, LOG_TRACE = 3 };

// role names the process in each line: "front", "engine", "decode". Without ORIEL_LOG
// every later call costs one comparison.
void log_open(const char *role);

void log_line(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Monotonic clock in nanoseconds.
int64_t clock_ns(void);

#endif
