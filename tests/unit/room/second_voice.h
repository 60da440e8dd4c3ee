// A tiny voice in a room with one connection over a real socket: a message is its payload, Synced
// is
// "!", and each byte of a client is an Ack of the news up to that digit. Logins are told by hand,
// and what the register and the saver are to be asked is only counted.
#ifndef SECOND_VOICE_H
#define SECOND_VOICE_H

#include "conn_bed.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cluster_internal.h"

enum { EPOCH = 9, GENERATION = 100, PRODUCT = 7 };

static struct conn_bed bed;
static struct cluster cluster;
static struct listener *door;
static struct room_binding *binding;
static int client;
static unsigned written[SESSION_EFFECT_COUNT];
static bool saver_knows, begins_clean; // the device; the session

// --- the voice

static inline size_t tiny_take(struct conn *c, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        struct stream_position upto = {EPOCH, (uint64_t)(data[i] - '0')};
        ck_assert(ack_got(c->bindings, FEED_NEWS, upto));
        room_binding_go_on(c->bindings);
    }
    return len;
}

static inline void tiny_say_synced(struct room_binding *b) {
    stream_send(b->conn->stream, "!", 1);
}

static inline void tiny_put_message(struct buf *out, const struct stream_range *at,
                                    const Hawser__Internal__StoredMessage *m) {
    (void)at;
    buf_append(out, m->payload.data, m->payload.len);
}

// Of a voice that says more, or of one whose client does not hear its last word.
static inline void tiny_say_known(struct conn *c, const struct welcome *welcome) {
    stream_send(c->stream, welcome->bound[0].is_known ? "k" : "n", 1);
}

static inline void tiny_say_no_close(struct conn *c, const struct farewell *f) {
    (void)c;
    (void)f;
}

static const struct voice tiny = {.name = "tiny",
                                  .stream = {CONN_STREAM_CALLS, .keep_max = 16},
                                  .ack_limits = {.messages = 2, .bytes = 1000},
                                  .take = tiny_take,
                                  .say_synced = tiny_say_synced,
                                  .put_message = tiny_put_message};

// --- the room

static inline void carry_out_some(struct effects *q) {
    struct effects_item item;
    q->is_running = true;
    while (effects_take(q, &item)) {
        struct room_binding *b = slab_find(&bed.room.bindings, item.slot, item.turn);
        if (item.kind == EFFECTS_SESSION_OVER) {
            room_binding_free(b);
            conn_binding_freed(bed.conn, false);
        } else if (item.kind == EFFECTS_STEP_OVER && room_binding_is_entered(b)) {
            room_binding_sent(b);
        } else if (item.kind == EFFECTS_DO) {
            written[item.effect.kind]++;
            if (item.effect.kind == EFFECT_SEND_NEWS && room_binding_is_entered(b))
                news_send(b);
        }
    }
    q->is_running = false;
    conn_reap(&bed.room);
}

static inline void on_accept(void *arg, struct stream *s) {
    (void)arg;
    conn_take_stream(bed.conn, s);
}

static inline void turn_loop(void) {
    for (int i = 0; i < 5; i++)
        loop_step(bed.room.loop, 0);
}

