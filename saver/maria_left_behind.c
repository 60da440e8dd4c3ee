// Rows that nobody has marked: they are counted; whoever holds the lease takes them up, so that
// nobody takes them away any more; then they are read, to be appended again.
#include "maria_internal.h"

// SUM counts those that are old enough, with UNMARKED_AFTER_MS.
#define COUNTED_COLUMNS(FIRST, X)                                                                  \
    FIRST(ALL, "COUNT(*)")                                                                         \
    X(OLD, "COALESCE(SUM(landed_ms < " MARIA_NOW_MS " - %d), 0)")
#define COUNTED_AT(name, sql) COUNTED_AT_##name,
enum { COUNTED_COLUMNS(COUNTED_AT, COUNTED_AT) };

#define LEFT_COLUMNS(FIRST, X)                                                                     \
    FIRST(ROW, "row_no")                                                                           \
    X(PRODUCT, "product")                                                                          \
    X(STREAM, "stream")                                                                            \
    X(USER, "user")                                                                                \
    X(ID, "id")                                                                                    \
    X(BODY_HASH, "body_hash")                                                                      \
    X(MESSAGE, "message")                                                                          \
    X(TTL_MS, "ttl_ms")                                                                            \
    X(KEPT_MS, "kept_ms")                                                                          \
    X(LANDED_MS, "landed_ms")                                                                      \
    X(ID_TTL_MS, "IF(id_until_ms > " MARIA_NOW_MS ", id_until_ms - " MARIA_NOW_MS ", 0)")
#define LEFT_AT(name, sql) LEFT_AT_##name,
enum { LEFT_COLUMNS(LEFT_AT, LEFT_AT) };

// With UNMARKED_AFTER_MS, the row to begin behind, and UNMARKED_AT_ONCE.
#define LEFT_BEHIND                                                                                \
    "unmarked = 1 AND landed_ms < " MARIA_NOW_MS " - %d AND row_no > %" PRIu64                     \
    " ORDER BY row_no LIMIT "                                                                      \
    "%d"

static void unmarked_end(struct row_step *r, int error, Hawser__Internal__UnmarkedReply *reply) {
    if (!reply && error == 0) {
        reply = hw_malloc(sizeof(*reply));
        hawser__internal__unmarked_reply__init(reply);
    }
    if (reply)
        reply->count = r->count;
    row_step_end(r, error, reply ? &reply->base : NULL);
}

// As it was asked for, but for the last moment and the limits, which it has passed: it has landed.
// Times count from then.
static Hawser__Internal__AppendRequest *append_of_row(const struct maria_answer *a, size_t row) {
    struct maria_text hash = maria_text_at(a, row, LEFT_AT_BODY_HASH);
    Hawser__Internal__StoredMessage *m =
        maria_message(maria_text_at(a, row, LEFT_AT_MESSAGE), maria_text_at(a, row, LEFT_AT_ID));
    if (!m)
        return NULL;
    Hawser__Internal__AppendRequest *q = hw_malloc(sizeof(*q));
    hawser__internal__append_request__init(q);
    q->message = m;
    q->product = (uint32_t)maria_u64_at(a, row, LEFT_AT_PRODUCT);
    q->stream = (uint32_t)maria_u64_at(a, row, LEFT_AT_STREAM);
    q->user = maria_text_copy(maria_text_at(a, row, LEFT_AT_USER));
    q->body_hash = (ProtobufCBinaryData){hash.len, hw_memdup(hash.data ? hash.data : "", hash.len)};
    uint64_t ttl_ms = maria_u64_at(a, row, LEFT_AT_TTL_MS);
    uint64_t landed_ms = maria_u64_at(a, row, LEFT_AT_LANDED_MS);
    m->sent_ms = m->sent_ms ? m->sent_ms : landed_ms;
    m->expires_ms = ttl_ms ? landed_ms + ttl_ms : m->expires_ms;
    q->id_ttl_ms = maria_u64_at(a, row, LEFT_AT_ID_TTL_MS);
    q->limits = hw_malloc(sizeof(*q->limits));
    hawser__internal__inbox_limits__init(q->limits);
    q->limits->messages = q->limits->bytes = UINT64_MAX;
    q->limits->retention_ms = maria_u64_at(a, row, LEFT_AT_KEPT_MS);
    return q;
}

static void on_unmarked_read(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    if (error != 0) {
        unmarked_end(r, error, NULL);
        return;
    }
    Hawser__Internal__UnmarkedReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__unmarked_reply__init(reply);
    size_t count = maria_rows(a);
    reply->next = count == UNMARKED_AT_ONCE ? maria_u64_at(a, count - 1, LEFT_AT_ROW) : 0;
    reply->row = hw_calloc(count + 1, sizeof(reply->row[0]));
    for (size_t row = 0; row < count; row++) {
        Hawser__Internal__AppendRequest *append = append_of_row(a, row);
        if (!append) { // it stays, and is counted
            log_event(maria_rows_of(&r->step)->log, LOG_ERROR, "a row cannot be read",
                      "row=%" PRIu64, maria_u64_at(a, row, LEFT_AT_ROW));
            continue;
        }
        Hawser__Internal__UnmarkedRow *u = hw_malloc(sizeof(*u));
        hawser__internal__unmarked_row__init(u);
        u->row = maria_u64_at(a, row, LEFT_AT_ROW);
        u->append = append;
        reply->row[reply->n_row++] = u;
    }
    unmarked_end(r, 0, reply);
}

static void on_taken_up(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    struct buf text = BUF_EMPTY;
    (void)a;
    if (error != 0) {
        unmarked_end(r, error, NULL);
        return;
    }
    buf_printf(
        &text,
        "SELECT " LEFT_COLUMNS(
            FIRST_COLUMN, NEXT_COLUMN) " FROM hawser_messages WHERE takers > 1 AND " LEFT_BEHIND,
        UNMARKED_AFTER_MS, r->after, UNMARKED_AT_ONCE);
    maria_ask_for(r, &text, on_unmarked_read);
}

static void on_row_lease(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    struct buf text = BUF_EMPTY;
    if (error != 0 || maria_u64_at(a, 0, ONLY_COLUMN) != r->holder) {
        unmarked_end(r, error, NULL);
        return;
    }
    buf_printf(&text, "UPDATE hawser_messages SET takers = takers + 1 WHERE " LEFT_BEHIND,
               UNMARKED_AFTER_MS, r->after, UNMARKED_AT_ONCE);
    maria_ask_for(r, &text, on_taken_up);
}

static void on_unmarked_counted(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    struct buf text = BUF_EMPTY;
    r->count = error == 0 ? maria_u64_at(a, 0, COUNTED_AT_ALL) : 0;
    if (error != 0 || maria_u64_at(a, 0, COUNTED_AT_OLD) == 0) {
        unmarked_end(r, error, NULL);
        return;
    }
    maria_put_lease(&text, "unmarked", r->holder);
    maria_ask_for(r, &text, on_row_lease);
}

void saver_maria_unmarked(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__UnmarkedRequest *q = (const Hawser__Internal__UnmarkedRequest *)request;
    struct buf text = BUF_EMPTY;
    row_step_of(p)->holder = q->holder;
    row_step_of(p)->after = q->after;
    buf_printf(&text,
               "SELECT " COUNTED_COLUMNS(
                   FIRST_COLUMN, NEXT_COLUMN) " FROM (SELECT landed_ms FROM hawser_messages WHERE "
                                              "unmarked = 1 LIMIT 10000) u",
               UNMARKED_AFTER_MS);
    maria_ask_for(row_step_of(p), &text, on_unmarked_counted);
}
