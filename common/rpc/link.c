// The calling side. A call waits in its method's batch until the flush gives it an id, then in the
// ring of calls in flight by that id, until its reply, its deadline or the link's end completes it.
//
//   DOWN --connect--> (resolving) --> connecting, hand-shake --> UP
//     ^---------- backoff with full jitter ------- any end ------'
#include <assert.h>

#include "addr.h"
#include "backoff.h"
#include "channel.h"

enum {
    LINK_LOOK_MS = 100,
    SILENT_AFTER_MS = 300, // not heard since it was asked
    RING_FIRST = 64,
    IN_FLIGHT_DEFAULT = 8 * 1024 * 1024,
    METHODS_MAX = 64
};

struct pending {
    struct pending *next; // in its batch, or in the failed list
    struct rpc_link *link;
    struct timer deadline;
    rpc_done_fn *done;
    void *arg;
    size_t bytes;
    uint32_t call;
    uint16_t method;
    bool sent; // has its id and stands in the ring
    enum call_kind kind;
    int error; // for the failed list
};

struct batch {
    uint16_t method;
    struct pending *first, **end;
    struct buf items;
};

struct rpc_link {
    struct loop *loop;
    const struct rpc_identity *self;
    struct log *log;
    char *host;      // owned
    char *peer_role; // owned
    struct rpc_link_options options;
    struct channel channel;
    struct os_resolve *resolving;
    struct timer retry;
    struct backoff backoff;
    bool up, ended; // ended: another incarnation answered
    int last_error, logged_error;
    size_t in_flight_bytes, calls, long_calls;
    struct timer look;  // while calls are in flight that are not long
    uint64_t asked_ms;  // by it; 0: the peer has been heard
    uint64_t silent_ms; // when it was found to be silent; it may have been heard since
    uint32_t next_call;
    struct pending **ring; // owned; by call id & (ring_size - 1)
    uint32_t ring_size;
    struct batch batches[METHODS_MAX];
    int batch_count;
    struct pending *failed, **failed_end; // complete in the hook: never before rpc_call returns
    struct hook fail_hook;
};

static void try_connect(struct timer *t);

// --- completing

static void pending_complete(struct pending *p, int error, const uint8_t *body, size_t len) {
    struct rpc_link *link = p->link;
    loop_disarm(link->loop, &p->deadline);
    link->in_flight_bytes -= p->bytes;
    link->calls--;
    link->long_calls -= p->kind == LONG;
    p->done(p->arg, error, body, len);
    free(p);
}

static void run_failed(struct hook *h) {
    struct rpc_link *link = container_of(h, struct rpc_link, fail_hook);
    struct pending *list = link->failed;
    link->failed = NULL;
    link->failed_end = &link->failed;
    // The list is this function's own: a callback that frees the link must not lose or repeat any
    // of them.
    bool was_busy = link->channel.busy;
    link->channel.busy = true;
    while (list) {
        struct pending *p = list;
        list = p->next;
        pending_complete(p, p->error, NULL, 0);
    }
    link->channel.busy = was_busy;
    if (!was_busy && link->channel.free_owner)
        link->channel.free_owner(link);
}

static void fail_later(struct pending *p, int error) {
    struct rpc_link *link = p->link;
    loop_disarm(link->loop, &p->deadline);
    p->error = error;
    p->next = NULL;
    *link->failed_end = p;
    link->failed_end = &p->next;
    hook_schedule(link->loop, &link->fail_hook, run_failed);
}

static void fail_all(struct rpc_link *link, int error) {
    for (uint32_t i = 0; i < link->ring_size; i++) {
        if (link->ring[i])
            fail_later(link->ring[i], error);
        link->ring[i] = NULL;
    }
    for (int i = 0; i < link->batch_count; i++) {
        struct batch *b = &link->batches[i];
        for (struct pending *p = b->first, *next = NULL; p; p = next) {
            next = p->next;
            fail_later(p, error);
        }
        buf_free(&b->items);
        b->first = NULL;
        b->end = &b->first;
    }
}

// --- the ring

