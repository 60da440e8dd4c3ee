// What the files of a dispatcher share; nobody else includes it.
#ifndef HW_DISPATCHER_INTERNAL_H
#define HW_DISPATCHER_INTERNAL_H

#include "addr.h"
#include "arena.h"
#include "bytes.h"
#include "choose.h"
#include "dispatcher.h"
#include "door.h"
#include "endpoints.h"
#include "frame.h"
#include "http.h"
#include "part.h"
#include "stream.h"

struct visitor; // a client's connection

struct dispatcher {
    struct daemon_env *env;
    struct loop *loop;
    struct listener *listener;
    struct door door;
    struct http_server *http;
    struct arena arena; // of one Locate
    struct visitor *visitors, *visitors_last;
    uint64_t visitors_max;
    struct endpoints endpoints;
    char http_at[DAEMON_ADDRESS_MAX];
    struct {
        uint64_t located, without_room, http_requests, visitors, visitors_displaced, silent,
            protocol_errors;
    } count;
};

// locate.c: the answer to a question that was checked; everything in it lives in d->arena or is
// borrowed from the directory, until the next iteration.
Hawser__V1__Located *locate(struct dispatcher *d, const Hawser__V1__Locate *ask);

// visitor.c
void visitors_begin(struct dispatcher *d);
void visitor_accept(void *arg, struct stream *s);
void visitors_end(struct dispatcher *d);

// locate_http.c
void locate_http(void *arg, struct http_request *r);

#endif
