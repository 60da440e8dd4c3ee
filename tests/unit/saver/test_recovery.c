// A Redis that went back, and a MariaDB that has what was durable there: it is put back under its
// old seqs before anything else is done, wherever the way back is cut; nothing comes twice.
#include "recovery_bed.h"

// What a test does with durable messages, once more with stored ones.
#define BOTH_CLASSES(name)                                                                         \
    START_TEST(test_##name) {                                                                      \
        name();                                                                                    \
    }                                                                                              \
    END_TEST                                                                                       \
    START_TEST(test_##name##_stored) {                                                             \
        are_stored = true;                                                                         \
        name();                                                                                    \
    }                                                                                              \
    END_TEST

// The tail is lost: what of it no device has handled stands where it stood, what all have is a gap;
// the next message comes behind all that was ever given. A device that had it is told of no reset.
START_TEST(test_gone_back) {
    struct bed b = recovery_bed();
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    ck_assert_uint_eq(DURABLE(&b, .user = "u", .id = "d1"), 1);
    ck_assert_uint_eq(DURABLE(&b, .user = "u", .id = "s2", .is_stored = true), 2);
    ck_assert_uint_eq(DURABLE(&b, .id = "n1"), 1);
    uint64_t epoch = bed_head(&b, STREAM_INBOX, "u").epoch;
    aof_keep();
    ck_assert_uint_eq(DURABLE(&b, .user = "u", .id = "d3"), 3);
    ck_assert_uint_eq(DURABLE(&b, .user = "u", .id = "s4", .is_stored = true), 4);
    ck_assert_uint_eq(DURABLE(&b, .user = "u", .id = "d5", .device = "a"), 5);
    ck_assert_uint_eq(DURABLE(&b, .user = "u", .id = "s6", .is_stored = true), 6);
    ck_assert_uint_eq(DURABLE(&b, .id = "n2"), 2);
    ck_assert_uint_eq(DURABLE(&b, .id = "n3", .is_stored = true), 3);
    ck_assert_uint_eq(DURABLE(&b, .user = "v", .id = "d1", .ttl_ms = 1000000), 1);
    ck_assert_uint_eq(DURABLE(&b, .user = "v", .id = "over", .ttl_ms = 1), 2);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 4);
    until_landed(&b);
    until_rows(&b, "ended_ms AND seq = 4", "1");
    redis_went_back(&b);
    ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, "u").epoch, epoch);
    ck_assert_str_eq(messages_of(&b, "u", ""), "d1 s2 (7) d5 s6 (7)");
    ck_assert_str_eq(messages_of(&b, "u", "other"), "d1 s2 (7) (6) s6 (7)");
    ck_assert_str_eq(messages_of(&b, NULL, ""), "n1 n2 n3 (7)");
    ck_assert_str_eq(messages_of(&b, "v", ""), "d1 (7)");
    ck_assert_str_eq(ATTACH(&b, .user = "u", .device = "a", .generation = 2, .have = true,
                            .epoch = epoch, .seq = 4),
                     "0:4 1:0 2:0");
    ck_assert_uint_gt(DURABLE(&b, .user = "u", .id = "d7"), UINT64_C(1) << 40);
    ck_assert_str_eq(messages_of(&b, "u", "a"),
                     "(0) (7) d5 s6 (7) d7"); // what it has is no entry any more
    ck_assert_str_eq(bed_stats(&b), "2/4/0/0");
    recovery_end(&b);
}
END_TEST

static void redis_is_emptied(struct bed *b, const char *user) {
    Hawser__Internal__HeadRequest q = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
    redis_cli("FLUSHALL");
    q.product = 1;
    q.user = (char *)(uintptr_t)user;
    ck_assert_ptr_null(bed_try(b, &q.base)); // it is told of no other epoch
    until_down(b);
    until_up(b->store, b->loop);
}

