// Durable messages: the pair of a memory store and rows in a private MariaDB. What was answered is
// there, and what was refused is not, wherever the way of a message was cut.
#include "mariadb_server.h"
#include "store_bed.h"

#include "durable.h"
#include "store_pair.h"

// --- the front: a memory store that may be away, and loses what it is told when it is

struct front {
    struct store_pair pair; // with nothing behind
    const char *down;
    int loses;   // so many appends get no answer, and are not done
    int forgets; // so many are done, and get no answer
    int refuses; // so many fail
};
static struct front *front;

static void on_front_forgot(void *arg, int error, const ProtobufCMessage *reply) {
    (void)reply;
    store_step_complete(arg, error ? error : -HW_EOUTCOME, NULL);
}

static void begin_front(struct store_step *p, const ProtobufCMessage *request) {
    bool is_append = request->descriptor == &hawser__internal__append_request__descriptor;
    if (is_append && front->loses > 0) {
        front->loses--;
        store_step_complete(p, -HW_EOUTCOME, NULL);
    } else if (is_append && front->refuses > 0) {
        front->refuses--;
        store_step_complete(p, -HW_ESTORE, NULL);
    } else if (is_append && front->forgets > 0) {
        front->forgets--;
        store_call(front->pair.front, request, on_front_forgot, p);
    } else {
        store_step_pass(p, front->pair.front, request);
    }
}

static const char *front_down(struct store *s) {
    return ((struct front *)s)->down;
}

static void front_stop(struct store *s) {
    store_free(((struct store_pair *)s)->front);
}

static struct store *front_open(struct loop *l) {
    static const struct store_kind kind = {
        .other = begin_front, .is_in_memory = true, .down_reason = front_down, .stop = front_stop};
    front = hw_calloc(1, sizeof(*front));
    store_init(&front->pair.store, &kind, l);
    front->pair.front = saver_store_memory(l);
    return &front->pair.store;
}

// --- the bed

static uint32_t timeout_ms = 20000;
static struct store *durable_open(struct loop *l) {
    struct store *rows = saver_maria_rows(
        &(struct maria_options){.url = maria_url, .timeout_ms = timeout_ms, .loop = l});
    struct store *s = saver_durable(front_open(l), rows);
    while (saver_durable_down(s))
        loop_step(l, -1);
    return s;
}
static const struct store_factory factory = {"durable", durable_open, NULL, NULL};

static struct bed durable_bed(void) {
    struct bed b;
    maria_start(NULL);
    bed_open(&b, &factory);
    return b;
}

static void durable_end(struct bed *b) {
    bed_close(b);
    maria_stop();
}

struct durable_push {
    const char *id, *hash; // hash: 16 characters, or NULL
    uint64_t messages;     // 0: no limit, else more are refused
    uint64_t not_after_ms, claim;
    int class; // 0: durable
};

static Hawser__Internal__AppendReply durable_reply;
// The error, or the outcome.
static int push_durable(struct bed *b, const struct durable_push *p) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__InboxLimits limits = HAWSER__INTERNAL__INBOX_LIMITS__INIT;
    q.product = 1;
    q.user = (char[]){"u'\\x"};
    q.message = &m;
    q.limits = &limits;
    q.not_after_ms = p->not_after_ms;
    q.claim = p->claim;
    q.body_hash = (ProtobufCBinaryData){p->hash ? 16 : 0, (uint8_t *)(uintptr_t)p->hash};
    m.id = (char *)(uintptr_t)p->id;
    m.payload = (ProtobufCBinaryData){4, (uint8_t *)(uintptr_t) "\0'\\\xff"};
    m.class_ = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE;
    limits.messages = p->messages ? p->messages : 1000;
    limits.bytes = 1 << 20;
    limits.reject_new = p->messages > 0;
    const Hawser__Internal__AppendReply *reply = bed_try(b, &q.base);
    durable_reply = reply ? *reply : (Hawser__Internal__AppendReply){0};
    return b->error ? b->error : (int)reply->outcome;
}
#define PUSH(b, ...) push_durable(b, &(const struct durable_push){__VA_ARGS__})

static const struct durable_counts *counts(const struct bed *b) {
    return saver_durable_counts(b->store);
}

static void until_marked(struct bed *b, uint64_t rows) {
    while (counts(b)->marked < rows)
        loop_step(b->loop, -1);
}

