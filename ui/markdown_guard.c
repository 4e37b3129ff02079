// ui/markdown_guard.c
// SPDX-License-Identifier: MIT
//
// Inline links as in CommonMark 0.30, section 6.3, but within one line.
#include "ui/markdown_guard.h"

#include <stdbool.h>
#include <string.h>

static const char *skip_spaces(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

// One character, or a backslash and what it escapes.
static const char *step(const char *at, const char *end)
{
    return *at == '\\' && at + 1 < end ? at + 2 : at + 1;
}

// The end of a run up to and with `close`; NULL when it is not on this line.
static const char *find_close(const char *at, const char *end, char close)
{
    while (at < end && *at != close)
        at = step(at, end);
    return at < end ? at + 1 : NULL;
}

static const char *skip_destination(const char *at, const char *end)
{
    int depth = 0;

    if (at < end && *at == '<')
        return find_close(at + 1, end, '>');
    while (at < end && *at != ' ' && *at != '\t' && (*at != ')' || depth > 0)) {
        depth += (*at == '(') - (*at == ')');
        at = step(at, end);
    }
    return at;
}

// Whether the text after "](" goes on to the ")" of a link before the line ends.
static bool link_is_complete(const char *at, const char *end)
{
    at = skip_destination(skip_spaces(at, end), end);
    if (at == NULL)
        return false;
    at = skip_spaces(at, end);
    if (at < end && (*at == '"' || *at == '\'' || *at == '(')) {
        at = find_close(at + 1, end, *at == '(' ? ')' : *at);
        if (at == NULL)
            return false;
        at = skip_spaces(at, end);
    }
    return at < end && *at == ')';
}

// Whether a code span opens before `at` on the line and closes after it.
static bool in_code_span(const char *line, const char *at, const char *end)
{
    bool inside = false;

    for (const char *c = line; c < at; c++)
        inside ^= *c == '`';
    return inside && memchr(at, '`', (size_t)(end - at)) != NULL;
}

// The fence that a line consists of, after its indentation and quote marks: its character
// and length, or 0.
static size_t fence_length(const char *line, const char *end, char *character)
{
    const char *at = line;

    while (at < end && (*at == ' ' || *at == '\t' || *at == '>'))
        at++;
    line = at;
    if (at == end || (*at != '`' && *at != '~'))
        return 0;
    while (at < end && *at == *line)
        at++;
    *character = *line;
    return at - line >= 3 ? (size_t)(at - line) : 0;
}

static void guard_line(const char *line, const char *end, struct str *safe)
{
    for (const char *at = line; at < end; at++) {
        str_append_char(safe, *at);
        if (*at == ']' && at + 1 < end && at[1] == '(' &&
            !link_is_complete(at + 2, end) && !in_code_span(line, at, end))
            str_append_char(safe, '\\');
    }
}

void markdown_guard(const char *text, size_t len, struct str *safe)
{
    const char *end = text + len;
    char fence = 0;
    size_t open = 0;

    for (const char *line = text; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *line_end = newline != NULL ? newline : end;
        char character = 0;
        size_t length = fence_length(line, line_end, &character);

        if (open > 0 || length > 0)
            str_append_n(safe, line, (size_t)(line_end - line));
        else
            guard_line(line, line_end, safe);
        if (open == 0 && length > 0) {
            open = length;
            fence = character;
        } else if (length >= open && character == fence) {
            open = 0;
        }
        if (newline != NULL)
            str_append_char(safe, '\n');
        line = line_end + (newline != NULL);
    }
}
