// ui/lines.c
// SPDX-License-Identifier: MIT
#include "ui/lines.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ui/glyph.h"

#define TAB_COLUMNS 8
#define MIN_COLUMNS 4 // for text beside prefixes, however narrow the screen

void styled_init(struct styled *styled)
{
    *styled = (struct styled){ 0 };
    str_init(&styled->text, 0);
}

void styled_release(struct styled *styled)
{
    str_release(&styled->text);
    free(styled->spans);
    *styled = (struct styled){ 0 };
}

void styled_reset(struct styled *styled)
{
    str_reset(&styled->text);
    styled->count = 0;
}

void styled_put(struct styled *styled, uint16_t style, const char *bytes, size_t len)
{
    str_append_n(&styled->text, bytes, len);
    if (styled->count > 0 && styled->spans[styled->count - 1].style == style) {
        styled->spans[styled->count - 1].end = styled->text.len;
        return;
    }
    styled->spans =
        alloc_grow(styled->spans, styled->count, &styled->cap, sizeof(*styled->spans));
    styled->spans[styled->count++] = (struct span){ styled->text.len, style };
}

void styled_add(struct styled *styled, uint16_t style, const char *text)
{
    styled_put(styled, style, text, strlen(text));
}

// The span that holds byte `at`.
static size_t span_at(const struct styled *styled, size_t at)
{
    size_t low = 0, high = styled->count;

    while (low + 1 < high) {
        size_t middle = (low + high) / 2;

        if (styled->spans[middle - 1].end <= at)
            low = middle;
        else
            high = middle;
    }
    while (low + 1 < styled->count && styled->spans[low].end <= at)
        low++;
    return low;
}

// Calls for each piece of [start, end) that has one style.
#define FOR_EACH_PIECE(styled, start, last, at, stop, span)                              \
    for (size_t at = (start), span = span_at(styled, at), stop;                          \
         at < (last) && span < (styled)->count &&                                        \
         (stop = (styled)->spans[span].end < (last) ? (styled)->spans[span].end          \
                                                    : (last),                            \
         true);                                                                          \
         at = stop, span++)

void styled_copy(struct styled *to, const struct styled *from, size_t start, size_t end)
{
    FOR_EACH_PIECE(from, start, end, at, stop, span)
    styled_put(to, from->spans[span].style, from->text.data + at, stop - at);
}

int styled_width(const struct styled *styled)
{
    int width = 0;

    FOR_EACH_PIECE(styled, 0, styled->text.len, at, stop, span)
    width += text_width(styled->text.data + at, stop - at);
    return width;
}

void lines_init(struct lines *lines)
{
    *lines = (struct lines){ 0 };
    str_init(&lines->text, 0);
}

void lines_release(struct lines *lines)
{
    str_release(&lines->text);
    free(lines->runs);
    free(lines->lines);
    *lines = (struct lines){ 0 };
}

void lines_reset(struct lines *lines)
{
    str_reset(&lines->text);
    lines->run_count = lines->count = 0;
}

// The line that is being built: the one after the last.
static struct line *open_line(struct lines *lines)
{
    if (lines->count == lines->cap)
        lines->lines =
            alloc_grow(lines->lines, lines->count, &lines->cap, sizeof(*lines->lines));
    return &lines->lines[lines->count];
}

static size_t first_open_run(const struct lines *lines)
{
    const struct line *last;

    if (lines->count == 0)
        return 0;
    last = &lines->lines[lines->count - 1];
    return last->first_run + last->run_count;
}

static int open_width(const struct lines *lines)
{
    int width = 0;

    for (size_t i = first_open_run(lines); i < lines->run_count; i++)
        width += text_width(lines->text.data + lines->runs[i].start, lines->runs[i].len);
    return width;
}

void lines_put(struct lines *lines, uint16_t style, const char *bytes, size_t len)
{
    if (len == 0)
        return;
    lines->runs =
        alloc_grow(lines->runs, lines->run_count, &lines->run_cap, sizeof(*lines->runs));
    lines->runs[lines->run_count++] = (struct run){ lines->text.len, len, style };
    str_append_n(&lines->text, bytes, len);
}

void lines_put_styled(struct lines *lines, const struct styled *styled, size_t start,
                      size_t end)
{
    FOR_EACH_PIECE(styled, start, end, at, stop, span)
    lines_put(lines, styled->spans[span].style, styled->text.data + at, stop - at);
}

void lines_end(struct lines *lines, uint16_t fill)
{
    size_t first = first_open_run(lines);
    int width = open_width(lines);

    *open_line(lines) = (struct line){ .first_run = first,
                                       .run_count = lines->run_count - first,
                                       .width = width,
                                       .fill = fill };
    lines->count++;
}

// ---------------------------------------------------------------------------
// Wrapping

