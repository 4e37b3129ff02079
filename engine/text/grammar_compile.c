// engine/text/grammar_compile.c
// SPDX-License-Identifier: MIT
//
// From the tree to the machine, in three passes: which rules can produce a text at all
// (anything else is left out, so that the matcher never walks into a dead end); places
// and byte edges, built from the right so that each place knows what follows it; and the
// search for left recursion, which would make the matcher's stacks grow without reading a
// byte.
//
// A call in tail position pushes nothing, so a cycle of tail calls alone is harmless:
// what is refused is a strongly connected set of leftmost calls of which one is not a
// tail call.
#include "engine/text/grammar.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "engine/text/grammar_ast.h"
#include "engine/text/grammar_machine.h"

#define MAX_PLACES ((size_t)1 << 18)
#define MAX_EDGES  ((size_t)1 << 20)
#define MAX_WORK   ((size_t)4 << 20)
#define DEAD       UINT32_MAX // nothing can be produced from here

struct compiler {
    const struct grammar_ast *ast;
    struct grammar *grammar;
    bool *productive; // [rule_count]
    size_t work;
    bool too_large;
};

static bool spend(struct compiler *c)
{
    if (c->work++ >= MAX_WORK)
        c->too_large = true;
    return !c->too_large;
}

// ---------------------------------------------------------------------------
// Which rules produce something

static bool is_productive(struct compiler *c, const struct grammar_expr *expr)
{
    if (!spend(c))
        return false;
    switch (expr->kind) {
    case GRAMMAR_LITERAL:
        return true;
    case GRAMMAR_CLASS:
        return expr->count > 0;
    case GRAMMAR_RULE:
        return c->productive[expr->rule];
    case GRAMMAR_REPEAT:
        return expr->min == 0 || is_productive(c, expr->items[0]);
    case GRAMMAR_SEQUENCE:
        for (uint32_t i = 0; i < expr->count; i++) {
            if (!is_productive(c, expr->items[i]))
                return false;
        }
        return true;
    case GRAMMAR_CHOICE:
        for (uint32_t i = 0; i < expr->count; i++) {
            if (is_productive(c, expr->items[i]))
                return true;
        }
        return false;
    }
    bug("grammar expression of kind %d", (int)expr->kind);
}

// Sweeps in both directions, because chains of rules come in either order.
static void find_productive_rules(struct compiler *c)
{
    size_t count = c->ast->rule_count;
    bool changed = true;

    for (bool forward = false; changed && !c->too_large; forward = !forward) {
        changed = false;
        for (size_t i = 0; i < count; i++) {
            size_t rule = forward ? i : count - 1 - i;

            if (!c->productive[rule] && is_productive(c, c->ast->rules[rule].expr))
                changed = c->productive[rule] = true;
        }
    }
}

// ---------------------------------------------------------------------------
// Places and edges

static uint32_t add_place(struct compiler *c, enum place_kind kind, uint32_t a,
                          uint32_t b)
{
    struct grammar *g = c->grammar;

    if (g->place_count == MAX_PLACES) {
        c->too_large = true;
        return DEAD;
    }
    g->places = alloc_grow(g->places, g->place_count, &g->place_cap, sizeof(*g->places));
    g->places[g->place_count] = (struct place){ kind, a, b };
    return (uint32_t)g->place_count++;
}

// A place that reads one byte along the edges; edges to the same place are joined.
static uint32_t add_bytes(struct compiler *c, const struct byte_edge *edges, size_t count)
{
    struct grammar *g = c->grammar;
    size_t first = g->edge_count;

    if (count == 0)
        return DEAD;
    if (g->edge_count + count > MAX_EDGES) {
        c->too_large = true;
        return DEAD;
    }
    for (size_t i = 0; i < count; i++) {
        struct byte_edge *last =
            g->edge_count > first ? &g->edges[g->edge_count - 1] : NULL;

        if (last != NULL && last->next == edges[i].next &&
            last->high + 1 == edges[i].low) {
            last->high = edges[i].high;
            continue;
        }
        g->edges = alloc_grow(g->edges, g->edge_count, &g->edge_cap, sizeof(*g->edges));
        g->edges[g->edge_count++] = edges[i];
    }
    return add_place(c, PLACE_BYTES, (uint32_t)first, (uint32_t)(g->edge_count - first));
}

