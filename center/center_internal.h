// What the files of a center share; nobody else includes it.
//
//   center.c    life, metrics
//   api.c       a request: its route, who asks, its answer or problem
//   json_read.c a body made into values, in steps; fields.c  reading its fields with their limits
//   products.c  products and their keys; tokens.c  client tokens
//   message.c   a push as it is asked for, checked; push.c  the calls for it, and batches
//   send.c      a push on its way: its key claimed, appended; deliver.c  then found and delivered
//   hints.c     heads that could not be told to a room
//   users.c     users and their sessions; figures.c  statistics and the cluster
#ifndef HW_CENTER_INTERNAL_H
#define HW_CENTER_INTERNAL_H

#include "table.h"
#include <jansson.h>

#include "addr.h"
#include "arena.h"
#include "bytes.h"
#include "calls.h"
#include "center.h"
#include "crypto.h"
#include "http.h"
#include "json_read.h"
#include "part.h"
#include "register.pb-c.h"
#include "room.pb-c.h"
#include "saver.pb-c.h"
#include "store_clock.h"

enum {
    SEGMENTS_MAX = 8,
    SEGMENT_MAX = 256,
    ID_CHARS = 24,
    USERS_MAX = 10000,
    DEVICES_MAX = 1000,
    TARGET_DEVICES_MAX = 16,
    QUERY_USERS_MAX = 1000,
    BATCH_MAX = 1000,
    BATCH_TARGETS_MAX = 10000,
};

// code, HTTP status, title
#define PROBLEMS(X)                                                                                \
    X(malformed, 400, "The request is malformed")                                                  \
    X(unauthorized, 401, "A valid key is needed")                                                  \
    X(forbidden, 403, "This key may not do that")                                                  \
    X(not_found, 404, "There is no such thing")                                                    \
    X(method_not_allowed, 405, "This path does not have that method")                              \
    X(idempotency_mismatch, 409, "The Idempotency-Key was used with another body")                 \
    X(state_conflict, 409, "The state does not allow it")                                          \
    X(body_too_large, 413, "The body is too large")                                                \
    X(unknown_field, 422, "An unknown field")                                                      \
    X(missing_field, 422, "A field is missing")                                                    \
    X(invalid_value, 422, "A value is not allowed")                                                \
    X(conflicting_fields, 422, "Fields that exclude each other")                                   \
    X(payload_too_large, 422, "The payload is too large")                                          \
    X(rate_limited, 429, "Too many pushes")                                                        \
    X(idempotency_full, 429, "Too many Idempotency-Keys are remembered")                           \
    X(class_unavailable, 503, "This class is not available")                                       \
    X(store_unavailable, 503, "The store cannot be reached")                                       \
    X(overloaded, 503, "Too much work in progress")                                                \
    X(inbox_full, 507, "The user's inbox is full")
enum problem_code {
    PROBLEM_NONE,
#define PROBLEM_ENUM(code, status, title) PROBLEM_##code,
    PROBLEMS(PROBLEM_ENUM)
#undef PROBLEM_ENUM
};

struct problem {
    enum problem_code code; // PROBLEM_NONE: no fault
    char field[160];        // "" = none
    char detail[256];
    bool outcome_unknown;
    unsigned retry_after_s; // of 429 and 503; 0 = 1
};
// Sets p (first one wins) and returns false, for `return problem_set(...)`.
bool problem_set(struct problem *p, enum problem_code code, const char *field, const char *format,
                 ...) HW_PRINTF(4, 5);
int problem_status(enum problem_code code);
json_t *problem_json(const struct problem *p, const char *request_id); // a new reference

struct hint_room;
struct leg;
struct rate;

struct center {
    struct daemon_env *env;
    struct loop *loop;
    struct cluster *cluster;
    struct http_server *http;
    struct request *requests; // open ones
    struct leg *legs;         // appends and deliveries that a push waits for
    struct hint_room *hints;
    struct rate *rates;
    struct store_clock clock;
    struct timer hint_timer;
    bool is_draining, is_stopping;
    char advertised[HOST_MAX + 8];
    struct {
        uint64_t requests, problems, pushes, targets, appends, append_retries, delivered, not_here,
            hints_kept, hints_dropped, open;
    } count;
};

// One API request; lives until it is answered.
struct request {
    struct request *next, *prev;
    struct center *center;
    struct http_request *http; // owned until answered
    char segments[SEGMENTS_MAX][SEGMENT_MAX];
    int segment_count;
    const struct route *route;
    bool is_admin;
    bool was_up; // the link of a call that changes something, when it was made
    char product_name[33];
    struct json_reader reader; // of its body; its root is an object when the handler is called
    struct {                   // what is done for it in slices
        bool (*piece)(struct request *q);
        void (*then)(struct request *q);
        struct job job;
        struct hook end; // after the last slice
    } work;
    void *state; // of the handler
    void (*free_state)(void *state);
};

// The handler of the HTTP server: self is a center.
void center_request(void *self, struct http_request *r);
// The product of the path, as it is now; NULL after it was deleted (the request is answered 404
// then).
const struct product *request_product(struct request *q);
// Works on a request in slices of 1 ms, so that it holds up no others: piece does a bounded piece
// and returns true while there is more. then, which may end the request, follows before the loop
// sleeps.
void request_work(struct request *q, bool (*piece)(struct request *q),
                  void (*then)(struct request *q));
