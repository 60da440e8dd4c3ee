#include "store_clock.h"

#include "calls.h"

enum { ASK_MS = 5000, ASK_AGAIN_MS = 200, LOST_MS = 60000, FRESH_MS = 1000 };

static void store_clock_ask(struct timer *t);

static void store_clock_on_answer(void *arg, int error, const Hawser__Internal__ClockReply *reply) {
    struct store_clock *clock = arg;
    (void)error;
    uint64_t now = loop_now_ms(clock->loop);
    // An answer that waited for us, as after a thaw, says how late it was, not how late it is.
    bool is_fresh = reply && now - clock->asked_ms <= FRESH_MS;
    loop_arm(clock->loop, &clock->timer, is_fresh ? ASK_MS : ASK_AGAIN_MS, store_clock_ask);
    if (is_fresh) { // read before it came here: never later than the store's clock is
        clock->offset_ms = (int64_t)reply->store_ms - (int64_t)now;
        clock->read_ms = now;
        clock->is_known = true;
    } else {
        clock->is_known = clock->is_known && now < clock->read_ms + LOST_MS;
    }
}

static void store_clock_ask(struct timer *t) {
    struct store_clock *clock = container_of(t, struct store_clock, timer);
    Hawser__Internal__ClockRequest request = HAWSER__INTERNAL__CLOCK_REQUEST__INIT;
    clock->asked_ms = loop_now_ms(clock->loop);
    saver_clock(saver_of_product(clock->cluster, 0), &request, store_clock_on_answer, clock);
}

void store_clock_start(struct store_clock *clock, struct loop *loop, struct cluster *cluster) {
    *clock = (struct store_clock){.loop = loop, .cluster = cluster};
    loop_arm(loop, &clock->timer, 0, store_clock_ask);
}

void store_clock_stop(struct store_clock *clock) {
    if (clock->loop)
        loop_disarm(clock->loop, &clock->timer);
}

uint64_t store_clock_ms(const struct store_clock *clock) {
    return clock->is_known ? (uint64_t)((int64_t)loop_now_ms(clock->loop) + clock->offset_ms) : 0;
}
