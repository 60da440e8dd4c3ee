// Messages that were recalled: they stand in a table of their own, also before their row has
// landed.
#include "maria_internal.h"

// Clocks differ; a row is put back until its message has ended.
enum { RECALL_KEPT_MORE_MS = 24 * 3600 * 1000 };

static void recalled_end(struct row_step *r, int error) {
    Hawser__Internal__RecalledReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__recalled_reply__init(reply);
    row_step_end(r, error, &reply->base);
}

static void on_unmarked_gone(void *arg, int error, const struct maria_answer *a) {
    (void)a;
    recalled_end(arg, error);
}

// Whoever has appended it need not mark it, and nobody takes it up.
static void on_recalled_row(void *arg, int error, const struct maria_answer *a) {
    struct row_step *r = arg;
    struct buf text = r->text;
    (void)a;
    if (error != 0) {
        recalled_end(r, error);
        return;
    }
    r->text = BUF_EMPTY;
    maria_ask_for(r, &text, on_unmarked_gone);
}

void saver_maria_recall(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__RecalledRequest *q = (const Hawser__Internal__RecalledRequest *)request;
    struct row_step *r = row_step_of(p);
    struct buf text = BUF_EMPTY;
    buf_printf(&text,
               "INSERT INTO hawser_recalls (product, stream, user, epoch, seq, id, "
               "leaves_ms) VALUES (%" PRIu32 ",%" PRIu32 ",",
               q->product, q->stream);
    maria_put_hex(&text, q->user, strlen(q->user));
    buf_printf(&text, ",%" PRIu64 ",%" PRIu64 ",", q->epoch, q->seq);
    maria_put_hex(&text, q->id, strlen(q->id));
    buf_printf(&text, ",%" PRIu64 ") ON DUPLICATE KEY UPDATE seq = seq",
               q->expires_ms + RECALL_KEPT_MORE_MS);
    buf_printf(&r->text,
               "DELETE FROM hawser_messages WHERE unmarked = 1 AND product = %" PRIu32
               " AND stream = %" PRIu32 " AND user = ",
               q->product, q->stream);
    maria_put_hex(&r->text, q->user, strlen(q->user));
    buf_append_str(&r->text, " AND id = ");
    maria_put_hex(&r->text, q->id, strlen(q->id));
    maria_ask_for(r, &text, on_recalled_row);
}
