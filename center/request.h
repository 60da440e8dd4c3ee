// One API request: its life, the work done for it in slices, its answer. A request lives
// until it is answered, by exactly one of the reply functions, which end it.
#ifndef HW_REQUEST_H
#define HW_REQUEST_H

#include <sys/queue.h>

#include "access.h"
#include "center_internal.h"
#include "json_read.h"
#include "problem.h"

enum { SEGMENTS_MAX = 8, SEGMENT_MAX = 256, ALLOW_CHARS = 64 };

struct request {
    LIST_ENTRY(request) at_center;
    struct center *center;
    struct http_request *http; // owned until answered
    int segment_count;
    const struct route *route;
    char allow[ALLOW_CHARS]; // without a route: the methods of its path; none: it is unknown
    struct shown_key key;    // of who asks, unless anyone may
    bool is_admin;           // by that key
    bool was_up;             // the link of a call that changes something, when it was made
    char product_name[33];
    enum http_bound bound;     // that its body is over, with those that are being read
    struct json_reader reader; // of its body; its root is an object when the handler is called
    struct {                   // what is done for it in slices
        bool (*piece)(struct request *q);
        void (*then)(struct request *q);
        struct job job;
        struct hook end; // after the last slice
    } work;
    void *state; // of the handler
    void (*free_state)(void *state);
    char segments[SEGMENTS_MAX][SEGMENT_MAX]; // last: the first segment_count of them are set
};

struct request *request_new(struct center *c, struct http_request *http);
void request_free(struct request *q);    // of one that needs no answer any more
void request_gone_all(struct center *c); // answers 503 to what is still open
// The product of the path, as it is now; NULL after it was deleted (the request is answered 404
// then).
const struct product *request_product(struct request *q);
// Works on a request in slices of 1 ms, so that it holds up no others: piece does a bounded piece
// and returns true while there is more. then, which may end the request, follows before the loop
// sleeps.
void request_work(struct request *q, bool (*piece)(struct request *q),
                  void (*then)(struct request *q));

void reply_json(struct request *q, int status, json_t *body /* taken */);
void reply_text(struct request *q, int status, struct buf *json /* taken */);
void reply_yaml(struct request *q, const char *text, size_t len);
void reply_empty(struct request *q);
void reply_allowed(struct request *q, const char *methods); // to OPTIONS
enum { ETAG_CHARS = 24 };
void etag_of(uint64_t version, char out[ETAG_CHARS]);
void reply_with_etag(struct request *q, int status, json_t *body, uint64_t version);
void reply_problem(struct request *q, const struct problem *p);
// Of the query fields that this version does not serve (names ends with NULL) none is there. False:
// it was answered so.
bool request_asks_for_none_of(struct request *q, const char *const *names);
// The query field `limit` of a list: 1..1000, 100 if it is absent. False: p says what is wrong.
bool request_limit(struct request *q, uint64_t *ret_limit, struct problem *p);
void reply_fault(struct request *q, enum problem_code code, const char *field, const char *format,
                 ...) HW_PRINTF(4, 5);
// 503 for a call that changes something; its outcome is unknown unless it certainly was not done.
// A list, and where it goes on: NULL: it is whole.
void reply_list(struct request *q, json_t *items /* taken */, const char *next);
void reply_bad_after(struct request *q); // it is no such next
void reply_unanswered(struct request *q, const char *who, int error);

#endif
