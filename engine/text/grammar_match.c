// engine/text/grammar_match.c
// SPDX-License-Identifier: MIT
//
// Runs a compiled grammar. A state is the set of all (place, stack) pairs in which the
// text read so far may be; only places that read a byte are kept, sorted, so that equal
// sets are equal arrays and a state has one number. Stacks are lists of return places
// that share their tails, interned too: equal stacks have equal numbers.
//
// Everything here is a cache that can be rebuilt from the current state alone; when it
// has grown beyond its limits, matcher_trim does so. A grammar so ambiguous that one
// state needs more than MAX_SET places, or one mask more than MAX_WORK steps, is given up
// with ERR_LIMIT.
#include "engine/text/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "engine/text/grammar_machine.h"

#define MAX_SET    8192
#define MAX_WORK   ((size_t)4 << 20)
#define MAX_STATES 8192
#define MAX_FRAMES ((size_t)1 << 18)
#define MAX_MASKS  256
#define MAX_STACK  1024 // return places on one stack

#define UNKNOWN UINT32_MAX       // transition not computed yet
#define REJECT  (UINT32_MAX - 1) // the grammar does not allow the byte

struct frame {
    uint32_t place; // where to go on when the rule is done
    uint32_t parent;
    uint32_t depth;
};

struct pair {
    uint32_t place;
    uint32_t stack; // 0: empty
};

struct state {
    size_t first; // of its pairs
    uint32_t count;
    bool may_end;
    uint64_t hash;
    uint32_t *next; // [256] or NULL
    uint64_t *mask; // or NULL
};

// Numbers found by hash; 0 is an empty slot.
struct index {
    uint32_t *slots;
    size_t cap; // a power of two
};

struct grammar_matcher {
    const struct grammar *grammar;
    uint32_t current;

    struct frame *frames; // frames[0] is the empty stack
    size_t frame_count, frame_cap;
    struct index frame_index;

    struct pair *pairs; // of all states
    size_t pair_count, pair_cap;
    struct state *states;
    size_t state_count, state_cap;
    struct index state_index;
    size_t mask_count;

    // The set being computed.
    struct pair *set; // pairs met; the first set_done have been followed
    size_t set_count, set_cap, set_done;
    struct pair *kept; // of these: those that read a byte
    size_t kept_count, kept_cap;
    bool set_may_end;
    struct index set_index;
    size_t work;
    bool too_ambiguous;
};

// ---------------------------------------------------------------------------
// Index

static uint64_t mix(uint32_t a, uint32_t b)
{
    uint64_t x = ((uint64_t)a << 32 | b) * 0x9E3779B97F4A7C15u;

    x ^= x >> 32;
    x *= 0xD6E8FEB86659FD93u;
    return x ^ x >> 32;
}

static void index_clear(struct index *index)
{
    if (index->cap > 0)
        memset(index->slots, 0, index->cap * sizeof(*index->slots));
}

// Makes room for `count` numbers. Returns whether the table is new and empty, so that the
// caller must enter them again.
static bool index_reserve(struct index *index, size_t count)
{
    if (count * 2 < index->cap)
        return false;
    free(index->slots);
    index->cap = index->cap == 0 ? 64 : index->cap * 2;
    index->slots = alloc_array(index->cap, sizeof(*index->slots));
    return true;
}

static void index_add(struct index *index, uint64_t hash, uint32_t number)
{
    size_t slot = hash & (index->cap - 1);

    while (index->slots[slot] != 0)
        slot = (slot + 1) & (index->cap - 1);
    index->slots[slot] = number;
}

// ---------------------------------------------------------------------------
// Stacks

static uint32_t push(struct grammar_matcher *m, uint32_t place, uint32_t parent)
{
    struct index *index = &m->frame_index;
    size_t slot;

    if (index_reserve(index, m->frame_count + 1)) {
        for (uint32_t i = 1; i < m->frame_count; i++)
            index_add(index, mix(m->frames[i].place, m->frames[i].parent), i);
    }
    slot = mix(place, parent) & (index->cap - 1);
    for (; index->slots[slot] != 0; slot = (slot + 1) & (index->cap - 1)) {
        const struct frame *frame = &m->frames[index->slots[slot]];

        if (frame->place == place && frame->parent == parent)
            return index->slots[slot];
    }
    m->frames = alloc_grow(m->frames, m->frame_count, &m->frame_cap, sizeof(*m->frames));
    m->frames[m->frame_count] =
        (struct frame){ place, parent, m->frames[parent].depth + 1 };
    index->slots[slot] = (uint32_t)m->frame_count;
    return (uint32_t)m->frame_count++;
}

// ---------------------------------------------------------------------------
// Sets

