#include "store.h"

#include <assert.h>

#include "buf.h"
#include "message.h"
#include "store_step.h"

// --- steps

static struct store_method method_of(const struct store_kind *kind,
                                     const ProtobufCMessageDescriptor *request) {
    for (size_t i = 0; i < kind->method_count; i++)
        if (kind->methods[i].request == request)
            return kind->methods[i];
    if (!kind->other)
        abort(); // whoever serves the methods and the kind's table have them from one list
    return (struct store_method){request->short_name, request, kind->other};
}

static void begin_step(struct store_step *p, const struct store_method *m,
                       const ProtobufCMessage *request) {
    if (p->store->kind->before_step)
        p->store->kind->before_step(p->store);
    m->begin(p, request);
}

void store_call(struct store *s, const ProtobufCMessage *request, store_done_fn *done, void *arg) {
    const struct store_kind *kind = s->kind;
    const struct store_method m = method_of(kind, request->descriptor);
    struct store_step *p = hw_calloc(1, kind->step_bytes ? kind->step_bytes : sizeof(*p));
    p->store = s;
    p->name = m.name;
    p->done = done;
    p->arg = arg;
    p->is_beginning = true;
    TAILQ_INSERT_TAIL(&s->begun, p, link);
    if (s->is_ending) // a caller that hears of the end of its step may begin another one
        store_step_complete(p, -HW_ECANCELLED, NULL);
    else
        begin_step(p, &m, request);
    p->is_beginning = false;
}

static void step_end(struct store_step *p, int error, const ProtobufCMessage *reply) {
    struct store *s = p->store;
    if (p->is_answered)
        TAILQ_REMOVE(&s->answered, p, link);
    else
        TAILQ_REMOVE(&s->begun, p, link);
    if (s->counts && error != 0 && error != -HW_ECANCELLED) {
        s->counts->errors++;
        s->counts->outcome_unknown += error == -HW_EOUTCOME ? 1 : 0;
    }
    p->done(p->arg, error, error ? NULL : reply);
    if (p->request)
        protobuf_c_message_free_unpacked(p->request, NULL);
    if (p->reply)
        protobuf_c_message_free_unpacked(p->reply, NULL);
    free(p);
}

static void tell_answered(struct hook *h) {
    struct store *s = container_of(h, struct store, tell);
    for (struct store_step *p; (p = TAILQ_FIRST(&s->answered)) != NULL;)
        step_end(p, p->error, p->reply);
}

void store_step_keep(struct store_step *p, const ProtobufCMessage *request) {
    p->request = message_copy(request);
}

void store_step_complete(struct store_step *p, int error, ProtobufCMessage *reply) {
    struct store *s = p->store;
    assert(!p->is_answered);
    if (p->reply && p->reply != reply)
        protobuf_c_message_free_unpacked(p->reply, NULL);
    p->reply = reply;
    if (!p->is_beginning) {
        step_end(p, error, reply);
        return;
    }
    p->error = error;
    p->is_answered = true;
    TAILQ_REMOVE(&s->begun, p, link);
    TAILQ_INSERT_TAIL(&s->answered, p, link);
    hook_schedule(s->loop, &s->tell, tell_answered);
}

static void on_passed(void *arg, int error, const ProtobufCMessage *reply) {
    step_end(arg, error, reply);
}

void store_step_pass(struct store_step *p, struct store *to, const ProtobufCMessage *request) {
    store_call(to, request, on_passed, p);
}

// --- the store

void store_init(struct store *s, const struct store_kind *kind, struct loop *l) {
    s->kind = kind;
    s->loop = l;
    s->is_in_memory = kind->is_in_memory;
    TAILQ_INIT(&s->begun);
    TAILQ_INIT(&s->answered);
}

void store_count_into(struct store *s, struct store_counts *counts) {
    s->counts = counts;
}

static struct store *down_part(struct store *s) {
    while (s->kind->down_part)
        s = s->kind->down_part(s);
    return s;
}

// A pair may know more than its part does.
static struct store *who_knows(struct store *s) {
    while (!s->kind->down_reason && s->kind->down_part)
        s = s->kind->down_part(s);
    return s;
}

const char *store_down_reason(struct store *s) {
    struct store *part = who_knows(s);
    return part->kind->down_reason ? part->kind->down_reason(part) : NULL;
}

bool store_is_coming(struct store *s) {
    struct store *part = who_knows(s);
    return part->kind->is_coming && part->kind->is_coming(part);
}

const char *store_opened_by(struct store *s) {
    return down_part(s)->opened_by;
}

uint64_t store_ups(struct store *s) {
    struct store *part = down_part(s);
    return part->kind->ups ? part->kind->ups(part) : 0;
}

bool store_is_in_memory(const struct store *s) {
    return s->is_in_memory;
}

void store_free(struct store *s) {
    s->is_ending = true;
    if (s->kind->stop)
        s->kind->stop(s);
    for (struct store_step *p; (p = TAILQ_FIRST(&s->answered)) || (p = TAILQ_FIRST(&s->begun));)
        step_end(p, -HW_ECANCELLED, NULL);
    hook_stop(&s->tell);
    if (s->kind->deinit)
        s->kind->deinit(s);
    free(s->opened_by);
    free(s);
}
