// The core driven with bytes and virtual time: what it says on the wire, what it hands to the
// application and when it acts, each written as one line of text and compared.
#include "suite.h"

#include <inttypes.h>

#include "client_core.h"
#include "fake_room.h"

static struct client_core *core;
static struct position_store *store;
static struct rng rng;
static uint64_t now;
static struct buf said, told; // wire and callbacks as text, since last asked for
static struct buf wire;       // not yet put into said
static bool preface_due, connecting, closed, frames_whole;
static struct host_port target;
static int refuse;             // so many messages are not handled
static int save_error;         // of the store
static int saves;              // that the store was asked for
static const char *renew_with; // what on_token_needed answers with
static int unbind_on_message;  // a binding to end from within the callback

// --- the application

static int on_message(void *arg, const struct hawser_message *m) {
    (void)arg;
    buf_printf(&told, "%s:%s:%" PRIu64 "=%.*s ", m->product, hawser_stream_name(m->stream), m->seq,
               (int)m->payload_len, (const char *)m->payload);
    if (unbind_on_message)
        ck_assert_int_eq(core_unbind(core, now, unbind_on_message), 0);
    unbind_on_message = 0;
    return refuse > 0 ? refuse-- : 0;
}

static void on_gap(void *arg, const struct hawser_gap *g) {
    (void)arg;
    buf_printf(&told, "gap:%s:%" PRIu64 "-%" PRIu64 ":%s ", hawser_stream_name(g->stream), g->first,
               g->last, hawser_gap_name(g->reason));
}

static void on_reset(void *arg, const struct hawser_reset *r) {
    (void)arg;
    buf_printf(&told, "reset:%s:%" PRIu64 ":%" PRIu64 " ", hawser_stream_name(r->stream), r->epoch,
               r->seq);
}

static void on_synced(void *arg, int binding, const char *product, const char *user) {
    (void)arg;
    (void)binding;
    buf_printf(&told, "synced:%s:%s ", product, user);
}

static void on_state(void *arg, const struct hawser_status *s) {
    (void)arg;
    buf_printf(&told, "%s", hawser_state_name(s->state));
    if (s->code)
        buf_printf(&told, "(%u)", s->code);
    buf_printf(&told, " ");
}

static void on_binding(void *arg, const struct hawser_binding_event *e) {
    (void)arg;
    buf_printf(&told, "%s:%s:%s", e->bound ? "bound" : "ended", e->product, e->user);
    if (e->code)
        buf_printf(&told, "(%u)", e->code);
    buf_printf(&told, " ");
}

static void on_token_needed(void *arg, int binding, const char *product, bool expired) {
    (void)arg;
    buf_printf(&told, "%s:%s ", expired ? "expired" : "expires", product);
    if (renew_with)
        ck_assert_int_eq(core_renew(core, now, binding, renew_with), 0);
}

static void on_reply(void *arg, const struct hawser_reply *r) {
    (void)arg;
    buf_printf(&told, "reply:%u:%.*s ", r->status, (int)r->payload_len, (const char *)r->payload);
}

static int (*real_save)(struct position_store *s, const struct position_change *c, size_t count);

static int counted_save(struct position_store *s, const struct position_change *changes,
                        size_t count) {
    saves++;
    return save_error ? save_error : real_save(s, changes, count);
}

// --- the wire as text

static void say_positions(Hawser__V1__Position *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        buf_printf(&said, ",%s=%s%" PRIu64, hawser_stream_name((enum hawser_stream)list[i]->stream),
                   list[i]->epoch == EPOCH ? "" : "other:", list[i]->seq);
}

static void say_bind(const Hawser__V1__Bind *m) {
    buf_printf(&said, "[tags=%zu", m->n_tags);
    say_positions(m->have, m->n_have);
    buf_append_str(&said, "]");
}

