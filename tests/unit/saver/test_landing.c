// Stored messages: they are answered when Redis has them, and land in MariaDB soon after, wherever
// that is cut; what comes back from there keeps the log's limits, and is not what all had handled.
#include "backlog.h"
#include "recovery_bed.h"

static const struct durable_counts *counts(const struct bed *b) {
    return saver_durable_counts(b->store);
}

static int try_stored(struct bed *b, const char *id, size_t bytes) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    q.product = 1;
    q.user = (char[]){"u"};
    q.message = &m;
    m.id = (char *)(uintptr_t)id;
    m.payload = (ProtobufCBinaryData){bytes, hw_calloc(1, bytes + 1)};
    const Hawser__Internal__AppendReply *reply = bed_try(b, &q.base);
    free(m.payload.data);
    return b->error ? b->error : (int)reply->outcome;
}

static void refuse_stored(void) { // until the trigger is dropped
    maria_sql(
        "CREATE TRIGGER not_yet BEFORE INSERT ON hawser_messages FOR EACH ROW SET NEW.product "
        "= IF(NEW.class = 0, NULL, NEW.product);");
}

static void rows_are_old(void) { // so that nobody waits for five seconds
    maria_sql("UPDATE hawser_messages SET landed_ms = landed_ms - 6000;");
}

// Of an inbox and of the news, with all that a mark says; what is live or a claim never lands. The
// same id within its time is the same row, and another message's when that is over.
START_TEST(test_lands) {
    struct bed b = recovery_bed();
    are_stored = true;
    Hawser__Internal__AppendReply at =
        APPEND(&b, .user = "u", .id = "a", .bytes = 3, .hash = "0123456789abcdef", .messages = 7,
               .limit_bytes = 70000, .retention_ms = 900000);
    DURABLE(&b, .id = "n", .ttl_ms = 1000000);
    DURABLE(&b, .user = "u", .id = "b", .device = "d'");
    APPEND(&b, .user = "u", .id = "claim", .claim = 7);
    ck_assert_int_eq(try_stored(&b, "b", 1), OUTCOME(REPLAYED));
    until_landed(&b);
    char want[200];
    snprintf(want, sizeof(want),
             "a 1 %" PRIu64 " %" PRIu64 " %" PRIu64 " 30313233343536373839616263646566", at.change,
             at.epoch, at.expires_ms);
    ck_assert_str_eq(
        maria_table("SELECT id, seq, change_no, epoch, expires_ms, HEX(body_hash) FROM "
                    "hawser_messages WHERE id = 'a' AND class = 0 AND stream = 0 AND "
                    "user = 'u' AND leaves_ms = expires_ms AND sent_ms = 77 AND "
                    "messages_max = 7 AND bytes_max = 70000 AND kept_ms = 900000"),
        want);
    ck_assert_str_eq(maria_table("SELECT id, stream, user, ttl_ms, messages_max, bytes_max FROM "
                                 "hawser_messages WHERE stream = 1"),
                     "n 1  1000000 10000 16777216");
    ck_assert_str_eq(
        maria_table("SELECT GROUP_CONCAT(id ORDER BY row_no) FROM hawser_messages WHERE "
                    "unmarked IS NULL AND ended_ms IS NULL"),
        "a,n,b");
    maria_sql("UPDATE hawser_messages SET seq = 100, id_is_free = (1 << 63) + 100 WHERE id = 'b';");
    ck_assert_int_eq(try_stored(&b, "b", 1), OUTCOME(REPLAYED));
    until_landed(&b);
    ck_assert_str_eq(maria_table("SELECT GROUP_CONCAT(seq ORDER BY seq) FROM hawser_messages WHERE "
                                 "id = 'b'"),
                     "2,100");
    recovery_end(&b);
}
END_TEST

