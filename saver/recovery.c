#include "recovery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maria_rows.h"
#include "message.h"
#include "saver_script_values.h"
#include "store_step.h"

enum { RECOVERY_MS = 200 };

// --- begun, and broken off

static void free_page(struct recovery *r) {
    if (r->page)
        protobuf_c_message_free_unpacked(&r->page->base, NULL);
    r->page = NULL;
    r->last = NULL;
}

static void free_rows(struct recovery *r) {
    if (r->rows)
        protobuf_c_message_free_unpacked(&r->rows->base, NULL);
    r->rows = NULL;
}

static void recovery_pause(struct recovery *r) { // until the next tick
    r->is_asking = false;
    r->is_beside = false;
    free_page(r);
    free_rows(r);
}

// True: what was answered is of use no more.
static bool recovery_failed(struct recovery *r, int error) {
    if (error == 0 && store_ups(r->front) == r->ups)
        return false;
    recovery_pause(r);
    return true;
}

static void ask_whether(struct recovery *r, uint32_t does, store_done_fn *done) {
    Hawser__Internal__RestoredRequest q = HAWSER__INTERNAL__RESTORED_REQUEST__INIT;
    q.does = does;
    q.walk = r->walk;
    store_call(r->front, &q.base, done, r);
}

// --- its end

static void recovery_is_done(struct recovery *r) {
    recovery_pause(r);
    r->is_over = true;
}

static void tell_end(const struct recovery *r, const char *what) {
    log_event(saver_maria_log(r->back), LOG_INFO, what,
              "logs=%" PRIu64 " restored_in_all=%" PRIu64 " anew_in_all=%" PRIu64, r->logs,
              r->restored, r->lost);
}

static void on_ended(void *arg, int error, const ProtobufCMessage *reply) {
    struct recovery *r = arg;
    if (recovery_failed(r, error))
        return;
    if (!((const Hawser__Internal__RestoredReply *)reply)->restored) { // all keys were deleted
        recovery_pause(r);
        return;
    }
    tell_end(r, "redis is whole again");
    recovery_is_done(r);
}

// --- the rows of a log

static void next_log(struct recovery *r);
static void ask_lost_rows(struct recovery *r);

static void rows_over(struct recovery *r) {
    bool is_more = r->rows->more;
    r->after[r->at] = r->rows->upto;
    free_rows(r);
    if (is_more) {
        ask_lost_rows(r);
        return;
    }
    r->at++;
    next_log(r);
}

static void on_unmarked_again(void *arg, int error, const ProtobufCMessage *reply) {
    (void)reply;
    if (!recovery_failed(arg, error))
        rows_over(arg);
}

static void on_rows_restored(void *arg, int error, const ProtobufCMessage *message) {
    struct recovery *r = arg;
    const Hawser__Internal__RestoreReply *reply = (const Hawser__Internal__RestoreReply *)message;
    Hawser__Internal__UnmarkRequest q = HAWSER__INTERNAL__UNMARK_REQUEST__INIT;
    if (recovery_failed(r, error))
        return;
    r->restored += reply->restored;
    r->lost += reply->n_lost;
    if (reply->n_lost == 0) {
        rows_over(r);
        return;
    }
    q.row = reply->lost;
    q.n_row = reply->n_lost;
    q.epoch = r->page->log[r->at]->epoch;
    q.upto = r->rows->upto;
    store_call(r->back, &q.base, on_unmarked_again, r);
}

static void on_lost_rows(void *arg, int error, const ProtobufCMessage *reply) {
    struct recovery *r = arg;
    Hawser__Internal__RestoreRequest q = HAWSER__INTERNAL__RESTORE_REQUEST__INIT;
    if (recovery_failed(r, error))
        return;
    r->rows = (Hawser__Internal__LandedRowsReply *)message_copy(reply);
    if (r->rows->n_row == 0) { // none that can be read
        rows_over(r);
        return;
    }
    const Hawser__Internal__LandedLog *log = r->page->log[r->at];
    q.product = log->product;
    q.stream = log->stream;
    q.user = log->user;
    q.epoch = log->epoch;
    q.upto = log->seq;
    q.row = r->rows->row;
    q.n_row = r->rows->n_row;
    q.last = !r->rows->more;
    store_call(r->front, &q.base, on_rows_restored, r);
}

