// app/wire.c
// SPDX-License-Identifier: MIT
#include "app/wire.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/utf8.h"

static const char magic[4] = { 'O', 'R', 'L', 'W' };

#define RECEIVE_BYTES 65536

static void put_u16(unsigned char *at, unsigned value)
{
    at[0] = value & 0xFF;
    at[1] = value >> 8 & 0xFF;
}

static void put_u32(unsigned char *at, uint32_t value)
{
    put_u16(at, value & 0xFFFF);
    put_u16(at + 2, value >> 16);
}

static unsigned get_u16(const unsigned char *at)
{
    return at[0] | (unsigned)at[1] << 8;
}

static uint32_t get_u32(const unsigned char *at)
{
    return get_u16(at) | (uint32_t)get_u16(at + 2) << 16;
}

static bool known_type(unsigned type)
{
    return (type >= WIRE_OPEN && type <= WIRE_CANCEL) ||
           (type >= WIRE_HELLO && type <= WIRE_ERROR);
}

void wire_message_release(struct wire_message *message)
{
    json_decref(message->body);
    if (message->body != NULL && message->fd >= 0)
        close(message->fd);
    *message = (struct wire_message){ .fd = -1 };
}

enum wire_status wire_parse(const char *bytes, size_t len, size_t *used,
                            struct wire_message *message, struct err *err)
{
    const unsigned char *header = (const unsigned char *)bytes;
    json_error_t problem;
    unsigned version, type;
    size_t body_len;
    json_t *body;

    if (memcmp(bytes, magic, len < sizeof(magic) ? len : sizeof(magic)) != 0) {
        err_set(err, ERR_FORMAT, "what arrived is not a message of oriel");
        return WIRE_BROKEN;
    }
    if (len < WIRE_HEADER_BYTES)
        return WIRE_MORE;
    version = get_u16(header + 4);
    type = get_u16(header + 6);
    body_len = get_u32(header + 12);
    if (version != WIRE_VERSION) {
        err_set(err, ERR_MISMATCH,
                "the other process speaks version %u, this one version %d", version,
                WIRE_VERSION);
        return WIRE_BROKEN;
    }
    if (!known_type(type)) {
        err_set(err, ERR_FORMAT, "message of unknown type %u", type);
        return WIRE_BROKEN;
    }
    if (body_len > WIRE_BODY_MAX) {
        err_set(err, ERR_LIMIT, "message of %zu bytes; at most %zu are allowed", body_len,
                WIRE_BODY_MAX);
        return WIRE_BROKEN;
    }
    if (len - WIRE_HEADER_BYTES < body_len)
        return WIRE_MORE;
    body = json_loadb(bytes + WIRE_HEADER_BYTES, body_len,
                      JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
    if (!json_is_object(body)) {
        err_set(err, ERR_FORMAT, "message of type %u is not a JSON object%s%s", type,
                body == NULL ? ": " : "", body == NULL ? problem.text : "");
        json_decref(body);
        return WIRE_BROKEN;
    }
    *message = (struct wire_message){ type, get_u32(header + 8), body, -1 };
    *used = WIRE_HEADER_BYTES + body_len;
    return WIRE_MESSAGE;
}

static int append_json(const char *bytes, size_t len, void *user)
{
    return str_append_n(user, bytes, len) ? 0 : -1;
}

bool wire_format(enum wire_type type, uint32_t request, const json_t *body,
                 struct str *out, struct err *err)
{
    unsigned char header[WIRE_HEADER_BYTES] = { 0 };
    size_t start = out->len;

