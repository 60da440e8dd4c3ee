#include "log_limit.h"

#include <stddef.h>

struct log_pace {
    uint32_t burst;
    uint64_t each_ms;
};

static const struct log_pace event_pace = {100, 100}, peer_pace = {5, 10000};

static uint64_t hash_text(uint64_t hash, const char *text) {
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3); // FNV-1a
    return hash ^ hash >> 32;
}

// Two places for each key; the one used longest ago goes. A newcomer starts with a whole burst.
static struct log_share *share_of(struct log_share *table, uint32_t size, uint64_t key,
                                  uint64_t now_ms, const struct log_pace *pace) {
    struct log_share *first = &table[key % size], *second = &table[(key >> 32) % size];
    key = key ? key : 1;
    if (first->key == key || second->key == key)
        return first->key == key ? first : second;
    struct log_share *taken = first->at_ms <= second->at_ms ? first : second;
    *taken = (struct log_share){.key = key, .at_ms = now_ms, .lines = pace->burst};
    return taken;
}

static void refill(struct log_share *s, uint64_t now_ms, const struct log_pace *pace) {
    if (now_ms < s->at_ms) // the wall clock was set back
        s->at_ms = now_ms;
    uint64_t more = (now_ms - s->at_ms) / pace->each_ms;
    s->at_ms += more * pace->each_ms;
    s->lines = more < pace->burst - s->lines ? s->lines + (uint32_t)more : pace->burst;
}

bool log_limit_pass(struct log_limit *limit, struct log_subject of, uint64_t now_ms,
                    uint32_t *ret_kept_back) {
    uint64_t key = hash_text(UINT64_C(0xcbf29ce484222325), of.event);
    struct log_share *of_event = share_of(limit->events, LOG_EVENTS, key, now_ms, &event_pace);
    struct log_share *of_peer = NULL;
    if (of.peer)
        of_peer = share_of(limit->peers, LOG_PEERS, hash_text(key, of.peer), now_ms, &peer_pace);
    refill(of_event, now_ms, &event_pace);
    if (of_peer)
        refill(of_peer, now_ms, &peer_pace);
    if (of_event->lines == 0 || (of_peer && of_peer->lines == 0)) {
        of_event->kept_back++;
        return false;
    }
    of_event->lines--;
    if (of_peer)
        of_peer->lines--;
    *ret_kept_back = of_event->kept_back;
    of_event->kept_back = 0;
    return true;
}
