// What a voice may say of its sessions that Hawser's says otherwise: another ack window, no resume
// bytes, streams that its client did not subscribe to. The voice here is tiny: a message is its
// payload, Synced is "!", and each byte of a client is an Ack of the news up to that digit. Logins
// are told by hand, and what the register and the saver are to be asked is only counted.
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

static size_t tiny_take(struct conn *c, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        struct stream_position upto = {EPOCH, (uint64_t)(data[i] - '0')};
        ck_assert(ack_got(c->bindings, FEED_NEWS, upto));
        room_binding_go_on(c->bindings);
    }
    return len;
}

static void tiny_say_synced(struct room_binding *b) {
    stream_send(b->conn->stream, "!", 1);
}

static void tiny_put_message(struct buf *out, const struct stream_range *at,
                             const Hawser__Internal__StoredMessage *m) {
    (void)at;
    buf_append(out, m->payload.data, m->payload.len);
}

// A voice in whose bytes something is of the moment: a message has "." before its payload, or ","
// for who wants it once, or "*" when it is sent again, and behind it how many seconds it has left.
// A gap is "-", for who wants gaps.
static unsigned made;
static bool wants_gaps;

static char seconds_left(uint64_t expires_ms, uint64_t store_ms) {
    return expires_ms ? (char)('0' + (expires_ms - store_ms) / 1000) : ' ';
}

static void precise_put_message(struct buf *out, const struct stream_range *at,
                                const Hawser__Internal__StoredMessage *m) {
    made++;
    buf_printf(out, "%c%s%c", at->is_once ? ',' : '.', (const char *)m->payload.data,
               seconds_left(m->expires_ms, at->store_ms));
}

static void precise_touch_up(const struct room_binding *b, uint8_t *frame,
                             const struct frame_moment *m) {
    ck_assert_ptr_eq(b, binding);
    frame[0] = m->is_again ? '*' : '.';
    frame[m->len - 1] = (uint8_t)seconds_left(m->expires_ms, m->store_ms);
}

static void precise_put_gap(struct buf *out, const struct room_binding *b,
                            const struct stream_range *at, enum gap_reason reason) {
    (void)at;
    (void)reason;
    if (b && wants_gaps)
        buf_append(out, "-", 1);
}

static const struct voice precise = {.name = "precise",
                                     .stream = {CONN_STREAM_CALLS, .keep_max = 16},
                                     .ack_limits = {.messages = 3, .bytes = 1000},
                                     .take = tiny_take,
                                     .say_synced = tiny_say_synced,
                                     .put_message = precise_put_message,
                                     .put_gap = precise_put_gap,
                                     .touch_up = precise_touch_up};

static const struct voice tiny = {.name = "tiny",
                                  .stream = {CONN_STREAM_CALLS, .keep_max = 16},
                                  .ack_limits = {.messages = 2, .bytes = 1000},
                                  .take = tiny_take,
                                  .say_synced = tiny_say_synced,
                                  .put_message = tiny_put_message};

// --- the room

