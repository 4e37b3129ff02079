// tests/engine/text/test_json_schema.c
// SPDX-License-Identifier: MIT
//
// JSON schemas: which texts they let through, what is refused and where, and, by walking
// at random through what is allowed, that every text that comes out is what the schema
// asks for.
#include <jansson.h>

#include "base/file.h"
#include "base/hash.h"
#include "engine/text/json_schema.h"
#include "tests/engine/text/schema_walk.h"
#include "tests/tap.h"

// 'y' complete, 'p' may begin a complete one, 'n' neither, 'e' the schema is refused.
static char judge(const char *schema, const char *text)
{
    struct err err = { .code = ERR_NONE };
    struct grammar *grammar = json_schema_parse(schema, strlen(schema), &err);
    struct grammar_matcher *matcher;
    char verdict = 'n';

    if (grammar == NULL) {
        printf("# %s\n", err.text);
        return 'e';
    }
    matcher = grammar_matcher_create(grammar, NULL);
    if (grammar_matcher_accept(matcher, text, strlen(text), NULL))
        verdict = grammar_matcher_may_end(matcher) ? 'y' : 'p';
    grammar_matcher_destroy(&matcher);
    grammar_destroy(&grammar);
    return verdict;
}

struct example {
    const char *schema, *text;
    char verdict;
};

static void check_examples(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char verdict = judge(examples[i].schema, examples[i].text);

        if (verdict != examples[i].verdict)
            printf("# %s on %s\n", examples[i].schema, examples[i].text);
        CHECK_INT(verdict, examples[i].verdict);
    }
}
#define CHECK_EXAMPLES(examples)                                                         \
    check_examples(examples, sizeof(examples) / sizeof((examples)[0]))

static void any_value(void)
{
    static const struct example examples[] = {
        { "{}", "{\"a\": [1, -2.5e10, true, null, \"x\\n\\u00e9\"], \"b\": {}}", 'y' },
        { "true", "[]", 'y' },
        { "true", "[1,]", 'n' },
        { "true", "01", 'n' },
        { "true", "-", 'p' },
        { "true", "1.", 'p' },
        { "true", "\"\\x\"", 'n' },
        { "true", "\"\\ud800\"", 'n' },
        { "true", "\"\\u0000\"", 'n' },
        { "true", "\"a\nb\"", 'n' },
        { "{\"title\": \"t\", \"x-note\": 1}", "null", 'y' },
        { "{\"type\": [\"string\", \"null\"]}", "null", 'y' },
        { "{\"type\": [\"string\", \"null\"]}", "1", 'n' },
        { "{\"type\": \"boolean\"}", "true", 'y' },
    };

    CHECK_EXAMPLES(examples);
}

static void objects(void)
{
#define AB                                                                               \
    "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, "           \
    "\"b\": {\"type\": \"string\"}}"
    static const struct example examples[] = {
        { AB "}", "{}", 'y' },
        { AB "}", "{\"a\": 1}", 'y' },
        { AB "}", "{\"b\":\"x\"}", 'y' },
        { AB "}", "{\"a\":1, \"b\":\"x\"}", 'y' },
        { AB "}", "{\n  \"a\": 1,\n  \"b\": \"x\"\n}", 'y' },
        { AB "}", "{\"b\":\"x\",\"a\":1}", 'n' },
        { AB "}", "{\"c\":", 'n' },
        { AB "}", "{\"a\":1,}", 'n' },
        { AB ", \"required\": [\"a\"]}", "{}", 'n' },
        { AB ", \"required\": [\"b\"]}", "{\"a\":1}", 'n' },
        { AB ", \"required\": [\"b\"]}", "{\"a\":1,\"b\":\"\"}", 'y' },
        { AB ", \"required\": [\"z\"]}", "{\"a\":1,\"z\":[]}", 'y' },
        { AB ", \"additionalProperties\": true}", "{\"c\":[]}", 'y' },
        { AB ", \"additionalProperties\": true}", "{\"a\":1,\"ab\":2,\"\":3}", 'y' },
        { AB ", \"additionalProperties\": true}", "{\"c\":1,\"a\":", 'n' },
        { AB ", \"additionalProperties\": true}", "{\"\\u0061\":", 'n' },
        { AB ", \"additionalProperties\": {\"type\": \"null\"}}", "{\"aa\":null}", 'y' },
        { AB ", \"additionalProperties\": {\"type\": \"null\"}}", "{\"aa\":1}", 'n' },
        { "{\"type\": \"object\"}", "{\"x\":1,\"y\":{}}", 'y' },
        { "{\"type\": \"object\", \"additionalProperties\": false}", "{}", 'y' },
        { "{\"type\": \"object\", \"additionalProperties\": false}", "{\"", 'n' },
        { "{\"properties\": {\"\\u00e9/\\\"\": true}}", "{\"\xc3\xa9/\\\"\":0}", 'y' },
        { "{\"properties\": {\"\\u00e9\": true}, \"additionalProperties\": true}",
          "{\"\xc3\xa8\":0}", 'y' },
        { "{\"type\": \"object\", \"properties\": {\"a\": false, \"b\": true}}",
          "{\"b\":1}", 'y' },
        { "{\"type\": \"object\", \"properties\": {\"a\": false, \"b\": true}}", "{\"a",
          'n' },
    };

    CHECK_EXAMPLES(examples);
}

