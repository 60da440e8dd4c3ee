#include "durable.h"

#include <inttypes.h>
#include <string.h>

#include "backlog.h"
#include "durable_ends.h"
#include "durable_jobs.h"
#include "ends.h"
#include "message.h"
#include "recovery.h"
#include "saver_store.h"
#include "store_pair.h"

enum {
    DURABLE_TICK_MS = 1000,
    PURGE_TICKS = 10,
    // How long the front remembers the id of a message whose row is not marked: longer than any
    // message lives.
};
#define DURABLE_ID_MS (UINT64_C(35) * 24 * 3600 * 1000)

struct durable {
    struct store_pair pair; // first
    struct recovery recovery;
    struct backlog backlog;
    struct ends ends;
    struct job_walk jobs;
    struct log *log; // borrowed
    struct timer tick;
    uint64_t holder;
    int taken_up;           // rows that are being appended, and one while they are read
    uint64_t after;         // the row behind which the next ones are taken up
    bool was_full, went_on; // went_on: one of them at least
    int ticks;
    struct durable_counts counts;
};
static struct durable *durable_of(const struct store_step *p) {
    return (struct durable *)p->store;
}

struct durable_step {
    struct store_step step;                // first
    uint64_t row, id_ms;                   // id_ms: as it was asked for
    bool is_new;                           // this call made the row, and may take it away
    struct stored_row *stored;             // owned; of a stored append
    Hawser__Internal__AppendReply refusal; // while the row is withdrawn
    int failure;                           // likewise: answered instead; 0: the refusal is
};
static struct durable_step *durable_step_of(struct store_step *p) {
    return (struct durable_step *)p;
}

// --- marking, and what follows

struct landed_row {
    struct durable *durable;
    uint64_t row, id_ms;                     // id_ms: how long its id is remembered
    Hawser__Internal__AppendRequest *append; // owned
};

static void landed_row_free(struct landed_row *r) {
    protobuf_c_message_free_unpacked(&r->append->base, NULL);
    free(r);
}

static void on_settled(void *arg, int error, const ProtobufCMessage *reply) {
    (void)arg; // then its id is remembered for longer than it needs to be
    (void)error;
    (void)reply;
}

static void on_marked(void *arg, int error, const ProtobufCMessage *reply) {
    struct landed_row *r = arg;
    if (error == 0 && ((const Hawser__Internal__MarkReply *)reply)->marked) {
        r->durable->counts.marked++;
        r->append->settles = true;
        r->append->id_ttl_ms = r->id_ms;
        r->append->message->payload.len = 0;
        store_call(r->durable->pair.front, &r->append->base, on_settled, NULL);
    } // else the row is found unmarked, and its id at the front
    landed_row_free(r);
}

// r is taken.
static void mark_row(struct landed_row *r, const Hawser__Internal__AppendReply *at) {
    Hawser__Internal__MarkRequest q = HAWSER__INTERNAL__MARK_REQUEST__INIT;
    q.row = r->row;
    q.epoch = at->epoch;
    q.seq = at->seq;
    q.change = at->change;
    q.sent_ms = at->sent_ms;
    q.expires_ms = at->expires_ms;
    q.history = at->store;
    q.outcome_ms = r->append->limits ? r->append->limits->outcome_ms : 0;
    store_call(r->durable->pair.back, &q.base, on_marked, r);
}

// What had to leave its inbox for what was appended.
static void note_dropped(struct durable *d, uint32_t product, const char *user,
                         const Hawser__Internal__AppendReply *reply) {
    for (size_t i = 0; i < reply->n_end; i++)
        ends_note_message(&d->ends, product, user,
                          &(struct message_end){.epoch = reply->epoch,
                                                .first = reply->end[i]->first,
                                                .last = reply->end[i]->last,
                                                .at_ms = reply->store_ms,
                                                .state = reply->end[i]->state,
                                                .device = ""});
}

// --- a durable append

// Its numbers; what else it says is between the stores.
static Hawser__Internal__AppendReply append_answer(const Hawser__Internal__AppendReply *reply) {
    Hawser__Internal__AppendReply answer = *reply;
    answer.n_end = 0;
    answer.end = NULL;
    return answer;
}

static void durable_answer(struct store_step *p, const Hawser__Internal__AppendReply *reply) {
    const Hawser__Internal__AppendReply answer = append_answer(reply);
    store_step_complete(p, 0, message_copy(&answer.base));
}

