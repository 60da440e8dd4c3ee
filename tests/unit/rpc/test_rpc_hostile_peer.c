// What a server bears from peers that mean harm, over real loopback sockets in one loop: some that
// know the secret and send what no link sends, and some that never prove themselves.
#include "suite.h"

#include <sys/resource.h>

#include "addr.h"
#include "channel.h"
#include "cluster.pb-c.h"

enum {
    SMALL = 1,
    LARGE = 2,
    KEPT = 3,
    NESTED = 4,
    REPLY_BYTES = 100000,
    KEPT_MAX = 64,
    MEMORY = 2 * 1024 * 1024 // of a request
};

static struct os *os;
static struct loop *loop;
static struct rpc_identity server_self = {
    .role = "saver", .incarnation = 7, .secrets = {"secret-a"}, .secret_count = 1};
static struct rpc_identity client_self = {
    .role = "room", .incarnation = 8, .secrets = {"secret-a"}, .secret_count = 1};
static struct rpc_server *server;
static struct rpc_call *kept[KEPT_MAX];
static int handled, kept_count;

static void on_small(void *daemon, const ProtobufCMessage *request, struct rpc_call *call) {
    Hawser__Internal__CatalogGetRequest reply = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    (void)daemon;
    (void)request;
    handled++;
    rpc_reply(call, &reply.base);
}

static void on_large(void *daemon, const ProtobufCMessage *request, struct rpc_call *call) {
    Hawser__Internal__CatalogGetRequest reply = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    static char text[REPLY_BYTES + 1];
    (void)daemon;
    (void)request;
    handled++;
    memset(text, 'x', REPLY_BYTES);
    reply.key = text;
    rpc_reply(call, &reply.base);
}

static void on_kept(void *daemon, const ProtobufCMessage *request, struct rpc_call *call) {
    (void)daemon;
    (void)request;
    ck_assert_int_lt(kept_count, KEPT_MAX);
    kept[kept_count++] = call;
}

#define METHOD(number_, handler_, request_, memory)                                                \
    {                                                                                              \
        .number = (number_), .name = #number_, .callers = RPC_ROOM, .memory_max = (memory),        \
        .request = &hawser__internal__##request_##__descriptor,                                    \
        .reply = &hawser__internal__catalog_get_request__descriptor, .handler = (handler_)         \
    }
static const struct rpc_method methods[] = {METHOD(SMALL, on_small, catalog_get_request, MEMORY),
                                            METHOD(LARGE, on_large, catalog_get_request, MEMORY),
                                            METHOD(KEPT, on_kept, catalog_get_request, MEMORY),
                                            METHOD(NESTED, on_small, watch_reply, MEMORY),
                                            {0}};

// --- a peer that writes what it likes

struct attacker {
    struct channel channel;
    bool open, ended;
    int replies, busy, too_big;
};

static void attacker_open(void *owner) {
    ((struct attacker *)owner)->open = true;
}

static void attacker_reply(void *owner, const Hawser__Internal__RpcReply *reply) {
    struct attacker *a = owner;
    a->replies++;
    a->busy += reply->error == HW_EBUSY;
    a->too_big += reply->error == HW_ETOOBIG;
}

static void attacker_flush(void *owner) {
    (void)owner;
}

static void attacker_ended(void *owner, int error) {
    (void)error;
    ((struct attacker *)owner)->ended = true;
}

static const struct channel_events attacker_events = {.on_open = attacker_open,
                                                      .on_reply = attacker_reply,
                                                      .on_flush = attacker_flush,
                                                      .on_ended = attacker_ended};

static struct stream *connect_to_server(const struct stream_ops *ops) {
    struct sock_addr to;
    int error = 0;
    ck_assert_int_eq(sock_addr_parse("127.0.0.1", rpc_server_port(server), &to), 0);
    struct stream *s = stream_connect(loop, &to, ops, NULL, &error);
    ck_assert_ptr_nonnull(s);
    return s;
}

