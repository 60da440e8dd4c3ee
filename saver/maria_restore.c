// Rows that are marked, for a Redis that went back: which logs there are, page by page for who
// holds the lease; the rows of one; and those that have no place in their log any more are
// unmarked, so that they are appended again.
#include "maria_internal.h"

#define LOG_COLUMNS(FIRST, X)                                                                      \
    FIRST(PRODUCT, "product")                                                                      \
    X(STREAM, "stream")                                                                            \
    X(USER, "user")                                                                                \
    X(EPOCH, "epoch")                                                                              \
    X(SEQ, "MAX(seq)")                                                                             \
    X(ROW, "MAX(row_no)")
#define LOG_AT(name, sql) LOG_AT_##name,
enum { LOG_COLUMNS(LOG_AT, LOG_AT) };

#define MARKED_COLUMNS(FIRST, X)                                                                   \
    FIRST(ROW, "row_no")                                                                           \
    X(SEQ, "seq")                                                                                  \
    X(SENT_MS, "sent_ms")                                                                          \
    X(EXPIRES_MS, "expires_ms")                                                                    \
    X(HAS_LEFT, "ended_ms IS NOT NULL")                                                            \
    X(IS_RECALLED, "EXISTS (SELECT 1 FROM hawser_recalls r WHERE r.product = m.product AND "       \
                   "r.stream = m.stream AND r.user = m.user AND r.epoch = m.epoch AND "            \
                   "r.seq = m.seq)")                                                               \
    X(MESSAGES_MAX, "COALESCE(messages_max, 0)")                                                   \
    X(BYTES_MAX, "COALESCE(bytes_max, 0)")                                                         \
    X(TTL_MS, "ttl_ms")                                                                            \
    X(BODY_HASH, "body_hash")                                                                      \
    X(ID_TTL_MS, "IF(id_is_free > row_no AND id_until_ms > " MARIA_NOW_MS                          \
                 ", id_until_ms - " MARIA_NOW_MS ", 0)")                                           \
    X(ID, "id")                                                                                    \
    X(MESSAGE, "message")
#define MARKED_AT(name, sql) MARKED_AT_##name,
enum { MARKED_COLUMNS(MARKED_AT, MARKED_AT) };

// --- the logs

static Hawser__Internal__LandedLogsReply *logs_reply(void) {
    Hawser__Internal__LandedLogsReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__landed_logs_reply__init(reply);
    return reply;
}

static void on_logs(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    if (error != 0) {
        row_step_end(r, error, NULL);
        return;
    }
    Hawser__Internal__LandedLogsReply *reply = logs_reply();
    reply->held = true;
    reply->log = hw_calloc(maria_rows(a) + 1, sizeof(reply->log[0]));
    for (size_t row = 0; row < maria_rows(a); row++) {
        Hawser__Internal__LandedLog *log = hw_malloc(sizeof(*log));
        hawser__internal__landed_log__init(log);
        log->product = (uint32_t)maria_u64_at(a, row, LOG_AT_PRODUCT);
        log->stream = (uint32_t)maria_u64_at(a, row, LOG_AT_STREAM);
        log->user = maria_text_copy(maria_text_at(a, row, LOG_AT_USER));
        log->epoch = maria_u64_at(a, row, LOG_AT_EPOCH);
        log->seq = maria_u64_at(a, row, LOG_AT_SEQ);
        log->row = maria_u64_at(a, row, LOG_AT_ROW);
        reply->log[reply->n_log++] = log;
    }
    reply->more = reply->n_log == RESTORE_LOGS_MAX;
    row_step_end(r, 0, &reply->base);
}

static void on_history_noted(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    struct buf text = r->text; // the question for the logs
    (void)a;
    if (error != 0) {
        row_step_end(r, error, NULL);
        return;
    }
    r->text = BUF_EMPTY;
    maria_ask_for(r, &text, on_logs);
}

