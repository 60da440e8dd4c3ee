#include "maria_rows.h"

#include <inttypes.h>
#include <string.h>

#include "message.h"
#include "saver.pb-c.h"
#include "saver_store.h"
#include "store_step.h"

#define NOW_MS "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED)"

static const char *const steps[] = {"CREATE TABLE IF NOT EXISTS hawser_messages ("
                                    "row_no BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, "
                                    "product INT UNSIGNED NOT NULL, "
                                    "stream TINYINT UNSIGNED NOT NULL, "
                                    "user VARBINARY(64) NOT NULL, "
                                    "id VARBINARY(64) NOT NULL, "
                                    "id_is_free BIGINT UNSIGNED NOT NULL DEFAULT 0, "
                                    "class TINYINT UNSIGNED NOT NULL, "
                                    "body_hash VARBINARY(16) NOT NULL, "
                                    "message MEDIUMBLOB NOT NULL, "
                                    "ttl_ms BIGINT UNSIGNED NOT NULL, "
                                    "kept_ms BIGINT UNSIGNED NOT NULL, "
                                    "landed_ms BIGINT UNSIGNED NOT NULL, "
                                    "id_until_ms BIGINT UNSIGNED NOT NULL, "
                                    "takers INT UNSIGNED NOT NULL DEFAULT 1, "
                                    "unmarked TINYINT UNSIGNED NULL DEFAULT 1, "
                                    "epoch BIGINT UNSIGNED NULL, "
                                    "seq BIGINT UNSIGNED NULL, "
                                    "change_no BIGINT UNSIGNED NULL, "
                                    "sent_ms BIGINT UNSIGNED NULL, "
                                    "expires_ms BIGINT UNSIGNED NULL, "
                                    "UNIQUE KEY id (product, stream, user, id, id_is_free), "
                                    "KEY log (product, stream, user, epoch, seq), "
                                    "KEY unmarked (unmarked, row_no), "
                                    "KEY ends (expires_ms)"
                                    ") ENGINE=InnoDB",
                                    "CREATE TABLE IF NOT EXISTS hawser_leases ("
                                    "name VARBINARY(32) NOT NULL PRIMARY KEY, "
                                    "holder BIGINT UNSIGNED NOT NULL, "
                                    "until_ms BIGINT UNSIGNED NOT NULL"
                                    ") ENGINE=InnoDB",
                                    NULL};
static const struct maria_schema rows_schema = {steps};

enum { BODY_HASH_MAX = 16, FREED_MAX = 2 };
enum group_kind { GROUP_LAND, GROUP_MARK, GROUPS };

struct row_step {
    struct store_step step; // first
    struct row_step *next;  // of its group
    struct buf text;        // its piece of a statement
    uint8_t hash[BODY_HASH_MAX];
    size_t hash_len;
    int freed;              // how often an id was made free for it
    uint64_t count, holder; // of UnmarkedRequest
};
static struct row_step *row_step_of(struct store_step *p) {
    return (struct row_step *)p;
}

struct row_group { // steps that share a statement
    struct row_step *first, **end;
    struct row_step *sent[ROWS_A_STATEMENT];
    size_t sent_count, bytes;
};

struct maria_rows {
    struct store store; // first
    struct maria_conn *conn;
    struct row_group group[GROUPS];
    struct hook hook;
    struct log *log; // borrowed
    bool is_purging;
    char reason[MARIA_WHY_MAX + 16];
};
static struct maria_rows *maria_rows_of(const struct store_step *p) {
    return (struct maria_rows *)p->store;
}

// --- pieces of statements

static void put_hex_literal(struct buf *out, const void *data, size_t len) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = data;
    buf_append_str(out, "x'");
    uint8_t *to = buf_reserve(out, 2 * len);
    for (size_t i = 0; i < len; i++) {
        to[2 * i] = (uint8_t)digits[from[i] >> 4];
        to[2 * i + 1] = (uint8_t)digits[from[i] & 15];
    }
    out->len += 2 * len;
    buf_append_str(out, "'");
}

static void put_u64(struct buf *out, uint64_t n) {
    buf_append_u64(out, n);
}

// --- groups

static void on_group_answer(struct maria_rows *s, enum group_kind kind, int error,
                            const struct maria_answer *a);

static void on_landed_rows(void *arg, int error, const struct maria_answer *a) {
    on_group_answer(arg, GROUP_LAND, error, a);
}

static void on_marked_rows(void *arg, int error, const struct maria_answer *a) {
    on_group_answer(arg, GROUP_MARK, error, a);
}