static struct pending *ring_take(struct rpc_link *link, uint32_t call) {
    struct pending **at = link->ring_size ? &link->ring[call & (link->ring_size - 1)] : NULL;
    if (!at || !*at || (*at)->call != call)
        return NULL;
    struct pending *p = *at;
    *at = NULL;
    return p;
}

static void ring_grow(struct rpc_link *link) {
    uint32_t size = link->ring_size ? link->ring_size * 2 : RING_FIRST;
    struct pending **ring = hw_calloc(size, sizeof(struct pending *));
    for (uint32_t i = 0; i < link->ring_size; i++)
        if (link->ring[i])
            ring[link->ring[i]->call & (size - 1)] = link->ring[i];
    free(link->ring);
    link->ring = ring;
    link->ring_size = size;
}

// Doubling keeps calls apart that were apart, so it ends once the span of ids in flight fits.
static void ring_put(struct rpc_link *link, struct pending *p) {
    while (link->ring_size == 0 || link->ring[p->call & (link->ring_size - 1)])
        ring_grow(link);
    link->ring[p->call & (link->ring_size - 1)] = p;
}

static void on_deadline(struct timer *t) {
    struct pending *p = container_of(t, struct pending, deadline);
    if (!p->sent) {
        // Still batched: it goes out with this iteration's flush, and is looked at once more.
        loop_arm(p->link->loop, t, 1, on_deadline);
        return;
    }
    struct pending *taken = ring_take(p->link, p->call);
    assert(taken == p);
    fail_later(p, -HW_EDEADLINE);
}

// --- silence

bool rpc_link_is_silent(struct rpc_link *link) {
    return link->up && link->silent_ms != 0 && channel_heard_ms(&link->channel) < link->silent_ms;
}

void rpc_link_give_up_repeatable(struct rpc_link *link) {
    for (uint32_t i = 0; i < link->ring_size; i++) {
        struct pending *p = link->ring[i];
        if (!p || p->kind != REPEATABLE)
            continue;
        link->ring[i] = NULL;
        fail_later(p, -HW_EDEADLINE);
    }
}

// Told again and again: another one to ask may be there only now.
static void found_silent(struct rpc_link *link, uint64_t now) {
    if (!rpc_link_is_silent(link))
        log_event(link->log, LOG_WARN, "link silent", "peer=%s host=%s port=%u", link->peer_role,
                  log_quote_str(link->host), link->options.port);
    link->silent_ms = now;
    if (link->options.on_silent)
        link->options.on_silent(link->options.arg, link);
}

static void link_look(struct timer *t) {
    struct rpc_link *link = container_of(t, struct rpc_link, look);
    uint64_t now = loop_now_ms(link->loop);
    bool is_late = now - t->due_ms >= LINK_LOOK_MS; // what it said in our own stall is still unread
    if (!link->up || link->calls == link->long_calls)
        return;
    uint64_t heard_ms = channel_heard_ms(&link->channel);
    loop_arm(link->loop, &link->look, LINK_LOOK_MS, link_look);
    if (is_late || now - heard_ms < LINK_LOOK_MS) {
        link->asked_ms = 0;
    } else if (link->asked_ms <= heard_ms) {
        channel_ask(&link->channel);
        link->asked_ms = now;
    } else if (now - link->asked_ms >= SILENT_AFTER_MS) {
        found_silent(link, now);
    }
}

// --- batches

static void send_batch(struct rpc_link *link, struct batch *b) {
    uint32_t first = link->next_call;
    for (struct pending *p = b->first, *next = NULL; p; p = next) {
        next = p->next;
        p->next = NULL;
        p->call = link->next_call++;
        p->sent = true;
        ring_put(link, p);
    }
    channel_put_batch(&link->channel,
                      &(struct rpc_frame){.kind = RPC_REQUEST, .method = b->method, .call = first},
                      &b->items);
    b->first = NULL;
    b->end = &b->first;
}

static void link_on_flush(void *owner) {
    struct rpc_link *link = owner;
    for (int i = 0; i < link->batch_count; i++)
        if (link->batches[i].first)
            send_batch(link, &link->batches[i]);
}

