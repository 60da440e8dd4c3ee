// Bindings: several on one connection, changes of user, tokens that end, and what is known again
// after a restart.
#include "core_world.h"
#include "suite.h"

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
    TOLD("ended:chat:cid ended:chat:dot(4002) stopped(4002)"); // nothing is left
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

// The wait for a connection is over, and the one binding left is to come later: it waits again.
START_TEST(test_wait_behind_a_wait) {
    setup();
    online(0);
    bind_as("shop", "ann");
    give_bound(2, "shop", "ann", 4101);
    ck_assert_int_eq(core_unbind(core, now, 1), 0);
    core_lost(core, now, "lost");
    pump();
    while (!connecting)
        tick_due();
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
    // Answered later: no sooner than if it had been answered at once.
    ck_assert_int_eq(core_renew(core, now, 1, token_for("chat", "ann")), 0);
    pump();
    ck_assert(!connecting);
    tick_due();
    ck_assert(connecting);
    teardown();
}
END_TEST

// An application whose clock is wrong answers with tokens that have expired, in the callback or
// later: at most some logins a minute.
START_TEST(test_expired_tokens_make_no_storm) {
    setup();
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    renew_with = _i == 0 ? token_for("chat", "ann") : NULL;
    unsigned logins = 0;
    for (uint64_t end = now + 300000; now < end; logins++) {
        while (!connecting)
            tick_due();
        connect_now();
        give_close(4005, 0);
        if (_i == 1)
            ck_assert_int_eq(core_renew(core, now, 1, token_for("chat", "ann")), 0);
        pump();
    }
    ck_assert_uint_lt(logins, 40);
    renew_with = NULL;
    teardown();
}
END_TEST

// The same on a connection that lives on, where the room refuses each as expired (0), accepts each
// though it has no time left (1), or accepts and ends it (2).
START_TEST(test_expired_renewals_make_no_storm) {
    setup();
    token_left_ms = 3600000;
    online(0);
    buf_reset(&said);
    renew_with = token_for("chat", "ann");
    ck_assert_int_eq(core_renew(core, now, 1, renew_with), 0);
    pump();
    unsigned binds = 0;
    for (uint64_t end = now + 300000; now < end;) {
        if (!strstr(buf_cstr(&said), "BIND[")) {
            give_frame(FRAME_PONG, NULL);
            tick_due();
            continue;
        }
        buf_reset(&said);
        binds++;
        struct bound_frame bound;
        bound_fill(&bound, _i == 0 ? 0 : 1, "chat", "ann", 5, 0);
        bound.m.error = _i == 0 ? 4005 : 0;
        bound.m.expires_ms = _i == 1 ? 1 : server_ms + 3600000;
        give_frame(FRAME_BOUND, &bound.m);
        if (_i == 2)
            give_bound(1, "chat", "ann", 4005);
    }
    ck_assert_uint_gt(binds, 3);
    ck_assert_uint_lt(binds, 40);
    ck_assert(!closed || _i == 2);
    renew_with = NULL;
    teardown();
}
END_TEST

// A renewal that is refused leaves the binding as it was, and is told; one that is refused for now
// is sent again.
START_TEST(test_renewal_refused) {
    setup();
    ck_assert_int_gt(core_bind(core, now, token_for("chat", "ann"), NULL, 0), 0);
    pump();
    connect_now();
    welcome(0);
    char first[256];
    snprintf(first, sizeof(first), "%s", said_token);
    buf_reset(&said);
    buf_reset(&told);
    ck_assert_int_eq(core_renew(core, now, 1, token_for("chat", "ann")), 0);
    pump();
    SAID("BIND[tags=0]");
    ck_assert_str_ne(said_token, first);
    give_bound(0, "chat", "ann", 4101);
    push(INBOX, 1, "a");
    TOLD("chat:inbox:1=a"); // the binding stands meanwhile
    while (!strstr(buf_cstr(&said), "BIND"))
        tick_due();
    buf_reset(&said);
    ck_assert_str_ne(said_token, first);
    give_bound(0, "", "", 4002);
    TOLD("bound:chat:ann(4002)");
    push(INBOX, 2, "b");
    TOLD("chat:inbox:2=b");
    core_lost(core, now, "reset");
    pump();
    // Offline, too: the new one is tried, and when it is refused the old one again.
    ck_assert_int_eq(core_renew(core, now, 1, token_for("chat", "ann")), 0);
    tick_due();
    connect_now();
    ck_assert_str_ne(said_token, first);
    buf_reset(&told);
    give_close(4002, 0);
    TOLD(connecting ? "offline(4002) connecting" : "offline(4002)");
    while (!connecting)
        tick_due();
    connect_now();
    ck_assert_str_eq(said_token, first);
    buf_reset(&told);
    give_close(4002, 0); // nothing else is left
    TOLD("stopped(4002)");
    teardown();
}
END_TEST

// When what is held ends, an offer takes its place.
START_TEST(test_offer_takes_over) {
    setup();
    online(0);
    core_lost(core, now, "reset");
    pump();
    tick_due();
    connect_now();
    buf_reset(&said);
    ck_assert_int_eq(core_renew(core, now, 1, token_for("chat", "ann")), 0); // after the Hello
    char first[256];
    snprintf(first, sizeof(first), "%s", said_token);
    buf_reset(&told);
    give_close(4005, 0);
    TOLD("offline(4005) connecting"); // at once
    connect_now();
    ck_assert_str_ne(said_token, first);
    teardown();
}
END_TEST

