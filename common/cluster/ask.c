// Questions for products that are not known here. One call at a time for each (name, kid), whoever
// asks. A product is unknown when a register says so whose store is settled. Else all must say so:
// where the store lost it the others may still hold it. One that is down, silent or without its
// store is passed over, and what none of the others has is not unknown then. "Unknown" is kept for
// a second, also of a key of a known product, and that nobody can say it for a moment: so clients
// with made-up names cost a register few calls, and at most ASKS_MAX at a time.
#include <assert.h>

#include "calls.h"
#include "cluster_internal.h"

enum { ASKS_MAX = 10000, UNKNOWN_MS = 1000, FAILED_ASK_MS = 100, ASK_KEY_MAX = 72 };

struct waiter {
    struct waiter *next;            // of the same question
    struct waiter *sibling, **link; // of the same asker
    struct asker *asker;
    product_asked_fn *done; // NULL: forgotten
};

struct asker {
    UT_hash_handle hh; // in cluster.askers, by arg
    void *arg;
    struct waiter *waiters;
};

struct ask {
    UT_hash_handle hh;     // in cluster.asks
    char key[ASK_KEY_MAX]; // name, a space, kid
    char name[33], kid[33];
    struct cluster *cluster;
    struct waiter *waiters, **waiters_end;
    // Armed for one of two things. Waiters that no call answers, since the answer is known or since
    // they came while others were told, hear of it in the loop's next iteration. And an answer that
    // is kept ends with it: till then nobody asks anew.
    struct timer end;
    uint64_t kept_until_ms; // 0: there is no answer yet
    uint32_t asked;         // a bit for each register
    int asking;             // the last of them
    int error;
};

static bool has_key(const struct ask *a, const struct product *p) {
    return a->kid[0] == '\0' ||
           product_key_find(p, HAWSER__INTERNAL__KEY_KIND__KEY_TOKEN, a->kid, strlen(a->kid));
}

static const struct product *answer_of(const struct ask *a) {
    const struct product *p = cluster_product_find(a->cluster, a->name, strlen(a->name));
    return p && (has_key(a, p) || a->error == 0) ? p : NULL;
}

static uint64_t kept_ms(const struct ask *a) {
    const struct product *p = answer_of(a);
    return a->error != 0 ? FAILED_ASK_MS : p && has_key(a, p) ? 0 : UNKNOWN_MS;
}

static void waiter_add(struct ask *a, product_asked_fn *done, void *arg) {
    struct asker *asker = NULL;
    struct waiter *w = hw_calloc(1, sizeof(*w));
    HASH_FIND_PTR(a->cluster->askers, &arg, asker);
    if (!asker) {
        asker = hw_calloc(1, sizeof(*asker));
        asker->arg = arg;
        HASH_ADD_PTR(a->cluster->askers, arg, asker);
    }
    *w = (struct waiter){
        .sibling = asker->waiters, .link = &asker->waiters, .asker = asker, .done = done};
    if (w->sibling)
        w->sibling->link = &w->sibling;
    asker->waiters = w;
    *a->waiters_end = w;
    a->waiters_end = &w->next;
}

// Its question goes on without it.
static void waiter_forget(struct cluster *c, struct waiter *w) {
    struct asker *asker = w->asker;
    *w->link = w->sibling;
    if (w->sibling)
        w->sibling->link = w->link;
    w->done = NULL;
    if (asker->waiters)
        return;
    HASH_DEL(c->askers, asker);
    free(asker);
}

static void ask_free(struct ask *a) {
    loop_disarm(a->cluster->options.loop, &a->end);
    HASH_DEL(a->cluster->asks, a);
    while (a->waiters) {
        struct waiter *w = a->waiters;
        a->waiters = w->next;
        if (w->done)
            waiter_forget(a->cluster, w);
        free(w);
    }
    free(a);
}

static void ask_ends(struct timer *t) {
    ask_free(container_of(t, struct ask, end));
}

// Waiters that come while others are told wait for the next time.
static void ask_tell(struct ask *a) {
    const struct product *p = answer_of(a);
    int error = p ? 0 : a->error ? a->error : -HW_EUNKNOWN;
    struct waiter *list = a->waiters;
    a->waiters = NULL;
    a->waiters_end = &a->waiters;
    while (list) {
        struct waiter *w = list;
        list = w->next;
        product_asked_fn *done = w->done;
        void *arg = done ? w->asker->arg : NULL;
        if (done) {
            waiter_forget(a->cluster, w);
            done(arg, error, p);
        }
        free(w);
    }
}

