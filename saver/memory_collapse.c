// Collapse keys: a message takes the place of the one with its key that no device has handled.
#include "client.pb-c.h"
#include "memory_internal.h"

static bool is_live(const struct log_entry *e) {
    return e->is_collapsible && !e->handled;
}

static bool entry_has_key(const struct log_entry *e, const char *key) {
    return strcmp(e->message->collapse_key, key) == 0;
}

// Whether a message is for each device that the other one is for: else some device would get none
// of both.
static bool is_for_all_of(const Hawser__Internal__StoredMessage *m, const struct log_entry *e) {
    const struct log_entry new = {.message = (Hawser__Internal__StoredMessage *)(uintptr_t)m};
    for (size_t i = 0; i < e->message->n_device; i++)
        if (!log_entry_is_for(&new, e->message->device[i]))
            return false;
    return m->n_device == 0 || e->message->n_device > 0;
}

// One that was sent later stays, as in Redis.
struct log_entry *inbox_replaced_by(const struct inbox *b, const Hawser__Internal__StoredMessage *m,
                                    uint64_t sent_ms) {
    struct log_entry *e = b->log.first;
    if (*m->collapse_key == '\0')
        return NULL;
    while (e && !(is_live(e) && entry_has_key(e, m->collapse_key)))
        e = e->next;
    bool is_older = e && e->message->sent_ms <= sent_ms + COLLAPSE_SKEW_MS;
    return is_older && is_for_all_of(m, e) ? e : NULL;
}

void inbox_collapse(struct inbox *b, struct log_entry *e) {
    inbox_drop(b, e, HAWSER__V1__GAP_REASON__GAP_COLLAPSED, &b->product->collapsed);
    b->log.change++;
}

// A key is its last message's. Of too many keys the one whose message is the oldest goes.
void inbox_keep_collapsible(struct inbox *b) {
    struct log_entry *last = b->log.last, *oldest = NULL;
    size_t count = 0;
    if (*last->message->collapse_key == '\0')
        return;
    last->is_collapsible = true;
    for (struct log_entry *e = last; e; e = e->prev) {
        if (e != last && entry_has_key(e, last->message->collapse_key))
            e->is_collapsible = false;
        if (!is_live(e))
            continue;
        oldest = e;
        count++;
    }
    if (count > COLLAPSE_KEYS_MAX)
        oldest->is_collapsible = false;
}
