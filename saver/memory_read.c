// Loads, heads, devices' positions, acks and sums.
#include "memory_internal.h"

// --- logs

static struct log_stream *stream_of(struct saver_memory *m, uint32_t product, uint32_t stream,
                                    const char *user) {
    return stream == STREAM_INBOX ? &inbox_get(m, product, user)->log
                                  : &product_logs_get(m, product)->stream[stream].log;
}

// Where a device goes on whose own position cannot be used.
static uint64_t restart_after(struct saver_memory *m, const Hawser__Internal__LoadRequest *q) {
    const struct log_stream *l = stream_of(m, q->product, q->stream, q->user);
    if (q->stream != STREAM_INBOX)
        return l->head;
    const struct inbox *b = inbox_get(m, q->product, q->user);
    const struct device *d = device_find(b, q->device);
    if (d && d->at[STREAM_INBOX].epoch == l->epoch && d->at[STREAM_INBOX].seq <= l->head)
        return d->at[STREAM_INBOX].seq;
    return inbox_first_unhandled(b);
}

// What is parked for the device that loads is a gap, and it is told so.
static struct attempts *parked_attempts(struct saver_memory *m,
                                        const Hawser__Internal__LoadRequest *q) {
    struct device *d = q->stream == STREAM_INBOX
                           ? device_find(inbox_get(m, q->product, q->user), q->device)
                           : NULL;
    return d && d->attempts && d->attempts->is_parked ? d->attempts : NULL;
}

static bool answers_seq(const Hawser__Internal__LoadReply *reply, uint64_t seq) {
    for (size_t i = 0; i < reply->n_entry; i++)
        if (seq >= reply->entry[i]->seq && seq <= reply->entry[i]->last)
            return true;
    return false;
}

static void load_steps(struct saver_memory *m, const Hawser__Internal__LoadRequest *q,
                       Hawser__Internal__LoadReply *reply) {
    struct attempts *a = parked_attempts(m, q);
    const struct log_view view = {q, a ? a->seq : 0, memory_store_now_ms(&m->base)};
    log_load(stream_of(m, q->product, q->stream, q->user), &view, reply);
    if (a && answers_seq(reply, a->seq))
        a->is_told = true;
}

Hawser__Internal__LoadReply *saver_memory_load(struct saver_memory *m,
                                               const Hawser__Internal__LoadRequest *q) {
    Hawser__Internal__LoadReply *reply = hw_malloc(sizeof(*reply));
    const struct log_stream *l = stream_of(m, q->product, q->stream, q->user);
    hawser__internal__load_reply__init(reply);
    reply->epoch = l->epoch;
    reply->head = l->head;
    reply->change = l->change;
    reply->reset = q->epoch != l->epoch || q->after > l->head;
    if (reply->reset)
        reply->reset_after = restart_after(m, q);
    else
        load_steps(m, q, reply);
    return reply;
}

static void fill_head(Hawser__Internal__HeadReply *reply, const struct log_stream *l) {
    hawser__internal__head_reply__init(reply);
    reply->epoch = l->epoch;
    reply->head = l->head;
    reply->change = l->change;
}

Hawser__Internal__HeadReply *saver_memory_head(struct saver_memory *m,
                                               const Hawser__Internal__HeadRequest *q) {
    Hawser__Internal__HeadReply *reply = hw_malloc(sizeof(*reply));
    struct inbox *b = inbox_get(m, q->product, q->user);
    fill_head(reply, &b->log);
    if (q->arrives)
        b->arrivals++;
    return reply;
}

Hawser__Internal__ProductHeadsReply *
saver_memory_product_heads(struct saver_memory *m, const Hawser__Internal__ProductHeadsRequest *q) {
    Hawser__Internal__ProductHeadsReply *reply = hw_malloc(sizeof(*reply));
    struct product_logs *p = product_logs_get(m, q->product);
    hawser__internal__product_heads_reply__init(reply);
    reply->store = m->history;
    reply->news = hw_malloc(sizeof(*reply->news));
    reply->bulk = hw_malloc(sizeof(*reply->bulk));
    fill_head(reply->news, &p->stream[STREAM_NEWS].log);
    fill_head(reply->bulk, &p->stream[STREAM_BULK].log);
    return reply;
}

