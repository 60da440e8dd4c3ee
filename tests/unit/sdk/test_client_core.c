// A connection's life: where to, when, and what follows from how it ends.
#include "close_codes.h"
#include "core_world.h"
#include "suite.h"

// What applications see is what the cluster says.
#define IS_ONE_CODE(name) _Static_assert((int)HAWSER_##name == (int)CLOSE_##name, #name)
IS_ONE_CODE(REPLACED);
IS_ONE_CODE(TOKEN_REFUSED);
IS_ONE_CODE(KICKED);
IS_ONE_CODE(PRODUCT_CLOSED);
IS_ONE_CODE(TOKEN_EXPIRED);
IS_ONE_CODE(BUSY);
IS_ONE_CODE(TRY_ANOTHER);
IS_ONE_CODE(RATE_LIMITED);
IS_ONE_CODE(DRAINING);
IS_ONE_CODE(NO_ANSWER);
IS_ONE_CODE(TOO_SLOW);
IS_ONE_CODE(MALFORMED);
IS_ONE_CODE(TOO_LARGE);
IS_ONE_CODE(UNEXPECTED);

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
            window = window * 2 < 45000 ? window * 2 : 45000;
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

// Elsewhere they are said once more, which ends what they stood for, and never again.
START_TEST(test_resume_elsewhere) {
    options.rooms = two_rooms;
    options.room_count = 2;
    setup();
    online(0);
    give_close(4200, 0);
    const char *says[] = {"HELLO(resume=9)[tags=0,inbox=0,news=0,bulk=0]",
                          "HELLO(resume=0)[tags=0,inbox=0,news=0,bulk=0]"};
    for (int i = 0; i < 2; i++) {
        tick_due();
        ck_assert_str_eq(target.host, i == 0 ? "room-b" : "room-a");
        connect_now();
        SAID(says[i]);
        core_lost(core, now, "reset");
        pump();
    }
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

// A room that is named as dispatcher says so: the next dispatcher is asked, and with none left the
// client stops with those words.
START_TEST(test_no_dispatcher) {
    static const char *const finders[] = {"room-a:7000", "finder:7200"};
    options = (struct hawser_options){.device = "phone", .callbacks = options.callbacks};
    options.dispatchers = finders;
    options.dispatcher_count = _i == 0 ? 2 : 1;
    setup();
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    while (strcmp(target.host, "room-a") != 0) {
        connecting = false;
        core_lost(core, now, "refused");
        pump();
        tick_due();
    }
    unsigned tries = 0;
    while (core_status(core)->state != HAWSER_STOPPED && strcmp(target.host, "room-a") == 0) {
        Hawser__V1__Close m = HAWSER__V1__CLOSE__INIT;
        m.code = 4302;
        m.reason = (char *)(uintptr_t) "this is a room, not a dispatcher";
        connect_now();
        give_frame(FRAME_CLOSE, &m);
        ck_assert_str_eq(core_status(core)->reason,
                         "room-a:7000 is no dispatcher: this is a room, not a dispatcher");
        if (core_status(core)->state != HAWSER_STOPPED)
            tick_due();
        tries++;
    }
    ck_assert_uint_eq(tries, _i == 0 ? 1 : 5);
    ck_assert_int_eq(core_status(core)->state == HAWSER_STOPPED, _i == 1);
    teardown();
}
END_TEST

// hawser_stop is the user's word also when the cluster had stopped the client before.
START_TEST(test_stop_after_a_stop) {
    setup();
    online(0);
    give_close(4003, 0);
    core_stop(core, now);
    TOLD("stopped(4003) stopped");
    ck_assert_uint_eq(core_status(core)->code, 0);
    core_stop(core, now);
    TOLD("");
    teardown();
}
END_TEST

static void ask_finder(void) {
    options = (struct hawser_options){.device = "phone", .callbacks = options.callbacks};
    options.dispatchers = one_dispatcher;
    options.dispatcher_count = 1;
    setup();
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    connect_now();
}

static const char *const no_hosts[] = {"/tmp/socket", "unix:///tmp/socket", "", "*", "a b", "a\nb",
                                       "user@host",   "\xc3\xa4.example"};

// A token goes to hosts only: what a dispatcher names besides is passed over.
START_TEST(test_located_no_host) {
    ask_finder();
    located(no_hosts[_i], 60, 0, 0);
    TOLD("connecting offline(4101)");
    ck_assert(!connecting);
    core_free(core);
    const char *text[1] = {no_hosts[_i]};
    char with_port[64], error[HAWSER_ERROR_BYTES];
    snprintf(with_port, sizeof(with_port), "%s:7000", no_hosts[_i]);
    text[0] = with_port;
    options.rooms = text;
    options.room_count = 1;
    core = core_new(&options, (struct core_host){store, &rng, now}, error, sizeof(error));
    ck_assert_ptr_null(core); // nor from the options
    teardown();
}
END_TEST

// Of more rooms than a client keeps the first ones count; the application is told once.
START_TEST(test_many_rooms) {
    Hawser__V1__Endpoint e = HAWSER__V1__ENDPOINT__INIT, *list[HAWSER_ENDPOINTS_MAX + 2];
    Hawser__V1__Located m = HAWSER__V1__LOCATED__INIT;
    e.host = (char *)(uintptr_t) "room-a";
    e.port = 7000;
    for (size_t i = 0; i < COUNT(list); i++)
        list[i] = &e;
    m.endpoint = list;
    m.n_endpoint = HAWSER_ENDPOINTS_MAX + (_i == 1 ? 2 : 0);
    ask_finder();
    int before = notices;
    give_frame(FRAME_LOCATED, &m);
    ck_assert_int_eq(notices, before + _i);
    teardown();
}
END_TEST

// Every number of a dispatcher and a room has a floor and a ceiling: the client neither storms nor
// sleeps for days.
START_TEST(test_numbers_of_a_dispatcher) {
    ask_finder();
    Hawser__V1__Endpoint e = HAWSER__V1__ENDPOINT__INIT, *list[1] = {&e};
    e.host = (char *)(uintptr_t) "room-a";
    e.port = 7000;
    Hawser__V1__Located m = HAWSER__V1__LOCATED__INIT;
    m.endpoint = list;
    m.n_endpoint = 1;
    m.ttl_s = m.start_after_ms = UINT32_MAX;
    m.backoff_base_ms = m.backoff_cap_ms = 1;
    give_frame(FRAME_LOCATED, &m);
    ck_assert_uint_eq(core_next_wakeup_ms(core), now + 3600000);
    tick_due();
    unsigned tries = 0;
    for (uint64_t end = now + 60000; now < end; tries++) {
        ck_assert(connecting);
        connecting = false;
        core_lost(core, now, "refused");
        pump();
        tick_due();
    }
    ck_assert_uint_lt(tries, 250); // half a second on average once the windows are at their floor
    m.start_after_ms = 0;
    m.backoff_base_ms = m.backoff_cap_ms = UINT32_MAX;
    while (strcmp(target.host, "finder") != 0 || !connecting) {
        connecting = false;
        core_lost(core, now, "refused");
        pump();
        tick_due();
    }
    connect_now();
    give_frame(FRAME_LOCATED, &m);
    for (int i = 0; i < 20; i++) {
        tick_due();
        connecting = false;
        core_lost(core, now, "refused");
        pump();
        ck_assert_uint_le(core_next_wakeup_ms(core), now + 600000);
    }
    teardown();
}
END_TEST

START_TEST(test_numbers_of_a_room) {
    setup();
    spread_ms = heartbeat_s = UINT32_MAX;
    server_ms = UINT64_MAX - 5; // and so is the token's end, beyond all arithmetic
    token_left_ms = 1;
    online(0);
    uint64_t sent = now;
    pass(200); // positions are stored
    ck_assert_uint_eq(core_next_wakeup_ms(core), sent + 3600000);
    Hawser__V1__Pong pong = HAWSER__V1__PONG__INIT;
    pong.heartbeat_s = 1;
    give_frame(FRAME_PONG, &pong);
    ck_assert_uint_eq(core_next_wakeup_ms(core), sent + 5000);
    core_lost(core, now, "reset");
    pump();
    ck_assert_uint_le(core_next_wakeup_ms(core), now + 600000);
    tick_due();
    connect_now();
    give_close(4101, UINT32_MAX);
    ck_assert_uint_le(core_next_wakeup_ms(core), now + 3600000 + 45000);
    teardown();
}
END_TEST

// Rooms that send the client on as soon as it comes: each time it stays longer.
START_TEST(test_go_away_storm) {
    setup();
    ck_assert_int_gt(bind_as("chat", "ann"), 0);
    Hawser__V1__GoAway m = HAWSER__V1__GO_AWAY__INIT;
    unsigned logins = 0;
    for (uint64_t end = now + 600000; now < end; logins++) {
        while (!connecting)
            tick_due();
        connect_now();
        welcome(0);
        give_frame(FRAME_GO_AWAY, &m);
    }
    ck_assert_uint_lt(logins, 60);
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

// Another network: told at once, which also tests the connection; a wait for the next try is cut
// short, but never below what the cluster asked for.
START_TEST(test_network_changes) {
    setup();
    online(0);
    core_set_network(core, now, HAWSER_WIFI);
    pump();
    SAID("PING");
    pass(8000);
    ck_assert(closed);
    for (int i = 0; i < 20; i++) {
        while (!connecting)
            tick_due();
        connecting = false;
        core_lost(core, now, "refused");
        pump();
    }
    core_set_network(core, now, HAWSER_CELL_4G);
    ck_assert_uint_le(core_next_wakeup_ms(core), now + 1000);
    tick_due();
    connect_now();
    give_close(4101, 20000);
    core_set_network(core, now, HAWSER_WIFI);
    ck_assert_uint_ge(core_next_wakeup_ms(core), now + 20000);
    ck_assert_uint_le(core_next_wakeup_ms(core), now + 21000);
    teardown();
}
END_TEST

int main(void) {
    TCase *t = tcase_create("client_core");
    tcase_set_timeout(t, 120);
    const TTest *const single[] = {test_protocol_errors_stop, test_backoff,
                                   test_login_timeouts,       test_heartbeat,
                                   test_resume_rule,          test_resume_elsewhere,
                                   test_dispatcher,           test_dispatchers_gone,
                                   test_dispatcher_refuses,   test_network_changes,
                                   test_many_rooms,           test_numbers_of_a_dispatcher,
                                   test_numbers_of_a_room,    test_go_away_storm};
    for (size_t i = 0; i < COUNT(single); i++)
        tcase_add_test(t, single[i]);
    tcase_add_loop_test(t, test_close_codes, 0, (int)COUNT(closes));
    tcase_add_test(t, test_stop_after_a_stop);
    tcase_add_loop_test(t, test_no_dispatcher, 0, 2);
    tcase_add_loop_test(t, test_many_rooms, 0, 2);
    tcase_add_loop_test(t, test_go_away, 0, 2);
    tcase_add_loop_test(t, test_located_no_host, 0, (int)COUNT(no_hosts));
    return run_case("client_core", t);
}
