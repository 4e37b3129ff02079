// engine/text/grammar_machine.h
// SPDX-License-Identifier: MIT
//
// The compiled form of a grammar, shared by grammar_compile.c and grammar_match.c.
#ifndef ORIEL_ENGINE_TEXT_GRAMMAR_MACHINE_H
#define ORIEL_ENGINE_TEXT_GRAMMAR_MACHINE_H

#include <stddef.h>
#include <stdint.h>

enum place_kind {
    PLACE_BYTES, // reads one byte: edges[a] to edges[a + b - 1], ascending and disjoint
    PLACE_SPLIT, // goes on at a and at b
    PLACE_CALL,  // runs rule a, then goes on at b
    PLACE_END,   // the rule is done
};

struct place {
    uint32_t kind;
    uint32_t a, b;
};

struct byte_edge {
    uint8_t low, high;
    uint32_t next;
};

#define PLACE_OF_END 0 // one end serves all rules

struct grammar {
    struct place *places;
    size_t place_count, place_cap;
    struct byte_edge *edges;
    size_t edge_count, edge_cap;
    uint32_t *entries; // [rule_count], where each rule begins
    size_t rule_count;
    uint32_t root;
};

#endif
