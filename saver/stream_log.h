// The log of one stream in memory: entries by seq, what was dropped and why, and the limits. Pure:
// the time is an argument. Who has handled what is the owner's to know; it marks entries.
#ifndef HW_SAVER_STREAM_LOG_H
#define HW_SAVER_STREAM_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "saver.pb-c.h"

struct log_entry {
    struct log_entry *next, *prev;
    uint64_t seq, expires_ms;
    size_t bytes;
    Hawser__Internal__StoredMessage *message; // owned
    bool handled;        // it has met its end: some device has handled it, or it is parked
    bool parked;         // for some device, and none has handled it
    bool is_collapsible; // it is the last one with its collapse key, and that is a live one
};

struct log_range { // seqs that left the log before somebody had them
    uint64_t first, last;
    uint32_t reason; // hawser.v1.GapReason
};

struct log_stream {
    uint64_t epoch, head, change;
    uint64_t history; // of the store, when it was last met
    struct log_entry *first, *last;
    size_t count, bytes, unhandled_count, unhandled_bytes;
    struct log_range *ranges; // owned, ascending
    size_t range_count;
};

void log_stream_init(struct log_stream *l, uint64_t epoch, uint64_t history);
void log_stream_deinit(struct log_stream *l);
// Called whenever the log is met. Another history of the store than before: the store may have gone
// back, and seqs that were told are not here. The head rises above any of them, and everybody who
// reads on is told of the jump as a gap of that reason.
void log_goes_on_in(struct log_stream *l, uint64_t history, uint64_t now_ms);
// Takes the next seq. The message is copied.
struct log_entry *log_append(struct log_stream *l, const Hawser__Internal__StoredMessage *m,
                             uint64_t expires_ms);
// Takes an entry out. reason: a GapReason for those that have not had it, or -1 when all have.
void log_remove(struct log_stream *l, struct log_entry *e, int reason);
void log_handled(struct log_stream *l, struct log_entry *e); // marks one that is not marked
// The one that goes first when there are too many: the oldest that some device has handled, else
// the oldest. NULL when empty.
struct log_entry *log_victim(struct log_stream *l);
struct log_view { // of who loads
    const Hawser__Internal__LoadRequest *request;
    uint64_t parked_seq; // that one is a gap for it; 0: none is
    uint64_t now_ms;
};
// Appends to reply the steps behind the request's position, at least one if there is any, up to its
// limits: messages, and gaps for what is no more. device "": every message; else those for other
// devices become gaps.
void log_load(const struct log_stream *l, const struct log_view *view,
              Hawser__Internal__LoadReply *reply);
bool log_entry_is_for(const struct log_entry *e, const char *device);

#endif
