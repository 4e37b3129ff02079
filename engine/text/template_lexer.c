// engine/text/template_lexer.c
// SPDX-License-Identifier: MIT
//
// Template source to tokens. The white-space rules of Jinja2 with trim_blocks and
// lstrip_blocks live here: `-` eats all white space on its side, a line feed right after
// a block or comment goes, and so do blanks between the start of a line and a block or
// comment, unless `+` keeps them.
#include "engine/text/template_private.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

struct lexer {
    const char *source;
    size_t len, pos;
    size_t line_pos; // up to where lines are counted
    uint32_t line;
    bool line_starting; // what came before ends with a line feed, or there is nothing
    struct token_array *tokens;
    struct err *err;
};

static uint32_t line_at(struct lexer *lexer, size_t pos)
{
    for (; lexer->line_pos < pos; lexer->line_pos++)
        lexer->line += lexer->source[lexer->line_pos] == '\n';
    return lexer->line;
}

static bool lexer_fail(struct lexer *lexer, size_t pos, const char *what)
{
    size_t start = 0, line = 1;

    for (size_t i = 0; i < pos; i++) {
        if (lexer->source[i] == '\n') {
            start = i + 1;
            line++;
        }
    }
    return err_set(lexer->err, ERR_FORMAT, "template line %zu, column %zu: %s", line,
                   pos - start + 1, what);
}

static void push(struct lexer *lexer, enum token_kind kind, size_t start, size_t len)
{
    struct token_array *tokens = lexer->tokens;

    tokens->items =
        alloc_grow(tokens->items, tokens->count, &tokens->cap, sizeof(*tokens->items));
    tokens->items[tokens->count++] = (struct token){
        .kind = kind,
        .line = line_at(lexer, start),
        .bytes = lexer->source + start,
        .len = len,
    };
}

static bool at(const struct lexer *lexer, size_t pos, const char *text)
{
    size_t len = strlen(text);

    return pos <= lexer->len && len <= lexer->len - pos &&
           memcmp(lexer->source + pos, text, len) == 0;
}

// Bytes of the white-space character at pos, 0 if it is something else.
static size_t space_at(const struct lexer *lexer, size_t pos)
{
    uint32_t codepoint;
    bool valid;
    size_t len;

    if (pos >= lexer->len)
        return 0;
    len = utf8_decode(lexer->source + pos, lexer->len - pos, &codepoint, &valid);
    return valid && unicode_is_space(codepoint) ? len : 0;
}

static size_t skip_space(const struct lexer *lexer, size_t pos)
{
    size_t len;

    while ((len = space_at(lexer, pos)) > 0)
        pos += len;
    return pos;
}

static size_t trim_end(const struct lexer *lexer, size_t start, size_t end)
{
    struct text text = { .bytes = lexer->source + start, .len = end - start };

    while (text.len > 0) {
        size_t last = text.len - 1, len;

        while (last > 0 && ((unsigned char)text.bytes[last] & 0xC0) == 0x80)
            last--;
        if (!unicode_is_space(unicode_at(&text, last, &len)) || last + len != text.len)
            break;
        text.len = last;
    }
    return start + text.len;
}

// The end of the data in front of a tag: sign is '-', '+' or 0.
static size_t data_end(const struct lexer *lexer, size_t start, size_t end, char sign,
                       bool strip_line)
{
    size_t line = end;

    if (sign == '-')
        return trim_end(lexer, start, end);
    if (sign == '+' || !strip_line)
        return end;
    while (line > start && lexer->source[line - 1] != '\n')
        line--;
    if (line == start && !lexer->line_starting)
        return end;
    return skip_space(lexer, line) >= end ? line : end;
}

// The position behind the end of a block or comment whose `close` ("%}", "#}") is at pos,
// and trims what follows it. *pos points at the sign, if there is one.
static size_t skip_close(const struct lexer *lexer, size_t pos)
{
    if (lexer->source[pos] == '-')
        return skip_space(lexer, pos + 3);
    if (lexer->source[pos] == '+')
        return pos + 3;
    return pos + 2 + at(lexer, pos + 2, "\n");
}