static void set_begin(struct grammar_matcher *m)
{
    struct index *index = &m->set_index;

    if (index->cap > 1024 && m->set_count < index->cap / 16) {
        // one large set must not make every later small one pay for clearing its table
        free(index->slots);
        *index = (struct index){ 0 };
    } else if (m->set_count > 0) {
        index_clear(index);
    }
    m->set_count = m->set_done = m->kept_count = 0;
    m->set_may_end = false;
}

static void set_add(struct grammar_matcher *m, uint32_t place, uint32_t stack)
{
    struct index *index = &m->set_index;
    size_t slot;

    if (index_reserve(index, m->set_count + 1)) {
        for (uint32_t i = 0; i < m->set_count; i++)
            index_add(index, mix(m->set[i].place, m->set[i].stack), i + 1);
    }
    slot = mix(place, stack) & (index->cap - 1);
    for (; index->slots[slot] != 0; slot = (slot + 1) & (index->cap - 1)) {
        const struct pair *pair = &m->set[index->slots[slot] - 1];

        if (pair->place == place && pair->stack == stack)
            return;
    }
    if (m->set_count == MAX_SET || m->work++ >= MAX_WORK) {
        m->too_ambiguous = true;
        return;
    }
    m->set = alloc_grow(m->set, m->set_count, &m->set_cap, sizeof(*m->set));
    m->set[m->set_count++] = (struct pair){ place, stack };
    index->slots[slot] = (uint32_t)m->set_count;
}

static void set_follow(struct grammar_matcher *m, struct pair pair)
{
    const struct place *place = &m->grammar->places[pair.place];

    switch ((enum place_kind)place->kind) {
    case PLACE_BYTES:
        m->kept = alloc_grow(m->kept, m->kept_count, &m->kept_cap, sizeof(*m->kept));
        m->kept[m->kept_count++] = pair;
        break;
    case PLACE_SPLIT:
        set_add(m, place->a, pair.stack);
        set_add(m, place->b, pair.stack);
        break;
    case PLACE_CALL:
        if (place->b == PLACE_OF_END)
            set_add(m, m->grammar->entries[place->a], pair.stack);
        else if (m->frames[pair.stack].depth < MAX_STACK)
            set_add(m, m->grammar->entries[place->a], push(m, place->b, pair.stack));
        break;
    case PLACE_END:
        if (pair.stack == 0)
            m->set_may_end = true;
        else
            set_add(m, m->frames[pair.stack].place, m->frames[pair.stack].parent);
        break;
    }
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;

    if (left->place != right->place)
        return left->place < right->place ? -1 : 1;
    return (left->stack > right->stack) - (left->stack < right->stack);
}

// The number of the state with the kept pairs.
static uint32_t intern_state(struct grammar_matcher *m)
{
    size_t bytes = m->kept_count * sizeof(*m->kept);
    uint64_t hash = hash_bytes(m->kept, bytes) + m->set_may_end;
    struct index *index = &m->state_index;
    struct state *state;
    size_t slot;

    if (index_reserve(index, m->state_count + 1)) {
        for (uint32_t i = 0; i < m->state_count; i++)
            index_add(index, m->states[i].hash, i + 1);
    }
    slot = hash & (index->cap - 1);
    for (; index->slots[slot] != 0; slot = (slot + 1) & (index->cap - 1)) {
        state = &m->states[index->slots[slot] - 1];
        if (state->hash == hash && state->count == m->kept_count &&
            state->may_end == m->set_may_end &&
            (bytes == 0 || memcmp(m->pairs + state->first, m->kept, bytes) == 0))
            return index->slots[slot] - 1;
    }
    m->states = alloc_grow(m->states, m->state_count, &m->state_cap, sizeof(*m->states));
    state = &m->states[m->state_count++];
    *state = (struct state){ .first = m->pair_count,
                             .count = (uint32_t)m->kept_count,
                             .may_end = m->set_may_end,
                             .hash = hash };
    for (size_t i = 0; i < m->kept_count; i++) {
        m->pairs = alloc_grow(m->pairs, m->pair_count, &m->pair_cap, sizeof(*m->pairs));
        m->pairs[m->pair_count++] = m->kept[i];
    }
    index->slots[slot] = (uint32_t)m->state_count;
    return (uint32_t)m->state_count - 1;
}

// Follows everything that reads nothing and returns the state that results, or REJECT.
static uint32_t set_finish(struct grammar_matcher *m)
{
    while (m->set_done < m->set_count && !m->too_ambiguous)
        set_follow(m, m->set[m->set_done++]);
    if (m->too_ambiguous || (m->kept_count == 0 && !m->set_may_end))
        return REJECT;
    if (m->kept_count > 1)
        qsort(m->kept, m->kept_count, sizeof(*m->kept), compare_pairs);
    return intern_state(m);
}