// --- devices

static void device_remove(struct inbox *b, struct device *d) {
    struct device **at = &b->devices;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    device_free(d);
}

static bool is_known(const Hawser__Internal__AttachRequest *a, const char *device) {
    for (size_t i = 0; i < a->n_known; i++)
        if (strcmp(a->known[i], device) == 0)
            return true;
    return false;
}

// Those that the register does not have give way first, then those unseen longest.
static struct device *next_to_go(struct inbox *b, const Hawser__Internal__AttachRequest *a) {
    struct device *next = NULL;
    for (struct device *d = b->devices; d; d = d->next) {
        bool known = is_known(a, d->name), next_known = next && is_known(a, next->name);
        if (!next || (known == next_known ? d->seen_ms < next->seen_ms : next_known))
            next = d;
    }
    return next;
}

static void forget_devices(struct inbox *b, uint64_t now,
                           const Hawser__Internal__AttachRequest *a) {
    size_t count = 0;
    for (struct device *d = b->devices, *next; d; d = next) {
        next = d->next;
        if (d->seen_ms + DEVICE_FORGOTTEN_MS < now)
            device_remove(b, d);
        else
            count++;
    }
    for (; a->devices_max > 0 && count >= a->devices_max; count--) // a place for one more
        device_remove(b, next_to_go(b, a));
}

static struct device *device_new(struct inbox *b, const char *name) {
    struct device *d = hw_calloc(1, sizeof(*d));
    d->name = hw_strdup(name);
    d->at[STREAM_INBOX] = (struct position){b->log.epoch, inbox_first_unhandled(b)};
    for (int i = STREAM_NEWS; i < STREAMS; i++) {
        const struct log_stream *l = &b->product->stream[i].log;
        d->at[i] = (struct position){l->epoch, l->head};
    }
    d->next = b->devices;
    b->devices = d;
    return d;
}

// --- attach

struct attaching {
    struct inbox *inbox;
    struct device *device;
    bool is_new; // it was never here
};

static Hawser__Internal__AttachedStream *
attach_stream(const struct attaching *who, uint32_t stream,
              const Hawser__Internal__StreamPosition *have) {
    const struct inbox *b = who->inbox;
    struct device *d = who->device;
    const struct log_stream *l = stream == STREAM_INBOX ? &b->log : &b->product->stream[stream].log;
    Hawser__Internal__AttachedStream *out = hw_malloc(sizeof(*out));
    struct position at = have ? (struct position){have->epoch, have->seq} : d->at[stream];
    hawser__internal__attached_stream__init(out);
    out->stream = stream;
    out->epoch = l->epoch;
    out->head = l->head;
    out->change = l->change;
    bool right = at.epoch == l->epoch && at.seq <= l->head;
    // A client that has nothing yet says so with epoch 0: that is no other log's position.
    bool is_blank = have && have->epoch == 0 && have->seq == 0;
    if (right) {
        out->after = at.seq;
    } else {
        bool copy_right = d->at[stream].epoch == l->epoch && d->at[stream].seq <= l->head;
        out->after = copy_right && (stream == STREAM_INBOX || is_blank) ? d->at[stream].seq
                     : stream == STREAM_INBOX                           ? inbox_first_unhandled(b)
                                                                        : l->head;
        out->reset = !is_blank && !(who->is_new && !have);
    }
    d->at[stream] = (struct position){l->epoch, out->after};
    return out;
}

Hawser__Internal__AttachReply *saver_memory_attach(struct saver_memory *m,
                                                   const Hawser__Internal__AttachRequest *a) {
    Hawser__Internal__AttachReply *reply = hw_malloc(sizeof(*reply));
    struct inbox *b = inbox_get(m, a->product, a->user);
    struct device *d = device_find(b, a->device);
    struct attaching who = {b, d, d == NULL};
    uint64_t now = memory_store_now_ms(&m->base);
    hawser__internal__attach_reply__init(reply);
    if (d && d->generation > a->generation) {
        reply->stale = true;
        return reply;
    }
    if (!d) {
        forget_devices(b, now, a);
        d = who.device = device_new(b, a->device);
    }
    uint64_t from = device_position(b, d);
    reply->known = !who.is_new;
    d->generation = a->generation;
    d->seen_ms = now;
    b->arrivals++;
    reply->stream = hw_calloc(STREAMS, sizeof(reply->stream[0]));
    for (uint32_t stream = 0; stream < STREAMS; stream++) {
        const Hawser__Internal__StreamPosition *have = NULL;
        for (size_t i = 0; i < a->n_have; i++)
            have = a->have[i]->stream == stream ? a->have[i] : have;
        reply->stream[reply->n_stream++] = attach_stream(&who, stream, have);
    }
    inbox_mark_handled(b, d, from);
    inbox_prune(b);
    return reply;
}

