// ui/table.c
// SPDX-License-Identifier: MIT
#include "ui/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ui/glyph.h"

#define COLUMN_MIN 5 // narrower than this, words become unreadable
#define SEPARATOR  " │ "

void table_init(struct table *table)
{
    *table = (struct table){ 0 };
}

void table_reset(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        styled_release(&table->cells[i].text);
    table->count = table->rows = table->columns = table->column = 0;
}

void table_release(struct table *table)
{
    table_reset(table);
    free(table->cells);
    *table = (struct table){ 0 };
}

void table_add_row(struct table *table)
{
    table->rows++;
    table->column = 0;
}

void table_add_cell(struct table *table, const struct styled *text,
                    enum table_align align)
{
    struct table_cell *cell;

    if (table->column >= TABLE_COLUMNS_MAX || table->rows == 0)
        return;
    table->cells =
        alloc_grow(table->cells, table->count, &table->cap, sizeof(*table->cells));
    cell = &table->cells[table->count++];
    *cell = (struct table_cell){ .row = table->rows - 1, .column = table->column };
    styled_init(&cell->text);
    if (text->text.len > 0)
        styled_copy(&cell->text, text, 0, text->text.len);
    table->align[table->column++] = align;
    if (table->column > table->columns)
        table->columns = table->column;
}

static int cell_width(const struct table_cell *cell)
{
    return styled_width(&cell->text);
}

// Fills widths; false when the columns cannot be fitted.
static bool fit(const struct table *table, int room, int widths[TABLE_COLUMNS_MAX])
{
    int total = (int)(table->columns - 1) * text_width(SEPARATOR, strlen(SEPARATOR));

    memset(widths, 0, TABLE_COLUMNS_MAX * sizeof(*widths));
    for (size_t i = 0; i < table->count; i++) {
        int width = cell_width(&table->cells[i]);

        if (width > widths[table->cells[i].column])
            widths[table->cells[i].column] = width;
    }
    for (size_t i = 0; i < table->columns; i++)
        total += widths[i];
    while (total > room) {
        size_t widest = 0;

        for (size_t i = 1; i < table->columns; i++)
            if (widths[i] > widths[widest])
                widest = i;
        if (widths[widest] <= COLUMN_MIN)
            return false;
        widths[widest]--;
        total--;
    }
    return true;
}

static void put_spaces(struct lines *out, int count)
{
    for (int i = 0; i < count; i++)
        lines_put(out, STYLE_TEXT, " ", 1);
}

// One line of a cell, padded to the column.
static void put_aligned(struct lines *out, const struct lines *cell, size_t index,
                        int width, enum table_align align)
{
    const struct line *line = index < cell->count ? &cell->lines[index] : NULL;
    int space = width - (line != NULL ? line->width : 0);
    int before = align == TABLE_RIGHT ? space : align == TABLE_CENTRE ? space / 2 : 0;

    put_spaces(out, before);
    for (size_t i = 0; line != NULL && i < line->run_count; i++) {
        const struct run *run = &cell->runs[line->first_run + i];

        lines_put(out, run->style, cell->text.data + run->start, run->len);
    }
    put_spaces(out, space - before);
}

static void row_lines(const struct table *table, const struct table_cell *cells,
                      size_t count, const int *widths, struct lines *out,
                      const struct styled *prefix)
{
    struct lines *wrapped = alloc_array(table->columns, sizeof(*wrapped));
    size_t height = 1;

    for (size_t i = 0; i < table->columns; i++)
        lines_init(&wrapped[i]);
    for (size_t i = 0; i < count; i++) {
        struct lines *lines = &wrapped[cells[i].column];

        lines_wrap(lines, &cells[i].text,
                   &(struct wrapping){ .width = widths[cells[i].column] });
        if (lines->count > height)
            height = lines->count;
    }
    for (size_t y = 0; y < height; y++) {
        lines_put_styled(out, prefix, 0, prefix->text.len);
        for (size_t i = 0; i < table->columns; i++) {
            if (i > 0)
                lines_put(out, STYLE_MUTED, SEPARATOR, strlen(SEPARATOR));
            put_aligned(out, &wrapped[i], y, widths[i], table->align[i]);
        }
        lines_end(out, STYLE_TEXT);
    }
    for (size_t i = 0; i < table->columns; i++)
        lines_release(&wrapped[i]);
    free(wrapped);
}

static void rule(const struct table *table, const int *widths, struct lines *out,
                 const struct styled *prefix)
{
    lines_put_styled(out, prefix, 0, prefix->text.len);
    for (size_t i = 0; i < table->columns; i++) {
        if (i > 0)
            lines_put(out, STYLE_MUTED, "─┼─", strlen("─┼─"));
        for (int k = 0; k < widths[i]; k++)
            lines_put(out, STYLE_MUTED, "─", strlen("─"));
    }
    lines_end(out, STYLE_TEXT);
}

// Too narrow for columns: "heading: cell", one line or more per cell.
static void list_lines(const struct table *table, struct lines *out,
                       const struct styled *prefix, int width)
{
    struct styled text;

    styled_init(&text);
    for (size_t i = 0; i < table->count; i++) {
        const struct table_cell *cell = &table->cells[i];

        if (cell->row == 0)
            continue;
        styled_reset(&text);
        for (size_t k = 0; k < table->count && table->cells[k].row == 0; k++) {
            const struct styled *heading = &table->cells[k].text;

            if (table->cells[k].column == cell->column && heading->text.len > 0) {
                styled_copy(&text, heading, 0, heading->text.len);
                styled_add(&text, STYLE_TEXT, ": ");
            }
        }
        if (cell->text.text.len > 0)
            styled_copy(&text, &cell->text, 0, cell->text.text.len);
        lines_wrap(out, &text,
                   &(struct wrapping){ .width = width, .first = prefix, .rest = prefix });
        if (cell->column + 1 == table->columns && cell->row + 1 < table->rows)
            lines_end(out, STYLE_TEXT);
    }
    styled_release(&text);
}

void table_lines(const struct table *table, struct lines *out, const struct styled *first,
                 const struct styled *rest, int width)
{
    int widths[TABLE_COLUMNS_MAX];
    const struct styled *prefix = first;

    if (table->columns == 0)
        return;
    if (!fit(table, width - styled_width(rest), widths)) {
        list_lines(table, out, rest, width);
        return;
    }
    for (size_t i = 0; i < table->count;) {
        size_t row = table->cells[i].row, end = i;

        while (end < table->count && table->cells[end].row == row)
            end++;
        row_lines(table, &table->cells[i], end - i, widths, out, prefix);
        prefix = rest;
        if (row == 0)
            rule(table, widths, out, prefix);
        i = end;
    }
}