// The cluster ended the last binding: stopped, with its code. The user did: idle.
START_TEST(test_last_binding_ends) {
    setup();
    online(0);
    give_bound(1, "chat", "ann", 4003);
    TOLD("ended:chat:ann(4003) stopped(4003)");
    SAID("UNBIND(1) BYE");
    core_start(core, now);
    TOLD("offline");
    ck_assert_int_eq(bind_as("chat", "ann"), 2);
    ck_assert(connecting);
    connect_now();
    generation = 9;
    welcome(0);
    generation = 5;
    ck_assert_int_eq(core_unbind(core, now, 2), 0);
    pump();
    ck_assert_int_eq(core_status(core)->state, HAWSER_OFFLINE);
    teardown();
}
END_TEST

// One bad token does not take the others with it: a Hello that is refused altogether is tried one
// by one.
START_TEST(test_one_bad_token) {
    setup();
    ck_assert_int_eq(core_bind(core, now, token_for("shop", "ann"), NULL, 0), 1);
    ck_assert_int_eq(core_bind(core, now, token_for("chat", "ann"), NULL, 0), 2);
    pump();
    connect_now();
    SAID("HELLO(resume=0)[tags=0][tags=0]");
    give_close(4002, 0); // of the first one
    TOLD("connecting offline(4002)");
    tick_due();
    connect_now();
    SAID("HELLO(resume=0)[tags=0]");
    give_close(_i == 0 ? 4002 : 4101, 0);
    TOLD(_i == 0 ? "connecting offline(4002) ended:shop:ann(4002) connecting"
                 : "connecting offline(4101)");
    while (!connecting)
        tick_due();
    connect_now();
    SAID("HELLO(resume=0)[tags=0]");
    welcome(0);
    give_frame(FRAME_PONG, NULL);
    ck_assert_int_eq(core_status(core)->state, HAWSER_ONLINE);
    push(INBOX, 1, "a");
    ck_assert_ptr_nonnull(strstr(buf_cstr(&told), "bound:chat:ann chat:inbox:1=a"));
    teardown();
}
END_TEST

// What a dispatcher says of one product is not for the others.
START_TEST(test_one_bad_product) {
    options.dispatchers = one_dispatcher;
    options.dispatcher_count = 1;
    setup();
    ck_assert_int_eq(core_bind(core, now, token_for("gone", "ann"), NULL, 0), 1);
    ck_assert_int_eq(core_bind(core, now, token_for("chat", "ann"), NULL, 0), 2);
    pump();
    for (int i = 0; i < 2; i++) {
        Hawser__V1__Located m = HAWSER__V1__LOCATED__INIT;
        m.error = 4004;
        connect_now();
        give_frame(FRAME_LOCATED, &m);
        TOLD(i == 0 ? "connecting offline(4004) ended:gone:ann(4004) connecting" : "stopped(4004)");
    }
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

// Tags set while offline go out with the next Hello, also one that names a session to resume; those
// set while a Bind is on its way follow its answer.
START_TEST(test_tags_while_offline) {
    static const char *const tags[] = {"a", "b"};
    setup();
    online(0);
    core_lost(core, now, "reset");
    pump();
    ck_assert_int_eq(core_bind(core, now, token_for("chat", "ann"), tags, 2), 1);
    tick_due();
    connect_now();
    SAID("HELLO(resume=9)[tags=2,inbox=0,news=0,bulk=0]");
    ck_assert_int_eq(core_bind(core, now, token_for("chat", "ann"), tags, 1), 1);
    welcome(0);
    SAID("BIND[tags=1]");
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
    ck_assert_int_eq(core_upstream(core, now, 1, &(struct core_upstream){"t", id, "x", 1, true}),
                     -2);
    online(0);
    ck_assert_int_eq(core_upstream(core, now, 1, &(struct core_upstream){"t", id, "x", 1, true}),
                     0);
    ck_assert_int_eq(core_upstream(core, now, 1, &(struct core_upstream){"", id, "x", 1, true}),
                     -22);
    char *large = hw_calloc(1, FRAME_BODY_MAX);
    ck_assert_int_eq(
        core_upstream(core, now, 1, &(struct core_upstream){"t", id, large, FRAME_BODY_MAX, true}),
        -90);
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
    ck_assert_int_eq(core_upstream(core, now, 1, &(struct core_upstream){"t", id, "x", 1, true}),
                     -107);
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
    ck_assert_ptr_null(core_new(&o, (struct core_host){store, &rng, 0}, error, sizeof(error)));
    ck_assert_str_ne(error, "");
    store->close(store);
}
END_TEST

int main(void) {
    TCase *t = tcase_create("core_login");
    tcase_set_timeout(t, 120);
    const TTest *const single[] = {test_several_bindings,
                                   test_many_bindings,
                                   test_change_of_user,
                                   test_unbind_before_bound,
                                   test_unbind_from_callback,
                                   test_wait_behind_a_wait,
                                   test_bind_again,
                                   test_renewal,
                                   test_token_expired,
                                   test_token_expired_nobody_cares,
                                   test_renewal_refused,
                                   test_offer_takes_over,
                                   test_last_binding_ends,
                                   test_one_bad_product,
                                   test_tags_while_offline,
                                   test_opaque_token,
                                   test_restart,
                                   test_upstream};
    for (size_t i = 0; i < COUNT(single); i++)
        tcase_add_test(t, single[i]);
    tcase_add_loop_test(t, test_expired_tokens_make_no_storm, 0, 2);
    tcase_add_loop_test(t, test_expired_renewals_make_no_storm, 0, 3);
    tcase_add_loop_test(t, test_one_bad_token, 0, 2);
    tcase_add_loop_test(t, test_wrong_options, 0, (int)COUNT(wrong_options));
    return run_case("core_login", t);
}
