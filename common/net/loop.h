// The event loop: one thread, one epoll set, one timer wheel. Per iteration: wait, read the clock
// once, run events, run due timers, run jobs (budgeted slices of long work), run the before-sleep
// hooks (where batched writes are flushed), and then finish deferred closes. Nothing called from
// the loop may block.
//
// Watches of foreign descriptors (hiredis, libcurl) are level-triggered; streams and
// listeners are edge-triggered and registered once. The kernel gets slot and turn, never a
// pointer.
#ifndef HW_LOOP_H
#define HW_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os.h"
#include "rng.h"
#include "timer.h"

struct loop;

struct loop *loop_new(struct os *os); // os is borrowed and outlives the loop
// Ends the loop. Returns how many watches, streams, timers, hooks and jobs were still there, each
// reported on stderr with the file and line that made it (0 when all was tidy).
int loop_free(struct loop *l);

void loop_run(struct loop *l); // until loop_stop
// One iteration: waits at most timeout_ms (negative: until something happens). For embedding and
// the simulation.
void loop_step(struct loop *l, int timeout_ms);
// When loop_step has something to do without any event: 0 = now, UINT64_MAX = never.
uint64_t loop_next_due_ms(const struct loop *l);
void loop_stop(struct loop *l);

struct os *loop_os(struct loop *l);
struct rng *loop_rng(struct loop *l);
uint64_t loop_now_ms(const struct loop *l);  // read once per iteration, CLOCK_BOOTTIME
uint64_t loop_wall_ms(const struct loop *l); // Unix ms, read once per iteration
// As loop_now_ms, of a clock that stands while the loop does: the process was stopped, or its
// machine was. For deadlines of others, who could not be heard meanwhile.
uint64_t loop_ran_ms(const struct loop *l);
uint64_t loop_clock_us(struct loop *l); // read now: for time budgets only

// Newcomers that listeners closed or could not take for want of descriptors. Valid as long as l.
const uint64_t *loop_accepts_refused(const struct loop *l);
// Bytes that streams have read, and their owners left unconsumed. Valid as long as l.
const uint64_t *loop_kept_bytes(const struct loop *l);
// Events of what had closed in the same iteration. Valid as long as l.
const uint64_t *loop_stale_events(const struct loop *l);

#define loop_arm(l, t, after_ms, fn) loop_arm_at((l), (t), (after_ms), (fn), __FILE__, __LINE__)
void loop_arm_at(struct loop *l, struct timer *t, uint64_t after_ms, timer_fn *fn, const char *file,
                 int line);
void loop_disarm(struct loop *l, struct timer *t);

// A foreign descriptor. fn gets OS_READABLE, OS_WRITABLE, OS_HANGUP bits.
struct watch;
typedef void watch_fn(void *arg, int fd, uint32_t events);
#define loop_watch(l, fd, events, fn, arg)                                                         \
    loop_watch_at((l), (fd), (events), (fn), (arg), __FILE__, __LINE__)
struct watch *loop_watch_at(struct loop *l, int fd, uint32_t events, watch_fn *fn, void *arg,
                            const char *file, int line);
void watch_set(struct watch *w, uint32_t events); // 0 = none for now
void watch_end(struct watch *w); // the fd stays open and the caller's; safe inside fn

// Work that must not hold up the loop: step does about 1 ms of it and returns true while there is
// more. While a job runs, the loop polls instead of sleeping, so that events pass between slices.
// Embedded in its owner, must be stopped before its owner goes.
struct job {
    struct job *next, *prev;
    bool (*step)(struct job *j);
    struct loop *loop; // NULL = not running
};
void job_start(struct loop *l, struct job *j,
               bool (*step)(struct job *j)); // no-op when running already
void job_stop(struct job *j);

// Runs once at the end of this iteration's work, before sleeping; then it is off until scheduled
// again. For flushing batches and for freeing what must outlive the current call. Embedded, must be
// stopped before its owner goes. Hooks scheduled by hooks run in the same iteration.
struct hook {
    struct hook *next, *prev;
    void (*fn)(struct hook *h);
    struct loop *loop; // NULL = not scheduled
};
void hook_schedule(struct loop *l, struct hook *h,
                   void (*fn)(struct hook *h)); // no-op when scheduled already
void hook_stop(struct hook *h);

// Signals: at most one handler. SIGTERM, SIGINT, SIGHUP, SIGCHLD.
void loop_on_signal(struct loop *l, os_signal_fn *handler, void *arg);

#endif
