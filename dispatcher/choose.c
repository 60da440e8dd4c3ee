// See choose.h for the ranking and its sources.
#include "choose.h"

#include <string.h>

#include "buf.h"
#include "cluster.h"
#include "crypto.h"

enum { BOUND_SLACK = 64 };

struct ranked {
    const Hawser__Internal__Member *room;
    uint64_t score;   // rendezvous hash: higher is better
    uint32_t penalty; // lower is better, before the score
};

static bool transport_fits(const Hawser__V1__Locate *ask,
                           const Hawser__Internal__MemberEndpoint *endpoint) {
    for (size_t i = 0; i < endpoint->n_transport; i++) {
        if (ask->n_transport == 0 && endpoint->transport[i] == HAWSER__V1__TRANSPORT__PLAIN)
            return true;
        for (size_t j = 0; j < ask->n_transport; j++)
            if (endpoint->transport[i] == (uint32_t)ask->transport[j])
                return true;
    }
    // An endpoint that names no transport speaks the plain one.
    if (endpoint->n_transport > 0)
        return false;
    for (size_t j = 0; j < ask->n_transport; j++)
        if (ask->transport[j] == HAWSER__V1__TRANSPORT__PLAIN)
            return true;
    return ask->n_transport == 0;
}

static bool endpoint_failed(const Hawser__V1__Locate *ask,
                            const Hawser__Internal__MemberEndpoint *endpoint) {
    for (size_t i = 0; i < ask->n_failed; i++)
        if (ask->failed[i]->port == endpoint->port &&
            strcmp(ask->failed[i]->host, endpoint->host) == 0)
            return true;
    return false;
}

static bool endpoint_usable(const Hawser__V1__Locate *ask,
                            const Hawser__Internal__MemberEndpoint *endpoint) {
    return transport_fits(ask, endpoint) && !endpoint_failed(ask, endpoint);
}

// The region of a failed endpoint is avoided where there is another: it may be the region that is
// cut off. Clients may leave the idc out, so it is looked up by the endpoint too.
static bool in_failed_idc(const Hawser__V1__Locate *ask,
                          const Hawser__Internal__Member *const *rooms, int rooms_len,
                          const char *idc) {
    if (idc[0] == '\0')
        return false;
    for (size_t i = 0; i < ask->n_failed; i++)
        if (strcmp(ask->failed[i]->idc, idc) == 0)
            return true;
    for (int r = 0; r < rooms_len; r++) {
        if (strcmp(rooms[r]->idc, idc) != 0)
            continue;
        for (size_t e = 0; e < rooms[r]->n_endpoint; e++)
            if (endpoint_failed(ask, rooms[r]->endpoint[e]))
                return true;
    }
    return false;
}

static bool has_usable_endpoint(const Hawser__V1__Locate *ask,
                                const Hawser__Internal__Member *room) {
    for (size_t e = 0; e < room->n_endpoint; e++)
        if (endpoint_usable(ask, room->endpoint[e]))
            return true;
    return false;
}

static bool room_takes_clients(const Hawser__Internal__Member *room) {
    return !room->draining && room->unhealthy[0] == '\0' && room->load < LOAD_FULL &&
           (room->sessions_max == 0 || room->sessions < room->sessions_max);
}

static uint64_t rendezvous_score(const Hawser__V1__Locate *ask,
                                 const Hawser__Internal__Member *room) {
    static const uint8_t key[16] = "hawser-locate-1";
    struct buf name = BUF_EMPTY;
    // NUL-separated, so that no two triples give the same bytes.
    buf_append(&name, ask->product, strlen(ask->product) + 1);
    buf_append(&name, ask->device, strlen(ask->device) + 1);
    buf_append_str(&name, room->id);
    uint64_t score = siphash(key, name.data, name.len);
    buf_free(&name);
    return score;
}

static bool ranks_before(const struct ranked *a, const struct ranked *b) {
    if (a->penalty != b->penalty)
        return a->penalty < b->penalty;
    if (a->score != b->score)
        return a->score > b->score;
    return strcmp(a->room->id, b->room->id) < 0;
}

// Keeps the best CHOOSE_MAX * 2 sorted: more are never needed to fill a scattered list, and the
// work stays linear in rooms.
enum { RANKED_MAX = CHOOSE_MAX * 2 };

