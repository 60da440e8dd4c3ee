// A look into the daemons: at the rooms after each of their steps, and for what is left at the end.
#include "center.h"
#include "room.h"
#include "room_internal.h"
#include "run.h"

static struct session *next_session(struct room *r, uint32_t *at) {
    while (*at < r->sessions.high_water) {
        struct session *s = slab_at(&r->sessions, (*at)++);
        if (s)
            return s;
    }
    return NULL;
}

struct walk { // over the sessions of all rooms
    int next;
    uint32_t slot;
    struct daemon_slot *room; // of the session that was given last
};

static struct session *walk_on(struct run *r, struct walk *w) {
    for (; w->next < DAEMONS; w->next++, w->slot = 0) {
        w->room = &r->daemons[w->next];
        struct session *s = w->room->role == &room_role && w->room->self
                                ? next_session(w->room->self, &w->slot)
                                : NULL;
        if (s)
            return s;
    }
    return NULL;
}

static bool is_connected(const struct session *s) {
    return s->state == SESSION_LIVE && s->conn->state == CONN_OPEN;
}

static Hawser__Internal__FindReply *rows_of(struct run *r, uint32_t product, int user) {
    Hawser__Internal__FindRequest find = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    char name[16];
    snprintf(name, sizeof(name), "user%d", user);
    find.user = name;
    find.product = product;
    return (Hawser__Internal__FindReply *)stores_ask_register(
        r->stores, HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_FIND, &find.base);
}

// --- into the trace

static void describe(struct run *r, const struct daemon_slot *d, const struct session *s) {
    const struct room *room = s->conn->room;
    world_note(
        &r->world, r->world.nodes[d->node].name,
        "%s/%s: state %d conn %d inbox %llu/%llu/%llu->%llu news %llu/%llu/%llu->%llu(%d) of "
        "%llu..%llu heard %llu rounds %llu<=%llu loading %d retry %d block %d lease %d %u>=%u "
        "held %zu synced %d windows %u+%u %u+%u",
        s->conn->device, s->product ? s->product->name : "-", s->state, s->conn->state,
        (unsigned long long)s->inbox.acked, (unsigned long long)s->inbox.sent,
        (unsigned long long)s->inbox.heard, (unsigned long long)s->inbox_target,
        (unsigned long long)s->news.acked, (unsigned long long)s->news.sent,
        (unsigned long long)s->news.heard, (unsigned long long)s->news_target, s->has_news_target,
        (unsigned long long)(s->product ? s->product->news.base : 0),
        (unsigned long long)(s->product ? s->product->news.head : 0),
        (unsigned long long)(s->product ? s->product->heard : 0), (unsigned long long)s->news_round,
        (unsigned long long)(s->product ? s->product->heads_done : 0), s->is_loading, s->in_retry,
        s->waits_for_block, cluster_lease_is_held(room->cluster), s->confirmed_round,
        room->round_required, s->conn->stream ? stream_held(s->conn->stream) : 0, s->is_synced,
        s->inbox.window.first, s->inbox.window.second, s->news.window.first, s->news.window.second);
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
    struct session *s;
    describe_rows(c->run, c->user);
    while ((s = walk_on(c->run, &walk)) != NULL)
        if (s->conn->device && strcmp(s->conn->device, c->device) == 0)
            describe(c->run, walk.room, s);
}

// --- after each step

// Where nothing was lost, and every seq is a message to be sent, how far they are apart is how much
// is under way.
static const char *wrong(const struct cursor *c, bool is_plain) {
    uint64_t apart = c->sent - c->acked, counted = c->window.first + c->window.second;
    if (c->acked > c->sent)
        return "acked above sent";
    if (c->sent > c->heard)
        return "sent above heard";
    if (is_plain && apart > WINDOW_MESSAGES && counted > WINDOW_MESSAGES)
        return "more under way than the window";
    if (c->window.first_bytes + c->window.second_bytes > WINDOW_BYTES + FRAME_BODY_MAX)
        return "more bytes under way than the window";
    return NULL;
}

static void check_session(struct run *r, const struct daemon_slot *d, const struct session *s) {
    bool is_plain = !r->store_lost && !r->has_variety;
    bool is_small = r->has_small_inboxes && strcmp(s->product->name, "product1") == 0;
    const char *inbox = wrong(&s->inbox, is_plain && !is_small);
    const char *news = wrong(&s->news, is_plain);
    if (s->inbox_saved > s->inbox.sent)
        inbox = "saved above sent";
    if (!inbox && !news && s->generation != 0)
        return;
    violation(r, "%s, %s: %s", r->world.nodes[d->node].name, s->conn->device,
              inbox  ? inbox
              : news ? news
                     : "no generation");
    describe(r, d, s);
}