// MariaDB is away, refuses the rows, or is read_only: stored messages are taken all the same, wait,
// and land by themselves when it is back; a durable one does not wait behind them.
START_TEST(test_back_is_away) {
    struct bed b = recovery_bed();
    char id[16];
    maria_kill();
    while (!saver_durable_down(b.store))
        loop_step(b.loop, -1);
    for (int i = 0; i < 600; i++) {
        snprintf(id, sizeof(id), "i%d", i);
        ck_assert_int_eq(try_stored(&b, id, 1000), OUTCOME(STORED));
    }
    ck_assert(!saver_durable_has_landed(b.store));
    while (counts(&b)->backlog_rows < 600 || counts(&b)->backlog_oldest_s < 1)
        loop_step(b.loop, -1);
    ck_assert_uint_ge(counts(&b)->backlog_bytes, 600 * 1000);
    ck_assert_uint_le(counts(&b)->backlog_bytes, 600 * 1300);
    maria_run(NULL);
    until_landed(&b);
    ck_assert_str_eq(maria_table("SELECT COUNT(*), SUM(seq = CAST(SUBSTR(id, 2) AS INT) + 1) FROM "
                                 "hawser_messages"),
                     "600 600");
    maria_sql("CREATE TRIGGER full_disk BEFORE INSERT ON hawser_messages FOR EACH ROW SIGNAL "
              "SQLSTATE '45000' SET MESSAGE_TEXT = 'the disk is full';");
    ck_assert_int_eq(try_stored(&b, "refused", 1), OUTCOME(STORED));
    while (!saver_durable_down(b.store))
        loop_step(b.loop, -1);
    ck_assert_ptr_nonnull(strstr(saver_durable_down(b.store), "the disk is full"));
    maria_sql("DROP TRIGGER full_disk; SET GLOBAL read_only = 1;");
    ck_assert_int_eq(try_stored(&b, "later", 1), OUTCOME(STORED));
    while (!strstr(saver_durable_down(b.store), "read_only"))
        loop_step(b.loop, -1);
    maria_sql("SET GLOBAL read_only = 0;");
    until_landed(&b);
    ck_assert_ptr_null(saver_durable_down(b.store));
    ck_assert_str_eq(maria_table("SELECT COUNT(*) FROM hawser_messages"), "602");
    recovery_end(&b);
}
END_TEST

// A row that MariaDB refuses for what it says holds up none: it is put aside when another one has
// landed, and those around it land. While there is no other it waits.
START_TEST(test_put_aside) {
    struct bed b = recovery_bed();
    static const char *const ids[] = {"a", "bad1", "bad2", "b", "bad3", "c", "d", "e"};
    maria_sql("ALTER TABLE hawser_messages ADD CONSTRAINT good CHECK (id NOT LIKE 'bad%');");
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        ck_assert_int_eq(try_stored(&b, ids[i], 1), OUTCOME(STORED));
    until_landed(&b);
    while (counts(&b)->stored_put_aside < 3)
        loop_step(b.loop, -1);
    ck_assert_uint_eq(counts(&b)->stored_landed, 5);
    ck_assert_uint_eq(counts(&b)->backlog_bytes, 0);
    ck_assert_int_eq(try_stored(&b, "bad4", 1), OUTCOME(STORED));
    for (uint64_t end = loop_now_ms(b.loop) + 1500; loop_now_ms(b.loop) < end;)
        loop_step(b.loop, 100);
    ck_assert(!saver_durable_has_landed(b.store));
    ck_assert_uint_eq(counts(&b)->stored_put_aside, 3);
    ck_assert_int_eq(try_stored(&b, "f", 1), OUTCOME(STORED));
    while (counts(&b)->stored_put_aside < 4)
        loop_step(b.loop, -1);
    ck_assert(saver_durable_has_landed(b.store));
    ck_assert_str_eq(maria_table("SELECT GROUP_CONCAT(id ORDER BY row_no) FROM hawser_messages"),
                     "a,b,c,d,e,f");
    recovery_end(&b);
}
END_TEST