static void arrays(void)
{
#define INTS "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}"
#define PAIR                                                                             \
    "{\"type\": \"array\", \"prefixItems\": [{\"type\": \"integer\"}, {\"type\": \"null\"}]"
    static const struct example examples[] = {
        { INTS "}", "[]", 'y' },
        { INTS "}", "[1, 2,3]", 'y' },
        { INTS "}", "[1,\"a\"]", 'n' },
        { INTS ", \"minItems\": 2}", "[1]", 'n' },
        { INTS ", \"minItems\": 2}", "[1,2]", 'y' },
        { INTS ", \"minItems\": 1, \"maxItems\": 2}", "[1,2,3]", 'n' },
        { INTS ", \"minItems\": 1, \"maxItems\": 2}", "[]", 'n' },
        { INTS ", \"maxItems\": 0}", "[]", 'y' },
        { INTS ", \"maxItems\": 0}", "[1", 'n' },
        { PAIR "}", "[]", 'y' },
        { PAIR "}", "[1]", 'y' },
        { PAIR "}", "[1,null]", 'y' },
        { PAIR "}", "[1,null,2]", 'n' },
        { PAIR ", \"minItems\": 2}", "[1]", 'n' },
        { PAIR ", \"maxItems\": 1}", "[1,", 'n' },
        { PAIR ", \"items\": {\"type\": \"string\"}}", "[1,null,\"a\",\"b\"]", 'y' },
        { PAIR ", \"items\": {\"type\": \"string\"}, \"minItems\": 3}", "[1,null]", 'n' },
        { PAIR ", \"items\": false}", "[1,null]", 'y' },
        { "{\"items\": [{\"type\": \"null\"}]}", "[null]", 'y' },
    };

    CHECK_EXAMPLES(examples);
}

