// Sessions at rest: what they cost in memory when the allocators have given back what the logins
// needed. Each is pinged once, spread over the time that it lasts.
#include "report.h"

enum { REST_MS = 8000 }; // sessions lie down within 1 s, the daemons' allocator gives back after 5

static bool ping_all(struct bench *b) {
    const struct order o = {
        .kind = ORDER_PING, .end = b->sessions, .over_ms = b->options->seconds * 1000};
    const struct goal answered = {COUNT_PONGS, b->sessions, "pinged"};
    return bench_order(b, &o) && bench_await(b, &answered);
}

bool run_idle(struct bench *b) {
    struct meter meter;
    struct histogram h;
    if (!bench_login(b, 0, b->sessions) || !bench_pause(b, REST_MS, "seconds at rest"))
        return false;
    meter_begin(b, &meter);
    uint64_t from_us = bench_now_us(b);
    bool is_done = ping_all(b);
    double active_us = (double)(share_last_us(b->share, LANE_PING) - from_us);
    is_done =
        is_done && bench_pause(b, REST_MS, "seconds at rest again"); // a ping wakes its session
    meter_end(b, &meter, b->sessions);
    if (!is_done)
        return false;
    report_number(b, "rate", b->sessions * 1e6 / active_us);
    share_lane(b->share, LANE_PING, &h);
    report_latency(b->report, &h);
    json_object_set_new(b->report, "pongs",
                        json_integer((json_int_t)share_sum(b->share, COUNT_PONGS)));
    report_counts(b);
    return true;
}
