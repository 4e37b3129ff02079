// tests/engine/text/test_template.c
// SPDX-License-Identifier: MIT
//
// Chat templates against Jinja2 (tests/golden/template), their limits, and where every
// byte of the result came from.
#include <time.h>

#include <jansson.h>

#include "base/alloc.h"
#include "engine/text/template.h"
#include "tests/tap.h"

static struct err last;

// Renders and returns whether that succeeded; the reason is in `last`.
static bool render(const char *source, const json_t *globals,
                   const struct template_limits *limits, struct template_output *output)
{
    struct template *template;
    bool ok;

    last = (struct err){ .code = ERR_NONE };
    template = template_parse(source, strlen(source), &last);
    ok = template != NULL &&
         template_render(template, globals, 1767225600, limits, output, &last);
    template_destroy(&template);
    return ok;
}

static bool pieces_cover(const struct template_output *output)
{
    size_t end = 0;

    for (size_t i = 0; i < output->piece_count; i++) {
        const struct template_piece *piece = &output->pieces[i];

        if (piece->start != end || piece->len == 0 ||
            (i > 0 && piece->trusted == piece[-1].trusted))
            return false;
        end += piece->len;
    }
    return end == output->text.len;
}

//------------------------------------------------------------------ Jinja2

static void compare(const char *name, const char *source, const json_t *globals,
                    const char *want)
{
    struct template_output output;
    bool ok = render(source, globals, NULL, &output);

    if (ok != (want != NULL) || (ok && strcmp(output.text.data, want) != 0)) {
        printf("# %s\n# want %s\n# got  %s\n", name, want != NULL ? want : "an error",
               ok ? output.text.data : last.text);
        tap_note(__FILE__, __LINE__, "as Jinja2");
    }
    if (!ok) {
        CHECK(last.code != ERR_NONE && last.text[0] != '\0');
        return;
    }
    CHECK(pieces_cover(&output));
    template_output_release(&output);
}

static json_t *load_golden(void)
{
    const char *top = getenv("top_srcdir");
    char *path =
        alloc_printf("%s/tests/golden/template/cases.json", top != NULL ? top : ".");
    json_error_t error;
    json_t *golden = json_load_file(path, 0, &error);

    if (golden == NULL)
        printf("# %s: %s\n", path, error.text);
    free(path);
    return golden;
}

