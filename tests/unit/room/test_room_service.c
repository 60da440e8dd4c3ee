// What a center calls at a room: whom a delivery reaches in each state of a session, and that what
// a step wrote down comes before what goes out at once.
#include "peers.h"

static const struct rpc_identity center = {
    .role = "center", .incarnation = 9, .secrets = {"secret"}, .secret_count = 1};
static struct rpc_server *served;
static struct rpc_link *link_of_center;
static unsigned answers;
static int last_error;
static bool was_sent;

static void on_delivered(void *arg, int error, const Hawser__Internal__DeliverReply *reply) {
    (void)arg;
    answers++;
    last_error = error;
    was_sent = reply && reply->sent;
}

static void say_reset(struct room_binding *b, enum feed_stream stream, const char *reason) {
    (void)stream;
    (void)reason;
    stream_send(b->conn->stream, "R", 1);
}

static void begin_served(const struct voice *voice) {
    begin_among_peers(voice);
    ck_assert_int_eq(rpc_server_new(&(struct rpc_server_options){.loop = bed.room.loop,
                                                                 .self = &room_identity,
                                                                 .host = "127.0.0.1",
                                                                 .methods = room_methods,
                                                                 .daemon = &bed.room},
                                    &served),
                     0);
    link_of_center = rpc_link_new(bed.room.loop, &center, NULL,
                                  &(struct rpc_link_options){.host = "127.0.0.1",
                                                             .port = rpc_server_port(served),
                                                             .peer_role = "room"});
    for (peers_settle(); !rpc_link_is_up(link_of_center); peers_settle())
        clock_ms++;
}

static void end_served(void) {
    rpc_link_free(link_of_center);
    rpc_server_free(served);
    end_among_peers();
}

// Of a message that is stored at `at`, or of a live one at 0.
static void deliver(struct stream_position at, Hawser__Internal__StoredMessage *m) {
    Hawser__Internal__DeliverRequest q = HAWSER__INTERNAL__DELIVER_REQUEST__INIT;
    q.incarnation = THIS_ROOM;
    q.slot = room_binding_row_slot(binding);
    q.generation = GENERATION;
    q.product = PRODUCT;
    q.epoch = at.epoch;
    q.seq = at.seq;
    q.message = m;
    answers = 0;
    room_deliver(peer_by(&cluster, link_of_center), &q, on_delivered, NULL);
}

// --- the states of a session

static void tell_attached(enum session_saver_result result) {
    struct session_event e = {.kind = EVENT_ATTACHED, .of.attached.result = result};
    for (int i = 0; i < FEEDS; i++)
        e.of.attached.start[i].after.epoch = EPOCH;
    room_binding_tell(binding, &e);
}

static void bring_to(enum session_state state) {
    struct session_terms terms = {.limits = &tiny.ack_limits};
    struct session_event row = {.kind = EVENT_ROW, .of.row.generation = GENERATION};
    binding = room_binding_new(bed.conn, &terms);
    product_hold(binding, &(struct product){.number = PRODUCT, .name = "p"});
    room_binding_name(binding, "ann", NULL);
    if (state == SESSION_ASKING)
        return;
    room_binding_tell_kind(binding, EVENT_ADMITTED);
    if (state == SESSION_LEAVING)
        room_binding_end(binding);
    if (state == SESSION_ENTERING || state == SESSION_LEAVING)
        return;
    room_binding_tell(binding, &row);
    if (state != SESSION_ATTACHING)
        tell_attached(state == SESSION_DOUBTING  ? SAVER_STALE
                      : state == SESSION_REFUSED ? SAVER_NO_ANSWER
                                                 : SAVER_OK);
    if (state == SESSION_LIVE || state == SESSION_AWAY)
        room_binding_tell_kind(binding, EVENT_TOLD);
    if (state == SESSION_AWAY)
        room_binding_tell_kind(binding, EVENT_LOST);
}

// What waits for its register is over when that answers.
static void end_in(enum session_state state) {
    struct session_event row = {.kind = EVENT_ROW, .of.row.result = ROW_NO_ANSWER};
    conn_end(bed.conn);
    if (state == SESSION_ENTERING || state == SESSION_LEAVING)
        room_binding_tell(binding, &row);
    end_served();
}

