// The world of the core's tests: virtual time, an application that writes down what it is told, and
// a peer that writes down what is said on the wire, each as one line of text to compare.
#ifndef HW_CORE_WORLD_H
#define HW_CORE_WORLD_H

#include "../suite.h"

#include <inttypes.h>

#include "client_core.h"
#include "fake_room.h"

static struct client_core *core;
static struct position_store *store;
static struct rng rng;
static uint64_t now;
static struct buf said, told; // wire and callbacks as text, since last asked for
static struct buf wire;       // not yet put into said
static char said_token[256];  // of the last Bind
static bool preface_due, connecting, closed, frames_whole;
static struct host_port target;
static int refuse;             // so many messages are not handled
static int save_error;         // of the store
static int saves;              // that the store was asked for
static const char *renew_with; // what on_token_needed answers with
static int unbind_on_message;  // a binding to end from within the callback
static int notices;            // that were given

// --- the application

static inline int on_message(void *arg, const struct hawser_message *m) {
    (void)arg;
    buf_printf(&told, "%s:%s:%" PRIu64 "=%.*s ", m->product, hawser_stream_name(m->stream), m->seq,
               (int)m->payload_len, (const char *)m->payload);
    if (unbind_on_message)
        ck_assert_int_eq(core_unbind(core, now, unbind_on_message), 0);
    unbind_on_message = 0;
    return refuse > 0 ? refuse-- : 0;
}

static inline void on_gap(void *arg, const struct hawser_gap *g) {
    (void)arg;
    buf_printf(&told, "gap:%s:%" PRIu64 "-%" PRIu64 ":%s", hawser_stream_name(g->stream), g->first,
               g->last, hawser_gap_name(g->reason));
    // What may be shown as a number is the range, or nothing.
    if (g->count_max > 0)
        ck_assert_uint_eq(g->count_max, g->last - g->first + 1);
    buf_append_str(&told, g->count_max > 0 ? " " : "(no number) ");
}

static inline void on_reset(void *arg, const struct hawser_reset *r) {
    (void)arg;
    buf_printf(&told, "reset:%s:%" PRIu64 ":%" PRIu64 " ", hawser_stream_name(r->stream), r->epoch,
               r->seq);
}

static inline void on_synced(void *arg, int binding, const char *product, const char *user) {
    (void)arg;
    (void)binding;
    buf_printf(&told, "synced:%s:%s ", product, user);
}

static inline void on_state(void *arg, const struct hawser_status *s) {
    (void)arg;
    buf_printf(&told, "%s", hawser_state_name(s->state));
    if (s->code)
        buf_printf(&told, "(%u)", s->code);
    buf_printf(&told, " ");
}

static inline void on_binding(void *arg, const struct hawser_binding_event *e) {
    (void)arg;
    buf_printf(&told, "%s:%s:%s", e->bound ? "bound" : "ended", e->product, e->user);
    if (e->code)
        buf_printf(&told, "(%u)", e->code);
    buf_printf(&told, " ");
}

static inline void on_token_needed(void *arg, int binding, const char *product, bool expired) {
    (void)arg;
    buf_printf(&told, "%s:%s ", expired ? "expired" : "expires", product);
    if (renew_with)
        ck_assert_int_eq(core_renew(core, now, binding, renew_with), 0);
}

static inline void on_reply(void *arg, const struct hawser_reply *r) {
    (void)arg;
    buf_printf(&told, "reply:%u:%.*s ", r->status, (int)r->payload_len, (const char *)r->payload);
}

static inline void on_notice(void *arg, const char *text) {
    (void)arg;
    (void)text;
    notices++;
}

static int (*real_save)(struct position_store *s, const struct position_change *c, size_t count);

static inline int counted_save(struct position_store *s, const struct position_change *changes,
                               size_t count) {
    saves++;
    return save_error ? save_error : real_save(s, changes, count);
}

// --- the wire as text

static inline void say_positions(Hawser__V1__Position *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        buf_printf(&said, ",%s=%s%" PRIu64, hawser_stream_name((enum hawser_stream)list[i]->stream),
                   list[i]->epoch == EPOCH ? "" : "other:", list[i]->seq);
}

static inline void say_bind(const Hawser__V1__Bind *m) {
    snprintf(said_token, sizeof(said_token), "%s", m->token);
    buf_printf(&said, "[tags=%zu", m->n_tags);
    say_positions(m->have, m->n_have);
    buf_append_str(&said, "]");
}

