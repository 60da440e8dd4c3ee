// What became of messages. A row of hawser_outcomes is there as soon as its message is in its log
// and has landed; an end is told once, and the first one stays. That a message has expired nobody
// tells: its row says when it does. Questions have a connection of their own, a bound, and a time
// after which MariaDB gives them up.
#include "maria_internal.h"

#define STATE(name) ((int)HAWSER__INTERNAL__OUTCOME_STATE__STATE_##name)
#define QUESTION "SET STATEMENT max_statement_time = 2 FOR SELECT "

// --- told

void maria_put_accepted(struct buf *out, const struct stored_row *r) {
    uint64_t kept_ms = r->outcome_ms ? r->outcome_ms : OUTCOME_KEPT_MS;
    buf_printf(out, "(%" PRIu32 ",", r->product);
    maria_put_hex(out, r->text + r->user_len, r->id_len);
    buf_printf(out, ",%" PRIu32 ",", r->stream);
    maria_put_hex(out, r->text, r->user_len);
    buf_printf(
        out, ",%" PRIu64 ",%" PRIu64 ",%d,%d,%" PRIu64 ",%" PRIu64 ",0,'',%" PRIu64 ",%" PRIu64 ")",
        r->epoch, r->seq, (int)HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_STORED, STATE(PENDING),
        r->sent_ms, r->expires_ms, kept_ms, r->expires_ms + kept_ms);
}

void saver_maria_put_message_end(struct buf *ends, uint32_t product, const char *user,
                                 const struct message_end *end) {
    buf_printf(ends, "%sSELECT %" PRIu32 " AS product, ", ends->len > 0 ? " UNION ALL " : "",
               product);
    maria_put_hex(ends, user, strlen(user));
    buf_printf(ends,
               " AS user, %" PRIu64 " AS epoch, %" PRIu64 " AS first, %" PRIu64
               " AS last, %d AS state, %" PRIu64 " AS at_ms, ",
               end->epoch, end->first, end->last, (int)end->state, end->at_ms);
    maria_put_hex(ends, end->device, strlen(end->device));
    buf_append_str(ends, " AS device");
}

static void on_ends_are_told(void *arg, int error, const struct maria_answer *a) {
    struct maria_rows *s = arg;
    (void)a;
    s->ended_done(s->ended_arg, error);
}

// What is parked may still be acknowledged, by another device. A broadcast has no user.
void saver_maria_tell_ends(struct store *rows, struct buf *ends, ended_fn *done, void *arg) {
    struct maria_rows *s = (struct maria_rows *)rows;
    struct buf text = BUF_EMPTY;
    s->ended_done = done;
    s->ended_arg = arg;
    buf_append_str(&text, "UPDATE (");
    buf_append(&text, ends->data, ends->len);
    buf_printf(&text,
               ") v STRAIGHT_JOIN hawser_outcomes o FORCE INDEX (log) ON o.product = v.product AND "
               "o.stream = IF(v.user = '', %d, %d) AND o.user = v.user AND o.seq BETWEEN v.first "
               "AND v.last AND o.epoch "
               "= v.epoch SET o.ended_ms = v.at_ms, o.device = v.device, o.until_ms = v.at_ms + "
               "o.kept_ms, o.state = v.state WHERE o.state = %d OR (o.state = %d AND v.state = %d)",
               STREAM_NEWS, STREAM_INBOX, STATE(PENDING), STATE(PARKED), STATE(ACKED));
    buf_free(ends);
    maria_ask(s->conn, &text, on_ends_are_told, s);
}

// --- asked for

#define STATE_NOW "IF(state = 1 AND expires_ms <= " MARIA_NOW_MS ", 3, state)"
_Static_assert(STATE(PENDING) == 1 && STATE(EXPIRED) == 3, "the numbers of STATE_NOW");