// "id seq id seq", in the order of the log.
static const char *log_of(struct bed *b) {
    Hawser__Internal__LoadRequest q = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    q.product = 1;
    q.user = (char[]){"u'\\x"};
    q.device = (char[]){""};
    q.epoch = bed_head(b, STREAM_INBOX, q.user).epoch;
    q.max_messages = q.max_bytes = 100000;
    const Hawser__Internal__LoadReply *reply = bed_ask(b, &q.base);
    b->text[0] = '\0';
    for (size_t i = 0; i < reply->n_entry; i++) {
        const Hawser__Internal__StoredMessage *m = reply->entry[i]->message;
        if (m->class_ == HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE) {
            ck_assert_uint_eq(m->payload.len, 4);
            ck_assert_mem_eq(m->payload.data, "\0'\\\xff", 4);
        }
        bed_printf(b, "%s%s", i > 0 ? " " : "", m->id);
    }
    return b->text;
}

// So that nobody waits for the five seconds.
static void rows_are_old(void) {
    maria_sql("UPDATE hawser_messages SET landed_ms = landed_ms - 6000;");
}

// Landed, appended, marked; the same id again is the same message, and with another body it is
// none, also when the front has forgotten it.
START_TEST(test_pushes) {
    struct bed b = durable_bed();
    ck_assert_int_eq(PUSH(&b, .id = "a"), OUTCOME(STORED));
    ck_assert_uint_eq(durable_reply.seq, 1);
    ck_assert_int_eq(PUSH(&b, .id = "b", .hash = "0123456789abcdef"), OUTCOME(STORED));
    until_marked(&b, 2);
    ck_assert_int_eq(PUSH(&b, .id = "a"), OUTCOME(REPLAYED));
    ck_assert_uint_eq(durable_reply.seq, 1);
    ck_assert_int_eq(PUSH(&b, .id = "b", .hash = "0123456789abcdef"), OUTCOME(REPLAYED));
    ck_assert_uint_eq(durable_reply.seq, 2);
    ck_assert_int_eq(PUSH(&b, .id = "b", .hash = "0123456789abcdeX"), OUTCOME(MISMATCH));
    ck_assert_str_eq(log_of(&b), "a b");
    ck_assert_str_eq(
        maria_table("SELECT id, seq, class, HEX(body_hash), takers > 1 FROM hawser_messages "
                    "WHERE user = 'u\\'\\\\\\\\x' AND epoch > 0 AND unmarked IS NULL"),
        "a 1 2  1 b 2 2 30313233343536373839616263646566 1");
    ck_assert_uint_eq(counts(&b)->landed, 2);
    durable_end(&b);
}
END_TEST

enum { MANY = 300 };
static int many_left;
static uint64_t many_seqs[MANY];
static void on_many(void *arg, int error, const ProtobufCMessage *reply) {
    ck_assert_int_eq(error, 0);
    *(uint64_t *)arg = ((const Hawser__Internal__AppendReply *)reply)->seq;
    many_left--;
}

// Many in one iteration share statements, and keep their order.
START_TEST(test_group) {
    struct bed b = durable_bed();
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    char id[8];
    q.product = 1;
    q.user = (char[]){"u"};
    q.message = &m;
    m.id = id;
    m.class_ = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE;
    many_left = MANY;
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "i%d", i);
        store_call(b.store, &q.base, on_many, &many_seqs[i]);
    }
    uint64_t before = saver_maria_counts(((struct store_pair *)b.store)->back)->statements;
    while (many_left > 0)
        loop_step(b.loop, -1);
    until_marked(&b, MANY);
    for (uint64_t i = 0; i < MANY; i++)
        ck_assert_uint_eq(many_seqs[i], i + 1);
    ck_assert_uint_le(saver_maria_counts(((struct store_pair *)b.store)->back)->statements - before,
                      MANY / 4); // two to land, those of the marks, and one a second
    ck_assert_str_eq(maria_table("SELECT COUNT(*), SUM(seq = CAST(SUBSTR(id, 2) AS INT) + 1) FROM "
                                 "hawser_messages"),
                     "300 300");
    durable_end(&b);
}
END_TEST