static void carry_out_some(struct effects *q) {
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

static void on_accept(void *arg, struct stream *s) {
    (void)arg;
    conn_take_stream(bed.conn, s);
}

static void turn_loop(void) {
    for (int i = 0; i < 5; i++)
        loop_step(bed.room.loop, 0);
}

static void connect_client(void) {
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(listener_port(door)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
    while (!bed.conn->stream)
        loop_step(bed.room.loop, 100);
    bed.conn->state = CONN_OPEN;
}

static void begin(const struct voice *voice) {
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
    r->sessions_max = 1;
    news_room_init(&r->news, &limits);
    r->news_window_limits = (struct news_window_limits){.bytes = 1000, .entries = 100};
    memset(written, 0, sizeof(written));
    ck_assert_int_eq(
        listener_new(r->loop, (struct listen_at){"127.0.0.1", 0, 0}, on_accept, NULL, &door), 0);
    connect_client();
}

static struct broadcasts *news(void) {
    return product_log(product_find_here(&bed.room, PRODUCT), FEED_NEWS);
}

// Its login by its token leads to what the saver has: `after` of the news, which are heard of up to
// `head`.
static void log_in(const uint8_t wanted[FEEDS], uint64_t after, uint64_t head) {
    struct session_terms terms = {.limits = &conn_voice(bed.conn)->ack_limits};
    struct session_event row = {.kind = EVENT_ROW, .of.row.generation = GENERATION};
    struct session_event attached = {.kind = EVENT_ATTACHED};
    memcpy(terms.wanted, wanted, sizeof(terms.wanted));
    terms.is_clean = begins_clean;
    binding = room_binding_new(bed.conn, &terms);
    binding->of.awake->expires_ms = UINT64_C(1) << 42; // far ahead
    product_hold(binding, &(struct product){.number = PRODUCT, .name = "p"});
    if (news()->known->epoch == 0)
        news_window_start(&news()->by_voice[0].window, EPOCH, after, NULL);
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
        bed.conn->state = CONN_LOGIN;
        hello_answered(binding);
    } else {
        room_binding_tell_kind(binding, EVENT_TOLD);
    }
    turn_loop();
}

static void end(void) {
    struct room *r = &bed.room;
    close(client);
    listener_free(door);
    conn_end(bed.conn);
    turn_loop();
    if (product_find_here(r, PRODUCT))
        product_free_here(product_find_here(r, PRODUCT));
    free(r->watched.list);
    buf_free(&r->run);
    bed_conn(&bed, &tiny); // which bed_end looks for
    bed_end(&bed);
}

// --- what goes on

static Hawser__Internal__StoredMessage *message(const char *payload) {
    static Hawser__Internal__StoredMessage m;
    hawser__internal__stored_message__init(&m);
    m.payload = (ProtobufCBinaryData){strlen(payload), (uint8_t *)(uintptr_t)payload};
    return &m;
}

static void broadcast(uint64_t seq, const char *payload) {
    news_heard(news(), (struct stream_position){EPOCH, seq}, message(payload));
    turn_loop();
}

static void append_gap(uint64_t first, uint64_t last) {
    Hawser__Internal__LoadEntry e = HAWSER__INTERNAL__LOAD_ENTRY__INIT;
    struct buf frame = BUF_EMPTY;
    struct news_entry entry;
    e.seq = first;
    e.last = last;
    for (struct voice_news *v = news()->by_voice; v < news()->by_voice + VOICE_NEWS; v++) {
        if (!v->log)
            continue;
        news_encode(v, &e, &frame, &entry);
        news_window_add(&v->window, &entry, frame.data);
    }
    buf_free(&frame);
}

static void client_says(const char *text) {
    ck_assert_int_eq(write(client, text, strlen(text)), (ssize_t)strlen(text));
    turn_loop();
}

static void client_gets(const char *expected) {
    char text[64];
    ssize_t got = recv(client, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[got > 0 ? got : 0] = '\0';
    ck_assert_str_eq(text, expected);
}

// What is not acknowledged goes out again.
static void send_again(void) {
    room_binding_tell_kind(binding, EVENT_LOST);
    room_binding_tell(binding, &(struct session_event){.kind = EVENT_RESUMED});
    room_binding_tell_kind(binding, EVENT_READY);
    turn_loop();
}

static void store_clock_goes(uint64_t to_ms) {
    bed.room.clock =
        (struct store_clock){.loop = bed.room.loop,
                             .offset_ms = (int64_t)to_ms - (int64_t)loop_now_ms(bed.room.loop),
                             .is_known = true};
}

static const uint8_t all[FEEDS];

START_TEST(test_its_own_ack_window) {
    begin(&tiny);
    log_in(all, 0, 0);
    client_gets("!");
    broadcast(1, "a");
    broadcast(2, "b");
    broadcast(3, "c");
    client_gets("ab"); // two at most are unacknowledged
    client_says("1");
    client_gets("c");
    end();
}
END_TEST

START_TEST(test_a_window_of_one) {
    static const struct voice slow = {.name = "slow",
                                      .stream = {CONN_STREAM_CALLS, .keep_max = 16},
                                      .ack_limits = {.messages = 1, .bytes = 1},
                                      .take = tiny_take,
                                      .say_synced = tiny_say_synced,
                                      .put_message = tiny_put_message};
    begin(&slow);
    log_in(all, 0, 0);
    broadcast(1, "a");
    broadcast(2, "b");
    client_gets("!a");
    client_says("1");
    client_gets("b");
    end();
}
END_TEST

// Its client is told whether the cluster knew it, unless it begins at the ends anyway.
static void tell_known(struct conn *c, const struct welcome *welcome) {
    stream_send(c->stream, welcome->bound[0].is_known ? "k" : "n", 1);
}

START_TEST(test_known_and_clean) {
    struct voice greeting = tiny;
    greeting.say_welcome = tell_known;
    for (int i = 0; i < 4; i++) {
        saver_knows = i & 1;
        begins_clean = i & 2;
        begin(&greeting);
        log_in(all, 0, 0);
        client_gets(i == 1 ? "k!" : "n!");
        ck_assert_uint_eq(written[EFFECT_SAVE_LAST], begins_clean);
        end();
    }
    saver_knows = begins_clean = false;
}
END_TEST

// A client may say a size of its own, and which streams it wants.
START_TEST(test_what_a_bind_says) {
    static const struct ack_limits own = {.messages = 1, .bytes = 50};
    struct bind_request bind = {.token = "none", .hint_fault = "no token", .is_have_good = true};
    begin(&tiny);
    struct room_binding *b = login_begin(bed.conn, &bind);
    ck_assert_uint_eq(feed_messages_left(&room_binding_session(b)->feed[FEED_NEWS]), 2);
    ck_assert(!room_binding_leaves_out(b, FEED_NEWS));
    conn_end(bed.conn);
    turn_loop();
    close(client);
    bed_conn(&bed, &tiny);
    connect_client();
    bind.limits = &own;
    bind.wanted[FEED_NEWS] = FEED_LEFT_OUT;
    bind.is_clean = true;
    b = login_begin(bed.conn, &bind);
    ck_assert_uint_eq(feed_messages_left(&room_binding_session(b)->feed[FEED_NEWS]), 1);
    ck_assert_uint_eq(feed_bytes_left(&room_binding_session(b)->feed[FEED_INBOX]), 50);
    ck_assert(room_binding_session(b)->is_clean);
    ck_assert(room_binding_leaves_out(b, FEED_NEWS) && !room_binding_leaves_out(b, FEED_INBOX));
    end();
}
END_TEST

// Synced does not wait for it, and it is where it was: nothing of it goes out.
START_TEST(test_news_left_out) {
    static const uint8_t no_news[FEEDS] = {[FEED_NEWS] = FEED_LEFT_OUT};
    begin(&tiny);
    log_in(no_news, 3, 5);
    client_gets("!");
    broadcast(4, "d");
    client_gets("");
    ck_assert_uint_eq(room_binding_session(binding)->feed[FEED_NEWS].sent, 3);
    ck_assert(inbox_deliver(binding, &(struct stream_position){EPOCH, 1}, message("i")));
    client_gets("i");
    end();
}
END_TEST

// Neither what is pushed nor what is live, and the log is not read for it.
START_TEST(test_inbox_left_out) {
    static const uint8_t no_inbox[FEEDS] = {[FEED_INBOX] = FEED_LEFT_OUT};
    begin(&tiny);
    log_in(no_inbox, 0, 0);
    ck_assert(!inbox_deliver(binding, &(struct stream_position){EPOCH, 1}, message("i")));
    ck_assert(!inbox_deliver(binding, &(struct stream_position){EPOCH, 0}, message("l")));
    turn_loop();
    broadcast(1, "a");
    client_gets("!a");
    ck_assert_uint_eq(written[EFFECT_LOAD], 0);
    end();
}
END_TEST

// What is wanted no more stays where it is, and goes on there when it is wanted again.
START_TEST(test_other_streams_are_wanted) {
    static const uint8_t no_news[FEEDS] = {[FEED_NEWS] = FEED_LEFT_OUT};
    begin(&tiny);
    log_in(no_news, 0, 0);
    broadcast(1, "a");
    broadcast(2, "b");
    client_gets("!");
    hello_got_wants(binding, all);
    turn_loop();
    client_gets("ab!");
    client_says("1");
    hello_got_wants(binding, no_news);
    broadcast(3, "c");
    ck_assert_uint_eq(room_binding_session(binding)->feed[FEED_NEWS].sent, 2);
    client_says("2");
    client_gets("");
    hello_got_wants(binding, all);
    turn_loop();
    client_gets("c!");
    end();
}
END_TEST

// What all share is made once; that it is sent again is told to each.
START_TEST(test_news_sent_again) {
    begin(&precise);
    log_in(all, 0, 0);
    made = 0;
    broadcast(1, "a");
    broadcast(2, "b");
    client_gets("!.a .b ");
    client_says("1");
    send_again();
    broadcast(3, "c");
    client_gets("*b !.c ");
    ck_assert_uint_eq(made, 3);
    end();
}
END_TEST

START_TEST(test_inbox_sent_again) {
    Hawser__Internal__LoadEntry entry = HAWSER__INTERNAL__LOAD_ENTRY__INIT, *list[1] = {&entry};
    Hawser__Internal__LoadReply reply = HAWSER__INTERNAL__LOAD_REPLY__INIT;
    begin(&precise);
    log_in(all, 0, 0);
    ck_assert(inbox_deliver(binding, &(struct stream_position){EPOCH, 1}, message("i")));
    send_again();
    ck_assert_uint_eq(written[EFFECT_LOAD], 1);
    entry.seq = reply.head = 1;
    entry.message = message("i");
    reply.epoch = EPOCH;
    reply.n_entry = 1;
    reply.entry = list;
    inbox_loaded(binding, &reply);
    turn_loop();
    client_gets("!.i *i !");
    end();
}
END_TEST

// Who wants messages once gets as many as there are: what is sent counts as handled, and never goes
// out again. Its bytes are others.
START_TEST(test_news_once) {
    static const uint8_t once[FEEDS] = {[FEED_NEWS] = FEED_WANTED_ONCE};
    begin(&precise);
    log_in(once, 0, 0);
    made = 0;
    for (uint64_t seq = 1; seq <= 5; seq++)
        broadcast(seq, "a");
    client_gets("!,a ,a ,a ,a ,a ");
    const struct feed *f = &room_binding_session(binding)->feed[FEED_NEWS];
    ck_assert_uint_eq(f->acked, 5);
    ck_assert_uint_eq(news()->sums.sent, 5);
    ck_assert_uint_eq(news()->sums.acked, 5);
    append_gap(6, 7);
    news_walk(news());
    turn_loop();
    ck_assert_uint_eq(f->acked, 7);
    send_again();
    client_gets("!");
    hello_got_wants(binding, all);
    broadcast(8, "b");
    client_gets(".b ");
    ck_assert_uint_eq(f->acked, 7);
    end();
    begin(&precise);
    log_in(all, 0, 0);
    hello_got_wants(binding, once);
    broadcast(1, "a");
    client_gets("!,a ");
    end();
}
END_TEST

START_TEST(test_inbox_once) {
    static const uint8_t once[FEEDS] = {[FEED_INBOX] = FEED_WANTED_ONCE};
    begin(&precise);
    log_in(all, 0, 0);
    hello_got_wants(binding, once);
    for (uint64_t seq = 1; seq <= 5; seq++)
        ck_assert(inbox_deliver(binding, &(struct stream_position){EPOCH, seq}, message("i")));
    turn_loop();
    client_gets("!,i ,i ,i ,i ,i ");
    ck_assert_uint_eq(room_binding_session(binding)->feed[FEED_INBOX].acked, 5);
    ck_assert_uint_eq(written[EFFECT_SAVE], 1); // it is not answered here
    end();
}
END_TEST

// What it is told of it is true when it goes out, not when the bytes were made.
START_TEST(test_how_long_a_message_is_good) {
    begin(&precise);
    store_clock_goes(10100);
    log_in(all, 0, 0);
    made = 0;
    Hawser__Internal__StoredMessage m = *message("a");
    m.expires_ms = 17200;
    static const uint8_t no_news[FEEDS] = {[FEED_NEWS] = FEED_LEFT_OUT};
    hello_got_wants(binding, no_news);
    news_heard(news(), (struct stream_position){EPOCH, 1}, &m);
    broadcast(2, "b");
    store_clock_goes(13100);
    hello_got_wants(binding, all);
    turn_loop();
    client_gets("!.a4.b !"); // and not 7
    ck_assert_uint_eq(made, 2);
    end();
}
END_TEST

// A gap of the log is for who wants gaps; for others it is passed and counted.
START_TEST(test_gaps_for_who_wants_them) {
    for (int i = 0; i < 2; i++) {
        wants_gaps = i == 1;
        begin(&precise);
        log_in(all, 0, 0);
        append_gap(1, 2);
        broadcast(3, "c");
        client_gets(wants_gaps ? "!-.c " : "!.c ");
        ck_assert_uint_eq(bed.room.count.gaps, 1);
        ck_assert_uint_eq(room_binding_session(binding)->feed[FEED_NEWS].sent, 3);
        end();
    }
}
END_TEST

// Its session does not linger. Who comes again by the token goes on behind what was acknowledged.
START_TEST(test_no_resume_bytes) {
    begin(&tiny);
    log_in(all, 0, 0);
    broadcast(1, "a");
    broadcast(2, "b");
    client_says("1");
    client_gets("!ab");
    close(client);
    turn_loop();
    ck_assert_uint_eq(bed.room.count.connections, 0);
    ck_assert_uint_eq(written[EFFECT_SAVE_LAST], 1);
    ck_assert_uint_eq(written[EFFECT_DROP_ROW], 1);
    bed_conn(&bed, &tiny);
    connect_client();
    log_in(all, 1, 2);
    client_gets("b!");
    end();
}
END_TEST

START_TEST(test_resume_bytes) {
    struct voice lingering = tiny;
    lingering.has_resume_bytes = true;
    begin(&lingering);
    log_in(all, 0, 0);
    close(client);
    turn_loop();
    ck_assert_int_eq(bed.conn->state, CONN_LINGERING);
    ck_assert_int_eq(room_binding_state(binding), SESSION_AWAY);
    end();
}
END_TEST

// A delivery is for a session by its run, its slot, its generation and its product: who errs in one
// of them is told that it is not here.
START_TEST(test_whom_a_delivery_is_for) {
    begin(&tiny);
    log_in(all, 0, 0);
    struct room *r = &bed.room;
    Hawser__Internal__DeliverRequest d = HAWSER__INTERNAL__DELIVER_REQUEST__INIT;
    d.incarnation = bed.env.incarnation = 5;
    d.slot = room_binding_row_slot(binding);
    d.generation = GENERATION;
    d.product = PRODUCT;
    ck_assert_ptr_eq(inbox_delivered_to(r, &d), binding);
    d.incarnation++;
    ck_assert_ptr_null(inbox_delivered_to(r, &d));
    d.incarnation--;
    d.slot++;
    ck_assert_ptr_null(inbox_delivered_to(r, &d));
    d.slot--;
    d.generation++;
    ck_assert_ptr_null(inbox_delivered_to(r, &d));
    d.generation--;
    d.product++;
    ck_assert_ptr_null(inbox_delivered_to(r, &d));
    end();
}
END_TEST

RUN_TESTS("a second voice", test_whom_a_delivery_is_for, test_its_own_ack_window,
          test_a_window_of_one, test_what_a_bind_says, test_known_and_clean, test_news_left_out,
          test_inbox_left_out, test_news_sent_again, test_inbox_sent_again, test_news_once,
          test_inbox_once, test_how_long_a_message_is_good, test_gaps_for_who_wants_them,
          test_other_streams_are_wanted, test_no_resume_bytes, test_resume_bytes)
