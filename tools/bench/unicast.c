// Stored pushes to one user each, from HTTP in to the client that has acknowledged. Without --rate:
// first as many as the cluster takes, which is the rate; then half of that at a steady pace, whose
// latencies are reported, since those of a cluster at its limit say only how long the queue was.
#include "floor.h"
#include "press.h"
#include "report.h"

// What one part found.
struct part {
    double rate;     // messages a second that came
    uint64_t came;   // messages
    json_t *account; // owned: what the press says of them
    struct histogram latency;
};

static bool unicast_part(struct bench *b, double rate, struct part *ret) {
    struct press press;
    uint64_t ms = b->options->seconds * 1000, from_us;
    uint64_t window = b->options->connections * b->options->batch * 2;
    *ret = (struct part){.account = json_object()};
    if (!bench_reset(b))
        return false;
    press_init(&press, b, b->sessions);
    from_us = bench_now_us(b);
    bool is_done = rate > 0 ? press_steady(&press, &(struct pace){.ms = ms, .rate = rate})
                            : press_flat_out(&press, ms, window);
    is_done = is_done && press_settle(&press);
    ret->came = share_sum(b->share, COUNT_INBOX);
    uint64_t last_us = share_last_us(b->share, LANE_INBOX);
    ret->rate = last_us > from_us ? (double)ret->came * 1e6 / (double)(last_us - from_us) : 0;
    share_lane(b->share, LANE_INBOX, &ret->latency);
    press_report(&press, ret->account);
    press_deinit(&press);
    return is_done;
}

// What is measured with CPU and memory is the part that `rate` is of.
static bool unicast_measure(struct bench *b, double asked, struct part *ret) {
    struct meter meter;
    meter_begin(b, &meter);
    bool is_done = unicast_part(b, asked, ret);
    meter_end(b, &meter, ret->came);
    json_object_update(b->report, ret->account);
    report_number(b, "rate", ret->rate);
    report_latency(b->report, &ret->latency);
    report_counts(b);
    return is_done;
}

// The part whose latencies are told when nobody asked for a rate.
static bool unicast_at_half(struct bench *b, double rate) {
    struct part half;
    bool is_done = unicast_part(b, rate / 2, &half);
    json_object_set_new(half.account, "rate", json_real(half.rate));
    json_object_set(b->report, "latency_of", half.account);
    report_latency(b->report, &half.latency);
    json_decref(half.account);
    return is_done;
}

bool run_unicast(struct bench *b) {
    struct part main;
    double asked = (double)b->options->rate;
    b->share->plan.ack_every[0] = 1;
    if (!bench_login(b, 0, b->sessions))
        return false;
    bool is_done = unicast_measure(b, asked, &main);
    json_decref(main.account);
    if (!is_done || (asked == 0 && !unicast_at_half(b, main.rate)))
        return false;
    return !b->options->floor || floor_redis_measure(b, main.rate);
}
