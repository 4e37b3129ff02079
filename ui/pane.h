// ui/pane.h
// SPDX-License-Identifier: MIT
//
// A list of which one is chosen: conversations, or what a search has found.
#ifndef ORIEL_UI_PANE_H
#define ORIEL_UI_PANE_H

#include <stdbool.h>
#include <stddef.h>

#include "ui/terminal.h"
#include "ui/ui.h"

struct pane_entry {
    char *id, *title, *detail;
    bool current;
};
struct pane {
    char *heading;
    struct pane_entry *entries;
    size_t count, selected, first; // first: the uppermost visible one
    size_t painted_first;
    bool changed; // which entries there are, since they were painted
};
void pane_release(struct pane *pane);

void pane_set(struct pane *pane, const char *heading, const struct ui_entry *entries,
              size_t count);
void pane_move(struct pane *pane, int by);
const char *pane_selected(const struct pane *pane); // its id; NULL when it is empty
// The entry drawn at row `row` of the pane becomes the selected one; false: none is
// there.
bool pane_click(struct pane *pane, int row);

void pane_paint(struct pane *pane, struct terminal *terminal, int y, int x, int height,
                int width, bool focused);

#endif
