// A storm: everyone wants in at the same moment, so that a login takes from that moment until its
// Welcome, however long it had to wait. With --rate each is due at its own moment. With
// --kill all of that is of the second time: every room was killed, each client saw its connection
// break, and comes back when the spread that its room had told is over.
#include "report.h"

static bool login_all(struct bench *b, uint64_t rate) {
    const struct goal open = {COUNT_OPEN, b->sessions, "logged in"};
    const struct goal synced = {COUNT_SYNCED, b->sessions, "up to date"};
    return bench_login_begin(b, 0, b->sessions, rate) && bench_await(b, &open) &&
           bench_await(b, &synced);
}

static bool rooms_kill(struct bench *b) {
    struct buf error = BUF_EMPTY;
    int failed = own_cluster_rooms_again(&b->cluster, &error);
    if (failed != 0)
        bench_fail(b, "%s", buf_cstr(&error));
    buf_free(&error);
    memcpy(b->share->plan.ports, b->cluster.rooms, sizeof(b->share->plan.ports));
    return failed == 0;
}

// Nobody is logged in once the rooms are gone; each client comes by itself.
static bool all_come_back(struct bench *b) {
    const struct goal back = {COUNT_LOGINS, b->sessions, "back"};
    const struct goal synced = {COUNT_SYNCED, b->sessions, "up to date"};
    return rooms_kill(b) && bench_await(b, &back) && bench_await(b, &synced);
}

static double login_rate(struct bench *b, uint64_t from_us) {
    return (double)b->sessions * 1e6 / (double)(share_last_us(b->share, LANE_LOGIN) - from_us);
}

static bool login_before_kill(struct bench *b) {
    uint64_t from_us = bench_now_us(b);
    if (!login_all(b, b->options->rate))
        return false;
    report_number(b, "first_rate", login_rate(b, from_us));
    return bench_reset(b);
}

bool run_login(struct bench *b) {
    struct meter meter;
    struct histogram h;
    if (b->options->kill && !login_before_kill(b))
        return false;
    meter_begin(b, &meter);
    uint64_t from_us = bench_now_us(b);
    bool is_done = b->options->kill ? all_come_back(b) : login_all(b, b->options->rate);
    meter_end(b, &meter, b->sessions);
    if (!is_done)
        return false;
    report_number(b, "rate", login_rate(b, from_us));
    share_lane(b->share, LANE_LOGIN, &h);
    report_latency(b->report, &h);
    json_object_set_new(b->report, "logins",
                        json_integer((json_int_t)share_sum(b->share, COUNT_LOGINS)));
    report_counts(b);
    return true;
}