Hawser__Internal__AckReply *saver_memory_ack(struct saver_memory *m,
                                             const Hawser__Internal__AckRequest *a) {
    Hawser__Internal__AckReply *reply = hw_malloc(sizeof(*reply));
    struct inbox *b = inbox_get(m, a->product, a->user);
    struct device *d = device_find(b, a->device);
    hawser__internal__ack_reply__init(reply);
    if (!d || d->generation != a->generation) {
        reply->stale = d && d->generation > a->generation;
        reply->unknown = !reply->stale;
        return reply;
    }
    uint64_t from = device_position(b, d);
    d->seen_ms = memory_store_now_ms(&m->base);
    for (size_t i = 0; i < a->n_upto; i++) {
        const Hawser__Internal__StreamPosition *p = a->upto[i];
        if (p->stream >= STREAMS)
            continue;
        const struct log_stream *l = stream_of(m, a->product, p->stream, a->user);
        if (p->epoch == l->epoch && p->seq <= l->head &&
            (d->at[p->stream].epoch != l->epoch || p->seq > d->at[p->stream].seq))
            d->at[p->stream] = (struct position){p->epoch, p->seq};
    }
    inbox_mark_handled(b, d, from);
    inbox_prune(b);
    return reply;
}

// --- sums

Hawser__Internal__SumsReply *saver_memory_sums(struct saver_memory *m,
                                               const Hawser__Internal__SumsRequest *q) {
    Hawser__Internal__SumsReply *reply = hw_malloc(sizeof(*reply));
    struct product_logs *p = product_logs_get(m, q->product);
    struct sum_id *id = NULL;
    hawser__internal__sums_reply__init(reply);
    if (q->id.len != sizeof(id->id))
        return reply;
    HASH_FIND(hh, p->sum_ids, q->id.data, sizeof(id->id), id);
    if (id)
        return reply;
    id = hw_calloc(1, sizeof(*id));
    memcpy(id->id, q->id.data, sizeof(id->id));
    HASH_ADD(hh, p->sum_ids, id, sizeof(id->id), id);
    if (HASH_COUNT(p->sum_ids) > SUM_IDS_MAX) { // in the order of their coming
        struct sum_id *oldest = p->sum_ids;
        HASH_DEL(p->sum_ids, oldest);
        free(oldest);
    }
    p->rejected += q->rejected;
    for (size_t i = 0; i < q->n_sum; i++) {
        if (q->sum[i]->stream >= STREAMS)
            continue;
        p->sent[q->sum[i]->stream] += q->sum[i]->sent;
        p->acked_devices[q->sum[i]->stream] += q->sum[i]->acked;
    }
    return reply;
}

Hawser__Internal__StatsReply *saver_memory_stats(struct saver_memory *m,
                                                 const Hawser__Internal__StatsRequest *q) {
    Hawser__Internal__StatsReply *reply = hw_malloc(sizeof(*reply));
    const struct product_logs *p = product_logs_get(m, q->product);
    hawser__internal__stats_reply__init(reply);
    reply->accepted = p->accepted;
    reply->acked = p->acked;
    reply->pending = p->pending;
    reply->expired = p->expired;
    reply->overflowed = p->overflowed;
    reply->collapsed = p->collapsed;
    reply->recalled = p->recalled;
    reply->parked = p->parked;
    reply->letters_dropped = p->letters_dropped;
    reply->broadcasts = p->broadcasts;
    reply->rejected = p->rejected;
    reply->keyed = p->keyed_ids;
    reply->sum = hw_calloc(STREAMS, sizeof(reply->sum[0]));
    for (uint32_t i = STREAM_NEWS; i < STREAMS; i++) {
        Hawser__Internal__StreamSum *sum = hw_malloc(sizeof(*sum));
        hawser__internal__stream_sum__init(sum);
        sum->stream = i;
        sum->sent = p->sent[i];
        sum->acked = p->acked_devices[i];
        reply->sum[reply->n_sum++] = sum;
    }
    return reply;
}

