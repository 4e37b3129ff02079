// app/models/request.c
// SPDX-License-Identifier: MIT
#include "app/models/request.h"

#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/interrupt.h"
#include "base/alloc.h"

#define PUBLIC_HUB      "https://huggingface.co"
#define CONNECT_SECONDS 20L
#define SILENT_SECONDS  30L
#define SLOWEST         64L // bytes per second that still count as life
#define HEADERS_MAX     ((size_t)64 << 10)
#define OTHER_BODY_MAX  ((size_t)1 << 20) // of an answer that is an error
#define WAIT_SLICE_MS   200

struct http {
    CURL *easy;
    CURLM *multi;
    char *endpoint;
};

void response_release(struct response *response)
{
    free(response->location);
    response->location = NULL;
}

// ---------------------------------------------------------------------------
// Whom we talk to

struct origin {
    char *scheme, *host, *port;
};

static void origin_release(struct origin *origin)
{
    curl_free(origin->scheme);
    curl_free(origin->host);
    curl_free(origin->port);
    *origin = (struct origin){ .scheme = NULL };
}

static bool origin_of(const char *url, struct origin *origin)
{
    CURLU *parts = curl_url();
    bool ok = parts != NULL &&
              curl_url_set(parts, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK &&
              curl_url_get(parts, CURLUPART_SCHEME, &origin->scheme, 0) == CURLUE_OK &&
              curl_url_get(parts, CURLUPART_HOST, &origin->host, 0) == CURLUE_OK &&
              curl_url_get(parts, CURLUPART_PORT, &origin->port, CURLU_DEFAULT_PORT) ==
                  CURLUE_OK;

    curl_url_cleanup(parts);
    return ok;
}

static bool same_origin(const struct origin *a, const char *url)
{
    struct origin b = { .scheme = NULL };
    bool same = origin_of(url, &b) && strcmp(a->scheme, b.scheme) == 0 &&
                strcasecmp(a->host, b.host) == 0 && strcmp(a->port, b.port) == 0;

    origin_release(&b);
    return same;
}

static bool is_loopback(const char *host)
{
    struct in_addr address;

    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &address) == 1 &&
            ntohl(address.s_addr) >> 24 == 127);
}

static bool may_talk_to(const struct http *http, const char *url, bool *is_hub,
                        struct err *err)
{
    struct origin origin = { .scheme = NULL };
    bool ok = origin_of(url, &origin) ||
              err_set(err, ERR_USAGE, "%s: not a URL that can be fetched", url);

    *is_hub = ok && same_origin(&origin, http->endpoint);
    if (ok && strcmp(origin.scheme, "https") != 0 &&
        (strcmp(origin.scheme, "http") != 0 || (!*is_hub && !is_loopback(origin.host))))
        ok = err_set(err, ERR_USAGE, "%s: only https is safe enough", url);
    origin_release(&origin);
    return ok;
}

char *hub_endpoint(struct err *err)
{
    const char *set = getenv("HF_ENDPOINT");
    struct origin origin = { .scheme = NULL };
    size_t len;
    bool ok;

    if (set == NULL || set[0] == '\0')
        return alloc_string(PUBLIC_HUB);
    ok = origin_of(set, &origin) &&
         (strcmp(origin.scheme, "https") == 0 || strcmp(origin.scheme, "http") == 0);
    origin_release(&origin);
    if (!ok) {
        err_set(err, ERR_USAGE, "HF_ENDPOINT: %s is not an http or https URL", set);
        return NULL;
    }
    for (len = strlen(set); len > 0 && set[len - 1] == '/'; len--)
        ;
    return alloc_string_n(set, len);
}

struct http *http_open(struct err *err)
{
    struct http *http;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        err_set(err, ERR_IO, "libcurl cannot start");
        return NULL;
    }
    http = alloc_zero(sizeof(*http));
    http->endpoint = hub_endpoint(err);
    http->easy = curl_easy_init();
    http->multi = curl_multi_init();
    if (http->endpoint != NULL && http->easy != NULL && http->multi != NULL)
        return http;
    if (http->endpoint != NULL)
        err_set(err, ERR_IO, "libcurl cannot start");
    http_close(&http);
    return NULL;
}

