// Jobs: each in the slot of its product. A set names the products that may have parts to be done;
// whoever takes a part picks one of them.
#include "redis_internal.h"

#include <inttypes.h>

static const char JOBS_KEY[] = "hw:jobs";

// --- put: the set is told before, so that no part is missed, and behind it, since whoever found
// the product without a part took it out of the set meanwhile

static void on_job_announced(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    if (redis_step_failed(p, error, r))
        return;
    ProtobufCMessage *reply = p->reply;
    p->reply = NULL;
    store_step_complete(p, 0, reply);
}

static void announce_jobs(struct store_step *p, redis_done_fn *done) {
    char product[12];
    snprintf(product, sizeof(product), "%" PRIu32, saver_step_of(p)->product);
    const char *const word[] = {"SADD", JOBS_KEY, product, NULL};
    redis_store_ask(redis_store_of(p), &(struct redis_words){JOBS_KEY, "i", word}, done, p);
}

static void on_job_stored(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    if (redis_step_failed(p, error, r))
        return;
    Hawser__Internal__JobPutReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__job_put_reply__init(reply);
    reply->outcome = (Hawser__Internal__AppendOutcome)redis_reply_u64(r, SAVER_JOB_PUT_AT_OUTCOME);
    reply->store_ms = redis_reply_u64(r, SAVER_JOB_PUT_AT_STORE_MS);
    p->reply = &reply->base;
    announce_jobs(p, on_job_announced);
}

// What each part is taken with: the request without its parts.
static void put_job(struct buf *out, const Hawser__Internal__JobPutRequest *q) {
    Hawser__Internal__JobPutRequest what = *q;
    what.n_part = 0;
    size_t size = hawser__internal__job_put_request__get_packed_size(&what);
    hawser__internal__job_put_request__pack(&what, buf_reserve(out, size));
    out->len += size;
}

static void send_job(struct store_step *p, const Hawser__Internal__JobPutRequest *q) {
    char base[BASE_MAX];
    struct redis_args parts;
    struct buf what = BUF_EMPTY;
    put_job(&what, q);
    uint64_t bytes = what.len;
    parts.count = 0;
    for (size_t i = 0; i < q->n_part && i < JOB_PARTS_MAX; i++) {
        redis_arg_bytes(&parts, q->part[i].data, q->part[i].len);
        bytes += q->part[i].len;
    }
    saver_base_of(base, q->product, NULL);
    const struct saver_job_put_args args = {.base = base,
                                            .id = q->message->id,
                                            .job = {what.data, what.len},
                                            .class = (uint64_t)q->message->class_,
                                            .expires = q->expires_ms,
                                            .targets = q->targets,
                                            .claim = q->claim,
                                            .not_after = q->not_after_ms,
                                            .bytes = bytes,
                                            .rest = &parts};
    saver_job_put_run(redis_store_of(p), &args, on_job_stored, p);
    buf_free(&what);
}

static void on_jobs_known(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    if (!redis_step_failed(p, error, r))
        send_job(p, (const Hawser__Internal__JobPutRequest *)p->request);
}

void saver_redis_job_put(struct store_step *p, const Hawser__Internal__JobPutRequest *q) {
    saver_step_is_of(p, q->product, NULL);
    saver_bucket_announce(redis_store_of(p), saver_step_of(p), false); // refused targets count
    store_step_keep(p, &q->base);
    announce_jobs(p, on_jobs_known);
}

// --- take

static void complete_with_none(struct store_step *p) {
    Hawser__Internal__JobTakeReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__job_take_reply__init(reply);
    store_step_complete(p, 0, &reply->base);
}

static void on_product_over(void *arg, int error, const redisReply *r) {
    if (!redis_step_failed(arg, error, r))
        complete_with_none(arg);
}

static void forget_product(struct store_step *p) {
    char product[12];
    snprintf(product, sizeof(product), "%" PRIu32, saver_step_of(p)->product);
    const char *const word[] = {"SREM", JOBS_KEY, product, NULL};
    redis_store_ask(redis_store_of(p), &(struct redis_words){JOBS_KEY, "i", word}, on_product_over,
                    p);
}

// Bytes that do not decode are a part without a message: it can't be done, and stays.
static ProtobufCMessage *job_take_reply(const struct store_step *p, const redisReply *r) {
    const redisReply *job = redis_reply_at(r, SAVER_JOB_TAKE_AT_JOB);
    const redisReply *targets = redis_reply_at(r, SAVER_JOB_TAKE_AT_TARGETS);
    Hawser__Internal__JobTakeReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__job_take_reply__init(reply);
    reply->job = hawser__internal__job_put_request__unpack(NULL, (size_t)job->len,
                                                           (const uint8_t *)job->str);
    reply->targets = hawser__internal__job_targets__unpack(NULL, (size_t)targets->len,
                                                           (const uint8_t *)targets->str);
    if (reply->job && reply->job->message && reply->targets)
        reply->product = ((const struct saver_step *)p)->product;
    reply->part = (uint32_t)redis_reply_u64(r, SAVER_JOB_TAKE_AT_PART);
    reply->number = redis_reply_u64(r, SAVER_JOB_TAKE_AT_NUMBER);
    reply->until_ms = redis_reply_u64(r, SAVER_JOB_TAKE_AT_UNTIL_MS);
    reply->store_ms = redis_reply_u64(r, SAVER_JOB_TAKE_AT_STORE_MS);
    reply->cursor = redis_reply_u64(r, SAVER_JOB_TAKE_AT_CURSOR);
    reply->rejected = redis_reply_u64(r, SAVER_JOB_TAKE_AT_REJECTED);
    return &reply->base;
}