// From now on nobody marks a row for what he appended before: it is among the logs, or unmarked.
static void on_restore_lease(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    struct buf text = BUF_EMPTY;
    if (error != 0 || maria_u64_at(a, 0, ONLY_COLUMN) != r->holder) {
        row_step_end(r, error, error == 0 ? &logs_reply()->base : NULL);
        return;
    }
    buf_printf(&text,
               "INSERT INTO hawser_leases (name, holder, until_ms) VALUES ('history', %" PRIu64
               ", 0) ON DUPLICATE KEY UPDATE holder = VALUES(holder)",
               r->history);
    maria_ask_for(r, &text, on_history_noted);
}

// Each comparison of the disjunction is a range of the index `log`.
void saver_maria_logs(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__LandedLogsRequest *q =
        (const Hawser__Internal__LandedLogsRequest *)request;
    const Hawser__Internal__LandedLog *after = q->after;
    struct row_step *r = row_step_of(p);
    struct buf text = BUF_EMPTY;
    r->holder = q->holder;
    r->history = q->history;
    buf_append_str(&r->text, "SELECT " LOG_COLUMNS(
                                 FIRST_COLUMN, NEXT_COLUMN) " FROM hawser_messages WHERE seq > 0");
    if (after) {
        struct buf user = BUF_EMPTY;
        maria_put_hex(&user, after->user, strlen(after->user));
        buf_printf(&r->text,
                   " AND (product > %" PRIu32 " OR (product = %" PRIu32 " AND stream > %" PRIu32
                   ") OR (product = %" PRIu32 " AND stream = %" PRIu32
                   " AND user > %s) OR (product = %" PRIu32 " AND stream = %" PRIu32
                   " AND user = %s AND epoch > %" PRIu64 "))",
                   after->product, after->product, after->stream, after->product, after->stream,
                   buf_cstr(&user), after->product, after->stream, buf_cstr(&user), after->epoch);
        buf_free(&user);
    }
    buf_printf(&r->text,
               " GROUP BY product, stream, user, epoch ORDER BY product, stream, user, epoch "
               "LIMIT %d",
               RESTORE_LOGS_MAX);
    maria_put_lease(&text, "restore", q->holder);
    maria_ask_for(r, &text, on_restore_lease);
}

// --- the rows of one

static void add_marked(Hawser__Internal__LandedRowsReply *reply, const struct maria_answer *a,
                       size_t at, Hawser__Internal__StoredMessage *m) {
    Hawser__Internal__RestoreRow *row = hw_malloc(sizeof(*row));
    hawser__internal__restore_row__init(row);
    row->row = maria_u64_at(a, at, MARKED_AT_ROW);
    row->seq = maria_u64_at(a, at, MARKED_AT_SEQ);
    row->sent_ms = maria_u64_at(a, at, MARKED_AT_SENT_MS);
    row->expires_ms = maria_u64_at(a, at, MARKED_AT_EXPIRES_MS);
    row->has_ttl = maria_u64_at(a, at, MARKED_AT_TTL_MS) > 0;
    struct maria_text hash = maria_text_at(a, at, MARKED_AT_BODY_HASH);
    row->body_hash =
        (ProtobufCBinaryData){hash.len, hw_memdup(hash.data ? hash.data : "", hash.len)};
    row->id_ttl_ms = maria_u64_at(a, at, MARKED_AT_ID_TTL_MS);
    row->has_left = maria_u64_at(a, at, MARKED_AT_HAS_LEFT) == 1;
    row->recalled = maria_u64_at(a, at, MARKED_AT_IS_RECALLED) == 1;
    row->messages_max = maria_u64_at(a, at, MARKED_AT_MESSAGES_MAX);
    row->bytes_max = maria_u64_at(a, at, MARKED_AT_BYTES_MAX);
    row->message = m;
    reply->row[reply->n_row++] = row;
}

