// A saver's pair over a private Redis and a private MariaDB, and a Redis that goes back to what was
// kept.
#ifndef HW_RECOVERY_BED_H
#define HW_RECOVERY_BED_H

#include "mariadb_server.h"
#include "redis_server.h"

#include "durable.h"
#include "store_bed_devices.h"
#include "store_pair.h"

static struct store *front; // below the store of the bed

static inline struct store *rows_open(struct loop *l) {
    return saver_maria_rows(
        &(struct maria_options){.url = maria_url, .timeout_ms = 20000, .loop = l});
}

static inline struct store *recovery_open(struct loop *l) {
    front = redis_open(l);
    struct store *s = saver_durable(front, rows_open(l));
    until_up(s, l);
    return s;
}
static const struct store_factory factory = {"recovery", recovery_open, redis_close, NULL};

static inline struct bed recovery_bed(void) {
    struct bed b;
    maria_start(NULL);
    bed_open(&b, &factory);
    return b;
}

static inline void recovery_end(struct bed *b) {
    bed_close(b);
    maria_stop();
}

static inline void redis_shell(const char *words) { // in its folder
    char line[400];
    snprintf(line, sizeof(line), "cd %s && %s", redis_dir, words);
    maria_shell(line);
}

static inline void aof_keep(void) {
    redis_shell("rm -rf kept && cp -r appendonlydir kept");
}

static inline void until_down(struct bed *b) {
    while (!store_down_reason(b->store))
        loop_step(b->loop, -1);
}

// To what was kept, or to nothing.
static inline void redis_goes_back(struct bed *b) {
    redis_kill();
    until_down(b);
    redis_shell("rm -rf appendonlydir && if [ -e kept ]; then cp -r kept appendonlydir; fi");
    redis_start();
}

static inline void redis_went_back(struct bed *b) {
    redis_goes_back(b);
    until_up(b->store, b->loop);
}

static bool are_stored; // all messages, unless one says otherwise

struct durable_message {
    const char *user, *id;     // user NULL: news
    const char *device;        // NULL: all
    const char *key;           // its collapse key; NULL: none
    uint64_t ttl_ms, messages; // messages: the log's limit; 0: none
    bool is_stored;            // only
};

static inline uint64_t push_message(struct bed *b, const struct durable_message *p) {
    Hawser__Internal__AppendRequest q = HAWSER__INTERNAL__APPEND_REQUEST__INIT;
    Hawser__Internal__StoredMessage m = HAWSER__INTERNAL__STORED_MESSAGE__INIT;
    Hawser__Internal__InboxLimits limits = HAWSER__INTERNAL__INBOX_LIMITS__INIT;
    char *device = (char *)(uintptr_t)p->device;
    q.product = 1;
    q.stream = p->user ? STREAM_INBOX : STREAM_NEWS;
    q.user = (char *)(uintptr_t)(p->user ? p->user : "");
    q.ttl_ms = p->ttl_ms;
    q.message = &m;
    if (p->messages > 0) {
        limits.messages = p->messages;
        limits.bytes = UINT64_MAX;
        q.limits = &limits;
    }
    m.id = (char *)(uintptr_t)p->id;
    m.payload = (ProtobufCBinaryData){strlen(p->id), (uint8_t *)(uintptr_t)p->id};
    m.device = &device;
    m.n_device = device ? 1 : 0;
    m.collapse_key = (char *)(uintptr_t)(p->key ? p->key : "");
    m.class_ = p->is_stored || are_stored ? HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_STORED
                                          : HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE;
    const Hawser__Internal__AppendReply *reply = bed_ask(b, &q.base);
    ck_assert_int_eq(reply->outcome, HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_STORED);
    return reply->seq;
}
#define DURABLE(b, ...) push_message(b, &(const struct durable_message){__VA_ARGS__})

static inline void until_rows(struct bed *b, const char *condition, const char *count) {
    char query[200];
    snprintf(query, sizeof(query), "SELECT COUNT(*) FROM hawser_messages WHERE %s", condition);
    while (strcmp(maria_table(query), count) != 0)
        loop_step(b->loop, -1);
}

// Each row of the bed's saver is there, and marked.
static inline void until_landed(struct bed *b) {
    while (!saver_durable_has_landed(b->store))
        loop_step(b->loop, -1);
    until_rows(b, "unmarked = 1", "0");
}

// A Redis that goes back from here on lacks d2.
static inline void loses_d2(struct bed *b) {
    DURABLE(b, .user = "u", .id = "d1");
    aof_keep();
    DURABLE(b, .user = "u", .id = "d2");
    until_landed(b);
}

// "id id [gap] id": gaps of the jump to this history have no numbers.
static inline const char *messages_of(struct bed *b, const char *user, const char *device) {
    Hawser__Internal__LoadRequest q = HAWSER__INTERNAL__LOAD_REQUEST__INIT;
    q.product = 1;
    q.stream = user ? STREAM_INBOX : STREAM_NEWS;
    q.user = (char *)(uintptr_t)(user ? user : "");
    q.device = (char *)(uintptr_t)device;
    q.epoch = bed_head(b, q.stream, q.user).epoch;
    q.max_messages = q.max_bytes = 1000000;
    const Hawser__Internal__LoadReply *reply = bed_ask(b, &q.base);
    b->text[0] = '\0';
    for (size_t i = 0; i < reply->n_entry; i++) {
        const Hawser__Internal__LoadEntry *e = reply->entry[i];
        if (e->message)
            bed_printf(b, "%s%s", i > 0 ? " " : "", e->message->id);
        else
            bed_printf(b, "%s(%d)", i > 0 ? " " : "", (int)e->gap_reason);
    }
    return b->text;
}

#endif
