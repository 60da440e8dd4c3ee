// HTTP to the center: connections that are kept, one request on each at a time, and a queue of
// those that wait for a free one. Answers come as status and body; the center always gives a
// length.
#ifndef BENCH_PUSHER_H
#define BENCH_PUSHER_H

#include "buf.h"
#include "loop.h"

struct pusher;

struct pusher_options {
    struct loop *loop; // borrowed
    uint16_t port;     // of 127.0.0.1
    const char *key;   // borrowed
    uint32_t connections;
};
struct pusher *pusher_new(const struct pusher_options *o);
void pusher_free(struct pusher *p); // what is not answered never will be. NULL is harmless

// status 0: the connection broke before there was an answer. body is borrowed for the call.
typedef void pusher_done_fn(void *arg, int status, const char *body, size_t body_len);
struct call {
    const char *method, *path; // borrowed for the call
    const char *body;          // likewise; NULL: none
    size_t body_len;
    pusher_done_fn *done;
    void *arg;
};
void pusher_call(struct pusher *p, const struct call *call);
uint32_t pusher_unanswered(const struct pusher *p);

#endif