static void on_log_rows(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    if (error != 0) {
        row_step_end(r, error, NULL);
        return;
    }
    size_t count = a ? maria_rows(a) : 0;
    Hawser__Internal__LandedRowsReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__landed_rows_reply__init(reply);
    reply->upto = r->after;
    reply->more = r->after < r->last;
    reply->row = hw_calloc(count + 1, sizeof(reply->row[0]));
    for (size_t at = 0; at < count; at++) {
        Hawser__Internal__StoredMessage *m = maria_message(maria_text_at(a, at, MARKED_AT_MESSAGE),
                                                           maria_text_at(a, at, MARKED_AT_ID));
        if (m)
            add_marked(reply, a, at, m);
        else
            log_event(maria_rows_of(&r->step)->log, LOG_ERROR, "a row cannot be read",
                      "row=%" PRIu64, maria_u64_at(a, at, MARKED_AT_ROW));
    }
    row_step_end(r, 0, &reply->base);
}

// Rows between two seqs are a range of the index `log`; all behind one would be read from its
// beginning.
static void on_next_seq(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    uint64_t first = error == 0 ? maria_u64_at(a, 0, ONLY_COLUMN) : 0;
    struct buf text = BUF_EMPTY;
    r->after = first == 0 || first + RESTORE_ROWS_MAX - 1 > r->last ? r->last
                                                                    : first + RESTORE_ROWS_MAX - 1;
    if (error != 0 || first == 0) { // or they have left since
        on_log_rows(r, error, NULL);
        return;
    }
    buf_printf(
        &text,
        "SELECT " MARKED_COLUMNS(
            FIRST_COLUMN, NEXT_COLUMN) " FROM hawser_messages m FORCE INDEX (log) WHERE %s AND seq "
                                       "BETWEEN %" PRIu64 " AND %" PRIu64 " ORDER BY seq LIMIT %d",
        buf_cstr(&r->text), first, r->after, RESTORE_ROWS_MAX);
    maria_ask_for(r, &text, on_log_rows);
}

void saver_maria_log_rows(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__LandedRowsRequest *q =
        (const Hawser__Internal__LandedRowsRequest *)request;
    const Hawser__Internal__LandedLog *log = q->log;
    struct row_step *r = row_step_of(p);
    struct buf text = BUF_EMPTY;
    r->last = log->seq;
    buf_printf(&r->text, "product = %" PRIu32 " AND stream = %" PRIu32 " AND user = ", log->product,
               log->stream);
    maria_put_hex(&r->text, log->user, strlen(log->user));
    buf_printf(&r->text, " AND epoch = %" PRIu64, log->epoch);
    buf_printf(&text, "SELECT MIN(seq) FROM hawser_messages WHERE %s AND seq > %" PRIu64,
               buf_cstr(&r->text), q->after);
    maria_ask_for(r, &text, on_next_seq);
}

// --- unmarked again

static void on_unmark(void *arg, int error, const struct maria_answer *a) {
    Hawser__Internal__UnmarkReply *reply = hw_malloc(sizeof(*reply));
    (void)a;
    hawser__internal__unmark_reply__init(reply);
    row_step_end(arg, error, &reply->base);
}

void saver_maria_unmark(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__UnmarkRequest *q = (const Hawser__Internal__UnmarkRequest *)request;
    struct buf text = BUF_EMPTY;
    buf_append_str(&text, "UPDATE hawser_messages SET unmarked = 1, epoch = NULL, seq = NULL, "
                          "change_no = NULL, sent_ms = NULL, expires_ms = NULL, leaves_ms = NULL, "
                          "takers = takers + 1 WHERE row_no IN (");
    for (size_t i = 0; i < q->n_row; i++)
        buf_printf(&text, i > 0 ? ",%" PRIu64 : "%" PRIu64, q->row[i]);
    buf_printf(&text, ") AND epoch = %" PRIu64 " AND seq <= %" PRIu64, q->epoch, q->upto);
    maria_ask_for(row_step_of(p), &text, on_unmark);
}
