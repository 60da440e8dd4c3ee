// Pushes to users, one after the other in turn: as many as are taken, with a bound on what has not
// come yet; or so many a second, due whether the earlier ones are done or not.
#ifndef BENCH_PRESS_H
#define BENCH_PRESS_H

#include "bench.h"

struct press {
    struct bench *bench; // borrowed
    uint32_t first, end; // users
    uint32_t batch;      // pushes in a call
    // private
    uint32_t next;
    char path[80];
    struct buf body; // owned
    uint64_t sent;   // messages: in calls made so far
    // what became of them; failed: not taken, or nobody knows
    uint64_t accepted, failed;
    char first_failure[160]; // status and answer; "": none
};
void press_init(struct press *p, struct bench *b, uint32_t users);
void press_deinit(struct press *p);

// `messages` of them, as fast as they are taken, wherever they wait then.
bool press_number(struct press *p, uint64_t messages);
// As fast as it goes: at most `window` messages that were sent and have not come to their clients.
bool press_flat_out(struct press *p, uint64_t ms, uint64_t window);
// `rate` messages a second; those of a call are due together, when its first one is. `also` is done
// again and again meanwhile, and ends it all when it returns false; NULL: nothing.
struct pace {
    uint64_t ms;
    double rate;
    bool (*also)(void *arg);
    void *arg;
};
bool press_steady(struct press *p, const struct pace *pace);
// Until every call is answered.
bool press_answered(struct press *p);
// And until what was accepted has come and is acknowledged.
bool press_settle(struct press *p);
// accepted, failed, delivered, and the first failure if there was one.
void press_report(const struct press *p, json_t *object);

#endif
