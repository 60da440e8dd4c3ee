// A look into the daemons: at the rooms after each of their steps, and for what is left at the end.
#include "center.h"
#include "frame.h"
#include "room.h"
#include "room_internal.h"
#include "run.h"

static struct room_binding *next_binding(struct room *r, uint32_t *at) {
    while (*at < r->bindings.high_water) {
        struct room_binding *b = slab_at(&r->bindings, (*at)++);
        if (b)
            return b;
    }
    return NULL;
}

struct walk { // over the bindings of all rooms
    int next;
    uint32_t slot;
    struct daemon_slot *room; // of the binding that was given last
};

static struct room_binding *walk_on(struct run *r, struct walk *w) {
    for (; w->next < DAEMONS; w->next++, w->slot = 0) {
        w->room = &r->daemons[w->next];
        struct room_binding *b = w->room->role == &room_role && w->room->self
                                     ? next_binding(w->room->self, &w->slot)
                                     : NULL;
        if (b)
            return b;
    }
    return NULL;
}

// As it is, or as it would be when it got up: looking at it wakes nobody.
static struct session session_of(const struct room_binding *b) {
    struct session s;
    struct session_rest rest;
    if (b->is_awake)
        return b->of.awake->session;
    room_binding_rest(b, &rest);
    session_gets_up(&rest, &s);
    return s;
}

static bool is_connected(const struct room_binding *b) {
    return room_binding_state(b) == SESSION_LIVE && b->conn->state == CONN_OPEN;
}

static Hawser__Internal__FindReply *rows_of(struct run *r, uint32_t product, int user) {
    Hawser__Internal__FindRequest find = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    char name[16];
    snprintf(name, sizeof(name), "user%d", user);
    find.user = name;
    find.product = product;
    return (Hawser__Internal__FindReply *)stores_ask_register(r->stores, &find.base);
}

// --- into the trace

static void describe_feed(struct run *r, const char *name, const struct feed *f) {
    world_note(&r->world, name, "  feed: saved %llu acked %llu sent %llu heard %llu -> %llu, %u+%u",
               (unsigned long long)f->saved, (unsigned long long)f->acked,
               (unsigned long long)f->sent, (unsigned long long)f->heard,
               (unsigned long long)f->target, f->ack_window.first, f->ack_window.second);
}

static void describe(struct run *r, const struct daemon_slot *d, const struct room_binding *b) {
    const struct session session = session_of(b), *s = &session;
    const struct room *room = binding_room(b);
    const struct room_product *p = b->product;
    const char *name = r->world.nodes[d->node].name;
    world_note(&r->world, name,
               "%s/%s: %s conn %d load %d retry %d synced %d lease %d %u>=%u held "
               "%zu",
               b->conn->device, p ? p->name : "-", session_state_name(s->state), b->conn->state,
               s->load, s->is_retrying, s->is_synced, cluster_lease_is_held(room->cluster),
               s->fence.confirmed_round, room->lease.required,
               b->conn->stream ? stream_held(b->conn->stream) : 0);
    for (int i = 0; p && i < LOGS; i++)
        world_note(&r->world, name, "  log %d: %llu..%llu heard %llu heads %llu<=%llu block %d", i,
                   (unsigned long long)p->log[i].known->base,
                   (unsigned long long)p->log[i].known->head, (unsigned long long)p->log[i].heard,
                   (unsigned long long)s->heads_needed, (unsigned long long)p->heads_answered,
                   b->waits_for_block[i]);
    for (int i = 0; i < FEEDS_SERVED; i++)
        describe_feed(r, name, &s->feed[i]);
}

static void describe_rows(struct run *r, int user) {
    for (uint32_t product = 1; product <= PRODUCTS; product++) {
        Hawser__Internal__FindReply *rows = rows_of(r, product, user);
        for (size_t i = 0; i < rows->n_row; i++)
            world_note(&r->world, "register",
                       "row of product %u, %s: %s slot %llx generation %llu %s", product,
                       rows->row[i]->device, rows->row[i]->room,
                       (unsigned long long)rows->row[i]->slot,
                       (unsigned long long)rows->row[i]->generation,
                       rows->row[i]->online ? "online" : "offline");
        hawser__internal__find_reply__free_unpacked(rows, NULL);
    }
}

void inspect_client(const struct client *c) {
    struct walk walk = {0};
    struct room_binding *b;
    describe_rows(c->run, c->user);
    while ((b = walk_on(c->run, &walk)) != NULL)
        if (b->conn->device && strcmp(b->conn->device, c->device) == 0)
            describe(c->run, walk.room, b);
}

void inspect_shrink_windows(void *room) {
    struct room *r = room;
    r->products.window_limits = (struct news_window_limits){.bytes = 16384, .entries = 6};
    r->products.older.limits.block_messages = 4;
    r->products.older.limits.asked_max = 3;
}

// --- after each step