// ---------------------------------------------------------------------------
// Steps

// The edge of the place that reads byte, or NULL. Narrows *low to *high to the bytes
// around it that would give the same answer.
static const struct byte_edge *edge_for(const struct grammar *g, uint32_t place, int byte,
                                        int *low, int *high)
{
    const struct byte_edge *edge = &g->edges[g->places[place].a];
    const struct byte_edge *end = edge + g->places[place].b;
    int from = 0;

    for (; edge < end && edge->high < byte; edge++)
        from = edge->high + 1;
    if (edge < end && edge->low <= byte) {
        *low = *low > edge->low ? *low : edge->low;
        *high = *high < edge->high ? *high : edge->high;
        return edge;
    }
    *low = *low > from ? *low : from;
    if (edge < end && *high >= edge->low)
        *high = edge->low - 1;
    return NULL;
}

static uint32_t compute_step(struct grammar_matcher *m, uint32_t state, int byte)
{
    size_t first = m->states[state].first, count = m->states[state].count;
    int low = 0, high = 255;
    uint32_t target;

    set_begin(m);
    for (size_t i = 0; i < count; i++) {
        struct pair pair = m->pairs[first + i];
        const struct byte_edge *edge =
            edge_for(m->grammar, pair.place, byte, &low, &high);

        if (edge != NULL)
            set_add(m, edge->next, pair.stack);
    }
    m->work += count;
    target = set_finish(m);
    if (m->too_ambiguous)
        return REJECT;
    for (int i = low; i <= high; i++)
        m->states[state].next[i] = target;
    return target;
}

static uint32_t step(struct grammar_matcher *m, uint32_t state, uint8_t byte)
{
    uint32_t *next = m->states[state].next;

    if (next == NULL) {
        next = alloc_array(256, sizeof(*next));
        memset(next, 0xFF, 256 * sizeof(*next)); // all UNKNOWN
        m->states[state].next = next;
    }
    return next[byte] != UNKNOWN ? next[byte] : compute_step(m, state, byte);
}

// ---------------------------------------------------------------------------
// Life

static void release_states(struct grammar_matcher *m)
{
    for (size_t i = 0; i < m->state_count; i++) {
        free(m->states[i].next);
        free(m->states[i].mask);
    }
    m->state_count = m->pair_count = m->mask_count = 0;
}

// Copies a stack out of old frames into the matcher's own.
static uint32_t rebuild_stack(struct grammar_matcher *m, const struct frame *old,
                              uint32_t stack)
{
    uint32_t places[MAX_STACK];
    size_t depth = 0;
    uint32_t rebuilt = 0;

    for (; stack != 0; stack = old[stack].parent)
        places[depth++] = old[stack].place;
    while (depth > 0)
        rebuilt = push(m, places[--depth], rebuilt);
    return rebuilt;
}

// Forgets all states and stacks but the current state's; state numbers change.
static void forget_the_rest(struct grammar_matcher *m)
{
    struct state state = m->states[m->current];
    struct frame *old = m->frames;

    m->kept_count = 0;
    for (size_t i = 0; i < state.count; i++) {
        m->kept = alloc_grow(m->kept, m->kept_count, &m->kept_cap, sizeof(*m->kept));
        m->kept[m->kept_count++] = m->pairs[state.first + i];
    }
    m->set_may_end = state.may_end;
    release_states(m);
    index_clear(&m->state_index);
    index_clear(&m->frame_index);
    m->frames = NULL;
    m->frame_count = m->frame_cap = 0;
    m->frames = alloc_grow(m->frames, 0, &m->frame_cap, sizeof(*m->frames));
    m->frames[m->frame_count++] = (struct frame){ 0 };
    for (size_t i = 0; i < m->kept_count; i++)
        m->kept[i].stack = rebuild_stack(m, old, m->kept[i].stack);
    if (m->kept_count > 1)
        qsort(m->kept, m->kept_count, sizeof(*m->kept), compare_pairs);
    m->current = intern_state(m);
    free(old);
}

static bool is_full(const struct grammar_matcher *m)
{
    return m->state_count > MAX_STATES || m->frame_count > MAX_FRAMES ||
           m->mask_count > MAX_MASKS || m->pair_count > (size_t)MAX_STATES * 64;
}

static bool give_up(struct grammar_matcher *m, struct err *err)
{
    m->too_ambiguous = false;
    return err_set(err, ERR_LIMIT, "grammar: too ambiguous to be followed");
}

struct grammar_matcher *grammar_matcher_create(const struct grammar *grammar,
                                               struct err *err)
{
    struct grammar_matcher *m = alloc_zero(sizeof(*m));