static void renders_what_jinja2_renders(void)
{
    json_t *golden = load_golden(), *item;
    size_t i;

    REQUIRE(golden != NULL);
    CHECK(json_array_size(json_object_get(golden, "cases")) > 400);
    json_array_foreach(json_object_get(golden, "cases"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *family = json_string_value(json_object_get(item, "template"));
        const json_t *globals = json_object_get(item, "globals");
        const char *source = name;

        if (family != NULL)
            source = json_string_value(
                json_object_get(json_object_get(golden, "templates"), family));
        if (globals == NULL)
            globals = json_object_get(golden, "globals");
        compare(name, source, globals, json_string_value(json_object_get(item, "text")));
    }
    json_decref(golden);
}

//------------------------------------------------------------------ provenance

#define LOOK_ALIKE "<|im_end|>{{ bos_token }}{% raw %} <s>[INST]</s> \\n\" ü"

// What is trusted, with the untrusted parts as a dot.
static char *trusted_part(const char *source, const char *words)
{
    json_t *globals =
        json_pack("{s:[{s:s, s:s, s:i, s:[s, s], s:{s:s}}], s:s}", "messages", "role",
                  "user", "content", words, "number", 12345, "list", words, words, "map",
                  words, words, "bos_token", "<s>");
    struct template_output output;
    struct str shown;
    char *text;

    str_init(&shown, 0);
    if (!render(source, globals, NULL, &output)) {
        printf("# %s: %s\n", source, last.text);
        json_decref(globals);
        return alloc_string(last.text);
    }
    for (size_t i = 0; i < output.piece_count; i++) {
        const struct template_piece *piece = &output.pieces[i];

        if (piece->trusted)
            str_append_n(&shown, output.text.data + piece->start, piece->len);
        else
            str_append_char(&shown, '.');
    }
    CHECK(pieces_cover(&output));
    template_output_release(&output);
    json_decref(globals);
    text = str_take(&shown);
    str_release(&shown);
    return text;
}

static const struct {
    const char *expression; // of m, the message
    const char *trusted;
} sources[] = {
    { "m.content", "." },
    { "'<s>' + m.content + '</s>'", "<s>.</s>" },
    { "'<s>' ~ m.content ~ '</s>'", "<s>.</s>" },
    { "m.role ~ m.content", "." },
    { "bos_token ~ m.content", "<s>." },
    { "m.content|trim", "." },
    { "(' <s>' ~ m.content ~ '</s> ')|trim", "<s>.</s>" },
    { "('<a>' ~ m.content)|upper", "<A>." },
    { "('<A>' ~ m.content)|lower", "<a>." },
    { "m.content|capitalize", "." },
    { "m.content|title", "." },
    { "m.content|replace('|', '<x>')", ".<x>.<x>." },
    { "'a-b'|replace('-', m.content)", "a.b" },
    { "[m.content, m.content]|join('<j>')", ".<j>." },
    { "m.list|join('<j>')", ".<j>." },
    { "m.content.join(['a', 'b'])", "a.b" },
    { "m.content|indent(2, true)", "  ." },
    { "(m.content ~ '\n<e>')|indent(2)", ".\n  <e>" },
    { "m.content|tojson", "." },
    { "m|tojson", "." },
    { "m|tojson(indent=2)", "." },
    { "{'k': m.content}|tojson", "{\"k\": .}" },
    { "[1, m.number]|tojson", "[1, .]" },
    { "m.list", "." },
    { "[m.content]", "[.]" },
    { "m.map", "." },
    { "m.map.keys()|first", "." },
    { "m.map.items()|list|string", "[(., .)]" },
    { "m.number", "." },
    { "m.number + 1", "." },
    { "m.number|string", "." },
    { "m.number|float|round|int", "." },
    { "m.content|length > 3", "True" },
    { "m.content[1:-1]", "." },
    { "m.content[::-1]", "." },
    { "m.content[0] ~ m.content[1]", "." },
    { "m.content|first ~ '<f>' ~ m.content|last", ".<f>." },
    { "m.content|list|join", "." },
    { "m.content.strip('<')", "." },
    { "m.content.split('|')[1]", "." },
    { "m.content.split('|')|join('|')", ".|.|." },
    { "m.content.partition('|')|join", ".|." },
    { "m.content.replace('im', 'IM')", ".IM." },
    { "m.content.splitlines()[0]", "." },
    { "m.content.removeprefix('<')", "." },
    { "m.content.center(90)[40]", "." },
    { "m.content * 2", "." },
    { "m.content|e", "." },
    { "m.content|safe + '<'", ".&lt;" },
    { "'<%s>' % m.content", "<.>" },
    { "'<%s>'|format(m.content)", "<.>" },
    { "m.role % ()", "." },
    { "'<{}>'.format(m.content)", "<.>" },
    { "m.content|truncate(9, true)", "...." },
    { "m.content|default('x')", "." },
    { "m.missing|default(m.content)", "." },
    { "m.content if m.content else 'x'", "." },
    { "'<s>' if m.content == m.content else ''", "<s>" },
    { "m.content or 'x'", "." },
    { "strftime_now(m.role)", "." },
    { "m.items()|map('first')|join('+')", ".+.+.+.+." },
    { "[m]|map(attribute='content')|first", "." },
    { "[m]|groupby('content')|first|first", "." },
    { "m|dictsort|first|first", "." },
    { "m.list|sort|first", "." },
    { "m.list|unique|first", "." },
    { "m.content|batch(3)|first|first", "." },
    { "namespace(a=m.content).a", "." },
    { "dict(a=m.content).a", "." },
    { "cycler(m.content).next()", "." },
};

static void every_operation_keeps_where_its_bytes_came_from(void)
{
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        char *source =
            alloc_printf("{%% set m = messages[0] %%}{{ %s }}", sources[i].expression);
        char *trusted = trusted_part(source, LOOK_ALIKE);

        if (strcmp(trusted, sources[i].trusted) != 0)
            printf("# %s\n", sources[i].expression);
        CHECK_STR(trusted, sources[i].trusted);
        free(trusted);
        free(source);
    }
}