// Where nothing was lost, and every seq is a message to be sent, how far they are apart is how much
// is under way.
static const char *wrong(const struct feed *c, bool is_plain) {
    uint64_t apart = c->sent - c->acked, counted = c->ack_window.first + c->ack_window.second;
    if (c->acked > c->sent)
        return "acked above sent";
    if (c->sent > c->heard)
        return "sent above heard";
    if (is_plain && apart > c->limits->messages && counted > c->limits->messages)
        return "more under way than the window";
    if (c->ack_window.first_bytes + c->ack_window.second_bytes > c->limits->bytes + FRAME_BODY_MAX)
        return "more bytes under way than the window";
    return NULL;
}

// Tokens have 60 s of grace; a clock may have been set by 40 s, from 20 s behind to 20 s ahead,
// which the room sees when its timer fires.
enum { TOKEN_ENDED_MS = 110000 };

static void check_token(struct run *r, const struct daemon_slot *d, const struct room_binding *b) {
    if (room_binding_state(b) == SESSION_LIVE && b->conn->state == CONN_OPEN &&
        room_binding_expires_ms(b) + TOKEN_ENDED_MS < loop_wall_ms(binding_room(b)->loop))
        violation(r, "%s, %s: goes on with a token that has ended", r->world.nodes[d->node].name,
                  b->conn->device);
}

static void check_session(struct run *r, const struct daemon_slot *d,
                          const struct room_binding *b) {
    const struct session session = session_of(b);
    const struct feed *feed = session.feed;
    bool is_plain = !r->store_lost && !r->has_variety;
    bool is_small = r->has_small_inboxes && strcmp(b->product->name, "product1") == 0;
    const char *what = NULL;
    check_token(r, d, b);
    for (int i = 0; i < FEEDS_SERVED && !what; i++)
        what = wrong(&feed[i], is_plain && !(is_small && i == FEED_INBOX));
    if (feed[FEED_INBOX].saved > feed[FEED_INBOX].sent)
        what = "saved above sent";
    if (!what && room_binding_generation(b) != 0)
        return;
    violation(r, "%s, %s: %s", r->world.nodes[d->node].name, b->conn->device,
              what ? what : "no generation");
    describe(r, d, b);
}

// A room's lease is no longer than the store has it, and after one that was lost every row is to be
// confirmed.
static void check_lease(struct run *r, struct daemon_slot *d, const struct room *room) {
    uint64_t ours = lease_end_us(room->cluster);
    const char *name = r->world.nodes[d->node].name;
    if (ours != d->lease_us && ours != 0 && !r->lease_may_lie &&
        ours > stores_lease_end_us(r->stores, daemon_env(d->daemon)->incarnation))
        violation(r, "%s holds its lease for longer than the store", name);
    if (d->lease_us != 0 && (ours == 0 || d->lease_us <= r->world.now_us)) // ended, renewed or not
        d->is_loss_unseen = room->lease.required == d->round;
    if (ours != 0 && d->is_loss_unseen)
        violation(r, "%s goes on after a lost lease", name);
    d->lease_us = ours;
    d->round = room->lease.required;
}

// Nothing is sent when it is over.
static void check_sends(struct run *r, struct daemon_slot *d, const struct room *room) {
    uint64_t sent =
        room->count.delivery.pushes + room->count.delivery.gaps + room->count.delivery.news_frames;
    if (sent != d->sent && !r->lease_may_lie &&
        stores_lease_end_us(r->stores, daemon_env(d->daemon)->incarnation) == 0)
        violation(r, "%s sends though its lease is over", r->world.nodes[d->node].name);
    d->sent = sent;
    if (room->count.session.unexpected != 0)
        violation(r, "%s: a session was told what its state does not name",
                  r->world.nodes[d->node].name);
}

// Who lingers keeps a session for its client, or a place for nothing.
static void check_lingering(struct run *r, const struct daemon_slot *d, struct room *room) {
    const struct transit *t;
    TAILQ_FOREACH(t, &room->places.lingering, entry) {
        const struct conn *c = t->conn;
        const struct room_binding *b = c->bindings;
        while (b && !room_binding_is_entered(b))
            b = room_binding_next(b);
        if (!b)
            violation(r, "%s: %s lingers without a session", r->world.nodes[d->node].name,
                      c->device);
    }
}

void inspect_step(void *arg, int node) {
    struct run *r = arg;
    struct daemon_slot *d = node < DAEMONS ? &r->daemons[node] : NULL;
    uint32_t at = 0;
    struct room_binding *b;
    if (!d || d->role != &room_role || !d->self)
        return;
    check_lease(r, d, d->self);
    check_sends(r, d, d->self);
    check_lingering(r, d, d->self);
    if (++d->steps % 4 != 0) // what is wrong stays so for a while
        return;
    while ((b = next_binding(d->self, &at)) != NULL)
        if (room_binding_is_entered(b))
            check_session(r, d, b);
}

// --- at the end

static const char *log_waits(const struct broadcasts *log) {
    const struct news_blocks *older = &log->by_voice[VOICE_HAWSER].window.older;
    for (size_t i = 0; i < older->count; i++)
        if (older->block[i]->waiters.count > 0)
            return "sessions wait for a block";
    return log->heard != log->known->head ? "broadcasts not loaded" : NULL;
}