static int rank_insert(struct ranked *list, int len, struct ranked candidate) {
    int at = len;
    while (at > 0 && ranks_before(&candidate, &list[at - 1]))
        at--;
    if (at == RANKED_MAX)
        return len;
    int last = len < RANKED_MAX ? len : RANKED_MAX - 1;
    memmove(&list[at + 1], &list[at], (size_t)(last - at) * sizeof(list[0]));
    list[at] = candidate;
    return len < RANKED_MAX ? len + 1 : len;
}

static int rank_rooms(const Hawser__Internal__Member *const *rooms, int rooms_len,
                      const Hawser__V1__Locate *ask, struct ranked *ret_ranked) {
    uint64_t sessions = 0, fit = 0;
    for (int i = 0; i < rooms_len; i++) {
        if (!room_takes_clients(rooms[i]))
            continue;
        sessions += rooms[i]->sessions;
        fit++;
    }
    int len = 0;
    for (int i = 0; i < rooms_len; i++) {
        const Hawser__Internal__Member *room = rooms[i];
        if (!room_takes_clients(room) || !has_usable_endpoint(ask, room))
            continue;
        uint64_t bound = sessions / fit + sessions / fit / 4 + BOUND_SLACK;
        struct ranked candidate = {.room = room, .score = rendezvous_score(ask, room)};
        candidate.penalty = (in_failed_idc(ask, rooms, rooms_len, room->idc) ? 2u : 0u) +
                            (room->sessions > bound ? 1u : 0u);
        len = rank_insert(ret_ranked, len, candidate);
    }
    return len;
}

struct picking {
    const Hawser__V1__Locate *ask;
    struct chosen *out;
    int count, want;
};

static bool already_chosen(const struct picking *p,
                           const Hawser__Internal__MemberEndpoint *endpoint,
                           const Hawser__Internal__Member *room, bool by_host) {
    for (int i = 0; i < p->count; i++) {
        const Hawser__Internal__MemberEndpoint *other = p->out[i].endpoint;
        if (strcmp(other->host, endpoint->host) == 0 && (by_host || other->port == endpoint->port))
            return true;
        if (room && p->out[i].room == room)
            return true;
    }
    return false;
}

// One pass over the ranking: takes at most one endpoint of each room that is new by host (or by
// host and port), and with new_room only of rooms not yet in the list.
static void pick_pass(struct picking *p, const struct ranked *ranked, int len, bool new_room,
                      bool new_host) {
    for (int i = 0; i < len; i++) {
        const Hawser__Internal__Member *room = ranked[i].room;
        for (size_t e = 0; e < room->n_endpoint && p->count < p->want; e++) {
            const Hawser__Internal__MemberEndpoint *endpoint = room->endpoint[e];
            if (!endpoint_usable(p->ask, endpoint) ||
                already_chosen(p, endpoint, new_room ? room : NULL, new_host))
                continue;
            p->out[p->count++] = (struct chosen){.room = room, .endpoint = endpoint};
            break;
        }
    }
}

static int choose(const Hawser__Internal__Member *const *rooms, int rooms_len,
                  const Hawser__V1__Locate *ask, uint32_t want_default, struct chosen *out) {
    struct ranked ranked[RANKED_MAX + 1];
    int len = rank_rooms(rooms, rooms_len, ask, ranked);
    uint32_t want = ask->want > 0 ? ask->want : want_default;
    struct picking p = {.ask = ask, .out = out, .want = want < CHOOSE_MAX ? (int)want : CHOOSE_MAX};
    pick_pass(&p, ranked, len, true, true);
    pick_pass(&p, ranked, len, true, false);
    pick_pass(&p, ranked, len, false, false);
    return p.count;
}

// What failed once may be well again: better that than nothing.
int choose_rooms(const Hawser__Internal__Member *const *rooms, int rooms_len,
                 const Hawser__V1__Locate *ask, uint32_t want_default, struct chosen *out) {
    Hawser__V1__Locate any = *ask;
    int count = choose(rooms, rooms_len, ask, want_default, out);
    any.n_failed = 0;
    return count > 0 || ask->n_failed == 0 ? count
                                           : choose(rooms, rooms_len, &any, want_default, out);
}