static bool closes(const struct lexer *lexer, size_t pos, const char *close)
{
    if (pos < lexer->len && (lexer->source[pos] == '-' || lexer->source[pos] == '+'))
        pos++;
    return at(lexer, pos, close);
}

static char sign_at(const struct lexer *lexer, size_t pos)
{
    char c = pos < lexer->len ? lexer->source[pos] : '\0';

    return c == '-' || c == '+' ? c : '\0';
}

static void moved_to(struct lexer *lexer, size_t pos)
{
    lexer->line_starting = pos > 0 && lexer->source[pos - 1] == '\n';
    lexer->pos = pos;
}

static bool skip_comment(struct lexer *lexer, size_t open)
{
    for (size_t pos = open + 2; pos < lexer->len; pos++) {
        if (closes(lexer, pos, "#}")) {
            moved_to(lexer, skip_close(lexer, pos));
            return true;
        }
    }
    return lexer_fail(lexer, open, "this comment has no end");
}

// If a {% word %} begins at pos: the position of what closes it, else 0.
static size_t word_tag(const struct lexer *lexer, size_t pos, const char *word)
{
    if (!at(lexer, pos, "{%"))
        return 0;
    pos += 2;
    pos += sign_at(lexer, pos) != '\0';
    pos = skip_space(lexer, pos);
    if (!at(lexer, pos, word))
        return 0;
    pos = skip_space(lexer, pos + strlen(word));
    return closes(lexer, pos, "%}") ? pos : 0;
}

static bool take_raw(struct lexer *lexer, size_t open, size_t close)
{
    size_t start = close + 2;

    if (lexer->source[close] == '-')
        start = skip_space(lexer, close + 3);
    moved_to(lexer, start);
    for (size_t pos = start; pos < lexer->len; pos++) {
        size_t end_close = word_tag(lexer, pos, "endraw");
        size_t end;

        if (end_close == 0)
            continue;
        end = data_end(lexer, start, pos, sign_at(lexer, pos + 2), true);
        if (end > start)
            push(lexer, T_DATA, start, end - start);
        moved_to(lexer, skip_close(lexer, end_close));
        return true;
    }
    return lexer_fail(lexer, open, "this raw block has no end");
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool take_string(struct lexer *lexer)
{
    size_t start = lexer->pos + 1, pos = start;
    char quote = lexer->source[lexer->pos];

    while (pos < lexer->len && lexer->source[pos] != quote)
        pos += lexer->source[pos] == '\\' ? 2 : 1;
    if (pos >= lexer->len)
        return lexer_fail(lexer, lexer->pos, "this string has no end");
    push(lexer, T_STRING, start, pos - start);
    lexer->pos = pos + 1;
    return true;
}

static size_t skip_digits(const struct lexer *lexer, size_t pos)
{
    while (pos < lexer->len &&
           (isdigit((unsigned char)lexer->source[pos]) || lexer->source[pos] == '_'))
        pos++;
    return pos;
}

static bool digit_at(const struct lexer *lexer, size_t pos)
{
    return pos < lexer->len && isdigit((unsigned char)lexer->source[pos]);
}

static void take_number(struct lexer *lexer)
{
    size_t start = lexer->pos, pos = start, exponent;
    bool index = lexer->source[start - 1] == '.'; // of a.0.b
    enum token_kind kind = T_INTEGER;

    if (lexer->source[pos] == '0' && pos + 1 < lexer->len &&
        strchr("xXoObB", lexer->source[pos + 1]) != NULL) {
        for (pos += 2; pos < lexer->len && is_name(lexer->source[pos]); pos++)
            continue;
        push(lexer, kind, start, pos - start);
        lexer->pos = pos;
        return;
    }
    pos = skip_digits(lexer, pos);
    if (!index && at(lexer, pos, ".") && digit_at(lexer, pos + 1)) {
        kind = T_REAL;
        pos = skip_digits(lexer, pos + 1);
    }
    exponent = pos + 1;
    if (!index && (at(lexer, pos, "e") || at(lexer, pos, "E"))) {
        exponent += sign_at(lexer, exponent) != '\0';
        if (digit_at(lexer, exponent)) {
            kind = T_REAL;
            pos = skip_digits(lexer, exponent);
        }
    }
    push(lexer, kind, start, pos - start);
    lexer->pos = pos;
}

static bool take_operator(struct lexer *lexer)
{
    static const char *const operators[] = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",",
    };

    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (at(lexer, lexer->pos, operators[i])) {
            push(lexer, T_OPERATOR, lexer->pos, strlen(operators[i]));
            lexer->pos += strlen(operators[i]);
            return true;
        }
    }
    return lexer_fail(lexer, lexer->pos, "this character has no meaning here");
}