static const struct {
    const char *before, *between, *behind;
    maria_done_fn *done;
} groups[GROUPS] = {
    [GROUP_LAND] = {"INSERT INTO hawser_messages (product, stream, user, id, class, body_hash, "
                    "message, ttl_ms, kept_ms, landed_ms, id_until_ms) VALUES ",
                    ",",
                    " ON DUPLICATE KEY UPDATE takers = takers + 1 RETURNING row_no, takers, "
                    "body_hash, unmarked IS NULL AND id_until_ms <= " NOW_MS
                    ", epoch, seq, change_no, sent_ms, expires_ms, unmarked IS NULL",
                    on_landed_rows},
    [GROUP_MARK] = {"UPDATE hawser_messages m JOIN (", " UNION ALL ",
                    ") v ON m.row_no = v.r SET m.epoch = NULLIF(v.e, 0), m.seq = NULLIF(v.s, 0), "
                    "m.change_no = v.c, m.sent_ms = v.t, m.expires_ms = IF(v.x = 0, m.landed_ms + "
                    "m.kept_ms, v.x), m.unmarked = NULL",
                    on_marked_rows},
};

static void send_group(struct maria_rows *s, enum group_kind kind) {
    struct row_group *g = &s->group[kind];
    struct buf text = BUF_EMPTY;
    if (g->sent_count > 0 || !g->first)
        return;
    buf_append_str(&text, groups[kind].before);
    while (g->first && g->sent_count < ROWS_A_STATEMENT && text.len < ROW_BYTES_A_STATEMENT) {
        struct row_step *r = g->first;
        g->first = r->next;
        g->bytes -= r->text.len;
        buf_append_str(&text, g->sent_count > 0 ? groups[kind].between : "");
        buf_append(&text, r->text.data, r->text.len);
        g->sent[g->sent_count++] = r;
    }
    buf_append_str(&text, groups[kind].behind);
    maria_ask(s->conn, &text, groups[kind].done, s);
}

static void on_rows_hook(struct hook *h) {
    struct maria_rows *s = container_of(h, struct maria_rows, hook);
    send_group(s, GROUP_MARK);
    send_group(s, GROUP_LAND);
}

static void group_add(struct row_step *r, enum group_kind kind) {
    struct maria_rows *s = maria_rows_of(&r->step);
    struct row_group *g = &s->group[kind];
    r->next = NULL;
    if (!g->first)
        g->end = &g->first;
    *g->end = r;
    g->end = &r->next;
    g->bytes += r->text.len;
    hook_schedule(s->store.loop, &s->hook, on_rows_hook);
}

static void row_step_end(struct row_step *r, int error, ProtobufCMessage *reply) {
    buf_free(&r->text);
    store_step_complete(&r->step, error, reply);
}

// --- landing

// The id of a message whose time to hold it is over: the row stays, the id is free.
static void on_freed(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    (void)a;
    if (error != 0)
        row_step_end(r, error == -HW_EOUTCOME ? -HW_ESTORE : error, NULL);
    else
        group_add(r, GROUP_LAND);
}

static void free_id(struct row_step *r, uint64_t row) {
    struct buf text = BUF_EMPTY;
    r->freed++;
    buf_printf(&text,
               "UPDATE hawser_messages SET id_is_free = row_no WHERE row_no = %" PRIu64
               " AND unmarked IS NULL",
               row);
    maria_ask(maria_rows_of(&r->step)->conn, &text, on_freed, r);
}

static void take_landed(struct row_step *r, const struct maria_answer *a, size_t row) {
    struct maria_text hash = maria_text_at(a, row, 2);
    bool is_new = maria_u64_at(a, row, 1) == 1, is_free = maria_u64_at(a, row, 3) == 1;
    bool is_same = hash.len == r->hash_len && memcmp(hash.data, r->hash, hash.len) == 0;
    bool is_marked = maria_u64_at(a, row, 9) == 1, has_seq = maria_u64_at(a, row, 5) > 0;
    if (is_free && r->freed < FREED_MAX) {
        free_id(r, maria_u64_at(a, row, 0));
        return;
    }
    Hawser__Internal__LandedReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__landed_reply__init(reply);
    reply->row = maria_u64_at(a, row, 0);
    reply->is_new = is_new;
    reply->epoch = maria_u64_at(a, row, 4);
    reply->seq = maria_u64_at(a, row, 5);
    reply->change = maria_u64_at(a, row, 6);
    reply->sent_ms = maria_u64_at(a, row, 7);
    reply->expires_ms = maria_u64_at(a, row, 8);
    if (!is_same || (is_marked && !has_seq))
        reply->outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_MISMATCH;
    else if (is_marked)
        reply->outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED;
    row_step_end(r, 0, &reply->base);
}

