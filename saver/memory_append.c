// Append: idempotent by id, with a last moment, under the product's limits.
#include "client.pb-c.h"
#include "memory_internal.h"

// --- ids that were seen

size_t id_key(const struct id_place *at, char out[ID_KEY_MAX]) {
    int len = snprintf(out, ID_KEY_MAX, "%u/%u/%.64s", at->product, at->stream, at->id);
    size_t user_len = strnlen(at->user, 100); // the user last: it may hold any character
    memcpy(out + len, "/", 1);
    memcpy(out + len + 1, at->user, user_len);
    return (size_t)len + 1 + user_len;
}

static size_t append_key(const Hawser__Internal__AppendRequest *a, char out[ID_KEY_MAX]) {
    return id_key(&(struct id_place){a->product, a->stream, a->user, a->message->id}, out);
}

static void id_free(struct known_id *id) {
    struct saver_memory *m = id->product->store;
    loop_disarm(m->base.store.loop, &id->expiry);
    id->product->keyed_ids -= id->has_hash ? 1 : 0;
    HASH_DEL(m->ids, id);
    free(id);
}

static void id_over(struct timer *t) {
    id_free(container_of(t, struct known_id, expiry));
}

static struct known_id *id_find(struct saver_memory *m, const Hawser__Internal__AppendRequest *a) {
    char key[ID_KEY_MAX];
    size_t len = append_key(a, key);
    struct known_id *id = NULL;
    HASH_FIND_BYHASHVALUE(hh, m->ids, key, len, (unsigned)siphash(m->base.hash_key, key, len), id);
    return id;
}

static void id_remember(struct saver_memory *m, const Hawser__Internal__AppendRequest *a,
                        const Hawser__Internal__AppendReply *reply) {
    char key[ID_KEY_MAX];
    size_t len = append_key(a, key);
    struct known_id *id = hw_calloc(1, sizeof(*id) + len);
    uint64_t ttl_ms = a->id_ttl_ms > ID_KEPT_MIN_MS ? a->id_ttl_ms : ID_KEPT_MIN_MS;
    id->product = product_logs_get(m, a->product);
    id->epoch = reply->epoch;
    id->seq = reply->seq;
    id->change = reply->change;
    id->sent_ms = reply->sent_ms;
    id->expires_ms = reply->expires_ms;
    id->has_hash = a->body_hash.len == sizeof(id->body_hash);
    if (id->has_hash)
        memcpy(id->body_hash, a->body_hash.data, sizeof(id->body_hash));
    id->product->keyed_ids += id->has_hash ? 1 : 0;
    id->key_len = len;
    memcpy(id->key, key, len);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, m->ids, id->key, len,
                                (unsigned)siphash(m->base.hash_key, key, len), id);
    loop_arm(m->base.store.loop, &id->expiry, ttl_ms, id_over);
}

static bool same_body(const struct known_id *id, const Hawser__Internal__AppendRequest *a) {
    bool has_hash = a->body_hash.len == sizeof(id->body_hash);
    return has_hash == id->has_hash &&
           (!has_hash || memcmp(id->body_hash, a->body_hash.data, sizeof(id->body_hash)) == 0);
}

void saver_memory_ids_free(struct saver_memory *m) {
    struct known_id *id, *next;
    HASH_ITER(hh, m->ids, id, next)
        id_free(id);
}

// --- the step

static void answer_known(const struct known_id *id, const Hawser__Internal__AppendRequest *a,
                         Hawser__Internal__AppendReply *reply) {
    reply->outcome = same_body(id, a) ? HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED
                                      : HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_MISMATCH;
    reply->epoch = id->epoch;
    reply->seq = id->seq;
    reply->change = id->change;
    reply->sent_ms = id->sent_ms;
    reply->expires_ms = id->expires_ms;
}

// What is replaced leaves its place to what replaces it.
static bool is_full(const struct inbox *b, const Hawser__Internal__AppendRequest *a) {
    const Hawser__Internal__InboxLimits *l = a->limits;
    uint64_t now = memory_store_now_ms(&b->store->base);
    const struct log_entry *e =
        inbox_replaced_by(b, a->message, a->message->sent_ms ? a->message->sent_ms : now);
    size_t count = b->log.unhandled_count - (e ? 1 : 0);
    size_t bytes = b->log.unhandled_bytes - (e ? e->bytes : 0);
    return l && l->reject_new &&
           (count >= l->messages || bytes + a->message->payload.len > l->bytes);
}