static struct batch *batch_of(struct rpc_link *link, uint16_t method) {
    for (int i = 0; i < link->batch_count; i++)
        if (link->batches[i].method == method)
            return &link->batches[i];
    assert(link->batch_count < METHODS_MAX);
    struct batch *b = &link->batches[link->batch_count++];
    *b = (struct batch){.method = method};
    b->end = &b->first;
    return b;
}

void rpc_call(struct rpc_link *link, const struct rpc_question *q, rpc_done_fn *done, void *arg) {
    struct pending *p = hw_calloc(1, sizeof(*p));
    *p = (struct pending){
        .link = link, .done = done, .arg = arg, .method = q->method, .kind = q->kind};
    link->calls++;
    link->long_calls += q->kind == LONG;
    if (!link->up) {
        fail_later(p, -HW_ELINK);
        return;
    }
    size_t bytes = protobuf_c_message_get_packed_size(q->request);
    if (link->in_flight_bytes + bytes > link->options.in_flight_bytes_max) {
        fail_later(p, -HW_EBUSY);
        return;
    }
    p->bytes = bytes;
    link->in_flight_bytes += bytes;
    struct batch *b = batch_of(link, q->method);
    rpc_put_request_item(&b->items, q->request);
    *b->end = p;
    b->end = &p->next;
    if (b->items.len >= BATCH_BYTES_MAX)
        send_batch(link, b);
    channel_want_flush(&link->channel);
    loop_arm(link->loop, &p->deadline, q->deadline_ms > 0 ? q->deadline_ms : 1, on_deadline);
    if (q->kind != LONG && !timer_is_armed(&link->look))
        loop_arm(link->loop, &link->look, LINK_LOOK_MS, link_look);
}

static void link_on_reply(void *owner, const Hawser__Internal__RpcReply *reply) {
    struct pending *p = ring_take(owner, reply->call);
    if (!p)
        return; // past its deadline
    // After a sleep the answer may be read before the timer runs.
    if (loop_now_ms(p->link->loop) >= p->deadline.due_ms) {
        fail_later(p, -HW_EDEADLINE);
        return;
    }
    int error = reply->error <= INT32_MAX ? -(int)reply->error : -HW_EMALFORMED;
    static const uint8_t nothing[1];
    pending_complete(p, error,
                     error              ? NULL
                     : reply->body.data ? reply->body.data
                                        : nothing,
                     error ? 0 : reply->body.len);
}

// --- connecting

static void retry_later(struct rpc_link *link) {
    struct loop *l = link->loop;
    loop_arm(l, &link->retry, backoff_wait_ms(&link->backoff, loop_now_ms(l), loop_rng(l)),
             try_connect);
}

static void went_down(struct rpc_link *link, int error) {
    bool was_up = link->up;
    link->up = false;
    link->asked_ms = link->silent_ms = 0;
    link->last_error = error;
    // Once per cause: a peer that is away for an hour is one line.
    if (was_up || error != link->logged_error)
        log_event(link->log, LOG_WARN, "link down", "peer=%s host=%s port=%u reason=\"%s\"",
                  link->peer_role, log_quote_str(link->host), link->options.port,
                  hw_strerror(error));
    link->logged_error = error;
    fail_all(link, -HW_ELINK);
    if (error == -HW_ESTALE)
        link->ended = true;
    else
        retry_later(link);
    if (was_up && link->options.on_state)
        link->options.on_state(link->options.arg, link, false);
}

static void link_on_open(void *owner) {
    struct rpc_link *link = owner;
    uint64_t wanted = link->options.peer_incarnation;
    if (wanted != 0 && link->channel.peer_incarnation != wanted) {
        channel_end(&link->channel, -HW_ESTALE);
        return;
    }
    link->up = true;
    backoff_came_up(&link->backoff, loop_now_ms(link->loop));
    link->last_error = link->logged_error = 0;
    log_event(link->log, LOG_INFO, "link up", "peer=%s host=%s port=%u protocol=%d.%u build=%s",
              link->peer_role, log_quote_str(link->host), link->options.port, RPC_MAJOR,
              link->channel.peer_minor, log_quote_str(link->channel.peer_build));
    if (link->options.on_state)
        link->options.on_state(link->options.arg, link, true);
}