static void on_job_taken(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    if (redis_step_failed(p, error, r))
        return;
    if (redis_reply_u64(r, SAVER_JOB_TAKE_AT_IS_OPEN) == 0)
        forget_product(p);
    else if (redis_reply_at(r, SAVER_JOB_TAKE_AT_ID)->len == 0)
        complete_with_none(p);
    else
        store_step_complete(p, 0, job_take_reply(p, r));
}

static void on_product_picked(void *arg, int error, const redisReply *r) {
    struct store_step *p = arg;
    char base[BASE_MAX];
    if (redis_step_failed(p, error, r))
        return;
    if (r->type != REDIS_REPLY_STRING) {
        complete_with_none(p);
        return;
    }
    saver_step_of(p)->product = (uint32_t)strtoul(r->str, NULL, 10);
    saver_base_of(base, saver_step_of(p)->product, NULL);
    saver_job_take_run(redis_store_of(p),
                       &(struct saver_job_take_args){base, saver_step_of(p)->lease_ms},
                       on_job_taken, p);
}

void saver_redis_job_take(struct store_step *p, const Hawser__Internal__JobTakeRequest *q) {
    saver_step_of(p)->lease_ms = job_lease_ms(q->lease_ms);
    const char *const word[] = {"SRANDMEMBER", JOBS_KEY, NULL};
    redis_store_ask(redis_store_of(p), &(struct redis_words){JOBS_KEY, "?s", word},
                    on_product_picked, p);
}

// --- advance

static void on_job_advanced(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__JobAdvanceReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__job_advance_reply__init(reply);
    reply->stale = redis_reply_u64(r, SAVER_JOB_ADVANCE_AT_STALE) != 0;
    reply->until_ms = redis_reply_u64(r, SAVER_JOB_ADVANCE_AT_UNTIL_MS);
    reply->store_ms = redis_reply_u64(r, SAVER_JOB_ADVANCE_AT_STORE_MS);
    store_step_complete(arg, 0, &reply->base);
}

void saver_redis_job_advance(struct store_step *p, const Hawser__Internal__JobAdvanceRequest *q) {
    char base[BASE_MAX], part[12];
    saver_base_of(base, q->product, NULL);
    snprintf(part, sizeof(part), "%" PRIu32, q->part);
    const struct saver_job_advance_args args = {.base = base,
                                                .id = q->job,
                                                .part = part,
                                                .number = q->number,
                                                .cursor = q->cursor,
                                                .rejected = q->rejected,
                                                .ends = q->ends,
                                                .lease_ms = job_lease_ms(q->lease_ms)};
    saver_job_advance_run(redis_store_of(p), &args, on_job_advanced, p);
}

// --- the jobs of a product

static Hawser__Internal__Job *job_row(const redisReply *r) {
    Hawser__Internal__Job *job = hw_malloc(sizeof(*job));
    hawser__internal__job__init(job);
    job->id = hw_strdup(redis_reply_at(r, 0)->str);
    job->class_ = (Hawser__Internal__MessageClass)redis_reply_u64(r, 1);
    job->state = (Hawser__Internal__JobState)redis_reply_u64(r, 2);
    job->accepted_ms = redis_reply_u64(r, 3);
    job->expires_ms = redis_reply_u64(r, 4);
    job->targets = redis_reply_u64(r, 5);
    job->done = redis_reply_u64(r, 6);
    job->rejected = redis_reply_u64(r, 7);
    return job;
}

static void on_jobs_read(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__JobsReply *reply = hw_malloc(sizeof(*reply));
    const redisReply *list = redis_reply_at(r, SAVER_JOBS_AT_JOBS);
    hawser__internal__jobs_reply__init(reply);
    reply->more = redis_reply_u64(r, SAVER_JOBS_AT_MORE) != 0;
    reply->job = hw_calloc(list->elements + 1, sizeof(reply->job[0]));
    for (size_t i = 0; i < list->elements; i++)
        reply->job[reply->n_job++] = job_row(list->element[i]);
    store_step_complete(arg, 0, &reply->base);
}

void saver_redis_jobs(struct store_step *p, const Hawser__Internal__JobsRequest *q) {
    char base[BASE_MAX];
    saver_base_of(base, q->product, NULL);
    const struct saver_jobs_args args = {.base = base,
                                         .accepted = q->accepted_ms,
                                         .id = q->id,
                                         .state = (uint64_t)q->state,
                                         .max = jobs_listed(q->limit),
                                         .only = q->only};
    saver_jobs_run(redis_store_of(p), &args, on_jobs_read, p);
}