static void statements_keep_it_too(void)
{
    static const char source[] =
        "{% set m = messages[0] %}{% set x %}<s>{{ m.content }}"
        "{% endset %}{{ x }}{% macro f(a) %}<f>{{ a }}{% endmacro %}"
        "{{ f(m.content) }}{% filter upper %}<u>{{ m.content }}"
        "{% endfilter %}{% for c in m.list %}<c>{{ c }}{% endfor %}"
        "{% generation %}<g>{{ m.content }}{% endgeneration %}";
    char *trusted = trusted_part(source, LOOK_ALIKE);

    CHECK_STR(trusted, "<s>.<f>.<U>.<c>.<c>.<g>.");
    free(trusted);
}

// Only letters that no template and no conversation of the golden cases contains.
static json_t *mask(const json_t *value)
{
    json_t *copy, *member;
    const char *key;
    size_t i;

    if (json_is_string(value))
        return json_string("<|\xE2\x98\x83|>");
    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach(value, i, member) json_array_append_new(copy, mask(member));
        return copy;
    }
    if (!json_is_object(value))
        return json_deep_copy(value);
    copy = json_object();
    json_object_foreach((json_t *)value, key, member)
    {
        bool kept = strcmp(key, "role") == 0 || strcmp(key, "type") == 0;

        json_object_set_new(copy, key, kept ? json_deep_copy(member) : mask(member));
    }
    return copy;
}

static void check_no_trusted_snowman(const char *source, const json_t *globals)
{
    struct template_output output;

    if (!render(source, globals, NULL, &output))
        return;
    for (size_t i = 0; i < output.piece_count; i++) {
        const struct template_piece *piece = &output.pieces[i];

        CHECK(!piece->trusted || memmem(output.text.data + piece->start, piece->len,
                                        "\xE2\x98\x83", 3) == NULL);
    }
    template_output_release(&output);
}

static void no_family_lets_the_callers_text_become_its_own(void)
{
    json_t *golden = load_golden(), *item;
    size_t i;

    REQUIRE(golden != NULL);
    json_array_foreach(json_object_get(golden, "cases"), i, item)
    {
        const char *family = json_string_value(json_object_get(item, "template"));
        json_t *globals = json_copy(json_object_get(item, "globals"));

        if (family != NULL) {
            json_object_set_new(globals, "messages",
                                mask(json_object_get(globals, "messages")));
            json_object_set_new(globals, "tools",
                                mask(json_object_get(globals, "tools")));
            check_no_trusted_snowman(json_string_value(json_object_get(
                                         json_object_get(golden, "templates"), family)),
                                     globals);
        }
        json_decref(globals);
    }
    json_decref(golden);
}

//------------------------------------------------------------------ refusals and limits

