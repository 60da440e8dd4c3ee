// Broadcasts, round by round: one push (or a burst of them) to everyone, and the next when all have
// come everywhere. The rate is of the frames that clients got, in the time from a push's call to
// its last frame.
#include <inttypes.h>
#include <sys/socket.h>

#include "bench.h"
#include "floor.h"
#include "frame.h"
#include "payload.h"
#include "peer.h"
#include "report.h"

enum { FLOOR_LOGINS_PER_S = 20000, SETTLE_MS = 100, RATIO_UNIT = 10000 };

struct rounds {
    struct bench *bench;
    uint64_t expected, accepted; // frames; pushes
    uint64_t active_us, last_us; // from a round's begin to its last frame: all, the latest
    struct histogram ratios;     // of the floor's: of each round, in RATIO_UNIT
};

static void push_done(void *arg, int status, const char *body, size_t body_len) {
    struct rounds *r = arg;
    if (status == 202)
        r->accepted++;
    else // ends the wait for its frames
        bench_fail(r->bench, "a broadcast was refused: %d %.*s", status, (int)body_len, body);
}

// How many sessions have the tag that a push goes to.
static uint32_t recipients(const struct bench *b, uint64_t push) {
    uint32_t tags = (uint32_t)b->options->tags;
    uint32_t tag = tags ? (uint32_t)(push % tags) : 0;
    return tags ? (b->sessions - tag + tags - 1) / tags : b->sessions;
}

static void broadcast_call(struct bench *b, struct rounds *r, uint64_t push,
                           const struct buf *payload) {
    struct buf body = BUF_EMPTY;
    char path[80];
    snprintf(path, sizeof(path), "/v1/products/%s/messages", b->product);
    if (b->options->tags)
        buf_printf(&body, "{\"to\":{\"tags\":{\"any\":[\"t%" PRIu64 "\"]}},\"payload\":\"",
                   push % b->options->tags);
    else
        buf_append_str(&body, "{\"to\":{\"all\":true},\"payload\":\"");
    buf_append(&body, payload->data, payload->len);
    buf_append_str(&body, "\"}");
    pusher_call(b->pusher,
                &(struct call){"POST", path, (const char *)body.data, body.len, push_done, r});
    buf_free(&body);
}

static void broadcast_push(struct bench *b, struct rounds *r, uint64_t push, uint64_t due_us) {
    struct buf payload = BUF_EMPTY;
    size_t size = b->options->size;
    payload_put((char *)buf_reserve(&payload, size), size, due_us);
    payload.len = size;
    if (b->peer) {
        peer_publish(b, (const char *)payload.data, size);
        r->accepted++;
    } else {
        broadcast_call(b, r, push, &payload);
    }
    buf_free(&payload);
    r->expected += recipients(b, push);
}

static bool round_run(struct bench *b, struct rounds *r, uint64_t round) {
    uint64_t due_us = bench_now_us(b), burst = b->options->burst;
    for (uint64_t i = 0; i < burst; i++)
        broadcast_push(b, r, round * burst + i, due_us);
    const struct goal got = {COUNT_NEWS, r->expected, "frames received"};
    if (!bench_await(b, &got))
        return false;
    r->last_us = share_last_us(b->share, LANE_NEWS) - due_us;
    r->active_us += r->last_us;
    while (b->pusher && pusher_unanswered(b->pusher) > 0)
        if (!bench_step(b))
            return false;
    return true;
}

// --- the floor: the frames that clients got, from a program that only sends

// A peer's clients have seen no frame of Hawser's: here is one of the same payload.
static void sample_make(struct bench *b, struct sample *sample) {
    char payload[SAMPLE_MAX], id[] = "0123456789abcdefghijklmnop";
    struct buf frame = BUF_EMPTY;
    payload_put(payload, b->options->size, 0);
    Hawser__V1__Push push = HAWSER__V1__PUSH__INIT;
    push.product = 1;
    push.seq = 1;
    push.stream = HAWSER__V1__STREAM__NEWS;
    push.id = id;
    push.payload = (ProtobufCBinaryData){b->options->size, (uint8_t *)payload};
    push.sent_ms = push.expires_ms = loop_wall_ms(b->loop);
    frame_put(&frame, FRAME_PUSH, &push.base);
    memcpy(sample->frame, frame.data, frame.len);
    sample->len = (uint32_t)frame.len;
    buf_free(&frame);
}

// What clients of the other side got, once they have.
static void sample_take(struct bench *b) {
    struct sample *own = &b->share->sample;
    const struct sample *seen = &b->floor_side.share->sample; // the sides are swapped
    if (own->len > 0)
        return;
    memcpy(own->frame, seen->frame, seen->len);
    own->len = seen->len;
    if (own->len == 0)
        sample_make(b, own);
}

static bool floor_ports_take(struct bench *b, struct plan *plan) {
    for (plan->port_count = 0; plan->port_count < b->floor_count; plan->port_count++) {
        while (b->share->floor_ports[plan->port_count] == 0)
            if (!bench_step(b))
                return false;
        plan->ports[plan->port_count] = b->share->floor_ports[plan->port_count];
    }
    return true;
}

