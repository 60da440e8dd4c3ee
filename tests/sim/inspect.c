// A look into the rooms at the end of a run: no session twice, none behind, nothing waiting.
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

static void describe(struct run *r, const struct daemon_slot *d, const struct session *s) {
    const struct room *room = s->conn->room;
    world_note(
        &r->world, r->world.nodes[d->node].name,
        "%s/%s: state %d conn %d inbox %llu/%llu/%llu->%llu news %llu/%llu/%llu->%llu(%d) of "
        "%llu..%llu heard %llu rounds %llu<=%llu loading %d retry %d block %d lease %d %u>=%u "
        "held %zu synced %d",
        s->conn->device, s->product ? s->product->name : "-", s->state, s->conn->state,
        (unsigned long long)s->inbox.acked, (unsigned long long)s->inbox.sent,
        (unsigned long long)s->inbox.heard, (unsigned long long)s->inbox_target,
        (unsigned long long)s->news.acked, (unsigned long long)s->news.sent,
        (unsigned long long)s->news.heard, (unsigned long long)s->news_target, s->has_news_target,
        (unsigned long long)(s->product ? s->product->base : 0),
        (unsigned long long)(s->product ? s->product->head : 0),
        (unsigned long long)(s->product ? s->product->heard : 0), (unsigned long long)s->news_round,
        (unsigned long long)(s->product ? s->product->heads_done : 0), s->is_loading, s->in_retry,
        s->waits_for_block, room->lease_held, s->confirmed_round, room->round_required,
        s->conn->stream ? stream_held(s->conn->stream) : 0, s->is_synced);
}

static void describe_rows(struct run *r, const char *device) {
    Hawser__Internal__FindRequest find = HAWSER__INTERNAL__FIND_REQUEST__INIT;
    char user[16] = "";
    for (int i = 0; i < CLIENTS; i++)
        if (strcmp(r->clients[i].device, device) == 0)
            snprintf(user, sizeof(user), "user%d", r->clients[i].user);
    find.user = user;
    for (find.product = 1; find.product <= PRODUCTS; find.product++) {
        Hawser__Internal__FindReply *rows = (Hawser__Internal__FindReply *)stores_ask_register(
            r->stores, HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_FIND, &find.base);
        for (size_t i = 0; i < rows->n_row; i++)
            world_note(&r->world, "register",
                       "row of product %u, %s: %s slot %u generation %llu %s", find.product,
                       rows->row[i]->device, rows->row[i]->room, rows->row[i]->slot,
                       (unsigned long long)rows->row[i]->generation,
                       rows->row[i]->online ? "online" : "offline");
        hawser__internal__find_reply__free_unpacked(rows, NULL);
    }
}

void inspect_client(struct run *r, const char *device) {
    describe_rows(r, device);
    for (int i = 0; i < DAEMONS; i++) {
        const struct daemon_slot *d = &r->daemons[i];
        uint32_t at = 0;
        struct session *s;
        if (d->role != &room_role || !d->self)
            continue;
        while ((s = next_session(d->self, &at)) != NULL)
            if (s->conn->device && strcmp(s->conn->device, device) == 0)
                describe(r, d, s);
    }
}

// After quiet there is at most one live session of each (product, user, device).
void inspect_rooms(struct run *r) {
    for (int k = 0; k < CLIENTS; k++) {
        int live[PRODUCTS] = {0};
        for (int i = 0; i < DAEMONS; i++) {
            const struct daemon_slot *d = &r->daemons[i];
            uint32_t at = 0;
            struct session *s;
            if (d->role != &room_role || !d->self)
                continue;
            while ((s = next_session(d->self, &at)) != NULL)
                if (s->state == SESSION_LIVE && s->conn->state == CONN_OPEN &&
                    strcmp(s->conn->device, r->clients[k].device) == 0)
                    live[s->product->name[strlen("product")] - '0']++;
        }
        for (int p = 0; p < PRODUCTS; p++)
            if (live[p] > 1) {
                violation(r, "%s has %d live sessions of product%d", r->clients[k].device, live[p],
                          p);
                inspect_client(r, r->clients[k].device);
            }
    }
}