struct wrapper {
    struct lines *out;
    const struct styled *text;
    const struct wrapping *how;
    bool begun; // the first line is out
};

static const struct styled *prefix(const struct wrapper *wrapper)
{
    return wrapper->begun ? wrapper->how->rest : wrapper->how->first;
}

static int room(const struct wrapper *wrapper)
{
    const struct styled *before = prefix(wrapper);
    int left = wrapper->how->width - (before != NULL ? styled_width(before) : 0);

    return left < MIN_COLUMNS ? MIN_COLUMNS : left;
}

static void emit(struct wrapper *wrapper, size_t start, size_t end)
{
    const struct styled *before = prefix(wrapper);

    if (before != NULL)
        lines_put_styled(wrapper->out, before, 0, before->text.len);
    lines_put_styled(wrapper->out, wrapper->text, start, end);
    lines_end(wrapper->out, wrapper->how->fill);
    wrapper->begun = true;
}

// Where the line that begins at `start` ends (*end) and where the next one begins.
static size_t break_line(const struct wrapper *wrapper, size_t start, size_t limit,
                         size_t *end)
{
    const char *text = wrapper->text->text.data;
    const struct span *spans = wrapper->text->spans;
    int width = 0, columns = room(wrapper);
    size_t break_end = 0, break_next = 0; // the last place to break, 0: none yet
    size_t span = span_at(wrapper->text, start);
    struct glyph glyph;

    for (size_t at = start; at < limit; at += glyph.bytes) {
        bool space = text[at] == ' ';

        while (spans[span].end <= at)
            span++; // no glyph reaches from one style into the next
        glyph_next(text + at, (spans[span].end < limit ? spans[span].end : limit) - at,
                   &glyph);
        if (space && !wrapper->how->anywhere && at > start) {
            break_end = at;
            break_next = at + 1;
        } else if (glyph.width == 2 && at > start) {
            break_end = break_next = at;
        }
        if (width + glyph.width > columns && at > start) {
            if (wrapper->how->anywhere || break_next == 0)
                break_end = break_next = at;
            *end = break_end;
            return break_next;
        }
        width += glyph.width;
        if (glyph.width == 2)
            break_end = break_next = at + glyph.bytes;
    }
    *end = limit;
    return limit;
}

static void wrap_paragraph(struct wrapper *wrapper, size_t start, size_t limit)
{
    const char *text = wrapper->text->text.data;

    do {
        size_t end, next = break_line(wrapper, start, limit, &end);

        if (!wrapper->how->anywhere) {
            while (next < limit && text[next] == ' ')
                next++;
            while (end > start && text[end - 1] == ' ')
                end--;
        }
        emit(wrapper, start, end);
        start = next;
    } while (start < limit);
}

static void wrap(struct lines *lines, const struct styled *text,
                 const struct wrapping *wrapping)
{
    struct wrapper wrapper = { .out = lines, .text = text, .how = wrapping };
    const char *bytes = text->text.data;
    size_t len = text->text.len, start = 0;

    while (true) {
        const char *newline = memchr(bytes + start, '\n', len - start);
        size_t end = newline != NULL ? (size_t)(newline - bytes) : len;

        wrap_paragraph(&wrapper, start, end);
        if (newline == NULL)
            return;
        start = end + 1;
    }
}

// Tabs become spaces, to columns that are counted from the beginning of the text's line.
static void expand_tabs(const struct styled *text, struct styled *out)
{
    static const char spaces[TAB_COLUMNS + 1] = "        ";
    struct glyph glyph;
    int column = 0;

    for (size_t at = 0, span = 0; at < text->text.len; at += glyph.bytes) {
        const char *bytes = text->text.data + at;

        while (text->spans[span].end <= at)
            span++;
        glyph_next(bytes, text->spans[span].end - at, &glyph);
        if (bytes[0] == '\t') {
            int count = TAB_COLUMNS - column % TAB_COLUMNS;

            styled_put(out, text->spans[span].style, spaces, (size_t)count);
            column += count;
            continue;
        }
        styled_put(out, text->spans[span].style, bytes, glyph.bytes);
        column = bytes[0] == '\n' ? 0 : column + glyph.width;
    }
}

void lines_wrap(struct lines *lines, const struct styled *text,
                const struct wrapping *wrapping)
{
    struct styled expanded;

    if (memchr(text->text.data, '\t', text->text.len) == NULL) {
        wrap(lines, text, wrapping);
        return;
    }
    styled_init(&expanded);
    expand_tabs(text, &expanded);
    wrap(lines, &expanded, wrapping);
    styled_release(&expanded);
}

void lines_text(const struct lines *lines, size_t index, struct str *out)
{
    const struct line *line = &lines->lines[index];

    for (size_t i = 0; i < line->run_count; i++) {
        const struct run *run = &lines->runs[line->first_run + i];

        str_append_n(out, lines->text.data + run->start, run->len);
    }
}
