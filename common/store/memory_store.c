#include "memory_store.h"

#include "buf.h"

struct memory_completion {
    struct memory_completion *next;
    store_done_fn *done;
    void *arg;
    ProtobufCMessage *reply; // owned
};

uint64_t memory_store_now_ms(const struct memory_store *m) {
    return m->clock_offset_ms + loop_now_ms(m->loop);
}

static void complete_all(struct memory_store *m, int error) {
    while (m->completions) {
        struct memory_completion *c = m->completions;
        m->completions = c->next;
        if (!m->completions)
            m->completions_end = &m->completions;
        c->done(c->arg, error, error ? NULL : c->reply);
        protobuf_c_message_free_unpacked(c->reply, NULL);
        free(c);
    }
}

static void memory_store_on_hook(struct hook *h) {
    complete_all(container_of(h, struct memory_store, complete), 0);
}

static const struct memory_method *method_of(const struct memory_store *m,
                                             const ProtobufCMessage *request) {
    for (size_t i = 0; i < m->kind->method_count; i++)
        if (m->kind->methods[i].request == request->descriptor)
            return &m->kind->methods[i];
    abort(); // whoever serves the methods and the kind's table have them from one list
}

static void memory_call(struct store *store, const ProtobufCMessage *request, store_done_fn *done,
                        void *arg) {
    struct memory_store *m = (struct memory_store *)store;
    struct memory_completion *c = hw_calloc(1, sizeof(*c));
    c->done = done;
    c->arg = arg;
    if (m->kind->before_step)
        m->kind->before_step(m);
    c->reply = method_of(m, request)->step(m, request);
    *m->completions_end = c;
    m->completions_end = &c->next;
    hook_schedule(m->loop, &m->complete, memory_store_on_hook);
}

static const char *memory_down_reason(struct store *store) {
    (void)store;
    return NULL;
}

static void memory_free(struct store *store) {
    struct memory_store *m = (struct memory_store *)store;
    complete_all(m, -HW_ECANCELLED);
    hook_stop(&m->complete);
    m->kind->deinit(m);
    free(m);
}

static const struct store_ops ops = {
    .call = memory_call, .down_reason = memory_down_reason, .free = memory_free};

void memory_store_init(struct memory_store *m, const struct memory_store_kind *kind,
                       struct loop *l) {
    m->store.ops = &ops;
    m->kind = kind;
    m->loop = l;
    m->completions_end = &m->completions;
    m->clock_offset_ms = loop_wall_ms(l) - loop_now_ms(l);
    for (size_t i = 0; i < sizeof(m->hash_key); i++)
        m->hash_key[i] = (uint8_t)os_random(loop_os(l));
}