static void say_frame(const struct frame *f) {
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

static void take_wire(void) {
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
static void pump(void) {
    if (core_output(core)->len > 0)
        take_wire();
    if (core_take_close(core))
        closed = true;
    if (core_take_connect(core, &target))
        connecting = true;
}

static void check_text(struct buf *b, const char *want) {
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
                  .on_reply = on_reply},
};

static void start_core(void) {
    char error[HAWSER_ERROR_BYTES];
    core = core_new(&options, store, &rng, now, error, sizeof(error));
    ck_assert_msg(core != NULL, "%s", error);
}

static void setup(void) {
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

static void teardown(void) {
    core_free(core);
    store->close(store);
    buf_free(&said);
    buf_free(&told);
    buf_free(&wire);
}

static void connect_now(void) {
    ck_assert(connecting);
    connecting = false;
    closed = false;
    preface_due = true;
    buf_reset(&wire);
    core_connected(core, now);
    pump();
}

// Gives the frames in b to the core, whole or byte by byte, and empties b.
static void give(struct buf *b) {
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

static void give_frame(enum frame_type type, const void *message) {
    struct buf b = BUF_EMPTY;
    frame_put(&b, type, message);
    give(&b);
}

static void push(Hawser__V1__Stream stream, uint64_t seq, const char *id) {
    struct buf b = BUF_EMPTY;
    put_push(&b, 1, stream, seq, id, id);
    give(&b);
}
#define INBOX HAWSER__V1__STREAM__INBOX
#define NEWS HAWSER__V1__STREAM__NEWS
#define BULK HAWSER__V1__STREAM__BULK

static void gap(Hawser__V1__Stream stream, uint64_t first, uint64_t last,
                Hawser__V1__GapReason reason) {
    Hawser__V1__Gap m = HAWSER__V1__GAP__INIT;
    m.product = 1;
    m.stream = stream;
    m.first = first;
    m.last = last;
    m.reason = reason;
    give_frame(FRAME_GAP, &m);
}

static void reset(Hawser__V1__Stream stream, uint64_t epoch, uint64_t seq) {
    Hawser__V1__Position p = position_of(stream, epoch, seq);
    Hawser__V1__Reset m = HAWSER__V1__RESET__INIT;
    m.product = 1;
    m.position = &p;
    give_frame(FRAME_RESET, &m);
}

static void synced(uint64_t inbox, uint64_t news) {
    Hawser__V1__Position at[2] = {position_of(INBOX, EPOCH, inbox), position_of(NEWS, EPOCH, news)};
    Hawser__V1__Position *list[2] = {&at[0], &at[1]};
    Hawser__V1__Synced m = HAWSER__V1__SYNCED__INIT;
    m.product = 1;
    m.at = list;
    m.n_at = 2;
    give_frame(FRAME_SYNCED, &m);
}

static void give_close(uint32_t code, uint32_t retry_after_ms) {
    Hawser__V1__Close m = HAWSER__V1__CLOSE__INIT;
    m.code = code;
    m.retry_after_ms = retry_after_ms;
    give_frame(FRAME_CLOSE, &m);
}

// What a Welcome says besides its one Bound.
static uint32_t spread_ms, heartbeat_s = 60;
static uint64_t token_left_ms, generation = 5;

static void welcome(uint64_t seq) {
    static uint8_t resume[] = "resume me";
    struct bound_frame bound;
    Hawser__V1__Bound *list[1] = {&bound.m};
    bound_fill(&bound, 1, "chat", "ann", generation, seq);
    Hawser__V1__Welcome m = HAWSER__V1__WELCOME__INIT;
    m.resume = (ProtobufCBinaryData){sizeof(resume) - 1, resume};
    m.heartbeat_s = heartbeat_s;
    m.spread_ms = spread_ms;
    m.server_ms = 1800000000000;
    if (token_left_ms > 0)
        bound.m.expires_ms = m.server_ms + token_left_ms;
    m.bound = list;
    m.n_bound = 1;
    give_frame(FRAME_WELCOME, &m);
}

static void tick_at(uint64_t at) {
    now = at;
    core_tick(core, now);
    pump();
}

static void tick_due(void) {
    ck_assert_uint_ne(core_next_wakeup_ms(core), UINT64_MAX);
    tick_at(core_next_wakeup_ms(core));
}

static void pass(uint64_t ms) {
    tick_at(now + ms);
}

static int bind_as(const char *product, const char *user) {
    int id = core_bind(core, now, token_for(product, user), NULL, 0);
    pump();
    return id;
}

// Logged in as ann at chat, all streams after seq.
static void online(uint64_t seq) {
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    connect_now();
    welcome(seq);
    SAID("HELLO(resume=0)[tags=0]");
    TOLD("connecting online bound:chat:ann");
}

// --- tests

START_TEST(test_login_handle_store_ack) {
    setup();
    online(0);
    push(INBOX, 1, "a");
    push(INBOX, 2, "b");
    push(NEWS, 7, "n");
    TOLD("chat:inbox:1=a chat:inbox:2=b chat:news:7=n");
    SAID("");
    ck_assert_int_eq(saves, 0);
    pass(199);
    SAID("");
    pass(1);
    ck_assert_int_eq(saves, 1);
    SAID("ACK(1,inbox=2,news=7)");
    struct position_record r = {0};
    ck_assert(store->load(store, &(struct position_key){"chat", "ann", "phone"}, &r));
    ck_assert_uint_eq(r.stream[0].seq, 2);
    ck_assert_uint_eq(r.stream[0].epoch, EPOCH);
    ck_assert(recent_ids_has(&r.recent, "a"));
    teardown();
}
END_TEST

// An Ack leaves after the 16th message, and after a quarter of the window's bytes.
START_TEST(test_ack_at_once_when_much_is_handled) {
    setup();
    online(0);
    char id[8];
    for (unsigned i = 1; i <= 17; i++) {
        snprintf(id, sizeof(id), "m%u", i);
        push(INBOX, i, id);
        buf_reset(&told);
    }
    SAID("ACK(1,inbox=16)");
    pass(200);
    SAID("ACK(1,inbox=17)");
    char *large = hw_calloc(1, 40001);
    memset(large, 'x', 40000);
    for (uint64_t seq = 18; seq < 20; seq++) {
        struct buf b = BUF_EMPTY;
        put_push(&b, 1, INBOX, seq, "", large);
        give(&b);
    }
    SAID("ACK(1,inbox=19)");
    free(large);
    teardown();
}
END_TEST

// A position that is not stored is not acknowledged.
START_TEST(test_no_ack_without_store) {
    setup();
    online(0);
    save_error = -5;
    push(INBOX, 1, "a");
    pass(200);
    SAID("");
    save_error = 0;
    pass(1000);
    SAID("ACK(1,inbox=1)");
    teardown();
}
END_TEST

START_TEST(test_repeats) {
    setup();
    online(10);
    push(INBOX, 11, "a");
    pass(200);
    TOLD("chat:inbox:11=a");
    SAID("ACK(1,inbox=11)");
    push(INBOX, 9, "old"); // below the position
    push(INBOX, 11, "a");
    push(INBOX, 12, "a"); // another place, the same id: the position moves
    push(NEWS, 11, "a");
    push(NEWS, 11, "other");
    TOLD("");
    pass(200);
    SAID("ACK(1,inbox=12,news=11)");
    push(INBOX, 0, "live"); // outside the streams
    push(INBOX, 0, "live");
    pass(1000);
    TOLD("chat:inbox:0=live");
    SAID("");
    teardown();
}
END_TEST

START_TEST(test_gaps) {
    setup();
    online(10);
    gap(INBOX, 11, 15, HAWSER__V1__GAP_REASON__GAP_EXPIRED);
    gap(INBOX, 11, 15, HAWSER__V1__GAP_REASON__GAP_EXPIRED); // handled already
    gap(INBOX, 14, 16, HAWSER__V1__GAP_REASON__GAP_PARKED);  // partly
    gap(INBOX, 17, 17, HAWSER__V1__GAP_REASON__GAP_OTHER_DEVICE);
    gap(NEWS, 100, 200, (Hawser__V1__GapReason)99);
    push(INBOX, 18, "a");
    push(NEWS, 150, "gone");
    TOLD("gap:inbox:11-15:expired gap:inbox:16-16:parked gap:news:100-200:unknown "
         "chat:inbox:18=a");
    pass(200);
    SAID("ACK(1,inbox=18,news=200)");
    teardown();
}
END_TEST

START_TEST(test_reset_and_synced) {
    setup();
    online(10);
    push(INBOX, 11, "a");
    reset(INBOX, 78, 3);
    push(INBOX, 4, "b");
    synced(20, 30); // INBOX is in another epoch now
    push(NEWS, 31, "n");
    TOLD("chat:inbox:11=a reset:inbox:78:3 chat:inbox:4=b synced:chat:ann chat:news:31=n");
    pass(200);
    SAID("ACK(1,inbox=other:4,news=31)");
    synced(0, 25); // below the position
    pass(1000);
    SAID("");
    teardown();
}
END_TEST

static void break_hole(void) {
    push(INBOX, 12, "b");
}
static void break_gap_hole(void) {
    gap(INBOX, 12, 13, HAWSER__V1__GAP_REASON__GAP_EXPIRED);
}
static void break_gap_range(void) {
    gap(NEWS, 20, 19, HAWSER__V1__GAP_REASON__GAP_EXPIRED);
}
static void break_reset(void) {
    Hawser__V1__Reset m = HAWSER__V1__RESET__INIT;
    m.product = 1;
    give_frame(FRAME_RESET, &m);
}
static void break_welcome(void) {
    give_frame(FRAME_WELCOME, &(Hawser__V1__Welcome)HAWSER__V1__WELCOME__INIT);
}
static void break_direction(void) {
    give_frame(FRAME_BYE, NULL);
}
static void break_body(void) {
    struct buf b = BUF_EMPTY;
    buf_append(&b, (const uint8_t[]){FRAME_PUSH, 0, 0, 2, 0xff, 0xff}, 6);
    give(&b);
}
static void break_size(void) {
    struct buf b = BUF_EMPTY;
    buf_append(&b, (const uint8_t[]){FRAME_PUSH, 1, 0, 1}, 4);
    give(&b);
}
static void break_stale(void) {
    struct bound_frame bound;
    bound_fill(&bound, 1, "chat", "ann", 4, 10);
    core_renew(core, now, 1, token_for("chat", "ann"));
    pump();
    buf_reset(&said);
    give_frame(FRAME_BOUND, &bound.m);
}
static void break_number(void) {
    struct bound_frame bound;
    bound_fill(&bound, 0, "chat", "ann", 5, 10);
    core_renew(core, now, 1, token_for("chat", "ann"));
    pump();
    buf_reset(&said);
    give_frame(FRAME_BOUND, &bound.m);
}

static void (*const breaks[])(void) = {
    break_hole,      break_gap_hole, break_gap_range, break_reset, break_welcome,
    break_direction, break_body,     break_size,      break_stale, break_number,
};

// Whatever breaks the protocol ends the connection; the next login is without resume bytes, from
// the positions that were handled.
START_TEST(test_violations) {
    setup();
    online(10);
    breaks[_i]();
    ck_assert(closed);
    TOLD("offline");
    SAID("");
    tick_due();
    while (!connecting)
        tick_due();
    connect_now();
    SAID("HELLO(resume=0)[tags=0,inbox=10,news=10,bulk=10]");
    teardown();
}
END_TEST

// The same session arrives byte by byte and in one piece.
START_TEST(test_chunks) {
    for (int whole = 0; whole < 2; whole++) {
        setup();
        frames_whole = whole;
        online(0);
        struct buf b = BUF_EMPTY;
        put_push(&b, 1, INBOX, 1, "a", "first");
        frame_put(&b, FRAME_PING, NULL);
        buf_append(&b, (const uint8_t[]){200, 0, 0, 3, 1, 2, 3}, 7); // of a later version
        put_push(&b, 1, INBOX, 2, "b", "");
        give(&b);
        TOLD("chat:inbox:1=first chat:inbox:2=");
        SAID("PONG");
        teardown();
        frames_whole = false;
    }
}
END_TEST

// Random bytes after a Welcome, or before, never do more than end the connection.
START_TEST(test_garbage) {
    setup();
    frames_whole = true;
    struct rng noise;
    rng_init(&noise, 7);
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    for (int round = 0; round < 3000; round++) {
        while (!connecting)
            tick_due();
        connect_now();
        if (round % 2)
            welcome(0);
        struct buf b = BUF_EMPTY;
        size_t len = 1 + rng_below(&noise, 60);
        for (size_t i = 0; i < len; i++)
            *buf_reserve(&b, 1) = (uint8_t)rng_u64(&noise), b.len++;
        if (round % 3) // a plausible header reaches the decoder
            b.data[0] = (uint8_t)(64 + b.data[0] % 12), b.data[1] = b.data[2] = 0,
            b.data[3] = (uint8_t)(len > 4 ? len - 4 : 0);
        give(&b);
        core_start(core, now); // when the noise was a Close 40xx
        pump();
        if (!connecting && !closed) {
            core_lost(core, now, "test");
            pump();
        }
        buf_reset(&said);
        buf_reset(&told);
    }
    frames_whole = false;
    teardown();
}
END_TEST

// "Not now": nothing newer of this stream is handed on until it comes again; other streams go on.
START_TEST(test_refused_message) {
    setup();
    online(0);
    refuse = 1;
    push(INBOX, 1, "a");
    push(INBOX, 2, "b");
    push(INBOX, 4, "d"); // also no hole: all of it comes again
    synced(4, 0);
    push(NEWS, 1, "n");
    TOLD("chat:inbox:1=a chat:news:1=n");
    pass(200);
    SAID("ACK(1,news=1)");
    push(INBOX, 1, "a");
    push(INBOX, 2, "b");
    TOLD("chat:inbox:1=a chat:inbox:2=b");
    pass(200);
    SAID("ACK(1,inbox=2)");
    refuse = 1;
    push(INBOX, 3, "c");
    gap(INBOX, 3, 3, HAWSER__V1__GAP_REASON__GAP_PARKED);
    push(INBOX, 4, "d");
    TOLD("chat:inbox:3=c gap:inbox:3-3:parked chat:inbox:4=d");
    teardown();
}
END_TEST

static const struct {
    uint32_t code;
    uint32_t retry_after_ms;
    const char *told;
    uint64_t wait_least_ms, wait_most_ms; // 0, 0: stopped
    bool other_room;
} closes[] = {
    {4001, 0, "stopped(4001)", 0, 0, false},
    {4002, 0, "stopped(4002)", 0, 0, false},
    {4003, 9000, "stopped(4003)", 0, 0, false},
    {4004, 0, "stopped(4004)", 0, 0, false},
    {4099, 0, "stopped(4099)", 0, 0, false}, // unknown: by its class
    {4101, 5000, "offline(4101)", 5000, 6000, true},
    {4102, 0, "offline(4102)", 0, 1000, true},
    {4103, 7000, "offline(4103)", 7000, 8000, true},
    {4200, 0, "offline(4200)", 0, 300, true},
    {4201, 0, "offline(4201)", 0, 300, false},
    {4202, 2000, "offline(4202)", 2000, 2300, false},
    {4300, 0, "offline(4300)", 0, 1000, false},
    {4400, 100, "offline(4400)", 100, 400, true}, // an unknown class: come again
    {0, 0, "offline", 0, 300, true},
};

START_TEST(test_close_codes) {
    options.rooms = two_rooms;
    options.room_count = 2;
    setup();
    spread_ms = 300;
    online(0);
    push(INBOX, 1, "a");
    TOLD("chat:inbox:1=a");
    give_close(closes[_i].code, closes[_i].retry_after_ms);
    ck_assert(closed);
    TOLD(closes[_i].told);
    uint64_t due = core_next_wakeup_ms(core);
    if (closes[_i].wait_most_ms == 0) {
        ck_assert_uint_eq(due, UINT64_MAX);
        ck_assert_uint_eq(core_status(core)->retry_after_ms, closes[_i].retry_after_ms);
        core_start(core, now);
        pump();
        ck_assert(connecting);
    } else {
        ck_assert_uint_ge(due, now + closes[_i].wait_least_ms);
        ck_assert_uint_le(due, now + closes[_i].wait_most_ms);
        ck_assert_uint_eq(core_status(core)->retry_ms, due - now);
        tick_due();
        ck_assert(connecting);
        ck_assert_str_eq(target.host, closes[_i].other_room ? "room-b" : "room-a");
    }
    teardown();
}
END_TEST

// 43xx five times in a row stops; a login in between forgives.
START_TEST(test_protocol_errors_stop) {
    setup();
    online(0);
    for (int i = 0; i < 4; i++) {
        give_close(4300, 0);
        tick_due();
        connect_now();
    }
    buf_reset(&told);
    give_close(4300, 0);
    TOLD("stopped(4300)");
    teardown();
}
END_TEST

// Full jitter: every wait lies within base * 2^n, at most the cap, and they differ.
START_TEST(test_backoff) {
    setup();
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    uint64_t window = 1000, sum = 0, windows = 0;
    for (int i = 0; i < 200; i++) {
        ck_assert(connecting);
        connecting = false;
        core_lost(core, now, "refused");
        pump();
        uint64_t wait = core_next_wakeup_ms(core) - now;
        ck_assert_uint_le(wait, window);
        sum += wait;
        windows += window;
        if (i > 0)
            window = window * 2 < 60000 ? window * 2 : 60000;
        tick_due();
    }
    ck_assert_uint_gt(sum, windows * 4 / 10); // uniform: a half
    ck_assert_uint_lt(sum, windows * 6 / 10);
    teardown();
}
END_TEST

START_TEST(test_login_timeouts) {
    setup();
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    TOLD("connecting");
    pass(4999);
    ck_assert(!closed);
    pass(1);
    ck_assert(closed); // no connection in 5 s
    TOLD("offline");
    connecting = false;
    tick_due();
    connect_now();
    TOLD("connecting");
    pass(5000);
    ck_assert(closed); // no Welcome in 5 s
    TOLD("offline");
    teardown();
}
END_TEST

START_TEST(test_heartbeat) {
    setup();
    heartbeat_s = 30;
    online(0);
    pass(29999);
    SAID("");
    pass(1);
    SAID("PING");
    pass(7999);
    ck_assert(!closed);
    push(NEWS, 1, "n"); // any frame counts
    pass(200);
    SAID("ACK(1,news=1)");
    Hawser__V1__Pong pong = HAWSER__V1__PONG__INIT;
    pong.heartbeat_s = 50;
    give_frame(FRAME_PONG, &pong);
    pass(49999);
    SAID("");
    pass(1);
    SAID("PING");
    give_frame(FRAME_PING, NULL);
    SAID("PONG");
    pass(50000);
    SAID("PING");
    pass(8000);
    ck_assert(closed);
    teardown();
}
END_TEST

// Resume bytes go out while no Hello without them was sent since the Welcome that gave them.
START_TEST(test_resume_rule) {
    setup();
    online(0);
    core_lost(core, now, "reset");
    pump();
    tick_due();
    connect_now();
    SAID("HELLO(resume=9)[tags=0,inbox=0,news=0,bulk=0]");
    core_lost(core, now, "reset"); // before Welcome: still the same
    pump();
    tick_due();
    connect_now();
    SAID("HELLO(resume=9)[tags=0,inbox=0,news=0,bulk=0]");
    give_close(4302, 0); // the room may have choked on them
    tick_due();
    connect_now();
    SAID("HELLO(resume=0)[tags=0,inbox=0,news=0,bulk=0]");
    core_lost(core, now, "reset");
    pump();
    tick_due();
    connect_now();
    SAID("HELLO(resume=0)[tags=0,inbox=0,news=0,bulk=0]");
    welcome(0);
    core_stop(core, now); // Bye: nothing to go on with
    pump();
    SAID("BYE");
    core_start(core, now);
    pump();
    connect_now();
    SAID("HELLO(resume=0)[tags=0,inbox=0,news=0,bulk=0]");
    teardown();
}
END_TEST

START_TEST(test_go_away) {
    options.rooms = two_rooms;
    options.room_count = 2;
    setup();
    online(0);
    push(INBOX, 1, "a");
    Hawser__V1__Endpoint e = HAWSER__V1__ENDPOINT__INIT, *list[1] = {&e};
    e.host = (char *)(uintptr_t) "room-c";
    e.port = 7001;
    Hawser__V1__GoAway m = HAWSER__V1__GO_AWAY__INIT;
    m.within_ms = 5000;
    if (_i == 1) {
        m.endpoint = list;
        m.n_endpoint = 1;
    }
    give_frame(FRAME_GO_AWAY, &m);
    uint64_t last = now + 5000;
    push(INBOX, 2, "b"); // still served
    buf_reset(&told);
    while (!connecting)
        tick_due();
    ck_assert_uint_le(now, last);
    ck_assert(closed);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&said), "ACK(1,inbox=2) BYE"));
    buf_reset(&said);
    ck_assert_str_eq(target.host, _i == 1 ? "room-c" : "room-b");
    connect_now();
    SAID("HELLO(resume=0)[tags=0,inbox=2,news=0,bulk=0]");
    TOLD("connecting");
    teardown();
}
END_TEST