// A room's lease is no longer than the store has it, and after one that was lost every row is to be
// confirmed.
static void check_lease(struct run *r, struct daemon_slot *d, const struct room *room) {
    uint64_t ours = lease_end_us(room->cluster);
    const char *name = r->world.nodes[d->node].name;
    if (ours != d->lease_us && ours != 0 && !r->lease_may_lie &&
        ours > stores_lease_end_us(r->stores, d->env.incarnation))
        violation(r, "%s holds its lease for longer than the store", name);
    if (d->lease_us != 0 && (ours == 0 || d->lease_us <= r->world.now_us)) // ended, renewed or not
        d->is_loss_unseen = room->round_required == d->round;
    if (ours != 0 && d->is_loss_unseen)
        violation(r, "%s goes on after a lost lease", name);
    d->lease_us = ours;
    d->round = room->round_required;
}

// Nothing is sent when it is over.
static void check_sends(struct run *r, struct daemon_slot *d, const struct room *room) {
    uint64_t sent = room->count.pushes + room->count.gaps + room->count.news_frames;
    if (sent != d->sent && !r->lease_may_lie &&
        stores_lease_end_us(r->stores, d->env.incarnation) == 0)
        violation(r, "%s sends though its lease is over", r->world.nodes[d->node].name);
    d->sent = sent;
}

void inspect_step(void *arg, int node) {
    struct run *r = arg;
    struct daemon_slot *d = node < DAEMONS ? &r->daemons[node] : NULL;
    uint32_t at = 0;
    struct session *s;
    if (!d || d->role != &room_role || !d->self)
        return;
    check_lease(r, d, d->self);
    check_sends(r, d, d->self);
    if (++d->steps % 4 != 0) // what is wrong stays so for a while
        return;
    while ((s = next_session(d->self, &at)) != NULL)
        if (s->state == SESSION_LIVE)
            check_session(r, d, s);
}

// --- at the end

static const char *product_waits(const struct room_product *p) {
    for (size_t i = 0; i < p->news.older.count; i++)
        if (p->news.older.block[i]->waiters.count > 0)
            return "sessions wait for a block";
    return p->lives                   ? "a live broadcast"
           : p->waiter_count > 0      ? "logins wait for heads"
           : p->heard != p->news.head ? "news not loaded"
                                      : NULL;
}

static const char *room_waits(const struct room *room) {
    const char *what = room->dirty             ? "acks"
                       : room->late_acks       ? "positions of ended sessions"
                       : room->notices         ? "notices of takeovers"
                       : room->orphans         ? "rows of lost logins"
                       : room->retry_count > 0 ? "sessions to be tried again"
                                               : NULL;
    for (const struct room_product *p = room->products; p && !what; p = p->hh.next)
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
        if (d->role == &room_role && d->self && d->env.incarnation == incarnation)
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
                if (row->online && d && !session_at_place(d->self, row->slot))
                    violation(r, "a row of %s has no session", row->device);
            }
            hawser__internal__find_reply__free_unpacked(rows, NULL);
        }
}

enum row_state { ROW_OWN, ROW_OF_THE_DEAD, ROW_OTHER };

// Of the dead: of a login that nobody waited for, at a room that is gone and cannot give it back.
static enum row_state row_state(struct run *r, const struct daemon_slot *d,
                                const struct session *s) {
    Hawser__Internal__FindReply *rows =
        rows_of(r, s->product->number, (int)strtol(s->user + strlen("user"), NULL, 10));
    enum row_state state = ROW_OTHER;
    for (size_t i = 0; i < rows->n_row; i++) {
        const Hawser__Internal__SessionRow *row = rows->row[i];
        if (strcmp(row->device, s->conn->device) != 0)
            continue;
        if (row->online && row->slot == session_place(s) &&
            row->incarnation == d->env.incarnation && row->generation == s->generation)
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
    struct session *s;
    int count = 0;
    while ((s = walk_on(r, &walk)) != NULL) {
        enum row_state state = is_connected(s) ? row_state(r, walk.room, s) : ROW_OWN;
        count += state == ROW_OTHER || (state == ROW_OF_THE_DEAD && also_of_the_dead);
    }
    return count;
}

// After quiet there is at most one live session of each (product, user, device).
void inspect_rooms(struct run *r) {
    for (int k = 0; k < DEVICES; k++) {
        const struct client *c = &r->clients[k];
        struct walk walk = {0};
        struct session *s;
        int live[PRODUCTS] = {0};
        while ((s = walk_on(r, &walk)) != NULL)
            if (is_connected(s) && strcmp(s->conn->device, c->device) == 0)
                live[s->product->name[strlen("product")] - '0']++;
        for (int p = 0; p < PRODUCTS; p++)
            if (live[p] > 1) {
                violation(r, "%s has %d live sessions of product%d", c->device, live[p], p);
                inspect_client(c);
            }
    }
}

struct daemon_slot *inspect_room_of(struct run *r, const char *device) {
    struct walk walk = {0};
    struct session *s;
    while ((s = walk_on(r, &walk)) != NULL)
        if (is_connected(s) && strcmp(s->conn->device, device) == 0)
            return walk.room;
    return NULL;
}
