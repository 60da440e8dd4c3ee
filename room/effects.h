// What the sessions of a room have written down and nobody has done yet: one queue. A step adds to
// it and returns. What is written down is carried out by one file (carry_out.c): at the end of the
// loop's iteration, and before a hot path begins, which must find the room settled; never while
// some of it is being carried out already. So no file calls those above it, and nothing is freed
// that a caller holds.
#ifndef HW_EFFECTS_H
#define HW_EFFECTS_H

#include "loop.h"
#include "session.h"

enum effects_kind {
    EFFECTS_DO,
    EFFECTS_STEP_OVER,    // what one step wrote down is done
    EFFECTS_SESSION_OVER, // the step that left the session GONE: nothing of it comes after this
};

struct effects_item {
    uint32_t slot, turn; // of the binding, which may be gone when this is carried out
    enum effects_kind kind;
    struct session_effect effect; // EFFECTS_DO
};

struct effects;
typedef void effects_run_fn(struct effects *q);

struct effects {
    struct loop *loop;
    effects_run_fn *run;       // carries out all that is there
    struct effects_item *list; // owned; from `at` on they wait
    size_t at, count, capacity;
    struct hook hook;
    bool is_running;
};

void effects_init(struct effects *q, struct loop *l, effects_run_fn *run);
void effects_deinit(struct effects *q);
void effects_add(struct effects *q, const struct effects_item *item);
bool effects_take(struct effects *q, struct effects_item *ret_item); // false: none is left
void effects_wake(struct effects *q); // runs it in this iteration, also if it is empty
// Before a hot path: what was written down comes first.
static inline void effects_settle(struct effects *q) {
    if (q->at < q->count && !q->is_running)
        q->run(q);
}

#endif