static uint32_t add_split(struct compiler *c, uint32_t a, uint32_t b)
{
    if (a == DEAD || a == b)
        return b;
    return b == DEAD ? a : add_place(c, PLACE_SPLIT, a, b);
}

static uint32_t compile_literal(struct compiler *c, const struct grammar_expr *expr,
                                uint32_t next)
{
    for (uint32_t i = expr->count; i-- > 0 && next != DEAD && spend(c);) {
        uint8_t byte = (uint8_t)expr->bytes[i];

        next = add_bytes(c, &(struct byte_edge){ byte, byte, next }, 1);
    }
    return next;
}

// ---------------------------------------------------------------------------
// Classes: code points to UTF-8

enum coverage { COVERED_NOT, COVERED_PARTLY, COVERED_FULLY };

// One class on its way to places.
struct class_builder {
    struct compiler *c;
    const struct grammar_range *ranges;
    size_t count;
    uint32_t smallest; // code points below it would be overlong
    uint32_t
        full[4]; // full[n] reads any n continuation bytes and goes on; DEAD: not made
};

static enum coverage coverage_of(const struct class_builder *b, uint32_t low,
                                 uint32_t high)
{
    size_t from = 0, to = b->count;

    // the first range that does not end before low
    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (b->ranges[middle].high < low)
            from = middle + 1;
        else
            to = middle;
    }
    if (high < b->smallest || from == b->count || b->ranges[from].low > high)
        return COVERED_NOT;
    if (low < b->smallest || b->ranges[from].low > low || b->ranges[from].high < high)
        return COVERED_PARTLY;
    return COVERED_FULLY;
}

static uint32_t any_continuation(struct class_builder *b, int bytes)
{
    if (b->full[bytes] == DEAD) {
        uint32_t next = any_continuation(b, bytes - 1);

        b->full[bytes] = add_bytes(b->c, &(struct byte_edge){ 0x80, 0xBF, next }, 1);
    }
    return b->full[bytes];
}

// Reads `bytes` continuation bytes of the characters from base upwards.
static uint32_t some_continuation(struct class_builder *b, uint32_t base, int bytes);

// The place after a byte that leaves the characters low .. low + 64^bytes - 1; DEAD:
// none.
static uint32_t after_byte(struct class_builder *b, uint32_t low, int bytes)
{
    uint32_t high = low + (1u << (6 * bytes)) - 1;

    switch (coverage_of(b, low, high)) {
    case COVERED_NOT:
        return DEAD;
    case COVERED_FULLY:
        return any_continuation(b, bytes);
    case COVERED_PARTLY:
        break;
    }
    return some_continuation(b, low, bytes);
}

static uint32_t some_continuation(struct class_builder *b, uint32_t base, int bytes)
{
    struct byte_edge edges[64];
    size_t count = 0;

    for (uint32_t i = 0; i < 64 && spend(b->c); i++) {
        uint32_t next = after_byte(b, base + (i << (6 * (bytes - 1))), bytes - 1);

        if (next != DEAD)
            edges[count++] =
                (struct byte_edge){ (uint8_t)(0x80 + i), (uint8_t)(0x80 + i), next };
    }
    return add_bytes(b->c, edges, count);
}