void http_close(struct http **http)
{
    if (*http == NULL)
        return;
    curl_multi_cleanup((*http)->multi);
    curl_easy_cleanup((*http)->easy);
    free((*http)->endpoint);
    free(*http);
    *http = NULL;
}

// ---------------------------------------------------------------------------
// What comes back

struct exchange {
    const struct request *request;
    struct response *response;
    struct err *err;
    CURL *easy;
    size_t other_bytes;
    bool started, refused; // refused: *err says why
};

static bool parse_size(const char *text, const char **end, uint64_t *value)
{
    char *after;

    if (!isdigit((unsigned char)*text))
        return false;
    *value = strtoumax(text, &after, 10);
    if (end != NULL)
        *end = after;
    return *value < INT64_MAX && (end != NULL || *after == '\0');
}

// "bytes 100-199/1000"
static void parse_range(struct response *response, const char *text)
{
    uint64_t last;

    response->has_range = strncmp(text, "bytes ", 6) == 0 &&
                          parse_size(text + 6, &text, &response->range_first) &&
                          *text == '-' && parse_size(text + 1, &text, &last) &&
                          *text == '/' &&
                          parse_size(text + 1, NULL, &response->range_size) &&
                          response->range_first <= last && last < response->range_size;
}

static void take_header(struct response *response, const char *name, const char *value)
{
    static const struct {
        const char *name;
        size_t offset;
    } texts[] = {
        { "etag", offsetof(struct response, etag) },
        { "last-modified", offsetof(struct response, modified) },
        { "x-linked-etag", offsetof(struct response, linked_etag) },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcasecmp(name, texts[i].name) == 0)
            snprintf((char *)response + texts[i].offset, HEADER_VALUE, "%s", value);
    if (strcasecmp(name, "content-length") == 0 &&
        !parse_size(value, NULL, &response->length))
        response->length = NO_LENGTH;
    if (strcasecmp(name, "x-linked-size") == 0 &&
        !parse_size(value, NULL, &response->linked_size))
        response->linked_size = 0;
    if (strcasecmp(name, "content-range") == 0)
        parse_range(response, value);
}

static size_t on_header(char *bytes, size_t size, size_t count, void *user)
{
    struct exchange *exchange = user;
    size_t len = size * count;
    char line[HEADER_VALUE + 64], *colon, *value;

    exchange->response->header_bytes += len;
    if (exchange->response->header_bytes > HEADERS_MAX)
        return 0;
    if (len >= sizeof(line)) // none that we look for is so long
        return len;
    memcpy(line, bytes, len);
    for (; len > 0 && isspace((unsigned char)line[len - 1]); len--)
        ;
    line[len] = '\0';
    colon = strchr(line, ':');
    if (colon != NULL) {
        *colon = '\0';
        for (value = colon + 1; isspace((unsigned char)*value); value++)
            ;
        if (strlen(value) < HEADER_VALUE)
            take_header(exchange->response, line, value);
    }
    return size * count;
}

static bool is_content(long status)
{
    return status == 200 || status == 206;
}

static bool start(struct exchange *exchange)
{
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE,
                      &exchange->response->status);
    exchange->started = true;
    if (!is_content(exchange->response->status))
        return true;
    exchange->refused = !exchange->request->on_start(exchange->request->user,
                                                     exchange->response, exchange->err);
    return !exchange->refused;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct exchange *exchange = user;
    size_t len = size * count;

    if (!exchange->started && !start(exchange))
        return 0;
    if (!is_content(exchange->response->status)) {
        exchange->other_bytes += len;
        return exchange->other_bytes <= OTHER_BODY_MAX ? len : 0;
    }
    exchange->refused =
        !exchange->request->on_bytes(exchange->request->user, bytes, len, exchange->err);
    return exchange->refused ? 0 : len;
}

// ---------------------------------------------------------------------------
// The request

static bool add_header(struct curl_slist **list, const char *name, const char *value,
                       struct err *err)
{
    struct curl_slist *longer;
    char *line;

    for (const char *at = value; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            return err_set(err, ERR_USAGE, "%s cannot be sent: it is not plain ASCII",
                           name);
    line = alloc_printf("%s%s", name, value);
    longer = curl_slist_append(*list, line);
    free(line);
    if (longer == NULL)
        return err_set(err, ERR_MEMORY, "no memory for a header");
    *list = longer;
    return true;
}

static bool make_headers(const struct request *request, bool is_hub,
                         struct curl_slist **list, struct err *err)
{
    const char *token = getenv("HF_TOKEN");
    char range[48];

