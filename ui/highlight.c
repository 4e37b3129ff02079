// ui/highlight.c
// SPDX-License-Identifier: MIT
#include "ui/highlight.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

// Words are separated by spaces and stand between spaces.
#define C_WORDS                                                                           \
    " auto bool break case char const continue default do double else enum extern float " \
    "for goto if inline int long register restrict return short signed sizeof static "    \
    "struct switch typedef union unsigned void volatile while true false NULL "

struct language {
    const char *names; // between spaces
    const char *words;
    const char *line_comment[2];
    const char *block_comment[2]; // begin and end
    const char *quotes;
    bool triple; // """ and '''
};

static const struct language languages[] = {
    { " c h ", C_WORDS, { "//" }, { "/*", "*/" }, "\"'", false },
    { " cpp c++ cc cxx hpp cuda glsl ",
      C_WORDS
      "class namespace template typename public private protected virtual override "
      "new delete this using constexpr nullptr try catch throw operator uniform "
      "layout buffer in out ",
      { "//" },
      { "/*", "*/" },
      "\"'",
      false },
    { " rust rs ",
      " as async await break const continue crate dyn else enum extern false fn for if impl "
      "in let loop match mod move mut pub ref return self Self static struct super trait "
      "true type unsafe use where while ",
      { "//" },
      { "/*", "*/" },
      "\"",
      false },
    { " go golang ",
      " break case chan const continue default defer else fallthrough for func go goto if "
      "import interface map package range return select struct switch type var nil true "
      "false ",
      { "//" },
      { "/*", "*/" },
      "\"'`",
      false },
    { " java kotlin kt scala swift cs csharp c# dart ",
      C_WORDS
      "abstract boolean class extends final finally fun func guard implements import "
      "in interface internal is let new null object override package private "
      "protected public string super this throw throws try val var when catch nil "
      "self ",
      { "//" },
      { "/*", "*/" },
      "\"'",
      false },
    { " javascript js jsx typescript ts tsx json jsonc ",
      " async await break case catch class const continue default delete do else export "
      "extends false finally for from function if import in instanceof interface let new "
      "null of return static super switch this throw true try type typeof undefined var "
      "void while yield ",
      { "//" },
      { "/*", "*/" },
      "\"'`",
      false },
    { " python py python3 ",
      " and as assert async await break class continue def del elif else except False "
      "finally for from global if import in is lambda None nonlocal not or pass raise "
      "return self True try while with yield ",
      { "#" },
      { NULL },
      "\"'",
      true },
    { " sh bash shell zsh console fish make makefile dockerfile ",
      " case do done elif else esac export fi for function if in local return set then "
      "unset until while cd echo exit sudo ",
      { "#" },
      { NULL },
      "\"'",
      false },
    { " ruby rb perl pl r julia jl elixir ",
      " begin break case class def do else elsif end ensure false for function if in local "
      "module my next nil not or redo require rescue return self sub then true undef "
      "unless until use when while yield ",
      { "#" },
      { NULL },
      "\"'",
      false },
    { " yaml yml toml ini conf cmake ",
      " true false null yes no ",
      { "#", ";" },
      { NULL },
      "\"'",
      false },
    { " sql sqlite postgresql mysql ",
      " add all alter and as asc between by case create delete desc distinct drop else end "
      "exists from group having in index inner insert into is join left like limit not null "
      "on or order outer primary key right select set table then union unique update values "
      "view when where with ",
      { "--" },
      { "/*", "*/" },
      "\"'",
      false },
    { " lua haskell hs ",
      " and break case class data do else elseif end false for function if import in "
      "instance let local module nil not of or repeat return then true type until where "
      "while ",
      { "--" },
      { NULL },
      "\"'",
      false },
    { " html xml svg ", " ", { NULL }, { "<!--", "-->" }, "\"'", false },
    { " css scss ", " important media import ", { NULL }, { "/*", "*/" }, "\"'", false },
};

// Whether `word` stands in a list of words between spaces.
static bool listed(const char *list, const char *word, size_t len, bool any_case)
{
    if (len == 0)
        return false;
    for (const char *at = list + 1; *at != '\0';) {
        size_t here = strcspn(at, " ");

        if (here == len &&
            (any_case ? strncasecmp(at, word, len) : strncmp(at, word, len)) == 0)
            return true;
        at += here + (at[here] == ' ');
    }
    return false;
}

static const struct language *find_language(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
        if (listed(languages[i].names, name, len, true))
            return &languages[i];
    return NULL;
}

static bool starts(const char *code, size_t len, const char *mark)
{
    return mark != NULL && strlen(mark) <= len && memcmp(code, mark, strlen(mark)) == 0;
}

static size_t to_line_end(const char *code, size_t len)
{
    const char *newline = memchr(code, '\n', len);

    return newline != NULL ? (size_t)(newline - code) : len;
}

static size_t to_mark(const char *code, size_t len, size_t from, const char *mark)
{
    const char *found =
        from < len ? memmem(code + from, len - from, mark, strlen(mark)) : NULL;

    return found != NULL ? (size_t)(found - code) + strlen(mark) : len;
}

static size_t comment(const struct language *language, const char *code, size_t len)
{
    for (int i = 0; i < 2; i++)
        if (starts(code, len, language->line_comment[i]))
            return to_line_end(code, len);
    if (starts(code, len, language->block_comment[0]))
        return to_mark(code, len, strlen(language->block_comment[0]),
                       language->block_comment[1]);
    return 0;
}

static size_t string(const struct language *language, const char *code, size_t len)
{
    const char triple[] = { code[0], code[0], code[0], '\0' };

    if (strchr(language->quotes, code[0]) == NULL || code[0] == '\0')
        return 0;
    if (language->triple && starts(code, len, triple))
        return to_mark(code, len, 3, triple);
    for (size_t at = 1; at < len; at++) {
        if (code[at] == '\\')
            at++;
        else if (code[at] == code[0])
            return at + 1;
        else if (code[at] == '\n' && code[0] != '`')
            return at; // unfinished: it does not colour the rest
    }
    return len;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static size_t word(const char *code, size_t len)
{
    size_t at = 0;

    while (at < len && is_word(code[at]))
        at++;
    return at;
}

static size_t number(const char *code, size_t len)
{
    size_t at = 0;

    while (at < len && (is_word(code[at]) || (code[at] == '.' && at + 1 < len &&
                                              isdigit((unsigned char)code[at + 1]))))
        at++;
    return at;
}

// The length of the next piece of code and its style.
static size_t piece(const struct language *language, const char *code, size_t len,
                    uint16_t *style)
{
    size_t used = comment(language, code, len);

    *style = STYLE_COMMENT;
    if (used > 0)
        return used;
    *style = STYLE_STRING;
    used = string(language, code, len);
    if (used > 0)
        return used;
    *style = STYLE_NUMBER;
    if (isdigit((unsigned char)code[0]))
        return number(code, len);
    *style = STYLE_CODE;
    used = word(code, len);
    if (used == 0)
        return 1;
    if (listed(language->words, code, used,
               language->line_comment[0] != NULL && language->line_comment[0][0] == '-'))
        *style = STYLE_KEYWORD;
    return used;
}

void highlight(struct styled *out, const char *language, size_t language_len,
               const char *code, size_t len)
{
    const struct language *known = find_language(language, language_len);

    if (known == NULL) {
        styled_put(out, STYLE_CODE, code, len);
        return;
    }
    for (size_t at = 0; at < len;) {
        uint16_t style;
        size_t used = piece(known, code + at, len - at, &style);

        styled_put(out, style, code + at, used);
        at += used;
    }
}
