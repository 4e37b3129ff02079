// app/progress.h
// SPDX-License-Identifier: MIT
//
// One line on standard error that says what is being waited for, when standard error is a
// terminal. It appears after 300 ms, so that what is quick stays quiet, and erases
// itself.
#ifndef ORIEL_APP_PROGRESS_H
#define ORIEL_APP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool enabled;
    bool visible;
    int64_t since_ns;   // when the present wait began
    int64_t painted_ns; // when the line was last written
    char stage[64];     // what is being done, in ASCII
    double fraction;    // 0 to 1, or negative when not known
};

void progress_init(struct progress *progress, bool quiet);
// What is being done now; stage is untrusted text. fraction negative: not known.
void progress_update(struct progress *progress, const char *stage, double fraction);
// Called now and then while nothing new is known, so that the seconds go on.
void progress_tick(struct progress *progress);
// Takes the line away, before anything else is printed, and starts the next wait.
void progress_erase(struct progress *progress);
// Takes the line away for good: from now on the terminal belongs to the output.
void progress_end(struct progress *progress);

#endif