static inline void say_frame(const struct frame *f) {
    const void *m = frame_decode(f, NULL);
    ck_assert_ptr_nonnull(m);
    const char *name = frame_type_name(f->type);
    buf_append_str(&said, name);
    if (f->type == FRAME_HELLO) {
        const Hawser__V1__Hello *hello = m;
        ck_assert_uint_le(f->body_len, FRAME_BODY_BEFORE_WELCOME_MAX);
        buf_printf(&said, "(resume=%zu)", hello->resume.len);
        for (size_t i = 0; i < hello->n_bind; i++)
            say_bind(hello->bind[i]);
    } else if (f->type == FRAME_BIND) {
        say_bind(m);
    } else if (f->type == FRAME_ACK) {
        const Hawser__V1__Ack *ack = m;
        buf_printf(&said, "(%u", ack->product);
        say_positions(ack->upto, ack->n_upto);
        buf_append_str(&said, ")");
    } else if (f->type == FRAME_LOCATE) {
        buf_printf(&said, "(failed=%zu)", ((const Hawser__V1__Locate *)m)->n_failed);
    } else if (f->type == FRAME_UNBIND) {
        buf_printf(&said, "(%u)", ((const Hawser__V1__Unbind *)m)->product);
    }
    buf_append_str(&said, " ");
    protobuf_c_message_free_unpacked((ProtobufCMessage *)(uintptr_t)m, NULL);
}

static inline void take_wire(void) {
    buf_append(&wire, core_output(core)->data, core_output(core)->len);
    buf_reset(core_output(core));
    if (preface_due && wire.len >= FRAME_PREFACE_BYTES) {
        ck_assert_mem_eq(wire.data, FRAME_PREFACE, FRAME_PREFACE_BYTES);
        buf_consume(&wire, FRAME_PREFACE_BYTES);
        preface_due = false;
    }
    struct frame f;
    size_t used = 0;
    while (frame_parse(wire.data, wire.len, FRAME_BODY_MAX, &f, &used) == FRAME_OK) {
        say_frame(&f);
        buf_consume(&wire, used);
    }
}

// What the shell does after each call.
static inline void pump(void) {
    if (core_output(core)->len > 0)
        take_wire();
    if (core_take_close(core))
        closed = true;
    if (core_take_connect(core, &target))
        connecting = true;
}

static inline void check_text(struct buf *b, const char *want) {
    while (b->len > 0 && b->data[b->len - 1] == ' ')
        b->len--;
    ck_assert_str_eq(buf_cstr(b), want);
    buf_reset(b);
}
#define SAID(want) check_text(&said, (want))
#define TOLD(want) check_text(&told, (want))

// --- driving it

static const char *const one_room[] = {"room-a:7000"};
static const char *const two_rooms[] = {"room-a:7000", "room-b:7000"};
static const char *const one_dispatcher[] = {"finder:7200"};

static struct hawser_options options = {
    .device = "phone",
    .callbacks = {.on_message = on_message,
                  .on_gap = on_gap,
                  .on_reset = on_reset,
                  .on_synced = on_synced,
                  .on_state = on_state,
                  .on_binding = on_binding,
                  .on_token_needed = on_token_needed,
                  .on_reply = on_reply,
                  .on_notice = on_notice},
};

static inline void start_core(void) {
    char error[HAWSER_ERROR_BYTES];
    core = core_new(&options, (struct core_host){store, &rng, now}, error, sizeof(error));
    ck_assert_msg(core != NULL, "%s", error);
}

static inline void setup(void) {
    now = 1000000;
    rng_init(&rng, 42);
    if (options.room_count + options.dispatcher_count == 0) {
        options.rooms = one_room;
        options.room_count = 1;
    }
    store = positions_memory_new();
    real_save = store->save;
    store->save = counted_save;
    start_core();
}

static inline void teardown(void) {
    core_free(core);
    store->close(store);
    buf_free(&said);
    buf_free(&told);
    buf_free(&wire);
}

static inline void connect_now(void) {
    ck_assert(connecting);
    connecting = false;
    closed = false;
    preface_due = true;
    buf_reset(&wire);
    core_connected(core, now);
    pump();
}