static void link_on_ended(void *owner, int error) {
    went_down(owner, error);
}

static const struct channel_events link_events = {.on_open = link_on_open,
                                                  .on_reply = link_on_reply,
                                                  .on_flush = link_on_flush,
                                                  .on_ended = link_on_ended};

static void link_connect_to(struct rpc_link *link, const struct sock_addr *to) {
    int error = 0;
    static const struct stream_ops not_yet = {.keep_max = 0};
    struct stream *s = stream_connect(link->loop, to, &not_yet, NULL, &error);
    if (s)
        channel_init(&link->channel, &(struct channel_options){.loop = link->loop,
                                                               .self = link->self,
                                                               .stream = s,
                                                               .expected_role = link->peer_role,
                                                               .events = &link_events,
                                                               .owner = link});
    else
        went_down(link, error);
}

static void link_on_resolved(void *arg, int error, const struct sock_addr *addrs, int count) {
    struct rpc_link *link = arg;
    link->resolving = NULL;
    // One address a try, another at the next: a name may have a dead one.
    if (count > 0)
        link_connect_to(link, &addrs[link->backoff.attempts % (uint32_t)count]);
    else
        went_down(link, error);
}

static void try_connect(struct timer *t) {
    struct rpc_link *link = container_of(t, struct rpc_link, retry);
    struct sock_addr to;
    if (sock_addr_parse(link->host, link->options.port, &to) == 0)
        link_connect_to(link, &to);
    else
        link->resolving =
            os_resolve(loop_os(link->loop), link->host, link->options.port, link_on_resolved, link);
}

struct rpc_link *rpc_link_new(struct loop *l, const struct rpc_identity *self, struct log *log,
                              const struct rpc_link_options *o) {
    struct rpc_link *link = hw_calloc(1, sizeof(*link));
    *link = (struct rpc_link){.loop = l,
                              .self = self,
                              .log = log,
                              .host = hw_strdup(o->host),
                              .peer_role = hw_strdup(o->peer_role),
                              .options = *o,
                              .next_call = 1,
                              .last_error = -HW_ELINK};
    link->options.host = link->host;
    link->options.peer_role = link->peer_role;
    if (o->in_flight_bytes_max == 0)
        link->options.in_flight_bytes_max = IN_FLIGHT_DEFAULT;
    link->failed_end = &link->failed;
    link->channel.options.owner = link;
    loop_arm(l, &link->retry, 0, try_connect);
    return link;
}

static void free_link(void *owner) {
    struct rpc_link *link = owner;
    for (int i = 0; i < link->batch_count; i++)
        buf_free(&link->batches[i].items);
    free(link->ring);
    free(link->host);
    free(link->peer_role);
    free(link);
}

void rpc_link_free(struct rpc_link *link) {
    if (!link)
        return;
    loop_disarm(link->loop, &link->retry);
    loop_disarm(link->loop, &link->look);
    if (link->resolving)
        os_resolve_cancel(loop_os(link->loop), link->resolving);
    link->resolving = NULL;
    link->up = false;
    fail_all(link, -HW_ECANCELLED);
    while (link->failed) {
        struct pending *p = link->failed;
        link->failed = p->next;
        pending_complete(p, -HW_ECANCELLED, NULL, 0);
    }
    link->failed_end = &link->failed;
    hook_stop(&link->fail_hook);
    channel_give_up(&link->channel, free_link);
}

bool rpc_link_is_up(const struct rpc_link *link) {
    return link->up;
}

uint64_t rpc_link_peer_incarnation(const struct rpc_link *link) {
    return link->up ? link->channel.peer_incarnation : 0;
}

const char *rpc_link_last_error(const struct rpc_link *link) {
    return hw_strerror(link->last_error);
}

size_t rpc_link_in_flight(const struct rpc_link *link) {
    return link->calls;
}
