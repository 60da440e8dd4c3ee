#include "stream_log.h"

#include "buf.h"
#include "client.pb-c.h"
#include "message.h"
#include "saver_store.h"

void log_stream_init(struct log_stream *l, uint64_t epoch, uint64_t history) {
    *l = (struct log_stream){.epoch = epoch, .history = history};
}

static void log_entry_free(struct log_entry *e) {
    hawser__internal__stored_message__free_unpacked(e->message, NULL);
    free(e);
}

void log_stream_deinit(struct log_stream *l) {
    while (l->first) {
        struct log_entry *e = l->first;
        l->first = e->next;
        log_entry_free(e);
    }
    free(l->ranges);
}

struct log_entry *log_append(struct log_stream *l, const Hawser__Internal__StoredMessage *m,
                             uint64_t expires_ms) {
    struct log_entry *e = hw_calloc(1, sizeof(*e));
    e->seq = ++l->head;
    e->expires_ms = expires_ms;
    e->bytes = hawser__internal__stored_message__get_packed_size(m);
    e->message = (Hawser__Internal__StoredMessage *)message_copy(&m->base);
    e->prev = l->last;
    *(l->last ? &l->last->next : &l->first) = e;
    l->last = e;
    l->count++;
    l->bytes += e->bytes;
    l->unhandled_count++;
    l->unhandled_bytes += e->bytes;
    return e;
}

// --- what was dropped

static void merge_with_next(struct log_stream *l, size_t i, uint32_t reason) {
    l->ranges[i].last = l->ranges[i + 1].last;
    l->ranges[i].reason = reason;
    memmove(&l->ranges[i + 1], &l->ranges[i + 2], (l->range_count - i - 2) * sizeof(l->ranges[0]));
    l->range_count--;
}

static bool has_entry_between(const struct log_stream *l, uint64_t first, uint64_t last) {
    const struct log_entry *e = l->first;
    while (e && e->seq < first)
        e = e->next;
    return e && e->seq <= last;
}

// Ranges never span an entry that is still there; over their bound the oldest neighbours without
// one between them become one of unknown reason, and if there are none, the oldest is forgotten.
// What holds a jump stays one: its seqs are no count of messages.
static void bound_ranges(struct log_stream *l) {
    for (size_t i = 0; i + 1 < l->range_count; i++)
        if (!has_entry_between(l, l->ranges[i].first, l->ranges[i + 1].last)) {
            bool jumps = l->ranges[i].reason == HAWSER__V1__GAP_REASON__GAP_STORE_RESTARTED ||
                         l->ranges[i + 1].reason == HAWSER__V1__GAP_REASON__GAP_STORE_RESTARTED;
            merge_with_next(l, i,
                            jumps ? HAWSER__V1__GAP_REASON__GAP_STORE_RESTARTED
                                  : HAWSER__V1__GAP_REASON__GAP_UNKNOWN);
            return;
        }
    memmove(&l->ranges[0], &l->ranges[1], (l->range_count - 1) * sizeof(l->ranges[0]));
    l->range_count--;
}

static void range_add(struct log_stream *l, uint64_t first, uint64_t last, uint32_t reason) {
    size_t i = l->range_count;
    while (i > 0 && l->ranges[i - 1].first > first)
        i--;
    if (i > 0 && l->ranges[i - 1].last + 1 == first && l->ranges[i - 1].reason == reason) {
        l->ranges[i - 1].last = last;
        if (i < l->range_count && l->ranges[i].first == last + 1 && l->ranges[i].reason == reason)
            merge_with_next(l, i - 1, reason);
        return;
    }
    if (i < l->range_count && l->ranges[i].first == last + 1 && l->ranges[i].reason == reason) {
        l->ranges[i].first = first;
        return;
    }
    l->ranges = hw_realloc(l->ranges, (l->range_count + 1) * sizeof(l->ranges[0]));
    memmove(&l->ranges[i + 1], &l->ranges[i], (l->range_count - i) * sizeof(l->ranges[0]));
    l->ranges[i] = (struct log_range){first, last, reason};
    if (++l->range_count > DROPPED_RANGES_MAX)
        bound_ranges(l);
}

void log_goes_on_in(struct log_stream *l, uint64_t history, uint64_t now_ms) {
    uint64_t least = now_ms / 1000 * RESTART_SEQS_PER_S - 1;
    if (l->history != history && l->head < least) {
        range_add(l, l->head + 1, least, HAWSER__V1__GAP_REASON__GAP_STORE_RESTARTED);
        l->head = least;
    }
    l->history = history;
}