    if (!str_append_n(out, (const char *)header, sizeof(header)) ||
        json_dump_callback(body, append_json, out, JSON_COMPACT) != 0 ||
        out->len - start - WIRE_HEADER_BYTES > WIRE_BODY_MAX) {
        str_truncate(out, start);
        return err_set(err, ERR_LIMIT, "message of more than %zu bytes", WIRE_BODY_MAX);
    }
    memcpy(header, magic, sizeof(magic));
    put_u16(header + 4, WIRE_VERSION);
    put_u16(header + 6, type);
    put_u32(header + 8, request);
    put_u32(header + 12, (uint32_t)(out->len - start - WIRE_HEADER_BYTES));
    memcpy(out->data + start, header, sizeof(header));
    return true;
}

// Room for one descriptor in a control message, aligned as it must be.
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static void attach(struct msghdr *message, union control *control, int descriptor)
{
    struct cmsghdr *header = &control->header;

    memset(control, 0, sizeof(*control));
    message->msg_control = control->bytes;
    message->msg_controllen = sizeof(control->bytes);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
}

// descriptor goes with the first byte; -1: none.
static bool send_all(int fd, char *bytes, size_t len, int descriptor, struct err *err)
{
    union control control;

    while (len > 0) {
        struct iovec span = { bytes, len };
        struct msghdr message = { .msg_iov = &span, .msg_iovlen = 1 };
        ssize_t sent;

        if (descriptor >= 0)
            attach(&message, &control, descriptor);
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return err_set_errno(err, "cannot send to the other process");
        bytes += sent;
        len -= (size_t)sent;
        descriptor = -1;
    }
    return true;
}

bool wire_send_with(int fd, enum wire_type type, uint32_t request, json_t *body,
                    int descriptor, struct err *err)
{
    struct str frame;
    bool ok;

    str_init(&frame, WIRE_HEADER_BYTES + WIRE_BODY_MAX);
    if (descriptor >= 0)
        json_object_set_new(body, "descriptor", json_true());
    ok = wire_format(type, request, body, &frame, err) &&
         send_all(fd, frame.data, frame.len, descriptor, err);
    str_release(&frame);
    json_decref(body);
    return ok;
}

bool wire_send(int fd, enum wire_type type, uint32_t request, json_t *body,
               struct err *err)
{
    return wire_send_with(fd, type, request, body, -1, err);
}

// ---------------------------------------------------------------------------
// Receiving

void wire_reader_init(struct wire_reader *reader, int fd)
{
    *reader = (struct wire_reader){ .fd = fd };
    str_init(&reader->buffer, WIRE_HEADER_BYTES + WIRE_BODY_MAX + RECEIVE_BYTES);
}

void wire_reader_release(struct wire_reader *reader)
{
    for (size_t i = 0; i < reader->descriptor_count; i++)
        close(reader->descriptors[i]);
    reader->descriptor_count = 0;
    str_release(&reader->buffer);
}

static bool take_descriptor(struct wire_reader *reader, struct wire_message *message,
                            struct err *err)
{
    if (!json_is_true(json_object_get(message->body, "descriptor")))
        return true;
    if (reader->descriptor_count == 0)
        return err_set(err, ERR_FORMAT, "message of type %d lacks its open file",
                       (int)message->type);
    message->fd = reader->descriptors[0];
    memmove(reader->descriptors, reader->descriptors + 1,
            --reader->descriptor_count * sizeof(reader->descriptors[0]));
    return true;
}

enum wire_status wire_next(struct wire_reader *reader, struct wire_message *message,
                           struct err *err)
{
    size_t used = 0;
    enum wire_status status =
        wire_parse(reader->buffer.data + reader->start,
                   reader->buffer.len - reader->start, &used, message, err);

    reader->start += used;
    if (reader->start == reader->buffer.len) {
        str_reset(&reader->buffer);
        reader->start = 0;
    }
    if (status == WIRE_MESSAGE && !take_descriptor(reader, message, err)) {
        wire_message_release(message);
        return WIRE_BROKEN;
    }
    return status;
}

// Keeps the open files that came along; more than expected are closed and refused.
static bool keep_descriptors(struct wire_reader *reader, struct msghdr *message)
{
    bool fits = (message->msg_flags & MSG_CTRUNC) == 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR(message, header)) {
        int descriptor;

        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
            header->cmsg_len != CMSG_LEN(sizeof(int)))
            continue;
        memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
        if (reader->descriptor_count < WIRE_DESCRIPTORS_MAX) {
            reader->descriptors[reader->descriptor_count++] = descriptor;
        } else {
            close(descriptor);
            fits = false;
        }
    }
    return fits;
}

enum wire_status wire_fill(struct wire_reader *reader, struct err *err)
{
    char bytes[RECEIVE_BYTES];
    struct iovec span = { bytes, sizeof(bytes) };
    union control control;
    struct msghdr message;
    ssize_t got;

    do {
        message = (struct msghdr){ .msg_iov = &span,
                                   .msg_iovlen = 1,
                                   .msg_control = control.bytes,
                                   .msg_controllen = sizeof(control.bytes) };
        got = recvmsg(reader->fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got == 0 || (got < 0 && errno == ECONNRESET))
        return WIRE_CLOSED;
    if (got < 0) {
        err_set_errno(err, "cannot receive from the other process");
        return WIRE_BROKEN;
    }
    if (!keep_descriptors(reader, &message)) {
        err_set(err, ERR_LIMIT, "more open files arrived than messages name");
        return WIRE_BROKEN;
    }
    if (reader->start > 0) {
        reader->buffer.len -= reader->start;
        memmove(reader->buffer.data, reader->buffer.data + reader->start,
                reader->buffer.len + 1);
        reader->start = 0;
    }
    str_append_n(&reader->buffer, bytes,
                 (size_t)got); // fits: wire_next leaves < one frame
    return WIRE_MORE;
}

// ---------------------------------------------------------------------------
// Fields

// Room for the longest key that is used and "_base64".
#define KEY_BYTES 64

static const char *base64_key(const char *key, char name[KEY_BYTES])
{
    snprintf(name, KEY_BYTES, "%s_base64", key);
    return name;
}

void wire_set_text(json_t *object, const char *key, const char *bytes, size_t len)
{
    struct str shown, exact;
    char name[KEY_BYTES];

    if (utf8_valid(bytes, len)) {
        json_object_set_new(object, key, json_stringn_nocheck(bytes, len));
        return;
    }
    str_init(&shown, SIZE_MAX / 2);
    str_init(&exact, SIZE_MAX / 2);
    utf8_append_repaired(&shown, bytes, len);
    base64_encode(bytes, len, &exact);
    json_object_set_new(object, key, json_stringn_nocheck(shown.data, shown.len));
    json_object_set_new(object, base64_key(key, name),
                        json_stringn_nocheck(exact.data, exact.len));
    str_release(&shown);
    str_release(&exact);
}

void wire_set_real(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null());
}