static void located(const char *host, uint32_t ttl_s, uint32_t start_after_ms, uint32_t error) {
    Hawser__V1__Endpoint e = HAWSER__V1__ENDPOINT__INIT, *list[1] = {&e};
    e.host = (char *)(uintptr_t)host;
    e.port = 7000;
    Hawser__V1__Located m = HAWSER__V1__LOCATED__INIT;
    m.endpoint = list;
    m.n_endpoint = error ? 0 : 1;
    m.ttl_s = ttl_s;
    m.backoff_base_ms = 100;
    m.backoff_cap_ms = 400;
    m.start_after_ms = start_after_ms;
    m.error = error;
    give_frame(FRAME_LOCATED, &m);
}

START_TEST(test_dispatcher) {
    options = (struct hawser_options){.device = "phone", .callbacks = options.callbacks};
    options.dispatchers = one_dispatcher;
    options.dispatcher_count = 1;
    setup();
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    ck_assert_str_eq(target.host, "finder");
    connect_now();
    SAID("LOCATE(failed=0)");
    located("room-a", 60, 3000, 0);
    ck_assert(closed);
    ck_assert_uint_eq(core_next_wakeup_ms(core), now + 3000);
    tick_due();
    ck_assert_str_eq(target.host, "room-a");
    connect_now();
    SAID("HELLO(resume=0)[tags=0]");
    give_close(4102, 0);
    ck_assert_uint_le(core_next_wakeup_ms(core), now + 100); // the dispatcher's base
    tick_due();
    ck_assert_str_eq(target.host, "finder");
    connect_now();
    SAID("LOCATE(failed=1)");
    located("room-b", 60, 0, 0);
    tick_due();
    ck_assert_str_eq(target.host, "room-b");
    connect_now();
    welcome(0);
    buf_reset(&said);
    now += 100000; // the answer is stale, but a lost room may have kept the session
    core_lost(core, now, "reset");
    pump();
    tick_due();
    ck_assert_str_eq(target.host, "room-b");
    connecting = false;
    core_lost(core, now, "refused");
    pump();
    tick_due();
    ck_assert_str_eq(target.host, "finder");
    teardown();
}
END_TEST