// Gives the frames in b to the core, whole or byte by byte, and empties b.
static inline void give(struct buf *b) {
    struct buf kept = BUF_EMPTY;
    size_t step = frames_whole ? b->len : 1;
    for (size_t at = 0; at < b->len; at += step) {
        buf_append(&kept, b->data + at, step);
        size_t used = core_received(core, now, kept.data, kept.len);
        ck_assert_uint_le(used, kept.len);
        buf_consume(&kept, used);
        pump();
    }
    buf_free(&kept);
    buf_free(b);
}

static inline void give_frame(enum frame_type type, const void *message) {
    struct buf b = BUF_EMPTY;
    frame_put(&b, type, message);
    give(&b);
}

static inline void push(Hawser__V1__Stream stream, uint64_t seq, const char *id) {
    struct buf b = BUF_EMPTY;
    put_push(&b, 1, stream, seq, id, id);
    give(&b);
}
#define INBOX HAWSER__V1__STREAM__INBOX
#define NEWS HAWSER__V1__STREAM__NEWS
#define BULK HAWSER__V1__STREAM__BULK

static inline void gap(Hawser__V1__Stream stream, uint64_t first, uint64_t last,
                       Hawser__V1__GapReason reason) {
    Hawser__V1__Gap m = HAWSER__V1__GAP__INIT;
    m.product = 1;
    m.stream = stream;
    m.first = first;
    m.last = last;
    m.reason = reason;
    give_frame(FRAME_GAP, &m);
}

static inline void reset(Hawser__V1__Stream stream, uint64_t epoch, uint64_t seq) {
    Hawser__V1__Position p = position_of(stream, epoch, seq);
    Hawser__V1__Reset m = HAWSER__V1__RESET__INIT;
    m.product = 1;
    m.position = &p;
    give_frame(FRAME_RESET, &m);
}

static inline void synced(uint64_t inbox, uint64_t news) {
    Hawser__V1__Position at[2] = {position_of(INBOX, EPOCH, inbox), position_of(NEWS, EPOCH, news)};
    Hawser__V1__Position *list[2] = {&at[0], &at[1]};
    Hawser__V1__Synced m = HAWSER__V1__SYNCED__INIT;
    m.product = 1;
    m.at = list;
    m.n_at = 2;
    give_frame(FRAME_SYNCED, &m);
}

static inline void give_close(uint32_t code, uint32_t retry_after_ms) {
    Hawser__V1__Close m = HAWSER__V1__CLOSE__INIT;
    m.code = code;
    m.retry_after_ms = retry_after_ms;
    give_frame(FRAME_CLOSE, &m);
}

// What a Welcome says besides its one Bound.
static uint32_t spread_ms, heartbeat_s = 60;
static uint64_t token_left_ms, generation = 5, server_ms = 1800000000000;

static inline void welcome(uint64_t seq) {
    static uint8_t resume[] = "resume me";
    struct bound_frame bound;
    Hawser__V1__Bound *list[1] = {&bound.m};
    bound_fill(&bound, 1, "chat", "ann", generation, seq);
    Hawser__V1__Welcome m = HAWSER__V1__WELCOME__INIT;
    m.resume = (ProtobufCBinaryData){sizeof(resume) - 1, resume};
    m.heartbeat_s = heartbeat_s;
    m.spread_ms = spread_ms;
    m.server_ms = server_ms;
    if (token_left_ms > 0)
        bound.m.expires_ms = m.server_ms + token_left_ms;
    m.bound = list;
    m.n_bound = 1;
    give_frame(FRAME_WELCOME, &m);
}

static inline void tick_at(uint64_t at) {
    now = at;
    core_tick(core, now);
    pump();
}

static inline void tick_due(void) {
    ck_assert_uint_ne(core_next_wakeup_ms(core), UINT64_MAX);
    tick_at(core_next_wakeup_ms(core));
}

static inline void pass(uint64_t ms) {
    tick_at(now + ms);
}

static inline int bind_as(const char *product, const char *user) {
    int id = core_bind(core, now, token_for(product, user), NULL, 0);
    pump();
    return id;
}

// Logged in as ann at chat, all streams after seq.
static inline void online(uint64_t seq) {
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    connect_now();
    welcome(seq);
    SAID("HELLO(resume=0)[tags=0]");
    TOLD("connecting online bound:chat:ann");
}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
