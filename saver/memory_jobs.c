// Jobs: each product has its own, in the order in which they were accepted.
#include "memory_internal.h"

struct memory_part {
    uint64_t number, free_ms, cursor, rejected; // free_ms: from then on it may be taken
    ProtobufCBinaryData targets;                // owned; packed
    bool is_done;
};

struct memory_job {
    struct memory_job *next;               // the one accepted before
    Hawser__Internal__JobPutRequest *what; // owned, without parts; NULL: it is done
    Hawser__Internal__Job row;             // its id is in `id`
    uint64_t claim, number, bytes;
    size_t part_count, parts_left;
    struct memory_part *parts; // owned
    char id[NAME_BYTES_MAX + 1];
};

static void parts_free(struct memory_job *j) {
    for (size_t i = 0; i < j->part_count; i++)
        free(j->parts[i].targets.data);
    free(j->parts);
    j->parts = NULL;
    j->part_count = 0;
}

static void job_free(struct memory_job *j) {
    parts_free(j);
    if (j->what)
        hawser__internal__job_put_request__free_unpacked(j->what, NULL);
    free(j);
}

static bool job_is_done(const struct memory_job *j) {
    return j->row.state == HAWSER__INTERNAL__JOB_STATE__JOB_DONE;
}

static struct memory_job **job_at(struct product_logs *p, const char *id) {
    struct memory_job **at = &p->jobs;
    while (*at && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    return at;
}

static void job_forget(struct memory_job **at) {
    struct memory_job *j = *at;
    *at = j->next;
    job_free(j);
}

void saver_memory_jobs_free(struct saver_memory *m) {
    struct product_logs *p, *next;
    HASH_ITER(hh, m->products, p, next)
        while (p->jobs)
            job_forget(&p->jobs);
}

// --- put

static uint64_t bytes_of(const Hawser__Internal__JobPutRequest *q) {
    Hawser__Internal__JobPutRequest what = *q;
    what.n_part = 0;
    uint64_t bytes = hawser__internal__job_put_request__get_packed_size(&what);
    for (size_t i = 0; i < q->n_part; i++)
        bytes += q->part[i].len;
    return bytes;
}

static bool has_place_for_job(const struct product_logs *p, uint64_t bytes) {
    uint64_t open = 0;
    for (const struct memory_job *j = p->jobs; j; j = j->next)
        if (!job_is_done(j)) {
            open++;
            bytes += j->bytes;
        }
    return open < JOBS_OPEN_MAX && bytes <= JOBS_BYTES_MAX;
}

static void jobs_bound(struct product_logs *p) {
    struct memory_job **oldest = NULL;
    size_t count = 0;
    for (struct memory_job **at = &p->jobs; *at; at = &(*at)->next, count++)
        oldest = job_is_done(*at) ? at : oldest;
    if (count >= JOBS_KEPT_MAX && oldest)
        job_forget(oldest);
}

static Hawser__Internal__JobPutRequest *what_of(const Hawser__Internal__JobPutRequest *q) {
    Hawser__Internal__JobPutRequest what = *q;
    what.n_part = 0;
    return (Hawser__Internal__JobPutRequest *)message_copy(&what.base);
}

static void parts_new(struct memory_job *j, const Hawser__Internal__JobPutRequest *q,
                      uint64_t now) {
    j->part_count = j->parts_left = q->n_part;
    j->parts = hw_calloc(q->n_part + 1, sizeof(j->parts[0]));
    for (size_t i = 0; i < q->n_part; i++) {
        j->parts[i].free_ms = now;
        j->parts[i].targets =
            (ProtobufCBinaryData){q->part[i].len, hw_memdup(q->part[i].data, q->part[i].len)};
    }
}

static void job_add(struct product_logs *p, const Hawser__Internal__JobPutRequest *q,
                    uint64_t number) {
    uint64_t now = memory_store_now_ms(&p->store->base);
    struct memory_job *j = hw_calloc(1, sizeof(*j));
    snprintf(j->id, sizeof(j->id), "%s", q->message->id);
    j->what = what_of(q);
    j->claim = q->claim;
    j->number = number;
    j->bytes = bytes_of(q);
    parts_new(j, q, now);
    hawser__internal__job__init(&j->row);
    j->row.id = j->id;
    j->row.class_ = q->message->class_;
    j->row.state = HAWSER__INTERNAL__JOB_STATE__JOB_QUEUED;
    j->row.accepted_ms = now;
    j->row.expires_ms = q->expires_ms;
    j->row.targets = q->targets;
    struct memory_job **at = &p->jobs; // newest first, and of one moment by id
    while (*at && (*at)->row.accepted_ms == now && strcmp((*at)->id, j->id) > 0)
        at = &(*at)->next;
    j->next = *at;
    *at = j;
}

Hawser__Internal__JobPutReply *saver_memory_job_put(struct saver_memory *m,
                                                    const Hawser__Internal__JobPutRequest *q) {
    Hawser__Internal__JobPutReply *reply = hw_malloc(sizeof(*reply));
    struct product_logs *p = product_logs_get(m, q->product);
    struct memory_job **old = job_at(p, q->message->id);
    uint64_t now = memory_store_now_ms(&m->base), number = *old ? (*old)->number : 0;
    hawser__internal__job_put_reply__init(reply);
    reply->store_ms = now;
    if (*old && (!job_is_done(*old) || (*old)->claim == q->claim)) {
        reply->outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED;
    } else if (q->not_after_ms != 0 && now > q->not_after_ms) {
        reply->outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_TOO_LATE;
    } else if (!has_place_for_job(p, bytes_of(q))) {
        reply->outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_JOBS_FULL;
    } else {
        if (*old)
            job_forget(old);
        jobs_bound(p);
        job_add(p, q, number);
    }
    return reply;
}

// --- take

static struct memory_part *job_free_part(const struct memory_job *j, uint64_t now) {
    struct memory_part *first = NULL;
    for (size_t i = 0; i < j->part_count; i++) {
        struct memory_part *part = &j->parts[i];
        if (!part->is_done && part->free_ms <= now && (!first || part->free_ms < first->free_ms))
            first = part;
    }
    return first;
}

static void take_part(struct memory_job *j, struct memory_part *part, uint32_t lease_ms,
                      Hawser__Internal__JobTakeReply *reply) {
    reply->product = j->what->product;
    reply->part = (uint32_t)(part - j->parts);
    part->number = reply->number = ++j->number;
    part->free_ms = reply->until_ms = reply->store_ms + lease_ms;
    j->row.state = HAWSER__INTERNAL__JOB_STATE__JOB_RUNNING;
    reply->cursor = part->cursor;
    reply->rejected = part->rejected;
    reply->job = (Hawser__Internal__JobPutRequest *)message_copy(&j->what->base);
    reply->targets =
        hawser__internal__job_targets__unpack(NULL, part->targets.len, part->targets.data);
}

Hawser__Internal__JobTakeReply *saver_memory_job_take(struct saver_memory *m,
                                                      const Hawser__Internal__JobTakeRequest *q) {
    Hawser__Internal__JobTakeReply *reply = hw_malloc(sizeof(*reply));
    struct product_logs *p, *next;
    struct memory_job *first = NULL;
    hawser__internal__job_take_reply__init(reply);
    reply->store_ms = memory_store_now_ms(&m->base);
    HASH_ITER(hh, m->products, p, next)
        for (struct memory_job *j = p->jobs; j; j = j->next)
            if (job_free_part(j, reply->store_ms))
                first = j; // the oldest of that product
    if (first)
        take_part(first, job_free_part(first, reply->store_ms), job_lease_ms(q->lease_ms), reply);
    return reply;
}

// --- advance

static void job_over(struct memory_job *j) {
    j->row.state = HAWSER__INTERNAL__JOB_STATE__JOB_DONE;
    parts_free(j);
    hawser__internal__job_put_request__free_unpacked(j->what, NULL);
    j->what = NULL;
}

static struct memory_part *part_of(const struct memory_job *j,
                                   const Hawser__Internal__JobAdvanceRequest *q) {
    struct memory_part *part = j && q->part < j->part_count ? &j->parts[q->part] : NULL;
    bool is_held = part && !part->is_done && part->number == q->number;
    bool goes_on = is_held && q->cursor >= part->cursor && q->rejected >= part->rejected;
    return goes_on ? part : NULL;
}

Hawser__Internal__JobAdvanceReply *
saver_memory_job_advance(struct saver_memory *m, const Hawser__Internal__JobAdvanceRequest *q) {
    Hawser__Internal__JobAdvanceReply *reply = hw_malloc(sizeof(*reply));
    struct product_logs *p = product_logs_get(m, q->product);
    struct memory_job *j = *job_at(p, q->job);
    struct memory_part *part = part_of(j, q);
    hawser__internal__job_advance_reply__init(reply);
    reply->store_ms = memory_store_now_ms(&m->base);
    reply->stale = !part;
    if (!part)
        return reply;
    reply->until_ms = part->free_ms = reply->store_ms + job_lease_ms(q->lease_ms);
    j->row.done += q->cursor - part->cursor;
    j->row.rejected += q->rejected - part->rejected;
    p->rejected += q->rejected - part->rejected;
    part->cursor = q->cursor;
    part->rejected = q->rejected;
    if (q->ends) {
        free(part->targets.data);
        part->targets = (ProtobufCBinaryData){0, NULL};
        part->is_done = true;
        if (--j->parts_left == 0)
            job_over(j);
    }
    return reply;
}

// --- the jobs of a product

static bool is_asked_for(const struct memory_job *j, const Hawser__Internal__JobsRequest *q) {
    bool is_of_state = q->state == HAWSER__INTERNAL__JOB_STATE__JOB_ANY || j->row.state == q->state;
    if (q->only)
        return is_of_state && strcmp(j->id, q->id) == 0;
    bool is_behind = q->accepted_ms == 0 || j->row.accepted_ms < q->accepted_ms ||
                     (j->row.accepted_ms == q->accepted_ms && strcmp(j->id, q->id) < 0);
    return is_of_state && is_behind;
}

Hawser__Internal__JobsReply *saver_memory_jobs(struct saver_memory *m,
                                               const Hawser__Internal__JobsRequest *q) {
    Hawser__Internal__JobsReply *reply = hw_malloc(sizeof(*reply));
    size_t max = jobs_listed(q->limit);
    hawser__internal__jobs_reply__init(reply);
    reply->job = hw_calloc(max, sizeof(reply->job[0]));
    for (const struct memory_job *j = product_logs_get(m, q->product)->jobs; j; j = j->next) {
        if (!is_asked_for(j, q))
            continue;
        reply->more = reply->n_job == max;
        if (reply->more)
            break;
        reply->job[reply->n_job++] = (Hawser__Internal__Job *)message_copy(&j->row.base);
    }
    return reply;
}
