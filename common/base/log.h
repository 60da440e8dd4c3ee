// One logfmt line per event: ts=... level=... role=... id=... event="..." key=value ... on a sink.
// Text from peers is quoted and cut at 256 bytes. Never give it secrets, tokens or payloads. A log
// is a value: a process that hosts several daemons has one for each.
//
// Logging never blocks: a line that stderr does not take at once is dropped, counted, and told as
// soon as it takes lines again. Lines above debug are limited by event and peer (log_limit.h).
#ifndef HW_LOG_H
#define HW_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log_limit.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

// A whole line with its newline; false when it could not be taken, which must not block.
typedef bool log_sink_fn(void *arg, const char *line, size_t len);

struct log {
    enum log_level level;
    const char *role;  // borrowed, outlives the log: a literal
    char id[64];       // the daemon's id, may be empty
    log_sink_fn *sink; // that of stderr unless set
    void *sink_arg;
    uint64_t (*wall_ms)(void *arg); // the clock for ts; arg is wall_arg
    void *wall_arg;
    struct log_limit limit;
    uint64_t dropped, kept_back; // lines: not taken by the sink, and over the limit
    uint64_t dropped_untold;
};

// Writes to stderr with one write(2); the system clock unless wall_ms is set afterwards.
void log_init(struct log *l, const char *role, enum log_level level);

// fields: a printf format that yields `key=value key="value"` pairs; LOG_Q and log_quote for peer
// text. NULL l logs nothing.
void log_event(struct log *l, enum log_level level, const char *event, const char *fields, ...)
    __attribute__((format(printf, 4, 5)));
// The same for what a peer causes, as often as it likes: from is its address without the port.
void log_peer_event(struct log *l, enum log_level level, const char *event, const char *from,
                    const char *fields, ...) __attribute__((format(printf, 5, 6)));

// A quoted, escaped, cut copy of peer text in a ring of 8 thread-local buffers: use it within the
// same log_event call.
const char *log_quote(const char *text, size_t len);
const char *log_quote_str(const char *text); // NULL gives ""

#endif
