// ui/events.c
// SPDX-License-Identifier: MIT
#include "ui/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

void events_release(struct events *events)
{
    for (size_t i = 0; i < events->count; i++)
        free((char *)(uintptr_t)events->items[i].text);
    free(events->handed);
    *events = (struct events){ .count = 0 };
}

void events_push(struct events *events, const struct ui_event *event)
{
    struct ui_event copy = *event;

    if (event->kind == UI_EVENT_TYPED && events->count > 0 &&
        events->items[events->count - 1].kind == UI_EVENT_TYPED)
        return; // said once is enough
    if (events->count == EVENTS_MAX)
        bug("more events than there is room for");
    copy.text = alloc_string(event->text != NULL ? event->text : "");
    events->items[events->count++] = copy;
}

bool events_next(struct events *events, struct ui_event *event)
{
    if (events->count == 0)
        return false;
    *event = events->items[0];
    free(events->handed);
    events->handed = (char *)(uintptr_t)event->text;
    memmove(events->items, events->items + 1, --events->count * sizeof(events->items[0]));
    return true;
}
