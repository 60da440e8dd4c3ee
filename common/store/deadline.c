#include "deadline.h"

uint64_t deadline_in(const struct loop *l, uint64_t ms) {
    return loop_ran_ms(l) + ms;
}

static void deadline_arm(struct deadline *d);

static void on_deadline_due(struct timer *t) {
    struct deadline *d = container_of(t, struct deadline, timer);
    if (d->due_ms > loop_ran_ms(d->loop))
        deadline_arm(d);
    else
        d->late(d);
}

static void deadline_arm(struct deadline *d) {
    uint64_t now = loop_ran_ms(d->loop);
    loop_arm(d->loop, &d->timer, d->due_ms > now ? d->due_ms - now : 0, on_deadline_due);
}

void deadline_set(struct deadline *d, struct loop *l, uint64_t due_ms,
                  void (*late)(struct deadline *d)) {
    d->loop = l;
    d->due_ms = due_ms;
    d->late = late;
    deadline_arm(d);
}

void deadline_clear(struct deadline *d) {
    if (d->loop)
        loop_disarm(d->loop, &d->timer);
}
