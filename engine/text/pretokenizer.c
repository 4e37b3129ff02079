// engine/text/pretokenizer.c
// SPDX-License-Identifier: MIT
//
// Sources: unicode.cpp of llama.cpp for what happens to malformed UTF-8 and for the idea
// of one byte per character; the category of a character comes from utf8proc.
#include "engine/text/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/alloc.h"
#include "base/utf8.h"

#define RANGES_MAX  128
#define MATCH_LIMIT 200000000u // steps for one match: several for each of 16 MiB

struct range {
    uint32_t first, last;
};

struct rule {
    pcre2_code *code; // NULL: groups of digits
    struct range ranges[RANGES_MAX];
    size_t range_count;
};

struct pretokenizer {
    const struct pretoken_family *family;
    pcre2_match_context *context;
    struct rule rules[PRETOKEN_RULES_MAX];
    size_t rule_count;
};

// Decodes as the peer does: no check for overlong forms or surrogates; on a broken
// sequence one byte becomes U+FFFD. Above U+10FFFF the peer fails; here every byte
// becomes U+FFFD.
static size_t decode_lenient(const unsigned char *bytes, size_t len, uint32_t *codepoint)
{
    static const uint8_t lengths[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 3, 4 };
    size_t size = bytes[0] >= 0xf8 ? 0 : lengths[bytes[0] >> 4];
    uint32_t value = size > 1 ? bytes[0] & (0x7fu >> size) : bytes[0];

    for (size_t i = 1; i < size; i++) {
        if (i >= len || (bytes[i] & 0xc0) != 0x80)
            size = 0;
        else
            value = value << 6 | (bytes[i] & 0x3f);
    }
    if (size == 0 || value > 0x10ffff) {
        *codepoint = UTF8_REPLACEMENT;
        return 1;
    }
    *codepoint = value;
    return size;
}

// Like utf8_encode, but a surrogate stays what it is.
static size_t encode_lenient(uint32_t codepoint, char bytes[UTF8_MAX])
{
    if (codepoint < 0xd800 || codepoint > 0xdfff)
        return utf8_encode(codepoint, bytes);
    bytes[0] = (char)0xed;
    bytes[1] = (char)(0x80 | (codepoint >> 6 & 0x3f));
    bytes[2] = (char)(0x80 | (codepoint & 0x3f));
    return 3;
}

static bool is_space(uint32_t codepoint)
{
    return codepoint == 0x85 || codepoint == 0xa0 || codepoint == 0x1680 ||
           (codepoint >= 0x2000 && codepoint <= 0x200a) || codepoint == 0x2028 ||
           codepoint == 0x2029 || codepoint == 0x202f || codepoint == 0x205f ||
           codepoint == 0x3000;
}

// Unicode 15.1: what it added to the 15.0 of older utf8proc.
static uint8_t classify_new(uint32_t codepoint)
{
    if (codepoint >= 0x2ebf0 && codepoint <= 0x2ee5d)
        return PRETOKEN_LETTER;
    if ((codepoint >= 0x2ffc && codepoint <= 0x2fff) || codepoint == 0x31ef)
        return PRETOKEN_SYMBOL;
    return PRETOKEN_OTHER;
}

static uint8_t classify(uint32_t codepoint)
{
    if (is_space(codepoint))
        return PRETOKEN_SPACE;
    switch (utf8proc_category((utf8proc_int32_t)codepoint)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return PRETOKEN_LETTER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return PRETOKEN_MARK;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return PRETOKEN_NUMBER;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return PRETOKEN_PUNCTUATION;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO:
        return PRETOKEN_SYMBOL;
    case UTF8PROC_CATEGORY_CN:
        return classify_new(codepoint);
    default:
        return PRETOKEN_OTHER;
    }
}

static uint8_t classify_for(const struct rule *rule, uint32_t codepoint)
{
    if (codepoint < 0x80)
        return (uint8_t)codepoint;
    if (is_space(codepoint))
        return PRETOKEN_SPACE;
    for (size_t i = 0; i < rule->range_count; i++) {
        if (codepoint >= rule->ranges[i].first && codepoint <= rule->ranges[i].last)
            return PRETOKEN_MEMBER;
    }
    return classify(codepoint);
}

