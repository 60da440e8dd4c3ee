// Rows that land, are marked, or are taken away: what comes while a statement is under way shares
// the next one.
#include "maria_internal.h"

enum { FREED_MAX = 2 };

// --- pieces of statements

static void put_u64(struct buf *out, uint64_t n) {
    buf_append_u64(out, n);
}

// --- what rows that land answer

#define LANDED_COLUMNS(FIRST, X)                                                                   \
    FIRST(ROW, "row_no")                                                                           \
    X(TAKERS, "takers")                                                                            \
    X(BODY_HASH, "body_hash")                                                                      \
    X(IS_FREE, "unmarked IS NULL AND id_until_ms <= " MARIA_NOW_MS)                                \
    X(EPOCH, "epoch")                                                                              \
    X(SEQ, "seq")                                                                                  \
    X(CHANGE, "change_no")                                                                         \
    X(SENT_MS, "sent_ms")                                                                          \
    X(EXPIRES_MS, "expires_ms")                                                                    \
    X(IS_MARKED, "unmarked IS NULL")
#define LANDED_AT(name, sql) LANDED_AT_##name,
enum { LANDED_COLUMNS(LANDED_AT, LANDED_AT) };
#define LANDED_LIST LANDED_COLUMNS(FIRST_COLUMN, NEXT_COLUMN)

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
static void take_outcome(struct row_step *r, int error, const struct maria_answer *a, size_t i);
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

static void on_outcome_rows(void *arg, int error, const struct maria_answer *a) {
    on_group_answer(arg, GROUP_OUTCOME, error, a);
}

static void on_withdrawn_rows(void *arg, int error, const struct maria_answer *a) {
    on_group_answer(arg, GROUP_WITHDRAW, error, a);
}

static void on_freed_rows(void *arg, int error, const struct maria_answer *a) {
    on_group_answer(arg, GROUP_FREE, error, a);
}

// Its end in the log, or where it was refused for good the one that it would have had.
#define MARKED_EXPIRES_MS "IF(v.expires_ms = 0, m.landed_ms + m.kept_ms, v.expires_ms)"

static const struct {
    const char *before, *between, *behind;
    void (*put)(struct buf *out, const struct row_step *r);
    void (*take)(struct row_step *r, int error, const struct maria_answer *a, size_t i);
    maria_done_fn *done;
} groups[GROUPS] = {
    // The values are those of saver_maria_land.
    [GROUP_LAND] = {"INSERT INTO hawser_messages (product, stream, user, id, class, body_hash, "
                    "message, ttl_ms, kept_ms, landed_ms, id_until_ms) VALUES ",
                    ",", " ON DUPLICATE KEY UPDATE takers = takers + 1 RETURNING " LANDED_LIST,
                    put_text, take_landed, on_landed_rows},
    // The values are those of saver_maria_mark.
    [GROUP_MARK] = {"UPDATE hawser_messages m JOIN (", " UNION ALL ",
                    ") v ON m.row_no = v.row_no LEFT JOIN hawser_leases h ON h.name = 'history' "
                    "SET m.epoch = NULLIF(v.epoch, 0), "
                    "m.seq = NULLIF(v.seq, 0), m.change_no = v.change_no, m.sent_ms = v.sent_ms, "
                    "m.expires_ms = " MARKED_EXPIRES_MS ", "
                    "m.leaves_ms = GREATEST(" MARKED_EXPIRES_MS ", m.id_until_ms), "
                    "m.unmarked = NULL WHERE m.unmarked = 1 AND COALESCE(h.holder, v.history) = "
                    "v.history",
                    put_text, take_marked, on_marked_rows},
    // The values are those of saver_maria_mark, too, of rows that it has marked.
    [GROUP_OUTCOME] = {ACCEPTED_BEFORE
                       "SELECT m.product, m.id, m.stream, m.user, m.epoch, m.seq, m.class, "
                       "v.state, m.sent_ms, m.expires_ms, 0, '', v.kept_ms, m.expires_ms + "
                       "v.kept_ms FROM (",
                       " UNION ALL ",
                       ") v JOIN hawser_messages m ON m.row_no = v.row_no AND m.epoch = v.epoch "
                       "AND m.seq = v.seq" ACCEPTED_BEHIND,
                       put_text, take_outcome, on_outcome_rows},
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
    struct maria_text hash = maria_text_at(a, row, LANDED_AT_BODY_HASH);
    bool is_new = maria_u64_at(a, row, LANDED_AT_TAKERS) == 1;
    bool is_free = maria_u64_at(a, row, LANDED_AT_IS_FREE) == 1;
    bool is_same = hash.len == r->hash_len && memcmp(hash.data, r->hash, hash.len) == 0;
    bool is_marked = maria_u64_at(a, row, LANDED_AT_IS_MARKED) == 1;
    bool has_seq = maria_u64_at(a, row, LANDED_AT_SEQ) > 0;
    if (is_free && r->freed < FREED_MAX) {
        r->freed++;
        r->row = maria_u64_at(a, row, LANDED_AT_ROW);
        group_add(r, GROUP_FREE);
        return;
    }
    Hawser__Internal__LandedReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__landed_reply__init(reply);
    reply->row = maria_u64_at(a, row, LANDED_AT_ROW);
    reply->is_new = is_new;
    reply->epoch = maria_u64_at(a, row, LANDED_AT_EPOCH);
    reply->seq = maria_u64_at(a, row, LANDED_AT_SEQ);
    reply->change = maria_u64_at(a, row, LANDED_AT_CHANGE);
    reply->sent_ms = maria_u64_at(a, row, LANDED_AT_SENT_MS);
    reply->expires_ms = maria_u64_at(a, row, LANDED_AT_EXPIRES_MS);
    if (!is_same || (is_marked && !has_seq))
        reply->outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_MISMATCH;
    else if (is_marked)
        reply->outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED;
    row_step_end(r, 0, &reply->base);
}