// With every dispatcher gone the rooms known last still serve, and then the fixed ones.
START_TEST(test_dispatchers_gone) {
    options.dispatchers = one_dispatcher;
    options.dispatcher_count = 1;
    options.rooms = one_room;
    options.room_count = 1;
    setup();
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    static const char *const want[] = {"finder", "room-a", "finder", "room-a"};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_str_eq(target.host, want[i]);
        connecting = false;
        core_lost(core, now, "refused");
        pump();
        tick_due();
    }
    connect_now();
    located("room-z", 1, 0, 0);
    tick_due();
    static const char *const later[] = {"room-z", "finder", "room-a", "finder", "room-z"};
    for (size_t i = 0; i < 5; i++) {
        if (i == 2)
            now += 10000; // stale by now; only the dispatcher's silence brings room-z back
        ck_assert_str_eq(target.host, later[i]);
        connecting = false;
        core_lost(core, now, "refused");
        pump();
        tick_due();
    }
    teardown();
}
END_TEST

START_TEST(test_dispatcher_refuses) {
    options.dispatchers = one_dispatcher;
    options.dispatcher_count = 1;
    options.room_count = 0;
    setup();
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    connect_now();
    TOLD("connecting");
    located("", 0, 4000, 4101);
    TOLD("offline(4101)");
    ck_assert_uint_ge(core_next_wakeup_ms(core), now + 4000);
    tick_due();
    connect_now();
    TOLD("connecting");
    located("", 0, 0, 4004);
    TOLD("stopped(4004)");
    teardown();
}
END_TEST

