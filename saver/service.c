// What other daemons call at a saver: each method is one step of the store.
#include "buf.h"
#include "crypto.h"
#include "saver_internal.h"
#include "serve.h"
#include "shared_limits.h"

enum { BODY_HASH_BYTES = 16 };

static void saver_on_step(void *arg, int error, const ProtobufCMessage *reply) {
    struct rpc_call *call = arg;
    if (error != 0)
        rpc_fail(call, error);
    else
        rpc_reply(call, reply);
}

// What a store must not be asked: a product, user, stream or message that is not there, or names
// and lists that it would cut.

static bool is_user(uint32_t product, const char *user) {
    return product != 0 && *user && strlen(user) <= NAME_BYTES_MAX;
}

static bool is_device(uint32_t product, const char *user, const char *device) {
    return is_user(product, user) && *device && strlen(device) <= NAME_BYTES_MAX;
}

static bool is_log(uint32_t product, uint32_t stream, const char *user) {
    return stream == STREAM_INBOX ? is_user(product, user)
                                  : product != 0 && stream < STREAMS && *user == '\0';
}

static bool is_appendable(const Hawser__Internal__AppendRequest *a) {
    return is_log(a->product, a->stream, a->user) && a->message && *a->message->id &&
           strlen(a->message->id) <= NAME_BYTES_MAX &&
           strlen(a->message->collapse_key) <= NAME_BYTES_MAX &&
           (a->body_hash.len == 0 || a->body_hash.len == BODY_HASH_BYTES);
}

static void saver_ask(struct saver *s, const ProtobufCMessage *request, bool is_right,
                      struct rpc_call *call) {
    if (!is_right) {
        rpc_refuse(call);
        return;
    }
    store_call(s->store, request, saver_on_step, call);
}

// --- the methods

SAVER_METHODS(SERVE)

// A message that is to be committed, and that nobody here can commit. A claim of such a push is
// refused with it.
static bool is_unserved(const struct saver *s, const Hawser__Internal__StoredMessage *m) {
    return !s->durable && m->class_ == HAWSER__INTERNAL__MESSAGE_CLASS__CLASS_DURABLE;
}

static void saver_on_append(void *self, const Hawser__Internal__AppendRequest *q,
                            struct rpc_call *call) {
    Hawser__Internal__AppendReply reply = HAWSER__INTERNAL__APPEND_REPLY__INIT;
    if (is_appendable(q) && is_unserved(self, q->message)) {
        reply.outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_UNSERVED;
        saver_append_reply(call, &reply);
        return;
    }
    saver_ask(self, &q->base, is_appendable(q), call);
}

static void saver_on_load(void *self, const Hawser__Internal__LoadRequest *q,
                          struct rpc_call *call) {
    bool is_right = is_log(q->product, q->stream, q->user) && strlen(q->device) <= NAME_BYTES_MAX;
    saver_ask(self, &q->base, is_right, call);
}

static void saver_on_head(void *self, const Hawser__Internal__HeadRequest *q,
                          struct rpc_call *call) {
    saver_ask(self, &q->base, is_user(q->product, q->user), call);
}

static void saver_on_product_heads(void *self, const Hawser__Internal__ProductHeadsRequest *q,
                                   struct rpc_call *call) {
    saver_ask(self, &q->base, true, call);
}

static void saver_on_attach(void *self, const Hawser__Internal__AttachRequest *q,
                            struct rpc_call *call) {
    bool is_right = is_device(q->product, q->user, q->device) && q->n_known <= KNOWN_MAX;
    saver_ask(self, &q->base, is_right, call);
}

static void saver_on_ack(void *self, const Hawser__Internal__AckRequest *q, struct rpc_call *call) {
    bool is_right = is_device(q->product, q->user, q->device) && q->n_upto <= ACKS_MAX;
    saver_ask(self, &q->base, is_right, call);
}

static void saver_on_sums(void *self, const Hawser__Internal__SumsRequest *q,
                          struct rpc_call *call) {
    bool is_right = q->product != 0 && q->id.len == SUMS_ID_BYTES && q->n_sum <= ACKS_MAX;
    saver_ask(self, &q->base, is_right, call);
}

static void saver_on_stats(void *self, const Hawser__Internal__StatsRequest *q,
                           struct rpc_call *call) {
    saver_ask(self, &q->base, true, call);
}

static void saver_on_user(void *self, const Hawser__Internal__UserRequest *q,
                          struct rpc_call *call) {
    saver_ask(self, &q->base, true, call);
}