// Rows that are refused are more than are tried beside the others: all the same the others
// land.
START_TEST(test_many_put_aside) {
    struct bed b = recovery_bed();
    char id[16];
    maria_sql("ALTER TABLE hawser_messages ADD CONSTRAINT good CHECK (id NOT LIKE 'bad%');");
    for (int i = 0; i < SUSPECTS_MAX + 3; i++) {
        snprintf(id, sizeof(id), "bad%d", i);
        ck_assert_int_eq(try_stored(&b, id, 1), OUTCOME(STORED));
    }
    ck_assert_int_eq(try_stored(&b, "a", 1), OUTCOME(STORED));
    until_landed(&b);
    while (counts(&b)->stored_put_aside < SUSPECTS_MAX + 3)
        loop_step(b.loop, -1);
    ck_assert_str_eq(maria_table("SELECT GROUP_CONCAT(id) FROM hawser_messages"), "a");
    recovery_end(&b);
}
END_TEST

// The backlog is full: what is stored is refused before it is appended, and what is durable is not;
// there is place again when rows have landed.
START_TEST(test_full) {
    struct bed b = recovery_bed();
    saver_durable_bound(b.store, 10000);
    maria_freeze();
    ck_assert_int_eq(try_stored(&b, "a", 4000), OUTCOME(STORED));
    ck_assert_int_eq(try_stored(&b, "b", 4000), OUTCOME(STORED));
    ck_assert(!saver_durable_is_full(b.store));
    ck_assert_int_eq(try_stored(&b, "c", 4000), -HW_EBACKLOG);
    ck_assert(saver_durable_is_full(b.store));
    ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, "u").head, 2);
    kill(maria_pid, SIGCONT);
    until_landed(&b);
    ck_assert(!saver_durable_is_full(b.store));
    ck_assert_int_eq(try_stored(&b, "c", 4000), OUTCOME(STORED));
    until_landed(&b);
    while (counts(&b)->stored_landed < 3)
        loop_step(b.loop, -1);
    ck_assert_uint_eq(counts(&b)->stored_refused, 1);
    ck_assert_int_eq(try_stored(&b, "too large", 10000), -HW_EBACKLOG);
    ck_assert_uint_gt(DURABLE(&b, .user = "u", .id = "d"), 3);
    recovery_end(&b);
}
END_TEST

// A push that is repeated when Redis has lost it, by key or not, finds what was put back; and by
// key also what all devices had handled.
START_TEST(test_repeated) {
    struct bed b = recovery_bed();
    const char *hash = "0123456789abcdef";
    ATTACH(&b, .user = "v", .device = "a", .generation = 1);
    STORE(&b, .user = "u", .id = "k", .hash = hash);
    STORE(&b, .user = "u", .id = "random");
    STORE(&b, .user = "v", .id = "k", .hash = hash);
    STORE(&b, .user = "v", .id = "last");
    ACK(&b, .user = "v", .device = "a", .generation = 1, .seq = 2);
    until_landed(&b);
    until_rows(&b, "ended_ms AND id = 'last'", "1");
    saver_maria_purge(((struct store_pair *)b.store)->back);
    redis_went_back(&b);
    ck_assert_int_eq(APPEND(&b, .user = "u", .id = "k", .hash = hash).outcome, OUTCOME(REPLAYED));
    ck_assert_uint_eq(APPEND(&b, .user = "u", .id = "random").seq, 2);
    ck_assert_int_eq(APPEND(&b, .user = "v", .id = "k", .hash = hash).outcome, OUTCOME(REPLAYED));
    ck_assert_int_eq(APPEND(&b, .user = "u", .id = "k", .hash = "0123456789abcdeX").outcome,
                     OUTCOME(MISMATCH));
    ck_assert_str_eq(messages_of(&b, "u", ""), "k random (7)");
    recovery_end(&b);
}
END_TEST