static void strings(void)
{
    static const struct example examples[] = {
        { "{\"minLength\": 2, \"maxLength\": 3}", "\"a\"", 'n' },
        { "{\"minLength\": 2, \"maxLength\": 3}", "\"\xc3\xa9\\n\"", 'y' },
        { "{\"minLength\": 2, \"maxLength\": 3}", "\"abcd\"", 'n' },
        { "{\"pattern\": \"^a+b?$\"}", "\"aaab\"", 'y' },
        { "{\"pattern\": \"^a+b?$\"}", "\"b\"", 'n' },
        { "{\"pattern\": \"b\"}", "\"abc\"", 'y' },
        { "{\"pattern\": \"b\"}", "\"ac\"", 'n' },
        { "{\"pattern\": \"^a|b$\"}", "\"ax\"", 'y' },
        { "{\"pattern\": \"^a|b$\"}", "\"xb\"", 'y' },
        { "{\"pattern\": \"^a|b$\"}", "\"xbx\"", 'n' },
        { "{\"pattern\": \"^\\\\d{3}-[A-F]$\"}", "\"123-C\"", 'y' },
        { "{\"pattern\": \"^[^a]$\"}", "\"\\\"\"", 'y' },
        { "{\"pattern\": \"^[^a]$\"}", "\"\\u0001\"", 'y' },
        { "{\"pattern\": \"^[^a]$\"}", "\"a\"", 'n' },
        { "{\"pattern\": \"^.$\"}", "\"\\n\"", 'n' },
        { "{\"pattern\": \"^(?:ab|c)*?$\"}", "\"abcab\"", 'y' },
        { "{\"pattern\": \"^\\\\\\\\$\"}", "\"\\\\\"", 'y' },
        { "{\"format\": \"date\"}", "\"2024-02-29\"", 'y' },
        { "{\"format\": \"date\"}", "\"2023-02-29\"", 'n' },
        { "{\"format\": \"date\"}", "\"1900-02-29\"", 'n' },
        { "{\"format\": \"date\"}", "\"2000-02-29\"", 'y' },
        { "{\"format\": \"date\"}", "\"2023-04-31\"", 'n' },
        { "{\"format\": \"date-time\"}", "\"2023-04-30T23:59:59.5+02:00\"", 'y' },
        { "{\"format\": \"time\"}", "\"24:00:00Z\"", 'n' },
        { "{\"format\": \"uuid\"}", "\"123e4567-e89b-12d3-a456-426614174000\"", 'y' },
        { "{\"format\": \"ipv4\"}", "\"255.0.10.99\"", 'y' },
        { "{\"format\": \"ipv4\"}", "\"256.0.0.1\"", 'n' },
    };

    CHECK_EXAMPLES(examples);
}

static void combinations(void)
{
    static const struct example examples[] = {
        { "{\"enum\": [1, \"a\", null, {\"b\": [2]}]}", "{\"b\":[2]}", 'y' },
        { "{\"enum\": [1, \"a\"], \"type\": \"string\"}", "1", 'n' },
        { "{\"const\": \"x\"}", "\"x\"", 'y' },
        { "{\"anyOf\": [{\"type\": \"null\"}, {\"type\": \"integer\"}]}", "12", 'y' },
        { "{\"anyOf\": [{\"maxLength\": 1}, {\"minLength\": 3}], \"type\": \"string\"}",
          "\"ab\"", 'n' },
        { "{\"oneOf\": [{\"type\": \"null\"}, {\"type\": \"integer\"}]}", "null", 'y' },
        { "{\"oneOf\": [{\"properties\": {\"k\": {\"const\": 1}}, \"required\": [\"k\"], "
          "\"type\": \"object\"}, {\"properties\": {\"k\": {\"const\": 2}}, \"required\": "
          "[\"k\"], \"type\": \"object\"}]}",
          "{\"k\":2}", 'y' },
        { "{\"allOf\": [{\"properties\": {\"a\": {\"minimum\": 2}}}, {\"properties\": {\"a\": "
          "{\"maximum\": 4, \"type\": \"integer\"}, \"b\": true}, \"required\": [\"a\"]}]}",
          "{\"a\":3,\"b\":0}", 'y' },
        { "{\"allOf\": [{\"properties\": {\"a\": {\"minimum\": 2}}}, {\"properties\": {\"a\": "
          "{\"maximum\": 4, \"type\": \"integer\"}, \"b\": true}, \"required\": [\"a\"]}]}",
          "{\"a\":5", 'n' },
        { "{\"$ref\": \"#/$defs/n\", \"$defs\": {\"n\": {\"type\": \"object\", \"properties\": "
          "{\"next\": {\"anyOf\": [{\"$ref\": \"#/$defs/n\"}, {\"type\": \"null\"}]}}, "
          "\"required\": [\"next\"]}}}",
          "{\"next\":{\"next\":null}}", 'y' },
        { "{\"$ref\": \"#/$defs/a~1b%20c\", \"maximum\": 3, \"$defs\": {\"a/b c\": {\"type\": "
          "\"integer\"}}}",
          "4", 'n' },
        { "{\"type\": \"array\", \"items\": {\"$ref\": \"#\"}}", "[[],[[]]]", 'y' },
    };

    CHECK_EXAMPLES(examples);
}

