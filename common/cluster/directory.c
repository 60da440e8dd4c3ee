// The live daemons, and links to those that somebody talks to.
#include "addr.h"
#include "cluster_internal.h"
#include "crypto.h"
#include "message.h"

enum { STORE_FAILED_MS = 1000 }; // how long one without a store is passed over

static struct member_entry *member_entry_find(const struct cluster *c, uint64_t incarnation) {
    struct member_entry *e = NULL;
    HASH_FIND(hh, c->members, &incarnation, sizeof(incarnation), e);
    return e;
}

static void member_entry_free(struct member_entry *e) {
    rpc_link_free(e->link);
    hawser__internal__member__free_unpacked(e->member, NULL);
    free(e);
}

static void member_learn(struct cluster *c, const Hawser__Internal__Member *m) {
    struct member_entry *e = member_entry_find(c, m->incarnation);
    if (!e) {
        e = hw_calloc(1, sizeof(*e));
        e->incarnation = m->incarnation;
        HASH_ADD(hh, c->members, incarnation, sizeof(e->incarnation), e);
    } else {
        hawser__internal__member__free_unpacked(e->member, NULL);
    }
    e->member = (Hawser__Internal__Member *)message_copy(&m->base);
    if (c->options.on_member)
        c->options.on_member(c->options.arg, e->member);
}

// A member is out of the directory before anybody hears of it, and its link's calls are cancelled
// after.
static void member_gone(struct cluster *c, struct member_entry *e, bool clean) {
    HASH_DEL(c->members, e);
    if (c->options.on_member_gone)
        c->options.on_member_gone(c->options.arg, e->member, clean);
    member_entry_free(e);
}

static bool is_listed(const Hawser__Internal__WatchReply *reply, uint64_t incarnation) {
    for (size_t i = 0; i < reply->n_member; i++)
        if (reply->member[i]->incarnation == incarnation)
            return true;
    return false;
}

void directory_apply(struct cluster *c, const Hawser__Internal__WatchReply *reply) {
    for (size_t i = 0; i < reply->n_gone; i++) {
        struct member_entry *e = member_entry_find(c, reply->gone[i]->incarnation);
        if (e)
            member_gone(c, e, reply->gone[i]->clean);
    }
    if (reply->directory_whole) {
        struct member_entry *e, *next;
        HASH_ITER(hh, c->members, e, next)
            if (!is_listed(reply, e->incarnation))
                member_gone(c, e, false);
    }
    for (size_t i = 0; i < reply->n_member; i++)
        member_learn(c, reply->member[i]);
    c->directory_epoch = reply->directory_epoch;
    c->directory_version = reply->directory_version;
}

void directory_free(struct cluster *c) {
    struct member_entry *e, *next;
    HASH_ITER(hh, c->members, e, next) {
        HASH_DEL(c->members, e);
        member_entry_free(e);
    }
}

const Hawser__Internal__Member *cluster_member_next(const struct cluster *c, const char *role,
                                                    const Hawser__Internal__Member *after) {
    const struct member_entry *e = after ? member_entry_find(c, after->incarnation) : NULL;
    for (e = after ? (e ? e->hh.next : NULL) : c->members; e; e = e->hh.next)
        if (strcmp(e->member->role, role) == 0)
            return e->member;
    return NULL;
}

// The keys of a peer that says nothing are another's for now, and so is what waits for it.
static void on_member_silent(void *arg, struct rpc_link *link) {
    const struct cluster *c = arg;
    const struct member_entry *e = c->members;
    while (e && e->link != link)
        e = e->hh.next;
    const char *role = e ? e->member->role : "";
    for (e = c->members; e; e = e->hh.next)
        if (strcmp(e->member->role, role) == 0 && e->link && link_state_of(e->link) == LINK_UP) {
            rpc_link_give_up_repeatable(link);
            return;
        }
}

static struct rpc_link *member_entry_link(struct cluster *c, struct member_entry *e) {
    struct host_port at;
    if (e->link || host_port_parse(e->member->rpc, false, &at) != 0)
        return e->link;
    e->link = rpc_link_new(c->options.loop, c->options.self, c->options.log,
                           &(struct rpc_link_options){.host = at.host,
                                                      .port = at.port,
                                                      .peer_role = e->member->role,
                                                      .peer_incarnation = e->incarnation,
                                                      .on_silent = on_member_silent,
                                                      .arg = c});
    return e->link;
}

struct rpc_link *cluster_peer(struct cluster *c, uint64_t incarnation) {
    struct member_entry *e = member_entry_find(c, incarnation);
    return e ? member_entry_link(c, e) : NULL;
}

void directory_store_failed(struct cluster *c, const struct rpc_link *link) {
    struct member_entry *e = c->members;
    while (e && e->link != link)
        e = e->hh.next;
    if (e && link)
        e->failed_ms = loop_now_ms(c->options.loop);
}

// One whose store has failed it just now is worse than one that has a store, as far as is known.
static int member_rank(const struct cluster *c, const struct member_entry *e) {
    bool has_failed =
        e->failed_ms != 0 && loop_now_ms(c->options.loop) < e->failed_ms + STORE_FAILED_MS;
    return 2 * (int)link_state_of(e->link) + (has_failed ? 0 : 1);
}

// Rendezvous hashing among the best: a member that does not answer, or has no store, loses its keys
// to the next.
struct rpc_link *cluster_pick(struct cluster *c, const char *role, uint64_t key) {
    static const uint8_t hash_key[16] = "hawser-pick-1";
    struct rpc_link *best = NULL;
    uint64_t best_score = 0;
    int best_rank = 0;
    for (struct member_entry *e = c->members; e; e = e->hh.next) {
        if (strcmp(e->member->role, role) != 0 || !member_entry_link(c, e))
            continue;
        uint64_t pair[2] = {key, e->incarnation}, score = siphash(hash_key, pair, sizeof(pair));
        int rank = member_rank(c, e);
        if (best && (best_rank > rank || (best_rank == rank && best_score >= score)))
            continue;
        best = e->link;
        best_score = score;
        best_rank = rank;
    }
    return best;
}
