// The client's shell: sockets, names and time for the core, on common/net. The shell decides
// nothing: after every call into the core, `pump` does what the core asks for.
#include "client_shell.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

#include "client_core.h"
#include "stream.h"

enum {
    ADDRS_MAX = 8,
    UNREAD_MAX = 1024 * 1024, // bytes the peer does not read: then the connection is of no use
    BYE_LINGER_MS = 1000,
};

struct hawser_client {
    struct loop *loop;            // borrowed, or own_loop
    struct os *own_os;            // owned; NULL on a foreign loop
    struct loop *own_loop;        // owned; NULL on a foreign loop
    struct position_store *store; // borrowed, or own_store
    struct position_store *own_store;
    struct client_core *core; // owned
    struct stream *stream;    // owned: the connection, also while connecting
    struct stream *leaving;   // owned: closed by us, its last bytes are on their way
    struct os_resolve *resolve;
    struct sock_addr addrs[ADDRS_MAX]; // of the name; those before addr_next were tried
    int addr_count, addr_next;
    struct timer wakeup;
    struct hook failed; // a connect that failed at once is reported outside of pump
    char failed_reason[128];
    atomic_bool stop_wanted;
    bool busy; // inside a call into the core: its callbacks call us
};

static void pump(struct hawser_client *c);

// Around every call into the core. A callback of it that calls back is not the outermost: what it
// leads to is done once the core has finished.
static bool client_enter(struct hawser_client *c) {
    bool outermost = !c->busy;
    c->busy = true;
    return outermost;
}

static void finish(struct hawser_client *c, bool outermost) {
    if (!outermost)
        return;
    c->busy = false;
    pump(c);
}

static uint64_t client_now_ms(const struct hawser_client *c) {
    return loop_now_ms(c->loop);
}

// --- the connection

static void connect_next_addr(struct hawser_client *c);

static void on_connected(void *owner, struct stream *s) {
    struct hawser_client *c = owner;
    (void)s;
    bool outermost = client_enter(c);
    core_connected(c->core, client_now_ms(c));
    finish(c, outermost);
}

static size_t client_on_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    struct hawser_client *c = owner;
    (void)s;
    bool outermost = client_enter(c);
    size_t used = core_received(c->core, client_now_ms(c), data, len);
    finish(c, outermost);
    return used;
}

static void report_lost(struct hawser_client *c, const char *reason) {
    bool outermost = client_enter(c);
    core_lost(c->core, client_now_ms(c), reason);
    finish(c, outermost);
}

static void on_failed(struct hook *h) {
    struct hawser_client *c = container_of(h, struct hawser_client, failed);
    report_lost(c, c->failed_reason);
}

// Later in this iteration: the core is not told while it is being asked what to do.
static void fail_soon(struct hawser_client *c, const char *reason) {
    snprintf(c->failed_reason, sizeof(c->failed_reason), "%s", reason);
    hook_schedule(c->loop, &c->failed, on_failed);
}

static void on_connecting_closed(void *owner, struct stream *s, int error) {
    struct hawser_client *c = owner;
    (void)s;
    c->stream = NULL;
    if (c->addr_next < c->addr_count)
        connect_next_addr(c);
    else
        report_lost(c, hw_strerror(error));
}

static void on_open_closed(void *owner, struct stream *s, int error) {
    struct hawser_client *c = owner;
    (void)s;
    c->stream = NULL;
    report_lost(c, error == 0 ? "the peer ended the connection" : hw_strerror(error));
}

static void on_leaving_closed(void *owner, struct stream *s, int error) {
    struct hawser_client *c = owner;
    (void)error;
    if (c && c->leaving == s)
        c->leaving = NULL;
}

static size_t client_drop_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    (void)s;
    (void)data;
    return len;
}

static const struct stream_ops open_ops = {
    .on_data = client_on_data, .on_closed = on_open_closed, .keep_max = CORE_KEEP_MAX};
static const struct stream_ops leaving_ops = {.on_data = client_drop_data,
                                              .on_closed = on_leaving_closed};

static void on_connecting_connected(void *owner, struct stream *s) {
    stream_set_owner(s, &open_ops, owner);
    on_connected(owner, s);
}

static const struct stream_ops connecting_ops = {.on_connected = on_connecting_connected,
                                                 .on_data = client_on_data,
                                                 .on_closed = on_connecting_closed,
                                                 .keep_max = CORE_KEEP_MAX};

