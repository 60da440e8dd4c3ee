// Watches wait here until something is newer than what they know, at most 5 s. One poll of the
// store serves all that know what it began from; what another one lacks is read for it.
#include "register_internal.h"

enum { WATCH_POLL_MS = 100, WATCH_MAX_MS = 5000 };

struct watcher {
    struct watcher *next, *prev;
    struct registry *registry; // NULL: the register is ending
    struct rpc_call *call;
    Hawser__Internal__WatchRequest request;
    uint64_t until_ms;
    bool reading, read_again;
};

static bool is_news(const Hawser__Internal__WatchReply *reply) {
    return reply->n_member + reply->n_gone + reply->n_entry > 0 || reply->directory_whole ||
           reply->catalog_whole || reply->more;
}

static void remove_watcher(struct watcher *w) {
    struct registry *r = w->registry;
    *(w->prev ? &w->prev->next : &r->watchers) = w->next;
    if (w->next)
        w->next->prev = w->prev;
}

// What the poll began from: its answer is what such a watcher lacks.
static bool knows_what_poll_knew(const struct registry *r, const struct watcher *w) {
    const Hawser__Internal__WatchRequest *a = &w->request, *b = &r->seen;
    return !w->reading && a->directory_epoch == b->directory_epoch &&
           a->directory_version == b->directory_version && a->catalog_epoch == b->catalog_epoch &&
           a->catalog_version == b->catalog_version;
}

static void read_for(struct watcher *w);

static void on_read(void *arg, int error, const ProtobufCMessage *message) {
    struct watcher *w = arg;
    const Hawser__Internal__WatchReply *reply = (const Hawser__Internal__WatchReply *)message;
    struct registry *r = w->registry;
    w->reading = false;
    if (!reply) {
        rpc_fail(w->call, error);
    } else if (reply->catalog_epoch == 0) { // it would take nothing for all there is
        rpc_fail(w->call, -HW_ELOADING);
    } else if (is_news(reply) || loop_now_ms(r->loop) >= w->until_ms) {
        rpc_reply(w->call, message);
    } else {
        if (w->read_again)
            read_for(w);
        return;
    }
    remove_watcher(w);
    free(w);
}

static void read_for(struct watcher *w) {
    w->read_again = w->reading;
    if (w->reading)
        return;
    w->reading = true;
    store_call(w->registry->store, &w->request.base, on_read, w);
}

void watchers_add(struct registry *r, const Hawser__Internal__WatchRequest *request,
                  struct rpc_call *call) {
    struct watcher *w = hw_calloc(1, sizeof(*w));
    w->registry = r;
    w->call = call;
    w->request = *request; // numbers alone; what a newer daemon says besides is not ours
    w->request.base.n_unknown_fields = 0;
    w->request.base.unknown_fields = NULL;
    w->until_ms = loop_now_ms(r->loop) + WATCH_MAX_MS;
    w->next = r->watchers;
    if (w->next)
        w->next->prev = w;
    r->watchers = w;
    bool knows_a_catalog = w->request.catalog_epoch != 0;
    if (!r->polls || !knows_a_catalog || !knows_what_poll_knew(r, w)) // else the next poll tells
        read_for(w);
}

// --- the poll

// With news all of them, else those whose time is up.
static void serve_from_poll(struct registry *r, const ProtobufCMessage *message, bool is_of_news) {
    uint64_t now = loop_now_ms(r->loop);
    for (struct watcher *w = r->watchers, *next; w; w = next) {
        next = w->next;
        if (!knows_what_poll_knew(r, w) || (!is_of_news && now < w->until_ms))
            continue;
        rpc_reply(w->call, message);
        remove_watcher(w);
        free(w);
    }
}

static void on_polled(void *arg, int error, const ProtobufCMessage *message) {
    struct registry *r = arg;
    const Hawser__Internal__WatchReply *reply = (const Hawser__Internal__WatchReply *)message;
    (void)error;
    r->polling = false;
    r->polls = reply != NULL;
    if (!reply)
        return;
    bool news = is_news(reply);
    serve_from_poll(r, message, news);
    held_seen(r, reply);
    r->seen.directory_epoch = reply->directory_epoch;
    r->seen.directory_version = reply->directory_version;
    r->seen.catalog_epoch = reply->catalog_epoch;
    r->seen.catalog_version = reply->catalog_version;
    for (struct watcher *w = r->watchers; w; w = w->next)
        if (news || loop_now_ms(r->loop) >= w->until_ms)
            read_for(w);
    if (r->poll_again)
        watchers_poll(r);
}

void watchers_poll(struct registry *r) {
    r->poll_again = r->polling;
    if (r->polling)
        return;
    r->polling = true;
    store_call(r->store, &r->seen.base, on_polled, r);
}

void watchers_tick(struct timer *t) {
    struct registry *r = container_of(t, struct registry, poll);
    loop_arm(r->loop, &r->poll, WATCH_POLL_MS, watchers_tick);
    held_write_back(r);
    watchers_poll(r);
}

// After the store is gone, whose calls were cancelled.
void watchers_free(struct registry *r) {
    loop_disarm(r->loop, &r->poll);
    while (r->watchers) {
        struct watcher *w = r->watchers;
        remove_watcher(w);
        rpc_fail(w->call, -HW_ECANCELLED);
        free(w);
    }
}
