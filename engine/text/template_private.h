// engine/text/template_private.h
// SPDX-License-Identifier: MIT
//
// Shared by the files of the template interpreter:
//
//   template_lexer.c        source -> tokens (trim_blocks, lstrip_blocks, raw, comments)
//   template_literal.c      strings and numbers in the source
//   template_expression.c   tokens -> expression nodes
//   template_parser.c       tokens -> statement nodes
//   template.c              the public functions, the limits
//   template_scope.c        variables
//   template_statement.c    statements -> text: blocks, macros, loops
//   template_eval.c         expressions -> values: names, attributes, calls
//   template_operator.c     arithmetic, comparison, indexing, slices
//   template_value.c        making values: heap, strings, lists, dictionaries
//   template_print.c        values -> text: str(), repr(), JSON; JSON -> values
//   template_unicode.c      characters: white space, case, counting
//   template_format.c       the % operator, str.format, strftime
//   template_filter.c, template_filter_list.c, template_test.c, template_method.c,
//   template_method_text.c, template_function.c: the tables of what a template can call
//
// Failure is sticky: the first error sets `failed`, later ones are ignored, every
// operation on the values that follow is harmless, and loops stop because template_step()
// refuses. Memory of one rendering comes from one arena with a budget and is freed with
// it.
//
// Semantics are those of Jinja2 3.1 as transformers sets it up (trim_blocks,
// lstrip_blocks, sandboxed, loop controls). Source: the Jinja2 documentation and
// experiments with it.
#ifndef ORIEL_ENGINE_TEXT_TEMPLATE_PRIVATE_H
#define ORIEL_ENGINE_TEXT_TEMPLATE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "engine/text/template.h"

#define TEMPLATE_MAX_SOURCE ((size_t)1 << 20)
#define TEMPLATE_MAX_SYNTAX ((size_t)128 << 20) // bytes of nodes
#define TEMPLATE_MAX_DEPTH  64     // nested blocks and brackets in the source
#define TEMPLATE_MAX_NESTED 1000   // nested evaluations while rendering
#define TEMPLATE_MAX_RANGE  100000 // as Jinja2's sandbox
#define TEMPLATE_MAX_PARAMS 8      // of a built-in

//------------------------------------------------------------------ strings and values

// Immutable bytes (UTF-8) that remember where they came from.
struct text {
    const char *bytes;
    const uint8_t *marks; // per byte: 1 from the caller's data; NULL: all as `data`
    size_t len;
    bool data;
    bool markup; // result of the filters safe and escape: `+` escapes the other side
};

enum value_kind {
    VALUE_UNDEFINED,
    VALUE_MISSING, // an optional argument that was not given; templates never see it
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INTEGER,
    VALUE_REAL,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_DICT,
    VALUE_NAMESPACE,
    VALUE_CALLABLE,
    VALUE_LOOP,
};

struct value {
    enum value_kind kind;
    bool data; // a number, a list ... out of the caller's data: its text is not trusted
    union {
        const char *name; // VALUE_UNDEFINED: what was not defined, for messages
        bool boolean;
        int64_t integer;
        double real;
        const struct text *text;
        struct list *list;
        struct dict *dict; // also VALUE_NAMESPACE
        struct callable *callable;
        struct loop *loop;
    };
};

enum list_kind {
    LIST_LIST,
    LIST_TUPLE,
    LIST_RANGE,
    LIST_GENERATOR, // always true, can be walked once, has no length
    LIST_VIEW,      // dict.keys() and its sisters
};

struct list {
    struct value *items;
    size_t count, cap;
    enum list_kind kind;
    bool group; // a tuple of groupby: its elements are also .grouper and .list
};

struct pair {
    struct value key, value;
};

struct dict {
    struct pair *pairs; // in order of insertion
    size_t count, cap;
};

//------------------------------------------------------------------ syntax

enum token_kind {
    T_END,
    T_DATA,
    T_OUTPUT_BEGIN,
    T_OUTPUT_END,
    T_BLOCK_BEGIN,
    T_BLOCK_END,
    T_NAME,
    T_STRING, // without its quotes, escapes not yet replaced
    T_INTEGER,
    T_REAL,
    T_OPERATOR, // bytes[len] is the operator
};

struct token {
    enum token_kind kind;
    uint32_t line;
    const char *bytes;
    size_t len;
};

struct token_array {
    struct token *items;
    size_t count, cap;
};

