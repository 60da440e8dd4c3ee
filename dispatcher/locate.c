// A Located from the directory as it is now.
#include "close_codes.h"
#include "dispatcher_internal.h"

enum {
    TOLD_BACKOFF_BASE_MS = 500,
    // Who begins its wait in the last moment of a fault is back in a minute.
    TOLD_BACKOFF_CAP_MS = 45000,
    NO_ROOM_RETRY_MS = 1000
};

static const Hawser__Internal__Member **rooms_of(struct dispatcher *d, int *ret_count) {
    struct cluster *cluster = d->env->cluster;
    const Hawser__Internal__Member *m = NULL, **rooms;
    int count = 0, n = 0;
    while ((m = cluster_member_next(cluster, "room", m)) != NULL)
        count++;
    rooms = arena_calloc(&d->arena, (size_t)count + 1, sizeof(rooms[0]));
    while ((m = cluster_member_next(cluster, "room", m)) != NULL)
        rooms[n++] = m;
    *ret_count = count;
    return rooms;
}

static Hawser__V1__Endpoint *endpoint_of(struct dispatcher *d, const struct chosen *c) {
    Hawser__V1__Endpoint *e = arena_alloc(&d->arena, sizeof(*e));
    hawser__v1__endpoint__init(e);
    e->host = c->endpoint->host;
    e->port = c->endpoint->port;
    e->idc = c->endpoint->idc;
    e->tls_name = c->endpoint->tls_name;
    e->room = c->room->id;
    e->n_transport = c->endpoint->n_transport;
    e->transport = arena_calloc(&d->arena, c->endpoint->n_transport + 1, sizeof(e->transport[0]));
    for (size_t i = 0; i < c->endpoint->n_transport; i++)
        e->transport[i] = (Hawser__V1__Transport)c->endpoint->transport[i];
    return e;
}

Hawser__V1__Located *locate(struct dispatcher *d, const Hawser__V1__Locate *ask) {
    const struct config *config = d->env->config;
    Hawser__V1__Located *answer = arena_alloc(&d->arena, sizeof(*answer));
    struct chosen chosen[CHOOSE_MAX];
    int room_count;
    hawser__v1__located__init(answer);
    const Hawser__Internal__Member **rooms = rooms_of(d, &room_count);
    int n = choose_rooms(rooms, room_count, ask,
                         (uint32_t)config_number(config, "dispatcher.endpoints"), chosen);
    answer->endpoint = arena_calloc(&d->arena, (size_t)n + 1, sizeof(answer->endpoint[0]));
    for (int i = 0; i < n; i++)
        answer->endpoint[answer->n_endpoint++] = endpoint_of(d, &chosen[i]);
    answer->ttl_s = (uint32_t)(config_ms(config, "dispatcher.ttl") / 1000);
    answer->heartbeat_s = (uint32_t)(config_ms(config, "room.heartbeat") / 1000);
    answer->heartbeat_max_s = (uint32_t)(config_ms(config, "room.heartbeat_max") / 1000);
    answer->backoff_base_ms = TOLD_BACKOFF_BASE_MS;
    answer->backoff_cap_ms = TOLD_BACKOFF_CAP_MS;
    d->count.located++;
    if (n == 0) {
        d->count.without_room++;
        answer->error = CLOSE_BUSY;
        answer->reason = (char *)(uintptr_t) "no room can take this device now";
        answer->start_after_ms = NO_ROOM_RETRY_MS;
        answer->ttl_s = 1;
    }
    return answer;
}