static void give_bound(uint32_t number, const char *product, const char *user, uint32_t error) {
    struct bound_frame bound;
    bound_fill(&bound, number, product, user, 9, 50);
    bound.m.error = error;
    if (error)
        bound.m.n_after = 0;
    give_frame(FRAME_BOUND, &bound.m);
}

START_TEST(test_several_bindings) {
    setup();
    online(0);
    int shop = bind_as("shop", "ann");
    SAID("BIND[tags=0]");
    give_bound(2, "shop", "ann", 0);
    struct buf b = BUF_EMPTY;
    put_push(&b, 2, INBOX, 51, "s", "s");
    put_push(&b, 1, INBOX, 1, "c", "c");
    put_push(&b, 9, INBOX, 1, "x", "x"); // nobody's: ignored
    give(&b);
    TOLD("bound:shop:ann shop:inbox:51=s chat:inbox:1=c");
    pass(200);
    SAID("ACK(1,inbox=1) ACK(2,inbox=51)");
    give_bound(1, "chat", "ann", 4003); // one ends, the connection lives on
    SAID("UNBIND(1)");
    TOLD("ended:chat:ann(4003)");
    ck_assert(!closed);
    push(INBOX, 2, "late");
    TOLD("");
    ck_assert_int_eq(core_unbind(core, now, shop), 0);
    pump();
    SAID("UNBIND(2) BYE");
    TOLD("ended:shop:ann offline");
    ck_assert(closed);
    ck_assert_uint_eq(core_next_wakeup_ms(core), UINT64_MAX);
    ck_assert_int_eq(core_unbind(core, now, shop), -2);
    teardown();
}
END_TEST