static inline void connect_client(void) {
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(listener_port(door)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
    while (!bed.conn->stream)
        loop_step(bed.room.loop, 100);
}

static inline void begin(const struct voice *voice) {
    static const struct news_limits limits = {.block_bytes = 1000,
                                              .block_messages = 4,
                                              .product_bytes = 1000,
                                              .room_bytes = 1000,
                                              .asked_max = 1,
                                              .idle_ms = 1000};
    struct room *r = &bed.room;
    bed_begin(&bed, voice);
    cluster = (struct cluster){.options.loop = r->loop, .lease_end_ms = UINT64_MAX};
    r->cluster = &cluster;
    r->lease = (struct lease){.round = 1, .is_held = true};
    r->effects.run = carry_out_some;
    slab_deinit(&r->bindings);
    slab_init(&r->bindings, sizeof(struct room_binding), 1);
    r->places.sessions_max = 1;
    news_room_init(&r->products.older, &limits);
    r->products.window_limits = (struct news_window_limits){.bytes = 1000, .entries = 100};
    memset(written, 0, sizeof(written));
    ck_assert_int_eq(
        listener_new(r->loop, (struct listen_at){"127.0.0.1", 0, 0}, on_accept, NULL, &door), 0);
    connect_client();
    bed_open(&bed);
}

// Before the first of them.
static inline void takes_bindings(uint32_t count) {
    struct room *r = &bed.room;
    slab_deinit(&r->bindings);
    slab_init(&r->bindings, sizeof(struct room_binding), count);
    slab_deinit(&r->awake_ones.slab);
    slab_init(&r->awake_ones.slab, sizeof(struct awake), count);
    r->places.sessions_max = count;
}

static const uint8_t all[FEEDS], no_news[FEEDS] = {[FEED_NEWS] = FEED_LEFT_OUT};

static inline struct broadcasts *news(void) {
    return product_log(product_find_here(&bed.room, PRODUCT), FEED_NEWS);
}

// Its login by its token leads to what the saver has: `after` of the news, which are heard of up to
// `head`.
static inline void log_in(const uint8_t wanted[FEEDS], uint64_t after, uint64_t head) {
    struct session_terms terms = {.limits = &conn_voice(bed.conn)->ack_limits};
    struct session_event row = {.kind = EVENT_ROW, .of.row.generation = GENERATION};
    struct session_event attached = {.kind = EVENT_ATTACHED};
    memcpy(terms.wanted, wanted, sizeof(terms.wanted));
    terms.is_clean = begins_clean;
    binding = room_binding_new(bed.conn, &terms);
    binding->of.awake->expires_ms = UINT64_C(1) << 42; // far ahead
    product_hold(binding, &(struct product){.number = PRODUCT, .name = "p"});
    for (struct broadcasts *log = binding->product->log; log < binding->product->log + LOGS; log++)
        if (log->known->epoch == 0)
            news_window_start(&log->by_voice[0].window, EPOCH, log == news() ? after : 0, NULL);
    news()->heard = head;
    for (int i = 0; i < FEEDS; i++)
        attached.of.attached.start[i].after = (struct stream_position){EPOCH, 0};
    attached.of.attached.start[FEED_NEWS].after.seq = after;
    room_binding_tell_kind(binding, EVENT_ADMITTED);
    room_binding_tell(binding, &row);
    binding->product->heads_answered = room_binding_session(binding)->heads_needed;
    attached.of.attached.is_known = saver_knows;
    room_binding_tell(binding, &attached);
    if (conn_voice(bed.conn)->say_welcome) {
        conn_enter(bed.conn, CONN_LOGIN);
        hello_answered(binding);
    } else {
        room_binding_tell_kind(binding, EVENT_TOLD);
    }
    turn_loop();
}

// A session that is there from the beginning of each log.
static inline void begin_live(const struct voice *voice) {
    begin(voice);
    log_in(all, 0, 0);
}

static inline void end(void) {
    struct room *r = &bed.room;
    close(client);
    listener_free(door);
    conn_end(bed.conn);
    turn_loop();
    if (product_find_here(r, PRODUCT))
        product_free_here(product_find_here(r, PRODUCT));
    free(r->watched.list);
    buf_free(&r->scratch.run);
    bed_conn(&bed, &tiny); // which bed_end looks for
    bed_end(&bed);
}

// --- what goes on

static inline Hawser__Internal__StoredMessage *message(const char *payload) {
    static Hawser__Internal__StoredMessage m;
    hawser__internal__stored_message__init(&m);
    m.payload = (ProtobufCBinaryData){strlen(payload), (uint8_t *)(uintptr_t)payload};
    return &m;
}

static inline void broadcast(uint64_t seq, const char *payload) {
    news_heard(news(), (struct stream_position){EPOCH, seq}, message(payload));
    turn_loop();
}

static inline void broadcast_to(char *tag, uint64_t seq, const char *payload) {
    Hawser__Internal__Audience some = HAWSER__INTERNAL__AUDIENCE__INIT;
    Hawser__Internal__StoredMessage m = *message(payload);
    some.n_any = 1;
    some.any = &tag;
    m.audience = &some;
    news_heard(news(), (struct stream_position){EPOCH, seq}, &m);
    turn_loop();
}

static inline void client_says(const char *text) {
    ck_assert_int_eq(write(client, text, strlen(text)), (ssize_t)strlen(text));
    turn_loop();
}

static inline void client_gets(const char *expected) {
    char text[64];
    ssize_t got = recv(client, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[got > 0 ? got : 0] = '\0';
    ck_assert_str_eq(text, expected);
}

#endif