static uint32_t compile_class(struct compiler *c, const struct grammar_expr *expr,
                              uint32_t next)
{
    static const struct {
        uint8_t first, last, bits; // lead bytes; how many continuation bytes
        uint32_t smallest;
    } leads[] = {
        { 0x00, 0x7F, 0, 0 },
        { 0xC2, 0xDF, 1, 0x80 },
        { 0xE0, 0xEF, 2, 0x800 },
        { 0xF0, 0xF4, 3, 0x10000 },
    };
    struct class_builder b = {
        c, expr->ranges, expr->count, 0, { next, DEAD, DEAD, DEAD }
    };
    struct byte_edge edges[256];
    size_t count = 0;

    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        uint32_t payload = i == 0 ? 0x7F : 0x3Fu >> leads[i].bits;

        b.smallest = leads[i].smallest;
        for (uint32_t byte = leads[i].first; byte <= leads[i].last; byte++) {
            uint32_t low = (byte & payload) << (6 * leads[i].bits);
            uint32_t after = after_byte(&b, low, leads[i].bits);

            if (after != DEAD)
                edges[count++] =
                    (struct byte_edge){ (uint8_t)byte, (uint8_t)byte, after };
        }
    }
    return add_bytes(c, edges, count);
}

// ---------------------------------------------------------------------------
// Expressions

static uint32_t compile(struct compiler *c, const struct grammar_expr *expr,
                        uint32_t next);

static uint32_t compile_loop(struct compiler *c, const struct grammar_expr *item,
                             uint32_t next)
{
    uint32_t loop = add_place(c, PLACE_SPLIT, DEAD, next);
    uint32_t body = loop == DEAD ? DEAD : compile(c, item, loop);

    if (body == DEAD || body == loop)
        return next;
    c->grammar->places[loop].a = body;
    return loop;
}

static uint32_t compile_repeat(struct compiler *c, const struct grammar_expr *expr,
                               uint32_t next)
{
    const struct grammar_expr *item = expr->items[0];
    uint32_t entry = next;

    if (expr->max == GRAMMAR_UNBOUNDED)
        entry = compile_loop(c, item, next);
    for (uint32_t i = expr->min; expr->max != GRAMMAR_UNBOUNDED && i < expr->max; i++) {
        uint32_t body = compile(c, item, entry);

        if (body == DEAD || body == entry)
            break;
        entry = add_split(c, body, next);
    }
    for (uint32_t i = 0; i < expr->min; i++) {
        uint32_t body = compile(c, item, entry);

        if (body == DEAD || body == entry)
            return body;
        entry = body;
    }
    return entry;
}

static uint32_t compile(struct compiler *c, const struct grammar_expr *expr,
                        uint32_t next)
{
    uint32_t entry = next;

    if (next == DEAD || !spend(c))
        return DEAD;
    switch (expr->kind) {
    case GRAMMAR_LITERAL:
        return compile_literal(c, expr, next);
    case GRAMMAR_CLASS:
        return compile_class(c, expr, next);
    case GRAMMAR_RULE:
        return c->productive[expr->rule] ? add_place(c, PLACE_CALL, expr->rule, next)
                                         : DEAD;
    case GRAMMAR_REPEAT:
        return compile_repeat(c, expr, next);
    case GRAMMAR_SEQUENCE:
        for (uint32_t i = expr->count; i-- > 0;)
            entry = compile(c, expr->items[i], entry);
        return entry;
    case GRAMMAR_CHOICE:
        entry = DEAD;
        for (uint32_t i = expr->count; i-- > 0;)
            entry = add_split(c, compile(c, expr->items[i], next), entry);
        return entry;
    }
    bug("grammar expression of kind %d", (int)expr->kind);
}

// ---------------------------------------------------------------------------
// Left recursion

// A rule that may be called before anything is read by the rule it belongs to.
struct left_call {
    uint32_t rule;
    bool tail; // nothing follows the call
};

struct left_search {
    const struct grammar *grammar;
    bool *nullable; // [rule_count]: can produce the empty text
    uint32_t *seen; // [place_count]: the number of the search that met the place
    uint32_t search;
    uint32_t *stack;         // [place_count]: places still to visit
    struct left_call *calls; // of all rules, one after the other
    size_t call_count, call_cap;
    size_t *first_call; // [rule_count + 1]
};