// Others may have taken the row up, and what one of them was refused another may have stored.
static void on_row_withdrawn(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__TakeAwayReply *reply = (const Hawser__Internal__TakeAwayReply *)message;
    if (error != 0 || !reply->withdrawn) {
        store_step_complete(p, error == -HW_ECANCELLED ? error : -HW_EOUTCOME, NULL);
        return;
    }
    struct durable_step *s = durable_step_of(p);
    durable_of(p)->counts.withdrawn++;
    if (s->failure != 0)
        store_step_complete(p, s->failure, NULL);
    else
        durable_answer(p, &s->refusal);
}

// The log has certainly not taken it.
static void row_withdraw(struct store_step *p) {
    struct durable_step *s = durable_step_of(p);
    Hawser__Internal__TakeAwayRequest q = HAWSER__INTERNAL__TAKE_AWAY_REQUEST__INIT;
    if (!s->is_new) {
        store_step_complete(p, -HW_EOUTCOME, NULL);
        return;
    }
    q.row = s->row;
    store_call(durable_of(p)->pair.back, &q.base, on_row_withdrawn, p);
}

static void on_row_appended(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__AppendReply *reply = (const Hawser__Internal__AppendReply *)message;
    struct durable_step *s = durable_step_of(p);
    if (error == -HW_ESTORE) { // else a full Redis would have it later, though it was refused
        s->failure = error;
        row_withdraw(p);
        return;
    }
    if (error != 0) { // landed, so that it may be appended yet
        store_step_complete(p, error == -HW_ECANCELLED ? error : -HW_EOUTCOME, NULL);
        return;
    }
    if (reply->outcome != HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED &&
        reply->outcome != HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED) {
        s->refusal = append_answer(reply);
        row_withdraw(p);
        return;
    }
    struct landed_row *r = hw_malloc(sizeof(*r));
    *r = (struct landed_row){durable_of(p), s->row, s->id_ms, (void *)p->request};
    p->request = NULL; // the row's now
    note_dropped(r->durable, r->append->product, r->append->user, reply);
    mark_row(r, reply);
    durable_answer(p, reply);
}

static void durable_append_at_front(struct durable *d, Hawser__Internal__AppendRequest *append,
                                    store_done_fn *done, void *arg) {
    append->id_ttl_ms = append->id_ttl_ms > DURABLE_ID_MS ? append->id_ttl_ms : DURABLE_ID_MS;
    store_call(d->pair.front, &append->base, done, arg);
}

static void on_row_landed(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__LandedReply *row = (const Hawser__Internal__LandedReply *)message;
    struct durable_step *s = durable_step_of(p);
    if (error != 0) {
        store_step_complete(p, error == -HW_ESTORE ? -HW_ECLASS : error, NULL);
        return;
    }
    s->row = row->row;
    s->is_new = row->is_new;
    durable_of(p)->counts.landed += row->is_new ? 1 : 0;
    bool is_new_there = row->outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED;
    if (is_new_there && !recovery_is_over(&durable_of(p)->recovery)) { // it went back meanwhile
        s->failure = -HW_ELOADING;
        row_withdraw(p);
        return;
    }
    if (is_new_there) {
        durable_append_at_front(durable_of(p), (Hawser__Internal__AppendRequest *)p->request,
                                on_row_appended, p);
        return;
    }
    Hawser__Internal__AppendReply reply = HAWSER__INTERNAL__APPEND_REPLY__INIT;
    reply.outcome = row->outcome;
    reply.epoch = row->epoch;
    reply.seq = row->seq;
    reply.change = row->change;
    reply.sent_ms = row->sent_ms;
    reply.expires_ms = row->expires_ms;
    durable_answer(p, &reply);
}

// All else. Until the front is whole nothing may go on there: a log would go on without what is put
// back into it.
static void begin_at_front(struct store_step *p, const ProtobufCMessage *request) {
    if (recovery_is_over(&durable_of(p)->recovery))
        store_pair_begin(p, request);
    else
        store_step_complete(p, -HW_ELOADING, NULL);
}

// --- a stored append

// A repeat, too: whoever asked first may have died with its row. One that comes later may be of a
// message whose row has left.
static bool is_to_land(const Hawser__Internal__AppendReply *reply) {
    bool is_again = reply->outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED;
    return reply->outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED ||
           (is_again && reply->store_ms < reply->sent_ms + ID_KEPT_MIN_MS);
}