// Redis goes back while rows wait: they land before it is put back what it lost, and stand under
// their old seqs.
START_TEST(test_backlog_lands_first) {
    struct bed b = recovery_bed();
    are_stored = true;
    loses_d2(&b);
    refuse_stored();
    DURABLE(&b, .user = "u", .id = "d3");
    DURABLE(&b, .user = "new", .id = "d1");
    redis_goes_back(&b);
    until_up(front, b.loop);
    while (!strstr(store_down_reason(b.store), "more has yet to land"))
        loop_step(b.loop, -1);
    for (uint64_t end = loop_now_ms(b.loop) + 500; loop_now_ms(b.loop) < end;)
        loop_step(b.loop, 100);
    ck_assert_ptr_nonnull(store_down_reason(b.store));
    maria_sql("DROP TRIGGER not_yet;");
    until_up(b.store, b.loop);
    ck_assert_str_eq(messages_of(&b, "u", ""), "d1 d2 d3 (7)");
    ck_assert_str_eq(messages_of(&b, "new", ""), "d1 (7)");
    recovery_end(&b);
}
END_TEST

// Rows of an older history land when another saver has put all back: what is in the log stays as it
// is, what is not comes anew, and its end is not told before. MariaDB refuses those rows meanwhile.
START_TEST(test_late_rows) {
    struct bed b = recovery_bed();
    struct bed late = b;
    are_stored = true;
    late.store = saver_durable(redis_store_on(b.loop), rows_open(b.loop));
    until_up(late.store, b.loop);
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    late.reply = b.reply;
    refuse_stored();
    DURABLE(&late, .user = "u", .id = "there");
    aof_keep();
    DURABLE(&late, .user = "u", .id = "lost");
    b.reply = late.reply;
    redis_went_back(&b);
    are_stored = false;
    uint64_t seq = DURABLE(&b, .user = "u", .id = "next");
    until_rows(&b, "id = 'next' AND seq > 0", "1");
    late.reply = b.reply;
    until_up(late.store, b.loop);
    ACK(&late, .user = "u", .device = "a", .generation = 1, .seq = seq);
    b.reply = late.reply;
    maria_sql("DROP TRIGGER not_yet;");
    while (!saver_durable_has_landed(late.store))
        loop_step(b.loop, -1);
    until_rows(&b, "id = 'lost' AND unmarked = 1", "1");
    rows_are_old();
    until_rows(&b, "unmarked = 1", "0");
    ck_assert_str_eq(messages_of(&b, "u", ""), "(0) (7) (0) lost");
    until_rows(&b, "ended_ms AND id = 'next'", "1");
    store_free(late.store);
    recovery_end(&b);
}
END_TEST

// A log that comes back holds no more than its limits allow, the newest of it; those that a device
// has handled are no other, since nobody knows.
START_TEST(test_limits) {
    struct bed b = recovery_bed();
    char id[8];
    are_stored = true;
    for (int i = 0; i < 80; i++) {
        snprintf(id, sizeof(id), "i%d", i);
        DURABLE(&b, .user = "u", .id = id, .messages = i < 40 ? 100 : 3);
    }
    until_landed(&b);
    redis_went_back(&b);
    ck_assert_str_eq(messages_of(&b, "u", ""), "(2) i77 i78 i79 (7)");
    recovery_end(&b);
}
END_TEST

