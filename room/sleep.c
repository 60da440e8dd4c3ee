// Sessions awake and asleep: who waits for nothing lies down, behind its names, and gets up when it
// is asked for anything that a sleeper does not know.
#include <assert.h>

#include "room_internal.h"
#include "wire.h"

enum { REST_TICKS = 20 }; // each that is awake is looked at once in so many: 2 s

// --- awake

void awake_begin(struct room_binding *b) {
    struct room *r = binding_room(b);
    b->of.awake = slab_take(&r->awake_ones.slab);
    assert(b->of.awake); // there is one for each binding
    b->is_awake = true;
    r->awake_ones.count++;
    handles_add(&r->awake_ones.list, room_binding_row_slot(b));
}

static void awake_end(struct room_binding *b) {
    slab_give(b->of.awake);
    b->is_awake = false;
    binding_room(b)->awake_ones.count--;
}

void awake_free(struct room_binding *b) {
    if (!b->is_awake) {
        free(b->of.names);
        return;
    }
    free(b->of.awake->names);
    free(b->of.awake->token);
    free(b->of.awake->tags);
    free(b->of.awake->reason);
    free(b->of.awake->known_devices);
    awake_end(b);
}

// --- asleep

// What a sleeper knows is behind its names: its session, when its token ends, and how long before
// that its row was asked for.
struct sleeper {
    struct session_rest rest;
    uint64_t expires_ms, since_ms;
};

static const uint8_t *rest_of(const struct room_binding *b) {
    return (const uint8_t *)b->of.names + b->names_bytes;
}

static struct session_usual usual_of(const struct room_binding *b) {
    struct session_usual usual = {.limits = &conn_voice(b->conn)->ack_limits};
    memcpy(usual.epoch, b->product->usual_epoch, sizeof(usual.epoch));
    return usual;
}

static struct sleeper sleeper_of(const struct room_binding *b) {
    struct session_usual usual = usual_of(b);
    struct sleeper s;
    const uint8_t *at = session_rest_unpack(rest_of(b), &usual, &s.rest);
    s.expires_ms = wire_varint_take(&at);
    s.since_ms = s.expires_ms - wire_varint_take(&at);
    return s;
}

void room_binding_rest(const struct room_binding *b, struct session_rest *ret_rest) {
    struct session_usual usual = usual_of(b);
    (void)session_rest_unpack(rest_of(b), &usual, ret_rest);
}

// Out of line, as sleeps_at is: who is awake, as most are that a walk comes to, needs no frame for
// it.
HW_OUT_OF_LINE static void gets_up(struct room_binding *b) {
    struct sleeper s = sleeper_of(b);
    char *names = b->of.names;
    awake_begin(b);
    b->of.awake->names = names;
    b->of.awake->expires_ms = s.expires_ms;
    b->of.awake->since_ms = s.since_ms;
    session_gets_up(&s.rest, &b->of.awake->session);
}

struct awake *room_binding_wake(struct room_binding *b) {
    if (!b->is_awake)
        gets_up(b);
    b->of.awake->is_used = true;
    return b->of.awake;
}

struct session *room_binding_session(struct room_binding *b) {
    return &room_binding_wake(b)->session;
}

bool room_binding_is_entered(const struct room_binding *b) {
    return !b->is_awake || session_is_entered(&b->of.awake->session);
}

bool room_binding_leaves_out(const struct room_binding *b, enum feed_stream stream) {
    struct session_rest rest;
    if (b->is_awake)
        return session_leaves_out(&b->of.awake->session, stream);
    room_binding_rest(b, &rest);
    return rest.wanted[stream] == FEED_LEFT_OUT;
}

uint64_t room_binding_generation(const struct room_binding *b) {
    struct session_rest rest;
    if (b->is_awake)
        return b->of.awake->session.fence.generation;
    room_binding_rest(b, &rest);
    return rest.fence.generation;
}

uint64_t room_binding_expires_ms(const struct room_binding *b) {
    return b->is_awake ? b->of.awake->expires_ms : sleeper_of(b).expires_ms;
}

uint64_t room_binding_since_ms(const struct room_binding *b) {
    return b->is_awake ? b->of.awake->since_ms : sleeper_of(b).since_ms;
}

HW_OUT_OF_LINE static bool sleeps_at(const struct room_binding *b, enum feed_stream stream,
                                     const struct stream_position *head) {
    struct session_usual usual = usual_of(b);
    return session_rest_is_level(rest_of(b), &usual, stream, head);
}

bool room_binding_sleeps_at(const struct room_binding *b, enum feed_stream stream,
                            const struct stream_position *head) {
    return !b->is_awake && sleeps_at(b, stream, head);
}

static char *keep_rest(const struct room_binding *b, const struct session_rest *rest) {
    uint8_t bytes[2 * WIRE_VARINT_BYTES_MAX + SESSION_REST_BYTES_MAX];
    const struct awake *a = b->of.awake;
    if (!b->product->has_usual) { // once, since those that sleep rely on it
        b->product->has_usual = true;
        for (int i = 0; i < LOGS_ALL; i++)
            b->product->usual_epoch[i] = rest->feed[FEED_NEWS + i].epoch;
    }
    struct session_usual usual = usual_of(b);
    size_t n = session_rest_pack(rest, &usual, bytes);
    n += wire_varint_put(bytes + n, a->expires_ms);
    n += wire_varint_put(bytes + n, a->expires_ms - a->since_ms);
    char *names = hw_realloc(a->names, b->names_bytes + n);
    memcpy(names + b->names_bytes, bytes, n);
    return names;
}

static bool lies_down(struct room_binding *b) {
    struct awake *a = b->of.awake;
    bool was_used = a->is_used;
    struct session_rest rest;
    a->is_used = false;
    if (was_used || a->is_to_save || a->token || a->reason || a->known_devices ||
        !session_lies_down(&a->session, &rest))
        return false;
    char *names = keep_rest(b, &rest);
    awake_end(b);
    b->of.names = names;
    return true;
}

static bool stays_awake(void *room, uint64_t row_slot) {
    struct room_binding *b = room_binding_of_row_slot(room, row_slot);
    return b && !lies_down(b);
}

// Whoever gets up soon again had better stay up: the memory was given back meanwhile. So one lies
// down when it is looked at for the second time and nobody has asked for it since the first.
void room_bindings_rest(struct room *r) {
    handles_look(&r->awake_ones.list, r->awake_ones.list.count / REST_TICKS + 1, stays_awake, r);
}