// All is lost while savers are connected, or while they are not: the log is made anew in its epoch,
// with what is durable.
START_TEST(test_emptied) {
    struct bed b = recovery_bed();
    for (int is_restarted = 0; is_restarted < 2; is_restarted++) {
        const char *user = is_restarted ? "restarted" : "flushed";
        ck_assert_uint_eq(DURABLE(&b, .user = user, .id = "d1"), 1);
        DURABLE(&b, .user = user, .id = "s", .is_stored = true);
        DURABLE(&b, .user = user, .id = "d3");
        uint64_t epoch = bed_head(&b, STREAM_INBOX, user).epoch;
        until_landed(&b);
        if (is_restarted) {
            redis_went_back(&b);
        } else {
            redis_is_emptied(&b, user);
        }
        ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, user).epoch, epoch);
        ck_assert_str_eq(messages_of(&b, user, ""), "d1 s d3 (7)");
    }
    ck_assert_str_eq(messages_of(&b, "flushed", ""), "d1 s d3 (7)");
    recovery_end(&b);
}
END_TEST

// What was replaced does not come back, whether it was there still or is put back itself.
START_TEST(test_replaced) {
    struct bed b = recovery_bed();
    DURABLE(&b, .user = "u", .id = "d1", .key = "k");
    aof_keep();
    DURABLE(&b, .user = "u", .id = "d2", .key = "k");
    DURABLE(&b, .user = "u", .id = "d3", .key = "l");
    until_landed(&b);
    redis_went_back(&b);
    ck_assert_str_eq(messages_of(&b, "u", ""), "(5) d2 d3 (7)");
    redis_is_emptied(&b, "u");
    ck_assert_str_eq(messages_of(&b, "u", ""), "(5) d2 d3 (7)");
    DURABLE(&b, .user = "u", .id = "d4", .key = "k");
    ck_assert_str_eq(messages_of(&b, "u", ""), "(5) d3 (7) d4");
    recovery_end(&b);
}
END_TEST

// Whoever is idle when all keys are deleted hears of it before he does anything there.
static void emptied_beside(void) {
    struct bed b = recovery_bed();
    struct bed idle = b;
    idle.store = saver_durable(redis_store_on(b.loop), rows_open(b.loop));
    until_up(idle.store, b.loop);
    DURABLE(&b, .user = "u", .id = "d1");
    until_landed(&b);
    redis_cli("FLUSHALL");
    Hawser__Internal__HeadRequest q = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
    q.product = 1;
    q.user = (char[]){"u"};
    ck_assert_ptr_null(bed_try(&b, &q.base));
    until_down(&b);
    until_up(b.store, b.loop);
    idle.reply = b.reply;
    ck_assert_ptr_null(bed_try(&idle, &q.base));
    until_down(&idle);
    until_up(idle.store, b.loop);
    ck_assert_str_eq(messages_of(&idle, "u", ""), "d1 (7)");
    b.reply = idle.reply;
    store_free(idle.store);
    recovery_end(&b);
}
BOTH_CLASSES(emptied_beside)

// Nothing was lost: nothing is put back, and what every device has handled does not come again.
static void nothing_lost(void) {
    struct bed b = recovery_bed();
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    for (char id[2] = "a"; id[0] <= 'd'; id[0]++)
        DURABLE(&b, .user = "u", .id = id);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 2);
    until_landed(&b);
    for (int i = 0; i < 2; i++) {
        aof_keep();
        redis_went_back(&b);
        ck_assert_str_eq(messages_of(&b, "u", "a"), "(0) c d (7)");
    }
    ck_assert_uint_eq(saver_durable_counts(b.store)->restored, 0);
    ck_assert_str_eq(bed_stats(&b), "2/2/0/0");
    recovery_end(&b);
}
BOTH_CLASSES(nothing_lost)

// MariaDB is away when Redis went back: nobody is told of a gap, until it can be asked.
static void back_is_away(void) {
    struct bed b = recovery_bed();
    DURABLE(&b, .user = "u", .id = "d1");
    until_landed(&b);
    maria_kill();
    while (!saver_durable_down(b.store))
        loop_step(b.loop, -1);
    redis_goes_back(&b);
    until_up(front, b.loop);
    ck_assert_ptr_nonnull(strstr(store_down_reason(b.store), "put back from MariaDB"));
    ck_assert(store_is_coming(b.store));
    Hawser__Internal__HeadRequest q = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
    q.product = 1;
    q.user = (char[]){"u"};
    ck_assert_ptr_null(bed_try(&b, &q.base));
    ck_assert_int_eq(b.error, -HW_ELOADING);
    maria_run(NULL);
    until_up(b.store, b.loop);
    ck_assert_str_eq(messages_of(&b, "u", ""), "d1 (7)");
    recovery_end(&b);
}
BOTH_CLASSES(back_is_away)

