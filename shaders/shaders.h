// shaders/shaders.h
// SPDX-License-Identifier: MIT
//
// The compiled compute shaders, one per line of variants.tsv. The table is the only list:
// it builds, selects, tests and explains.
#ifndef ORIEL_SHADERS_SHADERS_H
#define ORIEL_SHADERS_SHADERS_H

#include <stddef.h>
#include <stdint.h>

struct shader {
    const char *kernel; // name of the .comp file
    const char *variant;
    const char *traits; // comma-separated traits that the device must have; "" for none
    const char *why;    // one line: why this variant exists
    const uint32_t *words;
    const size_t *size_bytes;
};

extern const struct shader shaders[];
extern const size_t shader_count;

#endif