    if (request->first_byte > 0) {
        snprintf(range, sizeof(range), "bytes=%" PRIu64 "-", request->first_byte);
        if (!add_header(list, "Range: ", range, err) ||
            !add_header(list, "If-Range: ", request->validator, err))
            return false;
    }
    return !is_hub || token == NULL || token[0] == '\0' ||
           add_header(list, "Authorization: Bearer ", token, err);
}

static void set_options(CURL *easy, struct exchange *exchange, struct curl_slist *headers,
                        char *problem)
{
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, exchange->request->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, problem);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, PACKAGE_NAME "/" PACKAGE_VERSION);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, SLOWEST);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, SILENT_SECONDS);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
}

// Runs the transfer to its end. false: Ctrl-C.
static bool transfer(struct http *http, CURLcode *code)
{
    struct curl_waitfd wait = { .fd = interrupt_fd(), .events = CURL_WAIT_POLLIN };
    bool going = true;
    int running = 1, left;
    CURLMsg *message;

    *code = CURLE_FAILED_INIT;
    if (curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
        return true;
    while (going && running > 0 &&
           curl_multi_perform(http->multi, &running) == CURLM_OK) {
        if (running > 0)
            curl_multi_poll(http->multi, &wait, wait.fd >= 0, WAIT_SLICE_MS, NULL);
        going = !interrupted();
    }
    while ((message = curl_multi_info_read(http->multi, &left)) != NULL)
        if (message->msg == CURLMSG_DONE)
            *code = message->data.result;
    curl_multi_remove_handle(http->multi, http->easy);
    return going;
}

// What of the answer only libcurl can say.
static void finish_response(CURL *easy, struct response *response)
{
    char *location = NULL;
    curl_off_t wait = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &response->status);
    curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &location);
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &wait);
    response->location = location != NULL ? alloc_string(location) : NULL;
    response->retry_after_s = wait;
}

// Failures that are the same the next time.
static bool is_final(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT;
}

static enum request_outcome judge(struct exchange *exchange, CURLcode code,
                                  const char *problem)
{
    struct err *err = exchange->err;

    if (exchange->refused)
        return REQUEST_REFUSED;
    finish_response(exchange->easy, exchange->response);
    if (code == CURLE_OK && !exchange->started && !start(exchange))
        return REQUEST_REFUSED;
    // The rest of an error's text is of no interest.
    if (code == CURLE_OK ||
        (code == CURLE_WRITE_ERROR && exchange->other_bytes > OTHER_BODY_MAX))
        return REQUEST_ANSWERED;
    if (exchange->response->header_bytes > HEADERS_MAX) {
        err_set(err, ERR_LIMIT, "%s: more than %zu bytes of headers",
                exchange->request->url, HEADERS_MAX);
        return REQUEST_REFUSED;
    }
    err_set(err, ERR_IO, "%s: %s", exchange->request->url,
            problem[0] != '\0' ? problem : curl_easy_strerror(code));
    return is_final(code) ? REQUEST_REFUSED : REQUEST_BROKEN;
}

enum request_outcome http_request(struct http *http, const struct request *request,
                                  struct response *response, struct err *err)
{
    struct exchange exchange = {
        .request = request, .response = response, .err = err, .easy = http->easy
    };
    enum request_outcome outcome = REQUEST_REFUSED;
    struct curl_slist *headers = NULL;
    char problem[CURL_ERROR_SIZE] = "";
    CURLcode code;
    bool is_hub;

    *response = (struct response){ .length = NO_LENGTH };
    if (may_talk_to(http, request->url, &is_hub, err) &&
        make_headers(request, is_hub, &headers, err)) {
        set_options(http->easy, &exchange, headers, problem);
        if (transfer(http, &code))
            outcome = judge(&exchange, code, problem);
        else
            err_set(err, ERR_CANCELLED, "stopped");
        curl_easy_reset(http->easy); // nothing of this call stays behind
    }
    curl_slist_free_all(headers);
    return outcome;
}