// What the log refuses is taken away before it is answered, and never appears: the inbox is full,
// the last moment has passed, or the id was another message's.
START_TEST(test_refusals) {
    struct bed b = durable_bed();
    ck_assert_int_eq(PUSH(&b, .id = "a", .messages = 1), OUTCOME(STORED));
    until_marked(&b, 1);
    ck_assert_int_eq(PUSH(&b, .id = "b", .messages = 1), OUTCOME(FULL));
    ck_assert_int_eq(PUSH(&b, .id = "c", .not_after_ms = 1), OUTCOME(TOO_LATE));
    STORE(&b, .user = "u'\\x", .id = "d", .hash = "0123456789abcdef");
    ck_assert_int_eq(PUSH(&b, .id = "d", .hash = "0123456789abcdeX"), OUTCOME(MISMATCH));
    ck_assert_str_eq(maria_table("SELECT id FROM hawser_messages WHERE class = 2"), "a");
    ck_assert_uint_eq(counts(&b)->withdrawn, 3);
    // One that two have taken up is taken away by neither.
    front->loses = 1;
    ck_assert_int_eq(PUSH(&b, .id = "e"), -HW_EOUTCOME);
    ck_assert_int_eq(PUSH(&b, .id = "e", .messages = 1), -HW_EOUTCOME);
    ck_assert_str_eq(maria_table("SELECT id, takers FROM hawser_messages WHERE unmarked"), "e 2");
    rows_are_old();
    until_marked(&b, 2);
    ck_assert_int_eq(PUSH(&b, .id = "e"), OUTCOME(REPLAYED));
    durable_end(&b);
}
END_TEST

// A row whose saver died behind the landing, or behind the append, is appended once, in the order
// of landing, also over the limit: it may have been answered. A refusal by the id is for good.
START_TEST(test_left_behind) {
    struct bed b = durable_bed();
    front->loses = 2;
    ck_assert_int_eq(PUSH(&b, .id = "a"), -HW_EOUTCOME);
    ck_assert_int_eq(PUSH(&b, .id = "b", .messages = 1), -HW_EOUTCOME);
    front->forgets = 1;
    ck_assert_int_eq(PUSH(&b, .id = "c"), -HW_EOUTCOME);
    front->loses = 1;
    ck_assert_int_eq(PUSH(&b, .id = "d", .hash = "0123456789abcdef"), -HW_EOUTCOME);
    STORE(&b, .user = "u'\\x", .id = "d", .hash = "0123456789abcdeX", .bytes = 4);
    ck_assert_uint_eq(bed_head(&b, STREAM_INBOX, "u'\\x").head, 2);
    rows_are_old();
    until_marked(&b, 4);
    ck_assert_str_eq(
        maria_table(
            "SELECT id, COALESCE(seq, 0) FROM hawser_messages WHERE class = 2 ORDER BY row_no"),
        "a 3 b 4 c 1 d 0");
    ck_assert_uint_eq(counts(&b)->taken_up, 2);
    ck_assert_uint_eq(counts(&b)->refused, 1);
    ck_assert_int_eq(PUSH(&b, .id = "a"), OUTCOME(REPLAYED));
    durable_end(&b);
}
END_TEST

// The id at the front outlives its time until the row is marked, so a row that is found late is not
// appended twice; then it is remembered no longer than others.
START_TEST(test_id_is_kept) {
    struct bed b = durable_bed();
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    ck_assert_int_eq(PUSH(&b, .id = "a"), OUTCOME(STORED));
    until_marked(&b, 1);
    maria_sql("UPDATE hawser_messages SET unmarked = 1, epoch = NULL, seq = NULL;");
    rows_are_old();
    until_marked(&b, 2);
    ck_assert_str_eq(maria_table("SELECT seq FROM hawser_messages"), "1");
    ck_assert_str_eq(log_of(&b), "a");
    q.product = 1;
    q.user = (char[]){"u'\\x"};
    q.message = &m;
    m.id = (char[]){"nobody"};
    q.settles = true;
    bed_ask(&b, &q.base); // of an id that is not known: nothing
    ck_assert_str_eq(log_of(&b), "a");
    durable_end(&b);
}
END_TEST

// When its time to be held is over the id is another message's, and the old row stays.
START_TEST(test_id_is_free) {
    struct bed b = durable_bed();
    ck_assert_int_eq(PUSH(&b, .id = "a", .hash = "0123456789abcdef"), OUTCOME(STORED));
    until_marked(&b, 1);
    maria_sql("UPDATE hawser_messages SET id_until_ms = 1;");
    ck_assert_int_eq(PUSH(&b, .id = "a", .hash = "0123456789abcdef"),
                     OUTCOME(REPLAYED)); // by the front
    until_marked(&b, 2);
    ck_assert_str_eq(
        maria_table("SELECT id, id_is_free > 0, seq FROM hawser_messages ORDER BY row_no"),
        "a 1 1 a 0 1");
    maria_sql("UPDATE hawser_messages SET leaves_ms = 1 WHERE id_is_free > 0;");
    saver_maria_purge(((struct store_pair *)b.store)->back);
    ck_assert_int_eq(PUSH(&b, .id = "z"), OUTCOME(STORED)); // behind it
    ck_assert_str_eq(maria_table("SELECT id, id_is_free FROM hawser_messages"), "a 0 z 0");
    durable_end(&b);
}
END_TEST