#define OUTCOME_COLUMNS(FIRST, X)                                                                  \
    FIRST(USER, "user")                                                                            \
    X(ID, "id")                                                                                    \
    X(STREAM, "stream")                                                                            \
    X(CLASS, "class")                                                                              \
    X(EPOCH, "epoch")                                                                              \
    X(SEQ, "seq")                                                                                  \
    X(STATE_IS, STATE_NOW)                                                                         \
    X(SENT_MS, "sent_ms")                                                                          \
    X(EXPIRES_MS, "expires_ms")                                                                    \
    X(ENDED_MS, "IF(ended_ms = 0 AND expires_ms <= " MARIA_NOW_MS ", expires_ms, ended_ms)")       \
    X(DEVICE, "device")
#define OUTCOME_AT(name, sql) OUTCOME_AT_##name,
enum { OUTCOME_COLUMNS(OUTCOME_AT, OUTCOME_AT) };

#define STATUS_COLUMNS(FIRST, X)                                                                   \
    FIRST(STATE_IS, STATE_NOW " AS state_now")                                                     \
    X(COUNT, "COUNT(*)")                                                                           \
    X(STREAM, "MIN(stream)")                                                                       \
    X(CLASS, "MIN(class)")                                                                         \
    X(SENT_MS, "MIN(sent_ms)")                                                                     \
    X(EXPIRES_MS, "MAX(expires_ms)")                                                               \
    X(EPOCH, "MIN(epoch)")                                                                         \
    X(SEQ, "MIN(seq)")
#define STATUS_AT(name, sql) STATUS_AT_##name,
enum { STATUS_COLUMNS(STATUS_AT, STATUS_AT) };

static void outcome_ask(struct row_step *r, struct buf *text, maria_done_fn *done) {
    struct maria_rows *s = maria_rows_of(&r->step);
    if (s->reads >= OUTCOME_READS_MAX) {
        buf_free(text);
        row_step_end(r, -HW_EBUSY, NULL);
        return;
    }
    s->reads++;
    maria_ask(s->reader, text, done, r);
}

static void outcome_end(struct row_step *r, int error, ProtobufCMessage *reply) {
    maria_rows_of(&r->step)->reads--;
    row_step_end(r, error == -HW_EOUTCOME ? -HW_ESTORE : error, reply);
}

static Hawser__Internal__Outcome *outcome_at(const struct maria_answer *a, size_t row) {
    Hawser__Internal__Outcome *o = hw_malloc(sizeof(*o));
    hawser__internal__outcome__init(o);
    o->user = maria_text_copy(maria_text_at(a, row, OUTCOME_AT_USER));
    o->id = maria_text_copy(maria_text_at(a, row, OUTCOME_AT_ID));
    o->device = maria_text_copy(maria_text_at(a, row, OUTCOME_AT_DEVICE));
    o->stream = (uint32_t)maria_u64_at(a, row, OUTCOME_AT_STREAM);
    o->class_ = (Hawser__Internal__MessageClass)maria_u64_at(a, row, OUTCOME_AT_CLASS);
    o->epoch = maria_u64_at(a, row, OUTCOME_AT_EPOCH);
    o->seq = maria_u64_at(a, row, OUTCOME_AT_SEQ);
    o->state = (Hawser__Internal__OutcomeState)maria_u64_at(a, row, OUTCOME_AT_STATE_IS);
    o->sent_ms = maria_u64_at(a, row, OUTCOME_AT_SENT_MS);
    o->expires_ms = maria_u64_at(a, row, OUTCOME_AT_EXPIRES_MS);
    o->ended_ms = maria_u64_at(a, row, OUTCOME_AT_ENDED_MS);
    return o;
}

static void on_outcomes(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    if (error != 0) {
        outcome_end(r, error, NULL);
        return;
    }
    Hawser__Internal__OutcomesReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__outcomes_reply__init(reply);
    size_t count = maria_rows(a);
    reply->more = count > r->count;
    count = reply->more ? (size_t)r->count : count;
    reply->outcome = hw_calloc(count + 1, sizeof(reply->outcome[0]));
    for (size_t row = 0; row < count; row++)
        reply->outcome[reply->n_outcome++] = outcome_at(a, row);
    outcome_end(r, 0, &reply->base);
}

