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
                                    "ALTER TABLE hawser_messages "
                                    "ADD COLUMN IF NOT EXISTS leaves_ms BIGINT UNSIGNED NULL, "
                                    "ADD KEY IF NOT EXISTS leaves (leaves_ms)",
                                    "UPDATE hawser_messages SET leaves_ms = GREATEST(expires_ms, "
                                    "id_until_ms) WHERE unmarked IS NULL AND leaves_ms IS NULL",
                                    NULL};
static const struct maria_schema rows_schema = {steps};

enum { BODY_HASH_MAX = 16, FREED_MAX = 2, PURGED_AT_ONCE = 500 };
enum group_kind { GROUP_MARK, GROUP_WITHDRAW, GROUP_FREE, GROUP_LAND, GROUPS };

struct row_step {
    struct store_step step; // first
    struct row_step *next;  // of its group
    struct buf text;        // its piece of the statement that lands or marks it
    uint64_t row;           // that it takes away, or whose id it frees
    uint8_t hash[BODY_HASH_MAX];
    size_t hash_len;
    int freed;                     // how often an id was made free for it
    uint64_t count, holder, after; // of UnmarkedRequest
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
    char refusal[MARIA_WHY_MAX]; // of the last rows that were to land; empty: they have
    char reason[MARIA_WHY_MAX + 32];
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

static void put_text(struct buf *out, const struct row_step *r) {
    buf_append(out, r->text.data, r->text.len);
}

static void put_row(struct buf *out, const struct row_step *r) {
    put_u64(out, r->row);
}

// What became of it: i is its place among those of the statement; a is NULL with an error.
static void take_landed(struct row_step *r, int error, const struct maria_answer *a, size_t i);
static void take_marked(struct row_step *r, int error, const struct maria_answer *a, size_t i);
static void take_withdrawn(struct row_step *r, int error, const struct maria_answer *a, size_t i);
static void take_freed(struct row_step *r, int error, const struct maria_answer *a, size_t i);

static void on_group_answer(struct maria_rows *s, enum group_kind kind, int error,
                            const struct maria_answer *a);

static void on_landed_rows(void *arg, int error, const struct maria_answer *a) {
    on_group_answer(arg, GROUP_LAND, error, a);
}

static void on_marked_rows(void *arg, int error, const struct maria_answer *a) {
    on_group_answer(arg, GROUP_MARK, error, a);
}

static void on_withdrawn_rows(void *arg, int error, const struct maria_answer *a) {
    on_group_answer(arg, GROUP_WITHDRAW, error, a);
}

static void on_freed_rows(void *arg, int error, const struct maria_answer *a) {
    on_group_answer(arg, GROUP_FREE, error, a);
}

static const struct {
    const char *before, *between, *behind;
    void (*put)(struct buf *out, const struct row_step *r);
    void (*take)(struct row_step *r, int error, const struct maria_answer *a, size_t i);
    maria_done_fn *done;
} groups[GROUPS] = {
    [GROUP_LAND] = {"INSERT INTO hawser_messages (product, stream, user, id, class, body_hash, "
                    "message, ttl_ms, kept_ms, landed_ms, id_until_ms) VALUES ",
                    ",",
                    " ON DUPLICATE KEY UPDATE takers = takers + 1 RETURNING row_no, takers, "
                    "body_hash, unmarked IS NULL AND id_until_ms <= " NOW_MS
                    ", epoch, seq, change_no, sent_ms, expires_ms, unmarked IS NULL",
                    put_text, take_landed, on_landed_rows},
    [GROUP_MARK] = {"UPDATE hawser_messages m JOIN (", " UNION ALL ",
                    ") v ON m.row_no = v.r SET m.epoch = NULLIF(v.e, 0), m.seq = NULLIF(v.s, 0), "
                    "m.change_no = v.c, m.sent_ms = v.t, m.expires_ms = IF(v.x = 0, m.landed_ms + "
                    "m.kept_ms, v.x), m.leaves_ms = GREATEST(IF(v.x = 0, m.landed_ms + m.kept_ms, "
                    "v.x), m.id_until_ms), m.unmarked = NULL",
                    put_text, take_marked, on_marked_rows},
    [GROUP_WITHDRAW] = {"DELETE FROM hawser_messages WHERE takers = 1 AND unmarked = 1 AND row_no "
                        "IN (",
                        ",", ") RETURNING row_no", put_row, take_withdrawn, on_withdrawn_rows},
    // The id of a message whose time to hold it is over: the row stays, the id is free.
    [GROUP_FREE] = {"UPDATE hawser_messages SET id_is_free = row_no WHERE unmarked IS NULL AND "
                    "row_no IN (",
                    ",", ")", put_row, take_freed, on_freed_rows},
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
        groups[kind].put(&text, r);
        g->sent[g->sent_count++] = r;
    }
    buf_append_str(&text, groups[kind].behind);
    maria_ask(s->conn, &text, groups[kind].done, s);
}