static void parse_members(struct rule *rule, const char *members)
{
    size_t len = strlen(members);
    bool is_end = false;

    for (size_t at = 0, size; at < len; at += size) {
        uint32_t codepoint;
        bool valid;

        size = utf8_decode(members + at, len - at, &codepoint, &valid);
        if (codepoint == '-') {
            is_end = true;
            continue;
        }
        if (is_end) {
            rule->ranges[rule->range_count - 1].last = codepoint;
        } else {
            if (rule->range_count == RANGES_MAX)
                bug("more than %d ranges in a pre-tokenizer rule", RANGES_MAX);
            rule->ranges[rule->range_count++] = (struct range){ codepoint, codepoint };
        }
        is_end = false;
    }
}

static void compile_rule(struct rule *rule, const struct pretoken_rule *source)
{
    PCRE2_SIZE offset;
    int code;

    if (source->members != NULL)
        parse_members(rule, source->members);
    if (strcmp(source->pattern, PRETOKEN_DIGIT_GROUPS) == 0)
        return;
    rule->code = pcre2_compile((PCRE2_SPTR)source->pattern, PCRE2_ZERO_TERMINATED,
                               PCRE2_DOLLAR_ENDONLY, &code, &offset, NULL);
    if (rule->code == NULL)
        bug("pre-tokenizer expression %s: error %d at %zu", source->pattern, code,
            offset);
    // Where no executable memory can be had this fails, and matching is only slower.
    pcre2_jit_compile(rule->code, PCRE2_JIT_COMPLETE);
}

struct pretokenizer *pretokenizer_create(const char *name, size_t len, struct err *err)
{
    const struct pretoken_family *family = pretoken_family_find(name, len);
    struct pretokenizer *pretokenizer;

    if (family == NULL) {
        err_set(err, ERR_UNSUPPORTED, "unknown pre-tokenizer \"%.*s\"",
                (int)(len < 64 ? len : 64), name);
        return NULL;
    }
    pretokenizer = alloc_zero(sizeof(*pretokenizer));
    pretokenizer->family = family;
    pretokenizer->context = pcre2_match_context_create(NULL);
    if (pretokenizer->context == NULL)
        bug("no memory for a match context");
    pcre2_set_match_limit(pretokenizer->context, MATCH_LIMIT);
    while (pretokenizer->rule_count < PRETOKEN_RULES_MAX &&
           family->rules[pretokenizer->rule_count].pattern != NULL) {
        size_t i = pretokenizer->rule_count++;

        compile_rule(&pretokenizer->rules[i], &family->rules[i]);
    }
    return pretokenizer;
}

void pretokenizer_destroy(struct pretokenizer **pretokenizer)
{
    struct pretokenizer *p = *pretokenizer;

    if (p == NULL)
        return;
    for (size_t i = 0; i < p->rule_count; i++)
        pcre2_code_free(p->rules[i].code);
    pcre2_match_context_free(p->context);
    free(p);
    *pretokenizer = NULL;
}

const struct pretoken_family *pretokenizer_family(const struct pretokenizer *pretokenizer)
{
    return pretokenizer->family;
}

static bool normalise(struct pretokens *words, const char *text, size_t len,
                      struct err *err)
{
    const unsigned char *bytes = (const unsigned char *)text;
    bool valid = utf8_valid(text, len);
    uint32_t codepoint;

    words->bytes = try_array(len, valid ? 1 : 3); // U+FFFD takes three bytes
    if (words->bytes == NULL)
        return err_set(err, ERR_MEMORY, "no memory to tokenise %zu bytes", len);
    if (valid) {
        memcpy(words->bytes, text, len);
        words->len = len;
        for (size_t i = 0; i < len; i++)
            words->characters += (bytes[i] & 0xc0) != 0x80;
        return true;
    }
    for (size_t at = 0; at < len; words->characters++) {
        char encoded[UTF8_MAX];
        size_t size;

        at += decode_lenient(bytes + at, len - at, &codepoint);
        size = encode_lenient(codepoint, encoded);
        memcpy(words->bytes + words->len, encoded, size);
        words->len += size;
    }
    return true;
}

