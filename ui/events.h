// ui/events.h
// SPDX-License-Identifier: MIT
//
// What a person has done and the owner has not taken yet.
#ifndef ORIEL_UI_EVENTS_H
#define ORIEL_UI_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "ui/ui.h"

#define EVENTS_MAX 64 // until the owner takes them, keys wait

struct events {
    struct ui_event items[EVENTS_MAX]; // with texts of our own
    size_t count;
    char *handed; // text of the event that was taken last
};
void events_release(struct events *events);

// text may be NULL for "". Several UI_EVENT_TYPED in a row are one.
void events_push(struct events *events, const struct ui_event *event);
bool events_next(struct events *events, struct ui_event *event);

#endif