static void outcome_put_text(struct buf *out, const char *before, const char *text) {
    buf_append_str(out, before);
    maria_put_hex(out, text, strlen(text));
}

void saver_maria_outcomes(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__OutcomesRequest *q = (const Hawser__Internal__OutcomesRequest *)request;
    struct row_step *r = row_step_of(p);
    struct buf text = BUF_EMPTY;
    r->count = q->limit > 0 ? q->limit : OUTCOMES_MAX;
    buf_printf(&text,
               QUESTION OUTCOME_COLUMNS(FIRST_COLUMN, NEXT_COLUMN) " FROM hawser_outcomes WHERE "
                                                                   "product = %" PRIu32
                                                                   " AND stream = %d",
               q->product, STREAM_INBOX);
    if (*q->id)
        outcome_put_text(&text, " AND id = ", q->id);
    if (*q->user)
        outcome_put_text(&text, " AND user = ", q->user);
    if (*q->after_user)
        outcome_put_text(&text, " AND user > ", q->after_user);
    if (q->after > 0)
        buf_printf(&text, " AND seq > %" PRIu64, q->after);
    if (q->state != HAWSER__INTERNAL__OUTCOME_STATE__STATE_UNKNOWN)
        buf_printf(&text, " AND " STATE_NOW " = %d", (int)q->state);
    buf_printf(&text, " AND until_ms > " MARIA_NOW_MS " ORDER BY %s LIMIT %" PRIu64,
               *q->id ? "user" : "seq", r->count + 1);
    outcome_ask(r, &text, on_outcomes);
}

static void on_status(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    if (error != 0) {
        outcome_end(r, error, NULL);
        return;
    }
    Hawser__Internal__StatusReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__status_reply__init(reply);
    reply->count = hw_calloc(maria_rows(a) + 1, sizeof(reply->count[0]));
    for (size_t row = 0; row < maria_rows(a); row++) {
        Hawser__Internal__StateCount *c = hw_malloc(sizeof(*c));
        uint64_t sent_ms = maria_u64_at(a, row, STATUS_AT_SENT_MS);
        uint64_t expires_ms = maria_u64_at(a, row, STATUS_AT_EXPIRES_MS);
        hawser__internal__state_count__init(c);
        c->state = (Hawser__Internal__OutcomeState)maria_u64_at(a, row, STATUS_AT_STATE_IS);
        c->count = maria_u64_at(a, row, STATUS_AT_COUNT);
        reply->count[reply->n_count++] = c;
        reply->stream = (uint32_t)maria_u64_at(a, row, STATUS_AT_STREAM);
        reply->class_ = (Hawser__Internal__MessageClass)maria_u64_at(a, row, STATUS_AT_CLASS);
        reply->epoch = maria_u64_at(a, row, STATUS_AT_EPOCH);
        reply->seq = maria_u64_at(a, row, STATUS_AT_SEQ);
        if (reply->sent_ms == 0 || sent_ms < reply->sent_ms)
            reply->sent_ms = sent_ms;
        if (expires_ms > reply->expires_ms)
            reply->expires_ms = expires_ms;
    }
    outcome_end(r, 0, &reply->base);
}

void saver_maria_status(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__StatusRequest *q = (const Hawser__Internal__StatusRequest *)request;
    struct buf text = BUF_EMPTY;
    buf_printf(&text,
               QUESTION STATUS_COLUMNS(FIRST_COLUMN, NEXT_COLUMN) " FROM hawser_outcomes WHERE "
                                                                  "product = %" PRIu32,
               q->product);
    outcome_put_text(&text, " AND id = ", q->id);
    buf_append_str(&text, " AND until_ms > " MARIA_NOW_MS " GROUP BY state_now");
    outcome_ask(row_step_of(p), &text, on_status);
}
