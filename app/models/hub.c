// app/models/hub.c
// SPDX-License-Identifier: MIT
#include "app/models/hub.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "app/models/http.h"
#include "app/models/request.h"
#include "base/alloc.h"
#include "base/str.h"

#define LISTING_MAX ((size_t)16 << 20)
#define PATH_LEN    512

static bool plain_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)text[i]) && strchr("._-", text[i]) == NULL)
            return false;
    return len > 0 && len < 128 && text[0] != '.';
}

// OWNER/REPO at the start of text; returns its length, or 0.
static size_t repository_length(const char *text)
{
    size_t owner = strcspn(text, "/:"), repo;

    if (text[owner] != '/' || !plain_name(text, owner))
        return 0;
    repo = strcspn(text + owner + 1, "/:");
    return plain_name(text + owner + 1, repo) ? owner + 1 + repo : 0;
}

bool hub_is_repository(const char *source)
{
    const char *text = source + strlen(HUB_PREFIX);
    size_t len = repository_length(text);

    return len > 0 && text[len] == '\0';
}

// Each part of the path percent-encoded (RFC 3986); "." and ".." are refused.
static bool append_path(struct str *url, const char *path)
{
    for (const char *at = path;;) {
        size_t len = strcspn(at, "/");

        if (len == 0 || strncmp(at, "..", len) == 0)
            return false;
        for (size_t i = 0; i < len; i++) {
            if (isalnum((unsigned char)at[i]) || strchr("._-~", at[i]) != NULL)
                str_append_char(url, at[i]);
            else
                str_printf(url, "%%%02X", (unsigned char)at[i]);
        }
        at += len;
        if (*at == '\0')
            return true;
        str_append_char(url, *at++);
    }
}

char *hub_url(const char *source, struct err *err)
{
    const char *text = source + strlen(HUB_PREFIX);
    size_t len = repository_length(text);
    char *endpoint = hub_endpoint(err);
    struct str url;
    bool ok;

    if (endpoint == NULL)
        return NULL;
    str_init(&url, 0);
    str_printf(&url, "%s/%.*s/resolve/main/", endpoint, (int)len, text);
    free(endpoint);
    ok = len > 0 && text[len] == ':' && strlen(text) < PATH_LEN &&
         append_path(&url, text + len + 1);
    if (ok)
        return str_take(&url);
    str_release(&url);
    err_set(err, ERR_USAGE, "%s: not of the form hf:OWNER/REPO:FILE", source);
    return NULL;
}

// ---------------------------------------------------------------------------
// Choosing

// The best first: small enough for one person's machine, and hardly worse than the whole.
static const char *const model_kinds[] = { "q4_k_m", "q4_k_s", "q4_0", "q4_1",   "q5_k_m",
                                           "q5_k_s", "q5_0",   "q6_k", "iq4_xs", "iq4_nl",
                                           "mxfp4",  "q8_0",   "bf16", "f16",    "f32" };
static const char *const mmproj_kinds[] = { "f16", "q8_0", "bf16", "f32" };

// Ending in .gguf and with the word, as a word, in its name.
static bool is_of_kind(const char *file, const char *kind)
{
    size_t len = strlen(kind);

    for (const char *at = file; (at = strcasestr(at, kind)) != NULL; at++)
        if ((at == file || !isalnum((unsigned char)at[-1])) &&
            !isalnum((unsigned char)at[len]) && at[len] != '_')
            return true;
    return false;
}

static const char *file_at(const json_t *listing, size_t index, bool mmproj)
{
    const json_t *file = json_array_get(json_object_get(listing, "siblings"), index);
    const char *name = json_string_value(json_object_get(file, "rfilename"));
    size_t len = name != NULL ? strlen(name) : 0;

    return len > 5 && strcasecmp(name + len - 5, ".gguf") == 0 &&
                   (strcasestr(name, "mmproj") != NULL) == mmproj
               ? name
               : NULL;
}

static const char *choose(const json_t *listing, bool mmproj)
{
    const char *const *kinds = mmproj ? mmproj_kinds : model_kinds;
    size_t kind_count = mmproj ? sizeof(mmproj_kinds) / sizeof(mmproj_kinds[0])
                               : sizeof(model_kinds) / sizeof(model_kinds[0]);
    size_t count = json_array_size(json_object_get(listing, "siblings"));
    const char *file;

    for (size_t kind = 0; kind < kind_count; kind++)
        for (size_t i = 0; i < count; i++)
            if ((file = file_at(listing, i, mmproj)) != NULL &&
                is_of_kind(file, kinds[kind]))
                return file;
    for (size_t i = 0; i < count; i++)
        if ((file = file_at(listing, i, mmproj)) != NULL)
            return file;
    return NULL;
}

static json_t *fetch_listing(const char *source, struct err *err)
{
    char *endpoint = hub_endpoint(err), *url;
    json_t *listing = NULL;
    struct str text;

    if (endpoint == NULL)
        return NULL;
    url = alloc_printf("%s/api/models/%s", endpoint, source + strlen(HUB_PREFIX));
    str_init(&text, LISTING_MAX);
    if (http_get(url, &text, err)) {
        listing = json_loadb(text.data, text.len, 0, NULL);
        if (!json_is_object(listing)) {
            err_set(err, ERR_FORMAT, "%s: the answer is not a JSON object", url);
            json_decref(listing);
            listing = NULL;
        }
    }
    str_release(&text);
    free(url);
    free(endpoint);
    return listing;
}

bool hub_choose(const char *source, char **model, char **mmproj, char **licence,
                struct err *err)
{
    json_t *listing = fetch_listing(source, err);
    const char *file, *eye, *terms;

    if (listing == NULL)
        return false;
    file = choose(listing, false);
    eye = choose(listing, true);
    terms = json_string_value(
        json_object_get(json_object_get(listing, "cardData"), "license"));
    *model = file != NULL ? alloc_printf("%s:%s", source, file) : NULL;
    *mmproj = eye != NULL ? alloc_printf("%s:%s", source, eye) : NULL;
    *licence = terms != NULL ? alloc_string(terms) : NULL;
    json_decref(listing);
    return *model != NULL ||
           err_set(err, ERR_NOT_FOUND, "%s: there is no GGUF file in it", source);
}
