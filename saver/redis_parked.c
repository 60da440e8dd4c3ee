// Attempts that were counted, and dead letters.
#include "redis_internal.h"

static void on_attempt(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__AttemptReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__attempt_reply__init(reply);
    reply->counted = redis_reply_u64(r, SAVER_ATTEMPT_AT_COUNTED) != 0;
    reply->parked = redis_reply_u64(r, SAVER_ATTEMPT_AT_PARKED) != 0;
    reply->ended = redis_reply_u64(r, SAVER_ATTEMPT_AT_ENDED);
    store_step_complete(arg, 0, &reply->base);
}

void saver_redis_attempt(struct store_step *p, const Hawser__Internal__AttemptRequest *q) {
    struct park_limits limits = park_limits_of(q);
    char base[BASE_MAX];
    saver_base_of(base, q->product, q->user);
    saver_attempt_run(redis_store_of(p),
                      &(struct saver_attempt_args){.base = base,
                                                   .user = q->user,
                                                   .name = q->device,
                                                   .generation = q->generation,
                                                   .wanted = q->epoch,
                                                   .after = q->after,
                                                   .upto = q->upto,
                                                   .attempts_min = limits.attempts,
                                                   .sessions_min = limits.sessions,
                                                   .least_ms = limits.least_ms,
                                                   .letters_max = limits.letters,
                                                   .kept_ms = limits.kept_ms},
                      on_attempt, p);
}

// --- dead letters

static Hawser__Internal__DeadLetter *dead_letter(const redisReply *r) {
    Hawser__Internal__DeadLetter *out = hw_malloc(sizeof(*out));
    hawser__internal__dead_letter__init(out);
    out->seq = redis_reply_u64(r, 0);
    out->message = saver_redis_message(r, 1, 2);
    out->parked_ms = redis_reply_u64(r, 4);
    out->device = hw_strdup(redis_reply_at(r, 5)->str);
    return out;
}

static void on_parked(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__ParkedReply *reply = hw_malloc(sizeof(*reply));
    const redisReply *list = redis_reply_at(r, SAVER_PARKED_AT_LETTERS);
    hawser__internal__parked_reply__init(reply);
    reply->epoch = redis_reply_u64(r, SAVER_PARKED_AT_EPOCH);
    reply->more = redis_reply_u64(r, SAVER_PARKED_AT_MORE) != 0;
    reply->letter = hw_calloc(list->elements + 1, sizeof(reply->letter[0]));
    for (size_t i = 0; i < list->elements; i++)
        reply->letter[reply->n_letter++] = dead_letter(list->element[i]);
    store_step_complete(arg, 0, &reply->base);
}

void saver_redis_parked(struct store_step *p, const Hawser__Internal__ParkedRequest *q) {
    char base[BASE_MAX];
    saver_base_of(base, q->product, q->user);
    bool is_bounded = q->max_bytes > 0 && q->max_bytes < LOAD_BYTES_MAX;
    struct saver_parked_args args = {
        .base = base,
        .name = q->user,
        .after = q->after,
        .letters_max = q->max_letters ? q->max_letters : DEAD_LETTERS_MAX,
        .bytes_max = is_bounded ? q->max_bytes : LOAD_BYTES_MAX,
    };
    saver_parked_run(redis_store_of(p), &args, on_parked, p);
}

static void on_unparked(void *arg, int error, const redisReply *r) {
    if (redis_step_failed(arg, error, r))
        return;
    Hawser__Internal__UnparkReply *reply = hw_malloc(sizeof(*reply));
    hawser__internal__unpark_reply__init(reply);
    reply->count = (uint64_t)r->integer;
    store_step_complete(arg, 0, &reply->base);
}

void saver_redis_unpark(struct store_step *p, const Hawser__Internal__UnparkRequest *q) {
    char base[BASE_MAX];
    struct redis_args seqs;
    saver_base_of(base, q->product, q->user);
    seqs.count = 0;
    for (size_t i = 0; i < q->n_seq && i < UNPARK_MAX; i++)
        redis_arg_u64(&seqs, q->seq[i]);
    saver_unpark_run(
        redis_store_of(p),
        &(struct saver_unpark_args){
            .base = base, .name = q->user, .wanted = q->epoch, .is_all = q->all, .rest = &seqs},
        on_unparked, p);
}
