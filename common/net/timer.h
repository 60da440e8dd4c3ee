// A hierarchical timer wheel: arming, re-arming and stopping are O(1), whatever the number of
// timers; resolution 1 ms. The timer struct is embedded in its owner (32 bytes), owned by it, and
// must be stopped before its owner goes. An all-zero timer is stopped. A timer never fires early,
// and never from within timer_arm. Sources: Varghese and Lauck, scheme 7.
#ifndef HW_TIMER_H
#define HW_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct timer;
typedef void timer_fn(struct timer *t); // t is stopped when it runs and may be re-armed or freed;
                                        // find the owner by container_of

struct timer {
    struct timer *next, **link; // in its wheel slot; link NULL = stopped
    uint64_t due_ms;
    timer_fn *fn;
};

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

struct wheel; // owned by the loop
struct wheel *wheel_new(uint64_t now_ms);
void wheel_free(struct wheel *w);
uint32_t wheel_armed(const struct wheel *w);
void wheel_arm(struct wheel *w, struct timer *t, uint64_t due_ms, timer_fn *fn); // re-arms if armed
void wheel_stop(struct wheel *w, struct timer *t);
bool timer_is_armed(const struct timer *t);
uint64_t wheel_next_due_ms(
    const struct wheel *w); // a lower bound of the next due time, UINT64_MAX when none
void wheel_run(
    struct wheel *w,
    uint64_t now_ms); // fires what is due, in order of due_ms, equal ones in order of arming
// For the report at exit: calls f for every armed timer.
void wheel_each(const struct wheel *w, void (*f)(void *arg, const struct timer *t), void *arg);

#endif