static void take_marked(struct row_step *r) {
    Hawser__Internal__MarkReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__mark_reply__init(reply);
    row_step_end(r, 0, &reply->base);
}

static void on_group_answer(struct maria_rows *s, enum group_kind kind, int error,
                            const struct maria_answer *a) {
    struct row_group *g = &s->group[kind];
    struct row_step *sent[ROWS_A_STATEMENT];
    size_t count = g->sent_count;
    memcpy(sent, g->sent, count * sizeof(sent[0]));
    g->sent_count = 0;
    if (error == 0 && kind == GROUP_LAND && maria_rows(a) != count)
        error = -HW_EOUTCOME;
    for (size_t i = 0; i < count; i++) {
        if (error != 0)
            row_step_end(sent[i], error, NULL);
        else if (kind == GROUP_LAND)
            take_landed(sent[i], a, i);
        else
            take_marked(sent[i]);
    }
    if (g->first && error != -HW_ECANCELLED)
        hook_schedule(s->store.loop, &s->hook, on_rows_hook);
}

static void put_message_hex(struct buf *out, const Hawser__Internal__StoredMessage *m) {
    struct buf packed = BUF_EMPTY;
    size_t size = hawser__internal__stored_message__get_packed_size(m);
    hawser__internal__stored_message__pack(m, buf_reserve(&packed, size));
    put_hex_literal(out, packed.data, size);
    buf_free(&packed);
}

static void begin_land(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__AppendRequest *q = (const Hawser__Internal__AppendRequest *)request;
    const Hawser__Internal__StoredMessage *m = q->message;
    struct row_step *r = row_step_of(p);
    uint64_t id_ms = q->id_ttl_ms > ID_KEPT_MIN_MS ? q->id_ttl_ms : ID_KEPT_MIN_MS;
    bool has_own = q->stream == STREAM_INBOX && q->limits && q->limits->retention_ms;
    r->hash_len = q->body_hash.len <= BODY_HASH_MAX ? q->body_hash.len : BODY_HASH_MAX;
    memcpy(r->hash, q->body_hash.len ? q->body_hash.data : r->hash, r->hash_len);
    if (maria_rows_of(p)->group[GROUP_LAND].bytes > LANDING_BYTES_MAX) {
        row_step_end(r, -HW_ESTORE, NULL);
        return;
    }
    buf_printf(&r->text, "(%" PRIu32 ",%" PRIu32 ",", q->product, q->stream);
    put_hex_literal(&r->text, q->user, strlen(q->user));
    buf_append_str(&r->text, ",");
    put_hex_literal(&r->text, m->id, strlen(m->id));
    buf_printf(&r->text, ",%d,", (int)m->class_);
    put_hex_literal(&r->text, r->hash, r->hash_len);
    buf_append_str(&r->text, ",");
    put_message_hex(&r->text, m);
    buf_printf(&r->text, ",%" PRIu64 ",%" PRIu64 "," NOW_MS "," NOW_MS " + %" PRIu64 ")", q->ttl_ms,
               has_own ? q->limits->retention_ms : BROADCAST_RETENTION_MS, id_ms);
    group_add(r, GROUP_LAND);
}

// --- marking, and taking away

static void begin_mark(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__MarkRequest *q = (const Hawser__Internal__MarkRequest *)request;
    const uint64_t values[] = {q->row, q->epoch, q->seq, q->change, q->sent_ms, q->expires_ms};
    static const char *const names[] = {"SELECT ", " AS r,", " AS e,",
                                        " AS s,",  " AS c,", " AS t,"};
    struct row_step *r = row_step_of(p);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        buf_append_str(&r->text, names[i]);
        put_u64(&r->text, values[i]);
    }
    buf_append_str(&r->text, " AS x");
    group_add(r, GROUP_MARK);
}

static void on_withdrawn_row(void *arg, int error, const struct maria_answer *a) {
    Hawser__Internal__TakeAwayReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__take_away_reply__init(reply);
    reply->withdrawn = error == 0 && maria_affected(a) == 1;
    store_step_complete(arg, error, &reply->base);
}

