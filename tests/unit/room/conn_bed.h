// One connection without a socket in a room that is not there: its bytes are given to its voice by
// hand, and what becomes of it is read from its state and from the line that a Close is logged
// with.
#ifndef CONN_BED_H
#define CONN_BED_H

#include "suite.h"

#include "room_internal.h"

struct conn_bed {
    struct os *os;
    struct config *config;
    struct log log;
    struct daemon_env env;
    struct room room;
    struct conn *conn;
    int code; // of the last Close; 0: none
};

static inline bool bed_line(void *arg, const char *line, size_t len) {
    struct conn_bed *bed = arg;
    const char *code = memmem(line, len, " code=", 6);
    if (!code)
        return true;
    bed->code = 0;
    for (const char *at = code + 6; at < line + len && *at >= '0' && *at <= '9'; at++)
        bed->code = bed->code * 10 + (*at - '0');
    return true;
}

static inline void bed_conn(struct conn_bed *bed, const struct voice *voice) {
    struct room *r = &bed->room;
    bed->conn = slab_take(&r->conns);
    bed->conn->heartbeat_ms = 60000;
    bed->conn->heard_ms = (uint32_t)loop_now_ms(r->loop);
    r->count.conn.connections++;
    conn_begin(bed->conn, voice);
}

static inline void bed_open(struct conn_bed *bed) {
    conn_enter(bed->conn, CONN_LOGIN);
    conn_enter(bed->conn, CONN_OPEN);
}

// Bindings are out: a Bind is answered at once.
static inline void bed_begin(struct conn_bed *bed, const struct voice *voice) {
    *bed = (struct conn_bed){.os = os_new(), .config = config_default()};
    log_init(&bed->log, "room", LOG_DEBUG);
    bed->log.sink = bed_line;
    bed->log.sink_arg = bed;
    bed->env =
        (struct daemon_env){.loop = loop_new(bed->os), .log = &bed->log, .config = bed->config};
    struct room *r = &bed->room;
    r->env = &bed->env;
    r->loop = bed->env.loop;
    TAILQ_INIT(&r->places.lingering);
    TAILQ_INIT(&r->places.strangers);
    effects_init(&r->effects, r->loop, carry_out_all);
    slab_init(&r->conns, sizeof(struct conn), 2);
    slab_init(&r->transits, sizeof(struct transit), 2);
    slab_init(&r->bindings, sizeof(struct room_binding), 1);
    (void)slab_take(&r->bindings);
    slab_init(&r->awake_ones.slab, sizeof(struct awake), 1);
    arena_init(&r->scratch.arena);
    bed_conn(bed, voice);
}

static inline void bed_end(struct conn_bed *bed) {
    struct room *r = &bed->room;
    if (!bed->conn->is_gone)
        conn_end(bed->conn);
    conn_reap(r);
    ck_assert_uint_eq(r->count.conn.connections, 0);
    effects_deinit(&r->effects);
    slab_deinit(&r->bindings);
    slab_deinit(&r->awake_ones.slab);
    slab_deinit(&r->conns);
    slab_deinit(&r->transits);
    free(r->awake_ones.list.list);
    arena_deinit(&r->scratch.arena);
    buf_free(&r->scratch.frame);
    ck_assert_int_eq(loop_free(r->loop), 0);
    config_free(bed->config);
    os_free(bed->os);
}

#endif