// A saver that knows no MariaDB has gone on first: what has lost its place is appended anew.
static void gone_on_without(void) {
    struct bed b = recovery_bed();
    loses_d2(&b);
    maria_freeze(); // so that this saver comes later
    redis_goes_back(&b);
    struct bed other = b;
    other.store = redis_store_on(b.loop);
    until_up(other.store, b.loop);
    DURABLE(&other, .user = "u", .id = "s", .is_stored = true);
    store_free(other.store);
    b.reply = other.reply;
    kill(maria_pid, SIGCONT);
    until_up(b.store, b.loop);
    maria_sql("UPDATE hawser_messages SET landed_ms = landed_ms - 6000;");
    until_rows(&b, "seq > 1 << 40 AND id = 'd2'", "1");
    ck_assert_str_eq(messages_of(&b, "u", ""), "d1 (7) s d2");
    recovery_end(&b);
}
BOTH_CLASSES(gone_on_without)

// The same, and Redis begins one more history, without a loss: an older jump is looked into, too.
static void older_jump(void) {
    struct bed b = recovery_bed();
    loses_d2(&b);
    maria_freeze();
    redis_goes_back(&b);
    struct bed other = b;
    other.store = redis_store_on(b.loop);
    until_up(other.store, b.loop);
    DURABLE(&other, .user = "u", .id = "s", .is_stored = true);
    store_free(other.store);
    b.reply = other.reply;
    aof_keep();
    redis_goes_back(&b);
    kill(maria_pid, SIGCONT);
    until_up(b.store, b.loop);
    maria_sql("UPDATE hawser_messages SET landed_ms = landed_ms - 6000;");
    until_rows(&b, "seq > 1 << 40 AND id = 'd2'", "1");
    const char *log = messages_of(&b, "u", ""); // a jump within one second is none
    ck_assert(strcmp(log, "d1 (7) s (7) d2") == 0 || strcmp(log, "d1 (7) s d2") == 0);
    recovery_end(&b);
}
BOTH_CLASSES(older_jump)

// What lands while Redis goes back does not come before what is put back.
START_TEST(test_landed_meanwhile) {
    struct bed b = recovery_bed();
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    loses_d2(&b);
    maria_freeze();
    q.product = 1;
    q.user = (char[]){"u"};
    q.message = &m;
    m.id = (char[]){"d3"};
    m.class_ = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE;
    protobuf_c_message_free_unpacked(b.reply, NULL);
    b.reply = NULL;
    b.answered = false;
    store_call(b.store, &q.base, bed_on_answer, &b);
    redis_goes_back(&b);
    until_up(front, b.loop);
    kill(maria_pid, SIGCONT);
    while (!b.answered)
        loop_step(b.loop, -1);
    ck_assert_int_eq(b.error, -HW_ELOADING);
    until_up(b.store, b.loop);
    ck_assert_str_eq(messages_of(&b, "u", ""), "d1 d2 (7)");
    ck_assert_str_eq(maria_table("SELECT COUNT(*) FROM hawser_messages"), "2");
    recovery_end(&b);
}
END_TEST

// A mark of what was appended in an older history comes too late, and so does one of a row that is
// marked: the row stays as it is.
START_TEST(test_late_mark) {
    struct bed b = recovery_bed();
    struct bed below = b;
    Hawser__Internal__MarkRequest q = HAWSER__INTERNAL__MARK_REQUEST__INIT;
    DURABLE(&b, .user = "u", .id = "d1");
    until_landed(&b);
    below.store = ((struct store_pair *)b.store)->back;
    below.reply = b.reply;
    q.row = strtoull(maria_table("SELECT row_no FROM hawser_messages"), NULL, 10);
    q.epoch = 7;
    q.seq = 99;
    q.history =
        strtoull(maria_table("SELECT holder FROM hawser_leases WHERE name = 'history'"), NULL, 10);
    ck_assert(!((const Hawser__Internal__MarkReply *)bed_ask(&below, &q.base))->marked);
    maria_sql("UPDATE hawser_messages SET unmarked = 1, seq = NULL;");
    q.history++;
    ck_assert(!((const Hawser__Internal__MarkReply *)bed_ask(&below, &q.base))->marked);
    ck_assert_str_eq(maria_table("SELECT unmarked FROM hawser_messages"), "1");
    q.history--;
    ck_assert(((const Hawser__Internal__MarkReply *)bed_ask(&below, &q.base))->marked);
    ck_assert_str_eq(maria_table("SELECT seq FROM hawser_messages"), "99");
    b.reply = below.reply;
    recovery_end(&b);
}
END_TEST