static void begin_withdraw(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__TakeAwayRequest *q = (const Hawser__Internal__TakeAwayRequest *)request;
    struct buf text = BUF_EMPTY;
    buf_printf(&text,
               "DELETE FROM hawser_messages WHERE row_no = %" PRIu64
               " AND takers = 1 AND unmarked = 1",
               q->row);
    maria_ask(maria_rows_of(p)->conn, &text, on_withdrawn_row, p);
}

// --- what was left behind: counted; then the lease; then they are taken up; then read

#define LEFT_BEHIND "unmarked = 1 AND landed_ms < " NOW_MS " - %d"

static void ask_rows(struct row_step *r, struct buf *text, maria_done_fn *done) {
    maria_ask(maria_rows_of(&r->step)->conn, text, done, r);
}

static void unmarked_end(struct row_step *r, int error, Hawser__Internal__UnmarkedReply *reply) {
    if (!reply && error == 0) {
        reply = hw_malloc(sizeof(*reply));
        hawser__internal__unmarked_reply__init(reply);
    }
    if (reply)
        reply->count = r->count;
    row_step_end(r, error, reply ? &reply->base : NULL);
}

static char *text_copy(struct maria_text t) {
    return t.data ? hw_strndup(t.data, t.len) : hw_strdup("");
}