void reply_json(struct request *q, int status, json_t *body /* taken */);
void reply_text(struct request *q, int status, const char *type, const char *text, size_t len);
void reply_empty(struct request *q);
void reply_with_etag(struct request *q, int status, json_t *body, uint64_t version);
void reply_problem(struct request *q, const struct problem *p);
void reply_fault(struct request *q, enum problem_code code, const char *field, const char *format,
                 ...) HW_PRINTF(4, 5);
// Whether a call that changes something may have been done, though it ended with this error (0: by
// an answer that does not decode); was_up: its link, when it was made.
bool may_be_done(int error, bool was_up);
// 503 for such a call; its outcome is unknown unless it certainly was not done.
void reply_unanswered(struct request *q, const char *who, int error);
void request_gone_all(struct center *c); // answers 503 to what is still open

// fields.c
// Each returns false with the problem set. field names are paths such as "to.user".
bool fields_known(const json_t *object, const char *prefix, const char *const *names,
                  struct problem *p);
bool field_text(const json_t *object, const char *prefix, const char *name, size_t max,
                bool required, const char **ret_text,
                struct problem *p); // an id: UTF-8 without control characters
bool field_number(const json_t *object, const char *prefix, const char *name, uint64_t low,
                  uint64_t high, bool *ret_given, uint64_t *ret_value, struct problem *p);
bool field_bool(const json_t *object, const char *prefix, const char *name, bool *ret_value,
                struct problem *p);
bool check_tags(const json_t *list, const char *field, size_t max, struct problem *p);
void format_time(uint64_t unix_ms, char out[32]);
json_t *time_json(uint64_t unix_ms); // 0 = null
// What another daemon said, or a path: never NULL, whatever bytes it holds.
json_t *text_json(const char *text);
void base62(const uint8_t *data, size_t len, char *out, size_t chars);
void random_base62(char *out, size_t chars); // and a NUL
bool base64_decode(const char *text, size_t len, struct buf *out);
bool query_limit(struct request *q, uint64_t *ret_limit, struct problem *p);

// message.c
struct target {
    const char *user;                        // borrowed from the body
    const char *devices[TARGET_DEVICES_MAX]; // named ones; none = all
    size_t device_count;
};
enum target_kind { TO_USER, TO_USERS, TO_DEVICES, TO_TAGS, TO_ALL };
struct push { // what one push asks for; borrows from the JSON body
    enum target_kind kind;
    struct target *targets; // owned
    size_t target_count;
    const char **any, **all, **none; // owned arrays
    size_t any_count, all_count, none_count;
    struct buf payload; // owned
    const char *content_type;
    bool is_live;
    uint64_t ttl_ms;             // 0 = the retention
    const char *idempotency_key; // NULL = none
    uint8_t body_hash[16];       // with a key
};
bool push_parse(const json_t *body, bool in_batch, const struct product *product,
                struct push *ret_push, struct problem *p);
void push_deinit(struct push *push);
// The key, borrowed, which idempotency_key_check has passed, and by what another body under it is
// known.
void push_set_key(struct push *push, const char *key, const json_t *body);
bool idempotency_key_check(const char *key, size_t len, const char *field, struct problem *p);
// How many targets a push names, duplicates too, without looking at them; at least 1.
size_t push_targets_named(const json_t *body);
void message_id_make(struct rng *random, const struct product *product, const struct push *push,
                     char out[ID_CHARS + 1]);

// send.c: one push on its way. done is called exactly once, never before send_push returns.
struct sent {
    struct problem problem;
    uint64_t seq, sent_ms, expires_ms, online;
    bool replayed, has_seq;
    char id[ID_CHARS + 1];
};
typedef void sent_fn(void *arg, const struct sent *result);
void send_push(struct center *c, const struct product *product, struct push *push /* taken */,
               sent_fn *done, void *arg);
// At the end, after the calls were cancelled: what waits for another try is given up.
void sends_end(struct center *c);
bool rate_take(struct center *c, const struct product *product, uint64_t targets,
               struct problem *p);
void rates_free(struct center *c);

// hints.c
void hint_keep(struct center *c, const Hawser__Internal__SessionRow *row, uint32_t product,
               uint64_t epoch, uint64_t seq);
void hints_member_gone(struct center *c, uint64_t incarnation);
void hints_free(struct center *c);

// handlers
void handle_products_list(struct request *q);
void handle_product_put(struct request *q);
void handle_product_patch(struct request *q);
void handle_product_get(struct request *q);
void handle_product_delete(struct request *q);
void handle_key_new(struct request *q);
void handle_keys_list(struct request *q);
void handle_key_delete(struct request *q);
void handle_token(struct request *q);
void handle_push(struct request *q);
void handle_batch(struct request *q);
void handle_user(struct request *q);
void handle_users_query(struct request *q);
void handle_product_stats(struct request *q);
void handle_stats(struct request *q);
void handle_cluster(struct request *q);
void handle_drain(struct request *q);
void handle_openapi(struct request *q);
void handle_healthz(struct request *q);
void handle_readyz(struct request *q);

#endif