static bool floor_connect(struct bench *b) {
    struct plan *plan = &b->share->plan;
    uint32_t sessions = recipients(b, 0);
    plan->dialect = DIALECT_FLOOR;
    if (!floor_ports_take(b, plan))
        return false;
    for (int i = 0; i < 3; i++)
        plan->ack_every[i] = UINT32_MAX;
    const struct goal open = {COUNT_OPEN, sessions, "connected to the floor"};
    return bench_login_begin(b, 0, sessions, FLOOR_LOGINS_PER_S) && bench_await(b, &open) &&
           bench_pause(b, SETTLE_MS, "settling") && bench_reset(b);
}

static bool floor_round(struct bench *b, struct rounds *r) {
    const struct order o = {
        .kind = ORDER_SEND, .repeat = (uint32_t)b->options->burst, .due_us = bench_now_us(b)};
    sample_take(b);
    for (uint32_t i = 0; i < b->floor_count; i++)
        if (send(b->floors[i].orders, &o, sizeof(o), MSG_NOSIGNAL) != (ssize_t)sizeof(o))
            return bench_fail(b, "a process of the floor is gone");
    r->expected += (uint64_t)recipients(b, 0) * o.repeat;
    const struct goal got = {COUNT_NEWS, r->expected, "frames received"};
    if (!bench_await(b, &got))
        return false;
    r->last_us = share_last_us(b->share, LANE_NEWS) - o.due_us;
    r->active_us += r->last_us;
    return true;
}

static double rate_of(const struct rounds *r) {
    return (double)r->expected * 1e6 / (double)r->active_us;
}

// --- all of it

static bool on_floor_side(struct bench *b, bool (*step)(struct bench *b)) {
    bench_swap(b);
    bool is_done = step(b);
    bench_swap(b);
    return is_done;
}

// With tags the two may have had one recipient more or less.
static uint64_t ratio_of_round(struct bench *b, const struct rounds *r, const struct rounds *floor,
                               uint64_t round) {
    double frames = 0, floor_frames = (double)recipients(b, 0) * (double)b->options->burst;
    for (uint64_t i = 0; i < b->options->burst; i++)
        frames += recipients(b, round * b->options->burst + i);
    double us = (double)(r->last_us ? r->last_us : 1);
    return (uint64_t)(frames / us * (double)floor->last_us / floor_frames * RATIO_UNIT);
}

// Rounds of the server, and one of the floor after each.
static bool rounds_run(struct bench *b, struct rounds *r, struct rounds *floor) {
    for (uint64_t i = 0; i < b->options->rounds; i++) {
        if (!round_run(b, r, i))
            return false;
        if (!b->options->floor)
            continue;
        bench_swap(b);
        bool is_done = floor_round(b, floor);
        bench_swap(b);
        if (!is_done)
            return false;
        histogram_add(&floor->ratios, ratio_of_round(b, r, floor, i));
    }
    return true;
}

static void report_floor(struct bench *b, const struct rounds *r, const struct rounds *floor) {
    uint64_t cpu_us = 0;
    for (uint32_t i = 0; i < b->floor_count; i++) {
        struct usage used;
        probe_process(b->floors[i].child.pid, &used);
        cpu_us += used.cpu_us;
    }
    report_number(b, "floor_rate", rate_of(floor));
    report_number(b, "ratio", rate_of(r) / rate_of(floor));
    report_number(b, "ratio_median", (double)histogram_quantile(&floor->ratios, 0.5) / RATIO_UNIT);
    report_number(b, "floor_cpu_us_per_message", (double)cpu_us / (double)floor->expected);
}

static void report_rounds(struct bench *b, const struct rounds *r, uint64_t delivered) {
    struct histogram h;
    share_lane(b->share, LANE_NEWS, &h);
    report_number(b, "rate", rate_of(r));
    report_latency(b->report, &h);
    json_object_set_new(b->report, "accepted", json_integer((json_int_t)r->accepted));
    json_object_set_new(b->report, "expected", json_integer((json_int_t)r->expected));
    json_object_set_new(b->report, "delivered", json_integer((json_int_t)delivered));
    report_counts(b);
}

bool run_broadcast(struct bench *b) {
    static struct rounds r, floor;
    struct meter meter;
    r.bench = b;
    if (!bench_login(b, 0, b->sessions))
        return false;
    report_kernel(b); // without the floor's connections
    if (b->options->floor && !on_floor_side(b, floor_connect))
        return false;
    if (!bench_reset(b))
        return false;
    meter_begin(b, &meter);
    bool is_done = rounds_run(b, &r, &floor);
    uint64_t delivered = share_sum(b->share, COUNT_NEWS);
    meter_end(b, &meter, delivered);
    if (!is_done)
        return false;
    report_rounds(b, &r, delivered);
    if (b->options->floor)
        report_floor(b, &r, &floor);
    return true;
}