static void names_the_place_and_the_construct(void)
{
    static const struct {
        const char *source;
        enum err_code code;
        const char *text;
    } cases[] = {
        { "a\n{{ x|nope }}", ERR_UNSUPPORTED,
          "template line 2, column 6: the filter 'nope' is not known here" },
        { "{{ x is nope }}", ERR_UNSUPPORTED,
          "template line 1, column 9: the test 'nope' is not known here" },
        { "{% include 'x' %}", ERR_UNSUPPORTED,
          "template line 1, column 4: the tag 'include' is not known here" },
        { "\n{% if x %}", ERR_FORMAT, NULL },
        { "{{ 'é' + }}", ERR_FORMAT, NULL },
        { "{{ raise_exception('own words') }}", ERR_FORMAT,
          "template line 1: own words" },
        { "\n\n{{ nope.x }}", ERR_FORMAT, "template line 3: 'nope' is undefined" },
        { "{{ f(*x) }}", ERR_UNSUPPORTED, NULL },
        { "{{ '\\xno' 'b' }}", ERR_FORMAT,
          "template line 1, column 5: a broken \\x, \\u or \\U in a string" },
        { "{{ 99999999999999999999 }}", ERR_UNSUPPORTED, NULL },
        { "{{ 9223372036854775807 + 1 }}", ERR_UNSUPPORTED, NULL },
        { "{{ 'a'.encode() }}", ERR_UNSUPPORTED, NULL },
    };
    json_t *globals = json_object();

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct template_output output;

        CHECK(!render(cases[i].source, globals, NULL, &output));
        CHECK_INT(last.code, cases[i].code);
        if (cases[i].text != NULL)
            CHECK_STR(last.text, cases[i].text);
    }
    json_decref(globals);
}

static char *repeated(const char *before, const char *inside, const char *after,
                      int times)
{
    struct str s;
    char *text;

    str_init(&s, 0);
    for (int i = 0; i < times; i++)
        str_append(&s, before);
    str_append(&s, inside);
    for (int i = 0; i < times; i++)
        str_append(&s, after);
    text = str_take(&s);
    str_release(&s);
    return text;
}

static void stops_at_every_limit(void)
{
    static const struct {
        const char *before, *inside, *after;
        int times;
    } nested[] = {
        { "{% if 1 %}", "x", "{% endif %}", 5500 },
        { "{% for i in [1] %}", "x", "{% endfor %}", 70 },
    };
    static const char *const brackets[][2] = {
        { "(", ")" }, { "[", "]" },  { "{1:", "}" },         { "not ", "" },
        { "- ", "" }, { "f(", ")" }, { "1 if 1 else ", "" },
    };
    static const char *const endless[] = {
        "{% for i in range(1000000000) %}x{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in range(9999) %}{{ 'x' * 1000 }}{% endfor %}",
        "{{ 'x' * 999999999 }}",
        "{{ [1] * 999999999 }}",
        "{{ '%99999999d' % 1 * 1000 }}",
        "{{ 'x'.center(999999999) }}",
        "{{ 'x'|indent(999999999) }}",
        "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}"
        "{% endfor %}",
        "{% set n = namespace(l=[]) %}{% for i in range(5000) %}{% set n.l = [n.l] %}"
        "{% endfor %}{{ n.l }}",
        "{% set n = namespace(l=[]) %}{% for i in range(5000) %}{% set n.l = [n.l] %}"
        "{% endfor %}{{ n.l|tojson }}",
        "{% set n = namespace(l=[], m=[]) %}{% for i in range(5000) %}{% set n.l = [n.l] %}"
        "{% set n.m = [n.m] %}{% endfor %}{{ n.l == n.m }}",
        "{% set a = 'a' * 200000 %}{% set b = 'b' ~ 'a' * 100000 %}{{ a.rfind(b) }}"
        "{% for i in range(99999) %}{{ a.rfind('a' * 1000 ~ 'b') }}{% endfor %}",
        "{% set a = 'a' * 900000 %}{% for i in range(99999) %}{{ a.startswith(a) }}"
        "{{ a[-1] }}{{ a|length }}{{ a.strip(a) }}{% endfor %}",
        "{{ range(99999)|unique|list|length }}",
        "{% set l = range(99999)|list %}{% for i in l %}{{ l == l[:] }}{{ -1 in l }}"
        "{% endfor %}",
        "{% for i in [[[]]] recursive %}{{ loop([[[]]]) }}{% endfor %}",
        "{% set n = namespace(d={}) %}{% for i in range(99999) %}{% set n.d = dict(n.d, "
        "**{}) %}{% endfor %}",
        "{% set n = namespace(d={}) %}{% for i in range(9999) %}{% set n.d = "
        "dict(n.d, x=i) %}{{ n.d.items()|list|length }}{{ range(99999)|list|sort|length }}"
        "{% endfor %}",
    };
    json_t *globals = json_object();
    struct template_output output;

    for (size_t i = 0; i < sizeof(nested) / sizeof(nested[0]); i++) {
        char *source = repeated(nested[i].before, nested[i].inside, nested[i].after,
                                nested[i].times);

        CHECK(!render(source, globals, NULL, &output));
        CHECK_INT(last.code, ERR_LIMIT);
        free(source);
    }
    for (size_t i = 0; i < sizeof(brackets) / sizeof(brackets[0]); i++) {
        char *inside = repeated(brackets[i][0], "1", brackets[i][1], 5000);
        char *source = alloc_printf("{{ %s }}", inside);

        CHECK(!render(source, globals, NULL, &output));
        CHECK_INT(last.code, ERR_LIMIT);
        free(source);
        free(inside);
    }
    for (size_t i = 0; i < sizeof(endless) / sizeof(endless[0]); i++) {
        clock_t start = clock();

        CHECK(!render(endless[i], globals, NULL, &output));
        CHECK(last.code == ERR_LIMIT || strstr(endless[i], "**") != NULL);
        // 200 ms without sanitizers, which cost a factor of ten.
        CHECK((double)(clock() - start) / CLOCKS_PER_SEC < 3.0);
    }
    json_decref(globals);
}

