// A Redis that went back, and a MariaDB that has what was durable there: it is put back under its
// old seqs before anything else is done, wherever the way back is cut; nothing comes twice.
#include "mariadb_server.h"
#include "redis_server.h"

#include "durable.h"
#include "store_bed_devices.h"
#include "store_pair.h"

static struct store *front; // below the store of the bed

static struct store *rows_open(struct loop *l) {
    return saver_maria_rows(
        &(struct maria_options){.url = maria_url, .timeout_ms = 20000, .loop = l});
}

static struct store *recovery_open(struct loop *l) {
    front = redis_open(l);
    struct store *s = saver_durable(front, rows_open(l));
    until_up(s, l);
    return s;
}
static const struct store_factory factory = {"recovery", recovery_open, redis_close, NULL};

static struct bed recovery_bed(void) {
    struct bed b;
    maria_start(NULL);
    bed_open(&b, &factory);
    return b;
}

static void recovery_end(struct bed *b) {
    bed_close(b);
    maria_stop();
}

static void redis_shell(const char *words) { // in its folder
    char line[400];
    snprintf(line, sizeof(line), "cd %s && %s", redis_dir, words);
    maria_shell(line);
}

static void aof_keep(void) {
    redis_shell("rm -rf kept && cp -r appendonlydir kept");
}

static void until_down(struct bed *b) {
    while (!store_down_reason(b->store))
        loop_step(b->loop, -1);
}

// To what was kept, or to nothing.
static void redis_goes_back(struct bed *b) {
    redis_kill();
    until_down(b);
    redis_shell("rm -rf appendonlydir && if [ -e kept ]; then cp -r kept appendonlydir; fi");
    redis_start();
}

static void redis_went_back(struct bed *b) {
    redis_goes_back(b);
    until_up(b->store, b->loop);
}

struct durable_message {
    const char *user, *id; // user NULL: news
    const char *device;    // NULL: all
    const char *key;       // its collapse key; NULL: none
    uint64_t ttl_ms;
    bool is_stored; // only
};

static uint64_t push_message(struct bed *b, const struct durable_message *p) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    char *device = (char *)(uintptr_t)p->device;
    q.product = 1;
    q.stream = p->user ? STREAM_INBOX : STREAM_NEWS;
    q.user = (char *)(uintptr_t)(p->user ? p->user : "");
    q.ttl_ms = p->ttl_ms;
    q.message = &m;
    m.id = (char *)(uintptr_t)p->id;
    m.payload = (ProtobufCBinaryData){strlen(p->id), (uint8_t *)(uintptr_t)p->id};
    m.device = &device;
    m.n_device = device ? 1 : 0;
    m.collapse_key = (char *)(uintptr_t)(p->key ? p->key : "");
    m.class_ = p->is_stored ? HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_STORED
                            : HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE;
    const Hawser__Internal__AppendReply *reply = bed_ask(b, &q.base);
    ck_assert_int_eq(reply->outcome, HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED);
    return reply->seq;
}
#define DURABLE(b, ...) push_message(b, &(const struct durable_message){__VA_ARGS__})

static void until_rows(struct bed *b, const char *condition, const char *count) {
    char query[200];
    snprintf(query, sizeof(query), "SELECT COUNT(*) FROM hawser_messages WHERE %s", condition);
    while (strcmp(maria_table(query), count) != 0)
        loop_step(b->loop, -1);
}

// A Redis that goes back from here on lacks d2.
static void loses_d2(struct bed *b) {
    DURABLE(b, .user = "u", .id = "d1");
    aof_keep();
    DURABLE(b, .user = "u", .id = "d2");
    until_rows(b, "unmarked = 1", "0");
}

// "id id [gap] id": gaps of the jump to this history have no numbers.
static const char *messages_of(struct bed *b, const char *user, const char *device) {
    Hawser__Internal__LoadRequest q = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    q.product = 1;
    q.stream = user ? STREAM_INBOX : STREAM_NEWS;
    q.user = (char *)(uintptr_t)(user ? user : "");
    q.device = (char *)(uintptr_t)device;
    q.epoch = bed_head(b, q.stream, q.user).epoch;
    q.max_messages = q.max_bytes = 1000000;
    const Hawser__Internal__LoadReply *reply = bed_ask(b, &q.base);
    b->text[0] = '\0';
    for (size_t i = 0; i < reply->n_entry; i++) {
        const Hawser__Internal__LoadEntry *e = reply->entry[i];
        if (e->message)
            bed_printf(b, "%s%s", i > 0 ? " " : "", e->message->id);
        else
            bed_printf(b, "%s(%d)", i > 0 ? " " : "", (int)e->gap_reason);
    }
    return b->text;
}