    m->grammar = grammar;
    m->frames = alloc_grow(m->frames, 0, &m->frame_cap, sizeof(*m->frames));
    m->frames[m->frame_count++] = (struct frame){ 0 };
    set_add(m, grammar->entries[grammar->root], 0);
    m->current = set_finish(m);
    if (m->too_ambiguous) {
        give_up(m, err);
        grammar_matcher_destroy(&m);
    }
    return m;
}

void grammar_matcher_destroy(struct grammar_matcher **matcher)
{
    struct grammar_matcher *m = *matcher;

    if (m == NULL)
        return;
    release_states(m);
    free(m->states);
    free(m->pairs);
    free(m->frames);
    free(m->frame_index.slots);
    free(m->state_index.slots);
    free(m->set_index.slots);
    free(m->set);
    free(m->kept);
    free(m);
    *matcher = NULL;
}

// ---------------------------------------------------------------------------
// Use

bool grammar_matcher_accept(struct grammar_matcher *m, const char *bytes, size_t len,
                            struct err *err)
{
    uint32_t state;

    if (is_full(m))
        forget_the_rest(m);
    m->work = 0;
    state = m->current;
    for (size_t i = 0; i < len; i++) {
        state = step(m, state, (uint8_t)bytes[i]);
        if (m->too_ambiguous)
            return give_up(m, err);
        if (state == REJECT)
            return err_set(err, ERR_NOT_FOUND, "the grammar does not allow this text");
    }
    m->current = state;
    return true;
}

bool grammar_matcher_may_end(const struct grammar_matcher *m)
{
    return m->states[m->current].may_end;
}

bool grammar_matcher_must_end(const struct grammar_matcher *m)
{
    return m->states[m->current].may_end && m->states[m->current].count == 0;
}

static void set_bit(uint64_t *mask, uint32_t token)
{
    mask[token / 64] |= (uint64_t)1 << (token % 64);
}

// One walk down the prefix tree. path[depth] is the state after prefix[0..depth).
struct walk {
    uint32_t *path;
    uint8_t *prefix;
};

// The caches are full in the middle of a walk: empties them and finds the path again.
static void resume_walk(struct grammar_matcher *m, struct walk *walk, size_t depth)
{
    forget_the_rest(m);
    m->work += m->frame_count;
    m->too_ambiguous = m->work >= MAX_WORK;
    walk->path[0] = m->current;
    for (size_t i = 0; i < depth && !m->too_ambiguous; i++)
        walk->path[i + 1] = step(m, walk->path[i], walk->prefix[i]);
}

// The state after the node's byte. Computing one may need room first.
static uint32_t walk_step(struct grammar_matcher *m, struct walk *walk,
                          const struct vocabulary_node *node)
{
    size_t depth = node->depth - 1u;
    const uint32_t *next = m->states[walk->path[depth]].next;

    if (next != NULL && next[node->byte] != UNKNOWN)
        return next[node->byte];
    if (is_full(m))
        resume_walk(m, walk, depth);
    return m->too_ambiguous ? REJECT : step(m, walk->path[depth], node->byte);
}

static void mark_tokens(struct grammar_matcher *m, const struct vocabulary *v,
                        struct walk *walk, uint64_t *mask)
{
    walk->path[0] = m->current;
    for (size_t i = 0; i < v->node_count;) {
        const struct vocabulary_node *node = &v->nodes[i];
        uint32_t state = walk_step(m, walk, node);

        if (m->too_ambiguous)
            return;
        if (state == REJECT) {
            i = node->skip;
            continue;
        }
        walk->path[node->depth] = state;
        walk->prefix[node->depth - 1] = node->byte;
        for (uint32_t t = node->first; t < node[1].first; t++)
            set_bit(mask, v->sorted[t]);
        i++;
    }
}

bool grammar_matcher_mask(struct grammar_matcher *m, const struct vocabulary *v,
                          const uint64_t **mask, struct err *err)
{
    struct walk walk;
    uint64_t *bits;

    *mask = m->states[m->current].mask;
    if (*mask != NULL)
        return true;
    if (is_full(m))
        forget_the_rest(m);
    m->work = 0;
    bits = alloc_array((v->size + 63) / 64, sizeof(*bits));
    walk.path = alloc_array(v->deepest + 1, sizeof(*walk.path));
    walk.prefix = alloc_array(v->deepest + 1, sizeof(*walk.prefix));
    mark_tokens(m, v, &walk, bits);
    free(walk.path);
    free(walk.prefix);
    if (m->too_ambiguous) {
        free(bits);
        return give_up(m, err);
    }
    for (uint32_t i = 0; i < v->size && m->states[m->current].may_end; i++) {
        if (v->ends_generation[i])
            set_bit(bits, i);
    }
    m->states[m->current].mask = bits;
    m->mask_count++;
    *mask = bits;
    return true;
}