// From the row on it is found by its generation: what it is told of then it knows of when its login
// is over. Of what is live nothing is kept.
START_TEST(test_a_delivery_in_each_state) {
    static const bool finds[SESSION_STATE_COUNT] = {
        [SESSION_ATTACHING] = true, [SESSION_DOUBTING] = true, [SESSION_ACCEPTED] = true,
        [SESSION_LIVE] = true,      [SESSION_AWAY] = true,
    };
    for (int i = 0; i < SESSION_GONE; i++) {
        enum session_state state = (enum session_state)i;
        Hawser__Internal__StoredMessage *m = message("m");
        begin_served(&tiny);
        bring_to(state);
        ck_assert_int_eq(room_binding_state(binding), state);
        turn_loop();
        m->class_ = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_LIVE;
        deliver((struct stream_position){0, 0}, m);
        peers_settle();
        ck_assert_uint_eq(answers, 1);
        ck_assert_int_eq(last_error, finds[i] ? 0 : -HW_ENOTHERE);
        ck_assert(was_sent == (state == SESSION_LIVE));
        deliver((struct stream_position){EPOCH, 3}, NULL);
        peers_settle();
        ck_assert_int_eq(last_error, finds[i] ? 0 : -HW_ENOTHERE);
        ck_assert_msg(room_binding_session(binding)->feed[FEED_INBOX].heard == (finds[i] ? 3 : 0),
                      "%s", session_state_name(state));
        end_in(state);
    }
}
END_TEST

// --- what a step wrote down comes first

static struct voice resetting(void) {
    struct voice v = tiny;
    v.say_reset = say_reset;
    return v;
}

// One step of the loop flushes the request, and leaves it to the next one to read it.
START_TEST(test_a_delivery_comes_behind_a_reset) {
    const struct voice v = resetting();
    struct session_event reset = {.kind = EVENT_LOADED,
                                  .of.loaded = {.result = LOADED_RESET, .after = {EPOCH + 1, 0}}};
    begin_served(&v);
    log_in_among_peers();
    client_gets("!");
    deliver((struct stream_position){EPOCH + 1, 1}, message("i"));
    loop_step(bed.room.loop, 0);
    room_binding_tell(binding, &reset);
    peers_settle();
    ck_assert_uint_eq(answers, 1);
    ck_assert(was_sent);
    client_gets("Ri");
    end_served();
}
END_TEST

static const uint8_t no_inbox[FEEDS] = {[FEED_INBOX] = FEED_LEFT_OUT};

// Its login had found another log in a stream that is wanted now: the Reset comes before what is
// read of it. The inbox was being read before it was left out.
START_TEST(test_a_load_comes_behind_a_reset) {
    const struct voice v = resetting();
    Hawser__Internal__LoadReply reply = HAWSER__INTERNAL__LOAD_REPLY__INIT;
    Hawser__Internal__LoadEntry entry = HAWSER__INTERNAL__LOAD_ENTRY__INIT, *list[1] = {&entry};
    begin_served(&v);
    log_in_among_peers();
    client_gets("!");
    deliver((struct stream_position){EPOCH, 1}, NULL);
    struct asked *load = asked(&hawser__internal__load_request__descriptor);
    hello_got_wants(binding, no_inbox);
    peers_settle();
    room_binding_session(binding)->stream[FEED_INBOX].has_reset = true;
    entry.seq = 1;
    entry.message = message("i");
    reply.epoch = EPOCH;
    reply.head = 1;
    reply.n_entry = 1;
    reply.entry = list;
    rpc_reply(load->call, &reply.base);
    load->call = NULL;
    loop_step(bed.room.loop, 0);
    hello_got_wants(binding, all);
    peers_settle();
    client_gets("Ri!");
    end_served();
}
END_TEST

// It wants the news again, whose Reset is still to be said.
static void begin_before_a_reset(const struct voice *voice) {
    begin_served(voice);
    log_in(no_news, 0, 0);
    client_gets("!");
    room_binding_name(binding, "ann", NULL);
    bed.conn->device = hw_strdup("phone");
    bed.room.effects.run = carry_out_all;
    room_binding_session(binding)->stream[FEED_NEWS].has_reset = true;
}

START_TEST(test_a_walk_comes_behind_a_reset) {
    const struct voice v = resetting();
    begin_before_a_reset(&v);
    news_heard(news(), (struct stream_position){EPOCH, 1}, message("a"));
    hello_got_wants(binding, all);
    peers_settle();
    client_gets("Ra!");
    end_served();
}
END_TEST

static void on_passed(void *arg, int error, const Hawser__Internal__NewsReply *reply) {
    (void)arg;
    answers++;
    ck_assert(error == 0 && reply->sessions == 1);
}

START_TEST(test_a_passing_broadcast_comes_behind_a_reset) {
    const struct voice v = resetting();
    Hawser__Internal__NewsRequest q = HAWSER__INTERNAL__NEWS_REQUEST__INIT;
    begin_before_a_reset(&v);
    q.product = PRODUCT;
    q.message = message("l");
    q.message->class_ = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_LIVE;
    answers = 0;
    room_news(peer_by(&cluster, link_of_center), &q, on_passed, NULL);
    loop_step(bed.room.loop, 0);
    hello_got_wants(binding, all);
    peers_settle();
    ck_assert_uint_eq(answers, 1);
    client_gets("R!l");
    end_served();
}
END_TEST

RUN_TESTS("what is called at a room", test_a_delivery_in_each_state,
          test_a_delivery_comes_behind_a_reset, test_a_load_comes_behind_a_reset,
          test_a_walk_comes_behind_a_reset, test_a_passing_broadcast_comes_behind_a_reset)