static void setup(struct attacker *a) {
    static const struct stream_ops not_yet = {.keep_max = 0};
    handled = kept_count = 0;
    os = os_new();
    loop = loop_new(os);
    ck_assert_int_eq(rpc_server_new(&(struct rpc_server_options){.loop = loop,
                                                                 .self = &server_self,
                                                                 .host = "127.0.0.1",
                                                                 .methods = methods},
                                    &server),
                     0);
    *a = (struct attacker){0};
    channel_init(&a->channel, &(struct channel_options){.loop = loop,
                                                        .self = &client_self,
                                                        .stream = connect_to_server(&not_yet),
                                                        .expected_role = "saver",
                                                        .events = &attacker_events,
                                                        .owner = a});
    while (!a->open)
        loop_step(loop, -1);
}

static void teardown(struct attacker *a) {
    if (!a->ended)
        channel_detach(&a->channel);
    rpc_server_free(server);
    for (int i = 0; i < kept_count; i++)
        rpc_fail(kept[i], -HW_ESTORE); // into nothing
    loop_step(loop, 0);
    ck_assert_int_eq(loop_free(loop), 0);
    os_free(os);
}

static void put_batch(struct channel *c, uint16_t method, uint32_t call, struct buf *items) {
    channel_put_batch(c, &(struct rpc_frame){.kind = RPC_REQUEST, .method = method, .call = call},
                      items);
}

static void send_empty(struct attacker *a, uint16_t method, int count) {
    static const uint8_t item[] = {0x0a, 0};
    struct buf items = BUF_EMPTY;
    for (int i = 0; i < count; i++)
        buf_append(&items, item, sizeof(item));
    put_batch(&a->channel, method, 1, &items);
    channel_want_flush(&a->channel);
    buf_free(&items);
}

// --- the attacks

// 400 MB of replies are asked for and none is read: the server stops reading, keeps the connection,
// and answers everything once the peer reads again.
START_TEST(test_asks_without_reading) {
    enum { FRAMES = 400, EACH = 10 };
    struct attacker a;
    setup(&a);
    stream_pause(a.channel.stream);
    for (int i = 0; i < FRAMES; i++)
        send_empty(&a, LARGE, EACH);
    for (int before = -1; handled != before;) {
        before = handled;
        for (int i = 0; i < 100; i++)
            loop_step(loop, 0);
    }
    ck_assert_int_gt(handled, 0);
    ck_assert_int_lt(handled, 40 * 1000 * 1000 / REPLY_BYTES); // the kernels hold a part of them
    ck_assert(!a.ended);
    stream_resume(a.channel.stream);
    while (a.replies < FRAMES * EACH && !a.ended)
        loop_step(loop, -1);
    ck_assert_int_eq(a.replies, FRAMES * EACH);
    teardown(&a);
}
END_TEST

// The same in one frame: more than a channel ever holds ends it.
START_TEST(test_asks_for_too_much_at_once) {
    struct attacker a;
    setup(&a);
    stream_pause(a.channel.stream);
    send_empty(&a, LARGE, 4000);
    while (rpc_server_counts(server)->refused == 0)
        loop_step(loop, -1);
    teardown(&a);
}
END_TEST

// A full frame of the smallest items would take eight times its bytes before the first is looked
// at. As many as a link sends are served, more are refused, and so are fields that are no items.
START_TEST(test_items_of_a_frame) {
    static const uint8_t unknown[] = {0x10, 1};
    struct attacker a;
    setup(&a);
    send_empty(&a, SMALL, BATCH_ITEMS_MAX);
    while (a.replies < BATCH_ITEMS_MAX)
        loop_step(loop, -1);
    send_empty(&a, SMALL, BATCH_ITEMS_MAX + 1);
    while (!a.ended)
        loop_step(loop, -1);
    ck_assert_int_eq(handled, BATCH_ITEMS_MAX);
    ck_assert_uint_eq(rpc_server_counts(server)->refused, 1);
    teardown(&a);
    setup(&a);
    struct buf items = BUF_EMPTY;
    for (int i = 0; i <= BATCH_ITEMS_MAX; i++)
        buf_append(&items, unknown, sizeof(unknown));
    put_batch(&a.channel, SMALL, 1, &items);
    channel_want_flush(&a.channel);
    buf_free(&items);
    while (!a.ended)
        loop_step(loop, -1);
    teardown(&a);
}
END_TEST