static const char *product_waits(const struct room_product *p) {
    const char *what = p->passing             ? "a passing broadcast"
                       : p->waiters.count > 0 ? "logins wait for heads"
                                              : NULL;
    for (int i = 0; i < LOGS && !what; i++)
        what = log_waits(&p->log[i]);
    return what;
}

static const char *room_waits(const struct room *room) {
    const char *what = room->questions.to_save      ? "acks"
                       : room->late_acks.list       ? "positions of ended sessions"
                       : room->notices              ? "notices of takeovers"
                       : room->orphans.list         ? "rows of lost logins"
                       : room->waits.list.count > 0 ? "sessions to be tried again"
                                                    : NULL;
    for (const struct room_product *p = room->products.table; p && !what; p = p->hh.next)
        what = product_waits(p);
    return what;
}

static const char *daemon_waits(const struct daemon_slot *d) {
    return !d->self                  ? NULL
           : d->role == &room_role   ? room_waits(d->self)
           : d->role == &center_role ? center_waits(d->self)
                                     : NULL;
}

bool queues_are_empty(struct run *r) {
    for (int i = 0; i < DAEMONS; i++)
        if (daemon_waits(&r->daemons[i]))
            return false;
    return true;
}

void inspect_queues(struct run *r) {
    for (int i = 0; i < DAEMONS; i++) {
        const char *what = daemon_waits(&r->daemons[i]);
        if (what)
            violation(r, "%s at the end: %s", r->world.nodes[r->daemons[i].node].name, what);
    }
}

static struct daemon_slot *room_of_run(struct run *r, uint64_t incarnation) {
    for (int i = 0; i < DAEMONS; i++) {
        struct daemon_slot *d = &r->daemons[i];
        if (d->role == &room_role && d->self && daemon_env(d->daemon)->incarnation == incarnation)
            return d;
    }
    return NULL;
}

// No row without its session: who left is not online.
void inspect_rows(struct run *r) {
    for (int k = 0; k < USERS; k++)
        for (uint32_t product = 1; product <= PRODUCTS; product++) {
            Hawser__Internal__FindReply *rows = rows_of(r, product, k);
            for (size_t i = 0; i < rows->n_row; i++) {
                const Hawser__Internal__SessionRow *row = rows->row[i];
                struct daemon_slot *d = room_of_run(r, row->incarnation);
                if (row->online && d && !room_binding_of_row_slot(d->self, row->slot))
                    violation(r, "a row of %s has no session", row->device);
            }
            hawser__internal__find_reply__free_unpacked(rows, NULL);
        }
}

enum row_state { ROW_OWN, ROW_OF_THE_DEAD, ROW_OTHER };

// Of the dead: of a login that nobody waited for, at a room that is gone and cannot give it back.
static enum row_state row_state(struct run *r, const struct daemon_slot *d,
                                const struct room_binding *b) {
    Hawser__Internal__FindReply *rows = rows_of(
        r, b->product->number, (int)strtol(room_binding_user(b) + strlen("user"), NULL, 10));
    enum row_state state = ROW_OTHER;
    for (size_t i = 0; i < rows->n_row; i++) {
        const Hawser__Internal__SessionRow *row = rows->row[i];
        if (strcmp(row->device, b->conn->device) != 0)
            continue;
        if (row->online && row->slot == room_binding_row_slot(b) &&
            row->incarnation == daemon_env(d->daemon)->incarnation &&
            row->generation == room_binding_generation(b))
            state = ROW_OWN;
        else if (!room_of_run(r, row->incarnation))
            state = ROW_OF_THE_DEAD;
    }
    hawser__internal__find_reply__free_unpacked(rows, NULL);
    return state;
}

// Connected sessions without their rows.
int inspect_rowless(struct run *r, bool also_of_the_dead) {
    struct walk walk = {0};
    struct room_binding *b;
    int count = 0;
    while ((b = walk_on(r, &walk)) != NULL) {
        enum row_state state = is_connected(b) ? row_state(r, walk.room, b) : ROW_OWN;
        count += state == ROW_OTHER || (state == ROW_OF_THE_DEAD && also_of_the_dead);
    }
    return count;
}

// After quiet there is at most one live session of each (product, user, device).
void inspect_rooms(struct run *r) {
    for (int k = 0; k < DEVICES; k++) {
        const struct client *c = &r->clients[k];
        struct walk walk = {0};
        struct room_binding *b;
        int live[PRODUCTS] = {0};
        while ((b = walk_on(r, &walk)) != NULL)
            if (is_connected(b) && strcmp(b->conn->device, c->device) == 0)
                live[b->product->name[strlen("product")] - '0']++;
        for (int p = 0; p < PRODUCTS; p++)
            if (live[p] > 1) {
                violation(r, "%s has %d live sessions of product%d", c->device, live[p], p);
                inspect_client(c);
            }
    }
}

struct daemon_slot *inspect_room_of(struct run *r, const char *device) {
    struct walk walk = {0};
    struct room_binding *b;
    while ((b = walk_on(r, &walk)) != NULL)
        if (is_connected(b) && strcmp(b->conn->device, device) == 0)
            return walk.room;
    return NULL;
}
