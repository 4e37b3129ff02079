// app/models/request.h
// SPDX-License-Identifier: MIT
//
// One HTTP GET, without redirects or retries: how far a server is trusted is decided
// here. Only https, except to this machine and to an HF_ENDPOINT that says http; HF_TOKEN
// goes to the host of HF_ENDPOINT and to no other; headers are few and short; a server
// that is silent for half a minute is given up. Proxies as the environment says.
#ifndef ORIEL_APP_MODELS_REQUEST_H
#define ORIEL_APP_MODELS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/models/meter.h"
#include "base/err.h"

#define HEADER_VALUE 256
#define NO_LENGTH    UINT64_MAX

// What the headers of an answer said; empty, 0 or NO_LENGTH: nothing.
struct response {
    long status;
    uint64_t length;                  // Content-Length
    uint64_t range_first, range_size; // Content-Range: bytes FIRST-LAST/SIZE
    bool has_range;
    char etag[HEADER_VALUE], modified[HEADER_VALUE];
    char linked_etag[HEADER_VALUE]; // of the hub: the SHA-256 of the file
    uint64_t linked_size;
    int64_t retry_after_s;
    char *location; // absolute, when it is a redirect
    size_t header_bytes;
};
void response_release(struct response *response);

struct request {
    const char *url;
    uint64_t first_byte;   // 0: all of it
    const char *validator; // with first_byte: an ETag or a date, for If-Range
    // With the first bytes of a 200 or 206 (or at its end, when it has none): false ends
    // the request with *err, which it set.
    bool (*on_start)(void *user, const struct response *response, struct err *err);
    bool (*on_bytes)(void *user, const char *bytes, size_t len, struct err *err);
    void *user;
};

struct http; // a connection that may be used again

struct http *http_open(struct err *err);
void http_close(struct http **http);

enum request_outcome {
    REQUEST_ANSWERED, // *response has the status, whatever it is
    REQUEST_BROKEN,   // the network failed; trying again may help
    REQUEST_REFUSED,  // trying again does not help, or Ctrl-C
};

// Release *response in every case.
enum request_outcome http_request(struct http *http, const struct request *request,
                                  struct response *response, struct err *err);

// Where the hub is: HF_ENDPOINT without a slash at its end, or the public one. The caller
// frees it. NULL with ERR_USAGE when HF_ENDPOINT is no http or https URL.
char *hub_endpoint(struct err *err);

#endif
