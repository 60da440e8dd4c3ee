// A store of a test, asked one step after the other, and short texts for its answers.
#ifndef HW_STORE_BED_H
#define HW_STORE_BED_H

#include <inttypes.h>
#include <stdio.h>

#include "../suite.h"
#include "buf.h"
#include "client.pb-c.h"
#include "loop.h"
#include "message.h"
#include "saver_store.h"

struct bed;
struct store_factory {
    const char *name;
    struct store *(*open)(struct loop *l); // answers when it has returned
    void (*close)(void);                   // after the store is freed; may be NULL
    void (*next_history)(struct bed *b);   // of the data; answers when it has returned
};

struct bed {
    const struct store_factory *factory;
    struct os *os;
    struct loop *loop;
    struct store *store;
    bool answered;
    int error;
    ProtobufCMessage *reply; // owned
    char text[1 << 16];
};

static inline void bed_open(struct bed *b, const struct store_factory *f) {
    *b = (struct bed){.factory = f, .os = os_new()};
    b->loop = loop_new(b->os);
    b->store = f->open(b->loop);
}

static inline void bed_close(struct bed *b) {
    store_free(b->store);
    if (b->reply)
        protobuf_c_message_free_unpacked(b->reply, NULL);
    loop_step(b->loop, 0);
    ck_assert_int_eq(loop_free(b->loop), 0);
    os_free(b->os);
    if (b->factory->close)
        b->factory->close();
}

static inline void bed_on_answer(void *arg, int error, const ProtobufCMessage *reply) {
    struct bed *b = arg;
    ck_assert(!b->answered);
    b->answered = true;
    b->error = error;
    b->reply = reply ? message_copy(reply) : NULL;
}

// One step. The reply is the bed's until the next one; NULL with b->error.
static inline const void *bed_try(struct bed *b, const ProtobufCMessage *request) {
    if (b->reply)
        protobuf_c_message_free_unpacked(b->reply, NULL);
    b->reply = NULL;
    b->answered = false;
    store_call(b->store, request, bed_on_answer, b);
    ck_assert(!b->answered);
    while (!b->answered)
        loop_step(b->loop, -1);
    return b->reply;
}

static inline const void *bed_ask(struct bed *b, const ProtobufCMessage *request) {
    const void *reply = bed_try(b, request);
    ck_assert_msg(b->error == 0, "%s: %s: %d", b->factory->name, request->descriptor->name,
                  b->error);
    return reply;
}

// Which history of the data it is; 0 while the store does not say. Product 99 is nobody's else.
static inline uint64_t bed_history(struct bed *b) {
    Hawser__Internal__ProductHeadsRequest q = HAWSER__INTERNAL__PRODUCT_HEADS_REQUEST__INIT;
    q.product = 99;
    const Hawser__Internal__ProductHeadsReply *reply = bed_try(b, &q.base);
    return reply ? reply->store : 0;
}

static inline void bed_printf(struct bed *b, const char *format, ...) HW_PRINTF(2, 3);
static inline void bed_printf(struct bed *b, const char *format, ...) {
    size_t len = strlen(b->text);
    va_list args;
    va_start(args, format);
    vsnprintf(b->text + len, sizeof(b->text) - len, format, args);
    va_end(args);
}

// --- append

struct push {
    uint32_t product; // 0 = 1
    uint32_t stream;
    const char *user, *id;
    size_t bytes; // of the payload
    uint64_t expires_ms, not_after_ms, id_ttl_ms, ttl_ms;
    bool is_undated;       // the store says when it was sent
    uint64_t sent_ms;      // 0 = 77
    const char *key;       // its collapse key; NULL = none
    const char *hash;      // 16 characters
    const char *device[2]; // "" or NULL = none
    uint64_t messages, limit_bytes, retention_ms, ids_max;
    bool reject_new;
    uint64_t claim;
};

