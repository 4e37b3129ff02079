// tests/engine/format/broken_files.h
// SPDX-License-Identifier: MIT
//
// A good small model, and a table of ways to break it. Each is one file that must be refused
// with a message that says what is wrong where.
#ifndef ORIEL_TESTS_ENGINE_FORMAT_BROKEN_FILES_H
#define ORIEL_TESTS_ENGINE_FORMAT_BROKEN_FILES_H

#include "tests/engine/format/gguf_writer.h"

enum broken_how {
    BREAK_HEADER_U32, // value at byte `plus`
    BREAK_HEADER_U64,
    BREAK_U8, // value at the place `field` of `target`, plus `plus` bytes
    BREAK_U32,
    BREAK_U64,
    BREAK_CUT,     // the file ends at that place
    BREAK_ADD,     // one more key `target`, of type `value` and with `bytes`
    BREAK_REPLACE, // the same, and the good model's key of that name is gone
    BREAK_BYTES,   // the file consists of `bytes`
};

enum broken_field { NAME, RANK, SHAPE, TYPE, VALUE, OFFSET, DATA };

struct broken_file {
    const char *name;
    const char *refusal; // part of the message
    enum broken_how how;
    const char *target;
    enum broken_field field;
    size_t plus;
    uint64_t value;
    const char *bytes;
    size_t size;
};

extern const struct broken_file broken_files[];
extern const size_t broken_file_count;

// A llama with one layer, four tokens, every value type and several weight types.
void write_good_model(struct gguf_writer *writer);

void build_broken_file(const struct broken_file *broken, struct str *file);

#endif
