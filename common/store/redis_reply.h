// Bytes from Redis are bytes from a peer. Two checks stand between them and whoever asked: a guard
// in hiredis' reader, which bounds a reply while it is read and takes none that nobody asked for,
// and the shape that a question expects of its answer. A reply that fails either costs the
// connection, never the process.
#ifndef HW_REDIS_REPLY_H
#define HW_REDIS_REPLY_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>

enum { REPLY_BYTES_MAX = 16 * 1024 * 1024 }; // read or kept of one reply, with what its parts cost

// Lies in its owner and outlives the reader.
struct redis_guard {
    redisReplyObjectFunctions *plain; // of hiredis
    bool (*is_asked)(void *arg);      // whether an answer is due
    void *arg;
    size_t bytes;
    const char *refused; // why the last reply was refused; NULL = it was not
};
void redis_guard_attach(struct redis_guard *g, redisReader *reader);
// Whether the reader holds more bytes of a string or a line than these may have: neither is looked
// at before it is whole.
bool redis_guard_is_over(const redisReader *reader);

// Whether the reply is as the shape says: i an integer, s a string, n a number from 0 (an integer,
// or digits), + a status, ?x nothing or x, [..] an array of these, in which everything behind * may
// come any number of times, from none; x|y either, outermost. Not for error replies.
bool redis_reply_fits(const redisReply *reply, const char *shape);

#endif