// What all devices have handled does not come back, also when the whole log is gone, which comes
// back in its epoch. What one of two devices has not handled does. Then the rows leave.
START_TEST(test_ends) {
    struct bed b = recovery_bed();
    struct store *back = ((struct store_pair *)b.store)->back;
    are_stored = true;
    for (int i = 0; i < 2; i++)
        ATTACH(&b, .user = "two", .device = i ? "a" : "b", .generation = 1);
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    for (char id[2] = "a"; id[0] <= 'd'; id[0]++) {
        DURABLE(&b, .user = "u", .id = id);
        DURABLE(&b, .user = "two", .id = id);
    }
    uint64_t epoch = bed_head(&b, STREAM_INBOX, "u").epoch;
    uint64_t other = bed_head(&b, STREAM_INBOX, "two").epoch;
    ACK(&b, .user = "u", .device = "a", .generation = 1, .epoch = epoch, .seq = 4);
    ACK(&b, .user = "two", .device = "a", .generation = 1, .epoch = other, .seq = 3);
    ACK(&b, .user = "two", .device = "b", .generation = 1, .epoch = other, .seq = 2);
    until_rows(&b, "ended_ms AND user = 'u' AND seq = 4", "1");
    until_rows(&b, "ended_ms AND user = 'two' AND seq = 2", "1");
    redis_went_back(&b);
    ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, "u").epoch, epoch);
    ck_assert_str_eq(messages_of(&b, "u", ""), "(7)");
    ck_assert_str_eq(messages_of(&b, "two", ""), "(7) c d (7)");
    ck_assert_uint_eq(counts(&b)->appended_anew, 0);
    saver_maria_purge(back);
    until_rows(&b, "1", "4"); // the last one of each that was handled, and what was not
    recovery_end(&b);
}
END_TEST

// A durable message that all have handled keeps its id for as long as it was to hold.
START_TEST(test_ended_id) {
    struct bed b = recovery_bed();
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    DURABLE(&b, .user = "u", .id = "d");
    until_landed(&b);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 1);
    until_rows(&b, "ended_ms AND leaves_ms = expires_ms", "1"); // the last one of the log
    DURABLE(&b, .user = "u", .id = "e");
    until_landed(&b);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 2);
    until_rows(&b, "ended_ms AND leaves_ms = id_until_ms", "1");
    until_rows(&b, "ended_ms AND leaves_ms = expires_ms", "1");
    recovery_end(&b);
}
END_TEST

// Tables of version 5 with a row in them: they are changed, and what is in them comes back.
START_TEST(test_older_tables) {
    struct bed b = recovery_bed();
    DURABLE(&b, .user = "u", .id = "d1");
    until_landed(&b);
    store_free(b.store);
    maria_sql("ALTER TABLE hawser_messages DROP COLUMN messages_max, DROP COLUMN bytes_max, DROP "
              "COLUMN ended_ms; DELETE FROM hawser_schema WHERE version > 5;");
    redis_kill();
    redis_shell("rm -rf appendonlydir");
    redis_start();
    b.store = saver_durable(front = redis_store_on(b.loop), rows_open(b.loop));
    until_up(b.store, b.loop);
    ck_assert_str_eq(messages_of(&b, "u", ""), "d1 (7)");
    ck_assert_str_eq(maria_table("SELECT MAX(version) FROM hawser_schema"), "9");
    ck_assert_int_eq(try_stored(&b, "s", 1), OUTCOME(STORED));
    until_landed(&b);
    recovery_end(&b);
}
END_TEST

// The store ends with rows on each part of their way: nothing is told twice, and what had not
// landed is with Redis alone.
START_TEST(test_ends_cleanly) {
    struct bed b = recovery_bed();
    for (int steps = 0; steps < 8; steps++) {
        char id[8];
        snprintf(id, sizeof(id), "i%d", steps);
        ck_assert_int_eq(try_stored(&b, id, 100), OUTCOME(STORED));
        for (int i = 0; i < steps; i++)
            loop_step(b.loop, 20);
        store_free(b.store);
        b.store = saver_durable(front = redis_store_on(b.loop), rows_open(b.loop));
        until_up(b.store, b.loop);
    }
    recovery_end(&b);
}
END_TEST

RUN_TESTS_ON_MARIADB("landing", test_lands, test_back_is_away, test_put_aside, test_many_put_aside,
                     test_full, test_repeated, test_backlog_lands_first, test_late_rows,
                     test_limits, test_ends, test_ended_id, test_older_tables, test_ends_cleanly)
