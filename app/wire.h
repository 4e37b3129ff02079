// app/wire.h
// SPDX-License-Identifier: MIT
//
// What front and engine say to each other over their socket pair (docs/formats.md).
//
// A frame is 16 bytes of header (magic, version, type, request, length of the body) and a
// JSON object. Neither side trusts the other: a frame with a wrong magic, another
// version, an unknown type, more than WIRE_BODY_MAX bytes or a body that is not one JSON
// object breaks the connection with one clear line, and every field is read by the
// functions below, which check its type and range.
//
// A request is answered by any number of WIRE_PROGRESS and WIRE_TOKENS and then exactly
// one WIRE_RESULT or WIRE_ERROR, all with its number.
//
// A frame whose body has "descriptor": true brings an open file along (SCM_RIGHTS).
#ifndef ORIEL_APP_WIRE_H
#define ORIEL_APP_WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define WIRE_VERSION      2
#define WIRE_HEADER_BYTES 16
#define WIRE_BODY_MAX     ((size_t)64 << 20)

enum wire_type {
    // front to engine
    WIRE_OPEN = 1,
    WIRE_OPEN_VOCABULARY,
    WIRE_GENERATE,
    WIRE_TOKENIZE,
    WIRE_SCORE,
    WIRE_BENCH,
    WIRE_LIMITS,
    WIRE_DEVICES,
    WIRE_DOCTOR,
    WIRE_DESCRIBE,
    WIRE_PICTURE,
    WIRE_PICTURE_LAYOUT,
    WIRE_CANCEL, // the request named by the header; has no answer of its own
    // engine to front
    WIRE_HELLO = 64, // once, before anything else, with request 0
    WIRE_PROGRESS,
    WIRE_TOKENS,
    WIRE_RESULT,
    WIRE_ERROR,
};

struct wire_message {
    enum wire_type type;
    uint32_t request;
    json_t *body; // an object
    int fd;       // that came along, or -1
};
void wire_message_release(struct wire_message *message);

enum wire_status {
    WIRE_MORE,    // not a whole frame yet
    WIRE_MESSAGE, // *message is filled; the caller releases it
    WIRE_CLOSED,  // the other side is gone
    WIRE_BROKEN,  // *err says why; the connection is of no further use
};

// Reads one frame at the start of bytes[len]. *used: how many bytes it took
// (WIRE_MESSAGE).
enum wire_status wire_parse(const char *bytes, size_t len, size_t *used,
                            struct wire_message *message, struct err *err);

// Appends a frame to out. ERR_LIMIT when the body is too large.
bool wire_format(enum wire_type type, uint32_t request, const json_t *body,
                 struct str *out, struct err *err);

// Sends one frame, waiting as long as it takes. Takes the reference to body.
bool wire_send(int fd, enum wire_type type, uint32_t request, json_t *body,
               struct err *err);
// The same with an open file, which stays the caller's.
bool wire_send_with(int fd, enum wire_type type, uint32_t request, json_t *body,
                    int descriptor, struct err *err);

// Bytes that have arrived and are not yet a message. One thread at a time.
#define WIRE_DESCRIPTORS_MAX 4

struct wire_reader {
    int fd; // borrowed
    struct str buffer;
    size_t start;                          // of the first byte that is not yet read
    int descriptors[WIRE_DESCRIPTORS_MAX]; // that came with frames not yet read
    size_t descriptor_count;
};
void wire_reader_init(struct wire_reader *reader, int fd);
void wire_reader_release(struct wire_reader *reader);

// The next message among the bytes that are here: MORE, MESSAGE or BROKEN.
enum wire_status wire_next(struct wire_reader *reader, struct wire_message *message,
                           struct err *err);
// Waits for bytes and takes them in: MORE, CLOSED or BROKEN.
enum wire_status wire_fill(struct wire_reader *reader, struct err *err);

// ---------------------------------------------------------------------------
// Fields. The readers fail with ERR_FORMAT naming the field; `set` takes any bytes: what
// is not UTF-8 goes into the field with U+FFFD in place of the bad bytes, and besides,
// exactly, as base64 into a second field "KEY_base64".

void wire_set_text(json_t *object, const char *key, const char *bytes, size_t len);
// A number, or null when it is not finite.
void wire_set_real(json_t *object, const char *key, double value);

// Replaces what *out held.
bool wire_get_text(const json_t *object, const char *key, struct str *out,
                   struct err *err);
// NULL with err set when the field is missing or not a string without NUL. Borrowed.
const char *wire_get_string(const json_t *object, const char *key, struct err *err);
// The same, but a missing or null field is an empty answer, not an error.
bool wire_get_optional_string(const json_t *object, const char *key, const char **value,
                              struct err *err);
bool wire_get_uint(const json_t *object, const char *key, uint64_t max, uint64_t *value,
                   struct err *err);
// null reads as NaN.
bool wire_get_real(const json_t *object, const char *key, double *value, struct err *err);
bool wire_get_bool(const json_t *object, const char *key, bool *value, struct err *err);
// NULL with err set unless it is an array of at most max_count elements. Borrowed.
json_t *wire_get_array(const json_t *object, const char *key, size_t max_count,
                       struct err *err);

// {"code": "memory", "text": "..."} and back.
json_t *wire_error_body(const struct err *err);
void wire_read_error(const json_t *body, struct err *err);

#endif