// Rows behind that seq have left since the log was listed: there are none, and it ends.
START_TEST(test_rows_that_left) {
    struct bed b = recovery_bed();
    struct bed below = b;
    Hawser__Internal__LandedRowsRequest q = HAWSER__INTERNAL__LANDED_ROWS_REQUEST__INIT;
    Hawser__Internal__LandedLog log = HAWSER__INTERNAL__LANDED_LOG__INIT;
    loses_d2(&b);
    log.product = 1;
    log.user = (char[]){"u"};
    log.epoch = bed_head(&b, STREAM_INBOX, "u").epoch;
    log.seq = 3;
    q.log = &log;
    below.store = ((struct store_pair *)b.store)->back;
    below.reply = b.reply;
    for (q.after = 0; q.after <= 2; q.after++) {
        const Hawser__Internal__LandedRowsReply *reply = bed_ask(&below, &q.base);
        ck_assert_uint_eq(reply->n_row, 2 - q.after);
        ck_assert(!reply->more);
        ck_assert_uint_eq(reply->upto, 3);
    }
    b.reply = below.reply;
    recovery_end(&b);
}
END_TEST

// More logs than a page has, and more rows than one step takes.
static void many(void) {
    struct bed b = recovery_bed();
    char user[16], want[400] = "";
    for (int i = 0; i < RESTORE_LOGS_MAX + 10; i++) {
        snprintf(user, sizeof(user), "user%03d", i);
        DURABLE(&b, .user = user, .id = "d");
    }
    for (int i = 0; i < 2 * RESTORE_ROWS_MAX + 3; i++) {
        char id[8];
        snprintf(id, sizeof(id), "d%d", i);
        DURABLE(&b, .user = "u", .id = id);
        snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s ", id);
    }
    snprintf(want + strlen(want), sizeof(want) - strlen(want), "(7)");
    until_landed(&b);
    redis_went_back(&b);
    ck_assert_str_eq(messages_of(&b, "u", ""), want);
    for (int i = 0; i < RESTORE_LOGS_MAX + 10; i++) {
        snprintf(user, sizeof(user), "user%03d", i);
        ck_assert_str_eq(messages_of(&b, user, ""), "d (7)");
    }
    recovery_end(&b);
}
BOTH_CLASSES(many)

// Redis is full: it lets go, and takes what it lost when it has room.
static void full(void) {
    struct bed b = recovery_bed();
    loses_d2(&b);
    maria_freeze();
    redis_goes_back(&b);
    until_up(front, b.loop);
    redis_cli("CONFIG SET maxmemory 1");
    kill(maria_pid, SIGCONT);
    until_up(b.store, b.loop);
    ck_assert_str_eq(messages_of(&b, "u", ""), "d1 (7)");
    redis_cli("CONFIG SET maxmemory 0");
    maria_sql("UPDATE hawser_messages SET landed_ms = landed_ms - 6000;");
    until_landed(&b);
    ck_assert_str_eq(messages_of(&b, "u", ""), "d1 (7) d2");
    recovery_end(&b);
}
BOTH_CLASSES(full)

static bool restored(struct bed *b, uint32_t does, uint64_t walk) {
    Hawser__Internal__RestoredRequest q = HAWSER__INTERNAL__RESTORED_REQUEST__INIT;
    struct bed below = *b;
    q.does = does;
    q.walk = walk;
    below.store = front;
    bool answer = ((const Hawser__Internal__RestoredReply *)bed_ask(&below, &q.base))->restored;
    b->reply = below.reply;
    return answer;
}

