// engine/text/grammar_ast.c
// SPDX-License-Identifier: MIT
#include "engine/text/grammar_ast.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

#define ARENA_BYTES ((size_t)256 << 20)

static const struct grammar_expr empty = { .kind = GRAMMAR_SEQUENCE };

void grammar_ast_init(struct grammar_ast *ast)
{
    *ast = (struct grammar_ast){ 0 };
    arena_init(&ast->arena, ARENA_BYTES);
}

void grammar_ast_release(struct grammar_ast *ast)
{
    arena_release(&ast->arena);
    free(ast->rules);
    free(ast->names);
    *ast = (struct grammar_ast){ 0 };
}

// ---------------------------------------------------------------------------
// Rules

uint32_t grammar_ast_add_rule(struct grammar_ast *ast)
{
    if (ast->rule_count == GRAMMAR_MAX_RULES) {
        ast->exhausted = true;
        return 0;
    }
    ast->rules =
        alloc_grow(ast->rules, ast->rule_count, &ast->rule_cap, sizeof(*ast->rules));
    ast->rules[ast->rule_count] = (struct grammar_rule){ 0 };
    return (uint32_t)ast->rule_count++;
}

static size_t name_slot(const struct grammar_ast *ast, const char *name, size_t len)
{
    size_t slot = hash_bytes(name, len) & (ast->name_cap - 1);

    while (ast->names[slot] != 0) {
        const char *other = ast->rules[ast->names[slot] - 1].name;

        if (strlen(other) == len && memcmp(other, name, len) == 0)
            break;
        slot = (slot + 1) & (ast->name_cap - 1);
    }
    return slot;
}

static void grow_names(struct grammar_ast *ast)
{
    free(ast->names);
    ast->name_cap = ast->name_cap == 0 ? 64 : ast->name_cap * 2;
    ast->names = alloc_array(ast->name_cap, sizeof(*ast->names));
    for (uint32_t i = 0; i < ast->rule_count; i++) {
        const char *name = ast->rules[i].name;

        if (name != NULL)
            ast->names[name_slot(ast, name, strlen(name))] = i + 1;
    }
}

uint32_t grammar_ast_rule(struct grammar_ast *ast, const char *name, size_t len)
{
    size_t slot;
    uint32_t rule;
    char *copy;

    if (ast->name_count * 2 >= ast->name_cap)
        grow_names(ast);
    slot = name_slot(ast, name, len);
    if (ast->names[slot] != 0)
        return ast->names[slot] - 1;
    copy = arena_string(&ast->arena, name, len);
    if (copy == NULL)
        ast->exhausted = true;
    rule = grammar_ast_add_rule(ast);
    if (ast->exhausted)
        return 0;
    ast->rules[rule].name = copy;
    ast->names[slot] = rule + 1;
    ast->name_count++;
    return rule;
}

void grammar_ast_define(struct grammar_ast *ast, uint32_t rule,
                        const struct grammar_expr *expr)
{
    if (!ast->exhausted)
        ast->rules[rule].expr = expr;
}

// ---------------------------------------------------------------------------
// Expressions

static struct grammar_expr *new_expr(struct grammar_ast *ast, enum grammar_kind kind)
{
    struct grammar_expr *expr = NULL;

    if (ast->expr_count++ < GRAMMAR_MAX_EXPRESSIONS)
        expr = arena_alloc(&ast->arena, 1, sizeof(*expr));
    if (expr == NULL)
        ast->exhausted = true;
    else
        expr->kind = kind;
    return expr;
}

// A copy in the arena; NULL (and exhausted) when there is no room.
static void *copy_of(struct grammar_ast *ast, const void *from, size_t count, size_t size)
{
    void *copy = arena_alloc(&ast->arena, count > 0 ? count : 1, size);

    if (copy == NULL)
        ast->exhausted = true;
    else if (count > 0)
        memcpy(copy, from, count * size);
    return copy;
}

const struct grammar_expr *grammar_literal(struct grammar_ast *ast, const char *bytes,
                                           size_t len)
{
    struct grammar_expr *expr = new_expr(ast, GRAMMAR_LITERAL);
    const char *copy = copy_of(ast, bytes, len, 1);

    if (ast->exhausted)
        return &empty;
    expr->bytes = copy;
    expr->count = (uint32_t)len;
    return expr;
}

const struct grammar_expr *grammar_text(struct grammar_ast *ast, const char *text)
{
    return grammar_literal(ast, text, strlen(text));
}

static int compare_ranges(const void *a, const void *b)
{
    const struct grammar_range *left = a, *right = b;

    return (left->low > right->low) - (left->low < right->low);
}