// A request of tiny sub-messages takes a hundred times its bytes: it is refused at its method's
// bound, and counted, and the link goes on. One that stays within the bound is served.
START_TEST(test_memory_of_a_request) {
    enum { MANY = 4 * 1024 * 1024, FEW = 1000 };
    static const uint8_t member[] = {0x22, 0};
    struct attacker a;
    struct buf body = BUF_EMPTY, item = BUF_EMPTY;
    const struct {
        int count, served, refused;
    } rows[] = {{MANY, 0, 1}, {FEW, 1, 1}, {1, 2, 1}, {MANY, 2, 2}};
    setup(&a);
    for (int i = 0; i < 4; i++) {
        Hawser__Internal__RpcRequests batch = HAWSER__INTERNAL__RPC_REQUESTS__INIT;
        ProtobufCBinaryData bytes;
        buf_reset(&body);
        for (int k = 0; k < rows[i].count; k++)
            buf_append(&body, member, sizeof(member));
        bytes = (ProtobufCBinaryData){body.len, body.data};
        batch.n_item = 1;
        batch.item = &bytes;
        size_t len = hawser__internal__rpc_requests__get_packed_size(&batch);
        hawser__internal__rpc_requests__pack(&batch, buf_reserve(&item, len));
        item.len = len;
        put_batch(&a.channel, NESTED, (uint32_t)i, &item);
        channel_want_flush(&a.channel);
        while (a.replies <= i && !a.ended)
            loop_step(loop, -1);
        ck_assert(!a.ended);
        ck_assert_int_eq(handled, rows[i].served);
        ck_assert_int_eq(a.too_big, rows[i].refused);
        ck_assert_uint_eq(rpc_server_counts(server)->calls_refused, (uint64_t)rows[i].refused);
        ck_assert_uint_eq(*rpc_server_served(server, NESTED - 1), (uint64_t)rows[i].served);
    }
    buf_free(&body);
    buf_free(&item);
    teardown(&a);
}
END_TEST

// Calls whose answers take their time: what they hold is bounded, the rest is told to come later.
START_TEST(test_open_calls) {
    enum { CALLS = 40, BYTES = 1024 * 1024 };
    struct attacker a;
    Hawser__Internal__CatalogGetRequest request = HAWSER__INTERNAL__CATALOG_GET_REQUEST__INIT;
    struct buf item = BUF_EMPTY;
    setup(&a);
    request.key = hw_calloc(1, BYTES + 1);
    memset(request.key, 'x', BYTES);
    for (int i = 0; i < CALLS; i++) {
        rpc_put_request_item(&item, &request.base);
        put_batch(&a.channel, KEPT, (uint32_t)i, &item);
        channel_want_flush(&a.channel);
    }
    while (kept_count + a.busy < CALLS && !a.ended)
        loop_step(loop, -1);
    ck_assert(!a.ended);
    ck_assert_int_lt(kept_count, 32);
    rpc_fail(kept[--kept_count], -HW_ESTORE); // one ends: there is place for one
    rpc_put_request_item(&item, &request.base);
    put_batch(&a.channel, KEPT, CALLS, &item);
    channel_want_flush(&a.channel);
    for (int before = kept_count; kept_count == before;)
        loop_step(loop, -1);
    buf_free(&item);
    free(request.key);
    teardown(&a);
}
END_TEST