static void on_group_answer(struct maria_rows *s, enum group_kind kind, int error,
                            const struct maria_answer *a) {
    struct row_group *g = &s->group[kind];
    struct row_step *sent[ROWS_A_STATEMENT];
    size_t count = g->sent_count;
    memcpy(sent, g->sent, count * sizeof(sent[0]));
    g->sent_count = 0;
    s->answered = count;
    if (kind == GROUP_LAND)
        maria_note_refusal(s, error, a);
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
    maria_put_hex(out, packed.data, size);
    buf_free(&packed);
}

void saver_maria_land(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__AppendRequest *q = (const Hawser__Internal__AppendRequest *)request;
    const Hawser__Internal__StoredMessage *m = q->message;
    struct row_step *r = row_step_of(p);
    uint64_t id_ms = q->id_ttl_ms > ID_KEPT_MIN_MS ? q->id_ttl_ms : ID_KEPT_MIN_MS;
    r->hash_len = q->body_hash.len <= BODY_HASH_MAX ? q->body_hash.len : BODY_HASH_MAX;
    memcpy(r->hash, q->body_hash.len ? q->body_hash.data : r->hash, r->hash_len);
    if (maria_rows_of(p)->group[GROUP_LAND].bytes > LANDING_BYTES_MAX) {
        row_step_end(r, -HW_ESTORE, NULL);
        return;
    }
    buf_printf(&r->text, "(%" PRIu32 ",%" PRIu32 ",", q->product, q->stream);
    maria_put_hex(&r->text, q->user, strlen(q->user));
    buf_append_str(&r->text, ",");
    maria_put_hex(&r->text, m->id, strlen(m->id));
    buf_printf(&r->text, ",%d,", (int)m->class_);
    maria_put_hex(&r->text, r->hash, r->hash_len);
    buf_append_str(&r->text, ",");
    put_message_hex(&r->text, m);
    buf_printf(&r->text,
               ",%" PRIu64 ",%" PRIu64 "," MARIA_NOW_MS "," MARIA_NOW_MS " + %" PRIu64 ")",
               q->ttl_ms, append_limits_of(q).kept_ms, id_ms);
    group_add(r, GROUP_LAND);
}

// --- marking, and taking away

// Which of them is not known where it is not all.
static void take_marked(struct row_step *r, int error, const struct maria_answer *a, size_t i) {
    (void)i;
    r->is_marked = error == 0 && maria_affected(a) == maria_rows_of(&r->step)->answered;
    if (error == 0)
        group_add(r, GROUP_OUTCOME);
    else
        row_step_end(r, error, NULL);
}

// Where it fails it is not known what became of the message: no reason to mark it again.
static void take_outcome(struct row_step *r, int error, const struct maria_answer *a, size_t i) {
    Hawser__Internal__MarkReply *reply = hw_malloc(sizeof(*reply));
    (void)a;
    (void)i;
    hawser__internal__mark_reply__init(reply);
    reply->marked = r->is_marked;
    row_step_end(r, error == -HW_ECANCELLED ? error : 0, &reply->base);
}

static void put_value(struct row_step *r, const char *before, uint64_t n, const char *name) {
    buf_append_str(&r->text, before);
    put_u64(&r->text, n);
    buf_append_str(&r->text, " AS ");
    buf_append_str(&r->text, name);
}

void saver_maria_mark(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__MarkRequest *q = (const Hawser__Internal__MarkRequest *)request;
    struct row_step *r = row_step_of(p);
    put_value(r, "SELECT ", q->row, "row_no");
    put_value(r, ", ", q->epoch, "epoch");
    put_value(r, ", ", q->seq, "seq");
    put_value(r, ", ", q->change, "change_no");
    put_value(r, ", ", q->sent_ms, "sent_ms");
    put_value(r, ", ", q->expires_ms, "expires_ms");
    put_value(r, ", ", q->history, "history");
    put_value(r, ", ", HAWSER__INTERNAL__OUTCOME_STATE__STATE_PENDING, "state");
    put_value(r, ", ", q->outcome_ms ? q->outcome_ms : OUTCOME_KEPT_MS, "kept_ms");
    group_add(r, GROUP_MARK);
}

static void take_withdrawn(struct row_step *r, int error, const struct maria_answer *a, size_t i) {
    Hawser__Internal__TakeAwayReply *reply = hw_malloc(sizeof(*reply));
    (void)i;
    hawser__internal__take_away_reply__init(reply);
    for (size_t row = 0; error == 0 && row < maria_rows(a); row++)
        reply->withdrawn = reply->withdrawn || maria_u64_at(a, row, ONLY_COLUMN) == r->row;
    row_step_end(r, error, &reply->base);
}

void saver_maria_withdraw(struct store_step *p, const ProtobufCMessage *request) {
    row_step_of(p)->row = ((const Hawser__Internal__TakeAwayRequest *)request)->row;
    group_add(row_step_of(p), GROUP_WITHDRAW);
}