static void visit_place(struct left_search *s, uint32_t place, size_t *depth)
{
    if (s->seen[place] != s->search) {
        s->seen[place] = s->search;
        s->stack[(*depth)++] = place;
    }
}

// Follows the rule as far as it goes without reading. Returns whether that is to its end;
// collects the calls on the way when `collect`.
static bool follow_rule(struct left_search *s, uint32_t rule, bool collect)
{
    bool ends = false;
    size_t depth = 0;

    s->search++;
    visit_place(s, s->grammar->entries[rule], &depth);
    while (depth > 0) {
        const struct place *place = &s->grammar->places[s->stack[--depth]];

        if (place->kind == PLACE_END) {
            ends = true;
        } else if (place->kind == PLACE_SPLIT) {
            visit_place(s, place->a, &depth);
            visit_place(s, place->b, &depth);
        } else if (place->kind == PLACE_CALL) {
            if (collect) {
                s->calls =
                    alloc_grow(s->calls, s->call_count, &s->call_cap, sizeof(*s->calls));
                s->calls[s->call_count++] =
                    (struct left_call){ place->a, place->b == PLACE_OF_END };
            }
            if (s->nullable[place->a])
                visit_place(s, place->b, &depth);
        }
    }
    return ends;
}

static void find_left_calls(struct compiler *c, struct left_search *s)
{
    size_t count = c->grammar->rule_count;
    bool changed = true;

    for (bool forward = false; changed && !c->too_large; forward = !forward) {
        changed = false;
        for (size_t i = 0; i < count; i++) {
            uint32_t rule = (uint32_t)(forward ? i : count - 1 - i);

            spend(c);
            if (c->productive[rule] && !s->nullable[rule] && follow_rule(s, rule, false))
                changed = s->nullable[rule] = true;
        }
    }
    for (uint32_t rule = 0; rule < count; rule++) {
        s->first_call[rule] = s->call_count;
        if (c->productive[rule])
            follow_rule(s, rule, true);
    }
    s->first_call[count] = s->call_count;
}

// Strongly connected components of the left calls (Tarjan 1972, with a stack of our own).
// component[rule] is the number of its component.
struct components {
    uint32_t *component, *order, *low; // [rule_count], order 0: not met
    uint32_t *open;                    // [rule_count] Tarjan's stack
    uint32_t *path;                    // [rule_count] the rules being visited
    size_t *next_call;                 // [rule_count] how far each of them is
    size_t open_count, path_count;
    uint32_t met, made;
};

static void enter_rule(struct components *t, const struct left_search *s, uint32_t rule)
{
    t->order[rule] = t->low[rule] = ++t->met;
    t->open[t->open_count++] = rule;
    t->path[t->path_count++] = rule;
    t->next_call[rule] = s->first_call[rule];
}

static void leave_rule(struct components *t, uint32_t rule)
{
    uint32_t member;

    t->path_count--;
    if (t->path_count > 0 && t->low[rule] < t->low[t->path[t->path_count - 1]])
        t->low[t->path[t->path_count - 1]] = t->low[rule];
    if (t->low[rule] != t->order[rule])
        return;
    t->made++;
    do {
        member = t->open[--t->open_count];
        t->component[member] = t->made;
    } while (member != rule);
}

static void find_components(struct components *t, const struct left_search *s,
                            uint32_t start)
{
    enter_rule(t, s, start);
    while (t->path_count > 0) {
        uint32_t rule = t->path[t->path_count - 1], callee;

        if (t->next_call[rule] == s->first_call[rule + 1]) {
            leave_rule(t, rule);
            continue;
        }
        callee = s->calls[t->next_call[rule]++].rule;
        if (t->order[callee] == 0)
            enter_rule(t, s, callee);
        else if (t->component[callee] == 0 && t->order[callee] < t->low[rule])
            t->low[rule] = t->order[callee];
    }
}