static void connect_next_addr(struct hawser_client *c) {
    int error = -EHOSTUNREACH;
    while (c->addr_next < c->addr_count) {
        const struct sock_addr *to = &c->addrs[c->addr_next++];
        c->stream = stream_connect(c->loop, to, &connecting_ops, c, &error);
        if (c->stream)
            return;
    }
    fail_soon(c, hw_strerror(error));
}

static void client_on_resolved(void *arg, int error, const struct sock_addr *addrs, int count) {
    struct hawser_client *c = arg;
    (void)error;
    c->resolve = NULL;
    c->addr_count = count < ADDRS_MAX ? count : ADDRS_MAX;
    c->addr_next = 0;
    for (int i = 0; i < c->addr_count; i++)
        c->addrs[i] = addrs[i];
    if (c->addr_count > 0)
        connect_next_addr(c);
    else
        fail_soon(c, "the name does not resolve");
}

static void begin_connect(struct hawser_client *c, const struct host_port *to) {
    c->addr_next = 0;
    c->addr_count = sock_addr_parse(to->host, to->port, &c->addrs[0]) == 0;
    if (c->addr_count > 0)
        connect_next_addr(c);
    else
        c->resolve = os_resolve(loop_os(c->loop), to->host, to->port, client_on_resolved, c);
}

// Lets go of the connection, at any stage; its last bytes get a moment to leave.
static void client_leave(struct hawser_client *c) {
    hook_stop(&c->failed);
    if (c->resolve)
        os_resolve_cancel(loop_os(c->loop), c->resolve);
    c->resolve = NULL;
    c->addr_count = c->addr_next = 0;
    struct stream *s = c->stream;
    if (!s)
        return;
    c->stream = NULL;
    if (c->leaving) {
        stream_set_owner(c->leaving, &leaving_ops, NULL);
        stream_end(c->leaving, 0);
    }
    c->leaving = s;
    stream_set_owner(s, &leaving_ops, c);
    stream_end_after_flush(s, BYE_LINGER_MS, 0);
}

// --- what the core asks for

static void on_wakeup(struct timer *t) {
    struct hawser_client *c = container_of(t, struct hawser_client, wakeup);
    bool outermost = client_enter(c);
    core_tick(c->core, client_now_ms(c));
    finish(c, outermost);
}

static void arm_wakeup(struct hawser_client *c) {
    uint64_t due = core_next_wakeup_ms(c->core), now = client_now_ms(c);
    if (due == UINT64_MAX)
        loop_disarm(c->loop, &c->wakeup);
    else
        loop_arm(c->loop, &c->wakeup, due > now ? due - now : 0, on_wakeup);
}

static void send_output(struct hawser_client *c) {
    struct buf *out = core_output(c->core);
    if (c->stream && out->len > 0) {
        stream_send(c->stream, out->data, out->len);
        if (stream_held(c->stream) > UNREAD_MAX)
            stream_end(c->stream, -HW_ETOOBIG);
    }
    // What is rare and large does not stay.
    if (out->capacity > CORE_KEEP_MAX)
        buf_free(out);
    else
        buf_reset(out);
}

static void pump(struct hawser_client *c) {
    struct host_port to;
    send_output(c);
    if (core_take_close(c->core))
        client_leave(c);
    if (core_take_connect(c->core, &to))
        begin_connect(c, &to);
    arm_wakeup(c);
}

// --- life

static struct position_store *open_store(const struct hawser_options *o, char *error,
                                         size_t error_len) {
    return o->positions_path ? positions_file_new(o->positions_path, error, error_len)
                             : positions_memory_new();
}

struct hawser_client *hawser_client_new_on(struct loop *loop, const struct hawser_options *options,
                                           struct position_store *store, char *error,
                                           size_t error_len) {
    struct position_store *own = store ? NULL : open_store(options, error, error_len);
    if (!store && !own)
        return NULL;
    if (own)
        store = own;
    struct core_host host = {store, loop_rng(loop), loop_now_ms(loop)};
    struct client_core *core = core_new(options, host, error, error_len);
    if (!core) {
        if (own)
            own->close(own);
        return NULL;
    }
    struct hawser_client *c = hw_calloc(1, sizeof(*c));
    c->loop = loop;
    c->store = store;
    c->own_store = own;
    c->core = core;
    return c;
}