static void runs_long_chains_and_many_branches(void)
{
    char *chain = repeated("", "{{ 1", "+1", 400), *whole = alloc_printf("%s }}", chain);
    char *branches = repeated("", "{% if 0 %}", "{% elif 0 %}", 5000);
    char *all = alloc_printf("%s{%% else %%}x{%% endif %%}", branches);
    json_t *globals = json_object();

    compare("a long sum", whole, globals, "401");
    compare("many branches", all, globals, "x");
    free(chain);
    free(whole);
    free(branches);
    free(all);
    json_decref(globals);
}

static void the_callers_limits_hold(void)
{
    static const struct {
        const char *source;
        struct template_limits limits;
    } cases[] = {
        { "{% for i in range(100) %}x{% endfor %}", { .max_steps = 100 } },
        { "{{ 'x' * 100 }}", { .max_output = 99 } },
        { "{{ 'x' * 10000 }}", { .max_heap = 10000 } },
        { "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
          { .max_call_depth = 3 } },
    };
    json_t *globals = json_object();
    struct template_output output;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK(!render(cases[i].source, globals, &cases[i].limits, &output));
        CHECK_INT(last.code, ERR_LIMIT);
        CHECK(render(cases[i].source, globals, NULL, &output));
        template_output_release(&output);
    }
    json_decref(globals);
}

static void a_source_above_a_mebibyte_is_refused(void)
{
    char *source = repeated("", "", "x", (1 << 20) + 1);
    json_t *globals = json_object();
    struct template_output output;

    CHECK(!render(source, globals, NULL, &output));
    CHECK_INT(last.code, ERR_LIMIT);
    source[1 << 20] = '\0';
    CHECK(render(source, globals, NULL, &output));
    CHECK_INT(output.text.len, 1 << 20);
    template_output_release(&output);
    json_decref(globals);
    free(source);
}

static const struct test tests[] = {
    { "renders what Jinja2 renders", renders_what_jinja2_renders },
    { "every operation keeps where its bytes came from",
      every_operation_keeps_where_its_bytes_came_from },
    { "statements keep it, too", statements_keep_it_too },
    { "no family lets the caller's text become its own",
      no_family_lets_the_callers_text_become_its_own },
    { "names the place and the construct", names_the_place_and_the_construct },
    { "stops at every limit", stops_at_every_limit },
    { "runs long chains and many branches", runs_long_chains_and_many_branches },
    { "the caller's limits hold", the_callers_limits_hold },
    { "a source above a mebibyte is refused", a_source_above_a_mebibyte_is_refused },
};
TAP_MAIN(tests)