// The first rule that is left recursive, or rule_count.
static size_t left_recursive_rule(struct compiler *c)
{
    size_t count = c->grammar->rule_count, places = c->grammar->place_count,
           found = count;
    struct left_search s = {
        .grammar = c->grammar,
        .nullable = alloc_array(count, sizeof(bool)),
        .seen = alloc_array(places, sizeof(uint32_t)),
        .stack = alloc_array(places, sizeof(uint32_t)),
        .first_call = alloc_array(count + 1, sizeof(size_t)),
    };
    uint32_t *numbers = alloc_array(count * 5, sizeof(*numbers));
    struct components t = {
        .component = numbers,
        .order = numbers + count,
        .low = numbers + 2 * count,
        .open = numbers + 3 * count,
        .path = numbers + 4 * count,
        .next_call = alloc_array(count, sizeof(size_t)),
    };

    find_left_calls(c, &s);
    for (uint32_t rule = 0; rule < count && !c->too_large; rule++) {
        if (c->productive[rule] && t.order[rule] == 0)
            find_components(&t, &s, rule);
    }
    for (uint32_t rule = 0; rule < count && found == count && !c->too_large; rule++) {
        for (size_t i = s.first_call[rule]; i < s.first_call[rule + 1]; i++) {
            if (!s.calls[i].tail && t.component[s.calls[i].rule] == t.component[rule])
                found = rule;
        }
    }
    free(s.nullable);
    free(s.seen);
    free(s.stack);
    free(s.calls);
    free(s.first_call);
    free(numbers);
    free(t.next_call);
    return found;
}

// ---------------------------------------------------------------------------

static void compile_rules(struct compiler *c)
{
    struct grammar *g = c->grammar;

    add_place(c, PLACE_END, 0, 0);
    for (size_t i = 0; i < g->rule_count && !c->too_large; i++) {
        if (c->productive[i])
            g->entries[i] = compile(c, c->ast->rules[i].expr, PLACE_OF_END);
    }
}

static const char *rule_name(const struct compiler *c, size_t rule)
{
    const char *name = c->ast->rules[rule].name;

    return name != NULL ? name : "(unnamed)";
}

static bool build(struct compiler *c, struct err *err)
{
    size_t recursive;

    find_productive_rules(c);
    if (!c->too_large && !c->productive[c->grammar->root])
        return err_set(err, ERR_FORMAT, "grammar: it matches no text at all");
    compile_rules(c);
    recursive = c->too_large ? c->grammar->rule_count : left_recursive_rule(c);
    if (c->too_large)
        return err_set(
            err, ERR_LIMIT,
            "grammar: too large once repetitions are written out (more than %zu "
            "places)",
            MAX_PLACES);
    if (recursive < c->grammar->rule_count)
        return err_set(err, ERR_FORMAT, "grammar: rule \"%s\" is left recursive",
                       rule_name(c, recursive));
    return true;
}

struct grammar *grammar_compile(const struct grammar_ast *ast, uint32_t root,
                                struct err *err)
{
    struct compiler c = { .ast = ast };
    bool ok;

    if (ast->exhausted) {
        err_set(err, ERR_LIMIT, "grammar: too large");
        return NULL;
    }
    c.grammar = alloc_zero(sizeof(*c.grammar));
    c.grammar->rule_count = ast->rule_count;
    c.grammar->root = root;
    c.grammar->entries = alloc_array(ast->rule_count, sizeof(uint32_t));
    c.productive = alloc_array(ast->rule_count, sizeof(bool));
    ok = build(&c, err);
    free(c.productive);
    if (!ok)
        grammar_destroy(&c.grammar);
    return c.grammar;
}

void grammar_destroy(struct grammar **grammar)
{
    struct grammar *g = *grammar;

    if (g == NULL)
        return;
    free(g->places);
    free(g->edges);
    free(g->entries);
    free(g);
    *grammar = NULL;
}