static inline Hawser__Internal__AppendReply bed_append(struct bed *b, const struct push *p) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__InboxLimits limits = HAWSER__INTERNAL__INBOX_LIMITS__INIT;
    char *devices[2] = {(char *)(uintptr_t)p->device[0], (char *)(uintptr_t)p->device[1]};
    q.product = p->product ? p->product : 1;
    q.stream = p->stream;
    q.user = (char *)(uintptr_t)(p->user ? p->user : "");
    q.message = &m;
    q.limits = &limits;
    q.not_after_ms = p->not_after_ms;
    q.id_ttl_ms = p->id_ttl_ms;
    q.claim = p->claim;
    q.ttl_ms = p->ttl_ms;
    q.body_hash = (ProtobufCBinaryData){p->hash ? 16 : 0, (uint8_t *)(uintptr_t)p->hash};
    m.id = (char *)(uintptr_t)p->id;
    m.payload = (ProtobufCBinaryData){p->bytes, hw_calloc(1, p->bytes + 1)};
    m.sent_ms = p->is_undated ? 0 : p->sent_ms ? p->sent_ms : 77;
    m.collapse_key = (char *)(uintptr_t)(p->key ? p->key : "");
    m.expires_ms = p->expires_ms;
    m.device = devices;
    m.n_device = p->device[0] ? p->device[1] ? 2 : 1 : 0;
    limits.messages = p->messages ? p->messages : 1000;
    limits.bytes = p->limit_bytes ? p->limit_bytes : 4 * 1024 * 1024;
    limits.retention_ms = p->retention_ms;
    limits.ids_max = p->ids_max;
    limits.reject_new = p->reject_new;
    const Hawser__Internal__AppendReply *reply = bed_ask(b, &q.base);
    free(m.payload.data);
    return *reply;
}

#define OUTCOME(name) ((int)HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_##name)

// Appends and expects that it is stored; its seq.
static inline uint64_t bed_store(struct bed *b, const struct push *p) {
    Hawser__Internal__AppendReply reply = bed_append(b, p);
    ck_assert_int_eq(reply.outcome, OUTCOME(STORED));
    return reply.seq;
}

// --- read

struct view {
    uint32_t stream;
    const char *user, *device;
    uint64_t epoch, after; // epoch 0 = the log's
    uint32_t messages_max, bytes_max;
};

static inline Hawser__Internal__HeadReply bed_head(struct bed *b, uint32_t stream,
                                                   const char *user) {
    if (stream == STREAM_INBOX) {
        Hawser__Internal__HeadRequest q = HAWSER__INTERNAL__HEAD_REQUEST__INIT;
        q.product = 1;
        q.user = (char *)(uintptr_t)user;
        return *(const Hawser__Internal__HeadReply *)bed_ask(b, &q.base);
    }
    Hawser__Internal__ProductHeadsRequest q = HAWSER__INTERNAL__PRODUCT_HEADS_REQUEST__INIT;
    q.product = 1;
    const Hawser__Internal__ProductHeadsReply *reply = bed_ask(b, &q.base);
    return *(stream == STREAM_NEWS ? reply->news : reply->bulk);
}

// "1 2 gap 3-4 (2) 5", or "reset 7".
static inline const char *bed_load(struct bed *b, const struct view *v) {
    Hawser__Internal__LoadRequest q = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    q.product = 1;
    q.stream = v->stream;
    q.user = (char *)(uintptr_t)(v->user ? v->user : "");
    q.device = (char *)(uintptr_t)(v->device ? v->device : "");
    q.epoch = v->epoch ? v->epoch : bed_head(b, v->stream, v->user).epoch;
    q.after = v->after;
    q.max_messages = v->messages_max ? v->messages_max : 1000;
    q.max_bytes = v->bytes_max ? v->bytes_max : 1024 * 1024;
    const Hawser__Internal__LoadReply *reply = bed_ask(b, &q.base);
    b->text[0] = '\0';
    if (reply->reset)
        bed_printf(b, "reset %" PRIu64, reply->reset_after);
    for (size_t i = 0; i < reply->n_entry; i++) {
        const Hawser__Internal__LoadEntry *e = reply->entry[i];
        bed_printf(b, i > 0 ? " " : "");
        if (e->message)
            bed_printf(b, "%" PRIu64, e->seq);
        else
            bed_printf(b, "gap %" PRIu64 "-%" PRIu64 " (%u)", e->seq, e->last, e->gap_reason);
    }
    return b->text;
}
#define LOAD(b, ...) bed_load(b, &(const struct view){__VA_ARGS__})
#define STORE(b, ...) bed_store(b, &(const struct push){__VA_ARGS__})
#define APPEND(b, ...) bed_append(b, &(const struct push){__VA_ARGS__})

#endif
