// Dead letters: each is kept with its message.
#include "client.pb-c.h"
#include "memory_internal.h"

static void letter_expires(struct inbox *b);

static size_t letter_at(const struct inbox *b, uint64_t seq) {
    size_t i = 0;
    while (i < b->dead_count && b->dead[i].seq != seq)
        i++;
    return i;
}

static void letter_forget(struct inbox *b, size_t i) {
    hawser__internal__stored_message__free_unpacked(b->dead[i].message, NULL);
    free(b->dead[i].device);
    memmove(&b->dead[i], &b->dead[i + 1], (b->dead_count - i - 1) * sizeof(b->dead[0]));
    b->dead_count--;
}

void dead_letter_drop(struct inbox *b, size_t i) {
    struct log_entry *e = b->log.first;
    while (e && e->seq != b->dead[i].seq)
        e = e->next;
    if (e)
        log_remove(&b->log, e, HAWSER__V1__GAP_REASON__GAP_PARKED);
    letter_forget(b, i);
}

void dead_letter_forget(struct inbox *b, uint64_t seq) {
    for (size_t i = 0; i < b->dead_count; i++)
        if (b->dead[i].seq == seq) {
            letter_forget(b, i);
            return;
        }
}

static void letters_end(struct timer *t) {
    struct inbox *b = container_of(t, struct inbox, dead_expiry);
    uint64_t now = memory_store_now_ms(&b->store->base);
    while (b->dead_count > 0 && now >= b->dead[0].ends_ms)
        dead_letter_drop(b, 0);
    letter_expires(b);
}

static void letter_expires(struct inbox *b) {
    uint64_t now = memory_store_now_ms(&b->store->base);
    const struct dead_letter *first = b->dead_count > 0 ? b->dead : NULL;
    if (first && !timer_is_armed(&b->dead_expiry))
        loop_arm(b->store->base.store.loop, &b->dead_expiry,
                 first->ends_ms > now ? first->ends_ms - now : 0, letters_end);
}

void dead_letter_add(struct inbox *b, const struct device *d, const struct log_entry *e,
                     const struct park_limits *limits) {
    uint64_t now = memory_store_now_ms(&b->store->base);
    b->dead = hw_realloc(b->dead, (b->dead_count + 1) * sizeof(b->dead[0]));
    b->dead[b->dead_count++] = (struct dead_letter){
        .seq = e->seq,
        .parked_ms = now,
        .ends_ms = now + limits->kept_ms,
        .message = (Hawser__Internal__StoredMessage *)message_copy(&e->message->base),
        .device = hw_strdup(d->name)};
    while (b->dead_count > limits->letters) {
        dead_letter_drop(b, 0);
        b->product->letters_dropped++;
    }
    letter_expires(b);
}

void inbox_dead_letters_free(struct inbox *b) {
    loop_disarm(b->store->base.store.loop, &b->dead_expiry);
    while (b->dead_count > 0)
        letter_forget(b, b->dead_count - 1);
    free(b->dead);
}

void inbox_unpark_handled(struct inbox *b, const struct device *d, struct log_entry *e) {
    const struct attempts *a = d->attempts;
    if (a && a->seq == e->seq && a->is_told)
        return;
    e->parked = false;
    letter_forget(b, letter_at(b, e->seq));
    b->product->parked--;
    b->product->acked++;
}