static void write_subject(const struct pretokens *words, const struct rule *rule,
                          uint8_t *subject)
{
    const unsigned char *bytes = (const unsigned char *)words->bytes;
    uint32_t codepoint;

    for (size_t at = 0; at < words->len;) {
        at += decode_lenient(bytes + at, words->len - at, &codepoint);
        *subject++ = classify_for(rule, codepoint);
    }
}

static bool is_number(uint8_t c)
{
    return (c >= '0' && c <= '9') || c == PRETOKEN_NUMBER;
}

// "1234567" is 1, 234, 567: how long a run is decides where it is cut, so an expression
// would have to look ahead to its end again and again. Like the peer's, this does not cut
// in front of a run; the expressions that follow do, nearly always.
static void cut_digits(const uint8_t *subject, size_t start, size_t end, uint8_t *starts)
{
    for (size_t at = start; at < end;) {
        size_t from = at;

        while (at < end && is_number(subject[at]))
            at++;
        for (size_t cut = at; cut > from; cut -= cut - from < 3 ? cut - from : 3)
            starts[cut] = 1;
        while (at < end && !is_number(subject[at]))
            at++;
    }
}

static bool cut_matches(const struct pretokenizer *pretokenizer, const struct rule *rule,
                        pcre2_match_data *match, const uint8_t *subject, size_t len,
                        uint8_t *starts, struct err *err)
{
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(match);
    size_t at = 0;

    while (at < len) {
        int found =
            pcre2_match(rule->code, subject, len, at, 0, match, pretokenizer->context);

        if (found == PCRE2_ERROR_NOMATCH)
            return true;
        if (found < 0)
            return err_set(err, ERR_LIMIT,
                           "cannot cut the text into words: PCRE2 error %d", found);
        starts[bounds[0]] = 1;
        starts[bounds[1]] = 1;
        at = bounds[1];
    }
    return true;
}

// Applies one rule to each word found so far. A word is a subject of its own, so that an
// expression cannot look beyond it.
static bool cut_words(struct pretokens *words, const struct pretokenizer *pretokenizer,
                      const struct rule *rule, pcre2_match_data *match,
                      const uint8_t *subject, struct err *err)
{
    size_t start = 0;

    while (start < words->characters) {
        uint8_t *end = memchr(words->starts + start + 1, 1, words->characters - start);
        size_t len = (size_t)(end - words->starts) - start;

        if (rule->code == NULL)
            cut_digits(subject, start, start + len, words->starts);
        else if (!cut_matches(pretokenizer, rule, match, subject + start, len,
                              words->starts + start, err))
            return false;
        start += len;
    }
    return true;
}

bool pretokens_init(struct pretokens *words, const struct pretokenizer *pretokenizer,
                    const char *text, size_t len, struct err *err)
{
    pcre2_match_data *match = NULL;
    uint8_t *subject = NULL;
    bool ok;

    *words = (struct pretokens){ .bytes = NULL };
    if (!normalise(words, text, len, err))
        return false;
    words->starts = try_array(words->characters + 1, 1);
    subject = try_array(words->characters, 1);
    match = pcre2_match_data_create(1, NULL);
    ok = words->starts != NULL && subject != NULL && match != NULL;
    if (!ok)
        err_set(err, ERR_MEMORY, "no memory to tokenise %zu bytes", len);
    else
        words->starts[0] = words->starts[words->characters] = 1;
    for (size_t i = 0; ok && i < pretokenizer->rule_count; i++) {
        const struct rule *rule = &pretokenizer->rules[i];

        if (i == 0 || rule->range_count > 0 || rule[-1].range_count > 0)
            write_subject(words, rule, subject);
        ok = cut_words(words, pretokenizer, rule, match, subject, err);
    }
    pcre2_match_data_free(match);
    free(subject);
    return ok;
}

bool pretokens_next(struct pretokens *words, const char **word, size_t *len)
{
    size_t start = words->next_byte;

    if (words->next_character == words->characters)
        return false;
    do {
        words->next_byte++;
        while (words->next_byte < words->len &&
               ((unsigned char)words->bytes[words->next_byte] & 0xc0) == 0x80)
            words->next_byte++;
    } while (!words->starts[++words->next_character]);
    *word = words->bytes + start;
    *len = words->next_byte - start;
    return true;
}

void pretokens_release(struct pretokens *words)
{
    free(words->bytes);
    free(words->starts);
    *words = (struct pretokens){ .bytes = NULL };
}