// The end of a message is told as it is now; what Push shows is the sender's (0 = the retention).
static uint64_t expiry_of(const Hawser__Internal__AppendRequest *a, uint64_t now) {
    uint64_t kept_ms = a->stream == STREAM_INBOX && a->limits && a->limits->retention_ms
                           ? a->limits->retention_ms
                           : BROADCAST_RETENTION_MS;
    uint64_t end = now + kept_ms, asked = a->ttl_ms ? now + a->ttl_ms : a->message->expires_ms;
    return asked != 0 && asked < end ? asked : end;
}

// As it is kept: with the store's times, where they are the store's to give.
static void fix_times(const Hawser__Internal__AppendRequest *a,
                      const Hawser__Internal__AppendReply *reply,
                      Hawser__Internal__StoredMessage *ret_message) {
    *ret_message = *a->message;
    ret_message->sent_ms = reply->sent_ms;
    if (a->ttl_ms)
        ret_message->expires_ms = reply->expires_ms;
}

static void append_broadcast(struct saver_memory *m, const Hawser__Internal__AppendRequest *a,
                             Hawser__Internal__AppendReply *reply) {
    struct product_logs *p = product_logs_get(m, a->product);
    struct broadcast *b = &p->stream[a->stream];
    Hawser__Internal__StoredMessage message;
    fix_times(a, reply, &message);
    log_append(&b->log, &message, reply->expires_ms);
    while (b->log.count > BROADCAST_MESSAGES_MAX || b->log.bytes > BROADCAST_BYTES_MAX)
        log_remove(&b->log, b->log.first, HAWSER__V1__GAP_REASON__GAP_OVERFLOWED);
    broadcast_expires(b, reply->expires_ms);
    p->broadcasts++;
    reply->epoch = b->log.epoch;
    reply->seq = b->log.head;
    reply->change = b->log.change;
}

static void append_inbox(struct inbox *b, const Hawser__Internal__AppendRequest *a,
                         Hawser__Internal__AppendReply *reply) {
    Hawser__Internal__StoredMessage message;
    fix_times(a, reply, &message);
    struct log_entry *e = inbox_replaced_by(b, &message, message.sent_ms);
    if (e)
        inbox_collapse(b, e);
    log_append(&b->log, &message, reply->expires_ms);
    b->product->accepted++;
    b->product->pending++;
    inbox_keep_collapsible(b);
    if (a->limits)
        inbox_overflow(b, a->limits->messages, a->limits->bytes);
    inbox_expires(b, reply->expires_ms);
    reply->arrivals = b->arrivals;
    reply->store = b->store->history;
    reply->epoch = b->log.epoch;
    reply->seq = b->log.head;
    reply->change = b->log.change;
}

// Of a durable message that is marked: its id is remembered as long as others are.
static void id_settle(struct known_id *id, const Hawser__Internal__AppendRequest *a) {
    uint64_t ttl_ms = a->id_ttl_ms > ID_KEPT_MIN_MS ? a->id_ttl_ms : ID_KEPT_MIN_MS;
    if (id && same_body(id, a))
        loop_arm(id->product->store->base.store.loop, &id->expiry, ttl_ms, id_over);
}

Hawser__Internal__AppendReply *saver_memory_append(struct saver_memory *m,
                                                   const Hawser__Internal__AppendRequest *a) {
    Hawser__Internal__AppendReply *reply = hw_malloc(sizeof(*reply));
    struct known_id *id = id_find(m, a);
    struct product_logs *p = product_logs_get(m, a->product);
    uint64_t now = memory_store_now_ms(&m->base);
    bool is_inbox = a->stream == STREAM_INBOX;
    hawser__internal__append_reply__init(reply);
    reply->store_ms = now;
    if (a->settles) {
        id_settle(id, a);
        reply->outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_REPLAYED;
    } else if (id) {
        answer_known(id, a, reply);
    } else if (a->not_after_ms != 0 && now > a->not_after_ms) {
        reply->outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_TOO_LATE;
    } else if (a->body_hash.len > 0 && a->limits && a->limits->ids_max > 0 &&
               p->keyed_ids >= a->limits->ids_max) {
        reply->outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_IDS_FULL;
    } else if (a->claim != 0) {
        reply->epoch = a->claim;
        reply->sent_ms = a->message->sent_ms ? a->message->sent_ms : now;
        reply->expires_ms = a->ttl_ms ? now + a->ttl_ms : a->message->expires_ms;
        id_remember(m, a, reply);
    } else if (is_inbox && is_full(inbox_get(m, a->product, a->user), a)) {
        reply->outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_FULL;
    } else {
        reply->sent_ms = a->message->sent_ms ? a->message->sent_ms : now;
        reply->expires_ms = expiry_of(a, now);
        if (is_inbox)
            append_inbox(inbox_get(m, a->product, a->user), a, reply);
        else
            append_broadcast(m, a, reply);
        id_remember(m, a, reply);
    }
    return reply;
}
