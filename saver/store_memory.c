// The memory store: the same rules, forgotten at the end.
#include "memory_internal.h"

struct completion {
    struct completion *next;
    saver_done_fn *done;
    void *arg;
    ProtobufCMessage *reply; // owned
};

static const struct {
    int method;
    ProtobufCMessage *(*step)(struct memory_store *m, const ProtobufCMessage *request);
} steps[] = {
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_APPEND, saver_memory_append},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_LOAD, saver_memory_load},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_HEAD, saver_memory_head},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_PRODUCT_HEADS, saver_memory_product_heads},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_ATTACH, saver_memory_attach},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_ACK, saver_memory_ack},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_SUMS, saver_memory_sums},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_STATS, saver_memory_stats},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_USER, saver_memory_user},
    {HAWSER__INTERNAL__SAVER_METHOD__SAVER_CLOCK, saver_memory_clock},
};

uint64_t saver_memory_now_ms(const struct memory_store *m) {
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

static void call(struct saver_store *s, int method, const ProtobufCMessage *request,
                 saver_done_fn *done, void *arg) {
    struct memory_store *m = (struct memory_store *)s;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (steps[i].method != method)
            continue;
        struct completion *c = hw_calloc(1, sizeof(*c));
        *c = (struct completion){.done = done, .arg = arg, .reply = steps[i].step(m, request)};
        *m->completions_end = c;
        m->completions_end = &c->next;
        hook_schedule(m->loop, &m->complete, on_hook);
        return;
    }
    abort(); // the service's table and this one are written in the source
}

static const char *down_reason(struct saver_store *s) {
    (void)s;
    return NULL;
}

static void memory_free(struct saver_store *s) {
    struct memory_store *m = (struct memory_store *)s;
    complete_all(m, -HW_ECANCELLED);
    hook_stop(&m->complete);
    saver_memory_ids_free(m);
    saver_memory_logs_free(m);
    free(m);
}

static const struct saver_store_ops ops = {
    .call = call, .down_reason = down_reason, .free = memory_free};

void saver_store_memory_next_run(struct saver_store *s) {
    ((struct memory_store *)s)->run++;
}

struct saver_store *saver_store_memory(struct loop *l) {
    struct memory_store *m = hw_calloc(1, sizeof(*m));
    m->store.ops = &ops;
    m->loop = l;
    m->run = 1;
    m->completions_end = &m->completions;
    m->clock_offset_ms = loop_wall_ms(l) - loop_now_ms(l);
    for (size_t i = 0; i < sizeof(m->hash_key); i++)
        m->hash_key[i] = (uint8_t)os_random(loop_os(l));
    return &m->store;
}