static void note_stored_dropped(struct durable *d, const struct stored_row *row,
                                const Hawser__Internal__AppendReply *reply) {
    char user[NAME_BYTES_MAX + 1] = {0};
    if (reply->n_end == 0)
        return;
    memcpy(user, row->text, row->user_len < NAME_BYTES_MAX ? row->user_len : NAME_BYTES_MAX);
    note_dropped(d, row->product, user, reply);
}

static void on_stored_at_front(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__AppendReply *reply = (const Hawser__Internal__AppendReply *)message;
    struct backlog *b = &durable_of(p)->backlog;
    if (error == 0)
        note_stored_dropped(durable_of(p), durable_step_of(p)->stored, reply);
    if (error == 0 && is_to_land(reply))
        backlog_add(b, durable_step_of(p)->stored, reply);
    else
        backlog_drop(b, durable_step_of(p)->stored);
    if (error != 0)
        store_step_complete(p, error, NULL);
    else
        durable_answer(p, reply);
}

static void begin_stored_append(struct store_step *p, const Hawser__Internal__AppendRequest *q) {
    struct stored_row *row = backlog_row_new(&durable_of(p)->backlog, q);
    if (!row) {
        store_step_complete(p, -HW_EBACKLOG, NULL);
        return;
    }
    durable_step_of(p)->stored = row;
    store_call(store_pair_of(p)->front, &q->base, on_stored_at_front, p);
}

static void begin_append(struct store_step *p, const ProtobufCMessage *request) {
    const Hawser__Internal__AppendRequest *q = (const Hawser__Internal__AppendRequest *)request;
    struct store_pair *pair = store_pair_of(p);
    bool is_stored = q->message->class_ == HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_STORED;
    bool is_durable = q->message->class_ == HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE;
    bool is_whole = recovery_is_over(&durable_of(p)->recovery);
    if (!is_whole || q->claim != 0 || q->settles) { // nothing is kept but its id
        begin_at_front(p, request);
    } else if (is_stored) {
        begin_stored_append(p, q);
    } else if (!is_durable) {
        begin_at_front(p, request);
    } else if (store_down_reason(pair->front)) { // it would land for nothing
        store_step_complete(p, -HW_ESTORE, NULL);
    } else if (store_down_reason(pair->back)) {
        store_step_complete(p, -HW_ECLASS, NULL);
    } else {
        store_step_keep(p, request);
        durable_step_of(p)->id_ms = q->id_ttl_ms;
        store_call(pair->back, request, on_row_landed, p);
    }
}

// --- what waits for a recovery

struct ends *durable_ends_of(const struct store_step *p) {
    return &durable_of(p)->ends;
}

typedef void durable_step_fn(struct store_step *p, const ProtobufCMessage *request);
static void begin_recovered(struct store_step *p, const ProtobufCMessage *request,
                            durable_step_fn *step) {
    if (recovery_is_over(&durable_of(p)->recovery))
        step(p, request);
    else
        store_step_complete(p, -HW_ELOADING, NULL);
}

static void begin_ack(struct store_step *p, const ProtobufCMessage *request) {
    begin_recovered(p, request, durable_ack);
}

static void begin_attach(struct store_step *p, const ProtobufCMessage *request) {
    begin_recovered(p, request, durable_attach);
}

static void begin_attempt(struct store_step *p, const ProtobufCMessage *request) {
    begin_recovered(p, request, durable_attempt);
}

static void begin_job_put(struct store_step *p, const ProtobufCMessage *request) {
    begin_recovered(p, request, durable_job_put);
}

static void begin_job_advance(struct store_step *p, const ProtobufCMessage *request) {
    begin_recovered(p, request, durable_job_advance);
}

static void begin_recall(struct store_step *p, const ProtobufCMessage *request) {
    begin_recovered(p, request, durable_recall);
}

// --- what became of messages: the back alone is asked

static void begin_at_back(struct store_step *p, const ProtobufCMessage *request) {
    struct store *back = store_pair_of(p)->back;
    if (store_down_reason(back))
        store_step_complete(p, -HW_ECLASS, NULL);
    else
        store_step_pass(p, back, request);
}

// --- rows that were left behind