// All integers around every pair of bounds, against the comparison itself.
static void integer_ranges_are_exact(void)
{
    static const int bounds[] = {
        -1000, -999, -130, -100, -99, -21, -10, -9,  -1,  0,
        1,     9,    10,   11,   19,  57,  99,  100, 256, 1005
    };
    const size_t count = sizeof(bounds) / sizeof(bounds[0]);

    for (size_t i = 0; i < count; i++) {
        for (size_t j = i; j < count; j++) {
            char schema[100], text[24];
            struct grammar *grammar;

            snprintf(schema, sizeof(schema),
                     "{\"type\": \"integer\", \"minimum\": %d, \"maximum\": %d}",
                     bounds[i], bounds[j]);
            grammar = json_schema_parse(schema, strlen(schema), NULL);
            REQUIRE(grammar != NULL);
            for (int n = -1100; n <= 1100; n++) {
                struct grammar_matcher *matcher = grammar_matcher_create(grammar, NULL);
                bool inside = n >= bounds[i] && n <= bounds[j], accepted;

                snprintf(text, sizeof(text), "%d", n);
                accepted = grammar_matcher_accept(matcher, text, strlen(text), NULL) &&
                           grammar_matcher_may_end(matcher);
                if (accepted != inside)
                    printf("# %s: %d\n", schema, n);
                CHECK_INT(accepted, inside);
                grammar_matcher_destroy(&matcher);
            }
            grammar_destroy(&grammar);
        }
    }
}

static void number_ranges(void)
{
    static const struct example examples[] = {
        { "{\"type\": \"integer\", \"exclusiveMinimum\": 3}", "3", 'p' },
        { "{\"type\": \"integer\", \"exclusiveMinimum\": 3}", "4", 'y' },
        { "{\"type\": \"integer\", \"minimum\": 2.5}", "2", 'p' },
        { "{\"type\": \"integer\", \"minimum\": 2.5}", "3", 'y' },
        { "{\"type\": \"integer\", \"maximum\": -1}", "0", 'n' },
        { "{\"type\": \"integer\", \"minimum\": 0}", "999999999999999999", 'y' },
        { "{\"type\": \"integer\"}", "1000000000000000000", 'n' },
        { "{\"type\": \"integer\"}", "1.5", 'n' },
        { "{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}", "0.25", 'y' },
        { "{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}", "1.0", 'y' },
        { "{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}", "1.01", 'n' },
        { "{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}", "-", 'n' },
        { "{\"type\": \"number\", \"minimum\": -2, \"maximum\": -1}", "-1.5", 'y' },
        { "{\"type\": \"number\", \"minimum\": -2, \"maximum\": -1}", "-0", 'n' },
        { "{\"type\": \"number\", \"minimum\": -2, \"maximum\": -1}", "-2.1", 'n' },
        { "{\"type\": \"number\", \"minimum\": -2, \"maximum\": 5}", "-0.5", 'y' },
    };

    CHECK_EXAMPLES(examples);
}