static void ask_lost_rows(struct recovery *r) {
    Hawser__Internal__LandedRowsRequest q = HAWSER__INTERNAL__LANDED_ROWS_REQUEST__INIT;
    q.log = r->page->log[r->at];
    q.after = r->after[r->at];
    store_call(r->back, &q.base, on_lost_rows, r);
}

// --- a page of logs

static void ask_logs(struct recovery *r, store_done_fn *done) {
    Hawser__Internal__LandedLogsRequest q = HAWSER__INTERNAL__LANDED_LOGS_REQUEST__INIT;
    q.after = r->last;
    q.holder = r->holder;
    q.history = r->history;
    store_call(r->back, &q.base, done, r);
}

static void on_more_logs(void *arg, int error, const ProtobufCMessage *reply);

static void late_rows_are_done(struct recovery *r) {
    r->backlog->late_settled = r->late;
    tell_end(r, "rows that landed late were looked for in redis");
    recovery_pause(r);
}

static void next_log(struct recovery *r) {
    while (r->at < r->page->n_log && !r->lacks[r->at])
        r->at++;
    if (r->at < r->page->n_log)
        ask_lost_rows(r);
    else if (r->page->more)
        ask_logs(r, on_more_logs);
    else if (r->is_beside)
        late_rows_are_done(r);
    else
        ask_whether(r, RESTORED_ENDS, on_ended);
}

struct log_question {
    struct recovery *recovery;
    size_t at;
};

static void on_compared(void *arg, int error, const ProtobufCMessage *message) {
    struct log_question of = *(struct log_question *)arg;
    struct recovery *r = of.recovery;
    const Hawser__Internal__RestoreReply *reply = (const Hawser__Internal__RestoreReply *)message;
    free(arg);
    if (error == 0) {
        r->lacks[of.at] = reply->lacks;
        r->after[of.at] = reply->after;
    }
    r->error = r->error ? r->error : error;
    if (--r->open > 0 || recovery_failed(r, r->error))
        return;
    r->at = 0;
    next_log(r);
}

static void compare_log(struct recovery *r, size_t at) {
    const Hawser__Internal__LandedLog *log = r->page->log[at];
    Hawser__Internal__RestoreRequest q = HAWSER__INTERNAL__RESTORE_REQUEST__INIT;
    struct log_question *of = hw_malloc(sizeof(*of));
    *of = (struct log_question){r, at};
    q.product = log->product;
    q.stream = log->stream;
    q.user = log->user;
    q.epoch = log->epoch;
    q.upto = log->seq;
    store_call(r->front, &q.base, on_compared, of);
}

// Of one log's epochs the newest comes first: a log that is gone is made in that one.
static int by_log_and_newest(const void *a, const void *b) {
    const Hawser__Internal__LandedLog *x = *(Hawser__Internal__LandedLog *const *)a;
    const Hawser__Internal__LandedLog *y = *(Hawser__Internal__LandedLog *const *)b;
    if (x->product != y->product)
        return x->product < y->product ? -1 : 1;
    if (x->stream != y->stream)
        return x->stream < y->stream ? -1 : 1;
    int users = strcmp(x->user, y->user);
    return users != 0 ? users : (x->row < y->row) - (x->row > y->row);
}

static void logs_begin(struct recovery *r) {
    size_t count = r->page->n_log;
    if (count == 0) {
        r->at = 0;
        next_log(r);
        return;
    }
    r->logs += count;
    qsort(r->page->log, count, sizeof(r->page->log[0]), by_log_and_newest);
    r->error = 0;
    r->open = (int)count;
    for (size_t i = 0; i < count; i++)
        compare_log(r, i);
}

static bool took_logs(struct recovery *r, int error, const ProtobufCMessage *reply) {
    if (recovery_failed(r, error))
        return false;
    free_page(r);
    r->page = (Hawser__Internal__LandedLogsReply *)message_copy(reply);
    if (!r->page->held || r->page->n_log > RESTORE_LOGS_MAX) { // another saver is at it
        recovery_pause(r);
        return false;
    }
    r->last = r->page->n_log > 0 ? r->page->log[r->page->n_log - 1] : NULL;
    return true;
}

