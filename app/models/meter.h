// app/models/meter.h
// SPDX-License-Identifier: MIT
//
// How far a transfer is, on standard error: what, how much of how much, rate, time left.
// On a terminal one line that is redrawn and in the end erased; elsewhere a line now and
// then.
#ifndef ORIEL_APP_MODELS_METER_H
#define ORIEL_APP_MODELS_METER_H

#include <stdbool.h>
#include <stdint.h>

struct meter {
    bool quiet, terminal, visible;
    char what[160];
    uint64_t done, total; // bytes; total 0: not known
    uint64_t start_done;  // what was there at the start of this stretch
    int64_t start_ns, painted_ns;
};

void meter_init(struct meter *meter, bool quiet);
// A stretch begins. what is made printable. done bytes are there already.
void meter_begin(struct meter *meter, const char *what, uint64_t done, uint64_t total);
void meter_update(struct meter *meter, uint64_t done);
// A remark of `oriel pull` in between, unless it is quiet.
void meter_say(struct meter *meter, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// Takes the line away, before anything else is printed.
void meter_erase(struct meter *meter);

#define SIZE_TEXT 24
// "98.4 MB": decimal units, as transfers are counted.
const char *size_text(uint64_t bytes, char text[SIZE_TEXT]);

#endif
