#include "effects.h"

#include <stdlib.h>

#include "buf.h"

enum { KEPT_MAX = 128 }; // items whose memory stays for the next time

void effects_init(struct effects *q, struct loop *l, effects_run_fn *run) {
    *q = (struct effects){.loop = l, .run = run};
}

void effects_deinit(struct effects *q) {
    hook_stop(&q->hook);
    free(q->list);
    q->list = NULL;
    q->at = q->count = q->capacity = 0;
}

static void effects_on_hook(struct hook *h) {
    struct effects *q = container_of(h, struct effects, hook);
    q->run(q);
}

void effects_wake(struct effects *q) {
    hook_schedule(q->loop, &q->hook, effects_on_hook);
}

void effects_add(struct effects *q, const struct effects_item *item) {
    if (q->count == q->capacity) {
        q->capacity = q->capacity ? q->capacity * 2 : 64;
        q->list = hw_realloc(q->list, q->capacity * sizeof(q->list[0]));
    }
    if (q->count == 0)
        effects_wake(q);
    q->list[q->count++] = *item;
}

bool effects_take(struct effects *q, struct effects_item *ret_item) {
    if (q->at < q->count) {
        *ret_item = q->list[q->at++];
        return true;
    }
    q->at = q->count = 0;
    if (q->capacity > KEPT_MAX) {
        free(q->list);
        q->list = NULL;
        q->capacity = 0;
    }
    return false;
}
