// The cluster: its daemons, as the directory has them, and the drain of a room.
#include "fields.h"
#include "handlers.h"
#include "request.h"
#include "texts.h"

static const char *const roles[] = {"register",    "saver",      "center",
                                    "coordinator", "dispatcher", "room"};

static json_t *endpoints_json(const Hawser__Internal__Member *m) {
    json_t *list = json_array();
    for (size_t i = 0; i < m->n_endpoint; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:i, s:o}", "host", text_json(m->endpoint[i]->host), "port",
                            (int)m->endpoint[i]->port, "idc", text_json(m->endpoint[i]->idc)));
    return list;
}

static json_t *member_json(const Hawser__Internal__Member *m) {
    char incarnation[24];
    snprintf(incarnation, sizeof(incarnation), "%llu", (unsigned long long)m->incarnation);
    const char *health = m->draining ? "draining" : *m->unhealthy ? m->unhealthy : "ok";
    json_t *one = json_pack("{s:o, s:o, s:s, s:o, s:f, s:I, s:o, s:i, s:o}", "role",
                            text_json(m->role), "id", text_json(m->id), "incarnation", incarnation,
                            "health", text_json(health), "load", m->load / 10000.0, "sessions",
                            (json_int_t)m->sessions, "build", text_json(m->build), "protocol_minor",
                            (int)m->protocol_minor, "started_at", time_json(m->started_ms));
    if (m->sessions_max)
        json_object_set_new(
            one, "headroom",
            json_integer(
                (json_int_t)(m->sessions_max -
                             (m->sessions < m->sessions_max ? m->sessions : m->sessions_max))));
    if (m->n_endpoint)
        json_object_set_new(one, "endpoints", endpoints_json(m));
    if (*m->rpc)
        json_object_set_new(one, "rpc", text_json(m->rpc));
    if (*m->http)
        json_object_set_new(one, "http", text_json(m->http));
    return one;
}

void handle_cluster(struct request *q) {
    json_t *items = json_array();
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        const Hawser__Internal__Member *m = NULL;
        while ((m = cluster_member_next(q->center->cluster, roles[i], m)) != NULL)
            json_array_append_new(items, member_json(m));
    }
    reply_list(q, items, NULL);
}

static void on_draining(void *arg, int error, const Hawser__Internal__DrainReply *reply) {
    struct request *q = arg;
    (void)reply;
    if (error != 0)
        reply_unanswered(q, "room", error);
    else
        reply_json(q, 202,
                   json_pack("{s:o, s:s}", "id", text_json(q->segments[2]), "health", "draining"));
}

void handle_drain(struct request *q) {
    static const char *const names[] = {"within_s", NULL};
    Hawser__Internal__DrainRequest request = HAWSER__INTERNAL__DRAIN_REQUEST__INIT;
    const Hawser__Internal__Member *m = NULL;
    struct problem p = {0};
    uint64_t within_s = 60;
    const struct fields in = {q->reader.root, "", &p};
    if (!fields_known(&in, names) ||
        !field_number(&in, "within_s", (struct range){1, 3600}, &within_s)) {
        reply_problem(q, &p);
        return;
    }
    while ((m = cluster_member_next(q->center->cluster, "room", m)) != NULL)
        if (strcmp(m->id, q->segments[2]) == 0)
            break;
    if (!m) {
        reply_fault(q, PROBLEM_not_found, NULL, "no room '%.100s'", q->segments[2]);
        return;
    }
    request.within_ms = (uint32_t)(within_s * 1000);
    struct peer room = room_of(q->center->cluster, m->incarnation);
    q->was_up = peer_is_up(room);
    room_drain(room, &request, on_draining, q);
}
