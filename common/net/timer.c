// Four levels of 256 slots: level n holds timers due within 256^(n+1) ms, so that ~49 days fit;
// later ones wait in the last slot of the top level and are put again when it is reached.
// Advancing past a level's end cascades one slot of the next.
#include "timer.h"

#include <assert.h>

#include "buf.h"

enum { LEVELS = 4, SLOT_BITS = 8, SLOTS = 1 << SLOT_BITS };

struct wheel {
    uint64_t now_ms; // all timers due at or before it have fired
    uint32_t armed;
    struct timer *slots[LEVELS][SLOTS];
    uint64_t occupied[LEVELS][SLOTS / 64]; // may claim an emptied slot until it is passed
};

struct wheel *wheel_new(uint64_t now_ms) {
    struct wheel *w = hw_calloc(1, sizeof(*w));
    w->now_ms = now_ms;
    return w;
}

void wheel_free(struct wheel *w) {
    free(w);
}

uint32_t wheel_armed(const struct wheel *w) {
    return w->armed;
}

bool timer_is_armed(const struct timer *t) {
    return t->link != NULL;
}

static void link_at(struct timer **head, struct timer *t) {
    t->next = *head;
    t->link = head;
    if (*head)
        (*head)->link = &t->next;
    *head = t;
}

static void unlink_timer(struct timer *t) {
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->next = NULL;
    t->link = NULL;
}

// The level is where due and now differ highest; the slot is due's digit there.
static void wheel_put(struct wheel *w, struct timer *t) {
    uint64_t due = t->due_ms > w->now_ms ? t->due_ms : w->now_ms + 1;
    uint64_t span = UINT64_C(1) << (LEVELS * SLOT_BITS);
    if (due - w->now_ms >= span - (span >> SLOT_BITS))
        due = w->now_ms + span - (span >> SLOT_BITS) - 1;
    int level = 0;
    while (level < LEVELS - 1 &&
           (due >> (SLOT_BITS * (level + 1))) != (w->now_ms >> (SLOT_BITS * (level + 1))))
        level++;
    uint32_t slot = (uint32_t)(due >> (SLOT_BITS * level)) & (SLOTS - 1);
    link_at(&w->slots[level][slot], t);
    w->occupied[level][slot / 64] |= UINT64_C(1) << (slot % 64);
}

void wheel_stop(struct wheel *w, struct timer *t) {
    if (!t->link)
        return;
    unlink_timer(t);
    w->armed--;
}

void wheel_arm(struct wheel *w, struct timer *t, uint64_t due_ms, timer_fn *fn) {
    wheel_stop(w, t);
    t->due_ms = due_ms;
    t->fn = fn;
    wheel_put(w, t);
    w->armed++;
}

// First occupied slot of a level at or after `from`, or SLOTS.
static uint32_t next_occupied(struct wheel *w, int level, uint32_t from) {
    for (uint32_t slot = from; slot < SLOTS; slot++) {
        uint64_t word = w->occupied[level][slot / 64] >> (slot % 64);
        if (word == 0) {
            slot |= 63;
            continue;
        }
        slot += (uint32_t)__builtin_ctzll(word);
        if (w->slots[level][slot])
            return slot;
        w->occupied[level][slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    }
    return SLOTS;
}

uint64_t wheel_next_due_ms(const struct wheel *const_wheel) {
    struct wheel *w = (struct wheel *)(uintptr_t)const_wheel; // only clears stale occupied bits
    if (w->armed == 0)
        return UINT64_MAX;
    for (int level = 0; level < LEVELS; level++) {
        int shift = SLOT_BITS * level;
        uint32_t digit = (uint32_t)(w->now_ms >> shift) & (SLOTS - 1);
        uint32_t slot = next_occupied(w, level, digit + 1);
        if (slot < SLOTS)
            return ((w->now_ms >> shift) - digit + slot) << shift;
        // The top level wraps: what is due beyond its end lies in its low slots.
        if (level == LEVELS - 1 && (slot = next_occupied(w, level, 0)) < SLOTS)
            return ((w->now_ms >> shift) - digit + SLOTS + slot) << shift;
    }
    return w->now_ms + 1;
}

static void cascade(struct wheel *w, int level) {
    uint32_t slot = (uint32_t)(w->now_ms >> (SLOT_BITS * level)) & (SLOTS - 1);
    struct timer *list = w->slots[level][slot];
    w->slots[level][slot] = NULL;
    // Lists are newest first; put in oldest first, equal ones keep their order of arming.
    struct timer *reversed = NULL;
    while (list) {
        struct timer *t = list;
        list = t->next;
        t->next = reversed;
        reversed = t;
    }
    while (reversed) {
        struct timer *t = reversed;
        reversed = t->next;
        uint64_t due = t->due_ms;
        if (due <= w->now_ms) {
            link_at(&w->slots[0][w->now_ms & (SLOTS - 1)], t);
            continue;
        }
        wheel_put(w, t);
    }
}

static void fire_slot(struct wheel *w) {
    uint32_t slot = (uint32_t)w->now_ms & (SLOTS - 1);
    struct timer *due = NULL;
    // Moved to a list of its own, oldest first, so that what a handler arms never fires in this
    // round.
    while (w->slots[0][slot]) {
        struct timer *t = w->slots[0][slot];
        unlink_timer(t);
        link_at(&due, t);
    }
    while (due) {
        struct timer *t = due;
        unlink_timer(t);
        if (t->due_ms > w->now_ms) {
            wheel_put(w, t); // parked beyond the wheel's span
            continue;
        }
        w->armed--;
        t->fn(t);
    }
}

void wheel_run(struct wheel *w, uint64_t now_ms) {
    while (w->now_ms < now_ms) {
        uint64_t next = wheel_next_due_ms(w);
        if (next > now_ms) {
            // Nothing lies between, so no slot is jumped over; cascades due at now_ms itself are
            // not skipped either, since wheel_next_due_ms names the first moment of an occupied
            // upper slot.
            w->now_ms = now_ms;
            return;
        }
        w->now_ms = next;
        for (int level = LEVELS - 1; level > 0; level--)
            if ((w->now_ms & ((UINT64_C(1) << (SLOT_BITS * level)) - 1)) == 0)
                cascade(w, level);
        fire_slot(w);
    }
}

void wheel_each(const struct wheel *w, void (*f)(void *arg, const struct timer *t), void *arg) {
    for (int level = 0; level < LEVELS; level++)
        for (int slot = 0; slot < SLOTS; slot++)
            for (const struct timer *t = w->slots[level][slot]; t; t = t->next)
                f(arg, t);
}