// The channel looks at its peer as if it had heard nothing for 11 s, though it was asked.
static void look(struct attacker *a, uint64_t stand_still_ms) {
    a->channel.heard_ms = loop_now_ms(loop) - 11000;
    a->channel.is_asked = true;
    loop_arm(loop, &a->channel.idle, 1, a->channel.idle.fn);
    uint64_t looks = a->channel.idle.due_ms, from = os_now_ms(os);
    while (os_now_ms(os) < from + stand_still_ms)
        ;
    while (a->channel.idle.due_ms == looks && !a->ended)
        loop_step(loop, -1);
}

// A peer that has been silent for 10 s is given up, unless it has taken bytes meanwhile, or we are
// the ones who stood still: then what it said is unread.
START_TEST(test_silence) {
    struct attacker a;
    setup(&a);
    a.channel.held = 1000; // at the last look; now all are taken
    look(&a, 0);
    ck_assert_int_eq(a.channel.state, CHANNEL_OPEN);
    uint64_t asked_ms = loop_now_ms(loop);
    look(&a, 1100);
    ck_assert_int_eq(a.channel.state, CHANNEL_OPEN);
    while (a.channel.heard_ms < asked_ms) // the pong
        loop_step(loop, -1);
    while (!a.ended) // a machine may be late by itself
        look(&a, 0);
    teardown(&a);
}
END_TEST

// Nobody is silent who was not asked, however long it is that he was heard.
START_TEST(test_silence_unasked) {
    struct attacker a;
    setup(&a);
    a.channel.heard_ms = loop_now_ms(loop) - 11000;
    a.channel.is_asked = false;
    loop_arm(loop, &a.channel.idle, 1, a.channel.idle.fn);
    for (uint64_t looks = a.channel.idle.due_ms; a.channel.idle.due_ms == looks;)
        loop_step(loop, -1);
    ck_assert_int_eq(a.channel.state, CHANNEL_OPEN);
    while (a.channel.is_asked) // until the pong
        loop_step(loop, -1);
    teardown(&a);
}
END_TEST

static int gone;

static size_t crowd_data(void *owner, struct stream *s, const uint8_t *data, size_t len) {
    (void)owner;
    (void)s;
    (void)data;
    return len;
}

static void crowd_closed(void *owner, struct stream *s, int error) {
    (void)owner;
    (void)s;
    (void)error;
    gone++;
}

// More connections than have a place say nothing: the oldest of them give way, nobody who has
// proven itself does, and whoever proves itself gets in.
START_TEST(test_a_silent_crowd) {
    enum { DESCRIPTORS = 256, CROWD = 90, PLACES = DESCRIPTORS / 4 };
    static const struct stream_ops crowd_ops = {.on_data = crowd_data, .on_closed = crowd_closed};
    struct rlimit before, few;
    struct attacker first, newcomer = {0};
    struct stream *crowd[CROWD];
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = DESCRIPTORS;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    gone = 0;
    setup(&first);
    for (int i = 0; i < CROWD; i++)
        crowd[i] = connect_to_server(&crowd_ops);
    while (gone < CROWD - PLACES)
        loop_step(loop, -1);
    ck_assert_uint_eq(rpc_server_counts(server)->displaced, CROWD - PLACES);
    channel_init(&newcomer.channel,
                 &(struct channel_options){.loop = loop,
                                           .self = &client_self,
                                           .stream = connect_to_server(&crowd_ops),
                                           .expected_role = "saver",
                                           .events = &attacker_events,
                                           .owner = &newcomer});
    while (!newcomer.open)
        loop_step(loop, -1);
    ck_assert(!first.ended);
    for (int i = gone; i < CROWD; i++)
        stream_end(crowd[i], 0);
    channel_detach(&newcomer.channel);
    teardown(&first);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}
END_TEST

RUN_TESTS("rpc hostile peer", test_asks_without_reading, test_asks_for_too_much_at_once,
          test_items_of_a_frame, test_memory_of_a_request, test_open_calls, test_silence,
          test_silence_unasked, test_a_silent_crowd)
