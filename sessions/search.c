// sessions/search.c
// SPDX-License-Identifier: MIT
//
// Full text search over messages, titles and tags (SQLite FTS5).
//
// What a person types never reaches the query language as it is: it is cut into words and
// quoted phrases, and each becomes a quoted FTS5 string. Scripts that are written without
// spaces (Chinese, Japanese, Thai ...) make one long token of a whole sentence, which an
// index of words cannot find the middle of: queries with such characters read the texts
// instead, newest first.
#include "sessions/private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

#define TERM_LIMIT     32   // words and phrases of one query; more are ignored
#define QUERY_LIMIT    4096 // bytes of one query; more are ignored
#define HITS_DEFAULT   50
#define RANKED_LIMIT   10000 // matches; of more than these the newest come first
#define SNIPPET_BEFORE 60    // bytes before a match, when the texts are read
#define SNIPPET_AFTER  120

struct term {
    const char *text;
    size_t len;
    bool last; // of the query, and not in quotes: may be the beginning of a word
};

struct query {
    struct term terms[TERM_LIMIT];
    size_t count;
    bool unspaced; // has characters of a script without spaces
};

// ---------------------------------------------------------------------------
// The indexes

bool index_message(struct sessions *s, int64_t message, struct err *err)
{
    return store_run(s, err,
                     "INSERT INTO parts_index (rowid, text) "
                     "SELECT key, text FROM parts WHERE message = ?1",
                     "i", message);
}

bool index_title(struct sessions *s, int64_t conversation, struct err *err)
{
    return store_run(s, err,
                     "INSERT INTO titles_index (rowid, title, tags) "
                     "SELECT key, title, tags FROM conversations WHERE key = ?1",
                     "i", conversation);
}

bool unindex_title(struct sessions *s, int64_t conversation, struct err *err)
{
    return store_run(
        s, err,
        "INSERT INTO titles_index (titles_index, rowid, title, tags) "
        "SELECT 'delete', key, title, tags FROM conversations WHERE key = ?1",
        "i", conversation);
}

bool unindex_conversation(struct sessions *s, int64_t conversation, struct err *err)
{
    return store_run(s, err,
                     "INSERT INTO parts_index (parts_index, rowid, text) "
                     "SELECT 'delete', p.key, p.text FROM messages m "
                     "JOIN parts p ON p.message = m.key WHERE m.conversation = ?1",
                     "i", conversation) &&
           unindex_title(s, conversation, err);
}

// ---------------------------------------------------------------------------
// Reading what was typed

static bool is_unspaced(uint32_t c)
{
    return (c >= 0x0E00 && c <= 0x0EFF) || (c >= 0x1000 && c <= 0x109F) ||
           (c >= 0x1780 && c <= 0x17FF) || (c >= 0x2E80 && c <= 0xA4CF) ||
           (c >= 0xAC00 && c <= 0xD7AF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x20000 && c <= 0x3FFFF);
}

// Terms of punctuation alone would match nothing.
static bool has_letters(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (isalnum((unsigned char)text[i]) || (unsigned char)text[i] >= 0x80)
            return true;
    return false;
}

static void parse_query(const char *text, size_t len, struct query *query)
{
    size_t at = 0;

    *query = (struct query){ .count = 0 };
    while (at < len && query->count < TERM_LIMIT) {
        bool quoted = text[at] == '"';
        size_t start = at + quoted;
        size_t end = start;

        while (end < len &&
               (quoted ? text[end] != '"'
                       : !isspace((unsigned char)text[end]) && text[end] != '"'))
            end++;
        if (has_letters(text + start, end - start))
            query->terms[query->count++] =
                (struct term){ text + start, end - start, end == len && !quoted };
        at = end + (end < len && (quoted || text[end] != '"'));
    }
    for (size_t i = 0; i < len;) {
        uint32_t codepoint;
        bool valid;

        i += utf8_decode(text + i, len - i, &codepoint, &valid);
        query->unspaced |= valid && is_unspaced(codepoint);
    }
}

// "one" "two three" "fou" *; without the star when only whole words are wanted.
static void write_fts(const struct query *query, bool whole, struct str *out)
{
    for (size_t i = 0; i < query->count; i++) {
        const struct term *term = &query->terms[i];

        str_append(out, i > 0 ? " \"" : "\"");
        for (size_t k = 0; k < term->len; k++) // a quote cannot be inside a term
            str_append_char(out, term->text[k] != '\0' ? term->text[k] : ' ');
        str_append(out, term->last && !whole ? "\" *" : "\"");
    }
}