// Binds that do not fit into the 4 KiB of a Hello follow after Welcome.
START_TEST(test_many_bindings) {
    setup();
    static const char *const tags[] = {
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    char product[16];
    for (int i = 0; i < HAWSER_BINDINGS_MAX; i++) {
        snprintf(product, sizeof(product), "p%d", i);
        char token[1000];
        snprintf(token, sizeof(token), "%s%0900d", token_for(product, "ann"), 0);
        ck_assert_int_eq(core_bind(core, now, token, tags, 1), i + 1);
    }
    ck_assert_int_eq(core_bind(core, now, "one more", NULL, 0), -7);
    pump();
    connect_now();
    SAID("HELLO(resume=0)[tags=1][tags=1][tags=1][tags=1]");
    TOLD("connecting");
    struct bound_frame bounds[4];
    Hawser__V1__Bound *list[4];
    static const char *const names[] = {"p0", "p1", "p2", "p3"};
    for (uint32_t i = 0; i < 4; i++) {
        bound_fill(&bounds[i], i + 1, names[i], "ann", 1, 0);
        list[i] = &bounds[i].m;
    }
    Hawser__V1__Welcome m = HAWSER__V1__WELCOME__INIT;
    m.bound = list;
    m.n_bound = 4;
    give_frame(FRAME_WELCOME, &m);
    TOLD("online bound:p0:ann bound:p1:ann bound:p2:ann bound:p3:ann");
    size_t binds = 0;
    for (const char *at = buf_cstr(&said); (at = strstr(at, "BIND")); at++)
        binds++;
    ck_assert_uint_eq(binds, 12);
    teardown();
}
END_TEST

// Another user of the same product: until the room's answer what arrives is the old user's.
START_TEST(test_change_of_user) {
    setup();
    online(0);
    ck_assert_int_eq(bind_as("chat", "bob"), 2);
    SAID("BIND[tags=0]");
    push(INBOX, 1, "a");
    TOLD("chat:inbox:1=a");
    give_bound(1, "chat", "bob", 0);
    TOLD("ended:chat:ann bound:chat:bob");
    push(INBOX, 51, "b");
    TOLD("chat:inbox:51=b");
    struct position_record r = {0};
    pass(200);
    ck_assert(store->load(store, &(struct position_key){"chat", "ann", "phone"}, &r));
    ck_assert_uint_eq(r.stream[0].seq, 1);
    ck_assert(store->load(store, &(struct position_key){"chat", "bob", "phone"}, &r));
    ck_assert_uint_eq(r.stream[0].seq, 51);
    // Twice in a row before an answer: the last one counts, the middle one is undone.
    buf_reset(&said);
    ck_assert_int_eq(bind_as("chat", "cid"), 3);
    ck_assert_int_eq(bind_as("chat", "dot"), 4);
    SAID("BIND[tags=0] BIND[tags=0]");
    give_bound(1, "chat", "cid", 0);
    TOLD("ended:chat:bob bound:chat:cid");
    give_bound(0, "chat", "dot", 4002);
    TOLD("ended:chat:cid ended:chat:dot(4002) offline");
    teardown();
}
END_TEST

// A binding that was given up before the room answered is taken back there, too.
START_TEST(test_unbind_before_bound) {
    setup();
    online(0);
    int shop = bind_as("shop", "ann");
    ck_assert_int_eq(core_unbind(core, now, shop), 0);
    pump();
    SAID("BIND[tags=0]");
    give_bound(2, "shop", "ann", 0);
    SAID("UNBIND(2)");
    TOLD("ended:shop:ann");
    teardown();
}
END_TEST

// An application may end the binding from within its own message.
START_TEST(test_unbind_from_callback) {
    setup();
    online(0);
    unbind_on_message = 1;
    push(INBOX, 1, "a");
    TOLD("chat:inbox:1=a ended:chat:ann offline");
    SAID("UNBIND(1) BYE");
    struct position_record r = {0};
    ck_assert(store->load(store, &(struct position_key){"chat", "ann", "phone"}, &r));
    ck_assert_uint_eq(r.stream[0].seq, 1); // it said that it had handled it
    teardown();
}
END_TEST

// A Bind refused with "later" is sent again while the others go on.
START_TEST(test_bind_again) {
    setup();
    online(0);
    ck_assert_int_gt(bind_as("shop", "ann"), 0);
    SAID("BIND[tags=0]");
    give_bound(0, "shop", "ann", 4103);
    SAID("");
    uint64_t at = now;
    while (said.len == 0)
        tick_due();
    ck_assert_uint_le(now - at, 1001);
    SAID("BIND[tags=0]");
    TOLD("");
    teardown();
}
END_TEST

START_TEST(test_renewal) {
    setup();
    token_left_ms = 3600000;
    online(0);
    push(INBOX, 1, "a");
    buf_reset(&told);
    uint64_t ask_at = now + 3600000 - 60000;
    renew_with = token_for("chat", "ann");
    while (told.len == 0) {
        tick_due();
        give_frame(FRAME_PONG, NULL);
    }
    ck_assert_uint_eq(now, ask_at);
    TOLD("expires:chat");
    ck_assert_ptr_nonnull(strstr(buf_cstr(&said), "BIND[tags=0]")); // have is not repeated
    struct bound_frame bound; // positions as the room knew them last
    bound_fill(&bound, 1, "chat", "ann", 5, 0);
    give_frame(FRAME_BOUND, &bound.m);
    push(INBOX, 2, "b");
    TOLD("bound:chat:ann chat:inbox:2=b");
    ck_assert_int_eq(core_renew(core, now, 1, token_for("chat", "bob")), -22);
    ck_assert_int_eq(core_renew(core, now, 7, token_for("chat", "ann")), -2);
    teardown();
}
END_TEST

START_TEST(test_token_expired) {
    setup();
    online(0);
    renew_with = token_for("chat", "ann");
    give_close(4005, 0);
    TOLD("offline(4005) expired:chat connecting"); // at once
    connect_now();
    give_close(4005, 0);
    TOLD("offline(4005) expired:chat"); // refused again: not at once
    ck_assert(!connecting);
    tick_due();
    connect_now();
    renew_with = NULL;
    TOLD("connecting");
    give_close(4005, 0);
    TOLD("offline(4005) expired:chat");
    ck_assert_uint_eq(core_next_wakeup_ms(core), UINT64_MAX);
    ck_assert_int_eq(core_renew(core, now, 1, token_for("chat", "ann")), 0);
    pump();
    ck_assert(connecting);
    teardown();
}
END_TEST

START_TEST(test_token_expired_nobody_cares) {
    options.callbacks.on_token_needed = NULL;
    setup();
    online(0);
    give_close(4005, 0);
    TOLD("stopped(4005)");
    teardown();
}
END_TEST

// A token that cannot be read: the room's answer names product and user, and what is stored for
// them keeps repeats away.
START_TEST(test_opaque_token) {
    setup();
    online(0);
    push(INBOX, 1, "a");
    core_stop(core, now);
    pump();
    core_free(core);
    buf_reset(&said);
    buf_reset(&told);
    start_core();
    ck_assert_int_eq(core_bind(core, now, "opaque", NULL, 0), 1);
    pump();
    connect_now();
    SAID("HELLO(resume=0)[tags=0]");
    welcome(0); // the Ack was lost
    push(INBOX, 1, "a");
    push(INBOX, 2, "b");
    TOLD("connecting online bound:chat:ann chat:inbox:2=b");
    teardown();
}
END_TEST

// After a restart the stored position is named, repeats by id are known, and another epoch in the
// answer is told as a reset.
START_TEST(test_restart) {
    setup();
    online(0);
    push(INBOX, 1, "a");
    buf_reset(&told);
    core_stop(core, now);
    pump();
    SAID("ACK(1,inbox=1) BYE");
    TOLD("stopped");
    ck_assert(closed);
    core_free(core);
    start_core();
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    connect_now();
    SAID("HELLO(resume=0)[tags=0,inbox=1,news=0,bulk=0]");
    struct bound_frame bound;
    bound_fill(&bound, 1, "chat", "ann", 6, 1);
    bound.positions[1].epoch = 99;
    Hawser__V1__Bound *list[1] = {&bound.m};
    Hawser__V1__Welcome m = HAWSER__V1__WELCOME__INIT;
    m.bound = list;
    m.n_bound = 1;
    give_frame(FRAME_WELCOME, &m);
    push(INBOX, 2, "a");
    push(NEWS, 2, "n");
    TOLD("connecting online reset:news:99:1 bound:chat:ann chat:news:2=n");
    teardown();
}
END_TEST

START_TEST(test_upstream) {
    setup();
    uint8_t id[HAWSER_UPSTREAM_ID_BYTES] = {1};
    ck_assert_int_eq(core_upstream(core, now, 1, "t", id, "x", 1, true), -2);
    online(0);
    ck_assert_int_eq(core_upstream(core, now, 1, "t", id, "x", 1, true), 0);
    ck_assert_int_eq(core_upstream(core, now, 1, "", id, "x", 1, true), -22);
    char *large = hw_calloc(1, FRAME_BODY_MAX);
    ck_assert_int_eq(core_upstream(core, now, 1, "t", id, large, FRAME_BODY_MAX, true), -90);
    free(large);
    pump();
    SAID("UPSTREAM");
    Hawser__V1__UpstreamReply m = HAWSER__V1__UPSTREAM_REPLY__INIT;
    m.id = (ProtobufCBinaryData){sizeof(id), id};
    m.status = 200;
    m.payload = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t) "ok"};
    give_frame(FRAME_UPSTREAM_REPLY, &m);
    TOLD("reply:200:ok");
    core_lost(core, now, "reset");
    pump();
    ck_assert_int_eq(core_upstream(core, now, 1, "t", id, "x", 1, true), -107);
    teardown();
}
END_TEST

