// Rows of stored messages: they land when they have been appended, many at a time, already marked.
// A row's id holds for nobody else: with its seq it is one of its own, so a row that lands twice is
// there once. And the rows, of any class, whose messages have left their log.
#include <errno.h>

#include "maria_internal.h"

static void put_stored(struct buf *out, const struct stored_row *r) {
    const uint8_t *id = r->text + r->user_len, *hash = id + r->id_len;
    buf_printf(out, "(%" PRIu32 ",%" PRIu32 ",", r->product, r->stream);
    maria_put_hex(out, r->text, r->user_len);
    buf_append_str(out, ",");
    maria_put_hex(out, id, r->id_len);
    buf_printf(out, ",%" PRIu64 ",%d,", STORED_ID + r->seq,
               (int)HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_STORED);
    maria_put_hex(out, hash, r->hash_len);
    buf_append_str(out, ",");
    maria_put_hex(out, hash + r->hash_len, r->message_len);
    buf_printf(out,
               ",%" PRIu64 ",%" PRIu64 "," MARIA_NOW_MS "," MARIA_NOW_MS " + %" PRIu64
               ",NULL,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
               ",%" PRIu64 ",%" PRIu64 ")",
               r->ttl_ms, r->kept_ms, r->id_ms, r->epoch, r->seq, r->change, r->sent_ms,
               r->expires_ms, r->expires_ms, r->messages_max, r->bytes_max);
}

static void stored_over(struct maria_rows *s, int error, uint64_t noted) {
    stored_done_fn *done = s->stored_done;
    s->stored_done = NULL;
    done(s->stored_arg, error, noted);
}

static bool stored_failed(struct maria_rows *s, int error, const struct maria_answer *a) {
    maria_note_refusal(s, error, a);
    if (error != 0)
        stored_over(s, a && a->is_of_values ? -EINVAL : error, 0);
    return error != 0;
}

static void on_noted_history(void *arg, int error, const struct maria_answer *a) {
    bool has_one = error == 0 && maria_rows(a) > 0;
    stored_over(arg, error, has_one ? maria_u64_at(a, 0, ONLY_COLUMN) : 0);
}

// Behind the commit: a walk that notes its history later has these rows.
static void on_accepted(void *arg, int error, const struct maria_answer *a) {
    struct maria_rows *s = arg;
    struct buf text = BUF_EMPTY;
    if (stored_failed(s, error, a))
        return;
    buf_append_str(&text, "SELECT holder FROM hawser_leases WHERE name = 'history'");
    maria_ask(s->conn, &text, on_noted_history, s);
}

static void on_stored(void *arg, int error, const struct maria_answer *a) {
    struct maria_rows *s = arg;
    struct buf text = s->accepted;
    if (stored_failed(s, error, a))
        return;
    s->accepted = BUF_EMPTY;
    maria_ask(s->conn, &text, on_accepted, s);
}

size_t saver_maria_store(struct store *rows, const struct stored_rows *of, stored_done_fn *done,
                         void *arg) {
    struct maria_rows *s = (struct maria_rows *)rows;
    const struct stored_row *first = of->first;
    struct buf text = BUF_EMPTY;
    size_t count = 0;
    buf_append_str(&text, "INSERT INTO hawser_messages (product, stream, user, id, "
                          "id_is_free, class, body_hash, message, ttl_ms, kept_ms, landed_ms, "
                          "id_until_ms, unmarked, epoch, seq, change_no, sent_ms, expires_ms, "
                          "leaves_ms, messages_max, bytes_max) VALUES ");
    buf_reset(&s->accepted);
    buf_append_str(&s->accepted, ACCEPTED_BEFORE "VALUES ");
    for (; first && count < of->most && text.len < STORED_BYTES_A_STATEMENT;
         first = first->next, count++) {
        buf_append_str(&text, count > 0 ? "," : "");
        put_stored(&text, first);
        buf_append_str(&s->accepted, count > 0 ? "," : "");
        maria_put_accepted(&s->accepted, first);
    }
    buf_append_str(&text, " ON DUPLICATE KEY UPDATE row_no = row_no"); // it has landed before
    buf_append_str(&s->accepted, ACCEPTED_BEHIND);
    s->stored_done = done;
    s->stored_arg = arg;
    maria_ask(s->conn, &text, on_stored, s);
    return count;
}

// --- ends

void saver_maria_put_end(struct buf *logs, uint32_t product, const char *user,
                         const struct inbox_end *at) {
    buf_printf(logs, "%sSELECT %" PRIu32 " AS product, ", logs->len > 0 ? " UNION ALL " : "",
               product);
    maria_put_hex(logs, user, strlen(user));
    buf_printf(logs, " AS user, %" PRIu64 " AS epoch, %" PRIu64 " AS upto", at->epoch, at->upto);
}

static void on_ended_rows(void *arg, int error, const struct maria_answer *a) {
    struct maria_rows *s = arg;
    (void)a;
    s->ended_done(s->ended_arg, error);
}

// The last row of each inbox stays, until there is a later one: it tells the epoch. A durable one,
// and one with an Idempotency-Key, tells its id beyond its end.
void saver_maria_end(struct store *rows, struct buf *logs, ended_fn *done, void *arg) {
    struct maria_rows *s = (struct maria_rows *)rows;
    struct buf text = BUF_EMPTY;
    s->ended_done = done;
    s->ended_arg = arg;
    buf_append_str(&text, "UPDATE (");
    buf_append(&text, logs->data, logs->len);
    buf_printf(&text,
               ") v STRAIGHT_JOIN hawser_messages m FORCE INDEX (log) ON m.product = v.product AND "
               "m.stream = %d AND m.user = v.user AND m.epoch = v.epoch AND m.seq <= v.upto SET "
               "m.ended_ms = COALESCE(m.ended_ms, " MARIA_NOW_MS
               "), m.leaves_ms = IF(m.seq = v.upto, "
               "m.leaves_ms, GREATEST(" MARIA_NOW_MS
               ", IF(m.id_is_free = 0 OR m.body_hash <> '', m.id_until_ms, 0))) WHERE "
               "m.leaves_ms > " MARIA_NOW_MS,
               STREAM_INBOX);
    buf_free(logs);
    maria_ask(s->conn, &text, on_ended_rows, s);
}