// As it was asked for, but for the last moment and the limits, which it has passed: it has landed.
// Times count from then.
static Hawser__Internal__AppendRequest *append_of_row(const struct maria_answer *a, size_t row) {
    struct maria_text packed = maria_text_at(a, row, 6), hash = maria_text_at(a, row, 5);
    Hawser__Internal__StoredMessage *m =
        packed.data ? hawser__internal__stored_message__unpack(NULL, packed.len,
                                                               (const uint8_t *)packed.data)
                    : NULL;
    if (!m)
        return NULL;
    Hawser__Internal__AppendRequest *q = hw_malloc(sizeof(*q));
    hawser__internal__append_request__init(q);
    q->message = m;
    q->product = (uint32_t)maria_u64_at(a, row, 1);
    q->stream = (uint32_t)maria_u64_at(a, row, 2);
    q->user = text_copy(maria_text_at(a, row, 3));
    q->body_hash = (ProtobufCBinaryData){hash.len, hw_memdup(hash.data ? hash.data : "", hash.len)};
    free(m->id); // the column's is what is unique
    m->id = text_copy(maria_text_at(a, row, 4));
    uint64_t ttl_ms = maria_u64_at(a, row, 7), landed_ms = maria_u64_at(a, row, 9);
    m->sent_ms = m->sent_ms ? m->sent_ms : landed_ms;
    m->expires_ms = ttl_ms ? landed_ms + ttl_ms : m->expires_ms;
    q->id_ttl_ms = maria_u64_at(a, row, 10);
    q->limits = hw_malloc(sizeof(*q->limits));
    hawser__internal__inbox_limits__init(q->limits);
    q->limits->messages = q->limits->bytes = UINT64_MAX;
    q->limits->retention_ms = maria_u64_at(a, row, 8);
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
    reply->row = hw_calloc(maria_rows(a) + 1, sizeof(reply->row[0]));
    for (size_t row = 0; row < maria_rows(a); row++) {
        Hawser__Internal__AppendRequest *append = append_of_row(a, row);
        if (!append)
            continue; // nobody can read it; it stays, and is counted
        Hawser__Internal__UnmarkedRow *u = hw_malloc(sizeof(*u));
        hawser__internal__unmarked_row__init(u);
        u->row = maria_u64_at(a, row, 0);
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
    buf_printf(&text,
               "SELECT row_no, product, stream, user, id, body_hash, message, ttl_ms, kept_ms, "
               "landed_ms, IF(id_until_ms > " NOW_MS ", id_until_ms - " NOW_MS
               ", 0) FROM hawser_messages WHERE takers > 1 AND " LEFT_BEHIND
               " ORDER BY row_no LIMIT %d",
               UNMARKED_AFTER_MS, UNMARKED_AT_ONCE);
    ask_rows(r, &text, on_unmarked_read);
}

static void on_row_lease(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    struct buf text = BUF_EMPTY;
    if (error != 0 || maria_u64_at(a, 0, 0) != r->holder) {
        unmarked_end(r, error, NULL);
        return;
    }
    buf_printf(&text,
               "UPDATE hawser_messages SET takers = takers + 1 WHERE " LEFT_BEHIND
               " ORDER BY row_no LIMIT %d",
               UNMARKED_AFTER_MS, UNMARKED_AT_ONCE);
    ask_rows(r, &text, on_taken_up);
}

static void on_unmarked_counted(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    struct buf text = BUF_EMPTY;
    r->count = error == 0 ? maria_u64_at(a, 0, 0) : 0;
    if (error != 0 || maria_u64_at(a, 0, 1) == 0) {
        unmarked_end(r, error, NULL);
        return;
    }
    buf_printf(&text,
               "INSERT INTO hawser_leases (name, holder, until_ms) VALUES ('unmarked', %" PRIu64
               ", " NOW_MS " + %d) ON DUPLICATE KEY UPDATE holder = IF(until_ms < " NOW_MS
               ", VALUES(holder), holder), until_ms = IF(holder = VALUES(holder), "
               "VALUES(until_ms), until_ms) RETURNING holder",
               r->holder, ROW_LEASE_MS);
    ask_rows(r, &text, on_row_lease);
}

static void begin_unmarked(struct store_step *p, const ProtobufCMessage *request) {
    struct buf text = BUF_EMPTY;
    row_step_of(p)->holder = ((const Hawser__Internal__UnmarkedRequest *)request)->holder;
    buf_printf(&text,
               "SELECT COUNT(*), COALESCE(SUM(landed_ms < " NOW_MS
               " - %d), 0) FROM (SELECT landed_ms FROM hawser_messages WHERE unmarked = 1 LIMIT "
               "10000) u",
               UNMARKED_AFTER_MS);
    ask_rows(row_step_of(p), &text, on_unmarked_counted);
}

// --- what nobody needs any more

static void on_purged(void *arg, int error, const struct maria_answer *a) {
    (void)error; // the next one is as good
    (void)a;
    ((struct maria_rows *)arg)->is_purging = false;
}

void saver_maria_purge(struct store *rows) {
    struct maria_rows *s = (struct maria_rows *)rows;
    struct buf text = BUF_EMPTY;
    if (s->is_purging || maria_conn_down_reason(s->conn))
        return;
    s->is_purging = true;
    buf_append_str(&text, "DELETE FROM hawser_messages WHERE expires_ms < " NOW_MS
                          " AND id_until_ms < " NOW_MS " AND unmarked IS NULL LIMIT 500");
    maria_ask(s->conn, &text, on_purged, s);
}

// --- the store

void saver_maria_tell_refused(const struct store *rows, uint64_t row) {
    log_event(((const struct maria_rows *)rows)->log, LOG_WARN,
              "a durable message is refused for good",
              "row=%" PRIu64 " reason=\"its id was used with another body\"", row);
}

static const char *rows_down_reason(struct store *store) {
    struct maria_rows *s = (struct maria_rows *)store;
    const char *why = maria_conn_down_reason(s->conn);
    if (!why)
        return NULL;
    snprintf(s->reason, sizeof(s->reason), "mariadb: %s", why);
    return s->reason;
}

static void rows_stop(struct store *store) {
    struct maria_rows *s = (struct maria_rows *)store;
    maria_conn_free(s->conn); // completes what was sent
    s->conn = NULL;
    hook_stop(&s->hook);
    for (int kind = 0; kind < GROUPS; kind++)
        for (struct row_step *r = s->group[kind].first, *next; r; r = next) {
            next = r->next;
            row_step_end(r, -HW_ECANCELLED, NULL);
        }
}

const struct maria_counts *saver_maria_counts(const struct store *rows) {
    return maria_conn_counts(((const struct maria_rows *)rows)->conn);
}

struct store *saver_maria_rows(const struct maria_options *o) {
    static const struct store_method methods[] = {
        {"land", &hawser__internal__append_request__descriptor, begin_land},
        {"mark", &hawser__internal__mark_request__descriptor, begin_mark},
        {"withdraw", &hawser__internal__take_away_request__descriptor, begin_withdraw},
        {"unmarked", &hawser__internal__unmarked_request__descriptor, begin_unmarked}};
    static const struct store_kind kind = {.methods = methods,
                                           .method_count = sizeof(methods) / sizeof(methods[0]),
                                           .step_bytes = sizeof(struct row_step),
                                           .down_reason = rows_down_reason,
                                           .stop = rows_stop};
    struct maria_rows *s = hw_calloc(1, sizeof(*s));
    struct maria_options options = *o;
    store_init(&s->store, &kind, o->loop);
    options.schema = &rows_schema;
    s->log = o->log;
    s->conn = maria_conn_new(&options);
    return &s->store;
}
