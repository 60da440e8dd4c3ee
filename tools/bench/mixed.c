// Unicast at a steady rate three times: alone, while one broadcast follows the other, and while
// half of the sessions lose their connections and come back, again and again. The pushes go to the
// other half.
#include <inttypes.h>

#include "payload.h"
#include "press.h"
#include "report.h"

enum { USERS_MAX = 1000 };

struct mixed {
    struct bench *bench;
    uint32_t users; // who is pushed to
    uint64_t frames, refused;
    uint64_t storms, orders_due; // what COUNT_ORDERS is once all have been carried out
};

// --- broadcasts

static void mixed_broadcast_done(void *arg, int status, const char *body, size_t body_len) {
    struct mixed *m = arg;
    (void)body;
    (void)body_len;
    if (status != 202)
        m->refused++;
}

static bool next_broadcast(void *arg) {
    struct mixed *m = arg;
    struct bench *b = m->bench;
    char path[80], payload[PAYLOAD_MIN];
    struct buf body = BUF_EMPTY;
    if (m->refused > 0)
        return bench_fail(b, "a broadcast was refused");
    if (share_sum(b->share, COUNT_NEWS) < m->frames)
        return true;
    m->frames += b->sessions;
    snprintf(path, sizeof(path), "/v1/products/%s/messages", b->product);
    payload_put(payload, sizeof(payload), bench_now_us(b));
    buf_printf(&body, "{\"to\":{\"all\":true},\"payload\":\"%.*s%0*d\"}", (int)sizeof(payload),
               payload, (int)(b->options->size - sizeof(payload)), 0);
    pusher_call(b->pusher, &(struct call){"POST", path, (const char *)body.data, body.len,
                                          mixed_broadcast_done, m});
    buf_free(&body);
    return true;
}

// --- storms

// Nobody waits for the orders: pushes go on meanwhile.
static bool next_storm(void *arg) {
    struct mixed *m = arg;
    struct bench *b = m->bench;
    const struct order drop = {.kind = ORDER_DROP, .first = b->sessions / 2, .end = b->sessions};
    const struct order login = bench_login_order(b, drop.first, drop.end, 0);
    uint64_t carried_out = share_sum(b->share, COUNT_ORDERS);
    if (carried_out < m->orders_due || share_sum(b->share, COUNT_SYNCED) < b->sessions)
        return true;
    m->storms++;
    m->orders_due = carried_out + 2 * b->share->worker_count;
    return bench_order_send(b, &drop) && bench_order_send(b, &login);
}

// --- parts

struct mixed_part {
    const char *name;
    bool (*also)(void *arg);
};

static bool mixed_settle(struct mixed *m, struct press *press) {
    struct bench *b = m->bench;
    if (!press_answered(press))
        return false;
    const struct goal came = {COUNT_INBOX, press->accepted, "messages received"};
    const struct goal frames = {COUNT_NEWS, m->frames, "frames received"};
    const struct goal back = {COUNT_SYNCED, b->sessions, "up to date"};
    return bench_await(b, &came) && bench_await(b, &frames) && bench_await(b, &back);
}

static void mixed_put_sum(struct bench *b, json_t *found, const char *name, enum count count) {
    json_object_set_new(found, name, json_integer((json_int_t)share_sum(b->share, count)));
}

static bool mixed_part_run(struct mixed *m, const struct mixed_part *part) {
    struct bench *b = m->bench;
    struct press press;
    struct histogram h;
    const struct pace pace = {b->options->seconds * 1000, (double)b->options->rate, part->also, m};
    if (!bench_reset(b))
        return false;
    press_init(&press, b, m->users);
    m->frames = m->storms = m->orders_due = 0;
    uint64_t from_us = bench_now_us(b);
    bool is_done = press_steady(&press, &pace) && mixed_settle(m, &press);
    double active_us = (double)(share_last_us(b->share, LANE_INBOX) - from_us);
    share_lane(b->share, LANE_INBOX, &h);
    json_t *found = json_object();
    json_object_set_new(found, "rate", json_real((double)press.accepted * 1e6 / active_us));
    press_report(&press, found);
    mixed_put_sum(b, found, "broadcast_frames", COUNT_NEWS);
    mixed_put_sum(b, found, "logins", COUNT_LOGINS);
    json_object_set_new(found, "storms", json_integer((json_int_t)m->storms));
    report_latency(found, &h);
    json_object_set_new(b->report, part->name, found);
    press_deinit(&press);
    return is_done;
}

static double p99_of(const struct bench *b, const char *name) {
    return json_number_value(json_object_get(json_object_get(b->report, name), "p99_ms"));
}

// What stands at the top of the report is what broadcasts do to it.
static void mixed_put_summary(struct bench *b) {
    static const char *const names[] = {"rate",    "p50_ms", "p90_ms",   "p99_ms",
                                        "p999_ms", "max_ms", "accepted", "delivered"};
    const json_t *part = json_object_get(b->report, "during_broadcast");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        json_object_set(b->report, names[i], json_object_get(part, names[i]));
    report_number(b, "p99_broadcast_to_alone", p99_of(b, "during_broadcast") / p99_of(b, "alone"));
    report_number(b, "p99_storm_to_alone", p99_of(b, "during_storm") / p99_of(b, "alone"));
}

uint32_t mixed_users(const struct bench *b) {
    uint32_t half = b->sessions > 1 ? b->sessions / 2 : 1;
    return half < USERS_MAX ? half : USERS_MAX;
}

bool run_mixed(struct bench *b) {
    static const struct mixed_part parts[] = {
        {"alone", NULL}, {"during_broadcast", next_broadcast}, {"during_storm", next_storm}};
    struct mixed m = {.bench = b, .users = mixed_users(b)};
    struct meter meter;
    uint64_t messages = 0;
    b->share->plan.ack_every[0] = 1;
    if (!bench_login(b, 0, b->sessions))
        return false;
    meter_begin(b, &meter);
    bool is_done = true;
    for (int i = 0; is_done && i < 3; i++) {
        is_done = mixed_part_run(&m, &parts[i]);
        messages += share_sum(b->share, COUNT_INBOX);
    }
    meter_end(b, &meter, messages);
    if (is_done)
        mixed_put_summary(b);
    report_counts(b);
    return is_done;
}