// Cuts the part from low to high out of the range; what is left above is appended.
static void cut_out(struct grammar_range *ranges, size_t *count, size_t i, uint32_t low,
                    uint32_t high)
{
    struct grammar_range *range = &ranges[i];

    if (range->high < low || range->low > high)
        return;
    if (range->low < low && range->high > high) {
        ranges[(*count)++] = (struct grammar_range){ high + 1, range->high };
        range->high = low - 1;
    } else if (range->low < low) {
        range->high = low - 1;
    } else if (range->high > high) {
        range->low = high + 1;
    } else {
        *range = ranges[--*count];
    }
}

size_t grammar_ranges_normalise(struct grammar_range *ranges, size_t count)
{
    size_t kept = 0;

    qsort(ranges, count, sizeof(*ranges), compare_ranges);
    for (size_t i = 0; i < count; i++) {
        if (ranges[i].low > ranges[i].high || ranges[i].low > 0x10FFFF)
            continue;
        if (ranges[i].high > 0x10FFFF)
            ranges[i].high = 0x10FFFF;
        if (kept > 0 && ranges[i].low <= ranges[kept - 1].high + 1) {
            if (ranges[i].high > ranges[kept - 1].high)
                ranges[kept - 1].high = ranges[i].high;
        } else {
            ranges[kept++] = ranges[i];
        }
    }
    return kept;
}

size_t grammar_ranges_invert(const struct grammar_range *ranges, size_t count,
                             struct grammar_range *inverted)
{
    uint32_t next = 0;
    size_t made = 0;

    for (size_t i = 0; i < count; i++) {
        if (ranges[i].low > next)
            inverted[made++] = (struct grammar_range){ next, ranges[i].low - 1 };
        next = ranges[i].high + 1;
    }
    if (next <= 0x10FFFF)
        inverted[made++] = (struct grammar_range){ next, 0x10FFFF };
    return made;
}

const struct grammar_expr *grammar_class(struct grammar_ast *ast,
                                         const struct grammar_range *ranges, size_t count,
                                         bool negated)
{
    struct grammar_expr *expr = new_expr(ast, GRAMMAR_CLASS);
    struct grammar_range *sorted = alloc_array(count + 3, sizeof(*sorted));
    struct grammar_range *result = alloc_array(count + 3, sizeof(*result));

    if (count > 0)
        memcpy(sorted, ranges, count * sizeof(*ranges));
    count = grammar_ranges_normalise(sorted, count);
    if (negated)
        count = grammar_ranges_invert(sorted, count, result);
    else
        memcpy(result, sorted, count * sizeof(*sorted));
    for (size_t i = count; i-- > 0;)
        cut_out(result, &count, i, 0xD800, 0xDFFF);
    qsort(result, count, sizeof(*result), compare_ranges);
    if (!ast->exhausted) {
        expr->ranges = copy_of(ast, result, count, sizeof(*result));
        expr->count = (uint32_t)count;
    }
    free(sorted);
    free(result);
    return ast->exhausted ? &empty : expr;
}

static const struct grammar_expr *group(struct grammar_ast *ast, enum grammar_kind kind,
                                        const struct grammar_expr *const *items,
                                        size_t count)
{
    struct grammar_expr *expr;

    if (count == 1)
        return items[0];
    expr = new_expr(ast, kind);
    if (!ast->exhausted) {
        expr->items = copy_of(ast, items, count, sizeof(*items));
        expr->count = (uint32_t)count;
    }
    return ast->exhausted ? &empty : expr;
}

const struct grammar_expr *grammar_sequence(struct grammar_ast *ast,
                                            const struct grammar_expr *const *items,
                                            size_t count)
{
    return group(ast, GRAMMAR_SEQUENCE, items, count);
}

const struct grammar_expr *grammar_choice(struct grammar_ast *ast,
                                          const struct grammar_expr *const *items,
                                          size_t count)
{
    return group(ast, GRAMMAR_CHOICE, items, count);
}

const struct grammar_expr *grammar_repeat(struct grammar_ast *ast,
                                          const struct grammar_expr *item, uint32_t min,
                                          uint32_t max)
{
    struct grammar_expr *expr = new_expr(ast, GRAMMAR_REPEAT);

    if (ast->exhausted)
        return &empty;
    expr->items = copy_of(ast, &item, 1, sizeof(item));
    expr->count = 1;
    expr->min = min;
    expr->max = max;
    return ast->exhausted ? &empty : expr;
}

const struct grammar_expr *grammar_rule_ref(struct grammar_ast *ast, uint32_t rule)
{
    struct grammar_expr *expr = new_expr(ast, GRAMMAR_RULE);

    if (ast->exhausted)
        return &empty;
    expr->rule = rule;
    return expr;
}

void grammar_list_push(struct grammar_list *list, const struct grammar_expr *expr)
{
    list->items = alloc_grow(list->items, list->count, &list->cap, sizeof(*list->items));
    list->items[list->count++] = expr;
}

void grammar_list_release(struct grammar_list *list)
{
    free(list->items);
    *list = (struct grammar_list){ 0 };
}
