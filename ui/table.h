// ui/table.h
// SPDX-License-Identifier: MIT
//
// Tables fitted to a width: columns as wide as their contents; if that is too wide, the
// widest give way and their cells wrap; if even that does not fit, each row becomes lines
// of "heading: cell".
#ifndef ORIEL_UI_TABLE_H
#define ORIEL_UI_TABLE_H

#include "ui/lines.h"

#define TABLE_COLUMNS_MAX 64 // more are dropped

enum table_align { TABLE_LEFT, TABLE_CENTRE, TABLE_RIGHT };

struct table_cell {
    struct styled text;
    size_t row, column;
};
struct table {
    struct table_cell *cells;
    size_t count, cap;
    size_t rows, columns, column; // column: of the next cell
    enum table_align align[TABLE_COLUMNS_MAX];
};
void table_init(struct table *table);
void table_release(struct table *table);
void table_reset(struct table *table);

void table_add_row(struct table *table);
// Copies the text. The first row is the heading.
void table_add_cell(struct table *table, const struct styled *text,
                    enum table_align align);

void table_lines(const struct table *table, struct lines *out, const struct styled *first,
                 const struct styled *rest, int width);

#endif
