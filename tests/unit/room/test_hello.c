// Who goes on with a session that is still here, and who must log in again: by resume bytes, by the
// position that the client has, and beside a session that is ending.
#include "logins.h"

static uint8_t resume_bytes[RESUME_BYTES]; // of the last Welcome
static unsigned renewed;

static void keep_resume_bytes(struct conn *c, const struct welcome *welcome) {
    (void)c;
    memcpy(resume_bytes, welcome->resume, RESUME_BYTES);
}

static void count_renewed(struct conn *c, const struct bound *bound) {
    (void)c;
    renewed += bound->code == 0;
}

static struct voice keeping(enum voice_lingers lingers) {
    struct voice v = tiny;
    v.lingers = lingers;
    v.say_welcome = keep_resume_bytes;
    v.say_bound = count_renewed;
    v.say_close = tiny_say_no_close;
    return v;
}

static void begin_known(const struct voice *voice) {
    begin(voice);
    takes_bindings(3);
    bed.room.places.connections_max = 2;
    product_known();
    bed.conn->device = hw_strdup("phone");
}

// Of the news the client has handled 1, and 3 were sent.
static struct conn *begin_with_ann(const struct voice *voice) {
    begin_known(voice);
    log_in(all, 0, 0);
    room_binding_name(binding, "ann", NULL);
    for (uint64_t seq = 1; seq <= 3; seq++)
        broadcast(seq, "a");
    client_says("1");
    client_gets("!aaa");
    return bed.conn;
}

static void end_with(struct conn *held) {
    conn_end(held);
    turn_loop();
    asks_free(&cluster);
    catalog_free(&cluster);
    bed_conn(&bed, &tiny); // which the end ends
    end();
}

// On another connection. Whether her session went on by it, or it began a login of its own.
static bool ann_goes_on(const struct voice *voice, const uint8_t *resume,
                        const struct session_have *have) {
    struct hello_request hello = {.device = "phone", .resume = resume, .bind_count = 1};
    uint64_t before = bed.room.count.conn.resumed;
    char *token = token_for("ann");
    hello.resume_len = resume ? RESUME_BYTES : 0;
    hello.bind[0] = (struct bind_request){.token = token, .is_have_good = true, .have = *have};
    bed_conn(&bed, voice);
    connect_client();
    hello_got_hello(bed.conn, &hello);
    free(token);
    bool has_gone_on = bed.room.count.conn.resumed > before;
    if (!has_gone_on) {
        ck_assert_int_eq(bed.conn->state, CONN_LOGIN);
        ck_assert_int_eq(room_binding_state(bed.conn->bindings), SESSION_ASKING);
        conn_end(bed.conn);
    }
    turn_loop();
    return has_gone_on;
}

// A client that has less than it acknowledged, more than it was sent, or another log's messages
// must ask the store.
static const struct {
    bool is_given;
    struct stream_position news;
    bool goes_on;
} positions[] = {{false, {0, 0}, true},        {true, {EPOCH, 0}, false},
                 {true, {EPOCH, 1}, true},     {true, {EPOCH, 3}, true},
                 {true, {EPOCH, 4}, false},    {true, {EPOCH + 1, 2}, false},
                 {true, {EPOCH - 1, 2}, false}};

static void check_positions(enum voice_lingers lingers) {
    const struct voice v = keeping(lingers);
    for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++) {
        struct session_have have = {0};
        have.given[FEED_NEWS] = positions[i].is_given;
        have.at[FEED_NEWS] = positions[i].news;
        struct conn *lost = begin_with_ann(&v);
        close(client);
        turn_loop();
        ck_assert_int_eq(lost->state, CONN_LINGERING);
        bool goes_on = ann_goes_on(&v, lingers == LINGERS_BY_BYTES ? resume_bytes : NULL, &have);
        ck_assert_msg(goes_on == positions[i].goes_on, "position %zu", i);
        ck_assert_int_eq(lost->state, goes_on ? CONN_OPEN : CONN_LINGERING);
        end_with(lost);
    }
}

START_TEST(test_a_position_to_resume_from) {
    check_positions(LINGERS_BY_BYTES);
}
END_TEST

START_TEST(test_a_position_to_return_with) {
    check_positions(LINGERS_BY_TOKEN);
}
END_TEST

// Each Welcome has bytes of its own, and only those of the last one are good.
START_TEST(test_resume_bytes_are_good_once) {
    static const struct session_have none;
    const struct voice v = keeping(LINGERS_BY_BYTES);
    uint8_t first[RESUME_BYTES];
    struct conn *held = begin_with_ann(&v);
    memcpy(first, resume_bytes, RESUME_BYTES);
    close(client);
    turn_loop();
    ck_assert(ann_goes_on(&v, first, &none));
    int second_client = client;
    ck_assert(memcmp(first, resume_bytes, RESUME_BYTES) != 0);
    ck_assert(!ann_goes_on(&v, first, &none));
    ck_assert_int_eq(held->state, CONN_OPEN);
    close(client);
    ck_assert(ann_goes_on(&v, resume_bytes, &none)); // before it is known to be lost
    ck_assert_int_eq(held->state, CONN_OPEN);
    close(second_client);
    end_with(held);
}
END_TEST

// Its client unbinds while the register has not answered, and binds again in the same write. The
// session that is ending is not renewed: another one logs in.
START_TEST(test_a_bind_beside_one_that_is_leaving) {
    const struct voice v = keeping(LINGERS_NOT);
    struct session_terms terms = {.limits = &v.ack_limits};
    struct session_event row = {.kind = EVENT_ROW, .of.row.result = ROW_NO_ANSWER};
    struct bind_request bind = {.is_have_good = true};
    renewed = 0;
    begin_known(&v);
    bed.conn->has_place = true; // since its Hello: no login of its own is to end in time
    bed.room.places.taken = 1;
    cluster.store_ms = 1;
    admission_init(&bed.room.questions.logins);
    struct room_binding *leaving = room_binding_new(bed.conn, &terms);
    product_hold(leaving, &(struct product){.number = PRODUCT, .name = "p"});
    bed.room.places.holders++;
    room_binding_name(leaving, "ann", NULL);
    room_binding_tell_kind(leaving, EVENT_ADMITTED);
    hello_got_unbind(bed.conn, leaving);
    ck_assert_int_eq(room_binding_state(leaving), SESSION_LEAVING);
    char *token = token_for("ann");
    bind.token = token;
    hello_got_bind(bed.conn, &bind);
    struct room_binding *next = conn_awaited(bed.conn);
    while (conn_awaited(bed.conn) == next && room_binding_state(next) == SESSION_ASKING)
        loop_step(bed.room.loop, 10);
    ck_assert_uint_eq(renewed, 0);
    ck_assert_ptr_eq(conn_awaited(bed.conn), next);
    ck_assert_int_eq(room_binding_state(next), SESSION_ENTERING);
    ck_assert_int_eq(room_binding_state(leaving), SESSION_LEAVING);
    free(token);
    struct conn *held = bed.conn;
    conn_end(held);
    room_binding_tell(leaving, &row);
    room_binding_tell(next, &row);
    end_with(held);
}
END_TEST

RUN_TESTS("hello", test_a_position_to_resume_from, test_a_position_to_return_with,
          test_resume_bytes_are_good_once, test_a_bind_beside_one_that_is_leaving)