// A walk ends what it began, unless another one, or a Redis that went back, came between.
START_TEST(test_whole) {
    struct bed b = recovery_bed();
    ck_assert(restored(&b, 0, 0));
    ck_assert(restored(&b, 1, 7)); // there is nothing to begin
    redis_cli("DEL hw:restored");
    ck_assert(!restored(&b, 0, 0));
    ck_assert(!restored(&b, 2, 7));
    ck_assert(!restored(&b, 1, 7));
    ck_assert(!restored(&b, 1, 8));
    ck_assert(!restored(&b, 2, 7));
    redis_cli("CONFIG SET maxmemory 1");
    ck_assert(restored(&b, 2, 8));
    ck_assert(restored(&b, 2, 7));
    recovery_end(&b);
}
END_TEST

// A log of which something is due is not swept before it is whole: it would go on.
static void not_swept(void) {
    struct bed b = recovery_bed();
    DURABLE(&b, .user = "u", .id = "d1", .ttl_ms = 1);
    aof_keep();
    DURABLE(&b, .user = "u", .id = "d2");
    until_landed(&b);
    maria_freeze();
    redis_goes_back(&b);
    until_up(front, b.loop);
    for (uint64_t end = loop_now_ms(b.loop) + 1500; loop_now_ms(b.loop) < end;)
        loop_step(b.loop, 100);
    kill(maria_pid, SIGCONT);
    until_up(b.store, b.loop);
    ck_assert_str_eq(messages_of(&b, "u", ""), "(1) d2 (7)");
    ck_assert_uint_eq(saver_durable_counts(b.store)->appended_anew, 0);
    recovery_end(&b);
}
BOTH_CLASSES(not_swept)

// Rows of an older log of the same user, which was lost when nobody could ask: the newer one comes
// back as it was, and what is of the older one is appended anew.
static void two_epochs(void) {
    struct bed b = recovery_bed();
    DURABLE(&b, .user = "u", .id = "d1");
    DURABLE(&b, .user = "u", .id = "d2");
    uint64_t epoch = bed_head(&b, STREAM_INBOX, "u").epoch;
    until_landed(&b);
    maria_sql("UPDATE hawser_messages SET epoch = 1 WHERE id = 'd1';");
    redis_went_back(&b);
    ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, "u").epoch, epoch);
    maria_sql("UPDATE hawser_messages SET landed_ms = landed_ms - 6000;");
    until_landed(&b);
    ck_assert_str_eq(messages_of(&b, "u", ""), "(7) d2 (7) d1");
    recovery_end(&b);
}
BOTH_CLASSES(two_epochs)

// Two savers, and a Redis that goes back once more after any number of steps: each message is there
// once, in its order.
static void cut(void) {
    struct bed b = recovery_bed();
    struct store *second = saver_durable(redis_store_on(b.loop), rows_open(b.loop));
    until_up(second, b.loop);
    for (int steps = 1; steps < 60; steps += 7) {
        char user[16];
        snprintf(user, sizeof(user), "u%d", steps);
        DURABLE(&b, .user = user, .id = "d1");
        aof_keep();
        DURABLE(&b, .user = user, .id = "d2");
        DURABLE(&b, .user = user, .id = "d3");
        until_landed(&b);
        redis_goes_back(&b);
        until_up(front, b.loop);
        for (int i = 0; i < steps; i++)
            loop_step(b.loop, 2);
        redis_went_back(&b);
        ck_assert_str_eq(messages_of(&b, user, ""), "d1 d2 d3 (7)");
    }
    store_free(second);
    recovery_end(&b);
}
BOTH_CLASSES(cut)

RUN_TESTS_ON_MARIADB("recovery", test_gone_back, test_replaced, test_emptied, test_emptied_beside,
                     test_emptied_beside_stored, test_nothing_lost, test_nothing_lost_stored,
                     test_back_is_away, test_back_is_away_stored, test_gone_on_without,
                     test_gone_on_without_stored, test_older_jump, test_older_jump_stored,
                     test_landed_meanwhile, test_late_mark, test_rows_that_left, test_many,
                     test_many_stored, test_full, test_full_stored, test_whole, test_not_swept,
                     test_not_swept_stored, test_two_epochs, test_two_epochs_stored, test_cut,
                     test_cut_stored)
