// ui/pane.c
// SPDX-License-Identifier: MIT
#include "ui/pane.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "ui/theme.h"

#define HEADING_ROWS 1
#define ENTRY_ROWS   2 // title and detail

static void release_entries(struct pane *pane)
{
    for (size_t i = 0; i < pane->count; i++) {
        free(pane->entries[i].id);
        free(pane->entries[i].title);
        free(pane->entries[i].detail);
    }
    free(pane->entries);
    free(pane->heading);
    pane->entries = NULL;
    pane->heading = NULL;
    pane->count = 0;
}

void pane_release(struct pane *pane)
{
    release_entries(pane);
    *pane = (struct pane){ 0 };
}

static bool same_order(const struct pane *pane, const struct ui_entry *entries,
                       size_t count)
{
    for (size_t i = 0; i < count && i < pane->count; i++)
        if (strcmp(pane->entries[i].id, entries[i].id) != 0)
            return false;
    return count == pane->count;
}

// The selection stays on the same id, or goes to the current one.
void pane_set(struct pane *pane, const char *heading, const struct ui_entry *entries,
              size_t count)
{
    const char *before = pane_selected(pane);
    char *selected = before != NULL ? alloc_string(before) : NULL;
    size_t found = 0;

    pane->changed = pane->changed || !same_order(pane, entries, count);
    release_entries(pane);
    pane->heading = alloc_string(heading);
    pane->entries = alloc_array(count, sizeof(*pane->entries));
    pane->count = count;
    for (size_t i = 0; i < count; i++) {
        pane->entries[i] =
            (struct pane_entry){ alloc_string(entries[i].id),
                                 alloc_string(entries[i].title),
                                 alloc_string(entries[i].detail), entries[i].current };
        if (selected != NULL ? strcmp(selected, entries[i].id) == 0 : entries[i].current)
            found = i;
    }
    pane->selected = found;
    free(selected);
}

void pane_move(struct pane *pane, int by)
{
    long to = (long)pane->selected + by;

    if (pane->count == 0)
        return;
    pane->selected = to < 0                      ? 0
                     : (size_t)to >= pane->count ? pane->count - 1
                                                 : (size_t)to;
}

const char *pane_selected(const struct pane *pane)
{
    return pane->selected < pane->count ? pane->entries[pane->selected].id : NULL;
}

bool pane_click(struct pane *pane, int row)
{
    size_t index = pane->first + (size_t)((row - HEADING_ROWS) / ENTRY_ROWS);

    if (row < HEADING_ROWS || index >= pane->count)
        return false;
    pane->selected = index;
    return true;
}

static void paint_entry(const struct pane *pane, struct terminal *terminal, int y, int x,
                        int width, size_t index, bool focused)
{
    const struct pane_entry *entry = &pane->entries[index];
    bool selected = focused && index == pane->selected;
    uint16_t title = selected ? STYLE_SELECTED : entry->current ? STYLE_NAME : STYLE_TEXT;
    uint16_t detail = selected ? STYLE_SELECTED : STYLE_MUTED;
    const char *mark = entry->current ? "● " : "  ";

    if (selected) {
        terminal_fill(terminal, y, x, width, STYLE_SELECTED);
        terminal_fill(terminal, y + 1, x, width, STYLE_SELECTED);
    }
    terminal_put(terminal, y, x, width, title, mark, strlen(mark));
    terminal_put(terminal, y, x + 2, width - 3, title, entry->title,
                 strlen(entry->title));
    terminal_put(terminal, y + 1, x + 2, width - 3, detail, entry->detail,
                 strlen(entry->detail));
}

void pane_paint(struct pane *pane, struct terminal *terminal, int y, int x, int height,
                int width, bool focused)
{
    size_t visible =
        height > HEADING_ROWS ? (size_t)(height - HEADING_ROWS) / ENTRY_ROWS : 0;

    if (pane->heading != NULL)
        terminal_put(terminal, y, x, width - 1, STYLE_HEADING, pane->heading,
                     strlen(pane->heading));
    for (int row = 0; row < height; row++)
        terminal_put(terminal, y + row, x + width - 1, 1, STYLE_MUTED, "│", strlen("│"));
    if (visible == 0)
        return;
    if (pane->selected < pane->first)
        pane->first = pane->selected;
    if (pane->selected >= pane->first + visible)
        pane->first = pane->selected - visible + 1;
    if (pane->first != pane->painted_first || pane->changed)
        terminal_renew_pictures(terminal);
    pane->painted_first = pane->first;
    pane->changed = false;
    for (size_t i = 0; i < visible && pane->first + i < pane->count; i++)
        paint_entry(pane, terminal, y + HEADING_ROWS + (int)i * ENTRY_ROWS, x, width - 1,
                    pane->first + i, focused);
}
