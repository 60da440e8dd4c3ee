#include "durable_jobs.h"

#include "buf.h"
#include "message.h"
#include "saver_store.h"

// --- put: landed, then stored

struct job_landing {
    struct store_step *step;
    uint64_t row;
    bool is_new; // this call made the row, and may take it away
    int failure; // while the row is taken away: answered then; 0: the refusal is
    Hawser__Internal__JobPutReply refusal;
};

static void job_landing_over(struct job_landing *l, int error,
                             const Hawser__Internal__JobPutReply *reply) {
    store_step_complete(l->step, error, reply ? message_copy(&reply->base) : NULL);
    free(l);
}

static void on_job_dropped(void *arg, int error, const ProtobufCMessage *reply) {
    struct job_landing *l = arg;
    (void)reply;
    if (error != 0)
        job_landing_over(l, error == -HW_ECANCELLED ? error : -HW_EOUTCOME, NULL);
    else
        job_landing_over(l, l->failure, l->failure ? NULL : &l->refusal);
}

// The front has certainly not taken it: else it would have it later, though it was refused.
static void job_row_withdraw(struct job_landing *l) {
    Hawser__Internal__DropJobRequest q = HAWSER__INTERNAL__DROP_JOB_REQUEST__INIT;
    if (!l->is_new) {
        job_landing_over(l, -HW_EOUTCOME, NULL);
        return;
    }
    q.row = l->row;
    q.unless_shared = true;
    store_call(store_pair_of(l->step)->back, &q.base, on_job_dropped, l);
}

static void on_job_at_front(void *arg, int error, const ProtobufCMessage *message) {
    struct job_landing *l = arg;
    const Hawser__Internal__JobPutReply *reply = (const Hawser__Internal__JobPutReply *)message;
    if (error == -HW_ESTORE) {
        l->failure = error;
        job_row_withdraw(l);
    } else if (error != 0) { // landed, so that it may be stored yet
        job_landing_over(l, error == -HW_ECANCELLED ? error : -HW_EOUTCOME, NULL);
    } else if (reply->outcome != HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED &&
               reply->outcome != HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED) {
        l->refusal = *reply; // it has numbers only
        job_row_withdraw(l);
    } else {
        job_landing_over(l, 0, reply);
    }
}

static void on_job_landed(void *arg, int error, const ProtobufCMessage *message) {
    struct job_landing *l = arg;
    const Hawser__Internal__LandedReply *row = (const Hawser__Internal__LandedReply *)message;
    if (error != 0) {
        job_landing_over(l, error == -HW_ESTORE ? -HW_ECLASS : error, NULL);
        return;
    }
    l->row = row->row;
    l->is_new = row->is_new;
    store_call(store_pair_of(l->step)->front, l->step->request, on_job_at_front, l);
}

void durable_job_put(struct store_step *p, const ProtobufCMessage *request) {
    struct store_pair *pair = store_pair_of(p);
    if (store_down_reason(pair->front)) { // it would land for nothing
        store_step_complete(p, -HW_ESTORE, NULL);
    } else if (store_down_reason(pair->back)) {
        store_step_complete(p, -HW_ECLASS, NULL);
    } else {
        struct job_landing *l = hw_calloc(1, sizeof(*l));
        l->step = p;
        store_step_keep(p, request);
        store_call(pair->back, request, on_job_landed, l);
    }
}

// --- advance: a part that is done is noted, and nobody waits for that

static void on_part_noted(void *arg, int error, const ProtobufCMessage *reply) {
    (void)arg; // else it would be done again where the front has lost the job
    (void)error;
    (void)reply;
}

static void on_advanced_at_front(void *arg, int error, const ProtobufCMessage *message) {
    struct store_step *p = arg;
    const Hawser__Internal__JobAdvanceRequest *q =
        (const Hawser__Internal__JobAdvanceRequest *)p->request;
    const Hawser__Internal__JobAdvanceReply *reply =
        (const Hawser__Internal__JobAdvanceReply *)message;
    if (error == 0 && q->ends && !reply->stale)
        store_call(store_pair_of(p)->back, &q->base, on_part_noted, NULL);
    store_step_complete(p, error, reply ? message_copy(&reply->base) : NULL);
}

void durable_job_advance(struct store_step *p, const ProtobufCMessage *request) {
    store_step_keep(p, request);
    store_call(store_pair_of(p)->front, request, on_advanced_at_front, p);
}

// --- the walk

static void walk_next_job(struct job_walk *w);