// One token inside a tag.
static bool take_token(struct lexer *lexer)
{
    char c = lexer->source[lexer->pos];
    size_t start = lexer->pos;

    if (c == '\'' || c == '"')
        return take_string(lexer);
    if (isdigit((unsigned char)c)) {
        take_number(lexer);
        return true;
    }
    if (!is_name(c))
        return take_operator(lexer);
    while (lexer->pos < lexer->len && is_name(lexer->source[lexer->pos]))
        lexer->pos++;
    push(lexer, T_NAME, start, lexer->pos - start);
    return true;
}

// Keeps count of open brackets: inside of them "}}" and "%}" do not end the tag.
static size_t count_brackets(size_t open, const struct token *token)
{
    if (token->kind != T_OPERATOR || token->len != 1)
        return open;
    if (strchr("([{", token->bytes[0]) != NULL)
        return open + 1;
    if (strchr(")]}", token->bytes[0]) != NULL && open > 0)
        return open - 1;
    return open;
}

static bool take_tag(struct lexer *lexer, size_t open, bool output)
{
    size_t brackets = 0;

    push(lexer, output ? T_OUTPUT_BEGIN : T_BLOCK_BEGIN, open, 2);
    lexer->pos = open + 2;
    lexer->pos += sign_at(lexer, lexer->pos) != '\0';
    for (;;) {
        size_t pos = lexer->pos = skip_space(lexer, lexer->pos);

        if (pos >= lexer->len)
            return lexer_fail(lexer, open, "this tag has no end");
        if (brackets == 0 && !output && closes(lexer, pos, "%}")) {
            push(lexer, T_BLOCK_END, pos, 0);
            moved_to(lexer, skip_close(lexer, pos));
            return true;
        }
        if (brackets == 0 && output && (at(lexer, pos, "}}") || at(lexer, pos, "-}}"))) {
            push(lexer, T_OUTPUT_END, pos, 0);
            moved_to(lexer,
                     lexer->source[pos] == '-' ? skip_space(lexer, pos + 3) : pos + 2);
            return true;
        }
        if (!take_token(lexer))
            return false;
        brackets =
            count_brackets(brackets, &lexer->tokens->items[lexer->tokens->count - 1]);
    }
}

// Data up to the next tag, and the tag.
static bool take_part(struct lexer *lexer)
{
    size_t start = lexer->pos, open = start, end, raw;
    bool output;

    while (open < lexer->len && !at(lexer, open, "{{") && !at(lexer, open, "{%") &&
           !at(lexer, open, "{#"))
        open++;
    output = at(lexer, open, "{{");
    end = open;
    if (open < lexer->len)
        end = data_end(lexer, start, open, sign_at(lexer, open + 2), !output);
    if (end > start)
        push(lexer, T_DATA, start, end - start);
    if (open >= lexer->len) {
        lexer->pos = open;
        return true;
    }
    if (at(lexer, open, "{#"))
        return skip_comment(lexer, open);
    raw = word_tag(lexer, open, "raw");
    return raw > 0 ? take_raw(lexer, open, raw) : take_tag(lexer, open, output);
}

bool template_tokenize(const char *source, size_t len, struct token_array *tokens,
                       struct err *err)
{
    struct lexer lexer = {
        .source = source,
        .len = len,
        .line = 1,
        .line_starting = true,
        .tokens = tokens,
        .err = err,
    };

    while (lexer.pos < len) {
        if (!take_part(&lexer))
            return false;
    }
    push(&lexer, T_END, len, 0);
    return true;
}