struct hawser_client *hawser_new(const struct hawser_options *options, char *error,
                                 size_t error_len) {
    struct os *os = os_new();
    struct loop *loop = loop_new(os);
    struct hawser_client *c = hawser_client_new_on(loop, options, NULL, error, error_len);
    if (!c) {
        (void)loop_free(loop);
        os_free(os);
        return NULL;
    }
    c->own_os = os;
    c->own_loop = loop;
    return c;
}

void hawser_free(struct hawser_client *c) {
    if (!c)
        return;
    client_leave(c);
    if (c->leaving) {
        stream_set_owner(c->leaving, &leaving_ops, NULL);
        stream_end(c->leaving, 0);
    }
    loop_disarm(c->loop, &c->wakeup);
    core_free(c->core);
    if (c->own_store)
        c->own_store->close(c->own_store);
    if (c->own_loop) {
        loop_step(c->own_loop, 0); // deferred closes
        (void)loop_free(c->own_loop);
        os_free(c->own_os);
    }
    free(c);
}

// --- what the user wants

int hawser_bind(struct hawser_client *c, const char *token, const char *const *tags,
                size_t tag_count) {
    bool outermost = client_enter(c);
    int id = core_bind(c->core, client_now_ms(c), token, tags, tag_count);
    finish(c, outermost);
    return id;
}

int hawser_renew(struct hawser_client *c, int binding, const char *token) {
    bool outermost = client_enter(c);
    int error = core_renew(c->core, client_now_ms(c), binding, token);
    finish(c, outermost);
    return error;
}

int hawser_unbind(struct hawser_client *c, int binding) {
    bool outermost = client_enter(c);
    int error = core_unbind(c->core, client_now_ms(c), binding);
    finish(c, outermost);
    return error;
}

void hawser_set_network(struct hawser_client *c, enum hawser_network network) {
    bool outermost = client_enter(c);
    core_set_network(c->core, client_now_ms(c), network);
    finish(c, outermost);
}

int hawser_upstream(struct hawser_client *c, int binding, const char *type,
                    const uint8_t id[HAWSER_UPSTREAM_ID_BYTES], const void *payload,
                    size_t payload_len, bool with_reply) {
    bool outermost = client_enter(c);
    struct core_upstream u = {type, id, payload, payload_len, with_reply};
    int error = core_upstream(c->core, client_now_ms(c), binding, &u);
    finish(c, outermost);
    return error;
}

// Of its own loop the client may be deep inside a callback, another thread or a signal handler, so
// only a flag and a wake-up; on a foreign one a call is a call.
void hawser_stop(struct hawser_client *c) {
    if (c->own_loop) {
        atomic_store(&c->stop_wanted, true);
        os_wake(c->own_os);
        return;
    }
    bool outermost = client_enter(c);
    core_stop(c->core, client_now_ms(c));
    finish(c, outermost);
}

void hawser_start(struct hawser_client *c) {
    bool outermost = client_enter(c);
    core_start(c->core, client_now_ms(c));
    finish(c, outermost);
}

const struct hawser_status *hawser_status_get(const struct hawser_client *c) {
    return core_status(c->core);
}

bool hawser_client_is_done(const struct hawser_client *c) {
    return core_status(c->core)->state == HAWSER_STOPPED && !c->stream && !c->leaving;
}

// --- stepping its own loop

static void take_stop(struct hawser_client *c) {
    if (!atomic_exchange(&c->stop_wanted, false))
        return;
    bool outermost = client_enter(c);
    core_stop(c->core, client_now_ms(c));
    finish(c, outermost);
}

bool hawser_step(struct hawser_client *c, int timeout_ms) {
    assert(c->own_loop);
    take_stop(c);
    if (hawser_client_is_done(c))
        return false;
    loop_step(c->own_loop, timeout_ms);
    take_stop(c);
    return !hawser_client_is_done(c);
}

uint32_t hawser_run(struct hawser_client *c) {
    while (hawser_step(c, -1))
        ;
    return core_status(c->core)->code;
}

int hawser_fd(const struct hawser_client *c) {
    return c->own_os ? os_fd(c->own_os) : -1;
}

int hawser_next_wakeup_ms(const struct hawser_client *c) {
    uint64_t due = loop_next_due_ms(c->loop), now = os_now_ms(loop_os(c->loop));
    if (atomic_load(&c->stop_wanted) || due <= now)
        return 0;
    return due - now < INT32_MAX ? (int)(due - now) : INT32_MAX;
}
