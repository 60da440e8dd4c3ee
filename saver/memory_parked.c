// Attempts that were counted, and what is asked of dead letters.
#include "memory_internal.h"

// --- attempts

// The first that the device has not handled; NULL if it had not come so far.
static struct log_entry *first_unacked(const struct inbox *b, const struct device *d,
                                       const Hawser__Internal__AttemptRequest *q) {
    uint64_t now = memory_store_now_ms(&b->store->base), at = device_position(b, d);
    struct log_entry *e = b->log.first;
    while (e && (e->seq <= at || e->expires_ms <= now || !log_entry_is_for(e, d->name)))
        e = e->next;
    return e && e->seq <= q->upto && e->seq > q->after ? e : NULL;
}

static void add_session(struct attempts *a, uint64_t generation) {
    int i = 0;
    while (i < PARK_SESSIONS && a->session[i] != 0 && a->session[i] != generation)
        i++;
    if (i < PARK_SESSIONS)
        a->session[i] = generation;
}

static struct attempts *attempt_of(struct inbox *b, struct device *d, uint64_t seq,
                                   uint64_t generation) {
    if (!d->attempts)
        d->attempts = hw_calloc(1, sizeof(*d->attempts));
    struct attempts *a = d->attempts;
    if (a->seq != seq)
        *a = (struct attempts){.seq = seq, .since_ms = memory_store_now_ms(&b->store->base)};
    a->count += a->count < ATTEMPTS_COUNTED_MAX ? 1 : 0;
    add_session(a, generation);
    return a;
}

// Where no device has handled it, it meets its end here.
static void park(struct inbox *b, const struct device *d, struct log_entry *e,
                 const struct park_limits *limits) {
    if (e->handled)
        return;
    log_handled(&b->log, e);
    e->parked = true;
    b->product->pending--;
    b->product->parked++;
    dead_letter_add(b, d, e, limits);
}

static bool is_to_be_parked(const struct inbox *b, const struct attempts *a,
                            const struct park_limits *limits) {
    return a->count >= limits->attempts && a->session[limits->sessions - 1] != 0 &&
           memory_store_now_ms(&b->store->base) - a->since_ms >= limits->least_ms;
}

Hawser__Internal__AttemptReply *saver_memory_attempt(struct saver_memory *m,
                                                     const Hawser__Internal__AttemptRequest *q) {
    Hawser__Internal__AttemptReply *reply = hw_malloc(sizeof(*reply));
    struct inbox *b = inbox_find(m, q->product, q->user);
    struct device *d = b ? device_find(b, q->device) : NULL;
    struct log_entry *e = d && b->log.epoch == q->epoch ? first_unacked(b, d, q) : NULL;
    const struct park_limits limits = park_limits_of(q);
    hawser__internal__attempt_reply__init(reply);
    reply->counted = e != NULL;
    if (!e)
        return reply;
    struct attempts *a = attempt_of(b, d, e->seq, q->generation);
    if (!a->is_parked && is_to_be_parked(b, a, &limits)) {
        a->is_parked = true;
        park(b, d, e, &limits);
    }
    reply->parked = a->is_parked;
    return reply;
}

// --- what is asked of dead letters

static Hawser__Internal__DeadLetter *letter_message(const struct dead_letter *from) {
    Hawser__Internal__DeadLetter *out = hw_malloc(sizeof(*out));
    hawser__internal__dead_letter__init(out);
    out->seq = from->seq;
    out->message = (Hawser__Internal__StoredMessage *)message_copy(&from->message->base);
    out->parked_ms = from->parked_ms;
    out->device = hw_strdup(from->device);
    return out;
}

// That with the lowest seq behind `after`.
static const struct dead_letter *letter_next(const struct inbox *b, uint64_t after) {
    const struct dead_letter *next = NULL;
    for (size_t i = 0; b && i < b->dead_count; i++)
        if (b->dead[i].seq > after && (!next || b->dead[i].seq < next->seq))
            next = &b->dead[i];
    return next;
}

Hawser__Internal__ParkedReply *saver_memory_parked(struct saver_memory *m,
                                                   const Hawser__Internal__ParkedRequest *q) {
    Hawser__Internal__ParkedReply *reply = hw_malloc(sizeof(*reply));
    const struct inbox *b = inbox_find(m, q->product, q->user);
    size_t max = q->max_letters ? q->max_letters : DEAD_LETTERS_MAX, bytes = 0;
    size_t bytes_max =
        q->max_bytes && q->max_bytes < LOAD_BYTES_MAX ? q->max_bytes : LOAD_BYTES_MAX;
    hawser__internal__parked_reply__init(reply);
    reply->epoch = b ? b->log.epoch : 0;
    reply->letter = hw_calloc((b ? b->dead_count : 0) + 1, sizeof(reply->letter[0]));
    for (const struct dead_letter *d = letter_next(b, q->after); d; d = letter_next(b, d->seq)) {
        bytes += hawser__internal__stored_message__get_packed_size(d->message);
        reply->more = reply->n_letter > 0 && (reply->n_letter >= max || bytes > bytes_max);
        if (reply->more)
            break;
        reply->letter[reply->n_letter++] = letter_message(d);
    }
    return reply;
}

static bool is_named(const Hawser__Internal__UnparkRequest *q, uint64_t seq) {
    for (size_t i = 0; i < q->n_seq; i++)
        if (q->seq[i] == seq)
            return true;
    return q->all;
}

Hawser__Internal__UnparkReply *saver_memory_unpark(struct saver_memory *m,
                                                   const Hawser__Internal__UnparkRequest *q) {
    Hawser__Internal__UnparkReply *reply = hw_malloc(sizeof(*reply));
    struct inbox *b = inbox_find(m, q->product, q->user);
    hawser__internal__unpark_reply__init(reply);
    if (!b || (q->epoch != 0 && q->epoch != b->log.epoch))
        return reply;
    for (size_t i = b->dead_count; i-- > 0;)
        if (is_named(q, b->dead[i].seq)) {
            dead_letter_drop(b, i);
            reply->count++;
        }
    return reply;
}