static void on_durable_tick(struct timer *t);

static void one_taken_up(struct durable *d) {
    if (--d->taken_up == 0 && d->was_full && d->went_on) // else there is no haste
        loop_arm(d->pair.store.loop, &d->tick, 0, on_durable_tick);
}

static void on_row_taken_up(void *arg, int error, const ProtobufCMessage *message) {
    struct landed_row *r = arg;
    struct durable *d = r->durable;
    Hawser__Internal__AppendReply reply = HAWSER__INTERNAL__APPEND_REPLY__INIT;
    if (error == 0)
        reply = append_answer((const Hawser__Internal__AppendReply *)message);
    bool is_stored = reply.outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED;
    bool is_refused = reply.outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_MISMATCH;
    if (error == 0 && (is_stored || is_refused ||
                       reply.outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED)) {
        d->went_on = true;
        note_dropped(d, r->append->product, r->append->user,
                     (const Hawser__Internal__AppendReply *)message);
        d->counts.taken_up += is_stored ? 1 : 0;
        d->counts.refused += is_refused ? 1 : 0;
        if (is_refused) {
            saver_maria_tell_refused(d->pair.back, r->row);
            uint64_t history = reply.store;
            reply = (Hawser__Internal__AppendReply)HAWSER__INTERNAL__APPEND_REPLY__INIT;
            reply.store = history;
        }
        mark_row(r, &reply);
    } else {
        landed_row_free(r);
    }
    one_taken_up(d);
}

static void on_unmarked(void *arg, int error, const ProtobufCMessage *message) {
    struct durable *d = arg;
    const Hawser__Internal__UnmarkedReply *reply = (const Hawser__Internal__UnmarkedReply *)message;
    // Still whole: else they come behind what is put back. At the end there is no front any more.
    bool is_whole = error == 0 && recovery_is_over(&d->recovery);
    size_t count = is_whole ? reply->n_row : 0;
    if (error == 0)
        d->counts.unmarked = reply->count;
    d->after = error == 0 ? reply->next : 0;
    d->was_full = d->after > 0;
    for (size_t i = 0; i < count; i++) { // in the order in which they landed
        struct landed_row *r = hw_malloc(sizeof(*r));
        *r = (struct landed_row){d, reply->row[i]->row, reply->row[i]->append->id_ttl_ms,
                                 (void *)message_copy(&reply->row[i]->append->base)};
        d->taken_up++;
        durable_append_at_front(d, r->append, on_row_taken_up, r);
    }
    one_taken_up(d);
}

static void take_counts(struct durable *d) {
    const struct maria_counts *m = saver_maria_counts(d->pair.back);
    d->counts.statements = m->statements;
    d->counts.refused_statements = m->refused;
    d->counts.failed = m->failed;
    d->counts.late = m->late;
    d->counts.restored = d->recovery.restored;
    d->counts.jobs_restored = d->jobs.restored;
    d->counts.appended_anew = d->recovery.lost;
    d->counts.stored_landed = d->backlog.landed;
    d->counts.stored_refused = d->backlog.refused;
    d->counts.stored_put_aside = d->backlog.put_aside;
    d->counts.ends_told = d->ends.told;
    d->counts.ends_missed = d->ends.missed;
    d->counts.outcomes_told = d->ends.outcomes_told;
    d->counts.outcomes_missed = d->ends.outcomes_missed;
    d->counts.backlog_rows = d->backlog.rows;
    d->counts.backlog_bytes = d->backlog.bytes;
    d->counts.backlog_oldest_s = backlog_oldest_ms(&d->backlog) / 1000;
    d->counts.waiting = m->waiting;
    d->counts.waiting_bytes = m->waiting_bytes;
    d->counts.up_s = m->up_since_ms ? (loop_now_ms(d->pair.store.loop) - m->up_since_ms) / 1000 : 0;
}

static void on_durable_tick(struct timer *t) {
    struct durable *d = container_of(t, struct durable, tick);
    Hawser__Internal__UnmarkedRequest q = HAWSER__INTERNAL__UNMARKED_REQUEST__INIT;
    loop_arm(d->pair.store.loop, &d->tick, DURABLE_TICK_MS, on_durable_tick);
    take_counts(d);
    ends_tell(&d->ends);
    bool is_down = store_down_reason(d->pair.front) || store_down_reason(d->pair.back);
    if (d->taken_up > 0 || is_down || !recovery_is_over(&d->recovery))
        return;
    if (++d->ticks % PURGE_TICKS == 0)
        saver_maria_purge(d->pair.back);
    job_walk_begin(&d->jobs);
    d->taken_up = 1;
    d->went_on = false;
    q.holder = d->holder;
    q.after = d->after; // those that fail hold up none behind them
    store_call(d->pair.back, &q.base, on_unmarked, d);
}

