// What the processes of a bench share: one block of memory, mapped before they are forked. The
// conductor (hawser-bench itself) writes the plan and gives orders over a socket; each worker, who
// plays thousands of clients, counts in its own part. The conductor looks at the counters while
// things run, and at the histograms when they are at rest.
#ifndef BENCH_SHARE_H
#define BENCH_SHARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"

enum {
    PORTS_MAX = 200,
    SAMPLE_MAX = 64 * 1024 + 4, // a frame with its header
    NAME_MAX_BYTES = 64,
};

// What is timed. LANE_NEWS and LANE_INBOX: a push, from when it was due. LANE_LOGIN: to Welcome;
// LANE_SYNCED: from the same moment until nothing is waiting any more. LANE_PING: to the Pong.
enum lane { LANE_NEWS, LANE_INBOX, LANE_LOGIN, LANE_SYNCED, LANE_PING, LANES };

// COUNT_ORDERS: orders carried out. COUNT_OPEN: sessions that are logged in now. COUNT_REPEATS:
// messages that came again. COUNT_JUMPS: an inbox that left a number out without a Gap.
// COUNT_ACKED: messages acknowledged. COUNT_REFUSED: logins that were told to come again.
// COUNT_BROKEN: connections that ended without being told to.
enum count {
    COUNT_ORDERS,
    COUNT_OPEN,
    COUNT_LOGINS,
    COUNT_SYNCED,
    COUNT_NEWS,
    COUNT_INBOX,
    COUNT_PONGS,
    COUNT_ACKED,
    COUNT_REPEATS,
    COUNT_GAPS,
    COUNT_JUMPS,
    COUNT_REFUSED,
    COUNT_BROKEN,
    COUNTS
};

// What is spoken; client.h has the tables.
enum dialect_index {
    DIALECT_HAWSER,
    DIALECT_FLOOR,
    DIALECT_REDIS,
    DIALECT_NATS,
    DIALECT_MQTT,
    DIALECTS
};

// Where clients go, as whom, and how they behave. Written by the conductor while no client runs.
struct plan {
    uint16_t ports[PORTS_MAX]; // client i goes to ports[i % port_count]
    uint32_t port_count;
    uint32_t dialect;                                  // enum dialect_index
    uint32_t tags;                                     // client i has tag i % tags; 0: none
    uint32_t ack_every[3];                             // by stream: messages to an Ack
    char product[NAME_MAX_BYTES], kid[NAME_MAX_BYTES]; // of the token key
    char secret[NAME_MAX_BYTES * 3];                   // likewise
};

// For the floor: the frame that clients really got.
struct sample {
    _Atomic uint32_t len; // 0: none yet
    uint8_t frame[SAMPLE_MAX];
};

struct worker_share {
    _Atomic uint64_t counts[COUNTS];
    _Atomic uint64_t last_us[LANES]; // when the latest came
    struct histogram lanes[LANES];
};

struct share {
    struct plan plan;
    struct sample sample;
    _Atomic uint16_t floor_ports[PORTS_MAX]; // where the floor's senders listen; 0: not yet
    _Atomic uint64_t floor_done, floor_us;   // the floor in Redis: pairs done, and in what time
    uint32_t worker_count;
    struct worker_share workers[];
};

// Orders to a worker, and to the floor's sender. All clients of a worker whose number is in
// first..end-1 carry one out.
enum order_kind {
    ORDER_RESET,  // counters of what happened and histograms begin anew
    ORDER_LOGIN,  // rate: of this worker, 0 = all at once, at most at_once unanswered
    ORDER_LOGOUT, // with a Bye, and the connection closed
    ORDER_DROP,   // the connection reset, as when the network is lost
    ORDER_PING,   // spread over `over_ms`
    ORDER_SEND,   // the floor: to each connection the sample, `repeat` times in one write
    ORDER_END,
};
struct order {
    enum order_kind kind;
    uint32_t first, end, at_once, repeat;
    uint64_t rate, due_us, over_ms;
};

static inline void count_add(struct worker_share *w, enum count c, uint64_t by) {
    // One writer: no locked instruction is needed.
    uint64_t now = atomic_load_explicit(&w->counts[c], memory_order_relaxed);
    atomic_store_explicit(&w->counts[c], now + by, memory_order_relaxed);
}

static inline void lane_add(struct worker_share *w, enum lane lane, uint64_t due_us,
                            uint64_t now_us) {
    histogram_add(&w->lanes[lane], now_us > due_us ? now_us - due_us : 0);
    atomic_store_explicit(&w->last_us[lane], now_us, memory_order_relaxed);
}

struct share *share_new(uint32_t worker_count); // lives as long as any process that has it mapped
uint64_t share_sum(const struct share *s, enum count c);
uint64_t share_last_us(const struct share *s, enum lane lane); // of all workers
void share_lane(const struct share *s, enum lane lane, struct histogram *ret_sum);

#endif