static bool field_error(const char *key, const char *what, struct err *err)
{
    return err_set(err, ERR_FORMAT, "field \"%s\" of a message %s", key, what);
}

bool wire_get_text(const json_t *object, const char *key, struct str *out,
                   struct err *err)
{
    char name[KEY_BYTES];
    const json_t *value = json_object_get(object, key);
    const json_t *exact = json_object_get(object, base64_key(key, name));

    str_reset(out);
    if (json_is_string(exact)) {
        if (!base64_decode(json_string_value(exact), json_string_length(exact), out))
            return field_error(key, "is not base64", err);
        return true;
    }
    if (!json_is_string(value))
        return field_error(key, "is not a string", err);
    if (!str_append_n(out, json_string_value(value), json_string_length(value)))
        return field_error(key, "is too long", err);
    return true;
}

const char *wire_get_string(const json_t *object, const char *key, struct err *err)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value) ||
        strlen(json_string_value(value)) != json_string_length(value)) {
        field_error(key, "is not a plain string", err);
        return NULL;
    }
    return json_string_value(value);
}

bool wire_get_optional_string(const json_t *object, const char *key, const char **value,
                              struct err *err)
{
    const json_t *field = json_object_get(object, key);

    *value = NULL;
    if (field == NULL || json_is_null(field))
        return true;
    *value = wire_get_string(object, key, err);
    return *value != NULL;
}

bool wire_get_uint(const json_t *object, const char *key, uint64_t max, uint64_t *value,
                   struct err *err)
{
    const json_t *field = json_object_get(object, key);

    if (!json_is_integer(field) || json_integer_value(field) < 0 ||
        (uint64_t)json_integer_value(field) > max)
        return field_error(key, "is not an integer in its range", err);
    *value = (uint64_t)json_integer_value(field);
    return true;
}

bool wire_get_real(const json_t *object, const char *key, double *value, struct err *err)
{
    const json_t *field = json_object_get(object, key);

    if (json_is_null(field)) {
        *value = (double)NAN;
        return true;
    }
    if (!json_is_number(field))
        return field_error(key, "is not a number", err);
    *value = json_number_value(field);
    return true;
}

bool wire_get_bool(const json_t *object, const char *key, bool *value, struct err *err)
{
    const json_t *field = json_object_get(object, key);

    if (!json_is_boolean(field))
        return field_error(key, "is not true or false", err);
    *value = json_is_true(field);
    return true;
}

json_t *wire_get_array(const json_t *object, const char *key, size_t max_count,
                       struct err *err)
{
    json_t *field = json_object_get(object, key);

    if (!json_is_array(field) || json_array_size(field) > max_count) {
        field_error(key, "is not an array of an allowed length", err);
        return NULL;
    }
    return field;
}

// ---------------------------------------------------------------------------
// Errors

static const char *const code_names[] = {
    [ERR_USAGE] = "usage",         [ERR_IO] = "io",
    [ERR_FORMAT] = "format",       [ERR_UNSUPPORTED] = "unsupported",
    [ERR_LIMIT] = "limit",         [ERR_MEMORY] = "memory",
    [ERR_DEVICE] = "device",       [ERR_NOT_FOUND] = "not_found",
    [ERR_CANCELLED] = "cancelled", [ERR_MISMATCH] = "mismatch",
    [ERR_BUSY] = "busy",           [ERR_LOST] = "lost",
};

json_t *wire_error_body(const struct err *err)
{
    json_t *body = json_object();

    json_object_set_new(body, "code", json_string(code_names[err->code]));
    wire_set_text(body, "text", err->text, strlen(err->text));
    return body;
}

void wire_read_error(const json_t *body, struct err *err)
{
    const char *name = wire_get_string(body, "code", err);
    struct str text;

    if (name == NULL)
        return;
    str_init(&text, sizeof(err->text) * 2);
    for (size_t code = 1; code < sizeof(code_names) / sizeof(code_names[0]); code++) {
        if (strcmp(code_names[code], name) != 0)
            continue;
        if (wire_get_text(body, "text", &text, err))
            err_set(err, (enum err_code)code, "%s", text.data);
        str_release(&text);
        return;
    }
    str_release(&text);
    field_error("code", "is not the name of an error", err);
}