// The tail is lost: what is durable of it stands where it stood, what is not is a gap; the next
// message comes behind all that was ever given. A device that had it all is told of no reset.
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
    ck_assert_uint_eq(DURABLE(&b, .id = "n2"), 2);
    ck_assert_uint_eq(DURABLE(&b, .user = "v", .id = "d1", .ttl_ms = 1000000), 1);
    ck_assert_uint_eq(DURABLE(&b, .user = "v", .id = "over", .ttl_ms = 1), 2);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 4);
    until_rows(&b, "unmarked IS NULL", "7");
    redis_went_back(&b);
    ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, "u").epoch, epoch);
    ck_assert_str_eq(messages_of(&b, "u", ""), "d1 s2 d3 (7) d5 (7)");
    ck_assert_str_eq(messages_of(&b, "u", "other"), "d1 s2 d3 (7) (6) (7)");
    ck_assert_str_eq(messages_of(&b, NULL, ""), "n1 n2 (7)");
    ck_assert_str_eq(messages_of(&b, "v", ""), "d1 (7)");
    ck_assert_str_eq(ATTACH(&b, .user = "u", .device = "a", .generation = 2, .have = true,
                            .epoch = epoch, .seq = 4),
                     "0:4 1:0 2:0");
    ck_assert_uint_gt(DURABLE(&b, .user = "u", .id = "d6"), UINT64_C(1) << 40);
    ck_assert_str_eq(messages_of(&b, "u", "a"),
                     "(0) (7) d5 (7) d6"); // what it has is no entry any more
    ck_assert_str_eq(bed_stats(&b), "3/3/0/0");
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
        until_rows(&b, "unmarked = 1", "0");
        if (is_restarted) {
            redis_went_back(&b);
        } else {
            redis_is_emptied(&b, user);
        }
        ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, user).epoch, epoch);
        ck_assert_str_eq(messages_of(&b, user, ""), "d1 (7) d3 (7)");
    }
    ck_assert_str_eq(messages_of(&b, "flushed", ""), "d1 (7) d3 (7)");
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
    until_rows(&b, "unmarked = 1", "0");
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
START_TEST(test_emptied_beside) {
    struct bed b = recovery_bed();
    struct bed idle = b;
    idle.store = saver_durable(redis_store_on(b.loop), rows_open(b.loop));
    until_up(idle.store, b.loop);
    DURABLE(&b, .user = "u", .id = "d1");
    until_rows(&b, "unmarked = 1", "0");
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
END_TEST

// Nothing was lost: nothing is put back, and what every device has handled does not come again.
START_TEST(test_nothing_lost) {
    struct bed b = recovery_bed();
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    for (char id[2] = "a"; id[0] <= 'd'; id[0]++)
        DURABLE(&b, .user = "u", .id = id);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 2);
    until_rows(&b, "unmarked = 1", "0");
    for (int i = 0; i < 2; i++) {
        aof_keep();
        redis_went_back(&b);
        ck_assert_str_eq(messages_of(&b, "u", "a"), "(0) c d (7)");
    }
    ck_assert_uint_eq(saver_durable_counts(b.store)->restored, 0);
    ck_assert_str_eq(bed_stats(&b), "2/2/0/0");
    recovery_end(&b);
}
END_TEST

// MariaDB is away when Redis went back: nobody is told of a gap, until it can be asked.
START_TEST(test_back_is_away) {
    struct bed b = recovery_bed();
    DURABLE(&b, .user = "u", .id = "d1");
    until_rows(&b, "unmarked = 1", "0");
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
END_TEST

// A saver that knows no MariaDB has gone on first: what has lost its place is appended anew.
START_TEST(test_gone_on_without) {
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
END_TEST

// The same, and Redis begins one more history, without a loss: an older jump is looked into, too.
START_TEST(test_older_jump) {
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
END_TEST

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
    until_rows(&b, "unmarked = 1", "0");
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
START_TEST(test_many) {
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
    until_rows(&b, "unmarked = 1", "0");
    redis_went_back(&b);
    ck_assert_str_eq(messages_of(&b, "u", ""), want);
    for (int i = 0; i < RESTORE_LOGS_MAX + 10; i++) {
        snprintf(user, sizeof(user), "user%03d", i);
        ck_assert_str_eq(messages_of(&b, user, ""), "d (7)");
    }
    recovery_end(&b);
}
END_TEST

// Redis is full: it lets go, and takes what it lost when it has room.
START_TEST(test_full) {
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
    until_rows(&b, "unmarked = 1", "0");
    ck_assert_str_eq(messages_of(&b, "u", ""), "d1 (7) d2");
    recovery_end(&b);
}
END_TEST

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
START_TEST(test_not_swept) {
    struct bed b = recovery_bed();
    DURABLE(&b, .user = "u", .id = "d1", .ttl_ms = 1);
    aof_keep();
    DURABLE(&b, .user = "u", .id = "d2");
    until_rows(&b, "unmarked = 1", "0");
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
END_TEST

// Rows of an older log of the same user, which was lost when nobody could ask: the newer one comes
// back as it was, and what is of the older one is appended anew.
START_TEST(test_two_epochs) {
    struct bed b = recovery_bed();
    DURABLE(&b, .user = "u", .id = "d1");
    DURABLE(&b, .user = "u", .id = "d2");
    uint64_t epoch = bed_head(&b, STREAM_INBOX, "u").epoch;
    until_rows(&b, "unmarked = 1", "0");
    maria_sql("UPDATE hawser_messages SET epoch = 1 WHERE id = 'd1';");
    redis_went_back(&b);
    ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, "u").epoch, epoch);
    maria_sql("UPDATE hawser_messages SET landed_ms = landed_ms - 6000;");
    until_rows(&b, "unmarked = 1", "0");
    ck_assert_str_eq(messages_of(&b, "u", ""), "(7) d2 (7) d1");
    recovery_end(&b);
}
END_TEST

// Two savers, and a Redis that goes back once more after any number of steps: each message is there
// once, in its order.
START_TEST(test_cut) {
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
        until_rows(&b, "unmarked = 1", "0");
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
END_TEST

RUN_TESTS_ON_MARIADB("recovery", test_gone_back, test_emptied, test_replaced, test_emptied_beside,
                     test_nothing_lost, test_back_is_away, test_gone_on_without, test_older_jump,
                     test_landed_meanwhile, test_late_mark, test_rows_that_left, test_many,
                     test_full, test_whole, test_not_swept, test_two_epochs, test_cut)
