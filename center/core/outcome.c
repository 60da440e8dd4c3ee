#include "outcome.h"

#include <string.h>

#include "aim.h"
#include "client.pb-c.h"
#include "streams.h"
#include "texts.h"

#define STATE(name) HAWSER__INTERNAL__OUTCOME_STATE__STATE_##name

static const char *const names[] = {
    [STATE(UNKNOWN)] = "unknown",       [STATE(PENDING)] = "pending",
    [STATE(ACKED)] = "acked",           [STATE(EXPIRED)] = "expired",
    [STATE(OVERFLOWED)] = "overflowed", [STATE(COLLAPSED)] = "collapsed",
    [STATE(RECALLED)] = "recalled",     [STATE(PARKED)] = "parked"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

// One of a newer saver is not known here.
const char *outcome_name(Hawser__Internal__OutcomeState state) {
    return names[(unsigned)state < NAMES ? (unsigned)state : STATE(UNKNOWN)];
}

bool outcome_by_name(const char *name, Hawser__Internal__OutcomeState *ret_state) {
    for (unsigned i = 0; i < NAMES; i++)
        if (strcmp(names[i], name) == 0) {
            *ret_state = (Hawser__Internal__OutcomeState)i;
            return true;
        }
    return false;
}

// --- what the log and the devices show

static Hawser__Internal__OutcomeState state_of_reason(uint32_t reason) {
    static const Hawser__Internal__OutcomeState states[] = {
        [HAWSER__V1__GAP_REASON__GAP_EXPIRED] = STATE(EXPIRED),
        [HAWSER__V1__GAP_REASON__GAP_OVERFLOWED] = STATE(OVERFLOWED),
        [HAWSER__V1__GAP_REASON__GAP_RECALLED] = STATE(RECALLED),
        [HAWSER__V1__GAP_REASON__GAP_PARKED] = STATE(PARKED),
        [HAWSER__V1__GAP_REASON__GAP_COLLAPSED] = STATE(COLLAPSED)};
    return reason < sizeof(states) / sizeof(states[0]) ? states[reason] : STATE(UNKNOWN);
}

static bool is_past(const struct outcome_of *o, const Hawser__Internal__UserDevice *d) {
    for (size_t i = 0; i < d->n_position; i++)
        if (d->position[i]->stream == STREAM_INBOX)
            return d->position[i]->epoch == o->kept->epoch && d->position[i]->seq >= o->seq;
    return false;
}

static const Hawser__Internal__StoredMessage *message_of(const struct outcome_of *o) {
    return o->entry ? o->entry->message : NULL;
}

static bool is_meant_for(const Hawser__Internal__StoredMessage *m, const char *device) {
    for (size_t i = 0; i < m->n_device; i++)
        if (strcmp(m->device[i], device) == 0)
            return true;
    return m->n_device == 0;
}

static bool is_dead_letter(const struct outcome_of *o) {
    for (size_t i = 0; i < o->kept->n_letter; i++)
        if (o->kept->letter[i] == o->seq)
            return true;
    return false;
}

static bool was_passed_over(const struct outcome_of *o, const Hawser__Internal__UserDevice *d) {
    return d->tried == o->seq && d->passed_over;
}

// It is in the log.
static Hawser__Internal__OutcomeState state_in_log(const struct outcome_of *o) {
    const Hawser__Internal__StoredMessage *m = message_of(o);
    if (is_dead_letter(o))
        return STATE(PARKED);
    if (m->n_device == 0 && o->seq <= o->kept->handled)
        return STATE(ACKED);
    for (size_t i = 0; i < o->kept->n_device; i++) {
        const Hawser__Internal__UserDevice *d = o->kept->device[i];
        if (is_meant_for(m, d->device) && is_past(o, d) && !was_passed_over(o, d))
            return STATE(ACKED);
    }
    return STATE(PENDING);
}

// It has left the log. What some device is past it may have handled before. What all devices are
// past, and no reason is known for, has left because they have handled it.
static Hawser__Internal__OutcomeState state_behind_log(const struct outcome_of *o) {
    Hawser__Internal__OutcomeState state = state_of_reason(o->entry->gap_reason);
    size_t past = 0;
    for (size_t i = 0; i < o->kept->n_device; i++)
        past += is_past(o, o->kept->device[i]);
    if (o->entry->gap_reason == HAWSER__V1__GAP_REASON__GAP_UNKNOWN && past > 0 &&
        past == o->kept->n_device)
        return STATE(ACKED);
    return past == 0 || state == STATE(COLLAPSED) ? state : STATE(UNKNOWN);
}

Hawser__Internal__OutcomeState outcome_state(const struct outcome_of *o) {
    bool has_end = o->row && o->row->state != STATE(PENDING);
    if (has_end)
        return o->row->state;
    if (!o->entry)
        return STATE(UNKNOWN);
    return message_of(o) ? state_in_log(o) : state_behind_log(o);
}

// --- its devices

// It was acknowledged, or parked, by this one.
static bool is_whose_end(const struct outcome_of *o, const char *device) {
    return o->row && *o->row->device && strcmp(o->row->device, device) == 0;
}

static Hawser__Internal__OutcomeState device_state(const struct outcome_of *o,
                                                   const Hawser__Internal__UserDevice *d) {
    Hawser__Internal__OutcomeState all = outcome_state(o);
    bool is_there = message_of(o) != NULL;
    if (is_whose_end(o, d->device))
        return o->row->state;
    if (!o->entry)
        return STATE(UNKNOWN);
    if (!is_past(o, d))
        return is_there ? was_passed_over(o, d) ? STATE(PARKED) : STATE(PENDING)
                        : state_of_reason(o->entry->gap_reason);
    bool has_it = is_there ? all != STATE(PARKED) && !was_passed_over(o, d)
                           : all == STATE(ACKED) && o->entry->gap_reason == 0;
    return has_it ? STATE(ACKED) : STATE(UNKNOWN);
}

static json_t *device_json(const struct outcome_of *o, const char *name,
                           const Hawser__Internal__UserDevice *d) {
    bool is_its_end = is_whose_end(o, name);
    Hawser__Internal__OutcomeState state = d            ? device_state(o, d)
                                           : is_its_end ? o->row->state
                                                        : STATE(PENDING);
    bool acked = is_its_end && state == STATE(ACKED);
    bool is_counted = d && d->tried == o->seq && o->seq > 0;
    bool is_before = state == STATE(PENDING);
    json_t *attempts = is_counted  ? json_integer(d->attempts)
                       : is_before ? json_integer(0)
                                   : json_null();
    return json_pack("{s:o, s:s, s:n, s:o, s:o}", "device", text_json(name), "state",
                     outcome_name(state), "sent_at", "acked_at",
                     time_json(acked ? o->row->ended_ms : 0), "attempts", attempts);
}

static const Hawser__Internal__UserDevice *known_device(const struct outcome_of *o,
                                                        const char *name) {
    for (size_t i = 0; i < o->kept->n_device; i++)
        if (strcmp(o->kept->device[i]->device, name) == 0)
            return o->kept->device[i];
    return NULL;
}

// Those that are known and that it is for, those that it names, and whose end it was.
static json_t *devices_json(const struct outcome_of *o) {
    const Hawser__Internal__StoredMessage *m = message_of(o);
    json_t *devices = json_array();
    for (size_t i = 0; i < o->kept->n_device; i++) {
        const Hawser__Internal__UserDevice *d = o->kept->device[i];
        if (!m || is_meant_for(m, d->device))
            json_array_append_new(devices, device_json(o, d->device, d));
    }
    for (size_t i = 0; m && i < m->n_device; i++)
        if (!known_device(o, m->device[i]))
            json_array_append_new(devices, device_json(o, m->device[i], NULL));
    if (o->row && *o->row->device && !known_device(o, o->row->device) && !(m && m->n_device > 0))
        json_array_append_new(devices, device_json(o, o->row->device, NULL));
    return devices;
}

// --- as the API shows it

static const char *class_name(Hawser__Internal__MessageClass kept) {
    return push_class_name(class_of_stored(kept));
}

json_t *outcome_json(const struct outcome_of *o) {
    const Hawser__Internal__StoredMessage *m = message_of(o);
    const Hawser__Internal__Outcome *row = o->row;
    bool has_end = row && row->state != STATE(PENDING);
    return json_pack("{s:o, s:I, s:s, s:s, s:o, s:o, s:o, s:o}", "id",
                     text_json(row ? row->id : m->id), "seq", (json_int_t)o->seq, "state",
                     outcome_name(outcome_state(o)), "class",
                     class_name(row ? row->class_ : m->class_), "accepted_at",
                     time_json(row ? row->sent_ms : m->sent_ms), "expires_at",
                     time_json(row ? row->expires_ms : m->expires_ms), "ended_at",
                     time_json(has_end ? row->ended_ms : 0), "devices", devices_json(o));
}

json_t *outcome_row_json(const Hawser__Internal__Outcome *row) {
    const Hawser__Internal__UserReply nobody = HAWSER__INTERNAL__USER_REPLY__INIT;
    const struct outcome_of o = {.row = row, .kept = &nobody, .seq = row->seq};
    json_t *item = outcome_json(&o);
    json_object_set_new(item, "user", text_json(row->user));
    json_object_set_new(item, "state", json_string(outcome_name(row->state)));
    return item;
}

// --- a user's messages

// One step of the merge: the next message of rows or log, whichever has the lower seq.
struct merge {
    const struct outcome_page *page;
    size_t row, entry;
};

static const Hawser__Internal__LoadEntry *merge_entry(const struct merge *m) {
    const Hawser__Internal__LoadReply *log = m->page->log;
    return log && m->entry < log->n_entry ? log->entry[m->entry] : NULL;
}

static bool merge_next(struct merge *m, struct outcome_of *ret) {
    const Hawser__Internal__OutcomesReply *rows = m->page->rows;
    const Hawser__Internal__Outcome *row = m->row < rows->n_outcome ? rows->outcome[m->row] : NULL;
    const Hawser__Internal__LoadEntry *e = merge_entry(m);
    while (e && (row ? e->last < row->seq && !e->message : !e->message)) {
        m->entry++; // a gap without a row
        e = merge_entry(m);
    }
    if (!row && !e)
        return false;
    *ret = (struct outcome_of){.kept = m->page->kept};
    if (!row || (e && e->message && e->seq < row->seq)) {
        ret->entry = e;
        ret->seq = e->seq;
        m->entry++;
        return true;
    }
    ret->row = row;
    ret->seq = row->seq;
    bool is_same =
        e && row->epoch == m->page->log->epoch && row->seq >= e->seq && row->seq <= e->last;
    ret->entry = is_same ? e : NULL;
    m->entry += is_same && e->message ? 1 : 0;
    m->row++;
    return true;
}

// Up to where both have told all.
static uint64_t page_bound(const struct outcome_page *page) {
    const Hawser__Internal__OutcomesReply *rows = page->rows;
    const Hawser__Internal__LoadReply *log = page->log;
    uint64_t bound = UINT64_MAX;
    if (rows->more)
        bound = rows->outcome[rows->n_outcome - 1]->seq;
    if (log && log->n_entry > 0 && log->entry[log->n_entry - 1]->last < log->head &&
        log->entry[log->n_entry - 1]->last < bound)
        bound = log->entry[log->n_entry - 1]->last;
    return bound;
}

json_t *outcome_page_json(const struct outcome_page *page, uint64_t *ret_next) {
    json_t *items = json_array();
    struct merge m = {.page = page};
    struct outcome_of o;
    uint64_t bound = page_bound(page), count = 0, last = 0;
    *ret_next = bound == UINT64_MAX ? 0 : bound;
    while (merge_next(&m, &o) && o.seq <= bound) {
        if (count >= page->limit && o.seq > last) { // those of one seq, in two epochs, together
            *ret_next = last;
            break;
        }
        last = o.seq;
        count++;
        if (page->is_all || outcome_state(&o) == page->state)
            json_array_append_new(items, outcome_json(&o));
    }
    return items;
}

// --- a message, counted

json_t *outcome_status_json(const char *id, const Hawser__Internal__StatusReply *s) {
    bool is_inbox = s->stream == STREAM_INBOX;
    json_t *counts = json_object();
    uint64_t count[NAMES] = {0}, targets = 0;
    for (size_t i = 0; i < s->n_count; i++) {
        count[(unsigned)s->count[i]->state < NAMES ? (unsigned)s->count[i]->state : 0] +=
            s->count[i]->count;
        targets += s->count[i]->count;
    }
    for (unsigned i = STATE(PENDING); is_inbox && i < NAMES; i++)
        json_object_set_new(counts, names[i], json_integer((json_int_t)count[i]));
    if (is_inbox)
        json_object_set_new(counts, "targets", json_integer((json_int_t)targets));
    bool is_recalled = count[STATE(RECALLED)] == targets;
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:o, s:i}", "id", id, "state",
                     is_recalled ? "recalled" : "done", "class", class_name(s->class_),
                     "accepted_at", time_json(s->sent_ms), "expires_at", time_json(s->expires_ms),
                     "unit", is_inbox ? "users" : "devices", "counts", counts, "progress", 1);
}

json_t *outcome_of_job_json(json_t *status, json_t *job) {
    json_t *counts = json_object_get(job, "counts");
    if (!job)
        return status;
    json_object_update_missing(counts, json_object_get(status, "counts"));
    json_object_update_missing(job, status);
    json_decref(status);
    return job;
}
