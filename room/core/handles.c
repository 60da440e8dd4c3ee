#include "handles.h"

#include <stdlib.h>

#include "buf.h"

enum { HANDLES_FIRST = 16 };

void handles_deinit(struct handles *h) {
    free(h->list);
    *h = (struct handles){0};
}

void handles_add(struct handles *h, uint64_t handle) {
    if (h->count == h->capacity) {
        h->capacity = h->capacity ? h->capacity * 2 : HANDLES_FIRST;
        h->list = hw_realloc(h->list, h->capacity * sizeof(h->list[0]));
    }
    h->list[h->count++] = handle;
}

void handles_move(struct handles *from, struct handles *to) {
    for (size_t i = 0; to && i < from->count; i++)
        handles_add(to, from->list[i]);
    handles_deinit(from);
}

void handles_take(struct handles *h, handle_fn *fn, void *arg) {
    struct handles due = *h;
    *h = (struct handles){0};
    for (size_t i = 0; i < due.count; i++)
        if (fn(arg, due.list[i]))
            handles_add(h, due.list[i]);
    handles_deinit(&due);
}

static void handles_fit(struct handles *h) {
    if (h->capacity < 4 * HANDLES_FIRST || h->count > h->capacity / 4)
        return;
    h->capacity /= 2;
    h->list = hw_realloc(h->list, h->capacity * sizeof(h->list[0]));
}

void handles_look(struct handles *h, size_t looks, handle_fn *fn, void *arg) {
    for (; looks > 0 && h->count > 0; looks--) {
        if (h->at >= h->count)
            h->at = 0;
        if (fn(arg, h->list[h->at]))
            h->at++;
        else
            h->list[h->at] = h->list[--h->count];
    }
    handles_fit(h);
}
