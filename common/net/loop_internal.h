// What the files of the loop share; nobody else includes it. Each file calls those below it only:
//
//   loop.c          life, and one iteration: who is told of what
//   listener.c      newcomers
//   stream.c        the bytes of a socket
//   loop_entries.c  what the loop is asked for
//   timer.c         the wheel of timers
#ifndef HW_LOOP_INTERNAL_H
#define HW_LOOP_INTERNAL_H

#include "buf.h"
#include "loop.h"
#include "slab.h"
#include "stream.h"

enum { SCRATCH_BYTES = 64 * 1024, ORIGINS = 256, KINDS = 64 };

// A kernel key: kind (2 bits), turn (31 bits), slot (31 bits).
enum key_kind { KEY_WATCH, KEY_STREAM, KEY_LISTENER };

struct watch {
    struct loop *loop;
    watch_fn *fn;
    void *arg;
    const char *file;
    int line;
    int fd;
    uint32_t events;
};

// Streams by key, in a queue. Keys, not pointers: what closed in the meantime is passed
// over.
struct key_queue {
    uint64_t *keys; // owned
    size_t len, capacity;
};

struct timer_origin {
    timer_fn *fn;
    const char *file;
    int line;
};

struct loop {
    struct os *os; // borrowed
    struct wheel *wheel;
    struct rng rng;
    uint64_t now_ms, wall_ms;
    uint64_t stood_ms; // in all
    bool stopping;
    struct slab watches, streams, listeners;
    struct key_queue readable; // streams that hit their read budget, or were resumed
    struct key_queue closing;  // streams to be finished at the end of the iteration
    int unsent_at_end;         // of the stream that is being finished
    struct job *jobs;          // a ring, NULL when empty
    struct hook *hooks, **hooks_end;
    uint64_t stale_events, accepts_refused;
    uint64_t kept_bytes; // that streams have read, and their owners left unconsumed
    const struct stream_ops *kinds[KINDS]; // of its streams, each named by its index; 0: none
    struct timer_origin
        origins[ORIGINS]; // who armed a timer with this function last: for the report at exit
    uint8_t scratch[SCRATCH_BYTES]; // where all streams read to
};

uint64_t loop_key(enum key_kind kind, const void *object); // of one of its slabs
uint32_t key_slot(uint64_t key);
uint32_t key_turn(uint64_t key);
void key_queue_add(struct key_queue *q, uint64_t key);
struct timer_origin *loop_origin_of(struct loop *l, timer_fn *fn);

void stream_on_event(struct stream *s, uint32_t events);
void stream_read_more(struct stream *s);
void stream_finish(struct stream *s);
// Takes over fd, also on failure: then NULL.
struct stream *stream_accepted(struct loop *l, int fd, int *ret_error);
bool stream_is_owned(const struct stream *s); // or it is closing
void listener_on_event(struct listener *ls);
extern const size_t stream_bytes, listener_bytes;

#endif