// MariaDB is away, read_only, or frozen: durable messages are refused, all else goes on; and it
// resumes by itself.
START_TEST(test_back_is_away) {
    timeout_ms = 1000;
    struct bed b = durable_bed();
    maria_kill();
    while (!saver_durable_down(b.store))
        loop_step(b.loop, -1);
    ck_assert_ptr_null(store_down_reason(b.store));
    ck_assert_int_eq(PUSH(&b, .id = "a"), -HW_ECLASS);
    ck_assert_uint_eq(STORE(&b, .user = "u'\\x", .id = "s", .bytes = 4), 1);
    ck_assert_int_eq(PUSH(&b, .id = "c", .claim = 7), OUTCOME(STORED)); // kept by the front alone
    maria_run(NULL);
    while (saver_durable_down(b.store))
        loop_step(b.loop, -1);
    ck_assert_int_eq(PUSH(&b, .id = "a"), OUTCOME(STORED));
    maria_sql("SET GLOBAL read_only = 1;");
    ck_assert_int_eq(PUSH(&b, .id = "b"), -HW_ECLASS);
    maria_sql("SET GLOBAL read_only = 0;");
    while (saver_durable_down(b.store))
        loop_step(b.loop, -1);
    maria_freeze();
    int frozen = PUSH(&b, .id = "b"); // another statement may have been sent before
    ck_assert(frozen == -HW_EOUTCOME || frozen == -HW_ECLASS);
    ck_assert_int_eq(PUSH(&b, .id = "b"), -HW_ECLASS);
    kill(maria_pid, SIGCONT);
    while (saver_durable_down(b.store))
        loop_step(b.loop, -1);
    int again = PUSH(&b, .id = "b");
    ck_assert(again == OUTCOME(STORED) || again == OUTCOME(REPLAYED));
    front->down = "the front is away";
    ck_assert_int_eq(PUSH(&b, .id = "x"), -HW_ESTORE);
    ck_assert_str_eq(store_down_reason(b.store), "the front is away");
    front->down = NULL;
    ck_assert_str_eq(maria_table("SELECT COUNT(*) FROM hawser_messages WHERE id = 'x'"), "0");
    ck_assert_str_eq(log_of(&b), "s a b");
    durable_end(&b);
}
END_TEST

// MariaDB refuses the rows, though it is up: that is answered, and the saver says why.
START_TEST(test_back_refuses) {
    struct bed b = durable_bed();
    maria_sql("CREATE TRIGGER full_disk BEFORE INSERT ON hawser_messages FOR EACH ROW SIGNAL "
              "SQLSTATE '45000' SET MESSAGE_TEXT = 'the disk is full';");
    ck_assert_int_eq(PUSH(&b, .id = "a"), -HW_ECLASS);
    ck_assert_ptr_nonnull(strstr(saver_durable_down(b.store), "the disk is full"));
    ck_assert_uint_eq(saver_maria_counts(((struct store_pair *)b.store)->back)->failed, 1);
    maria_sql("DROP TRIGGER full_disk;");
    ck_assert_int_eq(PUSH(&b, .id = "a"), OUTCOME(STORED));
    ck_assert_ptr_null(saver_durable_down(b.store));
    durable_end(&b);
}
END_TEST

static int taken_away;
static void on_taken_away(void *arg, int error, const ProtobufCMessage *reply) {
    bool is_seventh = *(const uint64_t *)arg == 7;
    ck_assert_int_eq(error, 0);
    ck_assert(((const Hawser__Internal__TakeAwayReply *)reply)->withdrawn != is_seventh);
    taken_away++;
}

// The front has certainly not taken it: so it is answered, and it never appears. Many such rows
// leave together.
START_TEST(test_front_fails) {
    struct bed b = durable_bed();
    struct store *back = ((struct store_pair *)b.store)->back;
    front->refuses = 1;
    ck_assert_int_eq(PUSH(&b, .id = "a"), -HW_ESTORE);
    ck_assert_str_eq(maria_table("SELECT COUNT(*) FROM hawser_messages"), "0");
    Hawser__Internal__TakeAwayRequest q = HAWSER__INTERNAL__TAKE_AWAY_REQUEST__INIT;
    maria_sql("INSERT INTO hawser_messages (product, stream, user, id, class, body_hash, message, "
              "ttl_ms, kept_ms, landed_ms, id_until_ms, takers) SELECT 1, 0, 'u', seq, 2, '', '', "
              "0, 0, UNIX_TIMESTAMP() * 1000, 0, 1 + (seq = 7) FROM seq_1_to_300;");
    uint64_t before = saver_maria_counts(back)->statements;
    uint64_t first = strtoull(maria_table("SELECT MIN(row_no) FROM hawser_messages"), NULL, 10);
    for (uint64_t i = 0; i < MANY; i++) {
        many_seqs[i] = i + 1;
        q.row = first + i;
        store_call(back, &q.base, on_taken_away, &many_seqs[i]);
    }
    while (taken_away < MANY)
        loop_step(b.loop, -1);
    ck_assert_str_eq(maria_table("SELECT id FROM hawser_messages"), "7");
    ck_assert_uint_le(saver_maria_counts(back)->statements - before, 20);
    durable_end(&b);
}
END_TEST

