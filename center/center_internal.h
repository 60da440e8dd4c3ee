// A center's value, which all files of its shell know. From the top down; nothing calls upward:
//
//   center.c      its life and metrics
//   routes.c      a request's way to its handler; access.c  who asks
//   push_call.c   pushes and batches; products.c, keys.c, tokens.c, users.c, outcomes.c, parked.c,
//                 stats.c, members.c, health.c, openapi.c  the other calls
//   recall.c      what is taken back
//   dry_run.c     a push that is only checked
//   send.c        a push on its way; append.c  one append of it; deliver.c  found and delivered
//   spread.c      parts of jobs, which this center spreads; jobs.c  which jobs there are
//   hints.c       heads that could not be told to a room
//   change.c      a product's record while it is changed
//   request.c     a request's life, work and answer
//   core/         what needs no loop, socket or daemon: json_read, fields, targets, push (a
//                 body made into a push, checked), aim (where it goes), retry (what an answer
//                 means), job (a push to many as it is stored whole), known_rows (where users are),
//                 kept_hints, pace
#ifndef HW_CENTER_INTERNAL_H
#define HW_CENTER_INTERNAL_H

#include <sys/queue.h>

#include "bytes.h"
#include "calls.h"
#include "center.h"
#include "crypto.h"
#include "http.h"
#include "kept_hints.h"
#include "known_rows.h"
#include "pace.h"
#include "part.h"
#include "spread.h"
#include "store_clock.h"

struct key_hashes;
struct leg;
struct recall;
struct request;

struct center {
    struct daemon_env *env;
    struct loop *loop;
    struct cluster *cluster;
    struct http_server *http;
    LIST_HEAD(, request) requests; // open ones
    LIST_HEAD(, leg) legs;         // appends and deliveries that a push waits for
    LIST_HEAD(, recall) recalls;   // under way, answered or not
    struct kept_hints kept_hints;
    struct known_rows known_rows;
    size_t hints_bytes; // of those under way
    struct pace *paces;
    struct key_hashes *key_hashes;
    struct store_clock clock;
    struct timer hint_timer;
    struct spread spread;
    bool is_draining, is_stopping;
    char advertised[HOST_MAX + 8];
    struct {
        uint64_t requests, problems, pushes, targets, appends, append_retries, delivered, not_here,
            hints_kept, hints_dropped, rows_known, rows_asked, recalled, recalls_open, open, parts,
            parts_lost, rejected;
    } count;
};

#endif