static void ask_settle(struct timer *t) {
    struct ask *a = container_of(t, struct ask, end);
    ask_tell(a);
    uint64_t now_ms = loop_now_ms(a->cluster->options.loop);
    if (a->waiters)
        loop_arm(a->cluster->options.loop, &a->end, 0, ask_settle);
    else if (now_ms < a->kept_until_ms)
        loop_arm(a->cluster->options.loop, &a->end, a->kept_until_ms - now_ms, ask_ends);
    else
        ask_free(a);
}

static void ask_call(struct ask *a, int at);

static bool call_another(struct ask *a) {
    for (int i = 0; i < a->cluster->register_count; i++)
        if (!(a->asked & 1u << i)) {
            ask_call(a, i);
            return true;
        }
    return false;
}

static void on_got(void *arg, int error, const Hawser__Internal__CatalogGetReply *reply) {
    struct ask *a = arg;
    if (a->cluster->ending)
        return; // its link is being freed, and asks_free is next
    bool found = reply && reply->found && reply->entry;
    bool is_unknown = reply && !found && reply->settled;
    bool is_away = link_state_of(a->cluster->registers[a->asking]) != LINK_UP;
    if (found)
        catalog_apply(a->cluster, reply->entry);
    if (found || is_unknown || error != 0) // else one that did not answer before may have it still
        a->error = error == 0 || error == -HW_EDEADLINE ? error : -HW_ELINK;
    bool may_ask = error == 0 || error == -HW_ESTORE || is_away; // else it has taken its time
    if (found || is_unknown || !may_ask || !call_another(a)) {
        a->kept_until_ms = loop_now_ms(a->cluster->options.loop) + kept_ms(a);
        ask_settle(&a->end);
    }
}

static void ask_call(struct ask *a, int at) {
    Hawser__Internal__CatalogGetRequest request = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    char key[48];
    snprintf(key, sizeof(key), "product/%s", a->name);
    request.key = key;
    a->asked |= 1u << at;
    a->asking = at;
    register_catalog_get(peer_by(a->cluster, a->cluster->registers[at]), &request, on_got, a);
}

static void ask_register(struct ask *a) {
    (void)cluster_register(a->cluster);
    ask_call(a, a->cluster->current);
}

static struct ask *ask_new(struct cluster *c, const char *key, const char *name, const char *kid) {
    struct ask *a = hw_calloc(1, sizeof(*a));
    a->cluster = c;
    a->waiters_end = &a->waiters;
    snprintf(a->key, sizeof(a->key), "%s", key);
    snprintf(a->name, sizeof(a->name), "%s", name);
    snprintf(a->kid, sizeof(a->kid), "%s", kid ? kid : "");
    HASH_ADD_STR(c->asks, key, a);
    return a;
}

void cluster_product_ask(struct cluster *c, const char *name, const char *kid,
                         product_asked_fn *done, void *arg) {
    char key[ASK_KEY_MAX];
    struct ask *a = NULL;
    assert(strlen(name) < sizeof(a->name) && (!kid || strlen(kid) < sizeof(a->kid)));
    snprintf(key, sizeof(key), "%s %s", name, kid ? kid : "");
    HASH_FIND_STR(c->asks, key, a);
    bool is_new = a == NULL;
    if (is_new)
        a = ask_new(c, key, name, kid);
    waiter_add(a, done, arg);
    const struct product *p = answer_of(a);
    bool known = p && has_key(a, p);
    if (is_new && !known && HASH_COUNT(c->asks) <= ASKS_MAX) {
        ask_register(a);
    } else if (is_new || a->kept_until_ms != 0) {
        a->error = is_new && !known ? -HW_EBUSY : a->error;
        loop_arm(c->options.loop, &a->end, 0, ask_settle);
    }
}

void cluster_forget(struct cluster *c, const void *arg) {
    struct asker *asker = NULL;
    HASH_FIND_PTR(c->askers, &arg, asker);
    for (struct waiter *w = asker ? asker->waiters : NULL, *next = NULL; w; w = next) {
        next = w->sibling;
        waiter_forget(c, w); // the last one takes the asker along
    }
}

void asks_free(struct cluster *c) {
    struct ask *a, *next;
    HASH_ITER(hh, c->asks, a, next)
        ask_free(a);
}