enum node_kind {
    // expressions                first      second         third     name / literal
    NODE_LITERAL,     //                                              literal
    NODE_NAME,        //                                              name
    NODE_LIST,        // items
    NODE_TUPLE,       // items
    NODE_DICT,        // PAIRs
    NODE_PAIR,        // key      value
    NODE_CONDITIONAL, // test     then           else or NULL
    NODE_AND,         // left     right
    NODE_OR,          // left     right
    NODE_NOT,         // operand
    NODE_NEGATE,      // operand
    NODE_POSITIVE,    // operand
    NODE_COMPARE,     // left     COMPARE_TOs
    NODE_COMPARE_TO,  // operand                                      op
    NODE_BINARY,      // left     right                               op
    NODE_CONCAT,      // items
    NODE_ATTRIBUTE,   // object                                       name
    NODE_ITEM,        // object   key or SLICE
    NODE_SLICE,       // start    stop           step (each or NULL)
    NODE_CALL,        // callee   arguments
    NODE_KEYWORD,     // value                                        name
    NODE_FILTER,      // subject  arguments                           name, builtin
    NODE_TEST,        // subject  arguments                           name, builtin
    // statements
    NODE_TEXT,   //                                             literal
    NODE_OUTPUT, // expression
    NODE_IF,     // test    body           else branch
    NODE_FOR,    // target  LOOP_SOURCE    body      fourth: else branch; op: recursive
    NODE_LOOP_SOURCE,  // values  condition or NULL
    NODE_SET,          // target  expression
    NODE_SET_BLOCK,    // target  filters        body
    NODE_WITH,         // SETs                   body
    NODE_MACRO,        // KEYWORDs (defaults)    body                 name
    NODE_CALL_BLOCK,   // call    MACRO
    NODE_FILTER_BLOCK, //         filters        body
    NODE_BREAK,
    NODE_CONTINUE,
    NODE_BLOCK, //                               body
};

enum operator_kind {
    OP_NONE,
    OP_ADD,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE,
    OP_FLOOR_DIVIDE,
    OP_MODULO,
    OP_POWER,
    OP_EQUAL,
    OP_NOT_EQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
    OP_IN,
    OP_NOT_IN,
};

struct node {
    enum node_kind kind;
    enum operator_kind op;
    uint32_t line;
    struct node *next; // in a list of arguments, items or statements
    struct node *first, *second, *third, *fourth;
    const struct text *name;
    const struct builtin *builtin;
    struct value literal;
};

struct template
{
    struct arena arena;
    char *source; // normalised newlines
    struct node *body;
};

// template_lexer.c: the tokens point into source[len], which must stay. Free items.
bool template_tokenize(const char *source, size_t len, struct token_array *tokens,
                       struct err *err);

struct parser {
    struct template *template;
    const struct token *token; // the current one; T_END once something failed
    const struct token *last;  // the T_END at the end of all
    struct node spare;         // handed out when memory is exhausted
    unsigned depth;
    unsigned choices; // open ifs: as in Jinja2, unknown filters only matter when they run
    unsigned loops;   // open for blocks, for break and continue
    bool failed;
    struct err *err;
};

