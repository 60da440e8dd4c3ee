// Everyone comes back to messages that were stored meanwhile. The rate is of messages, from the
// moment when all come; the latencies are until a session has nothing waiting any more.
#include "press.h"
#include "report.h"

static bool waiting_push(struct bench *b, struct press *press) {
    uint64_t messages = b->options->waiting * b->sessions;
    press_init(press, b, b->sessions);
    press->batch = messages < press->batch ? (uint32_t)messages : press->batch;
    // The last call may hold more than is missing: then some users have one message more.
    return press_number(press, messages) &&
           (press->failed == 0 || bench_fail(b, "a push failed: %s", press->first_failure));
}

bool run_catchup(struct bench *b) {
    struct press press;
    struct meter meter;
    struct histogram h;
    bool is_done = waiting_push(b, &press) && bench_reset(b);
    press_deinit(&press);
    if (!is_done)
        return false;
    const struct goal came = {COUNT_INBOX, press.accepted, "messages received"};
    const struct goal synced = {COUNT_SYNCED, b->sessions, "up to date"};
    meter_begin(b, &meter);
    uint64_t from_us = bench_now_us(b);
    is_done =
        bench_login_begin(b, 0, b->sessions, 0) && bench_await(b, &synced) && bench_await(b, &came);
    double active_us = (double)(share_last_us(b->share, LANE_SYNCED) - from_us);
    meter_end(b, &meter, press.accepted);
    if (!is_done)
        return false;
    report_number(b, "rate", (double)press.accepted * 1e6 / active_us);
    share_lane(b->share, LANE_SYNCED, &h);
    report_latency(b->report, &h);
    json_object_set_new(b->report, "accepted", json_integer((json_int_t)press.accepted));
    json_object_set_new(b->report, "delivered",
                        json_integer((json_int_t)share_sum(b->share, COUNT_INBOX)));
    report_counts(b);
    return true;
}