static void page_free(struct job_walk *w) {
    if (w->page)
        protobuf_c_message_free_unpacked(&w->page->base, NULL);
    w->page = NULL;
}

static void walk_over(struct job_walk *w) { // until the next time
    page_free(w);
    w->is_busy = false;
}

static void on_walked_job(void *arg, int error, const ProtobufCMessage *reply) {
    struct job_walk *w = arg;
    (void)reply;
    if (error != 0) {
        walk_over(w);
        return;
    }
    w->at++;
    walk_next_job(w);
}

static void drop_walked_job(struct job_walk *w, uint64_t row) {
    Hawser__Internal__DropJobRequest q = HAWSER__INTERNAL__DROP_JOB_REQUEST__INIT;
    q.row = row;
    store_call(w->back, &q.base, on_walked_job, w);
}

static void on_job_restored(void *arg, int error, const ProtobufCMessage *message) {
    struct job_walk *w = arg;
    const Hawser__Internal__JobPutReply *reply = (const Hawser__Internal__JobPutReply *)message;
    if (error == 0 && reply->outcome == HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED)
        w->restored++;
    on_walked_job(arg, error, message);
}

// The whole row: its job is stored anew, in which parts that were done have no targets.
static void on_job_read(void *arg, int error, const ProtobufCMessage *message) {
    struct job_walk *w = arg;
    const Hawser__Internal__LandedJobsReply *reply =
        (const Hawser__Internal__LandedJobsReply *)message;
    if (error != 0 || reply->n_job == 0 || !reply->job[0]->job) { // it is gone, or can't be read
        on_walked_job(w, error, NULL);
        return;
    }
    const Hawser__Internal__LandedJob *row = reply->job[0];
    Hawser__Internal__JobPutRequest q = *row->job;
    for (size_t i = 0; i < q.n_part && i < JOB_PARTS_MAX; i++)
        if (row->parts_done >> i & 1)
            q.part[i].len = 0;
    q.not_after_ms = 0;
    store_call(w->front, &q.base, on_job_restored, w);
}

static void on_job_found(void *arg, int error, const ProtobufCMessage *message) {
    struct job_walk *w = arg;
    const Hawser__Internal__JobsReply *reply = (const Hawser__Internal__JobsReply *)message;
    if (error != 0) {
        walk_over(w);
        return;
    }
    uint64_t row = w->page->job[w->at]->row;
    if (reply->n_job > 0 && reply->job[0]->state == HAWSER__INTERNAL__JOB_STATE__JOB_DONE) {
        drop_walked_job(w, row);
    } else if (reply->n_job > 0) {
        on_walked_job(w, 0, NULL);
    } else {
        Hawser__Internal__LandedJobsRequest q = HAWSER__INTERNAL__LANDED_JOBS_REQUEST__INIT;
        q.row = row;
        store_call(w->back, &q.base, on_job_read, w);
    }
}

static void on_job_page(void *arg, int error, const ProtobufCMessage *message);

static void walk_next_page(struct job_walk *w) {
    Hawser__Internal__LandedJobsRequest q = HAWSER__INTERNAL__LANDED_JOBS_REQUEST__INIT;
    q.after = w->after;
    store_call(w->back, &q.base, on_job_page, w);
}

static void walk_next_job(struct job_walk *w) {
    if (w->at == w->page->n_job) {
        page_free(w);
        walk_next_page(w);
        return;
    }
    const Hawser__Internal__LandedJob *job = w->page->job[w->at];
    Hawser__Internal__JobsRequest q = HAWSER__INTERNAL__JOBS_REQUEST__INIT;
    w->after = job->row;
    if (job->is_over) {
        drop_walked_job(w, job->row);
        return;
    }
    q.product = job->product;
    q.id = job->id;
    q.only = true;
    store_call(w->front, &q.base, on_job_found, w);
}

static void on_job_page(void *arg, int error, const ProtobufCMessage *message) {
    struct job_walk *w = arg;
    const Hawser__Internal__LandedJobsReply *reply =
        (const Hawser__Internal__LandedJobsReply *)message;
    if (error != 0 || reply->n_job == 0) {
        walk_over(w);
        return;
    }
    w->page = (Hawser__Internal__LandedJobsReply *)message_copy(&reply->base);
    w->at = 0;
    walk_next_job(w);
}

void job_walk_begin(struct job_walk *w) {
    if (w->is_busy)
        return;
    w->is_busy = true;
    w->after = 0;
    walk_next_page(w);
}

void job_walk_deinit(struct job_walk *w) {
    page_free(w);
}
