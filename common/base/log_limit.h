// How many lines a log takes of what others cause: of one event 100 at once and 10 a second, and of
// one event by one peer 5 at once and one in 10 s. Peers are kept in a table of fixed size, so who
// comes under many names is bounded by the event's own share. What was kept back is counted, and
// told with the next line that passes.
#ifndef HW_LOG_LIMIT_H
#define HW_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_EVENTS = 64, LOG_PEERS = 128 };

struct log_share {
    uint64_t key; // 0: free
    uint64_t at_ms;
    uint32_t lines; // that may pass now
    uint32_t kept_back;
};

struct log_limit {
    struct log_share events[LOG_EVENTS], peers[LOG_PEERS];
};

// What a line is about: an event, and the peer that causes it, or NULL.
struct log_subject {
    const char *event, *peer;
};

// Whether the line passes; then *ret_kept_back is how many of
// this event did not since the last one that did.
bool log_limit_pass(struct log_limit *limit, struct log_subject of, uint64_t now_ms,
                    uint32_t *ret_kept_back);

#endif