static void on_rows_hook(struct hook *h) {
    struct maria_rows *s = container_of(h, struct maria_rows, hook);
    for (int kind = 0; kind < GROUPS; kind++)
        send_group(s, (enum group_kind)kind);
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

static void take_freed(struct row_step *r, int error, const struct maria_answer *a, size_t i) {
    (void)a;
    (void)i;
    if (error != 0)
        row_step_end(r, error == -HW_EOUTCOME ? -HW_ESTORE : error, NULL);
    else
        group_add(r, GROUP_LAND);
}

static void take_landed(struct row_step *r, int error, const struct maria_answer *a, size_t row) {
    if (error != 0) {
        row_step_end(r, error, NULL);
        return;
    }
    struct maria_text hash = maria_text_at(a, row, 2);
    bool is_new = maria_u64_at(a, row, 1) == 1, is_free = maria_u64_at(a, row, 3) == 1;
    bool is_same = hash.len == r->hash_len && memcmp(hash.data, r->hash, hash.len) == 0;
    bool is_marked = maria_u64_at(a, row, 9) == 1, has_seq = maria_u64_at(a, row, 5) > 0;
    if (is_free && r->freed < FREED_MAX) {
        r->freed++;
        r->row = maria_u64_at(a, row, 0);
        group_add(r, GROUP_FREE);
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

static void note_refusal(struct maria_rows *s, int error, const struct maria_answer *a) {
    if (error == 0)
        s->refusal[0] = '\0';
    else if (a && a->code != 0)
        snprintf(s->refusal, sizeof(s->refusal), "%s", a->why);
}

static void on_group_answer(struct maria_rows *s, enum group_kind kind, int error,
                            const struct maria_answer *a) {
    struct row_group *g = &s->group[kind];
    struct row_step *sent[ROWS_A_STATEMENT];
    size_t count = g->sent_count;
    memcpy(sent, g->sent, count * sizeof(sent[0]));
    g->sent_count = 0;
    if (kind == GROUP_LAND)
        note_refusal(s, error, a);
    if (error == 0 && kind == GROUP_LAND && maria_rows(a) != count)
        error = -HW_EOUTCOME;
    for (size_t i = 0; i < count; i++)
        groups[kind].take(sent[i], error, a, i);
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

static void take_marked(struct row_step *r, int error, const struct maria_answer *a, size_t i) {
    Hawser__Internal__MarkReply *reply = hw_malloc(sizeof(*reply));
    (void)a;
    (void)i;
    hawser__internal__mark_reply__init(reply);
    row_step_end(r, error, &reply->base);
}

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

static void take_withdrawn(struct row_step *r, int error, const struct maria_answer *a, size_t i) {
    Hawser__Internal__TakeAwayReply *reply = hw_malloc(sizeof(*reply));
    (void)i;
    hawser__internal__take_away_reply__init(reply);
    for (size_t row = 0; error == 0 && row < maria_rows(a); row++)
        reply->withdrawn = reply->withdrawn || maria_u64_at(a, row, 0) == r->row;
    row_step_end(r, error, &reply->base);
}

static void begin_withdraw(struct store_step *p, const ProtobufCMessage *request) {
    row_step_of(p)->row = ((const Hawser__Internal__TakeAwayRequest *)request)->row;
    group_add(row_step_of(p), GROUP_WITHDRAW);
}

// --- what was left behind: counted; then the lease; then they are taken up; then read

// With UNMARKED_AFTER_MS, the row to begin behind, and UNMARKED_AT_ONCE.
#define LEFT_BEHIND                                                                                \
    "unmarked = 1 AND landed_ms < " NOW_MS " - %d AND row_no > %" PRIu64 " ORDER BY row_no LIMIT " \
    "%d"

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
    size_t count = maria_rows(a);
    reply->next = count == UNMARKED_AT_ONCE ? maria_u64_at(a, count - 1, 0) : 0;
    reply->row = hw_calloc(count + 1, sizeof(reply->row[0]));
    for (size_t row = 0; row < count; row++) {
        Hawser__Internal__AppendRequest *append = append_of_row(a, row);
        if (!append) { // it stays, and is counted
            log_event(maria_rows_of(&r->step)->log, LOG_ERROR, "a durable row cannot be read",
                      "row=%" PRIu64, maria_u64_at(a, row, 0));
            continue;
        }
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
               ", 0) FROM hawser_messages WHERE takers > 1 AND " LEFT_BEHIND,
               UNMARKED_AFTER_MS, r->after, UNMARKED_AT_ONCE);
    ask_rows(r, &text, on_unmarked_read);
}

static void on_row_lease(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    struct buf text = BUF_EMPTY;
    if (error != 0 || maria_u64_at(a, 0, 0) != r->holder) {
        unmarked_end(r, error, NULL);
        return;
    }
    buf_printf(&text, "UPDATE hawser_messages SET takers = takers + 1 WHERE " LEFT_BEHIND,
               UNMARKED_AFTER_MS, r->after, UNMARKED_AT_ONCE);
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
    const Hawser__Internal__UnmarkedRequest *q = (const Hawser__Internal__UnmarkedRequest *)request;
    struct buf text = BUF_EMPTY;
    row_step_of(p)->holder = q->holder;
    row_step_of(p)->after = q->after;
    buf_printf(&text,
               "SELECT COUNT(*), COALESCE(SUM(landed_ms < " NOW_MS
               " - %d), 0) FROM (SELECT landed_ms FROM hawser_messages WHERE unmarked = 1 LIMIT "
               "10000) u",
               UNMARKED_AFTER_MS);
    ask_rows(row_step_of(p), &text, on_unmarked_counted);
}

// --- what nobody needs any more

static void purge_more(struct maria_rows *s);

static void on_purged(void *arg, int error, const struct maria_answer *a) {
    struct maria_rows *s = arg;
    if (error == 0 && maria_affected(a) == PURGED_AT_ONCE)
        purge_more(s); // behind what has come meanwhile
    else
        s->is_purging = false;
}

static void purge_more(struct maria_rows *s) {
    struct buf text = BUF_EMPTY;
    buf_printf(&text, "DELETE FROM hawser_messages WHERE leaves_ms < " NOW_MS " LIMIT %d",
               PURGED_AT_ONCE);
    maria_ask(s->conn, &text, on_purged, s);
}

void saver_maria_purge(struct store *rows) {
    struct maria_rows *s = (struct maria_rows *)rows;
    if (s->is_purging || maria_conn_down_reason(s->conn))
        return;
    s->is_purging = true;
    purge_more(s);
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

const char *saver_maria_refusal(struct store *rows) {
    struct maria_rows *s = (struct maria_rows *)rows;
    if (!s->refusal[0])
        return NULL;
    snprintf(s->reason, sizeof(s->reason), "mariadb refused the last rows: %s", s->refusal);
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

static void on_rows_state(void *arg, bool is_up) {
    if (is_up)
        ((struct maria_rows *)arg)->refusal[0] = '\0';
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
    options.on_state = on_rows_state;
    options.arg = s;
    s->log = o->log;
    s->conn = maria_conn_new(&options);
    return &s->store;
}