static uint32_t reason_at(const struct log_stream *l, uint64_t seq, uint64_t *ret_last) {
    for (size_t i = 0; i < l->range_count; i++) {
        if (seq >= l->ranges[i].first && seq <= l->ranges[i].last) {
            *ret_last = l->ranges[i].last;
            return l->ranges[i].reason;
        }
        if (l->ranges[i].first > seq) {
            *ret_last = l->ranges[i].first - 1;
            return HAWSER__V1__GAP_REASON__GAP_UNKNOWN;
        }
    }
    *ret_last = UINT64_MAX;
    return HAWSER__V1__GAP_REASON__GAP_UNKNOWN;
}

// --- entries

void log_handled(struct log_stream *l, struct log_entry *e) {
    e->handled = true;
    l->unhandled_count--;
    l->unhandled_bytes -= e->bytes;
}

void log_remove(struct log_stream *l, struct log_entry *e, int reason) {
    *(e->prev ? &e->prev->next : &l->first) = e->next;
    *(e->next ? &e->next->prev : &l->last) = e->prev;
    l->count--;
    l->bytes -= e->bytes;
    if (!e->handled) {
        l->unhandled_count--;
        l->unhandled_bytes -= e->bytes;
    }
    if (reason >= 0)
        range_add(l, e->seq, e->seq, (uint32_t)reason);
    log_entry_free(e);
}

struct log_entry *log_victim(struct log_stream *l) {
    struct log_entry *e = l->first;
    while (e && !e->handled)
        e = e->next;
    return e ? e : l->first;
}

bool log_entry_is_for(const struct log_entry *e, const char *device) {
    for (size_t i = 0; i < e->message->n_device; i++)
        if (strcmp(e->message->device[i], device) == 0)
            return true;
    return e->message->n_device == 0;
}

// --- loading

static Hawser__Internal__LoadEntry *step_new(Hawser__Internal__LoadReply *reply, uint64_t seq) {
    Hawser__Internal__LoadEntry *step = hw_malloc(sizeof(*step));
    hawser__internal__load_entry__init(step);
    step->seq = step->last = seq;
    reply->entry = hw_realloc(reply->entry, (reply->n_entry + 1) * sizeof(reply->entry[0]));
    reply->entry[reply->n_entry++] = step;
    return step;
}

static void add_gap(Hawser__Internal__LoadReply *reply, uint64_t first, uint64_t last,
                    uint32_t reason) {
    Hawser__Internal__LoadEntry *before = reply->n_entry ? reply->entry[reply->n_entry - 1] : NULL;
    if (before && !before->message && before->gap_reason == reason && before->last + 1 == first) {
        before->last = last;
        return;
    }
    Hawser__Internal__LoadEntry *step = step_new(reply, first);
    step->last = last;
    step->gap_reason = reason;
}

static void add_hole(const struct log_stream *l, Hawser__Internal__LoadReply *reply, uint64_t first,
                     uint64_t last) {
    while (first <= last) {
        uint64_t until;
        uint32_t reason = reason_at(l, first, &until);
        until = until < last ? until : last;
        add_gap(reply, first, until, reason);
        first = until + 1;
    }
}

void log_load(const struct log_stream *l, const struct log_view *view,
              Hawser__Internal__LoadReply *reply) {
    const Hawser__Internal__LoadRequest *q = view->request;
    const struct log_entry *e = l->first;
    uint64_t at = q->after;
    uint32_t messages = 0;
    size_t bytes = 0, bytes_max = q->max_bytes < LOAD_BYTES_MAX ? q->max_bytes : LOAD_BYTES_MAX;
    while (e && e->seq <= q->after)
        e = e->next;
    for (; e; e = e->next) {
        if (e->seq > at + 1)
            add_hole(l, reply, at + 1, e->seq - 1);
        at = e->seq;
        if (*q->device && !log_entry_is_for(e, q->device)) {
            add_gap(reply, at, at, HAWSER__V1__GAP_REASON__GAP_OTHER_DEVICE);
        } else if (e->seq == view->parked_seq) {
            add_gap(reply, at, at, HAWSER__V1__GAP_REASON__GAP_PARKED);
        } else if (e->expires_ms <= view->now_ms) {
            add_gap(reply, at, at, HAWSER__V1__GAP_REASON__GAP_EXPIRED);
        } else {
            if (messages > 0 && (messages >= q->max_messages || bytes + e->bytes > bytes_max))
                return;
            messages++;
            bytes += e->bytes;
            step_new(reply, at)->message =
                (Hawser__Internal__StoredMessage *)message_copy(&e->message->base);
        }
    }
    if (at < l->head)
        add_hole(l, reply, at + 1, l->head);
}
