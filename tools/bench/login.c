// A storm: everyone wants in at the same moment, so that a login takes from that moment until its
// Welcome, however long it was until its turn. With --rate each is due at its own moment.
#include "report.h"

bool run_login(struct bench *b) {
    struct meter meter;
    struct histogram h;
    const struct goal open = {COUNT_OPEN, b->sessions, "logged in"};
    const struct goal synced = {COUNT_SYNCED, b->sessions, "up to date"};
    meter_begin(b, &meter);
    uint64_t from_us = bench_now_us(b);
    bool is_done = bench_login_begin(b, 0, b->sessions, b->options->rate) &&
                   bench_await(b, &open) && bench_await(b, &synced);
    double active_us = (double)(share_last_us(b->share, LANE_LOGIN) - from_us);
    meter_end(b, &meter, b->sessions);
    if (!is_done)
        return false;
    report_number(b, "rate", b->sessions * 1e6 / active_us);
    share_lane(b->share, LANE_LOGIN, &h);
    report_latency(b->report, &h);
    json_object_set_new(b->report, "logins",
                        json_integer((json_int_t)share_sum(b->share, COUNT_LOGINS)));
    report_counts(b);
    return true;
}