static char *write_json(const struct query *query)
{
    json_t *array = json_array();
    char *text;

    for (size_t i = 0; i < query->count; i++)
        json_array_append_new(array,
                              json_stringn(query->terms[i].text, query->terms[i].len));
    text = json_dumps(array, JSON_COMPACT);
    json_decref(array);
    if (text == NULL)
        bug("a search term is not UTF-8");
    return text;
}

// ---------------------------------------------------------------------------
// Finding

struct results {
    struct sessions_hit *hits;
    size_t count, cap, limit;
};

#define HIT_COLUMNS "c.id, c.title, "

static bool add_hit(sqlite3_stmt *statement, struct arena *arena, struct results *results,
                    struct err *err)
{
    struct sessions_hit *hit;

    results->hits =
        alloc_grow(results->hits, results->count, &results->cap, sizeof(*results->hits));
    hit = &results->hits[results->count++];
    *hit = (struct sessions_hit){ .created_ms = sqlite3_column_int64(statement, 4) };
    store_id(statement, 0, hit->conversation);
    store_id(statement, 2, hit->message);
    role_of((const char *)sqlite3_column_text(statement, 3), &hit->role);
    return store_text(statement, 1, arena, &hit->title, NULL, err) &&
           store_text(statement, 5, arena, &hit->snippet, NULL, err);
}

// The text around the first of the terms, marked, as FTS5's snippet() would.
static void cut_snippet(const char *text, size_t len, const struct query *query,
                        struct str *out)
{
    const struct term *term = &query->terms[0];
    const char *match = memmem(text, len, term->text, term->len);
    size_t at = match != NULL ? (size_t)(match - text) : 0;
    size_t match_len = match != NULL ? term->len : 0;
    size_t begin = at > SNIPPET_BEFORE ? at - SNIPPET_BEFORE : 0;
    size_t end =
        len - at - match_len > SNIPPET_AFTER ? at + match_len + SNIPPET_AFTER : len;

    while (begin < at && ((unsigned char)text[begin] & 0xC0) == 0x80)
        begin++;
    while (end < len && ((unsigned char)text[end] & 0xC0) == 0x80)
        end++;
    str_append(out, begin > 0 ? "…" : "");
    str_append_n(out, text + begin, at - begin);
    if (match_len > 0)
        str_append_char(out, SESSIONS_MATCH_BEGIN);
    str_append_n(out, text + at, match_len);
    if (match_len > 0)
        str_append_char(out, SESSIONS_MATCH_END);
    str_append_n(out, text + at + match_len, end - at - match_len);
    str_append(out, end < len ? "…" : "");
}

static bool shorten(struct sessions_hit *hit, const struct query *query,
                    struct arena *arena, struct err *err)
{
    struct str snippet;

    str_init(&snippet, 0);
    cut_snippet(hit->snippet, strlen(hit->snippet), query, &snippet);
    hit->snippet = arena_string(arena, snippet.data, snippet.len);
    str_release(&snippet);
    return hit->snippet != NULL || err_set(err, ERR_LIMIT, "too many matches");
}

// A statement with the query as ?1 and the number of rows wanted as ?2.
static bool collect(struct sessions *s, const char *sql, const char *text,
                    const struct query *reread, struct arena *arena,
                    struct results *results, struct err *err)
{
    sqlite3_stmt *statement = store_prepare(s, err, sql, "si", text,
                                            (int64_t)(results->limit - results->count));
    enum step step = STEP_FAILED;

    while (statement != NULL && (step = store_step(s, statement, err)) == STEP_ROW) {
        if (!add_hit(statement, arena, results, err) ||
            (reread != NULL &&
             !shorten(&results->hits[results->count - 1], reread, arena, err))) {
            step = STEP_FAILED;
            break;
        }
    }
    sqlite3_finalize(statement);
    return step == STEP_DONE;
}

#define FROM_PARTS                                                                       \
    "SELECT " HIT_COLUMNS "m.id, m.role, m.created_ms, "                                 \
    "snippet(parts_index, 0, char(2), char(3), '…', 16) "                              \
    "FROM parts_index JOIN parts p ON p.key = parts_index.rowid "                        \
    "JOIN messages m ON m.key = p.message "                                              \
    "JOIN conversations c ON c.key = m.conversation WHERE parts_index MATCH ?1 "

