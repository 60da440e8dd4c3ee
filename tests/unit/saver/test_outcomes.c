// What became of messages: each end that the log counts is in MariaDB a second later, with when and
// by which device, and is asked for there by user and by message.
#include "recovery_bed.h"

#include "contract_parked.h"

// "id=state(device)", by seq: those of a user, or of a message by user.
static const char *outcomes(struct bed *b, const Hawser__Internal__OutcomesRequest *q) {
    static char text[2000];
    const Hawser__Internal__OutcomesReply *reply = bed_ask(b, &q->base);
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < reply->n_outcome; i++) {
        const Hawser__Internal__Outcome *o = reply->outcome[i];
        bool has_device = *o->device;
        ck_assert_uint_gt(o->sent_ms, 0);
        ck_assert(o->state == HAWSER__INTERNAL__OUTCOME_STATE__STATE_PENDING || o->ended_ms > 0);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s=%d%s%s%s", i > 0 ? " " : "",
                                *q->id ? o->user : o->id, (int)o->state, has_device ? "(" : "",
                                o->device, has_device ? ")" : "");
    }
    snprintf(text + len, sizeof(text) - len, "%s", reply->more ? " more" : "");
    return text;
}

static const char *of_user(struct bed *b, const char *user) {
    Hawser__Internal__OutcomesRequest q = HAWSER__INTERNAL__OUTCOMES_REQUEST__INIT;
    q.product = 1;
    q.user = (char *)(uintptr_t)user;
    return outcomes(b, &q);
}

static void until_outcomes(struct bed *b, const char *user, const char *want) {
    for (uint64_t end = loop_now_ms(b->loop) + 20000; strcmp(of_user(b, user), want) != 0;) {
        ck_assert_msg(loop_now_ms(b->loop) < end, "%s, not %s", of_user(b, user), want);
        loop_step(b->loop, -1);
    }
}

static struct bed outcomes_bed(void) {
    struct bed b = recovery_bed();
    Hawser__Internal__StatusRequest q = HAWSER__INTERNAL__STATUS_REQUEST__INIT;
    are_stored = true;
    q.product = 1;
    q.id = (char[]){"none"};
    while (!bed_try(&b, &q.base)) // until the connection of questions is there
        loop_step(b.loop, 100);
    return b;
}

// Each end once, the first one: by which device, and that of a message for one device only by that.
START_TEST(test_ends) {
    struct bed b = outcomes_bed();
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    ATTACH(&b, .user = "u", .device = "b", .generation = 1);
    for (char id[2] = "1"; id[0] <= '3'; id[0]++)
        DURABLE(&b, .user = "u", .id = id);
    DURABLE(&b, .user = "u", .id = "4", .device = "b");
    DURABLE(&b, .user = "u", .id = "5");
    until_landed(&b);
    ck_assert_str_eq(of_user(&b, "u"), "1=1 2=1 3=1 4=1 5=1");
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 2);
    until_outcomes(&b, "u", "1=2(a) 2=2(a) 3=1 4=1 5=1");
    ACK(&b, .user = "u", .device = "b", .generation = 1, .seq = 3);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 5);
    until_outcomes(&b, "u", "1=2(a) 2=2(a) 3=2(b) 4=1 5=2(a)");
    ACK(&b, .user = "u", .device = "b", .generation = 1, .seq = 5);
    until_outcomes(&b, "u", "1=2(a) 2=2(a) 3=2(b) 4=2(b) 5=2(a)");
    recovery_end(&b);
}
END_TEST

// What has to leave for another message, and what takes another one's place; durable ones, too.
START_TEST(test_dropped) {
    struct bed b = outcomes_bed();
    DURABLE(&b, .user = "u", .id = "1", .messages = 3);
    DURABLE(&b, .user = "u", .id = "2", .key = "k", .messages = 3);
    are_stored = false;
    DURABLE(&b, .user = "u", .id = "3", .key = "k", .messages = 3);
    DURABLE(&b, .user = "u", .id = "4", .messages = 3);
    DURABLE(&b, .user = "u", .id = "5", .messages = 2);
    DURABLE(&b, .user = "u", .id = "6", .ttl_ms = 1);
    until_outcomes(&b, "u", "1=4 2=5 3=4 4=1 5=1 6=3");
    recovery_end(&b);
}
END_TEST