static void on_more_logs(void *arg, int error, const ProtobufCMessage *reply) {
    if (took_logs(arg, error, reply))
        logs_begin(arg);
}

// --- its beginning

static void on_begun(void *arg, int error, const ProtobufCMessage *reply) {
    struct recovery *r = arg;
    if (recovery_failed(r, error))
        return;
    if (((const Hawser__Internal__RestoredReply *)reply)->restored)
        recovery_is_done(r); // by another saver, since
    else
        logs_begin(r);
}

static void on_first_logs(void *arg, int error, const ProtobufCMessage *reply) {
    if (took_logs(arg, error, reply))
        ask_whether(arg, RESTORED_BEGINS, on_begun);
}

static void on_asked_whether(void *arg, int error, const ProtobufCMessage *reply) {
    struct recovery *r = arg;
    if (recovery_failed(r, error))
        return;
    r->history = ((const Hawser__Internal__RestoredReply *)reply)->history;
    if (((const Hawser__Internal__RestoredReply *)reply)->restored)
        recovery_is_done(r);
    else if (store_down_reason(r->back) || r->backlog->waiting > 0)
        recovery_pause(r);
    else
        ask_logs(r, on_first_logs);
}

// --- what landed behind a walk

static void walk_beside(struct recovery *r) {
    const struct stored_row *oldest = r->backlog->list.first;
    bool is_behind = oldest && oldest->history != r->history; // more of it comes late
    bool has_late = r->backlog->late > r->backlog->late_settled;
    bool is_older = r->backlog->noted != r->history; // another Redis is the one that is whole
    if (!has_late || is_behind || is_older || store_down_reason(r->back))
        return;
    r->late = r->backlog->late;
    r->is_asking = true;
    r->is_beside = true;
    r->logs = 0;
    free_page(r);
    ask_logs(r, on_more_logs);
}

static void on_recovery_tick(struct timer *t) {
    struct recovery *r = container_of(t, struct recovery, tick);
    loop_arm(r->loop, &r->tick, RECOVERY_MS, on_recovery_tick);
    if (r->is_asking || store_down_reason(r->front))
        return;
    if (recovery_is_over(r)) {
        walk_beside(r);
        return;
    }
    r->is_asking = true;
    r->is_over = false;
    r->ups = store_ups(r->front);
    r->walk = rng_epoch(loop_rng(r->loop));
    r->logs = 0;
    ask_whether(r, RESTORED_ASKS, on_asked_whether);
}

// --- life

bool recovery_is_over(const struct recovery *r) {
    uint64_t ups = store_ups(r->front);
    return ups == 0 || (r->is_over && r->ups == ups);
}

const char *recovery_reason(struct recovery *r) {
    if (recovery_is_over(r))
        return NULL;
    const char *back = store_down_reason(r->back);
    const char *waits = back ? ", which is away: " : ", in which more has yet to land";
    snprintf(r->reason, sizeof(r->reason), "what it may have lost is put back from MariaDB%s%s",
             back || r->backlog->waiting > 0 ? waits : "", back ? back : "");
    return r->reason;
}

void recovery_init(struct recovery *r, struct store *front, struct store *back,
                   struct backlog *backlog) {
    *r = (struct recovery){.front = front, .back = back, .backlog = backlog, .loop = front->loop};
    r->holder = rng_epoch(loop_rng(front->loop));
    if (store_is_in_memory(front)) // what it forgets nobody puts back
        return;
    r->is_asking = true; // also while it is not up yet: the front holds its sweep from now on
    ask_whether(r, RESTORED_ASKS, on_asked_whether);
    loop_arm(r->loop, &r->tick, 0, on_recovery_tick);
}

void recovery_stop(struct recovery *r) {
    loop_disarm(r->loop, &r->tick);
    r->is_asking = true; // so that nothing is begun anew
}

void recovery_deinit(struct recovery *r) {
    free_page(r);
    free_rows(r);
}