static void refuses_by_name_and_place(void)
{
    static const struct {
        const char *schema;
        enum err_code code;
        const char *text;
    } cases[] = {
        { "{", ERR_FORMAT,
          "JSON schema, line 1, column 1: string or '}' expected near end of file" },
        { "3", ERR_FORMAT, "JSON schema, #: a schema must be an object, true or false" },
        { "{\"not\": {}}", ERR_UNSUPPORTED,
          "JSON schema, #/not: this keyword is not supported" },
        { "{\"properties\": {\"a/b\": {\"multipleOf\": 3}}}", ERR_UNSUPPORTED,
          "JSON schema, #/properties/a~1b/multipleOf: this keyword is not supported" },
        { "{\"type\": \"array\", \"uniqueItems\": true}", ERR_UNSUPPORTED,
          "JSON schema, #/uniqueItems: this keyword is not supported" },
        { "{\"minlength\": 3}", ERR_UNSUPPORTED,
          "JSON schema, #/minlength: this keyword is not supported" },
        { "{\"format\": \"email\"}", ERR_UNSUPPORTED,
          "JSON schema, #/format: only date, time, date-time, uuid and ipv4 are supported" },
        { "{\"pattern\": \"(?=a)\"}", ERR_UNSUPPORTED,
          "JSON schema, #/pattern: lookaround and named groups are not supported" },
        { "{\"pattern\": \"(a)\\\\1\"}", ERR_UNSUPPORTED,
          "JSON schema, #/pattern: this escape is not supported" },
        { "{\"pattern\": \"a\", \"minLength\": 3}", ERR_UNSUPPORTED,
          "JSON schema, #/pattern: cannot be combined with other demands on the same string" },
        { "{\"type\": \"number\", \"exclusiveMinimum\": 0}", ERR_UNSUPPORTED,
          "JSON schema, #/exclusiveMinimum: for type \"number\" only inclusive whole bounds are "
          "supported" },
        { "{\"$ref\": \"other.json\"}", ERR_UNSUPPORTED,
          "JSON schema, #/$ref: only references \"#/...\" are supported" },
        { "{\"$ref\": \"#/$defs/x\"}", ERR_FORMAT,
          "JSON schema, #/$ref: there is nothing at this place" },
        { "{\"$ref\": \"#\"}", ERR_FORMAT,
          "JSON schema: grammar: it matches no text at all" },
        { "{\"$ref\": \"#\", \"minimum\": 1}", ERR_LIMIT,
          "JSON schema, #: too many schemas hold at once" },
        { "{\"oneOf\": [{\"minimum\": 1}, {\"maximum\": 3}]}", ERR_UNSUPPORTED,
          "JSON schema, #/oneOf: a value may be valid under two of the branches; write anyOf "
          "if that may be, or make them exclude one another" },
        { "{\"minimum\": 1, \"minLength\": 2}", ERR_UNSUPPORTED,
          "JSON schema, #: \"type\" is missing, and the keywords speak of several types" },
        { "{\"enum\": [\"a\"], \"minLength\": 2}", ERR_UNSUPPORTED,
          "JSON schema, #/enum: cannot be combined with other demands on the value" },
        { "{\"type\": \"object\", \"properties\": {\"a\": {\"$ref\": \"#\"}}, \"required\": "
          "[\"a\"]}",
          ERR_FORMAT, "JSON schema: grammar: it matches no text at all" },
        { "{\"type\": \"string\", \"minLength\": -1}", ERR_FORMAT,
          "JSON schema, #/minLength: must be a whole number from 0" },
        { "{\"type\": \"string\", \"maxLength\": 1e9}", ERR_LIMIT,
          "JSON schema, #/maxLength: more than 65536" },
        { "{\"allOf\": [{\"pattern\": \"a\"}, {\"pattern\": \"b\"}]}", ERR_UNSUPPORTED,
          "JSON schema, #/pattern: two of these hold at once and cannot be joined" },
        { "{\"allOf\": [{\"properties\": {\"a\": {}}, \"additionalProperties\": false}, "
          "{\"properties\": {\"b\": {}}}]}",
          ERR_UNSUPPORTED,
          "JSON schema, #/additionalProperties: it would speak of properties of another "
          "schema in allOf" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = { .code = ERR_NONE };
        struct grammar *grammar =
            json_schema_parse(cases[i].schema, strlen(cases[i].schema), &err);

        CHECK(grammar == NULL);
        CHECK_INT(err.code, cases[i].code);
        CHECK_STR(err.text, cases[i].text);
        grammar_destroy(&grammar);
    }
}

static void limits_nesting(void)
{
    for (size_t depth = 60; depth <= 5000; depth = depth * 3 / 2) {
        struct err err = { .code = ERR_NONE };
        struct grammar *grammar;
        struct str text;

        str_init(&text, 0);
        for (size_t i = 0; i < depth; i++)
            str_append(&text, "{\"items\":");
        str_append(&text, "true");
        for (size_t i = 0; i < depth; i++)
            str_append_char(&text, '}');
        grammar = json_schema_parse(text.data, text.len, &err);
        CHECK_INT(grammar != NULL, depth <= 64);
        CHECK(grammar != NULL || err.code == ERR_LIMIT || err.code == ERR_FORMAT);
        grammar_destroy(&grammar);
        str_release(&text);
    }
}

// Exponentially many merged schemas.
static void bounds_what_schemas_expand_to(void)
{
    struct err err = { .code = ERR_NONE };
    struct grammar *grammar;
    struct str text;

    str_init(&text, 0);
    str_append(&text, "{\"$ref\": \"#/$defs/d0\", \"$defs\": {");
    for (int i = 0; i < 40; i++)
        str_printf(
            &text,
            "\"d%d\": {\"properties\": {\"a\": {\"allOf\": [{\"$ref\": \"#/$defs/d%d\"}, "
            "{\"$ref\": \"#/$defs/d%d\"}]}, \"b\": {\"allOf\": [{\"$ref\": \"#/$defs/d%d\"}, "
            "{\"$ref\": \"#/$defs/d%d\"}]}}},",
            i, i + 1, i + 1, i + 1, i + 1);
    str_append(&text, "\"d40\": {}}}");
    grammar = json_schema_parse(text.data, text.len, &err);
    CHECK(grammar == NULL);
    CHECK_INT(err.code, ERR_LIMIT);
    grammar_destroy(&grammar);
    str_release(&text);
}

// The texts are JSON, and the very ones that make_walks.py has validated.
static void check_walks(const char *schema, const char *digest)
{
    struct sha256 hash;
    unsigned char bytes[SHA256_BYTES];
    char hex[SHA256_HEX];

    sha256_init(&hash);
    for (uint64_t seed = 0; seed < SCHEMA_WALKS; seed++) {
        struct err err = { .code = ERR_NONE };
        struct str text;
        json_t *value;

        str_init(&text, 0);
        CHECK(schema_walk(schema, seed, &text, &err));
        CHECK_STR(err.text, "");
        value = json_loadb(text.data, text.len, JSON_DECODE_ANY, NULL);
        CHECK(value != NULL);
        json_decref(value);
        for (size_t i = 0; i < text.len; i++)
            text.data[i] = text.data[i] == '\n' ? ' ' : text.data[i];
        sha256_update(&hash, "\n", seed > 0);
        sha256_update(&hash, text.data, text.len);
        str_release(&text);
    }
    sha256_final(&hash, bytes);
    sha256_hex(bytes, hex);
    if (strcmp(hex, digest) != 0)
        printf("# %s\n", schema);
    CHECK_STR(hex, digest);
}

static void read_golden(const char *name, struct str *text)
{
    const char *top = getenv("top_srcdir");
    char path[512];

    snprintf(path, sizeof(path), "%s/tests/golden/sampler/%s", top != NULL ? top : ".",
             name);
    str_init(text, 0);
    CHECK(file_read(path, 1u << 20, text, NULL));
}

static void makes_only_valid_texts(void)
{
    struct str schemas, digests;
    char *schema, *digest, *next_schema, *next_digest;
    int count = 0;

    read_golden("schemas.jsonl", &schemas);
    read_golden("walks.txt", &digests);
    next_schema = schemas.data;
    next_digest = digests.data;
    strsep(&next_digest, "\n"); // the comment
    while ((schema = strsep(&next_schema, "\n")) != NULL && *schema != '\0' &&
           (digest = strsep(&next_digest, "\n")) != NULL) {
        check_walks(schema, digest);
        count++;
    }
    CHECK_INT(count, 36);
    str_release(&schemas);
    str_release(&digests);
}

static const struct test tests[] = {
    { "any value", any_value },
    { "objects", objects },
    { "arrays", arrays },
    { "strings", strings },
    { "combinations", combinations },
    { "integer ranges are exact", integer_ranges_are_exact },
    { "number ranges", number_ranges },
    { "refuses by name and place", refuses_by_name_and_place },
    { "limits nesting", limits_nesting },
    { "makes only valid texts", makes_only_valid_texts },
    { "bounds what schemas expand to", bounds_what_schemas_expand_to },
};

TAP_MAIN(tests)
