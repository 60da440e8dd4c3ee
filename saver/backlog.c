#include "backlog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "saver_store.h"
#include "store_step.h"

enum {
    LAND_MS = 50,         // rows that come within it share a statement
    LAND_AGAIN_MS = 200,  // after a failure
    LAND_ROUND_MS = 1000, // after a round of rows that were refused
    HEAP_ROW_BYTES = 16,  // what the heap adds to each
    BODY_HASH_BYTES = 16, // at most
};

// --- rows

static size_t row_bytes(const struct stored_row *r) {
    return sizeof(*r) + r->user_len + r->id_len + r->hash_len + r->message_len + HEAP_ROW_BYTES;
}

struct stored_row *backlog_row_new(struct backlog *b, const Hawser__Internal__AppendRequest *q) {
    const struct append_limits limits = append_limits_of(q);
    struct stored_row of = {.product = q->product,
                            .stream = q->stream,
                            .ttl_ms = q->ttl_ms,
                            .kept_ms = limits.kept_ms,
                            .outcome_ms = q->limits ? q->limits->outcome_ms : 0,
                            .messages_max = limits.messages,
                            .bytes_max = limits.bytes};
    const Hawser__Internal__StoredMessage *m = q->message;
    of.user_len = strlen(q->user);
    of.id_len = strlen(m->id);
    of.hash_len = q->body_hash.len <= BODY_HASH_BYTES ? q->body_hash.len : BODY_HASH_BYTES;
    of.message_len = hawser__internal__stored_message__get_packed_size(m);
    of.id_ms = q->id_ttl_ms > ID_KEPT_MIN_MS ? q->id_ttl_ms : ID_KEPT_MIN_MS;
    b->is_full = row_bytes(&of) > b->bytes_max - b->bytes;
    if (b->is_full) {
        b->refused++;
        return NULL;
    }
    struct stored_row *r = hw_malloc(row_bytes(&of));
    *r = of;
    memcpy(r->text, q->user, r->user_len);
    memcpy(r->text + r->user_len, m->id, r->id_len);
    if (r->hash_len > 0)
        memcpy(r->text + r->user_len + r->id_len, q->body_hash.data, r->hash_len);
    hawser__internal__stored_message__pack(m, r->text + r->user_len + r->id_len + r->hash_len);
    b->bytes += row_bytes(r);
    b->rows++;
    return r;
}

void backlog_drop(struct backlog *b, struct stored_row *row) {
    b->bytes -= row_bytes(row);
    b->rows--;
    free(row);
}

// --- landing

static void on_backlog_timer(struct timer *t);

static void land_in(struct backlog *b, uint64_t ms) {
    if (b->list.first && !b->is_stopping && b->sent == 0 && !timer_is_armed(&b->timer))
        loop_arm(b->loop, &b->timer, ms, on_backlog_timer);
}

static void row_add(struct stored_rows *rows, struct stored_row *r) {
    r->next = NULL;
    if (!rows->first)
        rows->end = &rows->first;
    *rows->end = r;
    rows->end = &r->next;
    rows->count++;
}

static struct stored_row *row_take(struct stored_rows *rows) {
    struct stored_row *r = rows->first;
    rows->first = r->next;
    rows->count--;
    return r;
}

static void put_aside(struct backlog *b, struct stored_row *r) {
    saver_maria_tell_put_aside(b->back, r);
    b->put_aside++;
    b->waiting--;
    backlog_drop(b, r);
}

// What the first row says is refused. Where no other has landed since that was so before it may not
// be for what it says.
static void row_refused(struct backlog *b) {
    struct stored_row *r = row_take(&b->list);
    if (r->is_suspect && b->landed > r->landed_before) {
        put_aside(b, r);
        return;
    }
    r->is_suspect = true;
    r->landed_before = b->landed;
    row_add(&b->list, r);
    b->refused_in_turn++;
}

// What one of so many rows says is refused.
static void rows_refused(struct backlog *b, size_t count) {
    if (count == 1)
        row_refused(b);
    b->list.most = (count + 1) / 2;
    bool is_round = b->refused_in_turn >= SUSPECTS_MAX || b->refused_in_turn >= b->list.count;
    if (is_round)
        b->refused_in_turn = 0;
    land_in(b, is_round ? LAND_ROUND_MS : 0);
}

static void on_landed_stored(void *arg, int error, uint64_t noted) {
    struct backlog *b = arg;
    size_t count = b->sent;
    b->sent = 0;
    if (error == -EINVAL) {
        rows_refused(b, count);
        return;
    }
    if (error != 0) {
        land_in(b, LAND_AGAIN_MS);
        return;
    }
    b->refused_in_turn = 0;
    b->list.most = 2 * b->list.most < ROWS_A_STATEMENT ? 2 * b->list.most : ROWS_A_STATEMENT;
    for (; count > 0; count--) {
        struct stored_row *r = row_take(&b->list);
        b->late += noted != 0 && r->history != noted ? 1 : 0;
        b->waiting--;
        b->landed++;
        backlog_drop(b, r);
    }
    b->noted = noted;
    b->is_full = false;
    land_in(b, b->list.count < ROWS_A_STATEMENT ? LAND_MS : 0);
}

static void on_backlog_timer(struct timer *t) {
    struct backlog *b = container_of(t, struct backlog, timer);
    if (store_down_reason(b->back))
        land_in(b, LAND_AGAIN_MS);
    else
        b->sent = saver_maria_store(b->back, &b->list, on_landed_stored, b);
}

void backlog_add(struct backlog *b, struct stored_row *row,
                 const Hawser__Internal__AppendReply *at) {
    row->since_ms = loop_now_ms(b->loop);
    row->epoch = at->epoch;
    row->seq = at->seq;
    row->change = at->change;
    row->sent_ms = at->sent_ms;
    row->expires_ms = at->expires_ms;
    row->history = at->store;
    row_add(&b->list, row);
    b->waiting++;
    b->added++;
    land_in(b, LAND_MS);
}

uint64_t backlog_settled(const struct backlog *b) {
    return b->landed + b->put_aside;
}

uint64_t backlog_oldest_ms(const struct backlog *b) {
    return b->list.first ? loop_now_ms(b->loop) - b->list.first->since_ms : 0;
}

// --- life

void backlog_init(struct backlog *b, struct store *back) {
    *b = (struct backlog){.back = back,
                          .loop = back->loop,
                          .bytes_max = BACKLOG_BYTES_MAX,
                          .list = {.most = ROWS_A_STATEMENT}};
}

void backlog_stop(struct backlog *b) {
    b->is_stopping = true;
    loop_disarm(b->loop, &b->timer);
}

void backlog_deinit(struct backlog *b) {
    while (b->list.first)
        backlog_drop(b, row_take(&b->list));
}