// A row that was put aside is waited for by no end of another message.
START_TEST(test_end_beside_put_aside) {
    struct bed b = outcomes_bed();
    maria_sql("ALTER TABLE hawser_messages ADD CONSTRAINT good CHECK (id NOT LIKE 'bad%');");
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    DURABLE(&b, .user = "u", .id = "bad");
    DURABLE(&b, .user = "u", .id = "1");
    until_landed(&b);
    while (!saver_durable_has_landed(b.store))
        loop_step(b.loop, -1);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 2);
    until_outcomes(&b, "u", "1=2(a)");
    recovery_end(&b);
}
END_TEST

// Parked by one device it may be acknowledged by another; who was told of a gap passes it by.
START_TEST(test_parked) {
    struct bed b = outcomes_bed();
    two_devices(&b, 0);
    DURABLE(&b, .user = "u", .id = "1");
    DURABLE(&b, .user = "u", .id = "2");
    PARK_AT_ONCE(&b, "a", 1);
    until_outcomes(&b, "u", "1=7(a) 2=1");
    ck_assert_str_eq(LOAD(&b, .user = "u", .device = "a"), "gap 1-1 (4) 2");
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 2);
    until_outcomes(&b, "u", "1=7(a) 2=2(a)");
    ACK(&b, .user = "u", .device = "b", .generation = 1, .seq = 1);
    until_outcomes(&b, "u", "1=2(b) 2=2(a)");
    recovery_end(&b);
}
END_TEST

// A login's own positions acknowledge, too.
START_TEST(test_login) {
    struct bed b = outcomes_bed();
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    DURABLE(&b, .user = "u", .id = "1");
    DURABLE(&b, .user = "u", .id = "2");
    Hawser__Internal__AttachRequest q = HAWSER__INTERNAL__ATTACH_REQUEST__INIT;
    Hawser__Internal__StreamPosition have = HAWSER__INTERNAL__STREAM_POSITION__INIT;
    Hawser__Internal__StreamPosition *haves[] = {&have};
    q.product = 1;
    q.user = (char[]){"u"};
    q.device = (char[]){"a"};
    q.generation = 2;
    q.have = haves;
    q.n_have = 1;
    have.epoch = bed_head(&b, STREAM_INBOX, "u").epoch;
    have.seq = 1;
    const Hawser__Internal__AttachReply *reply = bed_ask(&b, &q.base);
    ck_assert_uint_eq(reply->n_end, 0);
    until_outcomes(&b, "u", "1=2(a) 2=1");
    recovery_end(&b);
}
END_TEST

// Of one message for many, page by page and by state; and counted, with a broadcast.
START_TEST(test_questions) {
    struct bed b = outcomes_bed();
    Hawser__Internal__OutcomesRequest q = HAWSER__INTERNAL__OUTCOMES_REQUEST__INIT;
    Hawser__Internal__StatusRequest status = HAWSER__INTERNAL__STATUS_REQUEST__INIT;
    ATTACH(&b, .user = "v'", .device = "\\", .generation = 1);
    DURABLE(&b, .user = "u", .id = "many");
    DURABLE(&b, .user = "v'", .id = "many");
    DURABLE(&b, .user = "w", .id = "many");
    DURABLE(&b, .user = "w", .id = "one");
    DURABLE(&b, .id = "all");
    ACK(&b, .user = "v'", .device = "\\", .generation = 1, .seq = 1);
    until_landed(&b);
    until_outcomes(&b, "v'", "many=2(\\)");
    q.product = 1;
    q.id = (char[]){"many"};
    ck_assert_str_eq(outcomes(&b, &q), "u=1 v'=2(\\) w=1");
    q.limit = 2;
    ck_assert_str_eq(outcomes(&b, &q), "u=1 v'=2(\\) more");
    q.after_user = (char[]){"v'"};
    ck_assert_str_eq(outcomes(&b, &q), "w=1");
    q.after_user = (char[]){""};
    q.state = HAWSER__INTERNAL__OUTCOME_STATE__STATE_PENDING;
    ck_assert_str_eq(outcomes(&b, &q), "u=1 w=1");
    q.state = HAWSER__INTERNAL__OUTCOME_STATE__STATE_UNKNOWN;
    q.user = (char[]){"w"};
    ck_assert_str_eq(outcomes(&b, &q), "w=1");
    q.id = (char[]){""};
    q.after = 1;
    ck_assert_str_eq(outcomes(&b, &q), "one=1");
    status.product = 1;
    status.id = (char[]){"many"};
    const Hawser__Internal__StatusReply *s = bed_ask(&b, &status.base);
    ck_assert_uint_eq(s->n_count, 2);
    uint64_t pending_first = s->count[0]->state == HAWSER__INTERNAL__OUTCOME_STATE__STATE_PENDING;
    ck_assert_uint_eq(s->count[0]->count, pending_first ? 2 : 1);
    ck_assert_uint_eq(s->count[1]->count, pending_first ? 1 : 2);
    status.id = (char[]){"all"};
    s = bed_ask(&b, &status.base);
    ck_assert_uint_eq(s->stream, STREAM_NEWS);
    ck_assert_uint_eq(s->seq, 1);
    status.id = (char[]){"none"};
    s = bed_ask(&b, &status.base);
    ck_assert_uint_eq(s->n_count, 0);
    recovery_end(&b);
}
END_TEST