static void saver_on_clock(void *self, const Hawser__Internal__ClockRequest *q,
                           struct rpc_call *call) {
    saver_ask(self, &q->base, true, call);
}

static void saver_on_attempt(void *self, const Hawser__Internal__AttemptRequest *q,
                             struct rpc_call *call) {
    saver_ask(self, &q->base, is_device(q->product, q->user, q->device), call);
}

static void saver_on_parked(void *self, const Hawser__Internal__ParkedRequest *q,
                            struct rpc_call *call) {
    saver_ask(self, &q->base, is_user(q->product, q->user), call);
}

static void saver_on_unpark(void *self, const Hawser__Internal__UnparkRequest *q,
                            struct rpc_call *call) {
    saver_ask(self, &q->base, is_user(q->product, q->user) && q->n_seq <= UNPARK_MAX, call);
}

// What became of messages MariaDB knows. With no user and no message only that is asked.
static void saver_on_outcomes(void *self, const Hawser__Internal__OutcomesRequest *q,
                              struct rpc_call *call) {
    bool is_right = q->product != 0 && strlen(q->user) <= NAME_BYTES_MAX &&
                    strlen(q->id) <= NAME_BYTES_MAX && strlen(q->after_user) <= NAME_BYTES_MAX &&
                    q->limit <= OUTCOMES_MAX;
    Hawser__Internal__OutcomesReply reply = HAWSER__INTERNAL__OUTCOMES_REPLY__INIT;
    reply.unserved = !((const struct saver *)self)->durable;
    if (is_right && (reply.unserved || (!*q->user && !*q->id)))
        saver_outcomes_reply(call, &reply);
    else
        saver_ask(self, &q->base, is_right, call);
}

static void saver_on_status(void *self, const Hawser__Internal__StatusRequest *q,
                            struct rpc_call *call) {
    bool is_right = q->product != 0 && *q->id && strlen(q->id) <= NAME_BYTES_MAX;
    Hawser__Internal__StatusReply reply = HAWSER__INTERNAL__STATUS_REPLY__INIT;
    reply.unserved = true;
    if (is_right && !((const struct saver *)self)->durable)
        saver_status_reply(call, &reply);
    else
        saver_ask(self, &q->base, is_right, call);
}

static bool is_whole_job(const Hawser__Internal__JobPutRequest *q) {
    return q->product != 0 && q->message && *q->message->id &&
           strlen(q->message->id) <= NAME_BYTES_MAX && q->limits && q->n_part > 0 &&
           q->n_part <= JOB_PARTS_MAX;
}

static void saver_on_job_put(void *self, const Hawser__Internal__JobPutRequest *q,
                             struct rpc_call *call) {
    Hawser__Internal__JobPutReply reply = HAWSER__INTERNAL__JOB_PUT_REPLY__INIT;
    if (is_whole_job(q) && is_unserved(self, q->message)) {
        reply.outcome = HAWSER__INTERNAL__APPEND_OUTCOME__APPEND_UNSERVED;
        saver_job_put_reply(call, &reply);
        return;
    }
    saver_ask(self, &q->base, is_whole_job(q), call);
}

static void saver_on_job_take(void *self, const Hawser__Internal__JobTakeRequest *q,
                              struct rpc_call *call) {
    saver_ask(self, &q->base, true, call);
}

static void saver_on_job_advance(void *self, const Hawser__Internal__JobAdvanceRequest *q,
                                 struct rpc_call *call) {
    bool is_right = q->product != 0 && *q->job && strlen(q->job) <= NAME_BYTES_MAX;
    saver_ask(self, &q->base, is_right, call);
}

static void saver_on_jobs(void *self, const Hawser__Internal__JobsRequest *q,
                          struct rpc_call *call) {
    saver_ask(self, &q->base, q->product != 0 && strlen(q->id) <= NAME_BYTES_MAX, call);
}

static void saver_on_recall(void *self, const Hawser__Internal__RecallRequest *q,
                            struct rpc_call *call) {
    bool is_right =
        is_log(q->product, q->stream, q->user) && *q->id && strlen(q->id) <= NAME_BYTES_MAX;
    saver_ask(self, &q->base, is_right, call);
}

static void saver_on_inboxes(void *self, const Hawser__Internal__InboxesRequest *q,
                             struct rpc_call *call) {
    saver_ask(self, &q->base, q->product != 0 && q->bucket < USER_BUCKETS, call);
}

const struct rpc_method saver_methods[] = {SAVER_METHODS(SERVED){0}};