static Hawser__Internal__UserDevice *device_message(const struct device *d) {
    Hawser__Internal__UserDevice *out = hw_malloc(sizeof(*out));
    hawser__internal__user_device__init(out);
    out->device = hw_strdup(d->name);
    out->seen_ms = d->seen_ms;
    out->generation = d->generation;
    out->tried = d->attempts ? d->attempts->seq : 0;
    out->attempts = d->attempts ? (uint32_t)d->attempts->count : 0;
    out->passed_over = d->attempts && d->attempts->is_told;
    out->position = hw_calloc(STREAMS, sizeof(out->position[0]));
    for (uint32_t i = 0; i < STREAMS; i++) {
        Hawser__Internal__StreamPosition *at = hw_malloc(sizeof(*at));
        hawser__internal__stream_position__init(at);
        at->stream = i;
        at->epoch = d->at[i].epoch;
        at->seq = d->at[i].seq;
        out->position[out->n_position++] = at;
    }
    return out;
}

// Those for all devices meet their ends in order; with none left it is the head, as in Redis.
static uint64_t handled_upto(const struct inbox *b) {
    uint64_t upto = 0;
    for (const struct log_entry *e = b->log.first; e; e = e->next)
        if (e->message->n_device == 0 && e->handled)
            upto = e->seq;
    return b->log.first ? upto : b->log.head;
}

Hawser__Internal__UserReply *saver_memory_user(struct saver_memory *m,
                                               const Hawser__Internal__UserRequest *q) {
    Hawser__Internal__UserReply *reply = hw_malloc(sizeof(*reply));
    const struct inbox *b = inbox_find(m, q->product, q->user);
    size_t count = 0;
    hawser__internal__user_reply__init(reply);
    if (!b)
        return reply;
    for (const struct device *d = b->devices; d; d = d->next)
        count++;
    reply->device = hw_calloc(count + 1, sizeof(reply->device[0]));
    for (const struct device *d = b->devices; d; d = d->next)
        reply->device[reply->n_device++] = device_message(d);
    reply->pending = b->log.unhandled_count;
    reply->parked = b->dead_count;
    reply->epoch = b->log.epoch;
    reply->head = b->log.head;
    reply->handled = handled_upto(b);
    reply->letter = hw_calloc(b->dead_count + 1, sizeof(reply->letter[0]));
    for (size_t i = 0; i < b->dead_count; i++)
        reply->letter[reply->n_letter++] = b->dead[i].seq;
    return reply;
}

// What became of messages only MariaDB knows, and a saver without one asks nobody.
Hawser__Internal__OutcomesReply *saver_memory_outcomes(struct saver_memory *m,
                                                       const Hawser__Internal__OutcomesRequest *q) {
    Hawser__Internal__OutcomesReply *reply = hw_malloc(sizeof(*reply));
    (void)m;
    (void)q;
    hawser__internal__outcomes_reply__init(reply);
    reply->unserved = true;
    return reply;
}

Hawser__Internal__StatusReply *saver_memory_status(struct saver_memory *m,
                                                   const Hawser__Internal__StatusRequest *q) {
    Hawser__Internal__StatusReply *reply = hw_malloc(sizeof(*reply));
    (void)m;
    (void)q;
    hawser__internal__status_reply__init(reply);
    reply->unserved = true;
    return reply;
}

Hawser__Internal__ClockReply *saver_memory_clock(struct saver_memory *m,
                                                 const Hawser__Internal__ClockRequest *request) {
    Hawser__Internal__ClockReply *reply = hw_malloc(sizeof(*reply));
    (void)request;
    hawser__internal__clock_reply__init(reply);
    reply->store_ms = memory_store_now_ms(&m->base);
    return reply;
}
