// What a client owes the streams: order, repeats, gaps, resets, acks after storing, and what a room
// must not do, on the wire and towards the application.
#include "core_world.h"
#include "suite.h"

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
    ck_assert(recent_ids_has(&r.recent, recent_id("a")));
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

// Nor is it named at the next login, which would be an ack too.
START_TEST(test_no_have_without_store) {
    setup();
    online(0);
    push(INBOX, 1, "a");
    pass(200);
    SAID("ACK(1,inbox=1)");
    save_error = -5;
    push(INBOX, 2, "b");
    push(INBOX, 3, "c");
    core_lost(core, now, "reset");
    tick_due();
    connect_now();
    SAID("HELLO(resume=9)[tags=0,inbox=1,news=0,bulk=0]");
    // What comes again is acknowledged as far as it has come.
    save_error = 0;
    welcome(1);
    push(INBOX, 2, "b");
    pass(1000);
    SAID("ACK(1,inbox=2)");
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
    int before = notices;
    push(INBOX, 0, "live"); // which no room may do
    pass(1000);
    TOLD("chat:inbox:0=live");
    ck_assert_int_eq(notices, before + 1);
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
    TOLD("gap:inbox:11-15:expired gap:inbox:16-16:parked "
         "gap:news:100-200:unknown(no number) chat:inbox:18=a");
    pass(200);
    SAID("ACK(1,inbox=18,news=200)");
    // A store that began anew: the range is no number, whatever the reason given.
    gap(INBOX, 19, 1882851663413247, HAWSER__V1__GAP_REASON__GAP_STORE_RESTARTED);
    gap(NEWS, 201, 203, HAWSER__V1__GAP_REASON__GAP_STORE_RESTARTED);
    gap(BULK, 11, 1882851663413247, HAWSER__V1__GAP_REASON__GAP_EXPIRED);
    TOLD("gap:inbox:19-1882851663413247:store_restarted(no number) "
         "gap:news:201-203:store_restarted(no number) "
         "gap:bulk:11-1882851663413247:expired(no number)");
    teardown();
}
END_TEST

// Where nothing was lost the room passes a jump by Synced: nobody is told of a gap.
START_TEST(test_jump_by_synced) {
    setup();
    online(10);
    push(INBOX, 11, "a");
    synced(1882851663413247, 10);
    push(INBOX, 1882851663413248, "b");
    TOLD("chat:inbox:11=a synced:chat:ann chat:inbox:1882851663413248=b");
    ck_assert(!closed);
    pass(200);
    SAID("ACK(1,inbox=1882851663413248)");
    teardown();
}
END_TEST

// Who is asked for a sign of life acknowledges first what it has handled: the room's window may be
// shut.
START_TEST(test_ack_before_pong) {
    setup();
    online(0);
    push(INBOX, 1, "a");
    give_frame(FRAME_PING, NULL);
    SAID("ACK(1,inbox=1) PONG");
    ck_assert_int_eq(saves, 1);
    give_frame(FRAME_PING, NULL);
    SAID("PONG");
    pass(200);
    SAID("");
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
        SAID("ACK(1,inbox=1) PONG");
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
    TOLD("chat:inbox:3=c gap:inbox:3-3:parked chat:inbox:4=d synced:chat:ann");
    teardown();
}
END_TEST

// After 30 s the room asks, and then sends all again from the first unacknowledged one on; the end
// of the backlog is told once all before it is handled, and moves the position as ever.
START_TEST(test_refused_comes_again) {
    setup();
    online(0);
    push(INBOX, 1, "a");
    refuse = 1;
    push(INBOX, 2, "b");
    push(INBOX, 3, "c");
    synced(1000, 7);
    push(INBOX, 1001, "d");
    TOLD("chat:inbox:1=a chat:inbox:2=b");
    pass(200);
    SAID("ACK(1,inbox=1)");
    pass(29800);
    give_frame(FRAME_PING, NULL);
    SAID("PONG");
    refuse = 1;
    push(INBOX, 2, "b");
    push(INBOX, 3, "c");
    pass(30000);
    TOLD("chat:inbox:2=b");
    give_frame(FRAME_PING, NULL);
    push(INBOX, 2, "b");
    push(INBOX, 3, "c");
    push(INBOX, 1001, "d");
    TOLD("chat:inbox:2=b chat:inbox:3=c synced:chat:ann chat:inbox:1001=d");
    SAID("PONG");
    pass(200);
    SAID("ACK(1,inbox=1001,news=7)");
    teardown();
}
END_TEST

// A log that starts again has nothing to resend: what waited behind the refused message waits no
// longer.
START_TEST(test_reset_after_a_refusal) {
    setup();
    online(0);
    refuse = 1;
    push(INBOX, 1, "a");
    synced(1, 0);
    TOLD("chat:inbox:1=a");
    reset(INBOX, 78, 3);
    TOLD("reset:inbox:78:3 synced:chat:ann");
    teardown();
}
END_TEST

// A refused broadcast is for other tags than the device has by then: what is sent again begins
// behind it. While the refused one comes again too, what follows it waits still.
START_TEST(test_refused_is_left_out) {
    setup();
    online(0);
    refuse = 1;
    push(NEWS, 1, "a");
    push(NEWS, 2, "b");
    push(NEWS, 3, "c");
    TOLD("chat:news:1=a");
    refuse = 1;
    push(NEWS, 1, "a");
    push(NEWS, 2, "b");
    push(NEWS, 3, "c");
    TOLD("chat:news:1=a");
    push(NEWS, 2, "b");
    push(NEWS, 3, "c");
    push(NEWS, 5, "e");
    TOLD("chat:news:2=b chat:news:3=c chat:news:5=e");
    pass(200);
    SAID("ACK(1,news=5)");
    teardown();
}
END_TEST

int main(void) {
    TCase *t = tcase_create("core_streams");
    tcase_set_timeout(t, 120);
    const TTest *const single[] = {test_login_handle_store_ack,
                                   test_ack_at_once_when_much_is_handled,
                                   test_no_ack_without_store,
                                   test_no_have_without_store,
                                   test_repeats,
                                   test_gaps,
                                   test_reset_and_synced,
                                   test_jump_by_synced,
                                   test_ack_before_pong,
                                   test_refused_comes_again,
                                   test_reset_after_a_refusal,
                                   test_refused_is_left_out,
                                   test_chunks,
                                   test_garbage,
                                   test_refused_message};
    for (size_t i = 0; i < COUNT(single); i++)
        tcase_add_test(t, single[i]);
    tcase_add_loop_test(t, test_violations, 0, (int)COUNT(breaks));
    return run_case("core_streams", t);
}