static const struct {
    const char *room, *device;
    uint32_t ack_delay_ms;
} wrong_options[] = {
    {"room-a", "phone", 0},     {"room-a:0", "phone", 0},        {":7000", "phone", 0},
    {"room-a:1-2", "phone", 0}, {"room-a:7000", "", 0},          {"room-a:7000", "a\nb", 0},
    {NULL, "phone", 0},         {"room-a:7000", "phone", 10001},
};

START_TEST(test_wrong_options) {
    struct hawser_options o = options;
    char error[HAWSER_ERROR_BYTES] = "";
    store = positions_memory_new();
    o.rooms = &wrong_options[_i].room;
    o.room_count = wrong_options[_i].room ? 1 : 0;
    o.device = wrong_options[_i].device;
    o.ack_delay_ms = wrong_options[_i].ack_delay_ms;
    ck_assert_ptr_null(core_new(&o, store, &rng, 0, error, sizeof(error)));
    ck_assert_str_ne(error, "");
    store->close(store);
}
END_TEST

static void add_loop(TCase *t, const TTest *test, size_t count) {
    tcase_add_loop_test(t, test, 0, (int)count);
}
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

int main(void) {
    TCase *t = tcase_create("client_core");
    tcase_set_timeout(t, 120);
    const TTest *const single[] = {test_login_handle_store_ack,
                                   test_ack_at_once_when_much_is_handled,
                                   test_no_ack_without_store,
                                   test_repeats,
                                   test_gaps,
                                   test_reset_and_synced,
                                   test_chunks,
                                   test_garbage,
                                   test_refused_message,
                                   test_protocol_errors_stop,
                                   test_backoff,
                                   test_login_timeouts,
                                   test_heartbeat,
                                   test_resume_rule,
                                   test_dispatcher,
                                   test_dispatchers_gone,
                                   test_dispatcher_refuses,
                                   test_several_bindings,
                                   test_many_bindings,
                                   test_change_of_user,
                                   test_unbind_before_bound,
                                   test_unbind_from_callback,
                                   test_bind_again,
                                   test_renewal,
                                   test_token_expired,
                                   test_token_expired_nobody_cares,
                                   test_opaque_token,
                                   test_restart,
                                   test_upstream};
    for (size_t i = 0; i < COUNT(single); i++)
        tcase_add_test(t, single[i]);
    add_loop(t, test_violations, COUNT(breaks));
    add_loop(t, test_close_codes, COUNT(closes));
    add_loop(t, test_go_away, 2);
    add_loop(t, test_wrong_options, COUNT(wrong_options));
    Suite *suite = suite_create("client_core");
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