// A row stays for so long behind its message's end, and is then not known, and leaves.
START_TEST(test_swept) {
    struct bed b = outcomes_bed();
    struct store *back = ((struct store_pair *)b.store)->back;
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    APPEND(&b, .user = "u", .id = "1", .retention_ms = 900000);
    APPEND(&b, .user = "u", .id = "2", .retention_ms = 900000);
    until_landed(&b);
    ck_assert_str_eq(maria_table("SELECT MIN(until_ms - expires_ms) FROM hawser_outcomes"),
                     "604800000");
    maria_sql("UPDATE hawser_outcomes SET kept_ms = 5000, until_ms = expires_ms + 5000;");
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 1);
    until_outcomes(&b, "u", "1=2(a) 2=1");
    ck_assert_str_eq(maria_table("SELECT until_ms - ended_ms FROM hawser_outcomes WHERE seq = 1"),
                     "5000");
    maria_sql("UPDATE hawser_outcomes SET until_ms = 1 WHERE seq = 1;");
    ck_assert_str_eq(of_user(&b, "u"), "2=1");
    saver_maria_purge(back);
    while (strcmp(maria_table("SELECT COUNT(*) FROM hawser_outcomes"), "1") != 0)
        loop_step(b.loop, -1);
    recovery_end(&b);
}
END_TEST

// MariaDB is away: ends wait, and are told when it is back; questions fail meanwhile.
START_TEST(test_outcomes_back_is_away) {
    struct bed b = outcomes_bed();
    Hawser__Internal__StatusRequest q = HAWSER__INTERNAL__STATUS_REQUEST__INIT;
    ATTACH(&b, .user = "u", .device = "a", .generation = 1);
    DURABLE(&b, .user = "u", .id = "1");
    until_landed(&b);
    maria_kill();
    while (!saver_durable_down(b.store))
        loop_step(b.loop, -1);
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 1);
    DURABLE(&b, .user = "u", .id = "2");
    ACK(&b, .user = "u", .device = "a", .generation = 1, .seq = 2);
    q.product = 1;
    q.id = (char[]){"1"};
    ck_assert_ptr_null(bed_try(&b, &q.base));
    ck_assert_int_eq(b.error, -HW_ECLASS);
    maria_run(NULL);
    until_landed(&b);
    while (!bed_try(&b, &q.base))
        loop_step(b.loop, -1);
    until_outcomes(&b, "u", "1=2(a) 2=2(a)");
    recovery_end(&b);
}
END_TEST

// More questions than may wait are refused at once.
static int refused, answered;
static void on_question(void *arg, int error, const ProtobufCMessage *reply) {
    (void)arg;
    (void)reply;
    ck_assert(error == 0 || error == -HW_EBUSY);
    refused += error != 0;
    answered++;
}

START_TEST(test_bound) {
    struct bed b = outcomes_bed();
    Hawser__Internal__StatusRequest q = HAWSER__INTERNAL__STATUS_REQUEST__INIT;
    q.product = 1;
    q.id = (char[]){"1"};
    for (int i = 0; i < OUTCOME_READS_MAX + 3; i++)
        store_call(b.store, &q.base, on_question, NULL);
    while (answered < OUTCOME_READS_MAX + 3)
        loop_step(b.loop, -1);
    ck_assert_int_eq(refused, 3);
    recovery_end(&b);
}
END_TEST

RUN_TESTS_ON_MARIADB("outcomes", test_ends, test_dropped, test_end_beside_put_aside, test_parked,
                     test_login, test_questions, test_swept, test_outcomes_back_is_away, test_bound)