// --- the store

static void durable_stop(struct store *s) {
    struct durable *d = (struct durable *)s;
    loop_disarm(s->loop, &d->tick);
    d->taken_up++; // so that nothing is begun anew
    recovery_stop(&d->recovery);
    backlog_stop(&d->backlog);
    ends_stop(&d->ends);
    store_pair_stop(s);
}

static void durable_deinit(struct store *s) {
    struct durable *d = (struct durable *)s;
    recovery_deinit(&d->recovery);
    if (d->backlog.waiting > 0)
        log_event(d->log, LOG_WARN, "stored messages have not landed",
                  "rows=%" PRIu64 " bytes=%" PRIu64 " reason=\"redis alone has them\"",
                  d->backlog.waiting, d->backlog.bytes);
    backlog_deinit(&d->backlog);
    ends_deinit(&d->ends);
    job_walk_deinit(&d->jobs);
}

static const char *durable_down_reason(struct store *s) {
    struct durable *d = (struct durable *)s;
    const char *why = store_down_reason(d->pair.front);
    return why ? why : recovery_reason(&d->recovery);
}

static bool durable_is_coming(struct store *s) {
    struct store *front = ((struct durable *)s)->pair.front;
    return !store_down_reason(front) || store_is_coming(front);
}

static const struct store_method methods[] = {
    {"append", &hawser__internal__append_request__descriptor, begin_append},
    {"ack", &hawser__internal__ack_request__descriptor, begin_ack},
    {"attach", &hawser__internal__attach_request__descriptor, begin_attach},
    {"attempt", &hawser__internal__attempt_request__descriptor, begin_attempt},
    {"outcomes", &hawser__internal__outcomes_request__descriptor, begin_at_back},
    {"status", &hawser__internal__status_request__descriptor, begin_at_back},
    {"job put", &hawser__internal__job_put_request__descriptor, begin_job_put},
    {"job advance", &hawser__internal__job_advance_request__descriptor, begin_job_advance},
    {"recall", &hawser__internal__recall_request__descriptor, begin_recall}};
static const struct store_kind durable_kind = {
    .methods = methods,
    .method_count = sizeof(methods) / sizeof(methods[0]),
    .step_bytes = sizeof(struct durable_step),
    .other = begin_at_front,
    .down_reason = durable_down_reason,
    .is_coming = durable_is_coming,
    .down_part = store_pair_down_part,
    .stop = durable_stop,
    .deinit = durable_deinit,
};

struct store *saver_durable(struct store *front, struct store *rows) {
    struct durable *d = hw_calloc(1, sizeof(*d));
    store_pair_init(&d->pair, &durable_kind, front, rows);
    d->holder = rng_epoch(loop_rng(front->loop));
    d->log = saver_maria_log(rows);
    backlog_init(&d->backlog, rows);
    ends_init(&d->ends, rows, &d->backlog);
    d->jobs.front = front;
    d->jobs.back = rows;
    recovery_init(&d->recovery, front, rows, &d->backlog);
    loop_arm(front->loop, &d->tick, DURABLE_TICK_MS, on_durable_tick);
    return &d->pair.store;
}

const struct durable_counts *saver_durable_counts(const struct store *s) {
    return s->kind == &durable_kind ? &((const struct durable *)s)->counts : NULL;
}

void saver_durable_bound(struct store *s, uint64_t backlog_bytes) {
    ((struct durable *)s)->backlog.bytes_max = backlog_bytes;
}

bool saver_durable_has_landed(const struct store *s) {
    return ((const struct durable *)s)->backlog.rows == 0;
}

bool saver_durable_is_full(const struct store *s) {
    return ((const struct durable *)s)->backlog.is_full;
}

const char *saver_durable_down(struct store *s) {
    struct store *back = ((struct durable *)s)->pair.back;
    const char *why = store_down_reason(back);
    return why ? why : saver_maria_refusal(back);
}