// Rows that fail each time, and one that nobody can read, hold up none behind them.
START_TEST(test_rows_that_fail) {
    struct bed b = durable_bed();
    maria_sql("INSERT INTO hawser_messages (product, stream, user, id, class, body_hash, message, "
              "ttl_ms, kept_ms, landed_ms, id_until_ms) SELECT 1, 0, 'u', seq, 2, '', x'ff', 0, 0, "
              "10000, 0 FROM seq_1_to_70;");
    front->loses = 1;
    ck_assert_int_eq(PUSH(&b, .id = "a"), -HW_EOUTCOME);
    rows_are_old();
    until_marked(&b, 1);
    ck_assert_str_eq(log_of(&b), "a");
    ck_assert_str_eq(maria_table("SELECT COUNT(*) FROM hawser_messages WHERE unmarked"), "70");
    durable_end(&b);
}
END_TEST

// Rows whose time is over leave, however many, and those whose id is held are not even looked at.
START_TEST(test_purge) {
    struct bed b = durable_bed();
    maria_sql("INSERT INTO hawser_messages (product, stream, user, id, class, body_hash, message, "
              "ttl_ms, kept_ms, landed_ms, id_until_ms, unmarked, expires_ms, leaves_ms) SELECT 1, "
              "0, 'u', seq, 2, '', '', 0, 0, 1, IF(seq % 2, 1, 1 << 50), NULL, 1, IF(seq % 2, 1, 1 "
              "<< 50) FROM seq_1_to_4000;");
    saver_maria_purge(((struct store_pair *)b.store)->back);
    while (strcmp(maria_table("SELECT COUNT(*) FROM hawser_messages"), "2000") != 0)
        loop_step(b.loop, -1);
    ck_assert_int_eq(PUSH(&b, .id = "a"), OUTCOME(STORED));
    until_marked(&b, 1);
    ck_assert_str_eq(maria_table("SELECT leaves_ms = GREATEST(expires_ms, id_until_ms) FROM "
                                 "hawser_messages WHERE id = 'a'"),
                     "1");
    durable_end(&b);
}
END_TEST

// Two savers find the same rows: the lease lets one append them, and each once.
START_TEST(test_two_savers) {
    struct bed b = durable_bed();
    front->loses = 100;
    for (char id[2] = "a"; id[0] <= 'j'; id[0]++)
        ck_assert_int_eq(PUSH(&b, .id = id), -HW_EOUTCOME);
    struct front *first = front;
    struct store *second = durable_open(b.loop);
    front->down = "it has no front";
    rows_are_old();
    first->loses = 0;
    until_marked(&b, 10);
    ck_assert_str_eq(maria_table("SELECT GROUP_CONCAT(id ORDER BY seq SEPARATOR '') FROM "
                                 "hawser_messages"),
                     "abcdefghij");
    ck_assert_uint_eq(saver_durable_counts(second)->taken_up, 0);
    store_free(second);
    front = first;
    durable_end(&b);
}
END_TEST

// The store ends with messages on each part of their way: each is cancelled once.
START_TEST(test_ends) {
    struct bed b;
    maria_start(NULL);
    for (int steps = 0; steps < 6; steps++) {
        bed_open(&b, &factory);
        Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
        Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
        q.product = 1;
        q.user = (char[]){"u"};
        q.message = &m;
        m.id = (char[]){"a"};
        m.class_ = HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE;
        b.answered = false;
        store_call(b.store, &q.base, bed_on_answer, &b);
        for (int i = 0; i < steps && !b.answered; i++)
            loop_step(b.loop, 5);
        bool was_answered = b.answered;
        bed_close(&b);
        ck_assert(b.answered && (was_answered || b.error == -HW_ECANCELLED));
    }
    maria_stop();
}
END_TEST

RUN_TESTS_ON_MARIADB("durable", test_pushes, test_group, test_refusals, test_left_behind,
                     test_id_is_kept, test_id_is_free, test_back_is_away, test_back_refuses,
                     test_front_fails, test_rows_that_fail, test_purge, test_two_savers, test_ends)