// template_expression.c; used by template_parser.c
void template_refuse(struct parser *p, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void template_refuse_memory(struct parser *p);
const struct text *template_text_of(struct parser *p, const char *bytes, size_t len);
struct node *template_node(struct parser *p, enum node_kind kind);
const struct text *template_name(struct parser *p, const struct token *token);
const struct text *template_take_name(struct parser *p); // and goes on behind it
void template_advance(struct parser *p);                 // never past the end
bool template_enter(struct parser *p);
void template_leave(struct parser *p);
bool template_at(const struct parser *p, const char *word); // operator or name
bool template_skip(struct parser *p, const char *word);
void template_expect(struct parser *p, const char *word);
struct node *template_parse_expression(struct parser *p);
struct node *template_parse_tuple(struct parser *p); // a or a, b
struct node *template_parse_target(struct parser *p, bool attributes);
struct node *template_parse_filters(struct parser *p, struct node *subject, bool block);
struct node *template_parse_unary(struct parser *p);
struct node *template_parse_or(struct parser *p);

// template_literal.c
struct node *template_parse_string(struct parser *p);
struct node *template_parse_number(struct parser *p);

// template_parser.c
struct node *template_parse_document(struct parser *p);

//------------------------------------------------------------------ rendering

struct variable {
    const struct text *name;
    struct value value;
    struct variable *next;
};

struct scope {
    struct scope *parent;
    struct variable *variables;
    bool captured; // a macro may outlive it
};

struct loop {
    const struct value *items;
    size_t count, index;
    uint32_t depth;
    const struct node *node; // recursive loops only, else NULL
    struct scope *scope;     // where a recursive loop was written
    struct value changed;    // last arguments of loop.changed()
    bool has_changed;
};

// A string under construction.
struct builder {
    char *bytes;
    uint8_t *marks; // NULL: all as `data`
    size_t len, cap;
    size_t max; // 0: only the heap limits it
    bool data;
};

enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

struct interpreter {
    struct arena heap;
    struct template_limits limits;
    int64_t now;
    struct builder *out;
    struct scope *scope;
    struct dict *globals;
    struct variable *spare; // variables to use again
    uint64_t steps;
    uint32_t nested, calls;
    uint32_t line;
    enum flow flow;
    bool failed;
    struct err *err;
};

struct args {
    struct value *values; // by position
    size_t count;
    struct pair *named;
    size_t named_count;
};

// Something that a template can call, from one of the tables. params: the names in order,
// "a b? c?" where ? means optional; missing ones arrive as VALUE_MISSING and `values` has
// an entry for each. "*": takes whatever it is given.
struct builtin {
    const char *name;
    const char *params;
    struct value (*run)(struct interpreter *in, struct value subject,
                        const struct args *args);
};

struct callable {
    const struct builtin *builtin; // or NULL: a macro
    struct value subject;          // of a method; state of a cycler or joiner
    const struct node *macro;
    struct scope *scope;
    const struct callable *caller; // of a macro used by a call block
};

// Sets in->failed with "line N: ..." and returns an undefined value.
struct value template_fail(struct interpreter *in, enum err_code code, const char *format,
                           ...) __attribute__((format(printf, 3, 4)));
// Counts work; false when failed or the limit is reached. bytes: what was read or
// written.
bool template_step(struct interpreter *in);
bool template_charge(struct interpreter *in, size_t bytes);
// For recursion over values and nodes.
bool template_descend(struct interpreter *in);
void template_ascend(struct interpreter *in);

// template_value.c
void *template_alloc(struct interpreter *in, size_t count, size_t size); // NULL: failed
struct value value_undefined(const char *name);
struct value value_missing(void);
struct value value_none(void);
struct value value_bool(bool boolean);
struct value value_integer(int64_t integer);
struct value value_real(double real);
struct value value_text(const struct text *text);
struct value value_data(struct value value, bool data); // marks it, too, as data
// Borrows bytes: they must live as long as the rendering.
struct value value_string(struct interpreter *in, const char *bytes, size_t len,
                          bool data);
struct value value_literal(struct interpreter *in, const char *text);
struct value value_substring(struct interpreter *in, const struct text *text,
                             size_t start, size_t len);
struct value value_list(struct interpreter *in, enum list_kind kind);
struct value value_dict(struct interpreter *in);
bool list_push(struct interpreter *in, struct list *list, struct value value);
bool dict_set(struct interpreter *in, struct dict *dict, struct value key,
              struct value value);
bool dict_append(struct interpreter *in, struct dict *dict, struct value key,
                 struct value value); // the key is known to be new
const struct value *dict_find(struct interpreter *in, const struct dict *dict,
                              struct value key);
const struct value *dict_find_name(struct interpreter *in, const struct dict *dict,
                                   const char *bytes, size_t len);
bool value_truthy(struct value value);
bool value_is_number(struct value value); // also booleans
bool value_is_string(struct value value, const char *text);
double value_as_real(struct value value);
const char *value_type_name(struct value value); // as Python says it
// The elements of anything iterable; a generator is used up. false: not iterable (fails).
bool value_iterate(struct interpreter *in, struct value value, const struct value **items,
                   size_t *count);
struct builder builder_create(void);
bool builder_append(struct interpreter *in, struct builder *builder, const char *bytes,
                    size_t len, const uint8_t *marks, bool data);
bool builder_text(struct interpreter *in, struct builder *builder,
                  const struct text *text);
bool builder_literal(struct interpreter *in, struct builder *builder, const char *text,
                     bool data);
struct value builder_value(struct interpreter *in, struct builder *builder);
extern const struct text template_empty_text;

// template_print.c
void template_print(struct interpreter *in, struct builder *builder, struct value value);
void template_repr(struct interpreter *in, struct builder *builder, struct value value);
const struct text *template_text(struct interpreter *in, struct value value); // str()
void template_real_text(char *out, size_t size, double real); // 32 bytes suffice
struct json_style {
    bool ensure_ascii, sort_keys;
    const char *item_separator, *key_separator, *indent; // indent NULL: one line
};
void template_json(struct interpreter *in, struct builder *builder, struct value value,
                   const struct json_style *style);
struct value template_from_json(struct interpreter *in, const json_t *json, bool data);

// template_operator.c
struct value template_binary(struct interpreter *in, enum operator_kind op,
                             struct value left, struct value right);
bool template_compare(struct interpreter *in, enum operator_kind op, struct value left,
                      struct value right);
bool template_equal(struct interpreter *in, struct value left, struct value right);
int template_order(struct interpreter *in, struct value left, struct value right);
struct value template_slice(struct interpreter *in, struct value object,
                            struct value start, struct value stop, struct value step);
struct value template_concat(struct interpreter *in, struct value left,
                             struct value right);
struct value template_escape(struct interpreter *in, const struct text *text);

// template_eval.c
struct value template_eval(struct interpreter *in, const struct node *node);
struct value template_attribute(struct interpreter *in, struct value object,
                                const char *name, size_t len);
struct value template_item(struct interpreter *in, struct value object, struct value key);
// "a.b.0" as the filters' attribute arguments mean it.
struct value template_path(struct interpreter *in, struct value object,
                           struct value path);
struct value template_call(struct interpreter *in, struct value callee,
                           const struct args *args);
struct value template_run(struct interpreter *in, const struct builtin *builtin,
                          struct value subject, const struct args *args);
struct value template_apply(struct interpreter *in, const struct node *node,
                            struct value subject); // NODE_FILTER or NODE_TEST
void template_evaluate_args(struct interpreter *in, const struct node *nodes,
                            struct args *args);

// template_scope.c
const struct value *scope_find(struct interpreter *in, const struct scope *scope,
                               const struct text *name);
void scope_set(struct interpreter *in, const struct text *name, struct value value);
// Opens a scope inside `parent`; the caller keeps the old in->scope.
bool scope_open(struct interpreter *in, struct scope *parent);
void scope_renew(struct interpreter *in);
// Assigns to what template_parse_target() parsed.
void scope_assign(struct interpreter *in, const struct node *target, struct value value);

// template_statement.c
void template_execute(struct interpreter *in, const struct node *statements);
struct value template_call_macro(struct interpreter *in, const struct callable *macro,
                                 const struct args *args);
struct value template_recurse(struct interpreter *in, struct loop *loop,
                              struct value items);

// template_unicode.c
bool unicode_is_space(uint32_t codepoint);
uint32_t unicode_at(const struct text *text, size_t offset, size_t *len);
size_t unicode_count(struct interpreter *in, const char *bytes, size_t len);
size_t unicode_offset(const struct text *text, size_t characters); // in bytes, clamped
enum unicode_case { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITAL, CASE_SWAP };
struct value template_change_case(struct interpreter *in, const struct text *text,
                                  enum unicode_case to);
// chars NULL: white space. sides: bit 0 left, bit 1 right.
struct value template_strip(struct interpreter *in, const struct text *text,
                            const struct text *chars, unsigned sides);
bool unicode_printable(uint32_t codepoint);

// template_format.c
struct value template_percent(struct interpreter *in, const struct text *format,
                              const struct value *items, size_t count,
                              const struct dict *named);
struct value template_format(struct interpreter *in, const struct text *format,
                             const struct args *args);
struct value template_strftime(struct interpreter *in, const struct text *format);

// The tables. NULL when there is no such thing.
const struct builtin *template_find_builtin(const struct builtin *table, size_t count,
                                            const char *name, size_t len);
const struct builtin *template_find_filter(const char *name, size_t len);
const struct builtin *template_find_list_filter(const char *name, size_t len);
const struct builtin *template_find_test(const char *name, size_t len);
const struct builtin *template_find_text_method(const char *name, size_t len);
const struct builtin *template_find_method(struct value object, const char *name,
                                           size_t len);
const struct builtin *template_find_function(const char *name, size_t len);
// The string argument i, or NULL when it was not given; fails when it is something else.
const struct text *args_text(struct interpreter *in, const struct args *args, size_t i,
                             const char *what);
int64_t args_integer(struct interpreter *in, const struct args *args, size_t i,
                     int64_t fallback, const char *what);
bool args_bool(const struct args *args, size_t i, bool fallback);
// Shared by filters and methods.
struct value template_replace(struct interpreter *in, const struct text *text,
                              const struct text *from, const struct text *to,
                              int64_t count);
struct value template_join(struct interpreter *in, const struct text *separator,
                           struct value items, bool strict);

#endif
