// The memory store: the same rules, forgotten at the end.
#include "memory_internal.h"

struct completion {
    struct completion *next;
    register_done_fn *done;
    void *arg;
    ProtobufCMessage *reply; // owned
};

static const struct {
    int method;
    ProtobufCMessage *(*step)(struct memory_store *m, const ProtobufCMessage *request);
} steps[] = {
    {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_ANNOUNCE, register_memory_announce},
    {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WITHDRAW, register_memory_withdraw},
    {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_WATCH, register_memory_watch},
    {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_PUT, register_memory_catalog_put},
    {HAWSER__INTERNAL__CLUSTER_METHOD__CLUSTER_CATALOG_GET, register_memory_catalog_get},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_LOGIN, register_memory_login},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_DROP, register_memory_drop},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_CONFIRM, register_memory_confirm},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_TAKEOVER, register_memory_takeover},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_FIND, register_memory_find},
    {HAWSER__INTERNAL__REGISTER_METHOD__REGISTER_ONLINE, register_memory_online},
};

uint64_t register_memory_now_ms(const struct memory_store *m) {
    return m->clock_offset_ms + loop_now_ms(m->loop);
}

static void complete_all(struct memory_store *m, int error) {
    while (m->completions) {
        struct completion *c = m->completions;
        m->completions = c->next;
        if (!m->completions)
            m->completions_end = &m->completions;
        c->done(c->arg, error, error ? NULL : c->reply);
        protobuf_c_message_free_unpacked(c->reply, NULL);
        free(c);
    }
}

static void on_hook(struct hook *h) {
    complete_all(container_of(h, struct memory_store, complete), 0);
}

static void call(struct register_store *s, int method, const ProtobufCMessage *request,
                 register_done_fn *done, void *arg) {
    struct memory_store *m = (struct memory_store *)s;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].method != method)
            continue;
        struct completion *c = hw_calloc(1, sizeof(*c));
        register_memory_note_time(m);
        *c = (struct completion){.done = done, .arg = arg, .reply = steps[i].step(m, request)};
        *m->completions_end = c;
        m->completions_end = &c->next;
        hook_schedule(m->loop, &m->complete, on_hook);
        return;
    }
    abort(); // the service's table and this one are written in the source
}

static const char *down_reason(struct register_store *s) {
    (void)s;
    return NULL;
}

static void memory_free(struct register_store *s) {
    struct memory_store *m = (struct memory_store *)s;
    complete_all(m, -HW_ECANCELLED);
    hook_stop(&m->complete);
    register_memory_directory_free(m);
    register_memory_sessions_free(m);
    free(m);
}

static const struct register_store_ops ops = {
    .call = call, .down_reason = down_reason, .free = memory_free};

static void take_epochs(struct memory_store *m) {
    m->run_ms = register_memory_now_ms(m);
    m->directory_epoch = rng_epoch(loop_rng(m->loop));
    m->catalog_epoch = rng_epoch(loop_rng(m->loop));
    m->index_epoch = rng_epoch(loop_rng(m->loop));
}

void register_store_memory_next_run(struct register_store *s) {
    take_epochs((struct memory_store *)s);
}

struct register_store *register_store_memory(struct loop *l) {
    struct memory_store *m = hw_calloc(1, sizeof(*m));
    m->store.ops = &ops;
    m->loop = l;
    m->completions_end = &m->completions;
    m->clock_offset_ms = loop_wall_ms(l) - loop_now_ms(l);
    take_epochs(m);
    for (size_t i = 0; i < sizeof(m->hash_key); i++)
        m->hash_key[i] = (uint8_t)os_random(loop_os(l));
    return &m->store;
}