static bool has_many(struct sessions *s, const char *fts, bool *many, struct err *err)
{
    int64_t matches = 0;
    bool ok = store_int(s, err, &matches, 0,
                        "SELECT count(*) FROM (SELECT 1 FROM parts_index "
                        "WHERE parts_index MATCH ?1 LIMIT ?2)",
                        "si", fts, (int64_t)RANKED_LIMIT + 1);

    *many = matches > RANKED_LIMIT;
    return ok;
}

// Ranking reads every match: for words that are everywhere it would take seconds and say
// nothing. Nor are beginnings of words looked for when the whole words are everywhere.
static bool search_parts(struct sessions *s, const struct query *query, struct str *fts,
                         struct arena *arena, struct results *results, struct err *err)
{
    bool ok, many;

    str_reset(fts);
    write_fts(query, true, fts);
    ok = has_many(s, fts->data, &many, err);
    if (ok && !many) {
        str_reset(fts);
        write_fts(query, false, fts);
        ok = has_many(s, fts->data, &many, err);
    }
    return ok && collect(s,
                         many ? FROM_PARTS "ORDER BY parts_index.rowid DESC LIMIT ?2"
                              : FROM_PARTS "ORDER BY parts_index.rank LIMIT ?2",
                         fts->data, NULL, arena, results, err);
}

static bool search_indexes(struct sessions *s, const struct query *query,
                           struct arena *arena, struct results *results, struct err *err)
{
    struct str fts;
    bool ok;

    str_init(&fts, 0);
    write_fts(query, false, &fts);
    ok = collect(s,
                 "SELECT " HIT_COLUMNS "'', 'user', c.updated_ms, "
                 "snippet(titles_index, -1, char(2), char(3), '…', 16) "
                 "FROM titles_index JOIN conversations c ON c.key = titles_index.rowid "
                 "WHERE titles_index MATCH ?1 ORDER BY titles_index.rank LIMIT ?2",
                 fts.data, NULL, arena, results, err) &&
         search_parts(s, query, &fts, arena, results, err);
    str_release(&fts);
    return ok;
}

#define HAS_ALL(text)                                                                    \
    "NOT EXISTS (SELECT 1 FROM json_each(?1) w WHERE instr(lower(" text                  \
    "), lower(w.value)) = 0) "

static bool search_texts(struct sessions *s, const struct query *query,
                         struct arena *arena, struct results *results, struct err *err)
{
    char *words = write_json(query);
    bool ok =
        collect(s,
                "SELECT " HIT_COLUMNS "'', 'user', c.updated_ms, "
                "c.title || ' ' || replace(c.tags, char(10), ' ') FROM conversations c "
                "WHERE " HAS_ALL(
                    "c.title || ' ' || c.tags") "ORDER BY c.updated_ms DESC LIMIT ?2",
                words, query, arena, results, err) &&
        collect(s,
                "SELECT " HIT_COLUMNS "m.id, m.role, m.created_ms, p.text "
                "FROM parts p JOIN messages m ON m.key = p.message "
                "JOIN conversations c ON c.key = m.conversation "
                "WHERE p.text IS NOT NULL AND " HAS_ALL(
                    "p.text") "ORDER BY p.key DESC LIMIT ?2",
                words, query, arena, results, err);

    free(words);
    return ok;
}

static bool hand_out(const struct results *results, struct arena *arena,
                     struct sessions_hits *hits, struct err *err)
{
    hits->hits = arena_alloc(arena, results->count, sizeof(*hits->hits));
    if (hits->hits == NULL)
        return err_set(err, ERR_LIMIT, "too many matches for %zu bytes of memory",
                       arena->budget);
    hits->count = results->count;
    if (results->count > 0)
        memcpy(hits->hits, results->hits, results->count * sizeof(*hits->hits));
    return true;
}

bool sessions_search(struct sessions *s, const char *text, size_t limit,
                     struct arena *arena, struct sessions_hits *hits, struct err *err)
{
    struct results results = { .limit = limit > 0 ? limit : HITS_DEFAULT };
    struct query query;
    struct str clean;
    bool ok;

    *hits = (struct sessions_hits){ .count = 0 };
    str_init(&clean, 3 * QUERY_LIMIT);
    text_clean(&clean, text, strnlen(text, QUERY_LIMIT));
    parse_query(clean.data, clean.len, &query);
    ok = store_begin_read(s, err);
    if (ok) {
        if (query.count > 0)
            ok = query.unspaced ? search_texts(s, &query, arena, &results, err)
                                : search_indexes(s, &query, arena, &results, err);
        store_end_read(s);
    }
    ok = ok && hand_out(&results, arena, hits, err);
    free(results.hits);
    str_release(&clean);
    return ok;
}
